//! The codec against others, on the same files, in one run.
//!
//!     cargo run --release --manifest-path benches/codec/Cargo.toml [-- ROUNDS [FILE…]]
//!
//! Everybody takes turns of a few milliseconds in an order that is shuffled in each round, so that whatever else the machine does falls on all;
//! the table has medians. A decode includes dropping what it made. The BEAM is OTP 29 on one scheduler, where `tests/bed/images` has made
//! it; without it the table lacks that column. The others are the Rust libraries; one that does not give back the term that it
//! was given, on some file, is marked there and does not count.
//!
//! With `--once OPERATION FILE` (decode, encode, check, walk) it does that once, for
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*measured*'`.
//!
//! `walk` goes over all parts of a view of bytes that were checked before; `check` is that.

mod beam;
mod files;

use beam::Beam;
use beamnode::etf::{self, TermRef};
use beamnode::term::Term;
use files::File;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};
use files::{Entry, Row};

/// How long a turn takes.
const TURN: Duration = Duration::from_millis(3);
const ROUNDS: usize = 21;
/// Who decodes and encodes, ours first.
const WHO: [&str; 5] = ["ours", "eetf", "erltf", "erlang-term", "OTP 29"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [once, operation, file] = &arguments[..]
        && once == "--once"
    {
        return files::once(operation, file);
    }
    // The others recurse.
    let run = std::thread::Builder::new()
        .stack_size(1 << 30)
        .spawn(run)
        .expect("a thread");
    run.join().expect("no panic");
}

fn run() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(ROUNDS);
    let wanted: Vec<String> = arguments.collect();
    let mut files = files::all();
    files.retain(|file| wanted.is_empty() || wanted.iter().any(|name| file.name.contains(name.as_str())));
    let prepared: Vec<Prepared> = files.iter().map(Prepared::new).collect();
    let mut beam = Beam::start("29");
    let mut turns = Vec::new();
    for file in &prepared {
        if let Some(beam) = &mut beam {
            beam.file(file.name, &file.bytes);
        }
        turns.extend(file.turns(beam.is_some()));
    }
    // How often each can be done in a turn.
    for turn in &mut turns {
        while turn.times < 1 << 24
            && turn.take(&mut beam) * f64::from(turn.times) < TURN.as_nanos() as f64 / 1.5
        {
            turn.times *= 2;
        }
    }
    for _ in 0..rounds {
        shuffle(&mut turns);
        for turn in &mut turns {
            let time = turn.take(&mut beam);
            turn.results.push(time);
        }
    }
    report(&prepared, &turns);
}

/// A file as each of those who take part holds it.
struct Prepared {
    name: &'static str,
    bytes: Vec<u8>,
    shared: bytes::Bytes,
    ours: Term,
    eetf: Option<eetf::Term>,
    erltf: Option<erltf::OwnedTerm>,
    erlang_term: Option<erlang_term::RawTerm>,
    /// By their place in `WHO`, those who do not give back what they were given.
    wrong: Vec<usize>,
}

impl Prepared {
    fn new(file: &File) -> Self {
        let bytes = etf::encode(&file.term);
        let shared = bytes::Bytes::from(bytes.clone());
        let eetf = eetf::Term::decode(&bytes[..]).ok();
        let erltf = erltf::decode(&bytes).ok();
        let erlang_term = erlang_term::RawTerm::from_bytes(&bytes).ok();
        let again = [
            Some(etf::encode(&etf::decode(shared.clone()).expect("what we wrote"))),
            eetf.as_ref().and_then(|term| {
                let mut out = Vec::new();
                term.encode(&mut out).ok().map(|()| out)
            }),
            erltf.as_ref().and_then(|term| erltf::encode(term).ok()),
            erlang_term.clone().map(|term| term.to_bytes()),
        ];
        let right = |bytes: &Option<Vec<u8>>| {
            bytes
                .as_ref()
                .is_some_and(|bytes| etf::decode(bytes.clone()).is_ok_and(|term| term == file.term))
        };
        let wrong = again
            .iter()
            .enumerate()
            .filter(|(_, bytes)| !right(bytes))
            .map(|(who, _)| who)
            .collect();
        let ours = etf::decode(shared.clone()).expect("what we wrote");
        Self {
            name: file.name,
            ours,
            bytes,
            shared,
            eetf,
            erltf,
            erlang_term,
            wrong,
        }
    }

