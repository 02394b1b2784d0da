//! The hash that goes with exact equality.

use super::Term;
use super::walk::{Cursor, Item};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is still to be hashed.
enum Frame {
    Terms(u32),
    List(u32),
    /// So many keys and values are left; the sum of the hashes of the pairs so far.
    Map {
        left: u32,
        sum: u64,
    },
}

impl Hash for Term {
    /// Equal terms have equal hashes: neither how a list is stored nor the order of a map's pairs matters.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut cursor = Cursor::new(self);
        let mut frames = vec![Frame::Terms(1)];
        // One hasher for each map that is open: that of its current pair.
        let mut pairs: Vec<DefaultHasher> = Vec::new();
        loop {
            match frames.last_mut() {
                None => return,
                Some(Frame::Terms(0)) => {
                    frames.pop();
                    continue;
                }
                Some(Frame::Terms(left)) => *left -= 1,
                Some(Frame::List(0)) => {
                    frames.pop();
                    let next = cursor.next().unwrap_or(Item::Nil);
                    match next {
                        Item::List(left) => frames.push(Frame::List(left)),
                        Item::Bytes(bytes) => feed(state, &mut pairs, |hasher| elements(hasher, bytes)),
                        tail => part(state, &mut pairs, &mut frames, tail),
                    }
                    continue;
                }
                Some(Frame::List(left)) => *left -= 1,
                Some(Frame::Map { left, sum }) => {
                    if *left % 2 == 0 {
                        // A pair ends, another begins or the map ends.
                        if let Some(pair) = pairs.pop() {
                            *sum = sum.wrapping_add(pair.finish());
                        }
                        if *left == 0 {
                            let sum = *sum;
                            frames.pop();
                            feed(state, &mut pairs, |hasher| hasher.write_u64(sum));
                            continue;
                        }
                        pairs.push(DefaultHasher::new());
                    }
                    *left -= 1;
                }
            }
            if let Some(item) = cursor.next() {
                part(state, &mut pairs, &mut frames, item);
            }
        }
    }
}

/// Gives to whichever hasher is the innermost.
fn feed(state: &mut impl Hasher, pairs: &mut [DefaultHasher], write: impl Fn(&mut dyn Hasher)) {
    match pairs.last_mut() {
        Some(pair) => write(pair),
        None => write(state),
    }
}

/// The elements of a list of small integers, and its nil.
fn elements(hasher: &mut dyn Hasher, bytes: &[u8]) {
    for byte in bytes {
        integer(hasher, i64::from(*byte));
    }
    hasher.write_u8(9);
}

fn integer(hasher: &mut dyn Hasher, value: i64) {
    hasher.write_u8(0);
    hasher.write_i64(value);
}

fn text(hasher: &mut dyn Hasher, text: &str) {
    bytes(hasher, text.as_bytes());
}

fn bytes(hasher: &mut dyn Hasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

fn part(state: &mut impl Hasher, pairs: &mut Vec<DefaultHasher>, frames: &mut Vec<Frame>, item: Item<'_>) {
    feed(state, pairs, |hasher| head(hasher, item));
    match item {
        Item::Tuple(arity) => frames.push(Frame::Terms(arity)),
        Item::Fun(fun) => frames.push(Frame::Terms(fun.free)),
        Item::Record { fields, .. } => frames.push(Frame::Terms(fields * 2)),
        Item::List(left) => frames.push(Frame::List(left)),
        Item::Map(0) => {}
        Item::Map(size) => {
            // The hasher of the pair before the first, which ends at once.
            pairs.push(DefaultHasher::new());
            frames.push(Frame::Map {
                left: size * 2,
                sum: 0,
            });
        }
        _ => {}
    }
}

/// What a part is in itself, without its children.
fn head(hasher: &mut dyn Hasher, item: Item<'_>) {
    match item {
        Item::Integer(value) => integer(hasher, value),
        Item::BigInteger { negative, magnitude } => {
            hasher.write_u8(if negative { 1 } else { 2 });
            bytes(hasher, magnitude);
        }
        Item::Float(value) => {
            hasher.write_u8(3);
            hasher.write_u64(value.to_bits());
        }
        Item::Atom(name) => {
            hasher.write_u8(4);
            text(hasher, name);
        }
        Item::Reference {
            node,
            creation,
            words,
            ..
        } => {
            hasher.write_u8(5);
            text(hasher, node);
            hasher.write_u32(creation);
            words.iter().for_each(|word| hasher.write_u32(*word));
        }
        Item::Export {
            module,
            function,
            arity,
        } => {
            hasher.write_u8(6);
            text(hasher, module);
            text(hasher, function);
            hasher.write_u8(arity);
        }
        Item::Fun(fun) => {
            hasher.write_u8(7);
            text(hasher, fun.module);
            hasher.write_i64(fun.index);
            hasher.write_i64(fun.old_uniq);
            hasher.write_u32(fun.free);
        }
        Item::Port { node, creation, id } => {
            hasher.write_u8(8);
            text(hasher, node);
            hasher.write_u32(creation);
            hasher.write_u64(id);
        }
        Item::Nil => hasher.write_u8(9),
        Item::Pid(pid) => {
            hasher.write_u8(10);
            text(hasher, pid.node);
            hasher.write_u32(pid.id);
            hasher.write_u32(pid.serial);
            hasher.write_u32(pid.creation);
        }
        Item::Tuple(arity) => {
            hasher.write_u8(11);
            hasher.write_u32(arity);
        }
        Item::Record {
            module, name, fields, ..
        } => {
            hasher.write_u8(12);
            text(hasher, module);
            text(hasher, name);
            hasher.write_u32(fields);
        }
        Item::Map(size) => {
            hasher.write_u8(13);
            hasher.write_u32(size);
        }
        Item::List(_) => hasher.write_u8(14),
        Item::Bytes(bytes) => {
            hasher.write_u8(14);
            elements(hasher, bytes);
        }
        Item::Binary(data) => {
            hasher.write_u8(15);
            bytes(hasher, data);
        }
        Item::BitString { bytes: data, bits } => {
            hasher.write_u8(16);
            hasher.write_u8(bits);
            if let Some((last, whole)) = data.split_last() {
                bytes(hasher, whole);
                hasher.write_u8(last & super::binary::mask(bits));
            }
        }
    }
}
