//! Proto to domain by `TryFrom`, domain to proto by `From`.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use proto::ratelimit::v1 as pb;
use rpc::{FieldError, Fields};
use uuid::Uuid;
use vocabulary::names;

use tokio::time::Instant;

use crate::ceilings::Profile;
use crate::priority::Priority;
use crate::quotas::{Acquire, Decision, Filter, Reserve, Reserved, Shown};
use crate::scope::{Kind, Scope};
use crate::store::{Reason, Standing};
use crate::trail::Asker;

pub(crate) mod history;
pub(crate) mod policy;

const CHARGES_MAX: usize = 16;
const REPORTS_MAX: usize = 100;
const PERMITS_MAX: usize = 100;
/// Sixteen buckets of the longest names, each with a tenant's share of it, take less.
const RESERVATION_BYTES_MAX: usize = 8_192;
const CALL_MAX: usize = 80;
const PURPOSE_MAX: usize = 40;

/// More than any call costs; keeps sums far from what a cell can hold.
const COST_MAX: u32 = 1_000_000;

/// For as long as the longest window of calls: what is held longer would starve others.
const RESERVED_MS_MAX: i64 = 3_600_000;

/// The caller's clock is not that of the buckets.
const RESERVED_SLACK_MS: i64 = 5_000;

impl TryFrom<pb::AcquireRequest> for Acquire {
    type Error = FieldError;

    fn try_from(wire: pb::AcquireRequest) -> Result<Self, FieldError> {
        let mut fields = Fields::new();
        fields.check(wire.reports.len() <= REPORTS_MAX, "reports", "must be at most 100", "REPORTS_COUNT");
        let priority = fields.take(priority(wire.priority()));
        let (app, charges) = charges(&mut fields, wire.charges);
        let few = wire.reservation.len() <= RESERVATION_BYTES_MAX;
        fields.check(few, "reservation", "must be at most 8 KiB", "RESERVATION_BYTES");
        fields.check(is_label(&wire.call, CALL_MAX), "call", "must be at most 80 characters of ASCII", "CALL");
        fields.check(
            is_label(&wire.purpose, PURPOSE_MAX),
            "purpose",
            "must be at most 40 characters of ASCII",
            "PURPOSE",
        );
        fields.finish()?;
        let asker = Asker { caller: String::new(), purpose: wire.purpose, call: wire.call };
        let (reports, reservation) = (wire.reports, wire.reservation);
        match (app, priority) {
            (Some(app), Some(priority)) => Ok(Self { app, charges, priority, reports, asker, reservation }),
            _ => Err(FieldError::required("charges")),
        }
    }
}

/// What is to be charged or held, and the one app of it.
fn charges(fields: &mut Fields, wire: Vec<pb::Charge>) -> (Option<u64>, Vec<(Scope, u32)>) {
    let count = wire.len();
    fields.check((1..=CHARGES_MAX).contains(&count), "charges", "must be 1 to 16", "CHARGES_COUNT");
    let mut charges = Vec::with_capacity(count.min(CHARGES_MAX));
    for (index, charge) in wire.into_iter().enumerate().take(CHARGES_MAX) {
        let checked = charge_of(charge).map_err(|error| error.within(&format!("charges[{index}].")));
        charges.extend(fields.take(checked));
    }
    let apps: BTreeSet<u64> = charges.iter().map(|(scope, _)| scope.app).collect();
    let scopes: BTreeSet<&Scope> = charges.iter().map(|(scope, _)| scope).collect();
    fields.check(apps.len() <= 1, "charges", "must all be of one Meta app", "ONE_META_APP");
    fields.check(scopes.len() == charges.len(), "charges", "must name each scope once", "SCOPE_TWICE");
    (apps.first().copied(), charges)
}

