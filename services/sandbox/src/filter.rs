//! `filtering` and `effective_status` of edges.

use jiff::Timestamp;
use serde_json::Value;

use crate::error::Refusal;
use crate::loose;
use crate::params::{Params, as_list, as_text};
use crate::state::{Kind, Object, State, effective};

/// Meta's operators: those of its SDKs, then those that only its documentation names.
pub(crate) const OPERATORS: &[&str] = &[
    "EQUAL",
    "NOT_EQUAL",
    "GREATER_THAN",
    "GREATER_THAN_OR_EQUAL",
    "LESS_THAN",
    "LESS_THAN_OR_EQUAL",
    "IN_RANGE",
    "NOT_IN_RANGE",
    "CONTAIN",
    "NOT_CONTAIN",
    "IN",
    "NOT_IN",
    "ANY",
    "ALL",
    "NONE",
    "AFTER",
    "BEFORE",
    "ON_OR_AFTER",
    "ON_OR_BEFORE",
    "STARTS_WITH",
    "ENDS_WITH",
    "CONTAINS_ANY",
    "CONTAINS_ALL",
    "NOT_CONTAINS_ANY",
    "STEM_MATCH",
    "TOP",
];

/// Every effective status of an ad, which has all those of ad sets and campaigns.
const EFFECTIVE: &[&str] = &[
    "ACTIVE",
    "PAUSED",
    "DELETED",
    "PENDING_REVIEW",
    "DISAPPROVED",
    "PREAPPROVED",
    "PENDING_BILLING_INFO",
    "CAMPAIGN_PAUSED",
    "ARCHIVED",
    "ADSET_PAUSED",
    "IN_PROCESS",
    "WITH_ISSUES",
];

/// One condition of `filtering`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) field: String,
    pub(crate) operator: String,
    pub(crate) values: Vec<String>,
}

impl Condition {
    /// Whether a value meets the condition; `None` for an operator that is not known.
    pub(crate) fn meets(&self, value: &str) -> Option<bool> {
        let first = self.values.first().map(String::as_str).unwrap_or_default();
        let (value_low, first_low) = (value.to_lowercase(), first.to_lowercase());
        let holds = |part: &String| value_low.contains(&part.to_lowercase());
        let listed = || self.values.iter().any(|wanted| wanted == value);
        let order = || number(value).zip(number(first)).map(|(value, wanted)| value.cmp(&wanted));
        Some(match self.operator.as_str() {
            "EQUAL" | "IN" | "ANY" => listed(),
            "NOT_EQUAL" | "NOT_IN" | "NONE" => !listed(),
            "CONTAIN" => value_low.contains(&first_low),
            "NOT_CONTAIN" => !value_low.contains(&first_low),
            "CONTAINS_ANY" | "STEM_MATCH" => self.values.iter().any(holds),
            "CONTAINS_ALL" | "ALL" => self.values.iter().all(holds),
            "NOT_CONTAINS_ANY" => !self.values.iter().any(holds),
            "STARTS_WITH" => value_low.starts_with(&first_low),
            "ENDS_WITH" => value_low.ends_with(&first_low),
            "GREATER_THAN" | "AFTER" => order()?.is_gt(),
            "GREATER_THAN_OR_EQUAL" | "ON_OR_AFTER" => order()?.is_ge(),
            "LESS_THAN" | "BEFORE" => order()?.is_lt(),
            "LESS_THAN_OR_EQUAL" | "ON_OR_BEFORE" => order()?.is_le(),
            "IN_RANGE" => self.ranges(value)?,
            "NOT_IN_RANGE" => !self.ranges(value)?,
            _ => return None,
        })
    }
}

impl Condition {
    /// Whether a field that is a list meets the condition: each item is compared for itself.
    fn meets_list(&self, items: &[Value]) -> Option<bool> {
        let with = |operator: &str, values: &[String]| {
            let one = Self { field: String::new(), operator: operator.to_owned(), values: values.to_vec() };
            items.iter().any(|item| one.meets(&as_text(item)) == Some(true))
        };
        let each = |wanted: &String| with("EQUAL", std::slice::from_ref(wanted));
        Some(match self.operator.as_str() {
            "NOT_EQUAL" | "NOT_IN" | "NONE" => !with("EQUAL", &self.values),
            "NOT_CONTAIN" => !with("CONTAIN", &self.values),
            "NOT_CONTAINS_ANY" => !with("CONTAINS_ANY", &self.values),
            "NOT_IN_RANGE" => !with("IN_RANGE", &self.values),
            "ALL" | "CONTAINS_ALL" => self.values.iter().all(each),
            operator if self.is_known() => with(operator, &self.values),
            _ => return None,
        })
    }

