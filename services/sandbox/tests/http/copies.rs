use crate::server::{ACT, Server, ad_set_form};
use serde_json::{Value, json};

/// A campaign with one ad set and two ads in it.
struct Tree {
    campaign: String,
    ad_set: String,
    ads: Vec<String>,
}

async fn tree(server: &Server) -> Tree {
    let campaign = server.campaign("Source").await;
    let ad_set = server.ad_set(&campaign).await;
    let mut ads = Vec::new();
    for name in ["One", "Two"] {
        ads.push(ad(server, &ad_set, name).await);
    }
    Tree { campaign, ad_set, ads }
}

async fn ad(server: &Server, ad_set: &str, name: &str) -> String {
    let creative = format!("{{\"creative_id\":\"{}\"}}", server.creative(name).await);
    let form = [("name", name), ("adset_id", ad_set), ("creative", creative.as_str()), ("status", "ACTIVE")];
    server.post(&format!("{ACT}/ads"), &form).await.id()
}

fn of_kind<'a>(body: &'a Value, kind: &str) -> Vec<&'a Value> {
    body["ad_object_ids"].as_array().unwrap().iter().filter(|row| row["ad_object_type"] == kind).collect()
}

#[tokio::test]
async fn a_copy_is_paused_says_that_it_is_a_copy_and_knows_its_source() {
    let server = Server::start().await;
    let tree = tree(&server).await;
    let copied = server.post(&format!("{}/copies", tree.campaign), &[]).await.body;
    let id = copied["copied_campaign_id"].as_str().unwrap().to_owned();
    assert_eq!(
        copied["ad_object_ids"],
        json!([{ "ad_object_type": "campaign", "source_id": tree.campaign, "copied_id": id }])
    );
    let read =
        server.get(&format!("{id}?fields=name,status,source_campaign_id,source_campaign{{name}},objective")).await;
    assert_eq!(read.body["name"], "Source - Copy");
    assert_eq!(read.body["status"], "PAUSED");
    assert_eq!(read.body["objective"], "OUTCOME_TRAFFIC");
    assert_eq!(read.body["source_campaign_id"], tree.campaign);
    assert_eq!(read.body["source_campaign"]["name"], "Source");
    assert!(server.get(&format!("{id}/adsets")).await.rows().is_empty(), "a shallow copy brings nothing along");
    let list = server.get(&format!("{}/copies?fields=name", tree.campaign)).await;
    assert_eq!(list.rows(), &vec![json!({ "id": id, "name": "Source - Copy" })]);
}

