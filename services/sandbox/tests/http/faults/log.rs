//! What checkers read: the log of requests, and the counts of arrivals.

use super::{advance, batch, create, fault, form};
use crate::server::{ACT, Server, TOKEN, campaign_form};
use serde_json::{Value, json};

async fn last(server: &Server) -> Value {
    server.log().await.pop().unwrap()
}

#[tokio::test]
async fn the_log_names_what_was_committed_even_where_the_answer_was_lost() {
    let server = Server::start().await;
    let id = server.campaign("C").await;
    let line = last(&server).await;
    assert_eq!((&line["committed"], &line["committed_ids"]), (&json!(true), &json!([id])));
    assert_eq!((&line["rule"], &line["fault"]), (&Value::Null, &Value::Null));
    fault(
        &server,
        json!({ "matcher": { "method": "POST" }, "action": { "timeout_after_commit": { "seconds": 0 } }, "count": 1 }),
    )
    .await;
    assert!(create(&server, "lost").await.is_err());
    let line = last(&server).await;
    assert_eq!((&line["status"], &line["committed"], &line["rule"]), (&json!(0), &json!(true), &json!(1)));
    let lost = line["committed_ids"][0].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("{lost}?fields=name")).await.body["name"], "lost");
    assert_eq!(last(&server).await["committed"], false);
}

#[tokio::test]
async fn what_a_deletion_reaches_is_named_too_and_a_refusal_names_nothing() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let set = server.ad_set(&campaign).await;
    server.delete(&campaign).await;
    assert_eq!(last(&server).await["committed_ids"], json!([campaign, set]));
    server.post(&format!("{ACT}/campaigns"), &[("name", "bad")]).await;
    let line = last(&server).await;
    assert_eq!((&line["committed"], &line["committed_ids"], &line["code"]), (&json!(false), &Value::Null, &json!(100)));
}

#[tokio::test]
async fn every_item_has_a_line_and_the_rule_that_struck_it() {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "item": true, "nth": 2 }, "action": "null_item" })).await;
    let item = |name| json!({ "method": "POST", "relative_url": format!("{ACT}/campaigns"), "body": form(&campaign_form(name)) });
    let answer = batch(&server, json!([item("one"), item("two")])).await;
    let lines = server.log().await;
    let of = |at: u64| lines.iter().find(|line| line["item"] == at).unwrap();
    assert_eq!(of(0)["committed_ids"][0], super::body(&answer[0])["id"]);
    assert_eq!((&of(1)["status"], &of(1)["committed"], &of(1)["rule"]), (&json!(0), &json!(false), &json!(1)));
    assert_eq!(lines.iter().filter(|line| line["item"].is_null()).count(), 1);
}

#[tokio::test]
async fn the_log_says_who_asked_and_never_with_what() {
    let server = Server::start().await;
    let request = server.client().get(server.url("me")).header("user-agent", "fbbizsdk-python-v26.0.3");
    server.send(request).await;
    let line = last(&server).await;
    assert_eq!((&line["user_agent"], &line["proxy"]), (&json!("fbbizsdk-python-v26.0.3"), &Value::Null));
    fault(&server, json!({ "matcher": { "token": TOKEN }, "action": "drop", "count": 1 })).await;
    let lost = server.client().get(server.url(&format!("{ACT}?access_token={TOKEN}"))).send().await;
    assert!(lost.is_err());
    assert_eq!(last(&server).await["rule"], 1);
    assert!(!Value::from(server.log().await).to_string().contains(TOKEN));
}

#[tokio::test]
async fn arrivals_are_counted_in_every_window_apart_from_those_of_others() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.get(&format!("{ACT}/ads")).await;
    }
    advance(&server, 50).await;
    fault(&server, json!({ "matcher": { "path": "/ads" }, "action": { "error": { "code": 17 } }, "count": 1 })).await;
    fault(&server, json!({ "matcher": { "path": "/campaigns" }, "action": "drop", "count": 1 })).await;
    server.get(&format!("{ACT}/ads")).await;
    assert!(create(&server, "dropped").await.is_err());
    server
        .control("POST", "usage", &json!({ "account": ACT, "use_case": "ads_management", "calls": 40 }).to_string())
        .await;
    advance(&server, 55).await;
    server.get(&format!("{ACT}/insights")).await;
    let counts = server.control_json("counts?window_seconds=60").await;
    let row = |bucket: &str| {
        counts["rows"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["bucket"] == bucket && row["account"] == ACT)
            .unwrap()
            .clone()
    };
    assert_eq!(
        row("ads_management"),
        json!({
            "account": ACT, "bucket": "ads_management", "arrivals": 5, "refused": 1, "others": 40, "in_window": 2, "peak": 5,
            "peak_with_others": 45,
        })
    );
    assert_eq!((&row("ads_insights")["arrivals"], &row("ads_insights")["peak"]), (&json!(1), &json!(1)));
    let narrow = server.control_json("counts?window_seconds=10").await;
    let row = narrow["rows"].as_array().unwrap().iter().find(|row| row["bucket"] == "ads_management").unwrap();
    assert_eq!((&row["peak"], &row["peak_with_others"]), (&json!(3), &json!(42)));
}

#[tokio::test]
async fn work_that_was_done_late_did_not_arrive_twice() {
    let server = Server::start().await;
    let action = json!({ "timeout_then_commit": { "seconds": 0, "commit_seconds": 5 } });
    fault(&server, json!({ "matcher": { "method": "POST" }, "action": action, "count": 1 })).await;
    assert!(create(&server, "late").await.is_err());
    advance(&server, 5).await;
    super::exists_soon(&server, "late").await;
    let lines = server.log().await;
    assert_eq!(
        (&lines[0]["committed"], &lines[0]["late"], &lines[0]["status"]),
        (&json!(false), &Value::Null, &json!(0))
    );
    assert_eq!(
        (&lines[1]["committed"], &lines[1]["late"], &lines[1]["status"]),
        (&json!(true), &json!(true), &json!(0))
    );
    assert_eq!(server.control_json("counts").await["rows"][0]["arrivals"], 1);
}
