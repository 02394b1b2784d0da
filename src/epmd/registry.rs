//! The names that a daemon knows: those of living nodes, and for a while those of nodes that have gone.
//!
//! A name belongs to the connection that registered it and is free again when that connection ends. What is remembered of it
//! then is its *creation*, so that the next node of that name gets another one: without that, a process identifier of
//! the old node could be taken for one of the new. Follows "EPMD Protocol" in Erlang's *Distribution Protocol* chapter.
//!
//! All operations take time that does not grow, or hardly, with the number of names. Knows no sockets and no
//! clock: connections are numbers, and the time comes with the call.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::message::{LARGE_CREATION_VERSION, Name, NamesAnswer, NodeInfo, Registrant, put_decimal};

/// How many names of nodes that have gone are remembered.
const REMEMBERED: usize = 1000;
/// The same in a daemon that is being debugged.
const REMEMBERED_DEBUGGING: usize = 5;
/// Creations below are never handed out: 0 means "none", and 1 to 3 are those of the old form.
const FIRST_CREATION: u32 = 4;

/// A connection to the daemon, by a number that no other open connection has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The names that a daemon knows.
#[derive(Debug, Default)]
pub struct Registry {
    /// The living, by the order in which they came.
    living: BTreeMap<u64, Living>,
    by_name: HashMap<Name, u64>,
    by_connection: HashMap<ConnectionId, u64>,
    next: u64,
    gone: Gone,
}

#[derive(Debug)]
struct Living {
    node: NodeInfo,
    counter: u32,
    connection: ConnectionId,
}

impl Registry {
    /// An empty one. With `debugging`, fewer names of nodes that have gone are remembered, as in stock's debug mode.
    #[must_use]
    pub fn new(debugging: bool) -> Self {
        let remembered = if debugging {
            REMEMBERED_DEBUGGING
        } else {
            REMEMBERED
        };
        Self {
            gone: Gone {
                remembered,
                ..Gone::default()
            },
            ..Self::default()
        }
    }

    /// Registers `node` for `connection` and gives the creation that it is to have, or `None` if the name is taken.
    /// `now` is the time in seconds since whenever; it seeds the creation of names not seen before.
    ///
    /// A connection registers at most once; that is the caller's to see to.
    pub fn register(&mut self, node: Registrant, connection: ConnectionId, now: u32) -> Option<u32> {
        if self.by_name.contains_key(&node.name) {
            return None;
        }
        let counter = match self.gone.recall(&node.name) {
            Some(counter) => counter.wrapping_add(1),
            None => self.gone.steal().unwrap_or(now),
        };
        let counter = counter.max(FIRST_CREATION);
        let creation = if node.highest_version >= LARGE_CREATION_VERSION {
            counter
        } else {
            counter % 3 + 1
        };
        let order = self.next;
        self.next += 1;
        self.by_name.insert(node.name.clone(), order);
        self.by_connection.insert(connection, order);
        self.living.insert(
            order,
            Living {
                node,
                counter,
                connection,
            },
        );
        Some(creation)
    }

    /// The node of that name.
    #[must_use]
    pub fn lookup(&self, name: &Name) -> Option<&NodeInfo> {
        let order = self.by_name.get(name)?;
        self.living.get(order).map(|living| &living.node)
    }

    /// Frees the name that `connection` holds, and says which it was.
    pub fn unregister(&mut self, connection: ConnectionId) -> Option<Name> {
        let order = self.by_connection.remove(&connection)?;
        self.retire(order)
    }

    /// Frees `name` and says which connection held it.
    pub fn stop(&mut self, name: &Name) -> Option<ConnectionId> {
        let order = *self.by_name.get(name)?;
        let connection = self.living.get(&order)?.connection;
        self.by_connection.remove(&connection);
        self.retire(order)?;
        Some(connection)
    }

