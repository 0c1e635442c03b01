//! How far the server's clock is believed.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How far ahead of our estimate the server's clock may be, in ms.
const SLACK_MS: i64 = 1_000;

/// Our own monotonic estimate of the time at Redis.
///
/// A clock that jumps ahead would empty every window at once, so the scripts never believe a time later than this
/// estimate and a second. It follows the server's clock by at most a thousandth of the time that passed, which is more
/// than any two clocks drift apart and far less than a jump.
pub(crate) enum Horizon {
    /// From the first time that the server told.
    Estimated(Mutex<Anchor>),
    /// Stands where a test puts it.
    #[cfg(test)]
    Turned(std::sync::Arc<std::sync::atomic::AtomicI64>),
}

pub(crate) struct Anchor {
    at: Instant,
    ms: i64,
}

impl Horizon {
    /// Starts at this time.
    pub(crate) fn starting_at(ms: i64) -> Self {
        Self::Estimated(Mutex::new(Anchor::starting_at(Instant::now(), ms)))
    }

    /// The time at Redis in ms, as we reckon.
    pub(crate) fn now_ms(&self) -> i64 {
        match self {
            Self::Estimated(anchor) => anchor.lock().unwrap_or_else(PoisonError::into_inner).estimate(Instant::now()),
            #[cfg(test)]
            Self::Turned(ms) => ms.load(std::sync::atomic::Ordering::SeqCst),
        }
    }

    /// The latest time that the scripts may believe, in ms.
    pub(crate) fn not_after_ms(&self) -> i64 {
        match self {
            Self::Estimated(_) => self.now_ms().saturating_add(SLACK_MS),
            #[cfg(test)]
            Self::Turned(_) => self.now_ms(),
        }
    }

    /// Takes in what the server says now.
    pub(crate) fn observe(&self, ms: i64) {
        match self {
            Self::Estimated(anchor) => {
                anchor.lock().unwrap_or_else(PoisonError::into_inner).follow(Instant::now(), ms);
            }
            #[cfg(test)]
            Self::Turned(_) => {}
        }
    }
}

impl Anchor {
    pub(crate) fn starting_at(at: Instant, ms: i64) -> Self {
        Self { at, ms }
    }

    fn elapsed_ms(&self, now: Instant) -> i64 {
        i64::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn estimate(&self, now: Instant) -> i64 {
        self.ms.saturating_add(self.elapsed_ms(now))
    }

    pub(crate) fn follow(&mut self, now: Instant, told: i64) {
        let elapsed = self.elapsed_ms(now);
        let most = elapsed / 1_000;
        if most > 0 {
            let estimate = self.estimate(now);
            *self = Self { at: now, ms: estimate.saturating_add((told - estimate).clamp(-most, most)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_jump_of_the_servers_clock_moves_the_estimate_by_a_thousandth() {
        let start = Instant::now();
        let mut anchor = Anchor { at: start, ms: 0 };
        anchor.follow(start + Duration::from_secs(10), 3_600_000);
        assert_eq!(anchor.ms, 10_010);
        anchor.follow(start + Duration::from_secs(20), 0);
        assert_eq!(anchor.ms, 20_000);
    }

    #[test]
    fn what_the_server_tells_within_a_second_changes_nothing() {
        let start = Instant::now();
        let mut anchor = Anchor { at: start, ms: 0 };
        anchor.follow(start + Duration::from_millis(900), 5_000);
        assert_eq!((anchor.ms, anchor.at), (0, start));
    }
}
