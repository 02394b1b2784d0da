//! What a node is started with, and the start.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::info;

use super::allowed::Allowed;
use super::connections::{Connections, Reason, Wanted};
use super::modules::Modules;
use super::naming::Names;
use super::policy::Policy;
use super::table::Table;
use super::ticktime::Ticktime;
use super::{
    AutoConnect, ConnectError, HostError, Inner, Node, StartError, cookie, host, link, registration,
};
use crate::dist::handshake::{Dialed, Local, LocalName, SETUP_TIME};
use crate::dist::{Cookie, CookieError, Flags, NameKind, NodeName, Ticks};
use crate::epmd::{self, Keeper, Resolver};
use crate::net::{self, LinkOptions, ListenOptions, Listener};
use crate::otp;
use crate::term::Atom;

/// The default of the kernel parameter `net_ticktime`.
const NET_TICKTIME: Duration = Duration::from_secs(60);

/// The default of the kernel parameter `net_tickintensity`.
const NET_TICKINTENSITY: u32 = 4;

/// The greatest value of the kernel parameter `net_setuptime`.
const LONGEST_SETUPTIME: Duration = Duration::from_secs(120);

/// A node's description, to be [started](Self::start).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use beamnode::node::Node;
///
/// let node = Node::builder("rust").cookie("secret").hidden(true).start().await?;
/// println!("{} listens on port {:?}", node.name(), node.port());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    /// The kind that the name must be of; `None` if that follows from it.
    kind: Option<NameKind>,
    /// Whether `name` is not ours, but that of the node which gives us one.
    named_by: bool,
    cookie: Option<Result<Cookie, CookieError>>,
    hidden: bool,
    listen: bool,
    net_ticktime: Duration,
    net_tickintensity: u32,
    net_setuptime: Duration,
    busy_limit: usize,
    interface: Option<IpAddr>,
    ports: RangeInclusive<u16>,
    resolver: Arc<dyn Resolver>,
    epmd_program: Option<PathBuf>,
    auto_connect: AutoConnect,
    may_halt: bool,
    output: otp::io::Output,
    input: otp::io::Input,
    policy: Option<Arc<dyn Policy>>,
    global: otp::GlobalSettings,
}

/// Who a node is.
struct Identity {
    name: NodeName,
    /// 0 if nobody has given one.
    creation: u32,
    hidden: bool,
    /// Where it listens.
    port: Option<u16>,
    cookie: Cookie,
}

impl Builder {
    pub(super) fn named(name: String) -> Self {
        Self::new(name, None)
    }

    pub(super) fn short(name: String) -> Self {
        Self::new(name, Some(NameKind::Short))
    }

    pub(super) fn long(name: String) -> Self {
        Self::new(name, Some(NameKind::Long))
    }

    pub(super) fn named_by(peer: String) -> Self {
        Self {
            named_by: true,
            ..Self::new(peer, None)
        }
    }

    fn new(name: String, kind: Option<NameKind>) -> Self {
        Self {
            name,
            kind,
            named_by: false,
            cookie: None,
            hidden: false,
            listen: true,
            net_ticktime: NET_TICKTIME,
            net_tickintensity: NET_TICKINTENSITY,
            net_setuptime: SETUP_TIME,
            interface: None,
            busy_limit: net::DEFAULT_BUSY_LIMIT,
            ports: 0..=0,
            resolver: Arc::new(epmd::resolver::Epmd::new()),
            epmd_program: None,
            auto_connect: AutoConnect::default(),
            may_halt: false,
            output: otp::io::Output::default(),
            input: otp::io::Input::default(),
            policy: None,
            global: otp::GlobalSettings::default(),
        }
    }

    /// What peers may do here once they are connected; without it, everything.
    #[must_use]
    pub fn policy(mut self, policy: impl Policy + 'static) -> Self {
        self.policy = Some(Arc::new(policy));
        self
    }

    /// The cookie for all peers that get none of their own, as `-setcookie`. Without it, the one in `~/.erlang.cookie`, which is
    /// made when it is not there. Text that cannot be a cookie is an error of [`start`](Self::start).
    #[must_use]
    pub fn cookie(mut self, cookie: impl TryInto<Cookie, Error: Into<CookieError>>) -> Self {
        self.cookie = Some(cookie.try_into().map_err(Into::into));
        self
    }

    /// Where the node's processes print, and those of others whose group leader is here. The standard output unless said
    /// otherwise.
    #[must_use]
    pub fn output(mut self, output: otp::io::Output) -> Self {
        self.output = output;
        self
    }

    /// Where the node's processes read, and those of others whose group leader is here. The standard input unless said
    /// otherwise, of which nothing is read until one of them asks.
    #[must_use]
    pub fn input(mut self, input: otp::io::Input) -> Self {
        self.input = input;
        self
    }

    /// Whether the node keeps its connections to itself, as `-hidden`: it is in `nodes(hidden)` of others and not in `nodes()`, and
    /// `global` and its like leave it alone. Off unless said otherwise.
    #[must_use]
    pub fn hidden(mut self, hidden: bool) -> Self {
        self.hidden = hidden;
        self
    }

