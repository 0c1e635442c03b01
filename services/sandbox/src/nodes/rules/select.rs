//! Which objects the filters of a rule pick: by what they are, and by their numbers over a time.

use serde_json::Value;

use super::specs::text;
use crate::error::Refusal;
use crate::fields;
use crate::filter::Condition;
use crate::insights;
use crate::nodes::budgets;
use crate::params::{Params, as_list, as_text};
use crate::render::View;
use crate::state::{Kind, Object, State, effective};

/// Fields that say what an object is.
const PLAIN: &[&str] = &[
    "id",
    "name",
    "effective_status",
    "status",
    "daily_budget",
    "lifetime_budget",
    "bid_amount",
    "objective",
    "optimization_goal",
    "hours_since_creation",
    "campaign.id",
    "campaign.name",
    "adset.id",
    "adset.name",
    "ad.id",
    "ad.name",
];
/// Fields of the filters that say how to look, not what to look for.
const FRAMES: &[&str] = &["entity_type", "time_preset", "attribution_window", "include_deleted"];
/// Numbers: the field of rules, the field of insights, the action that is meant, and whether it is money.
const NUMBERS: &[(&str, &str, &str, bool)] = &[
    ("spent", "spend", "", true),
    ("impressions", "impressions", "", false),
    ("reach", "reach", "", false),
    ("clicks", "clicks", "", false),
    ("frequency", "frequency", "", false),
    ("cpm", "cpm", "", true),
    ("cpc", "cpc", "", true),
    ("ctr", "ctr", "", false),
    ("link_click", "actions", "link_click", false),
    ("cost_per_link_click", "cost_per_action_type", "link_click", true),
    ("purchase_fb", "actions", "purchase", false),
    ("website_purchase_fb", "actions", "purchase", false),
    ("cost_per_purchase_fb", "cost_per_action_type", "purchase", true),
    ("website_purchase_roas", "purchase_roas", "", false),
    ("lead_fb", "actions", "lead", false),
    ("cost_per_lead_fb", "cost_per_action_type", "lead", true),
];

/// Whether rules may filter by the field.
pub(super) fn is_known(field: &str) -> bool {
    PLAIN.contains(&field) || FRAMES.contains(&field) || NUMBERS.iter().any(|(known, ..)| *known == field)
}

/// The word of insights for a `time_preset`.
pub(super) fn date_preset(preset: &str) -> Option<&'static str> {
    Some(match preset {
        "TODAY" => "today",
        "YESTERDAY" => "yesterday",
        "LAST_3_DAYS" | "LAST_3D" => "last_3d",
        "LAST_7_DAYS" | "LAST_7D" => "last_7d",
        "LAST_14_DAYS" | "LAST_14D" => "last_14d",
        "LAST_28_DAYS" | "LAST_28D" => "last_28d",
        "LAST_30_DAYS" | "LAST_30D" => "last_30d",
        "THIS_MONTH" => "this_month",
        "LAST_MONTH" => "last_month",
        "LIFETIME" | "MAXIMUM" => "maximum",
        _ => return None,
    })
}

/// Meta's word for a level.
pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "CAMPAIGN",
        Kind::AdSet => "ADSET",
        _ => "AD",
    }
}

/// All objects that a rule picks now.
pub(super) fn picked(view: &View<'_>, rule: &Object) -> Result<Vec<Object>, Refusal> {
    let filters = filters(rule);
    let mut picked = Vec::new();
    for id in view.state.children(rule.account, level(&filters)) {
        if let Some(object) = view.state.object(id)
            && is_meant(view, &filters, object)?
            && has_numbers(view, &filters, object)?
        {
            picked.push(object.clone());
        }
    }
    Ok(picked)
}

/// Whether a rule is about an object, whatever its numbers are.
pub(super) fn governs(view: &View<'_>, rule: &Object, object: &Object) -> Result<bool, Refusal> {
    let filters = filters(rule);
    Ok(level(&filters) == object.kind && is_meant(view, &filters, object)?)
}

fn filters(rule: &Object) -> Vec<Value> {
    let spec = rule.fields.get("evaluation_spec");
    spec.and_then(|spec| spec.get("filters")?.as_array().cloned()).unwrap_or_default()
}

fn level(filters: &[Value]) -> Kind {
    let word = filters.iter().find(|filter| text(filter, "field") == "entity_type");
    match word.map(|filter| text(filter, "value")) {
        Some("CAMPAIGN") => Kind::Campaign,
        Some("ADSET") => Kind::AdSet,
        _ => Kind::Ad,
    }
}

