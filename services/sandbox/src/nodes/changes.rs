//! The activities that follow from a change: what an object was, against what it is.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::state::{Activity, Actor, Kind, Object, State, Status};

/// Fields whose change is told, by kind: the field, and Meta's word for its change.
const CAMPAIGN: &[(&str, &str)] = &[
    ("name", "update_campaign_name"),
    ("daily_budget", "update_campaign_budget"),
    ("lifetime_budget", "update_campaign_budget"),
    ("spend_cap", "update_campaign_group_spend_cap"),
    ("start_time", "update_campaign_schedule"),
    ("stop_time", "update_campaign_schedule"),
];
const AD_SET: &[(&str, &str)] = &[
    ("name", "update_ad_set_name"),
    ("daily_budget", "update_ad_set_budget"),
    ("lifetime_budget", "update_ad_set_budget"),
    ("targeting", "update_ad_set_target_spec"),
    ("start_time", "update_ad_set_duration"),
    ("end_time", "update_ad_set_duration"),
    ("bid_amount", "update_ad_set_bidding"),
    ("bid_strategy", "update_ad_set_bid_strategy"),
    ("optimization_goal", "update_ad_set_optimization_goal"),
    ("daily_spend_cap", "update_ad_set_spend_cap"),
    ("lifetime_spend_cap", "update_ad_set_spend_cap"),
    ("daily_min_spend_target", "update_ad_set_min_spend_target"),
    ("lifetime_min_spend_target", "update_ad_set_min_spend_target"),
];
const AD: &[(&str, &str)] = &[("name", "update_ad_friendly_name"), ("bid_amount", "update_ad_bid_info")];
const ACCOUNT: &[(&str, &str)] =
    &[("spend_cap", "ad_account_update_spend_limit"), ("account_status", "ad_account_update_status")];
/// Fields whose values are money, told with their currency.
const MONEY: &[&str] = &[
    "daily_budget",
    "lifetime_budget",
    "spend_cap",
    "bid_amount",
    "daily_spend_cap",
    "lifetime_spend_cap",
    "daily_min_spend_target",
    "lifetime_min_spend_target",
];

/// All that a change is told as; nothing for kinds that accounts keep no record of.
pub(super) fn of(state: &State, new: &Object) -> Vec<Activity> {
    if new.account == 0 {
        return Vec::new();
    }
    let old = state.object(new.id);
    let mut events = match old {
        None => created(new).map(|event| (event.to_owned(), Value::Null)).into_iter().collect(),
        Some(old) => updated(state, old, new),
    };
    let review = old.and_then(|old| finished_review(state, old, new));
    let told = events.drain(..).map(|(event, extra)| activity(new, new.updated, event, extra, state.actor));
    review.into_iter().chain(told).collect()
}

/// What Meta said of an ad when its review was over: that moment may lie ahead.
pub(crate) fn reviewed(state: &State, ad: &Object) -> Option<Activity> {
    let over = SignedDuration::from_millis(state.settings.review_milliseconds);
    let at = ad.review_from?.checked_add(over).ok()?;
    let event = if ad.text("_verdict") == "DISAPPROVED" { "ad_review_declined" } else { "ad_review_approved" };
    Some(activity(ad, at, event.to_owned(), Value::Null, Actor::default()))
}

/// An account's people: added with tasks, or removed.
pub(crate) fn role(account: &Object, added: bool, person: &str, state: &State, now: Timestamp) -> Activity {
    let event = if added { "ad_account_add_user_to_role" } else { "ad_account_remove_user_from_role" };
    activity(account, now, event.to_owned(), json!({ "user_name": person, "type": "user_role" }), state.actor)
}

fn activity(object: &Object, at: Timestamp, event: String, extra: Value, actor: Actor) -> Activity {
    let object_name = if object.kind == Kind::Video { object.text("title") } else { object.name() }.to_owned();
    Activity { account: object.account, at, event, object: object.id, object_name, actor, extra }
}

fn created(object: &Object) -> Option<&'static str> {
    Some(match object.kind {
        Kind::Campaign => "create_campaign_group",
        Kind::AdSet => "create_ad_set",
        Kind::Ad => "create_ad",
        Kind::Image => "add_images",
        Kind::Audience => "create_audience",
        _ => return None,
    })
}

/// A review that was over is told for good before the next one takes its place.
fn finished_review(state: &State, old: &Object, new: &Object) -> Option<Activity> {
    if old.kind != Kind::Ad || old.review_from == new.review_from {
        return None;
    }
    reviewed(state, old).filter(|activity| activity.at <= new.updated)
}

fn updated(state: &State, old: &Object, new: &Object) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    let table = match new.kind {
        Kind::Campaign => CAMPAIGN,
        Kind::AdSet => AD_SET,
        Kind::Ad => AD,
        Kind::AdAccount => ACCOUNT,
        _ => &[],
    };
    for (field, event) in table {
        let (was, is) = (old.fields.get(*field), new.fields.get(*field));
        if was.unwrap_or(&Value::Null) != is.unwrap_or(&Value::Null) {
            events.push(((*event_of(event, field, is)).to_owned(), values(state, new, field, was, is)));
        }
    }
    if old.status != new.status
        && let Some(event) = status_event(new)
    {
        let extra = json!({ "old_value": old.status.word(), "new_value": new.status.word(), "type": "run_status" });
        events.push((event.to_owned(), extra));
    }
    if new.kind == Kind::Ad && old.creative != new.creative {
        let id = |id: Option<u64>| id.map(|id| id.to_string());
        events.push((
            "update_ad_creative".to_owned(),
            json!({ "old_value": id(old.creative), "new_value": id(new.creative) }),
        ));
    }
    if new.kind == Kind::Ad && old.labels != new.labels {
        events.push(("update_ad_labels".to_owned(), Value::Null));
    }
    events
}

/// Taking a spend limit away has a word of its own.
fn event_of<'a>(event: &'a &'static str, field: &str, is: Option<&Value>) -> &'a &'static str {
    let away = field == "spend_cap" && *event == "ad_account_update_spend_limit" && is.is_some_and(|is| is == "0");
    if away { &"ad_account_remove_spend_limit" } else { event }
}

fn values(state: &State, object: &Object, field: &str, was: Option<&Value>, is: Option<&Value>) -> Value {
    let is_money = MONEY.contains(&field);
    let shown = |value: Option<&Value>| {
        let value = value.cloned().unwrap_or_default();
        let minor = value.as_str().and_then(|text| text.parse::<i64>().ok()).filter(|_| is_money);
        minor.map_or(value, Value::from)
    };
    let mut extra = Map::from_iter([("old_value".to_owned(), shown(was)), ("new_value".to_owned(), shown(is))]);
    if is_money {
        extra.insert("currency".to_owned(), json!(state.currency(object.account)));
        extra.insert("type".to_owned(), json!("payment_amount"));
    }
    Value::Object(extra)
}

fn status_event(object: &Object) -> Option<&'static str> {
    Some(match object.kind {
        Kind::Campaign => "update_campaign_run_status",
        Kind::AdSet => "update_ad_set_run_status",
        Kind::Ad => "update_ad_run_status",
        Kind::Image if object.status == Status::Deleted => "delete_images",
        Kind::Audience if object.status == Status::Deleted => "delete_audience",
        _ => return None,
    })
}
