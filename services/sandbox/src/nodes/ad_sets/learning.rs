//! How far delivery has learnt: by the results of the week since the last significant edit (Meta, "Learning phase").

use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Map, Value, json};

use crate::fields::Field;
use crate::insights;
use crate::nodes::budgets;
use crate::params::Params;
use crate::render::View;
use crate::state::{Kind, Object, day};

/// Where an ad set, and an ad whose creative was changed, keeps the second of its last significant edit.
pub(crate) const EDITED: &str = "_edited";
/// Results within a week that end the learning.
const RESULTS: i64 = 50;
const WEEK_HOURS: i64 = 7 * 24;
/// A change of any of these lets learning begin anew.
const SIGNIFICANT: &[&str] =
    &["bid_amount", "bid_constraints", "bid_strategy", "optimization_goal", "promoted_object", "targeting"];
/// A budget that changes by more than this counts as well; Meta names no number.
const BUDGET_PERCENT: i64 = 20;

/// Whether an edit lets learning begin anew.
pub(super) fn is_significant(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let moved = |name: &str| {
        let amounts = budgets::given(old, name).zip(budgets::given(new, name));
        amounts.is_some_and(|(old, new)| (new - old).abs().saturating_mul(100) > old.saturating_mul(BUDGET_PERCENT))
    };
    SIGNIFICANT.iter().any(|name| old.get(*name) != new.get(*name)) || moved("daily_budget") || moved("lifetime_budget")
}

/// `learning_stage_info`.
pub(super) fn shown(view: &View<'_>, ad_set: &Object) -> Value {
    let ads: Vec<&Object> = view.state.children(ad_set.id, Kind::Ad).filter_map(|id| view.state.object(id)).collect();
    let edits = ads.iter().copied().chain([ad_set]).filter_map(edit);
    let edited = edits.fold(ad_set.created, Timestamp::max);
    let since = day(view.state, ad_set.account, edited);
    let delivered = ads.iter().flat_map(|ad| &ad.spans).any(|span| span.to.is_none_or(|to| to >= since));
    let results = if delivered { results(view, ad_set, edited).unwrap_or_default() } else { 0 };
    let is_over = view.now.duration_since(edited) >= SignedDuration::from_hours(WEEK_HOURS);
    let status = match results >= RESULTS {
        true => "SUCCESS",
        false if is_over && delivered => "FAIL",
        false => "LEARNING",
    };
    json!({
        "status": status,
        "conversions": results,
        "attribution_windows": ["1d", "7d"],
        "last_sig_edit_ts": edited.as_second(),
    })
}

fn edit(object: &Object) -> Option<Timestamp> {
    object.fields.get(EDITED).and_then(Value::as_i64).and_then(|second| Timestamp::from_second(second).ok())
}

/// What the ad set is optimized for, counted over the week that began with the edit.
fn results(view: &View<'_>, ad_set: &Object, edited: Timestamp) -> Option<i64> {
    let since = day(view.state, ad_set.account, edited);
    let until = since.checked_add(6.days()).ok()?.min(day(view.state, ad_set.account, view.now));
    let mut params = Params::default();
    params.put("time_range", json!({ "since": since.to_string(), "until": until.to_string() }));
    let rows = insights::nested(view, ad_set, &params, Some(&[Field::plain("results")])).ok()?;
    let results = rows.pointer("/data/0/results")?.as_array()?;
    let count = |result: &Value| result.pointer("/values/0/value")?.as_str()?.parse::<i64>().ok();
    Some(results.iter().filter_map(count).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ACCOUNTS, Change, Source, State};
    use crate::version::Version;

    fn learnt(state: &State, ad_set: &Object, now: Timestamp) -> Value {
        shown(
            &View { state, now, version: Version(26), base: "http://h", token: "TOK", thumbnail: (None, None) },
            ad_set,
        )
    }

    #[test]
    fn learning_ends_with_enough_results_or_with_the_week_and_begins_anew_with_an_edit() {
        let now: Timestamp = "2026-11-15T20:30:00Z".parse().unwrap();
        let mut state = State::new(&Source::Small, 1, now);
        let mut ad_sets = state.children(ACCOUNTS[0], Kind::AdSet).filter_map(|id| state.object(id));
        let reader = ad_sets.find(|ad_set| ad_set.name() == "Readers US and CA").cloned().unwrap();
        drop(ad_sets);
        let full = learnt(&state, &reader, now);
        assert_eq!(full["status"], "SUCCESS", "link clicks come quickly: {full}");
        assert!(full["conversions"].as_i64().unwrap() >= RESULTS);
        for ad in state.children(reader.id, Kind::Ad).collect::<Vec<_>>() {
            let mut ad = state.object(ad).cloned().unwrap();
            ad.spans.iter_mut().for_each(|span| span.daily_minor = 10);
            state.commit(Change::Put(Box::new(ad)));
        }
        for (days, status) in [(1, "LEARNING"), (6, "LEARNING"), (7, "FAIL"), (30, "FAIL")] {
            let edited = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap();
            let few = reader.clone().with(json!({ EDITED: edited.as_second() }));
            let told = learnt(&state, &few, now);
            assert_eq!((&told["status"], &told["last_sig_edit_ts"]), (&json!(status), &json!(edited.as_second())));
        }
    }

    #[test]
    fn an_edit_is_significant_by_what_it_changes() {
        let fields = |value: Value| value.as_object().cloned().unwrap();
        let old = fields(json!({ "name": "A", "daily_budget": "1000", "targeting": { "age_min": 18 } }));
        for (change, significant) in [
            (json!({ "name": "B" }), false),
            (json!({ "daily_budget": "1200" }), false),
            (json!({ "daily_budget": "1201" }), true),
            (json!({ "daily_budget": "700" }), true),
            (json!({ "targeting": { "age_min": 21 } }), true),
            (json!({ "bid_amount": 5 }), true),
        ] {
            let mut new = old.clone();
            new.extend(fields(change.clone()));
            assert_eq!(is_significant(&old, &new), significant, "{change}");
        }
    }
}