/// Deleted and archived objects are never meant.
fn is_meant(view: &View<'_>, filters: &[Value], object: &Object) -> Result<bool, Refusal> {
    if matches!(effective(view.state, object, view.now), "DELETED" | "ARCHIVED") {
        return Ok(false);
    }
    for filter in filters.iter().filter(|filter| PLAIN.contains(&text(filter, "field"))) {
        let Some(value) = plain(view, object, text(filter, "field")) else { return Ok(false) };
        if !meets(filter, &value)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn plain(view: &View<'_>, object: &Object, field: &str) -> Option<String> {
    let (of, field) = match field.split_once('.') {
        None => (object, field),
        Some((level, field)) => (related(view.state, object, level)?, field),
    };
    Some(match field {
        "id" => of.id.to_string(),
        "name" => of.name().to_owned(),
        "status" => of.status.word().to_owned(),
        "effective_status" => effective(view.state, of, view.now).to_owned(),
        "hours_since_creation" => view.now.duration_since(of.created).as_hours().to_string(),
        "objective" => related(view.state, of, "campaign")?.text(field).to_owned(),
        "optimization_goal" => related(view.state, of, "adset")?.text(field).to_owned(),
        field => as_text(of.fields.get(field)?),
    })
}

fn related<'a>(state: &'a State, object: &'a Object, level: &str) -> Option<&'a Object> {
    let kind = match level {
        "campaign" => Kind::Campaign,
        "adset" => Kind::AdSet,
        _ => Kind::Ad,
    };
    if object.kind == kind {
        return Some(object);
    }
    let id = if kind == Kind::Campaign { object.campaign } else { object.ad_set };
    state.object(id?)
}

fn has_numbers(view: &View<'_>, filters: &[Value], object: &Object) -> Result<bool, Refusal> {
    let of_number = |filter: &&Value| NUMBERS.iter().any(|(known, ..)| *known == text(filter, "field"));
    let wanted: Vec<&Value> = filters.iter().filter(of_number).collect();
    if wanted.is_empty() {
        return Ok(true);
    }
    let row = row(view, filters, object)?;
    for filter in wanted {
        // What has not happened has no cost, and so meets nothing.
        let Some(value) = number(view.state, object, row.as_ref(), text(filter, "field")) else { return Ok(false) };
        if !meets(filter, &value)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The object's row of insights; `None` where it did not deliver.
fn row(view: &View<'_>, filters: &[Value], object: &Object) -> Result<Option<Value>, Refusal> {
    let preset = filters.iter().find(|filter| text(filter, "field") == "time_preset");
    let preset = preset.and_then(|filter| date_preset(text(filter, "value"))).unwrap_or("maximum");
    let params = Params::from_form(&format!("date_preset={preset}"));
    let names = "spend,impressions,reach,clicks,frequency,cpm,cpc,ctr,actions,cost_per_action_type,purchase_roas";
    let rows = insights::nested(view, object, &params, Some(&fields::parse(names)?))?;
    Ok(rows.pointer("/data/0").cloned())
}

/// One number as decimal text; money in minor units, as rules have it.
fn number(state: &State, object: &Object, row: Option<&Value>, field: &str) -> Option<String> {
    let (_, name, action, is_money) = NUMBERS.iter().find(|(known, ..)| *known == field)?;
    let value = row.and_then(|row| row.get(*name));
    let value = match value {
        Some(Value::Array(items)) => {
            let own = |item: &&Value| action.is_empty() || text(item, "action_type") == *action;
            items.iter().find(own).and_then(|item| item.get("value")).map(as_text)
        }
        other => other.map(as_text),
    };
    let is_sum = !name.starts_with("cost") && !matches!(*name, "cpm" | "cpc" | "ctr" | "purchase_roas");
    let value = value.or_else(|| is_sum.then(|| "0".to_owned()))?;
    let digits = budgets::minor_digits(state.currency(object.account));
    Some(if *is_money { shifted(&value, digits) } else { value })
}

/// A decimal with its point moved to the right.
fn shifted(text: &str, digits: usize) -> String {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let padded = format!("{part:0<digits$}");
    let (minor, rest) = padded.split_at(digits.min(padded.len()));
    if rest.is_empty() { format!("{whole}{minor}") } else { format!("{whole}{minor}.{rest}") }
}

fn meets(filter: &Value, value: &str) -> Result<bool, Refusal> {
    let wanted = filter.get("value").cloned().unwrap_or_default();
    let values: Vec<String> = as_list(&wanted).unwrap_or_else(|| vec![wanted]).iter().map(as_text).collect();
    let field = text(filter, "field").to_owned();
    let check = |operator: &str, values: Vec<String>| {
        let condition = Condition { field: field.clone(), operator: operator.to_owned(), values };
        condition.meets(value).ok_or_else(|| Refusal::invalid(format!("The filter {field} cannot be compared so")))
    };
    match (text(filter, "operator"), values.as_slice()) {
        (operator @ ("IN_RANGE" | "NOT_IN_RANGE"), [low, high]) => {
            let inside =
                check("GREATER_THAN_OR_EQUAL", vec![low.clone()])? && check("LESS_THAN_OR_EQUAL", vec![high.clone()])?;
            Ok(inside == (operator == "IN_RANGE"))
        }
        ("ALL", _) => check("IN", values),
        (operator, _) => check(operator, values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn money_is_compared_in_minor_units() {
        assert_eq!(shifted("12.34", 2), "1234");
        assert_eq!(shifted("12.345678", 2), "1234.5678");
        assert_eq!(shifted("12", 2), "1200");
        assert_eq!(shifted("12", 0), "12");
    }

    #[test]
    fn a_range_holds_its_ends() {
        let filter = |operator: &str| json!({ "field": "ctr", "operator": operator, "value": [1, 2.5] });
        for (value, inside) in [("1", true), ("2.5", true), ("2.51", false)] {
            assert_eq!(meets(&filter("IN_RANGE"), value).unwrap(), inside);
            assert_eq!(meets(&filter("NOT_IN_RANGE"), value).unwrap(), !inside);
        }
    }
}
