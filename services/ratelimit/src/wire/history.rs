//! What is told of the history: explanations and sums of use.

use std::time::Duration;

use jiff::Timestamp;
use proto::ratelimit::v1 as pb;
use rpc::{FieldError, Fields};
use vocabulary::names;

use super::{duration, priority, timestamp};
use crate::explain::{BucketState, ClassState, Facts, State, Subject, event_words};
use crate::priority::Priority;
use crate::scope::{Kind, Scope};
use crate::store::{Columns, Group, Losses, RefusedRow, Spent, Step, Told, UsageQuery, UsageRow, Viewer};
use crate::trail::{Event, EventKind};
use crate::wire;

const GROUPS_MAX: usize = 8;
const WORD_MAX: usize = 200;
const DAYS_MAX: i64 = 92;
const DAY_MS: i64 = 86_400_000;

/// What is asked to be explained, and for which moment where it is past.
pub(crate) fn asked(request: &pb::ExplainThrottleRequest, now_ms: i64) -> Result<(Subject, Option<i64>), FieldError> {
    let mut fields = Fields::new();
    let subject = match (request.name.as_str(), Subject::parse(&request.name)) {
        ("", _) => Err(FieldError::required("name")),
        (_, Some(subject)) => Ok(subject),
        (_, None) => {
            let words = "must be adAccounts/act_{n}, pages/{n}, users/{n} or metaApps/{n}";
            Err(FieldError::new("name", words, "RESOURCE_NAME"))
        }
    };
    let subject = fields.take(subject);
    let at = fields.take(request.time.map(|time| millis("time", time)).transpose()).flatten();
    fields.check(at.is_none_or(|at| at <= now_ms + 1_000), "time", "must not be in the future", "FUTURE");
    fields.finish()?;
    let subject = subject.ok_or_else(|| FieldError::required("name"))?;
    Ok((subject, at))
}

/// A question about use.
pub(crate) fn usage_query(
    request: &pb::QueryUsageRequest,
    viewer: Viewer,
    now_ms: i64,
) -> Result<UsageQuery, FieldError> {
    let mut fields = Fields::new();
    fields.check(request.group_by.len() <= GROUPS_MAX, "group_by", "must be at most 8", "GROUPS_COUNT");
    let mut groups = Vec::new();
    for (index, number) in request.group_by.iter().enumerate().take(GROUPS_MAX) {
        let group = group(*number);
        let field = format!("group_by[{index}]");
        fields.check(group.is_some(), &field, "must be a dimension that there is", "DIMENSION");
        fields.check(group.is_none_or(|group| !groups.contains(&group)), &field, "must be there once", "TWICE");
        groups.extend(group);
    }
    let step = match pb::UsageStep::try_from(request.step) {
        Ok(pb::UsageStep::Unspecified) => Some(Step::Whole),
        Ok(pb::UsageStep::Minute) => Some(Step::Minute),
        Ok(pb::UsageStep::Hour) => Some(Step::Hour),
        Ok(pb::UsageStep::Day) => Some(Step::Day),
        Err(_) => None,
    };
    fields.check(step.is_some(), "step", "must be a step that there is", "STEP");
    let from = request.from_time.ok_or_else(|| FieldError::required("from_time"));
    let from = fields.take(from.and_then(|time| millis("from_time", time)));
    let until = fields.take(request.until_time.map(|time| millis("until_time", time)).transpose()).flatten();
    let (from_ms, until_ms) = (from.unwrap_or(now_ms), until.unwrap_or(now_ms + 1));
    let from_ms = from_ms - from_ms.rem_euclid(60_000);
    fields.check(from_ms < until_ms, "until_time", "must be after from_time", "RANGE");
    fields.check(until_ms - from_ms <= DAYS_MAX * DAY_MS, "from_time", "must be at most 92 days before", "RANGE_DAYS");
    let filter = request.filter.clone().unwrap_or_default();
    let account = match filter.ad_account.as_str() {
        "" => Ok(String::new()),
        name => names::ad_account(name)
            .map(names::of_ad_account)
            .map_err(|error| FieldError::new("filter.ad_account", error.to_string(), "RESOURCE_NAME")),
    };
    let subject = fields.take(account).unwrap_or_default();
    for (field, word) in [("filter.caller", &filter.caller), ("filter.call", &filter.call)] {
        fields.check(word.len() <= WORD_MAX, field, "must be at most 200 bytes", "WORD_BYTES");
    }
    let class = match pb::Priority::try_from(filter.priority) {
        Ok(pb::Priority::Unspecified) => Ok(0),
        Ok(known) => priority(known).map(|class| i32::try_from(class.class()).unwrap_or_default()),
        Err(_) => Err(FieldError::new("filter.priority", "must be a class that there is", "PRIORITY")),
    };
    let class = fields.take(class).unwrap_or_default();
    fields.finish()?;
    Ok(UsageQuery {
        viewer,
        groups,
        step: step.unwrap_or(Step::Whole),
        from_ms,
        until_ms,
        subject,
        caller: filter.caller,
        call: filter.call,
        priority: class,
    })
}

