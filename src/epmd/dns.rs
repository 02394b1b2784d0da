//! Finding nodes by DNS: SRV records that name host and port, or addresses and a port that all nodes share.
//!
//! Erlang has no convention for such records, so the name to ask for is a pattern, in which `{name}` and `{host}`
//! stand for the two sides of the `@`.

use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::client::ipv4_first;
use super::message::Name;
use super::resolver::{Location, ResolveError, Resolver, Resolving};

/// By SRV records, or by address records and one port.
///
/// ```no_run
/// use beamnode::epmd::dns::Dns;
///
/// # fn example() -> Result<(), beamnode::epmd::ResolveError> {
/// // Every pod of a headless Kubernetes service listens on port 9000:
/// let by_address = Dns::from_system()?.addresses("{host}", 9000);
/// // alice@prod is where the SRV records of _alice._erlang.prod.example.org say:
/// let by_service = Dns::from_system()?.services("_{name}._erlang.{host}.example.org");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
    pattern: Pattern,
    listen_port: Option<u16>,
}

#[derive(Debug, Clone)]
enum Pattern {
    Addresses { pattern: String, port: u16 },
    Services { pattern: String },
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns")
            .field("pattern", &self.pattern)
            .finish_non_exhaustive()
    }
}

impl Dns {
    /// Asks the name servers that the system is configured for, by the SRV records of `_{name}._erlang._tcp.{host}` until
    /// told otherwise.
    ///
    /// # Errors
    /// [`ResolveError::Dns`] when the system's configuration cannot be read.
    pub fn from_system() -> Result<Self, ResolveError> {
        let configuration = |source: NetError| failed("the system's configuration", source);
        let resolver = TokioResolver::builder_tokio()
            .and_then(|builder| builder.build())
            .map_err(configuration)?;
        Ok(Self::with(resolver))
    }

    /// Asks these name servers instead, by UDP, and by TCP where an answer is too long for that.
    ///
    /// # Errors
    /// [`ResolveError::Dns`] when no resolver can be made of them.
    pub fn from_servers(servers: &[SocketAddr]) -> Result<Self, ResolveError> {
        let servers = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .build()
            .map_err(|source| failed("the given name servers", source))?;
        Ok(Self::with(resolver))
    }

    fn with(resolver: TokioResolver) -> Self {
        let pattern = "_{name}._erlang._tcp.{host}".to_owned();
        Self {
            resolver,
            pattern: Pattern::Services { pattern },
            listen_port: None,
        }
    }

    /// Finds nodes at the addresses of the host that `pattern` gives, on `port`, which is where this node listens too.
    #[must_use]
    pub fn addresses(mut self, pattern: &str, port: u16) -> Self {
        self.pattern = Pattern::Addresses {
            pattern: pattern.to_owned(),
            port,
        };
        self.listen_port = Some(port);
        self
    }

    /// Finds nodes at the hosts and ports that the SRV records of the service that `pattern` gives say, in the order of
    /// their priority.
    #[must_use]
    pub fn services(mut self, pattern: &str) -> Self {
        self.pattern = Pattern::Services {
            pattern: pattern.to_owned(),
        };
        self
    }

    /// Says on which port this node itself is to listen.
    #[must_use]
    pub const fn listen_on(mut self, port: u16) -> Self {
        self.listen_port = Some(port);
        self
    }

    async fn by_address(&self, query: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = self
            .resolver
            .lookup_ip(query)
            .await
            .map_err(|source| refused(query, "address", source))?;
        let mut addresses: Vec<SocketAddr> = found
            .iter()
            .map(|address| SocketAddr::from((address, port)))
            .collect();
        ipv4_first(&mut addresses);
        Ok(addresses)
    }

    async fn by_service(&self, query: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = self
            .resolver
            .srv_lookup(query)
            .await
            .map_err(|source| refused(query, "SRV", source))?;
        let mut services: Vec<_> = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(service) => Some(service),
                _ => None,
            })
            .collect();
        services.sort_by_key(|service| (service.priority, std::cmp::Reverse(service.weight)));
        let mut addresses = Vec::new();
        let mut failure = None;
        for service in services {
            match self.by_address(&service.target.to_utf8(), service.port).await {
                Ok(found) => addresses.extend(found),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(failure) if addresses.is_empty() => Err(failure),
            _ => Ok(addresses),
        }
    }
}

