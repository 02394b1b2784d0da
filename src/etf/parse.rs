//! The loop that turns bytes into the nodes of a term.
//!
//! One pass over the input writes one node for every part, children after their parent, and finishes each compound when the last
//! of its children is there. What is open is chained through the unfinished nodes themselves, so there is no stack, neither the
//! machine's nor one of our own. Binaries and text stay where they are and are referred to.
//!
//! No length that the input claims is believed: a compound reserves room for as many children as there are bytes left at
//! the most.
//!
//! See "External Term Format" in the ERTS user's guide.

mod common;
mod leaves;

use super::decode::Limits;
use super::error::{DecodeError, DecodeErrorKind, Limit, Type};
use super::keys::{Keys, Scope};
use super::scan::{Rest, byte, chunk};
use super::tag;
use crate::term::block::{Kind, Node, Tail};
use crate::term::{Atom, Term};

/// No node.
const NONE: u32 = u32::MAX;

type Result<T, E = DecodeErrorKind> = std::result::Result<T, E>;

/// The state of decoding one term.
pub(super) struct Parser<'a> {
    input: &'a [u8],
    nodes: Vec<Node>,
    /// Atoms whose text is not in the input as it is needed.
    side: Vec<Term>,
    /// The atoms that came with the input.
    table: &'a [Atom],
    limits: Limits,
    /// Where in the input the term begins.
    start: usize,
    /// Whether nil may stand for the name of a node, as it does in local terms.
    local: bool,
    /// How many bytes were left where the part began that is being read.
    part: usize,
    /// Maps with compound keys, to be looked at when the term is complete.
    later: Vec<u32>,
}

/// Where in the term the next part stands.
struct Place {
    /// The compound it is a child of.
    open: u32,
    /// How many children that still lacks.
    left: u32,
    /// How deep it is.
    depth: u32,
}

/// What has been read of a part.
enum Head {
    /// All of it: its nodes are written.
    Leaf,
    /// The head of a list without elements: what comes next stands in its place.
    Nothing,
    /// A compound's head, before its children.
    Compound {
        kind: Kind,
        len: u32,
        children: u32,
        /// What a fun has before its module.
        uniq: Option<[Node; 2]>,
    },
}

/// The nodes of a term, the atoms they refer to beside the table, and where in the input the term ends.
pub(super) type Parsed = (Vec<Node>, Vec<Term>, usize);

impl<'a> Parser<'a> {
    pub(super) const fn new(input: &'a [u8], table: &'a [Atom], limits: Limits) -> Self {
        Self {
            input,
            nodes: Vec::new(),
            side: Vec::new(),
            table,
            limits,
            start: 0,
            local: false,
            part: 0,
            later: Vec::new(),
        }
    }

    /// The same for a local term.
    pub(super) const fn with_local_node(mut self) -> Self {
        self.local = true;
        self
    }

    /// Decodes the term at an offset.
    pub(super) fn run(mut self, start: usize) -> Result<Parsed, DecodeError> {
        self.start = start;
        let rest = self.input.get(start..).unwrap_or_default();
        let length = self.input.len();
        let rest = match self.parts::<false>(rest, 0) {
            Ok(rest) => rest,
            // What is missing is missing at the end; all else is wrong where it begins.
            Err(DecodeErrorKind::Truncated) => return Err(DecodeErrorKind::Truncated.at(length)),
            Err(kind) => return Err(kind.at(length - self.part)),
        };
        if !self.later.is_empty()
            && let Some(key) = self.scope().same_compound(&self.later)
        {
            return Err(DecodeErrorKind::DuplicateKey.at(self.offset_of(key)));
        }
        Ok((self.nodes, self.side, length - rest.len()))
    }

    /// Where in the input the term begins that a node stands for: goes over it once more.
    fn offset_of(&self, node: u32) -> usize {
        let mut again = Parser {
            local: self.local,
            ..Parser::new(self.input, self.table, self.limits)
        };
        let rest = self.input.get(self.start..).unwrap_or_default();
        // Ends with an error, at the node if not before.
        let _ = again.parts::<true>(rest, node as usize);
        self.input.len() - again.part
    }

