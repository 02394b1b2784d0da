//! What `~p` and `~P` lay out: a term as a tree of texts, each with its length.
//!
//! OTP calls it the intermediate format. The nodes stand in preorder in one vector, so that neither making nor dropping
//! them takes any stack.

use super::write::{bit_string, pairs, record_name};
use super::{FormatError, PrintableRange, Style, chars};
use crate::term::{Atom, List, ListElements, Term};

/// A term ready to be laid out.
#[derive(Default)]
pub(super) struct Shape {
    nodes: Vec<Node>,
    text: String,
}

/// A part of it.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) tail: Tail,
    /// Characters on one line.
    len: u32,
    /// The index after the last of its descendants.
    end: u32,
    /// Where its own text is.
    from: u32,
    to: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Text in one piece.
    Text,
    /// A bit string as numbers, which can be broken after each comma.
    Bytes,
    List,
    Tuple,
    /// A tuple of several elements of which the first is an atom.
    Tagged,
    /// The children are pairs.
    Map,
    /// A key and a value.
    Pair,
    /// A native record: its text is its name, its children are fields.
    Record,
    /// Its text is its name; the one child is its value.
    Field,
}

/// How the children of a compound end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tail {
    Nil,
    /// There are more, which the depth hides.
    Dots,
    /// The last child is what an improper list ends in.
    Improper,
}

impl Node {
    pub(super) fn len(self) -> i64 {
        self.len.into()
    }
}

impl Shape {
    /// The shape of a term down to a depth, which is not 0; negative is no limit.
    ///
    /// `strings` says whether to look for text.
    pub(super) fn of(term: &Term, depth: i64, style: Style<'_>, strings: bool) -> Result<Self, FormatError> {
        let mut maker = Maker {
            shape: Self::default(),
            open: Vec::new(),
            total: 0,
            style,
            strings,
        };
        maker.term(term, depth)?;
        while maker.step()? {}
        Ok(maker.shape)
    }

    pub(super) fn node(&self, index: usize) -> Node {
        self.nodes.get(index).copied().unwrap_or(Node {
            kind: Kind::Text,
            tail: Tail::Nil,
            len: 0,
            end: u32::MAX,
            from: 0,
            to: 0,
        })
    }

    /// A node's own text.
    pub(super) fn text(&self, node: Node) -> &str {
        self.text
            .get(node.from as usize..node.to as usize)
            .unwrap_or_default()
    }

    /// The index of what follows a node and its descendants.
    pub(super) fn after(&self, index: usize) -> usize {
        self.node(index).end as usize
    }

    /// Whether a node can share a line with others: it is text, or a pair or field made of such.
    pub(super) fn is_small(&self, index: usize) -> bool {
        let is_text = |index: usize| self.node(index).kind == Kind::Text;
        match self.node(index).kind {
            Kind::Pair => is_text(index + 1) && is_text(self.after(index + 1)),
            Kind::Field => is_text(index + 1),
            kind => kind == Kind::Text,
        }
    }

    /// Whether there is one more child, other than what an improper list ends in.
    pub(super) fn has_element(&self, parent: Node, index: usize) -> bool {
        let end = parent.end as usize;
        index < end && !(parent.tail == Tail::Improper && self.after(index) >= end)
    }
}

/// A compound whose children are being made.
struct Open {
    node: usize,
    rest: Rest,
    /// That of the compound less the children made: at 1 no more are.
    depth: i64,
    has_children: bool,
}

enum Rest {
    List(ListElements),
    Tuple(std::vec::IntoIter<Term>),
    Map {
        pairs: std::vec::IntoIter<(Term, Term)>,
        /// The depth of keys and values.
        inner: i64,
    },
    Record(std::vec::IntoIter<(Atom, Term)>),
    /// What follows a key or a field's name.
    Value(Term),
    Nothing,
}

struct Maker<'a> {
    shape: Shape,
    open: Vec<Open>,
    /// The length of all that has been made.
    total: usize,
    style: Style<'a>,
    strings: bool,
}

