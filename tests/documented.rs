//! Every public item of `term` and `etf` stands in an example that runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The source files of a layer.
fn files(layer: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(layer)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
                files.push(path);
            }
        }
    }
    files
}

/// What a line of source defines for all to use.
fn defined(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let rest = rest.strip_prefix("const fn ").or_else(|| {
        ["fn ", "struct ", "enum ", "trait ", "const ", "type "]
            .iter()
            .find_map(|kind| rest.strip_prefix(kind))
    })?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    rest.get(..end)
}

/// The words of a layer's examples.
fn examples(files: &[PathBuf]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for file in files {
        let mut inside = false;
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let line = line.trim_start();
            let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
                continue;
            };
            if text.trim_start().starts_with("```") {
                inside = !inside;
            } else if inside {
                words.extend(
                    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                        .map(str::to_owned),
                );
            }
        }
    }
    words
}

#[test]
fn every_public_item_stands_in_an_example() {
    let files = ["term", "etf"].map(files).concat();
    let examples = examples(&files);
    let mut missing = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut hidden = false;
        for line in text.lines() {
            hidden |= line.trim() == "#[doc(hidden)]";
            let Some(name) = defined(line) else { continue };
            if !std::mem::take(&mut hidden) && !examples.contains(name) {
                missing.push(format!("{name} of {}", file.display()));
            }
        }
    }
    assert!(missing.is_empty(), "in no example: {}", missing.join("\n"));
}