fn group(number: i32) -> Option<Group> {
    match pb::UsageDimension::try_from(number).ok()? {
        pb::UsageDimension::Unspecified => None,
        pb::UsageDimension::Tenant => Some(Group::Tenant),
        pb::UsageDimension::AdAccount => Some(Group::Subject),
        pb::UsageDimension::Caller => Some(Group::Caller),
        pb::UsageDimension::Call => Some(Group::Call),
        pb::UsageDimension::Code => Some(Group::Code),
        pb::UsageDimension::Priority => Some(Group::Priority),
        pb::UsageDimension::MetaApp => Some(Group::App),
        pb::UsageDimension::UseCase => Some(Group::UseCase),
    }
}

pub(crate) fn millis(field: &str, time: prost_types::Timestamp) -> Result<i64, FieldError> {
    let moment = Timestamp::new(time.seconds, time.nanos);
    let moment = moment.map_err(|_| FieldError::new(field, "must be a moment that a calendar has", "TIMESTAMP"))?;
    Ok(moment.as_millisecond())
}

/// Everything that is known, with its words.
pub(crate) fn explanation(facts: &Facts) -> pb::Explanation {
    let words = facts.words();
    let losses = facts.losses.iter().map(loss);
    let events = facts.events.iter().map(|told| event(told, facts.at_ms));
    pb::Explanation {
        name: facts.name.clone(),
        time: timestamp(facts.at_ms),
        state: state(words.state).into(),
        until: words.until_ms.and_then(timestamp),
        headline: words.headline,
        reasons: words.reasons,
        next_step: words.next_step,
        buckets: facts.buckets.iter().map(bucket_state).collect(),
        spenders: facts.spent.iter().map(spender).collect(),
        refused: facts.refused.iter().map(refused).collect(),
        events: losses.chain(events).take(50).collect(),
    }
}

fn state(state: State) -> pb::ThrottleState {
    match state {
        State::Open => pb::ThrottleState::Open,
        State::Reserved => pb::ThrottleState::Reserved,
        State::Gated => pb::ThrottleState::Gated,
        State::Full => pb::ThrottleState::Full,
        State::CountersLost => pb::ThrottleState::CountersLost,
        State::Frozen => pb::ThrottleState::Frozen,
        State::Closed => pb::ThrottleState::Closed,
    }
}

fn bucket_state(state: &BucketState) -> pb::BucketState {
    let class = |class: &ClassState| pb::ClassState {
        priority: class_of(class.priority).into(),
        cap: state.bucket.cap(class.priority).map(i64::from),
        pace: state.bucket.pace(class.priority).map(i64::from),
        next_in: duration(class.wait.map_or(Duration::ZERO, |(wait, _)| wait)),
        reason: class.wait.map_or(pb::WaitReason::Unspecified, |(_, reason)| reason.into()).into(),
    };
    let shown = (state.bucket.clone(), state.standing.clone());
    pb::BucketState { quota: Some(wire::quota(&shown)), classes: state.classes.iter().map(class).collect() }
}

