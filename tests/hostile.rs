//! Input that means harm: each is refused with its kind and place, or taken for what it is, and neither costs more memory than a
//! small multiple of its own size.

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use beamnode::etf::{
    self, DecodeError, DecodeErrorKind, Decoder, Encoder, Limit, Limits, RawTerm, TermRef, Type,
};
use beamnode::term::Term;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: what is allocated is counted for the whole program.
static ALONE: Mutex<()> = Mutex::new(());

/// What a byte of input may cost: a node of 16 bytes, twice over while a vector grows.
const FACTOR: usize = 64;
/// What any input may cost.
const CONSTANT: usize = 256 << 10;

/// Decodes bytes, and checks the cost. `also` is what the limits allow on top.
#[track_caller]
fn decode(bytes: &[u8], also: usize) -> Result<Term, DecodeError> {
    decode_with(Decoder::new(), bytes, also)
}

#[track_caller]
fn decode_with(decoder: Decoder, bytes: &[u8], also: usize) -> Result<Term, DecodeError> {
    let region = Region::new(MEMORY);
    let result = decoder.decode(bytes.to_vec());
    let cost = region.change().bytes_allocated;
    let allowed = FACTOR * bytes.len() + CONSTANT + also;
    assert!(
        cost <= allowed,
        "{} bytes of input cost {cost} bytes of memory",
        bytes.len()
    );
    // What builds nothing agrees, and costs nothing to speak of.
    if bytes.get(1) != Some(&80) {
        let region = Region::new(MEMORY);
        let view = TermRef::parse(bytes).map(|view| view.walk().count());
        // Not quite nothing: the program that runs the tests has its own to do meanwhile.
        assert!(region.change().bytes_allocated < CONSTANT, "a view allocates");
        match (&result, view) {
            (Err(error), Ok(_)) => {
                let later = matches!(
                    error.kind,
                    DecodeErrorKind::DuplicateKey
                        | DecodeErrorKind::DuplicateField
                        | DecodeErrorKind::Limit(_)
                );
                assert!(later, "{error}, but the view takes it");
            }
            (Ok(_), Err(error)) => panic!("decoded, but not viewed: {error}"),
            (Err(error), Err(other)) => assert_eq!(*error, other),
            (Ok(_), Ok(_)) => {}
        }
    }
    result
}

/// The kind and offset of the error that these bytes give.
#[track_caller]
fn refused(bytes: &[u8]) -> (DecodeErrorKind, usize) {
    let error = decode(bytes, 0).expect_err("refused");
    (error.kind, error.offset)
}

/// Everything that walks a term, on one that is deep.
fn walk(term: &Term) {
    let copy = term.clone();
    assert_eq!(*term, copy);
    assert!(term.compare(&copy).is_eq());
    let mut set = std::collections::HashSet::new();
    set.insert(copy);
    assert!(set.contains(term));
    assert!(!term.to_string().is_empty());
    assert!(!format!("{term:#}").is_empty());
    assert_eq!(etf::decode(etf::encode(term)).as_ref(), Ok(term));
    assert_eq!(
        etf::decode(Encoder::new().deterministic(true).encode(term)).as_ref(),
        Ok(term)
    );
    assert_eq!(RawTerm::from(term).decode().as_ref(), Ok(term));
    assert_eq!(RawTerm::from(term).inline().decode().as_ref(), Ok(term));
}

#[test]
fn nesting_a_million_deep() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    const DEPTH: usize = 1_000_000;
    let nested = |open: &[u8], inner: &[u8], close: &[u8]| {
        let mut bytes = vec![131];
        bytes.extend(open.iter().copied().cycle().take(open.len() * DEPTH));
        bytes.extend_from_slice(inner);
        bytes.extend(close.iter().copied().cycle().take(close.len() * DEPTH));
        bytes
    };
    for bytes in [
        nested(&[104, 1], &[106], &[]),
        nested(&[108, 0, 0, 0, 1], &[106], &[106]),
        nested(&[116, 0, 0, 0, 1, 97, 1], &[106], &[]),
        nested(&[116, 0, 0, 0, 1], &[97, 1], &[106]),
    ] {
        walk(&decode(&bytes, 0).unwrap());
        // And cut off: what is missing is missing at the end.
        let half = &bytes[..DEPTH];
        assert_eq!(refused(half), (DecodeErrorKind::Truncated, half.len()));
    }
}

