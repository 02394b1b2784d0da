//! A BEAM node as the outside half has it: a process that takes questions on its standard input and whose standard output
//! is answers (`tests/bed/bed.erl` says how they look) in between its log.

use std::{
    collections::HashMap,
    process::ExitStatus,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin},
    sync::{oneshot, watch},
    time::timeout,
};

use super::cell::Cell;
use crate::wire::{Answer, Language, Signal, StartBeam};

const MARK: &str = "#bed# ";

/// How long a node may take to take questions. Much, for a machine where others build at the same time.
const START_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Beam {
    pub(super) node: String,
    pub(super) pid: u32,
    pub(super) host: String,
    stdin: tokio::sync::Mutex<ChildStdin>,
    shared: Arc<Shared>,
    exit: watch::Receiver<Option<ExitStatus>>,
    next: AtomicU64,
}

/// What the readers of the node's output share with those who ask.
#[derive(Default)]
struct Shared {
    log: Mutex<String>,
    /// Changes whenever the log does.
    grown: watch::Sender<()>,
    waiting: Mutex<HashMap<String, oneshot::Sender<String>>>,
}

impl Beam {
    /// Starts a node and waits until it takes questions.
    pub(super) async fn start(cell: &Cell, start: &StartBeam) -> Result<Self, String> {
        cell.prepare_for_beam(&start.host).await?;
        let name = match (cell.engine.has_hosts(), start.long_names) {
            // As one types it in the field: the host's part is the host's own affair.
            (true, false) => start.alive.clone(),
            _ => format!(
                "{}@{}",
                start.alive,
                cell.host_part(&start.host, start.long_names)
            ),
        };
        let (ebin, scripts) = cell.scripts(&start.host);
        let program = command_line(start, &name, &ebin);
        let mut environment = start.environment.clone();
        environment.push(("BED_SCRIPTS".into(), scripts));
        let child = cell.command(&start.host, &environment, &program).await?.spawn();
        let mut child = child.map_err(|error| format!("{}: {error}", program.join(" ")))?;

        let shared = Arc::new(Shared::default());
        let ready = shared.expect("ready");
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("the node has no pipes".to_owned());
        };
        tokio::spawn(read(stdout, Arc::clone(&shared)));
        tokio::spawn(read(stderr, Arc::clone(&shared)));
        let (exited, mut exit) = watch::channel(None);
        tokio::spawn(wait(child, exited));

        let failed = |what: &str| format!("{name} on {} {what}:\n{}", start.host, shared.log());
        let ready = tokio::select! {
            ready = timeout(START_LIMIT, ready) => match ready {
                Ok(Ok(ready)) => ready,
                Ok(Err(_)) | Err(_) => return Err(failed("does not come up")),
            },
            _ = exit.changed() => return Err(failed("ended while it was starting")),
        };
        let (node, pid) = ready.split_once(' ').ok_or_else(|| failed("says nonsense"))?;
        let pid = pid.parse().map_err(|_| failed("says nonsense"))?;
        Ok(Self {
            node: node.to_owned(),
            pid,
            host: start.host.clone(),
            stdin: stdin.into(),
            shared,
            exit,
            next: AtomicU64::new(1),
        })
    }

    pub(super) async fn eval(
        &self,
        shell: &str,
        language: Language,
        source: &str,
        limit: Duration,
    ) -> Result<Answer, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let language = match language {
            Language::Erlang => "erl",
            Language::Elixir => "ex",
        };
        let answer = self.shared.expect(&id);
        let source = BASE64_STANDARD.encode(source);
        let question = format!("{id} {shell} {language} {} {source}\n", limit.as_millis());
        let asked = self.stdin.lock().await.write_all(question.as_bytes()).await;
        asked.map_err(|error| format!("{} takes no questions: {error}", self.node))?;

        // The node itself keeps the limit; a paused or dead one cannot.
        let mut exit = self.exit.clone();
        let answer = tokio::select! {
            answer = timeout(limit + Duration::from_secs(10), answer) => match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => return Err(format!("{} does not answer", self.node)),
            },
            _ = exit.wait_for(Option::is_some) => return Err(format!("{} has ended", self.node)),
        };
        let mut parts = answer.split(' ');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("ok"), Some(text), Some(term)) => Ok(Answer::Value {
                text: decoded(text),
                term: term.to_owned(),
            }),
            (Some("failed"), Some(text), None) => Err(decoded(text)),
            _ => Err(format!("{} answers nonsense: {answer}", self.node)),
        }
    }

    pub(super) fn log(&self) -> String {
        self.shared.log()
    }

    /// Waits until the log holds `text` so many times.
    pub(super) async fn await_log(
        &self,
        text: &str,
        times: usize,
        limit: Duration,
    ) -> Result<String, String> {
        let mut grown = self.shared.grown.subscribe();
        let there = async {
            while self.log().matches(text).count() < times {
                grown.changed().await.ok();
            }
        };
        match timeout(limit, there).await {
            Ok(()) => Ok(self.log()),
            Err(_) => Err(format!(
                "{} has not printed {text:?} {times} times in {limit:?}",
                self.node
            )),
        }
    }

    pub(super) async fn await_exit(&self, limit: Duration) -> Result<(), String> {
        match timeout(limit, self.exit.clone().wait_for(Option::is_some)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{} still runs after {limit:?}", self.node)),
        }
    }

    pub(super) async fn signal(&self, cell: &Cell, signal: Signal) -> Result<(), String> {
        let signal = match signal {
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
            Signal::Kill => "-KILL",
            Signal::Terminate => "-TERM",
        };
        let kill = [
            "sh".to_owned(),
            "-c".to_owned(),
            format!("kill {signal} {}", self.pid),
        ];
        let output = cell.command(&self.host, &[], &kill).await?.output().await;
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.exit.borrow().is_some()
    }
}

