//! `beamnode node`: a node that stays up, as `erl -noinput` does.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use beamnode::node::{Message, Node, NodeEvent, NodeType, Process, RegisterError};
use beamnode::term::Term;
use tracing::warn;

use crate::options::NodeOptions;

/// Be a node until ended by a signal.
///
/// Prints a line for each node that comes or goes: `nodeup NODE visible` or `nodedown NODE hidden connection_closed`. A
/// process registered as `echo` answers `{From, Message}` with `{echo, Message}`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    options: NodeOptions,
    /// Seconds of silence after which a node counts as down, as the kernel parameter net_ticktime
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    net_ticktime: u32,
    /// How many ticks there are in that time, as the kernel parameter net_tickintensity
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u32).range(4..=1000))]
    net_tickintensity: u32,
    /// Whether to join the clusters of the visible nodes that are connected to, as `erl -connect_all`
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    connect_all: bool,
    /// Whether to leave nodes that any node of the cluster has lost, as the kernel parameter prevent_overlapping_partitions
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    prevent_overlapping_partitions: bool,
}

pub(crate) fn run(args: Args) -> ExitCode {
    crate::log("info");
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return crate::failure(&error),
    };
    match runtime.block_on(stay(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::failure(&error),
    }
}

async fn stay(args: Args) -> Result<(), Box<dyn Error>> {
    if args.options.sname.is_none() && args.options.name.is_none() {
        return Err("a node needs a name: --sname NAME or --name NAME".into());
    }
    let builder = args.options.builder("", None)?;
    let node = builder
        .connect_all(args.connect_all)
        .prevent_overlapping_partitions(args.prevent_overlapping_partitions)
        .net_ticktime(Duration::from_secs(args.net_ticktime.into()))
        .net_tickintensity(args.net_tickintensity)
        .epmd_program(std::env::current_exe()?)
        .may_halt(true)
        .start()
        .await?;
    let mut events = node.monitor_nodes(NodeType::All);
    serve_echo(&node)?;
    let mut end = std::pin::pin!(ended());
    loop {
        tokio::select! {
            event = events.next() => match event {
                // Nobody reads: a node is up all the same.
                Some(event) => drop(print(&event)),
                None => break,
            },
            () = &mut end => break,
        }
    }
    node.shutdown().await;
    Ok(())
}

/// Starts the process `echo`.
fn serve_echo(node: &Node) -> Result<(), RegisterError> {
    let echo = node.spawn(async |mut me| {
        while let Some(message) = me.recv().await {
            if let Err(error) = echo(&me, &message).await {
                warn!(%error, "echo: no answer sent");
            }
        }
        Ok(())
    });
    node.register("echo", &echo)
}

async fn echo(me: &Process, message: &Message) -> Result<(), Box<dyn Error + Send + Sync>> {
    let term = message.term()?;
    let Some([Term::Pid(from), message]) = term.as_tuple().and_then(|tuple| tuple.array()) else {
        return Err(format!("{term} is not {{From, Message}}").into());
    };
    me.send(from, beamnode::term!({echo, (message)})).await?;
    Ok(())
}

fn print(event: &NodeEvent) -> std::io::Result<()> {
    let kind = |hidden| if hidden { "hidden" } else { "visible" };
    let mut out = std::io::stdout().lock();
    match event {
        NodeEvent::NodeUp { node, hidden, .. } => {
            writeln!(out, "nodeup {} {}", node.as_str(), kind(*hidden))?
        }
        NodeEvent::NodeDown {
            node, hidden, reason, ..
        } => {
            writeln!(out, "nodedown {} {} {reason}", node.as_str(), kind(*hidden))?;
        }
    }
    out.flush()
}

/// Waits for SIGINT or SIGTERM.
async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}
