//! Accepting connections and carrying each to its end.
//!
//! Most connections ask one question, which has arrived by the time that they are accepted: those are answered and closed on the
//! spot, at four system calls each. The others, which are slow to ask or hold a name, get a task of their own.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read as _};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use socket2::SockRef;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::super::message::MAX_REQUEST;
use super::super::registry::{ConnectionId, Listing, Registry};
use super::super::session::{Context, Session, Step};
use super::{Ended, Server};

/// How many connections are accepted before others get their turn.
const BURST: usize = 64;
/// How much of a list is written at a time.
const LIST_PIECE: usize = 16 * 1024;
/// How long to wait before accepting again when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Tells the system that more follows what is sent.
#[cfg(target_os = "linux")]
const MSG_MORE: i32 = 0x8000;
#[cfg(not(target_os = "linux"))]
const MSG_MORE: i32 = 0;

/// Serves until `shutdown` is ready or somebody kills the daemon.
pub(super) async fn serve(server: Server, shutdown: impl Future<Output = ()>) -> io::Result<Ended> {
    let port = server.addresses.first().map_or(0, SocketAddr::port);
    let listeners = server
        .listeners
        .into_iter()
        .map(Listener::new)
        .collect::<io::Result<Vec<_>>>()?;
    let (killed, mut kill) = mpsc::channel(1);
    let mut acceptor = Acceptor {
        shared: Arc::new(Shared {
            names: Mutex::new(Registry::new(server.debugging)),
            silent: Mutex::new(BTreeMap::new()),
            holding: Mutex::new(HashMap::new()),
            held: AtomicUsize::new(0),
            held_limit: server.held_limit,
            relaxed: server.relaxed,
            port,
            packet_timeout: server.packet_timeout,
            delay_write: server.delay_write,
            killed,
        }),
        connections: JoinSet::new(),
        accepted: 0,
        silent_limit: server.silent_limit,
        reserve: listeners
            .first()
            .and_then(|listener| listener.socket.as_fd().try_clone_to_owned().ok()),
    };
    let mut shutdown = pin!(shutdown);
    let mut turn = 0_usize;
    loop {
        turn = turn.wrapping_add(1);
        tokio::select! {
            biased;
            () = &mut shutdown => return Ok(Ended::Shutdown),
            Some(()) = kill.recv() => return Ok(Ended::Killed),
            Some(_) = acceptor.connections.join_next() => {}
            ready = ready(&listeners, turn) => {
                if !server.delay_accept.is_zero() {
                    tokio::time::sleep(server.delay_accept).await;
                }
                match ready.and_then(|listener| acceptor.burst(listener)) {
                    // With nothing left to accept, the next turn waits by itself; to yield would wake this thread once more.
                    Ok(Burst::Done) => {}
                    Ok(Burst::Cut) => tokio::task::yield_now().await,
                    Err(error) => {
                        tracing::error!(%error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
}

/// A listening socket that gives its connections without having each of them watched by the runtime: most are gone before that
/// would be of use.
#[derive(Debug)]
struct Listener {
    socket: mio::net::TcpListener,
    /// The same socket again, as the only type by which tokio lets one wait until a socket is readable.
    watched: TcpStream,
}

impl Listener {
    fn new(socket: std::net::TcpListener) -> io::Result<Self> {
        let watched = OwnedFd::from(socket.try_clone()?);
        Ok(Self {
            socket: mio::net::TcpListener::from_std(socket),
            watched: TcpStream::from_std(watched.into())?,
        })
    }

    fn accept(&self) -> io::Result<(std::net::TcpStream, SocketAddr)> {
        let (stream, peer) = self.watched.try_io(Interest::READABLE, || self.socket.accept())?;
        Ok((stream.into(), peer))
    }
}

/// The first listener that has something to accept, another one being asked first each turn.
async fn ready(listeners: &[Listener], turn: usize) -> io::Result<&Listener> {
    std::future::poll_fn(|context| {
        for listener in listeners
            .iter()
            .cycle()
            .skip(turn % listeners.len().max(1))
            .take(listeners.len())
        {
            if let Poll::Ready(ready) = listener.watched.poll_read_ready(context) {
                return Poll::Ready(ready.map(|()| listener));
            }
        }
        Poll::Pending
    })
    .await
}

/// How a burst of accepting has ended.
enum Burst {
    /// Nothing is left to accept.
    Done,
    /// There may be more: others have their turn first.
    Cut,
}

/// What accepts connections. Dropping it ends all of them.
#[derive(Debug)]
struct Acceptor {
    shared: Arc<Shared>,
    connections: JoinSet<()>,
    /// How many connections have come so far.
    accepted: u64,
    silent_limit: usize,
    /// A descriptor kept for when there is no other.
    reserve: Option<OwnedFd>,
}

impl Acceptor {
    /// Accepts what is there to accept, within a limit, and answers those whose request is there.
    fn burst(&mut self, listener: &Listener) -> io::Result<Burst> {
        let mut early = Vec::new();
        let mut answer = Vec::new();
        let mut result = Ok(Burst::Cut);
        for _ in 0..BURST {
            let (stream, peer, last) = match self.accept(listener) {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    result = Ok(Burst::Done);
                    break;
                }
                Err(error) if is_passing(&error) => continue,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            };
            let mut connection = self.connection(&stream, peer);
            match connection.at_once(&stream, &mut answer) {
                None | Some(Step::Close) => drop((connection, stream)),
                Some(_) if last => {
                    tracing::error!("closing a connection: there are not enough descriptors to keep it");
                    drop((connection, stream));
                }
                // It has connected and not written yet: it will have in a moment.
                Some(Step::Read) => early.push((stream, connection)),
                Some(step) => self.start(stream, connection, step, std::mem::take(&mut answer)),
            }
            if last {
                self.reserve = listener.socket.as_fd().try_clone_to_owned().ok();
            }
        }
        for (stream, mut connection) in early {
            match connection.at_once(&stream, &mut answer) {
                None | Some(Step::Close) => {}
                Some(step) => self.start(stream, connection, step, std::mem::take(&mut answer)),
            }
        }
        result
    }

    /// Accepts a connection. When no descriptor is left for it, the one in reserve is given up, so that questions are still
    /// answered: then the third value is `true`, and the connection must be closed and the reserve restored.
    fn accept(&mut self, listener: &Listener) -> io::Result<(std::net::TcpStream, SocketAddr, bool)> {
        match listener.accept() {
            Ok((stream, peer)) => Ok((stream, peer, false)),
            Err(error) if is_shortage(&error) && self.reserve.is_some() => {
                if let Some((_, longest)) = lock(&self.shared.silent).pop_first() {
                    longest.abort();
                }
                self.reserve = None;
                let accepted = listener.accept();
                if accepted.is_err() {
                    self.reserve = listener.socket.as_fd().try_clone_to_owned().ok();
                }
                accepted.map(|(stream, peer)| (stream, peer, true))
            }
            Err(error) => Err(error),
        }
    }

    fn connection(&mut self, stream: &std::net::TcpStream, peer: SocketAddr) -> Connection {
        let number = self.accepted;
        self.accepted += 1;
        Connection {
            session: Session::new(),
            // The descriptor: no other open connection has it, and a dump shows it.
            id: ConnectionId(u64::try_from(stream.as_raw_fd()).unwrap_or(number)),
            number,
            local: is_local(peer.ip(), stream),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Starts a task for a connection that cannot be dealt with at once.
    fn start(&mut self, stream: std::net::TcpStream, connection: Connection, step: Step, pending: Vec<u8>) {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%error, "cannot wait for a connection");
                return;
            }
        };
        let (number, id) = (connection.number, connection.id);
        let shared = Arc::clone(&self.shared);
        let task = Task {
            connection,
            stream,
            silent: step == Step::Read,
        };
        match step {
            Step::Read => {
                // The lock is held until the task is in the list: it takes itself off when its request is complete.
                let mut silent = lock(&shared.silent);
                if silent.len() >= self.silent_limit
                    && let Some((_, longest)) = silent.pop_first()
                {
                    tracing::debug!("too many silent connections: closing the one that has been so longest");
                    longest.abort();
                }
                silent.insert(number, self.connections.spawn(task.run(step, pending)));
            }
            Step::Hold if shared.relaxed => {
                let mut holding = lock(&shared.holding);
                holding.insert(id, self.connections.spawn(task.run(step, pending)));
            }
            _ => _ = self.connections.spawn(task.run(step, pending)),
        }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    names: Mutex<Registry>,
    /// Connections without a complete request, by age.
    silent: Mutex<BTreeMap<u64, AbortHandle>>,
    /// Connections that hold a name; only where STOP is granted.
    holding: Mutex<HashMap<ConnectionId, AbortHandle>>,
    /// How many connections hold a name, or hang on after they were refused one.
    held: AtomicUsize,
    held_limit: usize,
    relaxed: bool,
    port: u16,
    packet_timeout: Duration,
    delay_write: Duration,
    killed: mpsc::Sender<()>,
}

/// One connection's place in the server. Dropping it, in whatever way, frees what it holds there.
#[derive(Debug)]
struct Connection {
    session: Session,
    id: ConnectionId,
    /// How many connections have come before.
    number: u64,
    local: bool,
    shared: Arc<Shared>,
}

impl Connection {
    /// Deals with a connection as far as that goes without waiting. Leaves in `answer` what could not be written, and says
    /// what is left to do; `None` if the connection broke.
    fn at_once(&mut self, stream: &std::net::TcpStream, answer: &mut Vec<u8>) -> Option<Step> {
        answer.clear();
        if !self.shared.delay_write.is_zero() {
            return Some(Step::Read);
        }
        let mut attempt = |mut stream: &std::net::TcpStream, answer: &mut Vec<u8>| {
            let mut drained = false;
            let read = |buffer: &mut [u8]| {
                let read = stream.read(buffer);
                drained = read.as_ref().is_ok_and(|&length| length < buffer.len());
                read
            };
            let Some(step) = self.read(read, answer)? else {
                return Ok(Step::Read);
            };
            let step = self.advance(step, answer);
            if !answer.is_empty() {
                // A last answer waits for the end of the stream and travels with it, in one segment instead of two.
                let last = step == Step::Close;
                let written =
                    SockRef::from(stream).send_with_flags(answer, if last { MSG_MORE } else { 0 })?;
                answer.drain(..written);
                // To close says the end as well, but with bytes unread it would take the answer back.
                if last && answer.is_empty() && !drained {
                    stream.shutdown(Shutdown::Write)?;
                }
            }
            // What the system did not take at once is for a task to write.
            Ok(if step == Step::Close && !answer.is_empty() {
                Step::List(Listing::Done)
            } else {
                step
            })
        };
        match attempt(stream, answer) {
            Ok(step) => Some(step),
            Err(error) => {
                broke(&error);
                None
            }
        }
    }

    /// Takes in what is there to read; `None` if nothing is after all.
    fn read(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        answer: &mut Vec<u8>,
    ) -> io::Result<Option<Step>> {
        // On the stack, not in the task: a connection that waits holds no buffer.
        let mut buffer = [0; MAX_REQUEST + 2];
        let room = self.session.room().min(buffer.len());
        let length = match read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => return Ok(Some(Step::Close)),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let context = Context {
            connection: self.id,
            local: self.local,
            relaxed: self.shared.relaxed,
            full: self.shared.held.load(Ordering::Relaxed) >= self.shared.held_limit,
            port: self.shared.port,
            now: seconds_now(),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        let step = self
            .session
            .input(bytes, &context, &mut lock(&self.shared.names), answer);
        if step == Step::Hold {
            self.shared.held.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Some(step))
    }

    /// Does what a step asks for besides reading and writing, and says what is left.
    fn advance(&self, step: Step, answer: &mut Vec<u8>) -> Step {
        match step {
            Step::List(mut listing) => {
                let more = lock(&self.shared.names).continue_listing(&mut listing, LIST_PIECE, answer);
                if more { Step::List(listing) } else { Step::Close }
            }
            Step::Stop(stopped) => {
                if let Some(stopped) = stopped.and_then(|id| lock(&self.shared.holding).remove(&id)) {
                    stopped.abort();
                }
                Step::Close
            }
            other => other,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Before the socket closes: who sees it closed may take the name at once.
        if self.session.is_holding() {
            self.session.closed(self.id, &mut lock(&self.shared.names));
            self.shared.held.fetch_sub(1, Ordering::Relaxed);
            if self.shared.relaxed {
                lock(&self.shared.holding).remove(&self.id);
            }
        }
    }
}

/// A connection that takes time. Its place is given up before its socket is closed.
#[derive(Debug)]
struct Task {
    connection: Connection,
    stream: TcpStream,
    /// Whether it is on the list of those without a complete request.
    silent: bool,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.has_spoken();
    }
}

impl Task {
    async fn run(mut self, step: Step, pending: Vec<u8>) {
        if let Err(error) = self.carry(step, pending).await {
            broke(&error);
        }
    }

    /// Carries the connection from `step` to its end, once `pending` is written.
    async fn carry(&mut self, mut step: Step, mut pending: Vec<u8>) -> io::Result<()> {
        if step == Step::Read {
            step = self.request(&mut pending).await?;
            step = self.connection.advance(step, &mut pending);
        }
        loop {
            self.write(&mut pending).await?;
            match step {
                Step::List(_) => step = self.connection.advance(step, &mut pending),
                Step::Hold => return self.hold().await,
                Step::Kill => {
                    let _ = self.connection.shared.killed.try_send(());
                    return Ok(());
                }
                Step::Read | Step::Stop(_) | Step::Close => return Ok(()),
            }
        }
    }

    /// Reads the request, and puts the answer, or the first part of it, into `answer`.
    async fn request(&mut self, answer: &mut Vec<u8>) -> io::Result<Step> {
        let step = loop {
            let timeout = self.connection.shared.packet_timeout;
            let Ok(ready) = tokio::time::timeout(timeout, self.stream.readable()).await else {
                tracing::debug!("closing a connection that was silent too long");
                break Step::Close;
            };
            ready?;
            match self
                .connection
                .read(|buffer| self.stream.try_read(buffer), answer)?
            {
                None | Some(Step::Read) => {}
                Some(step) => break step,
            }
        };
        let handle = self.has_spoken();
        let shared = &self.connection.shared;
        if step == Step::Hold
            && shared.relaxed
            && let Some(handle) = handle
        {
            lock(&shared.holding).insert(self.connection.id, handle);
        }
        Ok(step)
    }

    /// Takes the connection off the list of those without a complete request.
    fn has_spoken(&mut self) -> Option<AbortHandle> {
        if !std::mem::take(&mut self.silent) {
            return None;
        }
        lock(&self.connection.shared.silent).remove(&self.connection.number)
    }

    /// Writes what is pending. A client that does not read does not keep it for ever.
    async fn write(&mut self, pending: &mut Vec<u8>) -> io::Result<()> {
        if pending.is_empty() {
            return Ok(());
        }
        let shared = &self.connection.shared;
        if !shared.delay_write.is_zero() {
            tokio::time::sleep(shared.delay_write).await;
        }
        tokio::time::timeout(shared.packet_timeout, self.stream.write_all(pending))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        *pending = Vec::new();
        Ok(())
    }

    /// Waits for the end of a connection that holds a name; anything that comes on it is its end.
    async fn hold(&mut self) -> io::Result<()> {
        loop {
            self.stream.readable().await?;
            // In one gulp, so that closing does not reset the connection for what was left unread.
            match self.stream.try_read(&mut [0; MAX_REQUEST]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(0) => return Ok(()),
                Ok(_) => {
                    tracing::debug!("bytes on a connection that holds a name");
                    return Ok(());
                }
            }
        }
    }
}

/// Whether the other end is on this host: at a loopback address, or at the very address that it has reached us by.
fn is_local(peer: IpAddr, stream: &std::net::TcpStream) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback()
        || stream
            .local_addr()
            .is_ok_and(|ours| ours.ip().to_canonical() == peer)
}

/// Whether an error of accept concerns one connection that is gone already.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Whether an error of accept means that this process, or the system, has no descriptor left.
fn is_shortage(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

fn broke(error: &io::Error) {
    tracing::debug!(%error, "connection broke");
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
