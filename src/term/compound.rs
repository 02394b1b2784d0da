//! Terms made of terms: tuples, lists, maps, funs and records.
//!
//! Each is a place in a shared block: cloning one increments a counter, taking an element out copies nothing but the element
//! itself.

use super::Term;
use super::atom::Atom;
use super::block::{Block, Builder, FUN_HEAD, Handle, Node, OLD_FUN_HEAD, Tail};
use super::identifier::Pid;
use bytes::{Buf, Bytes};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::iter::FusedIterator;
use std::sync::Arc;

/// A tuple.
///
/// ```
/// use beamnode::term::{Term, Tuple};
///
/// let tuple: Tuple = [Term::from(1), Term::from(2)].into_iter().collect();
/// assert_eq!(tuple.len(), 2);
/// assert_eq!(tuple.get(1), Some(Term::from(2)));
/// assert!(!tuple.is_empty() && tuple.iter().eq([Term::from(1), Term::from(2)]));
/// let [one, two] = tuple.array().ok_or("two elements")?;
/// assert!(one < two);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone)]
pub struct Tuple(Handle);

impl Tuple {
    pub(crate) const fn from_handle(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.0
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0.block.node(self.0.at) {
            Node::Tuple { arity, .. } => arity as usize,
            _ => 0,
        }
    }

    /// Whether it is `{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at a position, counted from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Term> {
        self.iter().nth(index)
    }

    /// The elements in order.
    #[must_use]
    pub fn iter(&self) -> Elements<'_> {
        Elements {
            block: &self.0.block,
            at: self.0.at + 1,
            left: self.len(),
        }
    }

    /// The elements, if there are exactly `N`.
    #[must_use]
    pub fn array<const N: usize>(&self) -> Option<[Term; N]> {
        if self.len() != N {
            return None;
        }
        let mut elements = self.iter();
        Some(std::array::from_fn(|_| elements.next().unwrap_or(Term::NIL)))
    }
}

/// The elements of a tuple, or other terms that stand in a row.
///
/// ```
/// use beamnode::term;
///
/// let tuple = term!({1, 2, 3});
/// let elements: term::Elements<'_> = tuple.as_tuple().ok_or("a tuple")?.iter();
/// assert_eq!(elements.filter_map(|element| element.as_integer()).sum::<i64>(), 6);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    block: &'a Arc<Block>,
    at: u32,
    left: usize,
}

impl Iterator for Elements<'_> {
    type Item = Term;

    fn next(&mut self) -> Option<Term> {
        self.left = self.left.checked_sub(1)?;
        let term = self.block.term(self.at);
        self.at += self.block.span(self.at);
        Some(term)
    }

    fn nth(&mut self, n: usize) -> Option<Term> {
        for _ in 0..n {
            self.left = self.left.checked_sub(1)?;
            self.at += self.block.span(self.at);
        }
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}
impl FusedIterator for Elements<'_> {}

impl<'a> IntoIterator for &'a Tuple {
    type Item = Term;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl FromIterator<Term> for Tuple {
    fn from_iter<I: IntoIterator<Item = Term>>(elements: I) -> Self {
        let mut builder = Builder::new();
        let at = builder.at();
        builder.node(Node::Nil);
        let mut arity = 0;
        for element in elements {
            builder.term(element);
            arity += 1;
        }
        builder.close(at, |span| Node::Tuple { arity, span });
        Self(builder.finish())
    }
}

/// A list, proper or improper, `[]` among them.
///
/// ```
/// use beamnode::term::{List, Term};
///
/// let list: List = (1..=3).map(Term::from).collect();
/// assert_eq!(list.to_string(), "[1,2,3]");
/// let (head, tail) = list.split_first().ok_or("not empty")?;
/// assert_eq!(head, Term::from(1));
/// assert_eq!(tail.to_string(), "[2,3]");
/// assert_eq!(List::cons(Term::from(0), tail).to_string(), "[0,2,3]");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone)]
pub struct List(Repr);

/// How a list is held.
#[derive(Clone)]
pub(crate) enum Repr {
    Nil,
    /// Small integers, a byte each; never empty.
    Bytes(Bytes),
    /// The elements from the node `first` on: `left` of them, never none, and then the tail.
    Nodes {
        handle: Handle,
        first: u32,
        left: u32,
    },
}

impl List {
    /// The empty list.
    pub const NIL: Self = Self(Repr::Nil);

