use crate::server::{ACT, Server};
use serde_json::{Value, json};

async fn batch(server: &Server, items: Value) -> Value {
    server.post("", &[("batch", &items.to_string())]).await.body
}

fn body(item: &Value) -> Value {
    serde_json::from_str(item["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn items_are_answered_in_order_with_string_bodies_and_usage_headers() {
    let server = Server::start().await;
    let answer = batch(
        &server,
        json!([
            { "method": "GET", "relative_url": format!("{ACT}?fields=name") },
            { "method": "GET", "relative_url": "/v26.0/99" },
            { "method": "GET", "relative_url": "me" },
        ]),
    )
    .await;
    assert_eq!(body(&answer[0])["name"], "Sandbox Shop");
    assert_eq!((answer[1]["code"].as_i64(), body(&answer[1])["error"]["code"].as_i64()), (Some(400), Some(100)));
    assert_eq!(body(&answer[2])["name"], "Sandbox System User");
    let headers = answer[0]["headers"].as_array().unwrap();
    let usage = headers.iter().find(|header| header["name"] == "X-Business-Use-Case-Usage").unwrap();
    assert!(usage["value"].as_str().unwrap().contains("\"1000000000001\""));
}

#[tokio::test]
async fn an_item_may_refer_to_the_one_before_whose_success_is_left_out() {
    let server = Server::start().await;
    let campaign =
        "name=B&objective=OUTCOME_TRAFFIC&status=PAUSED&special_ad_categories=[]&is_adset_budget_sharing_enabled=false";
    let ad_set = "name=S&campaign_id={result=c:$.id}&status=PAUSED&daily_budget=500&billing_event=IMPRESSIONS&optimization_goal=LINK_CLICKS&targeting={\"geo_locations\":{\"countries\":[\"US\"]},\"targeting_automation\":{\"advantage_audience\":0}}&fields=campaign_id";
    let answer = batch(
        &server,
        json!([
            { "method": "POST", "relative_url": format!("{ACT}/campaigns"), "name": "c", "body": campaign },
            { "method": "POST", "relative_url": format!("{ACT}/adsets"), "body": ad_set },
        ]),
    )
    .await;
    assert_eq!(answer[0], Value::Null);
    assert_eq!(answer[1]["code"], 200, "{answer}");
    let id = body(&answer[1])["campaign_id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("{id}?fields=name")).await.body["name"], "B");
    let failing = batch(
        &server,
        json!([
            { "method": "POST", "relative_url": format!("{ACT}/campaigns"), "name": "c", "body": "name=B" },
            { "method": "POST", "relative_url": format!("{ACT}/adsets"), "body": ad_set },
        ]),
    )
    .await;
    assert_eq!(body(&failing[0])["error"]["code"], 100);
    assert_eq!(body(&failing[1])["error"]["code"], 960);
}

#[tokio::test]
async fn every_item_is_counted_and_logged_for_itself() {
    let server = Server::start().await;
    let items = vec![json!({ "method": "GET", "relative_url": format!("{ACT}?fields=id") }); 50];
    batch(&server, Value::Array(items)).await;
    let log = server.log().await;
    assert_eq!(log.iter().filter(|line| line["item"].is_number()).count(), 50);
    assert!(log.iter().filter(|line| line["item"].is_number()).all(|line| line["bucket"] == "ads_management"));
    let many = vec![json!({ "method": "GET", "relative_url": "me" }); 51];
    assert_eq!(batch(&server, Value::Array(many)).await["error"]["code"], 100);
}

#[tokio::test]
async fn a_bad_outer_token_fails_the_whole_batch() {
    let server = Server::start().await;
    let form = [("batch", "[{\"method\":\"GET\",\"relative_url\":\"me\"}]"), ("access_token", "nonsense")];
    let reply = server.send_as(server.client().post(server.url("")).form(&form)).await;
    assert_eq!(reply.code(), 190);
}

#[tokio::test]
async fn every_item_that_is_not_run_has_a_trace_of_its_own() {
    let server = Server::start().await;
    let answer = batch(
        &server,
        json!([
            { "method": "GET", "relative_url": "99", "name": "a" },
            { "method": "GET", "relative_url": "me", "depends_on": "a" },
            { "method": "GET", "relative_url": "me", "depends_on": "a" },
        ]),
    )
    .await;
    let traces: Vec<Value> = (0..3).map(|at| body(&answer[at])["error"]["fbtrace_id"].clone()).collect();
    assert_eq!(body(&answer[1])["error"]["code"], 960);
    assert!(traces[0] != traces[1] && traces[1] != traces[2] && traces[0] != traces[2], "{traces:?}");
}
