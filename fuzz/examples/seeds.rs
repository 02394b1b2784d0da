//! `seeds FOLDER`: writes the seeds of the targets `term_*` into a folder, a file each.

#[path = "../properties/seeds.rs"]
mod seeds;

// What the compiler puts into all code of this package for the fuzzer is there.
use libfuzzer_sys as _;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("a folder");
    std::fs::create_dir_all(&folder)?;
    for (index, seed) in seeds::read().iter().enumerate() {
        std::fs::write(format!("{folder}/{index:04}"), seed)?;
    }
    Ok(())
}
