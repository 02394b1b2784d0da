//! Requests to EPMD and its answers, as values and as bytes.
//!
//! Follows "EPMD Protocol" in Erlang's *Distribution Protocol* chapter, and real daemons where they are stricter or more
//! lenient than it says. All integers are big-endian. A request is framed by a length of two bytes ([`Deframer`]
//! takes that off); an answer is not framed: it ends where its own fields say, or where the daemon closes the
//! connection.
//!
//! Nothing here touches a socket, and nothing is allocated by a length that the other side merely claims.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes};
use nom::bytes::complete::{tag, take};
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};
use smol_str::SmolStr;

/// The most bytes that a request may have after its length field. A daemon hangs up on longer ones, and on empty ones.
pub const MAX_REQUEST: usize = 3057;
/// The most bytes that a name may have.
pub const MAX_NAME_BYTES: usize = 4 * MAX_NAME_CHARS;
/// The most characters that a name may have.
pub const MAX_NAME_CHARS: usize = 255;
/// The most bytes that a node can store beside its name ([`Registrant::extra`]).
pub const MAX_EXTRA: usize = 1020;

const ALIVE2_REQ: u8 = 120;
const PORT2_REQ: u8 = 122;
const NAMES_REQ: u8 = 110;
const DUMP_REQ: u8 = 100;
const KILL_REQ: u8 = 107;
const STOP_REQ: u8 = 115;
const ALIVE2_RESP: u8 = 121;
const ALIVE2_X_RESP: u8 = 118;
const PORT2_RESP: u8 = 119;

/// The version of the distribution protocol from which on creations have 32 bits.
const LARGE_CREATION_VERSION: u16 = 6;
/// What a daemon puts in the place of the creation when it refuses a registration.
const REFUSED_CREATION: u32 = 99;

/// The name under which a node is registered: what stands before the `@` in the name of the node.
///
/// UTF-8 of at most 255 characters, without NUL. EPMD itself asks for no more than that: blanks, `@` and even nothing at all
/// are names to it, though never those of a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

impl Name {
    /// Takes `name` for a name, unless it is longer than EPMD allows or contains NUL.
    ///
    /// ```
    /// use beamnode::epmd::Name;
    ///
    /// assert_eq!(Name::new("alice")?.as_str(), "alice");
    /// assert!(Name::new(&"x".repeat(256)).is_err());
    /// # Ok::<(), beamnode::epmd::message::NameError>(())
    /// ```
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.contains('\0') {
            return Err(NameError::Nul);
        }
        if name.chars().nth(MAX_NAME_CHARS).is_some() {
            return Err(NameError::TooLong);
        }
        Ok(Self(SmolStr::new(name)))
    }

    /// As [`Name::new`], for bytes that may not be UTF-8.
    pub fn from_bytes(name: &[u8]) -> Result<Self, NameError> {
        Self::new(str::from_utf8(name).map_err(|_| NameError::NotUtf8)?)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

/// Why something cannot be registered as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More than 255 characters.
    #[error("the name has more than {MAX_NAME_CHARS} characters")]
    TooLong,
    /// A NUL, which ends names in EPMD.
    #[error("the name contains NUL")]
    Nul,
    /// Not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
}

/// What sort of node registers. Every Erlang node says [`Visible`](Self::Visible), hidden ones too; nothing depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeType {
    /// 77, `M`: an Erlang node.
    Visible,
    /// 72, `H`: a C node or the like.
    Hidden,
    /// Anything else: EPMD stores and hands out whatever it is given.
    Other(u8),
}

impl From<u8> for NodeType {
    fn from(byte: u8) -> Self {
        match byte {
            77 => Self::Visible,
            72 => Self::Hidden,
            other => Self::Other(other),
        }
    }
}

impl From<NodeType> for u8 {
    fn from(node_type: NodeType) -> Self {
        match node_type {
            NodeType::Visible => 77,
            NodeType::Hidden => 72,
            NodeType::Other(other) => other,
        }
    }
}

