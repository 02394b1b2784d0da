//! Being an EPMD: the listening sockets, and a task for each connection.
//!
//! All decisions are those of [`session`](super::session) and [`registry`](super::registry); here are sockets, timeouts and
//! limits. Good for the daemon `beamnode epmd`, and for a node that carries its own EPMD on a host without one.
//!
//! What it never does: let one connection hold up another, keep memory for a connection beyond a few hundred bytes, or
//! let connections that say nothing use up its descriptors. Beyond [`Server::silent_limit`] of them, the one that has
//! been silent longest is closed.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::client::port_from_environment;
use super::registry::{ConnectionId, Listing, Registry};
use super::session::{Context, Session, Step};

/// How long a connection may be silent before its request is complete, unless [`Server::packet_timeout`] says otherwise.
pub const DEFAULT_PACKET_TIMEOUT: Duration = Duration::from_secs(60);
/// How many connections without a complete request there may be, unless [`Server::silent_limit`] says otherwise.
pub const DEFAULT_SILENT_LIMIT: usize = 1024;
/// How much of a list is written at a time.
const LIST_PIECE: usize = 16 * 1024;
/// How long to wait before accepting again when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An EPMD that is listening, and about to serve.
///
/// ```
/// use beamnode::epmd::{Client, Name, Registrant, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::bind_to(["127.0.0.1:0".parse()?])?;
/// let client = Client::at(server.addresses()[0]);
/// tokio::spawn(server.serve(std::future::pending()));
///
/// let held = client.register(&Registrant::new(Name::new("rust")?, 40123)).await?;
/// let found = client.lookup(&Name::new("rust")?).await?.map(|node| node.port);
/// assert_eq!(found, Some(40123));
/// drop(held);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    relaxed: bool,
    debugging: bool,
    packet_timeout: Duration,
    silent_limit: usize,
    delay_accept: Duration,
    delay_write: Duration,
}

impl Server {
    /// Listens on the port that `ERL_EPMD_PORT` names, at the addresses that `ERL_EPMD_ADDRESS` lists or at all of them.
    ///
    /// # Errors
    /// [`BindError::InUse`] when something, in all likelihood another EPMD, listens there already.
    pub fn bind() -> Result<Self, BindError> {
        Self::bind_port(port_from_environment(), &addresses_from_environment()?)
    }

    /// Listens on `port` at all of `addresses` and always at the loopback addresses too; or at all addresses of the host, if
    /// there are none in `addresses`. Families of addresses that the host does not have are left out.
    ///
    /// # Errors
    /// [`BindError::InUse`] when something, in all likelihood another EPMD, listens there already.
    pub fn bind_port(port: u16, addresses: &[IpAddr]) -> Result<Self, BindError> {
        let (first, others): (Vec<IpAddr>, &[IpAddr]) = if addresses.is_empty() {
            (
                vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
                &[],
            )
        } else {
            (
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                addresses,
            )
        };
        let mut listeners = Vec::new();
        let mut failure = None;
        for &address in &first {
            match listen(SocketAddr::from((address, port))) {
                Ok(listener) => listeners.push(listener),
                Err(error @ BindError::InUse { .. }) => return Err(error),
                // Nobody asked for these by name, and a host without IPv6 is none the worse for it.
                Err(error) => _ = failure.get_or_insert(error),
            }
        }
        for &address in others.iter().filter(|address| !first.contains(address)) {
            listeners.push(listen(SocketAddr::from((address, port)))?);
        }
        if let Some(failure) = failure
            && listeners.is_empty()
        {
            return Err(failure);
        }
        Self::from_listeners(listeners)
    }

