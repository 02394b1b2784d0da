//! The walk over a term that printing, comparing, hashing and encoding are made of.
//!
//! [`Cursor`] gives the parts of a term in preorder, following the links between blocks, on a stack of its own: a chain of a
//! million links takes a million small frames of heap.

use super::Term;
use super::block::{Block, FUN_HEAD, Node, OLD_FUN_HEAD};
use super::chain;
use super::compare::Place;
use super::compound::Repr;
use super::number::BigInteger;
use std::sync::Arc;

/// One part of a term. A compound is followed by its children.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    Integer(i64),
    BigInteger {
        negative: bool,
        magnitude: &'a [u8],
    },
    Float(f64),
    Atom(&'a str),
    Nil,
    /// A list of small integers, never empty, and its nil.
    Bytes(&'a [u8]),
    Binary(&'a [u8]),
    BitString {
        bytes: &'a [u8],
        bits: u8,
    },
    Pid(PidRef<'a>),
    Port {
        node: &'a str,
        creation: u32,
        id: u64,
    },
    Reference {
        node: &'a str,
        creation: u32,
        words: [u32; 5],
        count: u8,
    },
    Export {
        module: &'a str,
        function: &'a str,
        arity: u8,
    },
    /// The children are the free variables.
    Fun(FunRef<'a>),
    /// The children are this many elements and a tail, which may be a list itself.
    List(u32),
    Tuple(u32),
    /// The children are this many keys and values in turn.
    Map(u32),
    /// The children are this many names and as many values.
    Record {
        module: &'a str,
        name: &'a str,
        exported: bool,
        fields: u32,
    },
}

/// The parts of a pid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PidRef<'a> {
    pub(crate) node: &'a str,
    pub(crate) id: u32,
    pub(crate) serial: u32,
    pub(crate) creation: u32,
}

/// What a fun has besides its free variables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FunRef<'a> {
    pub(crate) module: &'a str,
    /// Its number in the module, and the hash of the module's code.
    pub(crate) index: i64,
    pub(crate) uniq: &'a [u8],
    /// The same in the form of before OTP R8, which is what is printed.
    pub(crate) old_index: i64,
    pub(crate) old_uniq: i64,
    pub(crate) free: u32,
}

/// A run of nodes of one block.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    block: &'a Arc<Block>,
    at: u32,
    end: u32,
}

/// A walk in preorder.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    root: Option<&'a Term>,
    frame: Option<Frame<'a>>,
    stack: Vec<Frame<'a>>,
}

impl<'a> Cursor<'a> {
    /// A walk over a term.
    pub(crate) const fn new(term: &'a Term) -> Self {
        Self {
            root: Some(term),
            frame: None,
            stack: Vec::new(),
        }
    }

    /// A walk over the term at a place of a block.
    pub(crate) fn at(block: &'a Arc<Block>, at: u32) -> Self {
        let end = at + block.span(at);
        Self {
            root: None,
            frame: Some(Frame { block, at, end }),
            stack: Vec::new(),
        }
    }

