//! The module `pg` as other nodes call it on this one, with the results and errors that it has there.

use super::{DEFAULT, JoinError, LeaveError, Pg, wire};
use crate::node::{Exception, Node, Outcome, Process, RegisterError};
use crate::otp::erlang::badarg_in;
use crate::term::{Atom, Map, Pid, Term};

/// A function, called with the scope and the arguments after it.
type Function = fn(&mut Process, &Atom, &[Term]) -> Outcome;

/// Each has a form without the scope, for the default one.
const FUNCTIONS: [(&str, usize, Function); 9] = [
    ("join", 2, join),
    ("leave", 2, leave),
    ("get_members", 1, |me, scope, arguments| {
        members(me, scope, arguments, Pg::members)
    }),
    ("get_local_members", 1, |me, scope, arguments| {
        members(me, scope, arguments, Pg::local_members)
    }),
    ("which_groups", 0, |me, scope, _| {
        groups(me, scope, "match", Pg::groups)
    }),
    ("which_local_groups", 0, |me, scope, _| {
        groups(me, scope, "select", Pg::local_groups)
    }),
    ("monitor", 1, monitor),
    ("monitor_scope", 0, monitor_scope),
    ("demonitor", 1, demonitor),
];

pub(in crate::otp) fn start(node: &Node) {
    let pg = node.module("pg");
    for (name, arity, function) in FUNCTIONS {
        pg.function(name, arity, move |mut me, arguments| async move {
            function(&mut me, &Atom::from_static(DEFAULT), &arguments)
        });
        pg.function(name, arity + 1, move |mut me, arguments| async move {
            match arguments.split_first() {
                Some((Term::Atom(scope), rest)) => function(&mut me, scope, rest),
                Some((other, rest)) => no_name(name, other, rest, &arguments),
                None => Err(function_clause(name, &arguments)),
            }
        });
    }
    for (name, arity) in [("start", 1), ("start_link", 0), ("start_link", 1)] {
        pg.function(name, arity, move |me, arguments| async move {
            let scope = match arguments.as_slice() {
                [] => Atom::from_static(DEFAULT),
                [Term::Atom(scope)] => scope.clone(),
                _ => return Err(function_clause(name, &arguments)),
            };
            Ok(start_scope(&me, scope, name == "start_link").await)
        });
    }
}

async fn start_scope(me: &Process, scope: Atom, link: bool) -> Term {
    let node = me.node();
    let already = |pid: Pid| {
        let reason = Term::from((Term::atom("already_started"), pid));
        Term::from((Term::atom("error"), reason))
    };
    match node.services().pg.find_or_start(node, scope.clone()) {
        Ok((pg, true)) => {
            if link {
                me.link(pg.pid()).await;
            }
            Term::from((Term::atom("ok"), pg.pid().clone()))
        }
        Ok((pg, false)) => already(pg.pid().clone()),
        Err(RegisterError::Taken { .. }) if let Some(pid) = node.whereis(&scope) => already(pid),
        // Of a name that no process can have, OTP says the same: nobody has it.
        Err(_) => {
            let reason = (Term::atom("already_started"), Term::atom("undefined"));
            Term::from((Term::atom("error"), Term::from(reason)))
        }
    }
}

/// What a call of the scope's process comes to when there is none.
fn no_scope(scope: &Atom, request: impl Into<Term>) -> Exception {
    let arguments = Term::from([Term::from(scope.clone()), request.into(), Term::atom("infinity")]);
    let call = (Term::atom("gen_server"), Term::atom("call"), arguments);
    Exception::Exit(Term::from((Term::atom("noproc"), Term::from(call))))
}

/// What comes of a scope that is no atom: where a process is asked, no name for it; where a table is looked into, there is none.
fn no_name(function: &'static str, scope: &Term, rest: &[Term], arguments: &[Term]) -> Outcome {
    let request = match function {
        "join" => request("join_local", rest),
        "leave" => request("leave_local", rest),
        "monitor" | "demonitor" => request(function, rest),
        "monitor_scope" => Term::atom("monitor"),
        "get_members" | "get_local_members" => return Ok(Term::NIL),
        _ => return Err(function_clause(function, arguments)),
    };
    let entry = (Term::atom("gen"), Term::atom("do_for_proc"), 2, Term::NIL);
    let stack = Term::from(vec![Term::from(entry)]);
    let reason = (Term::atom("function_clause"), stack);
    let called = [scope.clone(), request, Term::atom("infinity")];
    let call = (
        Term::atom("gen_server"),
        Term::atom("call"),
        Term::from(called.to_vec()),
    );
    Err(Exception::Exit(Term::from((
        Term::from(reason),
        Term::from(call),
    ))))
}

fn function_clause(function: &'static str, arguments: &[Term]) -> Exception {
    let (module, function) = (Atom::from_static(DEFAULT), Atom::from_static(function));
    Exception::error(Term::atom("function_clause"), &module, &function, arguments)
}

/// A process of another node, or what is none: alone, or one of a list.
fn not_local(bad: impl Into<Term>, members: &Term) -> Exception {
    let entry =
        |module, function, arity| Term::from((Term::atom(module), Term::atom(function), arity, Term::NIL));
    let stack = match members {
        Term::List(_) => vec![
            entry("pg", "-ensure_local/1-fun-0-", 1),
            entry("lists", "foreach_1", 2),
        ],
        _ => vec![entry("pg", "ensure_local", 1)],
    };
    Exception::Error {
        reason: Term::from((Term::atom("nolocal"), bad.into())),
        stack: Term::from(stack),
    }
}