    pub(crate) fn is_known(&self) -> bool {
        OPERATORS.contains(&self.operator.as_str())
    }

    /// Whether a number lies between the two of the condition, ends included; `None` where they are no numbers.
    fn ranges(&self, value: &str) -> Option<bool> {
        let bound = |at: usize| self.values.get(at).and_then(|bound| number(bound));
        let value = number(value)?;
        Some(bound(0)? <= value && value <= bound(1)?)
    }
}

/// Reads `filtering`; fails where it is no list of conditions.
pub(crate) fn conditions(params: &Params) -> Result<Vec<Condition>, Refusal> {
    let Some(items) = params.list("filtering")? else { return Ok(Vec::new()) };
    items.iter().map(condition).collect()
}

fn condition(item: &Value) -> Result<Condition, Refusal> {
    // An item may itself be JSON in text.
    let parsed = item.as_str().and_then(loose::parse);
    let item = parsed.as_ref().unwrap_or(item);
    let member = |name: &str| item.get(name).map(as_text);
    let (Some(field), Some(operator)) = (member("field"), member("operator").map(|word| word.to_uppercase())) else {
        return Err(Refusal::invalid("Param filtering must be an array of {field, operator, value}"));
    };
    let values = item.get("value").map(|value| as_list(value).unwrap_or_else(|| vec![value.clone()]));
    let values = values.unwrap_or_default().iter().map(as_text).collect();
    Ok(Condition { field, operator, values })
}

/// Which objects of an edge are wanted. Archived and deleted ones are not, unless they are asked for.
#[derive(Debug)]
pub(crate) struct Filter {
    statuses: Option<Vec<String>>,
    conditions: Vec<Condition>,
    updated_since: Option<i64>,
    /// Whether its end has passed.
    completed: Option<bool>,
}

impl Filter {
    pub(crate) fn of(params: &Params) -> Result<Self, Refusal> {
        let statuses = params.words("effective_status")?.filter(|words| !words.is_empty());
        for (at, word) in statuses.iter().flatten().enumerate() {
            if !EFFECTIVE.contains(&word.as_str()) {
                let words = EFFECTIVE.join(", ");
                let text = format!("Param effective_status[{at}] must be one of {{{words}}}");
                return Err(Refusal::invalid(text).blame(&["effective_status"]));
            }
        }
        let completed = if params.has("is_completed") { Some(params.boolean("is_completed")?) } else { None };
        let updated_since = params.integer("updated_since")?;
        let conditions = conditions(params)?;
        if let Some(unknown) = conditions.iter().find(|condition| !condition.is_known()) {
            return Err(Refusal::invalid(format!("Filtering operator {} is not valid", unknown.operator)));
        }
        Ok(Self { statuses, conditions, updated_since, completed })
    }

    /// Whether nothing was asked for, so that only what is gone is left out.
    pub(crate) fn is_default(&self) -> bool {
        self.statuses.is_none()
            && self.conditions.is_empty()
            && self.updated_since.is_none()
            && self.completed.is_none()
    }

    /// Fails where a condition speaks of a field that objects of the kind do not have.
    pub(crate) fn fits(&self, kind: Kind) -> Result<(), Refusal> {
        let unknown = self.conditions.iter().find(|condition| {
            let (of, field) = split(&condition.field, kind);
            !COMPUTED.contains(&field) && !crate::nodes::known::is_known(of, field)
        });
        unknown.map_or(Ok(()), |condition| {
            let (_, field) = split(&condition.field, kind);
            Err(unsupported(field, &condition.operator))
        })
    }