#[test]
fn nesting_in_rust_a_million_deep() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let nest = (0..1_000_000).fold(Term::NIL, |term, _| Term::from((term,)));
    walk(&nest);
    let map = (0..1_000_000).fold(Term::NIL, |term, _| {
        Term::Map([(term, Term::from(1))].into_iter().collect())
    });
    drop(map);
}

#[test]
fn maps_in_keys_of_maps() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Two keys each, of which one is a map again: the order of each must be known before that of the next.
    const DEPTH: usize = 20_000;
    let mut bytes = vec![131];
    for _ in 0..DEPTH {
        bytes.extend([116, 0, 0, 0, 2]);
    }
    bytes.extend([97, 0]);
    for _ in 0..DEPTH {
        bytes.extend([97, 1, 116, 0, 0, 0, 2, 97, 5, 97, 6, 97, 7, 97, 8, 97, 3]);
    }
    let term = decode(&bytes, 0).unwrap();
    walk(&term);
}

#[test]
fn a_depth_that_is_set() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let decoder = Decoder::new().limits(Limits {
        depth: 3,
        ..Limits::default()
    });
    assert!(decode_with(decoder, &[131, 104, 1, 104, 1, 104, 1, 106], 0).is_ok());
    let error = decode_with(decoder, &[131, 104, 1, 104, 1, 104, 1, 104, 1, 106], 0).unwrap_err();
    assert_eq!(
        (error.kind, error.offset),
        (DecodeErrorKind::Limit(Limit::Depth), 7)
    );
}

#[test]
fn a_number_of_parts_that_is_set() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let decoder = Decoder::new().limits(Limits {
        parts: 10,
        ..Limits::default()
    });
    let mut bytes = vec![131, 104, 20];
    bytes.extend([106; 20]);
    let error = decode_with(decoder, &bytes, 0).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::Limit(Limit::Parts));
}

#[test]
fn a_tuple_of_all_elements_there_can_be() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        refused(&[131, 105, 255, 255, 255, 255]),
        (DecodeErrorKind::Truncated, 6)
    );
}

#[test]
fn lists_and_maps_of_all_elements_there_can_be() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        refused(&[131, 108, 255, 255, 255, 255, 106]),
        (DecodeErrorKind::Truncated, 7)
    );
    assert_eq!(
        refused(&[131, 116, 255, 255, 255, 255, 106]),
        (DecodeErrorKind::Truncated, 7)
    );
}

#[test]
fn list_heads_in_list_heads() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Each claims as many elements as there are bytes behind it.
    let mut bytes = vec![131];
    for _ in 0..10_000 {
        bytes.extend([108, 0, 0, 0x9c, 0x40]);
    }
    assert_eq!(refused(&bytes).0, DecodeErrorKind::Truncated);
    // Without elements they are their tails.
    let mut bytes = vec![131];
    for _ in 0..100_000 {
        bytes.extend([108, 0, 0, 0, 0]);
    }
    bytes.extend([97, 7]);
    assert_eq!(decode(&bytes, 0).unwrap(), Term::from(7));
    // And as tails they go on.
    let mut bytes = vec![131];
    for _ in 0..100_000 {
        bytes.extend([108, 0, 0, 0, 1, 97, 7]);
    }
    bytes.push(106);
    let list = decode(&bytes, 0).unwrap();
    assert_eq!(list.as_list().unwrap().iter().count(), 100_000);
    assert_eq!(etf::encode(&list).len(), 1 + 5 + 200_000 + 1);
}

