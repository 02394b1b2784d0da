//! `global` for Rust programs, in Erlang's words.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::NAME;
use crate::node::{Item, Node, NodeType, Process, SendError};
use crate::otp::call::CallError;
use crate::term::{Atom, Fun, List, Pid, Term};

/// Names and locks that the whole cluster shares; [`Node::global`] gives it.
///
/// What a name is registered for, any node of the cluster finds. Names are terms. A change is made on all nodes before the call that
/// makes it returns, and a name is free again when its process ends.
///
/// ```no_run
/// # async fn example(node: &beamnode::node::Node) -> Result<(), Box<dyn std::error::Error>> {
/// use beamnode::term;
///
/// let mut me = node.process();
/// if node.global().register_name(term!(leader), me.pid()).await? {
///     // global:send(leader, hello) on any node
///     println!("{:?}", me.recv().await);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Global {
    node: Node,
}

/// Why `global` could not be asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GlobalError {
    /// The node has stopped.
    #[error("this node's global name server does not run")]
    Stopped,
    /// Nobody has the name.
    #[error("{name} is not registered globally")]
    NotRegistered {
        /// The name.
        name: Term,
    },
    /// The process that has it cannot be sent to.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The server that has it gives no answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A lock: what is locked, and for whom. Processes that are the same requester share a lock; so that each has it for itself, a
/// requester is usually the process's pid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LockId {
    /// What is locked: any term on which all agree.
    pub resource: Term,
    /// For whom.
    pub requester: Term,
}

impl LockId {
    /// The lock on `resource` for `requester`.
    pub fn new(resource: impl Into<Term>, requester: impl Into<Term>) -> Self {
        Self {
            resource: resource.into(),
            requester: requester.into(),
        }
    }

    pub(super) fn term(&self) -> Term {
        Term::from((self.resource.clone(), self.requester.clone()))
    }
}

/// What is done when two partitions of a cluster join and both have a name: a resolving fun of Erlang's `global`. It runs on the
/// node of one of the two processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolve {
    /// `random_exit_name`: one of the two processes is killed. What is done unless said otherwise.
    RandomExit,
    /// `random_notify_name`: one keeps the name, the other gets `{global_name_conflict, Name}`.
    RandomNotify,
    /// `notify_all_name`: nobody keeps the name, and both get `{global_name_conflict, Name, OtherPid}`.
    NotifyAll,
    /// `fun Module:Function/3` of the node that the process lives on: called with the name and both pids, it gives the pid that keeps
    /// the name, or `none`.
    Function {
        /// The module.
        module: Atom,
        /// The function.
        function: Atom,
    },
}

impl Resolve {
    pub(super) fn term(&self) -> Term {
        let stock = |function| export(Atom::from_static("global"), Atom::from_static(function));
        match self {
            Self::RandomExit => stock("random_exit_name"),
            Self::RandomNotify => stock("random_notify_name"),
            Self::NotifyAll => stock("notify_all_name"),
            Self::Function { module, function } => export(module.clone(), function.clone()),
        }
    }
}

/// `fun module:function/3`.
pub(super) fn export(module: Atom, function: Atom) -> Term {
    Term::from(Fun::export(module, function, 3))
}

impl Node {
    /// The cluster's names and locks.
    #[must_use]
    pub fn global(&self) -> Global {
        Global { node: self.clone() }
    }
}

/// Tells the resolving functions of this program apart.
static RESOLVERS: AtomicU64 = AtomicU64::new(0);

