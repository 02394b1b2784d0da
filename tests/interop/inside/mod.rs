//! The inside half: a case and its [`Bed`], the handle by which it has BEAM nodes, cuts and commands from the outside half,
//! and Rust nodes on its own host. Everything that does not work panics with the place in the case that asked for it: a
//! case is a list of what must hold.

mod beam;
pub(crate) mod connector;
pub(crate) mod epmd;
pub(crate) mod examples;
mod outside;
mod recorder;
mod rust;
mod subject;

use std::{panic::AssertUnwindSafe, process::ExitCode, sync::Arc, time::Duration};

pub(crate) use self::{
    beam::Beam,
    recorder::{Recorder, Side},
    rust::BEAMNODE,
    subject::{OVERLAPPING, Subject, SubjectBuilder},
};
use self::{beam::BeamBuilder, outside::Outside};
use crate::{
    cases,
    wire::{Answer, Ask, CONTEXT, Context, Language, SubjectKind},
};

/// What a case waits for comes in less, or not at all: also on a machine where others build.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The cookie of every node that is not given another.
pub(crate) const COOKIE: &str = "bed";

pub(crate) fn main() -> ExitCode {
    let context = std::env::var(CONTEXT).ok();
    let Some(context) = context.and_then(|context| serde_json::from_str::<Context>(&context).ok()) else {
        eprintln!("the outside half starts this, with {CONTEXT} set");
        return ExitCode::FAILURE;
    };
    let Some(case) = cases::all().into_iter().find(|case| case.name == context.case) else {
        eprintln!("there is no case {}", context.case);
        return ExitCode::FAILURE;
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let outside = Outside::connect(rust::print_logs);
            (case.run)(Bed {
                outside,
                context: Arc::new(context),
            })
            .await;
        });
    }));
    if played.is_err() {
        // What was wrong has been printed where it was found.
        rust::print_logs();
    }
    // Not by way of the runtime's end, which would wait for a line on standard input.
    std::process::exit(i32::from(played.is_err()))
}

/// A case's test bed: hosts of its own, on which nodes are started. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bed {
    outside: Outside,
    context: Arc<Context>,
}

/// What a command has printed.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bed {
    /// The OTP release of the BEAM nodes.
    pub(crate) fn release(&self) -> u32 {
        self.context.release
    }

    /// The node that is judged, named `rust`: ours, or a BEAM node when the judge itself is tried.
    pub(crate) fn subject(&self) -> SubjectBuilder {
        SubjectBuilder::new(self.clone(), "rust")
    }

    /// The same bed with a BEAM node as the one that is judged, for what both kinds have to do alike.
    pub(crate) fn with_beam_subject(&self) -> Self {
        let mut context = Context::clone(&self.context);
        context.subject = SubjectKind::Beam;
        Self {
            outside: self.outside.clone(),
            context: Arc::new(context),
        }
    }

    /// A program of `examples/`, on the host `rust`.
    pub(crate) fn example(&self, name: &str, arguments: &[&str]) -> examples::Example {
        examples::Example::start(name, arguments)
    }

    /// One more node of the kind that is judged.
    pub(crate) fn subject_named(&self, alive: &str) -> SubjectBuilder {
        SubjectBuilder::new(self.clone(), alive)
    }

    /// A real node, `ALIVE@HOST`, started by `erl`.
    pub(crate) fn erl(&self, alive: &str, host: &str) -> BeamBuilder {
        BeamBuilder::new(self.clone(), Language::Erlang, alive, host)
    }

    /// A real node, started by `elixir`.
    pub(crate) fn elixir(&self, alive: &str, host: &str) -> BeamBuilder {
        BeamBuilder::new(self.clone(), Language::Elixir, alive, host)
    }

    /// For a case that runs Elixir's commands by [`Bed::run`]: where there is no Elixir, it ends here and counts as not covered.
    pub(crate) async fn require_elixir(&self, host: &str) {
        self.outside.done(Ask::RequireElixir { host: host.into() }).await;
    }

    /// From now on no packet goes between the two hosts. Nobody is told.
    pub(crate) async fn cut(&self, one: &str, other: &str) {
        self.cut_one_way(one, other).await;
        self.cut_one_way(other, one).await;
    }

    /// From now on no packet of `from` reaches `to`; those of `to` reach `from`.
    pub(crate) async fn cut_one_way(&self, from: &str, to: &str) {
        self.outside
            .done(Ask::Cut {
                from: from.into(),
                to: to.into(),
            })
            .await;
    }

    pub(crate) async fn heal(&self) {
        self.outside.done(Ask::Heal).await;
    }

    /// Stops every process of a host, until it is thawed.
    pub(crate) async fn freeze(&self, host: &str) {
        self.outside
            .done(Ask::Freeze {
                host: host.into(),
                frozen: true,
            })
            .await;
    }

    pub(crate) async fn thaw(&self, host: &str) {
        self.outside
            .done(Ask::Freeze {
                host: host.into(),
                frozen: false,
            })
            .await;
    }

    /// Runs a command on a host to its end, which it reaches within [`LIMIT`].
    pub(crate) async fn run(&self, host: &str, command: &[&str]) -> Output {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        match self
            .outside
            .ask(Ask::Run {
                host: host.into(),
                command,
                limit: LIMIT,
            })
            .await
        {
            Ok(Answer::Output { code, stdout, stderr }) => Output { code, stdout, stderr },
            other => panic!("{other:?}"),
        }
    }

    /// Runs our own command, `beamnode`, on the host `rust`.
    pub(crate) async fn beamnode(&self, arguments: &[&str]) -> Output {
        rust::run(arguments).await
    }

    /// Keeps a recording as `fixtures/NAME` in a run with `BED_RECORD` set.
    pub(crate) async fn fixture(&self, name: &str, text: &str) {
        self.outside
            .done(Ask::Fixture {
                name: name.into(),
                text: text.into(),
            })
            .await;
    }

    /// A figure to print at the end of the run.
    pub(crate) async fn note(&self, text: impl Into<String>) {
        self.outside.done(Ask::Note { text: text.into() }).await;
    }

    /// By which name nodes find the host `rust`.
    pub(crate) fn rust_host_name(&self) -> &str {
        self.context.one_host.as_deref().unwrap_or("rust")
    }

    /// Whether hosts are containers of their own, and not all of them this machine.
    pub(crate) fn has_hosts(&self) -> bool {
        self.context.one_host.is_none()
    }

    /// The host of the subject: containers to cut off or run commands on.
    pub(crate) fn subject_host(&self) -> &'static str {
        match self.context.subject {
            SubjectKind::Rust => "rust",
            SubjectKind::Beam => "subject",
        }
    }
}
