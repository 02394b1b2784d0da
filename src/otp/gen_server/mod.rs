//! Servers in Rust that behave as OTP's `gen_server`.
//!
//! A [`GenServer`] is state with handlers. It is started as a process, and what `gen_server:call`, `cast` and their kin send there
//! reaches it, from Rust and from every node of the cluster. System messages, those of the module `sys`, are answered for it. A
//! [`TypedServer`] is one whose requests and answers are Rust types.

mod system;
#[cfg(feature = "serde")]
mod typed;

#[cfg(feature = "serde")]
pub use typed::{Answer, Typed, TypedServer};

use std::time::Duration;

use tracing::{error, warn};

use system::System;

use super::call::{Caller, Request};
use crate::node::{ExitReason, Message, Node, Process, RegisterError};
use crate::term::{Atom, Pid, Term};

/// A server's state, and what it does with what it receives.
///
/// A handler that fails ends the server with that reason, and a handler's `?` makes a reason of any error: as in Erlang, a request
/// that a server does not understand is its end, unless it takes care. Stop in an orderly way with
/// `Err(ExitReason::NORMAL)`.
///
/// ```no_run
/// use beamnode::node::{ExitReason, Node};
/// use beamnode::otp::{Caller, Context, GenServer};
/// use beamnode::term::Term;
///
/// struct Counter(i64);
///
/// impl GenServer for Counter {
///     async fn call(&mut self, _: &mut Context, request: Term, _: &Caller) -> Result<Option<Term>, ExitReason> {
///         if request == Term::atom("next") {
///             self.0 += 1;
///         }
///         Ok(Some(Term::from(self.0)))
///     }
///
///     fn state(&self) -> Term {
///         Term::from(self.0)
///     }
/// }
///
/// # fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
/// // gen_server:call({counter, 'rust@build'}, next)
/// node.start_server("counter", Counter(0))?;
/// # Ok(())
/// # }
/// ```
pub trait GenServer: Send + Sized + 'static {
    /// The server has been started, and receives nothing before this is done.
    fn init(&mut self, context: &mut Context) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// A call. What is given is the answer; with `None` the answer comes later, by [`Caller::reply`].
    fn call(
        &mut self,
        context: &mut Context,
        request: Term,
        from: &Caller,
    ) -> impl Future<Output = Result<Option<Term>, ExitReason>> + Send {
        let _ = (context, from);
        async move { Err(unexpected("call", request)) }
    }

    /// A cast.
    fn cast(
        &mut self,
        context: &mut Context,
        request: Term,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = context;
        async move { Err(unexpected("cast", request)) }
    }

    /// Any other message: exits that are trapped, monitors that fire, what was sent as it is. Logged, unless said otherwise.
    fn info(
        &mut self,
        context: &mut Context,
        message: Message,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        unasked(context, &message);
        async { Ok(()) }
    }

    /// Nothing has come for as long as [`Context::timeout`] said: where Erlang's servers get the message `timeout`.
    fn timed_out(&mut self, context: &mut Context) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// What [`Context::continue_with`] has asked for: before anything else is received.
    fn continued(
        &mut self,
        context: &mut Context,
        continuation: Term,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = context;
        async move { Err(unexpected("continue", continuation)) }
    }

    /// The server is about to end. Not called when it is killed.
    fn terminate(&mut self, context: &mut Context, reason: &ExitReason) -> impl Future<Output = ()> + Send {
        let _ = (context, reason);
        async {}
    }

    /// The state as a term, for `sys:get_state/1` and for whoever looks at the server with Observer.
    fn state(&self) -> Term {
        Term::atom("undefined")
    }

    /// Takes on another state, for `sys:replace_state/2`, which gets here with functions that this node has. Refused unless said otherwise.
    ///
    /// # Errors
    /// When the state is not to be replaced, or not by this.
    fn replace_state(&mut self, state: Term) -> Result<(), ExitReason> {
        let _ = state;
        Err(ExitReason::from(Term::atom("undef")))
    }

    /// `sys:change_code/4` of the server while it is suspended. Nothing needs to be done unless said otherwise.
    fn code_change(
        &mut self,
        context: &mut Context,
        old_version: Term,
        extra: Term,
    ) -> impl Future<Output = Result<(), ExitReason>> + Send {
        let _ = (context, old_version, extra);
        async { Ok(()) }
    }

    /// The name that the server's code has where Erlang shows a module.
    fn module(&self) -> &'static str {
        "gen_server"
    }
}

/// What a server's handlers have at hand.
#[derive(Debug)]
pub struct Context {
    process: Process,
    continuation: Option<Term>,
    timeout: Option<Duration>,
    /// Who spawned the server, and ends it.
    parent: Option<Pid>,
}

