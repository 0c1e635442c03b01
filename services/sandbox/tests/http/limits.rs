use crate::server::{ACT, Server, options};
use sandbox::{Options, Tier};
use serde_json::Value;

async fn development() -> Server {
    Server::with(Options { tier: Tier::Development, ..options() }).await
}

#[tokio::test]
async fn answers_carry_the_usage_of_their_account() {
    let server = development().await;
    let mut last = None;
    for _ in 0..10 {
        last = Some(server.get(&format!("{ACT}/campaigns")).await);
    }
    let reply = last.unwrap();
    let usage: Value = serde_json::from_str(reply.header("x-business-use-case-usage")).unwrap();
    let row = &usage["1000000000001"][0];
    // 300 calls, and 40 for each of the five active ads.
    assert_eq!(row["call_count"], 10 * 100 / (300 + 5 * 40));
    assert_eq!(row["ads_api_access_tier"], "development_access");
    let score: Value = serde_json::from_str(reply.header("x-ad-account-usage")).unwrap();
    assert_eq!(score["acc_id_util_pct"], 16.66);
    assert_eq!(score["reset_time_duration"], 300);
    assert!(server.get("me").await.header("x-app-usage").contains("call_count"));
}

#[tokio::test]
async fn past_its_limit_an_account_is_refused_until_the_hour_has_passed() {
    let server = development().await;
    for (use_case, calls, path, code) in [
        ("ads_management", 500, "campaigns", 80_004),
        ("ads_insights", 2_600, "insights", 80_000),
        ("custom_audience", 5_000, "customaudiences", 80_003),
    ] {
        let others = format!(r#"{{"account":"{ACT}","use_case":"{use_case}","calls":{calls}}}"#);
        server.control("POST", "usage", &others).await;
        let refused = server.get(&format!("{ACT}/{path}")).await;
        assert_eq!((refused.code(), refused.subcode()), (code, 2_446_079));
        assert!(refused.header("x-business-use-case-usage").contains("\"estimated_time_to_regain_access\":60"));
        server.control("POST", "clock", r#"{"advance_seconds":3600}"#).await;
        assert_eq!(server.get(&format!("{ACT}/{path}")).await.status, 200);
    }
}

#[tokio::test]
async fn logins_and_events_are_not_limited() {
    let server = Server::start().await;
    let reply = server.post(&format!("{}/events", crate::server::DATASET), &[("data", "[]")]).await;
    assert_eq!(reply.header("x-business-use-case-usage"), "");
}
