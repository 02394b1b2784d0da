//! The node: its name and its peers, its processes and their names, and the events that tell of both.
//!
//! A [`Node`] stands for a running node. It hands out [processes](Process), which send, receive, link and monitor as those
//! of Erlang do, to processes of the same node and, by the same calls, to those of every other.
//!
//! ```no_run
//! use beamnode::node::Node;
//! use beamnode::term;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::builder("rust@127.0.0.1").start().await?;
//! let mut me = node.process();
//! me.register("echo")?;
//! me.send(("shell", "alice@127.0.0.1"), term!({hello, (me.pid().clone())})).await?;
//! while let Some(message) = me.recv().await {
//!     println!("{}", message.term()?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `builder`, `cookie`, `host`, `registration` | what a node is started with, and the start |
//! | `process`, `receive`, `message`, `destination`, `exit`, `task` | a process's own view |
//! | `cell`, `mailbox`, `links`, `alias`, `signal` | what the node holds of a process, and what signals do to it |
//! | `modules`, `spawn` | functions that other nodes can run here, and their requests to |
//! | `calls` | functions that other nodes run for this one |
//! | `delivery` | how signals travel between processes and connections |
//! | `table` | processes by pid and by name |
//! | `connections`, `allowed`, `naming` | at most one connection to each peer, who may have one, names for those without |
//! | `policy` | what a peer may do once it is connected |
//! | `link` | making and accepting connections |
//! | `ticktime` | how long a peer may be silent |
//! | `events` | `nodeup` and `nodedown` |
//! | `reconnect` | who connects by itself, and again |

mod alias;
mod allowed;
mod builder;
mod calls;
mod cell;
mod connections;
mod cookie;
mod delivery;
mod destination;
mod error;
mod events;
mod exit;
mod host;
mod link;
mod links;
mod mailbox;
mod message;
mod modules;
mod naming;
mod policy;
mod process;
#[cfg(test)]
mod races;
mod receive;
mod reconnect;
mod registration;
mod signal;
mod spawn;
mod table;
mod task;
#[cfg(test)]
mod tests;
mod ticktime;

pub use alias::{AliasKind, Until};
pub use builder::Builder;
pub(crate) use calls::CallFailure;
pub use cell::ProcessInfo;
pub use cookie::CookieFileError;
pub use destination::Destination;
pub use error::{ConnectError, DownReason, PingError, StartError};
pub use events::{InfoForm, NodeEvent, NodeEvents, NodeMonitor, NodeType};
pub use exit::ExitReason;
pub use host::HostError;
pub use mailbox::MailboxLimits;
pub use message::{Down, Exit, Item, Message};
pub(crate) use modules::{Call, Function};
pub use modules::{Exception, Module, Outcome};
pub use policy::{Action, Policy, Rules, What};
pub use process::{MonitorOptions, Process, RegisterError, SendError};
pub use receive::ReceiveError;
pub use reconnect::{AutoConnect, Backoff, KeptConnected};
pub use spawn::{SpawnError, SpawnOptions, Spawned};
pub use ticktime::TicktimeChange;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::dist::{Cookie, Flags, NameError, NodeName};
use crate::epmd::Resolver;
use crate::net::{self, LinkOptions};
use crate::otp;
use crate::term::{Atom, Pid, Reference, Term};
use allowed::Allowed;
use cell::Cell;
use connections::{Connections, Reason};
use modules::Modules;
use naming::Names;
use signal::Outbox;
use table::{Number, Table};
use ticktime::Ticktime;

/// Keys are what peers choose, names and references: hashed with a seed, but fast.
type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
type HashSet<K> = std::collections::HashSet<K, foldhash::fast::RandomState>;

