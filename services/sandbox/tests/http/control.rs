use crate::server::{ACT, Server};
use serde_json::Value;

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
async fn no_setting_is_below_zero() {
    let server = Server::start().await;
    for wrong in [r#"{"review_milliseconds":-1}"#, r#"{"limits":{"score_code":-17}}"#] {
        let url = format!("http://{}/__sandbox/settings", server.address);
        let reply = server.client().post(url).body(wrong).send().await.unwrap();
        assert_eq!(reply.status(), 400, "{wrong}");
        assert!(reply.text().await.unwrap().contains("must not be below zero"));
    }
    assert_eq!(server.control_json("settings").await["review_milliseconds"], 200);
}
