//! Node events: what `net_kernel:monitor_nodes/2` tells a process on a BEAM node.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;
use tracing::warn;

use super::DownReason;
use crate::term::Atom;

/// Events that a subscriber may leave unread before its stream ends: a peer that comes and goes must not fill memory.
const UNREAD_LIMIT: usize = 65_536;

/// Which nodes are meant, as the argument of `nodes/1` and the option `node_type` of `net_kernel:monitor_nodes/2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NodeType {
    /// Connected by a connection that both ends publish.
    #[default]
    Visible,
    /// Connected by a connection that at least one end keeps hidden.
    Hidden,
    /// Visible and hidden ones; Erlang's `connected` and `all`.
    All,
}

impl NodeType {
    /// Whether a connection that is hidden, or is not, is of this type.
    pub(crate) fn includes(self, hidden: bool) -> bool {
        match self {
            Self::Visible => !hidden,
            Self::Hidden => hidden,
            Self::All => true,
        }
    }
}

/// A node came, or went.
///
/// For one node the two alternate, beginning with [`NodeUp`](Self::NodeUp) for a node that was not connected when the
/// subscription began. `NodeUp` comes before the first message from the node can be received, `NodeDown` after the
/// last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEvent {
    /// A connection to `node` is up.
    NodeUp {
        /// The node's name.
        node: Atom,
        /// Whether the connection is hidden.
        hidden: bool,
    },
    /// The connection to `node` is gone.
    NodeDown {
        /// The node's name.
        node: Atom,
        /// Whether the connection was hidden.
        hidden: bool,
        /// Why it ended.
        reason: DownReason,
    },
}

impl NodeEvent {
    /// The node that the event is about.
    #[must_use]
    pub fn node(&self) -> &Atom {
        match self {
            Self::NodeUp { node, .. } | Self::NodeDown { node, .. } => node,
        }
    }

    fn hidden(&self) -> bool {
        match self {
            Self::NodeUp { hidden, .. } | Self::NodeDown { hidden, .. } => *hidden,
        }
    }
}

/// The stream of node events that [`Node::monitor_nodes`](super::Node::monitor_nodes) gives.
///
/// It ends when the node stops, or when 65,536 events stand unread.
#[derive(Debug)]
pub struct NodeEvents {
    events: mpsc::Receiver<NodeEvent>,
}

impl NodeEvents {
    /// The next event; `None` once the stream has ended. Cancelling the wait loses nothing.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        self.events.recv().await
    }
}

impl Stream for NodeEvents {
    type Item = NodeEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NodeEvent>> {
        self.events.poll_recv(cx)
    }
}

/// The subscribers of one node.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    list: Mutex<Vec<Subscriber>>,
}

#[derive(Debug)]
struct Subscriber {
    wants: NodeType,
    events: mpsc::Sender<NodeEvent>,
}

impl Subscribers {
    pub(crate) fn subscribe(&self, wants: NodeType) -> NodeEvents {
        let (sender, events) = mpsc::channel(UNREAD_LIMIT);
        self.lock().push(Subscriber {
            wants,
            events: sender,
        });
        NodeEvents { events }
    }

    /// Tells every subscriber whose type fits; forgets those that are gone or do not keep up.
    pub(crate) fn tell(&self, event: &NodeEvent) {
        self.lock().retain(|subscriber| {
            if !subscriber.wants.includes(event.hidden()) {
                return !subscriber.events.is_closed();
            }
            match subscriber.events.try_send(event.clone()) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Closed(_)) => false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    warn!(
                        unread = UNREAD_LIMIT,
                        "a subscriber to node events does not read them: its stream ends"
                    );
                    false
                }
            }
        });
    }

    /// Ends every stream.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Subscriber>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