/// A running node. Cheap to clone; the node runs until [`shutdown`](Self::shutdown), or until its runtime ends.
#[derive(Debug, Clone)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: NodeName,
    atom: Atom,
    creation: u32,
    cookie: Cookie,
    /// Cookies for particular peers.
    cookies: Mutex<HashMap<Atom, Cookie>>,
    flags: Flags,
    allowed: Allowed,
    /// What peers may do; `None` for everything.
    policy: Option<Arc<dyn Policy>>,
    /// Names for nodes that have none.
    names: Names,
    /// How connections are run, but for the tick time.
    link: LinkOptions,
    ticktime: Ticktime,
    /// How long each step of setting up a connection may take.
    setup_time: Duration,
    resolver: Arc<dyn Resolver>,
    /// The port that the node listens on; `None` when it does not.
    port: Option<u16>,
    table: Table,
    /// The names that the cluster shares.
    globals: otp::Globals,
    modules: Modules,
    connections: Connections,
    references: AtomicU64,
    integers: AtomicU64,
    /// What the services know.
    services: otp::Services,
    /// The process `user`.
    leader: OnceLock<Pid>,
    started: Instant,
    /// The uptime when `statistics(wall_clock)` was last asked for.
    asked: Mutex<Duration>,
    may_halt: bool,
    runtime: tokio::runtime::Handle,
    /// Whether the node is stopping; its tasks watch it.
    stopping: watch::Sender<bool>,
}

