//! `rpc` and `erpc`, called on this node to call on others, with the group leader and the rights of who asked for it.

use std::time::Duration;

use super::super::rpc::{Order, RpcError};
use super::{error_in, function_clause};
use crate::node::{Destination, Exception, Node, NodeType, Outcome, Process};
use crate::term::{Atom, Term};

pub(super) fn start(node: &Node) {
    calls(node);
    casts(node);
    multicalls(node);
    broadcasts(node);
}

/// A function to call: module, name, arguments.
struct Target {
    module: Atom,
    function: Atom,
    arguments: Vec<Term>,
}

impl Target {
    fn read(target: &[Term]) -> Option<Self> {
        match target {
            [Term::Atom(module), Term::Atom(function), Term::List(list)] if list.is_proper() => Some(Self {
                module: module.clone(),
                function: function.clone(),
                arguments: list.iter().collect(),
            }),
            // `fun Module:Function/0`; closures have no code here.
            [Term::Fun(fun)] => {
                let (module, function, arity) = fun.as_export()?;
                (arity == 0).then_some(Self {
                    module,
                    function,
                    arguments: Vec::new(),
                })
            }
            _ => None,
        }
    }

    fn order(&self, me: &Process, peer: &Atom, timeout: Option<Duration>) -> Order {
        Order {
            node: me.node().clone(),
            peer: peer.clone(),
            module: self.module.clone(),
            function: self.function.clone(),
            arguments: self.arguments.clone(),
            timeout,
            on_behalf: Some(me.handle()),
        }
    }
}

/// A time in milliseconds, or `infinity`; `None` for what is neither.
fn patience(time: Option<&Term>) -> Option<Option<Duration>> {
    match time {
        None => Some(None),
        Some(Term::Atom(word)) if *word == *"infinity" => Some(None),
        Some(Term::Integer(time)) if *time >= 0 => Some(Some(Duration::from_millis(time.unsigned_abs()))),
        Some(_) => None,
    }
}

/// `Node, Module, Function, Arguments` or `Node, Fun`, and perhaps a time.
fn called(arguments: &[Term]) -> Option<(Atom, Target, Option<Duration>)> {
    let (call, time) = match arguments.len() {
        3 | 5 => {
            let (time, call) = arguments.split_last()?;
            (call, Some(time))
        }
        _ => (arguments, None),
    };
    let [Term::Atom(peer), target @ ..] = call else {
        return None;
    };
    Some((peer.clone(), Target::read(target)?, patience(time)?))
}

/// `rpc:call`'s way to say that its arguments are wrong.
fn rpc_badarg() -> Exception {
    error_in(Atom::from_static("badarg"), "rpc", "rpcify_exception", 2)
}

fn erpc_badarg(function: &'static str, arity: usize) -> Exception {
    let reason = Term::from((Term::atom("erpc"), Term::atom("badarg")));
    error_in(reason, "erpc", function, arity)
}

fn bad_rpc(error: &RpcError) -> Term {
    Term::from((Term::atom("badrpc"), error.badrpc()))
}

/// What `rpc:call/4` gives.
fn of_rpc(result: Result<Term, RpcError>) -> Term {
    match result {
        Ok(value) => value,
        Err(RpcError::Raised(Exception::Throw(value))) => {
            let pair = value.as_tuple().and_then(|tuple| tuple.array::<2>());
            match pair {
                Some([tag, _]) if tag.is_atom("EXIT") => Term::from((Term::atom("badrpc"), value)),
                _ => value,
            }
        }
        Err(error) => bad_rpc(&error),
    }
}

