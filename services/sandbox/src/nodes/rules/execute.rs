//! Does what a rule says to all that it picks, by the same writes as any caller's.

use serde_json::{Map, Value, json};

use super::specs::{option, text};
use super::{history, select};
use crate::error::Refusal;
use crate::nodes::{ad_sets, ads, campaigns, write};
use crate::params::{Params, as_text};
use crate::render::View;
use crate::route::Call;
use crate::state::{Kind, Object, State};

/// What was done to one object, in Meta's words of a rule's history.
pub(super) struct Action {
    word: &'static str,
    field: &'static str,
    old: String,
    new: String,
}

impl Action {
    fn plain(word: &'static str) -> Self {
        Self { word, field: "", old: String::new(), new: String::new() }
    }

    fn shown(&self) -> Value {
        let mut shown = Map::from_iter([("action".to_owned(), json!(self.word))]);
        if !self.field.is_empty() {
            shown.insert("field".to_owned(), json!(self.field));
            shown.insert("old_value".to_owned(), json!(self.old));
            shown.insert("new_value".to_owned(), json!(self.new));
        }
        Value::Object(shown)
    }
}

/// `POST /{rule}/execute`. A write that is refused is kept in the history, and does not keep the others from theirs.
pub(crate) fn run(state: &mut State, call: &Call, rule: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let picked = select::picked(&View::of(state, call), rule)?;
    let spec = rule.fields.get("execution_spec").cloned().unwrap_or_default();
    let mut results = Vec::new();
    let mut failure = None;
    for object in picked {
        let action = done(state, call, &spec, &object).unwrap_or_else(|refusal| {
            failure.get_or_insert(refusal);
            Action::plain("ERROR")
        });
        results.push(json!({
            "object_id": object.id.to_string(),
            "object_type": select::word(object.kind),
            "actions": [action.shown()],
        }));
    }
    history::note(state, call, rule, results, failure.as_ref());
    Ok(write::validated())
}

fn done(state: &mut State, call: &Call, spec: &Value, object: &Object) -> Result<Action, Refusal> {
    match text(spec, "execution_type") {
        "PAUSE" => status(state, call, object, "PAUSED", "PAUSED"),
        "UNPAUSE" => status(state, call, object, "ACTIVE", "UNPAUSED"),
        "CHANGE_BUDGET" => budget(state, call, spec, object),
        "CHANGE_CAMPAIGN_BUDGET" => {
            let campaign = if object.kind == Kind::Campaign { Some(object.id) } else { object.campaign };
            match campaign.and_then(|id| state.object(id)).cloned() {
                Some(campaign) => budget(state, call, spec, &campaign),
                None => Ok(Action::plain("NOT_CHANGED")),
            }
        }
        "CHANGE_BID" => bid(state, call, spec, object),
        "NOTIFICATION" => Ok(Action::plain("FACEBOOK_NOTIFICATION_SENT")),
        "PING_ENDPOINT" => Ok(Action::plain("ENDPOINT_PINGED")),
        // What else rules can do needs parts of Meta that this sandbox has not.
        _ => Ok(Action::plain("NOT_CHANGED")),
    }
}

fn status(
    state: &mut State,
    call: &Call,
    object: &Object,
    status: &'static str,
    word: &'static str,
) -> Result<Action, Refusal> {
    let old = object.status.word();
    if old == status {
        return Ok(Action::plain("NOT_CHANGED"));
    }
    changed(state, call, object, "status", &json!(status))?;
    Ok(Action { word, field: "status", old: old.to_owned(), new: status.to_owned() })
}

/// The budget that the object has; one without any is left alone, because it is its parent's.
fn budget(state: &mut State, call: &Call, spec: &Value, object: &Object) -> Result<Action, Refusal> {
    let field = ["daily_budget", "lifetime_budget"].into_iter().find(|field| object.minor(field) > 0);
    let Some(field) = field else { return Ok(Action::plain("BUDGET_NOT_REDISTRIBUTED")) };
    let old = object.minor(field);
    let new = moved(old, spec);
    if new == old {
        return Ok(Action::plain("NOT_CHANGED"));
    }
    changed(state, call, object, field, &json!(new))?;
    Ok(Action { word: "CHANGED_BUDGET", field, old: old.to_string(), new: new.to_string() })
}

fn bid(state: &mut State, call: &Call, spec: &Value, object: &Object) -> Result<Action, Refusal> {
    let Some(old) = object.fields.get("bid_amount").and_then(Value::as_i64) else {
        return Ok(Action::plain("NOT_CHANGED"));
    };
    let new = moved(old, spec);
    if new == old {
        return Ok(Action::plain("NOT_CHANGED"));
    }
    changed(state, call, object, "bid_amount", &json!(new))?;
    Ok(Action { word: "CHANGED_BID", field: "bid_amount", old: old.to_string(), new: new.to_string() })
}

/// An amount after its change: by percent or by minor units, and not beyond the limit.
fn moved(old: i64, spec: &Value) -> i64 {
    let change = option(spec, "change_spec").cloned().unwrap_or_default();
    let integer = |name: &str| change.get(name).map(as_text).and_then(|text| text.parse::<i64>().ok());
    let amount = integer("amount").unwrap_or_default();
    let new = match text(&change, "unit") {
        "PERCENTAGE" => old.saturating_mul(100_i64.saturating_add(amount)) / 100,
        _ => old.saturating_add(amount),
    };
    match integer("limit") {
        // An amount that is beyond its limit already stays where it is.
        Some(limit) if amount < 0 => new.max(limit).min(old),
        Some(limit) => new.min(limit).max(old),
        None => new.max(0),
    }
}

fn changed(state: &mut State, call: &Call, object: &Object, field: &str, value: &Value) -> Result<(), Refusal> {
    let mut params = Params::default();
    params.put(field, value.clone());
    let call = Call { params, ..call.clone() };
    let update = match object.kind {
        Kind::Campaign => campaigns::update,
        Kind::AdSet => ad_sets::update,
        _ => ads::update,
    };
    update(state, &call, object).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(change: &Value) -> Value {
        json!({ "execution_options": [{ "field": "change_spec", "operator": "EQUAL", "value": change }] })
    }

    #[test]
    fn an_amount_moves_by_percent_or_units_up_to_its_limit() {
        let by = |amount: i64, unit: &str, limit: i64| spec(&json!({ "amount": amount, "unit": unit, "limit": limit }));
        assert_eq!(moved(5_000, &by(-10, "PERCENTAGE", 1_000)), 4_500);
        assert_eq!(moved(5_000, &by(-90, "PERCENTAGE", 1_000)), 1_000);
        assert_eq!(moved(5_000, &by(500, "ACCOUNT_CURRENCY", 5_200)), 5_200);
        assert_eq!(moved(5_000, &by(500, "ACCOUNT_CURRENCY", 4_000)), 5_000, "never against its direction");
        assert_eq!(moved(5_000, &spec(&json!({ "amount": "20", "unit": "PERCENTAGE" }))), 6_000);
    }
}
