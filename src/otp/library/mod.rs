//! Functions of Erlang's libraries that people and tools call on any node: of `timer`, `net_adm`, `net_kernel`, `rpc`, `erpc`, `io`,
//! `init` and `code`. A call with arguments that a function is not made for fails as on a BEAM node.

mod calls;
mod net;
mod print;

use std::time::{Duration, Instant};

use super::erlang::stop;
use super::erpc::apply;
use crate::node::{Exception, Node, Process};
use crate::term::{Atom, List, Term};

pub(super) fn start(node: &Node) {
    timer(node);
    net::start(node);
    calls::start(node);
    print::start(node);
    init(node);
    code(node);
}

/// No clause of the function is for these arguments.
fn function_clause(module: &'static str, function: &'static str, arguments: &[Term]) -> Exception {
    let (module, function) = (Atom::from_static(module), Atom::from_static(function));
    Exception::error(
        Atom::from_static("function_clause"),
        &module,
        &function,
        arguments,
    )
}

/// `error(Reason)` within a function, whose arguments the trace does not show.
fn error_in(
    reason: impl Into<Term>,
    module: &'static str,
    function: &'static str,
    arity: usize,
) -> Exception {
    let entry = (
        Atom::from_static(module),
        Atom::from_static(function),
        arity,
        Term::NIL,
    );
    Exception::Error {
        reason: reason.into(),
        stack: Term::from(vec![Term::from(entry)]),
    }
}

fn timer(node: &Node) {
    let timer = node.module("timer");
    timer.function("sleep", 1, async |_, arguments| {
        match arguments.as_slice() {
            [Term::Integer(milliseconds)] if (0..=0xffff_ffff).contains(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds.unsigned_abs())).await;
            }
            [Term::Atom(word)] if *word == *"infinity" => std::future::pending().await,
            _ => return Err(error_in(Atom::from_static("timeout_value"), "timer", "sleep", 1)),
        }
        Ok(Term::atom("ok"))
    });
    timer.function("tc", 3, async |me, arguments| match arguments.as_slice() {
        [module, function, list] => {
            let before = Instant::now();
            let value = apply(me, module, function, list).outcome().await?;
            Ok(Term::from((before.elapsed().as_micros(), value)))
        }
        _ => Err(function_clause("timer", "tc", &arguments)),
    });
}

fn init(node: &Node) {
    let init = node.module("init");
    init.function("get_argument", 1, async |me, arguments| {
        let flag = arguments.first().and_then(Term::as_atom);
        let value = flag.and_then(|flag| argument(me.node(), flag));
        Ok(match value {
            Some(value) => {
                let value = Term::List(List::from_chars(&value));
                Term::from((Term::atom("ok"), vec![Term::from(vec![value])]))
            }
            None => Term::atom("error"),
        })
    });
    init.function("get_arguments", 0, async |me, _| {
        let flags = ["sname", "name", "setcookie", "home", "progname"];
        let set = flags.into_iter().filter_map(|flag| {
            let value = Term::List(List::from_chars(&argument(me.node(), flag)?));
            Some(Term::from((Term::atom(flag), vec![value])))
        });
        Ok(Term::from(set.collect::<Vec<_>>()))
    });
    init.function("get_plain_arguments", 0, async |_, _| Ok(Term::NIL));
    init.function("get_status", 0, async |_, _| {
        Ok(Term::from((Term::atom("started"), Term::atom("started"))))
    });
    init.function("script_id", 0, async |_, _| {
        let text = |text: &str| Term::List(List::from_chars(text));
        Ok(Term::from((text("beamnode"), text(env!("CARGO_PKG_VERSION")))))
    });
    for arity in [0, 1] {
        init.function("stop", arity, async |me, arguments| {
            let status = match arguments.first() {
                None => 0,
                Some(Term::Integer(status)) if *status >= 0 => i32::try_from(status & 0xff).unwrap_or(1),
                Some(Term::List(text)) if text.to_text().is_some() => 1,
                Some(_) => return Err(error_in(Atom::from_static("badarg"), "init", "stop", 1)),
            };
            stop(&me, status);
            Ok(Term::atom("ok"))
        });
    }
}

/// What `erl` would have been started with to be this node.
fn argument(node: &Node, flag: &str) -> Option<String> {
    let long = node.node_name().kind() == crate::dist::NameKind::Long;
    let name = node.name().as_str();
    match flag {
        "sname" if !long => Some(name.split('@').next().unwrap_or(name).to_owned()),
        "name" if long => Some(name.to_owned()),
        "setcookie" => {
            let cookie = node.cookie(name);
            Some(cookie.as_bytes().iter().map(|&byte| char::from(byte)).collect())
        }
        "home" => std::env::var("HOME").ok(),
        "progname" => Some("beamnode".to_owned()),
        _ => None,
    }
}

fn code(node: &Node) {
    let code = node.module("code");
    code.function("ensure_loaded", 1, async |me, arguments| {
        Ok(match loaded(&me, "ensure_loaded", &arguments)? {
            Some(name) => Term::from((Term::atom("module"), name)),
            None => Term::from((Term::atom("error"), Term::atom("nofile"))),
        })
    });
    code.function("which", 1, async |me, arguments| {
        let found = loaded(&me, "which", &arguments)?.is_some();
        Ok(Term::atom(if found { "preloaded" } else { "non_existing" }))
    });
    code.function("is_loaded", 1, async |me, arguments| {
        Ok(match loaded(&me, "is_loaded", &arguments)? {
            Some(_) => Term::from((Term::atom("file"), Term::atom("preloaded"))),
            None => Term::from(false),
        })
    });
}

/// The module asked for, if this node has it.
fn loaded(me: &Process, function: &'static str, arguments: &[Term]) -> Result<Option<Atom>, Exception> {
    let Some(Term::Atom(name)) = arguments.first() else {
        return Err(function_clause("code", function, arguments));
    };
    Ok(me.node().has_module(name).then(|| name.clone()))
}
