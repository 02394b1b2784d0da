//! Writing a term: one loop over the nodes of its blocks.
//!
//! Most nodes are written as they come, in the order in which they stand. What has to be interrupted for something else, such as a
//! list that goes on in another block, waits on a stack of its own: depth costs no stack of the machine.

use super::{MAX_STRING, MinorVersion, Writer, short_integer};
use crate::etf::tag;
use crate::term::block::{Block, Node, Tail};
use crate::term::chain::{self, Next};
use crate::term::compare::{Comparison, Place};
use crate::term::walk::PidRef;
use crate::term::{List, Repr, Term};
use std::mem;
use std::sync::Arc;

/// Nodes still to be written.
#[derive(Clone, Copy)]
struct Run<'a> {
    block: &'a Arc<Block>,
    at: u32,
    end: u32,
    then: Then,
}

/// How many elements a list has of which it is worth while to see whether they are integers.
const ROW: u32 = 8;

/// What follows a run.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    /// The size of a fun goes to this offset.
    Size(usize),
    /// The list goes on with the link at the run's end.
    Tail,
}

impl Writer {
    /// Writes any term.
    pub fn term(&mut self, term: &Term) {
        let Some(mut run) = self.part(term) else {
            return;
        };
        // Those that the present one interrupts, the innermost last.
        let mut outer = Vec::new();
        let mut orders = Comparison::default();
        loop {
            run.at = self.plain(run.block, run.at, run.end);
            if run.at < run.end {
                match run.block.node(run.at) {
                    Node::Map { len, span } if len > 1 && self.format.deterministic => {
                        let map = Place {
                            block: run.block,
                            at: run.at,
                        };
                        run.at += span;
                        self.map(len);
                        outer.push(run);
                        let keys = orders.order(map, len);
                        outer.extend(keys.iter().rev().map(|key| Run {
                            block: key.block,
                            at: key.at,
                            end: key.after().after().at,
                            then: Then::Nothing,
                        }));
                    }
                    node => match self.node(&mut run, node) {
                        Some(inner) => {
                            outer.push(mem::replace(&mut run, inner));
                            continue;
                        }
                        None => continue,
                    },
                }
            } else if let Some(next) = self.end(run) {
                run = next;
                continue;
            }
            match outer.pop() {
                Some(next) => run = next,
                None => return,
            }
        }
    }

