//! The states of one slice of a report, and how it passes from one to the next.
//!
//! Nothing here waits or asks anybody: the poller tells what happened, and stores what comes out before it acts on it.
//! So a process that dies in any state goes on from there, with the same run at Meta.

use std::time::Duration;

use graph::insights::RunState;
use jiff::Timestamp;
use vocabulary::ids::ReportRunId;

/// Where a slice stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Run {
    /// To be begun, for the first time or again.
    Pending,
    /// Meta works on it.
    Polling {
        /// Meta's id of the run.
        job: ReportRunId,
        /// When it was begun.
        since: Timestamp,
        /// As Meta told last; 100 does not mean completed.
        percent: u8,
    },
    /// Its rows are being read.
    Reading {
        /// The run, or `None` where Meta is asked at once.
        job: Option<ReportRunId>,
        /// The cursor after the last page that was kept.
        after: Option<String>,
    },
    /// All its rows are kept.
    Done,
    /// Given up.
    Failed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Meta took the question and gave the run an id.
    Started(ReportRunId),
    /// The question is small: it is read at once.
    StartedAtOnce,
    /// Meta told how the run stands.
    Status {
        /// Its state.
        state: RunState,
        /// How far it is.
        percent: u8,
        /// The failure is that the question was too large.
        too_large: bool,
    },
    /// A page was kept.
    Page {
        /// The cursor of the next one; `None` after the last.
        next: Option<String>,
    },
    /// Meta does not answer as much in one piece, however small the page.
    TooMuch,
    /// Meta no longer knows the run.
    Gone,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go on in this state.
    Go(Run),
    /// Forget the rows that were kept, and begin again.
    Again,
    /// Forget the rows that were kept, cut the slice in two and begin both; where it cannot be cut, give up.
    Split,
}

/// When to stop hoping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How often a slice is begun before it is cut. Meta drops runs that waited too long (`Job Skipped`), and some fail
    /// for no lasting reason; asking anew often works, but costs quota each time.
    pub tries_max: u32,
    /// How long a run may take. Meta says seconds to an hour.
    pub run_max: Duration,
}

/// The state after an event. `tries` is how often the slice was begun. An event that does not belong to the state, as a
/// late answer, changes nothing.
pub(crate) fn next(run: &Run, tries: u32, event: &Event, now: Timestamp, limits: Limits) -> Next {
    match (run, event) {
        (Run::Pending, Event::Started(job)) => Next::Go(Run::Polling { job: *job, since: now, percent: 0 }),
        (Run::Pending, Event::StartedAtOnce) => Next::Go(Run::Reading { job: None, after: None }),
        (Run::Polling { job, since, .. }, Event::Status { state, percent, too_large }) => {
            let status = (*state, *percent, *too_large);
            polled(*job, *since, status, tries, now, limits)
        }
        (Run::Reading { job, .. }, Event::Page { next: Some(after) }) => {
            Next::Go(Run::Reading { job: *job, after: Some(after.clone()) })
        }
        (Run::Reading { .. }, Event::Page { next: None }) => Next::Go(Run::Done),
        (Run::Pending | Run::Reading { .. }, Event::TooMuch) => Next::Split,
        (Run::Polling { .. } | Run::Reading { job: Some(_), .. }, Event::Gone) => again(tries, limits),
        (unmoved, _) => Next::Go(unmoved.clone()),
    }
}

fn polled(
    job: ReportRunId,
    since: Timestamp,
    (state, percent, too_large): (RunState, u8, bool),
    tries: u32,
    now: Timestamp,
    limits: Limits,
) -> Next {
    match state {
        RunState::Completed => Next::Go(Run::Reading { job: Some(job), after: None }),
        RunState::Failed if too_large => Next::Split,
        RunState::Failed | RunState::Skipped => again(tries, limits),
        RunState::Working if overdue(since, now, limits) => again(tries, limits),
        RunState::Working => Next::Go(Run::Polling { job, since, percent }),
    }
}

fn again(tries: u32, limits: Limits) -> Next {
    if tries < limits.tries_max { Next::Again } else { Next::Split }
}

