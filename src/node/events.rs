//! Node events: what `net_kernel:monitor_nodes/2` tells a process, as a stream for Rust and as messages for processes.
//!
//! Events are told under the lock of the connections table, so that those of one node never change places: `nodeup` before
//! the connection's first message can be received, `nodedown` after its last.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;
use tracing::warn;

use super::DownReason;
use super::cell::Cell;
use super::message::Message;
use super::process::Process;
use super::signal::Outbox;
use crate::etf::RawTerm;
use crate::term::{Atom, Map, Term};

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
        /// Tells this connection from earlier and later ones to the same node.
        connection_id: u64,
    },
    /// The connection to `node` is gone.
    NodeDown {
        /// The node's name.
        node: Atom,
        /// Whether the connection was hidden.
        hidden: bool,
        /// Which connection it was: that of the `NodeUp`.
        connection_id: u64,
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

/// What a process is told of nodes, and how: the options of `net_kernel:monitor_nodes/2`.
///
/// ```
/// use beamnode::node::{InfoForm, NodeMonitor, NodeType};
///
/// // {nodeup, Node} and {nodedown, Node}, for visible nodes
/// let plain = NodeMonitor::default();
/// // {nodedown, Node, #{node_type => hidden, nodedown_reason => connection_closed}}, for all nodes
/// let all = NodeMonitor { node_type: Some(NodeType::All), nodedown_reason: true, form: InfoForm::Map, ..plain };
/// # let _ = all;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NodeMonitor {
    /// Which nodes are meant, and that the type is told; `None` for visible ones without a word about it.
    pub node_type: Option<NodeType>,
    /// Tell why a connection ended.
    pub nodedown_reason: bool,
    /// Tell which connection it is.
    pub connection_id: bool,
    /// What the information is told in.
    pub form: InfoForm,
}

/// What the third element of a `nodeup` or `nodedown` message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum InfoForm {
    /// A list of pairs; when nothing is to be told, the message has two elements.
    #[default]
    List,
    /// A map.
    Map,
}

impl NodeMonitor {
    fn includes(self, hidden: bool) -> bool {
        self.node_type.unwrap_or_default().includes(hidden)
    }

    /// The message about `event`.
    fn message(self, event: &NodeEvent) -> Term {
        let (tag, node, id, reason) = match event {
            NodeEvent::NodeUp {
                node, connection_id, ..
            } => ("nodeup", node, connection_id, None),
            NodeEvent::NodeDown {
                node,
                connection_id,
                reason,
                ..
            } => ("nodedown", node, connection_id, Some(reason)),
        };
        let tag = Term::atom(tag);
        if self.form == InfoForm::List && self == Self::default() {
            return Term::from((tag, node.clone()));
        }
        let mut pairs = Vec::new();
        if self.connection_id {
            pairs.push((Term::atom("connection_id"), Term::from(*id)));
        }
        if let Some(reason) = reason.filter(|_| self.nodedown_reason) {
            pairs.push((Term::atom("nodedown_reason"), Term::from(reason.atom())));
        }
        if self.node_type.is_some() {
            let node_type = if event.hidden() { "hidden" } else { "visible" };
            pairs.push((Term::atom("node_type"), Term::atom(node_type)));
        }
        let info = match self.form {
            InfoForm::List => pairs.into_iter().map(Term::from).collect::<Vec<_>>().into(),
            InfoForm::Map => Term::Map(pairs.into_iter().collect::<Map>()),
        };
        Term::from((tag, node.clone(), info))
    }
}

impl Process {
    /// Has this process told of nodes that come and go from now on, by messages, as `net_kernel:monitor_nodes(true, Options)`. Asked so
    /// many times, it is told so many times.
    pub fn monitor_nodes(&self, wanted: NodeMonitor) {
        let subscribers = &self.node().0.connections.subscribers;
        subscribers.add_process(Arc::clone(self.cell()), wanted);
    }

    /// Ends all that was asked for with these very options, as `net_kernel:monitor_nodes(false, Options)`.
    pub fn demonitor_nodes(&self, wanted: NodeMonitor) {
        let subscribers = &self.node().0.connections.subscribers;
        subscribers.remove_process(self.cell(), wanted);
    }
}

/// Of one node.
impl Process {
    /// Has this process told once, by the message `{nodedown, Node}`, when the connection to `node` ends, as
    /// `erlang:monitor_node(Node, true)`; connects if need be, and when that fails, tells at once. Asked so many times, it is told so
    /// many times. Nothing comes of asking about this node itself.
    ///
    /// # Panics
    /// If the name has more than 255 characters.
    pub async fn monitor_node(&self, node: impl AsRef<str>) {
        let node = Atom::new(node.as_ref()).expect("a node's name has at most 255 characters");
        let noted = match self.node().route_to(&node).await {
            Ok(None) => true,
            Ok(Some(via)) => self.cell().monitor_node(&via),
            Err(_) => false,
        };
        if !noted {
            let mut out = Outbox::default();
            self.cell().tell(nodedown(&node), &mut out);
            self.node().deliver(out);
        }
    }

    /// Takes back one [`monitor_node`](Self::monitor_node), as `erlang:monitor_node(Node, false)`.
    pub fn demonitor_node(&self, node: impl AsRef<str>) {
        self.cell().demonitor_node(node.as_ref());
    }
}

/// The message of [`Process::monitor_node`].
pub(super) fn nodedown(node: &Atom) -> Message {
    message_of(&Term::from((Term::atom("nodedown"), node.clone())))
}

fn message_of(term: &Term) -> Message {
    Message::Term(RawTerm::new(term))
}

/// The subscribers of one node.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    list: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    streams: Vec<Subscriber>,
    processes: Vec<(Arc<Cell>, NodeMonitor)>,
    /// So many processes are looked through for those that have ended, once there are more.
    sweep_at: usize,
}

#[derive(Debug)]
struct Subscriber {
    wants: NodeType,
    events: mpsc::Sender<NodeEvent>,
}

impl Subscribers {
    pub(crate) fn subscribe(&self, wants: NodeType) -> NodeEvents {
        let (sender, events) = mpsc::channel(UNREAD_LIMIT);
        self.lock().streams.push(Subscriber {
            wants,
            events: sender,
        });
        NodeEvents { events }
    }

    fn add_process(&self, cell: Arc<Cell>, wanted: NodeMonitor) {
        let mut lists = self.lock();
        if lists.processes.len() >= lists.sweep_at {
            lists.processes.retain(|(cell, _)| cell.is_alive());
            lists.sweep_at = (lists.processes.len() * 2).max(16);
        }
        lists.processes.push((cell, wanted));
    }

    fn remove_process(&self, cell: &Arc<Cell>, unwanted: NodeMonitor) {
        let mut lists = self.lock();
        lists
            .processes
            .retain(|(other, wanted)| !Arc::ptr_eq(other, cell) || *wanted != unwanted);
    }

    /// Tells every subscriber whose type fits; forgets those that are gone or do not keep up.
    pub(crate) fn tell(&self, event: &NodeEvent, out: &mut Outbox) {
        let mut lists = self.lock();
        lists.processes.retain(|(cell, _)| cell.is_alive());
        let fitting = |(_, wanted): &&(Arc<Cell>, NodeMonitor)| wanted.includes(event.hidden());
        for (cell, wanted) in lists.processes.iter().filter(fitting) {
            cell.tell(message_of(&wanted.message(event)), out);
        }
        lists.streams.retain(|subscriber| {
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
        *self.lock() = Lists::default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lists> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
