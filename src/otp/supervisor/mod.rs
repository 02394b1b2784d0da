//! Supervisors: processes that start others and start them again when they end.
//!
//! As the module `supervisor` of OTP: strategies, restart types, the limit on how often in how long, children ended in the
//! reverse of the order in which they were started, and the same [reports](Report), which are logged unless a program wants them
//! otherwise. A supervisor is a server, so that `sys` and Observer work on it, and answers `which_children`, `count_children`,
//! `get_childspec`, `terminate_child`, `restart_child` and `delete_child` of the module to whatever node. `start_child` is refused: what
//! a child runs is a function of the program.

mod report;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

pub use report::{Event, Report};

use super::call::Caller;
use super::gen_server::{Context, GenServer, is_orderly, run_server};
use crate::node::{Exit, ExitReason, Message, Node, Process};
use crate::term;
use crate::term::{Atom, Map, Pid, Term};

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
    is_supervisor: bool,
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
            is_supervisor: false,
            body: Arc::new(move |me| Box::pin(body(me))),
        }
    }

    /// A child that is a supervisor itself: permanent, and given what time it needs to end its own children.
    pub fn supervisor(id: impl Into<Term>, supervisor: Supervisor) -> Self {
        Self {
            is_supervisor: true,
            shutdown: Shutdown::Infinity,
            ..Self::new(id, move |me| supervisor.clone().run(me))
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

    /// As a report shows it.
    fn term(&self, pid: Option<&Pid>) -> Term {
        let pair = |(key, value)| Term::from((Term::atom(key), value));
        let mut parts = vec![
            ("pid", pid_or_undefined(pid)),
            ("id", self.id.clone()),
            ("mfargs", mfargs()),
        ];
        parts.extend(self.settings());
        Term::from(parts.into_iter().map(pair).collect::<Vec<_>>())
    }

    /// As `supervisor:get_childspec/2` gives it.
    fn spec(&self) -> Term {
        let [(_, restart), significant, shutdown, (_, kind)] = self.settings();
        let parts = [
            ("id", self.id.clone()),
            ("start", mfargs()),
            ("restart", restart),
            significant,
            shutdown,
            ("type", kind),
            ("modules", Term::NIL),
        ];
        Term::Map(Map::from_iter(parts.map(|(key, value)| (Term::atom(key), value))))
    }

    /// As a supervisor's state has it.
    fn record(&self, pid: Option<&Pid>) -> Term {
        let [restart, significant, shutdown, kind] = self.settings().map(|(_, value)| value);
        term!({child, (pid_or_undefined(pid)), (self.id.clone()), (mfargs()), (restart), (significant), (shutdown), (kind), []})
    }

    fn settings(&self) -> [(&'static str, Term); 4] {
        let restart = match self.restart {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        };
        let shutdown = match self.shutdown {
            Shutdown::BrutalKill => Term::atom("brutal_kill"),
            Shutdown::Infinity => Term::atom("infinity"),
            Shutdown::Timeout(time) => Term::from(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        [
            ("restart_type", Term::atom(restart)),
            ("significant", Term::from(false)),
            ("shutdown", shutdown),
            ("child_type", Term::atom(self.kind())),
        ]
    }

    const fn kind(&self) -> &'static str {
        if self.is_supervisor {
            "supervisor"
        } else {
            "worker"
        }
    }
}

/// No module and function start a child: as of one whose arguments OTP does not keep.
fn mfargs() -> Term {
    term!({beamnode, spawn_link, undefined})
}

fn pid_or_undefined(pid: Option<&Pid>) -> Term {
    pid.cloned().map_or_else(|| Term::atom("undefined"), Term::from)
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
    reporter: Reporter,
}

/// Who is told what a supervisor reports.
#[derive(Clone)]
struct Reporter(Arc<dyn Fn(&Report) + Send + Sync>);

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reporter")
    }
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
            reporter: Reporter(Arc::new(|report| match report.event() {
                Event::Started => info!("{report}"),
                _ => error!("{report}"),
            })),
        }
    }

    /// Whom the supervisor tells what it [reports](Report), in place of the log.
    #[must_use]
    pub fn on_report(mut self, reporter: impl Fn(&Report) + Send + Sync + 'static) -> Self {
        self.reporter = Reporter(Arc::new(reporter));
        self
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
        node.spawn(|me| self.run(me))
    }

    fn run(self, me: Process) -> Pin<Box<dyn Future<Output = Result<(), ExitReason>> + Send>> {
        // In a box, since a supervisor may be the child of one.
        Box::pin(self.supervise(me))
    }

    async fn supervise(self, me: Process) -> Result<(), ExitReason> {
        me.trap_exit(true);
        if let Some(name) = &self.name {
            me.register(name)?;
        }
        let running = self.children.iter().map(|child| Running {
            child: child.clone(),
            pid: None,
        });
        let supervising = Supervising {
            me: me.handle(),
            children: running.collect(),
            restarts: VecDeque::new(),
            settings: self,
        };
        run_server(me, supervising).await
    }
}

