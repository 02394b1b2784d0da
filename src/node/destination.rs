//! Whom a message is for.

use crate::term::{Atom, Pid, Reference};

/// The receiver of a message, as on the left of Erlang's `!`.
///
/// Everything that Erlang takes there converts into one: a pid, a registered name of this node, a name and a
/// node, an alias.
///
/// ```
/// use beamnode::node::Destination;
/// let there: Destination = ("shell", "alice@127.0.0.1").into();
/// let here: Destination = "logger".into();
/// # let _ = (there, here);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A process, of this node or another.
    Pid(Pid),
    /// The process registered under this name on this node.
    Name(Atom),
    /// The process registered under `name` on `node`.
    Remote {
        /// The registered name.
        name: Atom,
        /// The node, which may be this one.
        node: Atom,
    },
    /// The process that made this alias, as long as the alias is active.
    Alias(Reference),
    /// No process at all: what a name converts to that is too long for an atom (over 255 characters).
    Nobody,
}

impl From<Pid> for Destination {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl From<&Pid> for Destination {
    fn from(pid: &Pid) -> Self {
        Self::Pid(pid.clone())
    }
}

impl From<Atom> for Destination {
    fn from(name: Atom) -> Self {
        Self::Name(name)
    }
}

impl From<&Atom> for Destination {
    fn from(name: &Atom) -> Self {
        Self::Name(name.clone())
    }
}

impl From<&str> for Destination {
    fn from(name: &str) -> Self {
        Atom::new(name).map_or(Self::Nobody, Self::Name)
    }
}

impl<N: AsRef<str>, M: AsRef<str>> From<(N, M)> for Destination {
    fn from((name, node): (N, M)) -> Self {
        match (Atom::new(name.as_ref()), Atom::new(node.as_ref())) {
            (Ok(name), Ok(node)) => Self::Remote { name, node },
            _ => Self::Nobody,
        }
    }
}

impl From<Reference> for Destination {
    fn from(alias: Reference) -> Self {
        Self::Alias(alias)
    }
}
