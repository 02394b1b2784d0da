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
    Geometry,
    /// Several, one after the other.
    Several(Vec<Term>),
    /// Whatever asks for input.
    Input,
    Unknown,
}

impl Request {
    pub(super) fn read(request: &Term) -> Self {
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
            ("get_geometry", [_]) => Some(Self::Geometry),
            ("requests", [requests]) => Some(Self::Several(elements(requests)?)),
            ("get_line" | "get_chars" | "get_until" | "get_password", _) => Some(Self::Input),
            _ => None,
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

/// The elements of a proper list.
fn elements(list: &Term) -> Option<Vec<Term>> {
    let list = list.as_list()?;
    list.is_proper().then(|| list.iter().collect())
}
