//! `GET /{account or ad set}/activities`: what was done, newest first, paged by time.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::changes;
use crate::error::Refusal;
use crate::fields;
use crate::paging;
use crate::params::{Params, as_text};
use crate::render::View;
use crate::route::Call;
use crate::spec;
use crate::state::{APP_NAME, Activity, Kind, Object, State, local};

const FIELDS: &str = "actor_id actor_name application_id application_name date_time_in_timezone event_time event_type \
    extra_data object_id object_name object_type tool translated_event_type";
/// How far back is told where the caller names no begin (Meta, 'Ad account activities').
const DAYS: i64 = 7;
const CATEGORIES: &[&str] =
    &["ACCOUNT", "AD", "AD_KEYWORDS", "AD_SET", "AUDIENCE", "BID", "BUDGET", "CAMPAIGN", "DATE", "STATUS", "TARGETING"];
/// Numbers of activities that follow from a review have this bit, and the ad's id behind it.
const REVIEW: u64 = 1 << 63;

/// Answers with one page.
pub(crate) fn list(state: &State, call: &Call, target: &Object) -> Result<Value, Refusal> {
    let query = Query::read(state, call, target)?;
    let mut rows: Vec<(u64, Activity)> = state.activities(target.account).cloned().collect();
    rows.extend(reviews(state, target.account, call.now));
    rows.retain(|(_, activity)| query.wants(state, activity));
    rows.sort_by_key(|(number, activity)| std::cmp::Reverse((activity.at, *number)));
    let keys: Vec<u64> = rows.iter().map(|(number, _)| *number).collect();
    let page = paging::cut(&keys, &call.params)?;
    let before = |row: &&(u64, Activity)| page.keys.first().is_some_and(|first| row.0 != *first);
    let on_page = rows.iter().skip_while(before).take(page.keys.len()).map(|(_, activity)| activity);
    let on_page: Vec<&Activity> = on_page.collect();
    let fields = fields::of(&call.params)?;
    let names: Vec<String> = fields.unwrap_or_default().into_iter().map(|field| field.name).collect();
    let shown = on_page.iter().map(|activity| row(state, activity, &names)).collect::<Result<Vec<_>, _>>()?;
    let mut body = paging::answer(&page, shown, &call.params, &View::of(state, call).link(&call.path.join("/")));
    if let (Some(first), Some(last)) = (on_page.first(), on_page.last()) {
        by_time(&mut body, "next", &[("since", query.since), ("until", last.at)]);
        by_time(&mut body, "previous", &[("since", first.at), ("until", query.until)]);
    }
    Ok(body)
}

/// Sets the times of a page link: pages of this edge go on by time, and the cursor says where within a second.
fn by_time(body: &mut Value, link: &str, times: &[(&str, Timestamp)]) {
    let Some(Value::String(href)) = body.get_mut("paging").and_then(|paging| paging.get_mut(link)) else { return };
    let Ok(mut address) = url::Url::parse(href) else { return };
    let kept: Vec<(String, String)> = address
        .query_pairs()
        .filter(|(name, _)| name != "since" && name != "until")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    address.query_pairs_mut().clear().extend_pairs(kept);
    for (name, at) in times {
        address.query_pairs_mut().append_pair(name, &at.as_second().to_string());
    }
    *href = address.into();
}

/// Which activities are asked for.
struct Query {
    since: Timestamp,
    until: Timestamp,
    category: Option<String>,
    objects: Vec<u64>,
    person: Option<u64>,
    children: bool,
}

impl Query {
    fn read(state: &State, call: &Call, target: &Object) -> Result<Self, Refusal> {
        let params = &call.params;
        let until = time(state, target, params, "until", call.now)?.unwrap_or(call.now);
        let usual = until.checked_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(until);
        let category = params.text("category");
        if category.as_ref().is_some_and(|word| !CATEGORIES.contains(&word.as_str())) {
            let text = format!("Param category must be one of {{{}}}", CATEGORIES.join(", "));
            return Err(Refusal::invalid(text).blame(&["category"]));
        }
        let mut objects: Vec<u64> = Vec::new();
        if target.kind != Kind::AdAccount {
            objects.push(target.id);
        }
        let more = params.words("extra_oids")?.unwrap_or_default();
        for id in params.text("oid").into_iter().chain(more) {
            objects.extend(id.trim_start_matches("act_").parse::<u64>().ok());
        }
        Ok(Self {
            since: time(state, target, params, "since", call.now)?.unwrap_or(usual),
            until,
            category,
            objects,
            person: params.text("uid").and_then(|id| id.parse().ok()),
            children: target.kind != Kind::AdAccount || params.boolean("add_children")?,
        })
    }

    fn wants(&self, state: &State, activity: &Activity) -> bool {
        let parents = || state.object(activity.object).into_iter().flat_map(Object::parents);
        let of_object = self.objects.is_empty()
            || self.objects.contains(&activity.object)
            || self.children && parents().any(|parent| self.objects.contains(&parent));
        // Whole seconds: both ends belong to the answer.
        let second = activity.at.as_second();
        of_object
            && (self.since.as_second()..=self.until.as_second()).contains(&second)
            && self.person.is_none_or(|person| person == activity.actor.person)
            && self.category.as_ref().is_none_or(|category| categories(&activity.event).contains(&category.as_str()))
    }
}