    fn turns(&self, beam: bool) -> Vec<Turn<'_>> {
        let mut turns = vec![
            self.turn("decode", 0, |file| {
                drop(black_box(etf::decode(file.shared.clone()).expect("a term")))
            }),
            self.turn("encode", 0, |file| drop(black_box(etf::encode(&file.ours)))),
            self.turn("check", 0, |file| {
                black_box(TermRef::parse(&file.bytes).expect("a term"));
            }),
        ];
        let view = TermRef::parse(&self.bytes).expect("a term");
        turns.push(self.turn("walk", 0, move |_| files::walk(black_box(view))));
        if self.eetf.is_some() {
            turns.push(self.turn("decode", 1, |file| {
                drop(black_box(eetf::Term::decode(&file.bytes[..])))
            }));
            turns.push(self.turn("encode", 1, |file| {
                let mut out = Vec::new();
                let _ = file.eetf.as_ref().map(|term| term.encode(&mut out));
                drop(black_box(out));
            }));
        }
        if self.erltf.is_some() {
            turns.push(self.turn("decode", 2, |file| drop(black_box(erltf::decode(&file.bytes)))));
            turns.push(self.turn("encode", 2, |file| {
                drop(black_box(file.erltf.as_ref().map(erltf::encode)))
            }));
        }
        if self.erlang_term.is_some() {
            turns.push(self.turn("decode", 3, |file| {
                drop(black_box(erlang_term::RawTerm::from_bytes(&file.bytes)));
            }));
        }
        if let Some(term) = &self.erlang_term {
            // It takes the term that it encodes; the copy is not counted.
            let bench = |times: u32| {
                let copies: Vec<_> = (0..times.min(64)).map(|_| term.clone()).collect();
                let count = copies.len() as f64;
                let start = Instant::now();
                for copy in copies {
                    drop(black_box(copy.to_bytes()));
                }
                start.elapsed().as_nanos() as f64 / count
            };
            turns.push(Turn::here(self, "encode", 3, Box::new(bench)));
        }
        if beam {
            turns.push(Turn::beam(self, "decode"));
            turns.push(Turn::beam(self, "encode"));
        }
        turns.extend(self.serde());
        turns
    }

    /// Something done with the file that is worth timing.
    fn turn<'a>(&'a self, operation: &'static str, who: usize, once: impl Fn(&Self) + 'a) -> Turn<'a> {
        let bench = move |times: u32| {
            let start = Instant::now();
            for _ in 0..times {
                once(self);
            }
            start.elapsed().as_nanos() as f64 / f64::from(times)
        };
        Turn::here(self, operation, who, Box::new(bench))
    }

    /// Straight into and from types of Rust, where there are some for the file.
    fn serde(&self) -> Vec<Turn<'_>> {
        macro_rules! both {
            ($type:ty) => {{
                let value: $type = etf::from_bytes(&self.bytes).expect("the type");
                let to = move |times: u32| {
                    let start = Instant::now();
                    for _ in 0..times {
                        drop(black_box(etf::to_bytes(&value).expect("a term")));
                    }
                    start.elapsed().as_nanos() as f64 / f64::from(times)
                };
                vec![
                    self.turn("from bytes", 0, |file| {
                        drop(black_box(
                            etf::from_bytes::<$type>(&file.bytes).expect("the type"),
                        ));
                    }),
                    Turn::here(self, "to bytes", 0, Box::new(to)),
                ]
            }};
        }
        match self.name {
            "integers" => both!(Vec<i128>),
            "document" => both!(Vec<Entry<'_>>),
            "rows" => both!(Vec<Row<'_>>),
            "unicode charlists" => both!(Vec<Vec<u32>>),
            _ => Vec::new(),
        }
    }
}

/// One thing that one of them does with one file.
struct Turn<'a> {
    file: &'static str,
    operation: &'static str,
    who: usize,
    times: u32,
    results: Vec<f64>,
    /// Nanoseconds for one, of so many; none for what the BEAM does.
    bench: Option<Box<dyn FnMut(u32) -> f64 + 'a>>,
}

