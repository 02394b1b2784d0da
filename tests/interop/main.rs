//! The test bed: Rust nodes and real nodes of OTP 23, 25, 27 and 29 in one cluster, judged by what each sees of the other.
//! `tests/README.md` says how it works and how to add a case.
//!
//! One program plays two parts. Started by `cargo test` it is the *outside* half: it finds out which releases can be
//! covered, gives each case hosts on a network of its own, starts BEAM nodes there, and reports. Started by itself with
//! `--inside CASE` on the case's host `rust` it is the *inside* half, which runs the case.

mod cases;
mod inside;
mod outside;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = inside::examples::main() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--inside") => inside::main(),
        Some(inside::connector::ARGUMENT) => inside::connector::main(&arguments[2..]),
        _ => outside::main(),
    }
}
