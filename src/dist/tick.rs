//! Ticks: how a connection that carries nothing shows that it is alive.
//!
//! Follows `net_ticktime` and `net_tickintensity` of Erlang's `kernel` application. Every interval, which is the tick time
//! divided by the intensity, in which nothing was sent, an empty frame is; a peer of which nothing at all was received for
//! the tick time is down. Frames of any kind count.

use std::time::{Duration, Instant};

/// As long as a tick time or a transition can be, so that no sum with a moment overflows: 136 years.
const LONGEST: Duration = Duration::from_secs(1 << 32);

/// How often to tick, and when a silent peer is down.
///
/// ```
/// use beamnode::dist::Ticks;
/// use std::time::Duration;
///
/// // What nodes have unless told otherwise: `net_ticktime` of 60 seconds, `net_tickintensity` of 4.
/// let ticks = Ticks::default();
/// assert_eq!(ticks.time(), Duration::from_secs(60));
/// assert_eq!(ticks.interval(), Duration::from_secs(15));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    time: Duration,
    intensity: u32,
}

impl Ticks {
    /// A tick time, which is at least a millisecond and at most 2^32 seconds, and into how many intervals it is divided: 4 to 1000, as
    /// `net_tickintensity`. Values out of bounds are moved to the nearest in bounds.
    pub fn new(time: Duration, intensity: u32) -> Self {
        Self {
            time: time.clamp(Duration::from_millis(1), LONGEST),
            intensity: intensity.clamp(4, 1000),
        }
    }

    /// After which silence a peer is down.
    pub fn time(self) -> Duration {
        self.time
    }

    /// Into how many intervals the tick time is divided.
    pub fn intensity(self) -> u32 {
        self.intensity
    }

    /// After which silence of ours we tick.
    pub fn interval(self) -> Duration {
        self.time / self.intensity
    }
}

impl Default for Ticks {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            intensity: 4,
        }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// An empty frame.
    Tick,
    /// Nothing was received for this long.
    Silent(Duration),
}

/// The clock of one connection.
#[derive(Debug)]
pub(super) struct Clock {
    ticks: Ticks,
    /// After a change, the old values, and until when the more patient of both counts.
    before: Option<(Ticks, Instant)>,
    sent: Instant,
    received: Instant,
}

impl Clock {
    pub(super) fn new(ticks: Ticks, now: Instant) -> Self {
        Self {
            ticks,
            before: None,
            sent: now,
            received: now,
        }
    }

    /// Something was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// Something was received.
    pub(super) fn received(&mut self, now: Instant) {
        self.received = now;
    }

    /// Takes other values. Until `transition` has passed, so that the peer can be told too, we tick as often as the faster of
    /// both values has it and wait as long as the slower does.
    pub(super) fn change(&mut self, ticks: Ticks, transition: Duration, now: Instant) {
        // Told twice of the same change, it stays patient.
        if ticks == self.ticks {
            return;
        }
        self.before = Some((self.ticks, now + transition.min(LONGEST)));
        self.ticks = ticks;
    }

    fn interval(&self) -> Duration {
        self.before.map_or(self.ticks.interval(), |(ticks, _)| {
            ticks.interval().min(self.ticks.interval())
        })
    }

    fn time(&self) -> Duration {
        self.before.map_or(self.ticks.time(), |(ticks, _)| {
            ticks.time().max(self.ticks.time())
        })
    }

    /// When to ask [`Clock::due`] next.
    pub(super) fn timeout(&self) -> Instant {
        let next = (self.sent + self.interval()).min(self.received + self.time());
        // When the transition is over, what is due may be due earlier.
        self.before.map_or(next, |(_, until)| next.min(until))
    }

    /// What is due now.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        self.before = self.before.filter(|(_, until)| now < *until);
        let time = self.time();
        if now >= self.received + time {
            Due::Silent(time)
        } else if now >= self.sent + self.interval() {
            Due::Tick
        } else {
            Due::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ticks_when_nothing_was_sent() {
        let start = Instant::now();
        let mut clock = Clock::new(Ticks::default(), start);
        assert_eq!(clock.timeout(), start + 15 * SECOND);
        clock.sent(start + 10 * SECOND);
        clock.received(start + 10 * SECOND);
        assert_eq!(clock.due(start + 15 * SECOND), Due::Nothing);
        assert_eq!(clock.timeout(), start + 25 * SECOND);
        assert_eq!(clock.due(start + 25 * SECOND), Due::Tick);
    }

    #[test]
    fn a_silent_peer_is_down_after_the_tick_time() {
        let start = Instant::now();
        let mut clock = Clock::new(Ticks::new(8 * SECOND, 4), start);
        for second in [2, 4, 6] {
            assert_eq!(clock.timeout(), start + second * SECOND);
            assert_eq!(clock.due(start + second * SECOND), Due::Tick);
            clock.sent(start + second * SECOND);
        }
        assert_eq!(clock.due(start + 8 * SECOND), Due::Silent(8 * SECOND));
    }

    #[test]
    fn a_change_is_patient_until_the_transition_is_over() {
        let start = Instant::now();
        let mut clock = Clock::new(Ticks::default(), start);
        clock.change(Ticks::new(8 * SECOND, 4), 20 * SECOND, start);
        assert_eq!(clock.timeout(), start + 2 * SECOND);
        assert_eq!(clock.due(start + 10 * SECOND), Due::Tick);
        clock.sent(start + 19 * SECOND);
        assert_eq!(clock.timeout(), start + 20 * SECOND);
        assert_eq!(clock.due(start + 20 * SECOND), Due::Silent(8 * SECOND));
    }

    #[test]
    fn values_are_kept_in_bounds() {
        assert_eq!(
            Ticks::new(Duration::ZERO, 0),
            Ticks::new(Duration::from_millis(1), 4)
        );
        let start = Instant::now();
        let mut clock = Clock::new(Ticks::default(), start);
        clock.change(Ticks::new(Duration::MAX, 4), Duration::MAX, start);
        assert_eq!(clock.timeout(), start + 15 * SECOND);
        assert_eq!(clock.due(start + 15 * SECOND), Due::Tick);
    }
}
