//! Terms that real nodes of OTP 23, 25, 27 and 29 wrote (`fixtures/terms`): read, and written again byte for byte, with the same text
//! and in the same order.

use beamnode::etf::{self, Encoder, MinorVersion, RawTerm, TermRef};
use beamnode::term::Term;
use bytes::Bytes;
use std::cmp::Ordering;
use std::path::Path;

const RELEASES: [u32; 4] = [23, 25, 27, 29];

/// What a release wrote.
struct Fixture {
    release: u32,
    terms: Vec<Written>,
    /// How it orders the terms, and which neighbours are `==` and `=:=`.
    order: Vec<usize>,
    equal: Vec<(bool, bool)>,
    /// Bytes that it read, and what it wrote then.
    given: Vec<(String, Bytes, Option<Bytes>)>,
}

/// A term that it wrote.
struct Written {
    name: String,
    encoded: Vec<(String, Bytes)>,
    /// As `~w`, `~0p` and `~p` print it.
    plain: String,
    line: String,
    pretty: String,
}

fn parts<const N: usize>(term: &Term) -> [Term; N] {
    term.as_tuple().and_then(|tuple| tuple.array()).expect("a tuple")
}

fn list(term: &Term) -> Vec<Term> {
    term.as_list().expect("a list").iter().collect()
}

fn text(term: &Term) -> String {
    term.as_utf8().expect("text").to_owned()
}

impl Fixture {
    fn read(release: u32) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/terms/{release}.etf"));
        let all = etf::decode(std::fs::read(path).unwrap()).unwrap();
        let get = |key| all.as_map().and_then(|map| map.get(&Term::atom(key))).unwrap();
        assert_eq!(get("release"), Term::from(release));
        let terms = list(&get("terms")).into_iter().map(|term| {
            let [name, encoded, plain, line, pretty] = parts(&term);
            let encoded = list(&encoded).into_iter().map(|pair| {
                let [options, bytes] = parts(&pair);
                (options.to_string(), bytes.as_binary().unwrap().clone())
            });
            Written {
                name: name.to_string(),
                encoded: encoded.collect(),
                plain: text(&plain),
                line: text(&line),
                pretty: text(&pretty),
            }
        });
        let [order, equal] = parts(&get("order"));
        let given = list(&get("given")).into_iter().map(|given| {
            let [name, bytes, again] = parts(&given);
            (
                name.to_string(),
                bytes.as_binary().unwrap().clone(),
                again.as_binary().cloned(),
            )
        });
        Self {
            release,
            terms: terms.collect(),
            order: list(&order)
                .iter()
                .map(|index| usize::try_from(index).unwrap())
                .collect(),
            equal: list(&equal)
                .iter()
                .map(|pair| {
                    let [equal, exact] = parts(pair);
                    (equal.as_bool().unwrap(), exact.as_bool().unwrap())
                })
                .collect(),
            given: given.collect(),
        }
    }

    /// An encoder that does what `term_to_binary/2` of the release does with these options.
    fn encoder(&self, options: &str) -> Encoder {
        let own = if self.release < 26 {
            MinorVersion::V1
        } else {
            MinorVersion::V2
        };
        let encoder = Encoder::new().minor_version(own);
        match options {
            "[]" | "[local]" => encoder,
            "[{minor_version,0}]" => encoder.minor_version(MinorVersion::V0),
            "[{minor_version,1}]" => encoder.minor_version(MinorVersion::V1),
            "[{minor_version,2}]" => encoder.minor_version(MinorVersion::V2),
            "[compressed]" => encoder.compressed(6),
            "[{compressed,1}]" => encoder.compressed(1),
            "[{compressed,9}]" => encoder.compressed(9),
            "[deterministic]" => encoder.deterministic(true),
            other => panic!("options {other}"),
        }
    }
}

/// The tag of compressed terms.
const COMPRESSED: u8 = 80;

