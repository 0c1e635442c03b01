//! May it be sent again, and when? Pure, so that every case is a line in a table.

use std::time::Duration;

use crate::{
    call::Replay,
    meta_error::{MetaError, Verdict},
};

/// The first pause; it doubles with every try.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

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

/// Decides after try number `tries` (from 1) of at most `tries_max`.
pub(crate) fn next(seen: &Seen, replay: Replay, tries: u32, tries_max: u32) -> Next {
    let may = tries < tries_max;
    match seen {
        Seen::Unsent(_) if may => Next::Again(pause(tries)),
        Seen::Unsent(_) => Next::Give,
        Seen::Lost(_) => ambiguous(replay, tries, may),
        Seen::Meta(meta) => match meta.verdict() {
            // Not executed, so even a create may go again; ratelimit has been told and makes it wait.
            Verdict::Throttled if may => Next::Again(Duration::ZERO),
            Verdict::Token => Next::NewLease,
            Verdict::Transient => ambiguous(replay, tries, may),
            _ => Next::Give,
        },
    }
}

/// Perhaps executed: only what may be repeated is.
fn ambiguous(replay: Replay, tries: u32, may: bool) -> Next {
    match replay {
        Replay::Never => Next::GiveUnknown,
        Replay::Safe if may => Next::Again(pause(tries)),
        Replay::Safe => Next::Give,
    }
}

/// Doubling, with a jitter of 0.5 to 1 so that callers who failed together do not return together.
fn pause(tries: u32) -> Duration {
    let full = PAUSE.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(PAUSE_MAX);
    let [jitter, ..] = *uuid::Uuid::new_v4().as_bytes();
    full / 2 + full / 2 * u32::from(jitter) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(code: i64, subcode: Option<i64>) -> Seen {
        Seen::Meta(Box::new(MetaError { code, subcode, status: 400, ..MetaError::default() }))
    }

    #[test]
    fn a_create_is_repeated_only_when_it_was_not_executed() {
        for (seen, expected) in [
            (Seen::Lost("reset".to_owned()), Next::GiveUnknown),
            (meta(2, None), Next::GiveUnknown),
            (meta(80_004, None), Next::Again(Duration::ZERO)),
            (meta(100, None), Next::Give),
            (meta(190, Some(463)), Next::NewLease),
        ] {
            assert_eq!(next(&seen, Replay::Never, 1, 3), expected, "{seen:?}");
        }
        assert!(matches!(next(&Seen::Unsent("refused".to_owned()), Replay::Never, 1, 3), Next::Again(_)));
    }

    #[test]
    fn a_read_is_repeated_until_the_tries_are_used() {
        for seen in [Seen::Lost("reset".to_owned()), meta(2, None), Seen::Unsent("refused".to_owned())] {
            assert!(matches!(next(&seen, Replay::Safe, 2, 3), Next::Again(_)), "{seen:?}");
            assert_eq!(next(&seen, Replay::Safe, 3, 3), Next::Give, "{seen:?}");
        }
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert!(pause(1) >= PAUSE / 2 && pause(1) <= PAUSE);
        assert!(pause(30) <= PAUSE_MAX);
    }
}
