//! `net_adm` and `net_kernel`. The functions that tell of nodes by messages are in [`node_events`](super::super::node_events), those that look for
//! nodes on hosts in [`world`](super::super::world).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::function_clause;
use crate::epmd::{self, ClientError};
use crate::node::{Exception, Node, NodeEvent, NodeType, TicktimeChange};
use crate::term::{Atom, List, Term, Tuple};

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
            Some(Term::Tuple(address)) => ip_address(address).map(|address| address.to_string()),
            _ => None,
        };
        match host {
            Some(host) => Ok(names(epmd::Client::new(&host)).await),
            None => Err(function_clause("erl_epmd", "open", &arguments)),
        }
    });
    net_adm.function("ping_list", 1, async |me, arguments| {
        let list = arguments.first().and_then(Term::as_list);
        match list.filter(|list| list.is_proper()) {
            Some(list) => Ok(Term::from(ping_list(me.node(), list).await?)),
            None => Err(function_clause("net_adm", "ping_list", &arguments)),
        }
    });
    net_adm.function("dns_hostname", 1, async |_, arguments| {
        let host = arguments.into_iter().next().unwrap_or(Term::NIL);
        let text = match &host {
            Term::Atom(host) => Some(host.as_str().to_owned()),
            Term::List(host) => host.to_text(),
            _ => None,
        };
        if let Some(text) = text
            && let Ok(mut addresses) = tokio::net::lookup_host((text.as_str(), 0)).await
            && addresses.next().is_some()
        {
            return Ok(Term::from((Term::atom("ok"), List::from_chars(&text))));
        }
        Ok(Term::from((Term::atom("error"), host)))
    });
    net_adm.function("localhost", 0, async |_, _| {
        let host = gethostname::gethostname();
        Ok(Term::List(List::from_chars(&host.to_string_lossy())))
    });
}

/// Connects to the first node of the list that answers, and gives those that are connected and those that come up meanwhile, until none has
/// for three seconds: the cluster of the first connects by itself.
async fn ping_list(node: &Node, list: &List) -> Result<Vec<Term>, Exception> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut events = node.monitor_nodes(NodeType::Visible);
    let known = node.nodes(NodeType::Visible);
    let mut found = Vec::new();
    for peer in list.iter() {
        let peer = node_name("net_adm", "ping", &[peer])?;
        if known.contains(&peer) {
            found.push(Term::from(peer));
        } else if node.ping(&peer).await.is_ok() {
            found.push(Term::from(peer));
            break;
        }
    }
    while let Ok(Some(event)) = tokio::time::timeout(PATIENCE, events.next()).await {
        if let NodeEvent::NodeUp { node: peer, .. } = event {
            let peer = Term::from(peer);
            if list.iter().any(|listed| listed == peer) {
                found.retain(|other| *other != peer);
                found.push(peer);
            }
        }
    }
    Ok(found)
}

/// `{A, B, C, D}`, and eight of them for IPv6.
fn ip_address(tuple: &Tuple) -> Option<IpAddr> {
    fn parts<T: TryFrom<i64>, const N: usize>(tuple: &Tuple) -> Option<[T; N]> {
        let parts = tuple
            .array::<N>()?
            .map(|part| T::try_from(part.as_integer()?).ok());
        let parts: Option<Vec<T>> = parts.into_iter().collect();
        parts?.try_into().ok()
    }
    match tuple.len() {
        4 => parts::<u8, 4>(tuple).map(IpAddr::from),
        _ => parts::<u16, 8>(tuple).map(IpAddr::from),
    }
}

/// The node that a function is about.
fn node_name(module: &'static str, function: &'static str, arguments: &[Term]) -> Result<Atom, Exception> {
    match arguments.first() {
        Some(Term::Atom(name)) => Ok(name.clone()),
        _ => Err(function_clause(module, function, arguments)),
    }
}

