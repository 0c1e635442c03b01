//! Between the messages and the use cases.

use jiff::Timestamp;
use prost::Message;
use proto::{
    common::v1::{FieldViolation, RowError},
    conversions::v1 as pb,
};
use rpc::{FieldError, Fields};
use vocabulary::{
    ids::{DatasetId, RequestId},
    names,
};

use crate::{
    check::Verdict,
    events::{Accepted, Outcome, Receipt, Send},
    store::{Entry, EventState, Letter, Stats},
};

/// The most events of one request.
const EVENTS_MAX: usize = 1_000;

impl TryFrom<pb::SendEventsRequest> for Send {
    type Error = FieldError;

    fn try_from(request: pb::SendEventsRequest) -> Result<Self, FieldError> {
        let mut fields = Fields::new();
        let dataset = fields.take(dataset("dataset", &request.dataset));
        let request_id = match request.request_id.as_str() {
            "" => None,
            text => fields.parse("request_id", text.parse::<RequestId>(), "UUID").map(|id| id.0),
        };
        fields.take(count(&request.events));
        let code = &request.test_event_code;
        let stands = code.len() <= 100 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        fields.check(stands, "test_event_code", "must be a code from Meta's Events Manager", "TEST_EVENT_CODE");
        fields.finish()?;
        Ok(Self {
            dataset: dataset.unwrap_or(DatasetId::new(0)),
            events: request.events,
            request_id,
            validate_only: request.validate_only,
            test_event_code: (!code.is_empty()).then_some(request.test_event_code),
        })
    }
}

/// A dataset's name in `field`.
pub(crate) fn dataset(field: &str, name: &str) -> Result<DatasetId, FieldError> {
    names::dataset(name).map_err(|error| FieldError::new(field, error.to_string(), "NAME"))
}

/// 1 to 1,000 events.
pub(crate) fn count(events: &[pb::Event]) -> Result<(), FieldError> {
    if (1..=EVENTS_MAX).contains(&events.len()) {
        Ok(())
    } else {
        Err(FieldError::new("events", "must be 1 to 1,000 events", "EVENT_COUNT"))
    }
}

/// The key after which the next page of dead letters begins.
pub(crate) fn letter_key(entry: &Entry) -> String {
    format!("{}\0{}\0{}", entry.receive_time.as_microsecond(), entry.event_name, entry.event_id)
}

/// Reads it back. It comes out of an authenticated token, so that it is ours.
pub(crate) fn letter_of_key(key: &str) -> Option<Letter> {
    let mut parts = key.splitn(3, '\0');
    let receive_time = Timestamp::from_microsecond(parts.next()?.parse().ok()?).ok()?;
    Some(Letter { receive_time, event_name: parts.next()?.to_owned(), event_id: parts.next()?.to_owned() })
}

impl From<Receipt> for pb::SendEventsResponse {
    fn from(receipt: Receipt) -> Self {
        let mut sums = pb::EventReceipt { receive_time: Some(stamp(receipt.time)), ..pb::EventReceipt::default() };
        for outcome in &receipt.outcomes {
            match outcome.state {
                Ok(Accepted::As(_)) => sums.accepted += 1,
                Ok(Accepted::Deduplicated | Accepted::Lost) => sums.deduplicated += 1,
                Err(_) => sums.refused += 1,
            }
        }
        let result = |(index, outcome): (usize, Outcome)| {
            let outcome_state = match &outcome.state {
                Ok(Accepted::As(state)) => pb::event_result::Outcome::State(pb::EventState::from(*state).into()),
                Ok(Accepted::Deduplicated) => pb::event_result::Outcome::State(pb::EventState::Deduplicated.into()),
                Ok(Accepted::Lost) => pb::event_result::Outcome::State(pb::EventState::Dead.into()),
                Err(error) => pb::event_result::Outcome::Error(rpc::row_error(error)),
            };
            pb::EventResult {
                index: i32::try_from(index).unwrap_or(i32::MAX),
                event_id: outcome.event_id,
                outcome: Some(outcome_state),
                dropped: outcome.dropped.into_iter().map(violation).collect(),
            }
        };
        Self { results: receipt.outcomes.into_iter().enumerate().map(result).collect(), receipt: Some(sums) }
    }
}

/// All faults of all events.
pub(crate) fn findings(verdicts: Vec<Verdict>) -> Vec<pb::EventFinding> {
    let of_one = |(index, verdict): (usize, Verdict)| {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let finding = move |violation: rpc::Violation, refused| pb::EventFinding {
            index,
            violation: Some(self::violation(violation)),
            refused,
        };
        let refused = verdict.event.err().unwrap_or_default().into_iter().map(move |found| finding(found, true));
        refused.chain(verdict.dropped.into_iter().map(move |found| finding(found, false)))
    };
    verdicts.into_iter().enumerate().flat_map(of_one).collect()
}

fn violation(violation: rpc::Violation) -> FieldViolation {
    FieldViolation { field: violation.field, description: violation.description, reason: violation.reason.to_owned() }
}

/// A ledger entry of a dataset.
pub(crate) fn entry(dataset: DatasetId, entry: Entry) -> pb::LedgerEntry {
    let waits = entry.state == EventState::Pending;
    pb::LedgerEntry {
        dataset: names::of_dataset(dataset),
        event_name: entry.event_name,
        event_id: entry.event_id,
        state: pb::EventState::from(entry.state).into(),
        event_time: Some(stamp(entry.event_time)),
        receive_time: Some(stamp(entry.receive_time)),
        deduplicated: entry.deduplicated,
        attempts: entry.attempts,
        send_time: entry.send_time.map(stamp),
        acknowledge_time: entry.acknowledge_time.map(stamp),
        next_attempt_time: waits.then(|| stamp(entry.next_attempt_time)),
        deadline_time: Some(stamp(entry.deadline)),
        error: entry.error.filter(|bytes| !bytes.is_empty()).and_then(|bytes| RowError::decode(&*bytes).ok()),
        fbtrace_id: entry.fbtrace_id.unwrap_or_default(),
    }
}

/// The counts at a moment.
pub(crate) fn stats(stats: Stats, now: Timestamp) -> pb::DeliveryStats {
    let age = stats.oldest.map(|oldest| now.duration_since(oldest));
    pb::DeliveryStats {
        accepted: stats.pending + stats.sending + stats.delivered + stats.dead,
        pending: stats.pending,
        sending: stats.sending,
        delivered: stats.delivered,
        dead: stats.dead,
        deduplicated: stats.deduplicated,
        oldest_pending_age: age.map(|age| prost_types::Duration { seconds: age.as_secs().max(0), nanos: 0 }),
        read_time: Some(stamp(now)),
    }
}

impl From<EventState> for pb::EventState {
    fn from(state: EventState) -> Self {
        match state {
            EventState::Pending => Self::Pending,
            EventState::Sending => Self::Sending,
            EventState::Delivered => Self::Delivered,
            EventState::Dead => Self::Dead,
        }
    }
}

fn stamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}
