use crate::server::{ACT, Server, options};
use sandbox::{Options, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const BULK: &str = "act_1000000001000";

const SHOP: &str = r#"
    [[accounts]]
    id = "act_1000000000001"
    name = "Tents"
    currency = "JPY"
    zone = "Asia/Tokyo"

    [[accounts.campaigns]]
    name = "Sale"
    count = 2
    [[accounts.campaigns.ad_sets]]
    name = "Japan"
    [[accounts.campaigns.ad_sets.ads]]
    name = "Tent"
    days = [{ from = -3, to = -2, spend = 1000 }]

    [[tokens]]
    token = "short-lived"
    scopes = ["ads_read"]
    expires = 600
"#;

async fn written(folder: &Path, data: Option<&Path>) -> Server {
    let path = folder.join("shop.toml");
    Server::with(Options { world: World::File(path), data: data.map(Path::to_owned), ..options() }).await
}

#[tokio::test]
async fn a_world_is_what_its_file_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.toml"), SHOP).unwrap();
    let server = written(folder.path(), None).await;
    let account = server.get(&format!("{ACT}?fields=name,currency,timezone_name")).await.body;
    assert_eq!((&account["name"], &account["currency"]), (&json!("Tents"), &json!("JPY")));
    let campaigns = server.get(&format!("{ACT}/campaigns?fields=name")).await;
    let names: Vec<&Value> = campaigns.rows().iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["Sale 2", "Sale 1"]);
    let days = server.get(&format!("{ACT}/insights?time_increment=1&level=account")).await;
    let dates: Vec<&Value> = days.rows().iter().map(|row| &row["date_start"]).collect();
    // It is the 16th already in Tokyo.
    assert_eq!(dates, ["2026-11-13", "2026-11-14"]);
    let ask = async || {
        let request = server.client().get(server.url(&format!("{ACT}/campaigns"))).bearer_auth("short-lived");
        server.send_as(request).await
    };
    assert_eq!(ask().await.status, 200);
    server.control("POST", "clock", r#"{"advance_seconds":600}"#).await;
    assert_eq!((ask().await.code(), ask().await.subcode()), (190, 463));
}

#[tokio::test]
async fn a_written_world_comes_back_without_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::write(folder.path().join("shop.toml"), SHOP).unwrap();
    let server = written(folder.path(), Some(&data)).await;
    let made = server.campaign("Made by a caller").await;
    let before = server.control_json("world").await;
    server.stop().await;
    std::fs::remove_file(folder.path().join("shop.toml")).unwrap();

    let server = written(folder.path(), Some(&data)).await;
    assert_eq!(server.control_json("world").await, before);
    server.control("POST", "reset", "").await;
    assert_eq!(server.get(&made).await.code(), 100);
    assert_eq!(server.get(&format!("{ACT}/campaigns")).await.rows().len(), 2);
    let journal = std::fs::read_to_string(data.join("world.jsonl")).unwrap();
    assert!(!journal.contains("short-lived"));
}

#[tokio::test]
async fn a_file_with_faults_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.json");
    std::fs::write(&path, r#"{"accounts":[{"id":"1","zone":"Nowhere"},{"name":"No id"}]}"#).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let options = Options { world: World::File(path), ..options() };
    let error = sandbox::serve_on(listener, options, stop).await.unwrap_err().to_string();
    assert!(error.contains("accounts[0].zone") && error.contains("accounts[1].id"), "{error}");
}

/// One test for all of it, since the world takes its time to make.
#[tokio::test]
async fn the_large_world_holds_thousands_of_accounts_and_one_with_very_many_ads() {
    let server = Server::with(Options { world: World::Large, ..options() }).await;
    let page = server.get(&format!("{BULK}/ads?fields=name,effective_status&summary=true")).await;
    assert_eq!(page.rows().len(), 25);
    let shown = page.body["summary"]["total_count"].as_u64().unwrap();
    assert!((60_000..100_000).contains(&shown), "{shown} of 100,000 are neither archived nor deleted");

    server.control("POST", "settings", r#"{"review_milliseconds":86400000}"#).await;
    let statuses = r#"["ACTIVE","PAUSED","DELETED","ARCHIVED","PENDING_REVIEW","DISAPPROVED","CAMPAIGN_PAUSED","ADSET_PAUSED","IN_PROCESS","WITH_ISSUES"]"#;
    let all = server.get(&format!("{BULK}/ads?limit=1&summary=true&effective_status={statuses}")).await;
    assert_eq!(all.body["summary"]["total_count"], 100_000);
    for status in
        ["ACTIVE", "PAUSED", "ARCHIVED", "DELETED", "IN_PROCESS", "DISAPPROVED", "WITH_ISSUES", "ADSET_PAUSED"]
    {
        let some =
            server.get(&format!("{BULK}/ads?limit=2&effective_status=[\"{status}\"]&fields=effective_status")).await;
        assert_eq!(some.rows().len(), 2, "{status}");
        assert_eq!(some.rows()[0]["effective_status"], status);
    }

    let mut ids = BTreeSet::new();
    let mut after = String::new();
    for _ in 0..3 {
        let page = server.get(&format!("{BULK}/ads?limit=500&after={after}")).await;
        ids.extend(page.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        page.body["paging"]["cursors"]["after"].as_str().unwrap().clone_into(&mut after);
    }
    assert_eq!(ids.len(), 1_500, "pages do not overlap");

    let accounts = server.get("me/adaccounts?limit=1000&fields=currency,timezone_name&summary=true").await;
    assert_eq!(accounts.body["summary"]["total_count"], 3_000);
    let places = |name: &str| accounts.rows().iter().map(|row| row[name].to_string()).collect::<BTreeSet<_>>().len();
    assert!(places("currency") >= 10 && places("timezone_name") >= 10);
    assert!(server.get(&format!("{ACT}/campaigns")).await.rows().len() == 3, "world small is in it");

    let of_one = server.control_json("world?account=act_1000000001001").await;
    assert!((1..=8).contains(&of_one["ads"].as_array().unwrap().len()), "{of_one}");

    // 100,000 calls, and 40 for each active ad: some tens of thousands of them.
    let usage = server.control_json("usage").await;
    let bulk = usage.as_array().unwrap().iter().find(|row| row["id"] == BULK).unwrap();
    assert!(bulk["limit"].as_u64().unwrap() > 100_000 + 40 * 20_000, "{bulk}");
}
