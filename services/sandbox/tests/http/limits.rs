use crate::server::{ACT, PAGE, Reply, Server, campaign_form, options};
use sandbox::{Options, Tier};
use serde_json::{Value, json};

const INSTAGRAM: &str = "4000000000000001";
const CATALOG: &str = "8000000000000001";

async fn development() -> Server {
    Server::with(Options { tier: Tier::Development, ..options() }).await
}

async fn play(server: &Server, script: &Value) {
    server.control("POST", "usage", &script.to_string()).await;
}

async fn set(server: &Server, settings: &Value) {
    server.control("POST", "settings", &settings.to_string()).await;
}

fn header(reply: &Reply, name: &str) -> Value {
    serde_json::from_str(reply.header(name)).unwrap_or_else(|_| panic!("no {name} on {}", reply.body))
}

fn row(reply: &Reply, id: &str) -> Value {
    header(reply, "x-business-use-case-usage")[id.trim_start_matches("act_")][0].clone()
}

#[tokio::test]
async fn answers_carry_the_usage_of_their_account() {
    let server = development().await;
    let mut last = None;
    for _ in 0..10 {
        last = Some(server.get(&format!("{ACT}/campaigns")).await);
    }
    let reply = last.unwrap();
    // 300 calls, and 40 for each of the five active ads.
    let used = row(&reply, ACT);
    assert_eq!(used["call_count"], 10 * 100 / (300 + 5 * 40));
    assert_eq!(used["ads_api_access_tier"], "development_access");
    assert_eq!(used["estimated_time_to_regain_access"], 0);
    let account = header(&reply, "x-ad-account-usage");
    assert_eq!((account["acc_id_util_pct"].clone(), account["reset_time_duration"].clone()), (json!(2.0), json!(3600)));
    assert!(server.get("me").await.header("x-app-usage").contains("call_count"));
}

#[tokio::test]
async fn every_use_case_is_refused_with_its_code_and_headers_until_its_time_has_passed() {
    let server = development().await;
    let day = 86_400;
    for (use_case, id, path, code, seconds) in [
        ("ads_management", ACT, format!("{ACT}/campaigns"), 80_004, 3_600),
        ("ads_insights", ACT, format!("{ACT}/insights"), 80_000, 3_600),
        ("custom_audience", ACT, format!("{ACT}/customaudiences"), 80_003, 3_600),
        ("pages", PAGE, PAGE.to_owned(), 80_001, day),
        ("instagram", INSTAGRAM, INSTAGRAM.to_owned(), 80_002, day),
        ("leadgen", PAGE, format!("{PAGE}/leadgen_forms"), 80_005, day),
        ("catalog_management", CATALOG, CATALOG.to_owned(), 80_009, 3_600),
        ("catalog_batch", CATALOG, format!("{CATALOG}/batch"), 80_014, 3_600),
        ("messenger", PAGE, format!("{PAGE}/conversations"), 80_006, day),
    ] {
        play(&server, &json!({ "id": id, "use_case": use_case, "percent": 100 })).await;
        let refused = server.get(&path).await;
        assert_eq!((refused.code(), refused.subcode(), refused.status), (code, 2_446_079, 400), "{use_case}");
        let used = row(&refused, id);
        assert_eq!((used["type"].clone(), used["call_count"].clone()), (json!(use_case), json!(100)));
        assert_eq!(used["estimated_time_to_regain_access"], seconds / 60);
        assert_eq!(used.get("ads_api_access_tier").is_some(), use_case.starts_with("ads_"));
        server.control("POST", "clock", &json!({ "advance_seconds": seconds }).to_string()).await;
        let again = server.get(&path).await;
        assert_ne!(again.body["error"]["code"], code, "{use_case}");
        assert_eq!(row(&again, id)["call_count"], 0);
    }
}

