//! The module `pg` as other nodes call it on this one, with the results and errors that it has there.

use super::{DEFAULT, JoinError, LeaveError, Pg, wire};
use crate::node::{Exception, Node, Outcome, Process, RegisterError};
use crate::otp::erlang::badarg;
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
    ("which_groups", 0, |me, scope, _| groups(me, scope, Pg::groups)),
    ("which_local_groups", 0, |me, scope, _| {
        groups(me, scope, Pg::local_groups)
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
                _ => Err(badarg(name, &arguments)),
            }
        });
    }
    for (name, arity) in [("start", 1), ("start_link", 0), ("start_link", 1)] {
        pg.function(name, arity, move |me, arguments| async move {
            let scope = match arguments.as_slice() {
                [] => Atom::from_static(DEFAULT),
                [Term::Atom(scope)] => scope.clone(),
                _ => return Err(badarg(name, &arguments)),
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
        Err(_) => Term::from((Term::atom("error"), Term::atom("badarg"))),
    }
}

/// What a call of the scope's process comes to when there is none.
fn no_scope(scope: &Atom, request: impl Into<Term>) -> Exception {
    let arguments = Term::from([Term::from(scope.clone()), request.into(), Term::atom("infinity")]);
    let call = (Term::atom("gen_server"), Term::atom("call"), arguments);
    Exception::Exit(Term::from((Term::atom("noproc"), Term::from(call))))
}

fn not_local(bad: impl Into<Term>, function: &'static str, arguments: &[Term]) -> Exception {
    let reason = Term::from((Term::atom("nolocal"), bad.into()));
    let (module, function) = (Atom::from_static(DEFAULT), Atom::from_static(function));
    Exception::error(reason, &module, &function, arguments)
}

/// The pids in an argument, which is one or a list.
fn pids(arguments: &[Term], function: &'static str) -> Result<Vec<Pid>, Exception> {
    let members = arguments.last().unwrap_or(&Term::NIL);
    wire::pids(members).ok_or_else(|| {
        let bad = members
            .as_list()
            .and_then(|list| list.iter().find(|member| !matches!(member, Term::Pid(_))));
        not_local(bad.unwrap_or_else(|| members.clone()), function, arguments)
    })
}

fn join(me: &mut Process, scope: &Atom, arguments: &[Term]) -> Outcome {
    let (group, pids) = (&arguments[0], pids(arguments, "join")?);
    let joined = match me.node().services().pg.find(scope) {
        Some(pg) => pg.join(group, pids),
        None => Err(JoinError::Ended),
    };
    match joined {
        Ok(()) => Ok(Term::atom("ok")),
        Err(JoinError::NotLocal(pid)) => Err(not_local(pid, "join", arguments)),
        Err(JoinError::Ended) => Err(no_scope(scope, request("join_local", arguments))),
    }
}

fn leave(me: &mut Process, scope: &Atom, arguments: &[Term]) -> Outcome {
    let (group, pids) = (&arguments[0], pids(arguments, "leave")?);
    let left = match me.node().services().pg.find(scope) {
        Some(pg) => pg.leave(group, pids),
        None => Err(LeaveError::Ended),
    };
    match left {
        Ok(()) => Ok(Term::atom("ok")),
        Err(LeaveError::NotJoined) => Ok(Term::atom("not_joined")),
        Err(LeaveError::NotLocal(pid)) => Err(not_local(pid, "leave", arguments)),
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

fn groups(me: &mut Process, scope: &Atom, of: fn(&Pg) -> Vec<Term>) -> Outcome {
    let pg = me.node().services().pg.find(scope);
    // There it is a table that is looked into.
    pg.map(|pg| Term::from(of(&pg)))
        .ok_or_else(|| badarg("which_groups", &[Term::from(scope.clone())]))
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
