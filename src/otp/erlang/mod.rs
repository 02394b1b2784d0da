//! The module `erlang`, as far as a node without a virtual machine has it: what people and tools call on any node, by
//! `rpc`, `erpc` and spawn. Everything tells the truth about this node; what is not here is `undef`.
//!
//! Exceptions are those of a BEAM node, with the `error_info` that it has had since OTP 24. `halt` ends the program only if it said
//! that it may be ([`Builder::may_halt`](crate::node::Builder::may_halt)); else it stops the node.

mod processes;
mod system;

use std::time::Duration;

use processes::Sending;

use super::erpc::{apply, proper};
use crate::dist::Cookie;
use crate::node::{Call, Exception, ExitReason, Node, NodeType, Outcome, Process, SpawnOptions};
use crate::term::{Atom, Term};

/// A function that is done at once.
type Function = fn(&Process, &[Term]) -> Option<Term>;

/// The functions that are done at once; `None` is `badarg`.
const FUNCTIONS: [(&str, usize, Function); 57] = [
    ("node", 0, |me, _| Some(me.node().name().into())),
    ("node", 1, |_, arguments| node_of(arguments.first()?)),
    ("nodes", 0, |me, _| {
        Some(Term::from(me.node().nodes(NodeType::Visible)))
    }),
    ("nodes", 1, |me, arguments| {
        system::nodes(me.node(), arguments.first()?)
    }),
    ("nodes", 2, |me, arguments| {
        system::nodes_with_info(me.node(), arguments.first()?, arguments.get(1)?)
    }),
    ("is_alive", 0, |_, _| Some(Term::from(true))),
    ("self", 0, |me, _| Some(me.pid().into())),
    ("make_ref", 0, |me, _| Some(me.node().make_ref().into())),
    ("whereis", 1, |me, arguments| {
        let found = me.node().whereis(arguments.first()?.as_atom()?);
        Some(found.map_or_else(|| Term::atom("undefined"), Term::from))
    }),
    ("registered", 0, |me, _| Some(Term::from(me.node().registered()))),
    ("unregister", 1, |me, arguments| {
        me.node()
            .unregister(arguments.first()?.as_atom()?)
            .then(|| Term::from(true))
    }),
    ("processes", 0, |me, _| Some(Term::from(me.node().processes()))),
    ("ports", 0, |_, _| Some(Term::NIL)),
    ("is_process_alive", 1, |me, arguments| {
        let Term::Pid(pid) = arguments.first()? else {
            return None;
        };
        let ours = pid.node() == me.node().name();
        ours.then(|| Term::from(me.node().process_info(pid).is_some()))
    }),
    ("process_info", 1, |me, arguments| {
        processes::info(me.node(), arguments.first()?, None)
    }),
    ("process_info", 2, |me, arguments| {
        processes::info(me.node(), arguments.first()?, arguments.get(1))
    }),
    ("group_leader", 0, |me, _| Some(me.group_leader().into())),
    ("disconnect_node", 1, |me, arguments| {
        Some(match arguments.first()? {
            Term::Atom(node) => Term::from(me.node().disconnect(node)),
            _ => Term::atom("ignored"),
        })
    }),
    ("get_cookie", 0, |me, _| {
        cookie(&me.node().cookie(me.node().name()))
    }),
    ("get_cookie", 1, |me, arguments| {
        cookie(&me.node().cookie(arguments.first()?.as_atom()?))
    }),
    ("set_cookie", 1, |me, arguments| {
        let cookie = Cookie::new(arguments.first()?.as_atom()?).ok()?;
        me.node().set_cookie(me.node().name().clone(), cookie);
        Some(Term::from(true))
    }),
    ("set_cookie", 2, |me, arguments| {
        let [Term::Atom(peer), Term::Atom(cookie)] = arguments else {
            return None;
        };
        me.node().set_cookie(peer.clone(), Cookie::new(cookie).ok()?);
        Some(Term::from(true))
    }),
    ("memory", 0, |me, _| system::memory(me.node())),
    ("memory", 1, |me, arguments| {
        system::memory_of(me.node(), arguments.first()?)
    }),
    ("statistics", 1, |me, arguments| {
        system::statistics(me.node(), arguments.first()?)
    }),
    ("system_info", 1, |me, arguments| {
        system::system_info(me.node(), arguments.first()?)
    }),
    ("monotonic_time", 0, |me, _| {
        system::monotonic_time(me.node(), None)
    }),
    ("monotonic_time", 1, |me, arguments| {
        system::monotonic_time(me.node(), arguments.first())
    }),
    ("system_time", 0, |_, _| system::system_time(None)),
    ("system_time", 1, |_, arguments| {
        system::system_time(arguments.first())
    }),
    ("time_offset", 0, |me, _| system::time_offset(me.node(), None)),
    ("time_offset", 1, |me, arguments| {
        system::time_offset(me.node(), arguments.first())
    }),
    ("timestamp", 0, |_, _| Some(system::timestamp())),
    ("now", 0, |_, _| Some(system::timestamp())),
    ("universaltime", 0, |_, _| {
        Some(Term::from(system::universal_time()))
    }),
    ("localtime", 0, |_, _| Some(Term::from(system::universal_time()))),
    ("date", 0, |_, _| Some(system::universal_time().0)),
    ("time", 0, |_, _| Some(system::universal_time().1)),
    ("unique_integer", 0, |me, _| {
        Some(Term::from(me.node().unique_integer()))
    }),
    ("unique_integer", 1, |me, arguments| {
        let known = |option: &Term| option.is_atom("positive") || option.is_atom("monotonic");
        let options = proper(arguments.first()?)?;
        options
            .iter()
            .all(|option| known(&option))
            .then(|| Term::from(me.node().unique_integer()))
    }),
    ("function_exported", 3, |me, arguments| {
        exported(me, arguments).map(Term::from)
    }),
    ("is_builtin", 3, |me, arguments| {
        let builtin = arguments.first()?.is_atom("erlang");
        exported(me, arguments).map(|exported| Term::from(exported && builtin))
    }),
    ("module_loaded", 1, |me, arguments| {
        Some(Term::from(me.node().has_module(arguments.first()?.as_atom()?)))
    }),
    ("loaded", 0, |me, _| Some(Term::from(me.node().module_names()))),
    ("pre_loaded", 0, |_, _| {
        Some(Term::from(["erlang", "init"].map(Term::atom)))
    }),
    ("pid_to_list", 1, |me, arguments| {
        processes::pid_to_list(me.node(), arguments.first()?)
    }),
    ("list_to_pid", 1, |me, arguments| {
        processes::list_to_pid(me.node(), arguments.first()?)
    }),
    ("ref_to_list", 1, |me, arguments| {
        processes::ref_to_list(me.node(), arguments.first()?)
    }),
    ("unlink", 1, |me, arguments| {
        let Term::Pid(pid) = arguments.first()? else {
            return None;
        };
        me.unlink(pid);
        Some(Term::from(true))
    }),
    ("demonitor", 1, processes::demonitor),
    ("demonitor", 2, processes::demonitor),
    ("garbage_collect", 0, |_, _| Some(Term::from(true))),
    ("garbage_collect", 1, |me, arguments| {
        let Term::Pid(pid) = arguments.first()? else {
            return None;
        };
        let ours = pid.node() == me.node().name();
        ours.then(|| Term::from(me.node().process_info(pid).is_some()))
    }),
    ("yield", 0, |_, _| Some(Term::from(true))),
    ("get", 0, |_, _| Some(Term::NIL)),
    ("get", 1, |_, _| Some(Term::atom("undefined"))),
    ("get_keys", 0, |_, _| Some(Term::NIL)),
];

