//! Control messages: what one process, or its node, does to another over a connection.
//!
//! Follows "Protocol between Connected Nodes" of Erlang's *Distribution Protocol*. On the wire a signal has up to six
//! forms, by the age of the two nodes and by whether it carries a trace token: `SEND`, `SEND_SENDER`, `SEND_TT`,
//! `SEND_SENDER_TT`, and `ALTACT_SIG_SEND` with and without a token are one message. Here it is one type, which holds
//! what it says; [`Connection`](super::Connection) reads every form and writes the one that the peer's flags call for.
//!
//! | operation | type | | operation | type |
//! |---|---|---|---|---|
//! | 1 `LINK` | [`Link`] | | 23 `SEND_SENDER_TT` | [`Send`] |
//! | 2 `SEND` | [`Send`] | | 24 `PAYLOAD_EXIT` | [`Exit`] |
//! | 3 `EXIT` | [`Exit`] | | 25 `PAYLOAD_EXIT_TT` | [`Exit`] |
//! | 4 `UNLINK` | [`Unlink`] | | 26 `PAYLOAD_EXIT2` | [`Exit2`] |
//! | 6 `REG_SEND` | [`Send`] | | 27 `PAYLOAD_EXIT2_TT` | [`Exit2`] |
//! | 7 `GROUP_LEADER` | [`GroupLeader`] | | 28 `PAYLOAD_MONITOR_P_EXIT` | [`MonitorPExit`] |
//! | 8 `EXIT2` | [`Exit2`] | | 29 `SPAWN_REQUEST` | [`SpawnRequest`] |
//! | 12 `SEND_TT` | [`Send`] | | 30 `SPAWN_REQUEST_TT` | [`SpawnRequest`] |
//! | 13 `EXIT_TT` | [`Exit`] | | 31 `SPAWN_REPLY` | [`SpawnReply`] |
//! | 16 `REG_SEND_TT` | [`Send`] | | 32 `SPAWN_REPLY_TT` | [`SpawnReply`] |
//! | 18 `EXIT2_TT` | [`Exit2`] | | 33 `ALIAS_SEND` | [`Send`] |
//! | 19 `MONITOR_P` | [`MonitorP`] | | 34 `ALIAS_SEND_TT` | [`Send`] |
//! | 20 `DEMONITOR_P` | [`DemonitorP`] | | 35 `UNLINK_ID` | [`Unlink`] |
//! | 21 `MONITOR_P_EXIT` | [`MonitorPExit`] | | 36 `UNLINK_ID_ACK` | [`UnlinkIdAck`] |
//! | 22 `SEND_SENDER` | [`Send`] | | 37 `ALTACT_SIG_SEND` | [`Send`], [`Exit2`] |
//!
//! Payloads — messages, reasons, argument lists — are [`RawTerm`]s: not looked at here, neither way.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{ControlError, Expected, Field};
pub(super) use decode::{Ends, Source};
pub use encode::Unsendable;
pub(super) use encode::Writer;

use crate::etf::RawTerm;
use crate::term::{Atom, Pid, Reference};
use std::num::NonZeroU64;

/// A control message with its payload.
#[derive(Clone, Debug)]
pub enum Control {
    /// A message to a process.
    Send(Send),
    /// A process links to another.
    Link(Link),
    /// A process unlinks from another.
    Unlink(Unlink),
    /// A node has seen an [`Unlink`].
    UnlinkIdAck(UnlinkIdAck),
    /// A process has ended, and a linked one is told.
    Exit(Exit),
    /// A process has called `exit/2`.
    Exit2(Exit2),
    /// A process gets another group leader.
    GroupLeader(GroupLeader),
    /// A process monitors another.
    MonitorP(MonitorP),
    /// It no longer does.
    DemonitorP(DemonitorP),
    /// A monitored process has ended.
    MonitorPExit(MonitorPExit),
    /// A process spawns another on the receiving node.
    SpawnRequest(Box<SpawnRequest>),
    /// The answer to [`SpawnRequest`].
    SpawnReply(SpawnReply),
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A process.
    Pid(Pid),
    /// A registered name.
    Name(Atom),
    /// An alias of a process.
    Alias(Reference),
}