fn calls(node: &Node) {
    let (rpc, erpc) = (node.module("rpc"), node.module("erpc"));
    for arity in [4, 5] {
        rpc.function("call", arity, async |me, arguments| {
            let (peer, target, time) = called(&arguments).ok_or_else(rpc_badarg)?;
            Ok(of_rpc(target.order(&me, &peer, time).run().await))
        });
        rpc.function("block_call", arity, async |me, arguments| {
            let (peer, target, time) =
                called(&arguments).ok_or_else(|| function_clause("rpc", "block_call", &arguments))?;
            let mut rpc = me.node().rpc(&peer);
            if let Some(time) = time {
                rpc = rpc.timeout(time);
            }
            let result = rpc.block_call(&target.module, &target.function, target.arguments);
            Ok(of_rpc(result.await))
        });
    }
    for arity in [2, 3, 4, 5] {
        erpc.function("call", arity, move |me, arguments| async move {
            let (peer, target, time) = called(&arguments).ok_or_else(|| erpc_badarg("call", 5))?;
            let result = target.order(&me, &peer, time).run().await;
            result.map_err(|error| match error.exception() {
                Exception::Error { reason, .. } => error_in(reason, "erpc", "call", 5),
                other => other,
            })
        });
    }
    rpc.function("pinfo", 1, async |me, arguments| pinfo(&me, &arguments).await);
    rpc.function("pinfo", 2, async |me, arguments| pinfo(&me, &arguments).await);
    rpc.function("parallel_eval", 1, async |me, arguments| {
        let clause = || function_clause("rpc", "parallel_eval", &arguments);
        let list = arguments.first().and_then(Term::as_list).ok_or_else(clause)?;
        let mut results = Vec::new();
        for call in list.iter() {
            let call: Vec<Term> = call
                .as_tuple()
                .map(|call| call.iter().collect())
                .unwrap_or_default();
            let target = Target::read(&call).ok_or_else(clause)?;
            let order = target.order(&me, me.node().name(), None);
            results.push(of_rpc(order.run().await));
        }
        Ok(Term::from(results))
    });
}

/// `process_info` wherever the process lives.
async fn pinfo(me: &Process, arguments: &[Term]) -> Outcome {
    let Some(Term::Pid(pid)) = arguments.first() else {
        return Err(function_clause("rpc", "pinfo", arguments));
    };
    let target = Target {
        module: Atom::from_static("erlang"),
        function: Atom::from_static("process_info"),
        arguments: arguments.to_vec(),
    };
    Ok(of_rpc(target.order(me, pid.node(), None).run().await))
}

fn casts(node: &Node) {
    let (rpc, erpc) = (node.module("rpc"), node.module("erpc"));
    rpc.function("cast", 4, async |me, arguments| {
        let (peer, target, _) = called(&arguments).ok_or_else(rpc_badarg)?;
        cast(&me, &peer, &target).await;
        Ok(Term::from(true))
    });
    for arity in [2, 4] {
        erpc.function("cast", arity, async |me, arguments| {
            let (peer, target, _) = called(&arguments).ok_or_else(|| erpc_badarg("cast", 4))?;
            cast(&me, &peer, &target).await;
            Ok(Term::atom("ok"))
        });
        erpc.function("multicast", arity, async |me, arguments| {
            let [nodes, target @ ..] = arguments.as_slice() else {
                return Err(erpc_badarg("multicast", 4));
            };
            let (Some(nodes), Some(target)) = (node_list(nodes), Target::read(target)) else {
                return Err(erpc_badarg("multicast", 4));
            };
            for peer in nodes {
                cast(&me, &peer, &target).await;
            }
            Ok(Term::atom("ok"))
        });
    }
    for arity in [3, 4] {
        rpc.function("eval_everywhere", arity, async |me, arguments| {
            let (nodes, target) = match arguments.as_slice() {
                [nodes, target @ ..] if target.len() == 3 => (node_list(nodes), Target::read(target)),
                target => (Some(everybody(me.node())), Target::read(target)),
            };
            let (Some(nodes), Some(target)) = (nodes, target) else {
                return Err(function_clause("rpc", "eval_everywhere", &arguments));
            };
            for peer in nodes {
                cast(&me, &peer, &target).await;
            }
            Ok(Term::atom("abcast"))
        });
    }
}

/// Nobody hears of what comes of it; a node that cannot be reached is none of the caller's business either.
async fn cast(me: &Process, peer: &Atom, target: &Target) {
    let on = me.node().rpc(peer);
    let call = on.cast_for(me, &target.module, &target.function, target.arguments.clone());
    call.await.ok();
}

fn node_list(nodes: &Term) -> Option<Vec<Atom>> {
    nodes
        .as_list()?
        .iter()
        .map(|node| node.as_atom().cloned())
        .collect()
}

fn everybody(node: &Node) -> Vec<Atom> {
    let mut all = vec![node.name().clone()];
    all.extend(node.nodes(NodeType::Visible));
    all
}

