//! What a process finds in its mailbox.

use crate::dist::control::Monitored;
use crate::etf::{DecodeError, RawTerm};
#[cfg(feature = "serde")]
use crate::etf::{SerdeError, from_term};
use crate::term::{Atom, Pid, Reference, Term};

/// A message received by a process.
///
/// What other processes sent stays encoded until it is asked for, so that forwarding costs nothing and a receiver may
/// choose its own type. Exits that the process traps and monitors that fire are messages too, as in Erlang.
#[derive(Debug, Clone)]
pub enum Message {
    /// A message that somebody sent.
    Term(RawTerm),
    /// An exit signal to a process that traps exits: `{'EXIT', From, Reason}`.
    Exit(Box<Exit>),
    /// A monitor fired: `{'DOWN', Reference, process, Item, Reason}`, or with another tag in place of `'DOWN'`.
    Down(Box<Down>),
}

impl Message {
    /// The message as the term that an Erlang process would receive.
    ///
    /// # Errors
    /// When a peer sent what is no term: that costs this message, and nothing else.
    pub fn term(&self) -> Result<Term, DecodeError> {
        match self {
            Self::Term(raw) => raw.decode(),
            Self::Exit(exit) => Ok(Term::from((
                Atom::from_static("EXIT"),
                exit.from.clone(),
                exit.reason.decode()?,
            ))),
            Self::Down(down) => Ok(Term::from((
                down.tag.as_deref().cloned().unwrap_or_else(|| Term::atom("DOWN")),
                down.reference.clone(),
                Atom::from_static("process"),
                down.item.term(),
                down.reason.decode()?,
            ))),
        }
    }
}

#[cfg(feature = "serde")]
impl Message {
    /// The message as a value of one's own type, without a [`Term`] between where somebody sent it.
    ///
    /// # Errors
    /// When it is not such a value; the error says where in the message.
    pub fn deserialize<T: serde::de::DeserializeOwned>(&self) -> Result<T, SerdeError> {
        match self {
            Self::Term(raw) => raw.deserialize(),
            Self::Exit(_) | Self::Down(_) => {
                from_term(&self.term().map_err(crate::etf::SerdeErrorKind::Decode)?)
            }
        }
    }
}

/// A linked process ended, or somebody sent an exit signal, and this process traps exits.
#[derive(Debug, Clone)]
pub struct Exit {
    /// The process that ended or sent the signal.
    pub from: Pid,
    /// The reason given.
    pub reason: RawTerm,
}

/// A monitor fired, and is gone.
#[derive(Debug, Clone)]
pub struct Down {
    /// What [`Process::monitor`](super::Process::monitor) gave.
    pub reference: Reference,
    /// What was monitored.
    pub item: Item,
    /// Why it is down: its exit reason, `noproc` or `noconnection`.
    pub reason: RawTerm,
    /// What the message is to begin with instead of `'DOWN'`.
    pub tag: Option<Box<Term>>,
}

/// What a monitor watches: a process by pid, or the process that has a name on a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// A process.
    Pid(Pid),
    /// The process registered under `name` on `node`.
    Name {
        /// The registered name.
        name: Atom,
        /// The node.
        node: Atom,
    },
}

impl Item {
    /// The item as a `'DOWN'` message shows it: a pid, or `{Name, Node}`.
    #[must_use]
    pub fn term(&self) -> Term {
        match self {
            Self::Pid(pid) => Term::from(pid.clone()),
            Self::Name { name, node } => Term::from((name.clone(), node.clone())),
        }
    }

    /// The node that the item lives on.
    #[must_use]
    pub fn node(&self) -> &Atom {
        match self {
            Self::Pid(pid) => pid.node(),
            Self::Name { node, .. } => node,
        }
    }
}

/// As the wire has it, where the node goes without saying.
impl From<Item> for Monitored {
    fn from(item: Item) -> Self {
        match item {
            Item::Pid(pid) => Self::Pid(pid),
            Item::Name { name, .. } => Self::Name(name),
        }
    }
}

impl From<Pid> for Item {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl From<&Pid> for Item {
    fn from(pid: &Pid) -> Self {
        Self::Pid(pid.clone())
    }
}

impl From<(Atom, Atom)> for Item {
    fn from((name, node): (Atom, Atom)) -> Self {
        Self::Name { name, node }
    }
}

/// Panics if one of the two is longer than an atom can be.
impl From<(&'static str, &'static str)> for Item {
    fn from((name, node): (&'static str, &'static str)) -> Self {
        Self::Name {
            name: Atom::from_static(name),
            node: Atom::from_static(node),
        }
    }
}