    /// How many nodes are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.living.len()
    }

    /// Whether no node is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.living.is_empty()
    }

    /// The registered nodes, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &NodeInfo> {
        self.living.values().rev().map(|living| &living.node)
    }

    /// Appends the next lines of `listing` to `out`, about `room` bytes, and moves it on. Returns whether there may be more.
    ///
    /// A list is written in pieces so that however many ask at a time, none of them needs memory for all of it.
    pub fn continue_listing(&self, listing: &mut Listing, room: usize, out: &mut Vec<u8>) -> bool {
        let enough = out.len().saturating_add(room);
        if let Listing::Names { before } | Listing::DumpLiving { before } = *listing {
            let dump = matches!(listing, Listing::DumpLiving { .. });
            for (order, living) in self.living.range(..before).rev() {
                if out.len() >= enough {
                    *listing = if dump {
                        Listing::DumpLiving { before: order + 1 }
                    } else {
                        Listing::Names { before: order + 1 }
                    };
                    return true;
                }
                if dump {
                    out.extend_from_slice(b"active name     <");
                    out.extend_from_slice(living.node.name.as_str().as_bytes());
                    out.extend_from_slice(b"> at port ");
                    put_decimal(out, living.node.port.into());
                    out.extend_from_slice(b", fd = ");
                    put_decimal(out, living.connection.0);
                    out.extend_from_slice(b"\n\0");
                } else {
                    NamesAnswer::encode_line(&living.node.name, living.node.port, out);
                }
            }
            if !dump {
                *listing = Listing::Done;
                return false;
            }
            *listing = Listing::DumpGone;
        }
        if matches!(listing, Listing::DumpGone) {
            // At most about a thousand lines: one piece.
            for gone in &self.gone.queue {
                let Some(gone) = gone else { continue };
                out.extend_from_slice(b"old/unused name <");
                out.extend_from_slice(gone.name.as_str().as_bytes());
                out.extend_from_slice(b">, port = ");
                put_decimal(out, gone.port.into());
                out.extend_from_slice(b", fd = ");
                put_decimal(out, gone.connection.0);
                out.extend_from_slice(b" \n\0");
            }
            *listing = Listing::Done;
        }
        false
    }

    fn retire(&mut self, order: u64) -> Option<Name> {
        let Living {
            node,
            counter,
            connection,
        } = self.living.remove(&order)?;
        self.by_name.remove(&node.name);
        let name = node.name.clone();
        self.gone.remember(Departed {
            name: node.name,
            port: node.port,
            counter,
            connection,
        });
        Some(name)
    }
}

/// How far the writing of a list has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// In the middle of the names: those that came before this one are left.
    Names {
        /// Its place in the order of their coming.
        before: u64,
    },
    /// In the middle of the living, for a dump.
    DumpLiving {
        /// As of names.
        before: u64,
    },
    /// At those that have gone.
    DumpGone,
    /// At the end.
    Done,
}

impl Listing {
    /// The start of a list of names.
    pub const NAMES: Self = Self::Names { before: u64::MAX };
    /// The start of a dump.
    pub const DUMP: Self = Self::DumpLiving { before: u64::MAX };
}

/// The names of nodes that have gone, the oldest first. Those called back leave a hole behind.
#[derive(Debug, Default)]
struct Gone {
    queue: VecDeque<Option<Departed>>,
    /// By name, the place counted from the start of time; `first` is that of the front of the queue.
    by_name: HashMap<Name, u64>,
    first: u64,
    remembered: usize,
}

#[derive(Debug)]
struct Departed {
    name: Name,
    port: u16,
    counter: u32,
    connection: ConnectionId,
}

impl Gone {
    fn remember(&mut self, departed: Departed) {
        let place = self.first + self.queue.len() as u64;
        self.by_name.insert(departed.name.clone(), place);
        self.queue.push_back(Some(departed));
        // One more than remembered, as stock has it between the death of one node and the birth of the next.
        while self.by_name.len() > self.remembered + 1 {
            self.oldest();
        }
        self.trim();
    }

    /// The counter of a name that is remembered; it is not any more.
    fn recall(&mut self, name: &Name) -> Option<u32> {
        let place = self.by_name.remove(name)?;
        let index = usize::try_from(place - self.first).ok()?;
        let departed = self.queue.get_mut(index)?.take();
        self.trim();
        departed.map(|departed| departed.counter)
    }

    /// When there are more than enough, a new name takes over the oldest one's counter.
    fn steal(&mut self) -> Option<u32> {
        if self.by_name.len() <= self.remembered {
            return None;
        }
        let counter = self.oldest().map(|departed| departed.counter);
        self.trim();
        counter
    }

    fn oldest(&mut self) -> Option<Departed> {
        while let Some(front) = self.queue.pop_front() {
            self.first += 1;
            if let Some(departed) = front {
                self.by_name.remove(&departed.name);
                return Some(departed);
            }
        }
        None
    }

