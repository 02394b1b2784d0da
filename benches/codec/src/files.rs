//! The files: terms of the kinds that are sent, the same in every run.

use beamnode::etf::{self, TermRef, View};
use beamnode::term;
use beamnode::term::{Atom, Map, Pid, Reference, Term};
use bytes::Bytes;
use serde::Deserialize;
use std::hint::black_box;

#[path = "types.rs"]
mod types;

pub(crate) use types::{Entry, Row};

/// A term, and its name in the table.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) term: Term,
}

/// All of them.
pub(crate) fn all() -> Vec<File> {
    let file = |name, term| File { name, term };
    vec![
        file("rpc request", rpc_request()),
        file("integers", integers()),
        file("document", document()),
        file("1 MB binary", Term::from(bytes::Bytes::from(vec![b'x'; 1 << 20]))),
        file("deep list", deep_list()),
        file("floats, big integers", numbers()),
        file("rows", rows()),
        file("charlists", charlists()),
        file("unicode charlists", unicode()),
    ]
}

/// Goes over all parts of a view, and looks at each.
pub(crate) fn walk(view: TermRef<'_>) {
    let mut sum = 0_u64;
    view.walk().for_each(|part| {
        sum = sum.wrapping_add(match part {
            View::Integer(value) => value.cast_unsigned(),
            View::Float(value) => value.to_bits(),
            View::Binary(bytes) | View::String(bytes) => bytes.len() as u64,
            _ => 1,
        });
    });
    black_box(sum);
}

/// Numbers that look random (Knuth's linear congruential generator).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ (self.0 >> 29)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn text(&mut self, least: u64, most: u64) -> String {
        let length = least + self.below(most - least);
        (0..length)
            .map(|_| char::from(b'a' + self.below(26) as u8))
            .collect()
    }
}

/// What `gen_server:call({kv, Node}, {call, lists, reverse, [[1, 2, 3]]})` sends, with an alias to answer to.
fn rpc_request() -> Term {
    let node = Atom::from_static("alice@host");
    let from = Pid::new(node.clone(), 84, 0, 1_700_000_000);
    let reference = Reference::new(node, &[117_391, 3_221_225_472, 84], 1_700_000_000).expect("three words");
    let tag: Term = beamnode::term::List::improper([term!(alias)], reference.into()).into();
    term!({(Term::atom("$gen_call")), {(from), (tag)}, {call, lists, reverse, [[1, 1000, 3]]}})
}

/// Of all sizes up to 80 bits, most of them small.
fn integers() -> Term {
    let mut numbers = Numbers(1);
    let integer = |_| {
        let bits = [8, 8, 16, 31, 31, 40, 63, 64, 80][numbers.below(9) as usize];
        let value =
            (u128::from(numbers.next()) << 16 | u128::from(numbers.next() & 0xffff)) & ((1 << bits) - 1);
        if numbers.below(4) == 0 {
            Term::from(-(value as i128))
        } else {
            Term::from(value)
        }
    };
    Term::from((0..10_000).map(integer).collect::<Vec<_>>())
}

/// As JSON comes out of a parser: maps with binaries as keys.
fn document() -> Term {
    let mut numbers = Numbers(2);
    let entry = |id: u64| {
        let address: Map = [
            (Term::from("street"), Term::from(numbers.text(8, 20))),
            (Term::from("city"), Term::from(numbers.text(4, 12))),
            (Term::from("zip"), Term::from(numbers.below(100_000))),
        ]
        .into_iter()
        .collect();
        let tags: Vec<Term> = (0..numbers.below(5)).map(|_| numbers.text(3, 9).into()).collect();
        let map: Map = [
            (Term::from("id"), Term::from(id)),
            (Term::from("name"), Term::from(numbers.text(6, 18))),
            (
                Term::from("email"),
                Term::from(format!("{}@example.org", numbers.text(5, 9))),
            ),
            (Term::from("active"), Term::from(numbers.below(2) == 0)),
            (Term::from("score"), Term::from(numbers.below(1000) as f64 / 8.0)),
            (Term::from("tags"), Term::from(tags)),
            (Term::from("address"), Term::from(address)),
        ]
        .into_iter()
        .collect();
        Term::from(map)
    };
    Term::from((0..190).map(entry).collect::<Vec<_>>())
}

