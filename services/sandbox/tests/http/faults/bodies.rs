//! Answers that come late, in part, or in a shape that clients do not expect.

use std::time::Instant;

use super::{exists, fault};
use crate::server::{ACT, Server, TOKEN, campaign_form};
use serde_json::json;

#[tokio::test]
async fn a_slow_answer_is_the_same_answer() {
    let server = Server::start().await;
    fault(&server, json!({ "action": { "slow": { "milliseconds": 300 } }, "count": 1 })).await;
    let before = Instant::now();
    assert_eq!(server.campaign("slow").await.len(), 18);
    assert!(before.elapsed().as_millis() >= 300);
}

#[tokio::test]
async fn a_cut_body_breaks_off_in_the_middle_of_what_was_done() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": "cut_body", "count": 1 })).await;
    let request = server.client().post(server.url(&format!("{ACT}/campaigns"))).bearer_auth(TOKEN);
    let mut response = request.form(&campaign_form("cut")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let promised = response.content_length().unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"{\"id\":") && (first.len() as u64) < promised, "{first:?} of {promised}");
    assert!(response.chunk().await.is_err());
    assert!(exists(&server, "cut").await);
}

#[tokio::test]
async fn json_may_say_that_it_is_something_else() {
    let server = Server::start().await;
    for (action, expected) in [
        (json!("wrong_content_type"), "text/html; charset=utf-8"),
        (json!({ "wrong_content_type": { "value": "text/javascript" } }), "text/javascript"),
    ] {
        fault(&server, json!({ "action": action, "count": 1 })).await;
        let reply = server.get("me?fields=id").await;
        assert_eq!(reply.header("content-type"), expected);
        assert!(reply.body["id"].is_string());
    }
}

#[tokio::test]
async fn ids_may_come_as_numbers_that_no_double_holds() {
    let server = Server::start().await;
    let id = server.campaign("C").await;
    let set = server.ad_set(&id).await;
    fault(&server, json!({ "action": "ids_as_numbers" })).await;
    let reply = server.get(&format!("{set}?fields=id,account_id,campaign_id,campaign{{id}},daily_budget,name")).await;
    let number: u64 = id.parse().unwrap();
    assert_eq!(reply.body["campaign_id"], json!(number));
    assert_eq!(reply.body["campaign"]["id"], json!(number));
    assert_eq!(reply.body["account_id"], json!(1_000_000_000_001_u64));
    assert_eq!((&reply.body["daily_budget"], &reply.body["name"]), (&json!("5000"), &json!("Set")));
    assert!(number > 1 << 53, "a client that keeps it in a double names another object");
    let made = server.post(&format!("{ACT}/campaigns"), &campaign_form("D")).await;
    assert!(made.body["id"].is_u64());
    let answer = super::batch(&server, json!([{ "method": "GET", "relative_url": format!("{ACT}/campaigns") }])).await;
    assert!(super::body(&answer[0])["data"][0]["id"].is_u64());
    assert_eq!(server.get(ACT).await.body["id"], ACT, "what has a prefix stays text");
}

#[tokio::test]
async fn several_rules_may_change_one_answer() {
    let server = Server::start().await;
    server.campaign("fresh").await;
    fault(
        &server,
        json!([
            { "matcher": { "method": "GET" }, "action": { "lagging_reads": { "seconds": 5 } } },
            { "matcher": { "method": "GET" }, "action": { "partial_page": { "rows": 1 } } },
            { "matcher": { "method": "GET" }, "action": "ids_as_numbers" },
            { "matcher": { "method": "GET" }, "action": "wrong_content_type" },
        ]),
    )
    .await;
    let reply = server.get(&format!("{ACT}/campaigns?fields=name")).await;
    assert_eq!((reply.rows().len(), reply.rows()[0]["id"].is_u64()), (1, true));
    assert_ne!(reply.rows()[0]["name"], "fresh");
    assert!(reply.header("content-type").starts_with("text/html"));
}