/// A trace token of `seq_trace`, passed on as it came: `{Flags, Label, Serial, From, LastSerial}`.
#[derive(Clone, Debug)]
pub struct Token(Box<RawTerm>);

impl Token {
    /// The token that is this term.
    pub fn new(term: RawTerm) -> Self {
        Self(Box::new(term))
    }

    /// The token as a term.
    pub fn as_term(&self) -> &RawTerm {
        &self.0
    }
}

/// A message: operations 2, 6, 12, 16, 22, 23, 33, 34 and 37.
#[derive(Clone, Debug)]
pub struct Send {
    /// The sender. Nodes that do not have [`SEND_SENDER`](super::Flags::SEND_SENDER), and BEAM nodes in their first messages on a
    /// connection, do not say.
    pub from: Option<Pid>,
    /// The receiver.
    pub to: Target,
    /// Whether it is a priority message; only what 37 carries can be.
    pub priority: bool,
    /// The trace token.
    pub token: Option<Token>,
    /// The message.
    pub message: RawTerm,
}

/// `link/1`: operation 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who links.
    pub from: Pid,
    /// To whom.
    pub to: Pid,
}

/// `unlink/1`: operations 4 and 35.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlink {
    /// Who unlinks.
    pub from: Pid,
    /// From whom.
    pub to: Pid,
    /// The number to acknowledge with; nodes of OTP 23 give none and want no acknowledgement. A message sent must
    /// have one; it is left away toward a peer that does not know it.
    pub id: Option<NonZeroU64>,
}

/// The acknowledgement of an [`Unlink`]: operation 36.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkIdAck {
    /// Who was to be unlinked from.
    pub from: Pid,
    /// Who unlinked.
    pub to: Pid,
    /// The number that the unlinking had.
    pub id: NonZeroU64,
}

/// A linked process has ended: operations 3, 13, 24, 25.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Who has ended.
    pub from: Pid,
    /// Who is told.
    pub to: Pid,
    /// The trace token.
    pub token: Option<Token>,
    /// Why it has ended.
    pub reason: RawTerm,
}

/// `exit/2`: operations 8, 18, 26, 27 and 37.
#[derive(Clone, Debug)]
pub struct Exit2 {
    /// Who has called it.
    pub from: Pid,
    /// Who is to exit. Anything but a pid needs operation 37.
    pub to: Target,
    /// Whether it is a priority signal, which needs operation 37.
    pub priority: bool,
    /// The trace token.
    pub token: Option<Token>,
    /// With which reason.
    pub reason: RawTerm,
}

/// `group_leader/2`: operation 7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLeader {
    /// Who changes it, to keep the order of what that process does. Not transmitted.
    pub from: Option<Pid>,
    /// The new group leader.
    pub leader: Pid,
    /// Whose.
    pub to: Pid,
}

/// `monitor/2`: operation 19.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorP {
    /// Who monitors.
    pub from: Pid,
    /// Whom: a pid or a name.
    pub to: Monitored,
    /// The monitor.
    pub reference: Reference,
}

/// `demonitor/1`: operation 20.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemonitorP {
    /// Who monitored.
    pub from: Pid,
    /// Whom, as in the [`MonitorP`].
    pub to: Monitored,
    /// The monitor.
    pub reference: Reference,
}

/// A monitored process has ended: operations 21 and 28.
#[derive(Clone, Debug)]
pub struct MonitorPExit {
    /// The process that has ended, where `from` is its name, to keep the order of what it has done. Not transmitted.
    pub process: Option<Pid>,
    /// Who has ended, as in the [`MonitorP`].
    pub from: Monitored,
    /// Who is told.
    pub to: Pid,
    /// The monitor.
    pub reference: Reference,
    /// Why it has ended.
    pub reason: RawTerm,
}

