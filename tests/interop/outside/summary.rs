//! What a run says in its last lines: figures, what was covered and what was not, and which cases are not to be relied on.

use std::collections::BTreeMap;

use super::{
    engine::{Coverage, Engine},
    told,
};
use crate::cases;

/// What has become of a run's cases so far.
#[derive(Default)]
pub(super) struct Summary {
    results: BTreeMap<u32, Results>,
    pub(super) unsteady: Vec<Unsteady>,
}

/// The cases of one release.
#[derive(Default)]
pub(super) struct Results {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) notes: Vec<String>,
    /// Cases that found something missing on this machine, and what.
    pub(super) wanting: Vec<(&'static str, &'static str)>,
}

/// A case that has failed before it passed.
pub(super) struct Unsteady {
    pub(super) name: String,
    pub(super) failures: Vec<String>,
}

impl Summary {
    pub(super) fn of(&mut self, release: u32) -> &mut Results {
        self.results.entry(release).or_default()
    }

    /// Prints it; whether all that was demanded (`BED_REQUIRE`) was covered.
    pub(super) fn print(&self, coverage: &[Coverage]) -> bool {
        for unsteady in &self.unsteady {
            println!(
                "=== {} failed, before it passed:\n{}\n",
                unsteady.name,
                told(&unsteady.failures)
            );
        }
        for (release, results) in &self.results {
            for note in &results.notes {
                println!("OTP {release}: {note}");
            }
        }
        let demanded = std::env::var("BED_REQUIRE").unwrap_or_default();
        let mut all_covered = true;
        for Coverage { release, engine } in coverage {
            let covered = match engine {
                Ok(engine) => self.print_release(*release, engine),
                Err(why) => {
                    println!("OTP {release}: NOT COVERED: {why}");
                    false
                }
            };
            let demanded = demanded.split([',', ' ']).any(|one| one == release.to_string());
            all_covered &= covered || !demanded;
        }
        for Unsteady { name, failures } in &self.unsteady {
            let (times, try_) = match failures.len() {
                1 => ("once".to_owned(), "second".to_owned()),
                times => (format!("{times} times"), format!("{}th", times + 1)),
            };
            println!("unsteady: {name}, failed {times}, passed on the {try_} try");
        }
        all_covered
    }

    fn print_release(&self, release: u32, engine: &Engine) -> bool {
        let Some(results) = self.results.get(&release) else {
            println!("OTP {release}: not covered: no case ran");
            return false;
        };
        let (passed, failed) = (results.passed, results.failed);
        println!("OTP {release}: covered ({engine}): {passed} passed, {failed} failed");
        let mut left_out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for &(case, wanted) in &results.wanting {
            left_out.entry(wanted).or_default().push(case);
        }
        if !engine.has_hosts() {
            let need_hosts = cases::all().into_iter().filter(|case| case.needs_hosts);
            left_out.insert("Docker", need_hosts.map(|case| case.name).collect());
        }
        for (wanted, cases) in left_out {
            println!(
                "OTP {release}: not covered, for want of {wanted}: {}",
                cases.join(", ")
            );
        }
        true
    }
}
