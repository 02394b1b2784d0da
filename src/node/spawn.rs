//! Spawn requests, of other nodes and to them: "SPAWN_REQUEST" in Erlang's distribution protocol documentation.
//!
//! The answer goes out before the new process does anything, and always: also for a function that does not exist, whose
//! process then ends with `undef`, as on a BEAM node.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::cell::{Birth, Cell, SpawnFailure};
use super::connections::Connection;
use super::modules::{Call, Exception, Outcome};
use super::signal::Outbox;
use super::{ExitReason, MailboxLimits, Node, Process, SendError, task};
use crate::dist::control::{Control, Link, MonitorP, Monitored, SpawnReply, SpawnRequest};
use crate::etf::{Atoms, Encode, RawTerm, TermRef, View, Writer};
use crate::net;
use crate::term::{Atom, AtomTooLong, Pid, Reference, Term};

/// What is to be set up before the new process runs; as the options of `spawn_opt/5`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpawnOptions {
    /// Link it with the process that spawns it.
    pub link: bool,
    /// Monitor it from the process that spawns it.
    pub monitor: bool,
    /// Further options as the other node takes them, in its own words: `{priority, high}`, `{min_heap_size, 1000}`. One that it does
    /// not know is refused with `badopt`.
    pub others: Vec<Term>,
}

impl SpawnOptions {
    /// Linked, as `spawn_link/4`.
    #[must_use]
    pub fn linked() -> Self {
        Self {
            link: true,
            ..Self::default()
        }
    }

    /// Monitored, as `spawn_monitor/4`.
    #[must_use]
    pub fn monitored() -> Self {
        Self {
            monitor: true,
            ..Self::default()
        }
    }

    /// The list that goes over the wire.
    fn raw(&self) -> RawTerm {
        let count = self.others.len() + usize::from(self.monitor) + usize::from(self.link);
        // Within a control tuple atoms are written out.
        let mut writer = Writer::without_atoms();
        writer.list(u32::try_from(count).unwrap_or(u32::MAX));
        for option in &self.others {
            option.encode(&mut writer);
        }
        if self.monitor {
            writer.atom("monitor");
        }
        if self.link {
            writer.atom("link");
        }
        writer.nil();
        RawTerm::from_parts(writer.into_bytes().into(), Atoms::NONE)
    }
}

/// A new process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spawned {
    /// Its pid.
    pub pid: Pid,
    /// The monitor on it, if one was asked for.
    pub monitor: Option<Reference>,
}

/// Why there is no new process.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpawnError {
    /// A name is none.
    #[error(transparent)]
    Name(#[from] AtomTooLong),
    /// The request could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The node says no: `badopt`, `notsup`, `system_limit` or a reason of its own.
    #[error("the node refuses to spawn: {0}")]
    Refused(Atom),
    /// The connection to the node ended before it answered. Whether there is a process is not known; if it was to be linked, it
    /// will end.
    #[error("the connection ended before the node answered")]
    NoConnection,
}

impl Process {
    /// Starts a process on `node` that runs `module:function(arguments…)`, as `spawn_opt/5`, and waits until it is there.
    ///
    /// `node` may be this one: then the function is one of [`Node::module`]. Output of the new process goes to the
    /// group leader of this one. Dropping the future gives the new process up: it ends if it was to be linked.
    ///
    /// ```no_run
    /// # async fn example(me: beamnode::node::Process) -> Result<(), Box<dyn std::error::Error>> {
    /// use beamnode::node::SpawnOptions;
    ///
    /// let hour = [3_600_000.into()];
    /// let sleeper = me.spawn_on("alice@build", ("timer", "sleep"), hour, SpawnOptions::linked()).await?;
    /// println!("{} sleeps", sleeper.pid);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the node cannot be reached, or refuses. A function that does not exist is no error: the new process ends with
    /// `undef`.
    pub async fn spawn_on(
        &self,
        node: impl AsRef<str>,
        (module, function): (impl AsRef<str>, impl AsRef<str>),
        arguments: impl IntoIterator<Item = Term>,
        options: SpawnOptions,
    ) -> Result<Spawned, SpawnError> {
        let node = Atom::new(node.as_ref())?;
        let (module, function) = (Atom::new(module.as_ref())?, Atom::new(function.as_ref())?);
        let arguments: Vec<Term> = arguments.into_iter().collect();
        let arity = u8::try_from(arguments.len())
            .map_err(|_| SpawnError::Refused(Atom::from_static("system_limit")))?;
        self.spawn_raw(
            node,
            (module, function, arity),
            RawTerm::new(&arguments),
            &options,
        )
        .await
    }