struct Running {
    child: Child,
    pid: Option<Pid>,
}

/// A supervisor that runs: a server, as in OTP.
struct Supervising {
    me: Process,
    children: Vec<Running>,
    /// When children were started again, as far back as it matters.
    restarts: VecDeque<Instant>,
    settings: Supervisor,
}

impl GenServer for Supervising {
    async fn init(&mut self, _: &mut Context) -> Result<(), ExitReason> {
        self.start_from(0);
        Ok(())
    }

    async fn call(&mut self, _: &mut Context, request: Term, _: &Caller) -> Result<Option<Term>, ExitReason> {
        let answer = match &request {
            Term::Atom(request) => self.listing(request),
            _ => match request.as_tuple().and_then(|tuple| tuple.array::<2>()) {
                Some([Term::Atom(order), id]) => self.order(&order, &id).await,
                _ => None,
            },
        };
        // OTP's ends there, with all its children.
        let unknown = || term!({error, {unknown_call, (request.clone())}});
        Ok(Some(answer.unwrap_or_else(unknown)))
    }

    async fn cast(&mut self, _: &mut Context, request: Term) -> Result<(), ExitReason> {
        warn!(supervisor = %self.me.pid(), %request, "unexpected cast");
        Ok(())
    }

    async fn info(&mut self, _: &mut Context, message: Message) -> Result<(), ExitReason> {
        let Message::Exit(exit) = &message else {
            match message.term() {
                Ok(message) => warn!(supervisor = %self.me.pid(), %message, "unexpected message"),
                Err(error) => warn!(supervisor = %self.me.pid(), %error, "a message that is no term"),
            }
            return Ok(());
        };
        let Exit { from, reason } = &**exit;
        let reason = reason
            .decode()
            .map_or_else(|_| ExitReason::KILL, ExitReason::from);
        let child = |running: &Running| running.pid.as_ref() == Some(from);
        match self.children.iter().position(child) {
            Some(index) => self.ended(index, &reason).await,
            // Whoever is linked and no child is a parent, or speaks for one.
            None => Err(reason),
        }
    }

    async fn terminate(&mut self, _: &mut Context, _: &ExitReason) {
        self.end_from(0).await;
    }

    /// As OTP's: `{state, Name, Strategy, {Ids, Children}, Dynamics, Intensity, Period, Restarts, DynamicRestarts, AutoShutdown, Module,
    /// Arguments}`.
    fn state(&self) -> Term {
        let strategy = match self.settings.strategy {
            Strategy::OneForOne => "one_for_one",
            Strategy::RestForOne => "rest_for_one",
        };
        let ids: Vec<Term> = self
            .children
            .iter()
            .rev()
            .map(|running| running.child.id.clone())
            .collect();
        let children = self
            .children
            .iter()
            .map(|Running { child, pid }| (child.id.clone(), child.record(pid.as_ref())));
        let children = Term::Map(Map::from_iter(children));
        let uptime = self.me.node().uptime();
        let restarts = self
            .restarts
            .iter()
            .rev()
            .map(|then| Term::from(uptime.saturating_sub(then.elapsed()).as_secs()));
        let restarts = Term::from(restarts.collect::<Vec<_>>());
        let (intensity, period) = (self.settings.intensity, self.settings.period.as_secs());
        term!({state, (self.name()), (Term::atom(strategy)), {(ids), (children)}, undefined, (intensity), (period), (restarts),
            0, never, beamnode, []})
    }

    fn module(&self) -> &'static str {
        "supervisor"
    }
}

