//! What must hold of the term codec whatever comes in, each property a function of bytes.
//!
//! The fuzz targets `term_*` hand them what libFuzzer makes up; `tests/properties.rs` hands them, on a stable compiler and in every run of the
//! tests, the seeds of `fixtures/` and thousands of random changes of those.

mod pieces;

use beamnode::etf::{
    self, Atoms, DecodeErrorKind, Decoder, Encoder, Limits, MinorVersion, RawTerm, SerdeErrorKind, TermRef,
    View,
};
use beamnode::term::{Atom, Term};
use pieces::Pieces;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

/// A property by the name of its fuzz target.
pub(crate) type Property = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const ALL: [Property; 5] = [
    ("term_decode", decode),
    ("term_agree", agree),
    ("term_round_trip", round_trip),
    ("term_text", text),
    ("term_order", order),
];

/// The one of this name.
///
/// # Panics
/// If there is none.
pub(crate) fn property(name: &str) -> fn(&[u8]) {
    let found = ALL.into_iter().find(|(other, _)| *other == name);
    found.expect("a property").1
}

/// What the parts of a term cost at most, so that a fuzzer finds errors and not that large things are large.
fn decoder() -> Decoder {
    Decoder::new().limits(Limits {
        inflated: 1 << 20,
        ..Limits::default()
    })
}

/// A table of atoms for what refers to one.
fn table() -> Atoms {
    ["ok", "a", "é", ""].map(Atom::from_static).into_iter().collect()
}

/// Bytes of any kind are a term or an error with its place, and a term can be taken apart, compared, printed and dropped.
pub(crate) fn decode(bytes: &[u8]) {
    match decoder().decode_prefix(bytes.to_vec()) {
        Err(error) => {
            // Within a compressed term the place is in what it inflates to.
            let compressed = bytes.get(1) == Some(&80);
            assert!(
                compressed || error.offset <= bytes.len(),
                "{error} of {}",
                bytes.len()
            );
            assert!(!error.to_string().is_empty());
            // Of several things that are wrong, always the same is named.
            let again = decoder().decode(bytes.to_vec()).expect_err("no term");
            assert_eq!(again, error);
        }
        Ok((term, used)) => {
            assert!(0 < used && used <= bytes.len());
            let whole = decoder().decode(bytes.to_vec());
            if used == bytes.len() {
                assert_eq!(whole.as_ref(), Ok(&term));
            } else {
                let error = whole.expect_err("bytes are left");
                assert_eq!((error.kind, error.offset), (DecodeErrorKind::TrailingBytes, used));
            }
            let copy = term.clone();
            assert_eq!(term, copy);
            assert!(term.equals(&copy));
            assert_eq!(term.compare(&copy), Ordering::Equal);
            assert!(!term.to_string().is_empty() && !format!("{term:#}").is_empty());
            drop(term);
            assert!(!format!("{copy:?}").is_empty());
        }
    }
    // The same bytes as a message of the distribution, with atoms of its own.
    let raw = RawTerm::from_parts(bytes.to_vec().into(), table());
    match (raw.check(), raw.decode()) {
        (Ok(used), Ok(term)) => {
            assert!(0 < used && used <= bytes.len());
            assert_eq!(raw.inline().decode(), Ok(term));
        }
        (Err(error), Err(other)) => same_error(&error, &other),
        (Ok(_), Err(error)) => assert!(seen_late(&error.kind), "{error}, but the check passes"),
        (Err(error), Ok(term)) => panic!("{error}, but it is {term}"),
    }
}

/// Of several things that are wrong with a term, decoder and view may name another first: the decoder looks at the keys of a map, and at
/// what stands before the values of a fun or a record, when it has read them all. And it may tell what is wrong in there by the place of the whole.
fn same_error(error: &etf::DecodeError, other: &etf::DecodeError) {
    let named_late = |kind: &DecodeErrorKind| {
        seen_late(kind) || matches!(kind, DecodeErrorKind::Truncated | DecodeErrorKind::Expected(_))
    };
    let several = named_late(&error.kind) || named_late(&other.kind);
    assert!(error.kind == other.kind || several, "{error}, and {other}");
}

/// Whether an error is one that only the building of the term finds.
fn seen_late(kind: &DecodeErrorKind) -> bool {
    matches!(
        kind,
        DecodeErrorKind::DuplicateKey | DecodeErrorKind::DuplicateField | DecodeErrorKind::Limit(_)
    )
}

/// A Rust type for each thing that serde can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Rust {
    Unit,
    Number(i128),
    Wide(u128, f64, bool, char),
    Named {
        name: String,
        timeout: Option<u64>,
        more: BTreeMap<i64, Vec<u8>>,
    },
    Person(Person),
    User(User),
    Options(Options),
    Reply(Result<Vec<Self>, Atom>),
    Exact(Term),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "#person")]
