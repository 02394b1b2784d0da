//! The listener: where other nodes connect.

use super::accept::{Gatekeeper, accept};
use super::wire::{SetupError, prepare};
use crate::dist::handshake::{LengthPrefix, SETUP_TIME};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument as _, debug, field, warn, warn_span};

/// Where to listen, and how patiently.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// The address of the interface, as `inet_dist_use_interface`. `None`: every interface, of both address families where the
    /// system has both.
    pub interface: Option<IpAddr>,
    /// The ports to try in turn, as `inet_dist_listen_min` and `inet_dist_listen_max`. Port 0 lets the system choose.
    pub ports: RangeInclusive<u16>,
    /// How many connections may be waiting to be accepted.
    pub backlog: i32,
    /// How long a peer may take for each step of the handshake.
    pub setup_time: Duration,
    /// How many peers may be shaking hands at a time. One more, and the one that has taken longest is cut off.
    pub unauthenticated: usize,
}

impl Default for ListenOptions {
    /// Every interface, any port, a backlog of 128 and seven seconds, as BEAM; 1,024 handshakes at a time.
    fn default() -> Self {
        Self {
            interface: None,
            ports: 0..=0,
            backlog: 128,
            setup_time: SETUP_TIME,
            unauthenticated: 1024,
        }
    }
}

/// A socket that listens for other nodes.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    options: ListenOptions,
}

impl Listener {
    /// Listens, on the first port of the range that is free.
    pub fn bind(options: ListenOptions) -> io::Result<Self> {
        let mut failure = io::ErrorKind::InvalidInput.into();
        for port in options.ports.clone() {
            match listen(&options, port) {
                Ok(socket) => return Ok(Self { socket, options }),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The address it listens at; its port is the one to register with the port mapper.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts connections for as long as the future is polled. Dropping it closes the socket and cuts off whoever is
    /// shaking hands.
    pub async fn serve<G: Gatekeeper>(self, gatekeeper: Arc<G>) {
        let mut handshakes = Handshakes::default();
        loop {
            tokio::select! {
                // Those that are done make room first.
                biased;
                Some(_) = handshakes.tasks.join_next() => handshakes.forget_done(),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, address)) => {
                        // A peer by IPv4 is one also on a socket for both families.
                        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                        if handshakes.tasks.len() >= self.options.unauthenticated {
                            handshakes.cut_oldest();
                        }
                        // What is logged about the attempt says whose it is; the node's name once it has said it.
                        let span = warn_span!("accept", peer = %address, node = field::Empty);
                        let work = shake(stream, address, self.options.setup_time, Arc::clone(&gatekeeper));
                        let task = handshakes.tasks.spawn(work.instrument(span));
                        handshakes.by_age.push_back((address, task));
                    }
                    // Out of descriptors, or the peer is gone already: neither ends the listener.
                    Err(error) => {
                        warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                },
            }
        }
    }
}

/// The handshakes under way.
#[derive(Debug, Default)]
struct Handshakes {
    tasks: JoinSet<()>,
    /// The oldest first.
    by_age: VecDeque<(SocketAddr, AbortHandle)>,
}

impl Handshakes {
    /// Those that are done need not be remembered.
    fn forget_done(&mut self) {
        while self.by_age.front().is_some_and(|(_, task)| task.is_finished()) {
            self.by_age.pop_front();
        }
        if self.by_age.len() > 2 * self.tasks.len() + 64 {
            self.by_age.retain(|(_, task)| !task.is_finished());
        }
    }

    fn cut_oldest(&mut self) {
        self.forget_done();
        if let Some((address, task)) = self.by_age.pop_front() {
            warn!(peer = %address, error = %SetupError::TooMany, "connection not accepted");
            task.abort();
        }
    }
}

async fn shake<G: Gatekeeper>(
    stream: TcpStream,
    address: SocketAddr,
    setup_time: Duration,
    gatekeeper: Arc<G>,
) {
    if let Err(error) = prepare(&stream) {
        debug!(%error, "connection lost before it began");
        return;
    }
    match accept(stream, LengthPrefix::Two, setup_time, Some(address), &*gatekeeper).await {
        Ok((admission, Ok(link))) => gatekeeper.established(admission, link.at(address)),
        Ok((admission, Err(error))) => {
            warn!(%error, "connection not accepted");
            gatekeeper.failed(admission, error);
        }
        Err(error) => warn!(%error, "connection not accepted"),
    }
}

fn listen(options: &ListenOptions, port: u16) -> io::Result<TcpListener> {
    match options.interface {
        Some(interface) => listen_at(SocketAddr::new(interface, port), options.backlog),
        // One socket for both families; where there is no IPv6, for the one there is.
        None => listen_at(
            SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port),
            options.backlog,
        )
        .or_else(|_| {
            listen_at(
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
                options.backlog,
            )
        }),
    }
}

fn listen_at(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A node that starts again gets its port back at once.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}
