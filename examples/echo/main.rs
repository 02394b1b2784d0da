//! A process that answers what it is sent, and one that asks: this half in Rust, the other, `echo.erl`, in Erlang.
//!
//! ```text
//! $ cargo run --example echo -- rust secret
//! $ erl -sname alice -setcookie secret
//! 1> c(echo), echo:ask('rust@build', hello).
//! hello
//! 2> echo:start().
//!
//! $ cargo run --example echo -- asking secret alice@build hello
//! hello
//! ```

use std::error::Error;

use beamnode::node::{Node, Process};
use beamnode::term;
use beamnode::term::Term;

/// Answers `{From, Message}` with `{echo, Message}`.
async fn serve(mut me: Process) {
    while let Some(message) = me.recv().await {
        let Ok(term) = message.term() else { continue };
        if let Some([Term::Pid(from), message]) = term.as_tuple().and_then(|tuple| tuple.array()) {
            me.send(&from, term!({echo, (message)})).await.ok();
        }
    }
}

/// Asks the echo on `peer`.
async fn ask(node: &Node, peer: &str, text: &str) -> Result<Term, Box<dyn Error>> {
    let mut me = node.process();
    let message: Term = text.parse()?;
    me.send(("echo", peer), term!({(me.pid().clone()), (message)}))
        .await?;
    let answer = me.recv().await.ok_or("the node has stopped")?.term()?;
    match answer.as_tuple().and_then(|tuple| tuple.array()) {
        Some([tag, message]) if tag == Term::atom("echo") => Ok(message),
        _ => Err(format!("no echo: {answer}").into()),
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [name, cookie] => {
            let node = Node::builder(*name).cookie(*cookie).start().await?;
            let me = node.process();
            me.register("echo")?;
            println!("{} echoes", node.name());
            serve(me).await;
            node.shutdown().await;
        }
        [name, cookie, peer, text] => {
            let node = Node::builder(*name).cookie(*cookie).start().await?;
            println!("{}", ask(&node, peer, text).await?);
            node.shutdown().await;
        }
        _ => return Err("usage: echo NAME COOKIE [NODE MESSAGE]".into()),
    }
    Ok(())
}