#[test]
fn what_was_written_is_read_and_written_again_byte_for_byte() {
    for fixture in RELEASES.map(Fixture::read) {
        for written in &fixture.terms {
            let plain = &written.encoded[0].1;
            let term = etf::decode(plain.clone()).unwrap();
            for (options, bytes) in &written.encoded {
                let what = format!(
                    "OTP {}: {} {options} {}",
                    fixture.release, written.name, written.line
                );
                let again = etf::decode(bytes.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(again, term, "{what}");
                let encoder = fixture.encoder(options);
                let ours = encoder.encode(&again);
                if options.contains("compressed") {
                    // Compressed by another zlib, whose data differ. Whether it pays, and what is inside, is the same; unless it pays by a few
                    // bytes only.
                    let close = plain.len().abs_diff(ours.len().min(bytes.len())) < 16;
                    assert!(
                        close || ours[..6] == bytes[..6],
                        "{what}\nours   {ours:02x?}\ntheirs {bytes:02x?}"
                    );
                    assert!(ours[1] == COMPRESSED || ours == plain[..], "{what}");
                    assert_eq!(etf::decode(ours).unwrap(), term, "{what}");
                } else if options == "[local]" {
                    // Only its own node can read that with its key; as what it is it is written plainly.
                    assert_eq!(ours, plain[..], "{what}");
                } else {
                    assert!(ours == *bytes, "{what}\nours   {ours:02x?}\ntheirs {bytes:02x?}");
                }
            }
            // The view and a message of the distribution say the same.
            assert_eq!(TermRef::parse(plain).unwrap().to_term().as_ref(), Ok(&term));
            assert_eq!(RawTerm::new(&term).decode().as_ref(), Ok(&term));
        }
    }
}

#[test]
fn what_it_reads_in_old_forms_we_read_and_write_as_it_does() {
    for fixture in RELEASES.map(Fixture::read) {
        let encoder = fixture.encoder("[]");
        for (name, bytes, again) in &fixture.given {
            let what = format!("OTP {}: {name} {bytes:02x?}", fixture.release);
            let ours = etf::Decoder::new().decode_prefix(bytes.clone());
            match (ours, again) {
                // binary_to_term/1 takes no notice of bytes after the term, as decode_prefix.
                // OTP 27 and later put a pid of their own into a fun.
                (Ok(_), Some(_)) if name == "fun_of_size_0" && fixture.release >= 27 => {}
                (Ok((term, _)), Some(again)) => {
                    let ours = encoder.encode(&term);
                    assert_eq!(etf::decode(again.clone()).as_ref(), Ok(&term), "{what}");
                    // A port keeps the form it came in, the only one that OTP 23 reads; others write all in the form they have.
                    let same_bytes =
                        ours == *again || matches!(name.as_str(), "port" | "new_port" | "v4_port");
                    assert!(same_bytes, "{what}\nours   {ours:02x?}\ntheirs {again:02x?}");
                }
                (Err(_), None) => {}
                // No bits of no bytes: read, but never written.
                (Err(_), Some(_)) if bytes[1..] == [77, 0, 0, 0, 0, 0] => {}
                (ours, again) => {
                    let known = known_to_be_taken(fixture.release, name);
                    assert!(known, "{what}: {ours:?}, and {again:02x?}");
                }
            }
        }
    }
}

/// What we read and a release does not.
fn known_to_be_taken(release: u32, name: &str) -> bool {
    match name {
        // Came with OTP 24.
        "v4_port" => release < 24,
        // Not read since OTP 23, but found in older files.
        "old_fun" => true,
        _ => false,
    }
}

/// What a node's own identifiers are printed with: its number there, its name here.
fn anonymous(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, after) = rest.split_at(start + 1);
        out.push_str(before);
        rest = after;
        let end = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '@'))
            .unwrap_or(0);
        let numbers = after
            .get(end..)
            .and_then(|after| after.split('>').next())
            .unwrap_or("");
        if end > 0 && numbers.starts_with('.') && numbers.bytes().all(|c| c == b'.' || c.is_ascii_digit()) {
            out.push('N');
            rest = after.get(end..).unwrap_or("");
        }
    }
    out + rest
}