/// `{ok, [{Name, Port}]}`, or `{error, nxdomain}` for a host that has no address, or `{error, address}`.
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
        Err(ClientError::UnknownHost { .. }) => crate::term!({error, nxdomain}),
        Err(_) => crate::term!({error, address}),
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
    for (name, answers) in [("disconnect", true), ("async_disconnect", false)] {
        net_kernel.function(name, 1, move |me, arguments| async move {
            let peer = arguments.first().and_then(Term::as_atom);
            let disconnected = peer.is_some_and(|peer| me.node().disconnect(peer));
            Ok(if answers {
                Term::from(disconnected)
            } else {
                Term::atom("ok")
            })
        });
    }
    net_kernel.function("allow", 1, async |me, arguments| {
        let list = arguments.first().and_then(Term::as_list);
        let nodes = list.filter(|list| list.is_proper()).and_then(|list| {
            list.iter()
                .map(|node| Some(node.as_atom()?.to_string()))
                .collect::<Option<Vec<_>>>()
        });
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
    net_kernel.function("nodename", 0, async |me, _| Ok(me.node().name().into()));
    net_kernel.function("connecttime", 0, async |me, _| {
        let time = me.node().setup_time().as_millis();
        Ok(Term::from(u64::try_from(time).unwrap_or(u64::MAX)))
    });
    net_kernel.function("epmd_module", 0, async |_, _| Ok(Term::atom("erl_epmd")));
    net_kernel.function("protocol_childspecs", 0, async |_, _| Ok(Term::NIL));
    net_kernel.function("dflag_unicode_io", 1, async |_, arguments| {
        match arguments.first() {
            // There is no release without it that a node connects to.
            Some(Term::Pid(_)) => Ok(Term::from(true)),
            _ => {
                let (module, function) = (Atom::from_static("net_kernel"), "dflag_unicode_io");
                let function = Atom::from_static(function);
                Err(Exception::error(
                    Term::atom("badarg"),
                    &module,
                    &function,
                    &arguments,
                ))
            }
        }
    });
    // The name was given when the node was started.
    net_kernel.function("stop", 0, async |_, _| Ok(crate::term!({error, not_allowed})));
    // What it says is for the logger of a BEAM node; the level is kept.
    let level = Arc::new(AtomicI64::new(0));
    net_kernel.function("verbose", 1, move |_, arguments| {
        let level = Arc::clone(&level);
        async move {
            match arguments.first() {
                Some(Term::Integer(new)) => Ok(Term::from(level.swap(*new, Ordering::Relaxed))),
                _ => Err(function_clause("net_kernel", "verbose", &arguments)),
            }
        }
    });
    socket_options(node);
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

/// `getopts/2` and `setopts/2`, for the options that a connection of ours has: they are as they are.
fn socket_options(node: &Node) {
    const OPTIONS: [&str; 2] = ["nodelay", "active"];
    let net_kernel = node.module("net_kernel");
    let asked = |arguments: &[Term]| match arguments {
        [Term::Atom(peer), Term::List(options)] if options.is_proper() => {
            Some((peer.clone(), options.iter().collect::<Vec<_>>()))
        }
        _ => None,
    };
    net_kernel.function("getopts", 2, move |me, arguments| async move {
        let Some((peer, options)) = asked(&arguments) else {
            return Err(function_clause("net_kernel", "getopts", &arguments));
        };
        if !me.node().nodes(NodeType::All).contains(&peer) {
            return Ok(crate::term!({error, noconnection}));
        }
        let known = |option: &Term| OPTIONS.iter().any(|name| option.is_atom(name));
        if !options.iter().all(known) {
            return Ok(crate::term!({error, einval}));
        }
        let options = options.into_iter().map(|option| Term::from((option, true)));
        Ok(Term::from((Term::atom("ok"), options.collect::<Vec<_>>())))
    });
    net_kernel.function("setopts", 2, move |me, arguments| async move {
        let Some((peer, options)) = asked(&arguments) else {
            return Err(function_clause("net_kernel", "setopts", &arguments));
        };
        let connected = me.node().nodes(NodeType::All).contains(&peer);
        // `new` is for connections to come.
        if !connected && peer != *"new" {
            return Ok(crate::term!({error, noconnection}));
        }
        let unchanged = |option: &Term| {
            let pair = option.as_tuple().and_then(|pair| pair.array::<2>());
            matches!(pair, Some([name, value]) if OPTIONS.iter().any(|known| name.is_atom(known)) && value.is_atom("true"))
        };
        Ok(if options.iter().all(unchanged) {
            Term::atom("ok")
        } else {
            crate::term!({error, einval})
        })
    });
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
    let (received, sent) = node.messages_with(peer).unwrap_or_default();
    let pairs = [
        ("owner", owner),
        ("state", Term::atom("up")),
        ("address", net_address(node, peer)),
        ("type", Term::atom(if hidden { "hidden" } else { "normal" })),
        ("in", Term::from(received)),
        ("out", Term::from(sent)),
    ];
    Some(
        pairs
            .into_iter()
            .map(|(name, value)| Term::from((Term::atom(name), value)))
            .collect(),
    )
}

/// `{net_address, {Ip, Port}, Host, tcp, inet}`, as a BEAM node has it of a connection over TCP.
fn net_address(node: &Node, peer: &Atom) -> Term {
    let Some(address) = node.address_of(peer) else {
        return Term::NIL;
    };
    let (ip, family) = match address.ip().to_canonical() {
        IpAddr::V4(ip) => (
            Term::Tuple(ip.octets().into_iter().map(Term::from).collect()),
            "inet",
        ),
        IpAddr::V6(ip) => (
            Term::Tuple(ip.segments().into_iter().map(Term::from).collect()),
            "inet6",
        ),
    };
    let host = peer.as_str().split_once('@').map_or("", |(_, host)| host);
    Term::Tuple(
        [
            Term::atom("net_address"),
            Term::from((ip, u32::from(address.port()))),
            Term::List(List::from_chars(host)),
            Term::atom("tcp"),
            Term::atom(family),
        ]
        .into_iter()
        .collect(),
    )
}

fn is_long(node: &Node) -> bool {
    node.node_name().kind() == crate::dist::NameKind::Long
}