    pub(crate) const fn from_handle(handle: Handle, left: u32) -> Self {
        let first = handle.at + 1;
        Self(Repr::Nodes { handle, first, left })
    }

    pub(crate) const fn repr(&self) -> &Repr {
        &self.0
    }

    pub(crate) fn into_block(self) -> Option<Arc<Block>> {
        match self.0 {
            Repr::Nodes { handle, .. } => Some(handle.block),
            _ => None,
        }
    }

    /// The proper list of these integers from 0 to 255: a charlist if they are latin1 text.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::NIL
        } else {
            Self(Repr::Bytes(bytes))
        }
    }

    /// The list of the code points of a text.
    ///
    /// ```
    /// use beamnode::term::List;
    ///
    /// assert_eq!(List::from_chars("ab→").to_string(), "[97,98,8594]");
    /// ```
    #[must_use]
    pub fn from_chars(text: &str) -> Self {
        if text.is_ascii() {
            Self::from_bytes(Bytes::copy_from_slice(text.as_bytes()))
        } else {
            text.chars()
                .map(|character| Term::from(u32::from(character)))
                .collect()
        }
    }

    /// The list with this first element and this rest; improper if the rest is no list.
    #[must_use]
    pub fn cons(head: Term, tail: Term) -> Self {
        Self::improper([head], tail)
    }

    /// The list of these elements and then this rest; improper if the rest is no list.
    ///
    /// With no elements at all it is the rest, or `[]` if that is no list.
    #[must_use]
    pub fn improper(elements: impl IntoIterator<Item = Term>, tail: Term) -> Self {
        let mut builder = Builder::new();
        builder.node(Node::Nil);
        let mut len = 0;
        for element in elements {
            builder.term(element);
            len += 1;
        }
        if len == 0 {
            return if let Term::List(list) = tail {
                list
            } else {
                Self::NIL
            };
        }
        let kind = match &tail {
            Term::List(list) if list.is_nil() => Tail::Nil,
            Term::List(_) => Tail::Linked,
            _ => Tail::Improper,
        };
        builder.term(tail);
        builder.close(0, |span| Node::List {
            tail: kind,
            len,
            span,
        });
        Self::from_handle(builder.finish(), len)
    }

    /// Whether it is `[]`.
    ///
    /// ```
    /// use beamnode::term::{List, Term};
    ///
    /// let one = List::cons(Term::from(1), Term::NIL);
    /// assert!(one.is_proper() && !one.is_nil());
    /// assert_eq!(one.split_first(), Some((Term::from(1), Term::NIL)));
    /// let pair = List::cons(Term::from(1), Term::from(2));
    /// assert!(!pair.is_proper());
    /// assert_eq!(pair.improper_tail(), Some(Term::from(2)));
    /// let text = List::from_bytes(&b"text"[..]);
    /// assert_eq!(text.as_bytes().map(|bytes| &bytes[..]), Some(&b"text"[..]));
    /// assert!(List::from_bytes(Vec::new()).is_nil() && List::NIL.is_nil());
    /// ```
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        matches!(self.0, Repr::Nil)
    }

    /// Whether it ends in `[]`.
    #[must_use]
    pub fn is_proper(&self) -> bool {
        self.improper_tail().is_none()
    }

    /// The first element and what follows it, itself a list unless the list is improper.
    #[must_use]
    pub fn split_first(&self) -> Option<(Term, Term)> {
        let mut elements = self.iter();
        let head = elements.next()?;
        Some((head, elements.rest()))
    }

    /// The elements in order, without the tail of an improper list.
    #[must_use]
    pub fn iter(&self) -> ListElements {
        self.clone().into_iter()
    }

    /// What an improper list ends in; nothing for a proper one.
    #[must_use]
    pub fn improper_tail(&self) -> Option<Term> {
        let mut rest = self.clone();
        loop {
            let Repr::Nodes { handle, first, left } = &rest.0 else {
                return None;
            };
            let block = &handle.block;
            let Node::List { tail, .. } = block.node(handle.at) else {
                return None;
            };
            if tail == Tail::Nil {
                return None;
            }
            let tail = (0..*left).fold(*first, |at, _| at + block.span(at));
            match block.term(tail) {
                Term::List(list) => rest = list,
                term => return Some(term),
            }
        }
    }

    /// The bytes of a list that is known to consist of integers from 0 to 255 without looking: what the external term format
    /// calls a string.
    #[must_use]
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text, if it is a proper list of code points.
    ///
    /// ```
    /// use beamnode::term::List;
    ///
    /// assert_eq!(List::from_chars("ab→").to_text().as_deref(), Some("ab→"));
    /// ```
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let mut elements = self.iter();
        let mut text = String::new();
        for element in elements.by_ref() {
            let Term::Integer(point) = element else {
                return None;
            };
            text.push(char::from_u32(u32::try_from(point).ok()?)?);
        }
        matches!(elements.rest(), Term::List(list) if list.is_nil()).then_some(text)
    }
}

