//! Control messages from bytes: every form that nodes since OTP 23 send.

use super::{
    Control, DemonitorP, Exit, Exit2, GroupLeader, Link, MonitorP, MonitorPExit, Monitored, Send, SpawnReply,
    SpawnRequest, Target, Token, Unlink, UnlinkIdAck, altact, op,
};
use crate::etf::{Atoms, DecodeError, RawTerm, tag};
use crate::term::{Atom, MAX_REFERENCE_WORDS, Pid, Reference};
use bytes::Bytes;
use std::fmt;
use std::num::NonZeroU64;

/// Why a control message is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Not a tuple that begins with a small integer.
    #[error("it is not a tuple that begins with an operation")]
    NotAnOperation,
    /// An operation that is none of Erlang's.
    #[error("operation {0} does not exist")]
    UnknownOperation(u8),
    /// The operation has no such number of fields.
    #[error("operation {operation} with {arity} elements")]
    Arity {
        /// The operation.
        operation: u8,
        /// How many elements the tuple has.
        arity: usize,
    },
    /// A field is not what it must be.
    #[error("operation {operation}: the {field} is not {expected}")]
    Field {
        /// The operation.
        operation: u8,
        /// Which field.
        field: Field,
        /// What it must be.
        expected: Expected,
    },
    /// A field is no term at all.
    #[error("operation {operation}: the {field} is no term: {error}")]
    NotATerm {
        /// The operation.
        operation: u8,
        /// Which field.
        field: Field,
        /// Why not.
        error: DecodeError,
    },
    /// The sender is a process of another node than the one connected.
    #[error("operation {operation}: the sender {from} is not of the connected node")]
    ForeignSender {
        /// The operation.
        operation: u8,
        /// Who is named as sender.
        from: Pid,
    },
    /// The receiver is a process, reference or node that is not ours.
    #[error("operation {operation}: the {field} is not of this node")]
    ForeignReceiver {
        /// The operation.
        operation: u8,
        /// Which field.
        field: Field,
    },
    /// The payload of a frame without header must begin with 131.
    #[error("operation {operation} with a payload that does not begin with 131")]
    NoVersion {
        /// The operation.
        operation: u8,
    },
    /// The message must have a payload and has none.
    #[error("operation {operation} without its payload")]
    NoPayload {
        /// The operation.
        operation: u8,
    },
}

/// A field of a control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Who sends.
    From,
    /// Who receives.
    To,
    /// The reference of a monitor or spawn request.
    Reference,
    /// A trace token.
    Token,
    /// Why a process ended.
    Reason,
    /// The number of an unlink.
    Id,
    /// Flags.
    Flags,
    /// The group leader.
    GroupLeader,
    /// Module, function, arity.
    Function,
    /// The options of a spawn request.
    Options,
    /// What came of a spawn request.
    Result,
    /// One that nobody looks at.
    Unused,
}

/// What a field must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A pid.
    Pid,
    /// An atom.
    Atom,
    /// A reference.
    Reference,
    /// A pid or an atom.
    PidOrAtom,
    /// An integer in its bounds.
    Integer,
    /// `{Module, Function, Arity}`.
    Function,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::From => "sender",
            Self::To => "receiver",
            Self::Reference => "reference",
            Self::Token => "trace token",
            Self::Reason => "reason",
            Self::Id => "number",
            Self::Flags => "flags field",
            Self::GroupLeader => "group leader",
            Self::Function => "function",
            Self::Options => "option list",
            Self::Result => "result",
            Self::Unused => "unused field",
        })
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pid => "a pid",
            Self::Atom => "an atom",
            Self::Reference => "a reference",
            Self::PidOrAtom => "a pid or an atom",
            Self::Integer => "an integer in its bounds",
            Self::Function => "{Module, Function, Arity}",
        })
    }
}

/// The two ends of the connection, against which senders and receivers are checked.
#[derive(Clone, Debug)]
pub(in crate::dist) struct Ends {
    pub(in crate::dist) local: Atom,
    pub(in crate::dist) creation: u32,
    pub(in crate::dist) peer: Atom,
}

