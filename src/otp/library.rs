//! Functions of Erlang's libraries that people and tools call on any node: of `timer`, `net_adm`, `net_kernel`, `rpc`, `erpc`,
//! `init` and `code`.

use std::time::Duration;

use super::RpcError;
use super::erlang::{badarg, stop};
use crate::epmd;
use crate::node::{Exception, Node, NodeType, Process};
use crate::term::{Atom, List, Term};

pub(super) fn start(node: &Node) {
    let module = |name: &'static str| node.module(name);
    module("timer").function("sleep", 1, async |_, arguments| {
        match arguments.as_slice() {
            [Term::Integer(milliseconds)] if *milliseconds >= 0 => {
                tokio::time::sleep(Duration::from_millis(milliseconds.unsigned_abs())).await;
            }
            [Term::Atom(word)] if *word == *"infinity" => std::future::pending().await,
            _ => return Err(badarg("sleep", &arguments)),
        }
        Ok(Term::atom("ok"))
    });
    net_adm(node);
    net_kernel(node);
    calls(node);
    let init = module("init");
    init.function("get_argument", 1, async |_, _| Ok(Term::atom("error")));
    init.function("get_status", 0, async |_, _| {
        Ok(Term::from((Term::atom("started"), Term::atom("started"))))
    });
    for arity in [0, 1] {
        init.function("stop", arity, async |me, arguments| {
            let status = match arguments.first() {
                Some(Term::Integer(status)) => i32::try_from(status & 0xff).unwrap_or(1),
                _ => 0,
            };
            stop(me.node(), status);
            Ok(Term::atom("ok"))
        });
    }
    let code = module("code");
    code.function("ensure_loaded", 1, async |me, arguments| {
        Ok(match loaded(&me, &arguments) {
            Some(name) => Term::from((Term::atom("module"), name)),
            None => Term::from((Term::atom("error"), Term::atom("nofile"))),
        })
    });
    code.function("which", 1, async |me, arguments| {
        let found = loaded(&me, &arguments).is_some();
        Ok(Term::atom(if found { "preloaded" } else { "non_existing" }))
    });
    code.function("is_loaded", 1, async |me, arguments| {
        Ok(match loaded(&me, &arguments) {
            Some(_) => Term::from((Term::atom("file"), Term::atom("preloaded"))),
            None => Term::from(false),
        })
    });
}

/// The module asked for, if this node has it.
fn loaded(me: &Process, arguments: &[Term]) -> Option<Atom> {
    let name = arguments.first()?.as_atom()?;
    me.node().has_module(name).then(|| name.clone())
}

fn net_adm(node: &Node) {
    let net_adm = node.module("net_adm");
    net_adm.function("ping", 1, async |me, arguments| {
        let Some(peer) = arguments.first().and_then(Term::as_atom) else {
            return Err(badarg("ping", &arguments));
        };
        let answer = me.node().ping(peer).await;
        Ok(Term::atom(if answer.is_ok() { "pong" } else { "pang" }))
    });
    net_adm.function("names", 0, async |_, _| Ok(names(epmd::Client::local()).await));
    net_adm.function("names", 1, async |_, arguments| {
        let host = match arguments.first() {
            Some(Term::Atom(host)) => Some(host.as_str().to_owned()),
            Some(Term::List(host)) => host.to_text(),
            _ => None,
        };
        match host {
            Some(host) => Ok(names(epmd::Client::new(&host)).await),
            None => Err(badarg("names", &arguments)),
        }
    });
}

/// `{ok, [{Name, Port}]}`, or `{error, address}`.
async fn names(client: epmd::Client) -> Term {
    match client.names().await {
        Ok(answer) => {
            let entries = answer.names.iter().map(|entry| {
                Term::from((
                    Term::List(List::from_chars(entry.name.as_str())),
                    u32::from(entry.port),
                ))
            });
            Term::from((Term::atom("ok"), entries.collect::<Vec<_>>()))
        }
        Err(_) => Term::from((Term::atom("error"), Term::atom("address"))),
    }
}

