//! Pids, ports and references: what names a process, a port or a one-off event in the whole cluster.
//!
//! Each carries its node and that node's *creation*, the number that tells one incarnation of a node from the next, so
//! identifiers of different nodes or lives never compare equal. The numbers are kept as they came: nothing here
//! cuts them to what some release could produce.
//!
//! **Order** is Erlang's: pids by serial, id, node name, creation; ports by node name, creation, id; references by node name,
//! creation, then words from the last to the first, missing words counting as zero.
//!
//! **Text.** A BEAM prints `<X.Id.Serial>` with X the number of the node in its own atom table, 0 for itself; that number means
//! nothing elsewhere and cannot be read back. We print the node's name in its place, `<alice@host.84.0>`, which can.
//! [`Pid::local`] and its siblings print what the node itself would, `<0.84.0>`. The creation is not printed.

use super::atom::Atom;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The identity of a process.
///
/// ```
/// use beamnode::term::{Atom, Pid};
///
/// let pid = Pid::new(Atom::from_static("alice@host"), 84, 0, 1_700_000_000);
/// assert_eq!(pid.to_string(), "<alice@host.84.0>");
/// assert_eq!(pid.local().to_string(), "<0.84.0>");
/// assert_eq!((pid.node().as_str(), pid.id(), pid.serial(), pid.creation()), ("alice@host", 84, 0, 1_700_000_000));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pid {
    node: Atom,
    id: u32,
    serial: u32,
    creation: u32,
}

impl Pid {
    /// A pid from its parts.
    #[must_use]
    pub const fn new(node: Atom, id: u32, serial: u32, creation: u32) -> Self {
        Self {
            node,
            id,
            serial,
            creation,
        }
    }

    /// The node that the process runs on.
    #[must_use]
    pub const fn node(&self) -> &Atom {
        &self.node
    }

    /// The number of the process on its node.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// How often the numbers had been used up.
    #[must_use]
    pub const fn serial(&self) -> u32 {
        self.serial
    }

    /// The incarnation of the node.
    #[must_use]
    pub const fn creation(&self) -> u32 {
        self.creation
    }

    /// Displays the pid as its own node does.
    #[must_use]
    pub const fn local(&self) -> Local<'_, Self> {
        Local(self)
    }
}

impl PartialOrd for Pid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pid {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.serial, self.id, &self.node, self.creation).cmp(&(
            other.serial,
            other.id,
            &other.node,
            other.creation,
        ))
    }
}

/// The identity of a port.
///
/// OTP 23 knows only the form with 32 bits of number, OTP 26 and later send only that with 64. A port that came in the old form is
/// sent back in it.
///
/// ```
/// use beamnode::term::{Atom, Port};
///
/// let port = Port::new(Atom::from_static("alice@host"), 5, 1_700_000_000);
/// assert_eq!(port.to_string(), "#Port<alice@host.5>");
/// assert_eq!(port.local().to_string(), "#Port<0.5>");
/// assert_eq!((port.node().as_str(), port.id(), port.creation()), ("alice@host", 5, 1_700_000_000));
/// ```
#[derive(Clone)]
pub struct Port {
    node: Atom,
    id: u64,
    creation: u32,
    /// Whether it came in the old form. No part of its identity.
    old: bool,
}

impl Port {
    /// A port from its parts.
    #[must_use]
    pub const fn new(node: Atom, id: u64, creation: u32) -> Self {
        Self::in_form(node, id, creation, false)
    }

    pub(crate) const fn in_form(node: Atom, id: u64, creation: u32, old: bool) -> Self {
        Self {
            node,
            id,
            creation,
            old,
        }
    }

    pub(crate) const fn is_old(&self) -> bool {
        self.old
    }

    /// The node that the port is open on.
    #[must_use]
    pub const fn node(&self) -> &Atom {
        &self.node
    }

    /// The number of the port on its node. OTP 23 has 28 bits, later releases 64.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The incarnation of the node.
    #[must_use]
    pub const fn creation(&self) -> u32 {
        self.creation
    }

    /// Displays the port as its own node does.
    #[must_use]
    pub const fn local(&self) -> Local<'_, Self> {
        Local(self)
    }
}

impl PartialEq for Port {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.creation, &self.node) == (other.id, other.creation, &other.node)
    }
}

impl Eq for Port {}

impl Hash for Port {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.id, self.creation, &self.node).hash(state);
    }
}

impl PartialOrd for Port {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Port {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.node, self.creation, self.id).cmp(&(&other.node, other.creation, other.id))
    }
}

/// The most words a reference can have.
pub const MAX_REFERENCE_WORDS: usize = 5;

