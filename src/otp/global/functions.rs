//! The module `global`, as other nodes call it by `rpc` and spawn.

use super::api::{LockId, Resolve, export};
use super::tables::Entry;
use crate::node::{Destination, Exception, ExitReason, Node, Outcome, Process};
use crate::otp::erlang::{apply_fun, badarg, badarg_in};
use crate::term::{Atom, Pid, Term};

fn name(text: &'static str) -> Atom {
    Atom::from_static(text)
}

pub(super) fn start(node: &Node) {
    names(node);
    locks(node);
    let module = node.module("global");
    for method in ["random_exit_name", "random_notify_name", "notify_all_name"] {
        module.function(method, 3, move |me, arguments| async move {
            match arguments.as_slice() {
                [shared, Term::Pid(one), Term::Pid(other)] => {
                    Ok(stock(&me, method, shared, one, other).await)
                }
                // Whom it cannot tell, or end.
                [shared, one, other] => {
                    let conflict = Term::atom("global_name_conflict");
                    Err(match method {
                        "random_exit_name" => badarg("exit", &[one.clone(), Term::atom("kill")]),
                        "random_notify_name" => {
                            badarg("send", &[one.clone(), Term::from((conflict, shared.clone()))])
                        }
                        _ => {
                            let told = Term::from((conflict, shared.clone(), other.clone()));
                            badarg("send", &[one.clone(), told])
                        }
                    })
                }
                _ => Err(function_clause(method, &arguments)),
            }
        });
    }
    module.function("resolve_it", 4, async |me, arguments| {
        let [method, shared, one, other] = arguments.as_slice() else {
            return Err(function_clause("resolve_it", &arguments));
        };
        Ok(resolve_it(&me, method, shared, one, other).await)
    });
    for function in ["info", "disconnect"] {
        module.function(function, 0, move |me, _| async move {
            ask(&me, Term::atom(function)).await
        });
    }
    // It runs.
    for function in ["start", "start_link"] {
        module.function(function, 0, async |me, _| {
            let server = me.node().whereis(super::NAME);
            let already = server.map(|server| Term::from((Term::atom("already_started"), server)));
            Ok(Term::from((
                Term::atom("error"),
                already.unwrap_or_else(|| Term::atom("noproc")),
            )))
        });
    }
    module.function("get_locker", 0, async |me, _| {
        let server = me.node().whereis(super::NAME);
        Ok(server.map_or_else(|| Term::atom("undefined"), Term::from))
    });
}

fn names(node: &Node) {
    let module = node.module("global");
    for function in ["register_name", "re_register_name", "register_name_external"] {
        for arity in [2, 3] {
            module.function(function, arity, move |me, arguments| async move {
                let (shared, pid, method) = match arguments.as_slice() {
                    [shared, Term::Pid(pid)] => (shared, pid, Resolve::RandomExit.term()),
                    [shared, Term::Pid(pid), method] => match method_of(method) {
                        Some(method) => (shared, pid, method),
                        None => {
                            let clause = function_clause("allow_tuple_fun", std::slice::from_ref(method));
                            return Err(clause);
                        }
                    },
                    _ => return Err(function_clause(function, &arguments)),
                };
                let change = (
                    Term::atom("change"),
                    Term::atom(function),
                    shared.clone(),
                    pid.clone(),
                    method,
                );
                ask(&me, Term::from(change)).await
            });
        }
    }
    for function in ["unregister_name", "unregister_name_external"] {
        module.function(function, 1, async |me, arguments| {
            let shared = arguments.into_iter().next().unwrap_or(Term::NIL);
            let change = (Term::atom("change"), Term::atom("unregister_name"), shared);
            ask(&me, Term::from(change)).await
        });
    }
    module.function("whereis_name", 1, async |me, arguments| {
        caught_up(&me).await;
        let found = arguments
            .first()
            .and_then(|shared| me.node().global().whereis_name(shared));
        Ok(found.map_or_else(|| Term::atom("undefined"), Term::from))
    });
    module.function("registered_names", 0, async |me, _| {
        caught_up(&me).await;
        Ok(Term::from(me.node().global().registered_names()))
    });
    module.function("send", 2, async |me, arguments| {
        let [shared, message] = arguments.as_slice() else {
            return Err(function_clause("send", &arguments));
        };
        caught_up(&me).await;
        let Some(pid) = me.node().global().whereis_name(shared) else {
            let what = (shared.clone(), message.clone());
            return Err(Exception::Exit(Term::from((Term::atom("badarg"), what))));
        };
        me.send(&pid, message.clone()).await.ok();
        Ok(Term::from(pid))
    });
}

