//! Supervisors: processes that start others and start them again when they end.
//!
//! As the module `supervisor` of OTP: strategies, restart types, the limit on how often in how long, children ended in the
//! reverse of the order in which they were started, and reports of the same content, as log events. `supervisor:which_children/1` and
//! `count_children/1` of other nodes are answered.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

use super::call::{Caller, Request};
use crate::node::{Exit, ExitReason, Message, Node, Process};
use crate::term::{Atom, Pid, Term};

/// What happens to the others when a child ends and is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// Nothing.
    #[default]
    OneForOne,
    /// Those that were started after it are ended, and all of them started again.
    RestForOne,
}

/// When a child that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// When it has ended otherwise than with `normal`, `shutdown` or `{shutdown, _}`.
    Transient,
    /// Never.
    Temporary,
}

/// How long a child may take to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// It is killed at once.
    BrutalKill,
    /// It is told `shutdown`, and killed if it lives on for longer than this.
    Timeout(Duration),
    /// It is told `shutdown`, and waited for.
    Infinity,
}

type Body =
    Arc<dyn Fn(Process) -> Pin<Box<dyn Future<Output = Result<(), ExitReason>> + Send>> + Send + Sync>;

/// A child: how to start it, and when again.
#[derive(Clone)]
pub struct Child {
    id: Term,
    restart: Restart,
    shutdown: Shutdown,
    body: Body,
}

impl std::fmt::Debug for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

impl Child {
    /// A permanent child that runs `body` each time it is started, and is given five seconds to end.
    pub fn new<F>(id: impl Into<Term>, body: impl Fn(Process) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        Self {
            id: id.into(),
            restart: Restart::default(),
            shutdown: Shutdown::Timeout(Duration::from_secs(5)),
            body: Arc::new(move |me| Box::pin(body(me))),
        }
    }

    /// When it is started again.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long it may take to end.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }
}

/// A supervisor's description, to be [started](Self::start).
///
/// ```no_run
/// # fn example(node: &beamnode::node::Node) {
/// use beamnode::otp::{Child, Strategy, Supervisor};
/// use beamnode::term::Term;
///
/// let supervisor = Supervisor::new(Strategy::OneForOne)
///     .intensity(3, std::time::Duration::from_secs(10))
///     .child(Child::new(Term::atom("printer"), async |mut me| {
///         me.register("printer")?;
///         while let Some(message) = me.recv().await {
///             println!("{}", message.term()?);
///         }
///         Ok(())
///     }))
///     .start(node);
/// println!("{supervisor} sees to the printer");
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Supervisor {
    strategy: Strategy,
    intensity: usize,
    period: Duration,
    name: Option<Atom>,
    children: Vec<Child>,
}

impl Supervisor {
    /// A supervisor without children, which gives up after more than one restart in five seconds.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: 1,
            period: Duration::from_secs(5),
            name: None,
            children: Vec::new(),
        }
    }

    /// How many restarts within `period` are borne. One more, and the supervisor ends its children and itself with `shutdown`.
    #[must_use]
    pub fn intensity(mut self, restarts: usize, period: Duration) -> Self {
        self.intensity = restarts;
        self.period = period;
        self
    }

    /// The name under which the supervisor is registered.
    #[must_use]
    pub fn name(mut self, name: Atom) -> Self {
        self.name = Some(name);
        self
    }

    /// Adds a child, which is started after those before it.
    #[must_use]
    pub fn child(mut self, child: Child) -> Self {
        self.children.push(child);
        self
    }

    /// Starts the supervisor on `node`, and it its children.
    pub fn start(self, node: &Node) -> Pid {
        node.spawn(async |me| self.run(me).await)
    }

    async fn run(self, me: Process) -> Result<(), ExitReason> {
        me.trap_exit(true);
        if let Some(name) = &self.name {
            me.register(name)?;
        }
        let running = self
            .children
            .iter()
            .map(|child| Running {
                child: child.clone(),
                pid: None,
            })
            .collect();
        let mut supervising = Supervising {
            me,
            children: running,
            restarts: VecDeque::new(),
            settings: self,
        };
        supervising.start_from(0);
        let reason = supervising.serve().await;
        supervising.end_from(0).await;
        Err(reason)
    }
}

struct Running {
    child: Child,
    pid: Option<Pid>,
}

struct Supervising {
    me: Process,
    children: Vec<Running>,
    /// When children were started again, as far back as it matters.
    restarts: VecDeque<Instant>,
    settings: Supervisor,
}

impl Supervising {
    /// Serves until there is a reason to end.
    async fn serve(&mut self) -> ExitReason {
        while let Some(message) = self.me.recv().await {
            if let Message::Exit(Exit { from, reason }) = &message {
                let reason = reason
                    .decode()
                    .map_or_else(|_| ExitReason::KILL, ExitReason::from);
                match self
                    .children
                    .iter()
                    .position(|running| running.pid.as_ref() == Some(from))
                {
                    Some(index) => {
                        if let Err(reason) = self.ended(index, &reason).await {
                            return reason;
                        }
                    }
                    // Whoever is linked and no child is a parent, or speaks for one.
                    None => return reason,
                }
                continue;
            }
            if let Ok(Request::Call(caller, request)) = Request::read(&message) {
                self.call(&caller, &request);
            }
        }
        ExitReason::SHUTDOWN
    }

