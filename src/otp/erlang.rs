//! The module `erlang`, as far as a node without a virtual machine has it: what people and tools call on any node, by
//! `rpc`, `erpc` and spawn. Everything tells the truth about this node; what is not here is `undef`.
//!
//! `halt` ends the program only if it said that it may be ([`Builder::may_halt`](crate::node::Builder::may_halt)); else it stops
//! the node.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::erpc::apply;
use crate::dist::Cookie;
use crate::node::{Destination, Exception, ExitReason, Node, NodeType, Outcome, Process};
use crate::term::{Atom, List, Pid, Term};

/// A function that is done at once.
type Function = fn(&Process, &[Term]) -> Option<Term>;

/// The functions that are done at once; `None` is `badarg`.
const FUNCTIONS: [(&str, usize, Function); 36] = [
    ("node", 0, |me, _| Some(me.node().name().into())),
    ("node", 1, |_, arguments| node_of(arguments.first()?)),
    ("nodes", 0, |me, _| {
        Some(names(me.node().nodes(NodeType::Visible)))
    }),
    ("nodes", 1, |me, arguments| nodes(me.node(), arguments.first()?)),
    ("is_alive", 0, |_, _| Some(Term::from(true))),
    ("self", 0, |me, _| Some(me.pid().into())),
    ("make_ref", 0, |me, _| Some(me.node().make_ref().into())),
    ("whereis", 1, |me, arguments| {
        let found = me.node().whereis(arguments.first()?.as_atom()?);
        Some(found.map_or_else(|| Term::atom("undefined"), Term::from))
    }),
    ("registered", 0, |me, _| Some(names(me.node().registered()))),
    ("register", 2, |me, arguments| {
        let [Term::Atom(name), Term::Pid(pid)] = arguments else {
            return None;
        };
        me.node().register(name, pid).ok().map(|()| Term::from(true))
    }),
    ("unregister", 1, |me, arguments| {
        me.node()
            .unregister(arguments.first()?.as_atom()?)
            .then(|| Term::from(true))
    }),
    ("processes", 0, |me, _| Some(Term::from(me.node().processes()))),
    ("is_process_alive", 1, |me, arguments| {
        let Term::Pid(pid) = arguments.first()? else {
            return None;
        };
        let ours = pid.node() == me.node().name();
        ours.then(|| Term::from(me.node().process_info(pid).is_some()))
    }),
    ("process_info", 1, |me, arguments| {
        process_info(me.node(), arguments.first()?, None)
    }),
    ("process_info", 2, |me, arguments| {
        process_info(me.node(), arguments.first()?, arguments.get(1))
    }),
    ("group_leader", 0, |me, _| Some(me.group_leader().into())),
    ("group_leader", 2, |me, arguments| {
        let [Term::Pid(leader), Term::Pid(pid)] = arguments else {
            return None;
        };
        me.node()
            .set_group_leader(pid, leader.clone())
            .then(|| Term::from(true))
    }),
    ("disconnect_node", 1, |me, arguments| {
        Some(Term::from(me.node().disconnect(arguments.first()?.as_atom()?)))
    }),
    ("get_cookie", 0, |me, _| {
        cookie(&me.node().cookie(me.node().name()))
    }),
    ("get_cookie", 1, |me, arguments| {
        cookie(&me.node().cookie(arguments.first()?.as_atom()?))
    }),
    ("set_cookie", 2, |me, arguments| {
        let [Term::Atom(peer), Term::Atom(cookie)] = arguments else {
            return None;
        };
        me.node().set_cookie(peer.clone(), Cookie::new(cookie).ok()?);
        Some(Term::from(true))
    }),
    ("memory", 0, |_, _| {
        let bytes = resident()?;
        Some(Term::from(vec![
            Term::from((Term::atom("total"), bytes)),
            Term::from((Term::atom("system"), bytes)),
        ]))
    }),
    ("memory", 1, |_, arguments| {
        let known = arguments.first()?.is_atom("total") || arguments.first()?.is_atom("system");
        known.then(resident)?.map(Term::from)
    }),
    ("statistics", 1, |me, arguments| {
        statistics(me.node(), arguments.first()?.as_atom()?)
    }),
    ("system_info", 1, |me, arguments| {
        system_info(me.node(), arguments.first()?.as_atom()?)
    }),
    ("monotonic_time", 0, |me, _| {
        in_unit(i128_of(me.node().uptime()), 1_000_000_000)
    }),
    ("monotonic_time", 1, |me, arguments| {
        in_unit(i128_of(me.node().uptime()), parts(arguments.first()?)?)
    }),
    ("system_time", 0, |_, _| in_unit(since_epoch(), 1_000_000_000)),
    ("system_time", 1, |_, arguments| {
        in_unit(since_epoch(), parts(arguments.first()?)?)
    }),
    ("time_offset", 0, |me, _| {
        in_unit(since_epoch() - i128_of(me.node().uptime()), 1_000_000_000)
    }),
    ("timestamp", 0, |_, _| {
        let micros = since_epoch() / 1000;
        let seconds = micros / 1_000_000;
        Some(Term::from((
            seconds / 1_000_000,
            seconds % 1_000_000,
            micros % 1_000_000,
        )))
    }),
    ("unique_integer", 0, |me, _| {
        Some(Term::from(me.node().unique_integer()))
    }),
    ("unique_integer", 1, |me, _| {
        Some(Term::from(me.node().unique_integer()))
    }),
    ("function_exported", 3, |me, arguments| {
        let [Term::Atom(module), Term::Atom(function), Term::Integer(arity)] = arguments else {
            return None;
        };
        let arity = usize::try_from(*arity).ok()?;
        Some(Term::from(me.node().function(module, function, arity).is_some()))
    }),
    ("pid_to_list", 1, |_, arguments| {
        let Term::Pid(pid) = arguments.first()? else {
            return None;
        };
        Some(Term::List(List::from_chars(&pid.to_string())))
    }),
    ("module_loaded", 1, |me, arguments| {
        Some(Term::from(me.node().has_module(arguments.first()?.as_atom()?)))
    }),
];