impl Default for List {
    fn default() -> Self {
        Self::NIL
    }
}

/// The elements of a list, and what follows them.
///
/// ```
/// use beamnode::term::{List, ListElements, Term};
///
/// let list = List::improper([Term::from(1), Term::from(2)], Term::atom("rest"));
/// let mut elements: ListElements = list.iter();
/// assert_eq!(elements.next(), Some(Term::from(1)));
/// assert_eq!(elements.clone().rest().to_string(), "[2|rest]");
/// assert_eq!(elements.next(), Some(Term::from(2)));
/// assert_eq!(elements.next(), None);
/// assert_eq!(elements.rest(), Term::atom("rest"));
/// ```
#[derive(Clone, Debug)]
pub struct ListElements {
    rest: List,
    /// The end of an improper list, once it is reached.
    tail: Option<Term>,
}

impl ListElements {
    /// What has not been iterated over: a list, unless all elements of an improper list have been.
    #[must_use]
    pub fn rest(self) -> Term {
        self.tail.unwrap_or(Term::List(self.rest))
    }
}

impl Iterator for ListElements {
    type Item = Term;

    fn next(&mut self) -> Option<Term> {
        match &mut self.rest.0 {
            Repr::Nil => None,
            Repr::Bytes(bytes) => {
                let byte = *bytes.first()?;
                bytes.advance(1);
                if bytes.is_empty() {
                    self.rest = List::NIL;
                }
                Some(Term::from(byte))
            }
            Repr::Nodes { handle, first, left } => {
                let term = handle.block.term(*first);
                *first += handle.block.span(*first);
                *left -= 1;
                if *left == 0 {
                    match handle.block.term(*first) {
                        Term::List(list) => self.rest = list,
                        tail => {
                            self.tail = Some(tail);
                            self.rest = List::NIL;
                        }
                    }
                }
                Some(term)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.rest.0 {
            Repr::Nil => (0, Some(0)),
            Repr::Bytes(bytes) => (bytes.len(), Some(bytes.len())),
            Repr::Nodes { left, .. } => (*left as usize, None),
        }
    }
}

impl FusedIterator for ListElements {}

impl IntoIterator for &List {
    type Item = Term;
    type IntoIter = ListElements;

    fn into_iter(self) -> ListElements {
        self.iter()
    }
}

impl IntoIterator for List {
    type Item = Term;
    type IntoIter = ListElements;

    fn into_iter(self) -> ListElements {
        ListElements {
            rest: self,
            tail: None,
        }
    }
}

impl FromIterator<Term> for List {
    fn from_iter<I: IntoIterator<Item = Term>>(elements: I) -> Self {
        Self::improper(elements, Term::NIL)
    }
}

/// A map: pairs of keys and values, no key twice.
///
/// The pairs keep the order in which they came or were put in; that order does not count when maps are compared. Keys are told
/// apart exactly: `1` and `1.0` are two keys, and so are `0.0` and `-0.0`.
///
/// ```
/// use beamnode::term::{Map, Term};
///
/// let map: Map = [(Term::from("one"), Term::from(1)), (Term::from("two"), Term::from(2))].into_iter().collect();
/// assert_eq!(map.get(&Term::from("two")), Some(Term::from(2)));
/// ```
#[derive(Clone)]
pub struct Map(Handle);

impl Map {
    pub(crate) const fn from_handle(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.0
    }

    /// How many pairs it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0.block.node(self.0.at) {
            Node::Map { len, .. } => len as usize,
            _ => 0,
        }
    }

