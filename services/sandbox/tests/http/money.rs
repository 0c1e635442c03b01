//! Budgets that must not be lost, caps that must not be too low, and what is left of them.

use crate::server::{ACT, Server, ad_set_form, campaign_form};
use serde_json::{Value, json};

async fn read(server: &Server, id: &str, fields: &str) -> Value {
    server.get(&format!("{id}?fields={fields}")).await.body
}

/// A campaign with a budget, and an ad set in it.
async fn with_budget(server: &Server) -> [String; 2] {
    let mut form = campaign_form("C").to_vec();
    form.extend([("daily_budget", "5000")]);
    let campaign = server.post(&format!("{ACT}/campaigns"), &form).await.id();
    let mut form = ad_set_form(&campaign).to_vec();
    form.retain(|(name, _)| *name != "daily_budget");
    let ad_set = server.post(&format!("{ACT}/adsets"), &form).await.id();
    [campaign, ad_set]
}

#[tokio::test]
async fn nothing_is_left_without_a_budget() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let ad_set = server.ad_set(&campaign).await;
    assert_eq!(server.post(&ad_set, &[("daily_budget", "0")]).await.subcode(), 1_885_621);
    assert_eq!(read(&server, &ad_set, "daily_budget").await["daily_budget"], "5000");
    let [campaign, ad_set] = with_budget(&server).await;
    assert_eq!(server.post(&campaign, &[("daily_budget", "0")]).await.subcode(), 1_885_621);
    let moved = format!(r#"[{{"adset_id":"{ad_set}","daily_budget":3000}}]"#);
    let both = [("daily_budget", "0"), ("adset_budgets", moved.as_str())];
    assert_eq!(server.post(&campaign, &both).await.body["success"], true);
    assert_eq!(read(&server, &ad_set, "daily_budget").await["daily_budget"], "3000");
    let lone = campaign_form("lone").into_iter().chain([("daily_budget", "5000")]).collect::<Vec<_>>();
    let lone = server.post(&format!("{ACT}/campaigns"), &lone).await.id();
    assert_eq!(server.post(&lone, &[("daily_budget", "0")]).await.body["success"], true, "it has no ad sets");
}

#[tokio::test]
async fn budgets_that_are_moved_count_as_changed() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let ad_set = server.ad_set(&campaign).await;
    for amount in 0..4 {
        let moved = format!(r#"[{{"adset_id":"{ad_set}","daily_budget":{}}}]"#, 3_000 + amount);
        assert_eq!(server.post(&campaign, &[("adset_budgets", &moved)]).await.status, 200);
    }
    let moved = format!(r#"[{{"adset_id":"{ad_set}","daily_budget":4000}}]"#);
    assert_eq!(server.post(&campaign, &[("adset_budgets", &moved)]).await.subcode(), 1_487_632);
    assert_eq!(server.post(&ad_set, &[("daily_budget", "4000")]).await.subcode(), 1_487_632);
}

#[tokio::test]
async fn a_spend_cap_is_a_number_and_not_below_what_was_spent() {
    let server = Server::start().await;
    for cap in ["-", ".", "1.5.", "1000"] {
        let refused = server.post(ACT, &[("spend_cap", cap)]).await;
        assert_eq!(refused.code(), 100, "{cap}");
    }
    server.post(ACT, &[("spend_cap_action", "reset")]).await;
    assert_eq!(server.post(ACT, &[("spend_cap", "1000")]).await.status, 200);
    assert_eq!(server.post(ACT, &[("name", "  ")]).await.code(), 100);
}

#[tokio::test]
async fn what_is_left_of_a_budget_falls_with_what_is_spent() {
    let server = Server::start().await;
    let ad_sets = server.get(&format!("{ACT}/adsets?fields=name,daily_budget,budget_remaining")).await;
    let row = ad_sets.rows().iter().find(|row| row["name"] == "Prospects US").unwrap();
    let left: i64 = row["budget_remaining"].as_str().unwrap().parse().unwrap();
    let id = row["id"].as_str().unwrap();
    let spend = server.get(&format!("{id}/insights?date_preset=today&fields=spend")).await.rows()[0]["spend"].clone();
    let spent: i64 = spend.as_str().unwrap().replace('.', "").parse().unwrap();
    assert!(spent > 0);
    assert_eq!(left, 8_000 - spent);
    let [campaign, _] = with_budget(&server).await;
    assert_eq!(read(&server, &campaign, "budget_remaining").await["budget_remaining"], "5000");
}

#[tokio::test]
async fn a_lifetime_budget_of_a_campaign_is_enough_for_its_days() {
    let server = Server::start().await;
    let form = |stop: &'static str| {
        let mut form = campaign_form("C").to_vec();
        form.extend([("lifetime_budget", "500"), ("start_time", "2026-11-16T00:00:00"), ("stop_time", stop)]);
        form
    };
    let refused = server.post(&format!("{ACT}/campaigns"), &form("2026-11-22T00:00:00")).await;
    assert_eq!(refused.subcode(), 1_885_272);
    let campaign = server.post(&format!("{ACT}/campaigns"), &form("2026-11-21T00:00:00")).await.id();
    assert_eq!(server.post(&campaign, &[("stop_time", "2026-11-22T00:00:00")]).await.subcode(), 1_885_272);
}

