use crate::server::{ACT, Server, campaign_form};
use serde_json::Value;

async fn fault(server: &Server, rule: &str) {
    server.control("POST", "faults", rule).await;
}

#[tokio::test]
async fn every_request_is_logged_without_its_token() {
    let server = Server::start().await;
    server.campaign("C").await;
    server.get(&format!("99?access_token={}", crate::server::TOKEN)).await;
    let log = server.log().await;
    let of = |at: usize, name: &str| log[at][name].clone();
    assert_eq!((of(0, "method"), of(0, "status"), of(0, "committed")), ("POST".into(), 200.into(), true.into()));
    assert_eq!((of(0, "bucket"), of(0, "account")), ("ads_management".into(), ACT.into()));
    assert_eq!((of(1, "path"), of(1, "code"), of(1, "committed")), ("/v26.0/99".into(), 100.into(), false.into()));
    assert!(!Value::from(log).to_string().contains(crate::server::TOKEN));
}

#[tokio::test]
async fn a_call_may_fail_on_demand_with_an_error_or_a_page() {
    let server = Server::start().await;
    fault(&server, r#"{"matcher":{"path":"/campaigns"},"action":{"error":{"code":2,"is_transient":true}},"count":1}"#)
        .await;
    let refused = server.get(&format!("{ACT}/campaigns")).await;
    assert_eq!((refused.code(), refused.status), (2, 500));
    assert_eq!(server.get(&format!("{ACT}/campaigns")).await.status, 200);
    fault(&server, r#"{"matcher":{"method":"GET","nth":1},"action":{"http":{"status":503}}}"#).await;
    assert_eq!(server.get("me").await.status, 503);
    assert_eq!(server.get("me").await.status, 200);
}

#[tokio::test]
async fn a_dropped_call_did_nothing_and_a_timed_out_one_may_have() {
    let server = Server::start().await;
    let create = async |name: &str| {
        let request = server.client().post(server.url(&format!("{ACT}/campaigns"))).bearer_auth(crate::server::TOKEN);
        request.form(&campaign_form(name)).send().await
    };
    let names = async || {
        let world = server.control_json("world").await;
        let rows = world["campaigns"].as_array().unwrap().clone();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    fault(&server, r#"{"matcher":{"method":"POST"},"action":"drop","count":1}"#).await;
    assert!(create("dropped").await.is_err());
    assert!(!names().await.contains(&"dropped".to_owned()));
    fault(&server, r#"{"matcher":{"method":"POST"},"action":{"timeout_before_commit":{"seconds":0}},"count":1}"#).await;
    assert!(create("before").await.is_err());
    assert!(!names().await.contains(&"before".to_owned()));
    fault(&server, r#"{"matcher":{"method":"POST"},"action":{"timeout_after_commit":{"seconds":0}},"count":1}"#).await;
    assert!(create("after").await.is_err());
    assert!(names().await.contains(&"after".to_owned()));
}

#[tokio::test]
async fn a_reset_gives_back_the_first_world() {
    let server = Server::start().await;
    let before = server.control_json("world").await;
    server.campaign("C").await;
    assert_ne!(server.control_json("world").await, before);
    server.control("POST", "reset", "").await;
    assert_eq!(server.control_json("world").await, before);
    assert!(server.log().await.is_empty());
}

#[tokio::test]
async fn the_clock_is_read_and_turned() {
    let server = Server::start().await;
    server.control("POST", "clock", r#"{"now":"2027-01-01T00:00:00Z"}"#).await;
    assert_eq!(server.control_json("clock").await["now"], "2027-01-01T00:00:00Z");
    let made = server.post(&format!("{ACT}/adlabels"), &[("name", "L"), ("fields", "created_time")]).await;
    assert_eq!(made.body["created_time"], "2026-12-31T16:00:00-0800");
}

#[tokio::test]
async fn a_call_that_timed_out_may_be_done_long_after() {
    let server = Server::start().await;
    let action = r#"{"timeout_then_commit":{"seconds":0,"commit_seconds":120}}"#;
    fault(&server, &format!(r#"{{"matcher":{{"method":"POST"}},"action":{action},"count":1}}"#)).await;
    let request = server.client().post(server.url(&format!("{ACT}/campaigns"))).bearer_auth(crate::server::TOKEN);
    assert!(request.form(&campaign_form("late")).send().await.is_err());
    let exists = async || server.control("GET", "world", "").await.contains("\"late\"");
    server.control("POST", "clock", r#"{"advance_seconds":119}"#).await;
    assert!(!exists().await);
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    let seen = async { while !exists().await {} };
    tokio::time::timeout(std::time::Duration::from_secs(10), seen).await.unwrap();
}
