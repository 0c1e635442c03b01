//! `filtering` of insights: on the objects behind a row, on its numbers, and on the types of its actions.

use jiff::Timestamp;

use super::breakdowns::Breakdown;
use super::columns::{self, Column, Number};
use crate::error::Refusal;
use crate::filter::{self, Condition};
use crate::params::Params;
use crate::state::{Kind, Object, State, effective};

/// Fields of objects that can be asked for as `campaign.name`.
const OBJECT_FIELDS: &[&str] = &[
    "id",
    "name",
    "effective_status",
    "configured_status",
    "status",
    "delivery_info",
    "updated_time",
    "created_time",
    "objective",
    "buying_type",
    "optimization_goal",
    "bid_strategy",
    "billing_event",
];

/// What a condition on rows looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfRow {
    Number(Number),
    /// The value of one of the query's breakdowns.
    Breakdown(Breakdown),
}

/// The conditions of a query, all of which must be met.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    objects: Vec<(Kind, String, Condition)>,
    pub(super) rows: Vec<(OfRow, Condition)>,
    action_types: Vec<Condition>,
}

impl Conditions {
    /// Fails for fields and operators that Meta does not filter by.
    pub(super) fn read(params: &Params, breakdowns: &[Breakdown]) -> Result<Self, Refusal> {
        let mut conditions = Self::default();
        for (at, condition) in filter::conditions(params)?.into_iter().enumerate() {
            if !condition.is_known() {
                let words = filter::OPERATORS.join(", ");
                return Err(Refusal::invalid(format!(
                    "filtering[{at}][operator] must be one of the following values: {words}"
                )));
            }
            conditions.take(condition, breakdowns)?;
        }
        Ok(conditions)
    }

    fn take(&mut self, condition: Condition, breakdowns: &[Breakdown]) -> Result<(), Refusal> {
        if condition.operator == "TOP" {
            return Err(unsupported(&condition));
        }
        if condition.field == "action_type" {
            self.action_types.push(condition);
            return Ok(());
        }
        let (kind, name) = filter::split(&condition.field, Kind::AdAccount);
        // `campaign_id` says the same as `campaign.id`.
        let (kind, name) = match condition.field.as_str() {
            "campaign_id" | "campaign_name" => (Kind::Campaign, condition.field.trim_start_matches("campaign_")),
            "adset_id" | "adset_name" => (Kind::AdSet, condition.field.trim_start_matches("adset_")),
            "ad_id" | "ad_name" => (Kind::Ad, condition.field.trim_start_matches("ad_")),
            _ => (kind, name),
        };
        if kind != Kind::AdAccount && OBJECT_FIELDS.contains(&name) {
            self.objects.push((kind, name.to_owned(), condition));
            return Ok(());
        }
        if let Some(Column::Number(number)) = columns::column(name) {
            self.rows.push((OfRow::Number(number), condition));
            return Ok(());
        }
        match Breakdown::parse(name).filter(|breakdown| breakdowns.contains(breakdown)) {
            Some(breakdown) => {
                self.rows.push((OfRow::Breakdown(breakdown), condition));
                Ok(())
            }
            None => Err(unsupported(&condition)),
        }
    }

    /// Deleted objects are in the rows of an account only where their status is asked for.
    pub(super) fn ask_for_deleted(&self) -> bool {
        let names = |name: &str| self.objects.iter().any(|(_, field, _)| field == name);
        ["effective_status", "configured_status", "status", "delivery_info"].into_iter().any(names)
    }

    /// Whether there are conditions on the objects below a level, so that each ad must be looked at.
    pub(super) fn reach_below(&self, level: Kind) -> bool {
        self.objects.iter().any(|(kind, ..)| !stands_above(*kind, level))
    }

    /// Whether an object meets the conditions that it can decide: those on itself and what is above it.
    pub(super) fn want(&self, state: &State, object: &Object, now: Timestamp) -> bool {
        self.objects.iter().filter(|(kind, ..)| stands_above(*kind, object.kind)).all(|(kind, field, condition)| {
            filter::related(state, object, *kind).is_some_and(|of| meets(state, of, field, condition, now))
        })
    }

