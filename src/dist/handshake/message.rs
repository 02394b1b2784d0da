//! The messages of the handshake, to and from bytes.
//!
//! Follows "Distribution Handshake" of Erlang's *Distribution Protocol*, version 6, and of version 5 the two messages
//! that nodes of OTP 23 and 24 still send: the old name message and its complement. The length in front of a packet
//! is not dealt with here but in [`Deframer`](super::Deframer).
//!
//! Bytes after the last field are ignored where nodes ignore them (name, challenge, `named:`): later releases may put
//! more there.

use super::{HandshakeError, Step};
use crate::dist::{Digest, Flags};
use nom::branch::alt;
use nom::bytes::complete::{tag, take};
use nom::combinator::{all_consuming, map, rest, value};
use nom::multi::length_data;
use nom::number::complete::{be_u16, be_u32, be_u64};
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// The first message, in which the node that connects says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SendName {
    /// The flags; of version 5 the lower half, the rest comes in the [`Complement`].
    pub(super) flags: Flags,
    /// Missing in version 5, where it comes in the [`Complement`].
    pub(super) creation: Option<u32>,
    /// The name, or the host alone of a node that asks for a name.
    pub(super) name: String,
}

/// The answer to [`SendName`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    OkSimultaneous,
    Nok,
    NotAllowed,
    Alive,
    Named { name: String, creation: u32 },
}

/// The flags, name and challenge of the node that was connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) flags: Flags,
    pub(super) challenge: u32,
    pub(super) creation: u32,
    pub(super) name: String,
}

/// What the old name message had no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Complement {
    /// The upper half of the flags, in its place.
    pub(super) flags: Flags,
    pub(super) creation: u32,
}

/// The proof of the node that connects, and its own challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) challenge: u32,
    pub(super) digest: Digest,
}

impl SendName {
    pub(super) fn parse(packet: &[u8]) -> Result<Self, HandshakeError> {
        let new = preceded(
            tag(&b"N"[..]),
            map((flags, be_u32, name), |(flags, creation, name)| Self {
                flags,
                creation: Some(creation),
                name,
            }),
        );
        // The version number is no longer looked at by anyone, and not by us.
        let old = preceded(
            (tag(&b"n"[..]), be_u16),
            map((be_u32, map(rest, latin1)), |(low, name)| Self {
                flags: Flags::from_bits_retain(low.into()),
                creation: None,
                name,
            }),
        );
        finish(alt((new, old)).parse(packet), Step::SendName)
    }

    /// Always the message of version 6, which all nodes since OTP 23 take.
    pub(super) fn encode(flags: Flags, creation: u32, name: &str) -> Vec<u8> {
        let mut out = vec![b'N'];
        out.extend(flags.bits().to_be_bytes());
        out.extend(creation.to_be_bytes());
        put_name(&mut out, name);
        out
    }
}

impl Status {
    pub(super) fn parse(packet: &[u8]) -> Result<Self, HandshakeError> {
        let word = all_consuming(alt((
            value(Self::Ok, tag(&b"ok"[..])),
            value(Self::NotAllowed, tag(&b"not_allowed"[..])),
            value(Self::Nok, tag(&b"nok"[..])),
            value(Self::Alive, tag(&b"alive"[..])),
        )));
        let named = preceded(
            tag(&b"named:"[..]),
            map((name, be_u32), |(name, creation)| Self::Named { name, creation }),
        );
        let simultaneous = all_consuming(value(Self::OkSimultaneous, tag(&b"ok_simultaneous"[..])));
        finish(
            preceded(tag(&b"s"[..]), alt((simultaneous, named, word))).parse(packet),
            Step::Status,
        )
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![b's'];
        match self {
            Self::Ok => out.extend(b"ok"),
            Self::OkSimultaneous => out.extend(b"ok_simultaneous"),
            Self::Nok => out.extend(b"nok"),
            Self::NotAllowed => out.extend(b"not_allowed"),
            Self::Alive => out.extend(b"alive"),
            Self::Named { name, creation } => {
                out.extend(b"named:");
                put_name(&mut out, name);
                out.extend(creation.to_be_bytes());
            }
        }
        out
    }
}

/// The answer to the status `alive`: whether the new connection is to take the place of the old.
pub(super) fn parse_alive_reply(packet: &[u8]) -> Result<bool, HandshakeError> {
    let word = alt((value(true, tag(&b"true"[..])), value(false, tag(&b"false"[..]))));
    finish(
        all_consuming(preceded(tag(&b"s"[..]), word)).parse(packet),
        Step::AliveReply,
    )
}

pub(super) fn encode_alive_reply(answer: bool) -> Vec<u8> {
    if answer {
        b"strue".to_vec()
    } else {
        b"sfalse".to_vec()
    }
}

impl Challenge {
    pub(super) fn parse(packet: &[u8]) -> Result<Self, HandshakeError> {
        let fields = (flags, be_u32, be_u32, name);
        let fields = map(fields, |(flags, challenge, creation, name)| Self {
            flags,
            challenge,
            creation,
            name,
        });
        finish(preceded(tag(&b"N"[..]), fields).parse(packet), Step::Challenge)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![b'N'];
        out.extend(self.flags.bits().to_be_bytes());
        out.extend(self.challenge.to_be_bytes());
        out.extend(self.creation.to_be_bytes());
        put_name(&mut out, &self.name);
        out
    }
}

