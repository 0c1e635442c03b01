use crate::server::{ACT, Server, TOKEN};
use serde_json::Value;

const APP: &str = "1000000000000001";
const SECRET: &str = "sandbox-app-secret";
const BACK: &str = "http://127.0.0.1:1/callback";

async fn dialog(server: &Server, extra: &str) -> url::Url {
    let query = format!(
        "client_id={APP}&redirect_uri={BACK}&state=s1&response_type=code&scope=ads_management,ads_read,pages_show_list{extra}"
    );
    let response = server.client().get(server.url(&format!("dialog/oauth?{query}"))).send().await.unwrap();
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().parse().unwrap()
}

fn param(url: &url::Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn exchange(server: &Server, form: &[(&str, &str)]) -> crate::server::Reply {
    let client = [("client_id", APP), ("client_secret", SECRET)];
    let form: Vec<_> = client.iter().chain(form).copied().collect();
    server.send_as(server.client().post(server.url("oauth/access_token")).form(&form)).await
}

async fn logged_in(server: &Server) -> String {
    let code = param(&dialog(server, "").await, "code").unwrap();
    let reply = exchange(server, &[("code", &code), ("redirect_uri", BACK)]).await;
    reply.body["access_token"].as_str().unwrap().to_owned()
}

async fn me(server: &Server, token: &str) -> crate::server::Reply {
    server.send_as(server.client().get(server.url("me")).bearer_auth(token)).await
}

async fn inspect(server: &Server, token: &str) -> Value {
    let app = format!("{APP}|{SECRET}");
    let query = [("input_token", token), ("access_token", &app)];
    server.send_as(server.client().get(server.url("debug_token")).query(&query)).await.body["data"].clone()
}

#[tokio::test]
async fn a_login_gives_a_code_that_is_good_once_and_for_one_address() {
    let server = Server::start().await;
    let back = dialog(&server, "").await;
    assert_eq!(param(&back, "state").unwrap(), "s1");
    let code = param(&back, "code").unwrap();
    let elsewhere = exchange(&server, &[("code", &code), ("redirect_uri", "http://127.0.0.1:1/other")]).await;
    assert_eq!(elsewhere.subcode(), 36_008);
    let first = exchange(&server, &[("code", &code), ("redirect_uri", BACK)]).await;
    assert_eq!(first.body["token_type"], "bearer");
    let second = exchange(&server, &[("code", &code), ("redirect_uri", BACK)]).await;
    assert_eq!(second.subcode(), 36_009);
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes() {
    let server = Server::start().await;
    let code = param(&dialog(&server, "").await, "code").unwrap();
    server.control("POST", "clock", r#"{"advance_seconds":601}"#).await;
    assert_eq!(exchange(&server, &[("code", &code), ("redirect_uri", BACK)]).await.subcode(), 36_007);
}

#[tokio::test]
async fn a_denied_login_comes_back_with_the_reason() {
    let server = Server::start().await;
    let back = dialog(&server, "&sandbox_decision=deny").await;
    assert_eq!(param(&back, "error").unwrap(), "access_denied");
    assert_eq!(param(&back, "code"), None);
    server.control("POST", "settings", r#"{"dialog":"deny"}"#).await;
    assert_eq!(param(&dialog(&server, "").await, "error_reason").unwrap(), "user_denied");
}

#[tokio::test]
async fn a_token_lives_sixty_days_and_is_made_young_by_an_exchange() {
    let server = Server::start().await;
    let token = logged_in(&server).await;
    server.control("POST", "clock", r#"{"advance_seconds":4320000}"#).await;
    let reply = exchange(&server, &[("grant_type", "fb_exchange_token"), ("fb_exchange_token", &token)]).await;
    assert_eq!(reply.body["expires_in"], 60 * 86_400);
    let young = reply.body["access_token"].as_str().unwrap().to_owned();
    server.control("POST", "clock", r#"{"advance_seconds":1728000}"#).await;
    assert_eq!(me(&server, &token).await.subcode(), 463);
    assert_eq!(me(&server, &young).await.status, 200);
    let dead = inspect(&server, &token).await;
    assert_eq!(dead["is_valid"], false);
    assert_eq!(dead["error"]["subcode"], 463);
    let exchanges = server.log().await.iter().filter(|line| line["grant_type"] == "fb_exchange_token").count();
    assert_eq!(exchanges, 1);
}

#[tokio::test]
async fn inspection_tells_scopes_and_lifetime() {
    let server = Server::start().await;
    server.control("POST", "settings", r#"{"declined_scopes":["ads_management"]}"#).await;
    let token = logged_in(&server).await;
    let data = inspect(&server, &token).await;
    assert_eq!(data["is_valid"], true);
    assert_eq!(data["type"], "USER");
    assert_eq!(data["scopes"], serde_json::json!(["ads_read", "pages_show_list", "public_profile"]));
    let never = inspect(&server, TOKEN).await;
    assert_eq!((never["type"].as_str(), never["expires_at"].as_i64()), (Some("SYSTEM_USER"), Some(0)));
    let write = server.client().post(server.url(&format!("{ACT}/adlabels"))).bearer_auth(&token).form(&[("name", "x")]);
    assert_eq!(server.send_as(write).await.code(), 294);
}

#[tokio::test]
async fn taking_all_permissions_away_kills_the_token() {
    let server = Server::start().await;
    let token = logged_in(&server).await;
    let permissions = server.send_as(server.client().get(server.url("me/permissions")).bearer_auth(&token)).await;
    assert!(permissions.rows().iter().any(|row| row["permission"] == "ads_read" && row["status"] == "granted"));
    let revoked = server.send_as(server.client().delete(server.url("me/permissions")).bearer_auth(&token)).await;
    assert_eq!(revoked.body["success"], true);
    let dead = me(&server, &token).await;
    assert_eq!((dead.code(), dead.subcode()), (190, 458));
    assert_eq!(me(&server, TOKEN).await.status, 200);
}

#[tokio::test]
async fn a_page_has_a_token_of_its_own() {
    let server = Server::start().await;
    let pages = server.get("me/accounts?fields=id,name,access_token").await;
    let token = pages.rows()[0]["access_token"].as_str().unwrap();
    let data = inspect(&server, token).await;
    assert_eq!((data["type"].as_str(), data["profile_id"].as_str()), (Some("PAGE"), Some(crate::server::PAGE)));
}

#[tokio::test]
async fn calls_without_a_good_token_or_proof_are_refused() {
    let server = Server::start().await;
    let bare = server.send_as(server.client().get(server.url(ACT))).await;
    assert_eq!(bare.code(), 104);
    assert_eq!(server.send_as(server.client().get(server.url("me"))).await.code(), 2_500);
    assert_eq!(me(&server, "nonsense").await.code(), 190);
    assert!(bare.body["error"]["fbtrace_id"].as_str().unwrap().starts_with('A'));
    let bad = server.get(&format!("{ACT}?appsecret_proof=00")).await;
    assert_eq!((bad.code(), bad.body["error"]["type"].as_str()), (100, Some("GraphMethodException")));
    server.control("POST", "settings", r#"{"require_proof":true}"#).await;
    assert_eq!(server.get(ACT).await.code(), 100);
}

#[tokio::test]
async fn wrong_secrets_of_the_app_are_told() {
    let server = Server::start().await;
    let query = [("client_id", APP), ("client_secret", "no"), ("grant_type", "client_credentials")];
    let reply = server.send_as(server.client().get(server.url("oauth/access_token")).query(&query)).await;
    assert_eq!(reply.code(), 1);
    let reply = exchange(&server, &[("grant_type", "client_credentials")]).await;
    assert!(reply.body["access_token"].as_str().unwrap().starts_with("1000000000000001|"));
}
