//! Our own programs run by a case on its own host: a node that stays up, with its lines and its log kept, and `beamnode`
//! commands that end.

use std::{
    fs,
    panic::Location,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
    time::timeout,
};

use super::{LIMIT, Output};

/// Where cargo put `beamnode`.
pub(crate) const BEAMNODE: &str = env!("CARGO_BIN_EXE_beamnode");

/// Every node that this case has started, for the report of a case that fails.
static STARTED: Mutex<Vec<Started>> = Mutex::new(Vec::new());

struct Started {
    arguments: String,
    output: Arc<Printed>,
    log: Arc<Printed>,
}

/// A running program that is a node. It is killed when dropped.
pub(super) struct RustNode {
    process: tokio::sync::Mutex<Child>,
    /// Where it takes commands, with the count of those it was given.
    stdin: tokio::sync::Mutex<(ChildStdin, usize)>,
    pid: u32,
    output: Arc<Printed>,
    log: Arc<Printed>,
}

/// Lines, as they come.
#[derive(Default)]
pub(super) struct Printed {
    text: Mutex<String>,
    grown: watch::Sender<()>,
}

impl RustNode {
    pub(super) fn spawn(program: &Path, arguments: &[String]) -> Self {
        Self::run(Command::new(program), arguments)
    }

    /// An example, of which this program is made too.
    pub(super) fn example(name: &str, arguments: &[String]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.env(super::examples::VARIABLE, name);
        Self::run(command, arguments)
    }

    fn run(mut command: Command, arguments: &[String]) -> Self {
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().expect("the program starts");
        let (output, log) = (Arc::new(Printed::default()), Arc::new(Printed::default()));
        let stdout = process.stdout.take().expect("a pipe");
        let stderr = process.stderr.take().expect("a pipe");
        let stdin = process.stdin.take().expect("a pipe");
        tokio::spawn(read(stdout, Arc::clone(&output)));
        tokio::spawn(read(stderr, Arc::clone(&log)));
        let (arguments, output_too, log_too) = (arguments.join(" "), Arc::clone(&output), Arc::clone(&log));
        let started = Started {
            arguments,
            output: output_too,
            log: log_too,
        };
        STARTED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(started);
        let pid = process.id().expect("a process that was just started");
        Self {
            process: process.into(),
            stdin: (stdin, 0).into(),
            pid,
            output,
            log,
        }
    }

    /// Gives it a command that it answers with a line `answer …`: the rest of that line.
    pub(super) async fn command(&self, command: &str) -> String {
        let mut stdin = self.stdin.lock().await;
        stdin
            .0
            .write_all(format!("{command}\n").as_bytes())
            .await
            .expect("it takes commands");
        stdin.1 += 1;
        let answered = self.output.wait("answer ", stdin.1, LIMIT).await;
        let mut answers = answered.lines().filter_map(|line| line.strip_prefix("answer "));
        answers.next_back().expect("an answer").to_owned()
    }

    /// Writes it a line.
    pub(super) async fn line(&self, line: &str) {
        let mut stdin = self.stdin.lock().await;
        let written = stdin.0.write_all(format!("{line}\n").as_bytes()).await;
        written.expect("it reads lines");
    }

    /// Its standard output: node events.
    pub(super) fn output(&self) -> &Printed {
        &self.output
    }

    /// Its standard error.
    pub(super) fn log(&self) -> &Printed {
        &self.log
    }

    pub(super) async fn has_ended(&self) -> bool {
        !matches!(self.process.lock().await.try_wait(), Ok(None))
    }

    /// The kill(2) of the host's own shell: `KILL`, `STOP`, `CONT`, `TERM`.
    pub(super) async fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.pid);
        let status = Command::new("sh")
            .args(["-c", &kill])
            .stdin(Stdio::null())
            .status()
            .await;
        assert!(status.is_ok_and(|status| status.success()), "{kill}");
    }

    /// Waits until it has ended, and says with which exit code; none where a signal ended it.
    pub(super) async fn await_exit(&self) -> Option<i32> {
        let mut process = self.process.lock().await;
        let ended = timeout(LIMIT, process.wait()).await;
        ended
            .expect("beamnode does not end")
            .expect("a process that was just started")
            .code()
    }

    pub(super) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }
}

impl Printed {
    pub(super) fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `text` was printed so many times, and gives all that was printed.
    #[track_caller]
    pub(super) fn wait(&self, text: &str, times: usize, limit: Duration) -> impl Future<Output = String> {
        let caller = Location::caller();
        let text = text.to_owned();
        async move {
            let mut grown = self.grown.subscribe();
            let there = async {
                while self.text().matches(&text).count() < times {
                    grown.changed().await.ok();
                }
            };
            if timeout(limit, there).await.is_err() {
                panic!("{caller}: {text:?} was not printed {times} times in {limit:?}");
            }
            self.text()
        }
    }

    /// Waits until a line of this kind was printed; whether it was.
    pub(super) async fn wait_line(&self, wanted: impl Fn(&str) -> bool, limit: Duration) -> bool {
        let mut grown = self.grown.subscribe();
        let there = async {
            while !self.text().lines().any(&wanted) {
                grown.changed().await.ok();
            }
        };
        timeout(limit, there).await.is_ok()
    }
}

/// Runs `beamnode` to its end.
pub(super) async fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(BEAMNODE);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("beamnode {} does not end", arguments.join(" ")));
    let output = output.expect("beamnode starts");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Prints all that this case's Rust nodes have printed.
pub(super) fn print_logs() {
    for Started {
        arguments,
        output,
        log,
    } in STARTED.lock().unwrap_or_else(PoisonError::into_inner).iter()
    {
        eprintln!(
            "--- output of beamnode {arguments}\n{}--- its log\n{}",
            output.text(),
            log.text()
        );
    }
}

async fn read(output: impl AsyncRead + Unpin, printed: Arc<Printed>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut text = printed.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&line);
        text.push('\n');
        drop(text);
        printed.grown.send_replace(());
    }
}
