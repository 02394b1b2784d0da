//! How many instructions the codec takes for the files of `benches/codec`, counted by callgrind and compared with those in `baseline.txt`:
//! unlike time, they are the same on a busy machine. More than a quarter above fails: what the compiler inlines changes with code that
//! has nothing to do with it. Large copies are left out, as each kind of processor counts them in its own way.
//!
//!     cargo test --release --test instructions
//!     INSTRUCTIONS=write cargo test --release --test instructions     # after a change that is meant
//!
//! Counts are those of an optimised build; without `--release`, and where there is no valgrind, nothing is counted and the last line says so.

#[path = "../../benches/codec/src/files.rs"]
mod files;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [run, operation, file] = &arguments[..]
        && run == "--run"
    {
        files::once(operation, file);
        return ExitCode::SUCCESS;
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    if cfg!(debug_assertions) || !valgrind.is_ok_and(|output| output.status.success()) {
        println!("test result: ok. 0 passed; 0 failed; NOT COUNTED: needs --release and valgrind");
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions/baseline.txt");
    let baseline = std::fs::read_to_string(&path).unwrap_or_default();
    let baseline: BTreeMap<&str, u64> = baseline
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(what, count)| Some((what, count.parse().ok()?)))
        .collect();
    let (mut passed, mut failed, mut counts) = (0, 0, String::new());
    for operation in files::OPERATIONS {
        let counted = |name: &str| match operation {
            "from bytes" => files::TYPED.contains(&name),
            _ => name != "1 MB binary",
        };
        for file in files::all().iter().filter(|file| counted(file.name)) {
            let what = format!("{operation} {}", file.name);
            let count = count(operation, file.name);
            let _ = writeln!(counts, "{what} {count}");
            let before = baseline.get(what.as_str()).copied().unwrap_or(0);
            let change = count as f64 / before as f64 - 1.0;
            println!("{what:<30} {count:>10} {:>+7.1} %", change * 100.0);
            if change > 0.25 { failed += 1 } else { passed += 1 }
        }
    }
    if std::env::var_os("INSTRUCTIONS").is_some_and(|what| what == "write") {
        std::fs::write(&path, counts).expect("the baseline can be written");
        failed = 0;
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {passed} passed; {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How many instructions that takes, in a process of its own under callgrind.
fn count(operation: &str, file: &str) -> u64 {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--collect-atstart=no",
            "--toggle-collect=*measured*",
        ])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--run", operation, file])
        .output()
        .expect("valgrind was there");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    line.and_then(|(_, count)| count.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind says: {text}"))
}