/// A reference: a value that is made once.
///
/// ```
/// use beamnode::term::{Atom, Reference};
///
/// let reference = Reference::new(Atom::from_static("alice@host"), &[1, 2, 3], 1_700_000_000)?;
/// assert_eq!(reference.to_string(), "#Ref<alice@host.3.2.1>");
/// assert!(Reference::new(Atom::from_static("alice@host"), &[0; 6], 1).is_err());
/// assert_eq!(reference.local().to_string(), "#Ref<0.3.2.1>");
/// assert_eq!((reference.node().as_str(), reference.words(), reference.creation()), ("alice@host", &[1, 2, 3][..], 1_700_000_000));
/// # Ok::<(), beamnode::term::ReferenceTooLong>(())
/// ```
#[derive(Clone)]
pub struct Reference {
    node: Atom,
    creation: u32,
    words: [u32; MAX_REFERENCE_WORDS],
    count: u8,
}

/// A reference of more than five words.
/// ```
/// use beamnode::term::{Atom, MAX_REFERENCE_WORDS, Reference, ReferenceTooLong};
///
/// let words = [1; MAX_REFERENCE_WORDS + 1];
/// assert_eq!(Reference::new(Atom::from_static("a@b"), &words, 1), Err(ReferenceTooLong));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reference has at most {MAX_REFERENCE_WORDS} words")]
pub struct ReferenceTooLong;

impl Reference {
    /// A reference from its parts, the words in the order in which the external term format has them.
    ///
    /// # Errors
    /// [`ReferenceTooLong`] for more than five words.
    pub fn new(node: Atom, words: &[u32], creation: u32) -> Result<Self, ReferenceTooLong> {
        let mut all = [0; MAX_REFERENCE_WORDS];
        let head = all.get_mut(..words.len()).ok_or(ReferenceTooLong)?;
        head.copy_from_slice(words);
        let count = u8::try_from(words.len()).map_err(|_| ReferenceTooLong)?;
        Ok(Self {
            node,
            creation,
            words: all,
            count,
        })
    }

    /// The same from at most five words.
    pub(crate) fn from_checked(
        node: Atom,
        words: [u32; MAX_REFERENCE_WORDS],
        count: u8,
        creation: u32,
    ) -> Self {
        Self {
            node,
            creation,
            words,
            count,
        }
    }

    /// All five words, and how many of them there are.
    pub(crate) const fn all_words(&self) -> ([u32; MAX_REFERENCE_WORDS], u8) {
        (self.words, self.count)
    }

    /// The node that made the reference.
    #[must_use]
    pub const fn node(&self) -> &Atom {
        &self.node
    }

    /// The incarnation of the node.
    #[must_use]
    pub const fn creation(&self) -> u32 {
        self.creation
    }

    /// The words, as the external term format orders them: least significant first.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        self.words.get(..usize::from(self.count)).unwrap_or(&self.words)
    }

    /// Displays the reference as its own node does.
    #[must_use]
    pub const fn local(&self) -> Local<'_, Self> {
        Local(self)
    }
}

impl PartialEq for Reference {
    /// Missing words count as zero, as in Erlang.
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words && self.creation == other.creation && self.node == other.node
    }
}

impl Eq for Reference {}

impl Hash for Reference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e] = self.words.map(u64::from);
        for words in [a << 32 | b, c << 32 | d, e << 32 | u64::from(self.creation)] {
            state.write_u64(words);
        }
        self.node.hash(state);
    }
}

impl PartialOrd for Reference {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reference {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.node, self.creation)
            .cmp(&(&other.node, other.creation))
            .then_with(|| self.words.iter().rev().cmp(other.words.iter().rev()))
    }
}

/// Displays an identifier as its own node prints it: with 0 in place of the node's name.
/// ```
/// use beamnode::term::{Atom, Local, Pid};
///
/// let pid = Pid::new(Atom::from_static("alice@host"), 84, 0, 1);
/// let local: Local<'_, Pid> = pid.local();
/// assert_eq!(local.to_string(), "<0.84.0>");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Local<'a, T>(&'a T);

/// The node part: 0, or the name as an atom is printed.
fn node_part(f: &mut fmt::Formatter<'_>, node: Option<&Atom>) -> fmt::Result {
    match node {
        None => f.write_str("0"),
        Some(node) => fmt::Display::fmt(node, f),
    }
}

fn pid(f: &mut fmt::Formatter<'_>, node: Option<&Atom>, pid: &Pid) -> fmt::Result {
    f.write_str("<")?;
    node_part(f, node)?;
    write!(f, ".{}.{}>", pid.id, pid.serial)
}

fn port(f: &mut fmt::Formatter<'_>, node: Option<&Atom>, port: &Port) -> fmt::Result {
    f.write_str("#Port<")?;
    node_part(f, node)?;
    write!(f, ".{}>", port.id)
}

fn reference(f: &mut fmt::Formatter<'_>, node: Option<&Atom>, reference: &Reference) -> fmt::Result {
    f.write_str("#Ref<")?;
    node_part(f, node)?;
    for word in reference.words().iter().rev() {
        write!(f, ".{word}")?;
    }
    f.write_str(">")
}

macro_rules! display {
    ($type:ty, $print:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $print(f, Some(&self.node), self)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $print(f, Some(&self.node), self)
            }
        }

        impl fmt::Display for Local<'_, $type> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $print(f, None, self.0)
            }
        }
    };
}

display!(Pid, pid);
display!(Port, port);
display!(Reference, reference);
