//! Control messages to bytes, in the form that the peer's flags call for.

use super::{Control, Exit, Exit2, Monitored, Send, SpawnReply, SpawnRequest, Target, Token, altact, op};
use crate::dist::Flags;
use crate::dist::atom_cache::Outgoing;
use crate::etf::{RawTerm, tag};
use crate::term::{Atom, Pid, Reference};

/// Why a message cannot be sent to this peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The peer, or we, lack the flags for it.
    #[error("the peer cannot take this message: it lacks {0}")]
    Missing(Flags),
    /// A message to a name must say who sends it.
    #[error("a message to a registered name without a sender")]
    NoSender,
    /// An unlink without the number that the peer acknowledges with.
    #[error("an unlink without a number")]
    NoUnlinkId,
    /// A message of 4 GiB or more, which cannot be sent in one frame, to a peer that cannot join fragments.
    #[error("a message of {0} bytes, which the peer cannot take in one frame")]
    TooLarge(usize),
}

/// What monitors take. A BEAM sends none unless the peer has both.
const MONITORS: Flags = Flags::DIST_MONITOR.union(Flags::DIST_MONITOR_NAME);

/// More than any control tuple and header take beside the payload.
const FRAME_OVERHEAD: usize = 1 << 20;

impl Control {
    /// The payload, if this kind of message has one.
    pub fn payload(&self) -> Option<&RawTerm> {
        match self {
            Self::Send(send) => Some(&send.message),
            Self::Exit(exit) => Some(&exit.reason),
            Self::Exit2(exit) => Some(&exit.reason),
            Self::MonitorPExit(exit) => Some(&exit.reason),
            Self::SpawnRequest(request) => Some(&request.arguments),
            Self::Link(_)
            | Self::Unlink(_)
            | Self::UnlinkIdAck(_)
            | Self::GroupLeader(_)
            | Self::MonitorP(_)
            | Self::DemonitorP(_)
            | Self::SpawnReply(_) => None,
        }
    }

    /// The process whose signal this is: signals of the same one keep their order.
    pub fn sender(&self) -> Option<&Pid> {
        match self {
            Self::Send(send) => send.from.as_ref(),
            Self::Link(link) => Some(&link.from),
            Self::Unlink(unlink) => Some(&unlink.from),
            Self::UnlinkIdAck(ack) => Some(&ack.from),
            Self::Exit(exit) => Some(&exit.from),
            Self::Exit2(exit) => Some(&exit.from),
            Self::GroupLeader(change) => change.from.as_ref(),
            Self::MonitorP(monitor) => Some(&monitor.from),
            Self::DemonitorP(monitor) => Some(&monitor.from),
            Self::MonitorPExit(exit) => match &exit.from {
                Monitored::Pid(pid) => Some(pid),
                Monitored::Name(_) => exit.process.as_ref(),
            },
            Self::SpawnRequest(request) => Some(&request.from),
            // What the new process sends must not come before the reply.
            Self::SpawnReply(reply) => reply.result.as_ref().ok(),
        }
    }

    /// About how many bytes this takes in a queue.
    pub fn size(&self) -> usize {
        64 + self.payload().map_or(0, |payload| payload.bytes().len())
    }

    /// Whether this can be sent when both ends have `negotiated`.
    pub fn check(&self, negotiated: Flags) -> Result<(), Unsendable> {
        let need = |flags: Flags| {
            let missing = flags - negotiated;
            if missing.is_empty() {
                Ok(())
            } else {
                Err(Unsendable::Missing(missing))
            }
        };
        match self {
            Self::Send(Send {
                to: Target::Alias(_), ..
            }) if !negotiated.contains(Flags::ALTACT_SIG) => {
                need(Flags::ALIAS)?;
            }
            Self::Send(Send {
                to: Target::Name(_),
                from: None,
                ..
            }) => return Err(Unsendable::NoSender),
            Self::Exit2(Exit2 {
                to: Target::Alias(_) | Target::Name(_),
                ..
            }) => need(Flags::ALTACT_SIG)?,
            Self::Unlink(unlink) if unlink.id.is_none() && negotiated.contains(Flags::UNLINK_ID) => {
                return Err(Unsendable::NoUnlinkId);
            }
            Self::UnlinkIdAck(_) => need(Flags::UNLINK_ID)?,
            Self::MonitorP(_) | Self::DemonitorP(_) | Self::MonitorPExit(_) => need(MONITORS)?,
            Self::SpawnRequest(_) | Self::SpawnReply(_) => need(Flags::SPAWN)?,
            Self::Send(_)
            | Self::Link(_)
            | Self::Unlink(_)
            | Self::Exit(_)
            | Self::Exit2(_)
            | Self::GroupLeader(_) => {}
        }
        let size = self.size();
        if !negotiated.contains(Flags::FRAGMENTS) && u32::try_from(size + FRAME_OVERHEAD).is_err() {
            return Err(Unsendable::TooLarge(size));
        }
        Ok(())
    }