impl Complement {
    pub(super) fn parse(packet: &[u8]) -> Result<Self, HandshakeError> {
        let high = map(be_u32, |high| Flags::from_bits_retain(u64::from(high) << 32));
        let fields = map((high, be_u32), |(flags, creation)| Self { flags, creation });
        finish(preceded(tag(&b"c"[..]), fields).parse(packet), Step::Complement)
    }
}

impl Reply {
    pub(super) fn parse(packet: &[u8]) -> Result<Self, HandshakeError> {
        let fields = map((be_u32, digest), |(challenge, digest)| Self { challenge, digest });
        finish(
            all_consuming(preceded(tag(&b"r"[..]), fields)).parse(packet),
            Step::Reply,
        )
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![b'r'];
        out.extend(self.challenge.to_be_bytes());
        out.extend(self.digest);
        out
    }
}

/// The proof of the node that was connected to.
pub(super) fn parse_ack(packet: &[u8]) -> Result<Digest, HandshakeError> {
    finish(
        all_consuming(preceded(tag(&b"a"[..]), digest)).parse(packet),
        Step::Ack,
    )
}

pub(super) fn encode_ack(digest: &Digest) -> Vec<u8> {
    let mut out = vec![b'a'];
    out.extend(digest);
    out
}

fn finish<T>(parsed: IResult<&[u8], T>, step: Step) -> Result<T, HandshakeError> {
    parsed
        .map(|(_, message)| message)
        .map_err(|_| HandshakeError::Malformed { step })
}

fn flags(input: &[u8]) -> IResult<&[u8], Flags> {
    map(be_u64, Flags::from_bits_retain).parse(input)
}

/// A name with its length in front.
fn name(input: &[u8]) -> IResult<&[u8], String> {
    map(length_data(be_u16), latin1).parse(input)
}

fn digest(input: &[u8]) -> IResult<&[u8], Digest> {
    let (input, bytes) = take(16_usize)(input)?;
    let mut digest = Digest::default();
    digest.copy_from_slice(bytes);
    Ok((input, digest))
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// A name in Latin-1 with its length in front. Both hold for every [`NodeName`](crate::dist::NodeName) and host: at
/// most 255 bytes, no character above U+00FF; a name that is none is cut rather than misread by the peer.
fn put_name(out: &mut Vec<u8>, name: &str) {
    let bytes: Vec<u8> = name
        .chars()
        .map_while(|c| u8::try_from(c).ok())
        .take(usize::from(u16::MAX))
        .collect();
    out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_version_6_with_bytes_after_it() {
        let packet = [
            b"N\0\0\0\x0d\x07\xdf\x7f\xbd\0\0\0\x04\0\x03a@b".as_slice(),
            b"later",
        ]
        .concat();
        let parsed = SendName::parse(&packet).unwrap();
        assert_eq!(parsed.flags.bits(), 0x0d_07df_7fbd);
        assert_eq!((parsed.creation, parsed.name.as_str()), (Some(4), "a@b"));
        assert_eq!(
            SendName::encode(parsed.flags, 4, "a@b"),
            packet[..packet.len() - 5]
        );
    }

    #[test]
    fn name_of_version_5_whatever_its_version_number() {
        for version in [5_u8, 6, 0] {
            let packet = [b"n\0".as_slice(), &[version], b"\x01\xdf\x7f\xbda@b"].concat();
            let parsed = SendName::parse(&packet).unwrap();
            assert_eq!(parsed.flags.bits(), 0x01df_7fbd);
            assert_eq!((parsed.creation, parsed.name.as_str()), (None, "a@b"));
        }
    }

    #[test]
    fn every_status() {
        let named = Status::Named {
            name: "ABC@host".into(),
            creation: 7,
        };
        for (status, bytes) in [
            (Status::Ok, b"sok".as_slice()),
            (Status::OkSimultaneous, b"sok_simultaneous"),
            (Status::Nok, b"snok"),
            (Status::NotAllowed, b"snot_allowed"),
            (Status::Alive, b"salive"),
            (named, b"snamed:\0\x08ABC@host\0\0\0\x07"),
        ] {
            assert_eq!(Status::parse(bytes), Ok(status.clone()));
            assert_eq!(status.encode(), bytes);
        }
        assert_eq!(
            Status::parse(b"soak"),
            Err(HandshakeError::Malformed { step: Step::Status })
        );
        assert_eq!(
            Status::parse(b"snamed:\0\x08ABC"),
            Err(HandshakeError::Malformed { step: Step::Status })
        );
    }

    #[test]
    fn short_packets_are_malformed() {
        let whole = Challenge {
            flags: Flags::OFFERED,
            challenge: 1,
            creation: 2,
            name: "a@b".into(),
        }
        .encode();
        assert!(Challenge::parse(&whole).is_ok());
        for end in 0..whole.len() {
            assert_eq!(
                Challenge::parse(&whole[..end]),
                Err(HandshakeError::Malformed {
                    step: Step::Challenge
                })
            );
        }
        assert_eq!(
            Reply::parse(b"r\0\0\0\0"),
            Err(HandshakeError::Malformed { step: Step::Reply })
        );
        assert_eq!(
            parse_ack(&[b'a'; 16]),
            Err(HandshakeError::Malformed { step: Step::Ack })
        );
        assert_eq!(parse_alive_reply(b"strue"), Ok(true));
        assert_eq!(parse_alive_reply(b"sfalse"), Ok(false));
        assert_eq!(
            parse_alive_reply(b"smaybe"),
            Err(HandshakeError::Malformed {
                step: Step::AliveReply
            })
        );
    }
}
