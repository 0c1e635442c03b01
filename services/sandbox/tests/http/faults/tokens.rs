//! Tokens that die while they are used.

use super::{create, exists, fault};
use crate::server::{ACT, Server, TOKEN};
use serde_json::json;

#[tokio::test]
async fn a_token_dies_with_the_call_that_is_struck_and_stays_dead() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "path": "/campaigns" }, "action": { "dead_token": { "subcode": 460 } } }))
        .await;
    assert_eq!(server.get("me").await.status, 200);
    let reply = create(&server, "C").await.unwrap();
    assert_eq!(reply.status(), 400);
    assert!(!exists(&server, "C").await);
    server.control("DELETE", "faults", "").await;
    for path in ["me", ACT] {
        let reply = server.get(path).await;
        assert_eq!((reply.code(), reply.subcode()), (190, 460), "the end of the rule does not wake the dead");
    }
    let app = server.client().get(server.url(&format!("debug_token?input_token={TOKEN}")));
    let told = server.send_as(app.bearer_auth("1000000000000001|sandbox-app-secret")).await;
    if told.status == 200 {
        assert_eq!(
            (&told.body["data"]["is_valid"], &told.body["data"]["error"]["subcode"]),
            (&json!(false), &json!(460))
        );
    } else {
        panic!("{}", told.body);
    }
}

#[tokio::test]
async fn a_token_may_die_with_code_102_or_without_a_subcode() {
    for (death, code, subcode) in [
        (json!({ "code": 102 }), 102, json!(null)),
        (json!({ "code": 102, "subcode": 463 }), 102, json!(463)),
        (json!({}), 190, json!(null)),
    ] {
        let server = Server::start().await;
        fault(&server, json!({ "action": { "dead_token": death } })).await;
        for _ in 0..2 {
            let reply = server.get("me").await;
            assert_eq!((reply.code(), &reply.body["error"]["error_subcode"]), (code, &subcode));
        }
    }
}

#[tokio::test]
async fn only_the_token_that_is_meant_is_struck() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "token": "user" }, "action": { "error": { "code": 2 } } })).await;
    assert_eq!(server.get("me").await.status, 200, "it is a system user's");
    fault(&server, json!({ "matcher": { "token": "system_user" }, "action": { "error": { "code": 1 } }, "count": 1 }))
        .await;
    assert_eq!(server.get("me").await.code(), 1);
    let end = TOKEN.get(TOKEN.len() - 6..).unwrap();
    fault(&server, json!({ "matcher": { "token": end }, "action": { "error": { "code": 17 } } })).await;
    assert_eq!(server.get("me").await.code(), 17);
}

#[tokio::test]
async fn items_after_the_death_of_a_token_fail_and_those_before_it_do_not() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "item": true, "nth": 2 }, "action": { "dead_token": { "subcode": 463 } } }))
        .await;
    let ask = json!({ "method": "GET", "relative_url": "me" });
    let answer = super::batch(&server, json!([ask, ask, ask])).await;
    assert_eq!(answer[0]["code"], 200);
    for at in [1, 2] {
        let error = &super::body(&answer[at])["error"];
        assert_eq!((&error["code"], &error["error_subcode"]), (&json!(190), &json!(463)));
    }
}