    /// Reads the parts of a term. If `FIND`, stops where the node with this number is about to be written.
    fn parts<const FIND: bool>(&mut self, mut rest: Rest<'a>, find: usize) -> Result<Rest<'a>> {
        let mut place = Place {
            open: NONE,
            left: 1,
            depth: 0,
        };
        self.reserve(1, rest);
        loop {
            if !FIND {
                self.common(&mut rest, &mut place);
            }
            if place.left > 0 {
                self.part = rest.len();
                if FIND && self.nodes.len() == find {
                    return Err(DecodeErrorKind::DuplicateKey);
                }
                match self.head(&mut rest)? {
                    Head::Leaf => place.left -= 1,
                    Head::Nothing => {}
                    Head::Compound {
                        kind,
                        len,
                        children,
                        uniq,
                    } => {
                        self.open(kind, len, children, &mut place, rest)?;
                        self.nodes.extend(uniq.into_iter().flatten());
                    }
                }
            }
            while place.left == 0 {
                if place.open == NONE {
                    return Ok(rest);
                }
                self.close::<FIND>(&mut rest, &mut place)?;
            }
        }
    }

    /// Reads a part, of a compound the head only.
    fn head(&mut self, rest: &mut Rest<'a>) -> Result<Head> {
        let compound = |kind, len, children| {
            Ok(Head::Compound {
                kind,
                len,
                children,
                uniq: None,
            })
        };
        let leaf = match byte(rest)? {
            tag::SMALL_INTEGER => Node::Integer(byte(rest)?.into()),
            tag::INTEGER => Node::Integer(i32::from_be_bytes(chunk(rest)?).into()),
            tag @ (tag::SMALL_BIG | tag::LARGE_BIG) => self.big(tag, rest)?,
            tag::NEW_FLOAT => self.float(rest)?,
            tag::FLOAT => self.old_float(rest)?,
            tag @ (tag::SMALL_ATOM_UTF8
            | tag::ATOM_CACHE_REF
            | tag::ATOM_UTF8
            | tag::ATOM
            | tag::SMALL_ATOM) => self.atom(tag, rest)?,
            tag::BINARY => {
                let len = u32::from_be_bytes(chunk(rest)?);
                let offset = self.take(rest, len as usize)?;
                Node::Binary { len, offset }
            }
            tag::BIT_BINARY => self.bit_string(rest)?,
            tag::NIL => Node::Nil,
            tag::STRING => match u16::from_be_bytes(chunk(rest)?).into() {
                0 => Node::Nil,
                len => {
                    let offset = self.take(rest, len as usize)?;
                    Node::Bytes { len, offset }
                }
            },
            tag @ (tag::SMALL_TUPLE | tag::LARGE_TUPLE) => {
                let arity = match tag {
                    tag::SMALL_TUPLE => byte(rest)?.into(),
                    _ => u32::from_be_bytes(chunk(rest)?),
                };
                if arity > 0 {
                    return compound(Kind::Tuple, arity, arity);
                }
                Node::Tuple { arity, span: 1 }
            }
            tag::LIST => {
                return match u32::from_be_bytes(chunk(rest)?) {
                    0 => Ok(Head::Nothing),
                    len => compound(Kind::List, len, len),
                };
            }
            tag::MAP => {
                let len = u32::from_be_bytes(chunk(rest)?);
                if len > 0 {
                    return compound(Kind::Map, len, parts(len, 2, 0, rest)?);
                }
                Node::Map { len, span: 1 }
            }
            tag @ (tag::NEW_PID | tag::PID) => self.pid(tag, rest)?,
            tag @ (tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE) => {
                self.reference(tag, rest)?
            }
            tag @ (tag::NEW_PORT | tag::V4_PORT | tag::PORT) => self.port(tag, rest)?,
            tag::EXPORT => self.export(rest)?,
            tag::NEW_FUN => {
                // The size that comes first is known to be wrong in some releases, and nothing needs it.
                let _size: [u8; 4] = chunk(rest)?;
                let arity = byte(rest)?;
                let offset = self.take(rest, 16)?;
                let index = u32::from_be_bytes(chunk(rest)?);
                let free = u32::from_be_bytes(chunk(rest)?);
                return Ok(Head::Compound {
                    kind: Kind::Fun { arity },
                    len: free,
                    children: parts(free, 1, 4, rest)?,
                    uniq: Some([Node::Binary { len: 16, offset }, Node::Integer(index.into())]),
                });
            }
            tag::FUN => {
                let free = u32::from_be_bytes(chunk(rest)?);
                return compound(Kind::OldFun, free, parts(free, 1, 4, rest)?);
            }
            tag::RECORD => {
                let fields = u32::from_be_bytes(chunk(rest)?);
                let exported = match byte(rest)? {
                    0 => false,
                    1 => true,
                    flags => return Err(DecodeErrorKind::BadRecordFlags(flags)),
                };
                return compound(Kind::Record { exported }, fields, parts(fields, 2, 2, rest)?);
            }
            unknown => return Err(DecodeErrorKind::UnknownTag(unknown)),
        };
        self.nodes.push(leaf);
        Ok(Head::Leaf)
    }

    /// Begins a compound.
    fn open(&mut self, kind: Kind, len: u32, children: u32, place: &mut Place, rest: Rest<'_>) -> Result<()> {
        if children as usize > rest.len() {
            return Err(DecodeErrorKind::Truncated);
        }
        if place.depth >= self.limits.depth {
            return Err(DecodeErrorKind::Limit(Limit::Depth));
        }
        self.reserve(children, rest);
        let at = self.index()?;
        self.nodes.push(Node::Open {
            kind,
            len,
            parent: place.open,
            left: place.left - 1,
        });
        *place = Place {
            open: at,
            left: children,
            depth: place.depth + 1,
        };
        Ok(())
    }

    /// Ends the compound whose children have all been read, unless it goes on: with the tail of a list.
    fn close<const FIND: bool>(&mut self, rest: &mut Rest<'a>, place: &mut Place) -> Result<()> {
        let open = place.open;
        let Some(&Node::Open {
            kind,
            mut len,
            parent,
            left,
        }) = self.nodes.get(open as usize)
        else {
            place.open = NONE;
            return Ok(());
        };
        let go_on = |kind, len| Node::Open {
            kind,
            len,
            parent,
            left,
        };
        let mut tail = Tail::Nil;
        match kind {
            Kind::List => match **rest {
                [tag::NIL, ref after @ ..] => {
                    *rest = after;
                    self.nodes.push(Node::Nil);
                }
                // A tail written as a list of its own goes on with the same list.
                [tag::LIST, ref after @ ..] => {
                    *rest = after;
                    place.left = u32::from_be_bytes(chunk(rest)?);
                    len = more(len, place.left, rest)?;
                    self.reserve(place.left, rest);
                    self.set(open, go_on(kind, len));
                    return Ok(());
                }
                [tag::STRING, ref after @ ..] => {
                    *rest = after;
                    let count = u16::from_be_bytes(chunk(rest)?).into();
                    len = more(len, count, rest)?;
                    self.reserve(count, rest);
                    let bytes = rest.split_off(..count as usize).unwrap_or_default();
                    self.nodes
                        .extend(bytes.iter().map(|byte| Node::Integer((*byte).into())));
                    self.nodes.push(Node::Nil);
                }
                _ => {
                    self.set(open, go_on(Kind::ImproperList, len));
                    place.left = 1;
                    return Ok(());
                }
            },
            Kind::ImproperList => tail = Tail::Improper,
            // What has been looked at once is not looked at again.
            _ if FIND => {}
            Kind::Map => self.check_keys(open, len)?,
            Kind::Fun { .. } | Kind::OldFun | Kind::Record { .. } => self.check_head(open, kind, len)?,
            Kind::Tuple => {}
        }
        let span = self.index()? - open;
        let free = len;
        let closed = match kind {
            Kind::Tuple => Node::Tuple { arity: len, span },
            Kind::List | Kind::ImproperList => Node::List { tail, len, span },
            Kind::Map => Node::Map { len, span },
            Kind::Fun { arity } => Node::Fun { arity, free, span },
            Kind::OldFun => Node::OldFun { free, span },
            Kind::Record { exported } => Node::Record {
                exported,
                fields: len,
                span,
            },
        };
        self.set(open, closed);
        *place = Place {
            open: parent,
            left,
            depth: place.depth - 1,
        };
        Ok(())
    }

    /// Where the next node goes.
    #[inline]
    fn index(&self) -> Result<u32> {
        match u32::try_from(self.nodes.len()) {
            Ok(index) if index <= self.limits.parts => Ok(index),
            _ => Err(DecodeErrorKind::Limit(Limit::Parts)),
        }
    }

    fn set(&mut self, at: u32, node: Node) {
        if let Some(slot) = self.nodes.get_mut(at as usize) {
            *slot = node;
        }
    }

    /// Makes room for a compound and its children.
    #[inline]
    fn reserve(&mut self, children: u32, rest: Rest<'_>) {
        let wanted = children as usize + 2;
        if self.nodes.capacity() - self.nodes.len() < wanted {
            self.grow(wanted, rest);
        }
    }

    /// Makes room for more than is wanted just now, going by how many nodes the input has made so far for each byte.
    #[cold]
    fn grow(&mut self, wanted: usize, rest: Rest<'_>) {
        let read = self.input.len() - rest.len();
        let likely = if read < 256 {
            (rest.len() / 8).min(256)
        } else {
            self.nodes.len().saturating_mul(rest.len()) / read
        };
        self.nodes
            .reserve_exact((wanted + likely + likely / 16).min(rest.len() + 2));
    }

    /// Steps over so many bytes and says where they begin.
    fn take(&self, rest: &mut Rest<'a>, len: usize) -> Result<u64> {
        let offset = self.input.len() - rest.len();
        *rest = rest.get(len..).ok_or(DecodeErrorKind::Truncated)?;
        Ok(offset as u64)
    }

    /// Whether what stands before the free variables of a fun or the values of a record is what must stand there.
    fn check_head(&mut self, open: u32, kind: Kind, len: u32) -> Result<()> {
        let is = |at: u32, wanted: Type| {
            let node = self.nodes.get(at as usize).copied().unwrap_or(Node::Nil);
            match wanted {
                Type::Atom => matches!(node, Node::Atom { .. } | Node::TableAtom(_) | Node::SideAtom(_)),
                Type::Integer => matches!(node, Node::Integer(_)),
                Type::Pid => matches!(node, Node::Pid { .. }),
                _ => false,
            }
        };
        let wrong = match kind {
            Kind::Fun { .. } => {
                let mut head = [
                    (3, Type::Atom),
                    (4, Type::Integer),
                    (5, Type::Integer),
                    (6, Type::Pid),
                ]
                .into_iter();
                head.find(|&(index, wanted)| !is(open + index, wanted))
            }
            Kind::OldFun => {
                let mut head = [
                    (1, Type::Pid),
                    (3, Type::Atom),
                    (4, Type::Integer),
                    (5, Type::Integer),
                ]
                .into_iter();
                head.find(|&(index, wanted)| !is(open + index, wanted))
            }
            Kind::Record { .. } => {
                let mut names = (1..len + 3).map(|index| (index, Type::Atom));
                names.find(|&(index, wanted)| !is(open + index, wanted))
            }
            _ => None,
        };
        if let Some((index, wanted)) = wrong {
            self.part = self.input.len() - self.offset_of(open + index);
            return Err(DecodeErrorKind::Expected(wanted));
        }
        if let Kind::Record { .. } = kind
            && let Some(name) = self.scope().same_name(open + 3, len)
        {
            self.part = self.input.len() - self.offset_of(name);
            return Err(DecodeErrorKind::DuplicateField);
        }
        Ok(())
    }

    /// Whether the keys of a map are all different, unless that can only be said later.
    fn check_keys(&mut self, open: u32, len: u32) -> Result<()> {
        if len < 2 {
            return Ok(());
        }
        match self.scope().same(open, len) {
            Keys::Different => Ok(()),
            Keys::Compound => {
                self.later.push(open);
                Ok(())
            }
            Keys::Same(key) => {
                self.part = self.input.len() - self.offset_of(key);
                Err(DecodeErrorKind::DuplicateKey)
            }
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            nodes: &self.nodes,
            input: self.input,
            table: self.table,
            side: &self.side,
        }
    }
}

/// How many elements a list has after `more` of which there must be as many bytes at least.
fn more(len: u32, more: u32, rest: Rest<'_>) -> Result<u32> {
    if more as usize > rest.len() {
        return Err(DecodeErrorKind::Truncated);
    }
    sum(len, more)
}

fn sum(a: u32, b: u32) -> Result<u32> {
    a.checked_add(b).ok_or(DecodeErrorKind::Limit(Limit::Parts))
}

/// How many children `len` times `each` and some more are, of which there must be as many bytes at least.
fn parts(len: u32, each: u32, more: u32, rest: Rest<'_>) -> Result<u32> {
    if len as usize > rest.len() {
        return Err(DecodeErrorKind::Truncated);
    }
    let all = len.checked_mul(each).and_then(|all| all.checked_add(more));
    all.ok_or(DecodeErrorKind::Limit(Limit::Parts))
}