    /// Writes a term of its own, or all of it but a run of nodes.
    fn part<'a>(&mut self, term: &'a Term) -> Option<Run<'a>> {
        let (block, at) = match term {
            Term::Integer(value) => return self.leaf(|writer| writer.integer(*value)),
            Term::BigInteger(value) => {
                return self.leaf(|writer| writer.big(value.is_negative(), value.magnitude()));
            }
            Term::Float(value) => return self.leaf(|writer| writer.float(value.value())),
            Term::Atom(atom) => return self.leaf(|writer| writer.atom(atom)),
            Term::Reference(reference) => return self.leaf(|writer| writer.reference(reference)),
            Term::Port(port) => return self.leaf(|writer| writer.port(port)),
            Term::Pid(pid) => return self.leaf(|writer| writer.pid(pid)),
            Term::Binary(bytes) => return self.leaf(|writer| writer.binary(bytes)),
            Term::BitString(value) => {
                return self.leaf(|writer| writer.bit_string(value.bytes(), value.last_bits()));
            }
            Term::List(list) => return self.list_part(list),
            Term::Tuple(tuple) => tuple.handle().parts(),
            Term::Map(map) => map.handle().parts(),
            Term::Fun(fun) => fun.handle().parts(),
            Term::Record(record) => record.handle().parts(),
        };
        let span = block.span(at);
        // Most terms take a few bytes a node and what of the source they refer to, which is seldom more than all of it.
        let likely = block.source.len().saturating_add(5 * span as usize);
        self.bytes.reserve(likely.min(16 * span as usize));
        Some(Run {
            block,
            at,
            end: at + span,
            then: Then::Nothing,
        })
    }

    fn leaf<'a>(&mut self, write: impl FnOnce(&mut Self)) -> Option<Run<'a>> {
        write(self);
        None
    }

    fn list_part<'a>(&mut self, list: &'a List) -> Option<Run<'a>> {
        match list.repr() {
            Repr::Nil => self.nil(),
            Repr::Bytes(bytes) if bytes.len() <= MAX_STRING => self.string(bytes),
            Repr::Bytes(bytes) => {
                self.tag_and_length(tag::LIST, bytes.len());
                return self.elements(list);
            }
            Repr::Nodes { .. } => {
                let mut bytes = Vec::new();
                if chain::bytes(list, MAX_STRING, &mut bytes) {
                    self.string(&bytes);
                } else {
                    self.tag_and_length(tag::LIST, chain::length(list));
                    return self.elements(list);
                }
            }
        }
        None
    }

    /// Writes the nodes from a place on that need nothing but themselves: most of what there is. Gives the place of the first other
    /// one, `end` if there is none.
    fn plain(&mut self, block: &Block, at: u32, end: u32) -> u32 {
        let source: &[u8] = &block.source;
        let mut nodes = block.nodes.get(at as usize..end as usize).unwrap_or_default();
        // Whether the text of atoms is written as it stands, and floats as eight bytes.
        let as_is = self.table.is_none() && self.format.minor_version == MinorVersion::V2;
        while let [node, rest @ ..] = nodes {
            match *node {
                Node::Integer(value) => self.integer(value),
                Node::Nil => self.nil(),
                Node::Float(value) if as_is => {
                    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
                    self.bytes
                        .extend_from_slice(&[tag::NEW_FLOAT, a, b, c, d, e, f, g, h]);
                }
                Node::Float(value) => self.float(value),
                Node::Atom { len, offset } if as_is && len <= u8::MAX.into() => {
                    self.short_atom(source, len, offset);
                }
                Node::Binary { len, offset } => {
                    let [a, b, c, d] = len.to_be_bytes();
                    self.bytes.extend_from_slice(&[tag::BINARY, a, b, c, d]);
                    self.piece(source, len, offset);
                }
                Node::Bytes { len, offset } => self.string(block.bytes(offset, len)),
                Node::BigInteger {
                    negative,
                    len,
                    offset,
                } if let Ok(short) = u8::try_from(len) => {
                    self.bytes
                        .extend_from_slice(&[tag::SMALL_BIG, short, negative.into()]);
                    self.piece(source, len, offset);
                }
                Node::BigInteger {
                    negative,
                    len,
                    offset,
                } => self.big(negative, block.bytes(offset, len)),
                Node::Tuple { arity, .. } => self.tuple(arity),
                Node::Map { len, .. } if !self.format.deterministic => self.map(len),
                Node::List {
                    tail: Tail::Nil,
                    len,
                    span,
                } => {
                    if self.small_string(rest, len) {
                        nodes = rest.get(span as usize - 1..).unwrap_or_default();
                        continue;
                    }
                    self.tag_and_length(tag::LIST, len as usize);
                    nodes = if len >= ROW { self.integers(rest) } else { rest };
                    continue;
                }
                Node::List {
                    tail: Tail::Improper,
                    len,
                    ..
                } => self.tag_and_length(tag::LIST, len as usize),
                Node::Pid { id, serial, creation }
                    if as_is
                        && let [Node::Atom { len, offset }, rest @ ..] = rest
                        && *len <= u8::MAX.into() =>
                {
                    self.bytes.push(tag::NEW_PID);
                    self.short_atom(source, *len, *offset);
                    let words = [id, serial, creation].map(u32::to_be_bytes);
                    self.bytes.extend_from_slice(words.as_flattened());
                    nodes = rest;
                    continue;
                }
                _ => return end - u32::try_from(rest.len()).unwrap_or(0) - 1,
            }
            nodes = rest;
        }
        end
    }

    /// Writes an atom of at most 255 bytes as it stands in a source.
    #[inline]
    fn short_atom(&mut self, source: &[u8], len: u32, offset: u64) {
        self.bytes
            .extend_from_slice(&[tag::SMALL_ATOM_UTF8, len.to_le_bytes()[0]]);
        self.piece(source, len, offset);
    }

    /// Appends a piece of a source. Most are short: those are copied with what follows them, up to a fixed size, which takes no call,
    /// and what was too much is taken back.
    #[inline]
    fn piece(&mut self, source: &[u8], len: u32, offset: u64) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = source.get(start..).unwrap_or_default();
        let len = len as usize;
        if len <= 16
            && let Some(window) = from.first_chunk::<16>()
        {
            self.bytes.extend_from_slice(window);
            self.bytes.truncate(self.bytes.len() + len - 16);
        } else if len <= 32
            && let Some(window) = from.first_chunk::<32>()
        {
            self.bytes.extend_from_slice(window);
            self.bytes.truncate(self.bytes.len() + len - 32);
        } else {
            self.bytes.extend_from_slice(from.get(..len).unwrap_or_default());
        }
    }

    /// Writes the integers of at most 32 bits that nodes begin with, and gives the other nodes.
    fn integers<'n>(&mut self, mut nodes: &'n [Node]) -> &'n [Node] {
        // Here first, where it is known how much room there is.
        let mut buffer = [0; 256];
        let mut used = 0;
        while let [Node::Integer(value), rest @ ..] = nodes
            && let Ok(value) = i32::try_from(*value)
        {
            let room = buffer.get_mut(used..).and_then(|room| room.first_chunk_mut());
            let Some(room) = room else {
                self.bytes
                    .extend_from_slice(buffer.get(..used).unwrap_or_default());
                used = 0;
                continue;
            };
            let (bytes, len) = short_integer(value);
            *room = bytes;
            used += len;
            nodes = rest;
        }
        self.bytes
            .extend_from_slice(buffer.get(..used).unwrap_or_default());
        nodes
    }

    /// Writes so many nodes as a string if they are integers from 0 to 255.
    fn small_string(&mut self, nodes: &[Node], len: u32) -> bool {
        let Some(nodes) = nodes
            .get(..len as usize)
            .filter(|nodes| nodes.len() <= MAX_STRING)
        else {
            return false;
        };
        if !nodes.iter().all(|node| matches!(node, Node::Integer(0..=255))) {
            return false;
        }
        let [a, b] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
        self.bytes.extend_from_slice(&[tag::STRING, a, b]);
        self.bytes.extend(nodes.iter().map(|node| match node {
            Node::Integer(value) => value.to_le_bytes()[0],
            _ => 0,
        }));
        true
    }

    /// Writes the elements of a list and its end, without its head, or all of that but a run of nodes.
    fn elements<'a>(&mut self, list: &'a List) -> Option<Run<'a>> {
        match list.repr() {
            Repr::Nil => self.nil(),
            Repr::Bytes(bytes) => {
                for byte in bytes {
                    self.bytes.extend_from_slice(&[tag::SMALL_INTEGER, *byte]);
                }
                self.nil();
            }
            Repr::Nodes { handle, first, .. } => {
                let block = &handle.block;
                let end = handle.at + block.span(handle.at);
                let (end, then) = match block.node(handle.at) {
                    Node::List {
                        tail: Tail::Linked, ..
                    } => (end - 1, Then::Tail),
                    _ => (end, Then::Nothing),
                };
                return Some(Run {
                    block,
                    at: *first,
                    end,
                    then,
                });
            }
        }
        None
    }

    /// Writes what follows a run that has been written, or all of that but a run of nodes.
    fn end<'a>(&mut self, run: Run<'a>) -> Option<Run<'a>> {
        match run.then {
            Then::Nothing => {}
            Then::Size(offset) => {
                let size = u32::try_from(self.bytes.len() - offset).unwrap_or(u32::MAX);
                if let Some(slot) = self.bytes.get_mut(offset..offset + 4) {
                    slot.copy_from_slice(&size.to_be_bytes());
                }
            }
            Then::Tail => match run.block.node(run.end) {
                Node::Link(index) => match run.block.links.get(index as usize) {
                    Some(Term::List(list)) => return self.elements(list),
                    _ => self.nil(),
                },
                _ => self.nil(),
            },
        }
        None
    }

    /// Writes the node at the beginning of a run and steps over it. Its children follow it in the run, or are a run of their own that
    /// comes first.
    fn node<'a>(&mut self, run: &mut Run<'a>, node: Node) -> Option<Run<'a>> {
        let Run { block, at, .. } = *run;
        run.at += 1;
        match node {
            Node::Integer(value) => self.integer(value),
            Node::Float(value) => self.float(value),
            Node::BigInteger {
                negative,
                len,
                offset,
            } => self.big(negative, block.bytes(offset, len)),
            Node::Atom { .. } | Node::TableAtom(_) | Node::SideAtom(_) => self.atom(block.atom_text(at)),
            Node::Link(index) => match block.links.get(index as usize) {
                Some(term) => return self.part(term),
                None => self.nil(),
            },
            Node::Nil | Node::Open { .. } => self.nil(),
            Node::Bytes { len, offset } => self.string(block.bytes(offset, len)),
            Node::Binary { len, offset } => self.binary(block.bytes(offset, len)),
            Node::BitString { bits, len, offset } => self.bit_string(block.bytes(offset, len), bits),
            Node::Tuple { arity, .. } => self.tuple(arity),
            Node::Map { len, .. } => self.map(len),
            Node::Pid { id, serial, creation } => {
                run.at += 1;
                self.pid_parts(PidRef {
                    node: block.atom_text(at + 1),
                    id,
                    serial,
                    creation,
                });
            }
            Node::Port { old, creation, id } => {
                run.at += 1;
                self.port_parts(block.atom_text(at + 1), creation, id, old);
            }
            Node::Reference {
                count,
                creation,
                offset,
            } => {
                run.at += 1;
                let words = block.bytes(offset, u32::from(count) * 4);
                self.reference_bytes(block.atom_text(at + 1), creation, count, words);
            }
            Node::Export { arity } => {
                run.at += 2;
                self.bytes.push(tag::EXPORT);
                self.atom(block.atom_text(at + 1));
                self.atom(block.atom_text(at + 2));
                self.integer(arity.into());
            }
            Node::List {
                tail: Tail::Linked,
                len,
                span,
            } => {
                run.at += span - 1;
                return self.linked(block, at, len, span);
            }
            // Written before what is not plain is come upon.
            Node::List { len, .. } => self.tag_and_length(tag::LIST, len as usize),
            Node::OldFun { free, .. } => self.tag_and_length(tag::FUN, free as usize),
            Node::Record { exported, fields, .. } => {
                self.tag_and_length(tag::RECORD, fields as usize);
                self.bytes.push(exported.into());
            }
            Node::Fun { arity, free, span } => {
                run.at += span - 1;
                self.bytes.push(tag::NEW_FUN);
                let then = Then::Size(self.bytes.len());
                self.bytes.extend_from_slice(&[0, 0, 0, 0, arity]);
                if let Node::Binary { len, offset } = block.node(at + 1) {
                    self.bytes.extend_from_slice(block.bytes(offset, len));
                }
                let index = u32::try_from(block.integer(at + 2)).unwrap_or(0);
                self.bytes.extend_from_slice(&index.to_be_bytes());
                self.bytes.extend_from_slice(&free.to_be_bytes());
                return Some(Run {
                    block,
                    at: at + 3,
                    end: at + span,
                    then,
                });
            }
        }
        None
    }

    /// Writes a list that is made of several, or all of it but a run of nodes.
    fn linked<'a>(&mut self, block: &'a Arc<Block>, at: u32, len: u32, span: u32) -> Option<Run<'a>> {
        let mut bytes = Vec::new();
        if chain::node_bytes(block, at + 1, len, MAX_STRING, &mut bytes) {
            self.string(&bytes);
            return None;
        }
        let rest = match chain::next(block, at) {
            Next::List(list) => chain::length(list),
            Next::End | Next::Improper => 0,
        };
        self.tag_and_length(tag::LIST, len as usize + rest);
        Some(Run {
            block,
            at: at + 1,
            end: at + span - 1,
            then: Then::Tail,
        })
    }
}