/// Where a control tuple stands, so that the payload behind it can be kept.
#[derive(Clone, Copy, Debug)]
pub(in crate::dist) struct Source<'a> {
    bytes: &'a [u8],
    /// The same bytes, if they are to be shared and not copied.
    shared: Option<&'a Bytes>,
    /// Whether the payload has a version byte.
    version: bool,
}

impl<'a> Source<'a> {
    /// Bytes of which the payload is to be copied.
    pub(in crate::dist) fn copied(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            shared: None,
            version: false,
        }
    }

    /// Bytes that the payload is to share.
    pub(in crate::dist) fn shared(bytes: &'a Bytes) -> Self {
        Self {
            bytes,
            shared: Some(bytes),
            version: false,
        }
    }

    /// The same, where the payload has a version byte.
    pub(in crate::dist) fn with_version(self) -> Self {
        Self {
            version: true,
            ..self
        }
    }

    pub(in crate::dist) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A part of the bytes, to be kept.
    pub(in crate::dist) fn keep(&self, part: &[u8]) -> Bytes {
        match self.shared {
            Some(shared) => shared.slice_ref(part),
            None => Bytes::copy_from_slice(part),
        }
    }
}

impl Control {
    /// Reads the control tuple that `input`, a part of `source`, begins with, without a version byte, and keeps the payload behind it.
    pub(in crate::dist) fn read(
        input: &[u8],
        source: Source<'_>,
        atoms: &Atoms,
        ends: &Ends,
    ) -> Result<Self, ControlError> {
        let (arity, rest) = match input {
            [tag::SMALL_TUPLE, arity, rest @ ..] => (usize::from(*arity), rest),
            [tag::LARGE_TUPLE, a, b, c, d, rest @ ..] => {
                let arity = u32::from_be_bytes([*a, *b, *c, *d]);
                (usize::try_from(arity).unwrap_or(usize::MAX), rest)
            }
            _ => return Err(ControlError::NotAnOperation),
        };
        let mut fields = Fields {
            operation: 0,
            rest,
            source,
            atoms,
            ends,
        };
        let operation = fields
            .unsigned(Field::Flags)
            .ok()
            .and_then(|number| u8::try_from(number).ok());
        fields.operation = operation
            .filter(|_| arity > 0)
            .ok_or(ControlError::NotAnOperation)?;
        fields.message(arity)
    }
}

/// The elements of a control tuple after the operation.
struct Fields<'a> {
    operation: u8,
    rest: &'a [u8],
    source: Source<'a>,
    atoms: &'a Atoms,
    ends: &'a Ends,
}

