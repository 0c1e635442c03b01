use crate::server::{ACT, DATASET, Reply, Server};
use serde_json::{Value, json};

const NOW: i64 = 1_794_774_600;
const HASH: &str = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79";

fn event(id: &str) -> Value {
    json!({
        "event_name": "Purchase", "event_time": NOW - 60, "event_id": id, "action_source": "website",
        "event_source_url": "https://shop.example/thanks?order=7",
        "user_data": { "em": [HASH], "ph": null, "client_user_agent": "Mozilla/5.0 (Windows NT 10.0) Chrome/126.0" },
        "custom_data": { "value": 12.5, "currency": "usd" },
    })
}

async fn send(server: &Server, data: &Value) -> Reply {
    send_to(server, DATASET, data).await
}

async fn send_to(server: &Server, dataset: &str, data: &Value) -> Reply {
    server.post(&format!("{dataset}/events"), &[("data", &data.to_string())]).await
}

#[tokio::test]
async fn events_are_taken_with_the_three_keys_of_the_answer() {
    let server = Server::start().await;
    let reply = send(&server, &json!([event("1"), event("2")])).await;
    assert_eq!(reply.body["events_received"], 2);
    assert_eq!(reply.body["messages"], json!([]));
    assert!(reply.body["fbtrace_id"].is_string());
}

#[tokio::test]
async fn events_may_be_encoded_twice_or_come_as_json_with_nulls() {
    let server = Server::start().await;
    let reply = send(&server, &json!([event("1").to_string()])).await;
    assert_eq!(reply.body["events_received"], 1);
    // As the official Node SDK sends them: native, with null members and the id in the body.
    let body = json!({ "data": [event("2")], "partner_agent": null, "test_event_code": null, "id": DATASET });
    let url = server.url(&format!("{DATASET}/events"));
    let reply = server.send(server.client().post(url).json(&body)).await;
    assert_eq!(reply.body["events_received"], 1);
    assert!(!server.control("GET", "events", "").await.contains("test_event_code"));
}

#[tokio::test]
async fn one_bad_event_keeps_all_others_out_and_is_named_by_its_index() {
    let server = Server::start().await;
    let mut old = event("2");
    old["event_time"] = json!(NOW - 8 * 86_400);
    let reply = send(&server, &json!([event("1"), old])).await;
    assert_eq!(reply.subcode(), 2_804_003);
    assert!(reply.body["error"]["error_user_msg"].as_str().unwrap().contains("index 1"));
    let mut nobody = event("3");
    nobody["user_data"] = json!({ "client_ip_address": "192.0.2.1", "client_user_agent": "x" });
    assert_eq!(send(&server, &json!([event("1"), nobody])).await.subcode(), 2_804_050);
    assert_eq!(send(&server, &json!(vec![event("1"); 1_001])).await.code(), 100);
    assert_eq!(server.control("GET", "events", "").await, "");
}

#[tokio::test]
async fn the_same_name_and_id_count_once_within_two_days() {
    let server = Server::start().await;
    send(&server, &json!([event("1"), event("1")])).await;
    send(&server, &json!([event("1"), event("2")])).await;
    server.control("POST", "clock", r#"{"advance_seconds":172801}"#).await;
    send(&server, &json!([event("1")])).await;
    let text = server.control("GET", &format!("events?dataset={DATASET}"), "").await;
    let effective: Vec<bool> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["effective"].as_bool().unwrap()).collect();
    assert_eq!(effective, [true, false, false, true, true]);
    let world = server.control_json("world").await;
    assert_eq!(
        (world["datasets"][0]["received"].as_i64(), world["datasets"][0]["effective"].as_i64()),
        (Some(5), Some(3))
    );
}

