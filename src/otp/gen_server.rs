//! Servers in Rust that behave as OTP's `gen_server`.
//!
//! A [`GenServer`] is state with handlers. It is started as a process, and what `gen_server:call`, `cast` and their kin send there
//! reaches it, from Rust and from every node of the cluster. System messages (`sys:get_state/1`, `sys:get_status/1`, `sys:suspend/1`,
//! `sys:resume/1`, `sys:terminate/2`) are answered for it.

use tracing::{error, warn};

use super::call::{Caller, Request};
use crate::node::{ExitReason, Message, Node, Process, RegisterError};
use crate::term::{Atom, List, Pid, Term};

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
        match message.term() {
            Ok(message) => warn!(server = %context.process().pid(), %message, "unexpected message"),
            Err(error) => warn!(server = %context.process().pid(), %error, "a message that is no term"),
        }
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
}

/// What a server's handlers have at hand.
#[derive(Debug)]
pub struct Context {
    process: Process,
    continuation: Option<Term>,
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
/// # Errors
/// Always with the reason for which the server ends, unless that is `normal`.
pub async fn run_server(process: Process, mut server: impl GenServer) -> Result<(), ExitReason> {
    let mut context = Context {
        process,
        continuation: None,
    };
    server.init(&mut context).await?;
    let reason = match serve(&mut server, &mut context).await {
        Ok(()) => return Ok(()),
        Err(reason) => reason,
    };
    if !(reason == ExitReason::NORMAL || reason == ExitReason::SHUTDOWN) {
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
        let Some(message) = context.process.recv().await else {
            return Ok(());
        };
        if let Some(request) = System::read(&message) {
            system(server, context, request).await?;
            continue;
        }
        match Request::read(&message) {
            Ok(Request::Call(from, request)) => {
                if let Some(reply) = server.call(context, request, &from).await? {
                    from.reply(&context.process, reply);
                }
            }
            Ok(Request::Cast(request)) => server.cast(context, request).await?,
            Ok(Request::Info(_)) | Err(_) => server.info(context, message).await?,
        }
    }
}

fn unexpected(kind: &'static str, request: Term) -> ExitReason {
    ExitReason::from(Term::from((
        Atom::from_static("unexpected"),
        Term::atom(kind),
        request,
    )))
}

/// A system message: `{system, From, Request}` of the module `sys`.
struct System {
    from: Caller,
    request: Term,
}

impl System {
    fn read(message: &Message) -> Option<Self> {
        let Message::Term(raw) = message else { return None };
        let [Term::Atom(tag), from, request] = raw.decode().ok()?.as_tuple()?.array::<3>()? else {
            return None;
        };
        let from = Caller::read(&from).filter(|_| tag == *"system")?;
        Some(Self { from, request })
    }
}

/// Answers a system message; one that suspends the server, and those that come until it is resumed.
async fn system(
    server: &mut impl GenServer,
    context: &mut Context,
    request: System,
) -> Result<(), ExitReason> {
    let mut suspended = false;
    let mut next = Some(request);
    while let Some(System { from, request }) = next {
        let reply = |reply: Term| from.reply(&context.process, reply);
        let ok = || Term::atom("ok");
        let word = match &request {
            Term::Atom(word) => word.as_str(),
            Term::Tuple(_) => "",
            _ => "unknown",
        };
        match word {
            "get_state" => reply(Term::from((ok(), server.state()))),
            "get_status" => reply(status(server, &context.process, suspended)),
            "suspend" => {
                suspended = true;
                reply(ok());
            }
            "resume" => {
                suspended = false;
                reply(ok());
            }
            _ => match request.as_tuple().and_then(|tuple| tuple.array()) {
                Some([Term::Atom(word), reason]) if word == *"terminate" => {
                    reply(ok());
                    return Err(ExitReason::from(reason));
                }
                _ => reply(Term::from((
                    Term::atom("error"),
                    (Term::atom("unknown_system_msg"), request.clone()),
                ))),
            },
        }
        if !suspended {
            return Ok(());
        }
        // Only system messages get through to a server that is suspended.
        next = context.process.recv_select(System::read).await;
    }
    Ok(())
}

/// `{status, Pid, {module, Module}, [Dictionary, SystemState, Parent, Debug, Misc]}`.
fn status(server: &impl GenServer, process: &Process, suspended: bool) -> Term {
    let state = Term::atom(if suspended { "suspended" } else { "running" });
    let header = Term::from((
        Term::atom("header"),
        Term::List(List::from_chars(&format!("Status for {}", process.pid()))),
    ));
    let data = Term::from((
        Term::atom("data"),
        vec![Term::from((
            Term::List(List::from_chars("State")),
            server.state(),
        ))],
    ));
    let misc = Term::from(vec![header, data]);
    let details = Term::from(vec![
        Term::NIL,
        state,
        Term::from(process.pid().clone()),
        Term::NIL,
        misc,
    ]);
    let module = Term::from((Term::atom("module"), Term::atom("gen_server")));
    Term::from((Term::atom("status"), process.pid().clone(), module, details))
}
