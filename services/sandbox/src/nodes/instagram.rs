//! Instagram accounts, their media, and what Instagram counts of both.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::write;
use crate::error::Refusal;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec;
use crate::state::{Kind, Object, State, sealed};

pub(crate) const FIELDS: &str = "biography followers_count follows_count has_profile_pic id ig_id is_published \
    legacy_instagram_user_id media_count name owner_business profile_pic profile_picture_url \
    shopping_product_tag_eligibility shopping_review_status username website";
pub(crate) const MEDIA_FIELDS: &str = "alt_text boost_eligibility_info caption comments_count id ig_id is_comment_enabled \
    is_shared_to_feed legacy_instagram_media_id like_count media_product_type media_type media_url owner permalink \
    saved_count shares_count shortcode thumbnail_url timestamp username video_title view_count";

/// What is counted of a medium, each with its title. `impressions` is gone since v22.
const MEDIA_METRICS: &[(&str, &str)] = &[
    ("reach", "Reach"),
    ("likes", "Likes"),
    ("comments", "Comments"),
    ("saved", "Saved"),
    ("shares", "Shares"),
    ("views", "Views"),
    ("total_interactions", "Interactions"),
    ("profile_visits", "Profile visits"),
    ("follows", "Follows"),
];
const ACCOUNT_METRICS: &[(&str, &str)] = &[
    ("reach", "Reach"),
    ("views", "Views"),
    ("likes", "Likes"),
    ("comments", "Comments"),
    ("shares", "Shares"),
    ("total_interactions", "Interactions"),
    ("profile_views", "Profile views"),
    ("accounts_engaged", "Accounts engaged"),
    ("follower_count", "Followers"),
];
/// The longest span of an account's numbers.
const DAYS_MAX: i64 = 30;
const DAY: i64 = 86_400;

pub(crate) fn show(view: &View<'_>, account: &Object, name: &str) -> Option<Shown> {
    Some(match name {
        "media_count" => Shown::Value(json!(view.state.children(account.id, Kind::Media).count())),
        "followers_count" if !account.fields.contains_key(name) => {
            Shown::Value(json!(number(view.state, account.id, name, 10_000)))
        }
        "follows_count" => Shown::Value(json!(number(view.state, account.id, name, 500))),
        "owner_business" => {
            Shown::node(account.owner.filter(|&owner| view.state.of_kind(owner, Kind::Business).is_some()))
        }
        "ig_id" => Shown::Value(json!(account.id)),
        "legacy_instagram_user_id" => Shown::text(account.id.saturating_add(1_000_000).to_string()),
        "has_profile_pic" | "is_published" => Shown::Value(Value::Bool(true)),
        "profile_pic" | "profile_picture_url" => Shown::text(format!("https://cdn.example/ig/{}.jpg", account.id)),
        _ => return None,
    })
}

pub(crate) fn show_media(view: &View<'_>, media: &Object, name: &str) -> Option<Shown> {
    let owner = media.owner.and_then(|owner| view.state.object(owner));
    Some(match name {
        "timestamp" => Shown::text(super::businesses::utc(media.created)),
        "username" => owner.map_or(Shown::Absent, |owner| Shown::text(owner.text("username"))),
        "owner" => Shown::node(media.owner),
        "ig_id" => Shown::text(media.id.to_string()),
        "shortcode" => Shown::text(format!("S{}", media.id % 1_000_000)),
        "permalink" => Shown::text(format!("https://www.instagram.com/p/S{}/", media.id % 1_000_000)),
        "media_url" => Shown::text(format!("https://cdn.example/ig/{}.jpg", media.id)),
        "like_count" => Shown::Value(json!(number(view.state, media.id, "likes", 500))),
        "comments_count" => Shown::Value(json!(number(view.state, media.id, "comments", 50))),
        "is_comment_enabled" => Shown::Value(Value::Bool(true)),
        "boost_eligibility_info" => Shown::Value(json!({ "eligible_to_boost": true })),
        _ => return None,
    })
}

/// `POST /{page}/page_backed_instagram_accounts`: one per page, made at the first call.
pub(crate) fn back_by_page(state: &mut State, call: &Call, page: &Object) -> Result<Value, Refusal> {
    call.caller.needs("pages_manage_ads")?;
    let known = state.children(page.id, Kind::Instagram).next();
    let id = match known {
        Some(id) => id,
        None => {
            let fields = json!({ "username": page.name(), "name": page.name(), "followers_count": 0 });
            let mut account = Object::new(state.fresh_id(), Kind::Instagram, 0, call.now).with(fields);
            account.owner = Some(page.id);
            let id = account.id;
            write::keep(state, account);
            id
        }
    };
    Ok(json!({ "id": id.to_string() }))
}

