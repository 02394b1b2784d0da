//! `net_kernel:monitor_nodes` and `erlang:monitor_node`, as other nodes call them on this one: in Erlang's forms, with Erlang's errors.

use super::erlang::{badarg, badarg_because};
use crate::node::{InfoForm, Node, NodeMonitor, NodeType, Outcome, Process};
use crate::term::{Atom, List, Map, Term};

pub(super) fn start(node: &Node) {
    let net_kernel = node.module("net_kernel");
    for arity in [1, 2] {
        net_kernel.function("monitor_nodes", arity, async |me, arguments| {
            Ok(monitor_nodes(&me, &arguments))
        });
    }
    let erlang = node.module("erlang");
    for arity in [2, 3] {
        erlang.function("monitor_node", arity, async |me, arguments| {
            monitor_node(&me, &arguments).await
        });
    }
}

fn monitor_nodes(me: &Process, arguments: &[Term]) -> Term {
    let Some(flag) = arguments.first().and_then(Term::as_bool) else {
        return Term::atom("error");
    };
    match options(arguments.get(1)) {
        Ok(wanted) if flag => me.monitor_nodes(wanted),
        Ok(unwanted) => me.demonitor_nodes(unwanted),
        Err(reason) => return Term::from((Term::atom("error"), reason)),
    }
    Term::atom("ok")
}

/// The options, or what is wrong with them.
fn options(options: Option<&Term>) -> Result<NodeMonitor, Term> {
    match options {
        None => Ok(NodeMonitor::default()),
        Some(Term::List(list)) if list.is_proper() => from_list(list),
        Some(Term::Map(map)) => from_map(map),
        Some(other) => Err(wrong("invalid_options", other.clone())),
    }
}

fn from_list(list: &List) -> Result<NodeMonitor, Term> {
    let mut wanted = NodeMonitor::default();
    let (mut unknown, mut given) = (Vec::new(), None);
    for option in list.iter() {
        if option.is_atom("nodedown_reason") {
            wanted.nodedown_reason = true;
        } else if option.is_atom("connection_id") {
            wanted.connection_id = true;
        } else if let Some(value) = node_type_option(&option) {
            let Some(node_type) = node_type(&value) else {
                return Err(wrong("bad_option_value", option));
            };
            if wanted
                .node_type
                .replace(node_type)
                .is_some_and(|other| other != node_type)
            {
                let pair = [option, given.unwrap_or(Term::NIL)];
                return Err(wrong("option_value_mismatch", Term::from(pair)));
            }
            given = Some(option);
        } else {
            unknown.push(option);
        }
    }
    if unknown.is_empty() {
        Ok(wanted)
    } else {
        // The last one comes first there.
        unknown.reverse();
        Err(wrong("unknown_options", Term::from(unknown)))
    }
}

fn from_map(map: &Map) -> Result<NodeMonitor, Term> {
    let mut wanted = NodeMonitor {
        form: InfoForm::Map,
        ..NodeMonitor::default()
    };
    let mut unknown = Vec::new();
    for (key, value) in map.iter() {
        let known = match key.as_atom().map(Atom::as_str) {
            Some("nodedown_reason") => value.as_bool().map(|flag| wanted.nodedown_reason = flag),
            Some("connection_id") => value.as_bool().map(|flag| wanted.connection_id = flag),
            Some("node_type") => node_type(&value).map(|node_type| wanted.node_type = Some(node_type)),
            _ => {
                unknown.push((key, value));
                continue;
            }
        };
        if known.is_none() {
            let bad = Map::from_iter([(key, value)]);
            return Err(wrong("bad_option_value", Term::Map(bad)));
        }
    }
    if unknown.is_empty() {
        Ok(wanted)
    } else {
        Err(wrong("unknown_options", Term::Map(unknown.into_iter().collect())))
    }
}

/// The value of an option `{node_type, Value}`.
fn node_type_option(option: &Term) -> Option<Term> {
    let [name, value] = option.as_tuple()?.array()?;
    name.is_atom("node_type").then_some(value)
}

fn node_type(value: &Term) -> Option<NodeType> {
    match value.as_atom()?.as_str() {
        "visible" => Some(NodeType::Visible),
        "hidden" => Some(NodeType::Hidden),
        "all" => Some(NodeType::All),
        _ => None,
    }
}

fn wrong(what: &'static str, value: Term) -> Term {
    Term::from((Term::atom(what), value))
}

async fn monitor_node(me: &Process, arguments: &[Term]) -> Outcome {
    let (Some(Term::Atom(node)), Some(flag)) = (arguments.first(), arguments.get(1).and_then(Term::as_bool))
    else {
        return Err(badarg("monitor_node", arguments));
    };
    // The option of monitor_node/3 leaves whether to connect to this node.
    let known = |options: &List| {
        options
            .iter()
            .all(|option| option.is_atom("allow_passive_connect"))
    };
    match arguments.get(2) {
        None => {}
        Some(Term::List(options)) if options.is_proper() && known(options) => {}
        Some(_) => return Err(badarg_because("monitor_node", arguments, "badopt")),
    }
    if flag {
        me.monitor_node(node).await;
    } else {
        me.demonitor_node(node);
    }
    Ok(Term::from(true))
}
