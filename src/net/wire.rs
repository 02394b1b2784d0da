//! Handshake packets over a stream, each step within its time.

use crate::dist::handshake::{Deframer, HandshakeError, LengthPrefix, Step};
use bytes::{Bytes, BytesMut};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why a connection could not be set up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SetupError {
    /// The operating system: no route, refused, reset.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// Nothing listens at any of the addresses within the time.
    #[error("timed out: no answer to the attempt to connect")]
    ConnectTimedOut,
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Too many others were connecting at the same time and this one was the slowest.
    #[error("given up: too many connections that have not said who they are")]
    TooMany,
}

impl From<io::Error> for SetupError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// How much the operating system may hold of what has not gone out, on Linux. What it holds more of, a small message has to wait
/// for: its buffer of 4 MB is 33 ms on a link of 1 Gbit/s.
#[cfg(target_os = "linux")]
const NOT_SENT: u32 = 128 * 1024;

/// How much it may hold of what a peer on the same host has sent and we have not read, on Linux, where it is doubled for what the system itself
/// takes. A small message waits for all that lies there, up to 33 MB otherwise. From another host it is as much as the distance
/// needs, which the system finds out.
#[cfg(target_os = "linux")]
const NOT_READ: usize = 512 * 1024;

/// Makes a fresh stream send each message at once, and hold little back.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        let socket = SockRef::from(stream);
        socket.set_tcp_notsent_lowat(NOT_SENT)?;
        if let (Ok(peer), Ok(own)) = (stream.peer_addr(), stream.local_addr())
            && (peer.ip().to_canonical().is_loopback() || peer.ip() == own.ip())
        {
            socket.set_recv_buffer_size(NOT_READ)?;
        }
    }
    Ok(())
}

/// A stream on which a handshake is under way.
#[derive(Debug)]
pub(super) struct Wire<T> {
    pub(super) io: T,
    /// What was read and not taken: after the last packet, the beginning of what follows.
    pub(super) input: BytesMut,
    prefix: LengthPrefix,
    /// How long each step may take.
    pub(super) setup_time: Duration,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub(super) fn new(io: T, prefix: LengthPrefix, setup_time: Duration) -> Self {
        Self {
            io,
            input: BytesMut::new(),
            prefix,
            setup_time,
        }
    }

    /// Writes the packets with one write.
    pub(super) async fn send(&mut self, packets: &[Vec<u8>], step: Step) -> Result<(), SetupError> {
        let bytes: Vec<u8> = packets
            .iter()
            .flat_map(|packet| self.prefix.frame(packet))
            .collect();
        let write = async {
            self.io.write_all(&bytes).await?;
            self.io.flush().await
        };
        match timeout(self.setup_time, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(at(error, step)),
            Err(_) => Err(HandshakeError::TimedOut { step }.into()),
        }
    }

    /// Waits for the packet of this step.
    pub(super) async fn receive(&mut self, step: Step) -> Result<Bytes, SetupError> {
        let deframer = Deframer::new(self.prefix);
        let read = async {
            loop {
                if let Some(packet) = deframer.next(&mut self.input)? {
                    return Ok(packet);
                }
                match self.io.read_buf(&mut self.input).await {
                    Ok(0) => return Err(HandshakeError::Closed { step }.into()),
                    Ok(_) => {}
                    Err(error) => return Err(at(error, step)),
                }
            }
        };
        match timeout(self.setup_time, read).await {
            Ok(result) => result,
            Err(_) => Err(HandshakeError::TimedOut { step }.into()),
        }
    }
}

/// A peer that closes with something of ours unread resets the connection: that is closing all the same.
fn at(error: io::Error, step: Step) -> SetupError {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            HandshakeError::Closed { step }.into()
        }
        _ => error.into(),
    }
}