    /// The next part.
    pub(crate) fn next(&mut self) -> Option<Item<'a>> {
        if let Some(term) = self.root.take() {
            return Some(self.enter(term));
        }
        loop {
            let frame = self.frame.as_mut()?;
            if frame.at >= frame.end {
                self.frame = self.stack.pop();
                continue;
            }
            let (block, at) = (frame.block, frame.at);
            if let Node::Link(index) = block.node(at) {
                frame.at += 1;
                let term = block.links.get(index as usize).unwrap_or(&Term::NIL);
                return Some(self.enter(term));
            }
            let (item, head) = read(block, at);
            frame.at += head;
            return Some(item);
        }
    }

    /// Skips the term that comes next.
    pub(crate) fn skip(&mut self) {
        if self.root.take().is_some() {
            return;
        }
        while let Some(frame) = &mut self.frame {
            if frame.at < frame.end {
                frame.at += frame.block.span(frame.at);
                return;
            }
            self.frame = self.stack.pop();
        }
    }

    /// Takes the term that comes next as a whole; nil at the end.
    #[cfg(feature = "serde")]
    pub(crate) fn take_term(&mut self) -> Term {
        if let Some(term) = self.root.take() {
            return term.clone();
        }
        while let Some(frame) = &mut self.frame {
            if frame.at < frame.end {
                let term = frame.block.term(frame.at);
                frame.at += frame.block.span(frame.at);
                return term;
            }
            self.frame = self.stack.pop();
        }
        Term::NIL
    }

    /// The place and size of the map that comes next, if one does.
    pub(crate) fn peek_map(&mut self) -> Option<(Place<'a>, u32)> {
        let (block, at) = if let Some(term) = self.root {
            map_place(term)?
        } else {
            let frame = loop {
                let frame = self.frame?;
                if frame.at < frame.end {
                    break frame;
                }
                self.frame = self.stack.pop();
            };
            match frame.block.node(frame.at) {
                Node::Map { .. } => (frame.block, frame.at),
                Node::Link(index) => map_place(frame.block.links.get(index as usize)?)?,
                _ => return None,
            }
        };
        match block.node(at) {
            Node::Map { len, .. } => Some((Place { block, at }, len)),
            _ => None,
        }
    }

    /// The bytes of the list whose head came last and which has so many elements here, if it is proper and consists of integers
    /// from 0 to 255.
    pub(crate) fn bytes_ahead(&self, left: u32) -> Option<Vec<u8>> {
        let frame = self.frame?;
        let mut bytes = Vec::new();
        chain::node_bytes(frame.block, frame.at, left, usize::MAX, &mut bytes).then_some(bytes)
    }

    /// Skips the rest of such a list.
    pub(crate) fn skip_list(&mut self, left: u32) {
        if let Some(frame) = &mut self.frame {
            // Its elements are a node each, and so is its tail.
            frame.at += left + 1;
        }
    }

    /// Steps into a term of its own.
    fn enter(&mut self, term: &'a Term) -> Item<'a> {
        let (handle, at) = match term {
            Term::Integer(value) => return Item::Integer(*value),
            Term::BigInteger(value) => return big(value),
            Term::Float(value) => return Item::Float(value.value()),
            Term::Atom(atom) => return Item::Atom(atom),
            Term::Binary(bytes) => return Item::Binary(bytes),
            Term::BitString(value) => {
                return Item::BitString {
                    bytes: value.bytes(),
                    bits: value.last_bits(),
                };
            }
            Term::Pid(pid) => {
                return Item::Pid(PidRef {
                    node: pid.node(),
                    id: pid.id(),
                    serial: pid.serial(),
                    creation: pid.creation(),
                });
            }
            Term::Port(port) => {
                return Item::Port {
                    node: port.node(),
                    creation: port.creation(),
                    id: port.id(),
                };
            }
            Term::Reference(reference) => {
                let (words, count) = reference.all_words();
                let (node, creation) = (reference.node(), reference.creation());
                return Item::Reference {
                    node,
                    creation,
                    words,
                    count,
                };
            }
            Term::List(list) => match list.repr() {
                Repr::Nil => return Item::Nil,
                Repr::Bytes(bytes) => return Item::Bytes(bytes),
                Repr::Nodes { handle, first, left } => {
                    let block = &handle.block;
                    let end = handle.at + block.span(handle.at);
                    self.push(Frame {
                        block,
                        at: *first,
                        end,
                    });
                    return Item::List(*left);
                }
            },
            Term::Tuple(tuple) => tuple.handle().parts(),
            Term::Map(map) => map.handle().parts(),
            Term::Fun(fun) => fun.handle().parts(),
            Term::Record(record) => record.handle().parts(),
        };
        let (item, head) = read(handle, at);
        self.push(Frame {
            block: handle,
            at: at + head,
            end: at + handle.span(at),
        });
        item
    }

    fn push(&mut self, frame: Frame<'a>) {
        match self.frame.replace(frame) {
            Some(frame) if frame.at < frame.end => self.stack.push(frame),
            _ => {}
        }
    }
}

