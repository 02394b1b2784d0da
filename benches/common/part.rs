//! A node in a process of its own that does as it is told.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A process that says `ready NAME PID` when it is, and then answers each line on its standard input with one that begins with
/// a digit.
pub(crate) struct Part {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pub(crate) name: String,
    pub(crate) pid: u32,
}

impl Part {
    /// Starts it, without waiting until it is ready.
    pub(crate) fn launch(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let stdin = process.stdin.take().expect("a pipe");
        let stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        Self {
            process,
            stdin,
            stdout,
            name: String::new(),
            pid: 0,
        }
    }

    /// Waits until it is.
    pub(crate) fn get_ready(&mut self) {
        let ready = self.line();
        let mut words = ready.split_whitespace().skip(1);
        self.name = words.next().expect("a name").to_owned();
        self.pid = words.next().and_then(|pid| pid.parse().ok()).expect("a pid");
    }

    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).expect("it answers");
            assert!(read > 0, "{} has ended", self.name);
            if line.starts_with("ready ") || line.starts_with(|first: char| first.is_ascii_digit()) {
                return line;
            }
        }
    }

    pub(crate) fn tell(&mut self, order: &str) {
        writeln!(self.stdin, "{order}").expect("it reads");
    }

    pub(crate) fn answer(&mut self) -> u64 {
        self.line().trim().parse().expect("a count")
    }

    /// Processor time so far, in hundredths of a second.
    pub(crate) fn cpu(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let mut next = || {
            fields
                .next()
                .and_then(|field| field.parse::<u64>().ok())
                .expect("a number")
        };
        next() + next()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// In such a process: the next line that it is told, until there is nobody to tell it.
pub(crate) async fn order() -> Option<String> {
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    line.await.ok()?.ok().filter(|line| !line.is_empty())
}
