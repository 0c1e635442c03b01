//! Which breakdowns go together, and with which metrics.

use graph::insights::{Level, words};
use proto::insights::v1 as pb;

use super::findings::{Findings, retired, unknown};

const BREAKDOWNS_MAX: usize = 4;

pub(super) fn check(query: &pb::Query, level: Option<Level>, findings: &mut Findings) {
    findings.at_most("breakdowns", BREAKDOWNS_MAX, query.breakdowns.len());
    findings.at_most("action_breakdowns", BREAKDOWNS_MAX, query.action_breakdowns.len());
    let known = known(query, findings);
    if known && !permitted(&query.breakdowns, &query.action_breakdowns) {
        findings.add("breakdowns", "BREAKDOWN_SET", refusal(query));
    }
    if level == Some(Level::Account) {
        account_level(query, findings);
    }
    metrics(query, findings);
}

fn known(query: &pb::Query, findings: &mut Findings) -> bool {
    let mut all_known = true;
    for (index, word) in query.breakdowns.iter().enumerate() {
        if words::BREAKDOWNS.contains(&word.as_str()) {
            continue;
        }
        all_known = false;
        let path = format!("breakdowns[{index}]");
        match retired(word, words::BREAKDOWNS_RETIRED) {
            Some(gone) => findings.add(&path, "RETIRED_BREAKDOWN", gone),
            None if words::ACTION_BREAKDOWNS.contains(&word.as_str()) => {
                findings.add(&path, "ACTION_BREAKDOWN", format!("`{word}` belongs into `action_breakdowns`"));
            }
            None => findings.add(&path, "UNKNOWN_BREAKDOWN", unknown(word, words::BREAKDOWNS.iter().copied())),
        }
    }
    for (index, word) in query.action_breakdowns.iter().enumerate() {
        if !words::ACTION_BREAKDOWNS.contains(&word.as_str()) {
            all_known = false;
            let text = unknown(word, words::ACTION_BREAKDOWNS.iter().copied());
            findings.add(&format!("action_breakdowns[{index}]"), "UNKNOWN_ACTION_BREAKDOWN", text);
        }
    }
    all_known
}

/// Whether Meta answers this combination.
pub(super) fn permitted(breakdowns: &[String], action_breakdowns: &[String]) -> bool {
    let mut all: Vec<&str> = breakdowns.iter().chain(action_breakdowns).map(String::as_str).collect();
    all.sort_unstable();
    all.dedup();
    let rest: Vec<&str> = all.iter().copied().filter(|word| !words::ACTION_ANYWHERE.contains(word)).collect();
    let listed = |set: &[&str], open: bool| words::PERMITTED.iter().any(|row| row.0 == set && (row.1 || !open));
    listed(&all, false) || listed(&rest, true) || with_asset(&rest) || alone(&rest)
}

/// An asset goes alone, or with age and gender.
fn with_asset(set: &[&str]) -> bool {
    let (assets, others): (Vec<&str>, Vec<&str>) = set.iter().partition(|word| words::ASSETS.contains(word));
    assets.len() == 1 && others.iter().all(|word| matches!(*word, "age" | "gender"))
}

/// A word that Meta's table of combinations does not name goes alone.
fn alone(set: &[&str]) -> bool {
    match set {
        [word] => !words::PERMITTED.iter().any(|row| row.0.contains(word)),
        _ => false,
    }
}

fn refusal(query: &pb::Query) -> String {
    let all: Vec<&str> = query.breakdowns.iter().chain(&query.action_breakdowns).map(String::as_str).collect();
    let with_first: Vec<String> = words::PERMITTED
        .iter()
        .filter(|row| row.0.len() > 1 && all.first().is_some_and(|first| row.0.contains(first)))
        .map(|row| row.0.join(" + "))
        .take(8)
        .collect();
    let asked = all.join(" + ");
    match (all.first(), with_first.as_slice()) {
        (Some(first), []) => format!("Meta does not split by {asked} at once; `{first}` goes alone: make two reports"),
        _ => format!("Meta does not split by {asked} at once; it does by {}", with_first.join(", or ")),
    }
}

