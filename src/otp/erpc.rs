//! `erpc`: what `erpc:call/4`, `rpc:call/4` and their kin run on the node that is called.
//!
//! Since OTP 23 a call is a spawn request of `erpc:execute_call/4` under a monitor, and its result is the exit reason of that
//! process: `{Tag, return, Value}` or how the function ended otherwise. A cast spawns `erpc:execute_cast/3`. Both are
//! documented only by their use in the module `erpc`.

use crate::etf::RawTerm;
use crate::node::{Call, Exception, Function, Node, Outcome, Process};
use crate::term::{Atom, List, Term};
use std::future::pending;
use std::panic::resume_unwind;
use tokio::task::JoinSet;

pub(super) fn start(node: &Node) {
    let erpc = node.module("erpc");
    erpc.insert("execute_call", 4, execute_call);
    erpc.insert("execute_cast", 3, |me, arguments| match arguments.as_slice() {
        [module, function, list] => apply(me, module, function, list),
        _ => Call::Done(Err(badarg("execute_cast", &arguments))),
    });
}

/// Ends in any case: its exit reason is the result.
fn execute_call(me: Process, arguments: Vec<Term>) -> Call {
    let [tag, module, function, list] = arguments.as_slice() else {
        return Call::Done(Err(badarg("execute_call", &arguments)));
    };
    if !allowed(&me, module, function, list) {
        let why = Term::from((Term::atom("erpc"), Term::atom("not_allowed")));
        let reason = Term::from((tag.clone(), Term::atom("error"), why));
        return Call::Done(Err(Exception::Exit(reason)));
    }
    let process = me.handle();
    let call = apply(me, module, function, list);
    call.map(move |outcome| end(&process, &arguments, outcome))
}

/// Ends the process with what came of the call, as `erpc` has it.
fn end(process: &Process, arguments: &[Term], outcome: Outcome) -> Outcome {
    let [tag, module, function, list] = arguments else {
        return outcome;
    };
    let class = |class: &'static str| Term::atom(class);
    Err(Exception::Exit(match outcome {
        Ok(value) => {
            // What most calls come to is encoded from its parts.
            process.end_with(RawTerm::new(&(tag, class("return"), &value)));
            return Ok(value);
        }
        Err(Exception::Throw(value)) => Term::from((tag.clone(), class("throw"), value)),
        Err(Exception::Exit(reason)) => Term::from((tag.clone(), class("exit"), reason)),
        Err(Exception::Error { reason, stack }) => {
            let stack = whole(stack, module, function, list);
            Term::from((tag.clone(), class("error"), reason, stack))
        }
    }))
}

/// A stack trace down to the function that was called, and no further, as `erpc` cuts it.
pub(super) fn whole(stack: Term, module: &Term, function: &Term, list: &Term) -> Term {
    let (Term::List(entries), Some(list)) = (&stack, proper(list)) else {
        return stack;
    };
    // A trace that somebody gave stays as it is.
    if module.is_atom("erlang") && function.is_atom("raise") {
        return stack;
    }
    let arity = list.iter().count();
    let entry = |arguments: Term| Term::from((module.clone(), function.clone(), arguments, Term::NIL));
    let mut entries: Vec<Term> = entries.iter().collect();
    match entries
        .last()
        .map(|last| last.as_tuple().and_then(|last| last.array::<4>()))
    {
        None => entries.push(entry(Term::List(list.clone()))),
        Some(Some([m, f, arguments, _])) if m == *module && f == *function => {
            let same = match &arguments {
                Term::List(arguments) => arguments.iter().count() == arity,
                other => *other == Term::from(arity),
            };
            if !same {
                entries.push(entry(Term::from(arity)));
            }
        }
        Some(_) => entries.push(entry(Term::from(arity))),
    }
    Term::from(entries)
}

/// Whether the policy lets the node on whose behalf `me` runs call that.
pub(super) fn allowed(me: &Process, module: &Term, function: &Term, list: &Term) -> bool {
    match (module, function, list) {
        (Term::Atom(module), Term::Atom(function), Term::List(list)) => {
            let arity = || list.iter().count();
            me.origin().is_none() || me.node().may_call(me.origin(), module, function, arity())
        }
        _ => true,
    }
}

/// A list of arguments.
pub(super) fn proper(arguments: &Term) -> Option<&List> {
    arguments.as_list().filter(|list| list.is_proper())
}

/// `apply(Module, Function, Arguments)` in the process `me`.
pub(super) fn apply(me: Process, module: &Term, function: &Term, arguments: &Term) -> Call {
    let (Term::Atom(module), Term::Atom(function), Some(list)) = (module, function, proper(arguments)) else {
        let arguments = [module.clone(), function.clone(), arguments.clone()];
        return Call::Done(Err(super::erlang::badarg("apply", &arguments)));
    };
    let arguments: Vec<Term> = list.iter().collect();
    if !me.node().may_call(me.origin(), module, function, arguments.len()) {
        let reason = Atom::from_static("not_allowed");
        return Call::Done(Err(Exception::error(reason, module, function, &arguments)));
    }
    match me.node().function(module, function, arguments.len()) {
        Some(found) => called(me, found, arguments),
        None => Call::Done(Err(Exception::undef(module, function, &arguments))),
    }
}

/// How many functions may call one another, `apply(erlang, apply, [erlang, apply, …])` say, on one stack.
const MAX_NESTING: u8 = 32;

/// Calls the function, in a task of its own where the stack would get too deep: how deep calls are nested, others say.
fn called(mut me: Process, function: Function, arguments: Vec<Term>) -> Call {
    if me.nesting < MAX_NESTING {
        me.nesting += 1;
        return function(me, arguments);
    }
    me.nesting = 0;
    Call::Running(Box::pin(async move {
        // It ends with who waits for it.
        let mut task = JoinSet::new();
        task.spawn(async move { function(me, arguments).outcome().await });
        match task.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime goes.
            _ => pending().await,
        }
    }))
}

fn badarg(function: &'static str, arguments: &[Term]) -> Exception {
    let (module, function) = (Atom::from_static("erpc"), Atom::from_static(function));
    Exception::error(Atom::from_static("badarg"), &module, &function, arguments)
}
