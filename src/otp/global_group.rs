//! `global_group`, as a node has it that is in no group: every node has the process, and those of a group ask it for names and whether it is one
//! of theirs.
//!
//! Follows kernel's `global_group` where its parameter `global_groups` is not set. Searches of other nodes go by `rpc`.

use tracing::debug;

use super::call::Request;
use crate::node::{Destination, Node, NodeMonitor, NodeType, Process};
use crate::term::{Atom, Term};

const NAME: &str = "global_group";

/// The functions that ask the process, by the tag of what they ask.
const FUNCTIONS: [(&str, usize); 9] = [
    ("global_groups", 0),
    ("own_nodes", 0),
    ("info", 0),
    ("sync", 0),
    ("registered_names", 1),
    ("whereis_name", 1),
    ("whereis_name", 2),
    ("send", 2),
    ("send", 3),
];

pub(super) fn start(node: &Node) {
    functions(node);
    node.spawn_service(NAME, super::MAILBOX, async |mut me| {
        while let Some(message) = me.recv().await {
            match Request::read(&message) {
                Ok(Request::Call(caller, request)) => {
                    // Another node may have to be asked.
                    me.node().spawn(async move |me| {
                        let reply = answer(&me, &request).await;
                        caller.reply(&me, reply);
                        Ok(())
                    });
                }
                Ok(Request::Cast(request)) => cast(&me, &request),
                Ok(Request::Info(other)) => debug!(%other, "global_group: ignored"),
                Err(error) => debug!(%error, "global_group: a message that is no term"),
            }
        }
        Ok(())
    });
}

fn functions(node: &Node) {
    let module = node.module(NAME);
    for (name, arity) in FUNCTIONS {
        module.function(name, arity, move |me, arguments| async move {
            let request = if arguments.is_empty() {
                Term::atom(name)
            } else {
                Term::Tuple(std::iter::once(Term::atom(name)).chain(arguments).collect())
            };
            Ok(answer(&me, &request).await)
        });
    }
    module.function("get_own_nodes", 0, async |_, _| Ok(Term::NIL));
    module.function("get_own_nodes_with_errors", 0, async |_, _| {
        Ok(crate::term!({ok, all}))
    });
    for arity in [2, 3] {
        module.function("ng_add_check", arity, async |_, _| Ok(Term::atom("not_agreed")));
    }
    module.function("monitor_nodes", 1, async |me, arguments| {
        let Some(flag) = arguments.first().and_then(Term::as_bool) else {
            return Ok(crate::term!({error, not_boolean}));
        };
        if flag {
            me.monitor_nodes(NodeMonitor::default());
        } else {
            me.demonitor_nodes(NodeMonitor::default());
        }
        Ok(Term::atom("ok"))
    });
}

/// What a call comes to.
async fn answer(me: &Process, request: &Term) -> Term {
    let illegal = || Term::from((Term::atom("illegal_message"), request.clone()));
    let parts: Vec<Term> = match request {
        Term::Atom(_) => vec![request.clone()],
        Term::Tuple(tuple) => tuple.iter().collect(),
        _ => return illegal(),
    };
    let Some((Term::Atom(tag), rest)) = parts.split_first() else {
        return illegal();
    };
    match (tag.as_str(), rest) {
        ("global_groups", []) => Term::atom("undefined"),
        ("own_nodes", []) => {
            let node = me.node();
            let nodes = std::iter::once(node.name().clone()).chain(node.nodes(NodeType::Visible));
            Term::from(nodes.collect::<Vec<_>>())
        }
        ("info", []) => info(),
        ("sync", []) => Term::atom("ok"),
        ("ng_add_check", [_, _, _]) => Term::atom("not_agreed"),
        ("registered_names", [place]) => match Place::read(place) {
            Some(place) => place.ask(me, "registered_names", Vec::new(), Term::NIL).await,
            None => illegal(),
        },
        ("whereis_name", [name]) => find(me, &Place::Here, name).await,
        ("whereis_name", [place, name]) => match Place::read(place) {
            Some(place) => find(me, &place, name).await,
            None => illegal(),
        },
        ("send", [name, message]) => send(me, &Place::Here, name, message).await,
        ("send", [place, name, message]) => match Place::read(place) {
            Some(place) => send(me, &place, name, message).await,
            None => illegal(),
        },
        _ => illegal(),
    }
}

