//! Calls that are refused: Graph errors and bare pages.

use super::{campaigns, create, fault};
use crate::server::{ACT, Server};
use serde_json::{Value, json};

#[tokio::test]
async fn a_graph_error_is_what_the_rule_says_and_nothing_is_done() {
    let server = Server::start().await;
    let before = campaigns(&server).await;
    let error = json!({
        "code": 100, "subcode": 1_885_272, "message": "Invalid parameter", "is_transient": true, "status": 418,
        "user_title": "Budget too low", "user_message": "Spend more.", "blame": ["daily_budget", "targeting.geo_locations"],
    });
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": { "error": error }, "count": 1 })).await;
    let reply = server.post(&format!("{ACT}/campaigns"), &crate::server::campaign_form("C")).await;
    let mut error = reply.body["error"].clone();
    assert!(error.as_object_mut().unwrap().remove("fbtrace_id").is_some());
    let expected = json!({
        "code": 100, "error_subcode": 1_885_272, "message": "Invalid parameter", "is_transient": true,
        "type": "OAuthException", "error_user_title": "Budget too low", "error_user_msg": "Spend more.",
        "error_data": r#"{"blame_field_specs":[["daily_budget"],["targeting","geo_locations"]]}"#,
    });
    assert_eq!((reply.status, error), (418, expected));
    assert_eq!(campaigns(&server).await, before);
}

#[tokio::test]
async fn a_bare_code_is_answered_as_meta_answers_it() {
    let server = Server::start().await;
    for (code, status, transient) in
        [(1, 500, Value::Null), (2, 500, true.into()), (4, 403, true.into()), (100, 400, Value::Null)]
    {
        fault(&server, json!({ "action": { "error": { "code": code } }, "count": 1 })).await;
        let reply = server.get("me").await;
        assert_eq!((reply.code(), reply.status), (code, status));
        assert_eq!(reply.body["error"]["is_transient"], transient, "{code}");
    }
    assert_eq!(server.get("me").await.status, 200);
}

#[tokio::test]
async fn a_page_stands_where_json_should() {
    let server = Server::start().await;
    fault(&server, json!({ "action": { "http": { "status": 503 } }, "count": 1 })).await;
    let reply = server.get("me").await;
    assert_eq!(reply.status, 503);
    assert!(reply.header("content-type").starts_with("text/html"));
    assert!(reply.body.as_str().unwrap().contains("Service Unavailable"), "{}", reply.body);
    let teapot = json!({ "status": 200, "body": "{\"data\":", "content_type": "application/json" });
    fault(&server, json!({ "action": { "http": teapot }, "count": 1 })).await;
    let reply = server.get("me").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    assert_eq!(reply.body, json!("{\"data\":"));
}

#[tokio::test]
async fn too_many_rows_at_once_are_told_to_be_fewer() {
    let server = Server::start().await;
    fault(&server, json!({ "action": { "too_much_data": { "limit_max": 50 } } })).await;
    let reply = server.get(&format!("{ACT}/ads?limit=51")).await;
    assert_eq!((reply.status, reply.code()), (500, 1));
    assert!(reply.body["error"]["message"].as_str().unwrap().contains("reduce the amount of data"));
    assert_eq!(server.get(&format!("{ACT}/ads?limit=50")).await.status, 200);
    assert_eq!(server.get(&format!("{ACT}/ads")).await.status, 200);
    assert_eq!(server.get(&format!("{ACT}?limit=500")).await.status, 200, "a node has no rows");
}

#[tokio::test]
async fn a_cursor_may_have_expired() {
    let server = Server::start().await;
    let first = server.get(&format!("{ACT}/ads?limit=1")).await;
    let after = first.body["paging"]["cursors"]["after"].as_str().unwrap();
    for (action, code) in [(json!("expired_cursors"), 2642), (json!({ "expired_cursors": { "code": 100 } }), 100)] {
        fault(&server, json!({ "action": action, "count": 1 })).await;
        assert_eq!(server.get(&format!("{ACT}/ads?limit=1")).await.status, 200, "no cursor, no fault");
        assert_eq!(server.get(&format!("{ACT}/ads?limit=1&after={after}")).await.code(), code);
        assert_eq!(server.get(&format!("{ACT}/ads?limit=1&after={after}")).await.status, 200);
    }
}

#[tokio::test]
async fn a_removed_version_is_gone_for_all_and_comes_back_with_the_end_of_its_rule() {
    let server = Server::start().await;
    let at = async |version: &str| {
        let url = format!("http://{}/{version}/me", server.address);
        server.send(server.client().get(url)).await
    };
    let rule = fault(&server, json!({ "action": { "removed_version": { "version": "v25.0" } } })).await;
    for _ in 0..2 {
        assert_eq!(at("v25.0").await.code(), 2635);
        assert_eq!(at("v26.0").await.status, 200);
    }
    server.control("DELETE", &format!("faults?id={}", rule["id"]), "").await;
    assert_eq!(at("v25.0").await.status, 200);
    fault(&server, json!({ "action": "removed_version" })).await;
    assert_eq!(create(&server, "C").await.unwrap().status(), 400);
    let whole = server.post("", &[("batch", r#"[{"method":"GET","relative_url":"me"}]"#)]).await;
    assert_eq!(whole.code(), 2635, "a batch of a removed version fails as a whole");
    assert_eq!(at("v25.0").await.status, 200);
}