#[tokio::test]
async fn the_platform_limits_have_codes_of_their_own() {
    let server = Server::start().await;
    set(&server, &json!({ "limits": { "user_calls_an_hour": 100 } })).await;
    play(&server, &json!({ "use_case": "app", "percent": 100 })).await;
    let refused = server.get("me").await;
    assert_eq!((refused.code(), refused.status), (4, 403));
    assert_eq!(header(&refused, "x-app-usage")["call_count"], 100);
    server.control("DELETE", "usage", "").await;

    let user = crate::auth::logged_in(&server).await;
    let ask = async |path: &str| server.send_as(server.client().get(server.url(path)).bearer_auth(&user)).await;
    play(&server, &json!({ "use_case": "user", "id": "5000000000000001", "percent": 100 })).await;
    assert_eq!(ask("me").await.code(), 17);
    assert_eq!(server.get("me").await.status, 200, "another token is not concerned");
    server.control("DELETE", "usage", "").await;
    play(&server, &json!({ "use_case": "page", "id": PAGE, "percent": 100 })).await;
    let refused = ask(PAGE).await;
    assert_eq!(refused.code(), 32);
    assert_eq!(header(&refused, "x-app-usage")["call_count"], 100);
}

#[tokio::test]
async fn insights_are_throttled_for_the_account_and_for_the_app() {
    let server = Server::start().await;
    let insights = format!("{ACT}/insights");
    for (use_case, subcode) in [("insights_account", 1_504_039), ("insights_app", 1_504_022)] {
        let id = if use_case == "insights_account" { json!(ACT) } else { Value::Null };
        play(&server, &json!({ "use_case": use_case, "account": id, "percent": 100 })).await;
        for refused in [server.get(&insights).await, server.post(&insights, &[]).await] {
            assert_eq!((refused.code(), refused.subcode()), (4, subcode));
            let throttle = header(&refused, "x-fb-ads-insights-throttle");
            let of_account = use_case == "insights_account";
            assert_eq!(throttle["acc_id_util_pct"] == json!(100.0), of_account, "{throttle}");
            assert_eq!(throttle["app_id_util_pct"] == json!(100.0), !of_account, "{throttle}");
        }
        server.control("DELETE", "usage", "").await;
    }
}