fn time(
    state: &State,
    target: &Object,
    params: &Params,
    name: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    let Some(raw) = params.raw(name) else { return Ok(None) };
    let must = || Refusal::invalid(format!("Param {name} must be a time")).blame(&[name]);
    spec::moment(state, target.account, raw, now).map(Some).ok_or_else(must)
}

/// Reviews that are over by themselves: nobody wrote them down. Those that are not over are not told yet.
fn reviews(state: &State, account: u64, now: Timestamp) -> impl Iterator<Item = (u64, Activity)> + '_ {
    let ads = state.children(account, Kind::Ad).filter_map(|id| state.object(id));
    let told = ads.filter_map(|ad| changes::reviewed(state, ad).map(|activity| (REVIEW | ad.id, activity)));
    told.filter(move |(_, activity)| activity.at <= now)
}

/// The categories of an event: one may be a matter of an ad set, of its budget and so on.
fn categories(event: &str) -> Vec<&'static str> {
    let of = |part: &str| event.contains(part);
    let mut all = Vec::new();
    let level = if of("ad_account") || of("images") || of("funding") {
        "ACCOUNT"
    } else if of("ad_set") {
        "AD_SET"
    } else if of("campaign") {
        "CAMPAIGN"
    } else if of("audience") {
        "AUDIENCE"
    } else {
        "AD"
    };
    all.push(level);
    for (part, category) in [
        ("budget", "BUDGET"),
        ("spend", "BUDGET"),
        ("bid", "BID"),
        ("status", "STATUS"),
        ("review", "STATUS"),
        ("target", "TARGETING"),
        ("duration", "DATE"),
        ("schedul", "DATE"),
        ("keywords", "AD_KEYWORDS"),
    ] {
        if of(part) {
            all.push(category);
        }
    }
    all
}

fn row(state: &State, activity: &Activity, names: &[String]) -> Result<Value, Refusal> {
    let mut row = Map::new();
    let usual = ["event_time", "event_type", "object_id", "translated_event_type"].map(str::to_owned);
    for name in if names.is_empty() { &usual } else { names } {
        if !FIELDS.split_whitespace().any(|known| known == name) {
            return Err(Refusal::unknown_field(name, "AdActivity"));
        }
        if let Some(value) = member(state, activity, name) {
            row.insert(name.clone(), value);
        }
    }
    Ok(Value::Object(row))
}

fn member(state: &State, activity: &Activity, name: &str) -> Option<Value> {
    let actor = activity.actor;
    let person = || state.object(actor.person).map_or("Meta", Object::name);
    Some(match name {
        "actor_id" => json!(actor.person.to_string()),
        "actor_name" => json!(person()),
        "application_id" => json!(actor.app.to_string()),
        "application_name" if actor.app != 0 => json!(APP_NAME),
        "date_time_in_timezone" => {
            json!(local(state, activity.account, activity.at).strftime("%m/%d/%Y at %-I:%M %p").to_string())
        }
        // Other than those of ads objects, these times are in UTC.
        "event_time" => json!(activity.at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()),
        "event_type" => json!(activity.event),
        "extra_data" if activity.extra.is_null() => return None,
        "extra_data" => json!(as_text(&activity.extra)),
        "object_id" => json!(activity.object.to_string()),
        "object_name" => json!(activity.object_name),
        "object_type" => json!(object_type(state.object(activity.object)?.kind)),
        "translated_event_type" => json!(translated(&activity.event)),
        _ => return None,
    })
}

/// By the names that the objects had in the first versions.
fn object_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "CAMPAIGN_GROUP",
        Kind::AdSet => "CAMPAIGN",
        Kind::Ad => "ADGROUP",
        Kind::Image => "IMAGE",
        Kind::Audience => "AUDIENCE",
        _ => "ACCOUNT",
    }
}

/// `update_ad_set_budget` as people read it.
fn translated(event: &str) -> String {
    let (first, rest) = event.split_once('_').unwrap_or((event, ""));
    let verb = match first {
        "create" => "created",
        "update" => "updated",
        "delete" => "deleted",
        "add" => "added",
        _ => return capital(&event.replace('_', " ")),
    };
    let what = rest.replace("campaign_group", "campaign").replace("ad_friendly_name", "ad_name").replace('_', " ");
    capital(&format!("{what} {verb}"))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_may_belong_to_several_categories() {
        assert_eq!(categories("update_ad_set_budget"), ["AD_SET", "BUDGET"]);
        assert_eq!(categories("update_campaign_run_status"), ["CAMPAIGN", "STATUS"]);
        assert_eq!(categories("ad_review_declined"), ["AD", "STATUS"]);
        assert_eq!(categories("ad_account_update_spend_limit"), ["ACCOUNT", "BUDGET"]);
    }

    #[test]
    fn events_are_told_in_words() {
        assert_eq!(translated("update_ad_set_budget"), "Ad set budget updated");
        assert_eq!(translated("create_campaign_group"), "Campaign created");
        assert_eq!(translated("ad_review_approved"), "Ad review approved");
    }
}