/// What a node tells EPMD about itself.
///
/// ```
/// use beamnode::epmd::{Name, Registrant};
///
/// let me = Registrant::new(Name::new("rust")?, 40123);
/// assert_eq!((me.highest_version, me.lowest_version), (6, 5));
/// # Ok::<(), beamnode::epmd::message::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registrant {
    /// The name, without `@` and host.
    pub name: Name,
    /// The TCP port on which the node accepts connections.
    pub port: u16,
    /// The sort of node.
    pub node_type: NodeType,
    /// The transport: 0 is TCP over IPv4, and what everyone says whatever they use.
    pub protocol: u8,
    /// The highest version of the distribution protocol that the node speaks. From 6 on, creations have 32 bits.
    pub highest_version: u16,
    /// The lowest version that the node speaks.
    pub lowest_version: u16,
    /// Whatever else the node wants known, at most [`MAX_EXTRA`] bytes. Erlang nodes leave it empty.
    pub extra: Bytes,
}

impl Registrant {
    /// A visible node on TCP that speaks versions 5 and 6, the ones in use.
    #[must_use]
    pub const fn new(name: Name, port: u16) -> Self {
        Self {
            name,
            port,
            node_type: NodeType::Visible,
            protocol: 0,
            highest_version: 6,
            lowest_version: 5,
            extra: Bytes::new(),
        }
    }

    /// Appends the fields as ALIVE2_REQ and PORT2_RESP share them. Longer than a length field can say does not occur in a
    /// name, and is cut in `extra`.
    fn put(&self, out: &mut impl BufMut) {
        out.put_u16(self.port);
        out.put_u8(self.node_type.into());
        out.put_u8(self.protocol);
        out.put_u16(self.highest_version);
        out.put_u16(self.lowest_version);
        put_sized(out, self.name.as_str().as_bytes());
        put_sized(out, &self.extra);
    }
}

/// What EPMD knows of a node: exactly what that node registered.
pub type NodeInfo = Registrant;

/// One line of the list of names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameEntry {
    /// The name of the node, without `@` and host.
    pub name: Name,
    /// The port on which it listens.
    pub port: u16,
}

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
                Ok(Self::Stop(
                    Name::from_bytes(name).unwrap_or(Name(SmolStr::new_static(""))),
                ))
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

/// The fields that ALIVE2_REQ and PORT2_RESP have in common, before anything in them is judged.
struct NodeFields<'a> {
    port: u16,
    node_type: u8,
    protocol: u8,
    highest_version: u16,
    lowest_version: u16,
    name: &'a [u8],
    extra: &'a [u8],
}

impl NodeFields<'_> {
    fn registrant(&self) -> Result<Registrant, RefusalReason> {
        let highest_version = self.highest_version;
        let name = Name::from_bytes(self.name).map_err(|name| RefusalReason::BadName {
            name,
            highest_version,
        })?;
        if self.extra.len() > MAX_EXTRA {
            return Err(RefusalReason::LongExtra { highest_version });
        }
        Ok(Registrant {
            name,
            port: self.port,
            node_type: self.node_type.into(),
            protocol: self.protocol,
            highest_version,
            lowest_version: self.lowest_version,
            extra: Bytes::copy_from_slice(self.extra),
        })
    }
}

fn node_fields(input: &[u8]) -> IResult<&[u8], NodeFields<'_>> {
    let (input, (port, node_type, protocol, highest_version, lowest_version)) =
        (be_u16, be_u8, be_u8, be_u16, be_u16).parse(input)?;
    let (input, name) = length_data(be_u16).parse(input)?;
    let (input, extra) = length_data(be_u16).parse(input)?;
    Ok((
        input,
        NodeFields {
            port,
            node_type,
            protocol,
            highest_version,
            lowest_version,
            name,
            extra,
        },
    ))
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

/// Appends `bytes` behind their length, as many as the length field can say.
fn put_sized(out: &mut impl BufMut, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(bytes.get(..length.into()).unwrap_or(bytes));
}

fn byte(input: &[u8]) -> IResult<&[u8], u8> {
    be_u8(input)
}

fn word(input: &[u8]) -> IResult<&[u8], u16> {
    be_u16(input)
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
