//! What `erlang` says of processes, and does to them.

use super::badarg;
use crate::node::{Destination, Item, Node, Outcome, Process, RegisterError, SendError};
use crate::term::{Atom, List, Map, Pid, Reference, Term};

/// The items of `process_info/1`, in Erlang's order; a registered name comes before them.
const INFO: [&str; 15] = [
    "current_function",
    "initial_call",
    "status",
    "message_queue_len",
    "links",
    "dictionary",
    "trap_exit",
    "error_handler",
    "priority",
    "group_leader",
    "total_heap_size",
    "heap_size",
    "stack_size",
    "reductions",
    "garbage_collection",
];

/// `process_info/1,2`; `None` for `badarg`.
pub(super) fn info(node: &Node, pid: &Term, items: Option<&Term>) -> Option<Term> {
    let Term::Pid(pid) = pid else { return None };
    if pid.node() != node.name() {
        return None;
    }
    let undefined = || Term::atom("undefined");
    match items {
        None => {
            let Some(info) = Info::of(node, pid) else {
                return Some(undefined());
            };
            let mut all = Vec::new();
            if info.info.registered_name.is_some() {
                all.push(info.pair("registered_name")?);
            }
            all.extend(INFO.iter().filter_map(|item| info.pair(item)));
            all.push(info.pair("suspending")?);
            Some(Term::from(all))
        }
        Some(Term::List(items)) => {
            if !items.is_proper() {
                return None;
            }
            let names: Vec<Term> = items.iter().collect();
            if !names.iter().all(Info::knows) {
                return None;
            }
            let Some(info) = Info::of(node, pid) else {
                return Some(undefined());
            };
            let pairs = names
                .iter()
                .map(|item| info.item(item))
                .collect::<Option<Vec<_>>>()?;
            Some(Term::from(pairs))
        }
        Some(item) => {
            if !Info::knows(item) {
                return None;
            }
            match Info::of(node, pid) {
                // The one item that is not there rather than empty.
                Some(info) if item.is_atom("registered_name") && info.info.registered_name.is_none() => {
                    Some(Term::NIL)
                }
                Some(info) => info.item(item),
                None => Some(undefined()),
            }
        }
    }
}

/// What is known of one process.
struct Info {
    info: crate::node::ProcessInfo,
    messages: Vec<Term>,
    pid: Pid,
}

impl Info {
    fn of(node: &Node, pid: &Pid) -> Option<Self> {
        Some(Self {
            info: node.process_info(pid)?,
            messages: node.messages_of(pid)?,
            pid: pid.clone(),
        })
    }

    /// Whether there is such an item.
    fn knows(item: &Term) -> bool {
        match item {
            Term::Atom(name) => {
                INFO.contains(&name.as_str())
                    || matches!(
                        name.as_str(),
                        "registered_name"
                            | "messages"
                            | "monitors"
                            | "monitored_by"
                            | "memory"
                            | "suspending"
                            | "last_calls"
                            | "sequential_trace_token"
                            | "trace"
                            | "catchlevel"
                            | "message_queue_data"
                            | "min_heap_size"
                            | "min_bin_vheap_size"
                            | "fullsweep_after"
                            | "binary"
                            | "current_location"
                            | "current_stacktrace"
                            | "backtrace"
                            | "parent"
                            | "label"
                            | "garbage_collection_info"
                            | "max_heap_size"
                            | "async_dist"
                    )
            }
            Term::Tuple(pair) => {
                matches!(pair.array::<2>(), Some([Term::Atom(word), _]) if word == *"dictionary")
            }
            _ => false,
        }
    }

    fn item(&self, item: &Term) -> Option<Term> {
        match item {
            Term::Atom(name) => self.pair(name),
            // Nothing is in a dictionary here.
            _ => Some(Term::from((item.clone(), Term::atom("undefined")))),
        }
    }

    fn pair(&self, name: &str) -> Option<Term> {
        Some(Term::from((Term::from(Atom::new(name).ok()?), self.value(name)?)))
    }

