//! The handshake of the node that is connected to.
//!
//! It halts twice for the node to act: after the first message, because whether and how to go on depends on what
//! connections the node has ([`ConnectionAsked`], [`NameAsked`]); and when the peer has proven its cookie, so that an
//! old connection that this one replaces is closed before the peer hears that it is connected ([`Verified`]).

use super::message::{self, Challenge, Complement, Reply, SendName, Status};
use super::{Established, HandshakeError, Local, Step};
use crate::dist::name::is_host;
use crate::dist::{Cookie, Flags, NameError, NodeName};
use std::fmt;

/// Somebody has connected and is to say who it is.
#[derive(Debug)]
pub struct AwaitName {
    local: Local,
}

/// Who asks.
#[derive(Debug)]
pub enum AskedName {
    /// A node with a name wants to connect.
    Connection(ConnectionAsked),
    /// A node without a name wants one.
    Name(NameAsked),
}

/// The handshake has failed: what to send before closing, if anything, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The packet that tells the peer.
    pub farewell: Option<Vec<u8>>,
    /// What the peer calls itself, if it was its name message that was rejected.
    pub name: Option<String>,
    /// The reason.
    pub error: HandshakeError,
}

/// How a node says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Our own attempt to connect to it goes on. It is told `nok`.
    #[error("refused: our own attempt to connect to it goes on")]
    Nok,
    /// It is not on the list of nodes that may connect, or we are not to be connected to. It is told `not_allowed`.
    #[error("refused: it is not on the list of nodes that may connect")]
    NotAllowed,
    /// A connection of that name is up, and another attempt to replace it under way. The peer is told nothing.
    #[error("refused: another attempt to replace the connection of that name is under way")]
    Busy,
}

impl AwaitName {
    /// Waits for a name, being `local`.
    pub fn new(local: Local) -> Self {
        Self { local }
    }

    /// Takes the first message. A peer with an illegal name, or without the flags that we require, is rejected here.
    pub fn handle(self, packet: &[u8]) -> Result<AskedName, Rejected> {
        let SendName {
            flags,
            creation,
            name,
        } = SendName::parse(packet)?;
        let missing = flags.missing(Flags::REQUIRED);
        let asked = if !missing.is_empty() {
            Err(HandshakeError::MissingFlags { missing })
        } else if flags.contains(Flags::NAME_ME) && !name.contains('@') {
            // No name that is given may be longer than an atom: there must be room before the host.
            if is_host(&name) && name.len() < 250 {
                let (local, host) = (self.local, name.clone());
                Ok(AskedName::Name(NameAsked { local, host, flags }))
            } else {
                Err(NameError::IllegalHost(name.clone()).into())
            }
        } else {
            name.parse().map_err(HandshakeError::from).map(|name| {
                AskedName::Connection(ConnectionAsked {
                    local: self.local,
                    name,
                    flags,
                    creation,
                })
            })
        };
        asked.map_err(|error| {
            let farewell = match &error {
                HandshakeError::MissingFlags { .. } => Some(Status::NotAllowed),
                // As BEAM: nothing is said to a name without exactly one "@", `nok` to the rest.
                HandshakeError::IllegalName(NameError::NotNameAtHost(_)) => None,
                _ => Some(Status::Nok),
            };
            Rejected {
                farewell: farewell.map(|status| status.encode()),
                name: Some(name),
                error,
            }
        })
    }
}

/// A node wants to connect, and ours is to decide.
#[derive(Debug)]
pub struct ConnectionAsked {
    local: Local,
    name: NodeName,
    flags: Flags,
    /// Missing if the complement is still to come.
    creation: Option<u32>,
}

impl ConnectionAsked {
    /// Who asks. Not proven yet.
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// What it offers; of a node that speaks version 5, the lower half.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Goes on: `simultaneous` if our own attempt to connect to it has been given up for this one. `challenge` must
    /// come from a secret random source. Gives the packets to send.
    pub fn accept(self, simultaneous: bool, cookie: Cookie, challenge: u32) -> ([Vec<u8>; 2], AwaitReply) {
        let status = if simultaneous {
            Status::OkSimultaneous
        } else {
            Status::Ok
        };
        let (packet, next) = AwaitReply::new(self, cookie, challenge);
        ([status.encode(), packet], next)
    }

    /// Asks back whether this connection is to replace the one of that name which is up.
    pub fn alive(self) -> (Vec<u8>, AwaitAlive) {
        (Status::Alive.encode(), AwaitAlive { asked: self })
    }

    /// Says no.
    pub fn refuse(self, refusal: Refusal) -> Rejected {
        refusal.rejected()
    }
}

/// A node wants a name.
#[derive(Debug)]
pub struct NameAsked {
    local: Local,
    host: String,
    flags: Flags,
}

