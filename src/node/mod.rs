//! The node: connections, processes, registered names, node events.