    /// Whether the node joins the clusters of the visible nodes that it connects to, as `-connect_all`: all nodes of the one partition
    /// then connect to all of the other, and share the names and locks of [`global`](crate::otp::Global). Without it the node has the
    /// connections that somebody asks for, and no global names. On unless said otherwise.
    ///
    /// A visible node that does not join lets `global:sync/0` on its neighbours wait for it. A hidden one does not.
    #[must_use]
    pub fn connect_all(mut self, connect_all: bool) -> Self {
        self.global.connect_all = connect_all;
        self
    }

    /// Whether the node takes part in the prevention of overlapping partitions, as the kernel parameter
    /// `prevent_overlapping_partitions`: when any node of the cluster loses a connection, the node that was lost is left by all. All
    /// nodes of a cluster should have the same. On unless said otherwise.
    #[must_use]
    pub fn prevent_overlapping_partitions(mut self, prevent: bool) -> Self {
        self.global.prevent_overlapping_partitions = prevent;
        self
    }

    /// Whether others can connect to the node, as `-dist_listen`. One that does not listen is not in EPMD either, and hidden.
    /// On unless said otherwise.
    #[must_use]
    pub fn listen(mut self, listen: bool) -> Self {
        self.listen = listen;
        self
    }

    /// The time of silence after which a peer counts as down, as the kernel parameter `net_ticktime`: 60 s unless said
    /// otherwise. All nodes of a cluster should have the same.
    #[must_use]
    pub fn net_ticktime(mut self, time: Duration) -> Self {
        self.net_ticktime = time;
        self
    }

    /// Into how many intervals the tick time is divided, one tick in each, as the kernel parameter `net_tickintensity`: 4 to 1000, and 4
    /// unless said otherwise.
    #[must_use]
    pub fn net_tickintensity(mut self, intervals: u32) -> Self {
        self.net_tickintensity = intervals;
        self
    }

    /// How long each step of setting up a connection may take, whoever connects, as the kernel parameter `net_setuptime`: 7 s unless
    /// said otherwise, and 120 s at the most. Zero is the default.
    #[must_use]
    pub fn net_setuptime(mut self, time: Duration) -> Self {
        self.net_setuptime = if time.is_zero() {
            SETUP_TIME
        } else {
            time.min(LONGEST_SETUPTIME)
        };
        self
    }

    /// From how many bytes that wait to be written on a connection is busy, and who sends over it waits, as `+zdbbl` (which counts
    /// kilobytes): 1 MiB unless said otherwise. What is left of a large message counts for its sender and for other large ones; small
    /// messages of other processes pass it, as long as the peer reads.
    #[must_use]
    pub fn busy_limit(mut self, bytes: usize) -> Self {
        self.busy_limit = bytes;
        self
    }

