//! Names of nodes: `alive@host`.
//!
//! Which names are legal follows what `net_kernel` accepts at an incoming connection: the part before the `@` of
//! letters, digits, `_` and `-`; exactly one `@`; a host. Whether a name is short or long follows from its host as
//! in `net_kernel`: long with a dot in it or when it is an IPv6 address.

use crate::term::Atom;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a node, `alive@host`: legal by its type. Cheap to clone.
///
/// Ordered bytewise, which decides who wins when two nodes connect to each other at the same time.
///
/// ```
/// use beamnode::dist::{NameKind, NodeName};
///
/// let name: NodeName = "rust@example.org".parse()?;
/// assert_eq!((name.alive(), name.host()), ("rust", "example.org"));
/// assert_eq!(name.kind(), NameKind::Long);
/// assert!("rust".parse::<NodeName>().is_err());
/// # Ok::<(), beamnode::dist::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName {
    text: Arc<str>,
    /// Where the `@` stands.
    at: usize,
}

/// Whether names are short (`rust@host`) or long (`rust@host.example.org`). A node uses one kind, and speaks only
/// with nodes that use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// The host has no dot: `-sname`.
    Short,
    /// The host has a dot or is an IPv6 address: `-name`.
    Long,
}

/// Why a name is no name of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There must be exactly one `@`.
    #[error("{0:?} is not a node's name: it must be NAME@HOST")]
    NotNameAtHost(String),
    /// The part before the `@` is empty or has other characters than letters, digits, `_` and `-`.
    #[error("{0:?} is not a node's name: before the @ only letters, digits, _ and - may stand, at least one")]
    IllegalAlive(String),
    /// The part after the `@` is empty or has characters that no host name has.
    #[error("{0:?} is not a node's name: after the @ must stand a host")]
    IllegalHost(String),
    /// An atom, and so a name, has at most 255 characters.
    #[error("a node's name of {0} bytes: it may have at most 255")]
    TooLong(usize),
    /// Long and short names do not mix.
    #[error("{name} is a {} name, and this node uses {} names", .name.kind(), .ours)]
    OtherKind {
        /// The other node.
        name: NodeName,
        /// What we use.
        ours: NameKind,
    },
}

/// The most bytes that a name may have.
const MAX_LENGTH: usize = 255;

impl NodeName {
    /// The name made of its two parts.
    pub fn new(alive: &str, host: &str) -> Result<Self, NameError> {
        let text = format!("{alive}@{host}");
        if text.len() > MAX_LENGTH {
            return Err(NameError::TooLong(text.len()));
        }
        if host.contains('@') || alive.contains('@') {
            return Err(NameError::NotNameAtHost(text));
        }
        if alive.is_empty()
            || !alive
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            return Err(NameError::IllegalAlive(text));
        }
        if !is_host(host) {
            return Err(NameError::IllegalHost(text));
        }
        Ok(Self {
            at: alive.len(),
            text: text.into(),
        })
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`: what the port mapper on the host knows.
    pub fn alive(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The part after the `@`.
    pub fn host(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// Whether this is a short or a long name.
    pub fn kind(&self) -> NameKind {
        let host = self.host();
        if host.contains('.') || host.parse::<Ipv6Addr>().is_ok() {
            NameKind::Long
        } else {
            NameKind::Short
        }
    }

    /// That this node can be dialled by one that uses names of kind `ours`.
    pub fn expect_kind(&self, ours: NameKind) -> Result<(), NameError> {
        if self.kind() == ours {
            Ok(())
        } else {
            Err(NameError::OtherKind {
                name: self.clone(),
                ours,
            })
        }
    }
}

/// Whether this can stand after the `@`: something, of printable characters of Latin-1 without blanks.
pub(crate) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .chars()
            .all(|c| c != '@' && c.is_ascii_graphic() || ('\u{a1}'..='\u{ff}').contains(&c))
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (alive, host) = text
            .split_once('@')
            .ok_or_else(|| NameError::NotNameAtHost(text.to_owned()))?;
        Self::new(alive, host)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeName({})", self.text)
    }
}

/// The name as it stands in pids, ports and references.
impl From<&NodeName> for Atom {
    fn from(name: &NodeName) -> Self {
        // At most 255 bytes, so at most 255 characters.
        Self::from_checked(name.as_str())
    }
}

impl AsRef<str> for NodeName {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "short",
            Self::Long => "long",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names() {
        for (text, kind) in [
            ("a@b", NameKind::Short),
            ("rust_1-x@host", NameKind::Short),
            ("rust@127.0.0.1", NameKind::Long),
            ("rust@::1", NameKind::Long),
            ("rust@host.example.org", NameKind::Long),
        ] {
            let name: NodeName = text.parse().unwrap();
            assert_eq!((name.to_string().as_str(), name.kind()), (text, kind));
            assert_eq!(format!("{}@{}", name.alive(), name.host()), text);
        }
    }

    #[test]
    fn illegal_names() {
        for (text, wrong) in [
            ("rust", NameError::NotNameAtHost("rust".into())),
            ("", NameError::NotNameAtHost(String::new())),
            ("a@b@c", NameError::NotNameAtHost("a@b@c".into())),
            ("@host", NameError::IllegalAlive("@host".into())),
            ("ru.st@host", NameError::IllegalAlive("ru.st@host".into())),
            ("rüst@host", NameError::IllegalAlive("rüst@host".into())),
            ("rust@", NameError::IllegalHost("rust@".into())),
            ("rust@a b", NameError::IllegalHost("rust@a b".into())),
        ] {
            assert_eq!(text.parse::<NodeName>(), Err(wrong));
        }
        assert_eq!(
            format!("a@{}", "b".repeat(254)).parse::<NodeName>(),
            Err(NameError::TooLong(256))
        );
    }

    #[test]
    fn kinds_do_not_mix() {
        let name: NodeName = "rust@host".parse().unwrap();
        assert_eq!(name.expect_kind(NameKind::Short), Ok(()));
        let error = name.expect_kind(NameKind::Long).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rust@host is a short name, and this node uses long names"
        );
    }

    #[test]
    fn order_is_that_of_bytes() {
        let name = |text: &str| text.parse::<NodeName>().unwrap();
        assert!(name("a@b") < name("b@a"));
        assert!(name("a1@h") < name("a@h"));
    }
}
