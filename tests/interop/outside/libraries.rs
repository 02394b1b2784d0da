//! The C library that this machine's programs are linked with, for hosts whose own is too old for what cargo built here.

use std::{fs, path::Path, process::Command, sync::OnceLock};

/// The folder beside what cargo built, `bed-libraries`: the libraries, and their `loader`.
const FOLDER: &str = "bed-libraries";

/// Copies what `program` is linked with, once in a run.
pub(super) fn provide(program: &Path) -> Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| copy(program).map_err(|error| format!("libraries of {}: {error}", program.display())))
        .clone()
}

fn copy(program: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let folder = program.with_file_name(FOLDER);
    fs::create_dir_all(&folder).map_err(text)?;
    let listed = Command::new("ldd").arg(program).output().map_err(text)?;
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        // `libc.so.6 => /lib/libc.so.6 (0x…)`, and the loader by its path alone.
        let line = line.trim();
        let (name, path) = match line.split_once(" => ") {
            Some((name, path)) => (name, path),
            None if line.starts_with('/') => ("loader", line),
            None => continue,
        };
        let path = path.split(' ').next().unwrap_or_default();
        // Not over one that another run has in use.
        let part = folder.join(format!("{name}.{}", std::process::id()));
        fs::copy(path, &part).map_err(text)?;
        fs::rename(&part, folder.join(name)).map_err(text)?;
    }
    Ok(())
}
