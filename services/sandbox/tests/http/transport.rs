use std::io::Read;

use crate::server::{ACT, DATASET, Reply, Server, TOKEN, options};
use flate2::read::GzDecoder;
use sandbox::{Options, Tier};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client that sees bodies as they were sent.
fn raw_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().no_gzip().build().unwrap()
}

/// A GET of a path with its version, or without one.
async fn at(server: &Server, path: &str) -> Reply {
    let request = server.client().get(format!("http://{}/{path}", server.address));
    server.send(request).await
}

async fn set(server: &Server, settings: Value) {
    server.control("POST", "settings", &settings.to_string()).await;
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_clients_that_take_it() {
    let server = Server::start().await;
    let client = raw_client();
    let long = server.url(&format!("{ACT}/ads?fields=name,status,created_time,creative{{id,name}}&limit=100"));
    let ask = |url: &str, accepted: &str| client.get(url).bearer_auth(TOKEN).header("accept-encoding", accepted).send();
    let small = ask(&long, "gzip, deflate").await.unwrap();
    assert_eq!(small.headers()["content-encoding"], "gzip");
    assert!(small.headers()["vary"].to_str().unwrap().contains("Accept-Encoding"));
    let small = small.bytes().await.unwrap();
    let plain = ask(&long, "identity").await.unwrap();
    assert!(!plain.headers().contains_key("content-encoding"));
    let plain = plain.bytes().await.unwrap();
    assert!(small.len() * 2 < plain.len(), "{} of {}", small.len(), plain.len());
    let mut text = Vec::new();
    GzDecoder::new(&small[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain);
    let short = ask(&server.url("me"), "gzip").await.unwrap();
    assert!(!short.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn answers_carry_the_headers_of_metas() {
    let server = Server::start().await;
    let reply = server.get("me").await;
    assert_eq!(reply.header("content-type"), "application/json; charset=UTF-8");
    assert_eq!(reply.header("pragma"), "no-cache");
    assert_eq!(reply.header("expires"), "Sat, 01 Jan 2000 00:00:00 GMT");
    for name in ["x-fb-request-id", "x-fb-trace-id", "x-fb-rev", "x-fb-debug", "strict-transport-security"] {
        assert!(!reply.header(name).is_empty(), "{name}");
    }
    let refused = server.get("99").await;
    assert_eq!(refused.header("x-fb-trace-id"), refused.body["error"]["fbtrace_id"].as_str().unwrap());
    assert_eq!(refused.header("etag"), "", "an error has no tag");
}

#[tokio::test]
async fn head_and_options_change_nothing_and_have_no_body() {
    let server = Server::start().await;
    let before = server.log().await.len();
    let campaigns = server.url(&format!("{ACT}/campaigns"));
    let options = server.client().request(reqwest::Method::OPTIONS, &campaigns).send().await.unwrap();
    assert_eq!(options.status(), 200);
    assert!(options.headers()["allow"].to_str().unwrap().contains("POST"));
    assert!(options.bytes().await.unwrap().is_empty());
    let head = server.client().head(&campaigns).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["facebook-api-version"].to_str().unwrap()), (200, "v26.0"));
    assert!(head.bytes().await.unwrap().is_empty());
    let log = server.log().await;
    assert_eq!(log.len(), before + 1, "OPTIONS is no call");
    assert_eq!(log[before]["committed"], false);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_nothing() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /v26.0/act_1000000000001/advideos HTTP/1.1\r\nHost: h\r\nContent-Length: 300000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_connection_serves_one_call_after_the_other() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for last in [false, true] {
        let close = if last { "Connection: close\r\n" } else { "" };
        let head = format!("GET /v26.0/me HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n{close}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again_to_the_same_token() {
    let server = Server::start().await;
    let url = server.url(&format!("{ACT}?fields=name"));
    let first = server.send(server.client().get(&url)).await;
    let tag = first.header("etag").to_owned();
    assert_eq!(tag.len(), 18, "{tag}");
    let again = server.send(server.client().get(&url).header("if-none-match", &tag)).await;
    assert_eq!((again.status, &again.body, again.header("etag")), (304, &Value::Null, tag.as_str()));
    let label = [("name", "x"), ("access_token", TOKEN)];
    let post = server.client().post(server.url(&format!("{ACT}/adlabels"))).form(&label).header("if-none-match", "*");
    assert_eq!(server.send_as(post).await.status, 200, "a write is never unchanged");
    server.post(ACT, &[("name", "Renamed")]).await;
    let changed = server.send(server.client().get(&url).header("if-none-match", &tag)).await;
    assert_eq!((changed.status, changed.body["name"].as_str()), (200, Some("Renamed")));
}

#[tokio::test]
async fn the_token_is_part_of_the_tag() {
    let server = Server::start().await;
    let pages = server.get("me/accounts?fields=access_token").await;
    let other = pages.rows()[0]["access_token"].as_str().unwrap().to_owned();
    let url = server.url(&format!("{}?fields=name", crate::server::PAGE));
    let mine = server.send(server.client().get(&url)).await;
    let theirs = server.send_as(server.client().get(&url).bearer_auth(other)).await;
    assert_eq!(mine.body, theirs.body);
    assert_ne!(mine.header("etag"), theirs.header("etag"));
}

#[tokio::test]
async fn an_unchanged_item_of_a_batch_is_answered_with_304_and_null() {
    let server = Server::start().await;
    let item = |headers: Value| json!([{ "method": "GET", "relative_url": ACT, "headers": headers }]).to_string();
    let first = server.post("", &[("batch", &item(json!([])))]).await;
    let headers = first.body[0]["headers"].as_array().unwrap();
    let header = |name: &str| headers.iter().find(|header| header["name"] == name).unwrap()["value"].as_str().unwrap();
    assert_eq!(header("Facebook-API-Version"), "v26.0");
    let tag = header("ETag");
    for told in [json!([format!("If-None-Match: {tag}")]), json!([{ "name": "If-None-Match", "value": tag }])] {
        let again = server.post("", &[("batch", &item(told))]).await;
        assert_eq!((&again.body[0]["code"], &again.body[0]["body"]), (&json!(304), &Value::Null));
    }
    let other = server.post("", &[("batch", &item(json!(["If-None-Match: \"0\""])))]).await;
    assert_eq!(other.body[0]["code"], 200);
}

#[tokio::test]
async fn errors_keep_their_status_to_themselves_where_it_is_suppressed() {
    let server = Server::start().await;
    let reply = server.get("99?suppress_http_code=1").await;
    assert_eq!((reply.status, reply.code()), (200, 100));
}

#[tokio::test]
async fn debug_is_heeded_until_version_25() {
    let server = Server::start().await;
    let old = at(&server, "v25.0/me?debug=all").await;
    assert_eq!(old.body["__debug__"]["messages"], json!([]));
    assert!(at(&server, "v26.0/me?debug=all").await.body.get("__debug__").is_none());
    assert!(at(&server, "v25.0/me").await.body.get("__debug__").is_none());
    let warned = at(&server, &format!("v18.0/{ACT}?debug=warning")).await;
    let message = &warned.body["__debug__"]["messages"][0];
    assert_eq!(message["type"], "warning");
    assert_eq!(message["message"].as_str().unwrap(), warned.header("x-ad-api-version-warning"));
}

#[tokio::test]
async fn the_version_that_answers_is_told() {
    let server = Server::start().await;
    let told = async |path: String| {
        let reply = at(&server, &path).await;
        (
            reply.status,
            reply.header("facebook-api-version").to_owned(),
            reply.header("x-ad-api-version-warning").to_owned(),
        )
    };
    set(&server, json!({ "oldest_version": "v25.0", "versions_in_grace": ["v25.0"] })).await;
    assert_eq!(told(format!("v26.0/{ACT}")).await, (200, "v26.0".to_owned(), String::new()));
    let (status, version, warning) = told(format!("v22.0/{ACT}")).await;
    assert_eq!((status, version.as_str()), (200, "v25.0"));
    assert_eq!(warning, "The call has been auto-upgraded to v25.0 as v22.0 has been deprecated.");
    assert!(told(format!("v25.0/{ACT}")).await.2.contains("v25.0 will be deprecated"));
    assert_eq!(told(ACT.to_owned()).await.1, "v25.0");
    assert_eq!(told(format!("v27.0/{ACT}")).await.0, 400);
    let link = at(&server, &format!("v22.0/{ACT}/ads?limit=1")).await;
    assert!(
        link.body["paging"]["next"].as_str().unwrap().contains("/v25.0/act_"),
        "links are of the version that answered"
    );
}

#[tokio::test]
async fn a_dead_version_is_refused_where_the_app_is_not_upgraded_but_events_live_on() {
    let server = Server::start().await;
    set(&server, json!({ "auto_upgrade": false, "oldest_version": "v25.0" })).await;
    let refused = at(&server, &format!("v24.0/{ACT}")).await;
    assert_eq!((refused.status, refused.code()), (400, 2_635));
    assert!(refused.body["error"]["message"].as_str().unwrap().ends_with("latest version: v26.0."));
    let url = format!("http://{}/v21.0/{DATASET}/events", server.address);
    let event = json!([{
        "event_name": "Lead", "event_time": 1_794_700_000, "action_source": "other", "user_data": { "external_id": "a" },
    }]);
    let sent = server.send(server.client().post(url).form(&[("data", event.to_string())])).await;
    assert_eq!((sent.status, sent.header("facebook-api-version")), (200, "v21.0"), "{}", sent.body);
    let own = format!("v24.0/{ACT}");
    let items = json!([{ "method": "GET", "relative_url": ACT }, { "method": "GET", "relative_url": own }]);
    let batch = server.post("", &[("batch", &items.to_string())]).await;
    assert_eq!((&batch.body[0]["code"], &batch.body[1]["code"]), (&json!(200), &json!(400)), "its own version counts");
}

#[tokio::test]
async fn several_ids_are_read_at_once_where_that_is_set() {
    let server = Server::start().await;
    let accounts = "?ids=act_1000000000001,act_1000000000002&fields=name";
    let refused = server.get(accounts).await;
    assert_eq!((refused.status, refused.code()), (500, 100));
    set(&server, json!({ "ids_refused_since": "v27.0" })).await;
    let both = server.get(accounts).await;
    assert_eq!(both.body[ACT]["name"], "Sandbox Shop");
    assert_eq!(both.body.as_object().unwrap().len(), 2);
    set(&server, json!({ "ids_refused_since": "v22.0" })).await;
    assert_eq!(at(&server, &format!("v25.0/{accounts}")).await.status, 500);
}

#[tokio::test]
async fn each_of_several_ids_counts_as_a_call() {
    let server = Server::with(Options { tier: Tier::Development, ..options() }).await;
    let campaign = server.get(&format!("{ACT}/campaigns?limit=1")).await.rows()[0]["id"].as_str().unwrap().to_owned();
    let share = async |path: String| {
        let usage: Value = serde_json::from_str(at(&server, &path).await.header("x-ad-account-usage")).unwrap();
        usage["acc_id_util_pct"].clone()
    };
    // Of the 500 calls an hour that an account with five active ads has in the development tier.
    assert_eq!(share(format!("v25.0/{ACT}")).await, json!(0.4));
    assert_eq!(share(format!("v25.0/?ids={ACT},{campaign}")).await, json!(0.8));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_json_like_anything_else() {
    let server = Server::start().await;
    let url = server.url(&format!("{ACT}/adimages"));
    let broken = server.client().post(&url).header("content-type", "multipart/form-data; boundary=x").body("no parts");
    let reply = server.send(broken).await;
    assert_eq!((reply.status, reply.code()), (400, 100));
    assert!(!reply.body["error"]["fbtrace_id"].as_str().unwrap().is_empty());
    assert_eq!(reply.header("content-type"), "application/json; charset=UTF-8");
    for method in [reqwest::Method::PUT, reqwest::Method::PATCH] {
        let word = method.as_str().to_lowercase();
        let reply = server.send(server.client().request(method, &url)).await;
        assert_eq!((reply.status, reply.code()), (405, 100));
        let message = reply.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("Unsupported {word} request")), "{message}");
    }
}