    /// Whether it is `#{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key. Looks at one pair after the other.
    #[must_use]
    pub fn get(&self, key: &Term) -> Option<Term> {
        self.iter()
            .find(|(found, _)| found == key)
            .map(|(_, value)| value)
    }

    /// The value whose key is this atom.
    ///
    /// ```
    /// use beamnode::term;
    /// use beamnode::term::Term;
    ///
    /// let map = term!(#{ name => "rust", id => 7 });
    /// let map = map.as_map().ok_or("a map")?;
    /// assert_eq!(map.get_atom("id"), Some(Term::from(7)));
    /// # Ok::<(), &str>(())
    /// ```
    #[must_use]
    pub fn get_atom(&self, key: &str) -> Option<Term> {
        let block = &self.0.block;
        let mut at = self.0.at + 1;
        for _ in 0..self.len() {
            let value = at + block.span(at);
            if matches!(block.node(at), Node::Atom { .. } | Node::TableAtom(_)) && block.atom_text(at) == key
            {
                return Some(block.term(value));
            }
            at = value + block.span(value);
        }
        None
    }

    /// The pairs.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        Pairs(Elements {
            block: &self.0.block,
            at: self.0.at + 1,
            left: self.len() * 2,
        })
    }
}

/// The pairs of a map.
///
/// ```
/// use beamnode::term;
/// use beamnode::term::{Map, Term};
///
/// let map: Map = [(Term::from(1), Term::atom("one"))].into_iter().collect();
/// assert_eq!((map.len(), map.is_empty()), (1, false));
/// assert_eq!(map.get(&Term::from(1)), Some(Term::atom("one")));
/// let mut pairs: term::Pairs<'_> = map.iter();
/// assert_eq!(pairs.next(), Some((Term::from(1), Term::atom("one"))));
/// ```
#[derive(Clone, Debug)]
pub struct Pairs<'a>(Elements<'a>);

impl Iterator for Pairs<'_> {
    type Item = (Term, Term);

    fn next(&mut self) -> Option<(Term, Term)> {
        Some((self.0.next()?, self.0.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.left / 2, Some(self.0.left / 2))
    }
}

impl ExactSizeIterator for Pairs<'_> {}
impl FusedIterator for Pairs<'_> {}

impl<'a> IntoIterator for &'a Map {
    type Item = (Term, Term);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}

