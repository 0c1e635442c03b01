use crate::server::{ACT, Server, ad_set_form};

async fn ad(server: &Server, ad_set: &str, name: &str) -> String {
    let creative = format!("{{\"creative_id\":\"{}\"}}", server.creative("K").await);
    let form = [("name", name), ("adset_id", ad_set), ("creative", creative.as_str()), ("status", "ACTIVE")];
    server.post(&format!("{ACT}/ads"), &form).await.id()
}

async fn effective(server: &Server, id: &str) -> String {
    let read = server.get(&format!("{id}?fields=effective_status")).await;
    read.body["effective_status"].as_str().unwrap_or_else(|| panic!("{}", read.body)).to_owned()
}

/// A campaign, its ad set and their ad, all switched on, with the review behind them.
async fn running(server: &Server) -> [String; 3] {
    let campaign = server.campaign("C").await;
    let ad_set = server.ad_set(&campaign).await;
    let ad = ad(server, &ad_set, "A").await;
    for id in [&campaign, &ad_set] {
        server.post(id, &[("status", "ACTIVE")]).await;
    }
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    assert_eq!(effective(server, &ad).await, "ACTIVE");
    [campaign, ad_set, ad]
}

#[tokio::test]
async fn an_archived_object_is_only_renamed_or_deleted() {
    let server = Server::start().await;
    let [campaign, ad_set, ad] = running(&server).await;
    server.post(&campaign, &[("status", "ARCHIVED")]).await;
    for id in [&campaign, &ad_set, &ad] {
        assert_eq!(effective(&server, id).await, "ARCHIVED");
        assert_eq!(server.post(id, &[("status", "ACTIVE")]).await.subcode(), 1_885_088);
        assert_eq!(server.post(id, &[("status", "DELETED"), ("bid_amount", "5")]).await.subcode(), 1_885_088);
        assert_eq!(server.post(id, &[("name", "Old")]).await.status, 200);
        assert_eq!(server.post(id, &[("status", "ARCHIVED")]).await.status, 200);
    }
    assert_eq!(server.post(&format!("{ACT}/adsets"), &ad_set_form(&campaign)).await.subcode(), 1_885_088);
    assert!(server.get(&format!("{campaign}/ads")).await.rows().is_empty());
    let asked = server.get(&format!("{campaign}/ads?effective_status=[\"ARCHIVED\"]")).await;
    assert_eq!(asked.rows().len(), 1);
    assert_eq!(server.post(&ad, &[("status", "DELETED")]).await.status, 200);
    assert_eq!(effective(&server, &ad).await, "DELETED");
}

#[tokio::test]
async fn a_deleted_object_stays_readable_takes_a_name_and_nothing_else() {
    let server = Server::start().await;
    let [campaign, ad_set, ad] = running(&server).await;
    assert_eq!(server.post(&ad_set, &[("status", "DELETED")]).await.status, 200);
    assert_eq!(effective(&server, &ad).await, "DELETED");
    assert_eq!(server.post(&ad_set, &[("status", "PAUSED")]).await.subcode(), 1_487_056);
    assert_eq!(server.post(&ad_set, &[("name", "Gone")]).await.status, 200);
    assert_eq!(server.get(&format!("{ad_set}?fields=name")).await.body["name"], "Gone");
    let creative = format!("{{\"creative_id\":\"{}\"}}", server.creative("K").await);
    let form = [("name", "B"), ("adset_id", ad_set.as_str()), ("creative", creative.as_str())];
    assert_eq!(server.post(&format!("{ACT}/ads"), &form).await.subcode(), 1_487_056);
    assert_eq!(effective(&server, &campaign).await, "ACTIVE");
    server.delete(&campaign).await;
    assert_eq!(server.post(&campaign, &[("status", "ACTIVE")]).await.subcode(), 1_487_566);
    assert_eq!(server.post(&format!("{ACT}/adsets"), &ad_set_form(&campaign)).await.subcode(), 1_487_566);
    let listed = server.get(&format!("{ACT}/campaigns?effective_status=[\"DELETED\"]")).await;
    assert_eq!(listed.rows()[0]["id"], campaign);
}

#[tokio::test]
async fn a_parent_that_is_switched_off_shows_in_the_effective_status() {
    let server = Server::start().await;
    let [campaign, ad_set, ad] = running(&server).await;
    server.post(&ad_set, &[("status", "PAUSED")]).await;
    assert_eq!(effective(&server, &ad).await, "ADSET_PAUSED");
    server.post(&campaign, &[("status", "PAUSED")]).await;
    assert_eq!(effective(&server, &ad).await, "CAMPAIGN_PAUSED");
    assert_eq!(effective(&server, &ad_set).await, "PAUSED");
    server.post(&ad_set, &[("status", "ACTIVE")]).await;
    assert_eq!(effective(&server, &ad_set).await, "CAMPAIGN_PAUSED");
    server.post(&ad, &[("status", "PAUSED")]).await;
    assert_eq!(effective(&server, &ad).await, "PAUSED");
}