/// What is to be held. `now_ms` is the time of the buckets.
pub(crate) fn reserve(wire: pb::ReserveRequest, now_ms: i64) -> Result<Reserve, FieldError> {
    let mut fields = Fields::new();
    let priority = fields.take(priority(wire.priority()));
    let is_safety = priority == Some(Priority::Safety);
    fields.check(!is_safety, "priority", "must be a class below SAFETY, for which nothing is held", "SAFETY");
    let until_ms = wire.until.and_then(|until| history::millis("until", until).ok());
    let soon = now_ms + 1..=now_ms + RESERVED_MS_MAX + RESERVED_SLACK_MS;
    let is_soon = until_ms.is_some_and(|until_ms| soon.contains(&until_ms));
    fields.check(is_soon, "until", "must be a moment within the next hour", "RESERVED_UNTIL");
    let name = Uuid::try_parse(&wire.reservation_id).ok();
    fields.check(name.is_some(), "reservation_id", "must be a UUID", "UUID");
    let (app, charges) = charges(&mut fields, wire.charges);
    fields.finish()?;
    match (app, priority, until_ms, name) {
        (Some(app), Some(priority), Some(until_ms), Some(name)) => {
            Ok(Reserve { app, charges, priority, until_ms, name })
        }
        _ => Err(FieldError::required("charges")),
    }
}

/// What became of a reservation until `until`.
pub(crate) fn reserved(reserved: Reserved, until: Option<prost_types::Timestamp>) -> pb::ReserveResponse {
    use pb::reserve_response::Decision;
    let decision = match reserved {
        Reserved::Held(value) => Decision::Reservation(pb::Reservation { value, until }),
        Reserved::Wait { delay, scope, reason } => Decision::Wait(wait(delay, scope.as_ref(), reason)),
    };
    pb::ReserveResponse { decision: Some(decision) }
}

fn wait(delay: Duration, scope: Option<&Scope>, reason: Reason) -> pb::Wait {
    let reason = pb::WaitReason::from(reason).into();
    pb::Wait { delay: duration(delay), binding_scope: scope.map(pb::Scope::from), reason }
}

