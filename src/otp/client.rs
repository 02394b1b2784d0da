//! The rest of what a client does: requests whose answers are awaited later, calls to many at once, event managers, `sys`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::call::{CallError, Tag};
use crate::etf::Encode as _;
use crate::node::{Destination, Item, Message, MonitorOptions, Node, Process, SendError, Until};
use crate::term::{Atom, Reference, Term};

/// A request under way, as `gen_server:send_request/2` gives: to be awaited by the process that sent it. When it is dropped, the answer is
/// given up, and never lands in the mailbox.
#[derive(Debug)]
pub struct RequestId {
    me: Process,
    monitor: Reference,
    /// Whether the answer has been taken out of the mailbox.
    answered: AtomicBool,
}

impl Drop for RequestId {
    fn drop(&mut self) {
        self.me.unalias(&self.monitor);
        self.me.demonitor_flush(&self.monitor);
        // The answer may have come before that.
        if !*self.answered.get_mut() {
            self.me.cell().flush(|message| self.read(message).is_some());
        }
    }
}

impl RequestId {
    /// The answer that a message is, if it is one to this request.
    fn answer(&self, message: &Message) -> Option<Result<Term, CallError>> {
        let answer = self.read(message);
        if answer.is_some() {
            self.answered.store(true, Ordering::Relaxed);
        }
        answer
    }

    fn read(&self, message: &Message) -> Option<Result<Term, CallError>> {
        match message {
            Message::Down(down) if down.reference == self.monitor => Some(match down.reason.decode() {
                Ok(reason) => Err(CallError::Down(reason)),
                Err(error) => Err(error.into()),
            }),
            Message::Term(raw) => {
                let [tag, answer] = raw.glance().tuple()?;
                let ours = Tag::alias_in(tag)? == self.monitor;
                ours.then(|| Ok(raw.part(answer).decode()?))
            }
            _ => None,
        }
    }
}

impl Process {
    /// Sends a server a request and does not wait for its answer, as `gen_server:send_request/2`; [`response`](Self::response) does.
    ///
    /// ```no_run
    /// # async fn example(mut me: beamnode::node::Process) -> Result<(), Box<dyn std::error::Error>> {
    /// use beamnode::term;
    /// use std::time::Duration;
    ///
    /// let one = me.send_request(("store", "alice@build"), term!({get, color})).await?;
    /// let two = me.send_request(("store", "bob@build"), term!({get, color})).await?;
    /// let patience = Duration::from_secs(5);
    /// println!("{} {}", me.response(one, patience).await?, me.response(two, patience).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When this process has ended. A server that cannot be reached is told of by the response.
    pub async fn send_request(
        &self,
        server: impl Into<Item>,
        request: impl Into<Term>,
    ) -> Result<RequestId, CallError> {
        self.request(server.into(), Term::atom("$gen_call"), request.into())
            .await
    }

    /// Waits for the answer to a request of this process, as `gen_server:receive_response/2`: one that comes after `patience` is dropped.
    ///
    /// # Errors
    /// When the server ends or does not exist, its node cannot be reached, or no answer comes in time.
    pub async fn response(&mut self, request: RequestId, patience: Duration) -> Result<Term, CallError> {
        tokio::time::timeout(patience, self.answer(&request))
            .await
            .unwrap_or(Err(CallError::TimedOut(patience)))
    }

    /// Waits for the answer to a request of this process, for as long as it takes.
    pub(super) async fn answer(&mut self, request: &RequestId) -> Result<Term, CallError> {
        let answer = self.recv_select(|message| request.answer(message)).await;
        answer.unwrap_or(Err(CallError::Stopped))
    }

    /// The answer to a request of this process, if a message from [`recv`](Self::recv) is one, as `gen_server:check_response/2`.
    #[must_use]
    pub fn check_response(&self, message: &Message, request: &RequestId) -> Option<Result<Term, CallError>> {
        request.answer(message)
    }

    /// A request of any kind: `{Label, {From, Tag}, Request}`.
    pub(super) async fn request(
        &self,
        server: Item,
        label: Term,
        request: Term,
    ) -> Result<RequestId, CallError> {
        // The monitor is taken away by who has the answer, and so along with what that one sends next, often in the same write.
        let options = MonitorOptions {
            alias: Some(Until::Reply),
            ..MonitorOptions::default()
        };
        let (monitor, route) = self.monitor_and_route(server.clone(), options).await;
        let from = (self.pid(), Tag::Alias(monitor.clone()));
        let message = (label, from, request).to_raw();
        let id = RequestId {
            me: self.handle(),
            monitor,
            answered: AtomicBool::new(false),
        };
        let to = match server {
            Item::Pid(pid) => Destination::Pid(pid),
            Item::Name { name, node } => Destination::Remote { name, node },
        };
        match self.send_over(route, to, message).await {
            // The monitor says why.
            Ok(()) | Err(SendError::ConnectionLost { .. } | SendError::NotRegistered { .. }) => Ok(id),
            Err(error) => Err(error.into()),
        }
    }

