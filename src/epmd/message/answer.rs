//! Answers. They are not framed: an answer ends where its own fields say, or where the daemon closes the connection.

use bytes::BufMut;
use nom::bytes::complete::{tag, take};
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};

use super::{Name, NameEntry, NodeInfo, node_fields};

const ALIVE2_RESP: u8 = 121;
const ALIVE2_X_RESP: u8 = 118;
const PORT2_RESP: u8 = 119;

/// The version of the distribution protocol from which on creations have 32 bits.
pub(crate) const LARGE_CREATION_VERSION: u16 = 6;
/// What a daemon puts in the place of the creation when it refuses a registration.
const REFUSED_CREATION: u32 = 99;

/// The answer to a registration: ALIVE2_RESP or ALIVE2_X_RESP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterAnswer {
    /// Registered, with the creation that tells this incarnation of the node from others of the name.
    Registered {
        /// 1 to 3 in the old form, any 32-bit number from 4 on in the new one.
        creation: u32,
    },
    /// Refused: the name is taken, or not a name.
    Refused {
        /// What the daemon gave as the result; 1 in practice.
        result: u8,
    },
}

impl RegisterAnswer {
    /// Appends the answer in the form for a node whose highest version is `highest_version`.
    pub fn encode(self, highest_version: u16, out: &mut Vec<u8>) {
        let (result, creation) = match self {
            Self::Registered { creation } => (0, creation),
            Self::Refused { result } => (result, REFUSED_CREATION),
        };
        if highest_version >= LARGE_CREATION_VERSION {
            out.put_u8(ALIVE2_X_RESP);
            out.put_u8(result);
            out.put_u32(creation);
        } else {
            out.put_u8(ALIVE2_RESP);
            out.put_u8(result);
            // Creations of the old form are 1 to 3, and 99.
            out.put_u16(u16::try_from(creation).unwrap_or(u16::MAX));
        }
    }

    /// Reads an answer of either form from the front of `bytes`; `None` means that more are needed.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, AnswerError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let parsed: IResult<&[u8], (u8, u32)> = match first {
            ALIVE2_X_RESP => (be_u8, be_u32).parse(rest),
            ALIVE2_RESP => (be_u8, be_u16.map(u32::from)).parse(rest),
            _ => return Err(AnswerError::UnknownTag(first)),
        };
        Ok(match parsed {
            Ok((_, (0, creation))) => Some(Self::Registered { creation }),
            Ok((_, (result, _))) => Some(Self::Refused { result }),
            Err(_) => None,
        })
    }
}

/// The answer to a look-up: PORT2_RESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupAnswer {
    /// The node is registered.
    Found(NodeInfo),
    /// It is not.
    NotFound,
}

impl LookupAnswer {
    /// Appends the answer for a registered node.
    pub fn encode_found(node: &NodeInfo, out: &mut Vec<u8>) {
        out.put_slice(&[PORT2_RESP, 0]);
        node.put(out);
    }

    /// Appends the answer for a name that is not registered.
    pub fn encode_not_found(out: &mut Vec<u8>) {
        out.put_slice(&[PORT2_RESP, 1]);
    }

    /// Reads the whole answer: what came until the daemon closed the connection.
    pub fn decode(bytes: &[u8]) -> Result<Self, AnswerError> {
        let (rest, tag) = byte(bytes).map_err(|_| AnswerError::Truncated)?;
        if tag != PORT2_RESP {
            return Err(AnswerError::UnknownTag(tag));
        }
        let (rest, result) = byte(rest).map_err(|_| AnswerError::Truncated)?;
        if result != 0 {
            return Ok(Self::NotFound);
        }
        let (_, fields) = node_fields(rest).map_err(|_| AnswerError::Truncated)?;
        let node = fields.registrant().map_err(|_| AnswerError::BadName)?;
        Ok(Self::Found(node))
    }
}

/// The answer to a request for names: NAMES_RESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesAnswer {
    /// The port on which the daemon says that it listens.
    pub epmd_port: u16,
    /// The registered nodes, the newest first.
    pub names: Vec<NameEntry>,
}

impl NamesAnswer {
    /// Reads the whole answer: what came until the daemon closed the connection.
    pub fn decode(bytes: &[u8]) -> Result<Self, AnswerError> {
        let (epmd_port, mut text) = split_port(bytes)?;
        let mut names = Vec::new();
        while !text.is_empty() {
            let (rest, entry) = name_line(text)?;
            names.push(entry);
            text = rest;
        }
        Ok(Self { epmd_port, names })
    }

    /// Appends the line for one node.
    pub fn encode_line(name: &Name, port: u16, out: &mut Vec<u8>) {
        out.put_slice(b"name ");
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b" at port ");
        put_decimal(out, port.into());
        out.put_u8(b'\n');
    }
}

/// Splits an answer to NAMES_REQ or DUMP_REQ into the daemon's port and its text.
///
/// # Errors
/// When there is no port in the place of the port, as when something else than EPMD has answered.
pub fn split_port(bytes: &[u8]) -> Result<(u16, &[u8]), AnswerError> {
    let (text, port) = dword(bytes).map_err(|_| AnswerError::Truncated)?;
    Ok((u16::try_from(port).map_err(|_| AnswerError::BadPort(port))?, text))
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The first byte is that of no answer to this request.
    #[error("the answer starts with {0}, which is not an answer to this request")]
    UnknownTag(u8),
    /// The answer ends before it is complete.
    #[error("the answer is not complete")]
    Truncated,
    /// Where the port of EPMD should be is something else.
    #[error("the answer has {0} in the place of EPMD's port")]
    BadPort(u32),
    /// A name in it is not one.
    #[error("the answer has a name that is not valid")]
    BadName,
    /// A line of the list of names is not of the form `name NAME at port PORT`.
    #[error("the list of names has a line that is not of the form `name NAME at port PORT`")]
    BadLine,
}

