//! Faults in batches: of items, of those that refer to them, and of the call that carries them.

use super::{advance, batch, body, exists, exists_soon, fault, form};
use crate::server::{ACT, Server, ad_set_form, campaign_form};
use serde_json::{Value, json};

/// Three campaigns.
fn three() -> Value {
    let item = |name: &str| json!({ "method": "POST", "relative_url": format!("{ACT}/campaigns"), "body": form(&campaign_form(name)) });
    json!([item("one"), item("two"), item("three")])
}

/// A campaign, and an ad set that refers to it.
fn pair(name: &str) -> Value {
    json!([
        { "method": "POST", "relative_url": format!("{ACT}/campaigns"), "name": "c", "body": form(&campaign_form(name)) },
        { "method": "POST", "relative_url": format!("{ACT}/adsets"), "body": form(&ad_set_form("{result=c:$.id}")) },
    ])
}

fn second(action: &Value) -> Value {
    json!({ "matcher": { "path": "/campaigns", "item": true, "nth": 2 }, "action": action })
}

#[tokio::test]
async fn one_item_may_be_null_and_only_a_look_tells_whether_it_was_done() {
    for (action, done) in [
        (json!("null_item"), false),
        (json!({ "null_item": { "commit": true } }), true),
        (json!("drop"), false),
        (json!("timeout_before_commit"), false),
        (json!("timeout_after_commit"), true),
    ] {
        let server = Server::start().await;
        fault(&server, second(&action)).await;
        let answer = batch(&server, three()).await;
        assert_eq!((&answer[0]["code"], &answer[1], &answer[2]["code"]), (&json!(200), &Value::Null, &json!(200)));
        assert!(exists(&server, "one").await && exists(&server, "three").await);
        assert_eq!(exists(&server, "two").await, done, "{action}");
    }
}

#[tokio::test]
async fn one_item_may_fail_with_an_error_or_a_page() {
    let server = Server::start().await;
    fault(&server, second(&json!({ "error": { "code": 960 } }))).await;
    let answer = batch(&server, three()).await;
    assert_eq!((&answer[1]["code"], &body(&answer[1])["error"]["type"]), (&json!(400), &json!("GraphBatchException")));
    assert_eq!(body(&answer[1])["error"]["code"], 960);
    assert!(!exists(&server, "two").await && exists(&server, "three").await);
    server.control("DELETE", "faults", "").await;
    fault(&server, second(&json!({ "http": { "status": 503 } }))).await;
    let answer = batch(&server, three()).await;
    assert_eq!(answer[1]["code"], 503);
    assert!(answer[1]["body"].as_str().unwrap().starts_with("<html>"), "{answer}");
}

#[tokio::test]
async fn what_refers_to_a_struck_item_is_aborted() {
    for action in [
        json!("null_item"),
        json!("timeout_after_commit"),
        json!({ "error": { "code": 2 } }),
        json!({ "http": { "status": 500 } }),
    ] {
        let server = Server::start().await;
        let sets = server.control_json("world").await["adsets"].as_array().unwrap().len();
        fault(&server, json!({ "matcher": { "path": "/campaigns", "item": true }, "action": action, "count": 1 }))
            .await;
        let answer = batch(&server, pair("P")).await;
        assert_eq!(body(&answer[1])["error"]["code"], 960, "{action}: {answer}");
        assert_eq!(exists(&server, "P").await, action == "timeout_after_commit");
        assert_eq!(server.control_json("world").await["adsets"].as_array().unwrap().len(), sets);
        let again = batch(&server, pair("P")).await;
        assert_eq!(
            (&again[0], &again[1]["code"]),
            (&Value::Null, &json!(200)),
            "the same batch works once the fault is over"
        );
    }
}

#[tokio::test]
async fn a_struck_item_that_refers_to_another_leaves_that_one_alone() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "path": "/adsets" }, "action": { "error": { "code": 1 } }, "count": 1 })).await;
    let answer = batch(&server, pair("P")).await;
    assert_eq!((&answer[0], &answer[1]["code"]), (&Value::Null, &json!(500)));
    assert!(exists(&server, "P").await, "what was done stays done: a batch is no transaction");
}

#[tokio::test]
async fn an_item_may_be_done_long_after_its_batch_was_answered() {
    let server = Server::start().await;
    fault(&server, second(&json!({ "timeout_then_commit": { "commit_seconds": 60 } }))).await;
    let answer = batch(&server, three()).await;
    assert_eq!(answer[1], Value::Null);
    assert!(!exists(&server, "two").await);
    advance(&server, 60).await;
    exists_soon(&server, "two").await;
    let lines = server.log().await;
    let late: Vec<&Value> = lines.iter().filter(|line| line["late"] == true).collect();
    assert_eq!((late.len(), &late[0]["item"], &late[0]["committed"]), (1, &json!(1), &json!(true)));
}

#[tokio::test]
async fn the_call_that_carries_a_batch_may_be_struck_for_itself() {
    let server = Server::start().await;
    let outer = |action: Value| json!({ "matcher": { "method": "POST", "item": false }, "action": action, "count": 1 });
    fault(&server, outer(json!({ "error": { "code": 2 } }))).await;
    assert_eq!(batch(&server, three()).await["error"]["code"], 2);
    assert!(!exists(&server, "one").await);
    fault(&server, outer(json!({ "timeout_after_commit": { "seconds": 0 } }))).await;
    let request = server.client().post(server.url("")).bearer_auth(crate::server::TOKEN);
    assert!(request.form(&[("batch", three().to_string())]).send().await.is_err());
    assert!(exists(&server, "one").await && exists(&server, "two").await && exists(&server, "three").await);
}

#[tokio::test]
async fn a_rule_for_items_leaves_other_calls_alone() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "path": "/campaigns", "item": true }, "action": { "error": { "code": 2 } } }))
        .await;
    assert_eq!(server.get(&format!("{ACT}/campaigns")).await.status, 200);
    let answer = batch(&server, json!([{ "method": "GET", "relative_url": format!("{ACT}/campaigns") }])).await;
    assert_eq!(body(&answer[0])["error"]["code"], 2);
}

#[tokio::test]
async fn what_is_worked_off_behind_a_call_is_struck_like_a_call() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "path": "/campaigns", "nth": 2 }, "action": { "error": { "code": 2 } } }))
        .await;
    let operation = |name: &str| json!({ "name": name, "relative_url": format!("{ACT}/campaigns"), "body": form(&campaign_form(name)), "method": "POST" });
    let operations = json!([operation("one"), operation("two"), operation("three")]).to_string();
    let form = [("name", "Behind"), ("adbatch", operations.as_str())];
    let set = server.post(&format!("{ACT}/async_batch_requests"), &form).await.id();
    let ended = async { while server.get(&format!("{set}?fields=is_completed")).await.body["is_completed"] != true {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.unwrap();
    let requests = server.get(&format!("{set}/requests?fields=status,result")).await;
    let statuses: Vec<&Value> = requests.rows().iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, ["SUCCESS", "ERROR", "SUCCESS"]);
    assert_eq!(requests.rows()[1]["result"]["error"]["code"], 2);
    assert!(exists(&server, "one").await && !exists(&server, "two").await && exists(&server, "three").await);
    let struck: Vec<Value> = server.log().await.into_iter().filter(|line| line["rule"] == 1).collect();
    assert_eq!((struck.len(), &struck[0]["committed"]), (1, &json!(false)));
}
