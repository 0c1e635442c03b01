//! The sandbox's own time, which can be turned.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// A clock that starts where it is told and runs on, or stands still.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<Reading>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    base: Timestamp,
    since: Instant,
    frozen: bool,
}

impl Reading {
    fn now(self) -> Timestamp {
        if self.frozen {
            return self.base;
        }
        SignedDuration::try_from(self.since.elapsed())
            .ok()
            .and_then(|passed| self.base.checked_add(passed).ok())
            .unwrap_or(self.base)
    }
}

impl Clock {
    /// Starts at `start`, else at the machine's time.
    pub(crate) fn new(start: Option<Timestamp>) -> Self {
        let base = start.unwrap_or_else(machine_time);
        Self(Mutex::new(Reading { base, since: Instant::now(), frozen: false }))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.reading().now()
    }

    pub(crate) fn frozen(&self) -> bool {
        self.reading().frozen
    }

    /// Turns the clock to `now`; from there it runs on unless it is frozen.
    pub(crate) fn set(&self, now: Timestamp, frozen: bool) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = Reading { base: now, since: Instant::now(), frozen };
    }

    fn reading(&self) -> Reading {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn machine_time() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_stands_still_and_a_turned_one_starts_anew() {
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let clock = Clock::new(Some(start));
        assert!(clock.now() >= start);
        let later: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        clock.set(later, true);
        assert_eq!(clock.now(), later);
        assert!(clock.frozen());
    }
}
