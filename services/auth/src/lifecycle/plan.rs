//! When a connection's token is refreshed and inspected, and when its end is told. Pure.

use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use vocabulary::ids::ConnectionId;

const DAY: Duration = Duration::from_hours(24);
/// Meta makes a token younger at most once a day.
pub const YOUNG: Duration = DAY;
/// What is due at once is spread over this long, so that a thousand imports are not a thousand calls in one second.
const SOON: Duration = Duration::from_mins(10);
/// How soon a connection at a checkpoint is looked at again, at the latest.
const CHECKPOINT: Duration = Duration::from_mins(30);
/// The first pause after a failed refresh; it doubles.
const PAUSE: Duration = Duration::from_mins(1);
const PAUSE_MAX: Duration = Duration::from_hours(6);
/// A refresh that still fails this long before the end has failed: callers are told before the token dies on them.
pub const GIVE_UP: Duration = Duration::from_mins(10);
/// How many days before an end it is told.
const MARKS: [i16; 4] = [14, 7, 3, 1];

/// How patient we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How long before its end a token is refreshed at the latest.
    pub margin: Duration,
    /// Over how long before that tokens are spread.
    pub spread: Duration,
    /// How often each token is inspected.
    pub inspect_every: Duration,
}

/// A part of one that a connection keeps for each purpose: the same whichever replica asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(u16);

impl Jitter {
    /// Of a connection; `salt` tells one occasion from the next.
    pub fn of(id: ConnectionId, salt: i64) -> Self {
        let mut text = id.0.as_bytes().to_vec();
        text.extend_from_slice(&salt.to_be_bytes());
        let digest = digest::digest(&digest::SHA256, &text);
        let [high, low] = [0, 1].map(|at| digest.as_ref().get(at).copied().unwrap_or_default());
        Self(u16::from_be_bytes([high, low]))
    }

    /// This part of a span.
    fn part(self, span: Duration) -> Duration {
        let parts = u32::from(u16::MAX) + 1;
        span / parts * u32::from(self.0)
    }
}

impl Plan {
    /// When a token is to be exchanged; `None` where it never ends.
    pub fn refresh(&self, expires: Option<Timestamp>, jitter: Jitter, now: Timestamp) -> Option<Timestamp> {
        let due = expires? - self.margin - jitter.part(self.spread);
        Some(due.max(now + jitter.part(SOON)))
    }

    /// The same after an exchange. Meta may give a token that ends no later; asking again within a day is no use.
    pub fn refresh_again(&self, expires: Option<Timestamp>, jitter: Jitter, now: Timestamp) -> Option<Timestamp> {
        let due = self.refresh(expires, jitter, now)?;
        let waits = now + YOUNG + jitter.part(SOON);
        Some(if due < waits { waits.min(expires? - GIVE_UP).max(now + jitter.part(SOON)) } else { due })
    }

    /// When a token is looked at again: a tenth earlier or later than the others.
    pub fn inspection(&self, is_checkpoint: bool, jitter: Jitter, now: Timestamp) -> Timestamp {
        if is_checkpoint {
            return now + CHECKPOINT / 2 + jitter.part(CHECKPOINT / 2);
        }
        now + self.inspect_every / 10 * 9 + jitter.part(self.inspect_every / 5)
    }

    /// When a token that nobody has looked at is looked at: somewhere in the usual time.
    pub fn first_inspection(&self, jitter: Jitter, now: Timestamp) -> Timestamp {
        now + jitter.part(self.inspect_every)
    }
}

/// How long to wait after `failures` of them in a row, with `left` until the token ends: doubling, from half to all of it
/// by jitter, and never so long that fewer than four more tries are left.
pub fn pause(failures: i32, left: Duration, jitter: Jitter) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(16);
    let full = PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX).min(left / 4).max(PAUSE);
    full / 2 + jitter.part(full / 2)
}

/// How many days before its end an end has to be told now, where `told` was told before. After the end it is told by its
/// consequence.
pub fn notice(end: Option<Timestamp>, told: Option<i16>, now: Timestamp) -> Option<i16> {
    let end = end.filter(|end| *end > now)?;
    let passed = MARKS.into_iter().rev().find(|&mark| before(end, mark) <= now)?;
    told.is_none_or(|told| passed < told).then_some(passed)
}

/// When there is more to tell of an end.
pub fn next_notice(end: Option<Timestamp>, told: Option<i16>) -> Option<Timestamp> {
    let mark = MARKS.into_iter().find(|&mark| told.is_none_or(|told| mark < told))?;
    Some(before(end?, mark))
}

