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

use super::decode::Limits;
use super::error::{DecodeError, DecodeErrorKind, Limit, Type};
use super::keys::{Keys, Scope};
use super::scan::{self, ROW, Rest, atom_bytes, byte, chunk, float_text, integer, short_integer};
use super::tag;
use crate::term::block::{Kind, Node, Tail};
use crate::term::number::{small, trim};
use crate::term::{Atom, MAX_REFERENCE_WORDS, Term};

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
        // The compound whose children are being read, how many it still lacks, and how deep it stands.
        let (mut open, mut left, mut depth) = (NONE, 1_u32, 0_u32);
        // What a fun that is about to be opened has before its module.
        let mut uniq: Option<(u64, u32)> = None;
        self.reserve(1, rest);
        'parts: loop {
            if !FIND {
                self.common(&mut rest, &mut open, &mut left, &mut depth);
            }
            'part: {
                if left == 0 {
                    break 'part;
                }
                left -= 1;
                let (kind, len, children) = {
                    self.part = rest.len();
                    if FIND && self.nodes.len() == find {
                        return Err(DecodeErrorKind::DuplicateKey);
                    }
                    let (&tag, after) = rest.split_first().ok_or(DecodeErrorKind::Truncated)?;
                    rest = after;
                    match tag {
                        tag::SMALL_INTEGER => {
                            let value = byte(&mut rest)?;
                            self.nodes.push(Node::Integer(value.into()));
                            break 'part;
                        }
                        tag::INTEGER => {
                            let value = i32::from_be_bytes(chunk(&mut rest)?);
                            self.nodes.push(Node::Integer(value.into()));
                            break 'part;
                        }
                        tag::SMALL_ATOM_UTF8
                        | tag::ATOM_CACHE_REF
                        | tag::ATOM_UTF8
                        | tag::ATOM
                        | tag::SMALL_ATOM => {
                            let atom = self.atom(tag, &mut rest)?;
                            self.nodes.push(atom);
                            break 'part;
                        }
                        tag::BINARY => {
                            let len = u32::from_be_bytes(chunk(&mut rest)?);
                            let offset = self.take(&mut rest, len as usize)?;
                            self.nodes.push(Node::Binary { len, offset });
                            break 'part;
                        }
                        tag::NIL => {
                            self.nodes.push(Node::Nil);
                            break 'part;
                        }
                        tag::SMALL_TUPLE => {
                            let arity = u32::from(byte(&mut rest)?);
                            if arity == 0 {
                                self.nodes.push(Node::Tuple { arity: 0, span: 1 });
                                break 'part;
                            }
                            (Kind::Tuple, arity, arity)
                        }
                        tag::LARGE_TUPLE => {
                            let arity = u32::from_be_bytes(chunk(&mut rest)?);
                            if arity == 0 {
                                self.nodes.push(Node::Tuple { arity: 0, span: 1 });
                                break 'part;
                            }
                            (Kind::Tuple, arity, arity)
                        }
                        tag::LIST => {
                            let len = u32::from_be_bytes(chunk(&mut rest)?);
                            if len == 0 {
                                // No elements: what stands here is the tail.
                                left += 1;
                                continue 'parts;
                            }
                            (Kind::List, len, len)
                        }
                        tag::MAP => {
                            let len = u32::from_be_bytes(chunk(&mut rest)?);
                            if len == 0 {
                                self.nodes.push(Node::Map { len: 0, span: 1 });
                                break 'part;
                            }
                            (Kind::Map, len, parts(len, 2, 0, rest)?)
                        }
                        tag::STRING => {
                            let len = u32::from(u16::from_be_bytes(chunk(&mut rest)?));
                            let offset = self.take(&mut rest, len as usize)?;
                            self.nodes.push(if len == 0 {
                                Node::Nil
                            } else {
                                Node::Bytes { len, offset }
                            });
                            break 'part;
                        }
                        tag::NEW_FLOAT => {
                            let value = f64::from_be_bytes(chunk(&mut rest)?);
                            if !value.is_finite() {
                                return Err(DecodeErrorKind::BadFloat);
                            }
                            self.nodes.push(Node::Float(value));
                            break 'part;
                        }
                        tag::SMALL_BIG | tag::LARGE_BIG => {
                            let integer = self.big(tag, &mut rest)?;
                            self.nodes.push(integer);
                            break 'part;
                        }
                        tag::NEW_PID | tag::PID => {
                            self.pid(tag, &mut rest)?;
                            break 'part;
                        }
                        tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE => {
                            self.reference(tag, &mut rest)?;
                            break 'part;
                        }
                        tag::NEW_PORT | tag::V4_PORT | tag::PORT => {
                            self.port(tag, &mut rest)?;
                            break 'part;
                        }
                        tag::EXPORT => {
                            self.export(&mut rest)?;
                            break 'part;
                        }
                        tag::BIT_BINARY => {
                            self.bit_string(&mut rest)?;
                            break 'part;
                        }
                        tag::FLOAT => {
                            self.old_float(&mut rest)?;
                            break 'part;
                        }
                        tag::NEW_FUN => {
                            // The size that comes first is known to be wrong in some releases, and nothing needs it.
                            let _size: [u8; 4] = chunk(&mut rest)?;
                            let arity = byte(&mut rest)?;
                            uniq = Some((self.take(&mut rest, 16)?, u32::from_be_bytes(chunk(&mut rest)?)));
                            let free = u32::from_be_bytes(chunk(&mut rest)?);
                            (Kind::Fun { arity }, free, parts(free, 1, 4, rest)?)
                        }
                        tag::FUN => {
                            let free = u32::from_be_bytes(chunk(&mut rest)?);
                            (Kind::OldFun, free, parts(free, 1, 4, rest)?)
                        }
                        tag::RECORD => {
                            let fields = u32::from_be_bytes(chunk(&mut rest)?);
                            let exported = match byte(&mut rest)? {
                                0 => false,
                                1 => true,
                                flags => return Err(DecodeErrorKind::BadRecordFlags(flags)),
                            };
                            (Kind::Record { exported }, fields, parts(fields, 2, 2, rest)?)
                        }
                        unknown => return Err(DecodeErrorKind::UnknownTag(unknown)),
                    }
                };
                if children as usize > rest.len() {
                    return Err(DecodeErrorKind::Truncated);
                }
                depth += 1;
                if depth > self.limits.depth {
                    return Err(DecodeErrorKind::Limit(Limit::Depth));
                }
                self.reserve(children, rest);
                let at = self.index()?;
                self.nodes.push(Node::Open {
                    kind,
                    len,
                    parent: open,
                    left,
                });
                if let Some((offset, index)) = uniq.take() {
                    self.nodes
                        .extend([Node::Binary { len: 16, offset }, Node::Integer(index.into())]);
                }
                (open, left) = (at, children);
            }
            while left == 0 {
                let Some(&Node::Open {
                    kind,
                    mut len,
                    parent,
                    left: parent_left,
                }) = self.nodes.get(open as usize)
                else {
                    return Ok(rest);
                };
                let mut tail = Tail::Nil;
                match kind {
                    Kind::List => match *rest {
                        [tag::NIL, ref after @ ..] => {
                            rest = after;
                            self.nodes.push(Node::Nil);
                        }
                        // A tail written as a list of its own goes on with the same list.
                        [tag::LIST, ref after @ ..] => {
                            rest = after;
                            left = u32::from_be_bytes(chunk(&mut rest)?);
                            len = more(len, left, rest)?;
                            self.reserve(left, rest);
                            self.set(
                                open,
                                Node::Open {
                                    kind,
                                    len,
                                    parent,
                                    left: parent_left,
                                },
                            );
                            continue;
                        }
                        [tag::STRING, ref after @ ..] => {
                            rest = after;
                            let count = u16::from_be_bytes(chunk(&mut rest)?).into();
                            len = more(len, count, rest)?;
                            self.reserve(count, rest);
                            let bytes = rest.split_off(..count as usize).unwrap_or_default();
                            self.nodes
                                .extend(bytes.iter().map(|byte| Node::Integer((*byte).into())));
                            self.nodes.push(Node::Nil);
                        }
                        _ => {
                            let kind = Kind::ImproperList;
                            self.set(
                                open,
                                Node::Open {
                                    kind,
                                    len,
                                    parent,
                                    left: parent_left,
                                },
                            );
                            left = 1;
                            break;
                        }
                    },
                    Kind::ImproperList => tail = Tail::Improper,
                    Kind::Map if !FIND => self.check_keys(open, len)?,
                    Kind::Map => {}
                    Kind::Fun { .. } | Kind::OldFun | Kind::Record { .. } if !FIND => {
                        self.check_head(open, kind, len)?
                    }
                    Kind::Tuple | Kind::Fun { .. } | Kind::OldFun | Kind::Record { .. } => {}
                }
                let span = self.index()? - open;
                let free = len;
                self.set(
                    open,
                    match kind {
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
                    },
                );
                (open, left) = (parent, parent_left);
                depth -= 1;
            }
        }
    }

    /// Reads what comes most often, each with a single look at what is left, and opens and closes tuples and lists. Whatever is wrong, or
    /// near a limit, is left to the general way.
    #[inline]
    fn common(
        &mut self,
        rest_left: &mut Rest<'a>,
        open_now: &mut u32,
        left_now: &mut u32,
        depth_now: &mut u32,
    ) {
        let length = self.input.len();
        // In variables of their own, so that they need not be kept in memory.
        let (mut rest, mut open, mut left, mut depth) = (*rest_left, *open_now, *left_now, *depth_now);
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
        (*rest_left, *open_now, *left_now, *depth_now) = (rest, open, left, depth);
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

    /// An atom's node.
    fn atom(&mut self, tag: u8, rest: &mut Rest<'a>) -> Result<Node> {
        if tag == tag::ATOM_CACHE_REF {
            let index = byte(rest)?;
            let known = usize::from(index) < self.table.len();
            return if known {
                Ok(Node::TableAtom(index.into()))
            } else {
                Err(DecodeErrorKind::NoSuchAtom(index))
            };
        }
        if tag == tag::NIL && self.local {
            // What local terms have in the place of their node's name.
            return self.side_atom("nonode@nohost");
        }
        let (bytes, latin1) = atom_bytes(tag, rest)?;
        if latin1 {
            let text: String = bytes.iter().copied().map(char::from).collect();
            return self.side_atom(&text);
        }
        let offset = self.input.len() - rest.len() - bytes.len();
        // At most 255 characters.
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        Ok(Node::Atom {
            len,
            offset: offset as u64,
        })
    }

    /// An atom whose text is not in the input.
    fn side_atom(&mut self, text: &str) -> Result<Node> {
        let atom = Term::Atom(Atom::from_checked(text));
        let index = u32::try_from(self.side.len()).map_err(|_| DecodeErrorKind::Limit(Limit::Parts))?;
        self.side.push(atom);
        Ok(Node::SideAtom(index))
    }

    /// The atom that must come next.
    fn next_atom(&mut self, rest: &mut Rest<'a>) -> Result<Node> {
        let tag = byte(rest)?;
        self.atom(tag, rest)
    }

    /// The node of a big integer, or of a small one that was written as a big one.
    fn big(&self, tag: u8, rest: &mut Rest<'a>) -> Result<Node> {
        let len = if tag == tag::SMALL_BIG {
            byte(rest)?.into()
        } else {
            u32::from_be_bytes(chunk(rest)?)
        };
        let negative = byte(rest)? != 0;
        let before = *rest;
        let offset = self.take(rest, len as usize)?;
        let magnitude = trim(before.get(..len as usize).unwrap_or_default());
        Ok(match small(negative, magnitude) {
            Some(value) => Node::Integer(value),
            None => Node::BigInteger {
                negative,
                len: u32::try_from(magnitude.len()).unwrap_or(len),
                offset,
            },
        })
    }

    fn pid(&mut self, tag: u8, rest: &mut Rest<'a>) -> Result<()> {
        let node = self.next_atom(rest)?;
        let id = u32::from_be_bytes(chunk(rest)?);
        let serial = u32::from_be_bytes(chunk(rest)?);
        let creation = scan::creation(rest, tag == tag::PID)?;
        self.nodes.push(Node::Pid { id, serial, creation });
        self.nodes.push(node);
        Ok(())
    }

    fn reference(&mut self, tag: u8, rest: &mut Rest<'a>) -> Result<()> {
        let words = if tag == tag::REFERENCE {
            1
        } else {
            u16::from_be_bytes(chunk(rest)?)
        };
        let count = u8::try_from(words)
            .ok()
            .filter(|count| usize::from(*count) <= MAX_REFERENCE_WORDS)
            .ok_or(DecodeErrorKind::ReferenceTooLong(words))?;
        let node = self.next_atom(rest)?;
        let size = usize::from(count) * 4;
        let (offset, creation) = match tag {
            tag::NEWER_REFERENCE => {
                let creation = scan::creation(rest, false)?;
                (self.take(rest, size)?, creation)
            }
            tag::NEW_REFERENCE => {
                let creation = scan::creation(rest, true)?;
                (self.take(rest, size)?, creation)
            }
            _ => (self.take(rest, size)?, scan::creation(rest, true)?),
        };
        self.nodes.push(Node::Reference {
            count,
            creation,
            offset,
        });
        self.nodes.push(node);
        Ok(())
    }

    fn port(&mut self, tag: u8, rest: &mut Rest<'a>) -> Result<()> {
        let node = self.next_atom(rest)?;
        let id = match tag {
            tag::V4_PORT => u64::from_be_bytes(chunk(rest)?),
            _ => u32::from_be_bytes(chunk(rest)?).into(),
        };
        let creation = scan::creation(rest, tag == tag::PORT)?;
        let old = tag != tag::V4_PORT;
        self.nodes.push(Node::Port { old, creation, id });
        self.nodes.push(node);
        Ok(())
    }

    fn export(&mut self, rest: &mut Rest<'a>) -> Result<()> {
        let module = self.next_atom(rest)?;
        let function = self.next_atom(rest)?;
        let arity = u8::try_from(integer(rest)?).map_err(|_| DecodeErrorKind::BadArity)?;
        self.nodes.extend([Node::Export { arity }, module, function]);
        Ok(())
    }

    fn bit_string(&mut self, rest: &mut Rest<'a>) -> Result<()> {
        let len = u32::from_be_bytes(chunk(rest)?);
        let bits = byte(rest)?;
        let offset = self.take(rest, len as usize)?;
        self.nodes.push(match bits {
            1..8 if len > 0 => Node::BitString { bits, len, offset },
            8 if len > 0 => Node::Binary { len, offset },
            _ => return Err(DecodeErrorKind::BadBits(bits)),
        });
        Ok(())
    }

    /// A float as the text that `printf("%.20e")` made, filled up with zeros.
    fn old_float(&mut self, rest: &mut Rest<'a>) -> Result<()> {
        let text: [u8; 31] = chunk(rest)?;
        let value = float_text(&text).ok_or(DecodeErrorKind::BadFloat)?;
        self.nodes.push(Node::Float(value));
        Ok(())
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