#[test]
fn integers_of_four_gigabytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        refused(&[131, 111, 255, 255, 255, 255, 0, 1, 2, 3]),
        (DecodeErrorKind::Truncated, 10)
    );
}

#[test]
fn binaries_and_strings_of_more_than_there_is() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        refused(&[131, 109, 255, 255, 255, 255, 1]),
        (DecodeErrorKind::Truncated, 7)
    );
    assert_eq!(
        refused(&[131, 77, 255, 255, 255, 255, 1, 1]),
        (DecodeErrorKind::Truncated, 8)
    );
    assert_eq!(refused(&[131, 107, 255, 255, 1]), (DecodeErrorKind::Truncated, 5));
    assert_eq!(refused(&[131, 119, 9, b'a']), (DecodeErrorKind::Truncated, 4));
}

/// Zeros, compressed, that claim to be of this length.
fn zeros(length: usize, claimed: u32) -> Vec<u8> {
    let mut term = vec![109];
    term.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    term.extend(std::iter::repeat_n(0, length));
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut zlib, &term).unwrap();
    let mut bytes = vec![131, 80];
    bytes.extend_from_slice(&claimed.to_be_bytes());
    bytes.extend(zlib.finish().unwrap());
    bytes
}

#[test]
fn an_honest_zlib_bomb() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    const SIZE: usize = 64 << 20;
    let claimed = u32::try_from(SIZE + 5).unwrap();
    let bytes = zeros(SIZE, claimed);
    // Within the limit it costs what it inflates to, while the buffer grows.
    assert!(decode(&bytes, 3 * SIZE).is_ok());
    let decoder = Decoder::new().limits(Limits {
        inflated: 1 << 20,
        ..Limits::default()
    });
    let error = decode_with(decoder, &bytes, 0).unwrap_err();
    assert_eq!(
        (error.kind, error.offset),
        (DecodeErrorKind::Limit(Limit::Inflated), 1)
    );
}

#[test]
fn a_lying_zlib_bomb() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    const SIZE: usize = 64 << 20;
    let bytes = zeros(SIZE, 100);
    let error = decode(&bytes, 0).unwrap_err();
    assert_eq!(
        (error.kind, error.offset),
        (DecodeErrorKind::WrongInflatedLength(100), 2)
    );
    // Claims much, holds little.
    let bytes = zeros(100, 200 << 20);
    let error = decode(&bytes, 0).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::WrongInflatedLength(200 << 20));
    // Damaged, and cut short.
    let mut bytes = zeros(100, 105);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(
        decode(&bytes, 0).unwrap_err().kind,
        DecodeErrorKind::BadCompression
    );
    bytes.truncate(12);
    assert_eq!(decode(&bytes, 0).unwrap_err().kind, DecodeErrorKind::Truncated);
    // Compressed twice: legal only right after the version.
    assert_eq!(
        refused(&[131, 104, 1, 80, 0, 0, 0, 1, 1]),
        (DecodeErrorKind::UnknownTag(80), 3)
    );
}

#[test]
fn bad_utf8() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for text in [
        &[0xff][..],
        &[0xc3],                   // cut
        &[0xc0, 0x80],             // overlong
        &[0xed, 0xa0, 0x80],       // a surrogate
        &[0xf4, 0x90, 0x80, 0x80], // beyond the last code point
    ] {
        let mut bytes = vec![131, 104, 1, 119, u8::try_from(text.len()).unwrap()];
        bytes.extend_from_slice(text);
        assert_eq!(refused(&bytes), (DecodeErrorKind::AtomNotUtf8, 3));
    }
}

#[test]
fn atoms_that_are_too_long() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = vec![131, 118, 1, 0];
    bytes.extend([b'a'; 256]);
    assert_eq!(refused(&bytes), (DecodeErrorKind::AtomTooLong, 1));
    let mut bytes = vec![131, 118, 3, 252];
    bytes.extend("🙂".repeat(255).bytes());
    assert!(decode(&bytes, 0).is_ok());
}

