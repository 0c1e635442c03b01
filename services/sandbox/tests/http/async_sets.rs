use crate::server::{ACT, Reply, Server, campaign_form, story};
use serde_json::{Value, json};

const COUNTS: &str =
    "total_count,initial_count,in_progress_count,success_count,error_count,canceled_count,is_completed";

fn spec(name: &str, ad_set: &str) -> Value {
    let creative = json!({ "name": name, "object_story_spec": serde_json::from_str::<Value>(&story(name)).unwrap() });
    json!({ "name": name, "adset_id": ad_set, "creative": creative, "status": "PAUSED" })
}

async fn post(server: &Server, specs: &[Value]) -> Reply {
    let specs = Value::from(specs.to_vec()).to_string();
    server.post(&format!("{ACT}/asyncadrequestsets"), &[("name", "Many"), ("ad_specs", &specs)]).await
}

/// Asks until the set is done, as a client does.
async fn done(server: &Server, set: &str) -> Value {
    let asked = async {
        loop {
            let body = server.get(&format!("{set}?fields={COUNTS}")).await.body;
            if body["is_completed"] == true {
                return body;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), asked).await.unwrap()
}

/// Asks until so many requests of the set have the status.
async fn reached(server: &Server, set: &str, status: &str, count: usize) {
    let asked = async {
        while server.get(&format!("{set}/requests?statuses=[\"{status}\"]&limit=100")).await.rows().len() != count {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), asked).await.unwrap();
}

#[tokio::test]
async fn ads_are_made_behind_the_call_by_the_rules_of_any_call() {
    let server = Server::start().await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let bad = json!({ "name": "Bad", "adset_id": "77", "creative": {}, "status": "PAUSED" });
    let set = post(&server, &[spec("One", &ad_set), bad, spec("Two", &ad_set)]).await.id();
    let counts = done(&server, &set).await;
    assert_eq!((counts["total_count"].as_u64(), counts["success_count"].as_u64()), (Some(3), Some(2)));
    assert_eq!((counts["error_count"].as_u64(), counts["initial_count"].as_u64()), (Some(1), Some(0)));
    let fields = "id,status,result,input,scope_object_id,async_request_set{name}";
    let rows = server.get(&format!("{set}/requests?fields={fields}")).await;
    let statuses: Vec<_> = rows.rows().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["SUCCESS", "ERROR", "SUCCESS"]);
    let ad = rows.rows()[0]["result"]["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("{ad}?fields=name")).await.body["name"], "One");
    assert_eq!(rows.rows()[0]["input"]["name"], "One");
    assert_eq!(rows.rows()[0]["scope_object_id"], ad_set);
    assert_eq!(rows.rows()[0]["async_request_set"]["name"], "Many");
    assert_eq!(rows.rows()[1]["result"]["error"]["code"], 100);
    let failed = server.get(&format!("{set}/requests?statuses=[\"ERROR\"]")).await;
    assert_eq!(failed.rows().len(), 1);
    assert_eq!(server.get(&format!("{set}/requests?statuses=[\"SOME\"]")).await.code(), 100);
    let of_ad_set = server.get(&format!("{ad_set}/asyncadrequests")).await;
    assert_eq!(of_ad_set.rows().len(), 2);
    let log = server.log().await;
    let counted = log.iter().filter(|line| line["path"] == format!("/v26.0/{ACT}/ads"));
    assert_eq!(counted.filter(|line| line["bucket"] == "ads_management").count(), 3, "each counts as a call");
}

#[tokio::test]
async fn an_ad_may_bring_its_ad_set_and_its_campaign() {
    let server = Server::start().await;
    let campaign = json!({
        "name": "Inline", "objective": "OUTCOME_TRAFFIC", "status": "PAUSED", "special_ad_categories": [],
        "is_adset_budget_sharing_enabled": false,
    });
    let ad_set = json!({
        "name": "Inline set", "campaign_spec": campaign, "status": "PAUSED", "daily_budget": 5000,
        "billing_event": "IMPRESSIONS", "optimization_goal": "LINK_CLICKS",
        "targeting": { "geo_locations": { "countries": ["US"] }, "targeting_automation": { "advantage_audience": 0 } },
    });
    let mut whole = spec("Ad", "");
    whole.as_object_mut().unwrap().remove("adset_id");
    whole["adset_spec"] = ad_set;
    let mut broken = whole.clone();
    broken["creative"] = json!({ "creative_id": "5" });
    let set = post(&server, &[whole, broken]).await.id();
    let counts = done(&server, &set).await;
    assert_eq!((counts["success_count"].as_u64(), counts["error_count"].as_u64()), (Some(1), Some(1)));
    let row = server.get(&format!("{set}/requests?statuses=[\"SUCCESS\"]&fields=result")).await.rows()[0].clone();
    let ad = row["result"]["id"].as_str().unwrap();
    let read = server.get(&format!("{ad}?fields=adset{{name}},campaign{{name}}")).await.body;
    assert_eq!(
        (read["adset"]["name"].as_str(), read["campaign"]["name"].as_str()),
        (Some("Inline set"), Some("Inline"))
    );
    let campaigns = server.get(&format!("{ACT}/campaigns?fields=name&limit=100")).await;
    let left = campaigns.rows().iter().filter(|row| row["name"] == "Inline").count();
    assert_eq!(left, 1, "what was made for an ad that was refused does not stay");
}

#[tokio::test]
async fn a_set_is_refused_without_what_it_needs() {
    let server = Server::start().await;
    let path = format!("{ACT}/asyncadrequestsets");
    assert_eq!(server.post(&path, &[("ad_specs", "[{}]")]).await.code(), 100);
    assert_eq!(server.post(&path, &[("name", "N")]).await.code(), 100);
    assert_eq!(server.post(&path, &[("name", "N"), ("ad_specs", "[]")]).await.code(), 100);
    let many = Value::from(vec![json!({}); 1_001]).to_string();
    assert_eq!(server.post(&path, &[("name", "N"), ("ad_specs", &many)]).await.code(), 100);
    let with = |mode| [("name", "N"), ("ad_specs", "[{}]"), ("notification_mode", mode)];
    assert_eq!(server.post(&path, &with("SOMETIMES")).await.code(), 100);
    assert_eq!(server.post(&path, &with("ON_COMPLETE")).await.code(), 100);
    assert!(server.get(&path).await.rows().is_empty());
}

#[tokio::test]
async fn a_set_goes_on_by_the_clock_and_what_has_not_begun_is_cancelled() {
    let server = Server::start().await;
    server.control("POST", "settings", r#"{"async_begin_milliseconds":5000,"async_step_milliseconds":60000}"#).await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let specs: Vec<Value> = ["1", "2", "3", "4"].iter().map(|name| spec(name, &ad_set)).collect();
    let set = post(&server, &specs).await.id();
    let counts = server.get(&format!("{set}?fields={COUNTS}")).await.body;
    assert_eq!((counts["initial_count"].as_u64(), counts["is_completed"].as_bool()), (Some(4), Some(false)));
    let jobs = async |status: &str| server.get(&format!("{ACT}/async_requests?status={status}")).await.rows().len();
    assert_eq!(jobs("INITIALIZED").await, 1);
    server.control("POST", "clock", r#"{"advance_seconds":5}"#).await;
    reached(&server, &set, "SUCCESS", 1).await;
    reached(&server, &set, "IN_PROGRESS", 1).await;
    assert_eq!(jobs("EXECUTING").await, 1);
    assert_eq!(server.get(&format!("{ACT}/asyncadrequestsets?is_completed=true")).await.rows().len(), 0);
    assert_eq!(server.delete(&set).await.body["success"], true);
    reached(&server, &set, "USER_CANCELED", 2).await;
    server.control("POST", "clock", r#"{"advance_seconds":60}"#).await;
    let counts = done(&server, &set).await;
    assert_eq!((counts["success_count"].as_u64(), counts["canceled_count"].as_u64()), (Some(2), Some(2)));
    assert_eq!(jobs("FINISHED").await, 1);
    assert_eq!(server.get(&format!("{ACT}/async_requests?status=SOME")).await.code(), 100);
    assert_eq!(
        server.get(&format!("{ACT}/asyncadrequestsets?is_completed=true&fields=name")).await.rows()[0]["name"],
        "Many"
    );
}

#[tokio::test]
async fn a_set_that_was_open_at_a_stop_goes_on_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::kept_in(folder.path().to_owned()).await;
    server.control("POST", "settings", r#"{"async_begin_milliseconds":3600000}"#).await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let set = post(&server, &[spec("1", &ad_set), spec("2", &ad_set)]).await.id();
    server.stop().await;
    let server = Server::kept_in(folder.path().to_owned()).await;
    assert_eq!(done(&server, &set).await["success_count"], 2);
    assert_eq!(server.get(&format!("{ad_set}/ads")).await.rows().len(), 2);
}

#[tokio::test]
async fn the_items_of_an_asynchronous_batch_refer_to_each_other() {
    let server = Server::start().await;
    let form =
        |pairs: &[(&str, &str)]| url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut ad_set = crate::server::ad_set_form("{result=op1:$.id}").to_vec();
    ad_set.push(("fields", "campaign_id"));
    let adbatch = json!([
        { "name": "op1", "relative_url": format!("{ACT}/campaigns"), "body": form(&campaign_form("Batch")) },
        { "name": "op2", "relative_url": format!("{ACT}/adsets"), "body": form(&ad_set) },
        { "name": "op3", "relative_url": format!("{ACT}/campaigns"), "body": "name=x" },
        { "name": "op4", "relative_url": format!("{ACT}/adsets"), "body": "campaign_id={result=op3:$.id}" },
    ]);
    let path = format!("{ACT}/async_batch_requests");
    let set = server.post(&path, &[("name", "B"), ("adbatch", &adbatch.to_string())]).await.id();
    done(&server, &set).await;
    let rows = server.get(&format!("{set}/requests?fields=status,result")).await;
    let statuses: Vec<_> = rows.rows().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["SUCCESS", "SUCCESS", "ERROR", "ERROR_DEPENDENCY"]);
    assert_eq!(rows.rows()[1]["result"]["campaign_id"], rows.rows()[0]["result"]["id"]);
    let jobs = server.get(&format!("{ACT}/async_requests?type=BATCH_API")).await;
    assert_eq!(jobs.rows()[0]["id"], set);
    assert_eq!(server.post(&path, &[("name", "B")]).await.code(), 100);
    assert_eq!(server.post(&path, &[("name", "B"), ("adbatch", r#"[{"name":"x"}]"#)]).await.code(), 100);
}

#[tokio::test]
async fn creatives_are_made_behind_the_call() {
    let server = Server::start().await;
    let spec = json!({ "name": "K", "object_story_spec": serde_json::from_str::<Value>(&story("k")).unwrap() });
    let path = format!("{ACT}/asyncadcreatives");
    let set = server.post(&path, &[("name", "K"), ("creative_spec", &spec.to_string())]).await.id();
    assert_eq!(done(&server, &set).await["success_count"], 1);
    assert_eq!(server.get(&path).await.rows()[0]["id"], set);
    assert_eq!(server.post(&path, &[("name", "K")]).await.code(), 100);
}

#[tokio::test]
async fn a_large_copy_goes_through_an_asynchronous_batch() {
    let server = Server::start().await;
    let campaign = server.campaign("Large").await;
    let ad_set = server.ad_set(&campaign).await;
    let specs: Vec<Value> = (0..5).map(|at| spec(&at.to_string(), &ad_set)).collect();
    done(&server, &post(&server, &specs).await.id()).await;
    let item = json!({ "method": "POST", "relative_url": format!("{campaign}/copies"), "name": "c", "body": "deep_copy=true" });
    let form = [("is_async", "true"), ("batch", &*Value::from(vec![item]).to_string())];
    let answer = server.post("", &form).await.body;
    let session = answer["async_sessions"][0]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    assert_eq!(answer["async_sessions"][0]["name"], "c");
    let asked = async {
        loop {
            let body = server.get(&format!("{session}?fields=status,result,percent_completed,error_code")).await.body;
            if body["percent_completed"] == 100 {
                return body;
            }
        }
    };
    let body = tokio::time::timeout(std::time::Duration::from_secs(20), asked).await.unwrap();
    assert_eq!(body["status"], "COMPLETED", "{body}");
    let result: Value = serde_json::from_str(body["result"].as_str().unwrap()).unwrap();
    assert_eq!(result["ad_object_ids"].as_array().unwrap().len(), 7);
}
