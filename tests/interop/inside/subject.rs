//! The node that a case judges. Ours is a `beamnode node`, as a user starts it, or where it is to connect by itself, a
//! [`connector`] on the library; a BEAM node in the same part, with `echo` registered and its node events printed as ours
//! prints them, shows that the judge is right.

use std::{panic::Location, path::Path, time::Duration};

use super::{
    Beam, Bed, COOKIE, LIMIT, connector, epmd,
    rust::{self, RustNode},
};
use crate::wire::SubjectKind;

/// For a BEAM node that lets partitions overlap.
pub(crate) const OVERLAPPING: &[&str] = &["-kernel", "prevent_overlapping_partitions", "false"];

pub(crate) struct SubjectBuilder {
    bed: Bed,
    alive: String,
    hidden: bool,
    long_names: bool,
    cookie: String,
    ticktime: Option<u32>,
    connecting: bool,
    /// For a BEAM node alone.
    arguments: Vec<String>,
    connect_all: bool,
    prevents: bool,
}

impl SubjectBuilder {
    pub(super) fn new(bed: Bed, alive: &str) -> Self {
        let (alive, cookie) = (alive.to_owned(), COOKIE.to_owned());
        Self {
            bed,
            alive,
            hidden: false,
            long_names: false,
            cookie,
            ticktime: None,
            connecting: false,
            arguments: Vec::new(),
            connect_all: true,
            prevents: true,
        }
    }

    pub(crate) fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(crate) fn long_names(mut self) -> Self {
        self.long_names = true;
        self
    }

    pub(crate) fn cookie(mut self, cookie: &str) -> Self {
        self.cookie = cookie.to_owned();
        self
    }

    /// Seconds of `net_ticktime`.
    pub(crate) fn ticktime(mut self, seconds: u32) -> Self {
        self.ticktime = Some(seconds);
        self
    }

    /// More for the command line of `erl`, where a BEAM node is the subject.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// It has the connections that somebody asks for: `-connect_all false`.
    pub(crate) fn keeping_to_itself(mut self) -> Self {
        self.connect_all = false;
        self
    }

    /// It lets partitions overlap: `-kernel prevent_overlapping_partitions false`.
    pub(crate) fn overlapping(mut self) -> Self {
        self.prevents = false;
        self
    }

    /// It takes the part of the one that connects: [`Subject::ping`] and [`Subject::disconnect`] can be asked of it.
    pub(crate) fn connecting(mut self) -> Self {
        self.connecting = true;
        self
    }

    /// Starts the node and waits until it is registered at its EPMD.
    pub(crate) async fn start(self) -> Subject {
        match self.bed.context.subject {
            SubjectKind::Beam => self.start_beam().await,
            SubjectKind::Rust => self.start_rust().await,
        }
    }

    async fn start_beam(self) -> Subject {
        let mut erl = self
            .bed
            .erl(&self.alive, self.bed.subject_host())
            .cookie(&self.cookie);
        if self.hidden {
            erl = erl.hidden();
        }
        if self.long_names {
            erl = erl.long_names();
        }
        if let Some(seconds) = self.ticktime {
            erl = erl.ticktime(seconds);
        }
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        erl = erl.arguments(&arguments);
        if !self.connect_all {
            erl = erl.arguments(&["-connect_all", "false"]);
        }
        if !self.prevents {
            erl = erl.arguments(OVERLAPPING);
        }
        let beam = erl.start().await;
        beam.eval("{bed:echo(), bed:events()}").await;
        Subject {
            node: beam.node().to_owned(),
            bed: self.bed,
            program: Program::Beam(beam),
        }
    }

