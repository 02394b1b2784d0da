//! Keeps the layers apart: each imports only what stands above it in the list of `ARCHITECTURE.md`, and the pure ones know no
//! sockets, tasks or clocks.

use std::fs;
use std::path::{Path, PathBuf};

/// From the top down: a layer may use itself and those before it.
const LAYERS: [&str; 7] = ["term", "etf", "epmd", "dist", "net", "node", "otp"];

/// Layers that may use one below them after all.
const EXCEPTIONS: [(&str, &str); 1] = [
    // A node starts its services, and pings through one of them.
    ("node", "otp"),
];

/// What a pure layer must not name.
const IMPURE: [&str; 5] = [
    "tokio::",
    "Instant::now",
    "SystemTime::now",
    "std::net::Tcp",
    "std::thread",
];

/// The files of the pure layers: the three core ones, and EPMD without its client and server.
fn is_pure(layer: &str, file: &Path) -> bool {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    match layer {
        "term" | "etf" | "dist" => true,
        "epmd" => ["message.rs", "registry.rs", "session.rs"].contains(&name),
        _ => false,
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a file, without comments, which may speak of every layer, and without its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    lines
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn no_layer_imports_what_stands_below_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for (index, layer) in LAYERS.iter().enumerate() {
        let files = sources(&root.join(layer));
        assert!(!files.is_empty(), "layer {layer} has no source");
        for file in files {
            let code = code(&file);
            for below in LAYERS.iter().skip(index + 1) {
                if !EXCEPTIONS.contains(&(layer, below)) && code.contains(&format!("crate::{below}")) {
                    faults.push(format!("{} imports {below}", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_pure_layers_know_no_sockets_tasks_or_clocks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for layer in LAYERS {
        for file in sources(&root.join(layer)) {
            let is_test = file.file_name().is_some_and(|name| name == "tests.rs");
            if is_test || !is_pure(layer, &file) {
                continue;
            }
            let code = code(&file);
            let found = IMPURE.iter().filter(|word| code.contains(**word));
            faults.extend(found.map(|word| format!("{} names {word}", file.display())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