impl Maker<'_> {
    /// Makes the next child of the innermost compound, or ends that. `false` when there is none.
    fn step(&mut self) -> Result<bool, FormatError> {
        let Some(open) = self.open.last_mut() else {
            return Ok(false);
        };
        let depth = open.depth;
        // Whether a child is to be made, if there is one.
        let is_wanted = depth != 1;
        match &mut open.rest {
            Rest::List(elements) => match elements.next() {
                Some(_) if !is_wanted => self.close(Tail::Dots)?,
                Some(element) => {
                    self.separate()?;
                    self.term(&element, depth - 1)?;
                }
                None => match std::mem::replace(&mut open.rest, Rest::Nothing) {
                    Rest::List(elements) => self.list_end(elements.rest(), depth)?,
                    _ => self.close(Tail::Nil)?,
                },
            },
            Rest::Tuple(elements) => match elements.next() {
                Some(_) if !is_wanted => self.close(Tail::Dots)?,
                Some(element) => {
                    self.separate()?;
                    self.term(&element, depth - 1)?;
                }
                None => self.close(Tail::Nil)?,
            },
            Rest::Map { pairs, inner } => match (pairs.next(), *inner) {
                (Some(_), _) if !is_wanted => self.close(Tail::Dots)?,
                (Some((key, value)), inner) => {
                    self.separate()?;
                    self.begin(Kind::Pair, "", " => ".len(), Rest::Value(value), inner)?;
                    self.term(&key, inner)?;
                }
                (None, _) => self.close(Tail::Nil)?,
            },
            Rest::Record(fields) => match fields.next() {
                Some(_) if !is_wanted => self.close(Tail::Dots)?,
                Some((name, value)) => {
                    self.separate()?;
                    let mut text = String::new();
                    chars::atom(&mut text, &name, self.style.unicode);
                    let len = chars::length(&text) + " = ".len();
                    self.begin(Kind::Field, &text, len, Rest::Value(value), depth - 1)?;
                }
                None => self.close(Tail::Nil)?,
            },
            Rest::Value(_) => {
                if let Rest::Value(value) = std::mem::replace(&mut open.rest, Rest::Nothing) {
                    self.term(&value, depth)?;
                }
            }
            Rest::Nothing => {
                let is_list = self.shape.node(open.node).kind == Kind::List;
                self.close(if is_list { Tail::Improper } else { Tail::Nil })?;
            }
        }
        Ok(true)
    }

    /// What follows the elements of a list.
    fn list_end(&mut self, tail: Term, depth: i64) -> Result<(), FormatError> {
        match tail {
            Term::List(_) => self.close(Tail::Nil),
            _ if depth == 1 => self.close(Tail::Dots),
            tail => {
                self.separate()?;
                self.term(&tail, depth - 1)
            }
        }
    }

    /// Makes a term, or begins to.
    fn term(&mut self, term: &Term, depth: i64) -> Result<(), FormatError> {
        match term {
            Term::List(list) if list.is_nil() => self.leaf(Kind::Text, "[]"),
            Term::List(list) => match self.string(list, depth) {
                Some(text) => {
                    let mut quoted = String::new();
                    chars::quoted(&mut quoted, text.chars(), '"');
                    self.leaf(Kind::Text, &quoted)
                }
                None => self.begin(Kind::List, "", 2, Rest::List(list.iter()), depth),
            },
            Term::Tuple(tuple) if tuple.is_empty() => self.leaf(Kind::Text, "{}"),
            Term::Tuple(_) if depth == 1 => self.leaf(Kind::Text, "{...}"),
            Term::Tuple(tuple) => {
                let elements: Vec<Term> = tuple.iter().collect();
                let kind = match elements.as_slice() {
                    [Term::Atom(_), _, ..] => Kind::Tagged,
                    _ => Kind::Tuple,
                };
                self.begin(kind, "", 2, Rest::Tuple(elements.into_iter()), depth)
            }
            Term::Map(map) if map.is_empty() => self.leaf(Kind::Text, "#{}"),
            Term::Map(_) if depth == 1 => self.leaf(Kind::Text, "#{...}"),
            Term::Map(map) => {
                let pairs = pairs(map, self.style.order)?.into_iter();
                let inner = depth - 1;
                self.begin(Kind::Map, "", 3, Rest::Map { pairs, inner }, depth)
            }
            Term::Record(record) => {
                let name = record_name(record, self.style)?;
                if depth == 1 {
                    let dots = if record.is_empty() { "" } else { "..." };
                    return self.leaf(Kind::Text, &format!("{name}{{{dots}}}"));
                }
                let fields = record.iter().collect::<Vec<_>>().into_iter();
                let len = chars::length(&name) + 2;
                self.begin(Kind::Record, &name, len, Rest::Record(fields), depth - 1)
            }
            Term::Binary(bytes) if bytes.is_empty() => self.leaf(Kind::Text, "<<>>"),
            Term::Binary(_) | Term::BitString(_) if depth == 1 => self.leaf(Kind::Text, "<<...>>"),
            Term::Binary(bytes) => {
                let range = self.strings.then(|| self.range());
                match range.and_then(|range| binary_text(bytes, depth - 1, range)) {
                    Some(text) => self.leaf(Kind::Text, &text),
                    None => {
                        let text = bit_string(bytes, 8, depth, self.style.formatter.limit)?;
                        self.leaf(Kind::Bytes, &text)
                    }
                }
            }
            Term::BitString(bits) => {
                let limit = self.style.formatter.limit;
                let text = bit_string(bits.bytes(), bits.last_bits(), depth, limit)?;
                self.leaf(Kind::Bytes, &text)
            }
            scalar => {
                let mut text = String::new();
                self.style.scalar(&mut text, scalar)?;
                self.leaf(Kind::Text, &text)
            }
        }
    }

    /// The text that a list is, if it is to be printed as such.
    fn string(&self, list: &List, depth: i64) -> Option<String> {
        if !self.strings || depth == 1 {
            return None;
        }
        match self.range() {
            Some(PrintableRange::Unicode) => chars::printable_list(list, chars::is_printable_unicode),
            _ => chars::printable_list(list, chars::is_printable_latin1),
        }
    }

    /// What counts as text; `None` if the output is to be latin1.
    fn range(&self) -> Option<PrintableRange> {
        self.style.unicode.then_some(self.style.formatter.range)
    }

    fn leaf(&mut self, kind: Kind, text: &str) -> Result<(), FormatError> {
        let index = self.shape.nodes.len();
        self.push(kind, text, chars::length(text))?;
        self.end(index, Tail::Nil);
        Ok(())
    }

    /// Begins a compound of which the brackets and its own text have that length.
    fn begin(
        &mut self,
        kind: Kind,
        text: &str,
        len: usize,
        rest: Rest,
        depth: i64,
    ) -> Result<(), FormatError> {
        self.open.push(Open {
            node: self.shape.nodes.len(),
            rest,
            depth,
            has_children: false,
        });
        self.push(kind, text, len)
    }

    fn push(&mut self, kind: Kind, text: &str, len: usize) -> Result<(), FormatError> {
        self.count(len)?;
        let from = count(self.shape.text.len());
        self.shape.text.push_str(text);
        self.shape.nodes.push(Node {
            kind,
            tail: Tail::Nil,
            len: count(len),
            end: 0,
            from,
            to: count(self.shape.text.len()),
        });
        Ok(())
    }

    /// Makes sure that so many more characters are within the limit.
    fn count(&mut self, len: usize) -> Result<(), FormatError> {
        let limit = self.style.formatter.limit;
        self.total += len;
        if self.total > limit || self.total > u32::MAX as usize / 8 {
            return Err(FormatError::TooLong { limit });
        }
        Ok(())
    }

    /// Counts what stands between a child and the one before it, and the child against the depth.
    fn separate(&mut self) -> Result<(), FormatError> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        if open.depth > 0 {
            open.depth -= 1;
        }
        if std::mem::replace(&mut open.has_children, true) {
            let node = open.node;
            self.lengthen(node, 1)?;
        }
        Ok(())
    }

    fn lengthen(&mut self, node: usize, len: usize) -> Result<(), FormatError> {
        self.count(len)?;
        if let Some(node) = self.shape.nodes.get_mut(node) {
            node.len += count(len);
        }
        Ok(())
    }

    /// Ends the innermost compound.
    fn close(&mut self, tail: Tail) -> Result<(), FormatError> {
        if tail == Tail::Dots {
            self.separate()?;
        }
        if let Some(open) = self.open.pop() {
            if tail == Tail::Dots {
                self.lengthen(open.node, "...".len())?;
            }
            self.end(open.node, tail);
        }
        Ok(())
    }

    /// A node and its descendants are complete: it counts for its parent.
    fn end(&mut self, node: usize, tail: Tail) {
        let end = count(self.shape.nodes.len());
        let mut len = 0;
        if let Some(node) = self.shape.nodes.get_mut(node) {
            node.end = end;
            node.tail = tail;
            len = node.len;
        }
        let parent = self.open.last().map(|open| open.node);
        if let Some(parent) = parent.and_then(|parent| self.shape.nodes.get_mut(parent)) {
            parent.len += len;
        }
    }
}

