//! What scopes say to one another, in every form that a release since OTP 23 uses.
//!
//! | | OTP 23 to 28 | OTP 29 |
//! |---|---|---|
//! | who is there | `{discover, Pid}` | `{discover, Pid, Version}` |
//! | all that I have | cast `{sync, Pid, [{Group, [Member]}]}` | cast `{local_data, Pid, Version, #{Group => [Member]}}` |
//! | changes | `{join, Pid, Group, Members}`, `{leave, Pid, Members, [Group]}` | `{update, Pid, [{Group, Joined, Left}]}` |
//!
//! `Members` is one pid or a list. All of them are read. Sent are those of the left column alone: whoever gets a two-element `discover`
//! answers in that column for good, OTP 29 too, while the `pg` of OTP 23 to 25 ends at anything else.

use super::scope::{Change, ChangeKind, Members};
use crate::term::{Atom, Pid, Reference, Term};

/// A message from the scope `peer` of another node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Discover {
        peer: Pid,
    },
    Sync {
        peer: Pid,
        groups: Members,
    },
    Join {
        peer: Pid,
        group: Term,
        pids: Vec<Pid>,
    },
    /// Out of each of the groups, once for each time that it is named.
    Leave {
        peer: Pid,
        pids: Vec<Pid>,
        groups: Vec<Term>,
    },
    Update {
        peer: Pid,
        changes: Vec<(Term, Vec<Pid>, Vec<Pid>)>,
    },
}

/// What a scope's process receives.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    NodeUp(Atom),
    Peer(Message),
}

/// Reads what a scope's process received; `None` for anything else.
pub(super) fn read(message: &Term) -> Option<Received> {
    let tuple = message.as_tuple()?;
    let Term::Atom(tag) = tuple.get(0)? else {
        return None;
    };
    Some(Received::Peer(match tag.as_str() {
        "nodeup" => return Some(Received::NodeUp(tuple.get(1)?.as_atom()?.clone())),
        "$gen_cast" => cast(&tuple.get(1)?)?,
        "discover" if (2..=3).contains(&tuple.len()) => Message::Discover {
            peer: pid(&tuple.get(1)?)?,
        },
        "join" => {
            let [_, peer, group, members] = tuple.array()?;
            Message::Join {
                peer: pid(&peer)?,
                group,
                pids: pids(&members)?,
            }
        }
        "leave" => {
            let [_, peer, members, groups] = tuple.array()?;
            Message::Leave {
                peer: pid(&peer)?,
                pids: pids(&members)?,
                groups: list(&groups)?,
            }
        }
        "update" => {
            let [_, peer, changes] = tuple.array()?;
            let changes = list(&changes)?.iter().map(change).collect::<Option<_>>()?;
            Message::Update {
                peer: pid(&peer)?,
                changes,
            }
        }
        _ => return None,
    }))
}

/// The cast in which a peer says all that it has.
fn cast(request: &Term) -> Option<Message> {
    let tuple = request.as_tuple()?;
    let tag = tuple.get(0)?;
    let peer = pid(&tuple.get(1)?)?;
    let mut groups = Members::new();
    if tag.is_atom("sync") {
        let [_, _, pairs] = tuple.array()?;
        for pair in list(&pairs)? {
            let [group, members] = pair.as_tuple()?.array()?;
            groups.insert(group, pids(&members)?);
        }
    } else if tag.is_atom("local_data") {
        let [_, _, _version, data] = tuple.array()?;
        let Term::Map(data) = data else { return None };
        for (group, members) in data.iter() {
            groups.insert(group, pids(&members)?);
        }
    } else {
        return None;
    }
    groups.retain(|_, members| !members.is_empty());
    Some(Message::Sync { peer, groups })
}

fn change(change: &Term) -> Option<(Term, Vec<Pid>, Vec<Pid>)> {
    let [group, joined, left] = change.as_tuple()?.array()?;
    Some((group, pids(&joined)?, pids(&left)?))
}

fn pid(term: &Term) -> Option<Pid> {
    match term {
        Term::Pid(pid) => Some(pid.clone()),
        _ => None,
    }
}

/// One pid, or a list of them.
pub(super) fn pids(term: &Term) -> Option<Vec<Pid>> {
    match term {
        Term::Pid(pid) => Some(vec![pid.clone()]),
        Term::List(list) if list.is_proper() => list.iter().map(|term| pid(&term)).collect(),
        _ => None,
    }
}

fn list(term: &Term) -> Option<Vec<Term>> {
    match term {
        Term::List(list) if list.is_proper() => Some(list.iter().collect()),
        _ => None,
    }
}

impl Message {
    /// As every release reads it.
    pub(super) fn term(&self) -> Term {
        match self {
            Self::Discover { peer } => Term::from((Term::atom("discover"), peer.clone())),
            Self::Sync { peer, groups } => {
                let pairs = groups.iter();
                let pairs = pairs.map(|(group, pids)| Term::from((group.clone(), Term::from(pids.clone()))));
                let sync = (Term::atom("sync"), peer.clone(), pairs.collect::<Vec<_>>());
                Term::from((Term::atom("$gen_cast"), Term::from(sync)))
            }
            Self::Join { peer, group, pids } => {
                Term::from((Term::atom("join"), peer.clone(), group.clone(), one_or_list(pids)))
            }
            Self::Leave { peer, pids, groups } => Term::from((
                Term::atom("leave"),
                peer.clone(),
                one_or_list(pids),
                Term::from(groups.clone()),
            )),
            Self::Update { peer, changes } => {
                let changes = changes.iter().map(|(group, joined, left)| {
                    Term::from((
                        group.clone(),
                        Term::from(joined.clone()),
                        Term::from(left.clone()),
                    ))
                });
                Term::from((Term::atom("update"), peer.clone(), changes.collect::<Vec<_>>()))
            }
        }
    }
}

fn one_or_list(pids: &[Pid]) -> Term {
    match pids {
        [pid] => Term::from(pid.clone()),
        pids => Term::from(pids.to_vec()),
    }
}

impl Change {
    /// As who monitors a scope or group is told: `{Reference, join, Group, Pids}`.
    pub(super) fn term(&self, reference: &Reference) -> Term {
        let kind = match self.kind {
            ChangeKind::Join => "join",
            ChangeKind::Leave => "leave",
        };
        let pids = Term::from(self.pids.clone());
        Term::from((reference.clone(), Term::atom(kind), self.group.clone(), pids))
    }

    /// Reads such a message.
    pub(super) fn read(message: &Term) -> Option<(Reference, Self)> {
        let [Term::Reference(reference), kind, group, members] = message.as_tuple()?.array()? else {
            return None;
        };
        let kind = match kind.as_atom()?.as_str() {
            "join" => ChangeKind::Join,
            "leave" => ChangeKind::Leave,
            _ => return None,
        };
        let pids = pids(&members)?;
        Some((reference, Self { kind, group, pids }))
    }
}