/// `GET /{media}/insights`.
pub(crate) fn media_insights(state: &State, call: &Call, media: &Object) -> Result<Value, Refusal> {
    call.caller.needs("instagram_manage_insights")?;
    let mut rows = Vec::new();
    for (name, title) in metrics(call, MEDIA_METRICS)? {
        let ceiling = match name {
            "reach" | "views" => 5_000,
            "likes" | "total_interactions" => 500,
            _ => 50,
        };
        rows.push(json!({
            "name": name, "period": "lifetime", "title": title, "description": format!("{title} of this media."),
            "values": [{ "value": number(state, media.id, name, ceiling) }],
            "id": format!("{}/insights/{name}/lifetime", media.id),
        }));
    }
    Ok(json!({ "data": rows }))
}

/// `GET /{ig-user}/insights`: a number a day, or one for the whole span.
pub(crate) fn account_insights(state: &State, call: &Call, account: &Object) -> Result<Value, Refusal> {
    call.caller.needs("instagram_manage_insights")?;
    let metrics = metrics(call, ACCOUNT_METRICS)?;
    let period = call.params.text("period").ok_or_else(|| Refusal::required("period"))?;
    if !matches!(period.as_str(), "day" | "week" | "days_28" | "lifetime" | "total_over_range") {
        let message = "Param period must be one of {day, week, days_28, lifetime, total_over_range}";
        return Err(Refusal::invalid(message).blame(&["period"]));
    }
    let at = |name: &str| match call.params.raw(name) {
        None => Ok(None),
        Some(raw) => match spec::moment(state, 0, raw, call.now) {
            Some(at) => Ok(Some(at.as_second())),
            None => Err(Refusal::invalid(format!("Param {name} must be a date or a time")).blame(&[name])),
        },
    };
    let until = at("until")?.unwrap_or_else(|| call.now.as_second());
    let since = at("since")?.unwrap_or_else(|| until - 2 * DAY);
    if since > until {
        return Err(Refusal::invalid("Param since must be before until").blame(&["since"]));
    }
    if until - since > DAYS_MAX * DAY {
        let message = format!("There cannot be more than {DAYS_MAX} days between since and until");
        return Err(Refusal::invalid(message).blame(&["since"]));
    }
    let total = call.params.text("metric_type").is_some_and(|kind| kind == "total_value");
    let days: Vec<Timestamp> = (since.div_euclid(DAY)..until.div_euclid(DAY))
        .filter_map(|day| Timestamp::from_second(day * DAY).ok()?.checked_add(SignedDuration::from_hours(24)).ok())
        .collect();
    let rows = metrics.into_iter().map(|(name, title)| {
        let of = |end: &Timestamp| number(state, account.id, &format!("{name}:{}", end.as_second()), 1_000);
        let (key, value) = if total {
            ("total_value", json!({ "value": days.iter().map(of).sum::<u64>() }))
        } else {
            let values = days.iter().map(|end| json!({ "value": of(end), "end_time": super::businesses::utc(*end) }));
            ("values", values.collect())
        };
        let row = json!({
            "name": name, "period": period, "title": title, "description": format!("{title} of this account."),
            "id": format!("{}/insights/{name}/{period}", account.id), key: value,
        });
        row
    });
    Ok(json!({ "data": rows.collect::<Vec<_>>() }))
}

/// The metrics that were asked for. Fails for one that there is not.
fn metrics(call: &Call, known: &'static [(&str, &str)]) -> Result<Vec<(&'static str, &'static str)>, Refusal> {
    let words = call.params.words("metric")?.filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| Refusal::required("metric"))?;
    let all = words.iter().enumerate().map(|(at, word)| {
        known.iter().find(|(name, _)| name == word).copied().ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let message = format!("metric[{at}] must be one of the following values: {}", names.join(", "));
            Refusal::invalid(message).blame(&["metric"])
        })
    });
    all.collect()
}

/// A number that stays the same for the same thing.
fn number(state: &State, id: u64, name: &str, ceiling: u64) -> u64 {
    let digest = sealed(&format!("{}:{id}:{name}", state.seed));
    let number = digest.get(..8).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default();
    number % ceiling.max(1)
}
