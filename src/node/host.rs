//! The name of this host, as `erl -sname` and `erl -name` complete a node's name with it.

use crate::dist::{NameError, NameKind, NodeName};

/// Why a node's name could not be completed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// What was given, or what came of it, is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// This host's name is not known beyond its first label, and a long name needs more.
    #[error(
        "cannot make a long name: the host name {host:?} has no domain, and neither does the resolver's configuration"
    )]
    NoDomain {
        /// The host name.
        host: String,
    },
}

/// Completes `name`, `NAME` or `NAME@HOST`, to a short name.
pub(crate) fn short(name: &str) -> Result<NodeName, HostError> {
    let full = match name.split_once('@') {
        Some(_) => name.parse()?,
        None => NodeName::new(name, &short_hostname())?,
    };
    full.expect_kind(NameKind::Short)?;
    Ok(full)
}

/// Completes `name`, `NAME` or `NAME@HOST`, to a long name.
pub(crate) fn long(name: &str) -> Result<NodeName, HostError> {
    let full = match name.split_once('@') {
        Some(_) => name.parse()?,
        None => NodeName::new(name, &full_hostname()?)?,
    };
    full.expect_kind(NameKind::Long)?;
    Ok(full)
}

/// The host name up to its first dot.
pub(super) fn short_hostname() -> String {
    hostname().split('.').next().unwrap_or_default().to_owned()
}

fn hostname() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The host name with its domain: as it is when it has one, else with the resolver's, as `inet_db` does.
pub(super) fn full_hostname() -> Result<String, HostError> {
    let host = hostname();
    if host.contains('.') {
        return Ok(host);
    }
    let configuration = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    match domain(&configuration) {
        Some(domain) => Ok(format!("{host}.{domain}")),
        None => Err(HostError::NoDomain { host }),
    }
}

/// The domain that a resolver's configuration names: the last `domain` line, or the first of the `search` list.
fn domain(configuration: &str) -> Option<&str> {
    configuration.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("domain" | "search"))
            .then(|| words.next())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_host_is_taken_as_it_is() {
        assert_eq!(short("rust@build-7").unwrap().as_str(), "rust@build-7");
        assert_eq!(long("rust@10.0.0.1").unwrap().as_str(), "rust@10.0.0.1");
    }

    #[test]
    fn the_kinds_do_not_mix() {
        assert!(matches!(
            short("rust@a.example.org"),
            Err(HostError::Name(NameError::OtherKind { .. }))
        ));
        assert!(matches!(
            long("rust@a"),
            Err(HostError::Name(NameError::OtherKind { .. }))
        ));
    }

    #[test]
    fn the_domain_is_that_of_the_resolver() {
        assert_eq!(domain("nameserver 10.0.0.1\nsearch a.org b.org\n"), Some("a.org"));
        assert_eq!(domain("search a.org\ndomain c.org\n"), Some("c.org"));
        assert_eq!(domain("nameserver 10.0.0.1\n"), None);
    }
}