#[test]
fn terms_print_as_they_printed_there() {
    for fixture in RELEASES.map(Fixture::read) {
        for written in &fixture.terms {
            let term = etf::decode(written.encoded[0].1.clone()).unwrap();
            for (ours, theirs) in [
                (term.to_string(), &written.plain),
                (format!("{term:#}"), &written.line),
            ] {
                let (ours, theirs) = (anonymous(&ours), anonymous(theirs));
                if ours != theirs && !printed_otherwise(fixture.release, &written.name, &theirs) {
                    panic!(
                        "OTP {}: {}\nours   {ours}\ntheirs {theirs}",
                        fixture.release, written.name
                    );
                }
            }
        }
    }
}

/// Whether a release prints a term in another way than OTP 27 and 29, and so than we.
fn printed_otherwise(release: u32, name: &str, theirs: &str) -> bool {
    match name {
        // A BEAM keeps maps of more than 32 keys by hash, and prints them in another order than it sends them.
        "large_map" => true,
        "negative_zero" => release < 25,
        // A BEAM prints the bytes of an export's names, as if they were latin1.
        "export" => theirs.contains('â'),
        // Reserved since OTP 27.
        "atom" => release < 27 && matches!(theirs, "maybe" | "else"),
        // OTP 23 writes floats in full where that is not longer.
        "float" => release < 25 && theirs.len() > 15,
        _ => false,
    }
}

#[test]
fn what_was_printed_is_read_back() {
    let mut read = 0;
    for fixture in RELEASES.map(Fixture::read) {
        for written in &fixture.terms {
            // Text does not tell all of these: the creation of an identifier, the code of a fun.
            let exact = !matches!(
                written.name.as_str(),
                "own_pid" | "own_reference" | "own_port" | "alias" | "request"
            );
            // Nor the name of another node, for which a node prints a number of its own.
            if written.name.ends_with("_fun")
                || matches!(written.name.as_str(), "pid" | "reference" | "port" | "record")
            {
                continue;
            }
            let term = etf::decode(written.encoded[0].1.clone()).unwrap();
            for text in [&written.plain, &written.line, &written.pretty] {
                let back: Term = text
                    .parse()
                    .unwrap_or_else(|error| panic!("{}: {error}: {text}", written.name));
                if printed_otherwise(fixture.release, &written.name, text) && !written.name.contains("map") {
                    continue;
                }
                if exact {
                    assert_eq!(back, term, "OTP {}: {text}", fixture.release);
                } else {
                    assert_eq!(
                        anonymous(&back.to_string()),
                        anonymous(&written.plain),
                        "OTP {}",
                        fixture.release
                    );
                }
                read += 1;
            }
        }
    }
    assert!(read > 1000, "{read}");
}

#[test]
fn terms_are_in_the_order_they_have_there() {
    for fixture in RELEASES.map(Fixture::read) {
        let terms: Vec<Term> = fixture
            .terms
            .iter()
            .map(|written| etf::decode(written.encoded[0].1.clone()).unwrap())
            .collect();
        for (pair, (equal, exact)) in fixture.order.windows(2).zip(&fixture.equal) {
            let (a, b) = (&terms[pair[0]], &terms[pair[1]]);
            let what = format!("OTP {}: {a:#} and {b:#}", fixture.release);
            // Equal ones stand in the order they were given in.
            assert_ne!(a.compare(b), Ordering::Greater, "{what}");
            assert_eq!(a.equals(b), *equal, "{what}");
            // Before OTP 27 the two zeros were one.
            let zeros = fixture.release < 27 && [a, b].iter().all(|term| term.as_float() == Some(0.0));
            assert!(zeros || (a == b) == *exact, "{what}");
        }
        let mut sorted: Vec<usize> = (0..terms.len()).collect();
        sorted.sort_by(|a, b| terms[*a].compare(&terms[*b]));
        assert_eq!(sorted, fixture.order, "OTP {}", fixture.release);
    }
}