fn net_kernel(node: &Node) {
    let net_kernel = node.module("net_kernel");
    for (name, hidden) in [
        ("connect_node", false),
        ("connect", false),
        ("hidden_connect_node", true),
    ] {
        net_kernel.function(Atom::from_static(name), 1, move |me, arguments| async move {
            let Some(peer) = arguments.first().and_then(Term::as_atom) else {
                return Err(badarg(name, &arguments));
            };
            let connected = if hidden {
                me.node().connect_hidden(peer).await
            } else {
                me.node().connect(peer).await
            };
            Ok(Term::from(connected.is_ok()))
        });
    }
    net_kernel.function("disconnect", 1, async |me, arguments| {
        let Some(peer) = arguments.first().and_then(Term::as_atom) else {
            return Err(badarg("disconnect", &arguments));
        };
        Ok(Term::from(me.node().disconnect(peer)))
    });
    net_kernel.function("get_net_ticktime", 0, async |me, _| {
        Ok(Term::from(me.node().net_ticktime().as_secs()))
    });
    for arity in [1, 2] {
        net_kernel.function("set_net_ticktime", arity, async |me, arguments| {
            let seconds = |index: usize| match arguments.get(index) {
                Some(Term::Integer(seconds)) if *seconds >= 0 => {
                    Some(Duration::from_secs(seconds.unsigned_abs()))
                }
                _ => None,
            };
            let Some(time) = seconds(0).filter(|time| !time.is_zero()) else {
                return Err(badarg("set_net_ticktime", &arguments));
            };
            if time == me.node().net_ticktime() {
                return Ok(Term::atom("unchanged"));
            }
            me.node()
                .set_net_ticktime(time, seconds(1).unwrap_or(Duration::from_secs(60)));
            Ok(Term::atom("change_initiated"))
        });
    }
    net_kernel.function("allow", 1, async |me, arguments| {
        let Some(Term::List(list)) = arguments.first() else {
            return Err(badarg("allow", &arguments));
        };
        let Some(nodes) = list
            .iter()
            .map(|node| Some(node.as_atom()?.to_string()))
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(Term::atom("error"));
        };
        me.node().allow(nodes);
        Ok(Term::atom("ok"))
    });
    net_kernel.function("longnames", 0, async |me, _| {
        Ok(Term::from(
            me.node().node_name().kind() == crate::dist::NameKind::Long,
        ))
    });
    net_kernel.function("nodes_info", 0, async |me, _| {
        let nodes = me.node().nodes(NodeType::All);
        let infos = nodes.into_iter().map(|node| Term::from((node, Term::NIL)));
        Ok(Term::from((Term::atom("ok"), infos.collect::<Vec<_>>())))
    });
}

/// `rpc` and `erpc`, called on this node to call on others.
fn calls(node: &Node) {
    for arity in [4, 5] {
        node.module("rpc").function("call", arity, async |me, arguments| {
            Ok(match remote_call(&me, "call", &arguments).await? {
                Ok(value) | Err(RpcError::Raised(Exception::Throw(value))) => value,
                Err(error) => Term::from((Term::atom("badrpc"), bad_rpc(error))),
            })
        });
        node.module("erpc")
            .function("call", arity, async |me, arguments| {
                match remote_call(&me, "call", &arguments).await? {
                    Ok(value) => Ok(value),
                    Err(error) => Err(raised(error)),
                }
            });
    }
    for (module, answer) in [("rpc", "true"), ("erpc", "ok")] {
        node.module(module)
            .function("cast", 4, move |me, arguments| async move {
                let Some((peer, module, function, list)) = target(&arguments) else {
                    return Err(badarg("cast", &arguments));
                };
                me.node().rpc(peer).cast(&module, &function, list).await.ok();
                Ok(Term::atom(answer))
            });
    }
}

fn target(arguments: &[Term]) -> Option<(Atom, Atom, Atom, Vec<Term>)> {
    let [
        Term::Atom(peer),
        Term::Atom(module),
        Term::Atom(function),
        Term::List(list),
        ..,
    ] = arguments
    else {
        return None;
    };
    Some((
        peer.clone(),
        module.clone(),
        function.clone(),
        list.iter().collect(),
    ))
}

async fn remote_call(
    me: &Process,
    name: &'static str,
    arguments: &[Term],
) -> Result<Result<Term, RpcError>, Exception> {
    let Some((peer, module, function, list)) = target(arguments) else {
        return Err(badarg(name, arguments));
    };
    let mut rpc = me.node().rpc(peer);
    match arguments.get(4) {
        None => {}
        Some(Term::Atom(word)) if *word == *"infinity" => {}
        Some(Term::Integer(time)) if *time >= 0 => {
            rpc = rpc.timeout(Duration::from_millis(time.unsigned_abs()))
        }
        Some(_) => return Err(badarg(name, arguments)),
    }
    Ok(rpc.call(&module, &function, list).await)
}

/// What `rpc:call/4` has after `badrpc`.
fn bad_rpc(error: RpcError) -> Term {
    let exit = |reason: Term| Term::from((Term::atom("EXIT"), reason));
    match error {
        RpcError::Raised(Exception::Error { reason, stack }) => exit(Term::from((reason, stack))),
        RpcError::Raised(Exception::Exit(reason) | Exception::Throw(reason)) => exit(reason),
        RpcError::Signal(reason) => exit(reason.term().clone()),
        RpcError::TimedOut(_) => Term::atom("timeout"),
        RpcError::Name(_) | RpcError::Spawn(_) | RpcError::NoConnection | RpcError::Stopped => {
            Term::atom("nodedown")
        }
    }
}

/// What `erpc:call/4` raises.
fn raised(error: RpcError) -> Exception {
    let erpc = |why: &'static str| Exception::Error {
        reason: Term::from((Term::atom("erpc"), Term::atom(why))),
        stack: Term::NIL,
    };
    match error {
        RpcError::Raised(Exception::Error { reason, stack }) => Exception::Error {
            reason: Term::from((Term::atom("exception"), reason, stack)),
            stack: Term::NIL,
        },
        RpcError::Raised(Exception::Exit(reason)) => {
            Exception::Exit(Term::from((Term::atom("exception"), reason)))
        }
        RpcError::Raised(exception) => exception,
        RpcError::Signal(reason) => {
            Exception::Exit(Term::from((Term::atom("signal"), reason.term().clone())))
        }
        RpcError::TimedOut(_) => erpc("timeout"),
        RpcError::Name(_) => erpc("badarg"),
        RpcError::Spawn(_) | RpcError::NoConnection | RpcError::Stopped => erpc("noconnection"),
    }
}