/// What a monitor is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Monitored {
    /// A process.
    Pid(Pid),
    /// A registered name.
    Name(Atom),
}

/// A process spawns another: operations 29 and 30.
#[derive(Clone, Debug)]
pub struct SpawnRequest {
    /// The request, and the monitor if the options ask for one.
    pub reference: Reference,
    /// Who spawns.
    pub from: Pid,
    /// The new process's group leader.
    pub group_leader: Pid,
    /// The module of the function to run.
    pub module: Atom,
    /// The function.
    pub function: Atom,
    /// How many arguments it takes. Beyond 255 no function has so many, but whoever spawns may give them.
    pub arity: u32,
    /// The options, a list.
    pub options: RawTerm,
    /// The trace token.
    pub token: Option<Token>,
    /// The arguments, a list of `arity` terms.
    pub arguments: RawTerm,
}

/// The answer to a [`SpawnRequest`]: operations 31 and 32.
#[derive(Clone, Debug)]
pub struct SpawnReply {
    /// The request.
    pub reference: Reference,
    /// Who asked.
    pub to: Pid,
    /// The new process is linked to who asked.
    pub linked: bool,
    /// The new process is monitored by who asked.
    pub monitored: bool,
    /// The new process, or why there is none: `badopt`, `notsup`, `system_limit` or another.
    pub result: Result<Pid, Atom>,
    /// The trace token.
    pub token: Option<Token>,
}

/// The operations' numbers.
mod op {
    pub(super) const LINK: u8 = 1;
    pub(super) const SEND: u8 = 2;
    pub(super) const EXIT: u8 = 3;
    pub(super) const UNLINK: u8 = 4;
    pub(super) const REG_SEND: u8 = 6;
    pub(super) const GROUP_LEADER: u8 = 7;
    pub(super) const EXIT2: u8 = 8;
    pub(super) const SEND_TT: u8 = 12;
    pub(super) const EXIT_TT: u8 = 13;
    pub(super) const REG_SEND_TT: u8 = 16;
    pub(super) const EXIT2_TT: u8 = 18;
    pub(super) const MONITOR_P: u8 = 19;
    pub(super) const DEMONITOR_P: u8 = 20;
    pub(super) const MONITOR_P_EXIT: u8 = 21;
    pub(super) const SEND_SENDER: u8 = 22;
    pub(super) const SEND_SENDER_TT: u8 = 23;
    pub(super) const PAYLOAD_EXIT: u8 = 24;
    pub(super) const PAYLOAD_EXIT_TT: u8 = 25;
    pub(super) const PAYLOAD_EXIT2: u8 = 26;
    pub(super) const PAYLOAD_EXIT2_TT: u8 = 27;
    pub(super) const PAYLOAD_MONITOR_P_EXIT: u8 = 28;
    pub(super) const SPAWN_REQUEST: u8 = 29;
    pub(super) const SPAWN_REQUEST_TT: u8 = 30;
    pub(super) const SPAWN_REPLY: u8 = 31;
    pub(super) const SPAWN_REPLY_TT: u8 = 32;
    pub(super) const ALIAS_SEND: u8 = 33;
    pub(super) const ALIAS_SEND_TT: u8 = 34;
    pub(super) const UNLINK_ID: u8 = 35;
    pub(super) const UNLINK_ID_ACK: u8 = 36;
    pub(super) const ALTACT_SIG_SEND: u8 = 37;
}

/// The flags of operation 37.
mod altact {
    pub(super) const PRIORITY: u8 = 1;
    pub(super) const TOKEN: u8 = 2;
    pub(super) const ALIAS: u8 = 4;
    pub(super) const NAME: u8 = 8;
    pub(super) const EXIT: u8 = 16;
}