/// The pids in an argument, which is one or a list, all of this node. That is looked at before the scope is.
fn pids(
    me: &Process,
    scope: &Atom,
    arguments: &[Term],
    function: &'static str,
) -> Result<Vec<Pid>, Exception> {
    let members = arguments.last().unwrap_or(&Term::NIL);
    if let Some(pids) = wire::pids(members) {
        let us = me.node().name();
        return match pids.iter().find(|pid| pid.node() != us) {
            Some(other) => Err(not_local(other, members)),
            None => Ok(pids),
        };
    }
    Err(match members {
        Term::List(list) => {
            match list.iter().find(|member| !matches!(member, Term::Pid(_))) {
                Some(bad) => not_local(bad, members),
                // All are, and no list ends with what this one ends with.
                None => function_clause(function, &with_scope(scope, arguments)),
            }
        }
        _ => function_clause(function, &with_scope(scope, arguments)),
    })
}

fn with_scope(scope: &Atom, arguments: &[Term]) -> Vec<Term> {
    let scope = std::iter::once(Term::from(scope.clone()));
    scope.chain(arguments.iter().cloned()).collect()
}

fn join(me: &mut Process, scope: &Atom, arguments: &[Term]) -> Outcome {
    let (group, pids) = (&arguments[0], pids(me, scope, arguments, "join")?);
    let joined = match me.node().services().pg.find(scope) {
        Some(pg) => pg.join(group, pids),
        None => Err(JoinError::Ended),
    };
    match joined {
        Ok(()) => Ok(Term::atom("ok")),
        Err(JoinError::NotLocal(pid)) => Err(not_local(pid, &arguments[1])),
        Err(JoinError::Ended) => Err(no_scope(scope, request("join_local", arguments))),
    }
}

fn leave(me: &mut Process, scope: &Atom, arguments: &[Term]) -> Outcome {
    let (group, pids) = (&arguments[0], pids(me, scope, arguments, "leave")?);
    let left = match me.node().services().pg.find(scope) {
        Some(pg) => pg.leave(group, pids),
        None => Err(LeaveError::Ended),
    };
    match left {
        Ok(()) => Ok(Term::atom("ok")),
        Err(LeaveError::NotJoined) => Ok(Term::atom("not_joined")),
        Err(LeaveError::NotLocal(pid)) => Err(not_local(pid, &arguments[1])),
        Err(LeaveError::Ended) => Err(no_scope(scope, request("leave_local", arguments))),
    }
}

fn request(tag: &'static str, arguments: &[Term]) -> Term {
    let parts = std::iter::once(Term::atom(tag)).chain(arguments.iter().cloned());
    Term::Tuple(parts.collect())
}

/// Of a scope that does not run, nobody is a member.
fn members(me: &mut Process, scope: &Atom, arguments: &[Term], of: fn(&Pg, Term) -> Vec<Pid>) -> Outcome {
    let pg = me.node().services().pg.find(scope);
    Ok(Term::from(
        pg.map_or_else(Vec::new, |pg| of(&pg, arguments[0].clone())),
    ))
}

fn groups(me: &mut Process, scope: &Atom, look: &'static str, of: fn(&Pg) -> Vec<Term>) -> Outcome {
    let pg = me.node().services().pg.find(scope);
    // There it is a table that is looked into.
    pg.map(|pg| Term::from(of(&pg))).ok_or_else(|| {
        let pattern = if look == "match" {
            crate::term!({(Term::atom("$1")), (Term::atom("_")), (Term::atom("_"))})
        } else {
            let head = crate::term!({(Term::atom("$1")), (Term::atom("_")), (Term::atom("$2"))});
            let guard = crate::term!([{(Term::atom("=/=")), (Term::atom("$2")), []}]);
            Term::from(vec![Term::from((
                head,
                guard,
                Term::from(vec![Term::atom("$1")]),
            ))])
        };
        badarg_in("ets", look, &[Term::from(scope.clone()), pattern], Some("id"))
    })
}

fn monitor(me: &mut Process, scope: &Atom, arguments: &[Term]) -> Outcome {
    let Some(pg) = me.node().services().pg.find(scope) else {
        return Err(no_scope(scope, request("monitor", arguments)));
    };
    let (reference, members) = pg.monitor(me, &arguments[0]);
    Ok(Term::from((reference, Term::from(members))))
}

fn monitor_scope(me: &mut Process, scope: &Atom, _: &[Term]) -> Outcome {
    let Some(pg) = me.node().services().pg.find(scope) else {
        return Err(no_scope(scope, Term::atom("monitor")));
    };
    let (reference, groups) = pg.monitor_scope(me);
    let groups = groups.into_iter().map(|(group, pids)| (group, Term::from(pids)));
    Ok(Term::from((reference, Term::Map(groups.collect::<Map>()))))
}

fn demonitor(me: &mut Process, scope: &Atom, arguments: &[Term]) -> Outcome {
    let Some(pg) = me.node().services().pg.find(scope) else {
        return Err(no_scope(scope, request("demonitor", arguments)));
    };
    let Some(Term::Reference(reference)) = arguments.first() else {
        return Ok(Term::from(false));
    };
    let ended = pg.demonitor(me, reference);
    Ok(if ended {
        Term::atom("ok")
    } else {
        Term::from(false)
    })
}
