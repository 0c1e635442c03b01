use std::collections::BTreeMap;

use proto::campaigns::v1::{
    AdSet, BidStrategy, Campaign, GeoLocations, Objective, Status, Targeting, TargetingAutomation,
};
use serde_json::json;

use super::{CodecError, Mode, decode, encode};

const CAMPAIGN: &str = "adplane.campaigns.v1.Campaign";
const AD_SET: &str = "adplane.campaigns.v1.AdSet";

fn lines(form: Vec<(String, String)>) -> String {
    form.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
}

fn campaign() -> Campaign {
    Campaign {
        resource_name: "adAccounts/act_1/campaigns/2".to_owned(),
        etag: "7".to_owned(),
        temporary_id: Some("-1".to_owned()),
        name: Some("Summer".to_owned()),
        objective: Objective::OutcomeSales.into(),
        status: Status::Paused.into(),
        bid_strategy: BidStrategy::LowestCostWithoutCap.into(),
        daily_budget: Some(10_000),
        is_adset_budget_sharing_enabled: Some(false),
        stop_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        ..Campaign::default()
    }
}

#[test]
fn a_create_sends_what_is_set_under_metas_words() {
    let form = encode(&campaign(), CAMPAIGN, Mode::Create).unwrap();
    assert_eq!(
        lines(form),
        "name=Summer\nobjective=OUTCOME_SALES\nstatus=PAUSED\nbid_strategy=LOWEST_COST_WITHOUT_CAP\n\
         daily_budget=10000\nis_adset_budget_sharing_enabled=false\nstop_time=2027-01-15T08:00:00+0000"
    );
}

#[test]
fn an_update_sends_what_the_mask_names_and_clears_what_is_unset() {
    let mask = ["name", "stop_time"].map(str::to_owned);
    let unset = Campaign { stop_time: None, ..campaign() };
    assert_eq!(lines(encode(&unset, CAMPAIGN, Mode::Update(&mask)).unwrap()), "name=Summer\nstop_time=0");
}

#[test]
fn a_mask_that_cannot_be_kept_says_why() {
    let refused =
        |path: &str, message: &Campaign| encode(message, CAMPAIGN, Mode::Update(&[path.to_owned()])).unwrap_err();
    assert!(
        matches!(refused("promoted_object.pixel_id", &campaign()), CodecError::Mask { reason, .. } if reason.contains("`promoted_object`"))
    );
    assert!(matches!(refused("objective", &campaign()), CodecError::Mask { .. }));
    assert!(matches!(refused("colour", &campaign()), CodecError::Mask { .. }));
    let unset = Campaign { daily_budget: None, ..campaign() };
    assert!(matches!(refused("daily_budget", &unset), CodecError::NotClearable { field } if field == "daily_budget"));
}

#[test]
fn nested_messages_are_json_text_with_numbers_as_meta_writes_them() {
    let set = AdSet {
        bid_amount: Some(250),
        targeting: Some(Targeting {
            geo_locations: Some(GeoLocations { countries: vec!["DE".to_owned()], ..GeoLocations::default() }),
            age_min: Some(25),
            targeting_automation: Some(TargetingAutomation { advantage_audience: Some(0), ..Default::default() }),
            extra: BTreeMap::from([("brand_safety".to_owned(), r#"{"level":"FULL"}"#.to_owned())]),
            ..Targeting::default()
        }),
        ..AdSet::default()
    };
    let form = encode(&set, AD_SET, Mode::Create).unwrap();
    assert_eq!(
        lines(form),
        "bid_amount=250\ntargeting={\"age_min\":25,\"brand_safety\":{\"level\":\"FULL\"},\
         \"geo_locations\":{\"countries\":[\"DE\"]},\"targeting_automation\":{\"advantage_audience\":0}}"
    );
}

#[test]
fn extra_cannot_go_round_a_typed_field_or_a_guardrail() {
    let with = |key: &str, value: &str| {
        let extra = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        encode(&Campaign { extra, ..campaign() }, CAMPAIGN, Mode::Create)
    };
    for (key, value, expected) in [
        ("daily_budget", "1", "EXTRA_IS_TYPED"),
        ("bid_amount", "1", "EXTRA_IS_GUARDED"),
        ("iterative_split_test_configs", "[{", "EXTRA_IS_NO_JSON"),
    ] {
        assert!(matches!(with(key, value), Err(CodecError::Field { rule, .. }) if rule == expected), "{key}");
    }
    assert!(lines(with("source_campaign_id", "\"12\"").unwrap()).ends_with("source_campaign_id=12"));
}

#[test]
fn what_meta_says_is_read_whatever_its_type() {
    let read: Campaign = decode(
        CAMPAIGN,
        &json!({
            "id": 120_210_000_000_000_123_u64, "name": "Summer", "objective": "OUTCOME_SALES", "status": "PAUSED",
            "daily_budget": "10000", "lifetime_budget": "0", "special_ad_categories": ["HOUSING"],
            "created_time": "2026-11-01T10:00:00-0700", "advantage_state_info": {"advantage_state": "DISABLED"},
        }),
    )
    .unwrap();
    assert_eq!(read.id.as_deref(), Some("120210000000000123"));
    assert_eq!((read.daily_budget, read.lifetime_budget), (Some(10_000), None));
    assert_eq!(read.objective(), Objective::OutcomeSales);
    assert_eq!(read.created_time.unwrap().seconds, 1_793_552_400);
    assert_eq!(read.extra["advantage_state_info"], r#"{"advantage_state":"DISABLED"}"#);
}

#[test]
fn a_word_that_we_do_not_know_survives_in_extra() {
    let read: Campaign = decode(CAMPAIGN, &json!({"objective": "OUTCOME_TELEPATHY", "name": "Odd"})).unwrap();
    assert_eq!(read.objective(), Objective::Unspecified);
    assert_eq!(read.extra["objective"], "\"OUTCOME_TELEPATHY\"");
}

#[test]
fn only_an_object_can_be_read() {
    assert!(matches!(decode::<Campaign>(CAMPAIGN, &json!([1])), Err(CodecError::NotAnObject)));
}