    fn value(&self, name: &str) -> Option<Term> {
        let info = &self.info;
        Some(match name {
            "registered_name" => info.registered_name.clone().map_or(Term::NIL, Term::from),
            "current_function" | "initial_call" => self.function(),
            "current_location" => match self.function().as_tuple()?.array::<3>()? {
                [module, function, arity] => Term::from((module, function, arity, Term::NIL)),
            },
            "current_stacktrace" => Term::from(vec![self.value("current_location")?]),
            "backtrace" => Term::from(""),
            "status" => Term::atom("waiting"),
            "message_queue_len" => Term::from(info.message_queue_len),
            "messages" => Term::from(self.messages.clone()),
            "message_queue_data" => Term::atom("on_heap"),
            "links" => Term::from(info.links.clone()),
            "monitors" => {
                let monitors = info
                    .monitors
                    .iter()
                    .map(|item| Term::from((Term::atom("process"), item.term())));
                Term::from(monitors.collect::<Vec<_>>())
            }
            "monitored_by" => Term::from(info.monitored_by.clone()),
            "trap_exit" => Term::from(info.trap_exit),
            "group_leader" => Term::from(info.group_leader.clone()),
            "memory" => Term::from(info.mailbox_bytes),
            "error_handler" => Term::atom("error_handler"),
            "priority" => Term::atom("normal"),
            "dictionary" | "suspending" | "sequential_trace_token" | "binary" => Term::NIL,
            "last_calls" | "async_dist" => Term::from(false),
            "label" => Term::atom("undefined"),
            "parent" => info
                .parent
                .clone()
                .map_or_else(|| Term::atom("undefined"), Term::from),
            "garbage_collection" => Term::from(vec![Term::from((Term::atom("minor_gcs"), 0))]),
            "garbage_collection_info" => Term::NIL,
            "max_heap_size" => {
                let limits = [
                    ("size", 0.into()),
                    ("kill", true.into()),
                    ("error_logger", true.into()),
                ];
                let limits = limits.map(|(name, value): (&'static str, Term)| (Term::atom(name), value));
                Term::Map(Map::from_iter(limits))
            }
            "total_heap_size" | "heap_size" | "stack_size" | "reductions" | "trace" | "catchlevel"
            | "min_heap_size" | "min_bin_vheap_size" | "fullsweep_after" => Term::from(0),
            _ => return None,
        })
    }

    /// What the process was made to run; a task of the program has no name that Erlang would know.
    fn function(&self) -> Term {
        match &self.info.initial_call {
            Some((module, function, arity)) => Term::from((module.clone(), function.clone(), *arity)),
            None => Term::from((Term::atom("beamnode"), Term::atom("process"), 0)),
        }
    }
}

impl std::fmt::Debug for Info {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Info").field(&self.pid).finish()
    }
}

/// `register/2`.
pub(super) fn register(me: &Process, arguments: &[Term]) -> Outcome {
    let fails = |cause| Err(super::badarg_because("register", arguments, cause));
    let [Term::Atom(name), Term::Pid(pid)] = arguments else {
        return fails("none");
    };
    if pid.node() != me.node().name() {
        return fails("none");
    }
    match me.node().register(name, pid) {
        Ok(()) => Ok(Term::from(true)),
        Err(RegisterError::Exited) => fails("notalive"),
        Err(RegisterError::HasName { .. }) => fails("registered_name"),
        Err(RegisterError::Taken { .. } | RegisterError::Illegal { .. }) => fails("none"),
    }
}

/// How `send/2,3` and their kin are called and what they give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// The message.
    Message,
    /// `ok`, `nosuspend` or `noconnect`.
    Options,
    /// `true`.
    NoSuspend,
}

/// `To ! Message`, `send/2,3`, `send_nosuspend/2,3`.
pub(super) async fn send(
    me: &Process,
    function: &'static str,
    arguments: &[Term],
    sending: Sending,
) -> Outcome {
    let [to, message, ..] = arguments else {
        return Err(badarg(function, arguments));
    };
    let (mut noconnect, mut nosuspend, mut priority) = (false, sending == Sending::NoSuspend, false);
    if let Some(options) = arguments.get(2) {
        let known = |option: &Term| {
            let name = option.as_atom().map(Atom::as_str);
            matches!(name, Some("noconnect" | "nosuspend" | "priority"))
        };
        match options {
            Term::List(options) if options.is_proper() && options.iter().all(|option| known(&option)) => {
                noconnect = options.iter().any(|option| option.is_atom("noconnect"));
                nosuspend |= options.iter().any(|option| option.is_atom("nosuspend"));
                priority = options.iter().any(|option| option.is_atom("priority"));
            }
            _ => return Err(super::badarg_because(function, arguments, "badopt")),
        }
    }
    let Some(destination) = destination(me.node(), to) else {
        return Err(badarg(function, arguments));
    };
    let node = match &destination {
        Destination::Pid(pid) => Some(pid.node().clone()),
        Destination::Remote { node, .. } => Some(node.clone()),
        Destination::Alias(alias) => Some(alias.node().clone()),
        _ => None,
    };
    let connected = node.is_none_or(|node| me.node().is_connected(&node));
    let sent = if noconnect && !connected {
        "noconnect"
    } else if let (Destination::Alias(alias), true) = (&destination, priority) {
        me.send_priority(alias, message.clone()).await.ok();
        "ok"
    } else if !nosuspend || !connected {
        me.send(destination, message.clone()).await.ok();
        "ok"
    } else {
        match me.try_send(destination, message.clone()) {
            Err(SendError::Busy { .. }) => "nosuspend",
            _ => "ok",
        }
    };
    Ok(match sending {
        Sending::Message => message.clone(),
        Sending::Options => Term::atom(sent),
        Sending::NoSuspend => Term::from(sent == "ok"),
    })
}

