//! The handshake: two nodes tell each other their names and flags and prove that they share a cookie.
//!
//! Follows "Distribution Handshake" of Erlang's *Distribution Protocol*. Each role has a struct for each state it can be
//! in, a step consumes it and gives the next, so that a step out of order does not compile:
//!
//! ```text
//!  the node that connects                          the node connected to
//!  initiator::start ──────── N name, flags ──────▶ AwaitName
//!  AwaitStatus ◀──────────── s status ──────────── ConnectionAsked / NameAsked   (the node decides)
//!  AliveAsked ────────────── s true ─────────────▶ AwaitAlive                    (after "alive" only)
//!  AwaitChallenge ◀───────── N challenge ───────── AwaitReply
//!  AwaitAck ──────────────── r reply, challenge ─▶ AwaitReply
//!  Established ◀──────────── a ack ─────────────── Verified ─▶ Established
//! ```
//!
//! Nothing here reads, writes, waits or rolls dice. Steps take and give whole packets; [`Deframer`] cuts them from what
//! was read and [`LengthPrefix::frame`] puts the length in front. Challenges come from the caller, and so does the
//! patience: whoever drives a handshake gives each step [`SETUP_TIME`] and reports [`HandshakeError::TimedOut`].

mod acceptor;
mod deframer;
mod initiator;
mod message;
#[cfg(test)]
mod tests;

pub use acceptor::{
    AskedName, AwaitAlive, AwaitName, AwaitReply, ConnectionAsked, NameAsked, Refusal, Rejected,
    ReplyReceived, Verified,
};
pub use deframer::{Deframer, LengthPrefix};
pub use initiator::{
    AliveAsked, AwaitAck, AwaitChallenge, AwaitStatus, Dialed, LocalName, StatusReceived, start,
};

use crate::dist::{Flags, NameError, NodeName};
use std::fmt;
use std::time::Duration;

/// How long a peer may take for a step before it is given up, as `net_setuptime`: seven seconds, begun anew at each step.
pub const SETUP_TIME: Duration = Duration::from_secs(7);

/// Who we are, as the handshake tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Our name.
    pub name: NodeName,
    /// What we offer: usually [`Flags::OFFERED`] or [`Flags::OFFERED_HIDDEN`].
    pub flags: Flags,
    /// Which incarnation of that name we are: 4 or more.
    pub creation: u32,
}

/// Who the other end is, once the handshake is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name; of a node that asked for a name, the one it was given.
    pub name: NodeName,
    /// Which incarnation of that name it is.
    pub creation: u32,
    /// What it offers, with the flags that its digest stands for.
    pub flags: Flags,
    /// What both ends can do, which decides what may be sent.
    pub negotiated: Flags,
    /// Whether the connection is hidden: either end is not published.
    pub hidden: bool,
}

/// A finished handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// We: with the name and creation given by the peer if we had asked for one.
    pub local: Local,
    /// The other end.
    pub peer: Peer,
}

impl Established {
    fn new(local: Local, name: NodeName, creation: u32, flags: Flags) -> Self {
        let negotiated = local.flags.negotiate(flags);
        let hidden = !negotiated.contains(Flags::PUBLISHED);
        Self {
            local,
            peer: Peer {
                name,
                creation,
                flags: flags.expand(),
                negotiated,
                hidden,
            },
        }
    }
}

/// What a step of the handshake waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The first message, with the name of who connects.
    SendName,
    /// The answer to it.
    Status,
    /// The answer to the status `alive`.
    AliveReply,
    /// Flags, name and challenge of the node connected to.
    Challenge,
    /// The flags that the name message of version 5 has no room for.
    Complement,
    /// The proof of who connected.
    Reply,
    /// The proof of the node connected to.
    Ack,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SendName => "name",
            Self::Status => "status",
            Self::AliveReply => "answer to \"alive\"",
            Self::Challenge => "challenge",
            Self::Complement => "complement",
            Self::Reply => "challenge reply",
            Self::Ack => "challenge acknowledgement",
        })
    }
}

/// Why a handshake failed. The first five are the peer's decision about us or its silence, the next three ours about the
/// peer, the rest the peer's misbehaviour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The peer answered `not_allowed`: we are not on its list of nodes that may connect, or lack flags it requires.
    #[error(
        "the peer does not allow us to connect: we are not on its list of allowed nodes, or lack flags that it requires"
    )]
    NotAllowed,
    /// The peer answered `nok`: it is connecting to us at the same time and its attempt goes on, or it takes our
    /// name for illegal.
    #[error("the peer prefers its own attempt to connect to us, or does not accept our name")]
    Nok,
    /// The peer told us, asked by `alive`, that it no longer wants this connection.
    #[error("the peer gave up this attempt in favour of the connection that it has")]
    GivenUp,
    /// The peer closed the connection while we waited. What that usually means depends on the step, and is in the text.
    #[error("the peer closed the connection instead of sending its {step}: {}", closed_at(.step))]
    Closed {
        /// What we waited for.
        step: Step,
    },
    /// The peer sent nothing for the [setup time](SETUP_TIME).
    #[error("timed out: the peer did not send its {step}")]
    TimedOut {
        /// What we waited for.
        step: Step,
    },

    /// The peer lacks flags that we require.
    #[error("the peer cannot do what we require: {missing}")]
    MissingFlags {
        /// What it lacks.
        missing: Flags,
    },
    /// We refused the peer, for this reason.
    #[error("{0}")]
    Refused(Refusal),
    /// The attempt is no longer wanted here: another connection to the same node came first.
    #[error("given up: another connection to this node came first")]
    Superseded,

    /// The peer's digest is not that of our cookie for it.
    #[error("wrong cookie: the peer has another cookie than we have for it")]
    WrongCookie,
    /// Another node answers where we dialled `expected`.
    #[error("wrong node: {expected} was dialled and {answered:?} answered")]
    WrongName {
        /// Whom we dialled.
        expected: NodeName,
        /// Who answered.
        answered: String,
    },
    /// The peer's name, or the one it gives us, is no name.
    #[error(transparent)]
    IllegalName(#[from] NameError),
    /// The status is not one that answers what we sent: a name for a node that has one, none for one without.
    #[error("the peer's status does not answer what we asked for")]
    UnexpectedStatus,
    /// The bytes are not the message that the step waits for.
    #[error("malformed: the peer sent something else than its {step}")]
    Malformed {
        /// What we waited for.
        step: Step,
    },
    /// A packet longer than any handshake message.
    #[error("malformed: the peer announces a handshake message of {0} bytes")]
    TooLong(usize),
}

fn closed_at(step: &Step) -> &'static str {
    match step {
        Step::SendName => "it never spoke",
        Step::Status => "it does not speak this protocol, or is busy with another connection of our name",
        Step::AliveReply | Step::Complement => "it gave up",
        Step::Challenge => "it gave up, or we lack flags that it requires",
        Step::Reply => "it requires flags that we lack, or expected another name here",
        Step::Ack => "it has another cookie for us than we have for it",
    }
}
