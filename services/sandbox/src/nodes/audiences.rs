//! Custom audiences.

use serde_json::{Value, json};

use super::write;
use crate::error::Refusal;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, Status};

pub(crate) const FIELDS: &str = "account_id approximate_count_lower_bound approximate_count_upper_bound audience_labels \
    customer_file_source data_source data_source_types datafile_custom_audience_uploading_status delete_time \
    delivery_status description excluded_custom_audiences external_event_source fields_violating_integrity_policy \
    household_audience id included_custom_audiences is_household is_snapshot is_value_based lookalike_audience_ids \
    lookalike_spec name operation_status opt_out_link owner_business page_deletion_marked_delete_time \
    permission_for_actions pixel_id regulated_audience_spec retention_days rev_share_policy_id rule rule_aggregation rule_v2 \
    seed_audience sentence_lines sharing_status subtype time_content_updated time_created time_updated";

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

const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("description", Form::Text),
    ("subtype", Form::Word(SUBTYPES)),
    ("customer_file_source", Form::Word(SOURCES)),
    ("is_value_based", Form::Boolean),
    ("retention_days", Form::Integer),
    ("rule", Form::Object),
    ("lookalike_spec", Form::Object),
    ("origin_audience_id", Form::Text),
    ("opt_out_link", Form::Text),
    ("audience_labels", Form::List),
];

/// How many customer-file audiences an account may have.
const CUSTOM_MAX: usize = 500;
/// Fewer matched people than this cannot be delivered to.
const DELIVERABLE: u64 = 100;

pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    call.params.required("name")?;
    let subtype = match fields.get("subtype").and_then(Value::as_str) {
        Some(subtype) => subtype.to_owned(),
        None if fields.contains_key("rule") => "WEBSITE".to_owned(),
        None if fields.contains_key("lookalike_spec") => "LOOKALIKE".to_owned(),
        None => return Err(Refusal::required("subtype")),
    };
    match subtype.as_str() {
        "CUSTOM" => {
            if !fields.contains_key("customer_file_source") {
                return Err(Refusal::required("customer_file_source"));
            }
            if count(state, account, "CUSTOM") >= CUSTOM_MAX {
                let advice = "An ad account has at most 500 customer-file audiences.";
                return Err(Refusal::rule(1_870_092, "Too many audiences", advice, &["subtype"]));
            }
        }
        "LOOKALIKE" => lookalike(state, &fields)?,
        _ => {}
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
    let given = spec::read(state, old.account, PARAMS, &call.params, call.now)?;
    let mut audience = old.clone();
    for name in ["name", "description", "opt_out_link", "retention_days", "audience_labels", "customer_file_source"] {
        if let Some(value) = given.get(name) {
            audience.fields.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(rule) = given.get("rule") {
        audience.fields.insert("rule".to_owned(), Value::String(rule.to_string()));
    }
    audience.updated = call.now;
    write::keep(state, audience);
    write::updated(state, call, old.id)
}

/// Refused while an active ad set aims at it or leaves it out.
pub(crate) fn delete(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let digits = old.id.to_string();
    let used = state.children(old.account, Kind::AdSet).filter_map(|id| state.object(id)).any(|ad_set| {
        let targeting = ad_set.fields.get("targeting").map(Value::to_string).unwrap_or_default();
        ad_set.status == Status::Active && targeting.contains(&digits)
    });
    if used {
        let advice = "The audience is used by an active ad set.";
        return Err(Refusal::rule(1_870_050, "Audience in use", advice, &["id"]));
    }
    let mut audience = old.clone();
    audience.status = Status::Deleted;
    audience.updated = call.now;
    write::keep(state, audience);
    Ok(write::validated())
}

pub(crate) fn show(view: &View<'_>, audience: &Object, name: &str) -> Option<Shown> {
    let matched = view.state.member_count(audience.id);
    Some(match name {
        "operation_status" => Shown::Value(operation(view, audience)),
        "delivery_status" => Shown::Value(if matched >= DELIVERABLE || audience.text("subtype") != "CUSTOM" {
            json!({ "code": 200, "description": "This audience is ready for use." })
        } else {
            json!({ "code": 300, "description": "Audience too small." })
        }),
        "approximate_count_lower_bound" => Shown::Value(json!(bound(matched, 100))),
        "approximate_count_upper_bound" => Shown::Value(json!(bound(matched, 118))),
        "time_content_updated" => match audience.fields.get("_uploaded") {
            Some(at) => Shown::Value(at.clone()),
            None => Shown::Value(json!(audience.created.as_second())),
        },
        "permission_for_actions" => Shown::Value(json!({
            "can_edit": true, "can_see_insight": true, "can_share": true,
            "subtype_supports_lookalike": true, "supports_recipient_lookalike": false,
        })),
        "data_source" => {
            Shown::Value(json!({ "type": "FILE_IMPORTED", "sub_type": "ANYTHING", "creation_params": "[]" }))
        }
        "is_value_based" if !audience.fields.contains_key(name) => Shown::Value(Value::Bool(false)),
        _ => return None,
    })
}

/// Being filled (441) until it was looked at often enough after the last upload, then normal (200).
fn operation(view: &View<'_>, audience: &Object) -> Value {
    let is_file = audience.text("subtype") == "CUSTOM";
    if is_file && !audience.fields.contains_key("_uploaded") {
        return json!({ "code": 410, "description": "No file has been uploaded to this audience." });
    }
    if view.state.polls(audience.id) <= view.state.settings.audience_polls {
        return json!({ "code": 441, "description": "We are finding people who fit your audience criteria." });
    }
    json!({ "code": 200, "description": "Normal" })
}

/// Bounds are rounded to hundreds, never small, and -1 where there is nobody.
fn bound(matched: u64, percent: u64) -> i64 {
    if matched == 0 {
        return -1;
    }
    let hundreds = matched.saturating_mul(percent) / 10_000;
    i64::try_from(hundreds.saturating_mul(100).max(1_000)).unwrap_or(i64::MAX)
}

fn lookalike(state: &State, fields: &serde_json::Map<String, Value>) -> Result<(), Refusal> {
    let spec = fields.get("lookalike_spec");
    if spec.and_then(|spec| spec.get("type").or_else(|| spec.get("ratio"))).is_none() {
        return Err(Refusal::required("lookalike_spec"));
    }
    let origin = fields.get("origin_audience_id").and_then(write::id_of);
    match origin.and_then(|id| state.of_kind(id, Kind::Audience)) {
        None => Err(Refusal::required("origin_audience_id")),
        Some(origin) if state.member_count(origin.id) < DELIVERABLE => {
            let advice = "The source audience needs at least 100 matched people.";
            let refusal = Refusal::new(200, "(#200) The source audience is too small.").subcode(1_870_047);
            Err(refusal.shown("Audience too small", advice).blame(&["origin_audience_id"]))
        }
        Some(_) => Ok(()),
    }
}

fn count(state: &State, account: u64, subtype: &str) -> usize {
    let audiences = state.children(account, Kind::Audience).filter_map(|id| state.object(id));
    audiences.filter(|audience| !audience.status.is_gone() && audience.text("subtype") == subtype).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_rounded_and_never_tell_a_small_number() {
        assert_eq!(bound(0, 100), -1);
        assert_eq!(bound(7, 118), 1_000);
        assert_eq!(bound(12_345, 100), 12_300);
    }
}
