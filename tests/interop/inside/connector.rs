//! The Rust node of cases in which ours is the one that connects: a program on the library that prints what `beamnode node`
//! prints, and connects and disconnects as its standard input tells it, a line each.

use std::process::ExitCode;

use beamnode::{
    dist::Cookie,
    node::{Node, NodeEvent, NodeType},
    term::{Atom, Term},
};
use tokio::io::{AsyncBufReadExt, BufReader};

/// What this program is started with, to be this.
pub(crate) const ARGUMENT: &str = "--connector";

pub(crate) fn main(arguments: &[String]) -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(arguments));
    ExitCode::SUCCESS
}

async fn run(arguments: &[String]) {
    let mut arguments = arguments.iter();
    let mut builder = None;
    let (mut cookie, mut hidden, mut ticktime) = (None, false, None);
    let (mut connect_all, mut prevents) = (true, true);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--sname" => builder = Some(Node::short(value())),
            "--name" => builder = Some(Node::long(value())),
            "--cookie" => cookie = Some(Cookie::new(value()).expect("a cookie")),
            "--net-ticktime" => ticktime = Some(value().parse().expect("seconds")),
            "--hidden" => hidden = true,
            "--connect-all" => connect_all = value() == "true",
            "--prevent-overlapping-partitions" => prevents = value() == "true",
            other => panic!("{other} is no option"),
        }
    }
    let mut builder = builder
        .expect("a name")
        .hidden(hidden)
        .connect_all(connect_all)
        .prevent_overlapping_partitions(prevents);
    if let Some(cookie) = cookie {
        builder = builder.cookie(cookie);
    }
    if let Some(seconds) = ticktime {
        builder = builder.net_ticktime(std::time::Duration::from_secs(seconds));
    }
    let node = builder.start().await.expect("the node starts");
    print_events(&node);
    serve_echo(&node);

    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(command)) = commands.next_line().await {
        let (verb, peer) = command.split_once(' ').expect("VERB NODE");
        let peer = Atom::new(peer).expect("a node's name");
        match verb {
            "ping" => match node.ping(&peer).await {
                Ok(()) => println!("answer pong"),
                Err(error) => println!("answer pang {error}"),
            },
            "disconnect" => println!("answer {}", node.disconnect(&peer)),
            _ => panic!("{verb} is no command"),
        }
    }
    node.shutdown().await;
}

fn print_events(node: &Node) {
    let mut events = node.monitor_nodes(NodeType::All);
    tokio::spawn(async move {
        let kind = |hidden| if hidden { "hidden" } else { "visible" };
        while let Some(event) = events.next().await {
            match event {
                NodeEvent::NodeUp { node, hidden, .. } => println!("nodeup {node} {}", kind(hidden)),
                NodeEvent::NodeDown {
                    node, hidden, reason, ..
                } => {
                    println!("nodedown {node} {} {reason}", kind(hidden));
                }
            }
        }
    });
}

/// The process `echo`, which answers `{From, Message}` with `{echo, Message}`.
fn serve_echo(node: &Node) {
    let mut me = node.process();
    me.register("echo").expect("the name is free");
    tokio::spawn(async move {
        while let Some(message) = me.recv().await {
            let term = message.term().expect("a term");
            let Some([Term::Pid(from), message]) = term.as_tuple().and_then(|tuple| tuple.array()) else {
                continue;
            };
            me.send(from, beamnode::term!({echo, (message)})).await.ok();
        }
    });
}
