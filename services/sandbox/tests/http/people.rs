use crate::server::{ACT, PAGE, Reply, Server};
use serde_json::{Value, json};

const APP: &str = "1000000000000001";

async fn business(server: &Server) -> String {
    server.get("me/businesses").await.rows()[0]["id"].as_str().unwrap().to_owned()
}

async fn with_token(server: &Server, token: &str, path: &str) -> Reply {
    server.send_as(server.client().get(server.url(path)).bearer_auth(token)).await
}

fn ids(reply: &Reply) -> Vec<&str> {
    reply.rows().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_business_shows_what_it_owns() {
    let server = Server::start().await;
    let business = business(&server).await;
    let read = server.get(&format!("{business}?fields=name,created_time,primary_page,verification_status")).await.body;
    assert_eq!((read["name"].as_str(), read["primary_page"]["id"].as_str()), (Some("Sandbox Business"), Some(PAGE)));
    let owned = async |edge: &str| server.get(&format!("{business}/{edge}")).await.rows().len();
    let counts = [
        ("owned_ad_accounts", 3),
        ("client_ad_accounts", 0),
        ("owned_pages", 1),
        ("client_pages", 0),
        ("adspixels", 1),
        ("owned_pixels", 1),
        ("system_users", 1),
        ("business_users", 1),
        ("instagram_accounts", 1),
        ("owned_instagram_accounts", 1),
        ("owned_product_catalogs", 1),
    ];
    for (edge, count) in counts {
        assert_eq!(owned(edge).await, count, "{edge}");
    }
    let users = server.get("me/business_users?fields=name,role,business").await;
    assert_eq!(users.rows()[0]["name"], "Sam Sandbox");
    assert_eq!(users.rows()[0]["business"]["id"], json!(business));
    let invited = server.post(&format!("{business}/business_users"), &[("email", "new@shop.example")]).await.id();
    assert!(ids(&server.get(&format!("{business}/business_users")).await).contains(&invited.as_str()));
}

#[tokio::test]
async fn a_business_opens_an_ad_account() {
    let server = Server::start().await;
    let path = format!("{}/adaccount", business(&server).await);
    let form = [
        ("name", "Fourth"),
        ("currency", "GBP"),
        ("timezone_id", "58"),
        ("end_advertiser", "NONE"),
        ("media_agency", "NONE"),
        ("partner", "NONE"),
    ];
    for left_out in 0..form.len() {
        let mut form = form.to_vec();
        form.remove(left_out);
        assert_eq!(server.post(&path, &form).await.code(), 100, "{left_out}");
    }
    let id = server.post(&path, &form).await.id();
    let read = server.get(&format!("{id}?fields=name,currency,timezone_name,account_status")).await.body;
    assert_eq!((read["currency"].as_str(), read["timezone_name"].as_str()), (Some("GBP"), Some("Europe/London")));
    assert!(ids(&server.get("me/adaccounts").await).contains(&id.as_str()));
    let form = crate::server::campaign_form("First");
    server.post(&format!("{id}/campaigns"), &form).await.id();
}

#[tokio::test]
async fn a_system_user_gets_its_token_after_the_app_is_installed() {
    let server = Server::start().await;
    let business = business(&server).await;
    let user = server.post(&format!("{business}/system_users"), &[("name", "Robot"), ("role", "EMPLOYEE")]).await.id();
    let wanted =
        [("business_app", APP), ("scope", "ads_read,public_profile"), ("set_token_expires_in_60_days", "true")];
    assert_eq!(server.post(&format!("{user}/access_tokens"), &wanted).await.code(), 100);
    server.post(&format!("{user}/applications"), &[("business_app", APP)]).await;
    let given = server.post(&format!("{user}/access_tokens"), &wanted).await.body;
    assert_eq!(given["token_type"], "bearer");
    let token = given["access_token"].as_str().unwrap().to_owned();
    assert_eq!(with_token(&server, &token, "me?fields=id,name").await.body, json!({ "id": user, "name": "Robot" }));
    let debugged = server.get(&format!("debug_token?input_token={token}")).await.body["data"].clone();
    assert_eq!(
        (debugged["type"].as_str(), &debugged["scopes"]),
        (Some("SYSTEM_USER"), &json!(["ads_read", "public_profile"]))
    );
    assert_eq!(debugged["expires_at"].as_i64(), Some(1_794_774_600 + 60 * 86_400));
    let beyond = [wanted[0], ("scope", "publish_video")];
    assert_eq!(server.post(&format!("{user}/access_tokens"), &beyond).await.code(), 100);
    server.delete(&format!("{user}/access_tokens")).await;
    assert_eq!(with_token(&server, &token, "me").await.code(), 190);
}

#[tokio::test]
async fn a_business_has_only_so_many_system_users() {
    let server = Server::start().await;
    server.control("POST", "settings", r#"{"system_users_max":1}"#).await;
    let path = format!("{}/system_users", business(&server).await);
    let first = server.post(&path, &[("name", "One")]).await.id();
    assert_eq!(server.post(&path, &[("name", "Two")]).await.code(), 3_965);
    server.post(&path, &[("name", "Renamed"), ("system_user_id", &first)]).await;
    assert_eq!(server.get(&format!("{first}?fields=name")).await.body["name"], "Renamed");
    assert_eq!(server.post(&path, &[("name", "x"), ("role", "KING")]).await.code(), 100);
}

#[tokio::test]
async fn a_clients_token_is_found_again() {
    let server = Server::start().await;
    let path = format!("{}/system_user_access_tokens", business(&server).await);
    let only_fetched = [("scope", "ads_read"), ("fetch_only", "true")];
    assert_eq!(server.post(&path, &only_fetched).await.code(), 100);
    let token = server.post(&path, &[("scope", "ads_read")]).await.body["access_token"].clone();
    assert_eq!(server.post(&path, &only_fetched).await.body["access_token"], token);
    assert_eq!(with_token(&server, token.as_str().unwrap(), &format!("{ACT}/campaigns")).await.status, 200);
}

#[tokio::test]
async fn pages_and_instagram_accounts_know_each_other() {
    let server = Server::start().await;
    let page = server.get(&format!("{PAGE}?fields=name,instagram_business_account{{username,media_count}}")).await.body;
    assert_eq!(page["instagram_business_account"]["username"], "sandbox_shop");
    assert_eq!(page["instagram_business_account"]["media_count"], 3);
    let backed = format!("{PAGE}/page_backed_instagram_accounts");
    assert_eq!(server.get(&backed).await.rows().len(), 0);
    let id = server.post(&backed, &[]).await.id();
    assert_eq!(server.post(&backed, &[]).await.id(), id);
    assert_eq!(ids(&server.get(&backed).await), [id]);
    assert_eq!(server.get(&format!("{PAGE}/instagram_accounts")).await.rows().len(), 1);
}

#[tokio::test]
async fn instagram_counts_its_media_and_its_days() {
    let server = Server::start().await;
    let account = server.get(&format!("{PAGE}/instagram_accounts")).await.rows()[0]["id"].as_str().unwrap().to_owned();
    let fields = "caption,media_type,media_product_type,permalink,timestamp,like_count,username,boost_eligibility_info";
    let media = server.get(&format!("{account}/media?fields={fields}")).await;
    let newest = &media.rows()[0];
    assert_eq!(
        (newest["media_type"].as_str(), newest["username"].as_str()),
        (Some("CAROUSEL_ALBUM"), Some("sandbox_shop"))
    );
    let id = newest["id"].as_str().unwrap();
    let insights = server.get(&format!("{id}/insights?metric=reach,likes,saved")).await;
    let names: Vec<&Value> = insights.rows().iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["reach", "likes", "saved"]);
    assert_eq!(insights.rows()[1]["values"][0]["value"], newest["like_count"]);
    assert_eq!(insights.rows()[0]["id"], format!("{id}/insights/reach/lifetime"));
    assert_eq!(server.get(&format!("{id}/insights?metric=impressions")).await.code(), 100);
    let days = async |query: &str| server.get(&format!("{account}/insights?metric=reach&period=day&{query}")).await;
    let week = days("since=1793836800&until=1794441600").await;
    assert_eq!(week.rows()[0]["values"].as_array().unwrap().len(), 7);
    let total = days("since=1793836800&until=1794441600&metric_type=total_value").await;
    let sum: i64 = week.rows()[0]["values"].as_array().unwrap().iter().map(|day| day["value"].as_i64().unwrap()).sum();
    assert_eq!(total.rows()[0]["total_value"]["value"], sum);
    assert_eq!(days("since=1780000000&until=1794441600").await.code(), 100);
}

#[tokio::test]
async fn saved_audiences_are_read() {
    let server = Server::start().await;
    let fields = "name,targeting,sentence_lines,approximate_count_lower_bound,run_status";
    let saved = server.get(&format!("{ACT}/saved_audiences?fields={fields}")).await;
    let one = &saved.rows()[0];
    assert_eq!(one["sentence_lines"][0], json!({ "content": "Location:", "children": ["US"] }));
    assert_eq!((one["run_status"].as_str(), one["targeting"]["age_min"].as_i64()), (Some("READY"), Some(18)));
    let id = one["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("{id}?fields=name")).await.body["name"], one["name"]);
}

#[tokio::test]
async fn the_days_of_instagram_are_dates_or_times_and_what_is_wrong_is_blamed() {
    let server = Server::start().await;
    let account = server.get(&format!("{PAGE}/instagram_accounts")).await.rows()[0]["id"].as_str().unwrap().to_owned();
    let days = async |query: &str| server.get(&format!("{account}/insights?metric=reach&period=day&{query}")).await;
    let week = days("since=2026-11-05&until=2026-11-12").await;
    assert_eq!(week.rows()[0]["values"].as_array().unwrap().len(), 7);
    for wrong in ["since=soon", "since=2026-11-12&until=2026-11-05"] {
        let error = days(wrong).await.body["error"].clone();
        assert_eq!(
            (error["code"].as_i64(), &error["error_data"]),
            (Some(100), &json!(r#"{"blame_field_specs":[["since"]]}"#))
        );
    }
}

#[tokio::test]
async fn an_account_is_opened_in_a_currency_that_accounts_have() {
    let server = Server::start().await;
    let path = format!("{}/adaccount", business(&server).await);
    let open = async |currency: &str| {
        let who = [("end_advertiser", "NONE"), ("media_agency", "NONE"), ("partner", "NONE")];
        let form = [("name", "New"), ("currency", currency), ("timezone_id", "1"), who[0], who[1], who[2]];
        server.post(&path, &form).await
    };
    assert_eq!(open("XYZ").await.code(), 2607);
    let id = open("EUR").await.id();
    server.control("POST", "clock", r#"{"advance_seconds":129600}"#).await;
    assert_eq!(server.get(&format!("{id}?fields=age")).await.body["age"].to_string(), "1.5");
}
