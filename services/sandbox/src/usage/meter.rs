//! What one limit has counted: calls, and the time that they took.

use super::limit::CALL;
use super::window::Window;

/// The counts of one limit.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) calls: Window,
    /// Milliseconds of computing.
    pub(super) cpu: Window,
    /// Milliseconds from call to answer.
    pub(super) wall: Window,
    /// Errors of the caller, each of which takes a thousandth of a call from the limit of insights.
    pub(super) errors: Window,
    /// Takes the place of the formula, in calls.
    pub(super) limit: Option<u64>,
}

/// How full a limit is: three percentages, of which the highest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) calls: u64,
    pub(super) cpu: u64,
    pub(super) wall: u64,
}

/// What a limit allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    /// Thousandths of a call.
    pub(super) calls: u64,
    /// Milliseconds, of computing as of waiting; none where time is not limited.
    pub(super) time: Option<u64>,
}

impl Meter {
    pub(super) fn new(seconds: i64) -> Self {
        let window = || Window::new(seconds);
        Self { calls: window(), cpu: window(), wall: window(), errors: window(), limit: None }
    }

    pub(super) fn level(&mut self, allowed: Allowed, second: i64) -> Level {
        let of_time = |used: u64| allowed.time.map_or(0, |time| percent(used, time));
        Level {
            calls: percent(self.calls.total(second).saturating_mul(CALL), allowed.calls),
            cpu: of_time(self.cpu.total(second)),
            wall: of_time(self.wall.total(second)),
        }
    }

    /// Seconds until it is no longer full.
    pub(super) fn seconds_until_free(&mut self, allowed: Allowed, second: i64) -> i64 {
        let calls = self.calls.seconds_until_below(second, allowed.calls.div_ceil(CALL));
        let Some(time) = allowed.time else { return calls };
        calls.max(self.cpu.seconds_until_below(second, time)).max(self.wall.seconds_until_below(second, time))
    }
}

impl Level {
    pub(super) fn is_full(self) -> bool {
        self.calls >= 100 || self.cpu >= 100 || self.wall >= 100
    }
}

/// Rounded down. A limit of nothing is full.
fn percent(used: u64, limit: u64) -> u64 {
    used.saturating_mul(100).checked_div(limit).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_three_fills_a_limit() {
        let allowed = Allowed { calls: 10 * CALL, time: Some(1_000) };
        let mut meter = Meter::new(60);
        meter.calls.add(0, 9);
        assert_eq!(meter.level(allowed, 0), Level { calls: 90, cpu: 0, wall: 0 });
        assert_eq!(meter.seconds_until_free(allowed, 0), 0);
        meter.wall.add(5, 1_000);
        assert!(meter.level(allowed, 5).is_full());
        assert_eq!(meter.seconds_until_free(allowed, 5), 60);
        assert!(!meter.level(Allowed { time: None, ..allowed }, 5).is_full());
    }

    #[test]
    fn a_limit_of_a_fraction_is_full_one_call_earlier() {
        let mut meter = Meter::new(60);
        meter.calls.add(0, 9);
        assert!(!meter.level(Allowed { calls: 9_001, time: None }, 0).is_full());
        assert!(meter.level(Allowed { calls: 9_000, time: None }, 0).is_full());
        assert_eq!(meter.seconds_until_free(Allowed { calls: 8_999, time: None }, 0), 60);
    }
}
