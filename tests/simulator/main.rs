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
//! `BEAMNODE_SEEDS` says how many seeds to run, `BEAMNODE_SEED` which one: that which a failure has printed. The worlds share
//! nothing, so each processor runs some.

mod network;
mod node;
mod random;
mod world;

use std::num::NonZero;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
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
    let next = AtomicU64::new(seeds.start);
    let worlds = || {
        let mut total = world::Totals::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return total;
            }
            match catch_unwind(|| World::new(seed).run()) {
                Ok(totals) => total.add(&totals),
                Err(panic) => {
                    eprintln!("failed with seed {seed}: repeat with BEAMNODE_SEED={seed}");
                    // The others need not go on.
                    next.store(seeds.end, Ordering::Relaxed);
                    resume_unwind(panic);
                }
            }
        }
    };
    let mut total = world::Totals::default();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..processors).map(|_| scope.spawn(worlds)).collect();
        for one in running {
            total.add(&one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
    });
    println!("{} seeds: {total:?}", seeds.end - seeds.start);
    if seeds.end - seeds.start >= 100 {
        assert!(
            total.simultaneous > 0 && total.replaced > 0 && total.lost > 0,
            "not everything came up: {total:?}"
        );
    }
}
