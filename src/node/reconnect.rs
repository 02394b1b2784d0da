//! When connections are made that nobody asked for by name, and connections that are made again whenever they end.

use std::time::Duration;

use tracing::debug;

use super::events::{NodeEvent, NodeType};
use super::{DownReason, Node, NodeEvents};

/// Whether sending to a node that is not connected connects to it, as the kernel parameter `dist_auto_connect`.
/// [`Node::connect`] connects in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoConnect {
    /// It does.
    #[default]
    OnUse,
    /// It does until the node has been connected and was lost.
    Once,
    /// It does not.
    Never,
}

/// How long to wait between attempts at a connection: twice as long after each, up to a limit, and somewhat less at random, so that
/// many nodes that lost the same peer do not come back at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// After the first attempt that fails, and after a connection that ends.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

/// 100 ms to 30 s.
impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// The time after so many failures in a row, where `part`, from 0 to 1, is random: half of it is certain.
    fn delay(self, failures: u32, part: f64) -> Duration {
        let doubled = 2_u32
            .checked_pow(failures)
            .and_then(|times| self.first.checked_mul(times));
        let full = doubled.unwrap_or(self.longest).min(self.longest);
        full.mul_f64(0.5 + part.clamp(0.0, 1.0) / 2.0)
    }
}

/// Keeps a node connected until it is dropped; see [`Node::keep_connected`].
#[derive(Debug)]
#[must_use = "the node is kept connected only as long as this lives"]
pub struct KeptConnected(tokio::task::AbortHandle);

impl KeptConnected {
    /// Keeps the node connected for as long as this node runs.
    pub fn for_ever(self) {
        std::mem::forget(self);
    }
}

impl Drop for KeptConnected {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Node {
    /// Connects to `peer` now and whenever the connection is lost or the peer ends it, until what this gives is dropped. The connection
    /// that is up then stays. One that this node itself ends, with [`disconnect`](Self::disconnect), is not made again here; once somebody
    /// has made it, it is kept as before.
    ///
    /// ```no_run
    /// # fn example(node: &beamnode::node::Node) {
    /// use beamnode::node::Backoff;
    ///
    /// let _kept = node.keep_connected("store@db", Backoff::default());
    /// # }
    /// ```
    pub fn keep_connected(&self, peer: impl AsRef<str>, backoff: Backoff) -> KeptConnected {
        let (node, peer) = (self.clone(), peer.as_ref().to_owned());
        // Before the first attempt, so that no end goes unseen.
        let events = self.monitor_nodes(NodeType::All);
        let task = self
            .0
            .runtime
            .spawn(async move { keep(&node, &peer, backoff, events).await });
        KeptConnected(task.abort_handle())
    }
}

/// Until the node stops.
async fn keep(node: &Node, peer: &str, backoff: Backoff, mut events: NodeEvents) {
    let mut failures: u32 = 0;
    loop {
        match node.connect(peer).await {
            Ok(()) => {
                failures = 0;
                if !lost(&mut events, peer).await {
                    return;
                }
            }
            Err(error) => {
                debug!(peer, %error, failures, "not connected: another attempt will follow");
                failures = failures.saturating_add(1);
            }
        }
        tokio::time::sleep(backoff.delay(failures.saturating_sub(1), rand::random())).await;
        if *node.0.stopping.borrow() {
            return;
        }
    }
}

/// Waits until a connection to the peer has ended that this node did not end; `false` when the node has stopped. Where that end is an old
/// one and the peer is connected again, another attempt does no harm.
async fn lost(events: &mut NodeEvents, peer: &str) -> bool {
    while let Some(event) = events.next().await {
        match event {
            NodeEvent::NodeDown { node, reason, .. } if node == *peer && reason != DownReason::Disconnect => {
                return true;
            }
            NodeEvent::NodeDown { .. } | NodeEvent::NodeUp { .. } => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_doubles_up_to_the_longest_and_at_least_half_of_it_is_certain() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
        };
        let full: Vec<u128> = (0..6)
            .map(|failures| backoff.delay(failures, 1.0).as_millis())
            .collect();
        assert_eq!(full, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.delay(0, 0.0), Duration::from_millis(50));
        assert_eq!(backoff.delay(u32::MAX, 1.0), Duration::from_secs(1));
    }
}
