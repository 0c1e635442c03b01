//! The rules themselves: written, shown, taken away, and refused where nobody can mean them.

use super::fault;
use crate::server::{ACT, Server};
use serde_json::json;

#[tokio::test]
async fn rules_are_shown_with_how_they_fared_and_go_one_by_one_or_all() {
    let server = Server::start().await;
    let first = fault(
        &server,
        json!({ "matcher": { "path": "/me", "every": 2 }, "action": { "error": { "code": 2 } }, "count": 9 }),
    )
    .await;
    let second = fault(&server, json!({ "matcher": { "path": "/nowhere" }, "action": "drop" })).await;
    assert_eq!((&first["id"], &second["id"]), (&json!(1), &json!(2)));
    for status in [200, 500, 200] {
        assert_eq!(server.get("me").await.status, status);
    }
    let shown = server.control_json("faults").await;
    assert_eq!(
        shown[0],
        json!({
            "id": 1, "matcher": { "path": "/me", "every": 2 }, "action": { "error": { "code": 2 } }, "count": 9,
            "matched": 3, "hits": 1,
        })
    );
    assert_eq!((&shown[1]["action"], &shown[1]["hits"]), (&json!({ "drop": {} }), &json!(0)));
    server.control("DELETE", "faults?id=1", "").await;
    assert_eq!(server.control_json("faults").await[0]["id"], 2);
    assert_eq!([server.get("me").await.status, server.get("me").await.status], [200, 200]);
    server.control("DELETE", "faults", "").await;
    assert_eq!(server.control_json("faults").await, json!([]));
}

#[tokio::test]
async fn a_list_takes_the_place_of_all_and_what_is_shown_can_be_posted_again() {
    let server = Server::start().await;
    fault(&server, json!({ "action": "drop" })).await;
    let both = json!([{ "matcher": { "path": "/me" }, "action": { "error": { "code": 2 } }, "count": 1 }, { "action": "ids_as_numbers" }]);
    assert_eq!(fault(&server, both).await["ids"], json!([2, 3]));
    assert_eq!([server.get("me").await.status, server.get("me").await.status], [500, 200]);
    let shown = server.control_json("faults").await;
    fault(&server, shown).await;
    assert_eq!(server.get("me").await.status, 500, "posted again it begins anew");
}

#[tokio::test]
async fn a_rule_that_is_mistyped_is_refused_with_the_word_that_was_meant() {
    let server = Server::start().await;
    let refused = async |method: &str, name: &str, body: &str| {
        let url = format!("http://{}/__sandbox/{name}", server.address);
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let response = server.client().request(method, url).body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, text) = refused("POST", "faults", r#"{"matcher":{"mehtod":"GET"},"action":"drop"}"#).await;
    assert_eq!(status, 400);
    assert!(text.contains("`mehtod`") && text.ends_with("did you mean `method`?"), "{text}");
    let (status, text) = refused("POST", "faults", r#"[{"action":"drop"},{"action":"timeout_after_comit"}]"#).await;
    assert_eq!(status, 400);
    assert!(text.starts_with("rule 1: ") && text.ends_with("did you mean `timeout_after_commit`?"), "{text}");
    assert_eq!(refused("POST", "faults", "not json").await.0, 400);
    assert_eq!(refused("DELETE", "faults?id=7", "").await.0, 404);
    assert_eq!(refused("DELETE", "faults?id=x", "").await.0, 400);
    assert_eq!(server.control_json("faults").await, json!([]), "nothing of a bad list is in force");
}

#[tokio::test]
async fn a_rule_may_be_about_one_account_and_one_time() {
    let server = Server::start().await;
    fault(
        &server,
        json!({
            "matcher": { "account": ACT, "after": "2026-11-15T21:00:00Z", "until": "2026-11-15T21:10:00Z" },
            "action": { "error": { "code": 2 } },
        }),
    )
    .await;
    for (now, here) in [("20:59:59", 200), ("21:00:00", 500), ("21:09:59", 500), ("21:10:00", 200)] {
        server.control("POST", "clock", &format!(r#"{{"now":"2026-11-15T{now}Z"}}"#)).await;
        assert_eq!(server.get(&format!("{ACT}/ads")).await.status, here, "{now}");
        assert_eq!(server.get("act_1000000000002/ads").await.status, 200);
    }
}

#[tokio::test]
async fn a_probability_strikes_some_calls_and_the_same_ones_in_every_run() {
    let run = async || {
        let server = Server::start().await;
        fault(&server, json!({ "matcher": { "probability": 0.5 }, "action": { "error": { "code": 2 } } })).await;
        let mut seen = Vec::new();
        for _ in 0..40 {
            seen.push(server.get("me").await.status);
        }
        seen
    };
    let first = run().await;
    assert_eq!(first, run().await);
    assert!(first.contains(&200) && first.contains(&500), "{first:?}");
}