fn before(end: Timestamp, days: i16) -> Timestamp {
    end - DAY * u32::from(days.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const PLAN: Plan = Plan {
        margin: Duration::from_hours(16 * 24),
        spread: Duration::from_hours(72),
        inspect_every: Duration::from_hours(24),
    };
    const NONE: Jitter = Jitter(0);
    const ALL: Jitter = Jitter(u16::MAX);

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn jitter(number: u128) -> Jitter {
        Jitter::of(ConnectionId(Uuid::from_u128(number)), 1)
    }

    #[test]
    fn a_token_is_refreshed_between_nineteen_and_sixteen_days_before_its_end() {
        let end = Some(now() + DAY * 60);
        assert_eq!(PLAN.refresh(end, NONE, now()), Some(now() + DAY * 44));
        let earliest = PLAN.refresh(end, ALL, now()).unwrap();
        assert!(earliest > now() + DAY * 41 && earliest < now() + DAY * 42);
        assert_eq!(PLAN.refresh(None, NONE, now()), None);
    }

    #[test]
    fn a_token_that_ends_soon_is_refreshed_soon() {
        for end in [now() - DAY, now() + Duration::from_hours(2), now() + DAY * 15] {
            let due = PLAN.refresh(Some(end), ALL, now()).unwrap();
            assert!(due >= now() && due <= now() + SOON, "{due}");
        }
    }

    #[test]
    fn a_token_that_was_not_made_younger_is_left_alone_for_a_day() {
        let due = PLAN.refresh_again(Some(now() + DAY * 10), NONE, now());
        assert_eq!(due, Some(now() + DAY));
        let due = PLAN.refresh_again(Some(now() + Duration::from_hours(3)), NONE, now());
        assert_eq!(due, Some(now() + Duration::from_hours(3) - GIVE_UP), "but not past its end");
        assert_eq!(PLAN.refresh_again(Some(now() + DAY * 60), NONE, now()), Some(now() + DAY * 44));
    }

    #[test]
    fn ten_thousand_tokens_of_one_day_fall_due_evenly() {
        let end = Some(now() + DAY * 60);
        let hour = |number| {
            let due = PLAN.refresh(end, jitter(number), now()).unwrap();
            usize::try_from((due.as_second() - (now() + DAY * 41).as_second()) / 3_600).unwrap()
        };
        let mut hours = [0; 72];
        (0..10_000).for_each(|number| hours[hour(number)] += 1);
        assert!(hours.iter().all(|due| (80..=200).contains(due)), "{hours:?}");
    }

    #[test]
    fn inspections_drift_apart_and_a_checkpoint_is_looked_at_soon() {
        let earliest = PLAN.inspection(false, NONE, now());
        let latest = PLAN.inspection(false, ALL, now());
        assert!(earliest > now() + Duration::from_hours(21) && latest < now() + Duration::from_hours(27));
        assert!(latest > earliest + Duration::from_hours(4));
        assert!(PLAN.inspection(true, ALL, now()) <= now() + CHECKPOINT);
    }

    #[test]
    fn pauses_double_up_to_six_hours_and_leave_tries_before_the_end() {
        let far = DAY * 20;
        let pauses: Vec<_> = [1, 2, 3, 9, 10, 60].map(|failures| pause(failures, far, ALL).as_secs()).to_vec();
        assert_eq!(pauses, [59, 119, 239, 15_359, 21_599, 21_599]);
        assert_eq!(pause(9, far, NONE), Duration::from_secs(7_680));
        assert!(pause(30, Duration::from_hours(1), ALL) <= Duration::from_mins(15));
        assert!(pause(30, Duration::ZERO, NONE) >= PAUSE / 2);
    }

    #[test]
    fn an_end_is_told_once_at_each_mark() {
        let end = now() + DAY * 60;
        let (mut told, mut seen) = (None, Vec::new());
        let mut at = now();
        while at < end + DAY {
            if let Some(mark) = notice(Some(end), told, at) {
                told = Some(mark);
                seen.push((mark, (end.as_second() - at.as_second()) / 86_400));
            }
            at += Duration::from_hours(1);
        }
        assert_eq!(seen, [(14, 14), (7, 7), (3, 3), (1, 1)]);
        assert_eq!(next_notice(Some(end), None), Some(end - DAY * 14));
        assert_eq!(next_notice(Some(end), Some(3)), Some(end - DAY));
        assert_eq!(next_notice(Some(end), Some(1)), None);
        assert_eq!(next_notice(None, None), None);
    }

    #[test]
    fn what_was_slept_through_is_told_once_and_not_four_times() {
        let end = now() + Duration::from_hours(50);
        assert_eq!(notice(Some(end), None, now()), Some(3));
        assert_eq!(notice(Some(end), Some(3), now()), None);
        assert_eq!(notice(Some(end), Some(3), end - Duration::from_hours(2)), Some(1));
        assert_eq!(notice(Some(end), Some(3), end), None);
    }
}