fn multicalls(node: &Node) {
    let rpc = node.module("rpc");
    for arity in [3, 4, 5] {
        rpc.function("multicall", arity, async |me, arguments| {
            let read = || {
                let (nodes, call) = match arguments.as_slice() {
                    [nodes @ Term::List(_), call @ ..] => (node_list(nodes)?, call),
                    call => (everybody(me.node()), call),
                };
                let (target, time) = call.split_at_checked(3)?;
                Some((nodes, Target::read(target)?, patience(time.first())?))
            };
            let (nodes, target, time) =
                read().ok_or_else(|| function_clause("rpc", "multicall", &arguments))?;
            let (mut values, mut missing) = (Vec::new(), Vec::new());
            for (peer, result) in nodes.iter().zip(at_all(&me, &nodes, &target, time).await) {
                match result {
                    Err(error) if !matches!(error, RpcError::Raised(_) | RpcError::Signal(_)) => {
                        missing.push(peer.clone());
                    }
                    result => values.push(of_rpc(result)),
                }
            }
            Ok(Term::from((values, missing)))
        });
    }
    let erpc = node.module("erpc");
    for arity in [2, 3, 4, 5] {
        erpc.function("multicall", arity, async |me, arguments| {
            let read = || {
                let (nodes, call) = arguments.split_first()?;
                let (target, time) = match call.len() {
                    1 | 2 => call.split_at_checked(1)?,
                    _ => call.split_at_checked(3)?,
                };
                Some((node_list(nodes)?, Target::read(target)?, patience(time.first())?))
            };
            let (nodes, target, time) = read().ok_or_else(|| erpc_badarg("multicall", 5))?;
            let results = at_all(&me, &nodes, &target, time).await;
            Ok(Term::from(results.into_iter().map(of_erpc).collect::<Vec<_>>()))
        });
    }
}

/// `{ok, Value}`, or the class of an exception and what it says.
fn of_erpc(result: Result<Term, RpcError>) -> Term {
    match result.map_err(|error| error.exception()) {
        Ok(value) => Term::from((Term::atom("ok"), value)),
        Err(Exception::Throw(value)) => Term::from((Term::atom("throw"), value)),
        Err(Exception::Exit(reason)) => Term::from((Term::atom("exit"), reason)),
        Err(Exception::Error { reason, .. }) => Term::from((Term::atom("error"), reason)),
    }
}

async fn at_all(
    me: &Process,
    nodes: &[Atom],
    target: &Target,
    time: Option<Duration>,
) -> Vec<Result<Term, RpcError>> {
    let runtime = me.node().handle_of_runtime();
    let pending: Vec<_> = nodes
        .iter()
        .map(|peer| runtime.spawn(target.order(me, peer, time).run()))
        .collect();
    let mut results = Vec::with_capacity(pending.len());
    for call in pending {
        results.push(call.await.unwrap_or(Err(RpcError::Stopped)));
    }
    results
}

/// `abcast` and `sbcast`: a message to a name on many nodes.
fn broadcasts(node: &Node) {
    let rpc = node.module("rpc");
    for arity in [2, 3] {
        rpc.function("abcast", arity, async |me, arguments| {
            let (nodes, name, message) = broadcast(&me, "abcast", &arguments)?;
            for node in nodes {
                let to = Destination::from((name.clone(), node));
                me.send(to, message.clone()).await.ok();
            }
            Ok(Term::atom("abcast"))
        });
        rpc.function("sbcast", arity, async |me, arguments| {
            let (nodes, name, message) = broadcast(&me, "sbcast", &arguments)?;
            let (mut good, mut bad) = (Vec::new(), Vec::new());
            for node in nodes {
                // Where OTP asks rex in one message, this asks whether the name is there, and sends.
                let target = Target {
                    module: Atom::from_static("erlang"),
                    function: Atom::from_static("whereis"),
                    arguments: vec![Term::from(name.clone())],
                };
                match target.order(&me, &node, None).run().await {
                    Ok(Term::Pid(_)) => {
                        let to = Destination::from((name.clone(), node.clone()));
                        me.send(to, message.clone()).await.ok();
                        good.push(node);
                    }
                    _ => bad.push(node),
                }
            }
            Ok(Term::from((good, bad)))
        });
    }
}

fn broadcast(
    me: &Process,
    function: &'static str,
    arguments: &[Term],
) -> Result<(Vec<Atom>, Atom, Term), Exception> {
    let read = || match arguments {
        [Term::Atom(name), message] => Some((everybody(me.node()), name.clone(), message.clone())),
        [nodes, Term::Atom(name), message] => Some((node_list(nodes)?, name.clone(), message.clone())),
        _ => None,
    };
    read().ok_or_else(|| function_clause("rpc", function, arguments))
}
