//! Asking an EPMD: register a node and hold the registration, look one up, list the names, dump, kill, stop.
//!
//! Follows "EPMD Protocol" in Erlang's *Distribution Protocol* chapter, and Erlang's `erl_epmd` and `epmd` programs for
//! addresses and variables of the environment. A connection carries one request; only that of a [`Registration`] stays
//! open. Every operation ends within [`Client::timeout`], whatever the other side does, and reads no more than a fixed
//! number of bytes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::DEFAULT_PORT;
use super::message::{
    AnswerError, LookupAnswer, MAX_EXTRA, Name, NamesAnswer, NodeInfo, RegisterAnswer, Registrant, Request,
    split_port,
};

/// How long an operation may take unless [`Client::timeout`] says otherwise: what Erlang's own client grants EPMD.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes that are read of an answer: more than a quarter of a million names.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// Where an EPMD is, and how long to wait for it.
///
/// ```no_run
/// use beamnode::epmd::{Client, Name};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// for entry in Client::local().names().await?.names {
///     println!("{} listens on port {}", entry.name, entry.port);
/// }
/// if let Some(node) = Client::new("build-7.example.org").lookup(&Name::new("alice")?).await? {
///     println!("alice@build-7.example.org listens on port {}", node.port);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    host: Host,
    port: u16,
    timeout: Duration,
}