/// What the limits on lengths keep far from overflowing.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// How many characters of a binary count as much as one element of a list.
const CHARACTERS_A_LEVEL: i64 = 4;

/// A binary as text in quotes, if it is such as far as the depth lets one see.
///
/// Without a range it is to be latin1, with one UTF-8, or latin1 if it is not.
fn binary_text(bytes: &[u8], depth: i64, range: Option<PrintableRange>) -> Option<String> {
    let shown = if depth < 0 {
        bytes.len()
    } else {
        usize::try_from(depth.saturating_mul(CHARACTERS_A_LEVEL))
            .map_or(bytes.len(), |it| it.min(bytes.len()))
    };
    let enough = |count: usize| depth > 0 && i64::try_from(count).is_ok_and(|count| count >= depth);
    let is_printable = match range {
        None | Some(PrintableRange::Latin1) => chars::is_printable_latin1,
        Some(PrintableRange::Unicode) => chars::is_printable_unicode,
    };
    if let (Some(_), Ok((text, count))) = (range, utf8_prefix(bytes, shown, is_printable)) {
        let is_whole = text.len() == bytes.len();
        let is_latin1 = text.len() == count;
        return (is_whole || enough(count)).then(|| in_quotes(text.chars(), is_latin1, is_whole));
    }
    let printable = |byte: &&u8| chars::is_printable_latin1(char::from(**byte));
    let count = bytes.iter().take(shown).take_while(printable).count();
    let is_whole = count == bytes.len();
    let text = bytes.iter().take(count).map(|byte| char::from(*byte));
    (is_whole || enough(count)).then(|| in_quotes(text, true, is_whole))
}

/// The printable text that UTF-8 begins with, at most so many characters, and how many they are.
///
/// An error if what was looked at, which includes the first character beyond, is no UTF-8.
fn utf8_prefix(
    bytes: &[u8],
    most: usize,
    is_printable: impl Fn(char) -> bool,
) -> Result<(&str, usize), std::str::Utf8Error> {
    let (text, fault) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(fault) => {
            let valid = bytes.get(..fault.valid_up_to()).unwrap_or_default();
            (std::str::from_utf8(valid).unwrap_or_default(), Some(fault))
        }
    };
    let mut count = 0;
    for (index, character) in text.char_indices() {
        if count == most || !is_printable(character) {
            return Ok((text.get(..index).unwrap_or_default(), count));
        }
        count += 1;
    }
    fault.map_or(Ok((text, count)), Err)
}

fn in_quotes(text: impl Iterator<Item = char>, is_latin1: bool, is_whole: bool) -> String {
    let mut quoted = String::from("<<");
    chars::quoted(&mut quoted, text, '"');
    if !is_latin1 {
        quoted.push_str("/utf8");
    }
    quoted.push_str(if is_whole { ">>" } else { "...>>" });
    quoted
}
