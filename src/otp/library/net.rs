//! `net_adm` and `net_kernel`. The functions that tell of nodes by messages are in [`node_events`](super::super::node_events).

use std::time::Duration;

use super::function_clause;
use crate::epmd;
use crate::node::{Exception, Node, NodeType, TicktimeChange};
use crate::term::{Atom, List, Term};

pub(super) fn start(node: &Node) {
    net_adm(node);
    connecting(node);
    ticking(node);
    telling(node);
}

fn net_adm(node: &Node) {
    let net_adm = node.module("net_adm");
    net_adm.function("ping", 1, async |me, arguments| {
        let peer = node_name("net_adm", "ping", &arguments)?;
        let answer = me.node().ping(&peer).await;
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
            None => Err(function_clause("net_adm", "names", &arguments)),
        }
    });
    net_adm.function("localhost", 0, async |_, _| {
        let host = gethostname::gethostname();
        Ok(Term::List(List::from_chars(&host.to_string_lossy())))
    });
    net_adm.function("host_file", 0, async |_, _| {
        // A BEAM node reads `.hosts.erlang`; the nodes of a program do not go by it.
        Ok(Term::from((Term::atom("error"), Term::atom("enoent"))))
    });
}

/// The node that a function is about.
fn node_name(module: &'static str, function: &'static str, arguments: &[Term]) -> Result<Atom, Exception> {
    match arguments.first() {
        Some(Term::Atom(name)) => Ok(name.clone()),
        _ => Err(function_clause(module, function, arguments)),
    }
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

/// `connect_node`, `disconnect` and `allow`.
fn connecting(node: &Node) {
    let net_kernel = node.module("net_kernel");
    for (name, hidden) in [("connect_node", false), ("hidden_connect_node", true)] {
        net_kernel.function(name, 1, move |me, arguments| async move {
            let peer = node_name("net_kernel", name, &arguments)?;
            let connected = if peer == *me.node().name() {
                true
            } else if hidden {
                me.node().connect_hidden(&peer).await.is_ok()
            } else {
                me.node().connect(&peer).await.is_ok()
            };
            Ok(Term::from(connected))
        });
    }
    net_kernel.function("disconnect", 1, async |me, arguments| {
        let peer = node_name("net_kernel", "disconnect", &arguments)?;
        Ok(Term::from(me.node().disconnect(&peer)))
    });
    net_kernel.function("allow", 1, async |me, arguments| {
        let Some(Term::List(list)) = arguments.first() else {
            return Err(function_clause("net_kernel", "allow", &arguments));
        };
        let nodes = list
            .iter()
            .map(|node| Some(node.as_atom()?.to_string()))
            .collect::<Option<Vec<_>>>();
        let Some(nodes) = nodes else {
            return Ok(Term::atom("error"));
        };
        if !nodes.is_empty() {
            me.node().allow(nodes);
        }
        Ok(Term::atom("ok"))
    });
    net_kernel.function("allowed", 0, async |me, _| {
        let names = me.node().allowed();
        let names: Vec<Term> = names
            .iter()
            .filter_map(|name| Some(Term::from(Atom::new(name).ok()?)))
            .collect();
        Ok(Term::from((Term::atom("ok"), names)))
    });
}

fn ticking(node: &Node) {
    let net_kernel = node.module("net_kernel");
    net_kernel.function("get_net_ticktime", 0, async |me, _| {
        Ok(match me.node().net_ticktime_change() {
            Some(time) => ongoing_change_to(time),
            None => Term::from(me.node().net_ticktime().as_secs()),
        })
    });
    for arity in [1, 2] {
        net_kernel.function("set_net_ticktime", arity, async |me, arguments| {
            let seconds = |index: usize, least: i64| match arguments.get(index) {
                Some(Term::Integer(seconds)) if *seconds >= least => {
                    Some(Duration::from_secs(seconds.unsigned_abs()))
                }
                _ => None,
            };
            let transition = match arguments.len() {
                1 => Some(Duration::from_secs(60)),
                _ => seconds(1, 0),
            };
            let (Some(time), Some(transition)) = (seconds(0, 1), transition) else {
                return Err(match arguments.as_slice() {
                    // It is the function of two arguments that has no clause for it.
                    [time @ Term::Integer(_)] => {
                        function_clause("net_kernel", "set_net_ticktime", &[time.clone(), Term::from(60)])
                    }
                    _ => function_clause("net_kernel", "set_net_ticktime", &arguments),
                });
            };
            Ok(match me.node().set_net_ticktime(time, transition) {
                TicktimeChange::Initiated => Term::atom("change_initiated"),
                TicktimeChange::Unchanged => Term::atom("unchanged"),
                TicktimeChange::OngoingChangeTo(time) => ongoing_change_to(time),
            })
        });
    }
}

fn ongoing_change_to(time: Duration) -> Term {
    Term::from((Term::atom("ongoing_change_to"), time.as_secs()))
}

/// What `net_kernel` tells of connections and of the node itself.
fn telling(node: &Node) {
    let net_kernel = node.module("net_kernel");
    net_kernel.function("longnames", 0, async |me, _| Ok(Term::from(is_long(me.node()))));
    net_kernel.function("verbose", 1, async |_, _| Ok(Term::from(0)));
    net_kernel.function("get_state", 0, async |me, _| {
        let domain = if is_long(me.node()) {
            "longnames"
        } else {
            "shortnames"
        };
        Ok(crate::term!(#{
            started => static,
            name_type => static,
            name_domain => (Term::atom(domain)),
            name => (me.node().name().clone())
        }))
    });
    net_kernel.function("nodes_info", 0, async |me, _| {
        let nodes = me.node().nodes(NodeType::All);
        let infos = nodes.into_iter().filter_map(|node| {
            let info = info(me.node(), &node)?;
            Some(Term::from((node, info)))
        });
        Ok(Term::from((Term::atom("ok"), infos.collect::<Vec<_>>())))
    });
    for arity in [1, 2] {
        net_kernel.function("node_info", arity, async |me, arguments| {
            let found = arguments
                .first()
                .and_then(|peer| info(me.node(), peer.as_atom()?));
            let Some(found) = found else {
                return Ok(crate::term!({error, bad_node}));
            };
            let Some(key) = arguments.get(1) else {
                return Ok(Term::from((Term::atom("ok"), found)));
            };
            let value = found.into_iter().find_map(|pair| {
                let [name, value] = pair.as_tuple()?.array()?;
                (name == *key).then_some(value)
            });
            Ok(match value {
                Some(value) => Term::from((Term::atom("ok"), value)),
                None => crate::term!({error, invalid_key}),
            })
        });
    }
}

/// What is known of the connection to a node.
fn info(node: &Node, peer: &Atom) -> Option<Vec<Term>> {
    if !node.nodes(NodeType::All).contains(peer) {
        return None;
    }
    let hidden = node.nodes(NodeType::Hidden).contains(peer);
    let owner = node
        .whereis("net_kernel")
        .map_or_else(|| Term::atom("undefined"), Term::from);
    let pairs = [
        ("owner", owner),
        ("state", Term::atom("up")),
        ("address", Term::NIL),
        ("type", Term::atom(if hidden { "hidden" } else { "normal" })),
        ("in", Term::from(0)),
        ("out", Term::from(0)),
    ];
    Some(
        pairs
            .into_iter()
            .map(|(name, value)| Term::from((Term::atom(name), value)))
            .collect(),
    )
}

fn is_long(node: &Node) -> bool {
    node.node_name().kind() == crate::dist::NameKind::Long
}
