//! What cargo has built, as a run plays with it: a copy, which hosts see in the place of the original. Whoever builds again
//! while cases run changes nothing for them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{docker, libraries};

/// Beside what cargo built: a folder for each run.
const FOLDER: &str = "bed-runs";

/// The folder of what cargo built: `beamnode`, and this program two levels down.
pub(super) fn original() -> PathBuf {
    let beamnode = Path::new(env!("CARGO_BIN_EXE_beamnode"));
    beamnode.parent().unwrap_or(beamnode).to_owned()
}

/// The folder in the copy that has the scripts of BEAM nodes as the compiler of a release makes them.
pub(super) fn ebin(release: u32) -> String {
    format!("ebin-{release}")
}

/// The copy, made when it is first asked for.
pub(super) fn copy() -> Result<PathBuf, String> {
    static DONE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    DONE.get_or_init(|| {
        let copy = ours();
        fill(&copy).map_err(|error| format!("{}: {error}", copy.display()))?;
        libraries::provide(&copy.join("beamnode"))?;
        Ok(copy)
    })
    .clone()
}

/// Removes this run's copy, and those of runs that are no more.
pub(super) fn remove() {
    fs::remove_dir_all(ours()).ok();
    let runs = fs::read_dir(original().join(FOLDER))
        .into_iter()
        .flatten()
        .flatten();
    for run in runs {
        let pid = run.file_name().to_string_lossy().parse();
        if pid.is_ok_and(|pid| docker::start_time(pid).is_none()) {
            fs::remove_dir_all(run.path()).ok();
        }
    }
}

fn ours() -> PathBuf {
    original().join(FOLDER).join(std::process::id().to_string())
}

fn fill(copy: &Path) -> io::Result<()> {
    let original = original();
    fs::create_dir_all(copy.join("deps"))?;
    fs::copy(original.join("beamnode"), copy.join("beamnode"))?;
    // Its file may be another already, or gone; what runs is still at hand.
    if let Some(name) = std::env::current_exe()?.file_name() {
        let name = name.to_string_lossy();
        fs::copy(
            "/proc/self/exe",
            copy.join("deps").join(name.trim_end_matches(" (deleted)")),
        )?;
    }
    Ok(())
}