fn account_level(query: &pb::Query, findings: &mut Findings) {
    for (index, word) in query.breakdowns.iter().enumerate() {
        if matches!(word.as_str(), "place_page_id" | "image_asset" | "video_asset") {
            let text = format!("Meta does not split accounts by `{word}`; take a lower level");
            findings.add(&format!("breakdowns[{index}]"), "BREAKDOWN_LEVEL", text);
        }
    }
}

/// Metrics that Meta leaves out of a split answer, which looks like zero.
fn metrics(query: &pb::Query, findings: &mut Findings) {
    let split_by = |test: fn(&str) -> bool| query.breakdowns.iter().find(|word| test(word));
    let asset = split_by(|word| words::ASSETS.contains(&word));
    let hourly = split_by(|word| words::HOURLY.contains(&word));
    let region = split_by(|word| word == "region");
    for (index, field) in query.fields.iter().enumerate() {
        let field = field.as_str();
        if words::ALWAYS.contains(&field) {
            continue;
        }
        let lost_with = [
            asset.filter(|_| !words::ASSET_METRICS.contains(&field)),
            hourly.filter(|_| words::counts_people(field) || field.starts_with("video_")),
            region.filter(|_| field == "video_avg_time_watched_actions" || is_video_part(field)),
        ];
        if let Some(breakdown) = lost_with.into_iter().flatten().next() {
            let text = format!("Meta gives no `{field}` when split by `{breakdown}`");
            findings.add(&format!("fields[{index}]"), "FIELD_AND_BREAKDOWN", text);
        }
    }
}

/// The metrics of how far a video was watched: `video_p25_watched_actions` to `video_p100_watched_actions`.
fn is_video_part(field: &str) -> bool {
    field.strip_prefix("video_p").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(breakdowns: &[&str], action_breakdowns: &[&str]) -> bool {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        permitted(&owned(breakdowns), &owned(action_breakdowns))
    }

    #[test]
    fn sets_that_meta_lists_are_permitted_in_any_order() {
        assert!(may(&[], &[]));
        assert!(may(&["gender", "age"], &[]));
        assert!(may(&["gender", "age"], &["action_type", "action_destination"]));
        assert!(may(&["platform_position", "publisher_platform", "impression_device"], &["action_device"]));
        assert!(may(&[], &["action_type", "action_reaction"]));
        assert!(may(&["image_asset", "age", "gender"], &["action_type"]));
        assert!(may(&["media_type"], &[]));
        assert!(may(&[], &["action_video_type"]));
    }

    #[test]
    fn other_sets_are_refused() {
        assert!(!may(&["age", "region"], &[]));
        assert!(!may(&["country", "region"], &[]));
        assert!(!may(&["platform_position"], &[]), "needs its publisher");
        assert!(!may(&["age"], &["action_device"]));
        assert!(!may(&["image_asset", "video_asset"], &[]));
        assert!(!may(&["image_asset", "country"], &[]));
        assert!(!may(&["media_type", "age"], &[]));
        assert!(!may(&["age"], &["action_carousel_card_id", "action_type"]));
    }

    #[test]
    fn a_refusal_names_what_would_go() {
        let query = pb::Query { breakdowns: vec!["age".into(), "region".into()], ..Default::default() };
        assert!(refusal(&query).contains("age + gender"), "{}", refusal(&query));
    }

    #[test]
    fn metrics_that_a_split_loses_are_refused() {
        let found = |fields: &[&str], breakdown: &str| {
            let mut findings = Findings::default();
            let query = pb::Query {
                fields: fields.iter().map(|field| (*field).to_owned()).collect(),
                breakdowns: vec![breakdown.to_owned()],
                ..Default::default()
            };
            check(&query, Some(Level::Ad), &mut findings);
            findings.into_list().len()
        };
        assert_eq!(found(&["reach", "unique_clicks", "spend"], words::HOURLY[0]), 2);
        assert_eq!(found(&["cpm", "actions", "ad_id"], "image_asset"), 1);
        assert_eq!(found(&["video_p25_watched_actions", "video_play_actions"], "region"), 1);
        assert_eq!(found(&["reach", "cpm"], "age"), 0);
    }
}
