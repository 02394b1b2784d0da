//! Requests, and how a daemon finds them in the bytes of a connection.

use std::borrow::Cow;

use bytes::BufMut;
use nom::IResult;
use nom::number::complete::{be_u8, be_u16};

use super::{MAX_EXTRA, MAX_NAME_CHARS, MAX_REQUEST, Name, NameError, Registrant, node_fields, put_sized};

const ALIVE2_REQ: u8 = 120;
const PORT2_REQ: u8 = 122;
const NAMES_REQ: u8 = 110;
const DUMP_REQ: u8 = 100;
const KILL_REQ: u8 = 107;
const STOP_REQ: u8 = 115;

/// A request to EPMD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// ALIVE2_REQ: register a node for as long as the connection lives.
    Register(Registrant),
    /// PORT2_REQ: tell me about a node.
    Lookup(Name),
    /// NAMES_REQ: list the registered names.
    Names,
    /// DUMP_REQ: list everything known, for debugging.
    Dump,
    /// KILL_REQ: end the daemon.
    Kill,
    /// STOP_REQ: unregister a name that another connection holds.
    Stop(Name),
}

impl Request {
    /// The request as it goes over the wire, length field included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(64);
        match self {
            Self::Register(registrant) => {
                body.put_u8(ALIVE2_REQ);
                registrant.put(&mut body);
            }
            Self::Lookup(name) => {
                body.put_u8(PORT2_REQ);
                body.put_slice(name.as_str().as_bytes());
            }
            Self::Names => body.put_u8(NAMES_REQ),
            Self::Dump => body.put_u8(DUMP_REQ),
            Self::Kill => body.put_u8(KILL_REQ),
            Self::Stop(name) => {
                body.put_u8(STOP_REQ);
                body.put_slice(name.as_str().as_bytes());
            }
        }
        let mut packet = Vec::with_capacity(2 + body.len());
        put_sized(&mut packet, &body);
        packet
    }

    /// Reads a request from the body of a packet, that is, without its length field.
    ///
    /// # Errors
    /// [`RequestError::Refused`] for a registration that is well formed but asks for what cannot be;
    /// [`RequestError::Malformed`] for everything that a daemon hangs up on without a word.
    pub fn decode(body: &[u8]) -> Result<Self, RequestError> {
        let malformed = |_| RequestError::Malformed;
        let (rest, op) = byte(body).map_err(malformed)?;
        match op {
            ALIVE2_REQ => {
                // A packet that could not hold a name of one byte is refused before its fields are looked at, so the
                // empty name gets in only with something behind it. Bytes behind the extra field are tolerated.
                if body.len() < 14 {
                    return Err(RequestError::Malformed);
                }
                let (_, fields) = node_fields(rest).map_err(malformed)?;
                if fields.name.contains(&0) {
                    return Err(RequestError::Malformed);
                }
                fields
                    .registrant()
                    .map(Self::Register)
                    .map_err(RequestError::Refused)
            }
            PORT2_REQ => {
                // Daemons count the end of the name as one of its characters, so that the longest of
                // names can be registered and not be asked for.
                let name = rest.strip_suffix(b"\0").unwrap_or(rest);
                let name = Name::from_bytes(name).map_err(|_| RequestError::Malformed)?;
                let length = name.as_str().chars().count();
                if length == 0 || length == MAX_NAME_CHARS {
                    return Err(RequestError::Malformed);
                }
                Ok(Self::Lookup(name))
            }
            NAMES_REQ => Ok(Self::Names),
            DUMP_REQ => Ok(Self::Dump),
            KILL_REQ => Ok(Self::Kill),
            STOP_REQ => {
                // Whatever follows the first NUL is ignored.
                if rest.is_empty() {
                    return Err(RequestError::Malformed);
                }
                let name = rest.split(|&byte| byte == 0).next().unwrap_or_default();
                // What cannot be a name is not registered: no need to tell it from an unknown one.
                Ok(Self::Stop(Name::from_bytes(name).unwrap_or_default()))
            }
            _ => Err(RequestError::Malformed),
        }
    }
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It cannot be understood; a daemon closes the connection without answering.
    #[error("malformed request")]
    Malformed,
    /// A registration that can be understood and is answered with a refusal.
    #[error("registration refused: {0}")]
    Refused(RefusalReason),
}

