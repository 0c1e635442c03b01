use crate::server::{ACT, Reply, Server};
use serde_json::{Value, json};

const BUSINESS: &str = "6000000000000001";
/// The sandbox's now, in unix seconds.
const NOW: i64 = 1_794_774_600;

fn cells(sets: &[(&str, i64, &[&str])]) -> String {
    let rows = sets
        .iter()
        .map(|(name, percentage, ids)| json!({ "name": name, "treatment_percentage": percentage, "adsets": ids }));
    Value::from(rows.collect::<Vec<_>>()).to_string()
}

async fn study(server: &Server, cells: &str, change: &[(&str, &str)]) -> Reply {
    let (start, end) = ((NOW + 3_600).to_string(), (NOW + 864_000).to_string());
    let mut form = vec![
        ("name", "Test"),
        ("type", "SPLIT_TEST"),
        ("start_time", start.as_str()),
        ("end_time", end.as_str()),
        ("cells", cells),
    ];
    for (name, value) in change {
        form.retain(|(key, _)| key != name);
        form.push((name, value));
    }
    server.post(&format!("{BUSINESS}/ad_studies"), &form).await
}

async fn two_sets(server: &Server) -> (String, String, String) {
    let campaign = server.campaign("C").await;
    (campaign.clone(), server.ad_set(&campaign).await, server.ad_set(&campaign).await)
}

#[tokio::test]
async fn a_study_is_made_and_read_from_all_sides() {
    let server = Server::start().await;
    let (campaign, one, two) = two_sets(&server).await;
    let objectives = r#"[{"name":"Sales","type":"CONVERSIONS","is_primary":true}]"#;
    let made = study(&server, &cells(&[("A", 50, &[&one]), ("B", 50, &[&two])]), &[("objectives", objectives)]).await;
    let id = made.id();
    let read = server
        .get(&format!("{id}?fields=name,type,start_time,business,cells{{name,treatment_percentage,adsets{{name}}}}"))
        .await
        .body;
    assert_eq!(
        (read["type"].as_str(), read["business"]["name"].as_str()),
        (Some("SPLIT_TEST"), Some("Sandbox Business"))
    );
    assert_eq!(read["start_time"], "2026-11-15T21:30:00+0000");
    let cells = read["cells"]["data"].as_array().unwrap();
    assert_eq!(cells.len(), 2);
    assert!(cells.iter().any(|cell| cell["adsets"]["data"][0]["id"] == one.as_str() && cell["name"] == "A"));
    let cell = server.get(&format!("{id}/cells?fields=ad_entities_count,treatment_percentage")).await.rows()[0].clone();
    assert_eq!((cell["ad_entities_count"].as_i64(), cell["treatment_percentage"].as_i64()), (Some(1), Some(50)));
    assert_eq!(server.get(&format!("{}/adsets", cell["id"].as_str().unwrap())).await.rows().len(), 1);
    assert_eq!(server.get(&format!("{id}/objectives?fields=name,type")).await.rows()[0]["type"], "CONVERSIONS");
    for owner in [BUSINESS, ACT, campaign.as_str(), one.as_str()] {
        assert_eq!(server.get(&format!("{owner}/ad_studies")).await.rows()[0]["id"], id, "{owner}");
    }
    assert!(server.get("act_1000000000002/ad_studies").await.rows().is_empty());
}

