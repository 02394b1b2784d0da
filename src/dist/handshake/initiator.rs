//! The handshake of the node that connects.

use super::message::{self, Challenge, Reply, SendName, Status};
use super::{Established, HandshakeError, Local};
use crate::dist::name::is_host;
use crate::dist::{Cookie, Flags, NameError, NodeName};

/// The name that we have, or have not yet, when we connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalName {
    /// We have one.
    Named(NodeName),
    /// We ask the peer for one, as `erl -sname undefined` does.
    Undefined {
        /// Our host, which the name will have after its `@`.
        host: String,
    },
}

/// What to dial with: who we are, whom we want, and the cookie for it.
#[derive(Clone, Debug)]
pub struct Dialed {
    /// Our name, or that we ask for one.
    pub name: LocalName,
    /// What we offer. [`Flags::NAME_ME`] is added, and [`Flags::PUBLISHED`] taken away, when we ask for a name.
    pub flags: Flags,
    /// Which incarnation of our name we are. Not looked at when we ask for a name.
    pub creation: u32,
    /// Whom we dial.
    pub peer: NodeName,
    /// Our cookie for it.
    pub cookie: Cookie,
}

/// Begins a handshake with the node that we have connected to. Gives the packet to send.
///
/// Fails if the names do not mix, or the host to be named for is none.
pub fn start(dialed: Dialed) -> Result<(Vec<u8>, AwaitStatus), HandshakeError> {
    let (text, flags, creation) = match &dialed.name {
        LocalName::Named(name) => {
            dialed.peer.expect_kind(name.kind())?;
            (name.as_str(), dialed.flags - Flags::NAME_ME, dialed.creation)
        }
        LocalName::Undefined { host } if is_host(host) && host.len() < 250 => (
            host.as_str(),
            (dialed.flags - Flags::PUBLISHED) | Flags::NAME_ME,
            0,
        ),
        LocalName::Undefined { host } => return Err(NameError::IllegalHost(host.clone()).into()),
    };
    let packet = SendName::encode(flags, creation, text);
    Ok((packet, AwaitStatus { dialed }))
}

/// Sent our name; the peer is to say what it thinks of it.
#[derive(Debug)]
pub struct AwaitStatus {
    dialed: Dialed,
}

/// What the peer said to our name.
#[derive(Debug)]
pub enum StatusReceived {
    /// It goes on, with its challenge.
    Proceed(AwaitChallenge),
    /// It has a connection of our name already and asks whether this one is to replace it.
    Alive(AliveAsked),
}

impl AwaitStatus {
    /// Takes the peer's status.
    pub fn handle(self, packet: &[u8]) -> Result<StatusReceived, HandshakeError> {
        let Dialed {
            name,
            flags,
            creation,
            peer,
            cookie,
        } = self.dialed;
        let flags = flags - Flags::NAME_ME;
        match (name, Status::parse(packet)?) {
            (LocalName::Named(name), Status::Ok | Status::OkSimultaneous) => {
                let local = Local {
                    name,
                    flags,
                    creation,
                };
                Ok(StatusReceived::Proceed(AwaitChallenge { local, peer, cookie }))
            }
            (LocalName::Named(name), Status::Alive) => {
                let local = Local {
                    name,
                    flags,
                    creation,
                };
                Ok(StatusReceived::Alive(AliveAsked {
                    next: AwaitChallenge { local, peer, cookie },
                }))
            }
            (LocalName::Undefined { .. }, Status::Named { name, creation }) => {
                let local = Local {
                    name: name.parse()?,
                    flags: flags - Flags::PUBLISHED,
                    creation,
                };
                Ok(StatusReceived::Proceed(AwaitChallenge { local, peer, cookie }))
            }
            (_, Status::Nok) => Err(HandshakeError::Nok),
            (_, Status::NotAllowed) => Err(HandshakeError::NotAllowed),
            (LocalName::Named(_), Status::Named { .. })
            | (LocalName::Undefined { .. }, Status::Ok | Status::OkSimultaneous | Status::Alive) => {
                Err(HandshakeError::UnexpectedStatus)
            }
        }
    }
}

/// The peer has a connection of our name and asks whether this one is to replace it.
#[derive(Debug)]
pub struct AliveAsked {
    next: AwaitChallenge,
}

impl AliveAsked {
    /// Yes: we have no other connection to it (ours went down, and it has not noticed), nor one that came first.
    pub fn replace(self) -> (Vec<u8>, AwaitChallenge) {
        (message::encode_alive_reply(true), self.next)
    }

    /// No: this attempt is no longer wanted. Send the packet, then close.
    pub fn give_up(self) -> (Vec<u8>, HandshakeError) {
        (message::encode_alive_reply(false), HandshakeError::Superseded)
    }
}

/// The peer has taken our name; its challenge is to come.
#[derive(Debug)]
pub struct AwaitChallenge {
    local: Local,
    peer: NodeName,
    cookie: Cookie,
}

impl AwaitChallenge {
    /// Takes the peer's challenge, and gives the packet with our proof and our own challenge, which must come from
    /// a secret random source.
    pub fn handle(self, packet: &[u8], challenge: u32) -> Result<(Vec<u8>, AwaitAck), HandshakeError> {
        let Self { local, peer, cookie } = self;
        let theirs = Challenge::parse(packet)?;
        if theirs.name != peer.as_str() {
            return Err(HandshakeError::WrongName {
                expected: peer,
                answered: theirs.name,
            });
        }
        let missing = theirs.flags.missing(Flags::REQUIRED);
        if !missing.is_empty() {
            return Err(HandshakeError::MissingFlags { missing });
        }
        let reply = Reply {
            challenge,
            digest: cookie.digest(theirs.challenge),
        };
        let established = Established::new(local, peer, theirs.creation, theirs.flags);
        Ok((
            reply.encode(),
            AwaitAck {
                established,
                cookie,
                challenge,
            },
        ))
    }
}

/// Sent our proof; the peer's is to come.
#[derive(Debug)]
pub struct AwaitAck {
    established: Established,
    cookie: Cookie,
    challenge: u32,
}

impl AwaitAck {
    /// Takes the peer's proof. What follows it on the stream belongs to the connection.
    pub fn handle(self, packet: &[u8]) -> Result<Established, HandshakeError> {
        let digest = message::parse_ack(packet)?;
        if self.cookie.verify(self.challenge, &digest) {
            Ok(self.established)
        } else {
            Err(HandshakeError::WrongCookie)
        }
    }
}
