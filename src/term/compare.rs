//! Erlang's order and equality, in both strengths.
//!
//! Everything runs over two [`Cursor`]s side by side and a stack of its own. Maps are the hard part: they compare by size, then by
//! their keys in exact order, then by their values in the order of the keys. So keys must be sorted first, and keys may
//! hold maps: the orders of all maps within keys are worked out innermost first and kept while the comparison lasts, so that no
//! comparison ever waits for another inside it.

use super::Term;
use super::binary::mask;
use super::block::Block;
use super::number::compare_big;
use super::walk::{Cursor, FunRef, Item, PidRef};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        compare(self, other, Strength::Exact) == Ordering::Equal
    }
}

impl Eq for Term {}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Term {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self, other, Strength::Exact)
    }
}

impl Term {
    /// Erlang's `<`, `==` and `>`: numbers count by their value, whatever their type.
    ///
    /// ```
    /// use beamnode::term::Term;
    /// use std::cmp::Ordering;
    ///
    /// assert_eq!(Term::from(1).compare(&Term::from(1.0)), Ordering::Equal);
    /// assert_ne!(Term::from(1), Term::from(1.0));
    /// ```
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        compare(self, other, Strength::ByValue)
    }

    /// Erlang's `==`.
    ///
    /// ```
    /// use beamnode::term::Term;
    ///
    /// assert!(Term::from((1, 2.0)).equals(&Term::from((1.0, 2))));
    /// ```
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

/// Which of Erlang's two orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    /// That of the keys of a map, whose equality is `=:=`.
    Exact,
    /// That of `<`, whose equality is `==`.
    ByValue,
}

fn compare(a: &Term, b: &Term, strength: Strength) -> Ordering {
    if let (Term::Integer(a), Term::Integer(b)) = (a, b) {
        return a.cmp(b);
    }
    if identical(Cursor::new(a), Cursor::new(b)) {
        return Ordering::Equal;
    }
    Comparison::default().run(Cursor::new(a), Cursor::new(b), strength)
}

/// Whether two terms are the same part by part, with the pairs of their maps in the same order.
fn identical<'a>(mut a: Cursor<'a>, mut b: Cursor<'a>) -> bool {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if heads(&a, &b, Strength::Exact) == Some(Ordering::Equal) => {}
            _ => return false,
        }
    }
}

/// A term in its block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) block: &'a Arc<Block>,
    pub(crate) at: u32,
}

impl<'a> Place<'a> {
    fn cursor(self) -> Cursor<'a> {
        Cursor::at(self.block, self.at)
    }

    /// The place after this term.
    pub(crate) fn after(self) -> Self {
        Self {
            block: self.block,
            at: self.at + self.block.span(self.at),
        }
    }

    /// What tells this place from any other while its block lives.
    fn identity(self) -> (usize, u32) {
        (Arc::as_ptr(self.block).addr(), self.at)
    }
}

/// One side of two lists being compared.
#[derive(Debug)]
enum Side<'a> {
    /// So many elements are left in this part of the list.
    Nodes(u32),
    Bytes(&'a [u8]),
}

/// What is still to be compared.
#[derive(Debug)]
enum Frame<'a> {
    /// The next so many terms.
    Terms(u32, Strength),
    Lists(Side<'a>, Side<'a>, Strength),
    /// The pairs of two maps of one size, from this one on: first all keys, then all values.
    Maps(Box<Maps<'a>>),
}

