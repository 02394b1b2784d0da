//! Calling functions on other nodes: `erpc` and `rpc`.
//!
//! A call spawns `erpc:execute_call/4` on the other node under a monitor, as every release since OTP 23 does, and takes the result
//! from that process's exit reason. What Erlang raises, a call gives as an error that says which class it was.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::CallError;
use crate::etf::{Encode, RawTerm, View};
use crate::node::{CallFailure, Exception, ExitReason, Message, Node, Process, SpawnError, SpawnOptions};
use crate::term::{Atom, AtomTooLong, Reference, Term};

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
    /// The other node does not run the function: `{erpc, Reason}` of `erpc`.
    #[error("the node does not run the function: {0}")]
    Refused(Atom),
    /// `rex` answered `{badrpc, Reason}`, which does not tell the classes of exceptions apart.
    #[error("the other node says badrpc: {0}")]
    BadRpc(Term),
    /// The arguments or the result are not what the types have room for.
    #[cfg(feature = "serde")]
    #[error(transparent)]
    Typed(#[from] crate::etf::SerdeError),
    /// No result in time. The function goes on, and its result is dropped.
    #[error("no result within {0:?}")]
    TimedOut(Duration),
    /// This node has stopped.
    #[error("this node has stopped")]
    Stopped,
}

impl RpcError {
    /// What `rpc:call/4` has for this in `{badrpc, Reason}`.
    #[must_use]
    pub fn badrpc(&self) -> Term {
        let exit = |reason: Term| Term::from((Term::atom("EXIT"), reason));
        match self {
            Self::Raised(Exception::Error { reason, stack }) => {
                exit(Term::from((reason.clone(), stack.clone())))
            }
            Self::Raised(Exception::Exit(reason) | Exception::Throw(reason)) => exit(reason.clone()),
            Self::Signal(reason) => exit(reason.term().clone()),
            Self::BadRpc(reason) => reason.clone(),
            Self::TimedOut(_) => Term::atom("timeout"),
            Self::Spawn(SpawnError::Refused(reason)) if *reason == *"notsup" => Term::atom("notsup"),
            Self::Refused(reason) | Self::Spawn(SpawnError::Refused(reason)) => exit(reason.clone().into()),
            _ => Term::atom("nodedown"),
        }
    }

    /// What `erpc:call/4` raises for this.
    #[must_use]
    pub fn exception(&self) -> Exception {
        let erpc = |why: &Atom| Exception::Error {
            reason: Term::from((Term::atom("erpc"), why.clone())),
            stack: Term::NIL,
        };
        match self {
            Self::Raised(Exception::Error { reason, stack }) => Exception::Error {
                reason: Term::from((Term::atom("exception"), reason.clone(), stack.clone())),
                stack: Term::NIL,
            },
            Self::Raised(Exception::Exit(reason)) => {
                Exception::Exit(Term::from((Term::atom("exception"), reason.clone())))
            }
            Self::Raised(exception) => exception.clone(),
            Self::Signal(reason) => {
                Exception::Exit(Term::from((Term::atom("signal"), reason.term().clone())))
            }
            Self::TimedOut(_) => erpc(&Atom::from_static("timeout")),
            Self::Refused(reason) | Self::Spawn(SpawnError::Refused(reason)) => erpc(reason),
            Self::Name(_) => erpc(&Atom::from_static("badarg")),
            _ => erpc(&Atom::from_static("noconnection")),
        }
    }
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

    /// Calls `module:function(arguments…)` and waits for what it returns, as `erpc:call/5`. What `rpc:call/5` makes of a failure, is
    /// [`RpcError::badrpc`].
    ///
    /// # Errors
    /// When the function does not return, and when there is no result in time.
    pub async fn call(
        &self,
        module: &str,
        function: &str,
        arguments: impl IntoIterator<Item = Term>,
    ) -> Result<Term, RpcError> {
        self.order(module, function, arguments)?.run().await
    }

    /// Calls a function with arguments and a result of Rust types: `arguments` is a tuple or a sequence of them, `()` for none.
    ///
    /// ```no_run
    /// # async fn example(node: &beamnode::node::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let sorted: Vec<i64> = node.rpc("alice@build").call_as("lists", "sort", (vec![2, 1],)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call), and when the result does not fit its type.
    #[cfg(feature = "serde")]
    pub async fn call_as<T: serde::de::DeserializeOwned>(
        &self,
        module: &str,
        function: &str,
        arguments: impl serde::Serialize,
    ) -> Result<T, RpcError> {
        let arguments: Vec<Term> = match crate::etf::to_term(&arguments)? {
            Term::Tuple(tuple) => tuple.iter().collect(),
            Term::List(list) => list.iter().collect(),
            Term::Atom(none) if none == *"nil" => Vec::new(),
            other => vec![other],
        };
        let value = self.call(module, function, arguments).await?;
        Ok(crate::etf::from_term(&value)?)
    }