pub(super) fn start(node: &Node) {
    let erlang = node.module("erlang");
    for (name, arity, function) in FUNCTIONS {
        erlang.function(Atom::from_static(name), arity, move |me, arguments| async move {
            function(&me, &arguments).ok_or_else(|| badarg(name, &arguments))
        });
    }
    erlang.function("throw", 1, async |_, arguments| {
        raise(arguments, Exception::Throw)
    });
    erlang.function("exit", 1, async |_, arguments| raise(arguments, Exception::Exit));
    erlang.function("error", 1, async |_, arguments| {
        raise(arguments, |reason| Exception::Error {
            reason,
            stack: Term::NIL,
        })
    });
    erlang.function("exit", 2, async |me, arguments| match arguments.as_slice() {
        [Term::Pid(pid), reason] => {
            // As in Erlang, nobody is told that it could not be sent.
            me.exit_other(pid, ExitReason::from(reason.clone())).await.ok();
            Ok(Term::from(true))
        }
        _ => Err(badarg("exit", &arguments)),
    });
    for name in ["send", "!"] {
        erlang.function(Atom::from_static(name), 2, move |me, arguments| async move {
            send(&me, name, &arguments).await
        });
    }
    erlang.function("send", 3, async |me, arguments| {
        send(&me, "send", &arguments).await
    });
    erlang.function("apply", 3, async |me, arguments| match arguments.as_slice() {
        [module, function, list] => apply(me, module, function, list).await,
        _ => Err(badarg("apply", &arguments)),
    });
    erlang.function("apply", 2, async |me, arguments| apply_fun(me, &arguments).await);
    erlang.function("halt", 0, async |me, _| halt(&me, 0).await);
    erlang.function("halt", 1, async |me, arguments| match arguments.as_slice() {
        [Term::Integer(status)] => halt(&me, i32::try_from(status & 0xff).unwrap_or(1)).await,
        _ => halt(&me, 1).await,
    });
}