#[tokio::test]
async fn a_study_that_breaks_a_rule_is_refused() {
    let server = Server::start().await;
    let (campaign, one, two) = two_sets(&server).await;
    let good = cells(&[("A", 50, &[&one]), ("B", 50, &[&two])]);
    let past = (NOW - 60).to_string();
    for change in [
        ("name", ""),
        ("type", "GUESS"),
        ("start_time", past.as_str()),
        ("end_time", past.as_str()),
        ("observation_end_time", past.as_str()),
        ("objectives", r#"[{"name":"x","type":"FAME"}]"#),
    ] {
        assert_eq!(study(&server, &good, &[change]).await.code(), 100, "{change:?}");
    }
    let mixed = json!([
        { "name": "A", "treatment_percentage": 50, "adsets": [one] },
        { "name": "B", "treatment_percentage": 50, "campaigns": [campaign] },
    ]);
    for cells in [
        cells(&[("A", 50, &[&one])]),
        cells(&[("A", 60, &[&one]), ("B", 50, &[&two])]),
        cells(&[("A", 0, &[&one]), ("B", 50, &[&two])]),
        cells(&[("A", 50, &[&one]), ("B", 50, &[])]),
        cells(&[("A", 50, &[&one]), ("B", 50, &[&one])]),
        cells(&[("A", 50, &[&one]), ("B", 50, &["77"])]),
        cells(&[("", 50, &[&one]), ("B", 50, &[&two])]),
        mixed.to_string(),
    ] {
        assert_eq!(study(&server, &cells, &[]).await.code(), 100, "{cells}");
    }
    assert!(server.get(&format!("{BUSINESS}/ad_studies")).await.rows().is_empty());
}

#[tokio::test]
async fn an_object_is_in_one_running_study_and_free_when_that_is_cancelled() {
    let server = Server::start().await;
    let (_, one, two) = two_sets(&server).await;
    let cells = cells(&[("A", 50, &[&one]), ("B", 50, &[&two])]);
    let first = study(&server, &cells, &[]).await.id();
    assert_eq!(study(&server, &cells, &[]).await.code(), 100);
    assert_eq!(server.delete(&first).await.body["success"], true);
    assert!(server.get(&format!("{first}?fields=canceled_time")).await.body["canceled_time"].is_string());
    assert_eq!(study(&server, &cells, &[]).await.status, 200);
}

#[tokio::test]
async fn after_its_start_a_study_only_changes_its_name_and_its_end() {
    let server = Server::start().await;
    let (_, one, two) = two_sets(&server).await;
    let id = study(&server, &cells(&[("A", 50, &[&one]), ("B", 50, &[&two])]), &[]).await.id();
    let later = (NOW + 7_200).to_string();
    assert_eq!(server.post(&id, &[("start_time", &later)]).await.body["success"], true);
    server.control("POST", "clock", r#"{"advance_seconds":10000}"#).await;
    assert_eq!(server.post(&id, &[("start_time", &later)]).await.code(), 100);
    let end = (NOW + 900_000).to_string();
    assert_eq!(server.post(&id, &[("name", "Renamed"), ("end_time", &end)]).await.body["success"], true);
    assert_eq!(server.post(&id, &[("end_time", &later)]).await.code(), 100);
    assert_eq!(server.get(&format!("{id}?fields=name")).await.body["name"], "Renamed");
}

#[tokio::test]
async fn a_budget_is_raised_for_a_time() {
    let server = Server::start().await;
    let (campaign, ad_set, _) = two_sets(&server).await;
    let path = format!("{ad_set}/budget_schedules");
    let hours = |from: i64, to: i64| ((NOW + from * 3_600).to_string(), (NOW + to * 3_600).to_string());
    let post = async |path: &str, value: &str, kind: &str, from: i64, to: i64| {
        let (start, end) = hours(from, to);
        let form = [("budget_value", value), ("budget_value_type", kind), ("time_start", &start), ("time_end", &end)];
        server.post(path, &form).await
    };
    let id = post(&path, "100", "MULTIPLIER", 10, 14).await.id();
    let read =
        server.get(&format!("{id}?fields=ad_object_id,budget_value,budget_value_type,time_start,time_end")).await.body;
    assert_eq!((read["ad_object_id"].as_str(), read["budget_value"].as_i64()), (Some(ad_set.as_str()), Some(100)));
    assert_eq!(read["time_start"], "2026-11-15T22:30:00-0800");
    let enabled = server.get(&format!("{ad_set}?fields=is_budget_schedule_enabled")).await.body;
    assert_eq!(enabled["is_budget_schedule_enabled"], true);
    assert_eq!(post(&path, "100", "MULTIPLIER", 12, 16).await.code(), 100, "it runs into the other");
    assert_eq!(post(&path, "100", "MULTIPLIER", 20, 22).await.code(), 100, "it is too short");
    assert_eq!(post(&path, "100", "SQUARE", 20, 24).await.code(), 100);
    assert_eq!(post(&path, "0", "ABSOLUTE", 20, 24).await.code(), 100);
    assert_eq!(post(&path, "40001", "ABSOLUTE", 20, 24).await.code(), 100, "more than 8 times");
    assert_eq!(post(&path, "701", "MULTIPLIER", 20, 24).await.code(), 100, "701% more is over 8 times");
    assert_eq!(
        post(&format!("{campaign}/budget_schedules"), "100", "ABSOLUTE", 20, 24).await.code(),
        100,
        "no budget there"
    );
    assert_eq!(post(&path, "40000", "ABSOLUTE", 20, 24).await.status, 200);
    let (from, _) = hours(15, 0);
    assert_eq!(server.get(&format!("{path}?time_start={from}")).await.rows().len(), 1);
    assert_eq!(server.post(&id, &[("budget_value", "50")]).await.body["success"], true);
    assert_eq!(server.get(&format!("{id}?fields=budget_value")).await.body["budget_value"], 50);
    assert_eq!(server.delete(&id).await.body["success"], true);
    assert_eq!(server.get(&path).await.rows().len(), 1);
    assert_eq!(server.post(&path, &[("budget_value", "5")]).await.code(), 100);
}

#[tokio::test]
async fn a_node_tells_its_fields_and_edges_and_answers_head() {
    let server = Server::start().await;
    let metadata = server.get(&format!("{ACT}?metadata=1")).await.body["metadata"].clone();
    assert_eq!(metadata["type"], "adaccount");
    assert!(metadata["fields"].as_array().unwrap().iter().any(|field| field["name"] == "spend_cap"));
    assert!(metadata["connections"]["campaigns"].as_str().unwrap().ends_with(&format!("/v26.0/{ACT}/campaigns")));
    assert!(server.get(ACT).await.body.get("metadata").is_none());
    let head = server.send(server.client().head(server.url(ACT))).await;
    assert_eq!((head.status, head.body), (200, Value::Null));
    let unknown = server.get(&format!("{ACT}/nothing")).await;
    assert_eq!(unknown.body["error"]["message"], "Unknown path components: /nothing");
    assert_eq!(unknown.code(), 2500);
}