    /// The same with the list of as many arguments.
    pub(crate) async fn spawn_raw(
        &self,
        node: Atom,
        (module, function, arity): (Atom, Atom, u8),
        arguments: RawTerm,
        options: &SpawnOptions,
    ) -> Result<Spawned, SpawnError> {
        let reference = self.node().make_ref();
        let request = SpawnRequest {
            reference: reference.clone(),
            from: self.pid().clone(),
            group_leader: self.group_leader(),
            module,
            function,
            arity: arity.into(),
            options: options.raw(),
            token: None,
            arguments,
        };
        let via = self.node().route_to(&node).await.map_err(SendError::from)?;
        if !self.cell().spawning(reference.clone(), via.as_ref()) {
            return Err(SpawnError::NoConnection);
        }
        let _asked = Asked {
            me: self,
            reference: &reference,
        };
        let request = Control::SpawnRequest(Box::new(request));
        let sent = match &via {
            Some(via) => via.outbound.send(request).await,
            None => {
                self.node().deliver(Outbox::of(request));
                Ok(())
            }
        };
        sent.map_err(|error| match error {
            net::SendError::Unsendable(_) => SpawnError::Refused(Atom::from_static("notsup")),
            net::SendError::Closed | net::SendError::Busy => SpawnError::NoConnection,
        })?;
        match poll_fn(|cx| self.cell().poll_spawned(cx, &reference)).await {
            Some(Ok(pid)) => Ok(Spawned {
                pid,
                monitor: options.monitor.then(|| reference.clone()),
            }),
            Some(Err(SpawnFailure::Refused(reason))) => Err(SpawnError::Refused(reason)),
            Some(Err(SpawnFailure::NoConnection)) => Err(SpawnError::NoConnection),
            None => Err(SendError::Exited.into()),
        }
    }
}

/// A spawn request under way. Should nobody wait for it any more, an answer that has just come is given up as a later one is.
struct Asked<'a> {
    me: &'a Process,
    reference: &'a Reference,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut out = Outbox::default();
        self.me.cell().give_up(self.reference, &mut out);
        self.me.node().deliver(out);
    }
}

/// The options that matter to us: what is to be set up before the function runs.
#[derive(Debug, Default)]
struct Options {
    link: bool,
    monitor: bool,
}

impl Options {
    /// Reads a list of options; `None` for `badopt`.
    fn read(options: TermRef<'_>) -> Option<Self> {
        let mut read = Self::default();
        if !matches!(options.view(), View::List(_) | View::Nil) {
            return None;
        }
        for option in options.elements() {
            match option.view() {
                View::Atom(name) if name == "link" => read.link = true,
                View::Atom(name) if name == "monitor" => read.monitor = true,
                View::Tuple(_) => {
                    let [name, value] = option.tuple()?;
                    match name.as_atom()?.as_str()? {
                        "monitor" => read.monitor = true,
                        name => tuning(name, value)?,
                    }
                }
                _ => return None,
            }
        }
        Some(read)
    }
}

/// Checks an option that tunes BEAM's scheduler and heap: it has no effect, but a value that it cannot have is refused.
fn tuning(name: &str, value: TermRef<'_>) -> Option<()> {
    let atom = |known: &[&str]| {
        let word = value
            .as_atom()
            .and_then(|word| word.as_str().map(|word| known.contains(&word)));
        word.unwrap_or(false)
    };
    let possible = match name {
        "priority" => atom(&["low", "normal", "high", "max"]),
        "message_queue_data" => atom(&["on_heap", "off_heap", "mixed"]),
        "async_dist" => atom(&["true", "false"]),
        "fullsweep_after" | "min_heap_size" | "min_bin_vheap_size" | "scheduler" => is_size(&value),
        "max_heap_size" => is_size(&value) || matches!(value.view(), View::Map(_)),
        _ => false,
    };
    possible.then_some(())
}

