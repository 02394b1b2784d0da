//! The services that other nodes expect of a node.