#[tokio::test]
async fn what_has_ended_is_only_named_switched_off_or_prolonged() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let mut form = ad_set_form(&campaign).to_vec();
    form.push(("end_time", "2026-11-18T00:00:00"));
    let ad_set = server.post(&format!("{ACT}/adsets"), &form).await.id();
    server.control("POST", "clock", r#"{"advance_seconds":604800}"#).await;
    for change in [("daily_budget", "6000"), ("status", "ACTIVE"), ("targeting", "{}")] {
        assert_eq!(server.post(&ad_set, &[change]).await.subcode(), 1_487_007, "{change:?}");
    }
    assert_eq!(server.post(&ad_set, &[("name", "Over"), ("status", "PAUSED")]).await.status, 200);
    assert_eq!(server.post(&ad_set, &[("end_time", "2026-11-20T00:00:00")]).await.subcode(), 1_487_033);
    let more = [("daily_budget", "6000"), ("end_time", "2026-12-20T00:00:00")];
    assert_eq!(server.post(&ad_set, &more).await.status, 200);
    assert_eq!(server.post(&ad_set, &[("status", "ACTIVE")]).await.status, 200);
}

#[tokio::test]
async fn names_are_not_empty_and_categories_suit_the_ad_sets() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let ad_set = server.ad_set(&campaign).await;
    for id in [&campaign, &ad_set] {
        assert_eq!(server.post(id, &[("name", "")]).await.code(), 100);
    }
    let narrow = json!({
        "geo_locations": { "countries": ["US"] }, "age_min": 25, "targeting_automation": { "advantage_audience": 0 },
    });
    server.post(&ad_set, &[("targeting", &narrow.to_string())]).await;
    let housing = [("special_ad_categories", r#"["HOUSING"]"#), ("special_ad_category_country", r#"["US"]"#)];
    let refused = server.post(&campaign, &housing).await;
    assert!(refused.body.to_string().contains("from 18 to 65+"), "{}", refused.body);
    server.delete(&ad_set).await;
    assert_eq!(server.post(&campaign, &housing).await.status, 200);
}

#[tokio::test]
async fn learning_is_told_and_begins_anew_after_an_edit() {
    let server = Server::start().await;
    let ad_sets = server.get(&format!("{ACT}/adsets?fields=name,learning_stage_info")).await;
    let row = ad_sets.rows().iter().find(|row| row["name"] == "Readers US and CA").unwrap();
    assert_eq!(row["learning_stage_info"]["status"], "SUCCESS");
    let id = row["id"].as_str().unwrap();
    server.post(id, &[("daily_budget", "9000")]).await;
    let anew = read(&server, id, "learning_stage_info").await["learning_stage_info"].clone();
    assert_eq!(anew["last_sig_edit_ts"], 1_794_774_600);
    assert!(anew["conversions"].as_i64() < row["learning_stage_info"]["conversions"].as_i64());
}
