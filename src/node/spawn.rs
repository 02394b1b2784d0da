//! Spawn requests of other nodes: "SPAWN_REQUEST" in Erlang's distribution protocol documentation.
//!
//! The answer goes out before the new process does anything, and always: also for a function that does not exist, whose
//! process then ends with `undef`, as on a BEAM node.

use std::sync::Arc;

use super::cell::Cell;
use super::connections::Connection;
use super::modules::{Exception, Function};
use super::signal::Outbox;
use super::{DEFAULT_MAILBOX_LIMIT, Node, Process, task};
use crate::dist::control::{Control, Link, MonitorP, Monitored, SpawnReply, SpawnRequest};
use crate::term::{Atom, Term};

/// The options that matter to us: what is to be set up before the function runs.
#[derive(Debug, Default)]
struct Options {
    link: bool,
    monitor: bool,
}

impl Options {
    /// Reads a list of options; `None` for `badopt`.
    fn read(options: &Term) -> Option<Self> {
        let list = options.as_list()?;
        let mut read = Self::default();
        for option in list.iter() {
            match &option {
                Term::Atom(name) if *name == *"link" => read.link = true,
                Term::Atom(name) if *name == *"monitor" => read.monitor = true,
                Term::Tuple(pair) => {
                    let Some([Term::Atom(name), _]) = pair.array::<2>() else {
                        return None;
                    };
                    match name.as_str() {
                        "monitor" => read.monitor = true,
                        // They tune BEAM's scheduler and heap.
                        "priority" | "fullsweep_after" | "min_heap_size" | "min_bin_vheap_size"
                        | "max_heap_size" | "message_queue_data" | "async_dist" => {}
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        Some(read)
    }
}

/// Serves a spawn request that came over `via`.
pub(super) fn serve(node: &Node, request: SpawnRequest, via: Option<&Arc<Connection>>, out: &mut Outbox) {
    let refuse = |request: SpawnRequest, error: &'static str, out: &mut Outbox| {
        let result = Err(Atom::from_static(error));
        out.push(reply(request, &Options::default(), result), via.cloned());
    };
    let options = match request.options.decode() {
        Ok(options) => Options::read(&options),
        Err(_) => None,
    };
    let Some(options) = options else {
        return refuse(request, "badopt", out);
    };
    let me = node.process_of(request.group_leader.clone(), DEFAULT_MAILBOX_LIMIT);
    let cell = Arc::clone(me.cell());
    watch(&cell, &request, &options, via, out);
    out.push(
        reply(request.clone(), &options, Ok(me.pid().clone())),
        via.cloned(),
    );
    start(node, me, &request);
}

/// Links and monitors the new process as the request has it.
fn watch(
    cell: &Cell,
    request: &SpawnRequest,
    options: &Options,
    via: Option<&Arc<Connection>>,
    out: &mut Outbox,
) {
    let (from, to) = (request.from.clone(), cell.pid().clone());
    if options.link {
        cell.receive(
            Control::Link(Link {
                from: from.clone(),
                to: to.clone(),
            }),
            via,
            out,
        );
    }
    if options.monitor {
        let to = Monitored::Pid(to);
        let monitor = MonitorP {
            from,
            to,
            reference: request.reference.clone(),
        };
        cell.receive(Control::MonitorP(monitor), via, out);
    }
}

fn reply(request: SpawnRequest, options: &Options, result: Result<crate::term::Pid, Atom>) -> Control {
    Control::SpawnReply(SpawnReply {
        reference: request.reference,
        to: request.from,
        linked: options.link,
        monitored: options.monitor,
        result,
        token: None,
    })
}

/// Runs the function that the request names as the process `me`.
fn start(node: &Node, me: Process, request: &SpawnRequest) {
    let (module, function) = (request.module.clone(), request.function.clone());
    let arguments: Option<Vec<Term>> = match request.arguments.decode() {
        Ok(Term::List(list)) if list.is_proper() => Some(list.iter().collect()),
        _ => None,
    };
    let found = arguments
        .as_ref()
        .and_then(|list| node.function(&module, &function, list.len()));
    task::run(me, async move |me| match (arguments, found) {
        (None, _) => Err(reason_of("argument_list_decode_failure")),
        (Some(arguments), None) => Err(Exception::undef(&module, &function, &arguments).exit_reason()),
        (Some(arguments), Some(found)) => apply(&found, me, arguments).await,
    });
}

async fn apply(function: &Function, me: Process, arguments: Vec<Term>) -> Result<(), super::ExitReason> {
    function(me, arguments)
        .await
        .map(drop)
        .map_err(Exception::exit_reason)
}

fn reason_of(text: &'static str) -> super::ExitReason {
    Atom::from_static(text).into()
}
