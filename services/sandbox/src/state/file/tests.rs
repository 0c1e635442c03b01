use super::*;
use crate::state::{ACCOUNTS, Kind, Source, State, effective};
use jiff::Timestamp;
use serde_json::json;

fn now() -> Timestamp {
    "2026-11-15T20:30:00Z".parse().unwrap()
}

fn world(value: &Value) -> State {
    State::new(&Source::Written(Box::new(Plan::read(value).unwrap())), 1, now())
}

#[test]
fn what_is_written_is_there() {
    let state = world(&json!({
        "accounts": [{
            "id": "act_777", "name": "Tents", "currency": "JPY", "zone": "Asia/Tokyo",
            "campaigns": [{ "name": "Sale", "count": 2, "status": "PAUSED", "ad_sets": [{ "ads": [
                { "name": "A", "creative": "Same", "days": [{ "from": -3, "to": -1, "spend": 500 }] },
                { "name": "B", "creative": "Same", "review": "DISAPPROVED" },
            ] }] }],
            "audiences": [{ "name": "Buyers", "people": 12 }],
        }],
        "pages": [{ "id": "3000000000000777", "name": "Tents" }],
    }));
    let names = |kind| -> Vec<String> {
        state.children(777, kind).filter_map(|id| state.object(id)).map(|it| it.name().to_owned()).collect()
    };
    assert_eq!(names(Kind::Campaign), ["Sale 1", "Sale 2"]);
    assert_eq!(names(Kind::Ad), ["A", "B", "A", "B"]);
    assert_eq!(names(Kind::Creative), ["Same"]);
    let ads: Vec<&str> = state
        .children(777, Kind::Ad)
        .filter_map(|id| state.object(id))
        .map(|ad| effective(&state, ad, now()))
        .collect();
    assert_eq!(ads, ["CAMPAIGN_PAUSED", "DISAPPROVED", "CAMPAIGN_PAUSED", "DISAPPROVED"]);
    let audience = state.children(777, Kind::Audience).next().unwrap();
    assert_eq!(state.member_count(audience), 12);
    assert!(state.of_kind(3_000_000_000_000_777, Kind::Page).is_some());
    assert!(state.of_kind(ACCOUNTS[0], Kind::AdAccount).is_some(), "every world has these");
}

#[test]
fn all_faults_are_told_at_once_with_their_paths() {
    let faults = Plan::read(&json!({
        "acounts": [],
        "accounts": [
            { "id": "x", "currency": "euro", "zone": "Berlin" },
            { "id": "5", "campaigns": [{ "objective": "SALES", "daily_budget": 100, "ad_sets": [{ "daily_budget": 5 }] }] },
            { "id": 5, "ceilings": { "adz": 1 } },
        ],
        "tokens": [{ "expires": "soon", "scopes": "ads_read" }],
    }))
    .unwrap_err();
    for path in [
        "acounts: is not known here",
        "accounts[0].id: must be an id",
        "accounts[0].currency:",
        "accounts[0].zone:",
        "accounts[1].campaigns[0].objective: \"SALES\" is none of",
        "accounts[1].campaigns[0].ad_sets[0].daily_budget: stands on the campaign",
        "accounts[2].ceilings: unknown field `adz`",
        "accounts[2].id: 5 is there already",
        "tokens[0].token: is needed",
        "tokens[0].expires: must be a time",
        "tokens[0].scopes: must be a list",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(path)), "{path} is not in {faults:#?}");
    }
}

#[test]
fn toml_and_json_say_the_same_and_no_token_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        parse(&path).unwrap()
    };
    let toml =
        kept("world.toml", "[[tokens]]\ntoken = \"secret\"\nscopes = [\"ads_read\"]\nexpires = 2026-12-01T00:00:00Z\n");
    let json =
        kept("world.json", r#"{"tokens":[{"token":"secret","scopes":["ads_read"],"expires":"2026-12-01T00:00:00Z"}]}"#);
    assert_eq!(toml, json);
    assert!(!toml.to_string().contains("secret"));
    assert!(world(&toml).token(&crate::state::sealed("secret")).is_some());
}

/// The TOML between the fences of a page.
fn fenced(page: &str) -> Value {
    let page = page.lines().map(|line| line.trim_start_matches("//!")).collect::<Vec<_>>().join("\n");
    let block = page.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut value = tree(toml::Value::Table(block.parse().unwrap()));
    seal(&mut value);
    value
}

#[test]
fn the_worlds_that_are_shown_to_readers_are_worlds() {
    for page in [include_str!("mod.rs"), include_str!("../../../README.md")] {
        let value = fenced(page);
        let state = world(&value);
        let id = value["accounts"][0]["id"].as_str().unwrap().trim_start_matches("act_").parse().unwrap();
        assert_eq!(state.children(id, Kind::Campaign).count(), 3);
        assert_eq!(state.children(id, Kind::Ad).count(), 3);
    }
}
