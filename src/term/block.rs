//! The flat representation behind every compound term.
//!
//! A [`Block`] is one vector of 16-byte [`Node`]s in preorder: a compound node says how many children it has and how many nodes it
//! spans, itself included, and its children follow. Binaries, the text of atoms, lists of bytes and the digits of big integers are places
//! in one shared source (for a decoded term the input itself). What does not fit there — terms put inside other terms by Rust
//! code — is a [`Node::Link`] into a side table.
//!
//! So a term of any shape costs a handful of allocations, a walk is a scan over a vector, a clone is the increment of a
//! counter, and nothing here recurses however deep a term is. [`Cursor`](super::walk::Cursor) is the
//! walk that all others are made of.
//!
//! The etf decoder writes nodes directly and must keep what the methods here rely on: every offset lies within the source, atoms are
//! UTF-8, spans are exact. A node that breaks this reads as an empty value; it is never a panic.

use super::Term;
use super::atom::Atom;
use super::compound::{Fun, List, Map, Record, Tuple};
use super::identifier::{Pid, Port, Reference};
use super::number::BigInteger;
use super::{BitString, Float};
use bytes::Bytes;
use std::sync::Arc;

/// One node of a term, in preorder.
///
/// Offsets point into the block's source; `span` counts the nodes of the subtree, the node itself included.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node {
    Integer(i64),
    /// Finite.
    Float(f64),
    /// The magnitude's bytes, least significant first, the last not zero; the value does not fit in `i64`.
    BigInteger {
        negative: bool,
        len: u32,
        offset: u64,
    },
    /// UTF-8 in the source, at most 255 characters.
    Atom {
        len: u32,
        offset: u64,
    },
    /// An atom of the table that came with the source.
    TableAtom(u32),
    /// An atom of the side table.
    SideAtom(u32),
    /// A term of the side table: a compound, a binary or a bit string.
    Link(u32),
    Nil,
    /// A proper list of small integers, one byte each, never empty.
    Bytes {
        len: u32,
        offset: u64,
    },
    Binary {
        len: u32,
        offset: u64,
    },
    /// `bits` of the last byte count, 1 to 7; `len` bytes, never 0; the rest of the last byte is not to be trusted.
    BitString {
        bits: u8,
        len: u32,
        offset: u64,
    },
    Tuple {
        arity: u32,
        span: u32,
    },
    /// As many elements, never none, and then the tail.
    List {
        tail: Tail,
        len: u32,
        span: u32,
    },
    /// Keys and values in turn.
    Map {
        len: u32,
        span: u32,
    },
    /// Then the node as an atom.
    Pid {
        id: u32,
        serial: u32,
        creation: u32,
    },
    /// Then the node as an atom.
    Port {
        /// Whether it came in the form that OTP 23 understands.
        old: bool,
        creation: u32,
        id: u64,
    },
    /// Then the node as an atom. The words are big-endian in the source.
    Reference {
        count: u8,
        creation: u32,
        offset: u64,
    },
    /// Then module and function as atoms.
    Export {
        arity: u8,
    },
    /// Then uniq (16 bytes, a binary), index (integer), module (atom), old index and old uniq (integers), pid, and the free
    /// variables.
    Fun {
        arity: u8,
        free: u32,
        span: u32,
    },
    /// Then pid, module (atom), index and uniq (integers), and the free variables.
    OldFun {
        free: u32,
        span: u32,
    },
    /// Then module and name (atoms), the names of the fields (atoms), and as many values.
    Record {
        exported: bool,
        fields: u32,
        span: u32,
    },
    /// A compound whose children are not all there yet: its kind, how many children it is to have, the compound it
    /// stands in, and how many children that one still lacks. No finished block has one.
    Open {
        kind: Kind,
        len: u32,
        parent: u32,
        left: u32,
    },
}

const _: () = assert!(size_of::<Node>() == 16);

impl Node {
    /// How many nodes the term takes that begins with this one.
    pub(crate) const fn span(self) -> u32 {
        match self {
            Self::Tuple { span, .. }
            | Self::List { span, .. }
            | Self::Map { span, .. }
            | Self::Fun { span, .. }
            | Self::OldFun { span, .. }
            | Self::Record { span, .. } => span,
            Self::Pid { .. } | Self::Port { .. } | Self::Reference { .. } => 2,
            Self::Export { .. } => 3,
            _ => 1,
        }
    }
}

/// What an open node is going to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tuple,
    List,
    /// All elements are there, the tail is not.
    ImproperList,
    Map,
    Fun {
        arity: u8,
    },
    OldFun,
    Record {
        exported: bool,
    },
}

/// What follows the elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nil: the list is proper.
    Nil,
    /// No list: the list is improper.
    Improper,
    /// A link to another list, not empty, which goes on from there.
    Linked,
}