impl Global {
    /// Registers `name` for `pid`, which may be of any node, as `global:register_name/2`; `false`, Erlang's `no`, when the name is
    /// taken or the process has a name.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn register_name(&self, name: impl Into<Term>, pid: &Pid) -> Result<bool, GlobalError> {
        self.register_name_with(name, pid, Resolve::RandomExit).await
    }

    /// The same, with what is to be done should two partitions of the cluster have the name, as `global:register_name/3`.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn register_name_with(
        &self,
        name: impl Into<Term>,
        pid: &Pid,
        resolve: Resolve,
    ) -> Result<bool, GlobalError> {
        let answer = self.change("register_name", name.into(), pid, &resolve).await?;
        Ok(answer.is_atom("yes"))
    }

    /// Registers `name` for `pid` whoever has it, as `global:re_register_name/3`.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn re_register_name(
        &self,
        name: impl Into<Term>,
        pid: &Pid,
        resolve: Resolve,
    ) -> Result<(), GlobalError> {
        self.change("re_register_name", name.into(), pid, &resolve)
            .await
            .map(drop)
    }

    /// Frees `name`, as `global:unregister_name/1`.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn unregister_name(&self, name: impl Into<Term>) -> Result<(), GlobalError> {
        let change = (Term::atom("change"), Term::atom("unregister_name"), name.into());
        self.ask(Term::from(change)).await.map(drop)
    }

    async fn change(
        &self,
        function: &'static str,
        name: Term,
        pid: &Pid,
        resolve: &Resolve,
    ) -> Result<Term, GlobalError> {
        let change = (
            Term::atom("change"),
            Term::atom(function),
            name,
            pid.clone(),
            resolve.term(),
        );
        self.ask(Term::from(change)).await
    }

    /// A way to resolve conflicts of names of this node's processes: `choose` gets the name and both pids, and gives the one that keeps
    /// the name, or `None`.
    ///
    /// ```no_run
    /// # async fn example(node: &beamnode::node::Node, me: &beamnode::node::Process) -> Result<(), beamnode::otp::GlobalError> {
    /// use beamnode::term;
    ///
    /// let first = node.global().resolver(async |_, _, one, _| Some(one));
    /// node.global().register_name_with(term!(leader), me.pid(), first).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn resolver<F>(
        &self,
        choose: impl Fn(Process, Term, Pid, Pid) -> F + Send + Sync + 'static,
    ) -> Resolve
    where
        F: Future<Output = Option<Pid>> + Send + 'static,
    {
        let number = RESOLVERS.fetch_add(1, Ordering::Relaxed);
        let module = Atom::from_static("beamnode_global");
        let function = Atom::from_checked(&format!("resolve_{number}"));
        self.node
            .module(&module)
            .function(&function, 3, move |me, arguments| {
                let chosen = match arguments.as_slice() {
                    [name, Term::Pid(one), Term::Pid(other)] => {
                        Some(choose(me, name.clone(), one.clone(), other.clone()))
                    }
                    _ => None,
                };
                async move {
                    let chosen = match chosen {
                        Some(chosen) => chosen.await,
                        None => None,
                    };
                    Ok(chosen.map_or_else(|| Term::atom("none"), Term::from))
                }
            });
        Resolve::Function { module, function }
    }

    /// The process that has the name, as `global:whereis_name/1`. Asks nobody: every node has all names.
    #[must_use]
    pub fn whereis_name(&self, name: impl Into<Term>) -> Option<Pid> {
        let pid = self.node.globals().get(&name.into())?;
        (pid.node() != self.node.name() || self.node.process_info(&pid).is_some()).then_some(pid)
    }

    /// All names, as `global:registered_names/0`, in no particular order.
    #[must_use]
    pub fn registered_names(&self) -> Vec<Term> {
        self.node.globals().names()
    }

    /// Sends `message` from `me` to the process that has the name, as `global:send/2`, and gives its pid.
    ///
    /// ```no_run
    /// # async fn example(node: &beamnode::node::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// use beamnode::term;
    ///
    /// let me = node.process();
    /// node.connect("alice@build").await?;
    /// // What the others of the cluster have registered is known here from then on.
    /// node.global().sync().await?;
    /// let leader = node.global().send(&me, term!(leader), term!({job, 7})).await?;
    /// println!("sent to {}", leader.node());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When nobody has the name, or its process's node cannot be reached.
    pub async fn send(
        &self,
        me: &Process,
        name: impl Into<Term>,
        message: impl Into<Term>,
    ) -> Result<Pid, GlobalError> {
        let name = name.into();
        let Some(pid) = self.whereis_name(&name) else {
            return Err(GlobalError::NotRegistered { name });
        };
        me.send(&pid, message.into()).await?;
        Ok(pid)
    }

    /// Calls the server that has the name, as `gen_server:call({global, Name}, Request, Timeout)`; see [`Process::call`].
    ///
    /// # Errors
    /// When nobody has the name, its process ends, or no answer comes in time.
    pub async fn call(
        &self,
        me: &mut Process,
        name: impl Into<Term>,
        request: impl Into<Term>,
        patience: Duration,
    ) -> Result<Term, GlobalError> {
        let name = name.into();
        let Some(pid) = self.whereis_name(&name) else {
            return Err(GlobalError::NotRegistered { name });
        };
        Ok(me.call(pid, request, patience).await?)
    }

    /// Casts to the server that has the name, as `gen_server:cast({global, Name}, Request)`. As there, it is no error when nobody has it.
    ///
    /// # Errors
    /// When its process's node cannot be reached.
    pub async fn cast(
        &self,
        me: &Process,
        name: impl Into<Term>,
        request: impl Into<Term>,
    ) -> Result<(), GlobalError> {
        if let Some(pid) = self.whereis_name(name) {
            me.cast(&pid, request).await?;
        }
        Ok(())
    }

    /// This node and every visible one that is connected: whom locks are on in Erlang unless said otherwise.
    #[must_use]
    pub fn nodes(&self) -> Vec<Atom> {
        let mut nodes = vec![self.node.name().clone()];
        nodes.extend(self.node.nodes(NodeType::Visible));
        nodes
    }

    /// Sets a lock on `nodes` for the process `me`, as `global:set_lock/3`: on all of them, or on none. Tries again `retries` times,
    /// for ever with `None`, at random intervals that grow to 8 seconds. `false` when others have the lock.
    ///
    /// The lock is free again when `me` ends. Deadlocks are for the callers to avoid.
    pub async fn set_lock(
        &self,
        me: &mut Process,
        id: &LockId,
        nodes: &[Atom],
        retries: Option<u32>,
    ) -> bool {
        let mut tried = 0;
        loop {
            let request = Term::from((Term::atom("set_lock"), id.term()));
            let replies = multi_call(me, nodes, &request).await;
            let gave = |reply: &(Atom, Option<Term>)| reply.1.as_ref().and_then(Term::as_bool);
            if replies.iter().all(|reply| gave(reply) != Some(false)) {
                return true;
            }
            let given: Vec<Atom> = replies
                .iter()
                .filter(|reply| gave(reply) == Some(true))
                .map(|(node, _)| node.clone())
                .collect();
            self.del_lock(me, id, &given).await;
            if retries.is_some_and(|retries| tried >= retries) {
                return false;
            }
            tried += 1;
            let most: u64 = if tried > 5 { 8000 } else { (1000 << tried) / 8 };
            tokio::time::sleep(Duration::from_millis(rand::random_range(1..=most))).await;
        }
    }

    /// Gives a lock back, as `global:del_lock/2`.
    pub async fn del_lock(&self, me: &mut Process, id: &LockId, nodes: &[Atom]) {
        let request = Term::from((Term::atom("del_lock"), id.term()));
        multi_call(me, nodes, &request).await;
    }

    /// Runs `body` while `me` has the lock, as `global:trans/4`; `None`, Erlang's `aborted`, when the lock was not to be had. If this
    /// is dropped before it is done, or `body` panics, the lock is free when `me` ends.
    ///
    /// ```no_run
    /// # async fn example(node: &beamnode::node::Node) {
    /// use beamnode::{otp::LockId, term};
    ///
    /// let mut me = node.process();
    /// let (global, id) = (node.global(), LockId::new(term!(migration), me.pid().clone()));
    /// // Three more attempts, then some other node of the cluster does it.
    /// let done = global.trans(&mut me, &id, &global.nodes(), Some(3), async |_| "migrated").await;
    /// println!("{}", done.unwrap_or("another node is at it"));
    /// # }
    /// ```
    pub async fn trans<T>(
        &self,
        me: &mut Process,
        id: &LockId,
        nodes: &[Atom],
        retries: Option<u32>,
        body: impl AsyncFnOnce(&mut Process) -> T,
    ) -> Option<T> {
        if !self.set_lock(me, id, nodes, retries).await {
            return None;
        }
        let result = body(me).await;
        self.del_lock(me, id, nodes).await;
        Some(result)
    }

    /// Waits until this node's names are those of every visible node that is connected, as `global:sync/0`.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn sync(&self) -> Result<(), GlobalError> {
        let nodes = Term::from(self.node.nodes(NodeType::Visible));
        self.ask(Term::from((Term::atom("sync"), nodes))).await.map(drop)
    }

    /// Disconnects from every node of the cluster without the others taking it for a fault of the network, as `global:disconnect/0`;
    /// gives the nodes.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn disconnect(&self) -> Result<Vec<Atom>, GlobalError> {
        let nodes = self.ask(Term::atom("disconnect")).await?;
        let nodes = nodes.as_list().map(List::iter).into_iter().flatten();
        Ok(nodes.filter_map(|node| node.as_atom().cloned()).collect())
    }

    /// Asks this node's name server.
    pub(super) async fn ask(&self, request: Term) -> Result<Term, GlobalError> {
        let server = Item::Name {
            name: Atom::from_static(NAME),
            node: self.node.name().clone(),
        };
        match self.node.call(server, request, Duration::MAX).await {
            Ok(answer) => Ok(answer),
            Err(
                CallError::Send(_)
                | CallError::Down(_)
                | CallError::TimedOut(_)
                | CallError::Malformed(_)
                | CallError::Stopped,
            ) => Err(GlobalError::Stopped),
        }
    }
}

/// Calls the name servers of `nodes`, all at once; `None` where there is none.
async fn multi_call(me: &mut Process, nodes: &[Atom], request: &Term) -> Vec<(Atom, Option<Term>)> {
    let mut calls = Vec::with_capacity(nodes.len());
    for node in nodes {
        let server = (Atom::from_static(NAME), node.clone());
        calls.push((node.clone(), me.send_request(server, request.clone()).await));
    }
    let mut answers = Vec::with_capacity(calls.len());
    for (node, call) in calls {
        let answer = match call {
            Ok(call) => me.answer(&call).await.ok(),
            Err(_) => None,
        };
        answers.push((node, answer));
    }
    answers
}