    /// Listens at exactly these addresses; port 0 means any free one.
    ///
    /// # Errors
    /// [`BindError::InUse`] when something listens at one of them already.
    pub fn bind_to(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Self, BindError> {
        Self::from_listeners(addresses.into_iter().map(listen).collect::<Result<_, _>>()?)
    }

    /// Serves on sockets that are listening already, as `systemd` hands them over.
    ///
    /// # Errors
    /// When one of them is not usable.
    pub fn from_std(listeners: Vec<std::net::TcpListener>) -> Result<Self, BindError> {
        let unusable = |source| BindError::Socket { source };
        let mut adopted = Vec::new();
        for listener in listeners {
            listener.set_nonblocking(true).map_err(unusable)?;
            adopted.push(TcpListener::from_std(listener).map_err(unusable)?);
        }
        Self::from_listeners(adopted)
    }

    fn from_listeners(listeners: Vec<TcpListener>) -> Result<Self, BindError> {
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| BindError::Socket { source })?;
        if addresses.is_empty() {
            return Err(BindError::NoSocket);
        }
        Ok(Self {
            listeners,
            addresses,
            relaxed: false,
            debugging: false,
            packet_timeout: DEFAULT_PACKET_TIMEOUT,
            silent_limit: DEFAULT_SILENT_LIMIT,
            delay_accept: Duration::ZERO,
            delay_write: Duration::ZERO,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Grants KILL while nodes are registered, and STOP at all: stock's `-relaxed_command_check`.
    #[must_use]
    pub const fn relaxed_command_check(mut self, relaxed: bool) -> Self {
        self.relaxed = relaxed;
        self
    }

    /// Remembers fewer names of nodes that have gone, as stock does when it is being debugged.
    #[must_use]
    pub const fn debugging(mut self, debugging: bool) -> Self {
        self.debugging = debugging;
        self
    }

    /// Closes a connection that has been silent this long while its request is incomplete.
    #[must_use]
    pub const fn packet_timeout(mut self, timeout: Duration) -> Self {
        self.packet_timeout = timeout;
        self
    }

    /// Lets at most this many connections be without a complete request at a time.
    #[must_use]
    pub const fn silent_limit(mut self, limit: usize) -> Self {
        self.silent_limit = limit;
        self
    }

    /// Plays a busy server: waits before accepting a connection, and before writing an answer.
    #[must_use]
    pub const fn delays(mut self, accept: Duration, write: Duration) -> Self {
        self.delay_accept = accept;
        self.delay_write = write;
        self
    }

    /// Serves until `shutdown` is ready or somebody kills the daemon. Every connection is closed then.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Ended {
        let (killed, mut kill) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            names: Mutex::new(Registry::new(self.debugging)),
            silent: Mutex::new(BTreeMap::new()),
            holding: Mutex::new(HashMap::new()),
            accepted: AtomicU64::new(0),
            relaxed: self.relaxed,
            port: self.addresses.first().map_or(0, SocketAddr::port),
            packet_timeout: self.packet_timeout,
            silent_limit: self.silent_limit,
            delay_write: self.delay_write,
            killed,
        });
        // Dropped at the end, which ends all connections.
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return Ended::Shutdown,
                Some(()) = kill.recv() => return Ended::Killed,
                Some(_) = connections.join_next() => {}
                accepted = accept(&self.listeners) => match accepted {
                    Ok((stream, peer)) => {
                        if !self.delay_accept.is_zero() {
                            tokio::time::sleep(self.delay_accept).await;
                        }
                        shared.start(stream, peer, &mut connections);
                    }
                    Err(error) if is_passing(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "cannot accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }
}

/// Why a server has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to by the future given to [`Server::serve`].
    Shutdown,
    /// A client sent KILL, and it was granted.
    Killed,
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something listens there already.
    #[error("there is already an EPMD (or another program) listening at {address}")]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("cannot listen at {address}: {source}")]
    Failed {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A socket that was handed over is not usable.
    #[error("cannot use the listening socket: {source}")]
    Socket {
        /// What the system said.
        source: io::Error,
    },
    /// No socket was handed over.
    #[error("there is no socket to listen on")]
    NoSocket,
    /// Not an address.
    #[error("cannot parse IP address \"{text}\"")]
    BadAddress {
        /// What is not one.
        text: String,
    },
}

/// The addresses that `ERL_EPMD_ADDRESS` lists.
///
/// # Errors
/// [`BindError::BadAddress`] at the first that is not an address.
pub fn addresses_from_environment() -> Result<Vec<IpAddr>, BindError> {
    parse_addresses(&std::env::var("ERL_EPMD_ADDRESS").unwrap_or_default())
}

/// Reads a list of addresses as `ERL_EPMD_ADDRESS` and `-address` have it: separated by commas or blanks.
///
/// # Errors
/// [`BindError::BadAddress`] at the first that is not an address.
pub fn parse_addresses(list: &str) -> Result<Vec<IpAddr>, BindError> {
    list.split([',', ' '])
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.parse().map_err(|_| BindError::BadAddress {
                text: text.to_owned(),
            })
        })
        .collect()
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    names: Mutex<Registry>,
    /// Connections without a complete request, by age.
    silent: Mutex<BTreeMap<u64, AbortHandle>>,
    /// Connections that hold a name, for STOP.
    holding: Mutex<HashMap<ConnectionId, AbortHandle>>,
    accepted: AtomicU64,
    relaxed: bool,
    port: u16,
    packet_timeout: Duration,
    silent_limit: usize,
    delay_write: Duration,
    killed: mpsc::Sender<()>,
}

impl Shared {
    /// Starts the task of a new connection, at the cost of the longest silent one if there are too many.
    fn start(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, connections: &mut JoinSet<()>) {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        let local = is_local(peer.ip(), &stream);
        let connection = Connection {
            id: id_of(&stream, number),
            stream,
            session: Session::new(),
            number,
            local,
            shared: Arc::clone(self),
        };
        // The lock is held until the task is in the list: it looks itself up there when its request is complete.
        let mut silent = lock(&self.silent);
        if silent.len() >= self.silent_limit
            && let Some((_, longest)) = silent.pop_first()
        {
            tracing::debug!("too many silent connections: closing the one that has been so longest");
            longest.abort();
        }
        silent.insert(number, connections.spawn(connection.run()));
    }
}

/// One connection and its place in the server. Dropping it, in whatever way, frees what it holds there.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    session: Session,
    id: ConnectionId,
    /// How many connections have come before.
    number: u64,
    local: bool,
    shared: Arc<Shared>,
}