    /// Removes holes at the front, and all of them when they outnumber the names.
    fn trim(&mut self) {
        while let Some(None) = self.queue.front() {
            self.queue.pop_front();
            self.first += 1;
        }
        if self.queue.len() > 2 * self.by_name.len() + 16 {
            self.queue.retain(Option::is_some);
            for (place, departed) in (self.first..).zip(&self.queue) {
                if let Some(departed) = departed
                    && let Some(known) = self.by_name.get_mut(&departed.name)
                {
                    *known = place;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(registry: &mut Registry, name: &str, connection: u64, now: u32) -> Option<u32> {
        let node = Registrant::new(Name::new(name).unwrap(), 1);
        registry.register(node, ConnectionId(connection), now)
    }

    /// Registers a name and gives it up.
    fn pass(registry: &mut Registry, name: &str, now: u32) -> u32 {
        let creation = register(registry, name, 0, now).unwrap();
        assert_eq!(
            registry.unregister(ConnectionId(0)),
            Some(Name::new(name).unwrap())
        );
        creation
    }

    #[test]
    fn a_name_is_held_by_one_connection() {
        let mut registry = Registry::new(false);
        assert_eq!(register(&mut registry, "alice", 1, 100), Some(100));
        assert_eq!(register(&mut registry, "alice", 2, 100), None);
        assert_eq!(registry.unregister(ConnectionId(2)), None);
        assert_eq!(registry.len(), 1);
        assert_eq!(
            registry.unregister(ConnectionId(1)),
            Some(Name::new("alice").unwrap())
        );
        assert!(registry.is_empty());
    }

    #[test]
    fn creations_of_a_name_differ_from_one_to_the_next() {
        let mut registry = Registry::new(false);
        let creations: Vec<u32> = (0..4).map(|_| pass(&mut registry, "alice", 100)).collect();
        assert_eq!(creations, [100, 101, 102, 103]);
        // 0 to 3 mean something else, and the counter goes round.
        assert_eq!(pass(&mut registry, "bob", 0), 4);
        let last = pass(&mut registry, "carol", u32::MAX);
        assert_eq!((last, pass(&mut registry, "carol", 0)), (u32::MAX, 4));
    }

    #[test]
    fn old_nodes_get_creations_from_one_to_three_in_turn() {
        let mut registry = Registry::new(false);
        let mut creation = || {
            let node = Registrant {
                highest_version: 5,
                ..Registrant::new(Name::new("old").unwrap(), 1)
            };
            let creation = registry.register(node, ConnectionId(0), 99).unwrap();
            registry.unregister(ConnectionId(0));
            creation
        };
        assert_eq!([creation(), creation(), creation(), creation()], [1, 2, 3, 1]);
    }

    #[test]
    fn so_many_names_are_remembered_and_the_oldest_gives_way() {
        // As stock's daemon in debug mode, seen: the seventh name takes over the counter of the first.
        let mut registry = Registry::new(true);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let creations: Vec<u32> = names
            .iter()
            .zip(100..)
            .map(|(name, now)| pass(&mut registry, name, now))
            .collect();
        assert_eq!(creations, [100, 101, 102, 103, 104, 105, 100, 101]);
        // Those called back come to the end of the queue.
        assert_eq!(pass(&mut registry, "d", 200), 104);
        let (mut listing, mut dump) = (Listing::DUMP, Vec::new());
        while registry.continue_listing(&mut listing, 1000, &mut dump) {}
        let dump = String::from_utf8(dump).unwrap();
        let order: Vec<&str> = dump.split('<').skip(1).map(|line| &line[..1]).collect();
        assert_eq!(order, ["c", "e", "f", "g", "h", "d"]);
    }

    #[test]
    fn what_is_remembered_does_not_grow_with_what_has_gone() {
        let mut registry = Registry::new(false);
        for number in 0..5000 {
            register(&mut registry, &format!("n{number}"), number, 100);
        }
        for number in 0..5000 {
            registry.unregister(ConnectionId(number));
            // Some come back again and again.
            pass(&mut registry, "again", 100);
        }
        assert!(registry.is_empty() && registry.by_connection.is_empty() && registry.by_name.is_empty());
        assert_eq!(registry.gone.by_name.len(), REMEMBERED + 1);
        assert!(
            registry.gone.queue.len() < 2 * REMEMBERED + 100,
            "{}",
            registry.gone.queue.len()
        );
    }

    #[test]
    fn a_list_goes_on_where_it_stopped_although_names_come_and_go() {
        let mut registry = Registry::new(false);
        for number in 0..100 {
            register(&mut registry, &format!("n{number}"), number, 100);
        }
        let mut listing = Listing::NAMES;
        let mut text = Vec::new();
        assert!(registry.continue_listing(&mut listing, 200, &mut text));
        assert!(text.len() < 300);
        register(&mut registry, "new", 100, 100);
        registry.unregister(ConnectionId(0));
        while registry.continue_listing(&mut listing, 200, &mut text) {}
        let text = String::from_utf8(text).unwrap();
        let expected: String = (1..100)
            .rev()
            .map(|number| format!("name n{number} at port 1\n"))
            .collect();
        assert_eq!(text, expected);
    }
}