#[tokio::test]
async fn a_deep_copy_brings_all_below_along_with_names_times_and_status_as_asked() {
    let server = Server::start().await;
    let tree = tree(&server).await;
    server.delete(&tree.ads[1]).await;
    let form = [
        ("deep_copy", "true"),
        ("status_option", "INHERITED_FROM_SOURCE"),
        ("rename_options", r#"{"rename_strategy":"DEEP_RENAME","rename_prefix":"Q4 ","rename_suffix":""}"#),
        ("start_time", "2026-12-01T00:00:00-0800"),
        ("end_time", "2026-12-31T00:00:00-0800"),
        ("parameter_overrides", r#"{"special_ad_category_country":["US"]}"#),
    ];
    let copied = server.post(&format!("{}/copies", tree.campaign), &form).await.body;
    let campaign = copied["copied_campaign_id"].as_str().unwrap();
    assert_eq!((of_kind(&copied, "ad_set").len(), of_kind(&copied, "ad").len()), (1, 1), "deleted ads stay behind");
    let fields = "name,special_ad_category_country,start_time";
    let read = server.get(&format!("{campaign}?fields={fields}")).await.body;
    assert_eq!(
        (read["name"].as_str(), read["special_ad_category_country"][0].as_str()),
        (Some("Q4 Source"), Some("US"))
    );
    let ad_set = of_kind(&copied, "ad_set")[0]["copied_id"].as_str().unwrap();
    let read =
        server.get(&format!("{ad_set}?fields=name,campaign_id,start_time,end_time,daily_budget,targeting")).await;
    assert_eq!(read.body["name"], "Q4 Set");
    assert_eq!(read.body["campaign_id"], campaign);
    assert_eq!(read.body["start_time"], "2026-12-01T00:00:00-0800");
    assert_eq!(read.body["end_time"], "2026-12-31T00:00:00-0800");
    assert_eq!(read.body["daily_budget"], "5000");
    let ad = of_kind(&copied, "ad")[0]["copied_id"].as_str().unwrap();
    let read = server.get(&format!("{ad}?fields=name,status,effective_status,source_ad_id,creative{{id}}")).await.body;
    assert_eq!((read["name"].as_str(), read["status"].as_str()), (Some("Q4 One"), Some("ACTIVE")));
    assert_eq!(read["effective_status"], "IN_PROCESS", "a copy is reviewed for itself");
    assert_eq!(read["source_ad_id"], tree.ads[0].as_str());
}

#[tokio::test]
async fn more_than_three_ads_are_not_copied_in_one_call() {
    let server = Server::start().await;
    let tree = tree(&server).await;
    for name in ["Three", "Four"] {
        ad(&server, &tree.ad_set, name).await;
    }
    for id in [&tree.campaign, &tree.ad_set] {
        let refused = server.post(&format!("{id}/copies"), &[("deep_copy", "true")]).await;
        assert_eq!((refused.code(), refused.subcode()), (100, 1_885_194));
        assert_eq!(server.post(&format!("{id}/copies"), &[("deep_copy", "false")]).await.status, 200);
    }
    server.control("POST", "settings", r#"{"copy_children_sync":4}"#).await;
    assert_eq!(server.post(&format!("{}/copies", tree.ad_set), &[("deep_copy", "true")]).await.status, 200);
}

#[tokio::test]
async fn an_ad_set_goes_to_another_campaign_where_it_fits() {
    let server = Server::start().await;
    let tree = tree(&server).await;
    let other = server.campaign("Other").await;
    let copied = server.post(&format!("{}/copies", tree.ad_set), &[("campaign_id", &other), ("deep_copy", "1")]).await;
    let id = copied.body["copied_adset_id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("{id}?fields=campaign_id")).await.body["campaign_id"], other);
    assert_eq!(server.get(&format!("{other}/ads")).await.rows().len(), 2);
    let mut form = crate::server::campaign_form("Budget").to_vec();
    form.push(("daily_budget", "9000"));
    let with_budget = server.post(&format!("{ACT}/campaigns"), &form).await.id();
    let path = format!("{}/copies", tree.ad_set);
    assert_eq!(server.post(&path, &[("campaign_id", &with_budget)]).await.subcode(), 1_885_621);
    let mut form = crate::server::campaign_form("Awareness");
    form[1].1 = "OUTCOME_AWARENESS";
    let objective = server.post(&format!("{ACT}/campaigns"), &form).await.id();
    assert_eq!(server.post(&path, &[("campaign_id", &objective)]).await.subcode(), 1_885_204);
    assert_eq!(server.post(&path, &[("campaign_id", "77")]).await.code(), 100);
}

#[tokio::test]
async fn an_ad_is_copied_with_another_creative() {
    let server = Server::start().await;
    let tree = tree(&server).await;
    let other = server.post(&format!("{ACT}/adsets"), &ad_set_form(&tree.campaign)).await.id();
    let form = [
        ("adset_id", other.as_str()),
        ("creative_parameters", r#"{"url_tags":"utm_source=x"}"#),
        ("rename_options", r#"{"rename_strategy":"NO_RENAME"}"#),
    ];
    let copied = server.post(&format!("{}/copies", tree.ads[0]), &form).await.body;
    let id = copied["copied_ad_id"].as_str().unwrap();
    let read = server.get(&format!("{id}?fields=name,adset_id,creative{{url_tags,body}}")).await.body;
    assert_eq!((read["name"].as_str(), read["adset_id"].as_str()), (Some("One"), Some(other.as_str())));
    assert_eq!(
        (read["creative"]["url_tags"].as_str(), read["creative"]["body"].as_str()),
        (Some("utm_source=x"), Some("One"))
    );
    let source = server.get(&format!("{}?fields=creative{{url_tags}}", tree.ads[0])).await.body;
    assert!(source["creative"].get("url_tags").is_none(), "the source keeps its own");
}

#[tokio::test]
async fn what_is_deleted_or_asked_wrongly_is_not_copied_and_validate_only_is_not_heard() {
    let server = Server::start().await;
    let tree = tree(&server).await;
    let path = format!("{}/copies", tree.campaign);
    assert_eq!(server.post(&path, &[("status_option", "DELETED")]).await.code(), 100);
    assert_eq!(server.post(&path, &[("rename_options", r#"{"rename_strategy":"SOME"}"#)]).await.code(), 100);
    assert_eq!(server.post(&path, &[("parameter_overrides", r#"{"daily_budget":5000}"#)]).await.subcode(), 1_885_621);
    let only = server.post(&path, &[("execution_options", r#"["validate_only"]"#)]).await;
    let copy = only.body["copied_campaign_id"].as_str().unwrap();
    assert_eq!(server.get(copy).await.status, 200, "it really copies");
    server.delete(&tree.campaign).await;
    assert_eq!(server.post(&path, &[]).await.subcode(), 1_487_566);
    assert_eq!(server.post(&format!("{}/copies", tree.ad_set), &[]).await.subcode(), 1_487_056);
}

#[tokio::test]
async fn a_copy_needs_room_like_anything_that_is_made() {
    let server = Server::start().await;
    let tree = tree(&server).await;
    let campaigns = server.get(&format!("{ACT}/campaigns?summary=true")).await.body["summary"]["total_count"].clone();
    let ceilings = json!({ "ceilings": { "campaigns": campaigns, "ad_sets_of_a_campaign": 1, "ads_of_an_ad_set": 2 } });
    server.control("POST", "settings", &ceilings.to_string()).await;
    assert_eq!(server.post(&format!("{}/copies", tree.campaign), &[]).await.code(), 100);
    assert_eq!(server.post(&format!("{}/copies", tree.ad_set), &[]).await.subcode(), 1_487_225);
    assert_eq!(server.post(&format!("{}/copies", tree.ads[0]), &[]).await.subcode(), 1_487_225);
}