/// How many nodes come before the free variables of a fun.
pub(crate) const FUN_HEAD: u32 = 8;
/// How many nodes come before the free variables of an old fun.
pub(crate) const OLD_FUN_HEAD: u32 = 6;

/// The flat form of a term, or of several parts of one.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) nodes: Vec<Node>,
    pub(crate) source: Bytes,
    /// The atoms that came with the source.
    pub(crate) table: Option<Arc<[Atom]>>,
    pub(crate) links: Vec<Term>,
}

impl Block {
    /// The node at this place; nil beyond the end.
    pub(crate) fn node(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or(Node::Nil)
    }

    /// How many nodes the term at this place takes.
    pub(crate) fn span(&self, at: u32) -> u32 {
        self.node(at).span()
    }

    /// A piece of the source.
    pub(crate) fn bytes(&self, offset: u64, len: u32) -> &[u8] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        self.source
            .get(start..start.saturating_add(len as usize))
            .unwrap_or_default()
    }

    /// A piece of the source, shared.
    pub(crate) fn shared(&self, offset: u64, len: u32) -> Bytes {
        let piece = self.bytes(offset, len);
        if piece.is_empty() {
            Bytes::new()
        } else {
            self.source.slice_ref(piece)
        }
    }

    /// The text of an atom node; empty for any other node.
    pub(crate) fn atom_text(&self, at: u32) -> &str {
        match self.node(at) {
            Node::Atom { len, offset } => text(self.bytes(offset, len)),
            Node::TableAtom(index) => self
                .table
                .as_deref()
                .and_then(|table| table.get(index as usize))
                .map_or("", Atom::as_str),
            Node::SideAtom(index) => match self.links.get(index as usize) {
                Some(Term::Atom(atom)) => atom.as_str(),
                _ => "",
            },
            _ => "",
        }
    }

    /// The atom at this place.
    pub(crate) fn atom(&self, at: u32) -> Atom {
        match self.node(at) {
            Node::TableAtom(index) => self
                .table
                .as_deref()
                .and_then(|table| table.get(index as usize))
                .cloned()
                .unwrap_or(Atom::from_static("")),
            Node::SideAtom(index) => match self.links.get(index as usize) {
                Some(Term::Atom(atom)) => atom.clone(),
                _ => Atom::from_static(""),
            },
            _ => Atom::from_checked(self.atom_text(at)),
        }
    }

    pub(crate) fn integer(&self, at: u32) -> i64 {
        match self.node(at) {
            Node::Integer(value) => value,
            _ => 0,
        }
    }

    pub(crate) fn pid(&self, at: u32) -> Pid {
        let node = self.atom(at.saturating_add(1));
        match self.node(at) {
            Node::Pid { id, serial, creation } => Pid::new(node, id, serial, creation),
            _ => Pid::new(node, 0, 0, 0),
        }
    }

    /// The words of a reference.
    pub(crate) fn words(&self, count: u8, offset: u64) -> ([u32; 5], u8) {
        let mut words = [0; 5];
        let bytes = self.bytes(offset, u32::from(count) * 4);
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        (words, count.min(5))
    }

    /// The term at this place, as a value of its own.
    pub(crate) fn term(self: &Arc<Self>, at: u32) -> Term {
        let handle = || Handle {
            block: Arc::clone(self),
            at,
        };
        self.leaf(at).unwrap_or_else(|| self.compound(at, handle))
    }

    /// The term that the block holds.
    pub(crate) fn into_term(self) -> Term {
        let Some(leaf) = self.leaf(0) else {
            let block = Arc::new(self);
            let handle = || Handle {
                block: Arc::clone(&block),
                at: 0,
            };
            return block.compound(0, handle);
        };
        leaf
    }

    /// The term at this place, if it needs nothing further of the block.
    fn leaf(&self, at: u32) -> Option<Term> {
        Some(match self.node(at) {
            Node::Integer(value) => Term::Integer(value),
            Node::Float(value) => Term::Float(Float::from_finite(value)),
            Node::BigInteger {
                negative,
                len,
                offset,
            } => Term::BigInteger(BigInteger::from_canonical(negative, self.shared(offset, len))),
            Node::Atom { .. } | Node::TableAtom(_) | Node::SideAtom(_) => Term::Atom(self.atom(at)),
            Node::Link(index) => self.links.get(index as usize).cloned().unwrap_or(Term::NIL),
            Node::Nil | Node::Open { .. } => Term::NIL,
            Node::Bytes { len, offset } => Term::List(List::from_bytes(self.shared(offset, len))),
            Node::Binary { len, offset } => Term::Binary(self.shared(offset, len)),
            Node::BitString { bits, len, offset } => {
                Term::BitString(BitString::from_parts(self.shared(offset, len), bits))
            }
            Node::Pid { .. } => Term::Pid(self.pid(at)),
            Node::Port { old, creation, id } => {
                Term::Port(Port::in_form(self.atom(at + 1), id, creation, old))
            }
            Node::Reference {
                count,
                creation,
                offset,
            } => {
                let (words, count) = self.words(count, offset);
                let node = self.atom(at + 1);
                Term::Reference(Reference::from_checked(node, words, count, creation))
            }
            Node::Tuple { .. }
            | Node::List { .. }
            | Node::Map { .. }
            | Node::Export { .. }
            | Node::Fun { .. }
            | Node::OldFun { .. }
            | Node::Record { .. } => return None,
        })
    }

    /// The compound at this place, which shares the block.
    fn compound(&self, at: u32, handle: impl FnOnce() -> Handle) -> Term {
        match self.node(at) {
            Node::Tuple { .. } => Term::Tuple(Tuple::from_handle(handle())),
            Node::List { len, .. } => Term::List(List::from_handle(handle(), len)),
            Node::Map { .. } => Term::Map(Map::from_handle(handle())),
            Node::Record { .. } => Term::Record(Record::from_handle(handle())),
            _ => Term::Fun(Fun::from_handle(handle())),
        }
    }
}