#[tokio::test]
async fn every_answer_about_insights_tells_the_throttle() {
    let server = Server::start().await;
    let started = server.post(&format!("{ACT}/insights"), &[("level", "ad")]).await;
    let run = started.id();
    let poll = server.get(&run).await;
    let rows = server.get(&format!("{run}/insights")).await;
    let bad = server.get(&format!("{ACT}/insights?fields=nonsense")).await;
    assert_eq!(bad.code(), 100);
    for reply in [&started, &poll, &rows, &bad] {
        let throttle = header(reply, "x-fb-ads-insights-throttle");
        assert!(throttle["acc_id_util_pct"].as_f64().unwrap() < 50.0);
        assert_eq!(throttle["ads_api_access_tier"], "standard_access");
        assert_eq!(row(reply, ACT)["type"], "ads_insights");
    }
    let batch = json!([{ "method": "GET", "relative_url": run }, { "method": "GET", "relative_url": format!("{ACT}/insights") }]);
    let answer = server.post("", &[("batch", &batch.to_string())]).await;
    for item in answer.body.as_array().unwrap() {
        let names: Vec<&str> =
            item["headers"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        for name in ["X-Business-Use-Case-Usage", "X-Ad-Account-Usage", "X-Fb-Ads-Insights-Throttle"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
    }
}

#[tokio::test]
async fn reach_with_breakdowns_of_long_ago_has_a_limit_of_its_own() {
    let server = Server::start().await;
    let range = r#"{"since":"2025-01-01","until":"2025-01-31"}"#;
    let path = format!("{ACT}/insights?fields=reach&breakdowns=age&time_range={range}");
    for call in 1..=10 {
        let reply = server.get(&path).await;
        assert_eq!(reply.status, 200);
        assert_eq!(header(&reply, "x-fb-ads-insights-reach-throttle")["acc_id_util_pct"], f64::from(call) * 10.0);
    }
    assert_eq!(server.get(&path).await.subcode(), 1_504_039);
}

#[tokio::test]
async fn every_item_and_every_id_counts_one_call() {
    let server = Server::start().await;
    let calls = async || -> Value {
        let report = server.control_json("usage").await;
        let rows = report.as_array().unwrap();
        rows.iter().find(|row| row["use_case"] == "ads_management").map_or(json!(0), |row| row["calls"].clone())
    };
    let item = json!({ "method": "GET", "relative_url": format!("{ACT}/campaigns") });
    server.post("", &[("batch", &json!([item, item, item]).to_string())]).await;
    assert_eq!(calls().await, 3);
    let ids = "120200000000000001,120200000000000002";
    let url = server.url(&format!("?ids={ids}")).replace("v26.0", "v25.0");
    assert_eq!(server.send(server.client().get(url)).await.status, 200);
    assert_eq!(calls().await, 5);
}

#[tokio::test]
async fn percentages_limits_and_others_calls_are_made_on_demand() {
    let server = Server::start().await;
    play(
        &server,
        &json!([
            { "account": ACT, "use_case": "ads_management", "percent": 92, "time_percent": 40, "cpu_percent": 30 },
            { "account": ACT, "use_case": "custom_audience", "limit": 200, "calls": 50 },
        ]),
    )
    .await;
    let used = row(&server.get(&format!("{ACT}/campaigns")).await, ACT);
    let of = |name: &str| used[name].as_u64().unwrap();
    assert_eq!((of("call_count"), of("total_time"), of("total_cputime")), (92, 40, 30));
    let report = server.control_json("usage").await;
    let audiences = report.as_array().unwrap().iter().find(|row| row["use_case"] == "custom_audience").unwrap();
    assert_eq!(
        (&audiences["calls"], &audiences["limit"], &audiences["percent"]),
        (&json!(50), &json!(200), &json!(25))
    );
    server.control("DELETE", "usage", "").await;
    assert_eq!(row(&server.get(&format!("{ACT}/campaigns")).await, ACT)["call_count"], 0);
}

#[tokio::test]
async fn the_tier_is_changed_while_it_runs() {
    let server = Server::start().await;
    play(&server, &json!({ "account": ACT, "use_case": "ads_management", "calls": 499 })).await;
    assert_eq!(row(&server.get(&format!("{ACT}/campaigns")).await, ACT)["call_count"], 0);
    set(&server, &json!({ "limits": { "tier": "development" } })).await;
    let refused = server.get(&format!("{ACT}/campaigns")).await;
    assert_eq!(
        (refused.code(), row(&refused, ACT)["ads_api_access_tier"].clone()),
        (80_004, json!("development_access"))
    );
    assert_eq!(server.control_json("settings").await["limits"]["mutations_a_second"], 100, "the others stay");
}

#[tokio::test]
async fn a_hundred_changes_in_a_second_are_enough() {
    let server = Server::start().await;
    set(&server, &json!({ "limits": { "mutations_a_second": 3 } })).await;
    let campaign = server.campaign("C").await;
    for name in ["D", "E"] {
        assert_eq!(server.post(&campaign, &[("name", name)]).await.status, 200);
    }
    for refused in [
        server.post(&campaign, &[("name", "F")]).await,
        server.post(&format!("{ACT}/campaigns"), &campaign_form("G")).await,
    ] {
        assert_eq!((refused.code(), refused.subcode()), (613, 5_044_001));
        assert_eq!(row(&refused, ACT)["type"], "ads_management");
    }
    assert_eq!(server.get(&campaign).await.status, 200, "reads are not changes");
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    assert_eq!(server.post(&campaign, &[("name", "F")]).await.status, 200);
}

#[tokio::test]
async fn too_much_of_everything_in_a_second_is_abuse() {
    let server = Server::start().await;
    set(&server, &json!({ "limits": { "calls_a_second": 2 } })).await;
    server.get("me").await;
    server.get("me").await;
    let refused = server.get("me").await;
    assert_eq!((refused.code(), refused.body["error"].get("error_subcode")), (613, None));
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    assert_eq!(server.get("me").await.status, 200);
}

#[tokio::test]
async fn the_score_refuses_with_either_code_where_it_is_on() {
    let server = development().await;
    for (code, subcode) in [(17, 2_446_079), (613, 1_487_742)] {
        set(&server, &json!({ "limits": { "score_refuses": true, "score_code": code } })).await;
        play(&server, &json!({ "account": ACT, "use_case": "score", "percent": 100 })).await;
        let refused = server.get(&format!("{ACT}/campaigns")).await;
        assert_eq!((refused.code(), refused.subcode()), (code, subcode));
        let usage = header(&refused, "x-ad-account-usage");
        assert_eq!(
            (usage["acc_id_util_pct"].clone(), usage["reset_time_duration"].clone()),
            (json!(100.0), json!(300))
        );
        server.control("POST", "clock", r#"{"advance_seconds":300}"#).await;
        assert_eq!(server.get(&format!("{ACT}/campaigns")).await.status, 200);
    }
}

#[tokio::test]
async fn budgets_and_spend_caps_are_not_changed_too_often() {
    let server = Server::start().await;
    for cap in 0..10 {
        assert_eq!(server.post(ACT, &[("spend_cap", &format!("{}", 90_000 + cap))]).await.status, 200);
    }
    let refused = server.post(ACT, &[("spend_cap", "95000")]).await;
    assert_eq!((refused.code(), refused.subcode()), (17, 1_885_172));
    server.control("POST", "clock", r#"{"advance_seconds":86400}"#).await;
    assert_eq!(server.post(ACT, &[("spend_cap", "95000")]).await.status, 200);

    let ad_set = server.ad_set(&server.campaign("C").await).await;
    for budget in ["5001", "5002", "5003", "5004"] {
        assert_eq!(server.post(&ad_set, &[("daily_budget", budget)]).await.status, 200);
    }
    let refused = server.post(&ad_set, &[("daily_budget", "5005")]).await;
    assert_eq!((refused.code(), refused.subcode()), (613, 1_487_632));
}

#[tokio::test]
async fn objects_have_ceilings() {
    let server = Server::start().await;
    set(&server, &json!({ "ceilings": { "campaigns": 4, "ads_of_an_ad_set": 1, "ad_sets_of_a_campaign": 1 } })).await;
    let campaign = server.campaign("Fourth").await;
    let refused = server.post(&format!("{ACT}/campaigns"), &campaign_form("Fifth")).await;
    assert_eq!((refused.code(), refused.body["error"]["error_user_title"].clone()), (100, json!("Ad account is full")));
    let ad_set = server.ad_set(&campaign).await;
    let refused = server.post(&format!("{ACT}/adsets"), &crate::server::ad_set_form(&campaign)).await;
    assert_eq!(refused.subcode(), 1_487_225);
    let creative = format!(r#"{{"creative_id":"{}"}}"#, server.creative("Tent").await);
    let ad = [("name", "A"), ("adset_id", ad_set.as_str()), ("status", "PAUSED"), ("creative", creative.as_str())];
    assert_eq!(server.post(&format!("{ACT}/ads"), &ad).await.status, 200);
    let refused = server.post(&format!("{ACT}/ads"), &ad).await;
    assert_eq!((refused.code(), refused.subcode()), (100, 1_487_225));
    set(&server, &json!({ "ceilings": { "ads_of_an_ad_set": 50 }, "limits": { "ads_created_an_hour": 1 } })).await;
    let refused = server.post(&format!("{ACT}/ads"), &ad).await;
    assert_eq!((refused.code(), refused.subcode()), (613, 1_487_225));
    set(&server, &json!({ "ceilings": { "archived": 0 } })).await;
    assert_eq!(server.post(&campaign, &[("status", "ARCHIVED")]).await.subcode(), 1_487_990);
}

#[tokio::test]
async fn logins_and_events_are_not_limited() {
    let server = Server::start().await;
    let reply = server.post(&format!("{}/events", crate::server::DATASET), &[("data", "[]")]).await;
    assert_eq!(reply.header("x-business-use-case-usage"), "");
}
