//! One connection to a daemon, without I/O: bytes in, bytes and decisions out.
//!
//! Follows "EPMD Protocol" in Erlang's *Distribution Protocol* chapter and, where that is silent, what stock daemons
//! do: a connection carries one request; what is malformed is hung up on without an answer; a registration holds
//! its connection open, and so does one that was refused; any further byte on such a connection ends it.

use super::message::{Deframed, Deframer, LookupAnswer, RegisterAnswer, Request, RequestError};
use super::registry::{ConnectionId, Listing, Registry};

/// One connection.
#[derive(Debug)]
pub struct Session {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The request is not complete.
    Reading(Deframer),
    /// Held open by a registration, granted or not.
    Holding,
    /// Nothing more is expected.
    Over,
}

/// What a daemon lets connections do, beyond the registry.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The connection.
    pub connection: ConnectionId,
    /// Whether the other end is on this host: only then may it register, dump, kill and stop.
    pub local: bool,
    /// Whether KILL is granted while nodes are registered, and STOP at all (`-relaxed_command_check`).
    pub relaxed: bool,
    /// Whether the daemon holds as many connections as it can: then nothing more is registered.
    pub full: bool,
    /// The port on which the daemon listens, for the list of names.
    pub port: u16,
    /// The time in seconds since whenever.
    pub now: u32,
}

/// What is to be done once the answer, if any, has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read on; hang up when nothing comes for the packet timeout.
    Read,
    /// The connection is held: read on without a timeout. When it ends, call [`Session::closed`].
    Hold,
    /// Close the connection.
    Close,
    /// Write the list ([`Registry::continue_listing`]), then close the connection.
    List(Listing),
    /// Close the connection of the name that was stopped, if there was one, then this one.
    Stop(Option<ConnectionId>),
    /// Close the connection and end the daemon.
    Kill,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A new connection.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Reading(Deframer::new()),
        }
    }

    /// Takes in what one read from the connection gave, and appends the answer to `out`.
    pub fn input(
        &mut self,
        bytes: &[u8],
        context: &Context,
        registry: &mut Registry,
        out: &mut Vec<u8>,
    ) -> Step {
        match &mut self.state {
            State::Reading(deframer) => match deframer.input(bytes) {
                Deframed::Incomplete => Step::Read,
                Deframed::BadLength => {
                    tracing::debug!(
                        connection = context.connection.0,
                        "request with a length that none has"
                    );
                    self.over()
                }
                Deframed::Packet(body) => {
                    let step = answer(&body, context, registry, out);
                    self.state = if step == Step::Hold {
                        State::Holding
                    } else {
                        State::Over
                    };
                    step
                }
            },
            State::Holding => {
                tracing::debug!(
                    connection = context.connection.0,
                    "bytes on a connection that holds a name"
                );
                self.closed(context.connection, registry);
                self.over()
            }
            State::Over => Step::Close,
        }
    }

    /// How many bytes the next read from the connection may take at most.
    #[must_use]
    pub fn room(&self) -> usize {
        match &self.state {
            State::Reading(deframer) => deframer.room(),
            State::Holding | State::Over => 1,
        }
    }

    /// Whether the connection is held open by a registration, granted or not.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        matches!(self.state, State::Holding)
    }

    /// The connection has ended, from whichever side: its name is free.
    pub fn closed(&mut self, connection: ConnectionId, registry: &mut Registry) {
        if matches!(self.state, State::Holding)
            && let Some(name) = registry.unregister(connection)
        {
            tracing::info!(%name, "unregistered");
        }
        self.state = State::Over;
    }

    fn over(&mut self) -> Step {
        self.state = State::Over;
        Step::Close
    }
}

/// Answers one request.
fn answer(body: &[u8], context: &Context, registry: &mut Registry, out: &mut Vec<u8>) -> Step {
    let request = Request::decode(body);
    let wants_local = !matches!(
        request,
        Ok(Request::Lookup(_) | Request::Names) | Err(RequestError::Malformed)
    );
    if wants_local && !context.local {
        tracing::warn!(
            connection = context.connection.0,
            "request from another host that only this one may make"
        );
        return Step::Close;
    }
    match request {
        Ok(Request::Register(node)) if context.full => {
            tracing::error!(name = %node.name, "not registered: the daemon cannot hold more connections");
            Step::Close
        }
        Err(RequestError::Refused(_)) if context.full => Step::Close,
        Ok(Request::Register(node)) => {
            let (name, port, version) = (node.name.clone(), node.port, node.highest_version);
            match registry.register(node, context.connection, context.now) {
                Some(creation) => {
                    tracing::info!(%name, port, creation, "registered");
                    RegisterAnswer::Registered { creation }.encode(version, out);
                }
                None => {
                    tracing::warn!(%name, port, "refused: the name is taken");
                    RegisterAnswer::Refused { result: 1 }.encode(version, out);
                }
            }
            Step::Hold
        }
        Err(RequestError::Refused(reason)) => {
            tracing::warn!(%reason, "registration refused");
            RegisterAnswer::Refused { result: 1 }.encode(reason.highest_version(), out);
            Step::Hold
        }
        Ok(Request::Lookup(name)) => {
            match registry.lookup(&name) {
                Some(node) => LookupAnswer::encode_found(node, out),
                None => LookupAnswer::encode_not_found(out),
            }
            Step::Close
        }
        Ok(Request::Names) => {
            out.extend_from_slice(&u32::from(context.port).to_be_bytes());
            Step::List(Listing::NAMES)
        }
        Ok(Request::Dump) => {
            out.extend_from_slice(&u32::from(context.port).to_be_bytes());
            Step::List(Listing::DUMP)
        }
        Ok(Request::Kill) if context.relaxed || registry.is_empty() => {
            out.extend_from_slice(b"OK");
            Step::Kill
        }
        Ok(Request::Kill) => {
            tracing::warn!("kill refused: there are living nodes");
            out.extend_from_slice(b"NO");
            Step::Close
        }
        Ok(Request::Stop(name)) if context.relaxed => {
            let connection = registry.stop(&name);
            if connection.is_none() {
                out.extend_from_slice(b"NOEXIST");
            }
            out.extend_from_slice(b"STOPPED");
            Step::Stop(connection)
        }
        Ok(Request::Stop(name)) => {
            tracing::warn!(%name, "stop refused: the daemon runs without -relaxed_command_check");
            Step::Close
        }
        Err(RequestError::Malformed) => {
            tracing::debug!(connection = context.connection.0, "malformed request");
            Step::Close
        }
    }
}