    /// Whether the object belongs to the answer.
    pub(crate) fn wants(&self, state: &State, object: &Object, now: Timestamp) -> Result<bool, Refusal> {
        let status = effective(state, object, now);
        let mut asked = self.statuses.is_some();
        if self.statuses.as_ref().is_some_and(|statuses| !statuses.iter().any(|wanted| wanted == status)) {
            return Ok(false);
        }
        if self.updated_since.is_some_and(|since| object.updated.as_second() < since) {
            return Ok(false);
        }
        if self.completed.is_some_and(|wanted| is_completed(state, object, now).is_some_and(|it| it != wanted)) {
            return Ok(false);
        }
        for condition in &self.conditions {
            let (of, field) = split(&condition.field, object.kind);
            asked |= matches!(field, "effective_status" | "delivery_info");
            let Some(of) = related(state, object, of) else { return Ok(false) };
            if field == "adlabels" {
                if !labelled(state, of, condition) {
                    return Ok(false);
                }
                continue;
            }
            if let Some(Value::Array(items)) = of.fields.get(field).filter(|_| !COMPUTED.contains(&field)) {
                if condition.meets_list(items) != Some(true) {
                    return Ok(false);
                }
                continue;
            }
            let value = match field {
                "effective_status" => effective(state, of, now).to_owned(),
                "delivery_info" => delivery(effective(state, of, now)).to_owned(),
                "account_id" => of.account.to_string(),
                "campaign_id" => of.campaign.map(|id| id.to_string()).unwrap_or_default(),
                "adset_id" => of.ad_set.map(|id| id.to_string()).unwrap_or_default(),
                "status" | "configured_status" => of.status.word().to_owned(),
                "id" => of.id.to_string(),
                "updated_time" => of.updated.as_second().to_string(),
                "created_time" | "time_created" => of.created.as_second().to_string(),
                other if crate::nodes::known::is_known(of.kind, other) => {
                    of.fields.get(other).map(as_text).unwrap_or_default()
                }
                other => return Err(unsupported(other, &condition.operator)),
            };
            // A number that is compared with nothing does not meet it.
            if condition.meets(&value) != Some(true) {
                return Ok(false);
            }
        }
        Ok(asked || !matches!(status, "ARCHIVED" | "DELETED"))
    }
}

/// Whether a campaign, an ad set, or the ad set of an ad is past its end; `None` for what has no end.
fn is_completed(state: &State, object: &Object, now: Timestamp) -> Option<bool> {
    let ends = |object: Option<&Object>, name: &str| {
        let end = object.and_then(|object| crate::spec::kept_time(object.text(name)));
        end.is_some_and(|end| end <= now)
    };
    let above = |id: Option<u64>| id.and_then(|id| state.object(id));
    Some(match object.kind {
        Kind::Campaign => ends(Some(object), "stop_time"),
        Kind::AdSet => ends(Some(object), "end_time") || ends(above(object.campaign), "stop_time"),
        Kind::Ad => ends(above(object.ad_set), "end_time") || ends(above(object.campaign), "stop_time"),
        _ => return None,
    })
}

/// Fields that are filtered by though no object keeps them under these names.
const COMPUTED: &[&str] = &[
    "account_id",
    "adlabels",
    "adset_id",
    "campaign_id",
    "configured_status",
    "created_time",
    "delivery_info",
    "effective_status",
    "id",
    "status",
    "time_created",
    "updated_time",
];

fn unsupported(field: &str, operator: &str) -> Refusal {
    let text = format!("Filtering field '{field}' with operation '{}' is not supported", operator.to_lowercase());
    Refusal::invalid(text).blame(&["filtering"])
}

/// How Ads Manager calls a status, which older connectors filter by.
fn delivery(status: &str) -> &'static str {
    match status {
        "ACTIVE" => "active",
        "ARCHIVED" => "archived",
        "DELETED" => "deleted",
        "IN_PROCESS" | "PENDING_REVIEW" => "pending_review",
        "DISAPPROVED" => "rejected",
        "WITH_ISSUES" | "PENDING_BILLING_INFO" => "not_delivering",
        _ => "inactive",
    }
}

/// Whether the names of an object's labels meet a condition.
fn labelled(state: &State, object: &Object, condition: &Condition) -> bool {
    let own: Vec<&str> = object.labels.iter().filter_map(|&id| state.object(id)).map(Object::name).collect();
    let has = |wanted: &String| own.contains(&wanted.as_str());
    match condition.operator.as_str() {
        "ALL" => condition.values.iter().all(has),
        "NONE" | "NOT_IN" => !condition.values.iter().any(has),
        _ => condition.values.iter().any(has),
    }
}

