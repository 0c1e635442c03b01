//! Operations for callers.

use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use prost_types::Any;
use proto::{
    common::v1::RowError,
    insights::v1 as pb,
    operations::v1::{Operation, OperationMetadata, OperationPart, PartState, operation::Outcome},
};
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, ReportId},
    names,
};

use super::{operation_name, timestamp};
use crate::{
    report::{Part, Report, State},
    run::Run,
};

const REPORT_URL: &str = "type.googleapis.com/adplane.insights.v1.Report";

/// As many as an operation shows; the newest where there are more.
const PARTS_MAX: usize = 1_000;

/// What `validate_only` answers with: finished, without a name.
pub(crate) fn validated(account: AdAccountId, query: pb::Query) -> Operation {
    let report = pb::Report { query: Some(query), ..pb::Report::default() };
    let metadata = OperationMetadata { resource: names::of_ad_account(account), ..OperationMetadata::default() };
    Operation { name: String::new(), done: true, metadata: Some(metadata), outcome: Some(result(&report)) }
}

/// A report that was just accepted.
pub(crate) fn accepted(id: Uuid, resource: &str, now: Timestamp) -> Operation {
    let metadata = OperationMetadata {
        resource: resource.to_owned(),
        phase: "accepted".to_owned(),
        create_time: Some(timestamp(now)),
        update_time: Some(timestamp(now)),
        ..OperationMetadata::default()
    };
    Operation { name: operation_name(id), done: false, metadata: Some(metadata), outcome: None }
}

/// A report that is being read. `waiting` is what it waits for, and how long.
pub(crate) fn running(report: &Report, parts: &[Part], waiting: Option<(&str, Duration)>, now: Timestamp) -> Operation {
    let mut metadata = metadata(report, parts, now);
    if let Some((on, delay)) = waiting {
        on.clone_into(&mut metadata.waiting_on);
        let next = now.checked_add(delay).ok().map(timestamp);
        metadata.next_attempt_time = next;
        metadata.quota_until = next.filter(|_| on == "quota");
    }
    Operation { name: operation_name(report.id), done: false, metadata: Some(metadata), outcome: None }
}

/// A report that has ended.
pub(crate) fn done(report: &Report, parts: &[Part], now: Timestamp) -> Operation {
    let outcome = match (&report.state, &report.error) {
        (State::Succeeded, _) | (_, None) => result(&super::report(report, parts)),
        (_, Some(error)) => Outcome::Error(RowError::clone(error)),
    };
    let metadata = metadata(report, parts, now);
    Operation { name: operation_name(report.id), done: true, metadata: Some(metadata), outcome: Some(outcome) }
}

/// The stored operation with what the store knows better: somebody may have asked for it to stop since.
pub(crate) fn with_cancellation(mut operation: Operation, requested: bool, updated: Timestamp) -> Operation {
    if let Some(metadata) = &mut operation.metadata {
        metadata.cancel_requested = requested;
        metadata.update_time = Some(timestamp(updated));
    }
    operation
}

fn result(report: &pb::Report) -> Outcome {
    Outcome::Result(Any { type_url: REPORT_URL.to_owned(), value: report.encode_to_vec() })
}

fn metadata(report: &Report, parts: &[Part], now: Timestamp) -> OperationMetadata {
    let over = parts.iter().filter(|part| part.is_over()).count();
    let hidden = parts.len().saturating_sub(PARTS_MAX);
    OperationMetadata {
        resource: names::of_report(report.account, ReportId(report.id)),
        phase: phase(report, parts).to_owned(),
        steps_done: count(over),
        steps_total: count(parts.len()),
        parts: parts.iter().skip(hidden).map(|part| encode_part(part, report)).collect(),
        create_time: Some(timestamp(report.created)),
        update_time: Some(timestamp(now)),
        ..OperationMetadata::default()
    }
}

fn phase(report: &Report, parts: &[Part]) -> &'static str {
    match report.state {
        State::Succeeded => "done",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
        State::Running if parts.is_empty() => "reading the account",
        State::Running if parts.iter().any(|part| matches!(part.run, Run::Reading { .. })) => "reading rows",
        State::Running if parts.iter().all(Part::is_over) => "comparing with the account's totals",
        State::Running => "waiting for Meta's report runs",
    }
}

fn encode_part(part: &Part, report: &Report) -> OperationPart {
    let (state, percent, job) = match &part.run {
        Run::Pending => (PartState::Pending, 0, None),
        Run::Polling { job, percent, .. } => (PartState::Running, i32::from(*percent), Some(*job)),
        Run::Reading { job, .. } => (PartState::Running, 100, *job),
        Run::Done => (PartState::Succeeded, 100, None),
        Run::Failed => (PartState::Failed, 0, None),
    };
    let skipped = report.state == State::Cancelled && !part.is_over();
    OperationPart {
        name: format!("{}..{}", part.days.since(), part.days.until()),
        state: if skipped { PartState::Skipped } else { state }.into(),
        percent,
        error: part.error.clone(),
        meta_id: job.map(|job| job.to_string()).unwrap_or_default(),
        ..OperationPart::default()
    }
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