/// Why a well-formed registration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// The name is not one.
    #[error("{name}")]
    BadName {
        /// What is wrong with it.
        name: NameError,
        /// The version that decides the form of the answer.
        highest_version: u16,
    },
    /// The extra field is longer than [`MAX_EXTRA`].
    #[error("the extra field has more than {MAX_EXTRA} bytes")]
    LongExtra {
        /// The version that decides the form of the answer.
        highest_version: u16,
    },
}

impl RefusalReason {
    /// The version that decides the form of the answer.
    #[must_use]
    pub const fn highest_version(self) -> u16 {
        match self {
            Self::BadName { highest_version, .. } | Self::LongExtra { highest_version } => highest_version,
        }
    }
}

/// Cuts the bytes of one connection into the one packet that they may hold.
///
/// A connection carries exactly one request. Bytes behind it that come *with* its length field make a daemon hang up
/// without an answer; those that come later it never reads.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Length of the whole packet with its length field, once known.
    want: Option<usize>,
}

/// What [`Deframer::input`] has made of the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Deframed<'a> {
    /// More bytes are needed.
    Incomplete,
    /// The packet is whole: the body without the length field.
    Packet(Cow<'a, [u8]>),
    /// The length field says something that no request has, or more bytes came than it says.
    BadLength,
}

impl Deframer {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            want: None,
        }
    }

    /// Takes in what one read from the connection gave, no more than there is [`room`](Self::room) for.
    pub fn input<'a>(&mut self, bytes: &'a [u8]) -> Deframed<'a> {
        if self.buffer.is_empty()
            && let Ok((body, length)) = word(bytes)
            && (1..=MAX_REQUEST).contains(&usize::from(length))
            && body.len() == usize::from(length)
        {
            // The usual case, without a copy.
            return Deframed::Packet(Cow::Borrowed(body));
        }
        self.buffer
            .extend_from_slice(bytes.get(..self.room()).unwrap_or(bytes));
        let want = match self.want {
            Some(want) => want,
            None => {
                let Ok((_, length)) = word(&self.buffer) else {
                    return Deframed::Incomplete;
                };
                let length = usize::from(length);
                let want = 2 + length;
                if length == 0 || length > MAX_REQUEST || self.buffer.len() > want {
                    self.buffer = Vec::new();
                    return Deframed::BadLength;
                }
                self.want = Some(want);
                want
            }
        };
        if self.buffer.len() < want {
            return Deframed::Incomplete;
        }
        let mut packet = std::mem::take(&mut self.buffer);
        packet.drain(..2);
        Deframed::Packet(Cow::Owned(packet))
    }

    /// How many bytes the next read from the connection may take at most. A daemon leaves what comes behind a request unread:
    /// on a connection that is then held for a registration, it finds it there as a violation of the protocol.
    #[must_use]
    pub fn room(&self) -> usize {
        self.want
            .unwrap_or(2 + MAX_REQUEST)
            .saturating_sub(self.buffer.len())
    }
}

fn byte(input: &[u8]) -> IResult<&[u8], u8> {
    be_u8(input)
}

