//! The outside half: everything around a case. It finds out which releases can be covered, runs the cases in cells that
//! one takes over from the other, and says at the end what was covered and what was not.

mod beam;
mod built;
mod cell;
mod docker;
mod engine;
mod libraries;
mod play;
mod summary;

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{
    runtime::Runtime,
    sync::{RwLock, Semaphore},
};

use self::{
    cell::Cell,
    engine::{Coverage, Engine},
    play::Outcome,
    summary::{Summary, Unsteady},
};
use crate::{
    cases::{self, Case, Subjects},
    wire::SubjectKind,
};

/// Cells of one release at a time.
const CELLS_PER_RELEASE: usize = 2;

pub(crate) fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A case mostly waits, for nodes to start or a tick to fail to come.
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    arguments.test_threads.get_or_insert(processors * 2);

    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("test bed: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let coverage = runtime.block_on(engine::coverage());
    let run = Arc::new(Run::new(runtime, &coverage));
    let trials = trials(&run, &coverage);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }

    let with_docker = coverage
        .iter()
        .any(|release| matches!(release.engine, Ok(Engine::Docker)));
    if with_docker {
        run.runtime.block_on(docker::remove_stale());
        run.runtime.spawn(clean_up_when_interrupted());
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    run.runtime.block_on(run.remove_cells());
    if with_docker {
        run.runtime.block_on(docker::remove_ours());
    }
    built::remove();
    let covered = lock(&run.summary).print(&coverage);
    if conclusion.has_failed() || !covered {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// What the trials share.
struct Run {
    runtime: Runtime,
    /// Cells that no case is in.
    idle: Mutex<HashMap<u32, Vec<Cell>>>,
    /// How many more cases of a release may run now.
    places: HashMap<u32, Semaphore>,
    /// Held for reading by an ordinary case, for writing by one that must be alone.
    quiet: RwLock<()>,
    /// How often a case that fails is tried again.
    retries: u32,
    summary: Mutex<Summary>,
}

impl Run {
    fn new(runtime: Runtime, coverage: &[Coverage]) -> Self {
        let places = coverage
            .iter()
            .map(|release| (release.release, Semaphore::new(CELLS_PER_RELEASE)));
        Self {
            runtime,
            idle: Mutex::default(),
            places: places.collect(),
            quiet: RwLock::default(),
            retries: retries(),
            summary: Mutex::default(),
        }
    }

    async fn play(
        &self,
        case: &Case,
        release: u32,
        engine: &Engine,
        subject: SubjectKind,
        name: &str,
    ) -> Result<(), Failed> {
        let _place = match self.places.get(&release) {
            Some(places) => places.acquire().await.ok(),
            None => None,
        };
        let (_alone, _together);
        if case.alone {
            _alone = self.quiet.write().await;
        } else {
            _together = self.quiet.read().await;
        }
        let mut failures = Vec::new();
        loop {
            let outcome = self.attempt(case, release, engine, subject).await;
            let mut summary = lock(&self.summary);
            let results = summary.of(release);
            let again = failures.len() < self.retries as usize;
            match outcome.failure {
                Some(_) if outcome.wanting.is_some() => {
                    results
                        .wanting
                        .push((case.name, outcome.wanting.unwrap_or_default()));
                    return Ok(());
                }
                Some(failure) if again => failures.push(failure),
                Some(failure) => {
                    results.failed += 1;
                    failures.push(failure);
                    return Err(told(&failures).into());
                }
                None => {
                    results.passed += 1;
                    results.notes.extend(outcome.notes);
                    if !failures.is_empty() {
                        let (name, failures) = (name.to_owned(), failures);
                        summary.unsteady.push(Unsteady { name, failures });
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Plays a case once: in a cell that another has left in order, or after that in one of its own.
    async fn attempt(&self, case: &Case, release: u32, engine: &Engine, subject: SubjectKind) -> Outcome {
        let idle = lock(&self.idle).entry(release).or_default().pop();
        let cell = match idle {
            Some(cell) => Ok(cell),
            None => Cell::new(release, engine.clone()).await,
        };
        let mut outcome = match cell {
            Ok(cell) => play::play(case, subject, cell).await,
            Err(error) => return Outcome::without_cell(error),
        };
        if let Some(cell) = outcome.cell.take() {
            lock(&self.idle).entry(release).or_default().push(cell);
        }
        outcome
    }

    async fn remove_cells(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        for cell in idle.into_values().flatten() {
            cell.remove().await;
        }
    }
}

/// One trial for each case, release and subject, the releases of one case side by side; what this machine cannot run is
/// listed as ignored.
fn trials(run: &Arc<Run>, coverage: &[Coverage]) -> Vec<Trial> {
    let beam_everywhere = std::env::var("BED_SUBJECT").is_ok_and(|subject| subject == "beam");
    let mut cases = cases::all();
    // Those that need the machine for themselves come when nobody else is left to wait for them.
    cases.sort_by_key(|case| case.alone);
    let mut trials = Vec::new();
    for case in cases.into_iter().map(Arc::new) {
        let subjects: &[SubjectKind] = match (case.subjects, beam_everywhere) {
            (Subjects::RustOnly, true) => &[],
            (_, true) => &[SubjectKind::Beam],
            (Subjects::Both, false) => &[SubjectKind::Beam, SubjectKind::Rust],
            (_, false) => &[SubjectKind::Rust],
        };
        for (&subject, release) in subjects
            .iter()
            .flat_map(|subject| coverage.iter().map(move |release| (subject, release)))
        {
            if case.only_with.is_some_and(|only| only != release.release) {
                continue;
            }
            let who = if subject == SubjectKind::Beam { "@beam" } else { "" };
            let name = format!("otp{}::{}{who}", release.release, case.name);
            let trial = match release.engine.clone() {
                Ok(engine) if engine.has_hosts() || !case.needs_hosts => {
                    let (run, case, release) = (Arc::clone(run), Arc::clone(&case), release.release);
                    Trial::test(name.clone(), move || {
                        run.runtime
                            .block_on(run.play(&case, release, &engine, subject, &name))
                    })
                }
                _ => Trial::test(name, || Ok(())).with_ignored_flag(true),
            };
            trials.push(trial);
        }
    }
    trials
}

/// `BED_RETRIES`: one, unless it says otherwise.
fn retries() -> u32 {
    let given = std::env::var("BED_RETRIES").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(1)
}

/// All failures of a case, the first first.
fn told(failures: &[String]) -> String {
    let told = failures.iter().enumerate().map(|(number, failure)| {
        if failures.len() == 1 {
            failure.clone()
        } else {
            format!("=== try {} of {}\n{failure}", number + 1, failures.len())
        }
    });
    told.collect::<Vec<_>>().join("\n")
}

/// On Ctrl-C the containers go, too.
async fn clean_up_when_interrupted() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("test bed: interrupted, removing its containers");
    docker::remove_ours().await;
    built::remove();
    std::process::exit(130);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
