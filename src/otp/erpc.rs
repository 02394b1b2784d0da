//! `erpc`: what `erpc:call/4`, `rpc:call/4` and their kin run on the node that is called.
//!
//! Since OTP 23 a call is a spawn request of `erpc:execute_call/4` under a monitor, and its result is the exit reason of that
//! process: `{Tag, return, Value}` or how the function ended otherwise. A cast spawns `erpc:execute_cast/3`. Both are
//! documented only by their use in the module `erpc`.

use crate::node::{Exception, Node, Outcome, Process};
use crate::term::{Atom, Term};

pub(super) fn start(node: &Node) {
    let erpc = node.module("erpc");
    erpc.function("execute_call", 4, async |me, arguments| {
        execute_call(me, arguments).await
    });
    erpc.function("execute_cast", 3, async |me, arguments| {
        match arguments.as_slice() {
            [module, function, list] => apply(me, module, function, list).await,
            _ => Err(badarg("execute_cast", &arguments)),
        }
    });
}

/// Ends in any case: its exit reason is the result.
async fn execute_call(me: Process, arguments: Vec<Term>) -> Outcome {
    let [tag, module, function, list] = arguments.as_slice() else {
        return Err(badarg("execute_call", &arguments));
    };
    let outcome = apply(me, module, function, list).await;
    let class = |class: &'static str| Term::Atom(Atom::from_static(class));
    Err(Exception::Exit(match outcome {
        Ok(value) => Term::from((tag.clone(), class("return"), value)),
        Err(Exception::Throw(value)) => Term::from((tag.clone(), class("throw"), value)),
        Err(Exception::Exit(reason)) => Term::from((tag.clone(), class("exit"), reason)),
        Err(Exception::Error { reason, stack }) => Term::from((tag.clone(), class("error"), reason, stack)),
    }))
}

/// `apply(Module, Function, Arguments)` in the process `me`.
pub(super) async fn apply(me: Process, module: &Term, function: &Term, arguments: &Term) -> Outcome {
    let (Term::Atom(module), Term::Atom(function), Term::List(list)) = (module, function, arguments) else {
        return Err(badarg_in(
            "erlang",
            "apply",
            &[module.clone(), function.clone(), arguments.clone()],
        ));
    };
    let arguments: Vec<Term> = list.iter().collect();
    match me.node().function(module, function, arguments.len()) {
        Some(found) => found(me, arguments).await,
        None => Err(Exception::undef(module, function, &arguments)),
    }
}

fn badarg(function: &'static str, arguments: &[Term]) -> Exception {
    badarg_in("erpc", function, arguments)
}

fn badarg_in(module: &'static str, function: &'static str, arguments: &[Term]) -> Exception {
    let (module, function) = (Atom::from_static(module), Atom::from_static(function));
    Exception::error(Atom::from_static("badarg"), &module, &function, arguments)
}