/// A run that hangs, or says 100 percent for ever, is not waited for without end.
fn overdue(since: Timestamp, now: Timestamp, limits: Limits) -> bool {
    Duration::try_from(now.duration_since(since)).is_ok_and(|taken| taken >= limits.run_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { tries_max: 3, run_max: Duration::from_hours(1) };
    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn job() -> ReportRunId {
        ReportRunId::new(7)
    }

    fn states() -> Vec<Run> {
        vec![
            Run::Pending,
            Run::Polling { job: job(), since: START, percent: 40 },
            Run::Reading { job: Some(job()), after: Some("a".to_owned()) },
            Run::Reading { job: None, after: None },
            Run::Done,
            Run::Failed,
        ]
    }

    fn status(state: RunState, percent: u8, too_large: bool) -> Event {
        Event::Status { state, percent, too_large }
    }

    fn events() -> Vec<Event> {
        vec![
            Event::Started(ReportRunId::new(8)),
            Event::StartedAtOnce,
            status(RunState::Working, 100, false),
            status(RunState::Completed, 100, false),
            status(RunState::Failed, 10, false),
            status(RunState::Failed, 10, true),
            status(RunState::Skipped, 0, false),
            Event::Page { next: Some("b".to_owned()) },
            Event::Page { next: None },
            Event::TooMuch,
            Event::Gone,
        ]
    }

    /// What each event does to each state of [`states`] on the first try: `.` changes nothing, `A` again, `S` split,
    /// `P` polling, `R` reading, `D` done.
    const TABLE: [&str; 6] = [
        "PR.......S.", // pending
        "..PRASA...A", // polling
        ".......RDSA", // reading a run
        ".......RDS.", // reading at once
        "...........", // done
        "...........", // failed
    ];

    #[test]
    fn every_event_in_every_state_does_what_the_table_says() {
        for (run, line) in states().iter().zip(TABLE) {
            for (event, expected) in events().iter().zip(line.chars()) {
                let seen = match next(run, 1, event, START, LIMITS) {
                    Next::Again => 'A',
                    Next::Split => 'S',
                    Next::Go(same) if same == *run => '.',
                    Next::Go(Run::Polling { .. }) => 'P',
                    Next::Go(Run::Reading { .. }) => 'R',
                    Next::Go(Run::Done) => 'D',
                    Next::Go(Run::Pending | Run::Failed) => '?',
                };
                assert_eq!(seen, expected, "{run:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_run_that_fails_too_often_is_split() {
        let polling = Run::Polling { job: job(), since: START, percent: 0 };
        for (tries, expected) in [(1, Next::Again), (2, Next::Again), (3, Next::Split), (9, Next::Split)] {
            assert_eq!(next(&polling, tries, &status(RunState::Failed, 0, false), START, LIMITS), expected);
            assert_eq!(next(&polling, tries, &status(RunState::Skipped, 0, false), START, LIMITS), expected);
            assert_eq!(next(&polling, tries, &Event::Gone, START, LIMITS), expected);
        }
    }

    #[test]
    fn a_run_that_takes_too_long_is_begun_again_also_at_a_hundred_percent() {
        let polling = Run::Polling { job: job(), since: START, percent: 100 };
        let working = status(RunState::Working, 100, false);
        let after = |seconds: u64| START + Duration::from_secs(seconds);
        assert_eq!(next(&polling, 1, &working, after(3599), LIMITS), Next::Go(polling.clone()));
        assert_eq!(next(&polling, 1, &working, after(3600), LIMITS), Next::Again);
    }

    #[test]
    fn the_run_that_was_begun_is_the_one_that_is_polled_and_read() {
        let started = Next::Go(Run::Polling { job: job(), since: START, percent: 0 });
        assert_eq!(next(&Run::Pending, 1, &Event::Started(job()), START, LIMITS), started);
        let polling = Run::Polling { job: job(), since: START, percent: 0 };
        let completed = status(RunState::Completed, 100, false);
        let reading = Next::Go(Run::Reading { job: Some(job()), after: None });
        assert_eq!(next(&polling, 1, &completed, START, LIMITS), reading);
    }
}
