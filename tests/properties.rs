//! The properties that the fuzz targets of the codec try, on a stable compiler: the fixtures of real nodes, and random changes of
//! them.
//!
//! `PROPERTIES=100000 cargo test --release --test properties` tries so many changes instead of a few.

#[path = "../fuzz/properties/mod.rs"]
mod properties;
#[path = "../fuzz/properties/seeds.rs"]
mod seeds;

/// A small generator of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }
}

/// One of the seeds, with a few bytes changed, put in, taken out, or a piece of another seed in the midst.
fn changed(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 => bytes.insert(at, random.next() as u8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let piece = &other[from..(from + random.below(40)).min(other.len())];
                drop(bytes.splice(at..at, piece.iter().copied()));
            }
            3 => bytes.truncate(at),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
        }
    }
    bytes
}

fn try_all(name: &str) {
    let property = properties::property(name);
    let seeds = seeds::read();
    assert!(!seeds.is_empty());
    for seed in &seeds {
        property(seed);
    }
    let count = std::env::var("PROPERTIES").map_or(3_000, |count| count.parse().unwrap());
    let mut random = Random(count);
    for _ in 0..count {
        let bytes = changed(&mut random, &seeds);
        if let Err(panic) = std::panic::catch_unwind(|| property(&bytes)) {
            eprintln!("{name} does not hold of {bytes:?}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn decode() {
    try_all("term_decode");
}

#[test]
fn decoder_view_and_serde_agree() {
    try_all("term_agree");
}

#[test]
fn round_trip() {
    try_all("term_round_trip");
}

#[test]
fn text() {
    try_all("term_text");
}

#[test]
fn order() {
    try_all("term_order");
}