    /// Sends a call on its way and does not wait, as `erpc:send_request/4` and `rpc:async_call/4`: the result is awaited in what is given, and
    /// given up when that is dropped.
    ///
    /// # Errors
    /// When a name is none.
    pub fn send_request(
        &self,
        module: &str,
        function: &str,
        arguments: impl IntoIterator<Item = Term>,
    ) -> Result<PendingCall, RpcError> {
        let order = self.order(module, function, arguments)?;
        let task = self.node.handle_of_runtime().spawn(order.run());
        Ok(PendingCall(task))
    }

    /// Calls a function by way of `rex`, which serves nothing else meanwhile, as `rpc:block_call/5`.
    ///
    /// # Errors
    /// As [`call`](Self::call); what the function raised comes as [`RpcError::BadRpc`].
    pub async fn block_call(
        &self,
        module: &str,
        function: &str,
        arguments: impl IntoIterator<Item = Term>,
    ) -> Result<Term, RpcError> {
        let mut me = self.node.process();
        let request = (
            Term::atom("block_call"),
            Atom::new(module)?,
            Atom::new(function)?,
            Term::from(arguments.into_iter().collect::<Vec<_>>()),
            me.group_leader(),
        );
        let patience = self.timeout.unwrap_or(super::call::FOR_EVER);
        let rex = (Atom::from_static("rex"), self.peer.clone()?);
        let answer = me.call(rex, Term::from(request), patience).await;
        let value = answer.map_err(|error| match error {
            CallError::TimedOut(patience) => RpcError::TimedOut(patience),
            CallError::Stopped => RpcError::Stopped,
            CallError::Down(reason) if !is_gone(&reason) => RpcError::Signal(ExitReason::from(reason)),
            _ => RpcError::NoConnection,
        })?;
        match value.as_tuple().and_then(|tuple| tuple.array::<2>()) {
            Some([tag, reason]) if tag.is_atom("badrpc") => Err(RpcError::BadRpc(reason)),
            // As OTP has it, whether it was thrown or given.
            Some([tag, _]) if tag.is_atom("EXIT") => Err(RpcError::BadRpc(value)),
            _ => Ok(value),
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
        self.cast_for(&self.node.process(), module, function, arguments)
            .await
    }

    /// A cast from a process.
    pub(super) async fn cast_for(
        &self,
        me: &Process,
        module: &str,
        function: &str,
        arguments: impl IntoIterator<Item = Term>,
    ) -> Result<(), RpcError> {
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

    fn order(
        &self,
        module: &str,
        function: &str,
        arguments: impl IntoIterator<Item = Term>,
    ) -> Result<Order, RpcError> {
        Ok(Order {
            node: self.node.clone(),
            peer: self.peer.clone()?,
            module: Atom::new(module)?,
            function: Atom::new(function)?,
            arguments: arguments.into_iter().collect(),
            timeout: self.timeout,
            on_behalf: None,
        })
    }
}

impl Node {
    /// Calls a function on many nodes at once, as `erpc:multicall/5`: the results in the order of the nodes.
    ///
    /// ```no_run
    /// # async fn example(node: &beamnode::node::Node) {
    /// use std::time::Duration;
    ///
    /// let nodes = ["alice@build", "bob@build"];
    /// for result in node.multicall(nodes, "erlang", "nodes", [], Some(Duration::from_secs(5))).await {
    ///     println!("{result:?}");
    /// }
    /// # }
    /// ```
    pub async fn multicall<N: AsRef<str>>(
        &self,
        nodes: impl IntoIterator<Item = N>,
        module: &str,
        function: &str,
        arguments: impl IntoIterator<Item = Term>,
        timeout: Option<Duration>,
    ) -> Vec<Result<Term, RpcError>> {
        let arguments: Vec<Term> = arguments.into_iter().collect();
        let pending: Vec<_> = nodes
            .into_iter()
            .map(|peer| {
                let mut rpc = self.rpc(peer);
                rpc.timeout = timeout;
                rpc.send_request(module, function, arguments.clone())
            })
            .collect();
        let mut results = Vec::with_capacity(pending.len());
        for call in pending {
            results.push(match call {
                Ok(call) => call.await,
                Err(error) => Err(error),
            });
        }
        results
    }
}

/// A call under way, whose result is awaited in this.
#[derive(Debug)]
pub struct PendingCall(tokio::task::JoinHandle<Result<Term, RpcError>>);

impl Future for PendingCall {
    type Output = Result<Term, RpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = Pin::new(&mut self.0).poll(cx);
        result.map(|result| result.unwrap_or(Err(RpcError::Stopped)))
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A call of a function, by whoever makes it.
pub(super) struct Order {
    pub(super) node: Node,
    pub(super) peer: Atom,
    pub(super) module: Atom,
    pub(super) function: Atom,
    pub(super) arguments: Vec<Term>,
    pub(super) timeout: Option<Duration>,
    /// The process that a call is made for which another node asked for: its group leader, and its rights.
    pub(super) on_behalf: Option<Process>,
}

impl Order {
    /// Runs the function on the other node; its result, or why there is none.
    pub(super) async fn run(self) -> Result<Term, RpcError> {
        let timeout = self.timeout;
        match timeout {
            Some(timeout) => tokio::time::timeout(timeout, self.call())
                .await
                .unwrap_or(Err(RpcError::TimedOut(timeout))),
            None => self.call().await,
        }
    }

    async fn call(self) -> Result<Term, RpcError> {
        // Not the reference of the request: by it the result is known from any other way for the process to end.
        let tag = self.node.make_ref();
        let arguments =
            RawTerm::new::<[&dyn Encode; 4]>(&[&tag, &self.module, &self.function, &self.arguments]);
        let execute = (Atom::from_static("erpc"), Atom::from_static("execute_call"), 4);
        let reason = if self.peer == *self.node.name() {
            self.call_here(execute, arguments).await?
        } else {
            let asking = self.on_behalf.as_ref();
            let leader = asking.map_or_else(|| self.node.leader(), Process::group_leader);
            let call = self.node.call_far(&self.peer, execute, arguments, leader);
            call.await.map_err(|failure| match failure {
                CallFailure::Spawn(error) => RpcError::Spawn(error),
                CallFailure::NoConnection => RpcError::NoConnection,
                CallFailure::Stopped => RpcError::Stopped,
            })?
        };
        result(&tag, &reason)
    }

    /// On this node, from a process with the rights of who asks.
    async fn call_here(self, execute: (Atom, Atom, u8), arguments: RawTerm) -> Result<RawTerm, RpcError> {
        let mut me = self.node.process();
        if let Some(asking) = &self.on_behalf {
            me.set_group_leader(asking.group_leader());
            me.inherit(asking);
        }
        let spawned = me
            .spawn_raw(self.peer, execute, arguments, &SpawnOptions::monitored())
            .await?;
        let reason = me.recv_select(|message| match message {
            Message::Down(down) if Some(&down.reference) == spawned.monitor.as_ref() => {
                Some(down.reason.clone())
            }
            _ => None,
        });
        reason.await.ok_or(RpcError::Stopped)
    }
}

fn is_gone(reason: &Term) -> bool {
    reason.is_atom("noconnection") || reason.is_atom("noproc")
}

/// What the exit reason of `erpc:execute_call/4` says.
fn result(tag: &Reference, reason: &RawTerm) -> Result<Term, RpcError> {
    let signal = |reason| RpcError::Signal(ExitReason::from(reason));
    let no_term = || signal(Term::atom("badarg"));
    if let Some([theirs, class, value]) = reason.glance().tuple()
        && class.is_atom("return")
        && matches!(theirs.view(), View::Reference(theirs) if theirs.to_reference() == *tag)
    {
        return reason.part(value).decode().map_err(|_| no_term());
    }
    let reason = reason.decode().map_err(|_| no_term())?;
    if reason.is_atom("noconnection") {
        return Err(RpcError::NoConnection);
    }
    let is_ours = |theirs: &Term| matches!(theirs, Term::Reference(theirs) if theirs == tag);
    let raised = |exception| Err(RpcError::Raised(exception));
    if let Some(tuple) = reason.as_tuple() {
        if let Some([theirs, Term::Atom(class), value]) = tuple.array::<3>()
            && is_ours(&theirs)
        {
            match class.as_str() {
                "throw" => return raised(Exception::Throw(value)),
                "exit" => return raised(Exception::Exit(value)),
                // `{erpc, Why}`: the other side could not run it.
                "error" => {
                    return match value.as_tuple().and_then(|tuple| tuple.array::<2>()) {
                        Some([tag, Term::Atom(why)]) if tag.is_atom("erpc") => Err(RpcError::Refused(why)),
                        _ => raised(Exception::Error {
                            reason: value,
                            stack: Term::NIL,
                        }),
                    };
                }
                _ => {}
            }
        }
        if let Some([theirs, Term::Atom(class), reason, stack]) = tuple.array::<4>()
            && is_ours(&theirs)
            && class == *"error"
        {
            return raised(Exception::Error { reason, stack });
        }
    }
    Err(signal(reason))
}
