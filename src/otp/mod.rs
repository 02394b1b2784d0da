//! The services that other nodes expect of a node, and what the libraries of OTP say to one another.
//!
//! Each service is an ordinary process under the name that Erlang gives it; nothing here has a way to another node
//! that a user's process has not.

mod call;
mod client;
mod erlang;
mod erpc;
mod gen_server;
mod global;
mod global_group;
pub mod io;
mod library;
mod logger;
mod net_kernel;
mod node_events;
mod pg;
mod rex;
mod rpc;
mod supervisor;
#[cfg(test)]
mod tests;
mod world;

pub use call::{CallError, Caller, Request};
pub use client::{Answers, RequestId};
#[cfg(feature = "serde")]
pub use gen_server::{Answer, Typed, TypedServer};
pub use gen_server::{Context, GenServer, run_server};
pub use global::{Global, GlobalError, LockId, Resolve};
pub(crate) use global::{Globals, Settings as GlobalSettings};
pub(crate) use net_kernel::ping;
pub use pg::{ChangeKind, GroupChange, JoinError, LeaveError, Pg, Pids};
pub use rpc::{PendingCall, Rpc, RpcError};
pub use supervisor::{
    Child, Event as SupervisorEvent, Report as SupervisorReport, Restart, Shutdown, Strategy, Supervisor,
};
pub use world::{HostsError, hosts_file};

use crate::node::{MailboxLimits, Node};

/// Bytes that may wait in a service's mailbox before the service is given up: far more than honest peers send.
const MAILBOX: MailboxLimits = MailboxLimits {
    bytes: 64 << 20,
    messages: usize::MAX,
};

/// What the services of one node know, and share with those who ask from Rust.
#[derive(Debug, Default)]
pub(crate) struct Services {
    pg: pg::Scopes,
}

/// Starts the services of `node`.
pub(crate) fn start(node: &Node, output: &io::Output, input: &io::Input, global: GlobalSettings) {
    io::start(node, output, input);
    net_kernel::start(node);
    logger::start(node);
    erpc::start(node);
    erlang::start(node);
    library::start(node);
    node_events::start(node);
    pg::start(node);
    world::start(node);
    rex::start(node);
    global::start(node, global);
    global_group::start(node);
}