fn locks(node: &Node) {
    let module = node.module("global");
    for arity in [1, 2, 3] {
        module.function("set_lock", arity, async |mut me, arguments| {
            let (id, nodes, retries) = lock_arguments(&me, &arguments)?;
            let global = me.node().global();
            Ok(Term::from(global.set_lock(&mut me, &id, &nodes, retries).await))
        });
    }
    for arity in [1, 2] {
        module.function("del_lock", arity, async |mut me, arguments| {
            let id = lock_id(&arguments[0]).ok_or_else(|| function_clause("del_lock", &arguments))?;
            let nodes = match arguments.get(1) {
                None => me.node().global().nodes(),
                Some(nodes) => named(nodes).ok_or_else(|| {
                    let request = Term::from((Term::atom("del_lock"), id.term()));
                    function_clause_in(
                        "gen_server",
                        "multi_call",
                        &[nodes.clone(), Term::atom(super::NAME), request],
                    )
                })?,
            };
            let global = me.node().global();
            global.del_lock(&mut me, &id, &nodes).await;
            Ok(Term::from(true))
        });
    }
    for arity in [2, 3, 4] {
        module.function("trans", arity, async |mut me, arguments| {
            let mut lock = arguments.clone();
            let fun = lock.remove(1);
            let (id, nodes, retries) = lock_arguments(&me, &lock)?;
            let global = me.node().global();
            if !global.set_lock(&mut me, &id, &nodes, retries).await {
                return Ok(Term::atom("aborted"));
            }
            let outcome = apply(&me, &fun, Vec::new(), ("trans", 4)).await;
            global.del_lock(&mut me, &id, &nodes).await;
            outcome
        });
    }
    for arity in [0, 1] {
        module.function("sync", arity, async |me, arguments| {
            let nodes = match arguments.into_iter().next() {
                Some(nodes) => nodes,
                None => Term::from(me.node().nodes(crate::node::NodeType::Visible)),
            };
            ask(&me, Term::from((Term::atom("sync"), nodes))).await
        });
    }
}

/// The arguments of `set_lock/1,2,3`: `Id`, then `Nodes` and `Retries` if they are there.
fn lock_arguments(me: &Process, arguments: &[Term]) -> Result<(LockId, Vec<Atom>, Option<u32>), Exception> {
    let retries = match arguments.get(2) {
        None => None,
        Some(infinity) if infinity.is_atom("infinity") => None,
        // More than a node tries.
        Some(Term::Integer(retries)) if *retries >= 0 => Some(u32::try_from(*retries).unwrap_or(u32::MAX)),
        Some(_) => return Err(function_clause("set_lock", arguments)),
    };
    let nodes = || match arguments.get(1) {
        None => Term::from(me.node().global().nodes()),
        Some(nodes) => nodes.clone(),
    };
    let Some(id) = arguments.first().and_then(lock_id) else {
        let retries = arguments
            .get(2)
            .cloned()
            .unwrap_or_else(|| Term::atom("infinity"));
        let id = arguments.first().cloned().unwrap_or(Term::NIL);
        return Err(function_clause(
            "set_lock",
            &[id, nodes(), retries, Term::from(1)],
        ));
    };
    let nodes = nodes();
    // There this node is looked for in the list.
    let named = named(&nodes).ok_or_else(|| {
        let sought = [Term::from(me.node().name().clone()), nodes];
        badarg_in("lists", "member", &sought, None)
    })?;
    Ok((id, named, retries))
}

fn lock_id(id: &Term) -> Option<LockId> {
    let [resource, requester] = id.as_tuple()?.array::<2>()?;
    Some(LockId { resource, requester })
}

/// The nodes in a list. What is no node's name there gives no lock, and refuses none.
fn named(nodes: &Term) -> Option<Vec<Atom>> {
    let nodes = nodes.as_list().filter(|nodes| nodes.is_proper())?;
    Some(nodes.iter().filter_map(|node| node.as_atom().cloned()).collect())
}

/// Waits until the name server has seen to what had come before the call: who asks may know that it has been told of a name.
async fn caught_up(me: &Process) {
    let _ = ask(me, Term::atom("get_protocol_version")).await;
}

async fn ask(me: &Process, request: Term) -> Outcome {
    me.node()
        .global()
        .ask(request)
        .await
        .map_err(|_| Exception::Exit(Term::atom("noproc")))
}