    /// The ports to listen on, the first of them that is free, as `inet_dist_listen_min` and `inet_dist_listen_max`. Any free
    /// port unless said otherwise.
    #[must_use]
    pub fn listen_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = ports;
        self
    }

    /// The address to listen at, as the kernel parameter `inet_dist_use_interface`: that of one of this host's interfaces, on which
    /// alone others can connect. Every interface unless said otherwise.
    ///
    /// EPMD tells others a port and no address: they connect to that of the host in the node's name.
    #[must_use]
    pub fn listen_interface(mut self, address: IpAddr) -> Self {
        self.interface = Some(address);
        self
    }

    /// How the node finds where others listen, as `-epmd_module`: by EPMD unless said otherwise. A resolver that does
    /// without EPMD also keeps the node from registering there, and may fix the port on which it listens itself.
    ///
    /// ```
    /// use beamnode::epmd::resolver::FixedPort;
    /// use beamnode::node::Node;
    ///
    /// // As `erl -start_epmd false -erl_epmd_port 4370`.
    /// let builder = Node::builder("rust").resolver(FixedPort::new(4370));
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver + 'static) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// The program to run, with the argument `-daemon`, when no EPMD runs on this host, as `-epmd`. Without it the node carries an
    /// EPMD in itself then, which goes when the node goes.
    #[must_use]
    pub fn epmd_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.epmd_program = Some(program.into());
        self
    }

    /// Whether sending to a node that is not connected connects to it, as the kernel parameter `dist_auto_connect`. It does unless said
    /// otherwise.
    #[must_use]
    pub fn auto_connect(mut self, when: AutoConnect) -> Self {
        self.auto_connect = when;
        self
    }

    /// Whether `erlang:halt` and `init:stop`, called from another node, end this program, as they end `erl`. Without it they stop
    /// the node, and the program goes on.
    #[must_use]
    pub fn may_halt(mut self, may: bool) -> Self {
        self.may_halt = may;
        self
    }

    /// Starts the node: listens, registers with EPMD, starts the services that other nodes expect. To be called in a tokio
    /// runtime, in which the node then lives.
    ///
    /// # Errors
    /// When the name or the cookie is not usable, the name is taken, or EPMD or a port cannot be had.
    pub async fn start(mut self) -> Result<Node, StartError> {
        let cookie = match self.cookie.take() {
            Some(cookie) => cookie?,
            None => cookie::of_user()?,
        };
        if self.named_by {
            self.start_named_by(cookie).await
        } else {
            self.start_named(cookie).await
        }
    }

    /// Starts a node that knows its name.
    async fn start_named(self, cookie: Cookie) -> Result<Node, StartError> {
        let name = self.full_name()?;
        let mut identity = Identity {
            name,
            creation: 0,
            hidden: self.hidden || !self.listen,
            port: None,
            cookie,
        };
        let listener = if self.listen {
            let ports = self
                .resolver
                .listen_port()
                .map_or(self.ports.clone(), |port| port..=port);
            let options = ListenOptions {
                ports,
                interface: self.interface,
                setup_time: self.net_setuptime,
                ..ListenOptions::default()
            };
            let listener = Listener::bind(options).map_err(StartError::Listen)?;
            identity.port = Some(listener.local_addr().map_err(StartError::Listen)?.port());
            Some(listener)
        } else {
            None
        };
        let registered = match identity.port {
            Some(port) if self.resolver.registers() => {
                Some(registration::register(&identity.name, port, self.epmd_program.clone()).await?)
            }
            _ => None,
        };
        identity.creation = registered.as_ref().map_or(0, Keeper::creation);
        let node = self.build(identity)?;
        if let Some(listener) = listener {
            link::accept(&node, listener);
        }
        if let Some(registered) = registered {
            registration::keep(&node, registered);
        }
        Ok(node)
    }

    /// Starts a node that gets its name from another.
    async fn start_named_by(self, cookie: Cookie) -> Result<Node, StartError> {
        let no_name = |error: ConnectError| StartError::Naming {
            peer: self.name.clone(),
            error,
        };
        let peer: NodeName = self
            .name
            .parse()
            .map_err(|error| no_name(ConnectError::Name(error)))?;
        let host = match peer.kind() {
            NameKind::Short => host::short_hostname(),
            NameKind::Long => host::full_hostname()?,
        };
        let addresses = link::resolve(&*self.resolver, &peer).await.map_err(no_name)?;
        let dialed = Dialed {
            name: LocalName::Undefined { host },
            flags: Flags::OFFERED_HIDDEN,
            creation: 0,
            peer,
            cookie: cookie.clone(),
        };
        let link = net::connect(&addresses, dialed, self.net_setuptime, &()).await;
        let link = link.map_err(|error| no_name(error.into()))?;
        let Local { name, creation, .. } = link.established().local.clone();
        let peer = Atom::from(&link.established().peer.name);
        let node = self.build(Identity {
            name,
            creation,
            hidden: true,
            port: None,
            cookie,
        })?;
        if let Wanted::Dial(attempt, _, _) = node.0.connections.want(&peer, Reason::Asked) {
            link::up(&node, &peer, attempt, link, None);
        }
        link::stop_without(&node, &peer);
        Ok(node)
    }

    fn build(self, identity: Identity) -> Result<Node, StartError> {
        let Identity {
            name,
            creation,
            hidden,
            port,
            cookie,
        } = identity;
        let node = Node(Arc::new(Inner {
            atom: Atom::from(&name),
            name,
            // Up to 3 are creations of another age, which peers would not tell apart from ours.
            creation: if creation > 3 {
                creation
            } else {
                rand::random_range(4..=u32::MAX)
            },
            cookie,
            cookies: Mutex::default(),
            flags: if hidden {
                Flags::OFFERED_HIDDEN
            } else {
                Flags::OFFERED
            },
            allowed: Allowed::default(),
            policy: self.policy,
            names: Names::default(),
            link: LinkOptions {
                busy_limit: self.busy_limit,
                ..LinkOptions::default()
            },
            ticktime: Ticktime::new(Ticks::new(self.net_ticktime, self.net_tickintensity)),
            setup_time: self.net_setuptime,
            port,
            table: Table::default(),
            globals: otp::Globals::default(),
            modules: Modules::default(),
            connections: Connections::new(self.auto_connect),
            references: AtomicU64::new(rand::random()),
            integers: AtomicU64::new(1),
            services: otp::Services::default(),
            started: Instant::now(),
            leader: OnceLock::new(),
            asked: Mutex::new(Duration::ZERO),
            may_halt: self.may_halt,
            runtime: tokio::runtime::Handle::current(),
            stopping: watch::Sender::new(false),
            resolver: self.resolver,
        }));
        otp::start(&node, &self.output, &self.input, self.global);
        info!(node = %node.name(), port = node.port(), creation = node.creation(), hidden, "started");
        Ok(node)
    }

    fn full_name(&self) -> Result<NodeName, HostError> {
        match self.kind {
            None if self.name.contains('@') => Ok(self.name.parse()?),
            None | Some(NameKind::Short) => host::short(&self.name),
            Some(NameKind::Long) => host::long(&self.name),
        }
    }
}
