//! The distribution protocol, sans-I/O.
//!
//! How two nodes speak to each other, from the first byte of the handshake to the last tick, as plain code over bytes:
//! follows *Distribution Protocol* of Erlang's documentation. No sockets, tasks, clocks or random numbers here: bytes and
//! the time are passed in, so that everything can be replayed, simulated and fuzzed. [`net`](crate::net) connects it to
//! sockets.
//!
//! # How a node uses this
//! 1. A node has a [`NodeName`], a creation, the [`Flags`] that it offers ([`Flags::OFFERED`] minus what it does not
//!    implement), and a [`Cookie`] for each peer.
//! 2. [`handshake`] makes of a stream and these an [`Established`](handshake::Established) connection, in either role. When the other
//!    node connects, [`arbitration`] says how to answer, by what the node holds for it already.
//! 3. A [`Connection`] makes [`Control`] messages of the bytes read, and bytes of the messages sent. It ticks, joins and
//!    cuts fragments, keeps the atom caches, and checks who may send what. Its two halves, a [`ReadHalf`] and a [`WriteHalf`], can be
//!    in different hands: so a node's processes make the frames that they send.
//!
//! A [`Control`] message is one type for each thing that a node or process can do to another, whatever form it has
//! on the wire; payloads are [`RawTerm`](crate::etf::RawTerm)s that nobody has looked at yet. What it means is the
//! node's business:
//!
//! * Every message goes by the negotiated flags of the peer: [`Control::check`] says whether it can be sent;
//!   the form is chosen by the connection.
//! * A monitor on what does not exist must be answered ([`MonitorPExit`](control::MonitorPExit) with `noproc`), a link too
//!   ([`Exit`](control::Exit)), an unlink with a number always ([`UnlinkIdAck`](control::UnlinkIdAck)), a spawn request always
//!   ([`SpawnReply`](control::SpawnReply)): others wait for it.
//! * Receivers of an earlier incarnation, whose creation is not ours, do not exist.
//! * When the connection ends, what hangs on it fires: the connection does not know what that is.

pub mod arbitration;
mod atom_cache;
mod connection;
pub mod control;
mod cookie;
mod flags;
mod fragment;
pub mod handshake;
mod name;
mod read_half;
#[cfg(test)]
mod tests;
mod tick;
mod transmit;
mod write_half;

pub use atom_cache::HeaderError;
pub use connection::{Connection, DEFAULT_UNFINISHED_LIMIT, Settings};
pub use control::{Control, ControlError, Unsendable};
pub use cookie::{Cookie, CookieError, Digest};
pub use flags::Flags;
pub use fragment::FragmentError;
pub use name::{NameError, NameKind, NodeName};
pub use read_half::{ConnectionError, ReadHalf};
pub use tick::Ticks;
pub use transmit::Transmit;
pub use write_half::WriteHalf;