pub(super) fn start(node: &Node) {
    let erlang = node.module("erlang");
    for (name, arity, function) in FUNCTIONS {
        erlang.at_once(name, arity, move |me, arguments| {
            function(me, arguments).ok_or_else(|| badarg(name, arguments))
        });
    }
    erlang.at_once("register", 2, processes::register);
    erlang.at_once("process_flag", 2, |me, arguments| match arguments {
        [flag, value] if flag.is_atom("trap_exit") => match value.as_bool() {
            Some(trap) => Ok(Term::from(me.trap_exit(trap))),
            None => Err(badarg("process_flag", arguments)),
        },
        _ => Err(badarg_because("process_flag", arguments, "badopt")),
    });
    erlang.function("link", 1, async |me, arguments| match arguments.as_slice() {
        [Term::Pid(pid)] => {
            me.link(pid).await;
            Ok(Term::from(true))
        }
        _ => Err(badarg("link", &arguments)),
    });
    erlang.function("group_leader", 2, async |me, arguments| {
        match arguments.as_slice() {
            [Term::Pid(leader), Term::Pid(pid)] if me.lead(pid, leader.clone()).await => Ok(Term::from(true)),
            _ => Err(badarg("group_leader", &arguments)),
        }
    });
    erlang.function("monitor", 2, async |me, arguments| {
        processes::monitor(&me, &arguments).await
    });
    for (name, arity, sending) in [
        ("send", 2, Sending::Message),
        ("!", 2, Sending::Message),
        ("send", 3, Sending::Options),
        ("send_nosuspend", 2, Sending::NoSuspend),
        ("send_nosuspend", 3, Sending::NoSuspend),
    ] {
        erlang.function(name, arity, move |me, arguments| async move {
            processes::send(&me, name, &arguments, sending).await
        });
    }
    raising(node);
    applying(node);
    spawning(node);
    for arity in [0, 1, 2] {
        erlang.function("halt", arity, async |me, arguments| halt(&me, &arguments).await);
    }
}

