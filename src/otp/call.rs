//! Calls and casts, as `gen_server` and its kin make them.
//!
//! A call is `{'$gen_call', {From, Tag}, Request}` under a monitor of the server; the answer is `{Tag, Reply}`. The tag is
//! the caller's, and its form says where the answer goes: a plain reference or `{Reference, Node}` to `From`, a tag that
//! begins with `[alias | Alias]` to that alias. A cast is `{'$gen_cast', Request}`. This is the protocol of OTP's `gen`
//! module, which every release since 23 understands in all these forms.

use std::time::Duration;

use crate::etf::{DecodeError, Encode, TermRef, View, Writer};
use crate::node::{Destination, Item, Message, Node, Process, SendError};
use crate::term::{Pid, Reference, Term};

/// As good as for ever, to a timer.
pub(super) const FOR_EVER: Duration = Duration::from_secs(86_400 * 365);

/// A message that a server receives, taken apart.
#[derive(Debug, Clone)]
pub enum Request {
    /// `{'$gen_call', {From, Tag}, Request}`: somebody waits for an answer.
    Call(Caller, Term),
    /// `{'$gen_cast', Request}`.
    Cast(Term),
    /// Anything else.
    Info(Term),
}

impl Request {
    /// Reads a message as a server does.
    ///
    /// # Errors
    /// When the message is no term.
    pub fn read(message: &Message) -> Result<Self, DecodeError> {
        let Message::Term(raw) = message else {
            return message.term().map(Self::Info);
        };
        // The parts stand where they are: of what comes most often, only the request is made a term.
        if let Some([label, from, request]) = raw.glance().tuple()
            && label.is_atom("$gen_call")
            && let Some(caller) = Caller::read(from)
        {
            return Ok(Self::Call(caller, raw.part(request).decode()?));
        }
        if let Some([label, request]) = raw.glance().tuple()
            && label.is_atom("$gen_cast")
        {
            return Ok(Self::Cast(raw.part(request).decode()?));
        }
        raw.decode().map(Self::Info)
    }
}

/// Who waits for the answer to a call: Erlang's `From`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    pid: Pid,
    tag: Tag,
}

/// What a caller tells its calls apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Tag {
    /// `[alias | Alias]`: the answer goes to that alias.
    Alias(Reference),
    Other(Term),
}

impl Tag {
    fn read(tag: TermRef<'_>) -> Option<Self> {
        Some(match Self::alias_in(tag) {
            Some(alias) => Self::Alias(alias),
            None => Self::Other(tag.to_term().ok()?),
        })
    }

    /// The alias, if the tag is `[alias | Alias]`.
    pub(super) fn alias_in(tag: TermRef<'_>) -> Option<Reference> {
        match tag.cons()? {
            (View::Atom(word), View::Reference(alias)) if word == "alias" => Some(alias.to_reference()),
            _ => None,
        }
    }
}

impl Encode for Tag {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Alias(alias) => {
                writer.list(1);
                writer.atom("alias");
                writer.reference(alias);
            }
            Self::Other(tag) => tag.encode(writer),
        }
    }
}

impl Caller {
    pub(super) fn read(from: TermRef<'_>) -> Option<Self> {
        let [pid, tag] = from.tuple()?;
        let View::Pid(pid) = pid.view() else {
            return None;
        };
        Some(Self {
            pid: pid.to_pid(),
            tag: Tag::read(tag)?,
        })
    }

    /// The calling process.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// What the caller tells its calls apart by.
    #[cfg(test)]
    pub(super) fn tag(&self) -> Term {
        self.tag.to_raw().decode().expect("a term")
    }

    /// Answers the call, in the name of `server`. Does not wait; if the caller's node has gone, so has the answer.
    pub fn reply(&self, server: &Process, reply: impl Into<Term>) {
        let to = match self.alias() {
            Some(alias) => Destination::Alias(alias),
            None => Destination::Pid(self.pid.clone()),
        };
        server.post(to, (&self.tag, reply.into()));
    }

    /// Whether `sys` of the calling node takes states as `{ok, State}`: so it is since aliases have five words.
    pub(super) fn wants_ok(&self) -> bool {
        self.alias().is_some_and(|alias| alias.words().len() > 3)
    }

    /// The alias in a tag of the form `[alias | Alias]` or `[[alias | Alias] | _]`.
    fn alias(&self) -> Option<Reference> {
        let tag = match &self.tag {
            Tag::Alias(alias) => return Some(alias.clone()),
            Tag::Other(tag) => tag,
        };
        let (first, _) = tag.as_list()?.split_first()?;
        match first.as_list()?.split_first()? {
            (Term::Atom(kind), Term::Reference(alias)) if kind == *"alias" => Some(alias),
            _ => None,
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The request could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The server ended, or does not exist (`noproc`), or the connection to its node did (`noconnection`).
    #[error("the server is down: {0}")]
    Down(Term),
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The answer is no term.
    #[error("the answer cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// The node has stopped.
    #[error("this node has stopped")]
    Stopped,
}

impl Process {
    /// Calls a server and waits for its answer, as `gen_server:call/3`; `gen_statem` servers are called the same way.
    ///
    /// An answer that comes after `patience` is dropped, and so is one to a call whose future was. Only from a node of OTP 23,
    /// which has no aliases, it lands in the mailbox.
    ///
    /// ```no_run
    /// # async fn example(mut me: beamnode::node::Process) -> Result<(), Box<dyn std::error::Error>> {
    /// use beamnode::term;
    /// use std::time::Duration;
    ///
    /// let value = me.call(("store", "alice@build"), term!({get, color}), Duration::from_secs(5)).await?;
    /// println!("{value}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the server ends or does not exist, its node cannot be reached, or no answer comes in time.
    pub async fn call(
        &mut self,
        server: impl Into<Item>,
        request: impl Into<Term>,
        patience: Duration,
    ) -> Result<Term, CallError> {
        let call = self.call_for_ever(server.into(), request.into());
        tokio::time::timeout(patience, call)
            .await
            .unwrap_or(Err(CallError::TimedOut(patience)))
    }

    async fn call_for_ever(&mut self, server: Item, request: Term) -> Result<Term, CallError> {
        let id = self.request(server, Term::atom("$gen_call"), request).await?;
        self.answer(&id).await
    }

    /// Casts `request` to a server, as `gen_server:cast/2`: as a message, so a server that does not exist is no error.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn cast(&self, to: impl Into<Destination>, request: impl Into<Term>) -> Result<(), SendError> {
        self.send(to, Term::from((Term::atom("$gen_cast"), request.into())))
            .await
    }
}

impl Node {
    /// Calls a server from a process of its own; see [`Process::call`].
    ///
    /// # Errors
    /// When the server ends or does not exist, its node cannot be reached, or no answer comes in time.
    pub async fn call(
        &self,
        server: impl Into<Item>,
        request: impl Into<Term>,
        patience: Duration,
    ) -> Result<Term, CallError> {
        self.process().call(server, request, patience).await
    }
}