impl Fields<'_> {
    /// Reads the message.
    fn message(&mut self, arity: usize) -> Result<Control, ControlError> {
        let operation = self.operation;
        let right = match operation {
            op::LINK | op::UNLINK | op::GROUP_LEADER | op::SEND | op::SEND_SENDER | op::ALIAS_SEND => {
                arity == 3
            }
            op::PAYLOAD_EXIT | op::PAYLOAD_EXIT2 => arity == 3,
            op::EXIT | op::EXIT2 | op::REG_SEND | op::MONITOR_P | op::DEMONITOR_P => arity == 4,
            op::SEND_TT | op::SEND_SENDER_TT | op::ALIAS_SEND_TT | op::PAYLOAD_EXIT_TT => arity == 4,
            op::PAYLOAD_EXIT2_TT | op::PAYLOAD_MONITOR_P_EXIT | op::UNLINK_ID | op::UNLINK_ID_ACK => {
                arity == 4
            }
            op::EXIT_TT | op::EXIT2_TT | op::REG_SEND_TT | op::MONITOR_P_EXIT | op::SPAWN_REPLY => arity == 5,
            op::SPAWN_REPLY_TT | op::SPAWN_REQUEST => arity == 6,
            op::SPAWN_REQUEST_TT => arity == 7,
            // May grow, the documentation says.
            op::ALTACT_SIG_SEND => arity >= 4,
            unknown => return Err(ControlError::UnknownOperation(unknown)),
        };
        if !right {
            return Err(ControlError::Arity { operation, arity });
        }
        Ok(match operation {
            op::LINK => Control::Link(Link {
                from: self.peer()?,
                to: self.pid(Field::To)?,
            }),
            op::SEND | op::SEND_TT => {
                self.raw(Field::Unused)?;
                let to = Target::Pid(self.pid(Field::To)?);
                self.send(None, to, operation == op::SEND_TT)?
            }
            op::SEND_SENDER | op::SEND_SENDER_TT => {
                let from = self.pid(Field::From)?;
                let to = Target::Pid(self.pid(Field::To)?);
                self.send(Some(from), to, operation == op::SEND_SENDER_TT)?
            }
            op::REG_SEND | op::REG_SEND_TT => {
                let from = self.pid(Field::From)?;
                self.raw(Field::Unused)?;
                let to = Target::Name(self.atom(Field::To)?);
                self.send(Some(from), to, operation == op::REG_SEND_TT)?
            }
            op::ALIAS_SEND | op::ALIAS_SEND_TT => {
                let from = self.pid(Field::From)?;
                let to = Target::Alias(self.reference(Field::To)?);
                self.send(Some(from), to, operation == op::ALIAS_SEND_TT)?
            }
            op::ALTACT_SIG_SEND => self.altact(arity)?,
            op::EXIT | op::EXIT_TT | op::PAYLOAD_EXIT | op::PAYLOAD_EXIT_TT => {
                let (from, to) = (self.peer()?, self.pid(Field::To)?);
                // A link cannot have outlived us. (What else comes for an earlier incarnation is the node's to answer.)
                if to.node() != &self.ends.local || to.creation() != self.ends.creation {
                    return Err(ControlError::ForeignReceiver {
                        operation,
                        field: Field::To,
                    });
                }
                let token = self.token(matches!(operation, op::EXIT_TT | op::PAYLOAD_EXIT_TT))?;
                let within = matches!(operation, op::EXIT | op::EXIT_TT);
                let reason = if within {
                    self.raw(Field::Reason)?
                } else {
                    self.payload()?
                };
                Control::Exit(Exit {
                    from,
                    to,
                    token,
                    reason,
                })
            }
            op::EXIT2 | op::EXIT2_TT | op::PAYLOAD_EXIT2 | op::PAYLOAD_EXIT2_TT => {
                let (from, to) = (self.peer()?, Target::Pid(self.pid(Field::To)?));
                let token = self.token(matches!(operation, op::EXIT2_TT | op::PAYLOAD_EXIT2_TT))?;
                let within = matches!(operation, op::EXIT2 | op::EXIT2_TT);
                let reason = if within {
                    self.raw(Field::Reason)?
                } else {
                    self.payload()?
                };
                Control::Exit2(Exit2 {
                    from,
                    to,
                    priority: false,
                    token,
                    reason,
                })
            }
            op::UNLINK => Control::Unlink(Unlink {
                from: self.pid(Field::From)?,
                to: self.pid(Field::To)?,
                id: None,
            }),
            op::UNLINK_ID => {
                let id = Some(self.id()?);
                Control::Unlink(Unlink {
                    id,
                    from: self.peer()?,
                    to: self.pid(Field::To)?,
                })
            }
            op::UNLINK_ID_ACK => {
                let id = self.id()?;
                Control::UnlinkIdAck(UnlinkIdAck {
                    id,
                    from: self.peer()?,
                    to: self.pid(Field::To)?,
                })
            }
            op::GROUP_LEADER => {
                let leader = self.pid(Field::GroupLeader)?;
                Control::GroupLeader(GroupLeader {
                    from: None,
                    leader,
                    to: self.pid(Field::To)?,
                })
            }
            op::MONITOR_P => {
                let (from, to) = (self.peer()?, self.monitored(Field::To)?);
                Control::MonitorP(MonitorP {
                    from,
                    to,
                    reference: self.reference(Field::Reference)?,
                })
            }
            op::DEMONITOR_P => {
                let (from, to) = (self.peer()?, self.monitored(Field::To)?);
                Control::DemonitorP(DemonitorP {
                    from,
                    to,
                    reference: self.reference(Field::Reference)?,
                })
            }
            op::MONITOR_P_EXIT | op::PAYLOAD_MONITOR_P_EXIT => {
                let from = self.monitored(Field::From)?;
                let to = self.ours()?;
                let reference = self.reference(Field::Reference)?;
                let within = operation == op::MONITOR_P_EXIT;
                let reason = if within {
                    self.raw(Field::Reason)?
                } else {
                    self.payload()?
                };
                Control::MonitorPExit(MonitorPExit {
                    process: None,
                    from,
                    to,
                    reference,
                    reason,
                })
            }
            op::SPAWN_REQUEST | op::SPAWN_REQUEST_TT => {
                let reference = self.reference(Field::Reference)?;
                let from = self.pid(Field::From)?;
                for (node, field) in [(reference.node(), Field::Reference), (from.node(), Field::From)] {
                    if *node == self.ends.local {
                        return Err(ControlError::ForeignReceiver { operation, field });
                    }
                }
                let group_leader = self.pid(Field::GroupLeader)?;
                let (module, function, arity) = self.function()?;
                let options = self.raw(Field::Options)?;
                let token = self.token(operation == op::SPAWN_REQUEST_TT)?;
                let request = SpawnRequest {
                    reference,
                    from,
                    group_leader,
                    module,
                    function,
                    arity,
                    options,
                    token,
                    arguments: self.payload()?,
                };
                Control::SpawnRequest(Box::new(request))
            }
            _ => {
                let reference = self.reference(Field::Reference)?;
                if *reference.node() != self.ends.local {
                    return Err(ControlError::ForeignReceiver {
                        operation,
                        field: Field::Reference,
                    });
                }
                let to = self.ours()?;
                let flags = self.unsigned(Field::Flags)?;
                if flags >= 1 << 27 {
                    return Err(self.wrong(Field::Flags, Expected::Integer));
                }
                let result = match self.monitored(Field::Result)? {
                    Monitored::Pid(pid) => Ok(pid),
                    Monitored::Name(reason) => Err(reason),
                };
                let token = self.token(operation == op::SPAWN_REPLY_TT)?;
                let (linked, monitored) = (flags & 1 != 0, flags & 2 != 0);
                Control::SpawnReply(SpawnReply {
                    reference,
                    to,
                    linked,
                    monitored,
                    result,
                    token,
                })
            }
        })
    }

    /// A message, of which the token, if it has one, and the payload are still to be read.
    fn send(&mut self, from: Option<Pid>, to: Target, traced: bool) -> Result<Control, ControlError> {
        Ok(Control::Send(Send {
            from,
            to,
            priority: false,
            token: self.token(traced)?,
            message: self.payload()?,
        }))
    }

    /// What follows the operation 37.
    fn altact(&mut self, arity: usize) -> Result<Control, ControlError> {
        let flags = self.low_flags()?;
        let has = |flag: u8| flags & flag != 0;
        let from = match self.monitored(Field::From)? {
            Monitored::Pid(pid) => Some(pid),
            Monitored::Name(_) => None,
        };
        let to = if has(altact::ALIAS) {
            Target::Alias(self.reference(Field::To)?)
        } else if has(altact::NAME) {
            Target::Name(self.atom(Field::To)?)
        } else {
            Target::Pid(self.pid(Field::To)?)
        };
        let expected = if has(altact::TOKEN) { 5 } else { 4 };
        if arity < expected {
            return Err(ControlError::Arity {
                operation: self.operation,
                arity,
            });
        }
        let token = self.token(has(altact::TOKEN))?;
        for _ in expected..arity {
            self.raw(Field::Unused)?;
        }
        let priority = has(altact::PRIORITY);
        if has(altact::EXIT) {
            let from = from.ok_or_else(|| self.wrong(Field::From, Expected::Pid))?;
            let from = self.of_peer(from)?;
            return Ok(Control::Exit2(Exit2 {
                from,
                to,
                priority,
                token,
                reason: self.payload()?,
            }));
        }
        Ok(Control::Send(Send {
            from,
            to,
            priority,
            token,
            message: self.payload()?,
        }))
    }

    /// Flags of which only the low eight are known, however many there are.
    fn low_flags(&mut self) -> Result<u8, ControlError> {
        match self.rest {
            [tag::SMALL_BIG, length, _, digits @ ..]
                if usize::from(*length) <= digits.len() && *length > 0 =>
            {
                let low = digits.first().copied().unwrap_or_default();
                self.rest = digits.get(usize::from(*length)..).unwrap_or_default();
                Ok(low)
            }
            _ => self.unsigned(Field::Flags).map(|flags| (flags & 0xff) as u8),
        }
    }

    fn wrong(&self, field: Field, expected: Expected) -> ControlError {
        ControlError::Field {
            operation: self.operation,
            field,
            expected,
        }
    }

    /// A sender that must be of the connected node. Which incarnation is not looked at, as in BEAM.
    fn peer(&mut self) -> Result<Pid, ControlError> {
        let from = self.pid(Field::From)?;
        self.of_peer(from)
    }

    fn of_peer(&self, from: Pid) -> Result<Pid, ControlError> {
        if *from.node() == self.ends.peer {
            Ok(from)
        } else {
            Err(ControlError::ForeignSender {
                operation: self.operation,
                from,
            })
        }
    }

    /// A receiver that must be of this node.
    fn ours(&mut self) -> Result<Pid, ControlError> {
        let to = self.pid(Field::To)?;
        if *to.node() == self.ends.local {
            Ok(to)
        } else {
            Err(ControlError::ForeignReceiver {
                operation: self.operation,
                field: Field::To,
            })
        }
    }

    fn id(&mut self) -> Result<NonZeroU64, ControlError> {
        NonZeroU64::new(self.unsigned(Field::Id)?).ok_or_else(|| self.wrong(Field::Id, Expected::Integer))
    }

    fn monitored(&mut self, field: Field) -> Result<Monitored, ControlError> {
        match self.rest.first() {
            Some(&(tag::NEW_PID | tag::PID)) => self.pid(field).map(Monitored::Pid),
            _ => match self.try_atom() {
                Some(name) => Ok(Monitored::Name(name)),
                None => Err(self.wrong(field, Expected::PidOrAtom)),
            },
        }
    }

    fn token(&mut self, present: bool) -> Result<Option<Token>, ControlError> {
        if present {
            Ok(Some(Token::new(self.raw(Field::Token)?)))
        } else {
            Ok(None)
        }
    }

    fn function(&mut self) -> Result<(Atom, Atom, u32), ControlError> {
        let Some(rest) = self.rest.strip_prefix(&[tag::SMALL_TUPLE, 3]) else {
            return Err(self.wrong(Field::Function, Expected::Function));
        };
        self.rest = rest;
        let (module, function) = (self.atom(Field::Function)?, self.atom(Field::Function)?);
        let arity = u32::try_from(self.unsigned(Field::Function)?);
        Ok((
            module,
            function,
            arity.map_err(|_| self.wrong(Field::Function, Expected::Function))?,
        ))
    }

    fn pid(&mut self, field: Field) -> Result<Pid, ControlError> {
        self.try_pid().ok_or_else(|| self.wrong(field, Expected::Pid))
    }

    fn atom(&mut self, field: Field) -> Result<Atom, ControlError> {
        self.try_atom().ok_or_else(|| self.wrong(field, Expected::Atom))
    }

    fn reference(&mut self, field: Field) -> Result<Reference, ControlError> {
        self.try_reference()
            .ok_or_else(|| self.wrong(field, Expected::Reference))
    }

    fn unsigned(&mut self, field: Field) -> Result<u64, ControlError> {
        self.try_unsigned()
            .ok_or_else(|| self.wrong(field, Expected::Integer))
    }

    /// The payload: what follows the tuple.
    fn payload(&self) -> Result<RawTerm, ControlError> {
        let operation = self.operation;
        let payload = match self.rest {
            [] => return Err(ControlError::NoPayload { operation }),
            [tag::VERSION, payload @ ..] if self.source.version => payload,
            _ if self.source.version => return Err(ControlError::NoVersion { operation }),
            payload => payload,
        };
        Ok(RawTerm::from_parts(self.source.keep(payload), self.atoms.clone()))
    }

    /// Any term, copied.
    fn raw(&mut self, field: Field) -> Result<RawTerm, ControlError> {
        let bytes = Bytes::copy_from_slice(self.rest);
        let raw = RawTerm::from_parts(bytes.clone(), self.atoms.clone());
        match raw.check() {
            Ok(end) => {
                self.rest = self.rest.get(end..).unwrap_or_default();
                Ok(RawTerm::from_parts(
                    bytes.slice(..end.min(bytes.len())),
                    self.atoms.clone(),
                ))
            }
            Err(error) => Err(ControlError::NotATerm {
                operation: self.operation,
                field,
                error,
            }),
        }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn try_unsigned(&mut self) -> Option<u64> {
        match self.byte()? {
            tag::SMALL_INTEGER => self.byte().map(u64::from),
            tag::INTEGER => u64::try_from(self.take().map(i32::from_be_bytes)?).ok(),
            tag::SMALL_BIG => {
                let [length, sign] = self.take()?;
                let (digits, rest) = self.rest.split_at_checked(usize::from(length))?;
                self.rest = rest;
                let (low, high) = digits.split_at(digits.len().min(8));
                if sign != 0 || high.iter().any(|digit| *digit != 0) {
                    return None;
                }
                Some(
                    low.iter()
                        .rev()
                        .fold(0, |value, digit| value << 8 | u64::from(*digit)),
                )
            }
            _ => None,
        }
    }

    fn try_atom(&mut self) -> Option<Atom> {
        let (length, utf8) = match self.byte()? {
            tag::ATOM_CACHE_REF => {
                let number = self.byte()?;
                return self.atoms.get(usize::from(number)).cloned();
            }
            tag::SMALL_ATOM_UTF8 => (usize::from(self.byte()?), true),
            tag::ATOM_UTF8 => (usize::from(self.take().map(u16::from_be_bytes)?), true),
            tag::SMALL_ATOM => (usize::from(self.byte()?), false),
            tag::ATOM => (usize::from(self.take().map(u16::from_be_bytes)?), false),
            _ => return None,
        };
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        if utf8 {
            Atom::new(std::str::from_utf8(text).ok()?).ok()
        } else {
            Atom::new(&text.iter().copied().map(char::from).collect::<String>()).ok()
        }
    }

    fn try_pid(&mut self) -> Option<Pid> {
        let tag = self
            .byte()
            .filter(|tag| matches!(*tag, tag::NEW_PID | tag::PID))?;
        let node = self.try_atom()?;
        let (id, serial) = (self.u32()?, self.u32()?);
        let creation = if tag == tag::NEW_PID {
            self.u32()?
        } else {
            self.byte()?.into()
        };
        Some(Pid::new(node, id, serial, creation))
    }

    fn try_reference(&mut self) -> Option<Reference> {
        let tag = self
            .byte()
            .filter(|tag| matches!(*tag, tag::NEWER_REFERENCE | tag::NEW_REFERENCE))?;
        let count = usize::from(self.take().map(u16::from_be_bytes)?);
        let node = self.try_atom()?;
        let creation = if tag == tag::NEWER_REFERENCE {
            self.u32()?
        } else {
            self.byte()?.into()
        };
        let mut words = [0; MAX_REFERENCE_WORDS];
        let words = words.get_mut(..count)?;
        for word in words.iter_mut() {
            *word = self.u32()?;
        }
        Reference::new(node, words, creation).ok()
    }
}