pub(super) fn badarg(function: &'static str, arguments: &[Term]) -> Exception {
    let (module, function) = (Atom::from_static("erlang"), Atom::from_static(function));
    Exception::error(Atom::from_static("badarg"), &module, &function, arguments)
}

fn raise(mut arguments: Vec<Term>, class: impl FnOnce(Term) -> Exception) -> Outcome {
    Err(class(arguments.pop().unwrap_or(Term::NIL)))
}

/// `To ! Message`, and `send/2,3`.
async fn send(me: &Process, function: &'static str, arguments: &[Term]) -> Outcome {
    let [to, message, ..] = arguments else {
        return Err(badarg(function, arguments));
    };
    let destination = match to {
        Term::Pid(pid) => Destination::from(pid),
        Term::Reference(alias) => Destination::from(alias.clone()),
        Term::Atom(name) if me.node().whereis(name).is_some() => Destination::from(name),
        _ => match to.as_tuple().and_then(|tuple| tuple.array()) {
            Some([Term::Atom(name), Term::Atom(node)]) => Destination::from((name, node)),
            _ => return Err(badarg(function, arguments)),
        },
    };
    me.send(destination, message.clone()).await.ok();
    Ok(if arguments.len() == 3 {
        Term::atom("ok")
    } else {
        message.clone()
    })
}

/// `apply(Fun, Arguments)`: what a spawned fun comes as. Only `fun Module:Function/Arity` is more than a name here.
async fn apply_fun(me: Process, arguments: &[Term]) -> Outcome {
    let [fun, list] = arguments else {
        return Err(badarg("apply", arguments));
    };
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
        return apply(me, &Term::from(module), &Term::from(function), list).await;
    }
    if !matches!(fun, Term::Fun(_)) {
        return Err(Exception::Error {
            reason: Term::from((Term::atom("badfun"), fun.clone())),
            stack: Term::NIL,
        });
    }
    // The code of a closure is in its module, which is not here: what a BEAM node without the module says.
    let entry = Term::from((fun.clone(), list.clone(), Term::NIL));
    Err(Exception::Error {
        reason: Term::atom("undef"),
        stack: Term::from(vec![entry]),
    })
}

async fn halt(me: &Process, status: i32) -> Outcome {
    stop(me.node(), status);
    std::future::pending().await
}

/// Stops the node, in a task of its own since every process ends with it, and the program if it may be.
pub(super) fn stop(node: &Node, status: i32) {
    let node = node.clone();
    tokio::spawn(async move {
        let halts = node.halts();
        node.shutdown().await;
        if halts {
            std::process::exit(status);
        }
    });
}

fn names(names: Vec<Atom>) -> Term {
    Term::from(names)
}

fn node_of(term: &Term) -> Option<Term> {
    Some(match term {
        Term::Pid(pid) => pid.node().into(),
        Term::Port(port) => port.node().into(),
        Term::Reference(reference) => reference.node().into(),
        _ => return None,
    })
}

fn nodes(node: &Node, kind: &Term) -> Option<Term> {
    if let Term::List(list) = kind {
        let all = list
            .iter()
            .map(|kind| nodes(node, &kind)?.as_list().map(List::iter));
        let mut all: Vec<Term> = all.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
        all.sort();
        all.dedup();
        return Some(Term::from(all));
    }
    let this = || vec![node.name().clone()];
    Some(names(match kind.as_atom()?.as_str() {
        "visible" => node.nodes(NodeType::Visible),
        "hidden" => node.nodes(NodeType::Hidden),
        "connected" => node.nodes(NodeType::All),
        "this" => this(),
        "known" => [this(), node.nodes(NodeType::All)].concat(),
        _ => return None,
    }))
}