    /// A call of any kind.
    async fn call_as(
        &mut self,
        server: Item,
        label: Term,
        request: Term,
        patience: Duration,
    ) -> Result<Term, CallError> {
        let work = async {
            let id = self.request(server, label, request).await?;
            self.answer(&id).await
        };
        tokio::time::timeout(patience, work)
            .await
            .unwrap_or(Err(CallError::TimedOut(patience)))
    }

    /// Calls a server with a system message, as the functions of `sys` do: `get_state`, `get_status`, `suspend`, `resume`,
    /// `{terminate, Reason}`. The answer is as the server gives it; that to `get_state` is `{ok, State}` from some releases.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn system_call(
        &mut self,
        server: impl Into<Item>,
        request: impl Into<Term>,
        patience: Duration,
    ) -> Result<Term, CallError> {
        self.call_as(server.into(), Term::atom("system"), request.into(), patience)
            .await
    }

    /// Tells an event manager of an event, as `gen_event:notify/2`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn notify(
        &self,
        manager: impl Into<Destination>,
        event: impl Into<Term>,
    ) -> Result<(), SendError> {
        self.send(manager, Term::from((Term::atom("notify"), event.into())))
            .await
    }

    /// Tells an event manager of an event and waits until all its handlers have seen it, as `gen_event:sync_notify/2`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn sync_notify(
        &mut self,
        manager: impl Into<Item>,
        event: impl Into<Term>,
        patience: Duration,
    ) -> Result<(), CallError> {
        let event = Term::from((Term::atom("sync_notify"), event.into()));
        self.call_manager(manager, event, patience).await.map(drop)
    }

    /// Calls a handler of an event manager, as `gen_event:call/4`: `handler` is a module, or `{Module, Id}`.
    ///
    /// # Errors
    /// As [`call`](Self::call). A handler that is not there, or fails, is answered by the manager: `{error, bad_module}`.
    pub async fn call_handler(
        &mut self,
        manager: impl Into<Item>,
        handler: impl Into<Term>,
        request: impl Into<Term>,
        patience: Duration,
    ) -> Result<Term, CallError> {
        let request = Term::from((Term::atom("call"), handler.into(), request.into()));
        self.call_manager(manager, request, patience).await
    }

    /// Asks an event manager for anything else: `which_handlers`, `{add_handler, Handler, Arguments}`, `{delete_handler, Handler,
    /// Arguments}`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_manager(
        &mut self,
        manager: impl Into<Item>,
        request: impl Into<Term>,
        patience: Duration,
    ) -> Result<Term, CallError> {
        // An event manager knows calls by the pid of who makes them.
        let label = Term::from(self.pid().clone());
        self.call_as(manager.into(), label, request.into(), patience)
            .await
    }
}

/// What [`Node::multi_call`] gives: who answered, and who did not.
pub type Answers = (Vec<(Atom, Term)>, Vec<Atom>);

impl Node {
    /// Calls the servers of one name on many nodes at once, as `gen_server:multi_call/4`: those that answered, and the nodes that did not
    /// within `patience`, in the order of the nodes.
    ///
    /// ```no_run
    /// # async fn example(node: &beamnode::node::Node) {
    /// use beamnode::term;
    /// use std::time::Duration;
    ///
    /// let nodes = ["alice@build", "bob@build"];
    /// let (answers, missing) = node.multi_call(nodes, "store", term!({get, color}), Duration::from_secs(5)).await;
    /// # }
    /// ```
    pub async fn multi_call<N: AsRef<str>>(
        &self,
        nodes: impl IntoIterator<Item = N>,
        name: &str,
        request: impl Into<Term>,
        patience: Duration,
    ) -> Answers {
        let request = request.into();
        let Ok(name) = Atom::new(name) else {
            return Answers::default();
        };
        let calls: Vec<_> = nodes
            .into_iter()
            .filter_map(|node| Atom::new(node.as_ref()).ok())
            .map(|node| {
                let (this, request) = (self.clone(), request.clone());
                let server = (name.clone(), node.clone());
                let call = async move { this.call(server, request, patience).await };
                (node, self.handle_of_runtime().spawn(call))
            })
            .collect();
        let mut answers = Answers::default();
        for (node, call) in calls {
            match call.await {
                Ok(Ok(answer)) => answers.0.push((node, answer)),
                _ => answers.1.push(node),
            }
        }
        answers
    }

    /// Casts to the servers of one name on many nodes, as `gen_server:abcast/3`. Those that cannot be reached are passed over.
    pub async fn abcast<N: AsRef<str>>(
        &self,
        nodes: impl IntoIterator<Item = N>,
        name: &str,
        request: impl Into<Term>,
    ) {
        let (me, request) = (self.process(), request.into());
        let Ok(name) = Atom::new(name) else { return };
        for node in nodes {
            if let Ok(node) = Atom::new(node.as_ref()) {
                me.cast((name.clone(), node), request.clone()).await.ok();
            }
        }
    }
}
