//! What the two halves of a running case say to each other: JSON lines, questions from the inside half's standard output,
//! replies on its standard input. The inside half runs on the case's host `rust`; the outside half owns everything else.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Asked by the inside half. Questions run side by side; replies come in any order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) id: u64,
    pub(crate) ask: Ask,
}

/// The outside half's reply to the question of the same id: the answer, or what a person should know about why there is none.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    pub(crate) answer: Result<Answer, String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Start a BEAM node and wait until it takes questions. Answer: `Started`.
    Start(StartBeam),
    /// That there is an Elixir on a host. Where there is none, the case is not covered, instead of failed.
    RequireElixir { host: String },
    /// Evaluate source on a node. Answer: `Value`.
    Eval {
        beam: usize,
        shell: String,
        language: Language,
        source: String,
        limit: Duration,
    },
    /// All that the node has printed. Answer: `Text`.
    Log { beam: usize },
    /// Wait until the node has printed `text` at least `times` times. Answer: `Text`, the whole log.
    AwaitLog {
        beam: usize,
        text: String,
        times: usize,
        limit: Duration,
    },
    /// Send a signal to exactly the node's own operating system process.
    Signal { beam: usize, signal: Signal },
    /// Wait until the node's process is gone.
    AwaitExit { beam: usize, limit: Duration },
    /// Drop every packet from `from` to `to`, silently.
    Cut { from: String, to: String },
    /// Let all packets through again.
    Heal,
    /// Stop or continue every process of a host.
    Freeze { host: String, frozen: bool },
    /// Run a command on a host to its end. Answer: `Output`.
    Run {
        host: String,
        command: Vec<String>,
        limit: Duration,
    },
    /// Keep a recording as `fixtures/NAME`, where this run was asked to (`BED_RECORD`).
    Fixture { name: String, text: String },
    /// A line for the end of the run, where figures are printed.
    Note { text: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Started {
        beam: usize,
        node: String,
        pid: u32,
    },
    Value {
        text: String,
        term: String,
    },
    Text(String),
    Output {
        code: Option<i32>,
        stdout: String,
        stderr: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StartBeam {
    pub(crate) kind: Language,
    pub(crate) alive: String,
    pub(crate) host: String,
    /// `-name` with the host's address instead of `-sname`.
    pub(crate) long_names: bool,
    pub(crate) hidden: bool,
    pub(crate) cookie: Option<String>,
    /// More for the command line of `erl`, after everything else.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Language {
    Erlang,
    Elixir,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Signal {
    Stop,
    Continue,
    Kill,
    Terminate,
}

/// Which program plays the part that a case judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SubjectKind {
    Rust,
    Beam,
}

/// What the inside half is told when it starts, in the variable `BED_CONTEXT`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) case: String,
    pub(crate) release: u32,
    pub(crate) subject: SubjectKind,
    /// Every host is this one: the host part of node names is not the host's name in the case.
    pub(crate) one_host: Option<String>,
}

/// The variable that holds the [`Context`].
pub(crate) const CONTEXT: &str = "BED_CONTEXT";
