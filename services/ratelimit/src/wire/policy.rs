//! Policies, both ways.

use std::collections::{BTreeMap, BTreeSet};

use proto::ratelimit::v1 as pb;
use rpc::{FieldError, Fields};
use vocabulary::names;

use super::timestamp;
use crate::ceilings::{Profile, TierFromHeaders};
use crate::explain::Subject;
use crate::policies::{Change, EffectiveValue, Field, Kept, OPERATORS, Policy, Said, SetCaps, SetCeiling};
use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT, CUSTOM_AUDIENCE, Kind};

const CEILINGS_MAX: usize = 20;
const WEIGHTS_MAX: usize = 100;
const LIMIT_MAX: u32 = 10_000_000;
/// The fields of a mask.
const FIELDS: [(&str, Field); 6] = [
    ("profile", Field::Profile),
    ("ceilings", Field::Ceilings),
    ("class_caps", Field::Caps),
    ("weights", Field::Weights),
    ("borrow_max_percent", Field::BorrowMax),
    ("headers", Field::Headers),
];

/// What a policy can be for.
pub(crate) fn subject(fields: &mut Fields, field: &str, name: &str) -> Option<Subject> {
    let is_ours =
        |subject: &Subject| matches!(subject, Subject::App(_)) || matches!(subject, Subject::Thing(Kind::AdAccount, _));
    let subject = Subject::parse(name).filter(is_ours);
    fields.check(subject.is_some(), field, "must be adAccounts/act_{n} or metaApps/{n}", "RESOURCE_NAME");
    subject
}

/// What is to be set, with the faults that were found before.
pub(crate) fn change(
    mut fields: Fields,
    policy: pb::QuotaPolicy,
    mask: Option<prost_types::FieldMask>,
) -> Result<Change, FieldError> {
    let subject = subject(&mut fields, "policy.name", &policy.name);
    let profile = profile(&mut fields, policy.profile);
    let headers = headers(&mut fields, policy.headers);
    let of_app = !matches!(subject, Some(Subject::Thing(..)));
    let ceilings = ceilings(&mut fields, &policy.ceilings, of_app);
    let caps = policy.class_caps.unwrap_or_default();
    for (name, percent) in [
        ("interactive", caps.interactive_percent),
        ("sync", caps.sync_percent),
        ("bulk", caps.bulk_percent),
        ("backfill", caps.backfill_percent),
    ] {
        let field = format!("policy.class_caps.{name}_percent");
        let holds = percent.is_none_or(|percent| (1..=99).contains(&percent));
        fields.check(holds, &field, "must be 1 to 99: the rest is kept for safety calls", "CAP_RANGE");
    }
    let caps = SetCaps {
        interactive: caps.interactive_percent,
        sync: caps.sync_percent,
        bulk: caps.bulk_percent,
        backfill: caps.backfill_percent,
    };
    let weights = weights(&mut fields, &policy.weights);
    let borrow_max_percent = policy.borrow_max_percent;
    let holds = borrow_max_percent.is_none_or(|percent| percent <= 100);
    fields.check(holds, "policy.borrow_max_percent", "must be 0 to 100", "PERCENT");
    let named = paths(&mut fields, mask);
    let tenant = match policy.tenant.as_str() {
        "" => None,
        name => fields.parse("policy.tenant", names::tenant(name), "RESOURCE_NAME"),
    };
    fields.finish()?;
    let subject = subject.ok_or_else(|| FieldError::required("policy.name"))?;
    let set = Policy { profile, ceilings, caps, weights, borrow_max_percent, headers };
    Ok(Change { subject, tenant, policy: set, fields: named, etag: policy.etag })
}

fn paths(fields: &mut Fields, mask: Option<prost_types::FieldMask>) -> Vec<Field> {
    let paths = mask.unwrap_or_default().paths;
    let known = |path: &String| FIELDS.iter().find(|(name, _)| name == path).map(|(_, field)| *field);
    let named: Option<Vec<Field>> = paths.iter().map(known).collect();
    let named = named.filter(|named| (1..=FIELDS.len()).contains(&named.len()));
    let words = format!("must name some of {}", FIELDS.map(|(name, _)| name).join(", "));
    fields.check(named.is_some(), "update_mask", words, "MASK");
    named.unwrap_or_default()
}

fn profile(fields: &mut Fields, number: i32) -> Option<Profile> {
    match pb::CeilingProfile::try_from(number) {
        Ok(pb::CeilingProfile::Unspecified) => None,
        Ok(pb::CeilingProfile::Meta) => Some(Profile::Meta),
        Ok(pb::CeilingProfile::Source) => Some(Profile::Source),
        Err(_) => {
            fields.check(false, "policy.profile", "must be META or SOURCE", "ENUM");
            None
        }
    }
}

fn headers(fields: &mut Fields, number: i32) -> Option<TierFromHeaders> {
    match pb::HeaderRule::try_from(number) {
        Ok(pb::HeaderRule::Unspecified) => None,
        Ok(pb::HeaderRule::Follow) => Some(TierFromHeaders::Follow),
        Ok(pb::HeaderRule::Tighten) => Some(TierFromHeaders::Tighten),
        Err(_) => {
            fields.check(false, "policy.headers", "must be FOLLOW or TIGHTEN", "ENUM");
            None
        }
    }
}