#[test]
fn floats_that_are_not_finite() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut bytes = vec![131, 104, 1, 70];
        bytes.extend_from_slice(&value.to_be_bytes());
        assert_eq!(refused(&bytes), (DecodeErrorKind::BadFloat, 3));
    }
    for text in ["inf", "nan", "1e999", "one", ""] {
        let mut bytes = vec![131, 99];
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(33, 0);
        assert_eq!(refused(&bytes), (DecodeErrorKind::BadFloat, 1));
    }
}

#[test]
fn bits_past_the_end_of_a_bit_string() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A BEAM takes them for zeros, and so do we.
    let clean = decode(&[131, 77, 0, 0, 0, 1, 3, 0b1010_0000], 0).unwrap();
    let junk = decode(&[131, 77, 0, 0, 0, 1, 3, 0b1011_1111], 0).unwrap();
    assert_eq!(clean, junk);
    assert_eq!(etf::encode(&clean), etf::encode(&junk));
    // But there must be some, and no more than a byte has.
    assert_eq!(
        refused(&[131, 77, 0, 0, 0, 1, 0, 1]),
        (DecodeErrorKind::BadBits(0), 1)
    );
    assert_eq!(
        refused(&[131, 77, 0, 0, 0, 1, 9, 1]),
        (DecodeErrorKind::BadBits(9), 1)
    );
    assert_eq!(
        refused(&[131, 77, 0, 0, 0, 0, 3]),
        (DecodeErrorKind::BadBits(3), 1)
    );
}

#[test]
fn a_key_twice() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let twice = |one: &[u8], other: &[u8]| {
        let mut bytes = vec![131, 116, 0, 0, 0, 2];
        bytes.extend_from_slice(one);
        bytes.push(106);
        let at = bytes.len();
        bytes.extend_from_slice(other);
        bytes.push(106);
        (bytes, at)
    };
    let float = |value: f64| {
        let mut bytes = vec![70];
        bytes.extend_from_slice(&value.to_be_bytes());
        bytes
    };
    for (one, other) in [
        (&[97, 1][..], &[98, 0, 0, 0, 1][..]),
        (&[119, 1, b'a'], &[100, 0, 1, b'a']),
        (&[109, 0, 0, 0, 1, 7], &[77, 0, 0, 0, 1, 8, 7]),
        (&[106], &[107, 0, 0]),
        (&[107, 0, 2, 1, 2], &[108, 0, 0, 0, 2, 97, 1, 97, 2, 106]),
        (&[104, 1, 97, 1], &[105, 0, 0, 0, 1, 110, 1, 0, 1]),
        (
            &[116, 0, 0, 0, 2, 97, 1, 97, 2, 97, 3, 97, 4],
            &[116, 0, 0, 0, 2, 97, 3, 97, 4, 97, 1, 97, 2],
        ),
    ] {
        let (bytes, at) = twice(one, other);
        assert_eq!(refused(&bytes), (DecodeErrorKind::DuplicateKey, at), "{bytes:?}");
    }
    for (one, other) in [(vec![97, 1], float(1.0)), (float(0.0), float(-0.0))] {
        let (bytes, _) = twice(&one, &other);
        assert_eq!(decode(&bytes, 0).unwrap().as_map().unwrap().len(), 2);
    }
    // Among many, and far apart.
    let mut bytes = vec![131, 116, 0, 0, 0x27, 0x11];
    for key in 0..10_000_u32 {
        bytes.extend([98]);
        bytes.extend_from_slice(&key.to_be_bytes());
        bytes.push(106);
    }
    let at = bytes.len();
    bytes.extend([97, 5, 106]);
    assert_eq!(refused(&bytes), (DecodeErrorKind::DuplicateKey, at));
}

