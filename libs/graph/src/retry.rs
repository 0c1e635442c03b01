//! May it be sent again, and when? Pure, so that every case is a line in a table.

use std::time::Duration;

use crate::{
    call::Replay,
    meta_error::{MetaError, Verdict},
    settings::Settings,
};

/// How an attempt failed.
#[derive(Debug)]
pub(crate) enum Seen {
    /// Meta answered with an error.
    Meta(Box<MetaError>),
    /// Nothing was sent.
    Unsent(String),
    /// It was sent, and no answer came.
    Lost(String),
}

/// What to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send again after this pause.
    Again(Duration),
    /// Ask auth whether another lease helps, and if so send again.
    NewLease,
    /// Tell the caller.
    Give,
    /// Tell the caller that nobody knows whether it was executed.
    GiveUnknown,
}

/// How often and after which pauses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) tries_max: u32,
    /// The first pause is at most this long; the bound doubles with every try.
    pub(crate) pause: Duration,
    pub(crate) pause_max: Duration,
    /// How long a caller is told to wait where Meta refuses for quota and does not say how long.
    pub(crate) throttled: Duration,
}

impl From<&Settings> for Patience {
    fn from(settings: &Settings) -> Self {
        Self {
            tries_max: settings.tries_max.max(1),
            pause: Duration::from_millis(settings.pause_milliseconds),
            pause_max: Duration::from_secs(settings.pause_max_seconds),
            throttled: Duration::from_secs(settings.throttle_pause_seconds),
        }
    }
}

impl Patience {
    /// Decides after try number `tries`, from 1.
    pub(crate) fn next(self, seen: &Seen, replay: Replay, tries: u32) -> Next {
        let may = tries < self.tries_max;
        match seen {
            Seen::Unsent(_) if may => Next::Again(self.pause(tries)),
            Seen::Unsent(_) => Next::Give,
            Seen::Lost(_) => self.ambiguous(replay, tries, may),
            Seen::Meta(meta) => match meta.verdict() {
                // Not executed, so even a create may go again. Ratelimit has been told and makes it wait, save for limits
                // that it has no bucket for; so it never goes again without a pause.
                Verdict::Throttled if may => Next::Again(meta.throttled_for().unwrap_or_else(|| self.pause(tries))),
                Verdict::Token => Next::NewLease,
                Verdict::Transient => self.ambiguous(replay, tries, may),
                _ => Next::Give,
            },
        }
    }

    /// Perhaps executed: only what may be repeated is.
    fn ambiguous(self, replay: Replay, tries: u32, may: bool) -> Next {
        match replay {
            Replay::Never => Next::GiveUnknown,
            Replay::Safe if may => Next::Again(self.pause(tries)),
            Replay::Safe => Next::Give,
        }
    }

    /// Anything up to a bound that doubles, so that callers who failed together do not return together.
    fn pause(self, tries: u32) -> Duration {
        let bound = self.pause.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(self.pause_max);
        let [high, low, ..] = *uuid::Uuid::new_v4().as_bytes();
        bound * u32::from(u16::from_be_bytes([high, low])) / u32::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        Patience::from(&Settings::default())
    }

    fn meta(code: i64, subcode: Option<i64>) -> Seen {
        Seen::Meta(Box::new(MetaError { code, subcode, status: 400, ..MetaError::default() }))
    }

    #[test]
    fn a_create_is_repeated_only_when_it_was_not_executed() {
        for (seen, expected) in [
            (Seen::Lost("reset".to_owned()), Next::GiveUnknown),
            (meta(2, None), Next::GiveUnknown),
            (meta(613, Some(5_044_001)), Next::Again(Duration::from_secs(1))),
            (meta(613, Some(1_487_632)), Next::Again(Duration::from_hours(1))),
            (meta(100, None), Next::Give),
            (meta(190, Some(463)), Next::NewLease),
        ] {
            assert_eq!(patience().next(&seen, Replay::Never, 1), expected, "{seen:?}");
        }
        for seen in [Seen::Unsent("refused".to_owned()), meta(80_004, None)] {
            assert!(matches!(patience().next(&seen, Replay::Never, 1), Next::Again(_)), "{seen:?}");
        }
    }

    #[test]
    fn a_read_is_repeated_until_the_tries_are_used() {
        for seen in [Seen::Lost("reset".to_owned()), meta(2, None), Seen::Unsent("refused".to_owned())] {
            assert!(matches!(patience().next(&seen, Replay::Safe, 2), Next::Again(_)), "{seen:?}");
            assert_eq!(patience().next(&seen, Replay::Safe, 3), Next::Give, "{seen:?}");
        }
    }

    #[test]
    fn pauses_spread_over_the_whole_of_a_growing_bound() {
        let patience = patience();
        let spread = |tries| (0..400).map(|_| patience.pause(tries)).collect::<Vec<_>>();
        let first = spread(1);
        assert!(first.iter().all(|pause| *pause <= patience.pause));
        // Four hundred draws all above or all below the middle do not happen.
        assert!(first.iter().any(|pause| *pause < patience.pause / 2));
        assert!(first.iter().any(|pause| *pause > patience.pause / 2));
        assert!(spread(3).iter().any(|pause| *pause > patience.pause * 2));
        assert!(spread(30).iter().all(|pause| *pause <= patience.pause_max));
    }
}
