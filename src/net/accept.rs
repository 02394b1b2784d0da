//! Being connected to: the handshake, with the node deciding.

use super::link::Link;
use super::wire::{SetupError, Wire};
use crate::dist::handshake::{
    AskedName, AwaitName, AwaitReply, LengthPrefix, Local, Refusal, Rejected, ReplyReceived, Step,
};
use crate::dist::{Cookie, Flags, NodeName};
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{Span, field};

/// What a node decides about a peer that connects, and what it is told of it.
///
/// An *admission* is the node's own note of one attempt: what it enters into its table when it lets the peer go on. It
/// comes back with the link when the handshake succeeds, and with the error when not, so that nothing is left behind;
/// if neither happens because the listener is dropped, so is the admission.
pub trait Gatekeeper: Send + Sync + 'static {
    /// The node's note of an attempt.
    type Admission: Send + Sync + 'static;

    /// Who we are.
    fn local(&self) -> Local;

    /// `name` wants to connect; nothing is proven yet. For the rules see [`arbitration`](crate::dist::arbitration).
    fn connection(
        &self,
        name: &NodeName,
        flags: Flags,
        address: Option<SocketAddr>,
    ) -> Decision<Self::Admission>;

    /// A node on `host` wants a name.
    fn name(&self, host: &str, flags: Flags, address: Option<SocketAddr>) -> Naming<Self::Admission>;

    /// The peer has proven its cookie. If its connection replaces another, that one is to be closed before the future is
    /// done: then the peer hears that it is connected. `false` if the attempt is no longer wanted.
    fn verified(&self, admission: &Self::Admission) -> impl Future<Output = bool> + Send;

    /// Done when the attempt is no longer wanted, because one of ours to the same node won. It is then dropped.
    fn withdrawn(&self, admission: &Self::Admission) -> impl Future<Output = ()> + Send;

    /// The connection is up.
    fn established(&self, admission: Self::Admission, link: Link);

    /// The attempt has failed. What failed before there was an admission is only logged.
    fn failed(&self, admission: Self::Admission, error: SetupError);
}

/// What a node decides about a peer that wants to connect.
#[derive(Debug)]
pub enum Decision<A> {
    /// Go on.
    Accept {
        /// The node's note.
        admission: A,
        /// Our own attempt to connect to that node has been given up for this one.
        simultaneous: bool,
        /// Our cookie for that node.
        cookie: Cookie,
    },
    /// Ask whether it is to replace the connection of that name which is up, and if so, go on.
    Alive {
        /// The node's note.
        admission: A,
        /// Our cookie for that node.
        cookie: Cookie,
    },
    /// Say no.
    Refuse(Refusal),
}

/// What a node decides about a peer that wants a name.
#[derive(Debug)]
pub enum Naming<A> {
    /// Give it one, and go on.
    Name {
        /// The node's note.
        admission: A,
        /// Its name.
        name: NodeName,
        /// Its creation: another each time the name is given.
        creation: u32,
        /// Our cookie for it.
        cookie: Cookie,
    },
    /// Say no.
    Refuse(Refusal),
}

/// A handshake that the node let begin has ended this way.
pub(super) type Outcome<A, T> = (A, Result<Link<T>, SetupError>);

