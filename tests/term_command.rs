//! `beamnode term` as a program: bytes to text and back, and errors that show where.

use std::io::Write;
use std::process::{Command, Stdio};

/// What the program prints, what it complains of, and whether it succeeds.
fn term(arguments: &[&str], input: &[u8]) -> (Vec<u8>, String, bool) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_beamnode"))
        .arg("term")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that does not read its input may be gone before it is written.
    let _ = program.stdin.take().unwrap().write_all(input);
    let output = program.wait_with_output().unwrap();
    (
        output.stdout,
        String::from_utf8(output.stderr).unwrap(),
        output.status.success(),
    )
}

#[track_caller]
fn prints(arguments: &[&str], input: &[u8], expected: &str) {
    let (output, error, ok) = term(arguments, input);
    assert!(ok, "{error}");
    assert_eq!(String::from_utf8_lossy(&output), expected);
}

#[track_caller]
fn complains(arguments: &[&str], input: &[u8], expected: &str) {
    let (output, error, ok) = term(arguments, input);
    assert!(!ok && output.is_empty());
    assert!(error.contains(expected), "{error}");
}

#[test]
fn bytes_are_printed_in_every_form() {
    // {ok,["text",<<"text">>,#{k => nil}]}
    let hex =
        "83 6802 7702 6f6b 6c00000003 6b0004 74657874 6d00000004 74657874 7400000001 7701 6b 7703 6e696c 6a";
    let plain = "{ok,[[116,101,120,116],<<116,101,120,116>>,#{k => nil}]}\n";
    prints(&["decode", "--hex"], hex.as_bytes(), plain);
    prints(&["decode", "--hex", "-"], hex.as_bytes(), plain);
    prints(
        &["decode", "--hex", "--pretty"],
        hex.as_bytes(),
        "{ok,[\"text\",<<\"text\">>,#{k => nil}]}\n",
    );
    prints(&["decode", "--base64"], b"g2gCYQFq", "{1,[]}\n");
    prints(&["decode"], &[131, 97, 7], "7\n");
    prints(
        &["decode", "--json"],
        &[
            131, 116, 0, 0, 0, 1, 119, 1, b'a', 108, 0, 0, 0, 1, 119, 4, b't', b'r', b'u', b'e', 106,
        ],
        "{\"a\":[true]}\n",
    );
    let file = std::env::temp_dir().join(format!("beamnode-term-{}", std::process::id()));
    std::fs::write(&file, [131, 106]).unwrap();
    prints(&["decode", file.to_str().unwrap()], b"", "[]\n");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn text_becomes_bytes() {
    prints(
        &["encode", "{ok, \"ab\"}", "--hex"],
        b"",
        "83680277026f6b6b00026162\n",
    );
    prints(&["encode", "-", "--base64"], b"{1, []}.\n", "g2gCYQFq\n");
    let (output, _, ok) = term(&["encode", "#{b => 1, a => 2}", "--deterministic"], b"");
    assert!(ok);
    assert_eq!(
        output,
        [131, 116, 0, 0, 0, 2, 119, 1, b'a', 97, 2, 119, 1, b'b', 97, 1]
    );
    prints(
        &["encode", "ok", "--minor-version", "1", "--hex"],
        b"",
        "836400026f6b\n",
    );
}

#[test]
fn errors_show_where() {
    complains(
        &["decode", "--hex"],
        b"8368026101",
        "the term is cut short at byte 5",
    );
    complains(&["decode", "--hex"], b"83680261010 7", "unknown tag 7 at byte 5");
    complains(&["decode", "--hex"], b"83xx", "'x' at byte 2");
    complains(&["decode", "/no/such/file"], b"", "/no/such/file");
    complains(
        &["decode", "--json", "--hex"],
        b"8377016a6a",
        "bytes are left after the term at byte 4",
    );
    complains(
        &["encode", "{ok, [1, 2}"],
        b"",
        "{ok, [1, 2}\n          ^ expected `,`, `|` or `]`",
    );
    complains(&["encode", "{ok, [1, 2}"], b"", "line 1, column 11");
}