    /// Whether actions of that type are shown.
    pub(super) fn want_action(&self, word: &str) -> bool {
        self.action_types.iter().all(|condition| condition.meets(word).unwrap_or(true))
    }
}

/// Whether a kind is the level itself or above it.
fn stands_above(kind: Kind, level: Kind) -> bool {
    let depth = |kind: Kind| match kind {
        Kind::AdAccount => 0,
        Kind::Campaign => 1,
        Kind::AdSet => 2,
        _ => 3,
    };
    depth(kind) <= depth(level)
}

fn unsupported(condition: &Condition) -> Refusal {
    let Condition { field, operator, .. } = condition;
    Refusal::invalid(format!("Filtering field {field} with operation {operator} is not supported"))
}

fn meets(state: &State, object: &Object, field: &str, condition: &Condition, now: Timestamp) -> bool {
    let value = match field {
        "id" => object.id.to_string(),
        "effective_status" => effective(state, object, now).to_owned(),
        "status" | "configured_status" => object.status.word().to_owned(),
        "updated_time" => object.updated.as_second().to_string(),
        "created_time" => object.created.as_second().to_string(),
        "delivery_info" => {
            let words = delivery_info(effective(state, object, now));
            // One of an object's words is enough; for `NOT_IN` none may be named.
            return if condition.operator.starts_with("NOT") || condition.operator == "NONE" {
                words.iter().all(|word| condition.meets(word).unwrap_or(true))
            } else {
                words.iter().any(|word| condition.meets(word).unwrap_or(true))
            };
        }
        other => object.text(other).to_owned(),
    };
    condition.meets(&value).unwrap_or(true)
}

/// The words that older clients filter deliveries by (Airbyte sends them), for an effective status.
fn delivery_info(status: &str) -> &'static [&'static str] {
    match status {
        "ACTIVE" => &["active"],
        "PAUSED" | "CAMPAIGN_PAUSED" | "ADSET_PAUSED" => &["inactive", "not_delivering", "off"],
        "ARCHIVED" => &["archived"],
        "DELETED" => &["deleted", "permanently_deleted"],
        "PENDING_REVIEW" | "IN_PROCESS" => &["pending_review", "not_published"],
        "DISAPPROVED" => &["rejected", "recently_rejected"],
        _ => &["not_delivering"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Conditions, Refusal> {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("filtering", text).finish();
        Conditions::read(&Params::from_form(&query), &[Breakdown::Age])
    }

    #[test]
    fn conditions_are_on_objects_on_rows_or_on_actions() {
        let conditions = read(
            r#"[{"field":"campaign.name","operator":"CONTAIN","value":"x"},{"field":"ad.impressions","operator":"GREATER_THAN","value":0},
               {"field":"action_type","operator":"IN","value":["purchase"]},{"field":"age","operator":"EQUAL","value":"18-24"}]"#,
        )
        .unwrap();
        assert_eq!((conditions.objects.len(), conditions.rows.len()), (1, 2));
        assert!(conditions.want_action("purchase") && !conditions.want_action("link_click"));
        assert!(conditions.reach_below(Kind::AdAccount) && !conditions.reach_below(Kind::Campaign));
    }

    #[test]
    fn what_meta_does_not_filter_by_is_refused() {
        let text = |filter: &str| read(filter).unwrap_err().envelope("").to_string();
        assert!(
            text(r#"[{"field":"shoe","operator":"EQUAL","value":"1"}]"#)
                .contains("(#100) Filtering field shoe with operation EQUAL is not supported")
        );
        assert!(
            text(r#"[{"field":"spend","operator":"LIKE","value":"1"}]"#)
                .contains("filtering[0][operator] must be one of")
        );
        assert!(text(r#"[{"field":"gender","operator":"EQUAL","value":"male"}]"#).contains("is not supported"));
        assert!(text(r#"[{"field":"spend"}]"#).contains("(#100)"));
    }
}