impl NameAsked {
    /// What its name must have after the `@`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it offers.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Gives it a name, and goes on. `challenge` must come from a secret random source. Gives the packets to send.
    pub fn name(
        self,
        name: NodeName,
        creation: u32,
        cookie: Cookie,
        challenge: u32,
    ) -> ([Vec<u8>; 2], AwaitReply) {
        let status = Status::Named {
            name: name.as_str().to_owned(),
            creation,
        };
        // Who is named by us is hidden, and sees it by our flags.
        let local = Local {
            flags: (self.local.flags - Flags::PUBLISHED) | Flags::NAME_ME,
            ..self.local
        };
        let flags = self.flags - Flags::NAME_ME;
        let asked = ConnectionAsked {
            local,
            name,
            flags,
            creation: Some(creation),
        };
        let (packet, next) = AwaitReply::new(asked, cookie, challenge);
        ([status.encode(), packet], next)
    }

    /// Says no.
    pub fn refuse(self, refusal: Refusal) -> Rejected {
        refusal.rejected()
    }
}

/// Asked the peer whether this connection is to replace the one that is up.
#[derive(Debug)]
pub struct AwaitAlive {
    asked: ConnectionAsked,
}

impl AwaitAlive {
    /// Takes the peer's answer; if it is yes, goes on as [`ConnectionAsked::accept`].
    pub fn handle(
        self,
        packet: &[u8],
        cookie: Cookie,
        challenge: u32,
    ) -> Result<(Vec<u8>, AwaitReply), Rejected> {
        if message::parse_alive_reply(packet)? {
            Ok(AwaitReply::new(self.asked, cookie, challenge))
        } else {
            Err(HandshakeError::GivenUp.into())
        }
    }
}

/// Sent our challenge; the peer's proof is to come.
#[derive(Debug)]
pub struct AwaitReply {
    asked: ConnectionAsked,
    cookie: Cookie,
    challenge: u32,
}

/// What followed the challenge.
#[derive(Debug)]
pub enum ReplyReceived {
    /// The complement of a node that speaks version 5: its proof is still to come.
    Complemented(AwaitReply),
    /// The peer has our cookie.
    Verified(Verified),
}

impl AwaitReply {
    fn new(asked: ConnectionAsked, cookie: Cookie, challenge: u32) -> (Vec<u8>, Self) {
        let Local {
            name,
            flags,
            creation,
        } = &asked.local;
        let name = name.as_str().to_owned();
        let packet = Challenge {
            flags: *flags,
            challenge,
            creation: *creation,
            name,
        }
        .encode();
        (
            packet,
            Self {
                asked,
                cookie,
                challenge,
            },
        )
    }

    /// What is to come: the complement of a node that speaks version 5, or the proof.
    pub fn step(&self) -> Step {
        if self.asked.creation.is_none() {
            Step::Complement
        } else {
            Step::Reply
        }
    }

    /// Takes what follows the challenge.
    pub fn handle(self, packet: &[u8]) -> Result<ReplyReceived, Rejected> {
        let Some(creation) = self.asked.creation else {
            let complement = Complement::parse(packet)?;
            let flags = self.asked.flags | complement.flags;
            let asked = ConnectionAsked {
                flags,
                creation: Some(complement.creation),
                ..self.asked
            };
            return Ok(ReplyReceived::Complemented(Self { asked, ..self }));
        };
        let reply = Reply::parse(packet)?;
        if !self.cookie.verify(self.challenge, &reply.digest) {
            return Err(HandshakeError::WrongCookie.into());
        }
        let ConnectionAsked {
            local, name, flags, ..
        } = self.asked;
        let local = Local {
            flags: local.flags - Flags::NAME_ME,
            ..local
        };
        let established = Established::new(local, name, creation, flags);
        let ack = message::encode_ack(&self.cookie.digest(reply.challenge));
        Ok(ReplyReceived::Verified(Verified { established, ack }))
    }
}

/// The peer has proven its cookie. Close the connection that this one replaces, if any, before going on.
#[derive(Debug)]
pub struct Verified {
    established: Established,
    ack: Vec<u8>,
}

impl Verified {
    /// Who is to be connected.
    pub fn established(&self) -> &Established {
        &self.established
    }

    /// The last packet: with it the connection is up.
    pub fn finish(self) -> (Vec<u8>, Established) {
        (self.ack, self.established)
    }
}

impl Refusal {
    fn rejected(self) -> Rejected {
        let error = HandshakeError::Refused(self);
        match self {
            Self::Nok => error.told(Status::Nok),
            Self::NotAllowed => error.told(Status::NotAllowed),
            Self::Busy => error.into(),
        }
    }
}

impl HandshakeError {
    fn told(self, status: Status) -> Rejected {
        Rejected {
            farewell: Some(status.encode()),
            name: None,
            error: self,
        }
    }
}

/// Closing without a word.
impl From<HandshakeError> for Rejected {
    fn from(error: HandshakeError) -> Self {
        Self {
            farewell: None,
            name: None,
            error,
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}
