use super::*;
use crate::options::Tier;
use crate::state::{ACCOUNTS, Source};
use serde_json::{Value, json};

const QUIET: Outcome = Outcome { size: 0, mistaken: false };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn development() -> State {
    let mut state = State::new(&Source::Small, 1, at(0));
    state.settings.limits.tier = Tier::Development;
    state
}

fn reading(buckets: &[Bucket]) -> Charge {
    Charge { buckets: buckets.to_vec(), writes: false }
}

/// A read of an account without active ads.
fn management() -> Charge {
    reading(&[Bucket::UseCase(UseCase::AdsManagement, ACCOUNTS[1])])
}

fn insights() -> Charge {
    let account = ACCOUNTS[1];
    reading(&[Bucket::UseCase(UseCase::AdsInsights, account), Bucket::InsightsAccount(account), Bucket::InsightsApp])
}

fn script(value: Value) -> Script {
    serde_json::from_value(value).unwrap()
}

fn header(headers: &[Header], name: &str) -> Value {
    let (_, text) = headers.iter().find(|(other, _)| *other == name).unwrap_or_else(|| panic!("no {name}"));
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_development_tier_ends_at_its_formula_and_opens_again_after_an_hour() {
    let state = development();
    let mut usage = Usage::default();
    for _ in 0..300 {
        assert!(usage.admit(&state, &management(), at(0)).is_ok());
        usage.settle(&management(), QUIET, at(0));
    }
    assert_eq!(usage.admit(&state, &management(), at(10)).unwrap_err().code(), 80_004);
    let row = &header(&usage.headers(&state, &management(), at(10)), "x-business-use-case-usage")["1000000000002"][0];
    assert_eq!(row["call_count"], 100);
    assert_eq!(row["estimated_time_to_regain_access"], 60);
    assert!(row["total_cputime"].as_u64().unwrap() < row["total_time"].as_u64().unwrap());
    assert!(usage.admit(&state, &management(), at(3_601)).is_ok());
}

#[test]
fn a_refused_call_is_counted_only_on_demand() {
    let mut state = development();
    for (counts, calls) in [(false, 300), (true, 302)] {
        state.settings.limits.refused_calls_count = counts;
        let mut usage = Usage::default();
        usage
            .play(
                &state,
                &script(json!({ "account": "act_1000000000002", "use_case": "ads_management", "calls": 300 })),
                at(0),
            )
            .unwrap();
        for _ in 0..2 {
            assert!(usage.admit(&state, &management(), at(0)).is_err());
        }
        assert_eq!(usage.report(&state, at(0))[0]["calls"], calls);
    }
}

#[test]
fn a_thousand_mistakes_take_one_call_from_the_limit_of_insights() {
    let state = development();
    let mut usage = Usage::default();
    let others = json!({ "account": "act_1000000000002", "use_case": "ads_insights", "calls": 599 });
    usage.play(&state, &script(others), at(0)).unwrap();
    usage.settle(&insights(), Outcome { size: 0, mistaken: true }, at(0));
    assert!(usage.admit(&state, &insights(), at(0)).is_ok(), "599 is below 599.999");
    let mut usage = Usage::default();
    let others = json!({ "account": "act_1000000000002", "use_case": "ads_insights", "calls": 599 });
    usage.play(&state, &script(others), at(0)).unwrap();
    for _ in 0..1_000 {
        usage.settle(&insights(), Outcome { size: 0, mistaken: true }, at(0));
    }
    assert_eq!(usage.admit(&state, &insights(), at(0)).unwrap_err().code(), 80_000);
}

#[test]
fn much_that_is_read_fills_a_limit_before_its_calls_do() {
    let state = development();
    let mut usage = Usage::default();
    let mut calls = 0;
    while usage.admit(&state, &management(), at(0)).is_ok() {
        usage.settle(&management(), Outcome { size: 40_000, mistaken: false }, at(0));
        calls += 1;
    }
    assert!((10..100).contains(&calls), "{calls}");
    let row = &header(&usage.headers(&state, &management(), at(0)), "x-business-use-case-usage")["1000000000002"][0];
    assert!(row["call_count"].as_u64().unwrap() < 50 && row["total_time"].as_u64().unwrap() >= 100, "{row}");
}

#[test]
fn the_score_of_an_account_refuses_only_where_it_is_set_to() {
    let mut state = development();
    state.settings.limits.score_refuses = true;
    let write = Charge { writes: true, ..management() };
    let mut usage = Usage::default();
    for _ in 0..20 {
        assert!(usage.admit(&state, &write, at(0)).is_ok());
    }
    let refused = usage.admit(&state, &write, at(1)).unwrap_err();
    assert_eq!((refused.code(), usage.headers(&state, &write, at(1)).len()), (17, 2));
    let score = header(&usage.headers(&state, &write, at(1)), "x-ad-account-usage");
    assert_eq!((score["acc_id_util_pct"].clone(), score["reset_time_duration"].clone()), (json!(100.0), json!(300)));
    state.settings.limits.score_code = 613;
    assert_eq!(usage.admit(&state, &write, at(1)).unwrap_err().code(), 613);
    state.settings.limits.score_refuses = false;
    assert!(usage.admit(&state, &write, at(1)).is_ok());
}

#[test]
fn several_things_stand_in_one_header_and_no_more_than_its_most() {
    let state = development();
    let buckets: Vec<Bucket> = (1..=40).map(|id| Bucket::UseCase(UseCase::Pages, id)).collect();
    let charge = reading(&buckets);
    let mut usage = Usage::default();
    usage.admit(&state, &charge, at(0)).unwrap();
    let text = header(&usage.headers(&state, &charge, at(0)), "x-business-use-case-usage");
    assert_eq!(text.as_object().unwrap().len(), 32);
}

#[test]
fn the_other_use_cases_of_an_account_are_told_too() {
    let state = development();
    let mut usage = Usage::default();
    usage.admit(&state, &management(), at(0)).unwrap();
    usage.admit(&state, &insights(), at(0)).unwrap();
    let text = header(&usage.headers(&state, &insights(), at(0)), "x-business-use-case-usage");
    let types: Vec<&str> =
        text["1000000000002"].as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["ads_insights", "ads_management"]);
}
