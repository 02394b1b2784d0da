//! Whether the keys of a decoded map are all different.
//!
//! Each key gets a 64-bit fingerprint; only if two are equal are the keys themselves looked at. Fingerprints need not withstand an
//! adversary: whoever makes them collide pays for a sort of the keys, no more.
//!
//! Keys that are compounds would have to be gone over once for every map they stand in, and maps can stand in keys of maps. So
//! those maps wait until the term is complete: then every part gets a keyed hash, from the last node to the first, each
//! made of those of its children, in one pass.

use crate::term::block::{FUN_HEAD, Node, OLD_FUN_HEAD};
use crate::term::{Atom, Term, mask};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// What the nodes of a term that is being decoded refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) input: &'a [u8],
    pub(super) table: &'a [Atom],
    pub(super) side: &'a [Term],
}

/// What the keys of a map are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Different,
    /// This key, by its node, is there twice.
    Same(u32),
    /// Some are compounds, so it cannot be told yet.
    Compound,
}

/// All that makes a key what it is, if it is no compound: equal for equal keys only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Content<'a> {
    kind: u8,
    numbers: (u64, u64),
    bytes: (&'a [u8], &'a [u8]),
}

/// How many keys are compared pair by pair.
const FEW: usize = 16;

impl<'a> Scope<'a> {
    fn node(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or(Node::Nil)
    }

