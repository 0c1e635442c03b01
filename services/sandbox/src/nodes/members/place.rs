//! Where a batch may stand in its session (Meta, "Customer file custom audiences: upload sessions").

use jiff::Timestamp;

use crate::state::{Batch, Session};

/// Batches go from 1 without gaps, within 90 minutes, under one schema. A batch that came already may come again,
/// because its sender may have lost the answer; it counts once. The text says what to do instead.
pub(super) fn check(session: Option<&Session>, batch: &Batch, replace: bool, now: Timestamp) -> Result<(), String> {
    let id = &batch.session;
    let Some(session) = session else {
        return if batch.seq == 1 {
            Ok(())
        } else {
            Err(format!("Session {id} has not begun. The first batch_seq of a session is 1."))
        };
    };
    if session.is_over(now) {
        return if batch.seq == 1 {
            Ok(())
        } else {
            Err(format!("Session {id} is over: it may take 90 minutes. Begin another with batch_seq 1."))
        };
    }
    if session.replace != replace {
        return Err(format!("Session {id} does other work. Give each kind of work a session of its own."));
    }
    if session.schema != batch.schema {
        return Err(format!("The schema of session {id} is {}; it must not change.", session.schema.join(", ")));
    }
    if session.batches.contains(&batch.seq) {
        return Ok(());
    }
    if let Some(last) = session.last_seq {
        return Err(format!("Session {id} ended with batch {last}. Begin another session."));
    }
    let next = session.batches.last().map_or(1, |last| last + 1);
    if batch.seq == next {
        Ok(())
    } else {
        Err(format!("The next batch_seq of session {id} is {next}, not {}.", batch.seq))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + minute * 60).unwrap()
    }

    fn session(batches: &[u64], last: Option<u64>) -> Session {
        Session {
            received: 0,
            invalid: 0,
            batches: batches.iter().copied().collect::<BTreeSet<u64>>(),
            last_seq: last,
            schema: vec!["EMAIL".to_owned()],
            replace: false,
            started: at(0),
            ended: None,
        }
    }

    fn batch(seq: u64, schema: &str) -> Batch {
        Batch { session: "7".to_owned(), seq, last: false, schema: vec![schema.to_owned()] }
    }

    #[test]
    fn batches_go_from_one_without_gaps_in_time_and_under_one_schema() {
        let table = [
            (None, batch(1, "EMAIL"), 0, ""),
            (None, batch(2, "EMAIL"), 0, "first batch_seq"),
            (Some(session(&[1], None)), batch(2, "EMAIL"), 1, ""),
            (Some(session(&[1], None)), batch(1, "EMAIL"), 1, ""),
            (Some(session(&[1], None)), batch(3, "EMAIL"), 1, "is 2, not 3"),
            (Some(session(&[1], None)), batch(2, "PHONE"), 1, "must not change"),
            (Some(session(&[1, 2], Some(2))), batch(3, "EMAIL"), 1, "ended with batch 2"),
            (Some(session(&[1, 2], Some(2))), batch(2, "EMAIL"), 1, ""),
            (Some(session(&[1], None)), batch(2, "EMAIL"), 91, "90 minutes"),
            (Some(session(&[1], None)), batch(1, "PHONE"), 91, ""),
        ];
        for (session, batch, minute, text) in table {
            let verdict = check(session.as_ref(), &batch, false, at(minute));
            assert_eq!(verdict.is_ok(), text.is_empty(), "{verdict:?}");
            assert!(verdict.err().unwrap_or_default().contains(text));
        }
        assert!(check(Some(&session(&[1], None)), &batch(2, "EMAIL"), true, at(1)).is_err());
    }
}
