//! What applying a plan would change, and what Meta answered differently from what was asked for.

use graph::objects::{self, Kind};
use proto::plans::v1::{Change, Plan, PlannedCall, Risk};
use serde_json::Value;

use super::{Ids, Node, nodes};
use crate::{
    error::Error,
    mirror,
    store::{
        intents::{Intent, State},
        plans::Plan as Stored,
    },
};

/// What is left to be made: each field, and each call.
pub(crate) fn diff(
    plan: &Plan,
    stored: &Stored,
    intents: &[Intent],
    labelled: bool,
) -> Result<(Vec<Change>, Vec<PlannedCall>), Error> {
    let known = ids(plan, intents);
    let (mut changes, mut calls) = (Vec::new(), Vec::new());
    let label = stored.label.clone().unwrap_or_else(|| "label".to_owned());
    if labelled && stored.label.is_none() {
        calls.push(planned(&graph::labels::create(stored.account, &label_name(stored)).to_string(), "", 0));
    }
    for node in nodes(plan) {
        if known.contains_key(node.temporary_id) {
            continue;
        }
        let form = node.form(&known)?;
        let resource = format!("{} {}", node.kind, node.temporary_id);
        changes.extend(form.iter().map(|(field, value)| created(&resource, field, value)));
        let call = objects::create(node.kind, stored.account, form, Some(label.as_str()).filter(|_| labelled));
        calls.push(planned(&call.to_string(), node.temporary_id, batch(&node)));
    }
    Ok((changes, calls))
}

/// What stands for each temporary id by now.
pub(crate) fn ids(plan: &Plan, intents: &[Intent]) -> Ids {
    let pictures = plan.media.iter().map(|it| (it.temporary_id.clone(), it.image_hash.clone()));
    let made = intents.iter().filter(|intent| intent.state == State::Done);
    let made = made.filter_map(|intent| Some((intent.temporary_id.clone(), intent.object?.to_string())));
    pictures.chain(made).collect()
}

/// The name of the label that marks what a plan made.
pub(crate) fn label_name(plan: &Stored) -> String {
    format!("adplane plan {}", plan.id.hyphenated())
}

/// Where Meta's answer is not what was asked for. What Meta adds by itself is no difference, and neither is a status
/// that follows from the parents.
pub(crate) fn differences(resource: &str, form: &[(String, String)], graph: &Value) -> Vec<Change> {
    form.iter()
        .filter(|(field, _)| !matches!(field.as_str(), "creative" | "special_ad_categories"))
        .filter_map(|(field, text)| {
            let answered = graph.get(field)?;
            let asked = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
            if agrees(&asked, answered) {
                return None;
            }
            Some(Change { before: answered.to_string(), ..created(resource, field, text) })
        })
        .collect()
}