impl Drop for Block {
    /// Unwinds links with a work list: a chain of a million blocks must not take a million stack frames.
    fn drop(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let mut links = std::mem::take(&mut self.links);
        while let Some(term) = links.pop() {
            if let Some(mut block) = term.into_block().and_then(Arc::into_inner) {
                links.append(&mut block.links);
            }
        }
    }
}

/// Text that was checked when its node was made.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

/// A place in a block, shared.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) block: Arc<Block>,
    pub(crate) at: u32,
}

impl Handle {
    pub(crate) const fn parts(&self) -> (&Arc<Block>, u32) {
        (&self.block, self.at)
    }
}

/// Writes the nodes of a block, one term after the other in preorder.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    nodes: Vec<Node>,
    source: Vec<u8>,
    links: Vec<Term>,
}

/// Binaries up to this size are copied into the block; longer ones are linked.
const COPIED: usize = 64;

impl Builder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Where the next node goes.
    pub(crate) fn at(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn node(&mut self, node: Node) {
        assert!(
            self.nodes.len() < u32::MAX as usize,
            "a term has fewer than 2^32 parts"
        );
        self.nodes.push(node);
    }

    /// Writes the final form of a node whose children are all there.
    pub(crate) fn close(&mut self, at: u32, node: impl FnOnce(u32) -> Node) {
        let span = self.at() - at;
        if let Some(slot) = self.nodes.get_mut(at as usize) {
            *slot = node(span);
        }
    }

    /// Copies bytes into the source.
    fn copy(&mut self, bytes: &[u8]) -> (u32, u64) {
        let offset = self.source.len() as u64;
        self.source.extend_from_slice(bytes);
        (u32::try_from(bytes.len()).unwrap_or(u32::MAX), offset)
    }

    /// Writes an atom.
    pub(crate) fn atom(&mut self, text: &str) {
        let (len, offset) = self.copy(text.as_bytes());
        self.node(Node::Atom { len, offset });
    }

    /// Writes any term as one term of the block.
    pub(crate) fn term(&mut self, term: Term) {
        match term {
            Term::Integer(value) => self.node(Node::Integer(value)),
            Term::Float(value) => self.node(Node::Float(value.value())),
            Term::Atom(atom) => self.atom(&atom),
            Term::Binary(bytes) if bytes.len() <= COPIED => {
                let (len, offset) = self.copy(&bytes);
                self.node(Node::Binary { len, offset });
            }
            Term::BigInteger(value) => {
                let (len, offset) = self.copy(value.magnitude());
                self.node(Node::BigInteger {
                    negative: value.is_negative(),
                    len,
                    offset,
                });
            }
            Term::List(list) if list.is_nil() => self.node(Node::Nil),
            Term::Pid(pid) => {
                self.node(Node::Pid {
                    id: pid.id(),
                    serial: pid.serial(),
                    creation: pid.creation(),
                });
                self.atom(pid.node());
            }
            Term::Port(port) => {
                self.node(Node::Port {
                    old: port.is_old(),
                    creation: port.creation(),
                    id: port.id(),
                });
                self.atom(port.node());
            }
            Term::Reference(reference) => {
                let mut count = 0;
                let offset = self.source.len() as u64;
                for word in reference.words() {
                    self.source.extend_from_slice(&word.to_be_bytes());
                    count += 1;
                }
                self.node(Node::Reference {
                    count,
                    creation: reference.creation(),
                    offset,
                });
                self.atom(reference.node());
            }
            term => {
                let index = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
                self.links.push(term);
                self.node(Node::Link(index));
            }
        }
    }

    /// The block, with the term at its first node.
    pub(crate) fn finish(self) -> Handle {
        let Self { nodes, source, links } = self;
        Handle {
            block: Arc::new(Block {
                nodes,
                source: Bytes::from(source),
                table: None,
                links,
            }),
            at: 0,
        }
    }
}