impl<'a> Turn<'a> {
    fn here(
        file: &'a Prepared,
        operation: &'static str,
        who: usize,
        bench: Box<dyn FnMut(u32) -> f64 + 'a>,
    ) -> Self {
        Self {
            file: file.name,
            operation,
            who,
            times: 1,
            results: Vec::new(),
            bench: Some(bench),
        }
    }

    fn beam(file: &'a Prepared, operation: &'static str) -> Self {
        Self {
            file: file.name,
            operation,
            who: 4,
            times: 1,
            results: Vec::new(),
            bench: None,
        }
    }

    fn take(&mut self, beam: &mut Option<Beam>) -> f64 {
        match (&mut self.bench, beam) {
            (Some(bench), _) => bench(self.times),
            (None, Some(beam)) => beam.run(self.operation, self.file, self.times) / f64::from(self.times),
            (None, None) => f64::NAN,
        }
    }

    fn median(&self) -> f64 {
        let mut results = self.results.clone();
        results.sort_by(f64::total_cmp);
        results.get(results.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn shuffle<T>(all: &mut [T]) {
    use rand::RngExt as _;
    for last in (1..all.len()).rev() {
        all.swap(last, rand::rng().random_range(0..=last));
    }
}

fn report(files: &[Prepared], turns: &[Turn<'_>]) {
    let medians: BTreeMap<(&str, &str, usize), f64> = turns
        .iter()
        .map(|turn| ((turn.file, turn.operation, turn.who), turn.median()))
        .collect();
    let median = |file: &Prepared, operation, who| medians.get(&(file.name, operation, who)).copied();
    // The best of the others that is right.
    let best = |file: &Prepared, operation| {
        let right = (1..WHO.len()).filter(|who| !file.wrong.contains(who));
        right
            .filter_map(|who| median(file, operation, who))
            .min_by(f64::total_cmp)
            .unwrap_or(f64::NAN)
    };
    for operation in ["decode", "encode"] {
        print!("| {operation} | bytes |");
        WHO.iter().for_each(|who| print!(" {who} |"));
        println!(
            " best of the others / ours |\n|---|---|{}---|",
            "---|".repeat(WHO.len())
        );
        for file in files {
            print!("| {} | {} |", file.name, file.bytes.len());
            for who in 0..WHO.len() {
                match median(file, operation, who) {
                    Some(time) if file.wrong.contains(&who) => print!(" ({}) |", time_text(time)),
                    Some(time) => print!(" {} |", time_text(time)),
                    None => print!(" fails |"),
                }
            }
            let ours = median(file, operation, 0).unwrap_or(f64::NAN);
            println!(" **{:.1}** |", best(file, operation) / ours);
        }
        println!();
    }
    println!(
        "| view | walk | best decode of the others / walk | check | GB/s |\n|---|---|---|---|---|"
    );
    for file in files {
        let (walk, check) = (
            median(file, "walk", 0).unwrap_or(f64::NAN),
            median(file, "check", 0).unwrap_or(f64::NAN),
        );
        let best = best(file, "decode");
        println!(
            "| {} | {} | **{:.1}** | {} | {:.1} |",
            file.name,
            time_text(walk),
            best / walk,
            time_text(check),
            file.bytes.len() as f64 / check
        );
    }
    println!(
        "\n| serde | from bytes | decode / from bytes | to bytes | encode / to bytes |\n|---|---|---|---|---|"
    );
    for file in files {
        if let (Some(from), Some(to)) = (median(file, "from bytes", 0), median(file, "to bytes", 0)) {
            let of = |operation| median(file, operation, 0).unwrap_or(f64::NAN);
            println!(
                "| {} | {} | **{:.2}** | {} | **{:.2}** |",
                file.name,
                time_text(from),
                of("decode") / from,
                time_text(to),
                of("encode") / to
            );
        }
    }
}

/// With three digits that count.
fn time_text(nanoseconds: f64) -> String {
    match nanoseconds {
        time if time < 1e3 => format!("{time:.0} ns"),
        time if time < 1e5 => format!("{:.1} µs", time / 1e3),
        time if time < 1e6 => format!("{:.0} µs", time / 1e3),
        time => format!("{:.2} ms", time / 1e6),
    }
}