struct Person {
    name: String,
    #[serde(default)]
    age: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "%MyApp.User")]
struct User {
    id: u64,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "[options]")]
struct Options {
    #[serde(default)]
    flag: bool,
    #[serde(default)]
    size: i32,
}

/// Whatever a value may be, as serde tells it of itself.
#[derive(Clone, Debug, PartialEq)]
enum Any {
    Unit,
    Bool(bool),
    Integer(i128),
    Large(u128),
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    Row(Vec<Self>),
    Pairs(Vec<(Self, Self)>),
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Any;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E>(self) -> Result<Any, E> {
                Ok(Any::Unit)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Any, E> {
                Ok(Any::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Any, E> {
                Ok(Any::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Any, E> {
                Ok(Any::Integer(value.into()))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Any, E> {
                Ok(Any::Integer(value))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Any, E> {
                Ok(Any::Large(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Any, E> {
                Ok(Any::Float(value.to_bits()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Any, E> {
                Ok(Any::Text(value.to_owned()))
            }

            fn visit_bytes<E>(self, value: &[u8]) -> Result<Any, E> {
                Ok(Any::Bytes(value.to_vec()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut elements: A) -> Result<Any, A::Error> {
                let mut all = Vec::new();
                while let Some(element) = elements.next_element()? {
                    all.push(element);
                }
                Ok(Any::Row(all))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut pairs: A) -> Result<Any, A::Error> {
                let mut all = Vec::new();
                while let Some(pair) = pairs.next_entry()? {
                    all.push(pair);
                }
                Ok(Any::Pairs(all))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Decoder, view and serde say the same of the same bytes.
pub(crate) fn agree(bytes: &[u8]) {
    let decoded = decoder().decode(bytes.to_vec());
    if matches!(bytes, [131, 80 | 121, ..]) {
        // Compressed or local, which only the decoder takes.
        assert!(TermRef::parse(bytes).is_err());
        assert!(etf::from_bytes::<Any>(bytes).is_err());
    } else {
        views(bytes, decoded.as_ref());
    }
    serde_agrees::<Any>(bytes, decoded.as_ref().ok());
    serde_agrees::<Rust>(bytes, decoded.as_ref().ok());
    serde_agrees::<Person>(bytes, decoded.as_ref().ok());
    serde_agrees::<User>(bytes, decoded.as_ref().ok());
    serde_agrees::<Options>(bytes, decoded.as_ref().ok());
    serde_agrees::<Vec<(Atom, i64)>>(bytes, decoded.as_ref().ok());
    serde_agrees::<BTreeMap<String, Option<f64>>>(bytes, decoded.as_ref().ok());
    serde_agrees::<(u8, i32, Result<(), String>)>(bytes, decoded.as_ref().ok());
    serde_agrees::<[u16; 4]>(bytes, decoded.as_ref().ok());
    serde_agrees::<Vec<Term>>(bytes, decoded.as_ref().ok());
    serde_agrees::<serde::de::IgnoredAny>(bytes, None);
    // Values that serde writes, it reads again, and the decoder too.
    if let Ok(value) = etf::from_bytes::<Rust>(bytes) {
        let again = etf::to_bytes(&value).expect("what was read can be written");
        let term = etf::decode(again.clone()).expect("what serde writes is a term");
        assert_eq!(etf::encode(&term), again, "not as the encoder writes it");
        assert_eq!(etf::to_term(&value).as_ref(), Ok(&term));
    }
}

fn views(bytes: &[u8], decoded: Result<&Term, &etf::DecodeError>) {
    match (decoded, TermRef::parse(bytes)) {
        (Ok(term), Ok(view)) => {
            assert_eq!(view.to_term().as_ref(), Ok(term));
            assert_eq!(view.bytes().len(), bytes.len() - 1);
            assert_eq!(etf::from_bytes::<Term>(bytes).as_ref(), Ok(term));
            same_parts(view, term);
            let parts = view.walk().count();
            assert!(0 < parts && parts <= bytes.len());
        }
        (Err(error), Err(other)) => {
            same_error(error, &other);
            assert!(etf::from_bytes::<Term>(bytes).is_err());
            assert!(etf::from_bytes::<serde::de::IgnoredAny>(bytes).is_err());
        }
        (Err(error), Ok(view)) => {
            assert!(seen_late(&error.kind), "{error}, but the view takes it");
            assert!(view.to_term().is_err());
        }
        (Ok(term), Err(error)) => panic!("{error}, but it is {term}"),
    }
}

/// The view of a term has the parts that the term has; goes as deep as compounds are small.
fn same_parts(view: TermRef<'_>, term: &Term) {
    let mut open = vec![(view, term.clone())];
    let mut steps = 0;
    while let Some((view, term)) = open.pop() {
        steps += 1;
        if steps > 200 {
            return;
        }
        match (view.view(), &term) {
            (View::Integer(value), Term::Integer(other)) => assert_eq!(value, *other),
            (View::BigInteger(value), Term::BigInteger(other)) => {
                assert_eq!(
                    (value.negative, value.magnitude),
                    (other.is_negative(), other.magnitude())
                );
            }
            (View::Float(value), Term::Float(other)) => assert_eq!(value.to_bits(), other.value().to_bits()),
            (View::Atom(text), Term::Atom(other)) => {
                assert!(text == other.as_str());
                assert!(view.is_atom(other.as_str()));
                assert_eq!(text.to_atom(), *other);
            }
            (View::Nil, Term::List(list)) => assert!(list.iter().next().is_none()),
            (View::String(bytes), Term::List(list)) => {
                assert!(list.iter().eq(bytes.iter().map(|byte| Term::from(*byte))));
            }
            (View::List(elements), Term::List(list)) => {
                assert_eq!(elements.count(), list.iter().count());
                let tail = elements
                    .improper_tail()
                    .map(|tail| tail.to_term().expect("a part of a term"));
                assert_eq!(tail, list.improper_tail());
                open.extend(elements.zip(list.iter()).take(20));
            }
            (View::Tuple(elements), Term::Tuple(tuple)) => {
                assert_eq!(elements.count(), tuple.len());
                open.extend(elements.zip(tuple.iter()).take(20));
            }
            (View::Map(_), Term::Map(map)) => {
                assert_eq!(view.pairs().count(), map.len());
                for ((key, value), (other_key, other)) in view.pairs().zip(map.iter()).take(20) {
                    assert_eq!(map.get(&other_key).as_ref(), Some(&other));
                    open.extend([(key, other_key), (value, other)]);
                }
            }
            (View::Binary(bytes), Term::Binary(other)) => assert_eq!(*bytes, other[..]),
            (View::BitString(..), Term::BitString(other)) => {
                assert_eq!(view.view().to_bit_string().as_ref(), Some(other));
            }
            (View::Pid(pid), Term::Pid(other)) => assert_eq!(pid.to_pid(), *other),
            (View::Port(port), Term::Port(other)) => assert_eq!(port.to_port(), *other),
            (View::Reference(reference), Term::Reference(other)) => {
                assert_eq!(reference.to_reference(), *other);
            }
            (View::Fun(fun), Term::Fun(other)) => {
                assert_eq!(
                    (fun.module().to_atom(), fun.arity()),
                    (other.module(), other.arity())
                );
                open.extend(fun.free().zip(other.free()).take(20));
            }
            (View::Record(record), Term::Record(other)) => {
                assert_eq!(record.name().to_atom(), other.name());
                assert_eq!(record.fields().count(), other.len());
                for ((name, value), (other_name, other)) in record.fields().zip(other.iter()).take(20) {
                    assert_eq!(name.to_atom(), other_name);
                    open.push((value, other));
                }
            }
            (view, term) => panic!("{view:?} is not {term}"),
        }
    }
}

/// Straight from bytes or through a term: the same value or the same error.
fn serde_agrees<T: for<'de> Deserialize<'de> + PartialEqOrAny + std::fmt::Debug>(
    bytes: &[u8],
    term: Option<&Term>,
) {
    let straight = etf::from_bytes::<T>(bytes);
    if matches!(bytes, [131, 80 | 121, ..]) {
        assert!(straight.is_err_and(|error| *error.kind() == SerdeErrorKind::Compressed));
        return;
    }
    let Some(term) = term else { return };
    let through = etf::from_term::<T>(term);
    match (straight, through) {
        (Ok(straight), Ok(through)) => assert!(straight.same(&through), "{straight:?} is not {through:?}"),
        (Err(straight), Err(through)) => assert_eq!(straight, through),
        (straight, through) => panic!("{straight:?} is not {through:?}"),
    }
}

/// Equality, where there is one.
trait PartialEqOrAny {
    fn same(&self, other: &Self) -> bool;
}

impl PartialEqOrAny for serde::de::IgnoredAny {
    fn same(&self, _: &Self) -> bool {
        true
    }
}

macro_rules! comparable {
    ($($type:ty),*) => {$(
        impl PartialEqOrAny for $type {
            fn same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )*};
}

comparable!(
    Any,
    Rust,
    Person,
    User,
    Options,
    Vec<(Atom, i64)>,
    BTreeMap<String, Option<f64>>,
    (u8, i32, Result<(), String>),
    [u16; 4],
    Vec<Term>
);

/// What is decoded, encodes to what decodes equal, in every form there is.
pub(crate) fn round_trip(bytes: &[u8]) {
    let Ok(term) = decoder().decode(bytes.to_vec()) else {
        return;
    };
    let plain = etf::encode(&term);
    let again = etf::decode(plain.clone()).expect("our own bytes");
    assert_eq!(again, term);
    assert_eq!(etf::encode(&again), plain, "not the same bytes again");
    for encoder in [
        Encoder::new().minor_version(MinorVersion::V0),
        Encoder::new().minor_version(MinorVersion::V1),
        Encoder::new().deterministic(true),
        Encoder::new().compressed(1),
        Encoder::new().compressed(9).deterministic(true),
    ] {
        let encoded = encoder.encode(&term);
        let again = etf::decode(encoded.clone()).expect("our own bytes");
        assert_eq!(again, term);
        assert_eq!(encoder.encode(&again), encoded, "not the same bytes again");
    }
    // Taken apart and put together anew it is the same term, and sorts its pairs the same.
    let sorted = Encoder::new().deterministic(true);
    if let Some(map) = term.as_map() {
        let mut pairs: Vec<_> = map.iter().collect();
        pairs.reverse();
        let reversed = Term::Map(pairs.into_iter().collect());
        assert_eq!(reversed, term);
        assert_eq!(sorted.encode(&reversed), sorted.encode(&term));
    }
    // As a message, with its atoms in a table and written out.
    let raw = RawTerm::new(&term);
    assert_eq!(raw.check().expect("our own bytes"), raw.bytes().len());
    assert_eq!(raw.decode().as_ref(), Ok(&term));
    assert_eq!(raw.inline().decode().as_ref(), Ok(&term));
    assert_eq!(RawTerm::new(&raw).decode().as_ref(), Ok(&term));
}

/// Text is a term or an error with its place; a term's text, read, is the same term; and printing once more prints the same.
pub(crate) fn text(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        match text.parse::<Term>() {
            Ok(term) => reads_back(&term),
            Err(error) => {
                assert!(text.is_char_boundary(error.offset), "{error:?}");
                assert!(error.line > 0 && error.column > 0);
                assert!(error.show(text).contains('^'));
            }
        }
    }
    let mut pieces = Pieces::new(bytes);
    reads_back(&pieces.term(40));
}

fn reads_back(term: &Term) {
    for text in [term.to_string(), format!("{term:#}")] {
        let again: Term = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(again.to_string(), term.to_string(), "{text}");
        assert_eq!(again, *term, "{text}");
    }
}

/// Both orders are total, and go with their equality and the hash.
pub(crate) fn order(bytes: &[u8]) {
    let mut pieces = Pieces::new(bytes);
    let terms = [pieces.term(12), pieces.term(12), pieces.term(12), pieces.term(12)];
    let exact = |a: &Term, b: &Term| a.cmp(b);
    let loose = |a: &Term, b: &Term| a.compare(b);
    for order in [&exact as &dyn Fn(&Term, &Term) -> Ordering, &loose] {
        for a in &terms {
            assert_eq!(order(a, a), Ordering::Equal, "{a}");
            for b in &terms {
                assert_eq!(order(a, b), order(b, a).reverse(), "{a} and {b}");
                for c in &terms {
                    if order(a, b).is_le() && order(b, c).is_le() {
                        let both = order(a, b).then(order(b, c));
                        assert_eq!(order(a, c), both, "{a}, {b} and {c}");
                    }
                }
            }
        }
    }
    let hash = RandomState::new();
    for a in &terms {
        for b in &terms {
            assert_eq!(a.cmp(b).is_eq(), a == b, "{a} and {b}");
            assert_eq!(a.compare(b).is_eq(), a.equals(b), "{a} and {b}");
            if a == b {
                assert!(a.equals(b), "{a} and {b}");
                assert_eq!(hash.hash_one(a), hash.hash_one(b), "{a} and {b}");
            }
            // The bytes do not decide: the same term from them compares the same.
            let again = etf::decode(etf::encode(b)).expect("our own bytes");
            assert_eq!(
                (a.cmp(&again), a.compare(&again)),
                (a.cmp(b), a.compare(b)),
                "{a} and {b}"
            );
        }
    }
    // A map keeps apart what the exact order keeps apart.
    let map = Term::Map(terms.iter().map(|key| (key.clone(), Term::NIL)).collect());
    let mut sorted = terms.to_vec();
    sorted.sort();
    sorted.dedup();
    assert_eq!(map.as_map().map(|map| map.len()), Some(sorted.len()));
}