/// Appends `number` in decimal.
pub(crate) fn put_decimal(out: &mut Vec<u8>, number: u64) {
    use std::io::Write as _;
    // Writing to a vector does not fail.
    let _ = write!(out, "{number}");
}

/// One line `name NAME at port PORT`; its end may be missing in the last one. A name may contain blanks, so
/// the port is found from the end.
fn name_line(text: &[u8]) -> Result<(&[u8], NameEntry), AnswerError> {
    let bad = AnswerError::BadLine;
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let (after, line) = bytes_of(end, text).map_err(|_| bad)?;
    let after = after.strip_prefix(b"\n").unwrap_or(after);
    let (line, _) = prefix(b"name ", line).map_err(|_| bad)?;
    let line = str::from_utf8(line).map_err(|_| AnswerError::BadName)?;
    let (name, port) = line.rsplit_once(" at port ").ok_or(bad)?;
    let name = Name::new(name).map_err(|_| AnswerError::BadName)?;
    let port = port.parse().map_err(|_| bad)?;
    Ok((after, NameEntry { name, port }))
}

fn byte(input: &[u8]) -> IResult<&[u8], u8> {
    be_u8(input)
}

fn dword(input: &[u8]) -> IResult<&[u8], u32> {
    be_u32(input)
}

fn bytes_of(count: usize, input: &[u8]) -> IResult<&[u8], &[u8]> {
    take(count)(input)
}

fn prefix<'a>(expected: &'static [u8], input: &'a [u8]) -> IResult<&'a [u8], &'a [u8]> {
    tag(expected)(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epmd::Registrant;

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    #[test]
    fn registrations_are_answered_in_the_form_for_the_version() {
        // As stock daemons answer, to a name that is free and to one that is taken.
        let seen = [
            (
                &b"v\x00k\x01'\xae"[..],
                6,
                RegisterAnswer::Registered {
                    creation: 0x6b01_27ae,
                },
            ),
            (b"v\x01\x00\x00\x00c", 6, RegisterAnswer::Refused { result: 1 }),
            (b"y\x00\x00\x03", 5, RegisterAnswer::Registered { creation: 3 }),
            (b"y\x01\x00c", 5, RegisterAnswer::Refused { result: 1 }),
        ];
        for (bytes, version, answer) in seen {
            assert_eq!(RegisterAnswer::decode(bytes), Ok(Some(answer)));
            let mut encoded = Vec::new();
            answer.encode(version, &mut encoded);
            assert_eq!(encoded, bytes);
            for end in 0..bytes.len() {
                assert_eq!(RegisterAnswer::decode(&bytes[..end]), Ok(None));
            }
        }
        assert_eq!(RegisterAnswer::decode(b"w"), Err(AnswerError::UnknownTag(b'w')));
    }

    #[test]
    fn lookups_are_answered() {
        let bytes = b"w\x00\x85\x87M\x00\x00\x06\x00\x05\x00\x05alice\x00\x00";
        let alice = Registrant::new(name("alice"), 0x8587);
        assert_eq!(
            LookupAnswer::decode(bytes),
            Ok(LookupAnswer::Found(alice.clone()))
        );
        let mut encoded = Vec::new();
        LookupAnswer::encode_found(&alice, &mut encoded);
        assert_eq!(encoded, bytes);
        assert_eq!(LookupAnswer::decode(b"w\x01"), Ok(LookupAnswer::NotFound));
        for end in 0..bytes.len() {
            assert_eq!(LookupAnswer::decode(&bytes[..end]), Err(AnswerError::Truncated));
        }
        assert_eq!(
            LookupAnswer::decode(b"HTTP/1.1"),
            Err(AnswerError::UnknownTag(b'H'))
        );
    }

    #[test]
    fn lists_of_names_are_read_as_daemons_write_them() {
        let bytes = b"\x00\x00\x11\x11name at port 5 at port 4001\nname a b at port 65535\n";
        let entry = |text, port| NameEntry {
            name: name(text),
            port,
        };
        let names = vec![entry("at port 5", 4001), entry("a b", 65535)];
        assert_eq!(
            NamesAnswer::decode(bytes),
            Ok(NamesAnswer {
                epmd_port: 4369,
                names
            })
        );
        let mut line = Vec::new();
        NamesAnswer::encode_line(&name("a b"), 65535, &mut line);
        assert!(bytes.ends_with(&line));

        for (bytes, error) in [
            (&b"\x00\x00\x11"[..], AnswerError::Truncated),
            (b"HTTP/1.1 400", AnswerError::BadPort(0x4854_5450)),
            (b"\x00\x00\x11\x11alice", AnswerError::BadLine),
            (
                b"\x00\x00\x11\x11name alice at port 65536\n",
                AnswerError::BadLine,
            ),
            (b"\x00\x00\x11\x11name \xff at port 1\n", AnswerError::BadName),
        ] {
            assert_eq!(NamesAnswer::decode(bytes), Err(error));
        }
    }
}