/// Is everything asked for in the answer? Meta writes numbers as texts in places, and adds defaults.
fn agrees(asked: &Value, answered: &Value) -> bool {
    match (asked, answered) {
        (Value::Object(asked), Value::Object(answered)) => {
            asked.iter().all(|(key, value)| answered.get(key).is_some_and(|answered| agrees(value, answered)))
        }
        (Value::Array(asked), Value::Array(answered)) => {
            asked.len() == answered.len() && asked.iter().zip(answered).all(|(asked, answered)| agrees(asked, answered))
        }
        (asked, answered) => {
            let (asked, answered) = (plain(asked), plain(answered));
            asked == answered || same_moment(&asked, &answered)
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Meta answers times in the account's zone.
fn same_moment(asked: &str, answered: &str) -> bool {
    let time = |text: &str| mirror::time(&serde_json::json!({ "time": text }), "time");
    time(asked).is_some_and(|asked| time(answered) == Some(asked))
}

fn created(resource: &str, field: &str, text: &str) -> Change {
    let json = serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object() || value.is_array());
    let after = if json { text.to_owned() } else { Value::String(text.to_owned()).to_string() };
    let mut change = Change {
        resource: resource.to_owned(),
        field: field.to_owned(),
        before: String::new(),
        after,
        ..Change::default()
    };
    change.set_risk(risk(field));
    change
}

/// What can go wrong with a field.
fn risk(field: &str) -> Risk {
    match field {
        "daily_budget"
        | "lifetime_budget"
        | "spend_cap"
        | "bid_amount"
        | "bid_strategy"
        | "bid_constraints"
        | "daily_spend_cap"
        | "daily_min_spend_target" => Risk::Money,
        "objective" | "buying_type" | "campaign_id" | "adset_id" | "object_story_spec" | "object_story_id" => {
            Risk::Fixed
        }
        "targeting"
        | "optimization_goal"
        | "billing_event"
        | "promoted_object"
        | "special_ad_categories"
        | "start_time"
        | "end_time"
        | "stop_time"
        | "creative" => Risk::Delivery,
        _ => Risk::None,
    }
}

/// Creatives share batches, and ads do. Ad sets of one campaign never: Meta locks the campaign.
fn batch(node: &Node<'_>) -> i32 {
    match node.kind {
        Kind::Campaign | Kind::AdSet => 0,
        Kind::Creative => 1,
        Kind::Ad => 2,
    }
}

fn planned(text: &str, temporary_id: &str, batch: i32) -> PlannedCall {
    let (call, body) = text.split_once('\n').unwrap_or((text, ""));
    PlannedCall { call: call.to_owned(), body: body.to_owned(), temporary_id: temporary_id.to_owned(), batch }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::samples;

    fn stored() -> Stored {
        Stored {
            id: uuid::Uuid::nil(),
            account: vocabulary::ids::AdAccountId::new(1),
            content: Vec::new(),
            etag: String::new(),
            state: crate::store::plans::State::Draft,
            label: None,
            pictures: false,
            created: jiff::Timestamp::UNIX_EPOCH,
            updated: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_diff_names_every_field_with_its_risk_and_every_call() {
        let (changes, calls) = diff(&samples::plan(), &stored(), &[], true).unwrap();
        let budget = changes.iter().find(|it| it.resource == "ad_set -3" && it.field == "daily_budget").unwrap();
        assert_eq!((budget.before.as_str(), budget.after.as_str(), budget.risk()), ("", r#""2000""#, Risk::Money));
        let paths: Vec<_> = calls.iter().map(|it| (it.call.as_str(), it.temporary_id.as_str(), it.batch)).collect();
        let expected = [
            ("POST /act_1/adlabels", "", 0),
            ("POST /act_1/campaigns", "-1", 0),
            ("POST /act_1/adsets", "-2", 0),
            ("POST /act_1/adsets", "-3", 0),
            ("POST /act_1/adcreatives", "-5", 1),
            ("POST /act_1/ads", "-6", 2),
            ("POST /act_1/ads", "-7", 2),
        ];
        assert_eq!(paths, expected);
        assert!(calls[1].body.starts_with("name=Summer\nobjective=OUTCOME_TRAFFIC\n"), "{}", calls[1].body);
    }

    #[test]
    fn what_meta_adds_is_no_difference_and_what_it_changes_is() {
        let form = [
            ("daily_budget".to_owned(), "1000".to_owned()),
            ("targeting".to_owned(), r#"{"geo_locations":{"countries":["US"]}}"#.to_owned()),
            ("start_time".to_owned(), "2026-11-22T10:00:00Z".to_owned()),
        ];
        let mut graph = json!({"daily_budget": "1000", "start_time": "2026-11-22T02:00:00-0800",
            "targeting": {"age_min": 18, "geo_locations": {"countries": ["US"], "location_types": ["home"]}}});
        assert_eq!(differences("x", &form, &graph), []);
        graph["daily_budget"] = json!("2000");
        let told = differences("x", &form, &graph);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].field.as_str(), told[0].before.as_str()), ("daily_budget", r#""2000""#));
    }
}
