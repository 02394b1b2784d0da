//! Connecting to a node: TCP, then the handshake.

use super::link::Link;
use super::wire::{SetupError, Wire, prepare};
use crate::dist::handshake::{self, Dialed, HandshakeError, LengthPrefix, StatusReceived, Step};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a node is asked while it connects, because the peer may connect to it at the same time; see
/// [`arbitration`](crate::dist::arbitration). `()` is the answer of somebody whom nobody connects to.
pub trait Attempt {
    /// Our name is about to be sent. Whether this attempt is still wanted; if so the node holds it as
    /// [`Pending`](crate::dist::arbitration::Held::Pending) from now on.
    fn begin(&self) -> bool {
        true
    }

    /// The peer has a connection of our name. Whether this attempt is to replace it: whether it is still the one that
    /// the node holds.
    fn replaces(&self) -> bool {
        true
    }

    /// The peer prefers its own attempt to connect to us. Whether to wait for that one: if so, the future goes on for as long as
    /// a step may take, and is to be dropped when the peer has come.
    fn waits_for_peer(&self) -> bool {
        false
    }
}

impl Attempt for () {}

/// Connects over TCP to a node at the first of `addresses` that answers, and shakes hands with it.
///
/// Each step, connecting to an address among them, may take `setup_time`, usually
/// [`SETUP_TIME`](handshake::SETUP_TIME). Dropping the future closes the connection.
pub async fn connect(
    addresses: &[SocketAddr],
    dialed: Dialed,
    setup_time: Duration,
    attempt: &impl Attempt,
) -> Result<Link<TcpStream>, SetupError> {
    let mut failure = SetupError::ConnectTimedOut;
    for address in addresses {
        match timeout(setup_time, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                prepare(&stream)?;
                let link = shake_hands(stream, LengthPrefix::Two, dialed, setup_time, attempt).await?;
                return Ok(link.at(*address));
            }
            Ok(Err(error)) => failure = error.into(),
            Err(_) => failure = SetupError::ConnectTimedOut,
        }
    }
    Err(failure)
}

/// Shakes hands with the node at the other end of `io`, as the one that connects: for transports other than TCP.
///
/// Otherwise as [`connect`].
pub async fn shake_hands<T: AsyncRead + AsyncWrite + Unpin>(
    io: T,
    prefix: LengthPrefix,
    dialed: Dialed,
    setup_time: Duration,
    attempt: &impl Attempt,
) -> Result<Link<T>, SetupError> {
    let (name, state) = handshake::start(dialed)?;
    if !attempt.begin() {
        return Err(HandshakeError::Superseded.into());
    }
    let mut wire = Wire::new(io, prefix, setup_time);
    wire.send(&[name], Step::Status).await?;
    let status = state.handle(&wire.receive(Step::Status).await?);
    if status.as_ref().is_err_and(|error| *error == HandshakeError::Nok) && attempt.waits_for_peer() {
        drop(wire);
        tokio::time::sleep(setup_time).await;
        return Err(HandshakeError::Nok.into());
    }
    let state = match status? {
        StatusReceived::Proceed(state) => state,
        StatusReceived::Alive(state) if attempt.replaces() => {
            let (answer, state) = state.replace();
            wire.send(&[answer], Step::Challenge).await?;
            state
        }
        StatusReceived::Alive(state) => {
            let (answer, error) = state.give_up();
            wire.send(&[answer], Step::Challenge).await?;
            return Err(error.into());
        }
    };
    let (reply, state) = state.handle(&wire.receive(Step::Challenge).await?, rand::random())?;
    wire.send(&[reply], Step::Ack).await?;
    let established = state.handle(&wire.receive(Step::Ack).await?)?;
    Ok(Link::new(wire.io, wire.input, established))
}