fn is_label(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn charge_of(wire: pb::Charge) -> Result<(Scope, u32), FieldError> {
    let scope = wire.scope.ok_or_else(|| FieldError::required("scope"))?;
    if !(1..=COST_MAX).contains(&wire.cost) {
        return Err(FieldError::new("cost", "must be 1 to 1,000,000", "COST_RANGE"));
    }
    Ok((Scope::try_from(scope).map_err(|error| error.within("scope."))?, wire.cost))
}

impl TryFrom<pb::Scope> for Scope {
    type Error = FieldError;

    fn try_from(wire: pb::Scope) -> Result<Self, FieldError> {
        let app = names::meta_app(&wire.meta_app)
            .map_err(|error| FieldError::new("meta_app", error.to_string(), "RESOURCE_NAME"))?;
        scope_in(app.get(), wire)
    }
}

/// A scope of this app, whatever `meta_app` says.
pub(crate) fn scope_in(app: u64, wire: pb::Scope) -> Result<Scope, FieldError> {
    let kind = kind(wire.kind()).ok_or_else(|| FieldError::required("kind"))?;
    let id = id_of(kind, &wire.id)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if wire.use_case.len() > 40 || !wire.use_case.bytes().all(plain) {
        return Err(FieldError::new("use_case", "must be a word of Meta's, such as ads_management", "USE_CASE"));
    }
    Ok(Scope { app, kind, id, use_case: wire.use_case })
}

/// An app needs no id, because it stands in `meta_app`; ids of ad accounts come with and without `act_`.
fn id_of(kind: Kind, id: &str) -> Result<String, FieldError> {
    if kind == Kind::App {
        return Ok(String::new());
    }
    let id = id.strip_prefix("adAccounts/").unwrap_or(id);
    let id = id.strip_prefix("act_").unwrap_or(id);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/.".contains(&byte);
    if (1..=64).contains(&id.len()) && id.bytes().all(plain) {
        Ok(id.to_owned())
    } else {
        Err(FieldError::new("id", "must be 1 to 64 letters, digits, or one of _ - / .", "SCOPE_ID"))
    }
}

pub(crate) fn priority(wire: pb::Priority) -> Result<Priority, FieldError> {
    match wire {
        pb::Priority::Unspecified => Err(FieldError::required("priority")),
        pb::Priority::Safety => Ok(Priority::Safety),
        pb::Priority::Interactive => Ok(Priority::Interactive),
        pb::Priority::Sync => Ok(Priority::Sync),
        pb::Priority::Bulk => Ok(Priority::Bulk),
        pb::Priority::Backfill => Ok(Priority::Backfill),
    }
}

fn kind(wire: pb::ScopeKind) -> Option<Kind> {
    match wire {
        pb::ScopeKind::Unspecified => None,
        pb::ScopeKind::App => Some(Kind::App),
        pb::ScopeKind::User => Some(Kind::User),
        pb::ScopeKind::AdAccount => Some(Kind::AdAccount),
        pb::ScopeKind::Page => Some(Kind::Page),
        pb::ScopeKind::TenantShare => Some(Kind::TenantShare),
        pb::ScopeKind::Mutation => Some(Kind::Mutation),
        pb::ScopeKind::BudgetChange => Some(Kind::BudgetChange),
    }
}

/// The reports of a Settle, counted.
pub(crate) fn reports(wire: pb::SettleRequest) -> Result<Vec<pb::UsageReport>, FieldError> {
    let mut fields = Fields::new();
    fields.check((1..=REPORTS_MAX).contains(&wire.reports.len()), "reports", "must be 1 to 100", "REPORTS_COUNT");
    fields.finish()?;
    Ok(wire.reports)
}

/// A Release, its permits and reservations counted.
pub(crate) fn released(wire: pb::ReleaseRequest) -> Result<pb::ReleaseRequest, FieldError> {
    let mut fields = Fields::new();
    let pb::ReleaseRequest { permits, reservations } = &wire;
    let some = !permits.is_empty() || !reservations.is_empty();
    fields.check(some, "permits", "must be some, or reservations", "PERMITS_COUNT");
    fields.check(permits.len() <= PERMITS_MAX, "permits", "must be at most 100", "PERMITS_COUNT");
    let few = reservations.len() <= PERMITS_MAX;
    fields.check(few, "reservations", "must be at most 100", "RESERVATIONS_COUNT");
    fields.finish()?;
    Ok(wire)
}

impl TryFrom<pb::QuotaFilter> for Filter {
    type Error = FieldError;

    fn try_from(wire: pb::QuotaFilter) -> Result<Self, FieldError> {
        let app = match wire.meta_app.as_str() {
            "" => None,
            name => Some(
                names::meta_app(name)
                    .map_err(|error| FieldError::new("filter.meta_app", error.to_string(), "RESOURCE_NAME"))?,
            ),
        };
        let kind = kind(wire.kind());
        let id = Some(wire.id.strip_prefix("act_").unwrap_or(&wire.id).to_owned()).filter(|id| !id.is_empty());
        Ok(Self { app: app.map(vocabulary::ids::MetaAppId::get), kind, id })
    }
}

/// The decision on a request that came at `received`; `send_before` is how long after its charge a permit may be used.
pub(crate) fn acquired(decision: Decision, received: Instant, send_before: Duration) -> pb::AcquireResponse {
    match decision {
        Decision::Permit { value, epoch, charged } => {
            // What the request waited here, and not what its answer takes: whoever counts from when it asked is never
            // later than this. A charge that counts from before the request leaves less.
            let send_before = duration((charged + send_before).saturating_duration_since(received));
            let permit = pb::Permit { value, send_before };
            pb::AcquireResponse { decision: Some(pb::acquire_response::Decision::Permit(permit)), epoch }
        }
        Decision::Wait { delay, scope, reason, epoch } => pb::AcquireResponse {
            decision: Some(pb::acquire_response::Decision::Wait(wait(delay, scope.as_ref(), reason))),
            epoch,
        },
    }
}

impl From<Kind> for pb::ScopeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::App => Self::App,
            Kind::User => Self::User,
            Kind::AdAccount => Self::AdAccount,
            Kind::Page => Self::Page,
            Kind::TenantShare => Self::TenantShare,
            Kind::Mutation => Self::Mutation,
            Kind::BudgetChange => Self::BudgetChange,
        }
    }
}

