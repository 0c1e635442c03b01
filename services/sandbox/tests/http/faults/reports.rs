//! Report runs that get stuck, lie, fail or are skipped.

use super::{advance, fault};
use crate::server::{ACT, Reply, Server, TOKEN};
use serde_json::{Value, json};

const LEVEL_AD: &[(&str, &str)] = &[("level", "ad"), ("date_preset", "last_7d"), ("fields", "ad_id,spend")];

async fn start(server: &Server) -> String {
    let reply = server.post(&format!("{ACT}/insights"), LEVEL_AD).await;
    reply.body["report_run_id"].as_str().unwrap().to_owned()
}

fn state(reply: &Reply) -> (&str, u64, bool) {
    let body = &reply.body;
    (
        body["async_status"].as_str().unwrap_or_else(|| panic!("{body}")),
        body["async_percent_completion"].as_u64().unwrap(),
        body["is_running"].as_bool().unwrap(),
    )
}

/// Polls until the run is done or has been asked ten times.
async fn polled(server: &Server, run: &str) -> Reply {
    for _ in 0..10 {
        let reply = server.get(run).await;
        if state(&reply).0 == "Job Completed" && state(&reply).1 == 100 {
            return reply;
        }
    }
    server.get(run).await
}

async fn rows(server: &Server, run: &str) -> Vec<Value> {
    server.get(&format!("{run}/insights?limit=500")).await.rows().clone()
}

async fn struck(action: Value) -> (Server, String) {
    let server = Server::start().await;
    fault(&server, json!({ "matcher": { "method": "POST", "path": "/insights" }, "action": action, "count": 1 })).await;
    let run = start(&server).await;
    (server, run)
}

#[tokio::test]
async fn a_stuck_report_stands_still_for_ever() {
    let (server, run) = struck(json!({ "stuck_report": { "percent": 42 } })).await;
    for seconds in [0, 3_600, 86_400] {
        advance(&server, seconds).await;
        assert_eq!(state(&polled(&server, &run).await), ("Job Running", 42, true));
    }
    assert!(rows(&server, &run).await.is_empty());
    let other = start(&server).await;
    assert_eq!(state(&polled(&server, &other).await).0, "Job Completed", "only the run that was struck is stuck");
}

#[tokio::test]
async fn a_report_may_get_stuck_while_it_is_polled() {
    let server = Server::start().await;
    let run = start(&server).await;
    fault(
        &server,
        json!({ "matcher": { "method": "GET", "path": format!("/{run}") }, "action": "stuck_report", "count": 1 }),
    )
    .await;
    assert_eq!(state(&polled(&server, &run).await), ("Job Running", 66, true));
}

#[tokio::test]
async fn a_report_may_say_100_percent_before_it_is_done() {
    let (server, run) = struck(json!({ "false_report": { "seconds": 60 } })).await;
    assert_eq!(state(&polled(&server, &run).await), ("Job Running", 100, true));
    assert!(rows(&server, &run).await.is_empty());
    advance(&server, 60).await;
    assert_eq!(state(&polled(&server, &run).await), ("Job Completed", 100, false));
    assert!(!rows(&server, &run).await.is_empty());
}

#[tokio::test]
async fn the_rows_of_a_completed_report_may_be_missing_until_later() {
    let (server, run) = struck(json!({ "late_rows": { "seconds": 60 } })).await;
    assert_eq!(state(&polled(&server, &run).await), ("Job Completed", 100, false));
    let early = rows(&server, &run).await;
    advance(&server, 60).await;
    let whole = rows(&server, &run).await;
    assert!(whole.len() > 1);
    assert_eq!(early, whole.get(..whole.len() / 2).unwrap());
}

#[tokio::test]
async fn a_failed_report_says_why_since_version_25() {
    let (server, run) =
        struck(json!({ "failed_report": { "code": -3, "subcode": 1_504_045, "message": "Too large." } })).await;
    let reply = server.get(&run).await;
    assert_eq!(state(&reply), ("Job Failed", 0, false));
    assert_eq!((&reply.body["error_code"], &reply.body["error_subcode"]), (&json!(-3), &json!(1_504_045)));
    let asked = server.get(&format!("{run}?fields=async_status,error_message")).await.body;
    assert_eq!(asked, json!({ "id": run, "async_status": "Job Failed", "error_message": "Too large." }));
    let url = format!("http://{}/v24.0/{run}", server.address);
    let old = server.send(server.client().get(url)).await;
    assert_eq!((state(&old).0, &old.body["error_code"]), ("Job Failed", &Value::Null));
    assert!(rows(&server, &run).await.is_empty());
}

#[tokio::test]
async fn a_skipped_report_is_to_be_asked_for_again() {
    let (server, run) = struck(json!("skipped_report")).await;
    let reply = server.get(&run).await;
    assert_eq!(state(&reply), ("Job Skipped", 0, false));
    assert_eq!((&reply.body["error_code"], &reply.body["error_subcode"]), (&json!(-2), &json!(2_490_547)));
    assert!(reply.body["error_user_msg"].is_string());
    let again = start(&server).await;
    assert_eq!(state(&polled(&server, &again).await).0, "Job Completed");
}

#[tokio::test]
async fn a_report_that_is_started_and_polled_in_batches_meets_the_same_fate() {
    let server = Server::start().await;
    fault(&server, json!({ "action": "skipped_report", "count": 1 })).await;
    let start = json!([{ "method": "POST", "relative_url": format!("{ACT}/insights"), "body": super::form(LEVEL_AD) }]);
    let run = super::body(&super::batch(&server, start).await[0])["report_run_id"].as_str().unwrap().to_owned();
    let poll = super::batch(&server, json!([{ "method": "GET", "relative_url": run }])).await;
    assert_eq!(super::body(&poll[0])["async_status"], "Job Skipped");
}

#[tokio::test]
async fn the_fate_of_a_report_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::kept_in(folder.path().to_owned()).await;
    fault(&server, json!({ "action": "stuck_report", "count": 1 })).await;
    let run = start(&server).await;
    server.stop().await;
    let server = Server::kept_in(folder.path().to_owned()).await;
    let request = server.client().get(server.url(&run)).bearer_auth(TOKEN);
    assert_eq!(state(&server.send_as(request).await), ("Job Running", 66, true));
}
