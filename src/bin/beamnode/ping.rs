//! `beamnode ping NODE`: `pong`, or `pang` and why.

use std::error::Error;
use std::process::ExitCode;

use beamnode::node::PingError;
use beamnode::term::Atom;

use crate::options::NodeOptions;

/// Print `pong` if the node answers, else `pang`, and on standard error why.
///
/// Exits with 0 for `pong`, with 1 for `pang`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node, NAME@HOST
    node: String,
    #[command(flatten)]
    options: NodeOptions,
}

pub(crate) fn run(args: Args) -> ExitCode {
    crate::log("off");
    match crate::block_on(ping(&args)) {
        Ok(Ok(Ok(()))) => {
            println!("pong");
            ExitCode::SUCCESS
        }
        Ok(Ok(Err(error))) => {
            println!("pang");
            crate::failure(&format_args!("{}: {error}", args.node))
        }
        Ok(Err(error)) => crate::failure(&error),
        Err(error) => crate::failure(&error),
    }
}

async fn ping(args: &Args) -> Result<Result<(), PingError>, Box<dyn Error>> {
    let peer = Atom::new(&args.node)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let fallback = format!("beamnode_ping_{}_{}", std::process::id(), now.as_millis());
    let builder = args.options.builder(&fallback, Some(&args.node))?;
    // Without a name of its own choosing nobody is to find it: it neither listens nor shows.
    let anonymous = args.options.sname.is_none() && args.options.name.is_none();
    let builder = if anonymous {
        builder.listen(false).hidden(true)
    } else {
        // It is gone in a moment: no cluster's business.
        builder.connect_all(false)
    };
    let node = builder.epmd_program(std::env::current_exe()?).start().await?;
    let answer = node.ping(&peer).await;
    node.shutdown().await;
    Ok(answer)
}
