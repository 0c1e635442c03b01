use crate::server::{ACT, DATASET, Server, ad_set_form, campaign_form, story};

#[tokio::test]
async fn a_campaign_is_made_read_changed_and_deleted() {
    let server = Server::start().await;
    let mut form = campaign_form("Summer").to_vec();
    form.push(("fields", "name,status,effective_status,created_time"));
    let made = server.post(&format!("{ACT}/campaigns"), &form).await;
    assert_eq!(made.body["name"], "Summer");
    assert_eq!(made.body["effective_status"], "PAUSED");
    assert_eq!(made.body["created_time"], "2026-11-15T12:30:00-0800");
    let id = made.id();
    assert!(id.len() >= 15);
    assert_eq!(server.post(&id, &[("name", "Winter")]).await.body["success"], true);
    let read = server.get(&format!("{id}?fields=name,special_ad_categories,buying_type,daily_budget")).await;
    assert_eq!(read.body["name"], "Winter");
    assert_eq!(read.body["special_ad_categories"], serde_json::json!([]));
    assert!(read.body.get("daily_budget").is_none(), "an unset budget is left out");
    assert_eq!(server.delete(&id).await.body["success"], true);
    assert_eq!(server.get(&format!("{id}?fields=status")).await.body["status"], "DELETED");
    let listed = server.get(&format!("{ACT}/campaigns?fields=id")).await;
    assert!(listed.rows().iter().all(|row| row["id"] != id));
    assert_eq!(server.post(&id, &[("status", "PAUSED")]).await.subcode(), 1_487_566);
}

