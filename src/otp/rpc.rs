//! Calling functions on other nodes: `erpc` and `rpc`.
//!
//! A call spawns `erpc:execute_call/4` on the other node under a monitor, as every release since OTP 23 does, and takes the result
//! from that process's exit reason. What Erlang raises, a call gives as an error that says which class it was.

use std::time::Duration;

use crate::node::{Exception, ExitReason, Item, Message, Node, SpawnError, SpawnOptions};
use crate::term::{Atom, AtomTooLong, Term};

/// Calls to one node; [`Node::rpc`] gives it.
#[derive(Debug, Clone)]
pub struct Rpc<'a> {
    node: &'a Node,
    peer: Result<Atom, AtomTooLong>,
    timeout: Option<Duration>,
}

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    /// The function raised an exception.
    #[error("the function raised {0}")]
    Raised(Exception),
    /// The process that ran the function was ended from outside, with this reason: `{signal, Reason}` of `erpc`.
    #[error("the process that ran the function was ended: {0}")]
    Signal(ExitReason),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] AtomTooLong),
    /// The other node could not be asked.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The connection ended before there was a result. Whether the function ran is not known.
    #[error("the connection to the node ended before there was a result")]
    NoConnection,
    /// No result in time. The function goes on, and its result is dropped.
    #[error("no result within {0:?}")]
    TimedOut(Duration),
    /// This node has stopped.
    #[error("this node has stopped")]
    Stopped,
}

impl Node {
    /// For calling functions on `peer`.
    ///
    /// ```no_run
    /// # async fn example(node: &beamnode::node::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// use beamnode::term;
    ///
    /// let alice = node.rpc("alice@build");
    /// let reversed = alice.call("lists", "reverse", [term!([1, 2, 3])]).await?;
    /// assert_eq!(reversed, term!([3, 2, 1]));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn rpc(&self, peer: impl AsRef<str>) -> Rpc<'_> {
        Rpc {
            node: self,
            peer: Atom::new(peer.as_ref()),
            timeout: None,
        }
    }
}

impl Rpc<'_> {
    /// Waits at most this long for a result; for ever unless said otherwise, as `erpc:call/4`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Calls `module:function(arguments…)` and waits for what it returns, as `erpc:call/5`.
    ///
    /// # Errors
    /// When the function does not return, and when there is no result in time.
    pub async fn call(
        &self,
        module: &str,
        function: &str,
        arguments: impl IntoIterator<Item = Term>,
    ) -> Result<Term, RpcError> {
        let call = self.apply(
            Atom::new(module)?,
            Atom::new(function)?,
            arguments.into_iter().collect(),
        );
        match self.timeout {
            Some(timeout) => tokio::time::timeout(timeout, call)
                .await
                .unwrap_or(Err(RpcError::TimedOut(timeout))),
            None => call.await,
        }
    }

    /// Runs `module:function(arguments…)` and does not wait for what comes of it, as `erpc:cast/4`.
    ///
    /// # Errors
    /// When the node cannot be reached.
    pub async fn cast(
        &self,
        module: &str,
        function: &str,
        arguments: impl IntoIterator<Item = Term>,
    ) -> Result<(), RpcError> {
        let me = self.node.process();
        let arguments: Vec<Term> = arguments.into_iter().collect();
        let arguments = vec![
            Atom::new(module)?.into(),
            Atom::new(function)?.into(),
            Term::from(arguments),
        ];
        let execute = (Atom::from_static("erpc"), Atom::from_static("execute_cast"));
        me.spawn_on(&self.peer.clone()?, execute, arguments, SpawnOptions::default())
            .await?;
        Ok(())
    }

    async fn apply(&self, module: Atom, function: Atom, arguments: Vec<Term>) -> Result<Term, RpcError> {
        let mut me = self.node.process();
        // Not the reference of the request: by it the result is known from any other way for the process to end.
        let tag = Term::from(self.node.make_ref());
        let arguments = vec![
            tag.clone(),
            Term::from(module),
            Term::from(function),
            Term::from(arguments),
        ];
        let execute = (Atom::from_static("erpc"), Atom::from_static("execute_call"));
        let spawned = me
            .spawn_on(&self.peer.clone()?, execute, arguments, SpawnOptions::monitored())
            .await?;
        let reason = me.recv_select(|message| match message {
            Message::Down(down) if down.item == Item::Pid(spawned.pid.clone()) => Some(down.reason.decode()),
            _ => None,
        });
        match reason.await {
            Some(Ok(reason)) => result(&tag, reason),
            Some(Err(_)) => Err(RpcError::Signal(ExitReason::from(Atom::from_static("badarg")))),
            None => Err(RpcError::Stopped),
        }
    }
}

/// What the exit reason of `erpc:execute_call/4` says.
fn result(tag: &Term, reason: Term) -> Result<Term, RpcError> {
    if reason == Term::atom("noconnection") {
        return Err(RpcError::NoConnection);
    }
    let raised = |exception| Err(RpcError::Raised(exception));
    if let Some(tuple) = reason.as_tuple() {
        if let Some([theirs, Term::Atom(class), value]) = tuple.array::<3>()
            && theirs == *tag
        {
            match class.as_str() {
                "return" => return Ok(value),
                "throw" => return raised(Exception::Throw(value)),
                "exit" => return raised(Exception::Exit(value)),
                // `{erpc, Why}`: the other side could not run it.
                "error" => {
                    return raised(Exception::Error {
                        reason: value,
                        stack: Term::NIL,
                    });
                }
                _ => {}
            }
        }
        if let Some([theirs, Term::Atom(class), reason, stack]) = tuple.array::<4>()
            && theirs == *tag
            && class == *"error"
        {
            return raised(Exception::Error { reason, stack });
        }
    }
    Err(RpcError::Signal(ExitReason::from(reason)))
}