impl FromIterator<(Term, Term)> for Map {
    /// Of two pairs with the same key the later counts, in the place of the earlier.
    fn from_iter<I: IntoIterator<Item = (Term, Term)>>(pairs: I) -> Self {
        let mut all: Vec<(Term, Term)> = Vec::new();
        let mut pairs = pairs.into_iter();
        // A key alone needs no comparing, and it may be deep.
        all.extend(pairs.next());
        let mut places: HashMap<Term, usize> = HashMap::new();
        for (key, value) in pairs {
            if places.is_empty() {
                places.extend(all.iter().map(|(key, _)| (key.clone(), 0)));
            }
            match places.entry(key) {
                Entry::Occupied(place) => {
                    if let Some(pair) = all.get_mut(*place.get()) {
                        pair.1 = value;
                    }
                }
                Entry::Vacant(place) => {
                    all.push((place.key().clone(), value));
                    place.insert(all.len() - 1);
                }
            }
        }
        let mut builder = Builder::new();
        builder.node(Node::Nil);
        let mut len = 0;
        for (key, value) in all {
            builder.term(key);
            builder.term(value);
            len += 1;
        }
        builder.close(0, |span| Node::Map { len, span });
        Self(builder.finish())
    }
}

/// A function: an export (`fun lists:map/2`), or a fun made by a function of some node, with the values it closed over.
///
/// Funs are data here: they can be compared, kept and sent back, but not called.
///
/// ```
/// use beamnode::term::{Atom, Fun};
///
/// let fun = Fun::export(Atom::from_static("lists"), Atom::from_static("map"), 2);
/// assert_eq!(fun.to_string(), "fun lists:map/2");
/// let (module, function, arity) = fun.as_export().ok_or("an export")?;
/// assert_eq!((module.as_str(), function.as_str(), arity), ("lists", "map", 2));
/// assert_eq!((fun.module(), fun.arity()), (module, Some(arity)));
/// assert!(fun.pid().is_none() && fun.free().next().is_none());
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone)]
pub struct Fun(Handle);

impl Fun {
    pub(crate) const fn from_handle(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.0
    }

    /// `fun module:function/arity`.
    #[must_use]
    pub fn export(module: Atom, function: Atom, arity: u8) -> Self {
        let mut builder = Builder::new();
        builder.node(Node::Export { arity });
        builder.atom(&module);
        builder.atom(&function);
        Self(builder.finish())
    }

    /// Where the module's name stands.
    fn module_at(&self) -> u32 {
        match self.0.block.node(self.0.at) {
            Node::Export { .. } => self.0.at + 1,
            _ => self.0.at + 3,
        }
    }

    /// The module it belongs to.
    #[must_use]
    pub fn module(&self) -> Atom {
        self.0.block.atom(self.module_at())
    }

    /// Module, function and arity of an export.
    #[must_use]
    pub fn as_export(&self) -> Option<(Atom, Atom, u8)> {
        match self.0.block.node(self.0.at) {
            Node::Export { arity } => Some((self.module(), self.0.block.atom(self.0.at + 2), arity)),
            _ => None,
        }
    }

    /// How many arguments it takes; not known of a fun in the form of before OTP R8 (`FUN_EXT`).
    #[must_use]
    pub fn arity(&self) -> Option<u8> {
        match self.0.block.node(self.0.at) {
            Node::Export { arity } | Node::Fun { arity, .. } => Some(arity),
            _ => None,
        }
    }

    /// The process that made the fun; an export has none. OTP 27 and later always send `<0.0.0>` of their node.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        match self.0.block.node(self.0.at) {
            Node::Fun { .. } => Some(self.0.block.pid(self.0.at + 6)),
            Node::OldFun { .. } => Some(self.0.block.pid(self.0.at + 1)),
            _ => None,
        }
    }

    /// The values it closed over; an export has none.
    #[must_use]
    pub fn free(&self) -> Elements<'_> {
        let left = match self.0.block.node(self.0.at) {
            Node::Fun { free, .. } | Node::OldFun { free, .. } => free as usize,
            _ => 0,
        };
        Elements {
            block: &self.0.block,
            at: self.free_at().unwrap_or(0),
            left,
        }
    }

    fn free_at(&self) -> Option<u32> {
        match self.0.block.node(self.0.at) {
            Node::Fun { .. } => Some(self.0.at + FUN_HEAD),
            Node::OldFun { .. } => Some(self.0.at + OLD_FUN_HEAD),
            _ => None,
        }
    }
}

