use serde_json::json;

use super::*;
use crate::params::Params;
use crate::route::Verb;

const NOW: &str = "2026-11-15T20:30:00Z";

fn faults(rule: Value) -> Faults {
    let mut faults = Faults::new(7);
    for rule in read_rules(rule).unwrap() {
        faults.add(rule);
    }
    faults
}

fn asked<'a>(method: &'a str, path: &'a str, params: &'a Params) -> Asked<'a> {
    let (version, parts) = Version::split(path);
    let version = version.unwrap_or(Version(22));
    let verb = if method == "POST" { Verb::Post } else { Verb::Get };
    Asked {
        method,
        verb,
        path,
        version,
        parts,
        params,
        token: Some("TOKEN-1234".to_owned()),
        holder: None,
        account: Some(1),
        kind: None,
        is_item: false,
        is_batch: false,
        now: NOW.parse().unwrap(),
    }
}

fn struck(faults: &mut Faults, method: &str, path: &str) -> bool {
    let params = Params::default();
    !faults.strike(|| asked(method, path, &params)).rules.is_empty()
}

#[test]
fn the_nth_matching_call_is_struck_once() {
    let mut faults = faults(json!({
        "matcher": { "method": "POST", "path": "/campaigns", "nth": 2 }, "action": { "http": { "status": 500 } },
    }));
    assert!(!struck(&mut faults, "GET", "/v26.0/act_1/campaigns"));
    assert!(!struck(&mut faults, "POST", "/v26.0/act_1/campaigns"));
    assert!(struck(&mut faults, "POST", "/v26.0/act_1/campaigns"));
    assert!(!struck(&mut faults, "POST", "/v26.0/act_1/campaigns"));
}

#[test]
fn every_second_call_is_struck_until_the_count_is_spent() {
    let mut faults = faults(json!({ "matcher": { "every": 2 }, "action": "drop", "count": 2 }));
    let seen: Vec<bool> = (0..8).map(|_| struck(&mut faults, "GET", "/me")).collect();
    assert_eq!(seen, [false, true, false, true, false, false, false, false]);
    let shown = faults.shown();
    assert_eq!((&shown[0]["matched"], &shown[0]["hits"]), (&json!(4), &json!(2)));
}

#[test]
fn the_dice_fall_alike_in_every_run_and_about_as_often_as_they_should() {
    let rule = json!({ "matcher": { "probability": 0.25 }, "action": "drop" });
    let run = || {
        let mut faults = faults(rule.clone());
        (0..1_000).map(|_| struck(&mut faults, "GET", "/me")).collect::<Vec<bool>>()
    };
    let first = run();
    assert_eq!(first, run());
    let hits = first.iter().filter(|struck| **struck).count();
    assert!((200..300).contains(&hits), "{hits}");
    for (probability, expected) in [(0.0, false), (1.0, true)] {
        let mut faults = faults(json!({ "matcher": { "probability": probability }, "action": "drop" }));
        assert!((0..100).all(|_| struck(&mut faults, "GET", "/me") == expected));
    }
}

#[test]
fn account_token_and_time_must_fit() {
    for (matcher, fits) in [
        (json!({ "account": "act_1" }), true),
        (json!({ "account": "1" }), true),
        (json!({ "account": "act_2" }), false),
        (json!({ "token": "1234" }), true),
        (json!({ "token": "9999" }), false),
        (json!({ "token": "user" }), false),
        (json!({ "item": false }), true),
        (json!({ "item": true }), false),
        (json!({ "after": NOW }), true),
        (json!({ "until": NOW }), false),
        (json!({ "method": "post" }), false),
        (json!({ "method": "get" }), true),
    ] {
        let mut faults = faults(json!({ "matcher": matcher, "action": "drop" }));
        assert_eq!(struck(&mut faults, "GET", "/v26.0/act_1/ads"), fits, "{matcher}");
    }
}

#[test]
fn what_changes_a_call_comes_on_top_until_something_ends_it() {
    let mut faults = faults(json!([
        { "action": "ids_as_numbers" }, { "action": { "slow": { "milliseconds": 1 } } },
        { "action": { "error": { "code": 2 } } }, { "action": "cut_body" },
    ]));
    let params = Params::default();
    let struck = faults.strike(|| asked("GET", "/me", &params));
    assert_eq!(struck.rules, [1, 2, 3]);
    assert_eq!((struck.shaping.len(), struck.refusal().unwrap().code()), (2, 2));
}

#[test]
fn a_removed_version_stays_away_until_its_rule_does() {
    let mut faults = faults(json!({ "action": { "removed_version": { "version": "v25.0" } } }));
    assert!(!struck(&mut faults, "GET", "/v26.0/me"));
    assert!(struck(&mut faults, "GET", "/v25.0/me") && struck(&mut faults, "GET", "/v25.0/me"));
    assert!(!struck(&mut faults, "GET", "/v26.0/me"));
    assert!(faults.remove(1) && !faults.remove(1));
    assert!(!struck(&mut faults, "GET", "/v25.0/me"));
}