fn class_of(priority: Priority) -> pb::Priority {
    match priority {
        Priority::Safety => pb::Priority::Safety,
        Priority::Interactive => pb::Priority::Interactive,
        Priority::Sync => pb::Priority::Sync,
        Priority::Bulk => pb::Priority::Bulk,
        Priority::Backfill => pb::Priority::Backfill,
    }
}

fn spender(spent: &Spent) -> pb::Spender {
    pb::Spender {
        tenant: tenant(&spent.tenant),
        caller: spent.caller.clone(),
        purpose: spent.purpose.clone(),
        call: spent.call.clone(),
        calls: spent.usage.calls,
        points: spent.usage.points,
        refused: spent.usage.refused,
        waited: span(spent.usage.waited_ms),
        longest_wait: span(spent.usage.longest_ms),
    }
}

fn refused(refused: &RefusedRow) -> pb::Refused {
    pb::Refused {
        time: timestamp(refused.last_ms),
        count: refused.count,
        priority: refused.priority,
        reason: pb::WaitReason::from(refused.reason).into(),
        scope: Scope::from_key(&refused.bucket).as_ref().map(Into::into),
        delay: span(refused.delay_ms),
        caller: refused.caller.clone(),
        call: refused.call.clone(),
    }
}

/// An event with its words, which name the day where it is not that of `now_ms`.
pub(crate) fn event(told: &Told, now_ms: i64) -> pb::QuotaEvent {
    let Event { at_ms, bucket, kind, code, blame, until_ms, others, percent, .. } = &told.event;
    pb::QuotaEvent {
        time: timestamp(*at_ms),
        kind: event_kind(*kind).into(),
        scope: Scope::from_key(bucket).as_ref().map(Into::into),
        code: *code,
        subcode: blame.subcode,
        trace_id: blame.trace_id.clone(),
        until_time: Some(*until_ms).filter(|ms| *ms > 0).and_then(timestamp),
        others: *others,
        percent: *percent,
        words: event_words(&told.event, now_ms),
    }
}

fn event_kind(kind: EventKind) -> pb::QuotaEventKind {
    match kind {
        EventKind::Closed => pb::QuotaEventKind::Closed,
        EventKind::Reopened => pb::QuotaEventKind::Reopened,
        EventKind::Gate => pb::QuotaEventKind::Gate,
        EventKind::Drift => pb::QuotaEventKind::Drift,
        EventKind::CountersLost => pb::QuotaEventKind::CountersLost,
        EventKind::Frozen => pb::QuotaEventKind::Frozen,
        EventKind::Unfrozen => pb::QuotaEventKind::Unfrozen,
    }
}

fn loss(loss: &Losses) -> pb::QuotaEvent {
    let scope = Scope { app: loss.app, kind: Kind::App, id: String::new(), use_case: String::new() };
    pb::QuotaEvent {
        time: timestamp(loss.at_ms),
        kind: pb::QuotaEventKind::CountersLost.into(),
        scope: Some((&scope).into()),
        words: loss.why.clone(),
        ..pb::QuotaEvent::default()
    }
}

/// A sum.
pub(crate) fn usage_row(row: &UsageRow) -> pb::UsageRow {
    let Columns { at_ms, app, priority, code, .. } = row.of;
    let of = &row.of;
    pb::UsageRow {
        time: timestamp(at_ms),
        tenant: tenant(&of.tenant),
        meta_app: if app == 0 { String::new() } else { format!("metaApps/{app}") },
        ad_account: of.subject.clone(),
        use_case: of.use_case.clone(),
        caller: of.caller.clone(),
        purpose: of.purpose.clone(),
        call: of.call.clone(),
        priority: priority.into(),
        code: u32::try_from(code).unwrap_or_default(),
        calls: row.usage.calls,
        points: row.usage.points,
        refused: row.usage.refused,
        answers: row.usage.answers,
        waited: span(row.usage.waited_ms),
        longest_wait: span(row.usage.longest_ms),
    }
}

fn tenant(id: &str) -> String {
    if id.is_empty() { String::new() } else { format!("tenants/{id}") }
}

fn span(ms: i64) -> Option<prost_types::Duration> {
    duration(Duration::from_millis(u64::try_from(ms).unwrap_or_default()))
}