fn word(input: &[u8]) -> IResult<&[u8], u16> {
    be_u16(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(packet: &[u8]) -> Result<Request, RequestError> {
        let (body, length) = word(packet).unwrap();
        assert_eq!(body.len(), usize::from(length));
        Request::decode(body)
    }

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    #[test]
    fn what_erlang_nodes_send_is_understood_and_sent_alike() {
        // `erl -sname alice` of OTP 23, 25, 27 and 29, `erl_epmd:names()` and `net_adm:ping/1`.
        let seen = [
            (
                &b"\x00\x12x\x85\x87M\x00\x00\x06\x00\x05\x00\x05alice\x00\x00"[..],
                { Request::Register(Registrant::new(name("alice"), 0x8587)) },
            ),
            (b"\x00\x01n", Request::Names),
            (b"\x00\x04zbob", Request::Lookup(name("bob"))),
        ];
        for (packet, request) in seen {
            assert_eq!(decode(packet).as_ref(), Ok(&request));
            assert_eq!(request.encode(), packet);
        }
        for request in [Request::Dump, Request::Kill, Request::Stop(name("bob"))] {
            assert_eq!(decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn what_daemons_hang_up_on_is_malformed() {
        let malformed: [&[u8]; 14] = [
            b"",
            b"a\x00\x01alice",
            b"q",
            b"z",
            b"z\0",
            b"zbob\0\0",
            b"zb\0b",
            b"z\xff",
            b"s",
            // A registration without a name, with half a header, with lengths beyond its end, with NUL in its name.
            b"x\x00\x01M\x00\x00\x06\x00\x05\x00\x00\x00\x00",
            b"x\x00\x01M\x00\x00\x06",
            b"x\x00\x01M\x00\x00\x06\x00\x05\x00\x06alice\x00\x00",
            b"x\x00\x01M\x00\x00\x06\x00\x05\x00\x05alice\x00\x01",
            b"x\x00\x01M\x00\x00\x06\x00\x05\x00\x05al\0ce\x00\x00",
        ];
        for body in malformed {
            assert_eq!(
                Request::decode(body),
                Err(RequestError::Malformed),
                "{}",
                body.escape_ascii()
            );
        }
    }

    #[test]
    fn what_daemons_let_pass_is_understood() {
        assert_eq!(Request::decode(b"zbob\0"), Ok(Request::Lookup(name("bob"))));
        assert_eq!(Request::decode(b"nothing"), Ok(Request::Names));
        assert_eq!(Request::decode(b"sbob\0rest"), Ok(Request::Stop(name("bob"))));
        let tail = b"x\x00\x01M\x00\x00\x06\x00\x05\x00\x03a b\x00\x00tail";
        assert_eq!(
            Request::decode(tail),
            Ok(Request::Register(Registrant::new(name("a b"), 1)))
        );
    }

    #[test]
    fn names_and_extra_fields_have_their_limits() {
        let register = |name: &[u8], extra: &[u8]| {
            let mut body = b"x\x00\x01M\x00\x00\x06\x00\x05".to_vec();
            put_sized(&mut body, name);
            put_sized(&mut body, extra);
            Request::decode(&body)
        };
        let reason = |refused| match refused {
            Err(RequestError::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        };
        let bad_name = |name| RefusalReason::BadName {
            name,
            highest_version: 6,
        };
        assert!(register("é".repeat(255).as_bytes(), &[0; MAX_EXTRA]).is_ok());
        assert_eq!(
            reason(register("é".repeat(256).as_bytes(), b"")),
            bad_name(NameError::TooLong)
        );
        assert_eq!(reason(register(b"al\xffice", b"")), bad_name(NameError::NotUtf8));
        let long = RefusalReason::LongExtra { highest_version: 6 };
        assert_eq!(reason(register(b"alice", &[0; MAX_EXTRA + 1])), long);
        // One character less than can be registered can be looked up.
        let lookup = |length| Request::decode(format!("z{}", "é".repeat(length)).as_bytes());
        assert!(lookup(254).is_ok());
        assert_eq!(lookup(255), Err(RequestError::Malformed));
    }

    #[test]
    fn a_packet_is_found_whatever_its_pieces() {
        let packet = b"\x00\x04zbob";
        for cut in 0..packet.len() {
            let (front, back) = packet.split_at(cut);
            let mut deframer = Deframer::new();
            if cut > 0 {
                assert_eq!(deframer.input(front), Deframed::Incomplete);
            }
            assert!(deframer.room() >= back.len());
            assert_eq!(deframer.input(back), Deframed::Packet(Cow::Borrowed(b"zbob")));
        }
    }

    #[test]
    fn lengths_that_no_request_has_are_refused() {
        let too_long = 3058_u16.to_be_bytes();
        for bytes in [&b"\0\0"[..], b"\0\x01nn", b"\xff\xff", &too_long] {
            assert_eq!(
                Deframer::new().input(bytes),
                Deframed::BadLength,
                "{}",
                bytes.escape_ascii()
            );
        }
        // Once the length is known there is room for no more than that.
        let mut deframer = Deframer::new();
        assert_eq!(deframer.input(b"\0\x04z"), Deframed::Incomplete);
        assert_eq!(deframer.room(), 3);
    }
}