#[derive(Debug)]
struct Maps<'a> {
    a: Rc<[Place<'a>]>,
    b: Rc<[Place<'a>]>,
    next: usize,
    strength: Strength,
    /// Where the walks go on after the maps.
    resume: (Cursor<'a>, Cursor<'a>),
}

/// A comparison, or several that share what is known about the maps.
#[derive(Debug, Default)]
pub(crate) struct Comparison<'a> {
    /// The places of the keys of maps, in order.
    orders: HashMap<(usize, u32), Rc<[Place<'a>]>>,
}

impl<'a> Comparison<'a> {
    fn run(&mut self, mut a: Cursor<'a>, mut b: Cursor<'a>, strength: Strength) -> Ordering {
        let mut frames = vec![Frame::Terms(1, strength)];
        loop {
            let (left, right, strength) = match frames.last_mut() {
                None => return Ordering::Equal,
                Some(Frame::Terms(0, _)) => {
                    frames.pop();
                    continue;
                }
                Some(Frame::Terms(count, strength)) => {
                    *count -= 1;
                    let strength = *strength;
                    if self.maps(&mut a, &mut b, strength, &mut frames) {
                        continue;
                    }
                    (a.next(), b.next(), strength)
                }
                Some(Frame::Lists(left, right, strength)) => {
                    let strength = *strength;
                    let (one, other) = (left.step(&mut a), right.step(&mut b));
                    match (one, other) {
                        (Step::Element, Step::Element) => {
                            if self.maps(&mut a, &mut b, strength, &mut frames) {
                                continue;
                            }
                            (a.next(), b.next(), strength)
                        }
                        (Step::Byte(byte), Step::Element) => {
                            (Some(Item::Integer(byte.into())), b.next(), strength)
                        }
                        (Step::Element, Step::Byte(byte)) => {
                            (a.next(), Some(Item::Integer(byte.into())), strength)
                        }
                        (Step::Byte(left), Step::Byte(right)) => match left.cmp(&right) {
                            Ordering::Equal => continue,
                            unequal => return unequal,
                        },
                        (Step::End(left), Step::End(right)) => {
                            frames.pop();
                            // An end that is a map was not taken off its walk.
                            if left.is_none() && right.is_none() {
                                frames.push(Frame::Terms(1, strength));
                                continue;
                            }
                            (left.or_else(|| a.next()), right.or_else(|| b.next()), strength)
                        }
                        // An end is never a list, so its rank decides.
                        (Step::End(left), _) => return rank(left.unwrap_or(Item::Map(0))).cmp(&LIST),
                        (_, Step::End(right)) => return LIST.cmp(&rank(right.unwrap_or(Item::Map(0)))),
                    }
                }
                Some(Frame::Maps(maps)) => {
                    let size = maps.a.len();
                    let (index, values) = if maps.next < size {
                        (maps.next, false)
                    } else {
                        (maps.next - size, true)
                    };
                    maps.next += 1;
                    let (Some(left), Some(right)) = (maps.a.get(index), maps.b.get(index)) else {
                        if let Some(Frame::Maps(maps)) = frames.pop() {
                            (a, b) = maps.resume;
                        }
                        continue;
                    };
                    let strength = if values {
                        (a, b) = (left.after().cursor(), right.after().cursor());
                        maps.strength
                    } else {
                        (a, b) = (left.cursor(), right.cursor());
                        Strength::Exact
                    };
                    frames.push(Frame::Terms(1, strength));
                    continue;
                }
            };
            let (Some(left), Some(right)) = (left, right) else {
                return Ordering::Equal;
            };
            match heads(&left, &right, strength) {
                None => {
                    let sides = (Side::of(left), Side::of(right));
                    if let (Some(left), Some(right)) = sides {
                        frames.push(Frame::Lists(left, right, strength));
                    }
                }
                Some(Ordering::Equal) => {
                    let children = children(&left);
                    if children > 0 {
                        frames.push(Frame::Terms(children, strength));
                    }
                }
                Some(unequal) => return unequal,
            }
        }
    }

    /// If a map with more than one pair comes next on both sides and they are of one size, takes them up.
    fn maps(
        &mut self,
        a: &mut Cursor<'a>,
        b: &mut Cursor<'a>,
        strength: Strength,
        frames: &mut Vec<Frame<'a>>,
    ) -> bool {
        let (Some((left, size)), Some((right, other))) = (a.peek_map(), b.peek_map()) else {
            return false;
        };
        if size != other || size == 0 {
            return false;
        }
        let (left, right) = (self.order(left, size), self.order(right, size));
        a.skip();
        b.skip();
        let resume = (a.clone(), b.clone());
        frames.push(Frame::Maps(Box::new(Maps {
            a: left,
            b: right,
            next: 0,
            strength,
            resume,
        })));
        true
    }

    /// The places of the keys of a map, in exact order.
    pub(crate) fn order(&mut self, map: Place<'a>, size: u32) -> Rc<[Place<'a>]> {
        if let Some(order) = self.orders.get(&map.identity()) {
            return Rc::clone(order);
        }
        let keys = keys(map, size);
        // Maps inside these keys, outer before inner.
        let mut inside = Vec::new();
        if size > 1 {
            for key in &keys {
                let mut cursor = key.cursor();
                loop {
                    inside.extend(cursor.peek_map().filter(|(_, size)| *size > 1));
                    if cursor.next().is_none() {
                        break;
                    }
                }
            }
        }
        while let Some((map, size)) = inside.pop() {
            if !self.orders.contains_key(&map.identity()) {
                let keys = self.sorted(self::keys(map, size));
                self.orders.insert(map.identity(), keys);
            }
        }
        let keys = self.sorted(keys);
        self.orders.insert(map.identity(), Rc::clone(&keys));
        keys
    }

    /// Sorts keys. The maps inside them have been dealt with.
    fn sorted(&mut self, mut keys: Vec<Place<'a>>) -> Rc<[Place<'a>]> {
        keys.sort_by(|a, b| self.run(a.cursor(), b.cursor(), Strength::Exact));
        keys.into()
    }
}

/// The places of the keys of a map, as they stand.
fn keys(map: Place<'_>, size: u32) -> Vec<Place<'_>> {
    let mut key = Place {
        at: map.at + 1,
        ..map
    };
    let mut keys = Vec::new();
    for _ in 0..size {
        keys.push(key);
        key = key.after().after();
    }
    keys
}

/// What a list has next.
#[derive(Debug)]
enum Step<'a> {
    /// An element, which the walk has next.
    Element,
    Byte(u8),
    /// What follows the last element; nothing if that is a map, which the walk has next.
    End(Option<Item<'a>>),
}

impl<'a> Side<'a> {
    fn of(item: Item<'a>) -> Option<Self> {
        match item {
            Item::List(left) => Some(Self::Nodes(left)),
            Item::Bytes(bytes) => Some(Self::Bytes(bytes)),
            _ => None,
        }
    }

    fn step(&mut self, cursor: &mut Cursor<'a>) -> Step<'a> {
        loop {
            match self {
                Self::Bytes([]) => return Step::End(Some(Item::Nil)),
                Self::Bytes([first, rest @ ..]) => {
                    let byte = *first;
                    *self = Self::Bytes(rest);
                    return Step::Byte(byte);
                }
                Self::Nodes(0) => {
                    if cursor.peek_map().is_some() {
                        return Step::End(None);
                    }
                    match cursor.next() {
                        Some(Item::List(left)) => *self = Self::Nodes(left),
                        Some(Item::Bytes(bytes)) => *self = Self::Bytes(bytes),
                        Some(end) => return Step::End(Some(end)),
                        None => return Step::End(Some(Item::Nil)),
                    }
                }
                Self::Nodes(left) => {
                    *left -= 1;
                    return Step::Element;
                }
            }
        }
    }
}

/// The children that are compared one after the other; a map has at most one pair here.
fn children(item: &Item<'_>) -> u32 {
    match item {
        Item::Tuple(arity) => *arity,
        Item::Fun(fun) => fun.free,
        Item::Record { fields, .. } => fields * 2,
        _ => 0,
    }
}

/// The rank of non-empty lists.
const LIST: u8 = 10;

/// The order of the types.
fn rank(item: Item<'_>) -> u8 {
    match item {
        Item::Integer(_) | Item::BigInteger { .. } | Item::Float(_) => 0,
        Item::Atom(_) => 1,
        Item::Reference { .. } => 2,
        Item::Fun(_) | Item::Export { .. } => 3,
        Item::Port { .. } => 4,
        Item::Pid(_) => 5,
        Item::Tuple(_) => 6,
        Item::Record { .. } => 7,
        Item::Map(_) => 8,
        Item::Nil => 9,
        Item::List(_) | Item::Bytes(_) => LIST,
        Item::Binary(_) | Item::BitString { .. } => 11,
    }
}

/// Compares what two parts are in themselves, without their children; nothing if both are lists.
fn heads(a: &Item<'_>, b: &Item<'_>, strength: Strength) -> Option<Ordering> {
    Some(match (a, b) {
        (Item::Integer(a), Item::Integer(b)) => a.cmp(b),
        (Item::Atom(a), Item::Atom(b)) => a.cmp(b),
        (Item::Tuple(a), Item::Tuple(b)) | (Item::Map(a), Item::Map(b)) => a.cmp(b),
        (Item::List(_) | Item::Bytes(_), Item::List(_) | Item::Bytes(_)) => return None,
        (Item::Binary(a), Item::Binary(b)) => a.cmp(b),
        (Item::Float(a), Item::Float(b)) => floats(*a, *b, strength),
        (Item::Binary(_) | Item::BitString { .. }, Item::Binary(_) | Item::BitString { .. }) => {
            bit_strings(bits(a), bits(b))
        }
        (Item::Pid(a), Item::Pid(b)) => pids(a, b),
        (
            Item::Port {
                node: a,
                creation: a_creation,
                id: a_id,
            },
            Item::Port {
                node: b,
                creation: b_creation,
                id: b_id,
            },
        ) => (a, a_creation, a_id).cmp(&(b, b_creation, b_id)),
        (
            Item::Reference {
                node: a,
                creation: a_creation,
                words: a_words,
                ..
            },
            Item::Reference {
                node: b,
                creation: b_creation,
                words: b_words,
                ..
            },
        ) => (a, a_creation)
            .cmp(&(b, b_creation))
            .then_with(|| a_words.iter().rev().cmp(b_words.iter().rev())),
        (
            Item::Export {
                module: a,
                function: a_function,
                arity: a_arity,
            },
            Item::Export {
                module: b,
                function: b_function,
                arity: b_arity,
            },
        ) => (a, a_function, a_arity).cmp(&(b, b_function, b_arity)),
        (Item::Fun(_), Item::Export { .. }) => Ordering::Less,
        (Item::Export { .. }, Item::Fun(_)) => Ordering::Greater,
        (Item::Fun(a), Item::Fun(b)) => funs(a, b),
        (
            Item::Record {
                module: a,
                name: a_name,
                exported: a_exported,
                fields: a_fields,
            },
            Item::Record {
                module: b,
                name: b_name,
                exported: b_exported,
                fields: b_fields,
            },
        ) => (a, a_name, a_exported, a_fields).cmp(&(b, b_name, b_exported, b_fields)),
        (a, b) => match rank(*a).cmp(&rank(*b)) {
            Ordering::Equal if strength == Strength::Exact => exact_numbers(a, b),
            Ordering::Equal => numbers(a, b),
            unequal => unequal,
        },
    })
}

fn pids(a: &PidRef<'_>, b: &PidRef<'_>) -> Ordering {
    (a.serial, a.id, a.node, a.creation).cmp(&(b.serial, b.id, b.node, b.creation))
}

fn funs(a: &FunRef<'_>, b: &FunRef<'_>) -> Ordering {
    (a.module, a.index, a.old_uniq, a.uniq, a.free).cmp(&(b.module, b.index, b.old_uniq, b.uniq, b.free))
}

/// A binary or bit string as bytes and how many bits of the last count.
fn bits<'a>(item: &Item<'a>) -> (&'a [u8], u8) {
    match item {
        Item::Binary(bytes) => (bytes, 8),
        Item::BitString { bytes, bits } => (bytes, *bits),
        _ => (&[], 8),
    }
}

/// Bit by bit, the shorter first if it begins the longer.
fn bit_strings((a, a_bits): (&[u8], u8), (b, b_bits): (&[u8], u8)) -> Ordering {
    let common = a.len().min(b.len());
    let last = |bytes: &[u8], bits: u8, index: usize| {
        bytes.get(index).map_or(0, |byte| {
            if index + 1 == bytes.len() {
                byte & mask(bits)
            } else {
                *byte
            }
        })
    };
    let whole = common.saturating_sub(1);
    let length = |bytes: &[u8], bits: u8| (bytes.len() * 8).saturating_sub(8 - usize::from(bits));
    if common == 0 {
        return a.len().cmp(&b.len());
    }
    a.get(..whole)
        .cmp(&b.get(..whole))
        .then_with(|| {
            let shared = if a.len() == b.len() {
                a_bits.min(b_bits)
            } else if a.len() < b.len() {
                a_bits
            } else {
                b_bits
            };
            (last(a, a_bits, whole) & mask(shared)).cmp(&(last(b, b_bits, whole) & mask(shared)))
        })
        .then_with(|| length(a, a_bits).cmp(&length(b, b_bits)))
}

fn floats(a: f64, b: f64, strength: Strength) -> Ordering {
    match strength {
        Strength::Exact => a.total_cmp(&b),
        Strength::ByValue => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// Numbers of different representation, all integers before all floats.
fn exact_numbers(a: &Item<'_>, b: &Item<'_>) -> Ordering {
    match (a, b) {
        (Item::Float(_), _) => Ordering::Greater,
        (_, Item::Float(_)) => Ordering::Less,
        _ => integers(a, b),
    }
}

/// Numbers of different representation, by value.
fn numbers(a: &Item<'_>, b: &Item<'_>) -> Ordering {
    match (a, b) {
        (Item::Float(a), b) => integer_and_float(b, *a).reverse(),
        (a, Item::Float(b)) => integer_and_float(a, *b),
        _ => integers(a, b),
    }
}

/// Two integers of which at least one is big.
fn integers(a: &Item<'_>, b: &Item<'_>) -> Ordering {
    match (a, b) {
        (
            Item::BigInteger {
                negative: a,
                magnitude: a_magnitude,
            },
            Item::BigInteger {
                negative: b,
                magnitude: b_magnitude,
            },
        ) => compare_big((*a, a_magnitude), (*b, b_magnitude)),
        (Item::BigInteger { negative, .. }, _) => sign(*negative),
        (_, Item::BigInteger { negative, .. }) => sign(*negative).reverse(),
        _ => Ordering::Equal,
    }
}

/// How a number beyond all others of its side compares.
const fn sign(negative: bool) -> Ordering {
    if negative {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// An integer against a finite float, exactly: the float's whole part is an integer too, and its fraction breaks a tie.
fn integer_and_float(integer: &Item<'_>, float: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match integer {
        Item::Integer(integer) => {
            if float >= BEYOND {
                return Ordering::Less;
            }
            if float < -BEYOND {
                return Ordering::Greater;
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole and within the range of i64"
            )]
            let whole = float.trunc() as i64;
            integer
                .cmp(&whole)
                .then_with(|| 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal))
        }
        Item::BigInteger { negative, magnitude } => {
            if float.abs() < BEYOND || (float < 0.0) != *negative {
                return sign(*negative);
            }
            let bytes = whole_magnitude(float.abs());
            compare_big((*negative, magnitude), (*negative, super::number::trim(&bytes)))
        }
        _ => Ordering::Equal,
    }
}

/// The bytes of a float of at least 2^63, least significant first.
fn whole_magnitude(float: f64) -> Vec<u8> {
    let bits = float.to_bits();
    let mantissa = (bits & 0x000f_ffff_ffff_ffff) | 0x0010_0000_0000_0000;
    let shift = usize::try_from((bits >> 52) & 0x7ff)
        .unwrap_or(0)
        .saturating_sub(1075);
    let mut bytes = vec![0; shift / 8];
    bytes.extend_from_slice(&(u128::from(mantissa) << (shift % 8)).to_le_bytes());
    bytes
}
