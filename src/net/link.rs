//! An established connection, before it is run, and why it ends.

use super::driver::{Driver, clock};
use super::outbound::{DEFAULT_BUSY_LIMIT, DEFAULT_UNREAD_LIMIT, Outbound};
use crate::dist::handshake::Established;
use crate::dist::{self, Connection, ConnectionError, Control, Ticks};
use bytes::BytesMut;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection on which the handshake is done.
#[derive(Debug)]
pub struct Link<T = TcpStream> {
    pub(super) io: T,
    /// What the peer has sent after the handshake and was not yet taken.
    pub(super) input: BytesMut,
    established: Established,
    address: Option<SocketAddr>,
}

/// How a connection is to be run.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// How often to tick and when a silent peer is down.
    pub ticks: Ticks,
    /// From how many queued bytes on the connection is busy.
    pub busy_limit: usize,
    /// How many bytes may wait for a peer that does not read, with what must not wait: over it the connection ends.
    pub unread_limit: usize,
    /// How many bytes of messages that have begun to arrive and are not complete may be held.
    pub unfinished_limit: usize,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            ticks: Ticks::default(),
            busy_limit: DEFAULT_BUSY_LIMIT,
            unread_limit: DEFAULT_UNREAD_LIMIT,
            unfinished_limit: dist::DEFAULT_UNFINISHED_LIMIT,
        }
    }
}

/// Takes what comes in over a connection.
pub trait Router: Send {
    /// The messages that follow have come with one read.
    fn begin(&mut self) {}

    /// A message, in the order in which it was sent. Must not block.
    fn control(&mut self, control: Control);
}

impl<F: FnMut(Control) + Send> Router for F {
    fn control(&mut self, control: Control) {
        self(control);
    }
}

/// Why a connection has ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CloseReason {
    /// We ended it: [`Outbound::close`].
    #[error("disconnected")]
    Disconnected,
    /// We ended it, because the peer does not read: so many bytes wait for it.
    #[error("the peer does not read: {0} bytes wait for it")]
    Unread(usize),
    /// The peer closed it, or its process ended.
    #[error("the peer closed the connection")]
    ConnectionClosed,
    /// The peer closed it when a message had begun to arrive and was not complete: most likely it was killed.
    #[error("the peer closed the connection in the middle of a message")]
    CutOff,
    /// Nothing was received for the tick time.
    #[error("nothing was received for {0:?}")]
    NetTickTimeout(Duration),
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(ConnectionError),
    /// The operating system reports an error.
    #[error("{0}")]
    Io(Arc<io::Error>),
}

impl<T> Link<T> {
    pub(super) fn new(io: T, input: BytesMut, established: Established) -> Self {
        Self {
            io,
            input,
            established,
            address: None,
        }
    }

    pub(super) fn at(self, address: SocketAddr) -> Self {
        Self {
            address: Some(address),
            ..self
        }
    }

    /// Who the two ends are, and what they can do.
    pub fn established(&self) -> &Established {
        &self.established
    }

    /// Where the peer is, on transports that have addresses.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Link<T> {
    /// Splits the connection into the sending end and the task, which runs once [`Driver::run`] is polled.
    pub fn open(self, options: LinkOptions) -> (Outbound, Driver<T>) {
        let settings = dist::Settings {
            ticks: options.ticks,
            unfinished_limit: options.unfinished_limit,
        };
        let (read, write) = Connection::new(&self.established, settings, clock()).into_split();
        let outbound = Outbound::new(
            write,
            self.established.peer.negotiated,
            options.busy_limit,
            options.unread_limit,
        );
        (outbound.clone(), Driver::new(self, read, outbound))
    }
}
