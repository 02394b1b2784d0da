//! A node's place in EPMD, and an EPMD to have it in.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::debug;

use super::{Node, StartError};
use crate::dist::NodeName;
use crate::epmd::{self, ClientError, Keeper, KeeperError, Registrant};

/// How often, and for how long in all, a node asks an EPMD that is just being started.
const EPMD_RETRY: Duration = Duration::from_millis(50);
const EPMD_START: Duration = Duration::from_secs(5);

/// Registers the name with this host's EPMD, and sees to it that there is one.
pub(super) async fn register(
    name: &NodeName,
    port: u16,
    program: Option<PathBuf>,
) -> Result<Keeper, StartError> {
    let client = epmd::Client::local();
    let alive = epmd::Name::new(name.alive()).map_err(|_| taken(name))?;
    let registrant = Registrant::new(alive, port);
    let Some(program) = program else {
        return Keeper::start_or_serve(client, registrant)
            .await
            .map_err(|error| refused(name, error));
    };
    let started = Instant::now();
    let mut daemon_started = false;
    loop {
        match Keeper::start(client.clone(), registrant.clone()).await {
            Err(ClientError::NotRunning { .. }) if !daemon_started => {
                start_daemon(program.clone())
                    .await
                    .map_err(|source| StartError::NoEpmd {
                        program: program.clone(),
                        source,
                    })?;
                daemon_started = true;
            }
            // It needs a moment.
            Err(ClientError::NotRunning { .. }) if started.elapsed() < EPMD_START => {
                tokio::time::sleep(EPMD_RETRY).await;
            }
            other => return other.map_err(|error| refused(name, error.into())),
        }
    }
}

async fn start_daemon(program: PathBuf) -> io::Result<()> {
    debug!(program = %program.display(), "no EPMD on this host: starting one");
    let run = move || {
        std::process::Command::new(program)
            .args(["epmd", "-daemon"])
            .status()
    };
    let status = tokio::task::spawn_blocking(run)
        .await
        .map_err(io::Error::other)??;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("it ended with {status}")))
    }
}

fn refused(name: &NodeName, error: KeeperError) -> StartError {
    match error {
        KeeperError::Client(ClientError::NameRefused { .. }) => taken(name),
        error => StartError::Epmd(error),
    }
}

fn taken(name: &NodeName) -> StartError {
    StartError::NameTaken { name: name.clone() }
}

/// Holds the registration until the node stops.
pub(super) fn keep(node: &Node, registration: Keeper) {
    let mut stop = node.0.stopping.subscribe();
    tokio::spawn(async move {
        let _ = stop.wait_for(|stop| *stop).await;
        drop(registration);
    });
}