fn process_info(node: &Node, pid: &Term, items: Option<&Term>) -> Option<Term> {
    let Term::Pid(pid) = pid else { return None };
    if pid.node() != node.name() {
        return None;
    }
    let Some(info) = node.process_info(pid) else {
        return Some(Term::atom("undefined"));
    };
    let pids = |pids: Vec<Pid>| Term::from(pids);
    let value = |name: &str| {
        Some(match name {
            "registered_name" => info.registered_name.clone().map_or(Term::NIL, Term::from),
            "message_queue_len" => Term::from(info.message_queue_len),
            "links" => pids(info.links.clone()),
            "monitors" => {
                let monitors = info
                    .monitors
                    .iter()
                    .map(|item| Term::from((Term::atom("process"), item.term())));
                Term::from(monitors.collect::<Vec<_>>())
            }
            "monitored_by" => pids(info.monitored_by.clone()),
            "trap_exit" => Term::from(info.trap_exit),
            "group_leader" => Term::from(info.group_leader.clone()),
            "memory" => Term::from(info.mailbox_bytes),
            "status" => Term::atom("waiting"),
            "dictionary" => Term::NIL,
            _ => return None,
        })
    };
    let pair = |name: &str| Some(Term::from((Term::from(Atom::new(name).ok()?), value(name)?)));
    match items {
        None => {
            let mut all = vec![
                "message_queue_len",
                "links",
                "monitors",
                "monitored_by",
                "trap_exit",
                "group_leader",
                "memory",
                "status",
                "dictionary",
            ];
            if info.registered_name.is_some() {
                all.insert(0, "registered_name");
            }
            Some(Term::from(all.into_iter().filter_map(pair).collect::<Vec<_>>()))
        }
        // The one item that is not there rather than empty.
        Some(Term::Atom(name)) if *name == *"registered_name" && info.registered_name.is_none() => {
            Some(Term::NIL)
        }
        Some(Term::Atom(name)) => pair(name),
        Some(Term::List(names)) => {
            let pairs = names
                .iter()
                .map(|name| pair(name.as_atom()?))
                .collect::<Option<Vec<_>>>()?;
            Some(Term::from(pairs))
        }
        Some(_) => None,
    }
}

fn cookie(cookie: &Cookie) -> Option<Term> {
    let text: String = cookie.as_bytes().iter().map(|&byte| char::from(byte)).collect();
    Atom::new(&text).ok().map(Term::from)
}

/// The memory of this program that is in use, in bytes, where the system says.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn statistics(node: &Node, item: &Atom) -> Option<Term> {
    Some(match item.as_str() {
        "wall_clock" => {
            let (all, since) = node.wall_clock();
            Term::from((i128_of(all) / 1_000_000, i128_of(since) / 1_000_000))
        }
        "run_queue" => Term::from(0),
        _ => return None,
    })
}

fn system_info(node: &Node, item: &Atom) -> Option<Term> {
    let text = |text: &str| Term::List(List::from_chars(text));
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    Some(match item.as_str() {
        "process_count" => Term::from(node.processes().len()),
        "process_limit" => Term::from(1_u64 << 28),
        "system_version" => text(concat!("beamnode ", env!("CARGO_PKG_VERSION"), "\n")),
        "version" => text(env!("CARGO_PKG_VERSION")),
        "otp_release" => text("29"),
        "machine" => text("beamnode"),
        "system_architecture" => text(std::env::consts::ARCH),
        "creation" => Term::from(node.creation()),
        "schedulers" | "schedulers_online" | "logical_processors" | "logical_processors_available" => {
            Term::from(cores())
        }
        "wordsize" => Term::from(size_of::<usize>()),
        "start_time" => Term::from(0),
        _ => return None,
    })
}

/// How many parts of a second a time unit is.
fn parts(unit: &Term) -> Option<i128> {
    Some(match unit {
        Term::Integer(parts) if *parts > 0 => (*parts).into(),
        Term::Atom(unit) => match unit.as_str() {
            "second" | "seconds" => 1,
            "millisecond" | "milli_seconds" => 1_000,
            "microsecond" | "micro_seconds" => 1_000_000,
            "nanosecond" | "nano_seconds" | "native" | "perf_counter" => 1_000_000_000,
            _ => return None,
        },
        _ => return None,
    })
}

fn in_unit(nanoseconds: i128, parts: i128) -> Option<Term> {
    Some(Term::from(
        nanoseconds.checked_mul(parts)?.div_euclid(1_000_000_000),
    ))
}

fn i128_of(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

fn since_epoch() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, i128_of)
}
