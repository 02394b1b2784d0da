//! What comes most often: integers, floats, short atoms, binaries, and tuples and lists of them, in a loop that keeps all it needs at
//! hand.

use super::{NONE, Parser, Place};
use crate::etf::scan::{ROW, Rest, short_integer};
use crate::etf::tag;
use crate::term::block::{Kind, Node, Tail};
use crate::term::number::small;

impl<'a> Parser<'a> {
    /// Reads what comes most often, each with a single look at what is left, and opens and closes tuples and lists. Whatever is wrong, or
    /// near a limit, is left to the general way.
    #[inline]
    pub(super) fn common(&mut self, rest_left: &mut Rest<'a>, place: &mut Place) {
        let length = self.input.len();
        // In variables of their own, so that they need not be kept in memory.
        let mut rest = *rest_left;
        let Place {
            mut open,
            mut left,
            mut depth,
        } = *place;
        'common: loop {
            while left > 0 {
                let Some((&tag, after)) = rest.split_first() else {
                    break 'common;
                };
                let node = match tag {
                    tag::SMALL_INTEGER => {
                        let Some((value, after)) = after.split_first() else {
                            break 'common;
                        };
                        rest = after;
                        Node::Integer((*value).into())
                    }
                    tag::INTEGER => {
                        let Some((value, after)) = after.split_first_chunk() else {
                            break 'common;
                        };
                        rest = after;
                        Node::Integer(i32::from_be_bytes(*value).into())
                    }
                    tag::SMALL_ATOM_UTF8 => match after.split_first() {
                        Some((&len, after)) if is_ascii(after, len) => {
                            let offset = (length - after.len()) as u64;
                            rest = after.get(len.into()..).unwrap_or_default();
                            let len = len.into();
                            Node::Atom { len, offset }
                        }
                        _ => break 'common,
                    },
                    tag::BINARY => match after.split_first_chunk() {
                        Some((len, after))
                            if let len = u32::from_be_bytes(*len)
                                && let Some(end) = after.get(len as usize..) =>
                        {
                            let offset = (length - after.len()) as u64;
                            rest = end;
                            Node::Binary { len, offset }
                        }
                        _ => break 'common,
                    },
                    tag::STRING => match after.split_first_chunk() {
                        Some((len, after))
                            if let len @ 1.. = u16::from_be_bytes(*len)
                                && let Some(end) = after.get(len.into()..) =>
                        {
                            let offset = (length - after.len()) as u64;
                            rest = end;
                            let len = len.into();
                            Node::Bytes { len, offset }
                        }
                        _ => break 'common,
                    },
                    tag::NEW_FLOAT => match after.split_first_chunk() {
                        Some((value, after))
                            if let value = f64::from_be_bytes(*value)
                                && value.is_finite() =>
                        {
                            rest = after;
                            Node::Float(value)
                        }
                        _ => break 'common,
                    },
                    tag::SMALL_BIG => match *after {
                        [len, sign, ref after @ ..]
                            if let Some((magnitude, end)) = after.split_at_checked(len.into()) =>
                        {
                            let negative = sign != 0;
                            let node = match small(negative, magnitude) {
                                Some(value) => Node::Integer(value),
                                None if magnitude.ends_with(&[0]) => break 'common,
                                None => Node::BigInteger {
                                    negative,
                                    len: len.into(),
                                    offset: (length - after.len()) as u64,
                                },
                            };
                            rest = end;
                            node
                        }
                        _ => break 'common,
                    },
                    tag::NIL => {
                        rest = after;
                        Node::Nil
                    }
                    tag::SMALL_TUPLE | tag::LIST => {
                        let (kind, children, after) = if tag == tag::LIST {
                            let Some((len, after)) = after.split_first_chunk() else {
                                break 'common;
                            };
                            (Kind::List, u32::from_be_bytes(*len), after)
                        } else {
                            let Some((arity, after)) = after.split_first() else {
                                break 'common;
                            };
                            (Kind::Tuple, u32::from(*arity), after)
                        };
                        let at = self.nodes.len();
                        if children == 0
                            || children as usize > after.len()
                            || depth >= self.limits.depth
                            // The tail of a list, and room for what is closed then.
                            || at + children as usize + 2 > self.limits.parts as usize
                        {
                            break 'common;
                        }
                        self.reserve(children, after);
                        rest = after;
                        depth += 1;
                        self.nodes.push(Node::Open {
                            kind,
                            len: children,
                            parent: open,
                            left: left - 1,
                        });
                        // Below the limit, which is of this type.
                        open = u32::try_from(at).unwrap_or(NONE);
                        left = children;
                        if tag == tag::LIST && children as usize >= ROW {
                            left = self.integers(&mut rest, children);
                        }
                        continue;
                    }
                    _ => break 'common,
                };
                self.nodes.push(node);
                left -= 1;
            }
            // A tuple or a proper list whose children are all there.
            let Some(&Node::Open {
                kind,
                len,
                parent,
                left: parent_left,
            }) = self.nodes.get(open as usize)
            else {
                break;
            };
            let Ok(end) = self.index() else { break };
            let closed = match (kind, rest) {
                (Kind::Tuple, _) => Node::Tuple {
                    arity: len,
                    span: end - open,
                },
                (Kind::List, [tag::NIL, after @ ..]) if end < self.limits.parts => {
                    rest = after;
                    self.nodes.push(Node::Nil);
                    Node::List {
                        tail: Tail::Nil,
                        len,
                        span: end + 1 - open,
                    }
                }
                _ => break,
            };
            self.set(open, closed);
            (open, left) = (parent, parent_left);
            depth -= 1;
        }
        *rest_left = rest;
        *place = Place { open, left, depth };
    }

    /// Reads integers of at most 32 bits until something else comes, and says how many of `left` terms are still to come.
    fn integers(&mut self, rest: &mut Rest<'a>, mut left: u32) -> u32 {
        let mut from = *rest;
        while left > 0
            && let Some(window) = from.first_chunk()
            && let Some((value, size)) = short_integer(*window)
            && let Some(after) = from.get(size..)
        {
            self.nodes.push(Node::Integer(value));
            from = after;
            left -= 1;
        }
        *rest = from;
        left
    }
}

/// Whether so many bytes are left and are ASCII.
#[inline]
fn is_ascii(rest: Rest<'_>, len: u8) -> bool {
    // Most atoms are short: a single look at what is there, without what does not belong to them.
    match rest.first_chunk() {
        Some(window) if (1..=8).contains(&len) => {
            let own = u64::MAX >> (64 - 8 * u32::from(len));
            u64::from_le_bytes(*window) & own & 0x8080_8080_8080_8080 == 0
        }
        _ => rest.get(..len.into()).is_some_and(<[u8]>::is_ascii),
    }
}