/// A fun of three arguments; `{Module, Function}` stands for one.
fn method_of(method: &Term) -> Option<Term> {
    match method {
        Term::Fun(fun) if fun.arity() == Some(3) => Some(method.clone()),
        Term::Tuple(pair) => match pair.array::<2>()? {
            [Term::Atom(module), Term::Atom(function)] => Some(export(module, function)),
            _ => None,
        },
        _ => None,
    }
}

/// What the method of our entry makes of a conflict, on the node of its process; `None` when that cannot be asked.
pub(super) async fn ask_resolver(us: &Node, mine: &Entry, his: &Entry) -> Option<Term> {
    let node = mine.pid.node();
    if node == us.name() {
        let me = us.process();
        let (one, other) = (Term::from(his.pid.clone()), Term::from(mine.pid.clone()));
        return Some(resolve_it(&me, &mine.method, &mine.name, &one, &other).await);
    }
    let arguments = [
        mine.method.clone(),
        mine.name.clone(),
        Term::from(his.pid.clone()),
        Term::from(mine.pid.clone()),
    ];
    us.rpc(node).call("global", "resolve_it", arguments).await.ok()
}

/// `catch Method(Name, One, Other)`.
async fn resolve_it(me: &Process, method: &Term, shared: &Term, one: &Term, other: &Term) -> Term {
    if let (Term::Pid(first), Term::Pid(second), Term::Fun(fun)) = (one, other, method) {
        let stock_method = match fun.as_export() {
            Some((module, function, 3)) if module == *"global" => Some(function),
            // OTP's own, of a release that cannot be known: it has closures of one kind only.
            None if fun.module() == *"global" => Some(name("random_exit_name")),
            _ => None,
        };
        if let Some(method) = stock_method {
            return stock(me, &method, shared, first, second).await;
        }
    }
    let arguments = vec![shared.clone(), one.clone(), other.clone()];
    match apply(me, method, arguments, ("resolve_it", 4)).await {
        Ok(outcome) => outcome,
        Err(Exception::Throw(value)) => value,
        Err(Exception::Exit(reason)) => Term::from((Term::atom("EXIT"), reason)),
        Err(Exception::Error { reason, stack }) => Term::from((Term::atom("EXIT"), (reason, stack))),
    }
}

/// Calls a fun in the process `me`, as `global:within` does it: the trace of what is no fun, or one of another arity, begins there.
async fn apply(me: &Process, fun: &Term, arguments: Vec<Term>, within: (&'static str, usize)) -> Outcome {
    let list = Term::from(arguments);
    match apply_fun(me.handle(), &[fun.clone(), list]) {
        Ok(call) => call.outcome().await,
        Err(Exception::Error { reason, .. }) if reason.as_tuple().is_some() => {
            let (function, arity) = within;
            Err(error_in(reason, function, arity))
        }
        Err(other) => Err(other),
    }
}

/// The methods that OTP has.
async fn stock(me: &Process, method: &str, shared: &Term, one: &Pid, other: &Pid) -> Term {
    let (least, greatest) = if one.node() < other.node() {
        (one, other)
    } else {
        (other, one)
    };
    match method {
        "random_notify_name" => {
            let message = (Term::atom("global_name_conflict"), shared.clone());
            tell(me, greatest, Term::from(message)).await;
            Term::from(least.clone())
        }
        "notify_all_name" => {
            for (pid, rival) in [(one, other), (other, one)] {
                let message = (Term::atom("global_name_conflict"), shared.clone(), rival.clone());
                tell(me, pid, Term::from(message)).await;
            }
            Term::atom("none")
        }
        _ => {
            tracing::info!(name = %shared, pid = %greatest, "global: name conflict, terminating");
            me.exit_other(greatest, ExitReason::KILL).await.ok();
            Term::from(least.clone())
        }
    }
}

async fn tell(me: &Process, to: &Pid, message: Term) {
    me.send(Destination::from(to), message).await.ok();
}

fn function_clause(function: &'static str, arguments: &[Term]) -> Exception {
    function_clause_in("global", function, arguments)
}

fn function_clause_in(module: &'static str, function: &'static str, arguments: &[Term]) -> Exception {
    Exception::error(
        Term::atom("function_clause"),
        &name(module),
        &name(function),
        arguments,
    )
}

/// An error within a function, whose arguments the trace does not show.
fn error_in(reason: Term, function: &'static str, arity: usize) -> Exception {
    let entry = (Term::atom("global"), Term::atom(function), arity, Term::NIL);
    Exception::Error {
        reason,
        stack: Term::from(vec![Term::from(entry)]),
    }
}