    /// Writes the control tuple, without a version byte. Gives the payload that is to follow it: none if there is none, or
    /// it is within the tuple.
    pub(in crate::dist) fn write(&self, negotiated: Flags, to: &mut Writer<'_>) -> Option<&RawTerm> {
        match self {
            Self::Send(send) => {
                send.write(negotiated, to);
                return Some(&send.message);
            }
            Self::Exit(exit) => return exit.write(negotiated, to),
            Self::Exit2(exit) => return exit.write(negotiated, to),
            Self::Link(link) => {
                to.operation(3, op::LINK);
                to.pid(&link.from);
                to.pid(&link.to);
            }
            Self::Unlink(unlink) => match unlink.id.filter(|_| negotiated.contains(Flags::UNLINK_ID)) {
                Some(id) => {
                    to.operation(4, op::UNLINK_ID);
                    to.unsigned(id.get());
                    to.pid(&unlink.from);
                    to.pid(&unlink.to);
                }
                None => {
                    to.operation(3, op::UNLINK);
                    to.pid(&unlink.from);
                    to.pid(&unlink.to);
                }
            },
            Self::UnlinkIdAck(ack) => {
                to.operation(4, op::UNLINK_ID_ACK);
                to.unsigned(ack.id.get());
                to.pid(&ack.from);
                to.pid(&ack.to);
            }
            Self::GroupLeader(change) => {
                to.operation(3, op::GROUP_LEADER);
                to.pid(&change.leader);
                to.pid(&change.to);
            }
            Self::MonitorP(monitor) => {
                to.operation(4, op::MONITOR_P);
                to.pid(&monitor.from);
                to.monitored(&monitor.to);
                to.reference(&monitor.reference);
            }
            Self::DemonitorP(monitor) => {
                to.operation(4, op::DEMONITOR_P);
                to.pid(&monitor.from);
                to.monitored(&monitor.to);
                to.reference(&monitor.reference);
            }
            Self::MonitorPExit(exit) => {
                let payload = negotiated.contains(Flags::EXIT_PAYLOAD);
                if payload {
                    to.operation(4, op::PAYLOAD_MONITOR_P_EXIT);
                } else {
                    to.operation(5, op::MONITOR_P_EXIT);
                }
                to.monitored(&exit.from);
                to.pid(&exit.to);
                to.reference(&exit.reference);
                if payload {
                    return Some(&exit.reason);
                }
                to.term(&exit.reason);
            }
            Self::SpawnRequest(request) => {
                request.write(to);
                return Some(&request.arguments);
            }
            Self::SpawnReply(reply) => reply.write(to),
        }
        None
    }
}

impl Send {
    fn write(&self, negotiated: Flags, to: &mut Writer<'_>) {
        let token = self.token.as_ref();
        let extra = u8::from(token.is_some());
        let altact = negotiated.contains(Flags::ALTACT_SIG);
        match &self.to {
            target if altact && (self.priority || matches!(target, Target::Alias(_))) => {
                to.altact(0, self.from.as_ref(), target, self.priority, token);
                return;
            }
            Target::Pid(pid) => match self
                .from
                .as_ref()
                .filter(|_| negotiated.contains(Flags::SEND_SENDER))
            {
                Some(from) => {
                    to.operation(
                        3 + extra,
                        if token.is_some() {
                            op::SEND_SENDER_TT
                        } else {
                            op::SEND_SENDER
                        },
                    );
                    to.pid(from);
                    to.pid(pid);
                }
                None => {
                    to.operation(3 + extra, if token.is_some() { op::SEND_TT } else { op::SEND });
                    to.unused();
                    to.pid(pid);
                }
            },
            Target::Name(name) => {
                to.operation(
                    4 + extra,
                    if token.is_some() {
                        op::REG_SEND_TT
                    } else {
                        op::REG_SEND
                    },
                );
                to.sender(self.from.as_ref());
                to.unused();
                to.atom(name);
            }
            Target::Alias(alias) => {
                to.operation(
                    3 + extra,
                    if token.is_some() {
                        op::ALIAS_SEND_TT
                    } else {
                        op::ALIAS_SEND
                    },
                );
                to.sender(self.from.as_ref());
                to.reference(alias);
            }
        }
        to.token(token);
    }
}

