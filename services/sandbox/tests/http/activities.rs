use crate::server::{ACT, Server, ad_set_form};
use serde_json::Value;

const FIELDS: &str = "event_type,event_time,translated_event_type,actor_id,actor_name,object_id,object_name,\
                      object_type,application_id,application_name,extra_data,date_time_in_timezone";

async fn ad(server: &Server, ad_set: &str, name: &str) -> String {
    let creative = format!("{{\"creative_id\":\"{}\"}}", server.creative(name).await);
    let form = [("name", name), ("adset_id", ad_set), ("creative", creative.as_str()), ("status", "ACTIVE")];
    server.post(&format!("{ACT}/ads"), &form).await.id()
}

async fn activities(server: &Server, query: &str) -> Vec<Value> {
    server.get(&format!("{ACT}/activities?fields={FIELDS}&limit=100&{query}")).await.rows().clone()
}

fn events(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["event_type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn changes_are_told_newest_first_with_who_and_what() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let ad_set = server.ad_set(&campaign).await;
    server.control("POST", "clock", r#"{"advance_seconds":60}"#).await;
    server.post(&ad_set, &[("daily_budget", "7000")]).await;
    server.post(&campaign, &[("status", "ACTIVE"), ("name", "D")]).await;
    let rows = activities(&server, "").await;
    assert_eq!(
        events(&rows),
        [
            "update_campaign_run_status",
            "update_campaign_name",
            "update_ad_set_budget",
            "create_ad_set",
            "create_campaign_group"
        ]
    );
    let budget = &rows[2];
    assert_eq!((budget["object_id"].as_str(), budget["object_name"].as_str()), (Some(ad_set.as_str()), Some("Set")));
    assert_eq!(
        (budget["object_type"].as_str(), budget["actor_name"].as_str()),
        (Some("CAMPAIGN"), Some("Sandbox System User"))
    );
    assert_eq!(budget["application_name"], "Sandbox App");
    assert_eq!(budget["translated_event_type"], "Ad set budget updated");
    assert_eq!(budget["event_time"], "2026-11-15T20:31:00+0000");
    assert_eq!(budget["date_time_in_timezone"], "11/15/2026 at 12:31 PM");
    let extra: Value = serde_json::from_str(budget["extra_data"].as_str().unwrap()).unwrap();
    assert_eq!((extra["old_value"].as_i64(), extra["new_value"].as_i64()), (Some(5000), Some(7000)));
    assert_eq!(extra["currency"], "USD");
    assert_eq!(server.get(&format!("{ACT}/activities?fields=nothing")).await.code(), 100);
}

#[tokio::test]
async fn reviews_are_told_when_they_are_over() {
    let server = Server::start().await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let good = ad(&server, &ad_set, "Good").await;
    ad(&server, &ad_set, "Bad [disapprove]").await;
    let reviews = async || {
        let rows = activities(&server, "category=STATUS").await;
        rows.into_iter().filter(|row| row["event_type"].as_str().unwrap().starts_with("ad_review")).collect::<Vec<_>>()
    };
    assert!(reviews().await.is_empty());
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    let mut told = events(&reviews().await).iter().map(|event| (*event).to_owned()).collect::<Vec<_>>();
    told.sort();
    assert_eq!(told, ["ad_review_approved", "ad_review_declined"]);
    assert_eq!(reviews().await[0]["actor_name"], "Meta");
    let creative = format!("{{\"creative_id\":\"{}\"}}", server.creative("Other").await);
    server.post(&good, &[("creative", &creative)]).await;
    server.control("POST", "clock", r#"{"advance_seconds":1}"#).await;
    let of_good = activities(&server, &format!("oid={good}")).await;
    assert_eq!(events(&of_good), ["ad_review_approved", "update_ad_creative", "ad_review_approved", "create_ad"]);
}

#[tokio::test]
async fn activities_are_found_by_time_category_object_and_person() {
    let server = Server::start().await;
    let campaign = server.campaign("Old").await;
    server.control("POST", "clock", r#"{"advance_seconds":864000}"#).await;
    let ad_set = server.ad_set(&campaign).await;
    ad(&server, &ad_set, "A").await;
    server.post(&ad_set, &[("daily_budget", "7000")]).await;
    assert!(!events(&activities(&server, "").await).contains(&"create_campaign_group"), "a week is told");
    let since = activities(&server, "since=1794700000").await;
    assert!(events(&since).contains(&"create_campaign_group"));
    assert!(events(&activities(&server, "since=2026-11-15").await).contains(&"create_campaign_group"));
    let until = activities(&server, "since=2026-11-14&until=2026-11-20").await;
    assert_eq!(events(&until), ["create_campaign_group"]);
    assert_eq!(events(&activities(&server, "category=BUDGET").await), ["update_ad_set_budget"]);
    assert_eq!(server.get(&format!("{ACT}/activities?category=SOME")).await.code(), 100);
    assert_eq!(server.get(&format!("{ACT}/activities?since=yesterday-ish")).await.code(), 100);
    let own = activities(&server, &format!("oid={ad_set}")).await;
    assert_eq!(events(&own), ["update_ad_set_budget", "create_ad_set"]);
    let below = activities(&server, &format!("oid={ad_set}&add_children=true")).await;
    assert!(events(&below).contains(&"create_ad"));
    let edge = server.get(&format!("{ad_set}/activities")).await;
    assert!(events(edge.rows()).contains(&"create_ad"));
    assert!(activities(&server, "uid=1").await.is_empty());
}

#[tokio::test]
async fn pages_of_activities_go_on_by_time_and_lose_nothing_within_a_second() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    for _ in 0..6 {
        server.post(&format!("{ACT}/adsets"), &ad_set_form(&campaign)).await;
    }
    let mut seen = Vec::new();
    let mut reply = server.get(&format!("{ACT}/activities?limit=3&fields=object_id,event_type")).await;
    loop {
        assert!(reply.body["paging"]["cursors"]["after"].is_string(), "the Python SDK goes on by cursor");
        seen.extend(reply.rows().iter().map(|row| row["object_id"].as_str().unwrap().to_owned()));
        let Some(next) = reply.body["paging"]["next"].as_str() else { break };
        assert!(next.contains("since=") && next.contains("until="), "{next}");
        reply = server.send_as(server.client().get(next)).await;
    }
    assert_eq!(seen.len(), 7);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
    let previous = reply.body["paging"]["previous"].as_str().unwrap();
    assert_eq!(server.send_as(server.client().get(previous)).await.rows().len(), 3);
}

#[tokio::test]
async fn activities_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::kept_in(folder.path().to_owned()).await;
    server.post(&server.campaign("C").await, &[("name", "D")]).await;
    let before = activities(&server, "").await;
    server.stop().await;
    let server = Server::kept_in(folder.path().to_owned()).await;
    // The new clock begins where the old one did; what came after that is not to lie ahead of it.
    server.control("POST", "clock", r#"{"advance_seconds":60}"#).await;
    assert_eq!(activities(&server, "").await, before);
}
