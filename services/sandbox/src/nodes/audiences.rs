//! Custom audiences: customer files, websites, apps, engagement, offline events and lookalikes.

pub(crate) mod lookalike;
pub(crate) mod progress;
pub(crate) mod rule;
pub(crate) mod sharing;
pub(crate) mod terms;

use serde_json::{Map, Value, json};

use super::{ceilings, write};
use crate::error::Refusal;
use crate::fields;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, Status};

pub(crate) const FIELDS: &str = "account_id allowed_domains approximate_count_lower_bound approximate_count_upper_bound \
    associated_audience_id audience_labels claim_objective content_type customer_file_source data_source \
    data_source_types datafile_custom_audience_uploading_status dataset_id delete_time delivery_status description \
    event_source_group excluded_custom_audiences external_event_source facebook_page_id \
    fields_violating_integrity_policy household_audience id included_custom_audiences is_eligible_for_sac_campaigns \
    is_household is_snapshot is_value_based lookalike_audience_ids lookalike_spec name operation_status opt_out_link \
    origin_audience_id owner_business page_deletion_marked_delete_time permission_for_actions pixel_id prefill \
    product_set_id regulated_audience_spec retention_days rev_share_policy_id rule rule_aggregation rule_v2 \
    seed_audience sentence_lines sharing_status subscription_info subtype time_content_updated time_created \
    time_updated usage_restriction use_for_products use_in_campaigns";

const SUBTYPES: &[&str] = &[
    "CUSTOM",
    "WEBSITE",
    "APP",
    "OFFLINE_CONVERSION",
    "CLAIM",
    "PARTNER",
    "MANAGED",
    "VIDEO",
    "LOOKALIKE",
    "ENGAGEMENT",
    "BAG_OF_ACCOUNTS",
    "STUDY_RULE_AUDIENCE",
    "FOX",
    "MEASUREMENT",
    "REGULATED_CATEGORIES_AUDIENCE",
    "BIDDING",
    "PRIMARY",
    "EXCLUSION",
    "MESSENGER_SUBSCRIBER_LIST",
];
const SOURCES: &[&str] = &["USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"];
const LABELS: &[&str] = &[
    "APP_USERS",
    "AT_RISK",
    "CART_ABANDONERS",
    "DISENGAGED",
    "DISQUALIFIED_LEADS",
    "ENGAGED_USERS",
    "GENERAL_CUSTOMERS",
    "HIGH_VALUE_CUSTOMERS",
    "LOW_VALUE_CUSTOMERS",
    "QUALIFIED_LEADS",
    "RECENT_PURCHASERS",
    "TRIAL_USERS",
    "OTHER_1",
    "OTHER_2",
    "OTHER_3",
];

const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("description", Form::Text),
    ("subtype", Form::Word(SUBTYPES)),
    ("customer_file_source", Form::Word(SOURCES)),
    ("is_value_based", Form::Boolean),
    ("retention_days", Form::Integer),
    ("prefill", Form::Boolean),
    ("rule", Form::Object),
    ("lookalike_spec", Form::Object),
    ("origin_audience_id", Form::Text),
    ("opt_out_link", Form::Text),
    ("audience_labels", Form::Words(LABELS)),
    ("pixel_id", Form::Text),
    ("product_set_id", Form::Text),
    ("use_in_campaigns", Form::Boolean),
    ("use_for_products", Form::List),
    ("content_type", Form::Text),
    ("claim_objective", Form::Text),
];
/// What an update may change.
const CHANGEABLE: &[&str] = &[
    "name",
    "description",
    "opt_out_link",
    "retention_days",
    "audience_labels",
    "customer_file_source",
    "use_in_campaigns",
    "use_for_products",
    "product_set_id",
    "content_type",
    "claim_objective",
];

/// What stays as it was made.
const FIXED: &[&str] = &["subtype", "is_value_based", "prefill", "origin_audience_id", "pixel_id"];

/// The longest a person stays in an audience without doing anything again, in days.
const RETENTION_DAYS_MAX: i64 = 730;

pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    call.params.required("name")?;
    retention(&fields)?;
    let rule = fields.get("rule").map(rule::check).transpose()?;
    let subtype = match (fields.get("subtype").and_then(Value::as_str), &rule) {
        (Some(subtype), _) => subtype.to_owned(),
        (None, Some(rule)) => rule.source.subtype().to_owned(),
        (None, None) if fields.contains_key("lookalike_spec") => "LOOKALIKE".to_owned(),
        (None, None) => return Err(Refusal::required("subtype")),
    };
    terms::check(state, account, &subtype)?;
    ceilings::audiences(state, account, &subtype)?;
    match subtype.as_str() {
        "CUSTOM" if !fields.contains_key("customer_file_source") => {
            return Err(Refusal::required("customer_file_source"));
        }
        "LOOKALIKE" => {
            let spec = lookalike::check(state, account, &fields)?;
            fields.insert("lookalike_spec".to_owned(), spec);
        }
        "WEBSITE" | "APP" | "ENGAGEMENT" | "OFFLINE_CONVERSION" if rule.is_none() => {
            return Err(Refusal::required("rule"));
        }
        _ => {}
    }
    let sources = fields.get("rule").map(rule::sources).unwrap_or_default();
    if subtype == "WEBSITE"
        && let Some(pixel) = sources.first()
    {
        fields.entry("pixel_id").or_insert_with(|| json!(pixel.to_string()));
    }
    // A rule is read back as JSON in text.
    if let Some(rule) = fields.get("rule").map(Value::to_string) {
        fields.insert("rule".to_owned(), Value::String(rule));
    }
    fields.insert("subtype".to_owned(), json!(subtype));
    let mut audience = Object::new(state.fresh_id(), Kind::Audience, account, call.now);
    audience.fields = fields;
    let id = audience.id;
    write::keep(state, audience);
    write::created(state, call, id)
}

pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    sharing::may_write(call, old)?;
    if progress::is_flagged(state, old) {
        let advice = "The audience may hold information that is not allowed. Delete it and make another.";
        return Err(Refusal::rule(1_713_231, "Audience Edit Blocked", advice, &["id"]));
    }
    terms::check(state, old.account, old.text("subtype"))?;
    let given = spec::read(state, old.account, PARAMS, &call.params, call.now)?;
    retention(&given)?;
    write::unchanged(old, &given, FIXED)?;
    let mut audience = old.clone();
    for name in CHANGEABLE {
        if let Some(value) = given.get(*name) {
            audience.fields.insert((*name).to_owned(), value.clone());
        }
    }
    if let Some(rule) = given.get("rule") {
        rule::check(rule)?;
        audience.fields.insert("rule".to_owned(), Value::String(rule.to_string()));
    }
    if let Some(spec) = given.get("lookalike_spec") {
        let mut fields = old.fields.clone();
        fields.insert("lookalike_spec".to_owned(), spec.clone());
        let spec = lookalike::check(state, old.account, &fields)?;
        audience.fields.insert("lookalike_spec".to_owned(), spec);
    }
    audience.updated = call.now;
    write::keep(state, audience);
    write::updated(state, call, old.id)
}

/// Refused while an active ad set aims at it or leaves it out.
pub(crate) fn delete(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    sharing::may_write(call, old)?;
    if ad_sets(state, old).iter().any(|ad_set| ad_set.status == Status::Active) {
        let advice = "The audience is used by an active ad set. Pause the ad set, or aim it elsewhere, first.";
        return Err(Refusal::rule(1_870_050, "Audience in use", advice, &["id"]));
    }
    for account in sharing::ids(old, sharing::WITH) {
        sharing::remove(state, old.id, account);
    }
    let mut audience = state.object(old.id).unwrap_or(old).clone();
    audience.status = Status::Deleted;
    audience.updated = call.now;
    write::keep(state, audience);
    Ok(write::validated())
}