/// Where a map stands.
fn map_place(term: &Term) -> Option<(&Arc<Block>, u32)> {
    match term {
        Term::Map(map) => Some(map.handle().parts()),
        _ => None,
    }
}

fn big(value: &BigInteger) -> Item<'_> {
    Item::BigInteger {
        negative: value.is_negative(),
        magnitude: value.magnitude(),
    }
}

/// The part at a place, and how many nodes it takes before its children. Links read as nil.
fn read(block: &Block, at: u32) -> (Item<'_>, u32) {
    match block.node(at) {
        Node::Integer(value) => (Item::Integer(value), 1),
        Node::Float(value) => (Item::Float(value), 1),
        Node::BigInteger {
            negative,
            len,
            offset,
        } => (
            Item::BigInteger {
                negative,
                magnitude: block.bytes(offset, len),
            },
            1,
        ),
        Node::Atom { .. } | Node::TableAtom(_) | Node::SideAtom(_) => (Item::Atom(block.atom_text(at)), 1),
        Node::Link(_) | Node::Nil | Node::Open { .. } => (Item::Nil, 1),
        Node::Bytes { len, offset } => (Item::Bytes(block.bytes(offset, len)), 1),
        Node::Binary { len, offset } => (Item::Binary(block.bytes(offset, len)), 1),
        Node::BitString { bits, len, offset } => (
            Item::BitString {
                bytes: block.bytes(offset, len),
                bits,
            },
            1,
        ),
        Node::Tuple { arity, .. } => (Item::Tuple(arity), 1),
        Node::List { len, .. } => (Item::List(len), 1),
        Node::Map { len, .. } => (Item::Map(len), 1),
        Node::Pid { .. } => (Item::Pid(pid(block, at)), 2),
        Node::Port { creation, id, .. } => (
            Item::Port {
                node: block.atom_text(at + 1),
                creation,
                id,
            },
            2,
        ),
        Node::Reference {
            count,
            creation,
            offset,
        } => {
            let (words, _) = block.words(count, offset);
            (
                Item::Reference {
                    node: block.atom_text(at + 1),
                    creation,
                    words,
                    count,
                },
                2,
            )
        }
        Node::Export { arity } => (
            Item::Export {
                module: block.atom_text(at + 1),
                function: block.atom_text(at + 2),
                arity,
            },
            3,
        ),
        Node::Fun { free, .. } => {
            let uniq = match block.node(at + 1) {
                Node::Binary { len, offset } => block.bytes(offset, len),
                _ => &[],
            };
            let fun = FunRef {
                module: block.atom_text(at + 3),
                index: block.integer(at + 2),
                uniq,
                old_index: block.integer(at + 4),
                old_uniq: block.integer(at + 5),
                free,
            };
            (Item::Fun(fun), FUN_HEAD)
        }
        Node::OldFun { free, .. } => {
            let fun = FunRef {
                module: block.atom_text(at + 3),
                index: block.integer(at + 4),
                uniq: &[],
                old_index: block.integer(at + 4),
                old_uniq: block.integer(at + 5),
                free,
            };
            (Item::Fun(fun), OLD_FUN_HEAD)
        }
        Node::Record { exported, fields, .. } => {
            let (module, name) = (block.atom_text(at + 1), block.atom_text(at + 2));
            (
                Item::Record {
                    module,
                    name,
                    exported,
                    fields,
                },
                3,
            )
        }
    }
}

fn pid(block: &Block, at: u32) -> PidRef<'_> {
    let node = block.atom_text(at + 1);
    match block.node(at) {
        Node::Pid { id, serial, creation } => PidRef {
            node,
            id,
            serial,
            creation,
        },
        _ => PidRef {
            node,
            id: 0,
            serial: 0,
            creation: 0,
        },
    }
}