fn ceilings(fields: &mut Fields, wire: &[pb::PolicyCeiling], of_app: bool) -> Vec<SetCeiling> {
    fields.check(wire.len() <= CEILINGS_MAX, "policy.ceilings", "must be at most 20", "CEILINGS_COUNT");
    let (mut set, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, ceiling) in wire.iter().enumerate().take(CEILINGS_MAX) {
        let field = |name: &str| format!("policy.ceilings[{index}].{name}");
        let (kind, use_case) = (super::kind(ceiling.kind()), ceiling.use_case.clone());
        let holds = match kind {
            Some(Kind::AdAccount) => true,
            Some(Kind::App | Kind::User | Kind::Page) => of_app,
            _ => false,
        };
        let words = if of_app { "must be AD_ACCOUNT, APP, USER or PAGE" } else { "must be AD_ACCOUNT" };
        fields.check(holds, &field("kind"), words, "CEILING_KIND");
        let plain = use_case.len() <= 40 && use_case.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let known = ["", ADS_MANAGEMENT, ADS_INSIGHTS, CUSTOM_AUDIENCE].contains(&use_case.as_str());
        let fits = match kind {
            Some(Kind::AdAccount) => known,
            Some(Kind::User) => use_case.is_empty(),
            _ => plain,
        };
        let words = match kind {
            Some(Kind::AdAccount) => "must be ads_management, ads_insights, custom_audience, or empty for the score",
            Some(Kind::User) => "must be empty",
            _ => "must be a word of Meta's, such as ads_management",
        };
        fields.check(fits, &field("use_case"), words, "USE_CASE");
        let words = "must be 1 to 10,000,000; to stop all calls, freeze it";
        fields.check((1..=LIMIT_MAX).contains(&ceiling.limit), &field("limit"), words, "LIMIT_RANGE");
        let Some(kind) = kind.filter(|_| holds) else { continue };
        fields.check(seen.insert((kind, use_case.clone())), &field("use_case"), "must be named once", "TWICE");
        set.push(SetCeiling { kind, use_case, limit: ceiling.limit });
    }
    set
}

fn weights(fields: &mut Fields, wire: &[pb::TenantWeight]) -> BTreeMap<String, u32> {
    fields.check(wire.len() <= WEIGHTS_MAX, "policy.weights", "must be at most 100", "WEIGHTS_COUNT");
    let mut set = BTreeMap::new();
    for (index, weight) in wire.iter().enumerate().take(WEIGHTS_MAX) {
        let field = |name: &str| format!("policy.weights[{index}].{name}");
        let fits = (1..=1_000).contains(&weight.weight);
        fields.check(fits, &field("weight"), "must be 1 to 1,000", "WEIGHT");
        if let Some(tenant) = fields.parse(&field("tenant"), names::tenant(&weight.tenant), "RESOURCE_NAME") {
            let first = set.insert(tenant.to_string(), weight.weight).is_none();
            fields.check(first, &field("tenant"), "must be named once", "TWICE");
        }
    }
    set
}

/// A policy as people see it.
pub(crate) fn policy(kept: &Kept, effective: &[EffectiveValue]) -> pb::QuotaPolicy {
    let set = &kept.policy;
    let ceiling = |set: &SetCeiling| pb::PolicyCeiling {
        kind: pb::ScopeKind::from(set.kind).into(),
        use_case: set.use_case.clone(),
        limit: set.limit,
    };
    let profile = set.profile.map_or(pb::CeilingProfile::Unspecified, |profile| match profile {
        Profile::Meta => pb::CeilingProfile::Meta,
        Profile::Source => pb::CeilingProfile::Source,
    });
    let headers = set.headers.map_or(pb::HeaderRule::Unspecified, |headers| match headers {
        TierFromHeaders::Follow => pb::HeaderRule::Follow,
        TierFromHeaders::Tighten => pb::HeaderRule::Tighten,
    });
    let caps = pb::ClassCaps {
        interactive_percent: set.caps.interactive,
        sync_percent: set.caps.sync,
        bulk_percent: set.caps.bulk,
        backfill_percent: set.caps.backfill,
    };
    let weight =
        |(tenant, weight): (&String, &u32)| pb::TenantWeight { tenant: format!("tenants/{tenant}"), weight: *weight };
    pb::QuotaPolicy {
        name: kept.name.clone(),
        etag: kept.etag(),
        profile: profile.into(),
        ceilings: set.ceilings.iter().map(ceiling).collect(),
        class_caps: (set.caps != SetCaps::default()).then_some(caps),
        weights: set.weights.iter().map(weight).collect(),
        borrow_max_percent: set.borrow_max_percent,
        headers: headers.into(),
        tenant: if kept.by == OPERATORS { String::new() } else { format!("tenants/{}", kept.by) },
        actor: kept.actor.clone(),
        update_time: (kept.version > 0).then(|| timestamp(kept.updated_ms)).flatten(),
        effective: effective.iter().map(value).collect(),
    }
}

fn value(value: &EffectiveValue) -> pb::EffectiveValue {
    let origin = match value.origin {
        Said::Settings => pb::PolicyOrigin::Settings,
        Said::App => pb::PolicyOrigin::App,
        Said::Account => pb::PolicyOrigin::AdAccount,
        Said::Tenant(_) => pb::PolicyOrigin::Tenant,
    };
    pb::EffectiveValue {
        field: value.field.clone(),
        value: value.value.clone(),
        origin: origin.into(),
        why: value.why.clone(),
        meta_app: if value.app == 0 { String::new() } else { format!("metaApps/{}", value.app) },
    }
}