#[tokio::test]
async fn a_campaign_must_say_all_that_meta_asks_for() {
    let server = Server::start().await;
    let without = |name: &str| campaign_form("C").into_iter().filter(|(key, _)| *key != name).collect::<Vec<_>>();
    let path = format!("{ACT}/campaigns");
    let missing = server.post(&path, &without("special_ad_categories")).await;
    assert_eq!(missing.body["error"]["message"], "(#100) The parameter special_ad_categories is required");
    assert_eq!(server.post(&path, &without("objective")).await.code(), 100);
    let sharing = server.post(&path, &without("is_adset_budget_sharing_enabled")).await;
    assert!(sharing.body["error"]["error_data"].as_str().unwrap().contains("is_adset_budget_sharing_enabled"));
    let mut legacy = campaign_form("C");
    legacy[1].1 = "LINK_CLICKS";
    let message = server.post(&path, &legacy).await.body["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("(#100) Param objective must be one of {OUTCOME_APP_PROMOTION"), "{message}");
    let mut low = campaign_form("C").to_vec();
    low.push(("daily_budget", "99"));
    assert_eq!(server.post(&path, &low).await.subcode(), 1_885_272);
}

#[tokio::test]
async fn budgets_stand_on_one_level_as_strings() {
    let server = Server::start().await;
    let mut with_budget = campaign_form("CBO").to_vec();
    with_budget.push(("daily_budget", "10000"));
    let campaign = server.post(&format!("{ACT}/campaigns"), &with_budget).await.id();
    let read = server.get(&format!("{campaign}?fields=daily_budget,bid_strategy")).await;
    assert_eq!(read.body["daily_budget"], "10000");
    assert_eq!(read.body["bid_strategy"], "LOWEST_COST_WITHOUT_CAP");
    assert_eq!(server.post(&format!("{ACT}/adsets"), &ad_set_form(&campaign)).await.subcode(), 1_885_621);
    let without: Vec<_> = ad_set_form(&campaign).into_iter().filter(|(name, _)| *name != "daily_budget").collect();
    let ad_set = server.post(&format!("{ACT}/adsets"), &without).await.id();
    assert_eq!(server.post(&ad_set, &[("name", "Renamed")]).await.status, 200);
    let read = server.get(&format!("{ad_set}?fields=daily_budget,lifetime_budget,bid_strategy")).await;
    assert_eq!(read.body["bid_strategy"], "LOWEST_COST_WITHOUT_CAP");
    assert_eq!((read.body["daily_budget"].as_str(), read.body["lifetime_budget"].as_str()), (Some("0"), Some("0")));
}

#[tokio::test]
async fn an_ad_set_is_checked_against_its_campaign() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let path = format!("{ACT}/adsets");
    let change = |name: &'static str, value: &'static str| {
        let mut form = ad_set_form(&campaign).to_vec();
        form.retain(|(key, _)| *key != name);
        form.push((name, value));
        form
    };
    assert_eq!(server.post(&path, &change("campaign_id", "99")).await.code(), 100);
    assert_eq!(server.post(&path, &change("optimization_goal", "APP_INSTALLS")).await.subcode(), 2_490_408);
    assert_eq!(server.post(&path, &change("targeting", "{}")).await.code(), 100);
    assert_eq!(server.post(&path, &change("bid_strategy", "COST_CAP")).await.subcode(), 1_815_857);
    let only = server.post(&path, &change("execution_options", "[\"validate_only\"]")).await;
    assert_eq!(only.body, serde_json::json!({ "success": true }));
    let ad_set = server.ad_set(&campaign).await;
    let read = server.get(&format!("{ad_set}?fields=targeting,campaign_id,effective_status,bid_amount")).await;
    assert_eq!(read.body["targeting"]["age_max"], 65);
    assert_eq!(read.body["campaign_id"], campaign);
    let listed = server.get(&format!("{campaign}/adsets?fields=id")).await;
    assert_eq!(listed.rows().len(), 1, "validate_only stored nothing");
}

#[tokio::test]
async fn a_budget_changes_four_times_an_hour() {
    let server = Server::start().await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    for budget in ["5100", "5200", "5300", "5400"] {
        assert_eq!(server.post(&ad_set, &[("daily_budget", budget)]).await.status, 200);
    }
    let fifth = server.post(&ad_set, &[("daily_budget", "5500")]).await;
    assert_eq!((fifth.code(), fifth.subcode()), (613, 1_487_632));
    server.control("POST", "clock", r#"{"advance_seconds":3600}"#).await;
    assert_eq!(server.post(&ad_set, &[("daily_budget", "5500")]).await.status, 200);
}

#[tokio::test]
async fn an_unpaused_ad_goes_through_review_and_stops_with_its_campaign() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let ad_set = server.ad_set(&campaign).await;
    let creative = server.creative("K").await;
    let form = [
        ("name", "A"),
        ("adset_id", &ad_set),
        ("creative", &format!("{{\"creative_id\":\"{creative}\"}}")),
        ("status", "PAUSED"),
    ];
    let ad = server.post(&format!("{ACT}/ads"), &form).await.id();
    let status = async || server.get(&format!("{ad}?fields=effective_status")).await.body["effective_status"].clone();
    assert_eq!(status().await, "PAUSED");
    for id in [&campaign, &ad_set, &ad] {
        server.post(id, &[("status", "ACTIVE")]).await;
    }
    assert_eq!(status().await, "IN_PROCESS");
    server.control("POST", "settings", r#"{"review_milliseconds":4000}"#).await;
    server.control("POST", "clock", r#"{"advance_seconds":3}"#).await;
    assert_eq!(status().await, "PENDING_REVIEW");
    server.control("POST", "clock", r#"{"advance_seconds":3}"#).await;
    assert_eq!(status().await, "ACTIVE");
    server.post(&campaign, &[("status", "PAUSED")]).await;
    assert_eq!(status().await, "CAMPAIGN_PAUSED");
    server.post(&campaign, &[("status", "ARCHIVED")]).await;
    assert_eq!(status().await, "ARCHIVED");
}

#[tokio::test]
async fn creatives_of_the_same_content_are_one_and_do_not_change() {
    let server = Server::start().await;
    let first = server.creative("K").await;
    assert_eq!(first, server.creative("K").await);
    assert_ne!(first, server.creative("L").await);
    let changed = server.post(&first, &[("object_story_spec", &story("new"))]).await;
    assert_eq!(changed.code(), 100);
    let path = format!("{ACT}/adcreatives");
    assert_eq!(server.post(&path, &[("name", "x")]).await.code(), 100);
    let unknown_page = story("m").replace("3000000000000001", "1");
    assert_eq!(server.post(&path, &[("object_story_spec", &unknown_page)]).await.code(), 100);
}

#[tokio::test]
async fn an_ad_may_bring_its_creative_along() {
    let server = Server::start().await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let creative = format!(r#"{{"name":"inline","object_story_spec":{}}}"#, story("m"));
    let form = [
        ("name", "A"),
        ("adset_id", ad_set.as_str()),
        ("creative", &creative),
        ("status", "PAUSED"),
        ("fields", "creative{name}"),
    ];
    let ad = server.post(&format!("{ACT}/ads"), &form).await;
    assert_eq!(ad.body["creative"]["name"], "inline");
    let wrong = [("name", "A"), ("adset_id", "7"), ("creative", &creative)];
    assert_eq!(server.post(&format!("{ACT}/ads"), &wrong).await.code(), 100);
}

#[tokio::test]
async fn what_carries_a_label_is_found_by_it() {
    let server = Server::start().await;
    let label = server.post(&format!("{ACT}/adlabels"), &[("name", "plan-7")]).await.id();
    let labels = format!("[{{\"id\":\"{label}\"}}]");
    let mut form = campaign_form("Labelled").to_vec();
    form.push(("adlabels", &labels));
    let campaign = server.post(&format!("{ACT}/campaigns"), &form).await.id();
    let mut set_form = ad_set_form(&campaign).to_vec();
    set_form.push(("adlabels", "[{\"name\":\"plan-7\"}]"));
    let ad_set = server.post(&format!("{ACT}/adsets"), &set_form).await.id();
    let found = server.get(&format!("{label}/campaigns?fields=id,adlabels")).await;
    assert_eq!(found.rows().len(), 1);
    assert_eq!(found.rows()[0]["adlabels"][0]["name"], "plan-7");
    assert_eq!(server.get(&format!("{label}/adsets")).await.rows()[0]["id"], ad_set);
    let by_labels = server.get(&format!("{ACT}/campaignsbylabels?ad_label_ids=[\"{label}\"]&operator=ALL")).await;
    assert_eq!(by_labels.rows()[0]["id"], campaign);
    let mut unknown = campaign_form("X").to_vec();
    unknown.push(("adlabels", "[{\"id\":\"5\"}]"));
    assert_eq!(server.post(&format!("{ACT}/campaigns"), &unknown).await.code(), 100);
}

#[tokio::test]
async fn sales_need_a_dataset_and_europe_needs_names() {
    let server = Server::start().await;
    let mut sales = campaign_form("Sales");
    sales[1].1 = "OUTCOME_SALES";
    let campaign = server.post("act_1000000000003/campaigns", &sales).await.id();
    let promoted = format!(r#"{{"pixel_id":"{DATASET}","custom_event_type":"PURCHASE"}}"#);
    let mut form = ad_set_form(&campaign).to_vec();
    form.retain(|(name, _)| !matches!(*name, "optimization_goal" | "targeting"));
    form.push(("optimization_goal", "OFFSITE_CONVERSIONS"));
    form.push((
        "targeting",
        r#"{"geo_locations":{"countries":["DE"]},"targeting_automation":{"advantage_audience":0}}"#,
    ));
    assert_eq!(server.post("act_1000000000003/adsets", &form).await.code(), 100);
    form.push(("promoted_object", &promoted));
    assert_eq!(server.post("act_1000000000003/adsets", &form).await.subcode(), 3_858_152);
    form.push(("dsa_beneficiary", "Shop"));
    form.push(("dsa_payor", "Shop"));
    assert_eq!(server.post("act_1000000000003/adsets", &form).await.status, 200);
}
