//! Two to two hundred cores in one thread, with a clock that does not pass by itself.
//!
//! The nodes here have a connection table ruled by `dist::arbitration`, the handshake and the connection of `dist`, and a few
//! processes that send each other numbered messages and wait for answers. The network delays, cuts every write anywhere, cuts links,
//! and falls silent in one direction. All of it follows from one number. What must hold:
//!
//! * no two connections are up between a pair of nodes at any time;
//! * what one process sends to another arrives in the order sent, nothing twice, nothing left out while a connection lasts;
//! * whoever waits — for a connection, for an answer over one — gets one, or learns that there will be none, once.
//!
//! `BEAMNODE_SEEDS` says how many seeds to run, `BEAMNODE_SEED` which one: that which a failure has printed.

mod network;
mod node;
mod random;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

#[test]
fn seeds() {
    let seeds = match number("BEAMNODE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BEAMNODE_SEEDS").unwrap_or(100),
    };
    let mut total = world::Totals::default();
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| World::new(seed).run())) {
            Ok(totals) => total.add(&totals),
            Err(panic) => {
                eprintln!("failed with seed {seed}: repeat with BEAMNODE_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{} seeds: {total:?}", seeds.end - seeds.start);
    if seeds.end - seeds.start >= 100 {
        assert!(
            total.simultaneous > 0 && total.replaced > 0 && total.lost > 0,
            "not everything came up: {total:?}"
        );
    }
}
