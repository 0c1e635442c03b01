//! The older score of an ad account: a point for a read, three for a write, gone after five minutes (Meta, "Marketing
//! API rate limiting"). Practitioners report that the hourly limits are what bites, so it refuses only on demand.

use super::window::Window;
use crate::options::Tier;

const SECONDS: i64 = 300;
const READ: u64 = 1;
const WRITE: u64 = 3;

/// The score of one ad account.
#[derive(Debug)]
pub(super) struct Score {
    points: Window,
    /// Until when nothing is answered, since the score was reached.
    blocked_until: i64,
}

impl Default for Score {
    fn default() -> Self {
        Self { points: Window::new(SECONDS), blocked_until: i64::MIN }
    }
}

/// The highest score of a tier.
pub(super) fn max(tier: Tier) -> u64 {
    match tier {
        Tier::Development => 60,
        Tier::Standard => 9_000,
    }
}

fn block_seconds(tier: Tier) -> i64 {
    match tier {
        Tier::Development => 300,
        Tier::Standard => 60,
    }
}

impl Score {
    /// Whether a call may pass. Where it would pass the highest score, the account is blocked for a while.
    pub(super) fn admits(&mut self, writes: bool, tier: Tier, second: i64) -> bool {
        if second < self.blocked_until {
            return false;
        }
        if self.points.total(second) + points(writes) > max(tier) {
            self.blocked_until = second + block_seconds(tier);
            return false;
        }
        true
    }

    pub(super) fn count(&mut self, writes: bool, second: i64) {
        self.points.add(second, points(writes));
    }

    /// Points that others brought it to.
    pub(super) fn set(&mut self, points: u64, second: i64) {
        self.points.set(second, points);
    }

    pub(super) fn total(&mut self, second: i64) -> u64 {
        self.points.total(second)
    }

    /// Seconds until nothing of it is left, and the account is open.
    pub(super) fn reset_seconds(&mut self, second: i64) -> i64 {
        self.points.seconds_until_empty(second).max(self.blocked_until.saturating_sub(second)).max(0)
    }
}

fn points(writes: bool) -> u64 {
    if writes { WRITE } else { READ }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_is_reached_blocks_for_its_time() {
        let mut score = Score::default();
        for _ in 0..20 {
            assert!(score.admits(true, Tier::Development, 0));
            score.count(true, 0);
        }
        assert!(!score.admits(false, Tier::Development, 10));
        assert_eq!(score.reset_seconds(10), 300);
        assert!(!score.admits(false, Tier::Development, 309), "the points are gone, the block is not");
        assert!(score.admits(false, Tier::Development, 310));
    }
}