impl Supervising {
    /// A child has ended. Fails when that was once too often.
    async fn ended(&mut self, index: usize, reason: &ExitReason) -> Result<(), ExitReason> {
        let Some(running) = self.children.get_mut(index) else {
            return Ok(());
        };
        let pid = running.pid.take();
        let again = match running.child.restart {
            Restart::Permanent => true,
            Restart::Transient => !is_orderly(reason),
            Restart::Temporary => false,
        };
        if again || !is_orderly(reason) {
            let reason = reason.term().clone();
            self.report(Event::ChildTerminated(reason), index, pid.as_ref());
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
            self.report(Event::Shutdown, index, pid.as_ref());
            return Err(ExitReason::SHUTDOWN);
        }
        match self.settings.strategy {
            Strategy::OneForOne => self.start(index),
            Strategy::RestForOne => {
                self.end_from(index + 1).await;
                // Those that are never started again are not either when it is for another's sake.
                let mut place = 0;
                self.children.retain(|running| {
                    place += 1;
                    place <= index + 1 || running.child.restart != Restart::Temporary
                });
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
        running.pid = Some(pid.clone());
        self.report(Event::Started, index, Some(&pid));
    }

    /// Ends the children from that one on, the last first.
    async fn end_from(&mut self, index: usize) {
        for index in (index..self.children.len()).rev() {
            let Some(running) = self.children.get_mut(index) else {
                continue;
            };
            if let Some(pid) = running.pid.take() {
                self.end(index, &pid).await;
            }
        }
    }

    /// Ends one child and waits until it has.
    async fn end(&mut self, index: usize, pid: &Pid) {
        let Some(Running { child, .. }) = self.children.get(index) else {
            return;
        };
        let (shutdown, restart) = (child.shutdown, child.restart);
        let monitor = self.me.monitor(pid).await;
        self.me.unlink(pid);
        // Its exit signal may have come before that.
        let exit =
            |message: &Message| matches!(message, Message::Exit(exit) if exit.from == *pid).then_some(());
        let _ = self.me.recv_select_timeout(Duration::ZERO, exit).await;
        let down = |message: &Message| match message {
            Message::Down(down) if down.reference == monitor => {
                Some(down.reason.decode().unwrap_or_else(|_| Term::atom("killed")))
            }
            _ => None,
        };
        let mut ended = None;
        if shutdown != Shutdown::BrutalKill {
            self.me.exit_other(pid, ExitReason::SHUTDOWN).await.ok();
            ended = match shutdown {
                Shutdown::Timeout(time) => self.me.recv_select_timeout(time, down).await.ok(),
                _ => self.me.recv_select(down).await,
            };
        }
        let told = ended.is_some();
        if !told {
            self.me.exit_other(pid, ExitReason::KILL).await.ok();
            ended = self.me.recv_select(down).await;
        }
        // One that had ended before, and whose end was not heard of, is gone all the same.
        let reason = ended.filter(|reason| !reason.is_atom("noproc"));
        let Some(reason) = reason.map(ExitReason::from) else {
            return;
        };
        let orderly = match shutdown {
            Shutdown::BrutalKill => reason.term().is_atom("killed"),
            _ => {
                told && is_orderly(&reason) && (reason != ExitReason::NORMAL || restart != Restart::Permanent)
            }
        };
        if !orderly {
            let reason = reason.term().clone();
            self.report(Event::ShutdownError(reason), index, Some(pid));
        }
    }

    /// As OTP's supervisor reports.
    fn report(&self, event: Event, index: usize, pid: Option<&Pid>) {
        let Some(Running { child, .. }) = self.children.get(index) else {
            return;
        };
        (self.settings.reporter.0)(&Report {
            supervisor: self.name(),
            event,
            child: child.term(pid),
            here: self.me.pid().clone(),
        });
    }

    /// `{local, Name}`, or `{Pid, supervisor}` of one without a name.
    fn name(&self) -> Term {
        match &self.settings.name {
            Some(name) => Term::from((Term::atom("local"), name.clone())),
            None => Term::from((self.me.pid().clone(), Term::atom("supervisor"))),
        }
    }

    /// `which_children` and `count_children`.
    fn listing(&self, request: &str) -> Option<Term> {
        let listing: Vec<Term> = match request {
            "which_children" => {
                let children = self.children.iter().rev().map(|Running { child, pid }| {
                    let pid = pid_or_undefined(pid.as_ref());
                    Term::from((child.id.clone(), pid, Term::atom(child.kind()), Term::NIL))
                });
                children.collect()
            }
            "count_children" => {
                let count =
                    |counted: &dyn Fn(&&Running) -> bool| self.children.iter().filter(counted).count();
                [
                    ("specs", self.children.len()),
                    ("active", count(&|running| running.pid.is_some())),
                    ("supervisors", count(&|running| running.child.is_supervisor)),
                    ("workers", count(&|running| !running.child.is_supervisor)),
                ]
                .map(|(name, count)| Term::from((Term::atom(name), count)))
                .into()
            }
            _ => return None,
        };
        Some(Term::from(listing))
    }

    /// `{terminate_child, Id}`, `{restart_child, Id}`, `{delete_child, Id}`, `{get_childspec, Id}`, `{start_child, Spec}`.
    async fn order(&mut self, order: &str, id: &Term) -> Option<Term> {
        let error = |reason: &'static str| Some(Term::from((Term::atom("error"), Term::atom(reason))));
        match order {
            "terminate_child" | "restart_child" | "delete_child" | "get_childspec" => {}
            // What a child runs is a function of this program, which no term can name.
            "start_child" => return Some(term!({error, {invalid_child_spec, (id.clone())}})),
            _ => return None,
        }
        let Some(index) = self.children.iter().position(|running| running.child.id == *id) else {
            return error("not_found");
        };
        let runs = self.children[index].pid.clone();
        match (order, runs) {
            ("terminate_child", runs) => {
                if let Some(pid) = runs {
                    self.children[index].pid = None;
                    self.end(index, &pid).await;
                }
                if self.children[index].child.restart == Restart::Temporary {
                    self.children.remove(index);
                }
                Some(Term::atom("ok"))
            }
            ("get_childspec", _) => {
                let spec = self.children[index].child.spec();
                Some(Term::from((Term::atom("ok"), spec)))
            }
            (_, Some(_)) => error("running"),
            ("restart_child", None) => {
                self.start(index);
                let pid = self.children[index].pid.clone()?;
                Some(Term::from((Term::atom("ok"), pid)))
            }
            _ => {
                self.children.remove(index);
                Some(Term::atom("ok"))
            }
        }
    }
}