/// `throw`, `exit`, `error` and `raise`.
fn raising(node: &Node) {
    let erlang = node.module("erlang");
    erlang.at_once("throw", 1, |_, arguments| raise(arguments, Exception::Throw));
    erlang.at_once("exit", 1, |_, arguments| raise(arguments, Exception::Exit));
    erlang.function("exit", 2, async |me, arguments| match arguments.as_slice() {
        [Term::Pid(pid), reason] => {
            // As in Erlang, nobody is told that it could not be sent.
            me.exit_other(pid, ExitReason::from(reason.clone())).await.ok();
            Ok(Term::from(true))
        }
        // Of OTP 28.
        [Term::Reference(alias), reason] => {
            me.exit_alias(alias, reason.clone(), false).await.ok();
            Ok(Term::from(true))
        }
        _ => Err(badarg("exit", &arguments)),
    });
    let error = |reason| Exception::Error {
        reason,
        stack: Term::NIL,
    };
    for arity in [1, 2, 3] {
        erlang.at_once("error", arity, move |_, arguments| raise(arguments, error));
    }
    erlang.at_once("raise", 3, |_, arguments| match arguments {
        [Term::Atom(class), reason, stack @ Term::List(_)] => {
            let reason = reason.clone();
            match class.as_str() {
                "throw" => Err(Exception::Throw(reason)),
                "exit" => Err(Exception::Exit(reason)),
                "error" => Err(Exception::Error {
                    reason,
                    stack: stack.clone(),
                }),
                _ => Ok(Term::atom("badarg")),
            }
        }
        // It returns it, as Erlang's does.
        _ => Ok(Term::atom("badarg")),
    });
}

fn applying(node: &Node) {
    let erlang = node.module("erlang");
    erlang.insert("apply", 3, |me, arguments| match arguments.as_slice() {
        [module, function, list] => apply(me, module, function, list),
        _ => Call::Done(Err(badarg("apply", &arguments))),
    });
    erlang.insert("apply", 2, |me, arguments| {
        apply_fun(me, &arguments).unwrap_or_else(|exception| Call::Done(Err(exception)))
    });
}

/// `spawn/3,4`, `spawn_link/3,4` and `spawn_monitor/3,4`, from a process that may soon end.
fn spawning(node: &Node) {
    let erlang = node.module("erlang");
    for (name, link, monitor) in [
        ("spawn", false, false),
        ("spawn_link", true, false),
        ("spawn_monitor", false, true),
    ] {
        for arity in [3, 4] {
            erlang.function(name, arity, move |me, arguments| async move {
                spawn(
                    &me,
                    name,
                    &arguments,
                    SpawnOptions {
                        link,
                        monitor,
                        ..SpawnOptions::default()
                    },
                )
                .await
            });
        }
    }
}

async fn spawn(me: &Process, name: &'static str, arguments: &[Term], options: SpawnOptions) -> Outcome {
    let (node, call) = match arguments {
        [Term::Atom(node), call @ ..] if call.len() == 3 => (node.clone(), call),
        call => (me.node().name().clone(), call),
    };
    let [Term::Atom(module), Term::Atom(function), list] = call else {
        return Err(badarg(name, arguments));
    };
    let list = proper(list).ok_or_else(|| badarg(name, arguments))?;
    let function = (module.clone(), function.clone());
    let list: Vec<Term> = list.iter().collect();
    match me.spawn_on(&node, function, list, options).await {
        Ok(spawned) => Ok(match spawned.monitor {
            Some(monitor) => Term::from((spawned.pid, monitor)),
            None => Term::from(spawned.pid),
        }),
        Err(crate::node::SpawnError::Refused(reason)) => Err(Exception::Error {
            reason: reason.into(),
            stack: Term::NIL,
        }),
        Err(_) => Err(Exception::Error {
            reason: Term::atom("noconnection"),
            stack: Term::NIL,
        }),
    }
}