impl From<&Scope> for pb::Scope {
    fn from(scope: &Scope) -> Self {
        Self {
            meta_app: format!("metaApps/{}", scope.app),
            kind: pb::ScopeKind::from(scope.kind).into(),
            id: scope.id.clone(),
            use_case: scope.use_case.clone(),
        }
    }
}

impl From<Reason> for pb::WaitReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Ceiling => Self::Ceiling,
            Reason::Pace => Self::Pace,
            Reason::Closed => Self::Closed,
            Reason::Gate => Self::Gate,
            Reason::CountersLost => Self::CountersLost,
            Reason::CostAboveCeiling => Self::CostAboveCeiling,
            Reason::Frozen => Self::Frozen,
        }
    }
}

/// A bucket as people see it.
pub(crate) fn quota(shown: &Shown) -> pb::Quota {
    let (bucket, standing) = shown;
    let limit = bucket.ceiling.limit.map(i64::from);
    let profile = match bucket.ceiling.profile {
        Profile::Meta => pb::CeilingProfile::Meta,
        Profile::Source => pb::CeilingProfile::Source,
    };
    pb::Quota {
        scope: Some((&bucket.scope).into()),
        limit,
        used: standing.own,
        held: standing.held,
        others: standing.others,
        headroom: limit.map(|limit| headroom(limit, standing)),
        observed_percent: standing.observed_percent,
        closed_until: standing.closed_until_ms.and_then(timestamp),
        epoch: standing.epoch,
        profile: profile.into(),
        why: why(&bucket.ceiling.why, standing),
        unit: unit(&bucket.scope).into(),
        window: duration(bucket.window.span),
        gate_percent: standing.gate_percent,
    }
}

fn headroom(limit: i64, standing: &Standing) -> i64 {
    if standing.closed_until_ms.is_some() { 0 } else { (limit - standing.own - standing.others).max(0) }
}

fn unit(scope: &Scope) -> pb::QuotaUnit {
    if let Some((_, shared)) = scope.shared() {
        return unit(&shared);
    }
    match scope.kind {
        Kind::AdAccount if scope.use_case.is_empty() => pb::QuotaUnit::Points,
        Kind::BudgetChange => pb::QuotaUnit::Changes,
        _ => pb::QuotaUnit::Calls,
    }
}

/// Where the ceiling comes from, then what holds calls back now, each a clause.
fn why(ceiling: &str, standing: &Standing) -> String {
    let mut clauses = vec![ceiling.to_owned()];
    if let Some(until) = standing.closed_until_ms.and_then(moment) {
        clauses.push(match standing.closed_code {
            0 => format!("closed until {until}, as Meta's header said"),
            code => format!("closed until {until}, because Meta answered with code {code}"),
        });
    }
    if let Some(until) = standing.lost_until_ms.and_then(moment) {
        clauses.push(format!("the counters were lost, so only safety calls go on until {until}"));
    }
    if let Some(percent) = standing.gate_percent.filter(|percent| *percent >= Priority::Backfill.gate_percent()) {
        clauses.push(format!("Meta reports {percent} % of CPU or wall time used, so less urgent calls stop"));
    }
    if standing.held > 0 {
        clauses.push(format!("{} of it are held for plans under way and other reservations", standing.held));
    }
    clauses.join("; ")
}

pub(crate) fn moment(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms).ok()
}

pub(crate) fn timestamp(ms: i64) -> Option<prost_types::Timestamp> {
    let moment = moment(ms)?;
    Some(prost_types::Timestamp { seconds: moment.as_second(), nanos: moment.subsec_nanosecond() })
}

/// Longer than a proto duration can be is no duration of ours.
pub(crate) fn duration(span: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(span).ok()
}

#[cfg(test)]
mod tests;
