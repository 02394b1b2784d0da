//! The links of one process, as "Link Protocol" in Erlang's distribution protocol documentation has them.
//!
//! A link that one side takes away while the other sets it up anew would be seen by one side only, if unlinking were a
//! single signal. So `unlink` carries an identifier, the entry stays (inactive) until the other side has
//! acknowledged that very identifier, and a link set up in between makes it active again. Both ends of a pair on one
//! node change at once, under both locks, so that there nothing crosses.

use std::collections::hash_map::Entry;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::HashMap;
use super::connections::Connection;
use crate::term::Pid;

/// Whether an entry passes exit signals on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    /// Unlinked here; the other side has yet to acknowledge this identifier.
    Unlinking(NonZeroU64),
}

#[derive(Debug)]
struct Link {
    state: State,
    /// Whether the message of its exit signal comes before others, as `link(Pid, [priority])`.
    priority: bool,
    /// The connection that the link goes over; `None` for a process of this node.
    via: Option<Arc<Connection>>,
}

/// The links of one process, by the pid of the other one.
#[derive(Debug)]
pub(crate) struct Links {
    entries: HashMap<Pid, Link>,
    last_id: NonZeroU64,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            entries: HashMap::default(),
            last_id: NonZeroU64::MIN,
        }
    }
}

impl Links {
    /// The process links itself to `to`; `true` when a link signal must go there.
    pub(crate) fn link(&mut self, to: &Pid, via: Option<&Arc<Connection>>, priority: bool) -> bool {
        match self.entries.entry(to.clone()) {
            Entry::Occupied(mut entry) => {
                let entry = entry.get_mut();
                entry.priority = priority;
                std::mem::replace(&mut entry.state, State::Active) != State::Active
            }
            Entry::Vacant(entry) => {
                entry.insert(Link {
                    state: State::Active,
                    priority,
                    via: via.cloned(),
                });
                true
            }
        }
    }

    /// The process unlinks itself from `to`, of another node; the identifier to send there, if there was a link.
    pub(crate) fn unlink(&mut self, to: &Pid) -> Option<(NonZeroU64, Option<Arc<Connection>>)> {
        let link = self.entries.get_mut(to)?;
        if link.state != State::Active {
            return None;
        }
        let via = link.via.clone();
        self.last_id = self.last_id.checked_add(1).unwrap_or(NonZeroU64::MIN);
        if via.as_ref().is_some_and(|via| !via.acknowledges_unlink()) {
            self.entries.remove(to);
        } else {
            link.state = State::Unlinking(self.last_id);
        }
        Some((self.last_id, via))
    }

    /// A link signal came. `true` when it made a link: one that is here already, active or not, stays as it is.
    pub(crate) fn linked_by(&mut self, from: Pid, via: Option<&Arc<Connection>>) -> bool {
        match self.entries.entry(from) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(Link {
                    state: State::Active,
                    priority: false,
                    via: via.cloned(),
                });
                true
            }
        }
    }

    /// An unlink signal came. `true` when it took away an active link. The acknowledgement is owed in any case.
    pub(crate) fn unlinked_by(&mut self, from: &Pid) -> bool {
        self.remove_if(from, |state| state == State::Active)
    }

    /// The other side has acknowledged `id`. `true` when that was the entry's last word.
    pub(crate) fn acknowledged(&mut self, from: &Pid, id: NonZeroU64) -> bool {
        self.remove_if(from, |state| state == State::Unlinking(id))
    }

    /// Removes the entry for `pid`, whatever its state.
    pub(crate) fn remove(&mut self, pid: &Pid) -> bool {
        self.entries.remove(pid).is_some()
    }

    /// The other side has ended. `None` when there was no active link, so that the exit signal has no effect; else whether
    /// its message has priority. The entry is gone afterwards.
    pub(crate) fn exited(&mut self, from: &Pid) -> Option<bool> {
        let link = self.entries.remove(from)?;
        (link.state == State::Active).then_some(link.priority)
    }

    /// Takes out the active links over `connection`, which is gone, and whether their messages have priority; inactive ones
    /// are forgotten.
    pub(crate) fn disconnected(&mut self, connection: &Connection) -> Vec<(Pid, bool)> {
        self.entries
            .extract_if(|_, link| {
                link.via
                    .as_deref()
                    .is_some_and(|via| std::ptr::eq(via, connection))
            })
            .filter_map(|(pid, link)| (link.state == State::Active).then_some((pid, link.priority)))
            .collect()
    }

    /// Takes out everything; the process is ending. Yields each peer, its connection, and whether the link is active.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (Pid, Option<Arc<Connection>>, bool)> {
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(pid, link)| (pid, link.via, link.state == State::Active))
    }

    /// The pids of the active links.
    pub(crate) fn pids(&self) -> impl Iterator<Item = &Pid> {
        self.entries
            .iter()
            .filter(|(_, link)| link.state == State::Active)
            .map(|(pid, _)| pid)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn remove_if(&mut self, pid: &Pid, condition: impl FnOnce(State) -> bool) -> bool {
        let Entry::Occupied(entry) = self.entries.entry(pid.clone()) else {
            return false;
        };
        if !condition(entry.get().state) {
            return false;
        }
        entry.remove();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::Atom;

    fn pid(id: u32) -> Pid {
        Pid::new(Atom::from_static("a@b"), id, 0, 4)
    }

    #[test]
    fn a_second_link_sends_nothing() {
        let mut links = Links::default();
        assert!(links.link(&pid(1), None, false));
        assert!(!links.link(&pid(1), None, false));
        assert_eq!(links.pids().collect::<Vec<_>>(), [&pid(1)]);
    }

    #[test]
    fn an_unlinked_peer_that_exits_at_the_same_time_is_not_heard() {
        let mut links = Links::default();
        links.link(&pid(1), None, false);
        assert!(links.unlink(&pid(1)).is_some());
        assert_eq!(links.exited(&pid(1)), None, "its exit signal was on the way");
    }

    #[test]
    fn a_link_made_anew_outlives_the_acknowledgement_of_the_old_unlink() {
        let mut links = Links::default();
        links.link(&pid(1), None, false);
        let (id, _) = links.unlink(&pid(1)).unwrap();
        assert!(
            links.link(&pid(1), None, false),
            "a link signal follows the unlink signal"
        );
        assert!(!links.acknowledged(&pid(1), id));
        assert_eq!(links.exited(&pid(1)), Some(false));
    }

    #[test]
    fn a_link_signal_that_crossed_our_unlink_makes_no_link() {
        let mut links = Links::default();
        links.link(&pid(1), None, false);
        let (id, _) = links.unlink(&pid(1)).unwrap();
        assert!(!links.linked_by(pid(1), None));
        assert_eq!(links.pids().count(), 0);
        assert!(links.acknowledged(&pid(1), id));
        assert!(
            links.linked_by(pid(1), None),
            "one that comes after the acknowledgement does"
        );
    }

    #[test]
    fn only_the_last_identifier_counts() {
        let mut links = Links::default();
        links.link(&pid(1), None, false);
        let (first, _) = links.unlink(&pid(1)).unwrap();
        links.link(&pid(1), None, false);
        let (second, _) = links.unlink(&pid(1)).unwrap();
        assert!(!links.acknowledged(&pid(1), first));
        assert!(links.acknowledged(&pid(1), second));
    }
}