    /// A child has ended. Fails when that was once too often.
    async fn ended(&mut self, index: usize, reason: &ExitReason) -> Result<(), ExitReason> {
        let Some(running) = self.children.get_mut(index) else {
            return Ok(());
        };
        running.pid = None;
        let again = match running.child.restart {
            Restart::Permanent => true,
            Restart::Transient => !is_orderly(reason),
            Restart::Temporary => false,
        };
        if again || !is_orderly(reason) {
            self.report("child_terminated", index, reason);
        }
        if !again {
            if self.children[index].child.restart == Restart::Temporary {
                self.children.remove(index);
            }
            return Ok(());
        }
        let now = Instant::now();
        self.restarts.push_back(now);
        while self
            .restarts
            .front()
            .is_some_and(|&then| now - then > self.settings.period)
        {
            self.restarts.pop_front();
        }
        if self.restarts.len() > self.settings.intensity {
            let reason = ExitReason::from(Atom::from_static("reached_max_restart_intensity"));
            self.report("shutdown", index, &reason);
            return Err(ExitReason::SHUTDOWN);
        }
        match self.settings.strategy {
            Strategy::OneForOne => self.start(index),
            Strategy::RestForOne => {
                self.end_from(index + 1).await;
                self.start_from(index);
            }
        }
        Ok(())
    }

    fn start_from(&mut self, index: usize) {
        for index in index..self.children.len() {
            self.start(index);
        }
    }

    fn start(&mut self, index: usize) {
        let Some(running) = self.children.get_mut(index) else {
            return;
        };
        let body = Arc::clone(&running.child.body);
        let pid = self.me.spawn_link(move |me| body(me));
        info!(supervisor = %self.me.pid(), id = %running.child.id, child = %pid, "child started");
        running.pid = Some(pid);
    }

    /// Ends the children from that one on, the last first.
    async fn end_from(&mut self, index: usize) {
        for index in (index..self.children.len()).rev() {
            let Some(running) = self.children.get_mut(index) else {
                continue;
            };
            let Some(pid) = running.pid.take() else { continue };
            let patience = match running.child.shutdown {
                Shutdown::BrutalKill => Some(Duration::ZERO),
                Shutdown::Timeout(time) => Some(time),
                Shutdown::Infinity => None,
            };
            self.end(&pid, patience).await;
        }
    }

    /// Ends one child and waits until it has.
    async fn end(&mut self, pid: &Pid, patience: Option<Duration>) {
        let monitor = self.me.monitor(pid).await;
        self.me.unlink(pid);
        let down = |message: &Message| {
            matches!(message, Message::Down(down) if down.reference == monitor).then_some(())
        };
        if patience != Some(Duration::ZERO) {
            self.me.exit_other(pid, ExitReason::SHUTDOWN).await.ok();
            let ended = self.me.recv_select(down);
            let in_time = match patience {
                Some(time) => tokio::time::timeout(time, ended).await.is_ok(),
                None => ended.await.is_some(),
            };
            if in_time {
                return;
            }
        }
        self.me.exit_other(pid, ExitReason::KILL).await.ok();
        self.me.recv_select(down).await;
    }

    /// As OTP's supervisor reports.
    fn report(&self, context: &'static str, index: usize, reason: &ExitReason) {
        let child = &self.children[index].child;
        let supervisor = self.settings.name.as_deref().unwrap_or_default();
        error!(
            supervisor, pid = %self.me.pid(), context, reason = %reason, offender = %child.id,
            restart = ?child.restart, shutdown = ?child.shutdown, "supervisor report"
        );
    }

    fn call(&self, caller: &Caller, request: &Term) {
        let Term::Atom(request) = request else { return };
        let worker = Term::atom("worker");
        let answer: Vec<Term> = match request.as_str() {
            "which_children" => {
                let children = self.children.iter().rev().map(|Running { child, pid }| {
                    let pid = pid.clone().map_or_else(|| Term::atom("undefined"), Term::from);
                    Term::from((child.id.clone(), pid, worker.clone(), Term::NIL))
                });
                children.collect()
            }
            "count_children" => {
                let all = self.children.len();
                let active = self
                    .children
                    .iter()
                    .filter(|running| running.pid.is_some())
                    .count();
                [
                    ("specs", all),
                    ("active", active),
                    ("supervisors", 0),
                    ("workers", all),
                ]
                .map(|(name, count)| Term::from((Term::atom(name), count)))
                .into()
            }
            _ => return,
        };
        caller.reply(&self.me, Term::from(answer));
    }
}

/// Whether a process with this reason ended as it should: `normal`, `shutdown` or `{shutdown, _}`.
fn is_orderly(reason: &ExitReason) -> bool {
    let tagged = || Some(reason.term().as_tuple()?.array::<2>()?[0] == Term::atom("shutdown"));
    *reason == ExitReason::NORMAL || *reason == ExitReason::SHUTDOWN || tagged().unwrap_or(false)
}
