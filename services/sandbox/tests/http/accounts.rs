use crate::server::{ACT, Server};
use serde_json::{Value, json};

const BUSINESS: &str = "6000000000000001";
const PERSON: &str = "5000000000000001";
const JAPAN: &str = "act_1000000000003";

async fn read(server: &Server, account: &str, fields: &str) -> Value {
    server.get(&format!("{account}?fields={fields}")).await.body
}

#[tokio::test]
async fn a_spend_cap_is_written_in_major_and_read_in_minor_units() {
    let server = Server::start().await;
    assert_eq!(server.post(ACT, &[("spend_cap", "91500.50")]).await.body["success"], true);
    assert_eq!(read(&server, ACT, "spend_cap").await["spend_cap"], "9150050");
    server.post(JAPAN, &[("spend_cap", "1500")]).await;
    assert_eq!(read(&server, JAPAN, "spend_cap").await["spend_cap"], "1500", "yen have no minor unit");
    assert_eq!(server.post(ACT, &[("spend_cap", "-1")]).await.code(), 100);
    assert_eq!(server.post(ACT, &[("spend_cap_action", "double")]).await.code(), 100);
    let spent = read(&server, ACT, "amount_spent").await["amount_spent"].as_str().unwrap().parse::<i64>().unwrap();
    assert!(spent > 0);
    server.post(ACT, &[("spend_cap_action", "reset")]).await;
    assert_eq!(read(&server, ACT, "amount_spent,spend_cap").await["amount_spent"], "0");
    server.post(ACT, &[("spend_cap_action", "delete")]).await;
    assert_eq!(read(&server, ACT, "spend_cap").await["spend_cap"], "0");
    let told = server.get(&format!("{ACT}/activities?category=ACCOUNT&fields=event_type")).await;
    assert_eq!(told.rows()[0]["event_type"], "ad_account_remove_spend_limit");
}

