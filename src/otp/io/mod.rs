//! The I/O protocol: text from the processes that share a terminal, across the cluster.
//!
//! A process prints by asking its group leader. That of a process which nobody gave another is the process `user` of its node, and a process
//! spawned by another, on whatever node, has the leader of that: the two print on the same device.
//! Here [`Process::print`](crate::node::Process::print) and [`Process::format`](crate::node::Process::format) ask,
//! `user` serves, on the device that [`Builder::output`](crate::node::Builder::output) names, and [`Formatter`] evaluates `io_lib:format/2`.

mod client;
mod format;
mod request;
mod server;
#[cfg(test)]
mod tests;

pub use client::IoError;
pub use format::{DEFAULT_LIMIT, FormatError, Formatter, PrintableRange};
pub use server::Output;
pub(crate) use server::start;
