use crate::server::{ACT, Server, story};
use serde_json::json;

/// The address in an iframe, as a browser reads it.
fn address(body: &str) -> String {
    let source =
        body.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("{body}"));
    assert!(source.contains("&amp;"), "{source}");
    source.replace("&amp;", "&")
}

async fn page(server: &Server, address: &str) -> (u16, String) {
    let response = server.client().get(address).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn the_iframe_of_a_preview_shows_the_ad_to_a_person() {
    let server = Server::start().await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let creative = server.creative("Boots & <b>more</b>").await;
    let reference = format!("{{\"creative_id\":\"{creative}\"}}");
    let form = [("name", "A"), ("adset_id", ad_set.as_str()), ("creative", &reference), ("status", "PAUSED")];
    let ad = server.post(&format!("{ACT}/ads"), &form).await.id();
    let mut bodies = Vec::new();
    for path in [&ad, &creative] {
        let reply = server.get(&format!("{path}/previews?ad_format=DESKTOP_FEED_STANDARD")).await;
        bodies.push(reply.rows()[0]["body"].as_str().unwrap().to_owned());
    }
    let request = server.client().get(server.url(&format!("{ACT}/generatepreviews")));
    let spec = json!({ "object_story_spec": serde_json::from_str::<serde_json::Value>(&story("Boots & <b>more</b>")).unwrap() });
    let query = [("ad_format", "INSTAGRAM_STORY"), ("creative", &spec.to_string())];
    let generated = server.send(request.query(&query)).await;
    bodies.push(generated.rows()[0]["body"].as_str().unwrap().to_owned());
    assert!(bodies[0].starts_with("<iframe src=\"http://") && bodies[0].contains("width=\"540\" height=\"690\""));
    for body in &bodies {
        let (status, html) = page(&server, &address(body)).await;
        assert_eq!(status, 200);
        assert!(html.contains("Boots &amp; &lt;b&gt;more&lt;/b&gt;") && html.contains("Sandbox Shop"), "{html}");
    }
}

#[tokio::test]
async fn a_preview_ends_after_a_day_and_cannot_be_forged() {
    let server = Server::start().await;
    let creative = server.creative("K").await;
    let reply = server.get(&format!("{creative}/previews?ad_format=MOBILE_FEED_STANDARD")).await;
    let address = address(reply.rows()[0]["body"].as_str().unwrap());
    assert_eq!(page(&server, &address).await.0, 200);
    assert_eq!(page(&server, &address.replace("d=", "d=a")).await.0, 404);
    server.control("POST", "clock", r#"{"advance_seconds":86400}"#).await;
    assert_eq!(page(&server, &address).await.0, 404);
}

#[tokio::test]
async fn a_preview_needs_a_format_that_meta_has() {
    let server = Server::start().await;
    let creative = server.creative("K").await;
    let missing = server.get(&format!("{creative}/previews")).await;
    assert_eq!(missing.body["error"]["message"], "(#100) The parameter ad_format is required");
    let unknown = server.get(&format!("{creative}/previews?ad_format=BILLBOARD")).await;
    let message = unknown.body["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("(#100) Param ad_format must be one of {AUDIENCE_NETWORK_INSTREAM_VIDEO, "),
        "{message}"
    );
    let without = server.get(&format!("{ACT}/generatepreviews?ad_format=INSTAGRAM_STORY")).await;
    assert_eq!(without.body["error"]["message"], "(#100) The parameter creative is required");
}
