//! Real nodes judge our terms: thousands of generated terms go to a live node of each release, which says what it makes of
//! their bytes, their order, their equality and their text.
//!
//! `BEAMNODE_TERMS` is how many terms each release gets, `BEAMNODE_SEED` repeats a run. Releases are those that the
//! test bed can run.

mod generate;
mod judge;

use beamnode::etf::{self, Encoder, MinorVersion};
use beamnode::term;
use beamnode::term::Term;
use generate::{Profile, Random};
use judge::Judge;
use std::process::ExitCode;

/// How many terms a packet holds.
const BATCH: usize = 100;

fn main() -> ExitCode {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let count = number("BEAMNODE_TERMS").unwrap_or(2_000);
    let clock = || {
        std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |time| time.as_nanos() as u64)
    };
    let seed = number("BEAMNODE_SEED").unwrap_or_else(clock);
    println!("{count} terms a release, BEAMNODE_SEED={seed}");
    let judges = judge::available();
    let covered: Vec<String> = judges.iter().map(|judge| judge.release.to_string()).collect();
    let (mut passed, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        let runs: Vec<_> = judges
            .into_iter()
            .map(|mut judge| {
                scope.spawn(move || {
                    let differences = run(&mut judge, seed, count);
                    (judge.release, differences)
                })
            })
            .collect();
        for run in runs {
            match run.join() {
                Ok((release, 0)) => {
                    println!("OTP {release}: no difference");
                    passed += 1;
                }
                Ok((release, differences)) => {
                    println!("OTP {release}: {differences} differences");
                    failed += 1;
                }
                Err(_) => failed += 1,
            }
        }
    });
    println!("releases covered: {}", covered.join(", "));
    // As for the test bed, which says what a full run asks for.
    let required = std::env::var("BED_REQUIRE").unwrap_or_default();
    for release in required.split([',', ' ']).filter(|release| !release.is_empty()) {
        if !covered.iter().any(|covered| covered == release) {
            println!("OTP {release}: NOT COVERED; `tests/bed/images {release}` makes it");
            failed += 1;
        }
    }
    let ok = failed == 0 && passed > 0;
    println!(
        "test result: {}. {passed} passed; {failed} failed",
        if ok { "ok" } else { "FAILED" }
    );
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Differences, counted and the first of them shown.
struct Report {
    release: u32,
    differences: u32,
}