    async fn start_rust(self) -> Subject {
        let one_host = self.bed.context.one_host.as_deref();
        let name = match (one_host, self.long_names) {
            (None, false) => self.alive.clone(),
            (None, true) => format!("{}@rust.bed.test", self.alive),
            (Some(_), true) => format!("{}@127.0.0.1", self.alive),
            (Some(host), false) => format!("{}@{host}", self.alive),
        };
        let mut arguments = Vec::new();
        arguments.push(
            if self.connecting {
                connector::ARGUMENT
            } else {
                "node"
            }
            .to_owned(),
        );
        arguments.extend([
            if self.long_names { "--name" } else { "--sname" }.to_owned(),
            name.clone(),
        ]);
        arguments.extend(["--cookie".to_owned(), self.cookie]);
        if self.hidden {
            arguments.push("--hidden".to_owned());
        }
        if let Some(seconds) = self.ticktime {
            arguments.extend(["--net-ticktime".to_owned(), seconds.to_string()]);
        }
        if !self.connect_all {
            arguments.extend(["--connect-all", "false"].map(str::to_owned));
        }
        if !self.prevents {
            arguments.extend(["--prevent-overlapping-partitions", "false"].map(str::to_owned));
        }
        let program = if self.connecting {
            std::env::current_exe().expect("this program has a path")
        } else {
            Path::new(rust::BEAMNODE).to_owned()
        };
        let rust = RustNode::spawn(&program, &arguments);
        let node = if name.contains('@') {
            name
        } else {
            format!("{name}@rust")
        };
        let port = epmd::await_port("localhost", &self.alive)
            .await
            .unwrap_or_else(|| panic!("{node} does not register at its EPMD"));
        Subject {
            node,
            bed: self.bed,
            program: Program::Rust(Box::new(rust), port),
        }
    }
}

pub(crate) struct Subject {
    bed: Bed,
    node: String,
    program: Program,
}

enum Program {
    /// With the port that it listens on.
    Rust(Box<RustNode>, u16),
    Beam(Beam),
}

