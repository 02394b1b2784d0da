//! The tick time of a node's connections, and its change while they are up.
//!
//! `net_kernel:set_net_ticktime/1,2` and `get_net_ticktime/0` in Erlang's `kernel` application. A change has a transition, in which
//! the other nodes are to be told too, and only one is under way at a time. A connection that is made in a transition is as
//! patient as those that were there before.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connections::Connection;
use super::{Node, NodeType};
use crate::dist::Ticks;

/// Longer than a node runs, and no moment overflows by it.
const LONGEST_TRANSITION: Duration = Duration::from_secs(1 << 32);

/// What became of a wish for another tick time; the answers of `net_kernel:set_net_ticktime/2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicktimeChange {
    /// `change_initiated`: it is made, and done after its transition.
    Initiated,
    /// `unchanged`: the tick time is that already.
    Unchanged,
    /// `{ongoing_change_to, Time}`: another change is under way, and this one is not made.
    OngoingChangeTo(Duration),
}

/// The tick time that the connections of a node have in common.
#[derive(Debug)]
pub(super) struct Ticktime(Mutex<State>);

#[derive(Debug)]
struct State {
    /// What holds, or will once the change is over.
    ticks: Ticks,
    /// What held before the last change, and until when that lasts.
    change: Option<(Ticks, Instant)>,
}

impl State {
    /// What is left of the change that is under way.
    fn change(&self) -> Option<(Ticks, Duration)> {
        let (before, until) = self.change?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some((before, left))
    }
}

impl Ticktime {
    pub(super) fn new(ticks: Ticks) -> Self {
        Self(Mutex::new(State { ticks, change: None }))
    }

    /// What a connection begins with. Once it is on the table, [`catch_up`](Self::catch_up) tells it of the change.
    pub(super) fn initial(&self) -> Ticks {
        let state = self.lock();
        state.change().map_or(state.ticks, |(before, _)| before)
    }

    /// Tells a connection of a change that began before it was on the table.
    pub(super) fn catch_up(&self, connection: &Connection, initial: Ticks) {
        let state = self.lock();
        if state.ticks != initial {
            let left = state.change().map_or(Duration::ZERO, |(_, left)| left);
            connection.outbound.set_ticks(state.ticks, left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// The time of silence after which a peer counts as down, as `net_kernel:get_net_ticktime/0`; while a change is under way, the one
    /// that it leads to.
    #[must_use]
    pub fn net_ticktime(&self) -> Duration {
        self.0.ticktime.lock().ticks.time()
    }

    /// The tick time that a change which is under way leads to: `{ongoing_change_to, Time}` of `net_kernel:get_net_ticktime/0`.
    #[must_use]
    pub fn net_ticktime_change(&self) -> Option<Duration> {
        let state = self.0.ticktime.lock();
        state.change().map(|_| state.ticks.time())
    }

    /// Sets the tick time, as `net_kernel:set_net_ticktime/2`; Erlang's default for `transition` is 60 s. In that time, in which
    /// the other nodes are to be told too, the node ticks as the shorter time wants and waits for peers as the longer one does, and
    /// no other change can be made.
    pub fn set_net_ticktime(&self, time: Duration, transition: Duration) -> TicktimeChange {
        let ticks = {
            let mut state = self.0.ticktime.lock();
            if state.change().is_some() {
                return TicktimeChange::OngoingChangeTo(state.ticks.time());
            }
            let ticks = Ticks::new(time, state.ticks.intensity());
            if ticks == state.ticks {
                return TicktimeChange::Unchanged;
            }
            let until = Instant::now() + transition.min(LONGEST_TRANSITION);
            state.change = Some((state.ticks, until));
            state.ticks = ticks;
            ticks
        };
        for connection in self.0.connections.all(NodeType::All) {
            connection.outbound.set_ticks(ticks, transition);
        }
        TicktimeChange::Initiated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeEvent;
    use crate::node::tests::pair;

    #[tokio::test]
    async fn one_change_of_the_tick_time_at_a_time() {
        let [a, b] = pair(["c", "c"]).await;
        a.connect("b@localhost").await.unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(a.net_ticktime(), 60 * second);
        assert_eq!(a.set_net_ticktime(60 * second, second), TicktimeChange::Unchanged);
        assert_eq!(
            a.set_net_ticktime(50 * second, Duration::ZERO),
            TicktimeChange::Initiated
        );
        assert_eq!((a.net_ticktime(), a.net_ticktime_change()), (50 * second, None));
        assert_eq!(
            a.set_net_ticktime(second / 5, Duration::MAX),
            TicktimeChange::Initiated
        );
        assert_eq!(a.net_ticktime_change(), Some(second / 5));
        assert_eq!(
            a.set_net_ticktime(9 * second, second),
            TicktimeChange::OngoingChangeTo(second / 5)
        );
        // A connection that is made meanwhile waits for a peer that has not been told: b ticks every fifteen seconds.
        let mut events = a.monitor_nodes(NodeType::All);
        assert!(a.disconnect("b@localhost"));
        assert!(matches!(events.next().await, Some(NodeEvent::NodeDown { .. })));
        a.connect("b@localhost").await.unwrap();
        assert!(matches!(events.next().await, Some(NodeEvent::NodeUp { .. })));
        let lost = tokio::time::timeout(second, events.next()).await;
        assert!(lost.is_err(), "{lost:?}");
        a.shutdown().await;
        b.shutdown().await;
    }
}
