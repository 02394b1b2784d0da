//! Requests of the I/O protocol, read: "The Erlang I/O Protocol" in stdlib's user guide.

use crate::term::{Atom, Pid, Term};

/// `{io_request, From, ReplyAs, Request}`.
pub(super) struct Message {
    pub(super) from: Pid,
    pub(super) reply_as: Term,
    pub(super) request: Term,
}

impl Message {
    /// Reads a message; nothing for one of another kind.
    pub(super) fn read(term: &Term) -> Option<Self> {
        let [Term::Atom(tag), Term::Pid(from), reply_as, request] = term.as_tuple()?.array::<4>()? else {
            return None;
        };
        (tag == *"io_request").then_some(Self {
            from,
            reply_as,
            request,
        })
    }
}

/// What characters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Latin1,
    Unicode,
}

impl Encoding {
    pub(super) fn read(term: &Term) -> Option<Self> {
        match term.as_atom()?.as_str() {
            "latin1" => Some(Self::Latin1),
            "unicode" | "utf8" => Some(Self::Unicode),
            _ => None,
        }
    }

    pub(super) const fn atom(self) -> Atom {
        Atom::from_static(match self {
            Self::Latin1 => "latin1",
            Self::Unicode => "unicode",
        })
    }
}

/// A request for one thing.
pub(super) enum Request {
    /// `{put_chars, Encoding, Characters}`, or without the encoding, which then is latin1.
    Put {
        encoding: Encoding,
        characters: Term,
    },
    /// `{put_chars, Encoding, Module, Function, Arguments}`, likewise.
    Call {
        encoding: Encoding,
        module: Atom,
        function: Atom,
        arguments: Vec<Term>,
    },
    SetOptions(Vec<Term>),
    GetOptions,
    /// `{get_geometry, rows}` or `columns`.
    Geometry(Atom),
    /// Several, one after the other.
    Several(Vec<Term>),
    /// `{get_line, Encoding, Prompt}` and its kin, or without the encoding, which then is latin1.
    Input {
        encoding: Encoding,
        prompt: Term,
        wanted: Wanted,
    },
    /// `{get_password, Encoding}`.
    Password,
    Unknown,
}

/// How much input is wanted.
pub(super) enum Wanted {
    Line,
    Characters(usize),
    /// As much as a function says: `{get_until, Encoding, Prompt, Module, Function, Arguments}`.
    Until {
        module: Atom,
        function: Atom,
        arguments: Vec<Term>,
    },
}

impl Request {
    /// A request, and what it holds if it is several, in order. Those after one that is none are left out.
    pub(super) fn flatten(request: &Term) -> Vec<Self> {
        let mut open = vec![vec![request.clone()].into_iter()];
        let mut flat = Vec::new();
        while let Some(requests) = open.last_mut() {
            match requests.next().map(|request| Self::read(&request)) {
                None => drop(open.pop()),
                Some(Self::Several(more)) => open.push(more.into_iter()),
                Some(Self::Unknown) => {
                    flat.push(Self::Unknown);
                    break;
                }
                Some(request) => flat.push(request),
            }
        }
        flat
    }

    pub(super) const fn is_input(&self) -> bool {
        matches!(self, Self::Input { .. })
    }

    fn read(request: &Term) -> Self {
        if request.is_atom("getopts") {
            return Self::GetOptions;
        }
        Self::read_tuple(request).unwrap_or(Self::Unknown)
    }

    fn read_tuple(request: &Term) -> Option<Self> {
        let parts: Vec<Term> = request.as_tuple()?.iter().collect();
        let (tag, rest) = parts.split_first()?;
        let old = Encoding::Latin1;
        match (tag.as_atom()?.as_str(), rest) {
            ("put_chars", [characters]) => Some(Self::put(old, characters)),
            ("put_chars", [encoding, characters]) => Some(Self::put(Encoding::read(encoding)?, characters)),
            ("put_chars", [module, function, arguments]) => Self::call(old, module, function, arguments),
            ("put_chars", [encoding, module, function, arguments]) => {
                Self::call(Encoding::read(encoding)?, module, function, arguments)
            }
            ("setopts", [options]) => Some(Self::SetOptions(elements(options)?)),
            ("get_geometry", [Term::Atom(which)]) => Some(Self::Geometry(which.clone())),
            ("requests", [requests]) => Some(Self::Several(elements(requests)?)),
            ("get_line", [prompt]) => Some(Self::input(old, prompt, Wanted::Line)),
            ("get_line", [encoding, prompt]) => {
                Some(Self::input(Encoding::read(encoding)?, prompt, Wanted::Line))
            }
            ("get_chars", [prompt, count]) => Some(Self::input(old, prompt, characters(count)?)),
            ("get_chars", [encoding, prompt, count]) => {
                Some(Self::input(Encoding::read(encoding)?, prompt, characters(count)?))
            }
            ("get_until", [prompt, function @ ..]) if function.len() == 3 => {
                Some(Self::input(old, prompt, until(function)?))
            }
            ("get_until", [encoding, prompt, function @ ..]) => {
                Some(Self::input(Encoding::read(encoding)?, prompt, until(function)?))
            }
            ("get_password", [_]) => Some(Self::Password),
            _ => None,
        }
    }

    fn input(encoding: Encoding, prompt: &Term, wanted: Wanted) -> Self {
        Self::Input {
            encoding,
            prompt: prompt.clone(),
            wanted,
        }
    }

    fn put(encoding: Encoding, characters: &Term) -> Self {
        Self::Put {
            encoding,
            characters: characters.clone(),
        }
    }

    fn call(encoding: Encoding, module: &Term, function: &Term, arguments: &Term) -> Option<Self> {
        Some(Self::Call {
            encoding,
            module: module.as_atom()?.clone(),
            function: function.as_atom()?.clone(),
            arguments: elements(arguments)?,
        })
    }
}

fn characters(count: &Term) -> Option<Wanted> {
    let count = usize::try_from(count.as_integer()?).ok()?;
    Some(Wanted::Characters(count))
}

fn until(function: &[Term]) -> Option<Wanted> {
    let [Term::Atom(module), Term::Atom(function), arguments] = function else {
        return None;
    };
    Some(Wanted::Until {
        module: module.clone(),
        function: function.clone(),
        arguments: elements(arguments)?,
    })
}

/// The elements of a proper list.
fn elements(list: &Term) -> Option<Vec<Term>> {
    let list = list.as_list()?;
    list.is_proper().then(|| list.iter().collect())
}
