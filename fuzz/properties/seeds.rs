//! What the targets `term_*` begin with: the terms that real nodes wrote, in `fixtures/terms`, each as bytes and as text.

use beamnode::etf;
use beamnode::term::Term;
use std::path::Path;

/// Larger ones only slow a fuzzer down.
const LARGEST: usize = 2048;

/// All of them, each once.
///
/// # Panics
/// If a fixture is not there, or not what it should be.
pub(crate) fn read() -> Vec<Vec<u8>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here
        .ancestors()
        .map(|folder| folder.join("fixtures/terms"))
        .find(|folder| folder.exists());
    let folder = folder.expect("fixtures/terms");
    let mut seeds = Vec::new();
    for release in [23, 25, 27, 29] {
        let bytes = std::fs::read(folder.join(format!("{release}.etf"))).expect("a fixture");
        let fixture = etf::decode(bytes).expect("a term");
        let all = fixture.as_map().expect("a map");
        let list = |key| all.get(&Term::atom(key)).expect("a key");
        for term in list("terms").as_list().expect("a list").iter() {
            let parts: Vec<Term> = term.as_tuple().expect("a tuple").iter().collect();
            for (_, bytes) in parts[1].as_list().expect("a list").iter().map(pair) {
                seeds.push(bytes);
            }
            seeds.extend(parts[2..].iter().filter_map(Term::as_binary).cloned());
        }
        for given in list("given").as_list().expect("a list").iter() {
            seeds.extend(
                given
                    .as_tuple()
                    .expect("a tuple")
                    .iter()
                    .filter_map(|part| part.as_binary().cloned()),
            );
        }
    }
    seeds.retain(|seed| seed.len() <= LARGEST);
    seeds.sort();
    seeds.dedup();
    seeds.iter().map(|seed| seed.to_vec()).collect()
}

fn pair(term: Term) -> (Term, bytes::Bytes) {
    let parts: Vec<Term> = term.as_tuple().expect("a tuple").iter().collect();
    (parts[0].clone(), parts[1].as_binary().expect("a binary").clone())
}