#[tokio::test]
async fn an_ad_is_disapproved_by_its_name_and_reviewed_anew_with_new_content() {
    let server = Server::start().await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let id = ad(&server, &ad_set, "Pills [disapprove]").await;
    assert_eq!(effective(&server, &id).await, "IN_PROCESS");
    let feedback =
        async || server.get(&format!("{id}?fields=ad_review_feedback")).await.body["ad_review_feedback"].clone();
    assert!(feedback().await.is_null(), "nothing is said before the review is over");
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    assert_eq!(effective(&server, &id).await, "DISAPPROVED");
    assert!(feedback().await["global"].is_object());
    let filtered = server.get(&format!("{ACT}/ads?effective_status=[\"DISAPPROVED\"]")).await;
    assert_eq!(filtered.rows().len(), 1);
    let creative = format!("{{\"creative_id\":\"{}\"}}", server.creative("Decent").await);
    server.post(&id, &[("name", "Vitamins"), ("creative", &creative)]).await;
    assert_eq!(effective(&server, &id).await, "IN_PROCESS");
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    assert_eq!(effective(&server, &id).await, "CAMPAIGN_PAUSED");
    assert!(feedback().await.is_null());
}

#[tokio::test]
async fn verdicts_and_debts_are_set_by_hand() {
    let server = Server::start().await;
    let [campaign, ad_set, ad] = running(&server).await;
    let verdict = async |id: &str, verdict: &str| {
        server.control("POST", "reviews", &format!(r#"{{"ad":"{id}","verdict":"{verdict}","text":"Why"}}"#)).await;
    };
    verdict(&ad, "DISAPPROVED").await;
    assert_eq!(effective(&server, &ad).await, "DISAPPROVED");
    let feedback = server.get(&format!("{ad}?fields=ad_review_feedback")).await.body;
    assert_eq!(feedback["ad_review_feedback"]["global"]["UNACCEPTABLE_BUSINESS_PRACTICES"], "Why");
    verdict(&ad, "PREAPPROVED").await;
    assert_eq!(effective(&server, &ad).await, "PREAPPROVED");
    verdict(&ad, "APPROVED").await;
    assert_eq!(effective(&server, &ad).await, "ACTIVE");
    for (id, level) in [(&ad, "AD"), (&ad_set, "AD_SET"), (&campaign, "CAMPAIGN")] {
        verdict(id, "WITH_ISSUES").await;
        assert_eq!(effective(&server, id).await, "WITH_ISSUES");
        let issues = server.get(&format!("{id}?fields=issues_info")).await.body["issues_info"][0].clone();
        assert_eq!((issues["level"].as_str(), issues["error_type"].as_str()), (Some(level), Some("HARD_ERROR")));
        verdict(id, "APPROVED").await;
        assert!(server.get(&format!("{id}?fields=issues_info")).await.body.get("issues_info").is_none());
    }
    let status = async |status: u8| {
        let body = format!(r#"{{"id":"{ACT}","fields":{{"account_status":{status}}}}}"#);
        server.control("POST", "objects", &body).await;
    };
    status(3).await;
    assert_eq!(effective(&server, &ad).await, "PENDING_BILLING_INFO");
    assert_eq!(effective(&server, &campaign).await, "ACTIVE");
    status(1).await;
    assert_eq!(effective(&server, &ad).await, "ACTIVE");
}

#[tokio::test]
async fn many_campaigns_are_deleted_by_a_strategy() {
    let server = Server::start().await;
    let path = "act_1000000000002/campaigns";
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(server.post(path, &crate::server::campaign_form(name)).await.id());
        server.control("POST", "clock", r#"{"advance_seconds":86400}"#).await;
    }
    assert_eq!(server.delete(path).await.code(), 100);
    assert_eq!(server.delete(&format!("{path}?delete_strategy=SOME")).await.code(), 100);
    assert_eq!(server.delete(&format!("{path}?delete_strategy=DELETE_ARCHIVED_BEFORE")).await.code(), 100);
    let oldest = server.delete(&format!("{path}?delete_strategy=DELETE_OLDEST&object_count=1")).await.body;
    assert_eq!(oldest, serde_json::json!({ "objects_left_to_delete_count": 3, "deleted_object_ids": [ids[0]] }));
    server.post(&ids[2], &[("status", "ARCHIVED")]).await;
    let early = format!("{path}?delete_strategy=DELETE_ARCHIVED_BEFORE&before_date=2026-11-16");
    assert_eq!(server.delete(&early).await.body["deleted_object_ids"], serde_json::json!([]));
    let late = format!("{path}?delete_strategy=DELETE_ARCHIVED_BEFORE&before_date=2026-12-16");
    assert_eq!(server.delete(&late).await.body["deleted_object_ids"], serde_json::json!([ids[2]]));
    let all = server.delete(&format!("{path}?delete_strategy=DELETE_ANY")).await.body;
    assert_eq!(all["deleted_object_ids"], serde_json::json!([ids[1], ids[3]]));
    assert!(server.get(path).await.rows().is_empty());
}

#[tokio::test]
async fn an_ad_that_came_running_with_the_world_is_reviewed_with_new_content() {
    let server = Server::start().await;
    let seeded = server.get(&format!("{ACT}/ads?effective_status=[\"ACTIVE\"]")).await.rows()[0]["id"].clone();
    let id = seeded.as_str().unwrap();
    let creative = format!("{{\"creative_id\":\"{}\"}}", server.creative("Other").await);
    server.post(id, &[("creative", &creative)]).await;
    assert_eq!(effective(&server, id).await, "IN_PROCESS");
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    assert_eq!(effective(&server, id).await, "ACTIVE");
}
