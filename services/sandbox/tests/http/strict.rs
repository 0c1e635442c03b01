//! What must not slip through: refused writes, foreign permissions, lists without a right to them, broken requests.

use crate::auth::logged_in;
use crate::server::{ACT, PAGE, Reply, Server, TOKEN, ad_set_form, campaign_form, options};
use serde_json::{Value, json};

const APP_TOKEN: &str = "1000000000000001|sandbox-app-secret";
const USER: &str = "5000000000000001";
const SYSTEM_USER: &str = "5000000000000002";

async fn get_as(server: &Server, token: &str, path: &str) -> Reply {
    server.send_as(server.client().get(server.url(path)).bearer_auth(token)).await
}

async fn delete_as(server: &Server, token: &str, path: &str) -> Reply {
    server.send_as(server.client().delete(server.url(path)).bearer_auth(token)).await
}

async fn names(server: &Server, path: &str) -> Vec<String> {
    let reply = server.get(&format!("{path}?fields=name&limit=500")).await;
    reply.rows().iter().map(|row| row["name"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn business(server: &Server) -> String {
    server.get("me/businesses").await.rows()[0]["id"].as_str().unwrap().to_owned()
}

/// The token of a system user made for these scopes, and the user's id.
async fn robot(server: &Server, scopes: &str) -> (String, String) {
    let user = server.post(&format!("{}/system_users", business(server).await), &[("name", "Robot")]).await.id();
    let app = ("business_app", "1000000000000001");
    server.post(&format!("{user}/applications"), &[app]).await;
    let made = server.post(&format!("{user}/access_tokens"), &[app, ("scope", scopes)]).await;
    (made.body["access_token"].as_str().unwrap().to_owned(), user)
}

#[tokio::test]
async fn a_write_that_is_refused_has_changed_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::kept_in(folder.path().to_path_buf()).await;
    let campaign = server.campaign("before").await;
    let mut form = ad_set_form(&campaign).to_vec();
    form.push(("fields", "foo"));
    assert_eq!(server.post(&format!("{ACT}/adsets"), &form).await.code(), 100);
    assert!(server.get(&format!("{campaign}/adsets")).await.rows().is_empty());
    let renamed = [("name", "after"), ("fields", "name,foo"), ("adlabels", r#"[{"name":"new"}]"#)];
    assert_eq!(server.post(&campaign, &renamed).await.code(), 100);
    assert_eq!(server.get(&format!("{campaign}?fields=name")).await.body["name"], "before");
    assert!(!names(&server, &format!("{ACT}/adlabels")).await.contains(&"new".to_owned()));
    let told = server.get(&format!("{ACT}/activities?fields=object_name")).await.body.to_string();
    assert!(!told.contains(r#""object_name":"after""#), "{told}");
    let line = server.log().await.into_iter().rfind(|line| line["method"] == "POST").unwrap();
    assert_eq!(line["committed"], false);
    server.stop().await;
    let server = Server::kept_in(folder.path().to_path_buf()).await;
    assert_eq!(server.get(&format!("{campaign}?fields=name")).await.body["name"], "before");
    assert!(server.get(&format!("{campaign}/adsets")).await.rows().is_empty());
}

#[tokio::test]
async fn an_ad_with_its_ad_set_stores_nothing_where_it_is_checked_or_refused() {
    let server = Server::start().await;
    let creative = format!("{{\"creative_id\":\"{}\"}}", server.creative("K").await);
    let campaign: serde_json::Map<String, Value> =
        campaign_form("Together").into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let mut ad_set: serde_json::Map<String, Value> =
        ad_set_form("").into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    ad_set.remove("campaign_id");
    ad_set.insert("campaign_spec".to_owned(), Value::Object(campaign));
    let spec = Value::Object(ad_set).to_string();
    let form = |creative: &str, more: (&'static str, &'static str)| {
        vec![
            ("name".to_owned(), "A".to_owned()),
            ("creative".to_owned(), creative.to_owned()),
            ("adset_spec".to_owned(), spec.clone()),
            (more.0.to_owned(), more.1.to_owned()),
        ]
    };
    let send = async |form: Vec<(String, String)>| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        server.post(&format!("{ACT}/ads"), &form).await
    };
    let all = "effective_status=%5B%22ACTIVE%22,%22PAUSED%22,%22DELETED%22%5D&limit=100&fields=name";
    let kept = async || server.get(&format!("{ACT}/campaigns?{all}")).await.body.to_string().contains("Together");
    let only = send(form(&creative, ("execution_options", r#"["validate_only"]"#))).await;
    assert_eq!(only.body["success"], true, "{}", only.body);
    assert!(!kept().await);
    assert_eq!(send(form(r#"{"creative_id":"7"}"#, ("status", "PAUSED"))).await.code(), 100);
    assert!(!kept().await, "nor as deleted");
    send(form(&creative, ("status", "PAUSED"))).await.id();
    assert!(kept().await);
}

#[tokio::test]
async fn permissions_are_ones_own_or_the_apps_to_see_and_to_take() {
    let server = Server::start().await;
    let person = logged_in(&server).await;
    let path = format!("{USER}/permissions");
    let other = format!("{SYSTEM_USER}/permissions");
    assert!(get_as(&server, &person, &path).await.rows().iter().any(|row| row["permission"] == "ads_read"));
    for reply in [get_as(&server, &person, &other).await, delete_as(&server, &person, &other).await] {
        assert_eq!((reply.code(), reply.subcode()), (100, 33));
    }
    let post = server.client().post(server.url(&path)).bearer_auth(&person);
    assert_eq!(server.send_as(post).await.subcode(), 33);
    let seen = get_as(&server, APP_TOKEN, &path).await;
    assert!(seen.rows().iter().any(|row| row["permission"] == "pages_show_list" && row["status"] == "granted"));
    assert_eq!(delete_as(&server, APP_TOKEN, &format!("{path}/ads_read")).await.body["success"], true);
    let declined = get_as(&server, &person, &path).await;
    assert!(declined.rows().iter().any(|row| row["permission"] == "ads_read" && row["status"] == "declined"));
    assert_eq!(delete_as(&server, APP_TOKEN, &path).await.body["success"], true);
    assert_eq!(get_as(&server, &person, "me").await.subcode(), 458);
    assert_eq!(get_as(&server, TOKEN, "me").await.status, 200);
    let own = logged_in(&server).await;
    assert_eq!(delete_as(&server, &own, &path).await.body["success"], true);
    assert_eq!(get_as(&server, &own, "me").await.subcode(), 458);
    assert_eq!(delete_as(&server, APP_TOKEN, "me/permissions").await.code(), 2_500);
}

#[tokio::test]
async fn edges_with_handlers_expand_among_the_fields() {
    let server = Server::start().await;
    let fields = "id,name,adaccounts.limit(1){name},accounts{name,access_token},permissions,businesses{name}";
    let me = server.get(&format!("me?fields={fields}")).await.body;
    assert_eq!((&me["id"], &me["name"]), (&json!(SYSTEM_USER), &json!("Sandbox System User")));
    assert_eq!(me["adaccounts"]["data"].as_array().unwrap().len(), 1);
    assert!(me["adaccounts"]["paging"]["next"].as_str().unwrap().contains("/me/adaccounts?"));
    assert!(me["accounts"]["data"][0]["access_token"].as_str().unwrap().starts_with("EAAP"));
    assert!(me["permissions"]["data"].as_array().unwrap().iter().any(|row| row["permission"] == "ads_read"));
    assert_eq!(me["businesses"]["data"][0]["name"], "Sandbox Business");
    server.post(ACT, &[("end_advertiser", "NONE")]).await;
    server.campaign("told").await;
    server.post(&format!("{ACT}/subscribed_apps"), &[]).await;
    let business = business(&server).await;
    let fields = format!(
        "name,activities.limit(1){{event_type}},assigned_users.business({business}).as(people){{name}},subscribed_apps,\
         minimum_budgets"
    );
    let account = server.get(&format!("{ACT}?fields={fields}")).await.body;
    assert_eq!(account["activities"]["data"][0]["event_type"], "create_campaign_group");
    assert_eq!(account["people"]["data"].as_array().unwrap().len(), 2, "{account}");
    assert_eq!(account["subscribed_apps"]["data"][0]["app_id"], "1000000000000001");
    assert!(account["minimum_budgets"]["data"].as_array().unwrap().iter().any(|row| row["currency"] == "USD"));
    let unknown = server.get(&format!("{ACT}?fields=activities,foo")).await;
    assert!(unknown.body.to_string().contains("nonexisting field (foo) on node type (AdAccount)"));
}

#[tokio::test]
async fn a_list_of_ones_pages_shows_their_tokens_by_default() {
    let server = Server::start().await;
    let page = server.get("me/accounts").await.rows()[0].clone();
    assert!(page["access_token"].is_string() && page["tasks"].is_array() && page["name"].is_string(), "{page}");
    assert_eq!(get_as(&server, page["access_token"].as_str().unwrap(), PAGE).await.body["id"], PAGE);
}

#[tokio::test]
async fn lists_of_assets_need_their_permissions() {
    let server = Server::start().await;
    let business = business(&server).await;
    let owned = format!("{business}/owned_ad_accounts");
    let users = format!("{business}/system_users");
    for (scope, readable) in [
        ("ads_read", vec!["me/adaccounts", owned.as_str()]),
        ("business_management", vec!["me/adaccounts", "me/businesses", owned.as_str(), users.as_str()]),
        ("pages_show_list", vec!["me/accounts"]),
        ("public_profile", vec![]),
    ] {
        let (token, _) = robot(&server, scope).await;
        for path in ["me/adaccounts", "me/accounts", "me/businesses", owned.as_str(), users.as_str()] {
            let reply = get_as(&server, &token, path).await;
            let expected = if readable.contains(&path) { 200 } else { 403 };
            assert_eq!(reply.status, expected, "{scope} {path}: {}", reply.body);
        }
    }
    for path in ["me/adaccounts", owned.as_str(), users.as_str(), ACT] {
        assert_eq!(get_as(&server, APP_TOKEN, path).await.code(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_person_reaches_the_accounts_on_which_it_has_a_task() {
    let server = Server::start().await;
    let (token, user) = robot(&server, "ads_read,ads_management,business_management").await;
    let listed = async || {
        let reply = get_as(&server, &token, "me/adaccounts").await;
        reply.rows().iter().any(|row| row["id"] == ACT)
    };
    let rename = async |name: &'static str| {
        let path = server.url(&format!("{ACT}/adlabels"));
        server.send_as(server.client().post(path).bearer_auth(&token).form(&[("name", name)])).await
    };
    assert!(listed().await, "whoever is of the business reaches its accounts");
    let people = format!("{ACT}/assigned_users");
    server.post(&people, &[("user", &user), ("tasks", r#"["ANALYZE"]"#)]).await;
    assert_eq!(get_as(&server, &token, &format!("{ACT}/campaigns")).await.status, 200);
    let report = server.client().post(server.url(&format!("{ACT}/insights"))).bearer_auth(&token);
    assert_eq!(server.send_as(report).await.status, 200, "a report reads");
    let refused = rename("x").await;
    assert_eq!((refused.status, refused.code()), (403, 200));
    server.post(&people, &[("user", &user), ("tasks", r#"["ADVERTISE"]"#)]).await;
    assert_eq!(rename("x").await.status, 200);
    let account = server.client().post(server.url(ACT)).bearer_auth(&token).form(&[("name", "Mine")]);
    assert_eq!(server.send_as(account).await.code(), 200, "the account itself wants MANAGE");
    server.delete(&format!("{people}?user={user}")).await;
    assert!(!listed().await);
    for path in [ACT.to_owned(), format!("{ACT}/campaigns"), format!("{ACT}/insights")] {
        assert_eq!(get_as(&server, &token, &path).await.code(), 200, "{path}");
    }
    assert_eq!(get_as(&server, &token, "act_1000000000002").await.status, 200);
    assert_eq!(server.get(ACT).await.status, 200);
}

#[tokio::test]
async fn raw_quotes_and_any_scheme_of_a_token_are_read() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start().await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET /v26.0/{ACT}/campaigns?effective_status=[\"PAUSED\"]&fields=name HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
         authorization: oauth {TOKEN}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Last season"), "{answer}");
    assert!(!answer.contains("Always on"), "{answer}");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let campaign = server.campaign("before").await;
    let post = |kind: &'static str, body: Vec<u8>| {
        server.client().post(server.url(&campaign)).header("content-type", kind).body(body)
    };
    for (kind, body) in [
        ("application/json", b"{\"name\":".to_vec()),
        ("application/json", b"[]".to_vec()),
        ("application/x-www-form-urlencoded", b"name=\xff".to_vec()),
    ] {
        assert_eq!(server.send(post(kind, body)).await.status, 400);
    }
    assert_eq!(server.get(&format!("{campaign}?fields=name")).await.body["name"], "before");
    assert_eq!(server.send(post("application/json", b"{\"name\":\"after\"}".to_vec())).await.status, 200);
}

#[tokio::test]
async fn times_are_shown_in_seconds_until_version_26() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let read = async |version: &str, format: &str| {
        let url = format!("http://{}/{version}/{campaign}?fields=created_time&date_format={format}", server.address);
        server.send(server.client().get(url)).await
    };
    assert_eq!(read("v25.0", "U").await.body["created_time"], 1_794_774_600);
    assert!(read("v25.0", "c").await.body["created_time"].is_string());
    assert_eq!(read("v26.0", "U").await.code(), 100);
    server.control("POST", "settings", r#"{"date_format_refused_since":"v27.0"}"#).await;
    assert_eq!(read("v26.0", "U").await.body["created_time"], 1_794_774_600);
}

#[tokio::test]
async fn links_to_other_pages_carry_the_proof_and_cursors_are_of_their_edge() {
    let server = Server::with(options()).await;
    let proof = "appsecret_proof=";
    let key = proof_of(TOKEN);
    let page = server.get(&format!("{ACT}/ads?limit=1&{proof}{key}")).await;
    let next = page.body["paging"]["next"].as_str().unwrap();
    assert!(next.contains(&format!("{proof}{key}")), "{next}");
    server.control("POST", "settings", r#"{"require_proof":true}"#).await;
    assert_eq!(server.send_as(server.client().get(next)).await.status, 200);
    server.control("POST", "settings", r#"{"require_proof":false}"#).await;
    let cursor = page.body["paging"]["cursors"]["after"].as_str().unwrap();
    assert_eq!(server.get(&format!("{ACT}/campaigns?after={cursor}")).await.code(), 2_642);
    let count = server.get(&format!("{ACT}/ads?limit=0&summary=true")).await;
    assert_eq!((count.rows().len(), &count.body["summary"]["total_count"]), (0, &json!(6)));
    assert!(count.body.get("paging").is_none());
    let label = server.post(&format!("{ACT}/adlabels"), &[("name", "L")]).await.id();
    server.delete(&label).await;
    assert_eq!(server.get(&label).await.subcode(), 33);
}

fn proof_of(token: &str) -> String {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"sandbox-app-secret");
    hex::encode(hmac::sign(&key, token.as_bytes()))
}

#[tokio::test]
async fn a_known_answer_is_not_sent_again_by_a_list_of_tags() {
    let server = Server::start().await;
    let tag = server.get(ACT).await.header("etag").to_owned();
    let ask = |tags: String| server.client().get(server.url(ACT)).header("if-none-match", tags);
    assert_eq!(server.send(ask(format!("\"x\", W/{tag}"))).await.status, 304);
    assert_eq!(server.send(ask("\"x\", W/\"y\"".to_owned())).await.status, 200);
}