impl Resolver for Dns {
    fn resolve<'a>(&'a self, name: &'a Name, host: &'a str) -> Resolving<'a> {
        let fill = |pattern: &str| pattern.replace("{name}", name.as_str()).replace("{host}", host);
        Box::pin(async move {
            let (query, kind, addresses) = match &self.pattern {
                Pattern::Addresses { pattern, port } => {
                    let query = fill(pattern);
                    let addresses = self.by_address(&query, *port).await?;
                    (query, "address", addresses)
                }
                Pattern::Services { pattern } => {
                    let query = fill(pattern);
                    let addresses = self.by_service(&query).await?;
                    (query, "SRV", addresses)
                }
            };
            if addresses.is_empty() {
                return Err(ResolveError::NoRecords { query, kind });
            }
            Ok(Location::current(addresses))
        })
    }

    fn listen_port(&self) -> Option<u16> {
        self.listen_port
    }
}

fn refused(query: &str, kind: &'static str, source: NetError) -> ResolveError {
    if source.is_no_records_found() || source.is_nx_domain() {
        ResolveError::NoRecords {
            query: query.to_owned(),
            kind,
        }
    } else {
        failed(query, source)
    }
}

fn failed(query: &str, source: NetError) -> ResolveError {
    ResolveError::Dns {
        query: query.to_owned(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::str::FromStr as _;

    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, SRV};
    use hickory_resolver::proto::rr::{Name as DnsName, Record, RecordType};
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server on a port of its own that knows two services and two hosts.
    async fn name_server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..length]).unwrap();
                let question = query.queries.first().unwrap().clone();
                let name = question.name().clone();
                let service = |priority, port, host: &str| {
                    RData::SRV(SRV::new(priority, 1, port, DnsName::from_str(host).unwrap()))
                };
                let answers = match (name.to_ascii().to_lowercase().as_str(), question.query_type()) {
                    ("_alice._erlang._tcp.prod.", RecordType::SRV) => {
                        vec![service(20, 9002, "two.test."), service(10, 9001, "one.test.")]
                    }
                    ("one.test.", RecordType::A) => vec![RData::A(A(Ipv4Addr::new(10, 0, 0, 1)))],
                    ("two.test.", RecordType::A) => vec![RData::A(A(Ipv4Addr::new(10, 0, 0, 2)))],
                    _ => vec![],
                };
                let mut response = query.into_response();
                response.metadata.response_code = if answers.is_empty() {
                    ResponseCode::NXDomain
                } else {
                    ResponseCode::NoError
                };
                for answer in answers {
                    response
                        .answers
                        .push(Record::from_rdata(name.clone(), 60, answer));
                }
                socket.send_to(&response.to_vec().unwrap(), from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn services_are_found_in_the_order_of_their_priority() {
        let dns = Dns::from_servers(&[name_server().await]).unwrap();
        let alice = dns.resolve(&Name::new("alice").unwrap(), "prod").await.unwrap();
        assert_eq!(
            alice.addresses,
            ["10.0.0.1:9001", "10.0.0.2:9002"].map(|text| text.parse().unwrap())
        );
        let bob = dns.resolve(&Name::new("bob").unwrap(), "prod").await.unwrap_err();
        assert!(
            matches!(bob, ResolveError::NoRecords { kind: "SRV", .. }),
            "{bob}"
        );
    }

    #[tokio::test]
    async fn addresses_are_found_with_the_port_that_all_share() {
        let dns = Dns::from_servers(&[name_server().await])
            .unwrap()
            .addresses("{host}.test.", 9000);
        let alice = dns.resolve(&Name::new("alice").unwrap(), "one").await.unwrap();
        assert_eq!(alice.addresses, ["10.0.0.1:9000".parse().unwrap()]);
        assert_eq!(dns.listen_port(), Some(9000));
        let nowhere = dns
            .resolve(&Name::new("alice").unwrap(), "three")
            .await
            .unwrap_err();
        assert!(
            matches!(nowhere, ResolveError::NoRecords { kind: "address", .. }),
            "{nowhere}"
        );
    }
}