fn destination(node: &Node, to: &Term) -> Option<Destination> {
    Some(match to {
        Term::Pid(pid) => Destination::from(pid),
        Term::Reference(alias) => Destination::from(alias.clone()),
        Term::Atom(name) if node.whereis(name).is_some() => Destination::from(name),
        _ => match to.as_tuple()?.array()? {
            [Term::Atom(name), Term::Atom(node)] => Destination::from((name, node)),
            _ => return None,
        },
    })
}

/// `monitor/2` of processes.
pub(super) async fn monitor(me: &Process, arguments: &[Term]) -> Outcome {
    let [kind, item] = arguments else {
        return Err(badarg("monitor", arguments));
    };
    if !kind.is_atom("process") {
        return Err(super::badarg_because("monitor", arguments, "badtype"));
    }
    let item = match item {
        Term::Pid(pid) => Item::from(pid),
        Term::Atom(name) => Item::from((name.clone(), me.node().name().clone())),
        _ => match item.as_tuple().and_then(|tuple| tuple.array()) {
            Some([Term::Atom(name), Term::Atom(node)]) => Item::from((name, node)),
            _ => return Err(badarg("monitor", arguments)),
        },
    };
    Ok(Term::from(me.monitor(item).await))
}

/// `demonitor/1`, and `demonitor/2` with its options `flush` and `info`.
pub(super) fn demonitor(me: &Process, arguments: &[Term]) -> Option<Term> {
    let Term::Reference(reference) = arguments.first()? else {
        return None;
    };
    // Monitors of this node's processes are references of it.
    if reference.node() != me.node().name() {
        return None;
    }
    let mut held = true;
    match arguments.get(1) {
        None => {
            me.demonitor(reference);
        }
        Some(Term::List(options)) if options.is_proper() => {
            let names: Vec<Atom> = options
                .iter()
                .map(|option| Some(option.as_atom()?.clone()))
                .collect::<Option<_>>()?;
            if !names.iter().all(|name| matches!(name.as_str(), "flush" | "info")) {
                return None;
            }
            let has = |wanted: &str| names.iter().any(|name| *name == *wanted);
            let found = if has("flush") {
                me.demonitor_flush(reference)
            } else {
                me.demonitor(reference)
            };
            held = found || !has("info");
        }
        Some(_) => return None,
    }
    Some(Term::from(held))
}

/// `list_to_pid/1`, for pids of this node: `<0.Id.Serial>`.
pub(super) fn list_to_pid(node: &Node, text: &Term) -> Option<Term> {
    let text = text.as_list()?.to_text()?;
    let mut numbers = text
        .strip_prefix("<0.")?
        .strip_suffix('>')?
        .split('.')
        // No sign, which Rust reads too.
        .map(|number| number.parse::<u32>().ok().filter(|_| !number.starts_with('+')));
    let (Some(Some(id)), Some(Some(serial)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        return None;
    };
    Some(Term::from(Pid::new(
        node.name().clone(),
        id,
        serial,
        node.creation(),
    )))
}

/// `pid_to_list/1`: pids of this node begin with 0, others with what stands for their node there.
pub(super) fn pid_to_list(node: &Node, pid: &Term) -> Option<Term> {
    let Term::Pid(pid) = pid else { return None };
    let first = usize::from(pid.node() != node.name());
    let text = format!("<{first}.{}.{}>", pid.id(), pid.serial());
    Some(Term::List(List::from_chars(&text)))
}

/// `ref_to_list/1`.
pub(super) fn ref_to_list(node: &Node, reference: &Term) -> Option<Term> {
    let Term::Reference(reference) = reference else {
        return None;
    };
    Some(Term::List(List::from_chars(&ref_text(node, reference))))
}

fn ref_text(node: &Node, reference: &Reference) -> String {
    let mut text = format!("#Ref<{}", usize::from(reference.node() != node.name()));
    for word in reference.words().iter().rev() {
        text.push_str(&format!(".{word}"));
    }
    text.push('>');
    text
}
