//! Calls and casts, as `gen_server` and its kin make them.
//!
//! A call is `{'$gen_call', {From, Tag}, Request}` under a monitor of the server; the answer is `{Tag, Reply}`. The tag is
//! the caller's, and its form says where the answer goes: a plain reference or `{Reference, Node}` to `From`, a tag that
//! begins with `[alias | Alias]` to that alias. A cast is `{'$gen_cast', Request}`. This is the protocol of OTP's `gen`
//! module, which every release since 23 understands in all these forms.

use std::time::Duration;

use crate::etf::DecodeError;
use crate::node::{Destination, Down, Item, Message, Node, Process, SendError};
use crate::term::{Atom, Pid, Reference, Term};

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
        let term = message.term()?;
        let Some(tuple) = term.as_tuple() else {
            return Ok(Self::Info(term));
        };
        if let Some([Term::Atom(kind), from, request]) = tuple.array::<3>()
            && kind == *"$gen_call"
            && let Some(caller) = Caller::read(&from)
        {
            return Ok(Self::Call(caller, request));
        }
        if let Some([Term::Atom(kind), request]) = tuple.array::<2>()
            && kind == *"$gen_cast"
        {
            return Ok(Self::Cast(request));
        }
        Ok(Self::Info(term))
    }
}

/// Who waits for the answer to a call: Erlang's `From`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    pid: Pid,
    tag: Term,
}

impl Caller {
    fn read(from: &Term) -> Option<Self> {
        let [Term::Pid(pid), tag] = from.as_tuple()?.array::<2>()? else {
            return None;
        };
        Some(Self { pid, tag })
    }

    /// The calling process.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// Answers the call, in the name of `server`. Does not wait; if the caller's node has gone, so has the answer.
    pub fn reply(&self, server: &Process, reply: impl Into<Term>) {
        let to = match self.alias() {
            Some(alias) => Destination::Alias(alias),
            None => Destination::Pid(self.pid.clone()),
        };
        server.post(to, Term::from((self.tag.clone(), reply.into())));
    }

    /// The alias in a tag of the form `[alias | Alias]` or `[[alias | Alias] | _]`.
    fn alias(&self) -> Option<Reference> {
        let (mut first, mut rest) = self.tag.as_list()?.split_first()?;
        if let Some(inner) = first.as_list() {
            (first, rest) = inner.split_first()?;
        }
        match (first, rest) {
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

/// Calls a server, from a process of its own, so that an answer that comes too late meets nobody.
pub(crate) async fn call(
    node: &Node,
    server: Item,
    request: impl Into<Term>,
    patience: Duration,
) -> Result<Term, CallError> {
    let mut me = node.process();
    let monitor = me.monitor(server.clone()).await;
    let to = match server {
        Item::Pid(pid) => Destination::Pid(pid),
        Item::Name { name, node } => Destination::Remote { name, node },
    };
    let from = (me.pid().clone(), monitor.clone());
    me.send(
        to,
        Term::from((Atom::from_static("$gen_call"), from, request.into())),
    )
    .await?;
    let answer = me.recv_select(|message| match message {
        Message::Down(Down {
            reference, reason, ..
        }) if *reference == monitor => Some(
            reason
                .decode()
                .map_err(CallError::Malformed)
                .and_then(|reason| Err(CallError::Down(reason))),
        ),
        Message::Term(raw) => match raw.decode() {
            Ok(term) => match term.as_tuple()?.array::<2>()? {
                [Term::Reference(tag), reply] if tag == monitor => Some(Ok(reply)),
                _ => None,
            },
            Err(error) => Some(Err(error.into())),
        },
        _ => None,
    });
    match tokio::time::timeout(patience, answer).await {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(CallError::Stopped),
        Err(_) => Err(CallError::TimedOut(patience)),
    }
}

/// Casts `request` to `to`, if that is on this node or on one that is connected.
pub(crate) fn cast(from: &Process, to: impl Into<Destination>, request: impl Into<Term>) {
    from.post(to, Term::from((Atom::from_static("$gen_cast"), request.into())));
}