impl Context {
    /// The server's process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The server's process, to receive from or to call others with.
    #[must_use]
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Has [`GenServer::continued`] called with this, after the handler and before anything else is received: `{continue, Term}`.
    pub fn continue_with(&mut self, continuation: Term) {
        self.continuation = Some(continuation);
    }

    /// Has [`GenServer::timed_out`] called if nothing is received for this long after the handler: `{noreply, State, Timeout}`. Whatever is
    /// received, ends it.
    pub fn timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Links the server with the process, as `gen_server:start_link` does with who starts it.
    pub async fn link(&self, pid: &Pid) {
        self.process.link(pid).await;
    }
}

impl Node {
    /// Starts a server and registers it as `name`, as `gen_server:start({local, Name}, …)`.
    ///
    /// # Errors
    /// When the name is taken or illegal; the server is then not started.
    pub fn start_server(&self, name: &str, server: impl GenServer) -> Result<Pid, RegisterError> {
        let me = self.process();
        me.register(name)?;
        Ok(me.run(async |me| run_server(me, server).await))
    }

    /// Starts a server without a name.
    pub fn start_anonymous_server(&self, server: impl GenServer) -> Pid {
        self.spawn(async |me| run_server(me, server).await)
    }
}

/// Runs a server as this process, until it ends: for servers under a [`Supervisor`](super::Supervisor).
///
/// An exit signal of the process that has spawned this one, the supervisor say, ends the server with its reason even if it traps exits: it
/// goes to [`GenServer::terminate`], and not to [`GenServer::info`].
///
/// # Errors
/// Always with the reason for which the server ends, unless that is `normal`.
pub async fn run_server(process: Process, mut server: impl GenServer) -> Result<(), ExitReason> {
    let mut context = Context {
        parent: process.parent().cloned(),
        process,
        continuation: None,
        timeout: None,
    };
    server.init(&mut context).await?;
    let reason = match serve(&mut server, &mut context).await {
        Ok(()) => return Ok(()),
        Err(reason) => reason,
    };
    if !is_orderly(&reason) {
        error!(server = %context.process.pid(), %reason, state = %server.state(), "generic server terminating");
    }
    server.terminate(&mut context, &reason).await;
    if reason == ExitReason::NORMAL {
        Ok(())
    } else {
        Err(reason)
    }
}

/// Receives until a handler fails, or the process has been ended.
async fn serve(server: &mut impl GenServer, context: &mut Context) -> Result<(), ExitReason> {
    loop {
        while let Some(continuation) = context.continuation.take() {
            server.continued(context, continuation).await?;
        }
        let received = match context.timeout.take() {
            None => context.process.recv().await,
            Some(timeout) => match tokio::time::timeout(timeout, context.process.recv()).await {
                Ok(received) => received,
                Err(_) => {
                    server.timed_out(context).await?;
                    continue;
                }
            },
        };
        let Some(message) = received else {
            return Ok(());
        };
        handle(server, context, message).await?;
    }
}

/// Handles one message.
async fn handle(
    server: &mut impl GenServer,
    context: &mut Context,
    message: Message,
) -> Result<(), ExitReason> {
    match Request::read(&message) {
        Ok(Request::Call(from, request)) => {
            if let Some(reply) = server.call(context, request, &from).await? {
                from.reply(&context.process, reply);
            }
            Ok(())
        }
        Ok(Request::Cast(request)) => server.cast(context, request).await,
        Ok(Request::Info(_)) | Err(_) => match System::read(&message) {
            Some(request) => system::handle(server, context, request).await,
            None => match ended_by(context.parent.as_ref(), &message) {
                Some(reason) => Err(reason),
                None => server.info(context, message).await,
            },
        },
    }
}

/// The reason that the parent gives for a server to end, if the message is that.
fn ended_by(parent: Option<&Pid>, message: &Message) -> Option<ExitReason> {
    let Message::Exit(exit) = message else { return None };
    (parent == Some(&exit.from)).then(|| exit.reason.decode().map_or(ExitReason::KILL, ExitReason::from))
}

/// Whether a process with this reason ended as it should: `normal`, `shutdown` or `{shutdown, _}`.
pub(super) fn is_orderly(reason: &ExitReason) -> bool {
    let tagged = || Some(reason.term().as_tuple()?.array::<2>()?[0] == Term::atom("shutdown"));
    *reason == ExitReason::NORMAL || *reason == ExitReason::SHUTDOWN || tagged().unwrap_or(false)
}

/// Logs a message that nobody has asked for.
fn unasked(context: &Context, message: &Message) {
    match message.term() {
        Ok(message) => warn!(server = %context.process().pid(), %message, "unexpected message"),
        Err(error) => warn!(server = %context.process().pid(), %error, "a message that is no term"),
    }
}

fn unexpected(kind: &'static str, request: Term) -> ExitReason {
    ExitReason::from(Term::from((
        Atom::from_static("unexpected"),
        Term::atom(kind),
        request,
    )))
}
