//! What a supervisor reports, as OTP's do: what it says, and the text that OTP's logger makes of it.

use std::fmt;

use crate::otp::io::Formatter;
use crate::term::{Map, Pid, Term};

/// A report of a supervisor: the one that the module `supervisor` of OTP gives to its logger.
///
/// Prints as OTP's logger prints it, without the time:
///
/// ```text
/// =SUPERVISOR REPORT====
///     supervisor: {local,tree}
///     errorContext: child_terminated
///     reason: {panic,<<"no leaves">>}
///     offender: [{pid,<0.17.0>},
///                {id,gardener},
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub(super) supervisor: Term,
    pub(super) event: Event,
    /// Of the child: `[{pid, Pid}, {id, Id}, {mfargs, …}, {restart_type, …}, …]`.
    pub(super) child: Term,
    /// Whose pids print as `<0.17.0>`.
    pub(super) here: Pid,
}

/// What a supervisor reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A child was started: a progress report.
    Started,
    /// A child has ended with this reason, not as it should: `child_terminated`.
    ChildTerminated(Term),
    /// The supervisor gives up: `shutdown`, because of `reached_max_restart_intensity`.
    Shutdown,
    /// A child did not end as it was told, but with this reason: `shutdown_error`.
    ShutdownError(Term),
}

impl Report {
    /// What happened.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The supervisor: `{local, Name}`, or `{Pid, supervisor}` of one without a name.
    #[must_use]
    pub fn supervisor(&self) -> &Term {
        &self.supervisor
    }

    /// The child: a list of `{pid, Pid}`, `{id, Id}`, `{mfargs, MFA}`, `{restart_type, Type}`, `{significant, false}`,
    /// `{shutdown, Time}`, `{child_type, Type}`.
    #[must_use]
    pub fn child(&self) -> &Term {
        &self.child
    }

    /// The report as OTP's logger has it: `#{label => {supervisor, Context}, report => […]}`.
    #[must_use]
    pub fn term(&self) -> Term {
        let pair = |key: &'static str, value: Term| Term::from((Term::atom(key), value));
        let mut report = vec![pair("supervisor", self.supervisor.clone())];
        let label = match self.error() {
            None => {
                report.push(pair("started", self.child.clone()));
                "progress"
            }
            Some((context, reason)) => {
                report.push(pair("errorContext", Term::atom(context)));
                report.push(pair("reason", reason));
                report.push(pair("offender", self.child.clone()));
                context
            }
        };
        let label = Term::from((Term::atom("supervisor"), Term::atom(label)));
        Term::Map(Map::from_iter([
            (Term::atom("label"), label),
            (Term::atom("report"), Term::from(report)),
        ]))
    }

    /// The context and reason of what is not progress.
    fn error(&self) -> Option<(&'static str, Term)> {
        Some(match &self.event {
            Event::Started => return None,
            Event::ChildTerminated(reason) => ("child_terminated", reason.clone()),
            Event::Shutdown => ("shutdown", Term::atom("reached_max_restart_intensity")),
            Event::ShutdownError(reason) => ("shutdown_error", reason.clone()),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let formatter = Formatter::new().node(self.here.node().clone(), self.here.creation());
        let (format, arguments) = match self.error() {
            None => (
                "=PROGRESS REPORT====~n    supervisor: ~tp~n    started: ~tp~n",
                vec![self.supervisor.clone(), self.child.clone()],
            ),
            Some((context, reason)) => (
                "=SUPERVISOR REPORT====~n    supervisor: ~tp~n    errorContext: ~tp~n    reason: ~tp~n    offender: ~tp~n",
                vec![
                    self.supervisor.clone(),
                    Term::atom(context),
                    reason,
                    self.child.clone(),
                ],
            ),
        };
        f.write_str(&formatter.format(format, &arguments).map_err(|_| fmt::Error)?)
    }
}
