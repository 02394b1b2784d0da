//! Keeping a node registered for as long as it lives, whatever becomes of EPMD.
//!
//! When the connection to EPMD is lost, the node registers again under the same name and port until it succeeds. The node keeps the
//! creation that it has: its process identifiers are out in the world with it. So does Erlang's `erl_epmd`, which tries
//! every two seconds; this tries sooner at first.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::client::{Client, ClientError, Registration};
use super::message::Registrant;
use super::server::{BindError, Server, addresses_from_environment};

/// How long to wait before each attempt to register again; the last one is repeated.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// A node's place in EPMD, kept through EPMD's restarts. Dropping it frees the name, and ends the EPMD that it carries, if
/// it carries one.
///
/// ```no_run
/// use beamnode::epmd::{Client, Keeper, Name, Registrant};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let me = Registrant::new(Name::new("rust")?, 40123);
/// let keeper = Keeper::start_or_serve(Client::local(), me).await?;
/// println!("registered with creation {}", keeper.creation());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Keeper {
    creation: u32,
    registered: watch::Receiver<bool>,
    keeping: AbortHandle,
    serving: Option<AbortHandle>,
}

impl Keeper {
    /// Registers `node` with the EPMD that `client` asks, and keeps it registered.
    ///
    /// # Errors
    /// When the first attempt fails. Later ones are repeated for ever.
    pub async fn start(client: Client, node: Registrant) -> Result<Self, ClientError> {
        let registration = client.register(&node).await?;
        let creation = registration.creation();
        let (tell, registered) = watch::channel(true);
        let keeping = tokio::spawn(keep(client, node, registration, tell)).abort_handle();
        Ok(Self {
            creation,
            registered,
            keeping,
            serving: None,
        })
    }

    /// As [`Keeper::start`]; and when no EPMD runs on this host, serves as one in this process, at the addresses that
    /// `ERL_EPMD_ADDRESS` lists or at all of them, until the `Keeper` is dropped.
    ///
    /// Only at the start: when an EPMD goes away later, whoever runs it will bring it back.
    ///
    /// # Errors
    /// When the node cannot be registered, or no EPMD runs and none can be served.
    pub async fn start_or_serve(client: Client, node: Registrant) -> Result<Self, KeeperError> {
        match Self::start(client.clone(), node.clone()).await {
            Err(ClientError::NotRunning { .. }) if client.is_local() => {}
            other => return Ok(other?),
        }
        let serving = match Server::bind_port(client.epmd_port(), &addresses_from_environment()?) {
            Ok(server) => {
                tracing::info!(addresses = ?server.addresses(), "no EPMD on this host: this node serves as one");
                Some(tokio::spawn(server.serve(std::future::pending())).abort_handle())
            }
            // Somebody else was faster.
            Err(BindError::InUse { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        match Self::start(client, node).await {
            Ok(mut keeper) => {
                keeper.serving = serving;
                Ok(keeper)
            }
            Err(error) => {
                if let Some(serving) = serving {
                    serving.abort();
                }
                Err(error.into())
            }
        }
    }

    /// The creation that EPMD gave at the first registration. It is the node's for good.
    #[must_use]
    pub const fn creation(&self) -> u32 {
        self.creation
    }

    /// Whether this process serves as the EPMD of its host.
    #[must_use]
    pub const fn serves(&self) -> bool {
        self.serving.is_some()
    }

    /// Whether the node is registered at this moment.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        *self.registered.borrow()
    }

    /// Waits until the node is registered, or until it is not.
    pub async fn until_registered(&mut self, registered: bool) {
        // Fails only when the task has ended, which it does not before this is dropped.
        let _ = self.registered.wait_for(|now| *now == registered).await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.keeping.abort();
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Why a node could not be registered and no EPMD be served for it.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// EPMD did not register the node.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No EPMD is running, and this process cannot be one.
    #[error("no EPMD is running on this host, and this node cannot serve as one: {0}")]
    Serve(#[from] BindError),
}

/// Registers again whenever the registration is lost.
async fn keep(client: Client, node: Registrant, mut registration: Registration, tell: watch::Sender<bool>) {
    loop {
        let lost = registration.lost().await;
        drop(registration);
        tell.send_replace(false);
        tracing::warn!(name = %node.name, reason = %lost, "lost the registration with EPMD; trying to get it back");
        registration = again(&client, &node).await;
        tell.send_replace(true);
        tracing::info!(name = %node.name, port = node.port, "registered with EPMD again");
    }
}

async fn again(client: &Client, node: &Registrant) -> Registration {
    let mut pauses = PAUSES.iter();
    let mut pause = Duration::ZERO;
    loop {
        pause = pauses.next().copied().unwrap_or(pause);
        tokio::time::sleep(pause).await;
        match client.register(node).await {
            Ok(registration) => return registration,
            Err(error @ ClientError::NameRefused { .. }) => {
                tracing::warn!(name = %node.name, %error, "cannot register again yet");
            }
            Err(error) => tracing::debug!(name = %node.name, %error, "cannot register again yet"),
        }
    }
}