fn deep_list() -> Term {
    (0..10_000).fold(Term::NIL, |inner, _| Term::from(vec![inner]))
}

/// Floats and integers of up to 256 bits in turn.
fn numbers() -> Term {
    let mut numbers = Numbers(3);
    let number = |index| {
        if index % 2 == 0 {
            Term::from(numbers.next() as f64 / 3.0)
        } else {
            let length = 12 + numbers.below(20) as u8;
            let mut bytes = vec![131, 110, length, numbers.below(2) as u8];
            bytes.extend((0..length).map(|_| numbers.below(255) as u8 + 1));
            beamnode::etf::decode(bytes).expect("a big integer")
        }
    };
    Term::from((0..5_500).map(number).collect::<Vec<_>>())
}

fn rows() -> Term {
    let mut numbers = Numbers(4);
    let row = |index: u64| {
        let tag = Atom::from_static(["open", "closed", "pending", "unknown"][numbers.below(4) as usize]);
        let value = numbers.next() as f64 / 1e12;
        Term::from((
            tag,
            Term::from(index * 37),
            Term::from(numbers.text(16, 34)),
            Term::from(value),
        ))
    };
    Term::from((0..10_000).map(row).collect::<Vec<_>>())
}

fn charlists() -> Term {
    let mut numbers = Numbers(5);
    let list = |_| {
        let text: Vec<Term> = numbers.text(20, 130).bytes().map(Term::from).collect();
        Term::from(text)
    };
    Term::from((0..1_120).map(list).collect::<Vec<_>>())
}

/// Words with letters beyond Latin-1, so that each list is one of integers.
fn unicode() -> Term {
    let mut numbers = Numbers(6);
    let list = |_| {
        let length = 8 + numbers.below(24);
        let text = (0..length).map(|_| match numbers.below(3) {
            0 => Term::from(0x430 + numbers.below(32)),
            _ => Term::from(u64::from(b'a') + numbers.below(26)),
        });
        Term::from(text.chain([Term::from(0x263a_u32)]).collect::<Vec<_>>())
    };
    Term::from((0..720).map(list).collect::<Vec<_>>())
}

/// What `once` does.
pub(crate) const OPERATIONS: [&str; 5] = ["decode", "encode", "check", "walk", "from bytes"];

/// The files that can be read into types of Rust.
pub(crate) const TYPED: [&str; 4] = ["integers", "document", "rows", "unicode charlists"];

/// Does that with a file once: what callgrind is to look at stands in `measured`.
pub(crate) fn once(operation: &str, file: &str) {
    let file = all()
        .into_iter()
        .find(|known| known.name == file)
        .expect("a file's name");
    let bytes = Bytes::from(etf::encode(&file.term));
    let term = etf::decode(bytes.clone()).expect("what we wrote");
    match operation {
        "decode" => measured(|| drop(black_box(etf::decode(bytes.clone())))),
        "encode" => measured(|| drop(black_box(etf::encode(&term)))),
        "check" => measured(|| {
            let _ = black_box(TermRef::parse(&bytes));
        }),
        "walk" => {
            let view = TermRef::parse(&bytes).expect("what we wrote");
            measured(|| walk(black_box(view)));
        }
        "from bytes" => match file.name {
            "integers" => from_bytes::<Vec<i128>>(&bytes),
            "document" => from_bytes::<Vec<Entry<'_>>>(&bytes),
            "rows" => from_bytes::<Vec<Row<'_>>>(&bytes),
            "unicode charlists" => from_bytes::<Vec<Vec<u32>>>(&bytes),
            _ => panic!("a file with a type: {TYPED:?}"),
        },
        _ => panic!("an operation: {OPERATIONS:?}"),
    }
}

fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) {
    measured(|| {
        let _ = black_box(etf::from_bytes::<T>(bytes));
    });
}

/// What callgrind counts.
#[inline(never)]
fn measured(work: impl FnOnce()) {
    work();
}
