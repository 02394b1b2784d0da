//! `io`: printing, on the group leader of who calls or on a process that is named.

use super::super::io::IoError;
use super::error_in;
use crate::node::{Exception, Node, Outcome, Process};
use crate::term::{Atom, List, Term};

pub(super) fn start(node: &Node) {
    let io = node.module("io");
    for name in ["format", "fwrite"] {
        io.function(name, 1, move |me, arguments| async move {
            let [format] = arguments.as_slice() else {
                return Err(badarg(name, 1));
            };
            print(&me, name, 1, None, formatted(format, &Term::NIL)).await
        });
        io.function(name, 2, move |me, arguments| async move {
            match arguments.as_slice() {
                [format, list] => print(&me, name, 2, None, formatted(format, list)).await,
                _ => Err(badarg(name, 2)),
            }
        });
        io.function(name, 3, move |me, arguments| async move {
            let [device, format, list] = arguments.as_slice() else {
                return Err(badarg(name, 3));
            };
            print(&me, name, 3, Some(device), formatted(format, list)).await
        });
    }
    put_chars(node);
    let written = |value: &Term| {
        let format = Term::List(List::from_chars("~w"));
        formatted(&format, &Term::from(vec![value.clone()]))
    };
    io.function("write", 1, move |me, arguments| async move {
        let [value] = arguments.as_slice() else {
            return Err(badarg("write", 1));
        };
        print(&me, "write", 1, None, written(value)).await
    });
    io.function("write", 2, move |me, arguments| async move {
        let [device, value] = arguments.as_slice() else {
            return Err(badarg("write", 2));
        };
        print(&me, "write", 2, Some(device), written(value)).await
    });
}

fn put_chars(node: &Node) {
    let io = node.module("io");
    io.function("put_chars", 1, async |me, arguments| match arguments.as_slice() {
        [chars] => print(&me, "put_chars", 1, None, plain(chars)).await,
        _ => Err(badarg("put_chars", 1)),
    });
    io.function("put_chars", 2, async |me, arguments| match arguments.as_slice() {
        [device, chars] => print(&me, "put_chars", 2, Some(device), plain(chars)).await,
        _ => Err(badarg("put_chars", 2)),
    });
    io.function("nl", 0, async |me, _| {
        print(&me, "nl", 0, None, plain(&Term::from("\n"))).await
    });
    io.function("nl", 1, async |me, arguments| {
        print(&me, "nl", 1, arguments.first(), plain(&Term::from("\n"))).await
    });
}

fn plain(chars: &Term) -> Term {
    Term::from((Term::atom("put_chars"), Term::atom("unicode"), chars.clone()))
}

/// The leader's node formats.
fn formatted(format: &Term, arguments: &Term) -> Term {
    Term::from((
        Term::atom("put_chars"),
        Term::atom("unicode"),
        Term::atom("io_lib"),
        Term::atom("format"),
        vec![format.clone(), arguments.clone()],
    ))
}

/// The process that a device stands for.
fn device_of(me: &Process, device: &Term) -> Option<crate::term::Pid> {
    match device {
        Term::Pid(pid) => Some(pid.clone()),
        Term::Atom(name) if *name == *"standard_io" => Some(me.group_leader()),
        // What a program in Rust prints goes to one place.
        Term::Atom(name) if *name == *"standard_error" => me.node().whereis("user"),
        Term::Atom(name) => me.node().whereis(name),
        _ => None,
    }
}

async fn print(
    me: &Process,
    function: &'static str,
    arity: usize,
    device: Option<&Term>,
    request: Term,
) -> Outcome {
    let leader = match device {
        None => me.group_leader(),
        Some(device) => device_of(me, device).ok_or_else(|| badarg(function, arity))?,
    };
    match me.ask_device(leader, request).await {
        Ok(_) => Ok(Term::atom("ok")),
        Err(IoError::Refused(why)) => Err(error_in(refused(&why), "io", function, arity)),
        Err(_) => Err(error_in(Atom::from_static("terminated"), "io", function, arity)),
    }
}

/// Why printing fails that a device refuses, as `io` has it.
fn refused(why: &Term) -> Atom {
    let untranslatable = || {
        why.as_tuple()?
            .array::<3>()?
            .first()
            .map(|tag| tag.is_atom("no_translation"))
    };
    Atom::from_static(match why.as_atom().map(Atom::as_str) {
        Some("terminated") => "terminated",
        Some("calling_self") => "calling_self",
        None if untranslatable().unwrap_or(false) => "no_translation",
        _ => "badarg",
    })
}

fn badarg(function: &'static str, arity: usize) -> Exception {
    error_in(Atom::from_static("badarg"), "io", function, arity)
}
