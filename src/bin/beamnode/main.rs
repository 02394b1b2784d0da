//! The `beamnode` command: one module a subcommand.
//!
//! Called under the name `epmd`, through a link or a copy, it behaves as that daemon's program does.

mod epmd;
mod names;
mod node;
mod options;
mod ping;
mod term;

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A node in a cluster of Erlang and Elixir nodes.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Epmd(epmd::Args),
    Names(names::Args),
    Node(node::Args),
    Ping(ping::Args),
    Term(term::Args),
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    if Path::new(&program).file_stem() == Some(OsStr::new("epmd")) {
        return epmd::run(arguments);
    }
    match Cli::parse().command {
        Command::Epmd(args) => epmd::run(args.arguments),
        Command::Names(args) => names::run(&args),
        Command::Node(args) => node::run(args),
        Command::Ping(args) => ping::run(args),
        Command::Term(args) => term::run(&args),
    }
}

/// Runs `work` on a runtime of one thread: enough for a command that asks a question or two.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, std::io::Error> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work))
}

/// Logs to stderr what `RUST_LOG` asks for, or `default`.
fn log(default: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

/// Says on stderr what went wrong, with its causes left to its own text, and gives the exit code for it.
fn failure(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("beamnode: {error}");
    ExitCode::FAILURE
}