/// Shakes hands with whoever has connected through `io`, as the one connected to. `Err` if it failed before the node
/// was asked, or because the node said no.
pub(super) async fn accept<G: Gatekeeper, T: AsyncRead + AsyncWrite + Unpin>(
    io: T,
    prefix: LengthPrefix,
    setup_time: Duration,
    address: Option<SocketAddr>,
    gatekeeper: &G,
) -> Result<Outcome<G::Admission, T>, SetupError> {
    let mut wire = Wire::new(io, prefix, setup_time);
    let asked = AwaitName::new(gatekeeper.local()).handle(&wire.receive(Step::SendName).await?);
    let asked = rejecting(&mut wire, asked).await?;
    let node: &dyn Display = match &asked {
        AskedName::Connection(asked) => asked.name(),
        AskedName::Name(asked) => &asked.host(),
    };
    Span::current().record("node", field::display(node));
    match asked {
        AskedName::Connection(asked) => match gatekeeper.connection(asked.name(), asked.flags(), address) {
            Decision::Accept {
                admission,
                simultaneous,
                cookie,
            } => {
                let (packets, state) = asked.accept(simultaneous, cookie, rand::random());
                let rest = async {
                    wire.send(&packets, Step::Reply).await?;
                    prove(wire, state, gatekeeper, &admission).await
                };
                let result = unless_withdrawn(rest, gatekeeper, &admission).await;
                Ok((admission, result))
            }
            Decision::Alive { admission, cookie } => {
                let rest = async {
                    let (question, state) = asked.alive();
                    wire.send(&[question], Step::AliveReply).await?;
                    let answer = wire.receive(Step::AliveReply).await?;
                    let answer = state.handle(&answer, cookie, rand::random());
                    let (packet, state) = rejecting(&mut wire, answer).await?;
                    wire.send(&[packet], Step::Reply).await?;
                    prove(wire, state, gatekeeper, &admission).await
                };
                let result = unless_withdrawn(rest, gatekeeper, &admission).await;
                Ok((admission, result))
            }
            Decision::Refuse(refusal) => rejecting(&mut wire, Err(asked.refuse(refusal))).await,
        },
        AskedName::Name(asked) => match gatekeeper.name(asked.host(), asked.flags(), address) {
            Naming::Name {
                admission,
                name,
                creation,
                cookie,
            } => {
                let (packets, state) = asked.name(name, creation, cookie, rand::random());
                let rest = async {
                    wire.send(&packets, Step::Reply).await?;
                    prove(wire, state, gatekeeper, &admission).await
                };
                let result = unless_withdrawn(rest, gatekeeper, &admission).await;
                Ok((admission, result))
            }
            Naming::Refuse(refusal) => rejecting(&mut wire, Err(asked.refuse(refusal))).await,
        },
    }
}

/// From the challenge on.
async fn prove<G: Gatekeeper, T: AsyncRead + AsyncWrite + Unpin>(
    mut wire: Wire<T>,
    state: AwaitReply,
    gatekeeper: &G,
    admission: &G::Admission,
) -> Result<Link<T>, SetupError> {
    let mut state = state;
    let verified = loop {
        let packet = wire.receive(state.step()).await?;
        let received = state.handle(&packet);
        match rejecting(&mut wire, received).await? {
            ReplyReceived::Complemented(next) => state = next,
            ReplyReceived::Verified(verified) => break verified,
        }
    };
    if !gatekeeper.verified(admission).await {
        return Err(crate::dist::handshake::HandshakeError::Superseded.into());
    }
    let (ack, established) = verified.finish();
    wire.send(&[ack], Step::Ack).await?;
    Ok(Link::new(wire.io, wire.input, established))
}

async fn unless_withdrawn<G: Gatekeeper, L>(
    rest: impl Future<Output = Result<L, SetupError>>,
    gatekeeper: &G,
    admission: &G::Admission,
) -> Result<L, SetupError> {
    tokio::select! {
        biased;
        () = gatekeeper.withdrawn(admission) => Err(crate::dist::handshake::HandshakeError::Superseded.into()),
        result = rest => result,
    }
}

/// Tells the peer, if it is to be told, when a step was rejected.
async fn rejecting<T: AsyncRead + AsyncWrite + Unpin, S>(
    wire: &mut Wire<T>,
    step: Result<S, Rejected>,
) -> Result<S, SetupError> {
    match step {
        Ok(next) => Ok(next),
        Err(Rejected {
            farewell,
            name,
            error,
        }) => {
            if let Some(name) = name {
                Span::current().record("node", field::debug(name));
            }
            if let Some(packet) = farewell {
                // Whether it still hears it changes nothing.
                let _ = wire.send(&[packet], Step::SendName).await;
            }
            Err(error.into())
        }
    }
}
