//! What the name servers of a cluster say to each other, in terms.
//!
//! The protocol of `global` is documented nowhere but in its source; this is how it looks on the wire, in its versions 5 (OTP 23) to
//! 8 (OTP 25 to 29).

use super::tables::Entry;
use crate::term::{Atom, Pid, Term};

/// The version that is spoken here.
pub(super) const VERSION: i64 = 8;
/// From this one on a session is acknowledged, and cancelled when it is out of step.
pub(super) const VERIFIES: i64 = 8;
/// From this one on a lost connection is told to everybody.
pub(super) const PREVENTS: i64 = 7;
/// From this one on nodes are told with their versions.
pub(super) const PROPAGATES: i64 = 7;
/// From this one on lockers talk through their name servers.
pub(super) const THROUGH_SERVER: i64 = 6;

/// A node, and the version that it speaks; 0 if nobody said.
pub(super) type Peer = (Atom, i64);

/// What becomes of a name when two partitions join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    Insert(Entry),
    Delete(Term),
}

impl Operation {
    pub(super) fn name(&self) -> &Term {
        match self {
            Self::Insert(entry) => &entry.name,
            Self::Delete(name) => name,
        }
    }

    fn read(term: &Term) -> Option<Self> {
        let [Term::Atom(tag), what] = term.as_tuple()?.array::<2>()? else {
            return None;
        };
        match tag.as_str() {
            "insert" => Entry::read(&what).map(Self::Insert),
            "delete" => Some(Self::Delete(what)),
            _ => None,
        }
    }

    fn term(&self) -> Term {
        match self {
            Self::Insert(entry) => Term::from((Term::atom("insert"), entry.term())),
            Self::Delete(name) => Term::from((Term::atom("delete"), name.clone())),
        }
    }
}

/// Those elements of a list that can be read.
fn list<T>(term: &Term, read: impl Fn(&Term) -> Option<T>) -> Option<Vec<T>> {
    Some(
        term.as_list()?
            .iter()
            .filter_map(|element| read(&element))
            .collect(),
    )
}

pub(super) fn entries(term: &Term) -> Option<Vec<Entry>> {
    list(term, Entry::read)
}

pub(super) fn operations(term: &Term) -> Option<Vec<Operation>> {
    list(term, Operation::read)
}

pub(super) fn operations_term(operations: &[Operation]) -> Term {
    Term::from(operations.iter().map(Operation::term).collect::<Vec<_>>())
}

/// `[{Node, Version}]`, or `[Node]` from older releases.
pub(super) fn peers(term: &Term) -> Option<Vec<Peer>> {
    list(term, |peer| match peer {
        Term::Atom(node) => Some((node.clone(), 0)),
        Term::Tuple(pair) => match pair.array::<2>()? {
            [Term::Atom(node), Term::Integer(version)] => Some((node, version)),
            _ => None,
        },
        _ => None,
    })
}

/// For a peer of `version`.
pub(super) fn peers_term(peers: &[Peer], version: i64) -> Term {
    if version < PROPAGATES {
        return Term::from(peers.iter().map(|(node, _)| node.clone()).collect::<Vec<_>>());
    }
    let pairs = peers
        .iter()
        .map(|(node, version)| Term::from((node.clone(), *version)));
    Term::from(pairs.collect::<Vec<_>>())
}

/// `[{Name, Pid, Node}]`: names of processes whose nodes have no `global`.
pub(super) fn external(term: &Term) -> Vec<(Term, Pid, Atom)> {
    let read = |entry: &Term| match entry.as_tuple()?.array::<3>()? {
        [name, Term::Pid(pid), Term::Atom(node)] => Some((name, pid, node)),
        _ => None,
    };
    list(term, read).unwrap_or_default()
}

/// The value of a key in a list of pairs.
pub(super) fn property(term: &Term, key: &str) -> Option<Term> {
    term.as_list()?
        .iter()
        .find_map(|pair| match pair.as_tuple()?.array::<2>()? {
            [Term::Atom(found), value] if found == *key => Some(value),
            _ => None,
        })
}

/// The resource that is locked while names change and partitions join.
pub(super) fn global() -> Term {
    Term::atom("global")
}

/// `{global, Requester}`.
pub(super) fn lock_id(requester: &Term) -> Term {
    Term::from((global(), requester.clone()))
}

/// The requester that two lockers have in common, so that a node which both know gives both the lock.
pub(super) fn common_requester(one: &Pid, other: &Pid) -> Term {
    let mut both = [Term::from(one), Term::from(other)];
    both.sort();
    Term::from(both)
}
