//! `beamnode names [HOST]`: which nodes are registered with the EPMD of a host.

use std::io::{self, Write as _};
use std::process::ExitCode;

use beamnode::epmd::Client;

/// List the nodes that are registered with the EPMD of a host, as `epmd -names` does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host, by name or address; this one if none is given.
    host: Option<String>,
    /// The port of EPMD.
    #[arg(long, env = "ERL_EPMD_PORT", default_value_t = beamnode::epmd::DEFAULT_PORT)]
    epmd_port: u16,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let client = args
        .host
        .as_deref()
        .map_or_else(Client::local, Client::new)
        .port(args.epmd_port);
    match crate::block_on(client.names_text()) {
        Ok(Ok((port, names))) => match print(port, &names) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => crate::failure(&error),
        },
        Ok(Err(error)) => crate::failure(&error),
        Err(error) => crate::failure(&error),
    }
}

/// Writes a list of names, or a dump, as stock's `epmd` has it.
pub(crate) fn print(port: u16, names: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "epmd: up and running on port {port} with data:")?;
    out.write_all(names)?;
    out.flush()
}
