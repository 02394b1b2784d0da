//! Being an EPMD: the listening sockets, and a task for each connection.
//!
//! All decisions are those of [`session`](super::session) and [`registry`](super::registry); here are sockets, timeouts and
//! limits. Good for the daemon `beamnode epmd`, and for a node that carries its own EPMD on a host without one.
//!
//! What it never does: let one connection hold up another, keep memory for a connection beyond a few hundred bytes, or
//! let connections that say nothing use up its descriptors. Beyond [`Server::silent_limit`] of them, the one that has
//! been silent longest is closed.

mod serving;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use super::client::port_from_environment;

/// How long a connection may be silent before its request is complete, unless [`Server::packet_timeout`] says otherwise.
pub const DEFAULT_PACKET_TIMEOUT: Duration = Duration::from_secs(60);
/// How many connections without a complete request there may be, unless [`Server::silent_limit`] says otherwise.
pub const DEFAULT_SILENT_LIMIT: usize = 1024;

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
    held_limit: usize,
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
    pub fn from_std(listeners: Vec<TcpListener>) -> Result<Self, BindError> {
        for listener in &listeners {
            listener
                .set_nonblocking(true)
                .map_err(|source| BindError::Socket { source })?;
        }
        Self::from_listeners(listeners)
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
            held_limit: usize::MAX,
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

    /// Holds at most this many registrations at a time, as many as there are unless told otherwise. Further nodes are not registered,
    /// while questions are still answered: each needs a descriptor for the moment.
    #[must_use]
    pub const fn held_limit(mut self, limit: usize) -> Self {
        self.held_limit = limit;
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
    ///
    /// # Errors
    /// When the system does not let this process wait for connections at all. Later failures are logged and outlived.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> io::Result<Ended> {
        serving::serve(self, shutdown).await
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

fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    let attempt = || -> io::Result<TcpListener> {
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
        Ok(socket.into())
    };
    attempt().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        _ => BindError::Failed { address, source },
    })
}