impl Shared {
    fn log(&self) -> String {
        lock(&self.log).clone()
    }

    fn expect(&self, id: &str) -> oneshot::Receiver<String> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).insert(id.to_owned(), sender);
        receiver
    }

    /// Takes a line that the node has printed: log, an answer, or the end of one and the other.
    fn line(&self, line: &str) {
        let (logged, answer) = match line.split_once(MARK) {
            Some((logged, answer)) => (logged, Some(answer)),
            None => (line, None),
        };
        if !logged.is_empty() || answer.is_none() {
            let mut log = lock(&self.log);
            log.push_str(logged);
            log.push('\n');
            drop(log);
            self.grown.send_replace(());
        }
        if let Some((id, rest)) = answer.and_then(|answer| answer.split_once(' '))
            && let Some(waiting) = lock(&self.waiting).remove(id)
        {
            waiting.send(rest.to_owned()).ok();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn read(output: impl AsyncRead + Unpin, shared: Arc<Shared>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|length| length > 0)
    {
        shared.line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
        line.clear();
    }
}

async fn wait(mut child: Child, exited: watch::Sender<Option<ExitStatus>>) {
    // Dropping every handle of the node ends it.
    tokio::select! {
        status = child.wait() => { exited.send_replace(status.ok().or_else(|| Some(ExitStatus::default()))); }
        () = exited.closed() => {}
    }
}

fn decoded(base64: &str) -> String {
    let bytes = BASE64_STANDARD.decode(base64).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The command line that starts a node: as a user has it, plus what makes it take questions.
fn command_line(start: &StartBeam, name: &str, ebin: &str) -> Vec<String> {
    let mut line: Vec<String> = Vec::new();
    let mut add = |parts: &[&str]| line.extend(parts.iter().map(|&part| part.to_owned()));
    let arguments: Vec<&str> = start.arguments.iter().map(String::as_str).collect();
    match start.kind {
        Language::Erlang => {
            add(&[
                "erl",
                "-noshell",
                if start.long_names { "-name" } else { "-sname" },
                name,
            ]);
            if let Some(cookie) = &start.cookie {
                add(&["-setcookie", cookie]);
            }
            if start.hidden {
                add(&["-hidden"]);
            }
            add(&["-pa", ebin]);
            add(&arguments);
            add(&["-s", "bed", "start"]);
        }
        Language::Elixir => {
            add(&[
                "elixir",
                if start.long_names { "--name" } else { "--sname" },
                name,
            ]);
            if let Some(cookie) = &start.cookie {
                add(&["--cookie", cookie]);
            }
            if start.hidden {
                add(&["--hidden"]);
            }
            let erl = format!("-pa {ebin} {}", arguments.join(" "));
            add(&["--erl", erl.trim(), "--no-halt", "-e", ":bed.start()"]);
        }
    }
    line
}