    fn bytes(&self, offset: u64, len: u32) -> &'a [u8] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        self.input
            .get(start..start.saturating_add(len as usize))
            .unwrap_or_default()
    }

    /// The text of the atom at a place.
    fn text(&self, at: u32) -> &'a [u8] {
        match self.node(at) {
            Node::Atom { len, offset } => self.bytes(offset, len),
            Node::TableAtom(index) => self
                .table
                .get(index as usize)
                .map_or(&[], |atom| atom.as_str().as_bytes()),
            Node::SideAtom(index) => match self.side.get(index as usize) {
                Some(Term::Atom(atom)) => atom.as_str().as_bytes(),
                _ => &[],
            },
            _ => &[],
        }
    }

    /// How many nodes the term at a place takes.
    fn span(&self, at: u32) -> u32 {
        self.node(at).span()
    }

    /// The places of the keys of a map.
    fn keys(self, map: u32, len: u32) -> impl Iterator<Item = u32> {
        let mut at = map + 1;
        (0..len).map(move |_| {
            let key = at;
            let value = key + self.span(key);
            at = value + self.span(value);
            key
        })
    }

    /// The content of a key that is no compound.
    fn content(&self, at: u32) -> Option<Content<'a>> {
        let none: &[u8] = &[];
        let (kind, numbers, bytes) = match self.node(at) {
            Node::Integer(value) => (0, (value.cast_unsigned(), 0), (none, none)),
            Node::Float(value) => (1, (value.to_bits(), 0), (none, none)),
            Node::BigInteger {
                negative,
                len,
                offset,
            } => (2, (negative.into(), 0), (self.bytes(offset, len), none)),
            Node::Atom { .. } | Node::TableAtom(_) | Node::SideAtom(_) => (3, (0, 0), (self.text(at), none)),
            Node::Nil => (4, (0, 0), (none, none)),
            Node::Bytes { len, offset } => (5, (0, 0), (self.bytes(offset, len), none)),
            Node::Binary { len, offset } => (6, (0, 0), (self.bytes(offset, len), none)),
            Node::BitString { bits, len, offset } => {
                let (last, whole) = self.bytes(offset, len).split_last().unwrap_or((&0, &[]));
                (7, (bits.into(), (last & mask(bits)).into()), (whole, none))
            }
            Node::Pid { id, serial, creation } => (
                8,
                (u64::from(id) << 32 | u64::from(serial), creation.into()),
                (self.text(at + 1), none),
            ),
            Node::Port { creation, id, .. } => (9, (id, creation.into()), (self.text(at + 1), none)),
            Node::Reference {
                count,
                creation,
                offset,
            } => {
                let mut words = self.bytes(offset, u32::from(count) * 4);
                while let [rest @ .., 0, 0, 0, 0] = words {
                    words = rest;
                }
                (10, (creation.into(), 0), (words, self.text(at + 1)))
            }
            Node::Export { arity } => (11, (arity.into(), 0), (self.text(at + 1), self.text(at + 2))),
            Node::Tuple { arity: 0, .. } => (12, (0, 0), (none, none)),
            Node::Map { len: 0, .. } => (13, (0, 0), (none, none)),
            _ => return None,
        };
        Some(Content { kind, numbers, bytes })
    }

    /// Looks at the keys of a map whose nodes are all there.
    pub(super) fn same(self, map: u32, len: u32) -> Keys {
        let mut few = [0_u64; FEW];
        let hit = if let Some(prints) = few.get_mut(..len as usize) {
            for (print, key) in prints.iter_mut().zip(self.keys(map, len)) {
                match self.print(key) {
                    Some(value) => *print = value,
                    None => return Keys::Compound,
                }
            }
            let mut rest = &*prints;
            let mut hit = false;
            while let [first, others @ ..] = rest {
                hit |= others.contains(first);
                rest = others;
            }
            hit
        } else {
            let prints: Option<Vec<u64>> = self.keys(map, len).map(|key| self.print(key)).collect();
            let Some(mut prints) = prints else {
                return Keys::Compound;
            };
            prints.sort_unstable();
            prints.array_windows().any(|[a, b]| a == b)
        };
        if hit {
            self.same_content(map, len)
        } else {
            Keys::Different
        }
    }

    /// Looks at the keys themselves.
    fn same_content(self, map: u32, len: u32) -> Keys {
        let keys = self.keys(map, len).map(|key| (self.content(key), key));
        repeated(keys).map_or(Keys::Different, Keys::Same)
    }

    /// The fingerprint of a key that is no compound.
    fn print(&self, at: u32) -> Option<u64> {
        Some(match self.node(at) {
            Node::Integer(value) => mix(value.cast_unsigned(), 1),
            Node::Binary { len, offset } => print_bytes(self.bytes(offset, len), 2),
            Node::Atom { .. } | Node::TableAtom(_) | Node::SideAtom(_) => print_bytes(self.text(at), 3),
            _ => {
                let Content { kind, numbers, bytes } = self.content(at)?;
                let bytes = mix(print_bytes(bytes.0, 4), print_bytes(bytes.1, 5));
                mix(mix(numbers.0, numbers.1) ^ bytes, kind.into())
            }
        })
    }

    /// The first of so many atoms, a node each, that is there twice.
    pub(super) fn same_name(self, first: u32, count: u32) -> Option<u32> {
        repeated((first..first + count).map(|at| (self.text(at), at)))
    }

    /// The first key that is there twice in any of these maps, by its node.
    pub(super) fn same_compound(self, maps: &[u32]) -> Option<u32> {
        let hashes = self.hashes();
        let hash = |at: u32| hashes.get(at as usize).copied().unwrap_or(0);
        let in_map = |&map: &u32| match self.node(map) {
            // Two terms with one hash of 64 bits under a key nobody knows are one term.
            Node::Map { len, .. } => repeated(self.keys(map, len).map(|key| (hash(key), key))),
            _ => None,
        };
        maps.iter().filter_map(in_map).min()
    }

    /// A hash for every node that begins a term, such that equal terms have equal hashes.
    fn hashes(self) -> Vec<u64> {
        let state = RandomState::new();
        let mut hashes = vec![0; self.nodes.len()];
        for at in (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).rev() {
            let children = |from: u32, count: u32| {
                let mut at = from;
                let hashes = &hashes;
                (0..count).map(move |_| {
                    let hash = hashes.get(at as usize).copied().unwrap_or(0);
                    at += self.span(at);
                    hash
                })
            };
            let mut hasher = state.build_hasher();
            let hash = match self.node(at) {
                Node::Integer(value) => Some(integer(&state, value)),
                Node::Nil => Some(nil(&state)),
                Node::Tuple { arity, .. } => {
                    hasher.write_u8(20);
                    children(at + 1, arity).for_each(|child| hasher.write_u64(child));
                    None
                }
                Node::List { len, .. } => {
                    hasher.write_u8(21);
                    children(at + 1, len + 1).for_each(|child| hasher.write_u64(child));
                    None
                }
                Node::Bytes { len, offset } => {
                    // As the list of integers that it is.
                    hasher.write_u8(21);
                    for byte in self.bytes(offset, len) {
                        hasher.write_u64(integer(&state, (*byte).into()));
                    }
                    hasher.write_u64(nil(&state));
                    None
                }
                Node::Map { len, .. } => {
                    let mut all = children(at + 1, len.saturating_mul(2));
                    let mut sum = 0_u64;
                    while let (Some(key), Some(value)) = (all.next(), all.next()) {
                        sum = sum.wrapping_add(state.hash_one((key, value)));
                    }
                    hasher.write_u8(22);
                    hasher.write_u64(sum);
                    None
                }
                Node::Fun { free, .. } => {
                    hasher.write_u8(23);
                    children(at + 2, 4).for_each(|child| hasher.write_u64(child));
                    children(at + FUN_HEAD, free).for_each(|child| hasher.write_u64(child));
                    None
                }
                Node::OldFun { free, .. } => {
                    hasher.write_u8(24);
                    children(at + 3, 3).for_each(|child| hasher.write_u64(child));
                    children(at + OLD_FUN_HEAD, free).for_each(|child| hasher.write_u64(child));
                    None
                }
                Node::Record { exported, fields, .. } => {
                    hasher.write_u8(25);
                    hasher.write_u8(exported.into());
                    children(at + 1, fields.saturating_mul(2).saturating_add(2))
                        .for_each(|child| hasher.write_u64(child));
                    None
                }
                _ => {
                    self.content(at).hash(&mut hasher);
                    None
                }
            };
            if let Some(slot) = hashes.get_mut(at as usize) {
                *slot = hash.unwrap_or_else(|| hasher.finish());
            }
        }
        hashes
    }
}

/// The first place, in the order of places, at which something stands that stood before.
fn repeated<T: Ord>(places: impl Iterator<Item = (T, u32)>) -> Option<u32> {
    let mut places: Vec<_> = places.collect();
    places.sort_unstable();
    let pairs = places.array_windows();
    pairs.filter(|[a, b]| a.0 == b.0).map(|[_, (_, at)]| *at).min()
}

fn integer(state: &RandomState, value: i64) -> u64 {
    state.hash_one((1_u8, value))
}

fn nil(state: &RandomState) -> u64 {
    state.hash_one(2_u8)
}

/// Spreads two numbers over 64 bits.
const fn mix(a: u64, b: u64) -> u64 {
    let product = ((a ^ 0x9e37_79b9_7f4a_7c15) as u128) * ((b ^ 0xd1b5_4a32_d192_ed03) as u128);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are wanted")]
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded
}

/// The fingerprint of bytes.
fn print_bytes(bytes: &[u8], kind: u64) -> u64 {
    let mut print = mix(bytes.len() as u64, kind);
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        print = mix(print, u64::from_le_bytes(*chunk));
    }
    let mut last = 0;
    for byte in rest {
        last = last << 8 | u64::from(*byte);
    }
    mix(print, last)
}
