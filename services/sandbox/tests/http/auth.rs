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

pub(crate) async fn logged_in(server: &Server) -> String {
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

#[tokio::test]
async fn a_person_may_be_asked_by_a_page_and_leave_scopes_out() {
    let server = Server::start().await;
    server.control("POST", "settings", r#"{"dialog":"ask"}"#).await;
    let query =
        format!("client_id={APP}&redirect_uri={BACK}&state=s1&response_type=code&scope=ads_management,ads_read");
    let page = server.client().get(server.url(&format!("dialog/oauth?{query}"))).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains(r#"name="sandbox_scope[]" value="ads_management" checked"#), "{html}");
    assert!(html.contains(r#"name="state" value="s1""#), "{html}");
    let both = "&sandbox_scope[]=ads_management&sandbox_scope[]=ads_read";
    for (ticked, scopes) in [
        ("&sandbox_scope[]=ads_read", serde_json::json!(["ads_read", "public_profile"])),
        (both, serde_json::json!(["ads_management", "ads_read", "public_profile"])),
    ] {
        let back = dialog(&server, &format!("&sandbox_decision=grant{ticked}")).await;
        let code = param(&back, "code").unwrap();
        let reply = exchange(&server, &[("code", &code), ("redirect_uri", BACK)]).await;
        let data = inspect(&server, reply.body["access_token"].as_str().unwrap()).await;
        assert_eq!(data["scopes"], scopes);
    }
}

#[tokio::test]
async fn a_token_from_the_dialog_itself_lives_two_hours_and_stands_behind_the_hash() {
    let server = Server::start().await;
    let query = format!("client_id={APP}&redirect_uri={BACK}&state=s1&response_type=token&scope=ads_read");
    let response = server.client().get(server.url(&format!("dialog/oauth?{query}"))).send().await.unwrap();
    let back: url::Url = response.headers()["location"].to_str().unwrap().parse().unwrap();
    let pairs: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(back.fragment().unwrap().as_bytes()).into_owned().collect();
    assert_eq!((pairs["state"].as_str(), pairs["expires_in"].as_str()), ("s1", "7200"));
    let short = pairs["access_token"].clone();
    let reply = exchange(&server, &[("grant_type", "fb_exchange_token"), ("fb_exchange_token", &short)]).await;
    assert_eq!(reply.body["expires_in"], 60 * 86_400);
    server.control("POST", "clock", r#"{"advance_seconds":7200}"#).await;
    assert_eq!(me(&server, &short).await.subcode(), 463);
}

#[tokio::test]
async fn a_token_is_made_younger_at_most_once_a_day() {
    let server = Server::start().await;
    let token = logged_in(&server).await;
    server.control("POST", "clock", r#"{"advance_seconds":3600}"#).await;
    let again = exchange(&server, &[("grant_type", "fb_exchange_token"), ("fb_exchange_token", &token)]).await;
    assert_eq!(again.body["expires_in"], 60 * 86_400 - 3_600);
}

#[tokio::test]
async fn an_exchange_makes_a_token_younger_and_not_the_log_in() {
    let server = Server::start().await;
    let token = logged_in(&server).await;
    let before = inspect(&server, &token).await;
    server.control("POST", "clock", r#"{"advance_seconds":172800}"#).await;
    let again = exchange(&server, &[("grant_type", "fb_exchange_token"), ("fb_exchange_token", &token)]).await;
    let after = inspect(&server, again.body["access_token"].as_str().unwrap()).await;
    assert_eq!(after["data_access_expires_at"], before["data_access_expires_at"]);
    assert_eq!(after["expires_at"].as_i64(), before["expires_at"].as_i64().map(|at| at + 172_800));
}

#[tokio::test]
async fn a_system_users_token_is_exchanged_only_for_one_that_ends() {
    let server = Server::start().await;
    let wanted = [("business_app", APP), ("scope", "ads_read"), ("set_token_expires_in_60_days", "true")];
    let made = server.post("5000000000000002/access_tokens", &wanted).await.body;
    let form = [("grant_type", "fb_exchange_token"), ("fb_exchange_token", made["access_token"].as_str().unwrap())];
    assert_eq!(exchange(&server, &form).await.code(), 100);
    server.control("POST", "clock", r#"{"advance_seconds":172800}"#).await;
    let form = [form[0], form[1], ("set_token_expires_in_60_days", "true")];
    assert_eq!(exchange(&server, &form).await.body["expires_in"], 60 * 86_400);
}

#[tokio::test]
async fn a_person_who_passes_the_checkpoint_has_the_token_back_and_nobody_else_has() {
    let server = Server::start().await;
    for (event, alive) in [("checkpoint", true), ("unconfirmed", true), ("password_changed", false)] {
        let token = logged_in(&server).await;
        for event in [event, "checkpoint_passed"] {
            let what = serde_json::json!({ "event": event, "token": token });
            server.control("POST", "tokens", &what.to_string()).await;
        }
        assert_eq!(me(&server, &token).await.status == 200, alive, "{event}");
    }
}

#[tokio::test]
async fn a_device_gets_a_token_of_its_own_without_the_secret() {
    let server = Server::start().await;
    let token = logged_in(&server).await;
    let query =
        [("client_id", APP), ("client_secret", SECRET), ("redirect_uri", BACK), ("access_token", token.as_str())];
    let reply = server.send_as(server.client().get(server.url("oauth/client_code")).query(&query)).await;
    let code = reply.body["code"].as_str().unwrap().to_owned();
    let query = [("client_id", APP), ("redirect_uri", BACK), ("code", &code)];
    let reply = server.send_as(server.client().get(server.url("oauth/access_token")).query(&query)).await;
    assert!(reply.body["machine_id"].is_string());
    assert_eq!(me(&server, reply.body["access_token"].as_str().unwrap()).await.status, 200);
}

#[tokio::test]
async fn tokens_die_on_demand_each_in_its_way() {
    let events = [
        ("expired", 463),
        ("app_removed", 458),
        ("checkpoint", 459),
        ("password_changed", 460),
        ("unconfirmed", 464),
        ("revoked", 467),
        ("role_lost", 492),
    ];
    for (event, subcode) in events {
        let server = Server::start().await;
        let token = logged_in(&server).await;
        let death = serde_json::json!({ "event": event, "token": token });
        assert_eq!(server.control("POST", "tokens", &death.to_string()).await, r#"{"tokens":1}"#);
        let dead = me(&server, &token).await;
        assert_eq!((dead.code(), dead.subcode()), (190, subcode), "{event}");
        assert_eq!(me(&server, TOKEN).await.status, 200);
    }
    let server = Server::start().await;
    let death = serde_json::json!({ "event": "password_changed", "person": "5000000000000002" });
    server.control("POST", "tokens", &death.to_string()).await;
    assert_eq!(me(&server, TOKEN).await.subcode(), 460);
    let known = server.control_json("tokens").await;
    assert!(known.as_array().unwrap().iter().any(|row| row["dead_subcode"] == 460));
    assert!(!known.to_string().contains(TOKEN));
}

#[tokio::test]
async fn the_dialog_leads_back_to_the_web_only_and_knows_its_scopes() {
    let server = Server::start().await;
    for (query, words) in [
        (format!("redirect_uri=javascript:alert(1)&scope=ads_read&client_id={APP}"), "redirect_uri"),
        (format!("redirect_uri=myapp://back&scope=ads_read&client_id={APP}"), "redirect_uri"),
        (format!("redirect_uri={BACK}&scope=ads_read,ads_destroy&client_id={APP}"), "Invalid Scopes: ads_destroy"),
    ] {
        let page = server.client().get(server.url(&format!("dialog/oauth?{query}"))).send().await.unwrap();
        assert_eq!(page.status(), 400, "{query}");
        let html = page.text().await.unwrap();
        assert!(html.contains(words), "{html}");
    }
    let query = format!("redirect_uri={BACK}&scope=email,ads_read&client_id={APP}");
    assert_eq!(server.client().get(server.url(&format!("dialog/oauth?{query}"))).send().await.unwrap().status(), 302);
}
