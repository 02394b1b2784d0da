//! The cases: what each asks of a bed, and the function that runs it on the host `rust`. One file a theme.

use std::{pin::Pin, time::Duration};

use crate::inside::Bed;

mod ping;

/// One thing that must hold, on every release.
pub(crate) struct Case {
    /// `theme::function`.
    pub(crate) name: &'static str,
    pub(crate) run: fn(Bed) -> Pin<Box<dyn Future<Output = ()>>>,
    /// The case is ended and has failed after this.
    pub(crate) limit: Duration,
    /// Several hosts of their own names, or cuts between them: not possible where every host is this machine.
    pub(crate) needs_hosts: bool,
    /// Runs while no other case does: it measures time.
    pub(crate) alone: bool,
    pub(crate) subjects: Subjects,
}

/// Who can play the part that is judged. A BEAM node in it shows that the judge itself is right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// Rust in every run; a BEAM node with `BED_SUBJECT=beam`.
    Either,
    /// Cheap enough for both to play it in every run.
    Both,
    /// What is judged exists in ours alone.
    RustOnly,
}

impl Case {
    const fn new(name: &'static str, run: fn(Bed) -> Pin<Box<dyn Future<Output = ()>>>) -> Self {
        Self {
            name,
            run,
            limit: Duration::from_secs(120),
            needs_hosts: false,
            alone: false,
            subjects: Subjects::Either,
        }
    }

    const fn needs_hosts(mut self) -> Self {
        self.needs_hosts = true;
        self
    }

    const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    const fn both(mut self) -> Self {
        self.subjects = Subjects::Both;
        self
    }

    const fn rust_only(mut self) -> Self {
        self.subjects = Subjects::RustOnly;
        self
    }
}

/// A case of the path to its function.
macro_rules! case {
    ($theme:ident::$function:ident) => {
        Case::new(concat!(stringify!($theme), "::", stringify!($function)), |bed| {
            Box::pin($theme::$function(bed))
        })
    };
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    vec![
        case!(ping::visible).both(),
    ]
}
