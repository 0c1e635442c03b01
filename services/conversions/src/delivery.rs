//! What to do with events after an attempt to send them. Pure, so that each case is a line in a table.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{error::Error, store::Waiting};

/// How long an event whose outcome is unknown may be sent again: Meta counts an id once within 48 hours, of which half is
/// margin.
const RESEND_MAX: SignedDuration = SignedDuration::from_hours(24);
/// The first pause after a lost answer; it doubles with each try.
const PAUSE: Duration = Duration::from_secs(2);
/// Meta's code of a wrong parameter (Meta, "Error handling"): the one by which it refuses an event.
const WRONG_PARAMETER: i64 = 100;
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// How long to wait where a person must act first: consent, a permission, a right dataset.
const PAUSE_PERSON: Duration = Duration::from_secs(300);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Meta took them.
    Delivered,
    /// One of them is bad: send the halves apart.
    Split,
    /// This one is bad: give it up.
    Bury,
    /// Nothing was taken: send them later.
    Later(Duration),
    /// Perhaps taken: send them later, under the same ids.
    Resend(Duration),
}

/// Decides after one attempt with `count` events, of which the most often tried is at try number `attempt`.
///
/// Meta takes all events of a call or none (Meta, "Conversions API: using the API"), so a refusal of many for a wrong
/// parameter says that at least one is bad. Any other refusal speaks of the call, the app or something between Meta and
/// us, and an event that was accepted is not given up for that.
pub(crate) fn next(error: Option<&Error>, count: usize, attempt: i32) -> Next {
    use graph::Error as Meta;
    let error = match error {
        None => return Next::Delivered,
        Some(Error::Meta(error)) => error,
        Some(_) => return Next::Resend(pause(attempt)),
    };
    match error {
        error if blames_events(error) && count > 1 => Next::Split,
        error if blames_events(error) => Next::Bury,
        Meta::OutcomeUnknown { .. } | Meta::Malformed { .. } => Next::Resend(pause(attempt)),
        Meta::Quota { retry_after, .. } | Meta::Throttled { retry_after, .. } => {
            Next::Later((*retry_after).clamp(PAUSE, PAUSE_MAX))
        }
        error if error.is_temporary() => {
            Next::Later(rpc::Fault::retry_after(error).unwrap_or_else(|| pause(attempt)).clamp(PAUSE, PAUSE_MAX))
        }
        // Missing, permission, consent, restriction, version, another refusal: no event is at fault, and none is given up
        // for it.
        _ => Next::Later(PAUSE_PERSON),
    }
}

/// Does Meta find fault with what the events say, or with how many they are?
fn blames_events(error: &graph::Error) -> bool {
    match error {
        graph::Error::Rejected { meta, .. } => meta.code == WRONG_PARAMETER,
        error => matches!(error, graph::Error::TooMuchData { .. }),
    }
}

/// Why an event must not be sent any more, if so.
pub(crate) fn over(event: &Waiting, now: Timestamp) -> Option<Error> {
    match event.unknown_since {
        Some(since) if now.duration_since(since) >= RESEND_MAX => Some(Error::Unknown),
        Some(_) if event.deadline <= now => Some(Error::Unknown),
        None if event.deadline <= now => Some(Error::TooOld),
        _ => None,
    }
}

fn pause(attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or_default().min(16);
    PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(error: graph::Error) -> Result<(), Error> {
        Err(Error::Meta(error))
    }

    fn call() -> String {
        "POST id/events".to_owned()
    }

    #[test]
    fn each_answer_has_its_next_step() {
        use graph::Error as Meta;
        let words = || Box::new(graph::MetaError::default());
        let rejected = |code| {
            let words = Box::new(graph::MetaError { code, status: 400, ..graph::MetaError::default() });
            meta(Meta::Rejected { call: call(), meta: words })
        };
        let minute = Duration::from_secs(60);
        for (result, count, expected) in [
            (Ok(()), 1000, Next::Delivered),
            (rejected(100), 1000, Next::Split),
            (rejected(100), 2, Next::Split),
            (rejected(100), 1, Next::Bury),
            (meta(Meta::TooMuchData { call: call(), meta: words() }), 2, Next::Split),
            (meta(Meta::TooMuchData { call: call(), meta: words() }), 1, Next::Bury),
            // A proxy's page has no code of Meta's, and 2500 is a path that Meta does not know.
            (rejected(0), 1000, Next::Later(PAUSE_PERSON)),
            (rejected(0), 1, Next::Later(PAUSE_PERSON)),
            (rejected(2500), 1, Next::Later(PAUSE_PERSON)),
            (meta(Meta::OutcomeUnknown { call: call(), cause: String::new() }), 1, Next::Resend(PAUSE)),
            (Err(Error::Miscounted { sent: 2, received: 1 }), 2, Next::Resend(PAUSE)),
            (meta(Meta::Throttled { call: call(), meta: words(), retry_after: minute }), 9, Next::Later(minute)),
            (meta(Meta::Quota { scope: String::new(), retry_after: Duration::ZERO }), 9, Next::Later(PAUSE)),
            (meta(Meta::Unavailable { call: call(), cause: String::new(), meta: None }), 9, Next::Later(PAUSE)),
            (meta(Meta::Deadline { call: call() }), 9, Next::Later(PAUSE)),
            (meta(Meta::Missing { call: call(), meta: words() }), 9, Next::Later(PAUSE_PERSON)),
            (meta(Meta::NeedsConsent { meta: words() }), 1, Next::Later(PAUSE_PERSON)),
            (meta(Meta::Permission { call: call(), meta: words() }), 1, Next::Later(PAUSE_PERSON)),
        ] {
            assert_eq!(next(result.as_ref().err(), count, 1), expected, "{result:?}");
        }
    }

    #[test]
    fn pauses_double_and_stay_bounded() {
        assert_eq!(pause(1), PAUSE);
        assert_eq!(pause(3), PAUSE * 4);
        assert_eq!(pause(i32::MAX), PAUSE_MAX);
    }

    #[test]
    fn an_event_is_given_up_when_it_is_too_old_or_was_unknown_for_a_day() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let hours = |hours: i64| now + SignedDuration::from_hours(hours);
        let event = |deadline, unknown_since| Waiting {
            event_name: "Lead".to_owned(),
            event_id: "1".to_owned(),
            deadline,
            attempt: 1,
            unknown_since,
            test_event_code: None,
            payload: "{}".to_owned(),
        };
        assert!(over(&event(hours(1), None), now).is_none());
        assert!(over(&event(hours(90), Some(hours(-23))), now).is_none());
        assert!(matches!(over(&event(hours(0), None), now), Some(Error::TooOld)));
        assert!(matches!(over(&event(hours(90), Some(hours(-24))), now), Some(Error::Unknown)));
        assert!(matches!(over(&event(hours(-1), Some(hours(-2))), now), Some(Error::Unknown)));
    }
}