impl Connection {
    async fn run(mut self) {
        match self.request().await {
            Ok(Step::Hold) => self.hold().await,
            Ok(Step::List(listing)) => {
                if let Err(error) = self.list(listing).await {
                    tracing::debug!(%error, "cannot write a list");
                }
            }
            Ok(Step::Stop(stopped)) => {
                let stopped = stopped.and_then(|id| lock(&self.shared.holding).remove(&id));
                if let Some(stopped) = stopped {
                    stopped.abort();
                }
            }
            Ok(Step::Kill) => {
                let shared = Arc::clone(&self.shared);
                drop(self);
                let _ = shared.killed.send(()).await;
            }
            Ok(Step::Read | Step::Close) => {}
            Err(error) => tracing::debug!(%error, "connection broke"),
        }
    }

    /// Reads the request and writes the answer, or the first part of it.
    async fn request(&mut self) -> io::Result<Step> {
        let mut deadline = Instant::now() + self.shared.packet_timeout;
        loop {
            let Ok(ready) = tokio::time::timeout_at(deadline, self.stream.readable()).await else {
                tracing::debug!("closing a connection that was silent too long");
                return Ok(Step::Close);
            };
            ready?;
            let Some((step, answer)) = self.read()? else {
                continue;
            };
            if !answer.is_empty() {
                if !self.shared.delay_write.is_zero() {
                    tokio::time::sleep(self.shared.delay_write).await;
                }
                self.stream.write_all(&answer).await?;
            }
            if step != Step::Read {
                let handle = lock(&self.shared.silent).remove(&self.number);
                if step == Step::Hold
                    && let Some(handle) = handle
                {
                    lock(&self.shared.holding).insert(self.id, handle);
                }
                return Ok(step);
            }
            deadline = Instant::now() + self.shared.packet_timeout;
        }
    }

    /// Takes in what is there to read; `None` if nothing is after all.
    fn read(&mut self) -> io::Result<Option<(Step, Vec<u8>)>> {
        // On the stack, not in the future: a connection that waits holds no buffer.
        let mut buffer = [0; super::message::MAX_REQUEST + 2];
        let room = self.session.room().min(buffer.len());
        match self.stream.try_read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => Ok(Some((Step::Close, Vec::new()))),
            Ok(length) => {
                let context = Context {
                    connection: self.id,
                    local: self.local,
                    relaxed: self.shared.relaxed,
                    port: self.shared.port,
                    now: seconds_now(),
                };
                let mut answer = Vec::new();
                let bytes = buffer.get(..length).unwrap_or_default();
                let step = self
                    .session
                    .input(bytes, &context, &mut lock(&self.shared.names), &mut answer);
                Ok(Some((step, answer)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the end of a connection that holds a name; anything that comes on it is its end.
    async fn hold(&mut self) {
        loop {
            if self.stream.readable().await.is_err() {
                return;
            }
            // Read in one gulp, so that closing does not reset the connection for what was left unread.
            let mut buffer = [0; super::message::MAX_REQUEST];
            match self.stream.try_read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    tracing::debug!("bytes on a connection that holds a name");
                    return;
                }
            }
        }
    }

    async fn list(&mut self, mut listing: Listing) -> io::Result<()> {
        let mut piece = Vec::new();
        loop {
            let more = lock(&self.shared.names).continue_listing(&mut listing, LIST_PIECE, &mut piece);
            // A client that does not read its list does not keep it for ever.
            tokio::time::timeout(self.shared.packet_timeout, self.stream.write_all(&piece))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            if !more {
                return Ok(());
            }
            piece.clear();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Before the socket closes: who sees it closed may take the name at once.
        self.session.closed(self.id, &mut lock(&self.shared.names));
        lock(&self.shared.silent).remove(&self.number);
        lock(&self.shared.holding).remove(&self.id);
    }
}

/// The descriptor identifies a connection as long as it is open, and is what a dump shows.
#[cfg(unix)]
fn id_of(stream: &TcpStream, number: u64) -> ConnectionId {
    use std::os::fd::AsRawFd as _;
    ConnectionId(u64::try_from(stream.as_raw_fd()).unwrap_or(number))
}

#[cfg(not(unix))]
fn id_of(_: &TcpStream, number: u64) -> ConnectionId {
    ConnectionId(number)
}

/// Whether the other end is on this host: at a loopback address, or at the very address that it has reached us by.
fn is_local(peer: IpAddr, stream: &TcpStream) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback()
        || stream
            .local_addr()
            .is_ok_and(|ours| ours.ip().to_canonical() == peer)
}

fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    let attempt = || {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(4096)?;
        TcpListener::from_std(socket.into())
    };
    attempt().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        _ => BindError::Failed { address, source },
    })
}

/// The next connection to any of the listeners.
async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// Whether an error of accept concerns one connection that is gone already.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

fn seconds_now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // The low bits are what matters; creations may wrap.
    u32::try_from(since.as_secs() & u64::from(u32::MAX)).unwrap_or_default()
}

/// A panic elsewhere leaves these maps in a consistent state: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