/// The object that a dotted field speaks of, and the field: `campaign.effective_status`.
pub(crate) fn split(field: &str, own: Kind) -> (Kind, &str) {
    let Some((prefix, rest)) = field.split_once('.') else { return (own, field) };
    match prefix {
        "campaign" => (Kind::Campaign, rest),
        "adset" => (Kind::AdSet, rest),
        "ad" => (Kind::Ad, rest),
        _ => (own, rest),
    }
}

/// The object itself, or the one above it of that kind.
pub(crate) fn related<'a>(state: &'a State, object: &'a Object, kind: Kind) -> Option<&'a Object> {
    match kind {
        _ if kind == object.kind => Some(object),
        Kind::Campaign => object.campaign.and_then(|id| state.object(id)),
        Kind::AdSet => object.ad_set.and_then(|id| state.object(id)),
        _ => None,
    }
}

/// A decimal as millionths, which is as fine as any number that is filtered by.
fn number(text: &str) -> Option<i64> {
    // Times are compared as seconds, also where they are written out.
    if let Some(at) = crate::spec::kept_time(text) {
        return at.as_second().checked_mul(1_000_000);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    let whole: i64 = whole.parse().ok()?;
    let part: i64 = part.parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(if text.starts_with('-') { -part } else { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_numbers_as_numbers() {
        let params = Params::from_form(r#"filtering=[{"field":"spend","operator":"GREATER_THAN","value":9.5}]"#);
        let conditions = conditions(&params).unwrap();
        assert_eq!(conditions[0].meets("10.25"), Some(true));
        assert_eq!(conditions[0].meets("9.5"), Some(false));
    }

    #[test]
    fn an_unknown_operator_is_told() {
        let condition = Condition { field: "name".to_owned(), operator: "LIKE".to_owned(), values: Vec::new() };
        assert_eq!(condition.meets("x"), None);
    }

    #[test]
    fn times_are_compared_however_they_are_written() {
        let later = |value: &str| {
            let text = format!(r#"filtering=[{{"field":"updated_time","operator":"greater_than","value":"{value}"}}]"#);
            let params = Params::from_form(&text.replace('+', "%2B"));
            conditions(&params).unwrap()[0].meets("1793750400")
        };
        assert_eq!(later("1793750399"), Some(true));
        assert_eq!(later("2026-11-03T16:00:01-0800"), Some(false));
        assert_eq!(later("2026-11-03T23:59:59+0000"), Some(true));
    }

    #[test]
    fn a_list_is_compared_item_by_item() {
        let items = [Value::from("HOUSING"), Value::from("CREDIT")];
        for (operator, values, met) in [
            ("IN", vec!["CREDIT"], true),
            ("EQUAL", vec!["EMPLOYMENT"], false),
            ("NOT_IN", vec!["CREDIT"], false),
            ("NONE", vec!["EMPLOYMENT"], true),
            ("ALL", vec!["CREDIT", "HOUSING"], true),
            ("ALL", vec!["CREDIT", "EMPLOYMENT"], false),
            ("CONTAIN", vec!["hous"], true),
        ] {
            let values = values.into_iter().map(str::to_owned).collect();
            let condition = Condition { field: "it".to_owned(), operator: operator.to_owned(), values };
            assert_eq!(condition.meets_list(&items), Some(met), "{operator}");
        }
    }

    #[test]
    fn a_filter_is_refused_whether_there_are_rows_or_not() {
        let filter = |field: &str, operator: &str| {
            let text = format!(r#"filtering=[{{"field":"{field}","operator":"{operator}","value":"x"}}]"#);
            Filter::of(&Params::from_form(&text))
        };
        assert_eq!(filter("name", "LIKE").unwrap_err().code(), 100);
        for (field, fits) in [("name", true), ("campaign.name", true), ("ad.effective_status", true), ("foo", false)] {
            assert_eq!(filter(field, "EQUAL").unwrap().fits(Kind::Ad).is_ok(), fits, "{field}");
        }
    }

    #[test]
    fn dotted_fields_speak_of_the_parents() {
        assert_eq!(split("campaign.id", Kind::Ad), (Kind::Campaign, "id"));
        assert_eq!(split("name", Kind::Ad), (Kind::Ad, "name"));
    }
}
