//! A node in a cluster of Erlang and Elixir nodes.
//!
//! The layers, each importing only what stands above it in this list:
//!
//! | module | holds |
//! |---|---|
//! | [`mod@term`] | Erlang terms, their order and their text form |
//! | [`etf`] | the external term format |
//! | [`epmd`] | the port mapper: messages, then client and server |
//! | [`dist`] | the distribution protocol, without I/O |
//! | [`net`] | sockets and the task that owns each |
//! | [`node`] | the node: connections, processes, registered names, node events |
//! | [`otp`] | the services that other nodes expect of one |
//!
//! With no features there are `term`, `etf`, `dist` and the EPMD messages, and no runtime; the feature
//! `node` (on by default) brings the rest.

#![forbid(unsafe_code)]

pub mod dist;
pub mod epmd;
pub mod etf;
#[cfg(feature = "node")]
pub mod net;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
pub mod otp;
pub mod term;