fn is_size(value: &TermRef<'_>) -> bool {
    matches!(value.view(), View::Integer(size) if size >= 0)
}

/// Serves a spawn request that came over `via`.
pub(super) fn serve(node: &Node, request: SpawnRequest, via: Option<&Arc<Connection>>, out: &mut Outbox) {
    let Some(options) = request.options.view().ok().and_then(Options::read) else {
        let refusal = reply(&request, &Options::default(), Err(Atom::from_static("badopt")));
        return out.push(refusal, via);
    };
    let origin = match via {
        Some(via) => Some(via.name().clone()),
        // What a peer's process does here, it does for the peer.
        None => node
            .cell(&request.from)
            .and_then(|cell| cell.birth()?.origin.clone()),
    };
    let function = (
        request.module.clone(),
        request.function.clone(),
        usize::try_from(request.arity).unwrap_or(usize::MAX),
    );
    if !node.may_spawn(origin.as_ref(), &function) {
        let refusal = reply(
            &request,
            &Options::default(),
            Err(Atom::from_static("not_allowed")),
        );
        return out.push(refusal, via);
    }
    let me = node.process_of(request.group_leader.clone(), MailboxLimits::default());
    let cell = Arc::clone(me.cell());
    cell.born(Birth {
        origin,
        parent: request.from.clone(),
        function: Some(function),
    });
    watch(&cell, &request, &options, via, out);
    let answer = reply(&request, &options, Ok(me.pid().clone()));
    match via {
        // Sent as the process begins: what comes of a function that is done at once then leaves in the same write.
        Some(via) => cell.will_answer(answer, via),
        None => out.push(answer, None),
    }
    out.starts.push_back(Start { me, request });
}

/// A process whose spawn request is answered: nothing that it does may come before the answer.
#[derive(Debug)]
pub(crate) struct Start {
    me: Process,
    request: SpawnRequest,
}

impl Start {
    /// Runs the function that the request names.
    pub(super) fn begin(self, node: &Node) {
        start(node, self.me, &self.request);
    }
}

/// Links and monitors the new process as the request has it.
fn watch(
    cell: &Cell,
    request: &SpawnRequest,
    options: &Options,
    via: Option<&Arc<Connection>>,
    out: &mut Outbox,
) {
    let (from, to) = (request.from.clone(), cell.pid().clone());
    if options.link {
        cell.receive(
            Control::Link(Link {
                from: from.clone(),
                to: to.clone(),
            }),
            via,
            out,
        );
    }
    if options.monitor {
        let to = Monitored::Pid(to);
        let monitor = MonitorP {
            from,
            to,
            reference: request.reference.clone(),
        };
        cell.receive(Control::MonitorP(monitor), via, out);
    }
}

fn reply(request: &SpawnRequest, options: &Options, result: Result<Pid, Atom>) -> Control {
    Control::SpawnReply(SpawnReply {
        reference: request.reference.clone(),
        to: request.from.clone(),
        linked: options.link,
        monitored: options.monitor,
        result,
        token: None,
    })
}

/// Runs the function that the request names as the process `me`.
fn start(node: &Node, me: Process, request: &SpawnRequest) {
    let (module, function) = (&request.module, &request.function);
    let arguments: Vec<Term> = match request.arguments.decode() {
        Ok(Term::List(list)) if list.is_proper() => list.iter().collect(),
        _ => return task::end(&me, Err(reason_of("argument_list_decode_failure"))),
    };
    let Some(found) = node.function(module, function, arguments.len()) else {
        let undef = Exception::undef(module, function, &arguments);
        return task::end(&me, Err(undef.exit_reason()));
    };
    let called = catch_unwind(AssertUnwindSafe(|| found(me.handle(), arguments)));
    match called {
        Ok(Call::Done(outcome)) => task::end(&me, ended(outcome)),
        Ok(Call::Running(call)) => {
            task::run(me, async |me| {
                me.confirm();
                ended(call.await)
            });
        }
        Err(payload) => task::end(&me, Err(ExitReason::panic(&*payload))),
    }
}

/// How a process ends whose function ends so.
fn ended(outcome: Outcome) -> Result<(), ExitReason> {
    outcome.map(drop).map_err(Exception::exit_reason)
}

fn reason_of(text: &'static str) -> ExitReason {
    Atom::from_static(text).into()
}