#[tokio::test]
async fn what_a_browser_told_first_counts_once() {
    let server = Server::start().await;
    let of = |id: Option<&str>, fbp: &str| {
        let mut event = event("x");
        event["event_id"] = json!(id);
        event["user_data"] = json!({ "fbp": fbp, "client_user_agent": "x" });
        event
    };
    let browser = async |event: Value| {
        let given = json!({ "dataset": DATASET, "event": event });
        assert_eq!(server.control("POST", "events", &given.to_string()).await, r#"{"success":true}"#);
    };
    browser(of(Some("1"), "fb.1.1.1")).await;
    browser(of(None, "fb.1.1.2")).await;
    // The same id; the same person without an id; two ids, so two events; nobody whom a browser told of.
    let servers = [of(Some("1"), "fb.1.1.9"), of(None, "fb.1.1.2"), of(Some("2"), "fb.1.1.1"), of(None, "fb.1.1.3")];
    send(&server, &json!(servers)).await;
    server.control("POST", "clock", r#"{"advance_seconds":301}"#).await;
    send(&server, &json!([of(None, "fb.1.1.2")])).await;
    let text = server.control("GET", "events", "").await;
    let effective: Vec<bool> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["effective"].as_bool().unwrap()).collect();
    assert_eq!(effective, [true, true, false, false, true, true, true]);
    let sources = server.get(&format!("{DATASET}/stats?aggregation=event_source")).await;
    assert_eq!(
        sources.rows()[0]["data"],
        json!([{ "value": "BROWSER", "count": 2 }, { "value": "SERVER", "count": 5 }])
    );
}

#[tokio::test]
async fn nothing_of_a_person_is_kept_but_a_digest() {
    let server = Server::start().await;
    let mut raw = event("1");
    raw["user_data"]["em"] = json!("mary@example.com");
    let reply = send(&server, &json!([raw])).await;
    assert_eq!(reply.body["messages"][0], "data[0]: user_data[em] is not hashed; send its SHA-256 in hex");
    let kept = server.control("GET", "events", "").await;
    assert!(!kept.contains("mary") && !kept.contains(HASH) && !kept.contains("order=7"), "{kept}");
    assert!(kept.contains(r#""keys":["client_user_agent","em"]"#), "{kept}");
    server.control("POST", "settings", r#"{"refuse_unhashed_events":true}"#).await;
    assert_eq!(send(&server, &json!([raw])).await.code(), 100);
}

#[tokio::test]
async fn statistics_and_quality_speak_of_the_events_that_came() {
    let server = Server::start().await;
    let form = [("data", json!([event("1"), event("1")]).to_string()), ("partner_agent", "ours-1.0".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    server.post(&format!("{DATASET}/events"), &form).await;
    let stats = async |query: &str| server.get(&format!("{DATASET}/stats?{query}")).await;
    let by_event = stats("aggregation=event").await;
    assert_eq!(by_event.rows()[0]["data"], json!([{ "value": "Purchase", "count": 2 }]));
    assert_eq!(by_event.rows()[0]["start_time"], "2026-11-15T12:00:00-0800");
    assert_eq!(stats("aggregation=host").await.rows()[0]["data"][0]["value"], "shop.example");
    assert_eq!(stats("aggregation=device_os").await.rows()[0]["data"][0]["value"], "Windows");
    assert_eq!(stats("aggregation=event_processing_results").await.rows()[0]["data"].as_array().unwrap().len(), 2);
    assert_eq!(stats("aggregation=event&event=Lead").await.rows().len(), 0);
    assert_eq!(stats("aggregation=mood").await.code(), 100);
    let quality = async |query: &str| server.get(&format!("dataset_quality?dataset_id={DATASET}{query}")).await.body;
    let whole = quality("&fields=web{event_match_quality,event_name}").await;
    let web = &whole["web"][0];
    assert_eq!(web["event_name"], "Purchase");
    assert_eq!(web["event_match_quality"]["composite_score"], 3.5);
    assert!(web.get("acr").is_none());
    assert_eq!(quality("&agent_name=theirs-1.0").await["web"], json!([]));
    assert_eq!(quality("&agent_name=ours-1.0").await["web"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_made_for_a_dataset_sends_to_it_and_does_nothing_else() {
    let server = Server::start().await;
    let sent = async |dataset: &str| {
        let request = server.client().post(server.url(&format!("{dataset}/events")));
        let data = json!([event("1")]).to_string();
        server.send_as(request.form(&[("data", data.as_str()), ("access_token", "sandbox-dataset-token")])).await
    };
    assert_eq!(sent(DATASET).await.body["events_received"], 1);
    let other = server.post(&format!("{ACT}/adspixels"), &[("name", "Other")]).await.id();
    assert_eq!(sent(&other).await.code(), 200);
    let url = server.url(&format!("{ACT}/campaigns?access_token=sandbox-dataset-token"));
    assert_eq!(server.send_as(server.client().get(url)).await.code(), 200);
}

#[tokio::test]
async fn a_custom_conversion_counts_what_its_rule_names() {
    let server = Server::start().await;
    let path = format!("{ACT}/customconversions");
    let rule = r#"{"and":[{"event":{"eq":"Purchase"}},{"or":[{"URL":{"i_contains":"thanks"}}]}]}"#;
    let form = [
        ("name", "Bought"),
        ("event_source_id", DATASET),
        ("rule", rule),
        ("custom_event_type", "PURCHASE"),
        ("default_conversion_value", "9.5"),
    ];
    let id = server.post(&path, &form).await.id();
    for wrong in [
        vec![form[1], form[2]],
        vec![form[0], form[2]],
        vec![form[0], form[1]],
        vec![form[0], form[1], ("rule", r#"{"event":{"like":"x"}}"#)],
        vec![form[0], form[1], form[2], ("custom_event_type", "BUYING")],
    ] {
        assert_eq!(server.post(&path, &wrong).await.code(), 100, "{wrong:?}");
    }
    send(&server, &json!([event("1"), event("2")])).await;
    let stats = server.get(&format!("{id}/stats?aggregation=count")).await;
    assert_eq!(stats.rows()[0]["data"][0]["count"], 2);
    server.post(&id, &[("name", "Paid"), ("default_conversion_value", "7")]).await;
    let fields = "name,rule,pixel,default_conversion_value,last_fired_time,is_archived";
    let read = server.get(&format!("{id}?fields={fields}")).await.body;
    assert_eq!((read["name"].as_str(), read["pixel"]["id"].as_str()), (Some("Paid"), Some(DATASET)));
    assert_eq!((read["default_conversion_value"].as_i64(), read["is_archived"].as_bool()), (Some(7), Some(false)));
    assert!(read["last_fired_time"].is_string());
    server.delete(&id).await;
    assert_eq!(server.get(&path).await.rows().len(), 0);
    server.control("POST", "settings", r#"{"custom_conversions_max":0}"#).await;
    assert_eq!(server.post(&path, &form).await.code(), 100);
}

#[tokio::test]
async fn datasets_are_made_changed_and_shared() {
    let server = Server::start().await;
    let business = server.get("me/businesses").await.rows()[0]["id"].as_str().unwrap().to_owned();
    let id = server.post(&format!("{business}/adspixels"), &[("name", "Ours")]).await.id();
    let form = [("name", "All of ours"), ("automatic_matching_fields", r#"["em","ph"]"#)];
    server.post(&id, &form).await;
    let fields = "name,code,owner_business,is_created_by_business,automatic_matching_fields,data_use_setting";
    let read = server.get(&format!("{id}?fields={fields}")).await.body;
    assert_eq!((read["name"].as_str(), read["owner_business"]["id"].as_str()), (Some("All of ours"), Some(&*business)));
    assert_eq!(read["automatic_matching_fields"], json!(["em", "ph"]));
    assert!(read["code"].as_str().unwrap().contains(&id));
    let listed = async || {
        let reply = server.get(&format!("{ACT}/adspixels?fields=name")).await;
        reply.rows().iter().any(|row| row["id"] == json!(id))
    };
    assert!(!listed().await);
    let form = [("business", business.as_str()), ("account_id", ACT.trim_start_matches("act_"))];
    assert_eq!(server.post(&format!("{id}/shared_accounts"), &form).await.body["success"], true);
    assert!(listed().await);
    assert_eq!(server.get(&format!("{id}/shared_accounts?business={business}")).await.rows()[0]["id"], ACT);
    assert_eq!(server.get(&format!("{id}/da_checks")).await.rows()[0]["result"], "pending");
}

#[tokio::test]
async fn an_unknown_dataset_is_missing() {
    let server = Server::start().await;
    let reply = server.post("42/events", &[("data", "[]")]).await;
    assert_eq!((reply.code(), reply.subcode()), (100, 33));
}
