//! Why there is no connection, or no more, and why a node could not start.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::cookie::CookieFileError;
use super::host::HostError;
use crate::dist::handshake::HandshakeError;
use crate::dist::{CookieError, NameError, NodeName};
use crate::epmd::{KeeperError, ResolveError};
use crate::net::SetupError;
use crate::term::Atom;

/// Why a node cannot be reached. Cheap to clone: everybody who waited for the connection gets it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The name is not one that a node has, or is long where ours is short, or the other way round.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It is not known where the node listens.
    #[error(transparent)]
    Resolve(Arc<ResolveError>),
    /// The EPMD on the node's host does not know the name.
    #[error("{} is not registered with the EPMD of {}, which knows {}", .name.alive(), .name.host(), Listed(.registered))]
    NotRegistered {
        /// The node's name.
        name: NodeName,
        /// The names that are registered there.
        registered: Vec<String>,
    },
    /// The node does not answer on its port, or the handshake with it failed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// This node allows others, but not that one, as [`Node::allow`](super::Node::allow) has it.
    #[error("{name} is not on this node's list of allowed nodes")]
    NotAllowed {
        /// The node.
        name: NodeName,
    },
    /// This node makes no connections by itself, or no second one, as [`AutoConnect`](super::AutoConnect) has it.
    #[error("{node} is not connected, and this node does not connect to it by itself")]
    NotAutomatic {
        /// The node.
        node: Atom,
    },
    /// This node has stopped.
    #[error("this node has stopped")]
    Stopped,
}

/// Names as a list for a human.
struct Listed<'a>(&'a [String]);

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        Self::Setup(error.into())
    }
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("no names"),
            names => f.write_str(&names.join(", ")),
        }
    }
}

/// Why a connection ended: the reason in Erlang's `nodedown` messages, under its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DownReason {
    /// `connection_closed`: the other side closed it, or is gone.
    ConnectionClosed,
    /// `wait_pending`: the other side has another connection in its place, most likely because the node has started again.
    WaitPending,
    /// `disconnect`: this side disconnected.
    Disconnect,
    /// `net_tick_timeout`: nothing came from the other side for the tick time.
    NetTickTimeout,
    /// `net_kernel_terminated`: this node stops.
    NetKernelTerminated,
}

impl DownReason {
    /// The reason as Erlang's atom.
    #[must_use]
    pub fn atom(self) -> Atom {
        Atom::from_static(match self {
            Self::ConnectionClosed => "connection_closed",
            Self::WaitPending => "wait_pending",
            Self::Disconnect => "disconnect",
            Self::NetTickTimeout => "net_tick_timeout",
            Self::NetKernelTerminated => "net_kernel_terminated",
        })
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.atom().as_str())
    }
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The name cannot be used.
    #[error(transparent)]
    Name(#[from] HostError),
    /// The cookie that was given cannot be one.
    #[error(transparent)]
    Cookie(#[from] CookieError),
    /// There is no cookie, or not one that may be used.
    #[error(transparent)]
    CookieFile(#[from] CookieFileError),
    /// The node that should give this one its name cannot be connected to.
    #[error("no name from {peer}: {error}")]
    Naming {
        /// The node asked.
        peer: String,
        /// Why not.
        error: ConnectError,
    },
    /// No port to listen on.
    #[error("cannot listen for connections: {0}")]
    Listen(#[source] io::Error),
    /// The name is taken.
    #[error("the name {name} is taken by another node on this host")]
    NameTaken {
        /// The name.
        name: NodeName,
    },
    /// EPMD does not register the node.
    #[error("cannot register with EPMD: {0}")]
    Epmd(#[source] KeeperError),
    /// There is no EPMD on this host, and the program that should be one does not start.
    #[error("no EPMD runs on this host, and {} does not start as one: {source}", .program.display())]
    NoEpmd {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<NameError> for PingError {
    fn from(error: NameError) -> Self {
        Self::Connect(error.into())
    }
}

/// Why a node does not answer a ping.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PingError {
    /// It cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It is connected and its `net_kernel` does not answer `yes`.
    #[error("connected, but its net_kernel does not answer: {reason}")]
    NoAnswer {
        /// What came instead.
        reason: String,
    },
}
