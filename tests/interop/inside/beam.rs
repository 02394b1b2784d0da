//! A real node as a case has it.

use std::{fmt, panic::Location, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Bed, COOKIE, LIMIT};
use crate::wire::{Answer, Ask, Language, Signal, StartBeam};

/// How a real node shall be started.
pub(crate) struct BeamBuilder {
    bed: Bed,
    start: StartBeam,
}

impl BeamBuilder {
    pub(super) fn new(bed: Bed, kind: Language, alive: &str, host: &str) -> Self {
        let start = StartBeam {
            kind,
            alive: alive.to_owned(),
            host: host.to_owned(),
            long_names: false,
            hidden: false,
            cookie: Some(COOKIE.to_owned()),
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        Self { bed, start }
    }

    pub(crate) fn hidden(mut self) -> Self {
        self.start.hidden = true;
        self
    }

    /// Another release than the cell's, on a host `HOST-otpNN`.
    pub(crate) fn release(mut self, release: u32) -> Self {
        self.start.host = format!("{}-otp{release}", self.start.host);
        self
    }

    /// `-name` instead of `-sname`.
    pub(crate) fn long_names(mut self) -> Self {
        self.start.long_names = true;
        self
    }

    pub(crate) fn cookie(mut self, cookie: &str) -> Self {
        self.start.cookie = Some(cookie.to_owned());
        self
    }

    /// No cookie on the command line: `~/.erlang.cookie` of the host holds it.
    pub(crate) fn cookie_from_file(mut self) -> Self {
        self.start.cookie = None;
        self
    }

    /// Seconds of `net_ticktime`. Every node of a cluster has the same.
    pub(crate) fn ticktime(self, seconds: u32) -> Self {
        self.arguments(&["-kernel", "net_ticktime", &seconds.to_string()])
    }

    /// More for the command line of `erl`.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.start
            .arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    pub(crate) fn environment(mut self, key: &str, value: &str) -> Self {
        self.start.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts the node and waits until it is up.
    pub(crate) async fn start(self) -> Beam {
        match self.bed.outside.ask(Ask::Start(self.start.clone())).await {
            Ok(Answer::Started { beam, node, pid }) => Beam {
                bed: self.bed,
                beam,
                node,
                pid,
                host: self.start.host,
                language: self.start.kind,
            },
            other => panic!("{other:?}"),
        }
    }
}

/// A running real node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Beam {
    bed: Bed,
    beam: usize,
    node: String,
    pid: u32,
    host: String,
    language: Language,
}

impl Beam {
    /// `ALIVE@HOST`, as the node itself has it.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The process id on its host.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The value of an expression, in the node's own language. Expressions are evaluated one after the other by the same
    /// process, and bindings stay. One that fails, or takes longer than [`LIMIT`], fails the case.
    #[track_caller]
    pub(crate) fn eval(&self, source: impl Into<String>) -> impl Future<Output = Value> {
        self.eval_in("main", source, LIMIT)
    }

    /// [`Beam::eval`] in a shell of its own, beside the main one, with a limit of its own.
    #[track_caller]
    pub(crate) fn eval_in(
        &self,
        shell: &str,
        source: impl Into<String>,
        limit: Duration,
    ) -> impl Future<Output = Value> {
        let caller = Location::caller();
        let source = source.into();
        let evaluated = self.try_eval(shell, source.clone(), limit);
        async move {
            match evaluated.await {
                Ok(value) => value,
                Err(error) => panic!("{caller}: {} evaluating {source}: {error}", self.node),
            }
        }
    }

    /// The value of an expression, or how it failed.
    pub(crate) async fn try_eval(
        &self,
        shell: &str,
        source: String,
        limit: Duration,
    ) -> Result<Value, String> {
        let (beam, shell, language) = (self.beam, shell.to_owned(), self.language);
        match self
            .bed
            .outside
            .ask(Ask::Eval {
                beam,
                shell,
                language,
                source,
                limit,
            })
            .await?
        {
            Answer::Value { text, term } => {
                let term = BASE64_STANDARD.decode(term).map_err(|error| error.to_string())?;
                Ok(Value { text, term })
            }
            other => Err(format!("{other:?}")),
        }
    }

    /// All that the node has printed.
    pub(crate) async fn log(&self) -> String {
        match self.bed.outside.ask(Ask::Log { beam: self.beam }).await {
            Ok(Answer::Text(log)) => log,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the node has printed `text` so many times, and gives all that it has printed.
    #[track_caller]
    pub(crate) fn await_log(
        &self,
        text: &str,
        times: usize,
        limit: Duration,
    ) -> impl Future<Output = String> {
        let caller = Location::caller();
        let ask = Ask::AwaitLog {
            beam: self.beam,
            text: text.to_owned(),
            times,
            limit,
        };
        async move {
            match self.bed.outside.ask(ask).await {
                Ok(Answer::Text(log)) => log,
                other => panic!("{caller}: {other:?}"),
            }
        }
    }

    /// Stops the node's process where it is: it answers nothing, and its connections stay open.
    pub(crate) async fn pause(&self) {
        self.signal(Signal::Stop).await;
    }

    pub(crate) async fn resume(&self) {
        self.signal(Signal::Continue).await;
    }

    /// Ends the node's process at once, and waits until it is gone.
    pub(crate) async fn kill(&self) {
        self.signal(Signal::Kill).await;
        self.await_exit().await;
    }

    /// Asks the node's process to end, and waits until it has.
    pub(crate) async fn terminate(&self) {
        self.signal(Signal::Terminate).await;
        self.await_exit().await;
    }

    /// Waits until the node's process is gone.
    pub(crate) async fn await_exit(&self) {
        let (beam, limit) = (self.beam, LIMIT);
        self.bed.outside.done(Ask::AwaitExit { beam, limit }).await;
    }

    async fn signal(&self, signal: Signal) {
        self.bed
            .outside
            .done(Ask::Signal {
                beam: self.beam,
                signal,
            })
            .await;
    }
}

/// What an expression evaluated to.
#[derive(Clone)]
pub(crate) struct Value {
    text: String,
    term: Vec<u8>,
}

impl Value {
    /// As the node prints it: `~0tp`, or Elixir's `inspect`.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// As `term_to_binary` has it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.term
    }

    /// Of an expression whose value is a list of so many whole numbers.
    #[track_caller]
    pub(crate) fn integers<const N: usize>(&self) -> [i64; N] {
        let parts = self.text.trim_matches(['[', ']']).split(',');
        let integers: Vec<i64> = parts.filter_map(|part| part.parse().ok()).collect();
        integers
            .try_into()
            .unwrap_or_else(|_| panic!("{} is not a list of {N} whole numbers", self.text))
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, text: &str) -> bool {
        self.text == text
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, text: &&str) -> bool {
        self.text == *text
    }
}

impl PartialEq<String> for Value {
    fn eq(&self, text: &String) -> bool {
        self.text == *text
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
