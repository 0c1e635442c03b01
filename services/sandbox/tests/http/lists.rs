use crate::server::{ACT, Server};
use serde_json::{Value, json};

async fn ids(server: &Server, path: &str) -> Vec<Value> {
    server.get(path).await.rows().iter().map(|row| row["id"].clone()).collect()
}

#[tokio::test]
async fn an_effective_status_that_there_is_not_is_refused() {
    let server = Server::start().await;
    let refused = server.get(&format!("{ACT}/ads?effective_status=[\"ACTIVE\",\"SLEEPING\"]")).await;
    assert_eq!(refused.code(), 100);
    let message = refused.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("effective_status[1] must be one of {ACTIVE, PAUSED"), "{message}");
}

#[tokio::test]
async fn what_is_past_its_end_is_told_apart() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let end = ("end_time", "2026-11-20T00:00:00Z");
    let mut form = crate::server::ad_set_form(&campaign).to_vec();
    form.push(end);
    let ad_set = server.post(&format!("{ACT}/adsets"), &form).await.id();
    let path = format!("{campaign}/adsets?is_completed");
    assert_eq!(
        (ids(&server, &format!("{path}=true")).await.len(), ids(&server, &format!("{path}=false")).await.len()),
        (0, 1)
    );
    server.control("POST", "clock", r#"{"advance_seconds":604800}"#).await;
    assert_eq!(ids(&server, &format!("{path}=true")).await, [json!(ad_set)]);
    assert!(ids(&server, &format!("{path}=false")).await.is_empty());
}

#[tokio::test]
async fn the_days_of_a_list_are_those_of_the_insights_in_it() {
    let server = Server::start().await;
    let rows = async |query: &str| {
        let path = format!("{ACT}/campaigns?limit=1&effective_status=[\"ACTIVE\"]&{query}");
        server.get(&path).await.rows()[0]["insights"]["data"][0]["date_start"].clone()
    };
    assert_eq!(rows("fields=insights{spend}&date_preset=yesterday").await, "2026-11-14");
    let range = "time_range={\"since\":\"2026-11-01\",\"until\":\"2026-11-02\"}";
    assert_eq!(rows(&format!("fields=insights{{spend}}&{range}")).await, "2026-11-01");
    assert_eq!(rows("fields=insights.date_preset(last_3d){spend}&date_preset=yesterday").await, "2026-11-12");
}

#[tokio::test]
async fn light_lists_have_the_ids_of_the_plain_ones_since_version_26() {
    let server = Server::start().await;
    for name in ["campaigns", "adsets", "ads"] {
        let plain = ids(&server, &format!("{ACT}/{name}")).await;
        assert!(!plain.is_empty());
        assert_eq!(ids(&server, &format!("{ACT}/light_{name}")).await, plain);
    }
    let old = format!("http://{}/v25.0/{ACT}/light_ads", server.address);
    assert_eq!(server.send(server.client().get(old)).await.code(), 2500);
}

#[tokio::test]
async fn value_rules_are_kept_in_sets_with_a_name() {
    let server = Server::start().await;
    let path = format!("{ACT}/value_rule_set");
    let rules = r#"[{"name":"Parents","adjust_sign":"INCREASE","adjust_value":20}]"#;
    assert_eq!(server.post(&path, &[("name", "Dear")]).await.code(), 100);
    assert_eq!(server.post(&path, &[("rules", rules)]).await.code(), 100);
    assert_eq!(server.post(&path, &[("name", "Dear"), ("rules", r#"["x"]"#)]).await.code(), 100);
    let set = server.post(&path, &[("name", "Dear"), ("rules", rules)]).await.id();
    assert_eq!(server.post(&set, &[("name", "Dearer"), ("rules", rules)]).await.body["success"], true);
    let listed = server.get(&format!("{path}?fields=name,status,is_default_setting")).await.rows().clone();
    assert_eq!(listed, [json!({ "name": "Dearer", "status": "ACTIVE", "is_default_setting": false, "id": set })]);
}

#[tokio::test]
async fn beneficiaries_that_were_named_before_are_recommended() {
    let server = Server::start().await;
    let form = [("default_dsa_beneficiary", "Northway"), ("default_dsa_payor", "Paying Ltd")];
    server.post(ACT, &form).await;
    let names = server.get(&format!("{ACT}/dsa_recommendations")).await.rows()[0]["recommendations"].clone();
    assert_eq!(names, json!(["Northway", "Paying Ltd"]));
}
