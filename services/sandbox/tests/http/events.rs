use crate::server::{DATASET, Server};
use serde_json::{Value, json};

const NOW: i64 = 1_794_774_600;

fn event(id: &str) -> Value {
    json!({
        "event_name": "Purchase", "event_time": NOW - 60, "event_id": id, "action_source": "website",
        "event_source_url": "https://shop.example/", "user_data": { "em": ["00"], "ph": null },
        "custom_data": { "value": 12.5, "currency": "usd" },
    })
}

async fn send(server: &Server, data: &Value) -> crate::server::Reply {
    server.post(&format!("{DATASET}/events"), &[("data", &data.to_string())]).await
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
async fn events_may_be_encoded_twice() {
    let server = Server::start().await;
    let reply = send(&server, &json!([event("1").to_string()])).await;
    assert_eq!(reply.body["events_received"], 1);
}

#[tokio::test]
async fn one_bad_event_keeps_all_others_out() {
    let server = Server::start().await;
    let mut old = event("2");
    old["event_time"] = json!(NOW - 8 * 86_400);
    assert_eq!(send(&server, &json!([event("1"), old])).await.subcode(), 2_804_003);
    let mut nobody = event("3");
    nobody["user_data"] = json!({ "client_ip_address": "192.0.2.1" });
    assert_eq!(send(&server, &json!([event("1"), nobody])).await.subcode(), 2_804_050);
    assert_eq!(send(&server, &json!(vec![event("1"); 1_001])).await.code(), 100);
    assert_eq!(server.control("GET", "events", "").await, "");
}

#[tokio::test]
async fn the_same_name_and_id_count_once_within_two_days() {
    let server = Server::start().await;
    send(&server, &json!([event("1"), event("1")])).await;
    send(&server, &json!([event("1"), event("2")])).await;
    let text = server.control("GET", &format!("events?dataset={DATASET}"), "").await;
    let effective: Vec<bool> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["effective"].as_bool().unwrap()).collect();
    assert_eq!(effective, [true, false, false, true]);
    let world = server.control_json("world").await;
    assert_eq!(
        (world["datasets"][0]["received"].as_i64(), world["datasets"][0]["effective"].as_i64()),
        (Some(4), Some(2))
    );
}

#[tokio::test]
async fn an_unknown_dataset_is_missing() {
    let server = Server::start().await;
    let reply = server.post("42/events", &[("data", "[]")]).await;
    assert_eq!((reply.code(), reply.subcode()), (100, 33));
}
