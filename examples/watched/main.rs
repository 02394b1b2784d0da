//! Processes in Rust that Erlang processes spawn, monitor and link to (`watched.erl`).
//!
//! Each adds up the numbers that it is sent. It ends `normal` when it is told to stop, with a reason that says what was wrong when it is
//! sent anything else, and with whatever a linked process or an exit signal ends it.
//!
//! ```text
//! $ cargo run --example watched -- rust secret
//! $ erl -sname alice -setcookie secret
//! 1> c(watched).
//! 2> watched:monitored('rust@build').
//! {{no_number,words},normal}
//! 3> watched:linked('rust@build').
//! {crash,shutdown,killed}
//! ```

use std::error::Error;

use beamnode::node::{Exception, Node, Outcome, Process};
use beamnode::term;
use beamnode::term::Term;

/// What runs as the process: `worker:start/0`.
async fn work(mut me: Process, _: Vec<Term>) -> Outcome {
    println!("{} is at work", me.pid());
    let mut sum = 0;
    // Nothing is left to receive when the process is ended from outside.
    while let Some(message) = me.recv().await {
        match message.term() {
            Ok(Term::Integer(number)) => sum += number,
            Ok(order) if order == Term::atom("stop") => break,
            Ok(order) if order == Term::atom("shutdown") => return Err(Exception::Exit(order)),
            Ok(other) => return Err(Exception::Exit(term!({no_number, (other)}))),
            Err(_) => return Err(Exception::Exit(Term::atom("no_term"))),
        }
    }
    println!("{} has added up {sum}", me.pid());
    Ok(Term::from(sum))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(cookie)) = (arguments.next(), arguments.next()) else {
        return Err("usage: watched NAME COOKIE".into());
    };
    let node = Node::builder(name).cookie(cookie).start().await?;
    node.module("worker").function("start", 0, work);
    println!("{} is up", node.name());
    tokio::signal::ctrl_c().await?;
    node.shutdown().await;
    Ok(())
}