impl Report {
    fn differ(&mut self, what: &str, term: &Term, ours: &str, theirs: &str) {
        self.differences += 1;
        if self.differences <= 10 {
            // Both from a little before they part.
            let same = ours
                .bytes()
                .zip(theirs.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            let cut = |text: &str| {
                let bytes: Vec<u8> = text.bytes().skip(same.saturating_sub(40)).take(120).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            let term: String = format!("{term:#}").chars().take(200).collect();
            println!(
                "OTP {}: {what} of {term}\n  ours   {}\n  theirs {}",
                self.release,
                cut(ours),
                cut(theirs)
            );
        }
    }

    fn check(&mut self, what: &str, term: &Term, ours: &[u8], theirs: &[u8]) {
        if ours != theirs {
            self.differ(what, term, &format!("{ours:02x?}"), &format!("{theirs:02x?}"));
        }
    }
}

fn run(judge: &mut Judge, seed: u64, count: u64) -> u32 {
    let release = judge.release;
    let profile = Profile { release };
    let mut random = Random::new(seed ^ u64::from(release));
    let mut report = Report {
        release,
        differences: 0,
    };
    let mut left = count;
    while left > 0 {
        let size = (BATCH as u64).min(left) as usize;
        left -= size as u64;
        let terms: Vec<Term> = (0..size).map(|_| profile.term(&mut random, 60)).collect();
        each(judge, &mut report, &terms);
        sort(judge, &mut report, &terms);
        if report.differences > 100 {
            break;
        }
    }
    report.differences
}

/// An encoder that does what `term_to_binary/1` of this release does.
fn encoder(release: u32) -> Encoder {
    let version = if release < 26 {
        MinorVersion::V1
    } else {
        MinorVersion::V2
    };
    Encoder::new().minor_version(version)
}

/// One by one: bytes, texts, and that each is taken back equal.
fn each(judge: &mut Judge, report: &mut Report, terms: &[Term]) {
    let encoder = encoder(report.release);
    let encoded: Vec<Term> = terms
        .iter()
        .map(|term| generate::bytes(encoder.encode(term)))
        .collect();
    let answer = judge.ask(&term!({each, (encoded)}));
    let answers = answer.as_list().unwrap().iter();
    // Pairs of encodings that must be the same term there, and the terms that they are.
    let (mut back, mut taken) = (Vec::new(), Vec::new());
    for (term, answer) in terms.iter().zip(answers) {
        let Some([theirs, minor, sorted, compressed, plain, pretty]) =
            answer.as_tuple().and_then(|tuple| tuple.array())
        else {
            report.differ(
                "refusal",
                term,
                &format!("{:02x?}", etf::encode(term)),
                &answer.to_string(),
            );
            continue;
        };
        let theirs = theirs.as_binary().unwrap().clone();
        let again = match etf::decode(theirs.clone()) {
            Ok(again) => again,
            Err(error) => {
                report.differ("decoding", term, &error.to_string(), &format!("{theirs:02x?}"));
                continue;
            }
        };
        if again != *term {
            report.differ("equality", term, &format!("{term:#}"), &format!("{again:#}"));
        }
        back.push(Term::from((
            generate::bytes(encoder.encode(&again)),
            generate::bytes(encoder.encode(term)),
        )));
        taken.extend(std::iter::repeat_n(term.clone(), 4));
        report.check("bytes", term, &encoder.encode(&again), &theirs);
        for (version, theirs) in [MinorVersion::V0, MinorVersion::V1, MinorVersion::V2]
            .into_iter()
            .zip(minor.as_list().unwrap().iter())
        {
            let theirs = theirs.as_binary().unwrap();
            let ours = Encoder::new().minor_version(version).encode(&again);
            report.check(&format!("{version:?}"), term, &ours, theirs);
        }
        let sorted = sorted.as_binary().unwrap();
        if !sorted.is_empty() && !map_in_key(term) {
            let ours = encoder.deterministic(true).encode(&again);
            report.check("deterministic", term, &ours, sorted);
        }
        for (level, theirs) in [1, 6, 9].into_iter().zip(compressed.as_list().unwrap().iter()) {
            let theirs = theirs.as_binary().unwrap();
            let ours = encoder.compressed(level).encode(&again);
            if etf::decode(theirs.clone()).as_ref() != Ok(&again) {
                report.differ("decompression", term, "", &format!("{theirs:02x?}"));
            }
            // By another zlib, whose data differ, and so may whether it pays; what is inside must not.
            let plain = encoder.encode(&again);
            back.push(Term::from((generate::bytes(ours), generate::bytes(plain))));
        }
        for (what, ours, theirs) in [
            ("~w", again.to_string(), plain),
            ("~0p", format!("{again:#}"), pretty),
        ] {
            let theirs = theirs.as_utf8().unwrap();
            if readable(term) && theirs.parse::<Term>().ok().as_ref() != Some(term) {
                let read = theirs
                    .parse::<Term>()
                    .map_or_else(|error| error.show(theirs), |term| term.to_string());
                report.differ(&format!("reading {what}"), term, &read, theirs);
            }
            let (ours, theirs) = (anonymous(&ours), anonymous(theirs));
            if ours != theirs && !printed_otherwise(report.release, term, &ours) {
                report.differ(what, term, &ours, &theirs);
            }
        }
    }
    texts(judge, report, terms);
    let answer = judge.ask(&term!({same, (back)}));
    for (index, same) in answer.as_list().unwrap().iter().enumerate() {
        if same.as_bool() != Some(true) {
            report.differ("taking back", &taken[index], "", "");
        }
    }
}

/// Our texts, read by Erlang's own parser.
fn texts(judge: &mut Judge, report: &mut Report, terms: &[Term]) {
    let terms: Vec<&Term> = terms.iter().filter(|term| readable(term)).collect();
    let texts = |print: &dyn Fn(&Term) -> String| -> Vec<Term> {
        terms.iter().map(|term| Term::from(print(term))).collect()
    };
    for texts in [
        texts(&|term| term.to_string()),
        texts(&|term| format!("{term:#}")),
    ] {
        let answer = judge.ask(&term!({parse, (texts.clone())}));
        for ((term, text), read) in terms.iter().zip(&texts).zip(answer.as_list().unwrap().iter()) {
            let read = read.as_binary().and_then(|bytes| etf::decode(bytes.clone()).ok());
            if read.as_ref() != Some(term) {
                let read = read.map_or_else(|| "error".to_owned(), |term| term.to_string());
                report.differ("their reading", term, text.as_utf8().unwrap(), &read);
            }
        }
    }
}

/// Whether all of a term is in its text: not the creation of an identifier, the code of a fun, whether a record is exported.
fn readable(term: &Term) -> bool {
    let mut readable = true;
    visit(term, &mut |term| {
        readable &= match term {
            Term::Pid(_) | Term::Port(_) | Term::Reference(_) | Term::Record(_) => false,
            Term::Fun(fun) => fun.as_export().is_some(),
            _ => true,
        }
    });
    readable
}

/// All together: their order and which of them are equal, in both strengths.
fn sort(judge: &mut Judge, report: &mut Report, terms: &[Term]) {
    let encoder = encoder(report.release);
    let encoded: Vec<Term> = terms
        .iter()
        .map(|term| generate::bytes(encoder.encode(term)))
        .collect();
    let answer = judge.ask(&term!({sort, (encoded)}));
    let [order, neighbours] = answer.as_tuple().and_then(|tuple| tuple.array()).unwrap();
    let order: Vec<usize> = order
        .as_list()
        .unwrap()
        .iter()
        .map(|index| usize::try_from(&index).unwrap())
        .collect();
    for (pair, theirs) in order.windows(2).zip(neighbours.as_list().unwrap().iter()) {
        let (a, b) = (&terms[pair[0]], &terms[pair[1]]);
        let ours = term!({(a.equals(b)), (a == b)});
        if ours != theirs || a.compare(b).is_gt() {
            report.differ(
                "order",
                &term!([(a), (b)]),
                &format!("{:?} {ours}", a.compare(b)),
                &theirs.to_string(),
            );
        }
    }
}

/// Whether a map is a key of a map, or part of one: OTP 26 and later then sort it by the order in which the node came to know
/// the atoms that are its keys.
fn map_in_key(term: &Term) -> bool {
    let mut found = false;
    visit(term, &mut |term| {
        if let Term::Map(map) = term {
            for (key, _) in map {
                visit(&key, &mut |term| {
                    found |= matches!(term, Term::Map(map) if map.len() > 1)
                });
            }
        }
    });
    found
}

/// Calls for a term and every term within it.
fn visit(term: &Term, see: &mut dyn FnMut(&Term)) {
    see(term);
    match term {
        Term::Map(map) => map.iter().for_each(|(key, value)| {
            visit(&key, see);
            visit(&value, see);
        }),
        Term::Tuple(tuple) => tuple.iter().for_each(|element| visit(&element, see)),
        Term::Fun(fun) => fun.free().for_each(|element| visit(&element, see)),
        Term::Record(record) => record.iter().for_each(|(_, value)| visit(&value, see)),
        Term::List(list) => {
            list.iter().for_each(|element| visit(&element, see));
            list.improper_tail().iter().for_each(|tail| visit(tail, see));
        }
        _ => {}
    }
}

/// Whether a map is so large that a BEAM keeps it by hash, and then prints it in another order than it sends it.
fn large_map(term: &Term) -> bool {
    let mut found = false;
    visit(term, &mut |term| {
        found |= matches!(term, Term::Map(map) if map.len() > 32)
    });
    found
}

/// Whether a release is known to print a term in another way than OTP 27 and we do.
fn printed_otherwise(release: u32, term: &Term, ours: &str) -> bool {
    // Words that were not reserved before OTP 27.
    let reserved = ours.contains("'maybe'") || ours.contains("'else'");
    // OTP 23 writes floats of 2⁵³ and more in full if that is not longer, and rounds the last digit up where both are as close.
    let large = ours
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .any(|part| part.len() > 16)
        || ours
            .as_bytes()
            .windows(3)
            .any(|w| w[0].is_ascii_digit() && w[1] == b'e' && w[2].is_ascii_digit());
    large_map(term) || (release < 27 && reserved) || (release < 25 && large)
}

/// Takes out what names a node: its number there, its name here.
fn anonymous(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(start) = rest.find('<') {
        let (before, after) = rest.split_at(start + 1);
        out.push_str(before);
        let name = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '@'))
            .unwrap_or(0);
        let (node, tail) = after.split_at(name);
        let parts = tail.split('>').next().unwrap_or("");
        if tail.starts_with('.') && parts.bytes().all(|c| c == b'.' || c.is_ascii_digit()) && !node.is_empty()
        {
            out.push('N');
            rest = tail;
        } else {
            rest = after;
        }
    }
    out + rest
}
