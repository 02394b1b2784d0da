//! Where a node of a given name listens: by EPMD, or without one.
//!
//! Erlang leaves this to the module that `-epmd_module` names (`erl_epmd` in the Kernel Reference Manual; "How to implement
//! an alternative node discovery" in the ERTS User's Guide). Here it is a [`Resolver`]:
//!
//! | resolver | finds a node by |
//! |---|---|
//! | [`Epmd`] | asking the EPMD of its host: the default |
//! | [`FixedPort`] | one port for all nodes, as `-erl_epmd_port` has it |
//! | [`Table`] | a list |
//! | `dns::Dns` | SRV records, or addresses and one port (feature `dns`) |

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use super::client::{Client, ClientError, DEFAULT_TIMEOUT, port_from_environment, resolve_host};
use super::message::Name;

/// A version of the distribution protocol: what nodes that are not asked for theirs are taken to speak.
const CURRENT_VERSION: u16 = 6;

/// Finds out where nodes listen, and says where this one shall and whether it registers with EPMD.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// Where the node `name@host` listens.
    fn resolve<'a>(&'a self, name: &'a Name, host: &'a str) -> Resolving<'a>;

    /// The port on which this node itself is to listen, or `None` for whatever is free.
    fn listen_port(&self) -> Option<u16> {
        None
    }

    /// Whether this node is to register with the EPMD of its host, lest nobody find it.
    fn registers(&self) -> bool {
        false
    }
}

/// What [`Resolver::resolve`] gives: a future.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Location, ResolveError>> + Send + 'a>>;

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The addresses to try, in this order; at least one.
    pub addresses: Vec<SocketAddr>,
    /// The highest version of the distribution protocol that the node speaks.
    pub highest_version: u16,
    /// The lowest version that it speaks.
    pub lowest_version: u16,
}

impl Location {
    /// For a node that is not asked which versions it speaks.
    #[must_use]
    pub const fn current(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            highest_version: CURRENT_VERSION,
            lowest_version: CURRENT_VERSION,
        }
    }
}

/// Why it is not known where a node listens.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// EPMD of the host could not be asked.
    #[error(transparent)]
    Epmd(#[from] ClientError),
    /// EPMD of the host does not know the node: it is not running.
    #[error("{name} is not registered with EPMD of {host}")]
    NotRegistered {
        /// The name without host.
        name: Name,
        /// The host.
        host: String,
    },
    /// The name of the host has no address.
    #[error("cannot find the address of host {host}: {source}")]
    UnknownHost {
        /// The host.
        host: String,
        /// What the system's resolver said.
        source: io::Error,
    },
    /// The node is not in the list.
    #[error("{name}@{host} is not in the table of nodes")]
    NotListed {
        /// The name without host.
        name: Name,
        /// The host.
        host: String,
    },
    /// The domain name system has no such records.
    #[error("there are no {kind} records for {query}")]
    NoRecords {
        /// What was asked for.
        query: String,
        /// The kind of record.
        kind: &'static str,
    },
    /// The domain name system gave no answer.
    #[error("cannot look up {query}: {source}")]
    Dns {
        /// What was asked for.
        query: String,
        /// What the resolver said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// By asking the EPMD of the node's host.
#[derive(Debug, Clone)]
pub struct Epmd {
    port: u16,
    timeout: Duration,
}

impl Default for Epmd {
    fn default() -> Self {
        Self::new()
    }
}

impl Epmd {
    /// Asks on the port that `ERL_EPMD_PORT` names.
    #[must_use]
    pub fn new() -> Self {
        Self {
            port: port_from_environment(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Asks on `port` instead.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Waits at most this long for the answer, instead of [`DEFAULT_TIMEOUT`].
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Resolver for Epmd {
    fn resolve<'a>(&'a self, name: &'a Name, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let client = Client::new(host).port(self.port).timeout(self.timeout);
            let (node, addresses) =
                client
                    .locate(name)
                    .await?
                    .ok_or_else(|| ResolveError::NotRegistered {
                        name: name.clone(),
                        host: host.to_owned(),
                    })?;
            Ok(Location {
                addresses,
                highest_version: node.highest_version,
                lowest_version: node.lowest_version,
            })
        })
    }

    fn registers(&self) -> bool {
        true
    }
}

/// By one port on which every node listens: at most one node a host, or an address for each. What `-erl_epmd_port` does,
/// and `-start_epmd false` with it.
#[derive(Debug, Clone, Copy)]
pub struct FixedPort {
    port: u16,
}

impl FixedPort {
    /// All nodes listen on `port`.
    #[must_use]
    pub const fn new(port: u16) -> Self {
        Self { port }
    }
}

impl Resolver for FixedPort {
    fn resolve<'a>(&'a self, _: &'a Name, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let addresses =
                resolve_host(host, self.port)
                    .await
                    .map_err(|source| ResolveError::UnknownHost {
                        host: host.to_owned(),
                        source,
                    })?;
            Ok(Location::current(addresses))
        })
    }

    fn listen_port(&self) -> Option<u16> {
        Some(self.port)
    }
}

/// By a list of nodes.
///
/// ```
/// use beamnode::epmd::Name;
/// use beamnode::epmd::resolver::{Resolver, Table};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let table = Table::new().listen_on(9001).node(Name::new("alice")?, "build-7", "10.0.0.7:9001".parse()?);
/// let alice = table.resolve(&Name::new("alice")?, "build-7").await?;
/// assert_eq!(alice.addresses, ["10.0.0.7:9001".parse()?]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Table {
    nodes: HashMap<(Name, String), Vec<SocketAddr>>,
    listen_port: Option<u16>,
}

impl Table {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the node `name@host`; added again, it has another address, tried after the first.
    #[must_use]
    pub fn node(mut self, name: Name, host: &str, address: SocketAddr) -> Self {
        self.nodes
            .entry((name, host.to_owned()))
            .or_default()
            .push(address);
        self
    }

    /// Says on which port this node itself is to listen.
    #[must_use]
    pub const fn listen_on(mut self, port: u16) -> Self {
        self.listen_port = Some(port);
        self
    }
}

impl Resolver for Table {
    fn resolve<'a>(&'a self, name: &'a Name, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            match self.nodes.get(&(name.clone(), host.to_owned())) {
                Some(addresses) => Ok(Location::current(addresses.clone())),
                None => Err(ResolveError::NotListed {
                    name: name.clone(),
                    host: host.to_owned(),
                }),
            }
        })
    }

    fn listen_port(&self) -> Option<u16> {
        self.listen_port
    }
}
