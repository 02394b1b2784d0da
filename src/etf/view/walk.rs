//! All parts of a term in the order in which they stand.

use super::parts::{AtomRef, FunRef, RecordRef};
use super::read::{big, length, read};
use super::{Elements, Rest, Row, View};
use crate::etf::scan::{ROW, short_integer};
use crate::etf::tag;
use crate::term::Atom;
use std::iter::FusedIterator;

/// All parts of a term, see [`TermRef::walk`](super::TermRef::walk).
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    pub(super) rest: Rest<'a>,
    pub(super) atoms: &'a [Atom],
    /// How many terms are still to come, not counting what they hold.
    pub(super) left: usize,
}

impl<'a> Walk<'a> {
    /// Reads the next part, whatever it is.
    fn read(&mut self) -> Option<View<'a>> {
        let view = read(&mut self.rest, self.atoms)?;
        self.left += match view {
            View::Tuple(Elements { left, .. }) | View::Map(Elements { left, .. }) => left,
            View::List(Elements { left, .. }) => left + 1,
            View::Fun(FunRef { free, .. }) => free as usize,
            View::Record(RecordRef { fields, .. }) => fields as usize,
            _ => 0,
        };
        Some(view)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.read()
    }

    /// As the loop that it is, each common kind of part for itself, so that what is done with a part is known by its
    /// kind: several times as fast as part by part.
    fn fold<B, F>(self, init: B, mut f: F) -> B
    where
        F: FnMut(B, View<'a>) -> B,
    {
        let mut all = init;
        // In variables of their own, so that they need not be kept in memory.
        let Self {
            mut rest,
            atoms,
            mut left,
        } = self;
        while left > 0 {
            left -= 1;
            let elements = |rest: Rest<'a>, left: usize, row: Row| Elements {
                rest,
                atoms,
                left,
                row,
            };
            let Some((&tag, after)) = rest.split_first() else {
                break;
            };
            all = match tag {
                tag::SMALL_INTEGER => {
                    let Some((value, after)) = after.split_first() else {
                        break;
                    };
                    rest = after;
                    f(all, View::Integer((*value).into()))
                }
                tag::INTEGER => {
                    let Some((value, after)) = after.split_first_chunk() else {
                        break;
                    };
                    rest = after;
                    f(all, View::Integer(i32::from_be_bytes(*value).into()))
                }
                tag::NIL => {
                    rest = after;
                    f(all, View::Nil)
                }
                tag::NEW_FLOAT => {
                    let Some((value, after)) = after.split_first_chunk() else {
                        break;
                    };
                    rest = after;
                    f(all, View::Float(f64::from_be_bytes(*value)))
                }
                tag::SMALL_ATOM_UTF8
                    if let Some((len, after)) = after.split_first()
                        && let Some((bytes, after)) = after.split_at_checked((*len).into()) =>
                {
                    rest = after;
                    f(all, View::Atom(AtomRef { bytes, latin1: false }))
                }
                tag::BINARY
                    if let Some((len, after)) = after.split_first_chunk()
                        && let Some((bytes, after)) = after.split_at_checked(length(*len)) =>
                {
                    rest = after;
                    f(all, View::Binary(bytes))
                }
                tag::STRING
                    if let Some((len, after)) = after.split_first_chunk()
                        && let Some((bytes @ [_, ..], after)) =
                            after.split_at_checked(u16::from_be_bytes(*len).into()) =>
                {
                    rest = after;
                    f(all, View::String(bytes))
                }
                tag::SMALL_TUPLE if let Some((arity, after)) = after.split_first() => {
                    rest = after;
                    left += usize::from(*arity);
                    f(all, View::Tuple(elements(after, (*arity).into(), Row::Terms)))
                }
                tag::LIST
                    if let Some((len, after)) = after.split_first_chunk()
                        && *len != [0; 4] =>
                {
                    let len = length(*len);
                    rest = after;
                    left += len + 1;
                    all = f(all, View::List(elements(after, len, Row::List)));
                    // One loop of its own for a row of integers.
                    while len >= ROW
                        && let Some(window) = rest.first_chunk()
                        && let Some((value, size)) = short_integer(*window)
                        && let Some(after) = rest.get(size..)
                        && left > 0
                    {
                        rest = after;
                        left -= 1;
                        all = f(all, View::Integer(value));
                    }
                    continue;
                }
                tag::SMALL_BIG
                    if let [len, sign, after @ ..] = after
                        && let Some((magnitude, after)) = after.split_at_checked((*len).into()) =>
                {
                    rest = after;
                    f(all, big(*sign != 0, magnitude))
                }
                _ => {
                    let mut walk = Walk { rest, atoms, left };
                    let Some(view) = walk.read() else { break };
                    (rest, left) = (walk.rest, walk.left);
                    f(all, view)
                }
            };
        }
        all
    }
}

impl FusedIterator for Walk<'_> {}