/// `GET /act_X/customaudiences`: those of the account, of one pixel where one is given, and those shared with it.
pub(crate) fn list(state: &mut State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    let mut ids: Vec<u64> = state.children(account.id, Kind::Audience).rev().collect();
    ids.extend(sharing::shared_here(state, account, Kind::Audience));
    if let Some(pixel) = call.params.text("pixel_id") {
        ids.retain(|&id| state.object(id).is_some_and(|audience| audience.text("pixel_id") == pixel));
    }
    for &id in &ids {
        state.poll(id);
    }
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

/// `GET /{audience}/ads`: the ads that aim at it or leave it out.
pub(crate) fn ads(state: &State, call: &Call, audience: &Object) -> Result<Value, Refusal> {
    let used = ad_sets(state, audience);
    let ids: Vec<u64> = used.iter().flat_map(|ad_set| state.children(ad_set.id, Kind::Ad).rev()).collect();
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

/// Fails where a targeting aims at a flagged audience (Meta, "Restrictions on custom audiences", 2 September 2025).
pub(crate) fn may_target(state: &State, targeting: &Value) -> Result<(), Refusal> {
    let listed = ["custom_audiences", "excluded_custom_audiences"].into_iter().filter_map(|name| targeting.get(name));
    let mut named = listed.filter_map(Value::as_array).flatten().filter_map(write::id_of);
    let is_flagged = |id| state.of_kind(id, Kind::Audience).is_some_and(|it| progress::is_flagged(state, it));
    if named.any(is_flagged) {
        let advice = "The targeting has an audience that may hold information which is not allowed. Take it out.";
        return Err(Refusal::rule(1_713_232, "Audience Blocked", advice, &["targeting", "custom_audiences"]));
    }
    Ok(())
}

pub(crate) fn show(view: &View<'_>, audience: &Object, name: &str) -> Option<Shown> {
    Some(match name {
        "operation_status" => Shown::Value(progress::operation(view, audience)),
        "delivery_status" => Shown::Value(progress::delivery(view, audience)),
        "approximate_count_lower_bound" => Shown::Value(json!(progress::bounds(view, audience).0)),
        "approximate_count_upper_bound" => Shown::Value(json!(progress::bounds(view, audience).1)),
        "time_content_updated" => match audience.fields.get("_uploaded") {
            Some(at) => Shown::Value(at.clone()),
            None => Shown::Value(json!(audience.created.as_second())),
        },
        "permission_for_actions" => Shown::Value(json!({
            "can_edit": true,
            "can_see_insight": true,
            "can_share": true,
            "subtype_supports_lookalike": audience.text("subtype") != "LOOKALIKE",
            "supports_recipient_lookalike": false,
        })),
        "data_source" => Shown::Value(source(audience.text("subtype"))),
        "owner_business" => Shown::node(view.state.object(audience.account).and_then(|account| account.owner)),
        "sharing_status" => match sharing::ids(audience, sharing::WITH).len() {
            0 => Shown::Absent,
            _ => Shown::Value(json!({ "sharing_relationship_id": audience.id, "status": "ACTIVE" })),
        },
        "lookalike_audience_ids" => {
            let own = lookalikes(view.state, audience);
            if own.is_empty() { Shown::Absent } else { Shown::Value(json!(own)) }
        }
        "is_value_based" if !audience.fields.contains_key(name) => Shown::Value(Value::Bool(false)),
        _ => return None,
    })
}

fn source(subtype: &str) -> Value {
    let (kind, sub) = match subtype {
        "WEBSITE" => ("EVENT_BASED", "WEB_PIXEL_HITS"),
        "APP" => ("EVENT_BASED", "MOBILE_APP_EVENTS"),
        "OFFLINE_CONVERSION" => ("EVENT_BASED", "CONVERSION_PIXEL_HITS"),
        "ENGAGEMENT" => ("EVENT_BASED", "ENGAGEMENT_EVENT_USERS"),
        "LOOKALIKE" => ("UNKNOWN", "ANYTHING"),
        _ => ("FILE_IMPORTED", "ANYTHING"),
    };
    json!({ "type": kind, "sub_type": sub, "creation_params": "[]" })
}

/// The lookalikes whose source it is.
fn lookalikes(state: &State, audience: &Object) -> Vec<String> {
    let id = audience.id.to_string();
    let all = state.children(audience.account, Kind::Audience).filter_map(|id| state.object(id));
    let own = all.filter(|other| !other.status.is_gone() && other.text("origin_audience_id") == id);
    own.map(|other| other.id.to_string()).collect()
}

/// The ad sets that aim at it or leave it out: of its own account and of those it is shared with.
fn ad_sets<'a>(state: &'a State, audience: &Object) -> Vec<&'a Object> {
    let digits = audience.id.to_string();
    let accounts = std::iter::once(audience.account).chain(sharing::ids(audience, sharing::WITH));
    let all = accounts.flat_map(|account| state.children(account, Kind::AdSet)).filter_map(|id| state.object(id));
    all.filter(|ad_set| {
        let targeting = ad_set.fields.get("targeting");
        let lists = ["custom_audiences", "excluded_custom_audiences"].into_iter();
        let mut named = lists.filter_map(|name| targeting?.get(name)?.as_array()).flatten();
        named.any(|item| write::id_of(item).is_some_and(|id| id == audience.id) || *item == *digits)
    })
    .collect()
}

fn retention(fields: &Map<String, Value>) -> Result<(), Refusal> {
    match fields.get("retention_days").and_then(Value::as_i64) {
        Some(days) if !(0..=RETENTION_DAYS_MAX).contains(&days) => {
            Err(Refusal::invalid("Param retention_days must be 1 to 730, or 0 for no end").blame(&["retention_days"]))
        }
        _ => Ok(()),
    }
}