/// A native record of OTP 29: a module, a name, and named fields in order.
///
/// ```
/// use beamnode::term::Term;
///
/// let term: Term = "#m:person{name = <<\"Joe\">>, age = 50}".parse()?;
/// let person = term.as_record().ok_or("a record")?;
/// assert_eq!((person.module().as_str(), person.name().as_str()), ("m", "person"));
/// assert_eq!((person.len(), person.is_empty(), person.is_exported()), (2, false, false));
/// assert_eq!(person.get("age"), Some(Term::from(50)));
/// let (names, values): (Vec<String>, Vec<Term>) = person.iter().map(|(name, value)| (name.to_string(), value)).unzip();
/// assert_eq!((names, values), (vec!["name".into(), "age".into()], vec![Term::from("Joe"), Term::from(50)]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Record(Handle);

impl Record {
    pub(crate) const fn from_handle(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.0
    }

    /// A record from its parts; `exported` says whether its definition is visible outside its module.
    ///
    /// Of two fields with the same name the later counts, in the place of the earlier.
    ///
    /// ```
    /// use beamnode::term::{Atom, Record, Term};
    ///
    /// let fields = [("name", "Joe"), ("name", "Mike")];
    /// let fields = fields.map(|(name, value)| (Atom::from_static(name), Term::from(value)));
    /// let exported = true;
    /// let person = Record::new(Atom::from_static("m"), Atom::from_static("person"), exported, fields);
    /// assert_eq!(person.len(), 1);
    /// assert_eq!(person.get("name"), Some(Term::from("Mike")));
    /// ```
    #[must_use]
    pub fn new(
        module: Atom,
        name: Atom,
        exported: bool,
        fields: impl IntoIterator<Item = (Atom, Term)>,
    ) -> Self {
        let mut pairs: Vec<(Atom, Term)> = Vec::new();
        let mut places: HashMap<Atom, usize> = HashMap::new();
        for (name, value) in fields {
            match places.entry(name) {
                Entry::Occupied(place) => {
                    if let Some(pair) = pairs.get_mut(*place.get()) {
                        pair.1 = value;
                    }
                }
                Entry::Vacant(place) => {
                    pairs.push((place.key().clone(), value));
                    place.insert(pairs.len() - 1);
                }
            }
        }
        let mut builder = Builder::new();
        builder.node(Node::Nil);
        builder.atom(&module);
        builder.atom(&name);
        let mut fields = 0;
        for (field, _) in &pairs {
            builder.atom(field);
            fields += 1;
        }
        for (_, value) in pairs {
            builder.term(value);
        }
        builder.close(0, |span| Node::Record {
            exported,
            fields,
            span,
        });
        Self(builder.finish())
    }

    /// The module that defines it.
    #[must_use]
    pub fn module(&self) -> Atom {
        self.0.block.atom(self.0.at + 1)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Atom {
        self.0.block.atom(self.0.at + 2)
    }

    /// Whether its definition is visible outside its module.
    #[must_use]
    pub fn is_exported(&self) -> bool {
        matches!(self.0.block.node(self.0.at), Node::Record { exported: true, .. })
    }

    /// How many fields it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0.block.node(self.0.at) {
            Node::Record { fields, .. } => fields as usize,
            _ => 0,
        }
    }

    /// Whether it has no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (Atom, Term)> + use<'_> {
        let block = &self.0.block;
        let first = self.0.at + 3;
        let left = self.len();
        let names = (first..).take(left).map(|at| block.atom(at));
        let values = Elements {
            block,
            at: first + u32::try_from(left).unwrap_or(u32::MAX),
            left,
        };
        names.zip(values)
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<Term> {
        self.iter()
            .find(|(name, _)| name == field)
            .map(|(_, value)| value)
    }
}

macro_rules! into_block {
    ($($type:ty),*) => {$(
        impl $type {
            pub(crate) fn into_block(self) -> Arc<Block> {
                self.0.block
            }
        }
    )*};
}

into_block!(Tuple, Map, Fun, Record);
