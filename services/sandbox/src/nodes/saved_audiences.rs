//! Saved audiences: a targeting with a name. People make them in the ads manager; here they are only read.

use serde_json::{Value, json};

use crate::render::{Shown, View};
use crate::state::Object;

pub(crate) const FIELDS: &str = "account approximate_count_lower_bound approximate_count_upper_bound delete_time \
    description id name operation_status owner_business page_deletion_marked_delete_time permission_for_actions \
    run_status sentence_lines targeting time_created time_updated";

pub(crate) fn show(view: &View<'_>, audience: &Object, name: &str) -> Option<Shown> {
    Some(match name {
        "run_status" => Shown::text("READY"),
        "operation_status" => Shown::Value(json!({ "code": 200, "description": "Normal" })),
        "time_created" => Shown::Value(json!(audience.created.as_second())),
        "time_updated" => Shown::Value(json!(audience.updated.as_second())),
        "owner_business" => Shown::node(view.state.object(audience.account).and_then(|account| account.owner)),
        "permission_for_actions" => Shown::Value(json!({
            "can_edit": "true", "can_see_insight": "true", "can_share": "true",
            "subtype_supports_lookalike": "false", "supports_recipient_lookalike": "false",
        })),
        "sentence_lines" => Shown::Value(sentences(&audience.fields)),
        _ => return None,
    })
}

/// The targeting in words, as the ads manager shows it.
fn sentences(fields: &serde_json::Map<String, Value>) -> Value {
    let targeting = fields.get("targeting").unwrap_or(&Value::Null);
    let countries = targeting.pointer("/geo_locations/countries").and_then(Value::as_array);
    let countries: Vec<&str> = countries.into_iter().flatten().filter_map(Value::as_str).collect();
    let age = |name: &str| targeting.get(name).map(Value::to_string).unwrap_or_default();
    let mut lines = Vec::new();
    if !countries.is_empty() {
        lines.push(json!({ "content": "Location:", "children": countries }));
    }
    if targeting.get("age_min").is_some() {
        lines.push(json!({ "content": "Age:", "children": [format!("{} - {}", age("age_min"), age("age_max"))] }));
    }
    Value::Array(lines)
}