impl Exit {
    fn write(&self, negotiated: Flags, to: &mut Writer<'_>) -> Option<&RawTerm> {
        let payload = negotiated.contains(Flags::EXIT_PAYLOAD);
        let extra = u8::from(self.token.is_some()) + u8::from(!payload);
        to.operation(
            3 + extra,
            match (payload, &self.token) {
                (true, None) => op::PAYLOAD_EXIT,
                (true, Some(_)) => op::PAYLOAD_EXIT_TT,
                (false, None) => op::EXIT,
                (false, Some(_)) => op::EXIT_TT,
            },
        );
        to.pid(&self.from);
        to.pid(&self.to);
        to.token(self.token.as_ref());
        if payload {
            return Some(&self.reason);
        }
        to.term(&self.reason);
        None
    }
}

impl Exit2 {
    fn write(&self, negotiated: Flags, to: &mut Writer<'_>) -> Option<&RawTerm> {
        let payload = negotiated.contains(Flags::EXIT_PAYLOAD);
        let pid = match &self.to {
            Target::Pid(pid) if !(self.priority && negotiated.contains(Flags::ALTACT_SIG)) => pid,
            target => {
                to.altact(
                    altact::EXIT,
                    Some(&self.from),
                    target,
                    self.priority,
                    self.token.as_ref(),
                );
                return Some(&self.reason);
            }
        };
        let extra = u8::from(self.token.is_some()) + u8::from(!payload);
        to.operation(
            3 + extra,
            match (payload, &self.token) {
                (true, None) => op::PAYLOAD_EXIT2,
                (true, Some(_)) => op::PAYLOAD_EXIT2_TT,
                (false, None) => op::EXIT2,
                (false, Some(_)) => op::EXIT2_TT,
            },
        );
        to.pid(&self.from);
        to.pid(pid);
        to.token(self.token.as_ref());
        if payload {
            return Some(&self.reason);
        }
        to.term(&self.reason);
        None
    }
}

impl SpawnRequest {
    fn write(&self, to: &mut Writer<'_>) {
        let extra = u8::from(self.token.is_some());
        to.operation(
            6 + extra,
            if self.token.is_some() {
                op::SPAWN_REQUEST_TT
            } else {
                op::SPAWN_REQUEST
            },
        );
        to.reference(&self.reference);
        to.pid(&self.from);
        to.pid(&self.group_leader);
        to.tuple(3);
        to.atom(&self.module);
        to.atom(&self.function);
        to.unsigned(self.arity.into());
        to.term(&self.options);
        to.token(self.token.as_ref());
    }
}

impl SpawnReply {
    fn write(&self, to: &mut Writer<'_>) {
        let extra = u8::from(self.token.is_some());
        to.operation(
            5 + extra,
            if self.token.is_some() {
                op::SPAWN_REPLY_TT
            } else {
                op::SPAWN_REPLY
            },
        );
        to.reference(&self.reference);
        to.pid(&self.to);
        to.small(u8::from(self.linked) | u8::from(self.monitored) << 1);
        match &self.result {
            Ok(pid) => to.pid(pid),
            Err(reason) => to.atom(reason),
        }
        to.token(self.token.as_ref());
    }
}

/// Writes the few kinds of terms that control tuples are made of. Atoms go through the cache, if there is one.
#[derive(Debug)]
pub(in crate::dist) struct Writer<'a> {
    pub(in crate::dist) out: &'a mut Vec<u8>,
    pub(in crate::dist) cache: Option<&'a mut Outgoing>,
}

const UNUSED: Atom = Atom::from_static("");