pub(super) fn badarg(function: &'static str, arguments: &[Term]) -> Exception {
    raised_by(function, arguments, crate::term!(#{module => erl_erts_errors}))
}

/// `badarg` of which `error_info` says more.
pub(super) fn badarg_because(function: &'static str, arguments: &[Term], cause: &'static str) -> Exception {
    let info = crate::term!(#{cause => (Term::atom(cause)), module => erl_erts_errors});
    raised_by(function, arguments, info)
}

/// `badarg` of a function of `stdlib` that is no Erlang code, of which `error_info` says more.
pub(super) fn badarg_in(
    module: &'static str,
    function: &'static str,
    arguments: &[Term],
    cause: Option<&'static str>,
) -> Exception {
    let info = match cause {
        None => crate::term!(#{module => erl_stdlib_errors}),
        Some(cause) => crate::term!(#{cause => (Term::atom(cause)), module => erl_stdlib_errors}),
    };
    informed(module, function, arguments, info)
}

fn raised_by(function: &'static str, arguments: &[Term], info: Term) -> Exception {
    informed("erlang", function, arguments, info)
}

fn informed(module: &'static str, function: &'static str, arguments: &[Term], info: Term) -> Exception {
    let location = vec![Term::from((Term::atom("error_info"), info))];
    let entry = (
        Term::atom(module),
        Term::atom(function),
        Term::from(arguments.to_vec()),
        Term::from(location),
    );
    Exception::Error {
        reason: Term::atom("badarg"),
        stack: Term::from(vec![Term::from(entry)]),
    }
}

/// Raises the first argument.
fn raise(arguments: &[Term], class: impl FnOnce(Term) -> Exception) -> Outcome {
    Err(class(arguments.first().cloned().unwrap_or(Term::NIL)))
}

/// `apply(Fun, Arguments)`: what a spawned fun comes as. Only `fun Module:Function/Arity` is more than a name here.
pub(super) fn apply_fun(me: Process, arguments: &[Term]) -> Result<Call, Exception> {
    let [fun, list] = arguments else {
        return Err(badarg("apply", arguments));
    };
    if matches!(fun, Term::Fun(_)) && proper(list).is_none() {
        return Err(badarg("apply", arguments));
    }
    if let Term::Fun(fun) = fun
        && let Some((module, function, arity)) = fun.as_export()
    {
        let given = list.as_list().map_or(0, |list| list.iter().count());
        if given != usize::from(arity) {
            let reason = Term::from((Term::atom("badarity"), (Term::from(fun.clone()), list.clone())));
            return Err(Exception::Error {
                reason,
                stack: Term::NIL,
            });
        }
        return Ok(apply(me, &Term::from(module), &Term::from(function), list));
    }
    if !matches!(fun, Term::Fun(_)) {
        let entry = (Term::atom("erlang"), Term::atom("apply"), 2, Term::NIL);
        return Err(Exception::Error {
            reason: Term::from((Term::atom("badfun"), fun.clone())),
            stack: Term::from(vec![Term::from(entry)]),
        });
    }
    // The code of a closure is in its module, which is not here: what a BEAM node without the module says.
    let entry = Term::from((fun.clone(), list.clone(), Term::NIL));
    Err(Exception::Error {
        reason: Term::atom("undef"),
        stack: Term::from(vec![entry]),
    })
}

/// `halt/0,1,2`: with a status, a text to halt with, or `abort`.
async fn halt(me: &Process, arguments: &[Term]) -> Outcome {
    let status = match arguments.first() {
        None => 0,
        Some(Term::Integer(status)) if *status >= 0 => i32::try_from(status & 0xff).unwrap_or(1),
        Some(Term::List(text)) if text.to_text().is_some() => 1,
        Some(Term::Atom(word)) if *word == *"abort" => 1,
        Some(_) => return Err(badarg("halt", arguments)),
    };
    let node = me.node().clone();
    // A task of its own, since every process ends with the node.
    tokio::spawn(async move {
        node.halt().await;
        end_program(&node, status);
    });
    std::future::pending().await
}

/// So long may the answer to `init:stop` take.
const ANSWERED: Duration = Duration::from_millis(500);

/// `init:stop`, which answers before it does it: the answer goes with the end of the process that asks, unless that has more to do.
pub(super) fn stop(asking: &Process, status: i32) {
    let (node, asking) = (asking.node().clone(), asking.pid().clone());
    tokio::spawn(async move {
        let mut watching = node.process();
        watching.monitor(&asking).await;
        tokio::time::timeout(ANSWERED, watching.recv()).await.ok();
        node.shutdown().await;
        end_program(&node, status);
    });
}

/// Ends the program, if it may be.
fn end_program(node: &Node, status: i32) {
    if node.halts() {
        std::process::exit(status);
    }
}

fn node_of(term: &Term) -> Option<Term> {
    Some(match term {
        Term::Pid(pid) => pid.node().into(),
        Term::Port(port) => port.node().into(),
        Term::Reference(reference) => reference.node().into(),
        _ => return None,
    })
}

fn exported(me: &Process, arguments: &[Term]) -> Option<bool> {
    let [Term::Atom(module), Term::Atom(function), Term::Integer(arity)] = arguments else {
        return None;
    };
    // None has less than no arguments.
    let found =
        usize::try_from(*arity).is_ok_and(|arity| me.node().function(module, function, arity).is_some());
    Some(found)
}

fn cookie(cookie: &Cookie) -> Option<Term> {
    let text: String = cookie.as_bytes().iter().map(|&byte| char::from(byte)).collect();
    Atom::new(&text).ok().map(Term::from)
}
