//! Throttle storms: who is refused, what the headers say, and when it is over.

use super::{advance, batch, body, create, exists, fault};
use crate::server::{ACT, Server};
use serde_json::{Value, json};

const OTHER: &str = "act_1000000000002";

fn header(reply: &crate::server::Reply, name: &str) -> Value {
    serde_json::from_str(reply.header(name)).unwrap_or_else(|_| panic!("{name}: {:?}", reply.headers))
}

#[tokio::test]
async fn a_storm_refuses_every_call_of_its_account_and_counts_down() {
    let server = Server::start().await;
    fault(
        &server,
        json!({
            "matcher": { "account": ACT }, "action": { "throttle_storm": { "code": 80_004, "seconds": 150 } },
        }),
    )
    .await;
    for (passed, minutes, seconds) in [(0, 3, 150), (60, 2, 90), (89, 1, 1)] {
        advance(&server, passed).await;
        let reply = server.get(&format!("{ACT}/campaigns")).await;
        assert_eq!((reply.code(), reply.subcode()), (80_004, 2_446_079));
        let row = &header(&reply, "x-business-use-case-usage")["1000000000001"][0];
        assert_eq!((&row["type"], &row["call_count"]), (&json!("ads_management"), &json!(100)));
        assert_eq!(row["estimated_time_to_regain_access"], minutes);
        let score = header(&reply, "x-ad-account-usage");
        assert_eq!((&score["acc_id_util_pct"], &score["reset_time_duration"]), (&json!(100), &json!(seconds)));
    }
    assert_eq!(create(&server, "refused").await.unwrap().status(), 400);
    assert!(!exists(&server, "refused").await);
    assert_eq!(server.get(&format!("{OTHER}/campaigns")).await.status, 200);
    assert_eq!(server.get("me").await.status, 200);
    advance(&server, 1).await;
    assert_eq!(server.get(&format!("{ACT}/campaigns")).await.status, 200);
    assert_eq!(server.get(&format!("{ACT}/campaigns")).await.status, 200, "one storm a rule, unless it says more");
}

#[tokio::test]
async fn a_storm_may_be_so_many_calls_long() {
    let server = Server::start().await;
    fault(&server, json!({ "action": { "throttle_storm": { "code": 17, "calls": 2 } } })).await;
    assert_eq!(server.get("me").await.status, 200, "it begins with a call of an account");
    let codes = async || {
        let reply = server.get(&format!("{ACT}/ads")).await;
        reply.body["error"]["code"].as_i64()
    };
    assert_eq!([codes().await, codes().await, codes().await], [Some(17), Some(17), None]);
}

#[tokio::test]
async fn a_storm_of_the_app_reaches_all() {
    let server = Server::start().await;
    fault(&server, json!({ "action": { "throttle_storm": { "code": 4, "seconds": 60 } } })).await;
    let reply = server.get(&format!("{ACT}/insights")).await;
    assert_eq!((reply.code(), reply.status), (4, 403));
    assert_eq!(header(&reply, "x-app-usage")["call_count"], 100);
    assert_eq!(header(&reply, "x-fb-ads-insights-throttle")["app_id_util_pct"], 100);
    assert_eq!(server.get(&format!("{OTHER}/campaigns")).await.code(), 4);
    assert_eq!(server.get("me").await.code(), 4);
}

#[tokio::test]
async fn a_storm_in_the_middle_of_a_batch_refuses_the_items_from_there_on() {
    let server = Server::start().await;
    fault(&server, json!({
        "matcher": { "item": true, "nth": 2 }, "action": { "throttle_storm": { "code": 613, "subcode": 1_487_742, "seconds": 60 } },
    }))
    .await;
    let ask = |account: &str| json!({ "method": "GET", "relative_url": format!("{account}/campaigns") });
    let answer = batch(&server, json!([ask(ACT), ask(ACT), ask(OTHER), ask(ACT)])).await;
    assert_eq!((&answer[0]["code"], &answer[2]["code"]), (&json!(200), &json!(200)));
    for at in [1, 3] {
        assert_eq!(body(&answer[at])["error"]["code"], 613);
        assert_eq!(body(&answer[at])["error"]["error_subcode"], 1_487_742);
        let headers = answer[at]["headers"].as_array().unwrap();
        let usage = headers.iter().find(|header| header["name"] == "X-Business-Use-Case-Usage").unwrap();
        assert!(usage["value"].as_str().unwrap().contains("\"call_count\":100"), "{usage}");
    }
    let rules = server.control_json("faults").await;
    assert_eq!((&rules[0]["hits"], &rules[0]["under_way"]["refused"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn a_storm_outlives_a_clock_that_is_turned_back_and_ends_with_its_rule() {
    let server = Server::start().await;
    fault(&server, json!({ "action": { "throttle_storm": { "code": 80_004, "seconds": 60 } } })).await;
    assert_eq!(server.get(&format!("{ACT}/ads")).await.code(), 80_004);
    advance(&server, -3_600).await;
    let reply = server.get(&format!("{ACT}/ads")).await;
    assert_eq!(header(&reply, "x-ad-account-usage")["reset_time_duration"], 60, "never more than the storm is long");
    server.control("DELETE", "faults", "").await;
    assert_eq!(server.get(&format!("{ACT}/ads")).await.status, 200);
}