/// Where to look for names.
enum Place {
    Here,
    Node(Atom),
    /// A group, of which this node knows none.
    Group,
}

impl Place {
    /// Reads `{node, Node}` or `{group, Name}`.
    fn read(place: &Term) -> Option<Self> {
        let [kind, name] = place.as_tuple()?.array::<2>()?;
        match name {
            Term::Atom(node) if kind.is_atom("node") => Some(Self::Node(node)),
            _ if kind.is_atom("group") => Some(Self::Group),
            _ => None,
        }
    }

    /// Calls a function of `global` there; `nothing` when that cannot be.
    async fn ask(&self, me: &Process, function: &str, arguments: Vec<Term>, nothing: Term) -> Term {
        let node = match self {
            Self::Here => me.node().name(),
            Self::Node(node) => node,
            Self::Group => return nothing,
        };
        if node == me.node().name() {
            let global = me.node().global();
            return match arguments.into_iter().next() {
                Some(name) => global.whereis_name(name).map_or(nothing, Term::from),
                None => Term::from(global.registered_names()),
            };
        }
        let found = me.node().rpc(node).call("global", function, arguments).await;
        found.unwrap_or(nothing)
    }
}

async fn find(me: &Process, place: &Place, name: &Term) -> Term {
    let nobody = Term::atom("undefined");
    place.ask(me, "whereis_name", vec![name.clone()], nobody).await
}

/// Gives the process that it was sent to, or `{badarg, {Name, Message}}`.
async fn send(me: &Process, place: &Place, name: &Term, message: &Term) -> Term {
    if let Term::Pid(pid) = find(me, place, name).await {
        me.send(&pid, message.clone()).await.ok();
        return Term::from(pid);
    }
    let unsent = (name.clone(), message.clone());
    Term::from((Term::atom("badarg"), Term::from(unsent)))
}

/// As of a node that has no groups, and nobody who monitors them.
fn info() -> Term {
    let none = [
        "own_group_name",
        "own_group_nodes",
        "synced_nodes",
        "sync_error",
        "no_contact",
        "other_groups",
        "monitoring",
    ];
    let none = none
        .into_iter()
        .map(|name| Term::from((Term::atom(name), Term::NIL)));
    let state = std::iter::once(crate::term!({state, no_conf}));
    Term::from(state.chain(none).collect::<Vec<_>>())
}

/// What other nodes' `global_group` and their searches ask.
fn cast(me: &Process, request: &Term) {
    let parts: Vec<Term> = request
        .as_tuple()
        .into_iter()
        .flat_map(|tuple| tuple.iter())
        .collect();
    let global = me.node().global();
    match parts.as_slice() {
        [tag, Term::Pid(to)] if tag.is_atom("registered_names") => {
            let names = Term::from(global.registered_names());
            let result = (Term::atom("registered_names_res"), names);
            me.post(Destination::from(to), Term::from(result));
        }
        [tag, Term::Pid(to), name] if tag.is_atom("find_name") => {
            let found = global.whereis_name(name);
            let found = found.map_or_else(|| Term::atom("undefined"), Term::from);
            let result = (Term::atom("find_name_res"), found);
            me.post(Destination::from(to), Term::from(result));
        }
        [tag, version, Term::Atom(node), from, ..] if tag.is_atom("conf_check") => {
            let us = me.node().name().clone();
            let answer = (
                Term::atom("config_error"),
                version.clone(),
                from.clone(),
                Term::from(us.clone()),
            );
            // Since OTP 25 whoever checks says where; before that, a process of this name does.
            let asks = from.as_tuple().and_then(|from| from.get(0));
            let to = match asks {
                Some(Term::Pid(pid)) if version.as_integer().is_some_and(|version| version >= 3) => {
                    Destination::Pid(pid)
                }
                _ => Destination::from((Atom::from_static("global_group_check"), node.clone())),
            };
            let server = Destination::from((Atom::from_static(NAME), node.clone()));
            me.post(server, Term::from((Term::atom("disconnect_node"), us)));
            me.post(to, Term::from(answer));
        }
        _ => debug!(%request, "global_group: ignored"),
    }
}