impl Writer<'_> {
    fn tuple(&mut self, arity: u8) {
        self.out.extend_from_slice(&[tag::SMALL_TUPLE, arity]);
    }

    fn operation(&mut self, arity: u8, operation: u8) {
        self.tuple(arity);
        self.small(operation);
    }

    fn altact(
        &mut self,
        flags: u8,
        from: Option<&Pid>,
        target: &Target,
        priority: bool,
        token: Option<&Token>,
    ) {
        let priority = if priority { altact::PRIORITY } else { 0 };
        let traced = if token.is_some() { altact::TOKEN } else { 0 };
        let kind = match target {
            Target::Pid(_) => 0,
            Target::Name(_) => altact::NAME,
            Target::Alias(_) => altact::ALIAS,
        };
        self.operation(4 + u8::from(token.is_some()), op::ALTACT_SIG_SEND);
        self.small(flags | priority | traced | kind);
        self.sender(from);
        match target {
            Target::Pid(pid) => self.pid(pid),
            Target::Name(name) => self.atom(name),
            Target::Alias(alias) => self.reference(alias),
        }
        self.token(token);
    }

    fn sender(&mut self, from: Option<&Pid>) {
        match from {
            Some(pid) => self.pid(pid),
            None => self.unused(),
        }
    }

    /// The field that once held a cookie.
    fn unused(&mut self) {
        self.atom(&UNUSED);
    }

    fn monitored(&mut self, on: &Monitored) {
        match on {
            Monitored::Pid(pid) => self.pid(pid),
            Monitored::Name(name) => self.atom(name),
        }
    }

    fn token(&mut self, token: Option<&Token>) {
        if let Some(token) = token {
            self.term(token.as_term());
        }
    }

    fn small(&mut self, value: u8) {
        self.out.extend_from_slice(&[tag::SMALL_INTEGER, value]);
    }

    fn unsigned(&mut self, value: u64) {
        if let Ok(value) = u8::try_from(value) {
            self.small(value);
        } else if let Ok(value) = i32::try_from(value) {
            let [a, b, c, d] = value.to_be_bytes();
            self.out.extend_from_slice(&[tag::INTEGER, a, b, c, d]);
        } else {
            let bytes = value.to_le_bytes();
            let length = 8 - usize::try_from(value.leading_zeros() / 8).unwrap_or_default();
            self.out
                .extend_from_slice(&[tag::SMALL_BIG, u8::try_from(length).unwrap_or(8), 0]);
            self.out.extend_from_slice(bytes.get(..length).unwrap_or(&bytes));
        }
    }

    fn atom(&mut self, atom: &Atom) {
        if let Some(number) = self.cache.as_mut().and_then(|cache| cache.reference(atom)) {
            self.out.extend_from_slice(&[tag::ATOM_CACHE_REF, number]);
            return;
        }
        let text = atom.as_str().as_bytes();
        match u8::try_from(text.len()) {
            Ok(length) => self.out.extend_from_slice(&[tag::SMALL_ATOM_UTF8, length]),
            Err(_) => {
                // At most 255 characters of four bytes.
                let [high, low] = u16::try_from(text.len()).unwrap_or_default().to_be_bytes();
                self.out.extend_from_slice(&[tag::ATOM_UTF8, high, low]);
            }
        }
        self.out.extend_from_slice(text);
    }

    fn pid(&mut self, pid: &Pid) {
        let mut numbers = [0; 12];
        let words = [pid.id(), pid.serial(), pid.creation()];
        for (number, word) in numbers.as_chunks_mut().0.iter_mut().zip(words) {
            *number = word.to_be_bytes();
        }
        self.out.push(tag::NEW_PID);
        self.atom(pid.node());
        self.out.extend_from_slice(&numbers);
    }

    fn reference(&mut self, reference: &Reference) {
        let words = reference.words();
        let [high, low] = u16::try_from(words.len()).unwrap_or_default().to_be_bytes();
        self.out.extend_from_slice(&[tag::NEWER_REFERENCE, high, low]);
        self.atom(reference.node());
        self.out.extend_from_slice(&reference.creation().to_be_bytes());
        for word in words {
            self.out.extend_from_slice(&word.to_be_bytes());
        }
    }

    /// A whole term. The atoms that it refers to by number are written in full: the header's first numbers are
    /// those of the payload.
    fn term(&mut self, term: &RawTerm) {
        self.out.extend_from_slice(term.inline().bytes());
    }
}
