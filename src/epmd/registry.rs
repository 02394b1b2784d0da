//! The names that a daemon knows: those of living nodes, and for a while those of nodes that have gone.
//!
//! A name belongs to the connection that registered it and is free again when that connection ends. What is remembered of it
//! then is its *creation*, so that the next node of that name gets another one: without that, a process identifier of
//! the old node could be taken for one of the new. Follows "EPMD Protocol" in Erlang's *Distribution Protocol* chapter.
//!
//! All operations take time that does not grow, or hardly, with the number of names. Knows no sockets and no
//! clock: connections are numbers, and the time comes with the call.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::message::{Name, NamesAnswer, NodeInfo, Registrant, put_decimal};

/// How many names of nodes that have gone are remembered.
const REMEMBERED: usize = 1000;
/// The same in a daemon that is being debugged.
const REMEMBERED_DEBUGGING: usize = 5;
/// Creations below are never handed out: 0 means "none", and 1 to 3 are those of the old form.
const FIRST_CREATION: u32 = 4;
/// The version of the distribution protocol from which on creations have 32 bits.
const LARGE_CREATION_VERSION: u16 = 6;

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
    /// In the middle of the names.
    #[doc(hidden)]
    Names { before: u64 },
    /// In the middle of the living, for a dump.
    #[doc(hidden)]
    DumpLiving { before: u64 },
    /// At those that have gone.
    #[doc(hidden)]
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
