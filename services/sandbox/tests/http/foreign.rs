//! What belongs to one ad account is not for another.

use crate::server::{ACT, Server, ad_set_form};
use serde_json::json;

const EURO: &str = "act_1000000000002";
const EURO_ID: &str = "1000000000002";

async fn audience(server: &Server, act: &str) -> String {
    let form = [("name", "Buyers"), ("subtype", "CUSTOM"), ("customer_file_source", "USER_PROVIDED_ONLY")];
    server.post(&format!("{act}/customaudiences"), &form).await.id()
}

#[tokio::test]
async fn an_audience_of_another_account_is_aimed_at_only_where_it_is_shared() {
    let server = Server::start().await;
    let foreign = audience(&server, EURO).await;
    let campaign = server.campaign("C").await;
    let targeting = json!({
        "geo_locations": { "countries": ["US"] }, "custom_audiences": [{ "id": foreign }],
        "targeting_automation": { "advantage_audience": 0 },
    });
    let targeting = targeting.to_string();
    let mut form = ad_set_form(&campaign);
    for (_, value) in form.iter_mut().filter(|(name, _)| *name == "targeting") {
        *value = &targeting;
    }
    let made = async || server.post(&format!("{ACT}/adsets"), &form).await;
    let request = server.client().get(server.url(&format!("{ACT}/reachestimate")));
    let request = request.query(&[("targeting_spec", &targeting)]).bearer_auth(crate::server::TOKEN);
    let estimate = async || server.send_as(request.try_clone().unwrap()).await;
    assert_eq!((made().await.code(), estimate().await.code()), (100, 100));
    let campaign_as_audience = targeting.replace(&foreign, &campaign);
    let spec = [("targeting_spec", campaign_as_audience.as_str())];
    let wrong = server.client().get(server.url(&format!("{ACT}/reachestimate"))).query(&spec);
    assert_eq!(server.send(wrong).await.code(), 100, "a campaign is no audience");
    let accounts = format!("[\"{}\"]", ACT.trim_start_matches("act_"));
    assert_eq!(server.post(&format!("{foreign}/adaccounts"), &[("adaccounts", &accounts)]).await.status, 200);
    assert_eq!((made().await.status, estimate().await.status), (200, 200));
}

#[tokio::test]
async fn a_lookalike_grows_from_an_audience_that_its_account_may_use() {
    let server = Server::start().await;
    let foreign = audience(&server, EURO).await;
    let spec = r#"{"type":"similarity","ratio":0.01,"country":"US"}"#;
    for origin in [foreign.as_str(), "77"] {
        let form = [("name", "L"), ("subtype", "LOOKALIKE"), ("origin_audience_id", origin), ("lookalike_spec", spec)];
        let refused = server.post(&format!("{ACT}/customaudiences"), &form).await;
        assert_eq!(refused.code(), 100);
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("The source audience {origin} does not exist")), "{message}");
    }
}

#[tokio::test]
async fn videos_and_their_uploads_stay_in_their_account() {
    let server = Server::start().await;
    let start = [("upload_phase", "start"), ("file_size", "10")];
    let started = server.post(&format!("{ACT}/advideos"), &start).await.body;
    let session = started["upload_session_id"].as_str().unwrap();
    let cancel = [("upload_phase", "cancel"), ("upload_session_id", session)];
    assert_eq!(server.post(&format!("{EURO}/advideos"), &cancel).await.subcode(), 1_363_041);
    let video = server.post(&format!("{ACT}/advideos"), &[("file_url", "https://cdn.example/a.mp4")]).await.id();
    assert_eq!(server.delete(&format!("{EURO}/advideos?video_id={video}")).await.code(), 100);
    assert_eq!(server.get(&video).await.status, 200);
    assert_eq!(server.delete(&format!("{ACT}/advideos?video_id={video}")).await.body["success"], true);
    assert_eq!(server.post(&format!("{ACT}/advideos"), &cancel).await.body["success"], true);
    assert_eq!(server.get(&format!("act_{EURO_ID}/advideos")).await.rows().len(), 0);
}