impl Node {
    /// Starts describing a node called `name`: `NAME@HOST`, or `NAME`, which this host's short name completes.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::named(name.into())
    }

    /// Starts describing a node with a short name, as `erl -sname`.
    pub fn short(name: impl Into<String>) -> Builder {
        Builder::short(name.into())
    }

    /// Starts describing a node that gets its name from `peer`, `NAME@HOST`, as `erl -sname undefined` gets one from the node that it
    /// connects to first.
    ///
    /// Such a node is hidden and does not listen. It stops when its connection to `peer` ends, since the name is then
    /// another's.
    pub fn named_by(peer: impl Into<String>) -> Builder {
        Builder::named_by(peer.into())
    }

    /// Starts describing a node with a long name, as `erl -name`.
    pub fn long(name: impl Into<String>) -> Builder {
        Builder::long(name.into())
    }

    /// The node's name, as `node()`.
    #[must_use]
    pub fn name(&self) -> &Atom {
        &self.0.atom
    }

    /// The node's name, with its parts.
    #[must_use]
    pub fn node_name(&self) -> &NodeName {
        &self.0.name
    }

    /// Which incarnation of its name the node is: part of every pid and reference it makes.
    #[must_use]
    pub fn creation(&self) -> u32 {
        self.0.creation
    }

    /// The port on which the node listens; `None` when it does not.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.0.port
    }

    // Processes

    /// A new process, which lives as long as the handle.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process_with(MailboxLimits::default())
    }

    /// A new process with other limits for its mailbox than the default ones.
    #[must_use]
    pub fn process_with(&self, limits: MailboxLimits) -> Process {
        self.process_of(self.leader(), limits)
    }

    /// A new process with that group leader.
    fn process_of(&self, leader: Pid, limits: MailboxLimits) -> Process {
        let cell = self.0.table.insert(|number| {
            let cell = Cell::new(self.pid(number), number, leader.clone(), limits);
            Arc::new(cell)
        });
        Process::new(self.clone(), cell)
    }

    fn pid(&self, number: Number) -> Pid {
        Pid::new(self.0.atom.clone(), number.id(), number.serial(), self.0.creation)
    }

    /// A pid of no process.
    fn unused_pid(&self) -> Pid {
        self.pid(self.0.table.unused())
    }

    /// The group leader of processes that inherit none.
    pub(crate) fn leader(&self) -> Pid {
        // `user` itself is made before there is one, and becomes its own.
        let none = || Pid::new(self.0.atom.clone(), 0, 0, self.0.creation);
        self.0.leader.get().cloned().unwrap_or_else(none)
    }

    /// Makes `user` the group leader of processes that inherit none.
    pub(crate) fn set_leader(&self, user: Pid) {
        let _ = self.0.leader.set(user);
    }

    /// What the services of this node know.
    pub(crate) fn services(&self) -> &otp::Services {
        &self.0.services
    }

    /// Starts a service: a process under a registered name that runs until the node stops.
    pub(crate) fn spawn_service<F>(
        &self,
        name: &'static str,
        limits: MailboxLimits,
        body: impl FnOnce(Process) -> F,
    ) where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        let me = self.process_with(limits);
        match me.register(name) {
            Ok(()) => {
                task::run(me, body);
            }
            Err(error) => tracing::error!(name, %error, "a service of this node cannot have its name"),
        }
    }

    /// Starts a process that runs `body`, as `spawn/1`, and gives its pid.
    ///
    /// The process ends when `body` returns: `normal` for `Ok`, with the reason given for `Err`, with `{panic, Text}` when it
    /// panics. When the process is ended from outside, by an exit signal that it does not trap, `body` is dropped at the
    /// point where it waits.
    ///
    /// ```no_run
    /// # fn example(node: &beamnode::node::Node) {
    /// let echo = node.spawn(async |mut me| {
    ///     while let Some(message) = me.recv().await {
    ///         println!("{}", message.term()?);
    ///     }
    ///     Ok(())
    /// });
    /// println!("{echo} prints what it is sent");
    /// # }
    /// ```
    pub fn spawn<F>(&self, body: impl FnOnce(Process) -> F) -> Pid
    where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        task::run(self.process(), body)
    }

    /// The pids of this node's processes, as `processes()`.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        self.0.table.all().iter().map(|cell| cell.pid().clone()).collect()
    }

    /// What there is to know of a process of this node, as `process_info/1`; `None` when it does not live.
    #[must_use]
    pub fn process_info(&self, pid: &Pid) -> Option<ProcessInfo> {
        self.cell(pid)?.info()
    }

    /// The messages that wait for a process of this node; `None` when it does not live.
    pub(crate) fn messages_of(&self, pid: &Pid) -> Option<Vec<Term>> {
        let messages = self.cell(pid)?.messages();
        Some(
            messages
                .iter()
                .filter_map(|message| message.term().ok())
                .collect(),
        )
    }

    pub(crate) fn is_connected(&self, node: &Atom) -> bool {
        let up = || self.0.connections.up(node);
        *node == self.0.atom || up().is_some_and(|connection| connection.closing().is_none())
    }

    /// What tells the connection to `node` from earlier ones.
    pub(crate) fn connection_id(&self, node: &Atom) -> Option<u64> {
        Some(self.0.connections.up(node)?.number())
    }

    /// How many messages have come from a node that is connected, and how many have gone to it.
    pub(crate) fn messages_with(&self, node: &Atom) -> Option<(u64, u64)> {
        Some(self.0.connections.up(node)?.outbound.messages())
    }

    /// Where a node is that is connected, on transports that have addresses.
    pub(crate) fn address_of(&self, node: &Atom) -> Option<SocketAddr> {
        self.0.connections.up(node)?.address()
    }

    /// How long each step of setting up a connection may take.
    pub(crate) fn setup_time(&self) -> Duration {
        self.0.setup_time
    }

    /// Gives a process of this node another group leader; `false` when it does not live.
    pub fn set_group_leader(&self, pid: &Pid, leader: Pid) -> bool {
        self.cell(pid).map(|cell| cell.set_leader(leader)).is_some()
    }

    /// Gives `name` to the process `pid` of this node, as `register/2`. It has it until it ends.
    ///
    /// # Errors
    /// When the name is taken or illegal, or the process has a name, or there is no such process.
    pub fn register(&self, name: &str, pid: &Pid) -> Result<(), RegisterError> {
        let atom = match Atom::new(name) {
            Ok(atom) if name != "undefined" => atom,
            _ => {
                return Err(RegisterError::Illegal {
                    name: name.to_owned(),
                });
            }
        };
        let cell = self.cell(pid).ok_or(RegisterError::Exited)?;
        cell.claim_name(&atom)?;
        if !self.0.table.register(atom.clone(), &cell) {
            cell.disclaim_name();
            return Err(RegisterError::Taken { name: atom });
        }
        if !cell.is_alive() {
            // It ended in between, and has already given back the names that it had then.
            self.0.table.unregister(&atom, &cell);
            return Err(RegisterError::Exited);
        }
        Ok(())
    }

    /// Frees a registered name, as `unregister/1`; `false` when nobody has it.
    pub fn unregister(&self, name: &str) -> bool {
        let Some(cell) = self.0.table.whereis(name) else {
            return false;
        };
        let held = self.0.table.unregister(name, &cell);
        if held {
            cell.disclaim_name();
        }
        held
    }

    /// The process that has the name, as `whereis/1`.
    #[must_use]
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.0.table.whereis(name).map(|cell| cell.pid().clone())
    }

    /// The registered names, as `registered()`.
    #[must_use]
    pub fn registered(&self) -> Vec<Atom> {
        self.0.table.registered()
    }

    /// A reference that no other has, as `make_ref()`.
    #[must_use]
    pub fn make_ref(&self) -> Reference {
        self.reference(0)
    }

    /// A new reference that leads to the process.
    fn alias_of(&self, cell: &Cell) -> Reference {
        self.reference(alias::third_word(cell.number()))
    }

    /// A new reference with that third word. The other two have 50 bits, which take decades to come round.
    fn reference(&self, third_word: u32) -> Reference {
        let count = self.0.references.fetch_add(1, Ordering::Relaxed);
        // The first word of a reference of one's own has 18 bits: every release rejects more.
        let words = [low_bits(count, 18), low_bits(count >> 18, 32), third_word];
        Reference::new(self.0.atom.clone(), &words, self.0.creation).expect("three words are not too many")
    }

    /// The functions of module `name` that other nodes can run on this one, to add to.
    ///
    /// # Panics
    /// If `name` has more than 255 characters.
    #[must_use]
    pub fn module(&self, name: impl AsRef<str>) -> Module<'_> {
        Module::new(self, modules::name(name.as_ref()))
    }

    pub(crate) fn globals(&self) -> &otp::Globals {
        &self.0.globals
    }

    pub(crate) fn has_module(&self, name: &Atom) -> bool {
        self.0.modules.has_module(name)
    }

    pub(crate) fn handle_of_runtime(&self) -> &tokio::runtime::Handle {
        &self.0.runtime
    }

    pub(crate) fn module_names(&self) -> Vec<Atom> {
        self.0.modules.names()
    }

    pub(crate) fn function(&self, module: &Atom, function: &Atom, arity: usize) -> Option<Function> {
        self.0.modules.get(module, function, arity)
    }

    // Peers

    /// The names of the connected nodes of that type, as `nodes/1`.
    #[must_use]
    pub fn nodes(&self, wanted: NodeType) -> Vec<Atom> {
        self.0
            .connections
            .all(wanted)
            .iter()
            .map(|connection| connection.name().clone())
            .collect()
    }

    /// Tells of nodes of that type that come and go from now on, as `net_kernel:monitor_nodes/2`.
    #[must_use]
    pub fn monitor_nodes(&self, wanted: NodeType) -> NodeEvents {
        self.0.connections.subscribers.subscribe(wanted)
    }

    /// Connects to a node unless it is connected, as `net_kernel:connect_node/1`.
    ///
    /// # Errors
    /// When there is no connection in the end, with the reason.
    pub async fn connect(&self, node: impl AsRef<str>) -> Result<(), ConnectError> {
        let flags = self.0.flags;
        self.route(&peer(node.as_ref())?, flags, Reason::Asked)
            .await
            .map(drop)
    }

    /// Connects to a node as a hidden one, as `net_kernel:hidden_connect_node/1`, unless it is connected.
    ///
    /// # Errors
    /// When there is no connection in the end, with the reason.
    pub async fn connect_hidden(&self, node: impl AsRef<str>) -> Result<(), ConnectError> {
        let flags = self.0.flags - Flags::PUBLISHED;
        self.route(&peer(node.as_ref())?, flags, Reason::Asked)
            .await
            .map(drop)
    }

    /// Lets only these nodes connect, and be connected to, besides those named in earlier calls, as `net_kernel:allow/1`. Each is
    /// `NAME@HOST`, a host, or `NAME@`. Connections that are up stay.
    pub fn allow(&self, nodes: impl IntoIterator<Item = String>) {
        self.0.allowed.add(nodes);
    }

    /// The nodes that [`allow`](Self::allow) has named; none means that all may connect.
    pub(crate) fn allowed(&self) -> Vec<String> {
        self.0.allowed.names()
    }

    /// From how many bytes that wait a connection is busy.
    pub(crate) fn busy_limit(&self) -> usize {
        self.0.link.busy_limit
    }

    /// Whether the connection to `node` is busy, so that who sends waits, and what becomes of that: `busy_dist_port` of
    /// `erlang:system_monitor/2`. Ends with the connection; `None` when there is none.
    #[must_use]
    pub fn watch_busy(&self, node: impl AsRef<str>) -> Option<watch::Receiver<bool>> {
        Some(self.0.connections.up(node.as_ref())?.outbound.watch_busy())
    }

    /// Asks a node whether it answers, connecting first if need be, as `net_adm:ping/1`.
    ///
    /// # Errors
    /// Where that says `pang`: with the reason.
    pub async fn ping(&self, node: impl AsRef<str>) -> Result<(), PingError> {
        let node = peer(node.as_ref())?;
        self.route_to(&node).await?;
        if node == *self.name() {
            return Ok(());
        }
        otp::ping(self, &node).await.map_err(|error| PingError::NoAnswer {
            reason: error.to_string(),
        })
    }

    /// Ends the connection to a node, as `erlang:disconnect_node/1`; `false` when there is none.
    pub fn disconnect(&self, node: impl AsRef<str>) -> bool {
        let Some(connection) = self.0.connections.up(node.as_ref()) else {
            return false;
        };
        connection.close(DownReason::Disconnect);
        true
    }

    /// Sets the cookie for connections with `node`, in both directions, as `erlang:set_cookie/2`. Those that are up stay. Under this
    /// node's own name it is the cookie for all that have none of their own.
    pub fn set_cookie(&self, node: Atom, cookie: Cookie) {
        self.0
            .cookies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node, cookie);
    }

    /// The cookie for connections with `node`, as `erlang:get_cookie/1`.
    #[must_use]
    pub fn cookie(&self, node: &str) -> Cookie {
        let cookies = self.0.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let own = || cookies.get(self.0.atom.as_str()).unwrap_or(&self.0.cookie);
        cookies.get(node).unwrap_or_else(own).clone()
    }

    /// How long the node has been running.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// How long the node has been running, in all and since the last time this was asked: `statistics(wall_clock)`.
    pub(crate) fn wall_clock(&self) -> (Duration, Duration) {
        let all = self.uptime();
        let last = std::mem::replace(
            &mut *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner),
            all,
        );
        (all, all.saturating_sub(last))
    }

    /// An integer that no other call on this node gives.
    pub(crate) fn unique_integer(&self) -> u64 {
        self.0.integers.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether `halt` ends the program.
    pub(crate) fn halts(&self) -> bool {
        self.0.may_halt
    }

    /// Stops the node: takes its name from EPMD, ends its processes with `shutdown`, and closes its connections. Ready when the
    /// last one is closed.
    ///
    /// What runs here for other nodes, as the functions that they call, ends after the connections, as on a BEAM node that is
    /// stopped: who waits for it hears that the node went.
    pub async fn shutdown(&self) {
        self.begin_stop();
        self.end_processes(|cell| cell.birth().is_none_or(|birth| birth.origin.is_none()));
        self.end_connections().await;
        self.end_processes(|_| true);
        self.0.connections.subscribers.close();
    }

    /// Stops the node as `erlang:halt` does: nobody elsewhere hears of its processes' ends, but that the node went.
    pub(crate) async fn halt(&self) {
        self.begin_stop();
        self.end_connections().await;
        self.end_processes(|_| true);
        self.0.connections.subscribers.close();
    }

    /// Nobody can come any more, and nothing connects.
    fn begin_stop(&self) {
        self.0.stopping.send_replace(true);
        self.0.connections.stop();
    }

    fn end_processes(&self, which: impl Fn(&Cell) -> bool) {
        let mut out = Outbox::default();
        for cell in self.0.table.all() {
            if which(&cell) {
                cell.exit(ExitReason::SHUTDOWN.raw(), &mut out);
            }
        }
        self.deliver(out);
    }

    /// Closes all connections, and waits until they are.
    async fn end_connections(&self) {
        let connections = self.0.connections.all(NodeType::All);
        for connection in &connections {
            connection.close(DownReason::NetKernelTerminated);
        }
        for connection in &connections {
            Connections::gone(connection).await;
        }
    }
}

/// The node of that name.
fn peer(name: &str) -> Result<Atom, NameError> {
    Ok(Atom::from(&name.parse::<NodeName>()?))
}

/// The lowest `bits` of `value`, at most 32.
fn low_bits(value: u64, bits: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "what is cut off is masked out")]
    let low = (value & ((1 << bits) - 1)) as u32;
    low
}
