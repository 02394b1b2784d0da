//! The Erlang port mapper daemon, EPMD: which node of a host listens on which port.
//!
//! Every host of a cluster runs one. A node registers its name and listening port and holds the connection for as long
//! as it lives; whoever wants to connect to it asks for the port by name. The protocol is described in the section
//! "EPMD Protocol" of Erlang's *Distribution Protocol* chapter; where real daemons differ from it, this follows them.
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | requests and answers, as values and as bytes |
//! | [`registry`] | the names that a daemon knows |
//! | [`session`] | one connection to a daemon: bytes in, bytes out, without I/O |
//! | [`client`] | asking a daemon |
//! | [`server`] | being one |
//! | [`keeper`] | keeping a node registered through a daemon's restarts |
//! | [`resolver`], `dns` | finding nodes, by a daemon or without one |
//!
//! The first three know nothing of sockets, clocks or tasks and need no feature; the others need the feature `node`, and
//! `dns` the feature of its name.

#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used
)]

#[cfg(feature = "node")]
pub mod client;
#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "node")]
pub mod keeper;
pub mod message;
pub mod registry;
#[cfg(feature = "node")]
pub mod resolver;
#[cfg(feature = "node")]
pub mod server;
pub mod session;

#[cfg(feature = "node")]
pub use client::{Client, ClientError, Registration};
#[cfg(feature = "node")]
pub use keeper::{Keeper, KeeperError};
pub use message::{Name, NameEntry, NodeInfo, NodeType, Registrant};
#[cfg(feature = "node")]
pub use resolver::{ResolveError, Resolver};
#[cfg(feature = "node")]
pub use server::Server;

/// The port on which EPMD listens unless `ERL_EPMD_PORT` names another.
pub const DEFAULT_PORT: u16 = 4369;

#[cfg(feature = "node")]
#[cfg(test)]
mod tests;
