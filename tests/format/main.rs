//! `io_lib:format/2` against real nodes.
//!
//! The committed cases in `fixtures/io` were evaluated by a node of each release; a node of OTP 29 is asked anew, for formats and arguments made
//! at random, `BEAMNODE_ROUNDS` times 500. Where there is none, the test says so, and fails if `BED_REQUIRE` demands it.

mod node;
mod random;

use beamnode::etf;
use beamnode::otp::io::PrintableRange;
use beamnode::term::Term;
use node::{Case, Evaluator};
use random::Random;

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// How many cases differ of those that random formats give.
fn compare(range: PrintableRange) -> usize {
    let seed = variable("BEAMNODE_SEED", std::process::id().into());
    println!("BEAMNODE_SEED={seed}");
    let mut random = Random::new(seed);
    let Some(mut node) = Evaluator::start(range) else {
        let required = std::env::var("BED_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|release| release == "29"),
            "OTP 29 is required"
        );
        println!("OTP 29: NOT COVERED; `tests/bed/images 29` makes it");
        return 0;
    };
    let (mut faults, mut errors, mut count) = (Vec::new(), 0, 0);
    for _ in 0..variable("BEAMNODE_ROUNDS", 4) {
        let cases: Vec<_> = (0..500).map(|_| random.case()).collect();
        for case in node.evaluate(&cases) {
            count += 1;
            errors += usize::from(case.text.is_none());
            faults.extend(case.fault(range));
        }
    }
    node.stop();
    println!("{count} cases, {errors} of them errors, {} differ", faults.len());
    for fault in faults.iter().take(20) {
        println!("{fault}");
    }
    faults.len()
}

#[test]
fn random_formats_give_what_a_node_makes_of_them() {
    assert_eq!(compare(PrintableRange::Latin1), 0);
}

#[test]
fn random_formats_give_what_a_node_makes_of_them_where_all_of_unicode_is_printable() {
    assert_eq!(compare(PrintableRange::Unicode), 0);
}

/// The cases that a release evaluated, and whether their results are those of OTP 29.
fn fixtures(release: i64) -> Vec<(Case, bool)> {
    let path = format!("{}/fixtures/io/{release}.etf", env!("CARGO_MANIFEST_DIR"));
    let cases = etf::decode(std::fs::read(path).unwrap()).unwrap();
    let case = |case: Term| {
        let [since, format, arguments, result] = case.as_tuple().unwrap().array::<4>().unwrap();
        let case = Case::read(&Term::from((format, arguments, result)));
        (case, since.as_integer().unwrap() <= release)
    };
    cases.as_list().unwrap().iter().map(case).collect()
}

#[test]
fn formats_give_what_otp_29_made_of_them() {
    let cases = fixtures(29);
    assert!(cases.len() > 1000);
    let faults: Vec<_> = cases
        .iter()
        .filter_map(|(case, _)| case.fault(PrintableRange::Latin1))
        .collect();
    assert!(
        faults.is_empty(),
        "{} differ:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn older_releases_differ_where_the_fixtures_say_so() {
    let mut faults = Vec::new();
    for release in [23, 25, 27] {
        for (case, is_as_29) in fixtures(release) {
            let fault = case.fault(PrintableRange::Latin1);
            if fault.is_none() != is_as_29 {
                faults.push(format!(
                    "OTP {release}: {} {} {fault:?}",
                    case.format, case.arguments
                ));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} are not as said:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
