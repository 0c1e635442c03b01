//! How fast all replicas together may call Meta: a moment from which calls are free again, moved on with each call.

use std::time::Duration;

use jiff::Timestamp;

/// What was left unused is made up for over this long.
const SAVED: Duration = Duration::from_secs(10);

/// A steady rate with a small allowance for what was left unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    step: Duration,
}

impl Pace {
    /// So many calls a minute; at least one.
    pub fn per_minute(calls: u32) -> Self {
        Self { step: Duration::from_mins(1) / calls.max(1) }
    }

    /// How many of `want` calls may go out now, where calls are free from `free` on.
    pub fn grant(self, free: Timestamp, now: Timestamp, want: u32) -> u32 {
        let saved = Duration::try_from(now.duration_since(self.base(free, now))).unwrap_or_default();
        let free = saved.as_nanos() / self.step.as_nanos().max(1);
        u32::try_from(free).unwrap_or(u32::MAX).min(want)
    }

    /// From when on calls are free, after `taken` of them.
    pub fn after(self, free: Timestamp, now: Timestamp, taken: u32) -> Timestamp {
        (self.base(free, now) + self.step * taken).min(now)
    }

    /// Nothing older than the allowance is saved, and a clock that went back does not stop everything.
    fn base(self, free: Timestamp, now: Timestamp) -> Timestamp {
        free.clamp(now - SAVED.max(self.step), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn in_no_minute_more_go_out_than_the_rate_and_what_was_saved() {
        let pace = Pace::per_minute(60);
        let (mut free, mut sent) = (Timestamp::UNIX_EPOCH, Vec::new());
        for second in 0..600 {
            let granted = pace.grant(free, at(second), 100);
            free = pace.after(free, at(second), granted);
            sent.push(granted);
        }
        assert_eq!(sent.first(), Some(&10), "what was saved");
        assert_eq!(sent.iter().sum::<u32>(), 609);
        for minute in sent.windows(60) {
            assert!(minute.iter().sum::<u32>() <= 70);
        }
    }

    #[test]
    fn even_a_slow_pace_moves_and_takes_no_more_than_is_wanted() {
        let slow = Pace::per_minute(1);
        assert_eq!(slow.grant(Timestamp::UNIX_EPOCH, at(0), 5), 1);
        let free = slow.after(Timestamp::UNIX_EPOCH, at(0), 1);
        assert_eq!(slow.grant(free, at(59), 5), 0);
        assert_eq!(slow.grant(free, at(60), 5), 1);
        assert_eq!(Pace::per_minute(6_000).grant(Timestamp::UNIX_EPOCH, at(0), 3), 3);
    }

    #[test]
    fn a_clock_that_went_back_stops_nothing_for_good() {
        let pace = Pace::per_minute(60);
        let free = pace.after(Timestamp::UNIX_EPOCH, at(1_000_000), 10);
        assert_eq!(pace.grant(free, at(0), 5), 0);
        let free = pace.after(free, at(0), 0);
        assert_eq!(pace.grant(free, at(5), 9), 5);
    }
}