#[tokio::test]
async fn a_spend_cap_changes_ten_times_a_day_however_it_is_changed() {
    let server = Server::start().await;
    for change in 0..10 {
        let form = if change % 2 == 0 { [("spend_cap", "90000")] } else { [("spend_cap_action", "reset")] };
        assert_eq!(server.post(ACT, &form).await.status, 200);
    }
    let eleventh = server.post(ACT, &[("spend_cap_action", "delete")]).await;
    assert_eq!((eleventh.code(), eleventh.subcode()), (17, 1_885_172));
    assert_eq!(read(&server, ACT, "spend_cap").await["spend_cap"], "9000000");
    server.control("POST", "clock", r#"{"advance_seconds":86400}"#).await;
    assert_eq!(server.post(ACT, &[("spend_cap_action", "delete")]).await.status, 200);
}

#[tokio::test]
async fn an_account_is_renamed_and_names_its_beneficiary() {
    let server = Server::start().await;
    let form = [("name", "Shop"), ("default_dsa_payor", "P"), ("default_dsa_beneficiary", "B"), ("fields", "name")];
    assert_eq!(server.post(ACT, &form).await.body["name"], "Shop");
    let shown = read(&server, ACT, "default_dsa_payor,default_dsa_beneficiary").await;
    assert_eq!(
        (shown["default_dsa_payor"].as_str(), shown["default_dsa_beneficiary"].as_str()),
        (Some("P"), Some("B"))
    );
    assert_eq!(server.post(ACT, &[("currency", "XXX")]).await.code(), 2607);
    assert_eq!(server.post(ACT, &[("currency", "GBP")]).await.code(), 2615, "it has campaigns");
    assert_eq!(server.post(JAPAN, &[("timezone_name", "Moon/Crater")]).await.code(), 100);
    assert_eq!(server.post(JAPAN, &[("currency", "GBP"), ("timezone_name", "Europe/London")]).await.status, 200);
    assert_eq!(read(&server, JAPAN, "currency").await["currency"], "GBP");
}

#[tokio::test]
async fn every_field_of_an_account_that_meta_names_may_be_asked_for() {
    let server = Server::start().await;
    let fields = "account_status,age,amount_spent,balance,business,capabilities,created_time,currency,disable_reason,\
                  end_advertiser,end_advertiser_name,fb_entity,funding_source,funding_source_details,is_personal,\
                  is_prepay_account,io_number,line_numbers,media_agency,min_campaign_group_spend_cap,min_daily_budget,\
                  offsite_pixels_tos_accepted,opportunity_score,owner,partner,rf_spec,tax_id,tax_id_status,timezone_id,\
                  timezone_name,timezone_offset_hours_utc,tos_accepted,user_tasks,viewable_business";
    let shown = read(&server, ACT, fields).await;
    assert_eq!(shown["funding_source_details"]["type"], 1);
    assert_eq!(shown["min_daily_budget"], 100);
    assert!(shown["opportunity_score"].is_f64());
    assert!(shown.get("io_number").is_none(), "known, but not set");
}

#[tokio::test]
async fn people_get_tasks_and_lose_them() {
    let server = Server::start().await;
    let path = format!("{ACT}/assigned_users");
    assert_eq!(server.get(&path).await.body["error"]["message"], "(#100) The parameter business is required");
    assert_eq!(server.get(&format!("{path}?business=77")).await.code(), 100);
    let listed = async || server.get(&format!("{path}?business={BUSINESS}&fields=name,tasks")).await.rows().clone();
    assert_eq!(listed().await.len(), 2);
    let form = [("user", PERSON), ("tasks", r#"["ANALYZE"]"#)];
    assert_eq!(server.post(&path, &form).await.body["success"], true);
    let rows = listed().await;
    let person = rows.iter().find(|row| row["id"] == PERSON).unwrap();
    assert_eq!((person["name"].as_str(), &person["tasks"]), (Some("Sam Sandbox"), &json!(["ANALYZE"])));
    assert_eq!(server.post(&path, &[("user", PERSON)]).await.code(), 100);
    assert_eq!(server.post(&path, &[("user", PERSON), ("tasks", "[]")]).await.subcode(), 1_752_129);
    assert_eq!(server.post(&path, &[("user", PERSON), ("tasks", r#"["FLY"]"#)]).await.code(), 100);
    assert_eq!(server.post(&path, &[("user", "7"), ("tasks", r#"["ANALYZE"]"#)]).await.code(), 100);
    assert_eq!(server.delete(&format!("{path}?user={PERSON}")).await.body["success"], true);
    assert_eq!(listed().await.len(), 1);
    assert_eq!(server.delete(&format!("{path}?user={PERSON}")).await.code(), 100);
    assert_eq!(server.get(&format!("{ACT}/users")).await.rows().len(), 1);
    let told = server.get(&format!("{ACT}/activities?fields=event_type")).await;
    assert_eq!(told.rows()[0]["event_type"], "ad_account_remove_user_from_role");
}

#[tokio::test]
async fn minimum_budgets_are_told_for_all_currencies_and_are_kept() {
    let server = Server::start().await;
    let row = async |query: &str, currency: &str| {
        let reply = server.get(&format!("{ACT}/minimum_budgets?{query}")).await;
        reply.rows().iter().find(|row| row["currency"] == currency).unwrap().clone()
    };
    let dollars = row("", "USD").await;
    assert_eq!(
        (dollars["min_daily_budget_imp"].as_i64(), dollars["min_daily_budget_low_freq"].as_i64()),
        (Some(100), Some(4000))
    );
    assert_eq!(row("bid_amount=50", "USD").await["min_daily_budget_high_freq"], 250);
    for currency in ["EUR", "JPY", "GBP", "INR", "VND"] {
        assert!(row("", currency).await["min_daily_budget_imp"].as_i64().unwrap() > 0);
    }
    server.control("POST", "settings", r#"{"minimum_daily_budgets":{"USD":6000}}"#).await;
    assert_eq!(row("", "USD").await["min_daily_budget_imp"], 6000);
    let campaign = server.campaign("C").await;
    let low = server.post(&format!("{ACT}/adsets"), &crate::server::ad_set_form(&campaign)).await;
    assert_eq!(low.subcode(), 1_885_272);
}

#[tokio::test]
async fn ads_that_run_or_wait_are_counted_for_each_page() {
    let server = Server::start().await;
    let all = server.get(&format!("{ACT}/ads_volume")).await.rows()[0]["ads_running_or_in_review_count"].clone();
    let rows = server.get(&format!("{ACT}/ads_volume?show_breakdown_by_actor=true")).await.rows().clone();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["ads_running_or_in_review_count"], rows[0]["actor_name"].as_str()),
        (&all, Some("Sandbox Shop"))
    );
    assert_eq!(rows[0]["limit_on_ads_running_or_in_review"], 250);
    let active = server.get(&format!("{ACT}/ads?effective_status=[\"ACTIVE\"]&summary=true&limit=1")).await;
    assert_eq!(active.body["summary"]["total_count"], all);
    assert_eq!(server.get(&format!("{ACT}/ads_volume?page_id=5")).await.code(), 100);
}

#[tokio::test]
async fn a_recommendation_is_applied_once_and_raises_the_score() {
    let server = Server::start().await;
    let score = async || read(&server, ACT, "opportunity_score").await["opportunity_score"].as_f64().unwrap();
    let before = score().await;
    let list = async || {
        let body = server.get(&format!("{ACT}/recommendations")).await.body;
        body["data"][0]["recommendations"].as_array().unwrap().clone()
    };
    let advice = list().await.into_iter().find(|row| row["type"] == "BUDGET_LIMITED").unwrap();
    let (signature, ad_set) =
        (advice["recommendation_signature"].as_str().unwrap(), advice["object_ids"][0].as_str().unwrap());
    let old: i64 = read(&server, ad_set, "daily_budget").await["daily_budget"].as_str().unwrap().parse().unwrap();
    let path = format!("{ACT}/recommendations");
    assert_eq!(server.post(&path, &[("recommendation_signature", signature)]).await.body["success"], true);
    assert_eq!(read(&server, ad_set, "daily_budget").await["daily_budget"], (old * 120 / 100).to_string());
    assert!(score().await > before);
    assert!(!list().await.iter().any(|row| row["recommendation_signature"] == signature));
    assert_eq!(server.post(&path, &[("recommendation_signature", signature)]).await.code(), 100);
    assert_eq!(server.post(&path, &[]).await.code(), 100);
}

#[tokio::test]
async fn the_app_is_among_those_that_may_be_advertised() {
    let server = Server::start().await;
    for edge in ["applications", "advertisable_applications"] {
        let rows = server.get(&format!("{ACT}/{edge}?fields=name")).await.rows().clone();
        assert_eq!(rows[0]["name"], "Sandbox App");
        assert!(server.get(&format!("{ACT}/{edge}?app_id=5")).await.rows().is_empty());
    }
}