#[derive(Debug, Clone)]
enum Host {
    /// This host: 127.0.0.1, then `::1`.
    Local,
    Address(IpAddr),
    Name(String),
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("this host"),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Client {
    /// For the EPMD of this host, at the loopback address, on the port that `ERL_EPMD_PORT` names.
    #[must_use]
    pub fn local() -> Self {
        Self {
            host: Host::Local,
            port: port_from_environment(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// For the EPMD of `host`, a name or an address, on the port that `ERL_EPMD_PORT` names.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let host = host
            .parse()
            .map_or_else(|_| Host::Name(host.to_owned()), Host::Address);
        Self {
            host,
            ..Self::local()
        }
    }

    /// For the EPMD at exactly this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            host: Host::Address(address.ip()),
            port: address.port(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Asks on `port` instead.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Waits at most this long for each operation as a whole, instead of [`DEFAULT_TIMEOUT`].
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The port on which EPMD is asked.
    #[must_use]
    pub const fn epmd_port(&self) -> u16 {
        self.port
    }

    /// Whether it is the EPMD of this host that is asked, at a loopback address.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match self.host {
            Host::Local => true,
            Host::Address(address) => address.is_loopback(),
            Host::Name(_) => false,
        }
    }

    /// Registers a node. It stays registered until the [`Registration`] is dropped or lost.
    ///
    /// # Errors
    /// [`ClientError::NameRefused`] when the name is taken, and whatever else keeps EPMD from answering.
    pub async fn register(&self, node: &Registrant) -> Result<Registration, ClientError> {
        if node.extra.len() > MAX_EXTRA {
            return Err(ClientError::ExtraTooLong {
                length: node.extra.len(),
            });
        }
        self.within(async {
            let (mut stream, _) = self
                .ask(&self.addresses().await?, &Request::Register(node.clone()))
                .await?;
            let mut answer = Vec::with_capacity(8);
            loop {
                match RegisterAnswer::decode(&answer).map_err(|reason| self.malformed(reason))? {
                    Some(RegisterAnswer::Registered { creation }) => {
                        return Ok(Registration { stream, creation });
                    }
                    Some(RegisterAnswer::Refused { result }) => {
                        return Err(ClientError::NameRefused {
                            name: node.name.clone(),
                            result,
                        });
                    }
                    None => {}
                }
                if stream
                    .read_buf(&mut answer)
                    .await
                    .map_err(|error| self.broken(error))?
                    == 0
                {
                    return Err(self.closed());
                }
            }
        })
        .await
    }

    /// What EPMD knows of the node of that name, or `None` if it is not registered.
    ///
    /// # Errors
    /// Whatever keeps EPMD from answering.
    pub async fn lookup(&self, name: &Name) -> Result<Option<NodeInfo>, ClientError> {
        Ok(self.locate(name).await?.map(|(node, _)| node))
    }

    /// As [`Client::lookup`], with where the node listens: its port at each address of the host, first that at which EPMD has
    /// answered, then IPv4 before IPv6.
    ///
    /// # Errors
    /// Whatever keeps EPMD from answering.
    pub async fn locate(&self, name: &Name) -> Result<Option<(NodeInfo, Vec<SocketAddr>)>, ClientError> {
        self.within(async {
            let addresses = self.addresses().await?;
            let (stream, answering) = self.ask(&addresses, &Request::Lookup(name.clone())).await?;
            let answer = self.read(stream).await?;
            if answer.is_empty() {
                return Err(self.closed());
            }
            match LookupAnswer::decode(&answer).map_err(|reason| self.malformed(reason))? {
                LookupAnswer::Found(node) => {
                    let others = addresses.into_iter().filter(|address| *address != answering);
                    let addresses = std::iter::once(answering)
                        .chain(others)
                        .map(|address| SocketAddr::new(address.ip(), node.port))
                        .collect();
                    Ok(Some((node, addresses)))
                }
                LookupAnswer::NotFound => Ok(None),
            }
        })
        .await
    }

    /// The nodes that are registered, the newest first, and the port that EPMD says it listens on.
    ///
    /// # Errors
    /// Whatever keeps EPMD from answering.
    pub async fn names(&self) -> Result<NamesAnswer, ClientError> {
        let answer = self.exchange(&Request::Names).await?;
        if answer.is_empty() {
            return Err(self.closed());
        }
        NamesAnswer::decode(&answer).map_err(|reason| self.malformed(reason))
    }

    /// As [`Client::names`], the list left as the text that EPMD gave: lines of the form `name NAME at port PORT`, and
    /// whatever else somebody has put into a name.
    ///
    /// # Errors
    /// Whatever keeps EPMD from answering.
    pub async fn names_text(&self) -> Result<(u16, Vec<u8>), ClientError> {
        self.text(&Request::Names).await
    }

    /// Everything that EPMD knows, as text for people, and the port that it says it listens on. Only for the EPMD
    /// of this host.
    ///
    /// # Errors
    /// Whatever keeps EPMD from answering.
    pub async fn dump(&self) -> Result<(u16, Vec<u8>), ClientError> {
        self.text(&Request::Dump).await
    }

    /// Ends the EPMD of this host. It refuses while nodes are registered, unless it runs with
    /// `-relaxed_command_check`.
    ///
    /// # Errors
    /// [`ClientError::LivingNodes`] when it refuses, and whatever else keeps EPMD from answering.
    pub async fn kill(&self) -> Result<(), ClientError> {
        match self.exchange(&Request::Kill).await?.as_slice() {
            b"OK" => Ok(()),
            b"NO" => Err(ClientError::LivingNodes),
            [] => Err(self.closed()),
            [first, ..] => Err(self.malformed(AnswerError::UnknownTag(*first))),
        }
    }

    /// Takes `name` from the node that holds it; `false` when there was none. The EPMD of this host grants it only when it runs
    /// with `-relaxed_command_check`.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when EPMD does not grant it, and whatever else keeps it from answering.
    pub async fn stop(&self, name: &Name) -> Result<bool, ClientError> {
        let answer = self.exchange(&Request::Stop(name.clone())).await?;
        if answer.starts_with(b"STOPPED") {
            return Ok(true);
        }
        match answer.as_slice() {
            // Daemons say both.
            b"NOEXIST" | b"NOEXISTSTOPPED" => Ok(false),
            [] => Err(self.closed()),
            [first, ..] => Err(self.malformed(AnswerError::UnknownTag(*first))),
        }
    }

    /// Sends a request whose answer is a port and text.
    async fn text(&self, request: &Request) -> Result<(u16, Vec<u8>), ClientError> {
        let mut answer = self.exchange(request).await?;
        if answer.is_empty() {
            return Err(self.closed());
        }
        let (port, _) = split_port(&answer).map_err(|reason| self.malformed(reason))?;
        answer.drain(..4);
        Ok((port, answer))
    }

    /// Sends a request and gives what comes until the daemon closes the connection.
    async fn exchange(&self, request: &Request) -> Result<Vec<u8>, ClientError> {
        self.within(async {
            let (stream, _) = self.ask(&self.addresses().await?, request).await?;
            self.read(stream).await
        })
        .await
    }

    /// Connects to the first of the addresses that accepts, and sends a request.
    async fn ask(
        &self,
        addresses: &[SocketAddr],
        request: &Request,
    ) -> Result<(TcpStream, SocketAddr), ClientError> {
        // The first failure is the one to tell: that of the address that the host is usually reached by.
        let mut failure = None;
        for &address in addresses {
            match TcpStream::connect(address).await {
                Ok(mut stream) => {
                    stream
                        .write_all(&request.encode())
                        .await
                        .map_err(|error| self.broken(error))?;
                    return Ok((stream, address));
                }
                Err(source) => {
                    failure.get_or_insert(if source.kind() == io::ErrorKind::ConnectionRefused {
                        ClientError::NotRunning { address }
                    } else {
                        ClientError::Unreachable { address, source }
                    });
                }
            }
        }
        Err(failure.unwrap_or_else(|| self.unknown(io::ErrorKind::NotFound.into())))
    }

    /// Reads what comes until the daemon closes the connection.
    async fn read(&self, stream: TcpStream) -> Result<Vec<u8>, ClientError> {
        let mut answer = Vec::new();
        match stream.take(MAX_ANSWER + 1).read_to_end(&mut answer).await {
            // A daemon that closes with bytes of ours unread resets the connection behind its answer.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !answer.is_empty() => {}
            Err(error) => return Err(self.broken(error)),
            Ok(_) if answer.len() as u64 > MAX_ANSWER => return Err(ClientError::AnswerTooLong),
            Ok(_) => {}
        }
        Ok(answer)
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, ClientError> {
        match &self.host {
            Host::Local => Ok(vec![
                SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, self.port)),
            ]),
            Host::Address(address) => Ok(vec![SocketAddr::from((*address, self.port))]),
            Host::Name(name) => resolve_host(name, self.port)
                .await
                .map_err(|source| self.unknown(source)),
        }
    }

    async fn within<T>(
        &self,
        operation: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(self.timeout, operation).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::TimedOut {
                host: self.host.to_string(),
                after: self.timeout,
            }),
        }
    }

    fn unknown(&self, source: io::Error) -> ClientError {
        ClientError::UnknownHost {
            host: self.host.to_string(),
            source,
        }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Broken {
            host: self.host.to_string(),
            source,
        }
    }

    fn closed(&self) -> ClientError {
        ClientError::Closed {
            host: self.host.to_string(),
        }
    }

    fn malformed(&self, reason: AnswerError) -> ClientError {
        ClientError::Malformed {
            host: self.host.to_string(),
            reason,
        }
    }
}

