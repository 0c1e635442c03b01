//! Proto to domain and back.

mod field;
mod operation;
mod request;

use proto::insights::v1 as pb;
use vocabulary::{DayRange, Money, ids::ReportId, names};

pub(crate) use field::{Word, all_words, encode_word};
pub(crate) use operation::{accepted, done, running, validated, with_cancellation};
pub(crate) use request::{Asked, create, name, parent};

use crate::{
    reconcile::Sums,
    report::{Part, Plan, Reconciliation, Report, State, final_time},
    row::money,
    run::Run,
    slices::Mode,
};

/// How many slices a report shows.
const PARTS_MAX: usize = 1_200;

/// The report for callers.
pub(crate) fn report(report: &Report, parts: &[Part]) -> pb::Report {
    let plan = report.plan.as_ref();
    let (reconciliation, reconciliation_reason, control) = reconciliation(&report.reconciliation);
    let totals = Sums::total(parts.iter().map(|part| part.sums));
    let amounts = |sums: Option<Sums>| Some(encode_sums(sums?, plan?));
    let final_time = plan.and_then(Plan::final_time);
    pb::Report {
        name: names::of_report(report.account, ReportId(report.id)),
        query: Some(query(report)),
        state: state(report.state).into(),
        mode: plan.map_or(pb::ReportMode::Unspecified, |plan| mode(plan.mode)).into(),
        mode_reason: plan.map(|plan| plan.mode_reason.clone()).unwrap_or_default(),
        parts: parts.iter().take(PARTS_MAX).map(part).collect(),
        row_count: parts.iter().map(|part| part.row_count).sum(),
        totals: amounts(totals.filter(|_| !parts.is_empty())),
        control_totals: amounts(control),
        reconciliation: reconciliation.into(),
        reconciliation_reason,
        finality: finality(report.data_time, final_time).into(),
        final_time: final_time.map(timestamp),
        data_time: report.data_time.map(timestamp),
        currency_code: plan.map(|plan| plan.currency.code().to_owned()).unwrap_or_default(),
        time_zone: plan.map(|plan| plan.time_zone.clone()).unwrap_or_default(),
        operation: operation_name(report.id),
        create_time: Some(timestamp(report.created)),
        end_time: report.ended.map(timestamp),
        error: report.error.clone(),
    }
}

/// As asked, with a named period fixed to its days once they are known.
fn query(report: &Report) -> pb::Query {
    let mut query = report.query.clone();
    if let Some(plan) = &report.plan {
        query.period = Some(pb::query::Period::TimeRange(range(plan.days)));
    }
    query
}

fn part(part: &Part) -> pb::ReportPart {
    let (state, percent, job) = match &part.run {
        Run::Pending => (pb::ReportPartState::Pending, 0, None),
        Run::Polling { job, percent, .. } => (pb::ReportPartState::Polling, i32::from(*percent), Some(*job)),
        Run::Reading { job, .. } => (pb::ReportPartState::Reading, 100, *job),
        Run::Done => (pb::ReportPartState::Done, 100, None),
        Run::Failed => (pb::ReportPartState::Failed, 0, None),
    };
    pb::ReportPart {
        range: Some(range(part.days)),
        state: state.into(),
        percent,
        report_run_id: job.map(|job| job.to_string()).unwrap_or_default(),
        row_count: part.row_count,
        tries: i32::try_from(part.tries).unwrap_or(i32::MAX),
        error: part.error.clone(),
    }
}

fn range(days: DayRange) -> pb::TimeRange {
    pb::TimeRange { since: days.since().to_string(), until: days.until().to_string() }
}

/// The state for callers.
pub(crate) fn state(state: State) -> pb::ReportState {
    match state {
        State::Running => pb::ReportState::Running,
        State::Succeeded => pb::ReportState::Succeeded,
        State::Failed => pb::ReportState::Failed,
        State::Cancelled => pb::ReportState::Cancelled,
    }
}

/// The mode for callers.
pub(crate) fn mode(mode: Mode) -> pb::ReportMode {
    match mode {
        Mode::Sync => pb::ReportMode::Sync,
        Mode::Async => pb::ReportMode::Async,
    }
}

fn reconciliation(reconciliation: &Reconciliation) -> (pb::Reconciliation, String, Option<Sums>) {
    match reconciliation {
        Reconciliation::Open => (pb::Reconciliation::Unspecified, String::new(), None),
        Reconciliation::Matched { control } => (pb::Reconciliation::Matched, String::new(), Some(*control)),
        Reconciliation::Differed { control, reason } => (pb::Reconciliation::Differed, reason.clone(), Some(*control)),
        Reconciliation::NotComparable { reason } => (pb::Reconciliation::NotComparable, reason.clone(), None),
    }
}

fn encode_sums(sums: Sums, plan: &Plan) -> pb::Totals {
    pb::Totals {
        impressions: sums.impressions,
        clicks: sums.clicks,
        spend: Some(money(Money::from_minor(sums.spend_minor, plan.currency))),
    }
}

/// Final only where Meta had stopped restating when the rows were read.
fn finality(data_time: Option<jiff::Timestamp>, final_time: Option<jiff::Timestamp>) -> pb::Finality {
    match (data_time, final_time) {
        (Some(read), Some(end)) if read >= end => pb::Finality::Final,
        (Some(_), Some(_)) => pb::Finality::Provisional,
        _ => pb::Finality::Unspecified,
    }
}

/// Whether numbers of these days, read now, may still move.
pub(crate) fn finality_of(until: vocabulary::Day, zone: &jiff::tz::TimeZone, read: jiff::Timestamp) -> pb::Finality {
    finality(Some(read), final_time(until, zone))
}

/// The name of the operation that makes a report.
pub(crate) fn operation_name(id: uuid::Uuid) -> String {
    format!("operations/insights-{}", id.hyphenated())
}

/// A moment for callers.
pub(crate) fn timestamp(time: jiff::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}
