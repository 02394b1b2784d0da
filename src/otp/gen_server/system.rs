//! System messages: `{system, From, Request}` of the module `sys`, which people, supervisors and Observer send to any server.
//!
//! The answers are those of OTP's `gen_server`, in the form that the asking release takes: `sys:get_state/1` wants `{ok, State}` since the
//! releases whose aliases have five words, and before that hands through what it is given.

use super::super::call::Caller;
use super::{Context, GenServer, ended_by};
use crate::node::{ExitReason, Message};
use crate::term::{List, Term};

/// A system message.
pub(super) struct System {
    from: Caller,
    request: Term,
}

impl System {
    /// Reads one out of a message.
    pub(super) fn read(message: &Message) -> Option<Self> {
        let Message::Term(raw) = message else { return None };
        let [label, from, request] = raw.glance().tuple()?;
        if !label.is_atom("system") {
            return None;
        }
        let (from, request) = (Caller::read(from)?, raw.part(request).decode().ok()?);
        Some(Self { from, request })
    }
}

/// Answers a system message; one that suspends the server, and those that come until it is resumed.
pub(super) async fn handle(
    server: &mut impl GenServer,
    context: &mut Context,
    request: System,
) -> Result<(), ExitReason> {
    let mut suspended = false;
    let mut next = Some(request);
    while let Some(System { from, request }) = next {
        let answer = match request.as_atom().map(|word| word.as_str()) {
            Some("get_state") => stated(&from, server.state()),
            Some("get_status") => status(server, context, suspended),
            Some("suspend") => {
                suspended = true;
                Term::atom("ok")
            }
            Some("resume") => {
                suspended = false;
                Term::atom("ok")
            }
            _ => {
                let pair = request.as_tuple().and_then(|tuple| tuple.array::<2>());
                if let Some([word, reason]) = pair
                    && word.is_atom("terminate")
                {
                    from.reply(&context.process, Term::atom("ok"));
                    return Err(ExitReason::from(reason));
                }
                other(server, context, &from, &request, suspended).await
            }
        };
        from.reply(&context.process, answer);
        if !suspended {
            return Ok(());
        }
        // Only system messages get through to a server that is suspended, and its parent's word that it is to end.
        let parent = context.parent.clone();
        let received = context.process.recv_select(move |message| {
            let ended = ended_by(parent.as_ref(), message).map(Err);
            ended.or_else(|| System::read(message).map(Ok))
        });
        next = received.await.transpose()?;
    }
    Ok(())
}

/// What takes arguments.
async fn other(
    server: &mut impl GenServer,
    context: &mut Context,
    from: &Caller,
    request: &Term,
    suspended: bool,
) -> Term {
    let unknown = || crate::term!({error, {unknown_system_msg, (request.clone())}});
    let Some(tuple) = request.as_tuple() else {
        return unknown();
    };
    let word = tuple.get(0);
    let word = word
        .as_ref()
        .and_then(Term::as_atom)
        .map_or("", |word| word.as_str());
    match (word, tuple.len()) {
        ("replace_state", 2) => {
            let fun = tuple.get(1).unwrap_or(Term::NIL);
            replace(server, context, from, &fun).await
        }
        ("change_code", 4) if suspended => {
            let part = |index| tuple.get(index).unwrap_or(Term::NIL);
            match server.code_change(context, part(2), part(3)).await {
                Ok(()) => Term::atom("ok"),
                Err(reason) => crate::term!({error, (reason.term().clone())}),
            }
        }
        ("debug", 2) => debug(&tuple.get(1).unwrap_or(Term::NIL)),
        _ => unknown(),
    }
}

/// A state in the form that the release of who asks takes.
fn stated(from: &Caller, state: Term) -> Term {
    if from.wants_ok() {
        crate::term!({ok, (state)})
    } else {
        state
    }
}

/// Has a function make another state of the one there is. That can be one of this node's, `fun Module:Function/1`; the code of any other is
/// not here.
async fn replace(server: &mut impl GenServer, context: &mut Context, from: &Caller, fun: &Term) -> Term {
    let failed = |class: &'static str, reason: Term| {
        let where_ = crate::term!({gen_server, system_replace_state});
        crate::term!({error, {callback_failed, (where_), {(Term::atom(class)), (reason)}}})
    };
    let export = match fun {
        Term::Fun(fun) => fun.as_export(),
        _ => None,
    };
    let Some((module, function, 1)) = export else {
        return failed("error", Term::atom("undef"));
    };
    let me = context.process.node().process();
    let list = Term::from(vec![server.state()]);
    let (module, function) = (Term::from(module), Term::from(function));
    use crate::node::Exception;
    match super::super::erpc::apply(me, &module, &function, &list)
        .outcome()
        .await
    {
        Ok(state) => match server.replace_state(state.clone()) {
            Ok(()) => stated(from, state),
            Err(reason) => failed("error", reason.term().clone()),
        },
        Err(Exception::Throw(value)) => failed("throw", value),
        Err(Exception::Exit(reason)) => failed("exit", reason),
        Err(Exception::Error { reason, .. }) => failed("error", reason),
    }
}

/// Nothing is traced, logged or counted here: what asks for the records is told so, what asks for recording is not understood.
fn debug(what: &Term) -> Term {
    let pair = what.as_tuple().and_then(|tuple| tuple.array::<2>());
    match pair {
        _ if what.is_atom("no_debug") => Term::atom("ok"),
        Some([kind, flag]) if kind.is_atom("statistics") && flag.is_atom("get") => {
            crate::term!({ok, no_statistics})
        }
        Some([kind, flag]) if kind.is_atom("log") && flag.is_atom("get") => crate::term!({ok, []}),
        Some([_, flag]) if flag.is_atom("false") => Term::atom("ok"),
        _ => Term::atom("unknown_debug"),
    }
}

/// `{status, Pid, {module, gen_server}, [Dictionary, SystemState, Parent, Debug, Misc]}`.
fn status(server: &impl GenServer, context: &Context, suspended: bool) -> Term {
    let process = &context.process;
    let text = |text: &str| Term::List(List::from_chars(text));
    let state = Term::atom(if suspended { "suspended" } else { "running" });
    let name = process
        .name()
        .map_or_else(|| process.pid().to_string(), |name| name.to_string());
    // Where nobody spawned it, it stands for itself, as in OTP one that was started without a link.
    let parent = Term::from(context.parent.as_ref().unwrap_or(process.pid()).clone());
    let ancestors: Vec<Term> = context.parent.iter().map(Term::from).collect();
    let module = Term::atom(server.module());
    let dictionary = crate::term!([
        {(Term::atom("$initial_call")), {(module), init, 1}},
        {(Term::atom("$ancestors")), (ancestors)}
    ]);
    let header = text(&format!("Status for generic server {name}"));
    let misc = crate::term!([
        {header, (header)},
        {data, [
            {(text("Status")), (state.clone())},
            {(text("Parent")), (parent.clone())},
            {(text("Logged events")), []}
        ]},
        {data, [{(text("State")), (server.state())}]}
    ]);
    let details = Term::from(vec![dictionary, state, parent, Term::NIL, misc]);
    crate::term!({status, (process.pid().clone()), {module, gen_server}, (details)})
}
