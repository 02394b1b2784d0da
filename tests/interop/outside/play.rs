//! One case played in one cell: the inside half is started on the host `rust`, its questions are answered until it ends,
//! and when it fails every log there is goes into the report.

use std::{
    fmt::Write as _,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{
    beam::Beam,
    cell::{Cell, RUST_HOST},
};
use crate::{
    cases::Case,
    wire::{Answer, Ask, CONTEXT, Context, Language, Question, Reply, SubjectKind},
};

/// How long the inside half may take to print its Rust nodes' logs when its time is over.
const LAST_WORDS: Duration = Duration::from_secs(20);

struct Play {
    cell: Cell,
    beams: Mutex<Vec<Arc<Beam>>>,
    notes: Mutex<Vec<String>>,
    /// What the case has asked for in vain, because this machine does not have it.
    wanting: OnceLock<&'static str>,
}

/// What remains of a case.
pub(super) struct Outcome {
    /// The cell, when it is as good as new.
    pub(super) cell: Option<Cell>,
    pub(super) notes: Vec<String>,
    /// What this machine would have to have for the case to be played to its end.
    pub(super) wanting: Option<&'static str>,
    /// What went wrong, with the logs of all sides.
    pub(super) failure: Option<String>,
}

impl Outcome {
    pub(super) fn without_cell(failure: String) -> Self {
        Self {
            cell: None,
            notes: Vec::new(),
            wanting: None,
            failure: Some(failure),
        }
    }
}

pub(super) async fn play(case: &Case, subject: SubjectKind, cell: Cell) -> Outcome {
    let play = Arc::new(Play {
        cell,
        beams: Mutex::default(),
        notes: Mutex::default(),
        wanting: OnceLock::new(),
    });
    let failure = Arc::clone(&play)
        .run(case, subject)
        .await
        .err()
        .map(|failure| play.report(&failure));
    let beams = std::mem::take(&mut *lock(&play.beams));
    let notes = std::mem::take(&mut *lock(&play.notes));
    let wanting = play.wanting.get().copied();
    drop(beams);

    // Questions still being answered when the case ended have been cancelled: nobody else has the play.
    let cell = Arc::into_inner(play).map(|play| play.cell);
    let cell = match cell {
        Some(cell) if failure.is_none() => match cell.reset().await {
            Ok(()) => Some(cell),
            Err(error) => {
                eprintln!("test bed: a cell is given up: {error}");
                cell.remove().await;
                None
            }
        },
        // After a failure nothing is known of the state of its hosts.
        Some(cell) => {
            cell.remove().await;
            None
        }
        None => None,
    };
    Outcome {
        cell,
        notes,
        wanting,
        failure,
    }
}

impl Play {
    async fn run(self: Arc<Self>, case: &Case, subject: SubjectKind) -> Result<(), String> {
        let mut inside = self.start_inside(case, subject).await?;
        let group = inside.id();
        let (Some(stdin), Some(stdout), Some(mut stderr)) =
            (inside.stdin.take(), inside.stdout.take(), inside.stderr.take())
        else {
            return Err("the inside half has no pipes".to_owned());
        };
        let said = tokio::spawn(async move {
            let mut said = Vec::new();
            stderr.read_to_end(&mut said).await.ok();
            String::from_utf8_lossy(&said).into_owned()
        });

        let stdin = Arc::new(tokio::sync::Mutex::new(stdin));
        let mut questions = BufReader::new(stdout).lines();
        let mut answering = JoinSet::new();
        let serve = async {
            while let Ok(Some(line)) = questions.next_line().await {
                match serde_json::from_str::<Question>(&line) {
                    Ok(question) => {
                        answering.spawn(reply(Arc::clone(&self), question, Arc::clone(&stdin)));
                    }
                    Err(_) => eprintln!("test bed: the inside half of {} prints {line:?}", case.name),
                }
            }
            inside.wait().await
        };
        let ended = timeout(case.limit(), serve).await;
        answering.shutdown().await;
        let result = self.conclude(ended, stdin, said, case).await;
        // On this machine, nodes that the inside half could not end any more are ended with its process group.
        if let Some(group) = group.filter(|_| result.is_err() && !self.cell.engine.has_hosts()) {
            let kill = format!("kill -KILL -- -{group} 2>/dev/null");
            Command::new("sh").args(["-c", &kill]).status().await.ok();
        }
        result
    }

    /// What a case's end means.
    async fn conclude(
        &self,
        ended: Result<std::io::Result<ExitStatus>, tokio::time::error::Elapsed>,
        stdin: Arc<tokio::sync::Mutex<ChildStdin>>,
        said: JoinHandle<String>,
        case: &Case,
    ) -> Result<(), String> {
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(status) => {
                let said = timeout(LAST_WORDS, said).await;
                let said = said.ok().and_then(Result::ok).unwrap_or_default();
                let status = status.map_or_else(|error| error.to_string(), status_text);
                Err(format!("{said}(the inside half ended with {status})"))
            }
            Err(_) => {
                // The end of its questions' answers is the end of its time: it says what its Rust nodes have printed, and goes.
                drop(stdin);
                let said = timeout(LAST_WORDS, said).await;
                let said = said.ok().and_then(Result::ok).unwrap_or_default();
                Err(format!("{said}(not done after {:?})", case.limit()))
            }
        }
    }

    async fn start_inside(&self, case: &Case, subject: SubjectKind) -> Result<Child, String> {
        let one_host = !self.cell.engine.has_hosts();
        let context = Context {
            case: case.name.to_owned(),
            release: self.cell.release,
            subject,
            one_host: one_host.then(|| self.cell.host_part(RUST_HOST, false)),
        };
        let context = serde_json::to_string(&context).map_err(|error| error.to_string())?;
        let mut environment = vec![(CONTEXT.to_owned(), context)];
        // What a case makes up at random it makes up again from the seed that it has printed.
        for passed in ["BED_SEED", "BED_ROUNDS", "RUST_BACKTRACE", "RUST_LOG"] {
            if let Ok(value) = std::env::var(passed) {
                environment.push((passed.to_owned(), value));
            }
        }
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        // Built again since, it is another file by now; the hosts have the copy of this one under its name.
        let program = program.to_string_lossy();
        let command = [
            program.trim_end_matches(" (deleted)").to_owned(),
            "--inside".to_owned(),
            case.name.to_owned(),
        ];
        let mut command = self.cell.command(RUST_HOST, &environment, &command).await?;
        command
            .spawn()
            .map_err(|error| format!("the inside half cannot be started: {error}"))
    }

    async fn answer(&self, ask: Ask) -> Result<Answer, String> {
        match ask {
            Ask::Start(start) => {
                if start.kind == Language::Elixir {
                    self.require_elixir(&start.host).await?;
                }
                let beam = Arc::new(Beam::start(&self.cell, &start).await?);
                let (node, pid) = (beam.node.clone(), beam.pid);
                let mut beams = lock(&self.beams);
                beams.push(beam);
                Ok(Answer::Started {
                    beam: beams.len() - 1,
                    node,
                    pid,
                })
            }
            Ask::RequireElixir { host } => self.require_elixir(&host).await.map(|()| Answer::Done),
            Ask::Eval {
                beam,
                shell,
                language,
                source,
                limit,
            } => self.beam(beam)?.eval(&shell, language, &source, limit).await,
            Ask::Log { beam } => Ok(Answer::Text(self.beam(beam)?.log())),
            Ask::AwaitLog {
                beam,
                text,
                times,
                limit,
            } => self
                .beam(beam)?
                .await_log(&text, times, limit)
                .await
                .map(Answer::Text),
            Ask::Signal { beam, signal } => self
                .beam(beam)?
                .signal(&self.cell, signal)
                .await
                .map(|()| Answer::Done),
            Ask::AwaitExit { beam, limit } => self.beam(beam)?.await_exit(limit).await.map(|()| Answer::Done),
            Ask::Cut { from, to } => self.cell.cut(&from, &to).await.map(|()| Answer::Done),
            Ask::Heal => self.cell.heal().await.map(|()| Answer::Done),
            Ask::Freeze { host, frozen } => self.cell.freeze(&host, frozen).await.map(|()| Answer::Done),
            Ask::Run { host, command, limit } => self.run_command(&host, &command, limit).await,
            Ask::Fixture { name, text } => keep_fixture(&name, &text).map(|()| Answer::Done),
            Ask::Note { text } => {
                lock(&self.notes).push(text);
                Ok(Answer::Done)
            }
        }
    }

    async fn require_elixir(&self, host: &str) -> Result<(), String> {
        if self.cell.has_elixir(host).await {
            return Ok(());
        }
        self.wanting.get_or_init(|| "Elixir");
        Err(format!("there is no Elixir for OTP {}", self.cell.release))
    }

    fn beam(&self, beam: usize) -> Result<Arc<Beam>, String> {
        lock(&self.beams)
            .get(beam)
            .cloned()
            .ok_or_else(|| format!("there is no node {beam}"))
    }

    async fn run_command(&self, host: &str, command: &[String], limit: Duration) -> Result<Answer, String> {
        let mut process = self.cell.command(host, &[], command).await?;
        let output = timeout(limit, process.stdin(Stdio::null()).output()).await;
        match output {
            Ok(Ok(output)) => Ok(Answer::Output {
                code: output.status.code(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
            Ok(Err(error)) => Err(format!("{} on {host}: {error}", command.join(" "))),
            Err(_) => Err(format!(
                "{} on {host}: not done after {limit:?}",
                command.join(" ")
            )),
        }
    }

    /// A failure with the logs of all BEAM nodes; those of the Rust side are in what the inside half said.
    fn report(&self, failure: &str) -> String {
        let mut report = failure.to_owned();
        for beam in lock(&self.beams).iter() {
            let state = if beam.has_ended() { "ended" } else { "running" };
            write!(report, "\n--- log of {} ({state})\n{}", beam.node, beam.log()).ok();
        }
        report
    }
}

async fn reply(play: Arc<Play>, question: Question, stdin: Arc<tokio::sync::Mutex<ChildStdin>>) {
    let reply = Reply {
        id: question.id,
        answer: play.answer(question.ask).await,
    };
    let mut line = serde_json::to_string(&reply).unwrap_or_default();
    line.push('\n');
    // An inside half that has ended needs no reply.
    stdin.lock().await.write_all(line.as_bytes()).await.ok();
}

fn status_text(status: ExitStatus) -> String {
    status
        .code()
        .map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

/// Writes `fixtures/NAME`, when this run is one that renews the fixtures.
fn keep_fixture(name: &str, text: &str) -> Result<(), String> {
    if std::env::var_os("BED_RECORD").is_none() {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
