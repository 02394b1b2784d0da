//! Requests to EPMD and its answers, as values and as bytes.
//!
//! Follows "EPMD Protocol" in Erlang's *Distribution Protocol* chapter, and real daemons where they are stricter or more
//! lenient than it says. All integers are big-endian. A request is framed by a length of two bytes ([`Deframer`]
//! takes that off); an answer is not framed: it ends where its own fields say, or where the daemon closes the
//! connection.
//!
//! Nothing here touches a socket, and nothing is allocated by a length that the other side merely claims.

mod answer;
mod request;

use std::fmt;

use bytes::{BufMut, Bytes};
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16};
use nom::{IResult, Parser};
use smol_str::SmolStr;

pub use answer::{AnswerError, LookupAnswer, NamesAnswer, RegisterAnswer, split_port};
pub(crate) use answer::{LARGE_CREATION_VERSION, put_decimal};
pub use request::{Deframed, Deframer, RefusalReason, Request, RequestError};

/// The most bytes that a request may have after its length field. A daemon hangs up on longer ones, and on empty ones.
pub const MAX_REQUEST: usize = 3057;
/// The most bytes that a name may have.
pub const MAX_NAME_BYTES: usize = 4 * MAX_NAME_CHARS;
/// The most characters that a name may have.
pub const MAX_NAME_CHARS: usize = 255;
/// The most bytes that a node can store beside its name ([`Registrant::extra`]).
pub const MAX_EXTRA: usize = 1020;

/// The name under which a node is registered: what stands before the `@` in the name of the node.
///
/// UTF-8 of at most 255 characters, without NUL. EPMD itself asks for no more than that: blanks, `@` and even nothing at all
/// are names to it, though never those of a node.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Appends `bytes` behind their length, as many as the length field can say.
fn put_sized(out: &mut impl BufMut, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(bytes.get(..length.into()).unwrap_or(bytes));
}