impl Subject {
    /// `ALIVE@HOST`.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(crate) fn is_rust(&self) -> bool {
        matches!(self.program, Program::Rust(_, _))
    }

    /// Where it listens, as `host` and port.
    pub(crate) async fn address(&self) -> (String, u16) {
        let (alive, host) = self.node.split_once('@').expect("a node's name");
        let port = epmd::port(host, alive).await.expect("the subject is registered");
        (host.to_owned(), port)
    }

    /// Waits until the subject has printed this node event for the so manieth time, and gives the last of them whole:
    /// `nodeup NODE`, `nodedown NODE REASON`.
    #[track_caller]
    pub(crate) fn await_event(
        &self,
        event: &str,
        times: usize,
        limit: Duration,
    ) -> impl Future<Output = String> {
        let caller = Location::caller();
        let event = event.to_owned();
        async move {
            let printed = match &self.program {
                Program::Rust(rust, _) => rust.output().wait(&event, times, limit).await,
                Program::Beam(beam) => beam.await_log(&event, times, limit).await,
            };
            let line = printed.lines().rfind(|line| line.starts_with(&event));
            line.unwrap_or_else(|| panic!("{caller}: {event:?} stands within a line"))
                .to_owned()
        }
    }

    /// Waits until it has printed that.
    #[track_caller]
    pub(crate) fn await_printed(&self, text: &str) -> impl Future<Output = String> {
        let caller = Location::caller();
        let text = text.to_owned();
        async move {
            match &self.program {
                Program::Rust(rust, _) => rust.output().wait(&text, 1, LIMIT).await,
                Program::Beam(beam) => {
                    let printed = beam.await_log(&text, 1, LIMIT).await;
                    assert!(printed.contains(&text), "{caller}");
                    printed
                }
            }
        }
    }

    /// Waits until it has logged that.
    #[track_caller]
    pub(crate) fn await_logged(&self, text: &str) -> impl Future<Output = String> {
        let text = text.to_owned();
        async move {
            match &self.program {
                Program::Rust(rust, _) => rust.log().wait(&text, 1, LIMIT).await,
                Program::Beam(beam) => beam.await_log(&text, 1, LIMIT).await,
            }
        }
    }

    /// The node events printed so far about one node.
    pub(crate) async fn events_about(&self, node: &str) -> Vec<String> {
        let printed = match &self.program {
            Program::Rust(rust, _) => rust.output().text(),
            Program::Beam(beam) => beam.log().await,
        };
        let about = |line: &&str| {
            let mut words = line.split(' ');
            matches!(words.next(), Some("nodeup" | "nodedown")) && words.next() == Some(node)
        };
        printed.lines().filter(about).map(str::to_owned).collect()
    }

    /// Waits until ours has logged a line that holds all of `words`.
    #[track_caller]
    pub(crate) fn await_log(&self, words: &[&str]) -> impl Future<Output = ()> {
        let caller = Location::caller();
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        async move {
            let Program::Rust(rust, _) = &self.program else {
                return;
            };
            if !rust
                .log()
                .wait_line(|line| words.iter().all(|word| line.contains(word)), LIMIT)
                .await
            {
                panic!("{caller}: no line of the log has {words:?}");
            }
        }
    }

    /// A ping from the subject's side, which connects: `pong` or `pang`, with ours followed by why.
    pub(crate) async fn ping(&self, node: &str) -> String {
        match &self.program {
            Program::Rust(rust, _) => rust.command(&format!("ping {node}")).await,
            Program::Beam(beam) => beam
                .eval(format!("net_adm:ping('{node}')"))
                .await
                .text()
                .to_owned(),
        }
    }

    /// `disconnect_node`, from the subject's side.
    pub(crate) async fn disconnect(&self, node: &str) {
        match &self.program {
            Program::Rust(rust, _) => assert_eq!(rust.command(&format!("disconnect {node}")).await, "true"),
            Program::Beam(beam) => assert_eq!(beam.eval(format!("disconnect_node('{node}')")).await, "true"),
        }
    }

    pub(crate) async fn pause(&self) {
        match &self.program {
            Program::Rust(rust, _) => rust.signal("STOP").await,
            Program::Beam(beam) => beam.pause().await,
        }
    }

    pub(crate) async fn resume(&self) {
        match &self.program {
            Program::Rust(rust, _) => rust.signal("CONT").await,
            Program::Beam(beam) => beam.resume().await,
        }
    }

    /// Ends it at once, as `kill -KILL` does.
    pub(crate) async fn kill(&self) {
        match &self.program {
            Program::Rust(rust, _) => {
                rust.signal("KILL").await;
                self.ended().await;
            }
            Program::Beam(beam) => beam.kill().await,
        }
    }

    /// Asks it to end, as SIGTERM does, and waits until it has.
    pub(crate) async fn terminate(&self) {
        match &self.program {
            Program::Rust(rust, _) => {
                rust.signal("TERM").await;
                self.ended().await;
            }
            Program::Beam(beam) => beam.terminate().await,
        }
    }

    /// Waits until it has ended and EPMD knows, and says with which exit code where that is known.
    pub(crate) async fn ended(&self) -> Option<i32> {
        match &self.program {
            Program::Rust(rust, port) => {
                let code = rust.await_exit().await;
                epmd::await_gone(&self.node, *port).await;
                code
            }
            Program::Beam(beam) => {
                beam.await_exit().await;
                None
            }
        }
    }

    /// How many files and sockets it has open.
    pub(crate) async fn open_files(&self) -> usize {
        match &self.program {
            Program::Rust(rust, _) => rust.open_files(),
            Program::Beam(beam) => {
                let list = format!("ls /proc/{}/fd | wc -l", beam.pid());
                let output = self.bed.run(beam.host(), &["sh", "-c", &list]).await;
                output.stdout.trim().parse().expect("a count")
            }
        }
    }

    pub(crate) async fn is_running(&self) -> bool {
        match &self.program {
            Program::Rust(rust, _) => !rust.has_ended().await,
            Program::Beam(beam) => beam.try_eval("alive", "ok".to_owned(), LIMIT).await.is_ok(),
        }
    }
}
