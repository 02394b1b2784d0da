//! What a node is started with, and the start.

use std::collections::HashMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, info};

use super::connections::Connections;
use super::modules::Modules;
use super::table::Table;
use super::{HostError, Inner, Node, StartError, cookie, host, link};
use crate::dist::{Cookie, Flags, NodeName, Ticks};
use crate::epmd::{self, ClientError, Keeper, KeeperError, Registrant, Resolver};
use crate::net::{LinkOptions, ListenOptions, Listener};
use crate::otp;
use crate::term::Atom;

/// The default of the kernel parameter `net_ticktime`.
const NET_TICKTIME: Duration = Duration::from_secs(60);

/// The default of the kernel parameter `net_tickintensity`.
const NET_TICKINTENSITY: u32 = 4;

/// How often, and for how long in all, a node asks an EPMD that is just being started.
const EPMD_RETRY: Duration = Duration::from_millis(50);
const EPMD_START: Duration = Duration::from_secs(5);

/// A node's description, to be [started](Self::start).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use beamnode::dist::Cookie;
/// use beamnode::node::Node;
///
/// let node = Node::builder("rust").cookie(Cookie::new("secret")?).hidden(true).start().await?;
/// println!("{} listens on port {:?}", node.name(), node.port());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    kind: Kind,
    cookie: Option<Cookie>,
    hidden: bool,
    listen: bool,
    net_ticktime: Duration,
    ports: RangeInclusive<u16>,
    resolver: Arc<dyn Resolver>,
    epmd_program: Option<PathBuf>,
}

/// How a name is to be completed and checked.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// As it is; short where it has no host.
    Any,
    Short,
    Long,
}

impl Builder {
    pub(super) fn named(name: String) -> Self {
        Self::new(name, Kind::Any)
    }

    pub(super) fn short(name: String) -> Self {
        Self::new(name, Kind::Short)
    }

    pub(super) fn long(name: String) -> Self {
        Self::new(name, Kind::Long)
    }

    fn new(name: String, kind: Kind) -> Self {
        Self {
            name,
            kind,
            cookie: None,
            hidden: false,
            listen: true,
            net_ticktime: NET_TICKTIME,
            ports: 0..=0,
            resolver: Arc::new(epmd::resolver::Epmd::new()),
            epmd_program: None,
        }
    }

