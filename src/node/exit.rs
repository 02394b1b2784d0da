//! Why a process ended.

use std::any::Any;
use std::fmt;

use bytes::Bytes;

use crate::etf::{Atoms, RawTerm};
use crate::term::{Atom, Term};

/// The reason with which a process ends: what those see that are linked to it or monitor it.
///
/// `?` turns any error into one: `{error, Text}`, where `Text` is a binary of what the error and its sources say.
///
/// ```
/// use beamnode::node::ExitReason;
/// assert_eq!(ExitReason::NORMAL.to_string(), "normal");
/// let reason: ExitReason = std::fmt::Error.into();
/// assert!(reason.to_string().starts_with("{error,"));
/// ```
#[derive(Clone)]
pub struct ExitReason {
    term: Term,
    /// Whether it came of a fault nobody caught, which is logged, as BEAM does, and not of somebody's decision to exit.
    crash: bool,
}

impl ExitReason {
    /// `normal`: links do not pass it on, except to processes that trap exits.
    pub const NORMAL: Self = Self::decided("normal");
    /// `shutdown`: an orderly end that links do pass on.
    pub const SHUTDOWN: Self = Self::decided("shutdown");
    /// `kill`: as an exit signal it ends any process, which then shows the reason `killed`.
    pub const KILL: Self = Self::decided("kill");

    const fn decided(reason: &'static str) -> Self {
        Self {
            term: Term::Atom(Atom::from_static(reason)),
            crash: false,
        }
    }

    pub(crate) fn crash(reason: Term) -> Self {
        Self {
            term: reason,
            crash: true,
        }
    }

    pub(crate) fn is_crash(&self) -> bool {
        self.crash
    }

    /// The reason as a term.
    #[must_use]
    pub fn term(&self) -> &Term {
        &self.term
    }

    /// The reason of a process whose code panicked: `{panic, Text}`.
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("panicked with a value that is no text");
        Self::crash(Term::from((Atom::from_static("panic"), Term::from(text))))
    }

    pub(crate) fn raw(&self) -> RawTerm {
        // How most processes end.
        const NORMAL: RawTerm = RawTerm::from_parts(Bytes::from_static(b"\x77\x06normal"), Atoms::NONE);
        if self.term.is_atom("normal") {
            NORMAL
        } else {
            RawTerm::new(&self.term)
        }
    }
}

impl PartialEq for ExitReason {
    fn eq(&self, other: &Self) -> bool {
        self.term == other.term
    }
}

impl Eq for ExitReason {}

impl From<Term> for ExitReason {
    fn from(reason: Term) -> Self {
        Self {
            term: reason,
            crash: false,
        }
    }
}

impl From<Atom> for ExitReason {
    fn from(reason: Atom) -> Self {
        Self::from(Term::Atom(reason))
    }
}

impl<E: std::error::Error> From<E> for ExitReason {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self::crash(Term::from((Atom::from_static("error"), Term::from(text))))
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.term.fmt(f)
    }
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExitReason({})", self.term)
    }
}
