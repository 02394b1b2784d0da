//! Lists across blocks.
//!
//! A list that Rust code put together may be a chain of blocks, each ending in a link to the next. Whoever needs the whole
//! list at once — its length, or whether it consists of bytes — asks here.

use super::Term;
use super::block::{Block, Node, Tail};
use super::compound::{List, Repr};

/// What follows the elements of a list that stand together.
pub(crate) enum Next<'a> {
    /// Nil.
    End,
    /// A term that is no list.
    Improper,
    /// More elements.
    List(&'a List),
}

/// What follows the elements of the list node at a place.
pub(crate) fn next(block: &Block, at: u32) -> Next<'_> {
    match block.node(at) {
        Node::List {
            tail: Tail::Linked,
            span,
            ..
        } => link(block, at + span - 1),
        Node::List {
            tail: Tail::Improper, ..
        } => Next::Improper,
        _ => Next::End,
    }
}

/// The list that a tail links to.
fn link(block: &Block, tail: u32) -> Next<'_> {
    match block.node(tail) {
        Node::Link(index) => match block.links.get(index as usize) {
            Some(Term::List(list)) => Next::List(list),
            _ => Next::End,
        },
        _ => Next::End,
    }
}

/// How many elements a list has.
pub(crate) fn length(mut list: &List) -> usize {
    let mut length = 0;
    loop {
        match list.repr() {
            Repr::Nil => return length,
            Repr::Bytes(bytes) => return length + bytes.len(),
            Repr::Nodes { handle, left, .. } => {
                length += *left as usize;
                match next(&handle.block, handle.at) {
                    Next::List(next) => list = next,
                    Next::End | Next::Improper => return length,
                }
            }
        }
    }
}

/// Appends the elements of a list that is proper and consists of integers from 0 to 255, at most `limit` of them in all.
///
/// Says whether it is one; if not, part of the elements may have been appended.
pub(crate) fn bytes(mut list: &List, limit: usize, bytes: &mut Vec<u8>) -> bool {
    loop {
        match list.repr() {
            Repr::Nil => return bytes.len() <= limit,
            Repr::Bytes(more) => {
                if more.len() > limit.saturating_sub(bytes.len()) {
                    return false;
                }
                bytes.extend_from_slice(more);
                return true;
            }
            Repr::Nodes { handle, first, left } => {
                let block = &*handle.block;
                if bytes.len() > limit || !run(block, *first, *left, bytes) {
                    return false;
                }
                match next(block, handle.at) {
                    Next::End => return bytes.len() <= limit,
                    Next::Improper => return false,
                    Next::List(next) => list = next,
                }
            }
        }
    }
}

/// The same for a list node of which `left` elements, from the node `first` on, and the tail are wanted.
pub(crate) fn node_bytes(block: &Block, first: u32, left: u32, limit: usize, all: &mut Vec<u8>) -> bool {
    if left as usize > limit || !run(block, first, left, all) {
        return false;
    }
    match block.node(first + left) {
        Node::Nil => true,
        Node::Link(_) => match link(block, first + left) {
            Next::List(list) => bytes(list, limit, all),
            Next::End | Next::Improper => false,
        },
        _ => false,
    }
}

/// Appends so many nodes that are integers from 0 to 255, and says whether all of them are.
fn run(block: &Block, first: u32, left: u32, bytes: &mut Vec<u8>) -> bool {
    let first = first as usize;
    let nodes = block.nodes.get(first..first + left as usize).unwrap_or_default();
    let all = nodes.iter().all(|node| matches!(node, Node::Integer(0..=255)));
    if all {
        bytes.extend(nodes.iter().map(|node| match node {
            Node::Integer(value) => value.to_le_bytes()[0],
            _ => 0,
        }));
    }
    all
}