    /// The cookie for all peers that get none of their own, as `-setcookie`. Without it, the one in `~/.erlang.cookie`, which is
    /// made when it is not there.
    #[must_use]
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// Whether the node keeps its connections to itself, as `-hidden`: it is in `nodes(hidden)` of others and not in `nodes()`, and
    /// `global` and its like leave it alone. Off unless said otherwise.
    #[must_use]
    pub fn hidden(mut self, hidden: bool) -> Self {
        self.hidden = hidden;
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

    /// The ports to listen on, the first of them that is free, as `inet_dist_listen_min` and `inet_dist_listen_max`. Any free
    /// port unless said otherwise.
    #[must_use]
    pub fn listen_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = ports;
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

    /// Starts the node: listens, registers with EPMD, starts the services that other nodes expect. To be called in a tokio
    /// runtime, in which the node then lives.
    ///
    /// # Errors
    /// When the name or the cookie is not usable, the name is taken, or EPMD or a port cannot be had.
    pub async fn start(self) -> Result<Node, StartError> {
        let name = self.full_name()?;
        let cookie = match self.cookie {
            Some(cookie) => cookie,
            None => cookie::of_user()?,
        };
        let ports = self.resolver.listen_port().map_or(self.ports, |port| port..=port);
        let options = ListenOptions {
            ports,
            ..ListenOptions::default()
        };
        let port = |listener: &Listener| listener.local_addr().map(|address| address.port());
        let listener = if self.listen {
            Some(Listener::bind(options).map_err(StartError::Listen)?)
        } else {
            None
        };
        let registered = match &listener {
            Some(listener) if self.resolver.registers() => {
                let port = port(listener).map_err(StartError::Listen)?;
                Some(register(&name, port, self.epmd_program).await?)
            }
            _ => None,
        };
        let creation = registered.as_ref().map_or(0, Keeper::creation);
        let hidden = self.hidden || !self.listen;
        let node = Node(Arc::new(Inner {
            atom: Atom::new(name.as_str())
                .map_err(|_| HostError::Name(crate::dist::NameError::TooLong(name.as_str().len())))?,
            name,
            // Up to 3 are creations of another age, which peers would not tell apart from ours.
            creation: if creation > 3 {
                creation
            } else {
                rand::random_range(4..=u32::MAX)
            },
            cookie,
            cookies: Mutex::new(HashMap::new()),
            flags: if hidden {
                Flags::OFFERED_HIDDEN
            } else {
                Flags::OFFERED
            },
            link: LinkOptions {
                ticks: Ticks::new(self.net_ticktime, NET_TICKINTENSITY),
                ..LinkOptions::default()
            },
            port: listener.as_ref().and_then(|listener| port(listener).ok()),
            table: Table::default(),
            modules: Modules::default(),
            connections: Connections::default(),
            references: AtomicU64::new(rand::random()),
            runtime: tokio::runtime::Handle::current(),
            stopping: watch::Sender::new(false),
            resolver: self.resolver,
        }));
        otp::start(&node);
        if let Some(listener) = listener {
            link::accept(&node, listener);
        }
        if let Some(registration) = registered {
            keep(&node, registration);
        }
        info!(node = %node.name(), port = node.port(), creation = node.creation(), hidden, "started");
        Ok(node)
    }

    fn full_name(&self) -> Result<NodeName, HostError> {
        match self.kind {
            Kind::Any if self.name.contains('@') => Ok(self.name.parse()?),
            Kind::Any | Kind::Short => host::short(&self.name),
            Kind::Long => host::long(&self.name),
        }
    }
}

/// Registers the name with this host's EPMD, and sees to it that there is one.
async fn register(name: &NodeName, port: u16, program: Option<PathBuf>) -> Result<Keeper, StartError> {
    let client = epmd::Client::local();
    let alive = epmd::Name::new(name.alive()).map_err(|_| taken(name))?;
    let registrant = Registrant::new(alive, port);
    let Some(program) = program else {
        return Keeper::start_or_serve(client, registrant)
            .await
            .map_err(|error| refused(name, error));
    };
    let started = Instant::now();
    let mut daemon_started = false;
    loop {
        match Keeper::start(client.clone(), registrant.clone()).await {
            Err(ClientError::NotRunning { .. }) if !daemon_started => {
                start_daemon(program.clone())
                    .await
                    .map_err(|source| StartError::NoEpmd {
                        program: program.clone(),
                        source,
                    })?;
                daemon_started = true;
            }
            // It needs a moment.
            Err(ClientError::NotRunning { .. }) if started.elapsed() < EPMD_START => {
                tokio::time::sleep(EPMD_RETRY).await;
            }
            other => return other.map_err(|error| refused(name, error.into())),
        }
    }
}

async fn start_daemon(program: PathBuf) -> io::Result<()> {
    debug!(program = %program.display(), "no EPMD on this host: starting one");
    let run = move || {
        std::process::Command::new(program)
            .args(["epmd", "-daemon"])
            .status()
    };
    let status = tokio::task::spawn_blocking(run)
        .await
        .map_err(io::Error::other)??;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("it ended with {status}")))
    }
}

fn refused(name: &NodeName, error: KeeperError) -> StartError {
    match error {
        KeeperError::Client(ClientError::NameRefused { .. }) => taken(name),
        error => StartError::Epmd(error),
    }
}

fn taken(name: &NodeName) -> StartError {
    StartError::NameTaken { name: name.clone() }
}

/// Holds the registration until the node stops.
fn keep(node: &Node, registration: Keeper) {
    let mut stop = node.0.stopping.subscribe();
    tokio::spawn(async move {
        let _ = stop.wait_for(|stop| *stop).await;
        drop(registration);
    });
}
