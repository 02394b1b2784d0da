//! `logger`: what processes of other nodes log whose group leader is here. It goes to the log of this program.
//!
//! A node sends a log event to the node of the group leader of the process that logs, to the process `logger_proxy` there, and
//! does not print it itself: reports of a process that this node has spawned on another are printed by this node, or by nobody.
//! An event is `{log, Level, Format, Arguments, Metadata}` or `{log, Level, StringOrReport, Metadata}`.

use tracing::{debug, error, info, warn};

use super::io::Formatter;
use crate::node::Node;
use crate::term::{Atom, Term};

pub(super) fn start(node: &Node) {
    node.spawn_service("logger_proxy", super::MAILBOX, async |mut me| {
        let formatter = Formatter::new().node(me.node().name().clone(), me.node().creation());
        while let Some(message) = me.recv().await {
            match message.term() {
                Ok(term) => match Event::read(&term) {
                    Some(event) => event.log(&formatter),
                    None => debug!(%term, "logger_proxy: ignored"),
                },
                Err(error) => debug!(%error, "logger_proxy: a message that is no term"),
            }
        }
        Ok(())
    });
}

/// What was logged.
struct Event {
    level: Atom,
    said: Said,
    /// Who did.
    pid: Option<Term>,
}

enum Said {
    Format(Term, Term),
    Report(Term),
}

impl Event {
    fn read(term: &Term) -> Option<Self> {
        let parts: Vec<Term> = term.as_tuple()?.iter().collect();
        let (tag, rest) = parts.split_first()?;
        let (Term::Atom(level), said, metadata) = (match rest {
            [level, format, arguments, metadata] => {
                (level, Said::Format(format.clone(), arguments.clone()), metadata)
            }
            [level, report, metadata] => (level, Said::of(report), metadata),
            _ => return None,
        }) else {
            return None;
        };
        tag.is_atom("log").then(|| Self {
            level: level.clone(),
            said,
            pid: value(metadata, "pid"),
        })
    }

    fn log(&self, formatter: &Formatter) {
        let text = self.said.text(formatter);
        let pid = self.pid.as_ref().map(tracing::field::display);
        match self.level.as_str() {
            "emergency" | "alert" | "critical" | "error" => error!(pid, "{text}"),
            "warning" => warn!(pid, "{text}"),
            "debug" => debug!(pid, "{text}"),
            _ => info!(pid, "{text}"),
        }
    }
}

impl Said {
    /// A string or report. What `error_logger` is given is a report that holds a format.
    fn of(report: &Term) -> Self {
        match (value(report, "format"), value(report, "args")) {
            (Some(format), Some(arguments)) => Self::Format(format, arguments),
            _ => Self::Report(report.clone()),
        }
    }

    fn text(&self, formatter: &Formatter) -> String {
        let text = match self {
            Self::Format(format, arguments) => formatter.format_terms(format, arguments).or_else(|_| {
                formatter.format("FORMAT ERROR: ~0tp - ~0tp", &[format.clone(), arguments.clone()])
            }),
            // A string is one that prints as such; the rest is a report, whose own function for that is on the other node.
            Self::Report(report) => formatter
                .format("~ts", std::slice::from_ref(report))
                .or_else(|_| formatter.format("~tp", std::slice::from_ref(report))),
        };
        text.unwrap_or_else(|error| error.to_string())
    }
}

/// What a map has under an atom.
fn value(map: &Term, key: &'static str) -> Option<Term> {
    match map {
        Term::Map(map) => map.get_atom(key),
        _ => None,
    }
}