/// A node's place in EPMD, held by an open connection: dropping it frees the name.
#[derive(Debug)]
pub struct Registration {
    stream: TcpStream,
    creation: u32,
}

impl Registration {
    /// The creation that EPMD gave: it tells this incarnation of the node from earlier ones of the same name.
    #[must_use]
    pub const fn creation(&self) -> u32 {
        self.creation
    }

    /// Waits until EPMD has gone, or has thrown the node out: the name is not registered any more. Can be called again, and its
    /// future be dropped at any time.
    pub async fn lost(&mut self) -> RegistrationLost {
        let mut ignored = [0; 16];
        loop {
            match self.stream.read(&mut ignored).await {
                Ok(0) => return RegistrationLost::Closed,
                // EPMD says nothing on such a connection; Erlang's client ignores it if it does.
                Ok(_) => {}
                Err(source) => return RegistrationLost::Broken(source),
            }
        }
    }
}

/// How a registration was lost.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationLost {
    /// EPMD closed the connection.
    #[error("EPMD closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection to EPMD broke: {0}")]
    Broken(#[source] io::Error),
}

/// Why a request to EPMD failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The name of the host has no address.
    #[error("cannot find the address of host {host}: {source}")]
    UnknownHost {
        /// The host.
        host: String,
        /// What the system's resolver said.
        source: io::Error,
    },
    /// The host is there, and nothing listens on EPMD's port.
    #[error("no EPMD is running at {address}")]
    NotRunning {
        /// Where it should be.
        address: SocketAddr,
    },
    /// No connection to the host can be made.
    #[error("cannot connect to EPMD at {address}: {source}")]
    Unreachable {
        /// Where it should be.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The operation as a whole took too long.
    #[error("EPMD of {host} has not answered within {after:?}")]
    TimedOut {
        /// The host asked.
        host: String,
        /// How long the operation was given.
        after: Duration,
    },
    /// EPMD closed the connection without an answer: so it treats requests that it does not understand or does not grant.
    #[error("EPMD of {host} closed the connection without an answer")]
    Closed {
        /// The host asked.
        host: String,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection to EPMD of {host} broke: {source}")]
    Broken {
        /// The host asked.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// What answered does not speak EPMD's protocol.
    #[error("EPMD of {host} gave no valid answer: {reason}")]
    Malformed {
        /// The host asked.
        host: String,
        /// What is wrong with the answer.
        reason: AnswerError,
    },
    /// The answer is longer than any that makes sense.
    #[error("the answer has more than {MAX_ANSWER} bytes")]
    AnswerTooLong,
    /// EPMD does not register the name, in all likelihood because another node has it.
    #[error("EPMD refused the name {name} (result {result}): a node of that name is running already")]
    NameRefused {
        /// The name that was to be registered.
        name: Name,
        /// The result that EPMD gave.
        result: u8,
    },
    /// The extra field of the node to be registered is longer than EPMD allows.
    #[error("the extra field has {length} bytes, more than {MAX_EXTRA}")]
    ExtraTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// EPMD does not end while nodes are registered.
    #[error("EPMD does not end while nodes are registered")]
    LivingNodes,
}

/// The port that `ERL_EPMD_PORT` names, or [`DEFAULT_PORT`].
#[must_use]
pub fn port_from_environment() -> u16 {
    std::env::var("ERL_EPMD_PORT")
        .ok()
        .and_then(|port| port.trim().parse().ok())
        .unwrap_or(DEFAULT_PORT)
}

/// The addresses of a host, by the system's resolver: at least one, IPv4 before IPv6, because that is where Erlang nodes listen
/// unless told otherwise, whatever order the host's other services like. As in Erlang, this host is found even where the resolver does
/// not know its name.
pub(super) async fn resolve_host(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(_) if is_this_host(host) => {
            vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]
        }
        Err(error) => return Err(error),
    };
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    ipv4_first(&mut addresses);
    Ok(addresses)
}

/// Whether `host` is the name of this host, as it is or without its domain.
fn is_this_host(host: &str) -> bool {
    let ours = gethostname::gethostname();
    let ours = ours.to_string_lossy();
    let short = ours.split('.').next().unwrap_or_default();
    !host.is_empty() && (host.eq_ignore_ascii_case(&ours) || host.eq_ignore_ascii_case(short))
}

/// Orders addresses as [`resolve_host`] does.
pub(super) fn ipv4_first(addresses: &mut [SocketAddr]) {
    addresses.sort_by_key(SocketAddr::is_ipv6);
}