#[test]
fn of_several_keys_that_are_there_twice_the_first_is_named() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let map = |keys: &[&[u8]]| {
        let mut bytes = vec![131, 116, 0, 0, 0, keys.len() as u8];
        let mut at = Vec::new();
        for key in keys {
            at.push(bytes.len());
            bytes.extend_from_slice(key);
            bytes.push(106);
        }
        (bytes, at)
    };
    let (tuple, list) = ([104, 1, 97, 9], [108, 0, 0, 0, 1, 104, 0, 106]);
    for keys in [
        [&[97, 3][..], &[97, 1], &[97, 3], &[97, 1], &[97, 1]],
        [&tuple[..], &list, &tuple, &list, &list],
        [&list[..], &tuple, &list, &tuple, &tuple],
    ] {
        let (bytes, at) = map(&keys);
        assert_eq!(
            refused(&bytes),
            (DecodeErrorKind::DuplicateKey, at[2]),
            "{bytes:?}"
        );
    }
}

#[test]
fn what_stands_in_the_head_of_a_fun_is_named_where_it_is_wrong() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = [88, 119, 1, b'n', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    let head = [&[131, 112, 0, 0, 0, 0, 0][..], &[0; 16], &[0; 8]].concat();
    let (atom, integer) = ([119, 1, b'm'], [97, 1]);
    let parts: [&[u8]; 4] = [&atom, &integer, &integer, &pid];
    for (wrong, expected) in [Type::Atom, Type::Integer, Type::Integer, Type::Pid]
        .into_iter()
        .enumerate()
    {
        let mut bytes = head.clone();
        let mut at = 0;
        for (index, part) in parts.iter().enumerate() {
            if index == wrong {
                at = bytes.len();
                bytes.push(106);
            } else {
                bytes.extend_from_slice(part);
            }
        }
        let error = etf::decode(bytes).unwrap_err();
        assert_eq!(
            (error.kind, error.offset),
            (DecodeErrorKind::Expected(expected), at)
        );
    }
}

#[test]
fn a_field_twice() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = [
        131, 67, 0, 0, 0, 2, 0, 119, 1, b'm', 119, 1, b'r', 119, 1, b'f', 119, 1, b'f', 97, 1, 97, 2,
    ];
    assert_eq!(refused(&bytes), (DecodeErrorKind::DuplicateField, 16));
}

#[test]
fn trailing_bytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(refused(&[131, 97, 1, 0]), (DecodeErrorKind::TrailingBytes, 3));
    let (term, used) = Decoder::new().decode_prefix(&[131, 97, 1, 0][..]).unwrap();
    assert_eq!((term, used), (Term::from(1), 3));
    // Behind a compressed term, within what was compressed.
    let inflated = [b"\x6c\0\0\0\x64".as_slice(), &[97, 1].repeat(100), &[106, 0]].concat();
    let mut bytes = vec![131, 80];
    bytes.extend(u32::try_from(inflated.len()).unwrap().to_be_bytes());
    let mut zlib = flate2::write::ZlibEncoder::new(bytes, flate2::Compression::best());
    std::io::Write::write_all(&mut zlib, &inflated).unwrap();
    let bytes = zlib.finish().unwrap();
    let end = inflated.len() - 1;
    assert_eq!(refused(&bytes), (DecodeErrorKind::TrailingBytes, end));
}

#[test]
fn nothing_and_next_to_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(refused(&[]), (DecodeErrorKind::Truncated, 0));
    assert_eq!(refused(&[131]), (DecodeErrorKind::Truncated, 1));
    assert_eq!(refused(&[130, 106]), (DecodeErrorKind::NoVersion, 0));
    assert_eq!(refused(&[131, 0]), (DecodeErrorKind::UnknownTag(0), 1));
}

#[test]
fn every_prefix_of_a_term_is_refused_or_taken_whole() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = "{a,[1,-300,1.5|b],<<1,2,3:3>>,#{k => \"str\",[] => {}},fun m:f/2,<a@b.1.2>,#Ref<a@b.3.2.1>,#Port<a@b.5>}";
    let bytes = etf::encode(&text.parse().unwrap());
    for end in 0..bytes.len() {
        assert_eq!(refused(&bytes[..end]), (DecodeErrorKind::Truncated, end));
    }
    assert!(decode(&bytes, 0).is_ok());
}
