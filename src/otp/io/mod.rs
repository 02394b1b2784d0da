//! The I/O protocol: text from the processes that share a terminal, across the cluster.
//!
//! A process prints and reads by asking its group leader. That of a process which nobody gave another is the process `user` of its node, and a process
//! spawned by another, on whatever node, has the leader of that: the two use the same device.
//! Here [`Process::print`](crate::node::Process::print), [`Process::format`](crate::node::Process::format) and
//! [`Process::get_line`](crate::node::Process::get_line) ask, `user` serves, on the devices that
//! [`Builder::output`](crate::node::Builder::output) and [`Builder::input`](crate::node::Builder::input) name, and
//! [`Formatter`] evaluates `io_lib:format/2`.

mod client;
mod device;
mod format;
mod fread;
mod request;
mod server;
#[cfg(test)]
mod tests;
mod tokens;

pub use client::IoError;
pub use device::{Input, Output};
pub use format::{DEFAULT_LIMIT, FormatError, Formatter, PrintableRange};
pub(crate) use server::start;
