//! The codec against bytes that real nodes wrote.

use super::{Atoms, DecodeErrorKind, RawTerm, TermRef, decode, encode};
use crate::term::{List, Term};

/// Bytes as hexadecimal text.
fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Written by `term_to_binary(Term, [{minor_version, 2}])` of OTP 25, with what `~w` prints.
const WRITTEN: &[(&str, &str)] = &[("836100", "0"), ("8362ffffffff", "-1")];

#[test]
fn decodes_and_encodes_what_real_nodes_write() {
    for (bytes, text) in WRITTEN {
        let bytes = hex(bytes);
        let term = decode(bytes.clone()).unwrap();
        assert_eq!(term.to_string(), *text);
        assert_eq!(encode(&term), bytes, "{text}");
    }
}

#[test]
fn a_million_levels_are_decoded_compared_printed_encoded_and_dropped() {
    const DEPTH: usize = 1_000_000;
    for (open, close) in [(&[104, 1][..], &[106][..]), (&[108, 0, 0, 0, 1], &[106])] {
        let mut bytes = vec![131];
        for _ in 0..DEPTH {
            bytes.extend_from_slice(open);
        }
        bytes.push(106);
        if open.len() > 2 {
            for _ in 0..DEPTH {
                bytes.extend_from_slice(close);
            }
        }
        let term = decode(bytes.clone()).unwrap();
        let again = term.clone();
        assert_eq!(term, again);
        assert!(term.to_string().len() > 2 * DEPTH);
        assert_eq!(encode(&term), bytes);
    }
}

#[test]
fn a_million_links_are_compared_printed_encoded_and_dropped() {
    const DEPTH: usize = 1_000_000;
    let nest = || (0..DEPTH).fold(Term::NIL, |term, _| Term::from((term,)));
    let chain = || (0..DEPTH).fold(Term::NIL, |tail, _| Term::List(List::cons(Term::atom("a"), tail)));
    for term in [nest(), chain()] {
        let bytes = encode(&term);
        let decoded = decode(bytes).unwrap();
        assert_eq!(term, decoded);
        assert_eq!(term.to_string().len(), decoded.to_string().len());
    }
}

#[test]
fn a_raw_term_keeps_its_atoms_in_a_table() {
    let term = Term::from((Term::atom("a"), Term::atom("b"), Term::atom("a")));
    let raw = RawTerm::from(&term);
    assert_eq!(raw.bytes()[..], [104, 3, 82, 0, 82, 1, 82, 0]);
    assert_eq!(raw.decode().unwrap(), term);
    let lost = RawTerm::from_parts(raw.bytes().clone(), Atoms::NONE);
    assert_eq!(lost.decode().unwrap_err().kind, DecodeErrorKind::NoSuchAtom(0));
}

#[test]
fn the_integers_of_a_fun_may_have_any_form() {
    let head = [
        131, 117, 0, 0, 0, 0, 103, 119, 1, b'n', 0, 0, 0, 1, 0, 0, 0, 0, 0, 119, 1, b'm',
    ];
    let fun = |integer: &[u8]| [&head, integer, integer].concat();
    let usual = decode(fun(&[97, 1])).unwrap();
    for form in [
        &[98, 0, 0, 0, 1][..],
        &[110, 1, 0, 1],
        &[110, 2, 0, 1, 0],
        &[111, 0, 0, 0, 1, 0, 1],
    ] {
        let bytes = fun(form);
        assert_eq!(decode(bytes.clone()).unwrap(), usual);
        let view = TermRef::parse(&bytes).unwrap();
        assert_eq!(view.to_term().unwrap(), usual);
    }
    let large = fun(&[110, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert!(decode(large.clone()).is_err() && TermRef::parse(&large).is_err());
}
