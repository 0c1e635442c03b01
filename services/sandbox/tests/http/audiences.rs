use crate::server::{ACT, DATASET, Reply, Server, ad_set_form};
use serde_json::{Value, json};

const EURO: &str = "1000000000002";

fn hash(number: u32) -> String {
    format!("{number:064x}")
}

async fn audience(server: &Server) -> String {
    custom(server, ACT, &[]).await.id()
}

async fn custom(server: &Server, act: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![
        ("name", "Buyers"),
        ("subtype", "CUSTOM"),
        ("customer_file_source", "USER_PROVIDED_ONLY"),
        ("description", "d"),
    ];
    form.extend(more);
    server.post(&format!("{act}/customaudiences"), &form).await
}

async fn users(server: &Server, audience: &str, rows: Vec<Value>, seq: u32, last: bool) -> Reply {
    batch(server, &format!("{audience}/users"), rows, (77, seq, last)).await
}

async fn batch(server: &Server, path: &str, rows: Vec<Value>, (id, seq, last): (u32, u32, bool)) -> Reply {
    let payload = json!({ "schema": ["EMAIL", "FN"], "data": rows }).to_string();
    let session = json!({ "session_id": id, "batch_seq": seq, "last_batch_flag": last }).to_string();
    server.post(path, &[("payload", &payload), ("session", &session)]).await
}

fn people(numbers: std::ops::Range<u32>) -> Vec<Value> {
    numbers.map(|number| json!([hash(number), ""])).collect()
}

async fn in_world(server: &Server, id: &str) -> Value {
    let world = server.control_json("world").await;
    let all = world["customaudiences"].as_array().unwrap();
    all.iter().find(|audience| audience["id"] == id).unwrap().clone()
}

async fn filled(server: &Server, id: &str) {
    for _ in 0..3 {
        server.get(id).await;
    }
}

async fn operation(server: &Server, id: &str) -> Value {
    server.get(&format!("{id}?fields=operation_status")).await.body["operation_status"]["code"].clone()
}

fn website(dataset: &str, filter: &Value) -> String {
    json!({ "inclusions": { "operator": "or", "rules": [{
        "event_sources": [{ "id": dataset, "type": "pixel" }], "retention_seconds": 2_592_000, "filter": filter,
    }] } })
    .to_string()
}

#[tokio::test]
async fn people_are_counted_once_and_bad_rows_are_told_not_refused() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    let rows = vec![json!([hash(1), hash(9)]), json!([hash(1), ""]), json!(["a@b.example", ""]), json!([hash(2), ""])];
    let reply = users(&server, &audience, rows, 1, false).await;
    assert_eq!(reply.body["num_received"], 4);
    assert_eq!(reply.body["num_invalid_entries"], 1);
    assert_eq!(reply.body["invalid_entry_samples"], json!({ "a@b.example,": "invalid hash" }));
    assert_eq!(reply.body["session_id"], "77");
    users(&server, &audience, people(3..4), 2, true).await;
    let own = in_world(&server, &audience).await;
    assert_eq!(own["members"], 3);
    assert_eq!(own["sessions"][0]["complete"], true);
    let session = server.get(&format!("{audience}/sessions?session_id=77")).await.rows()[0].clone();
    assert_eq!((session["num_received"].as_str(), session["num_matched"].as_str()), (Some("5"), Some("4")));
    // As the official Python SDK sends it.
    let payload = json!({ "data": [hash(2)], "is_raw": false, "schema": "EMAIL_SHA256" }).to_string();
    let query = [("payload", payload.as_str())];
    let removed = server.send(server.client().delete(server.url(&format!("{audience}/users"))).query(&query)).await;
    assert_eq!(removed.body["num_received"], 1);
    assert_eq!(in_world(&server, &audience).await["members"], 2);
}

#[tokio::test]
async fn an_audience_is_filled_after_some_looks_or_some_hours() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    let status = async || operation(&server, &audience).await;
    assert_eq!(status().await, 410);
    users(&server, &audience, people(1..2), 1, true).await;
    assert_eq!([status().await, status().await, status().await], [json!(441), json!(441), json!(200)]);
    let read =
        server.get(&format!("{audience}?fields=name,time_created,approximate_count_lower_bound,delivery_status")).await;
    assert_eq!(read.body["approximate_count_lower_bound"], 1_000);
    assert_eq!(read.body["delivery_status"]["code"], 300);
    assert!(read.body["time_created"].is_i64());
    let many = people(0..2_550);
    batch(&server, &format!("{audience}/users"), many, (78, 1, true)).await;
    assert_eq!(status().await, 441);
    server.control("POST", "clock", r#"{"advance_seconds":21600}"#).await;
    assert_eq!(status().await, 200);
    let read = server
        .get(&format!("{audience}?fields=approximate_count_lower_bound,approximate_count_upper_bound,delivery_status"))
        .await;
    assert_eq!(read.body["approximate_count_lower_bound"], 2_500);
    assert_eq!(read.body["approximate_count_upper_bound"], 3_000);
    assert_eq!(read.body["delivery_status"]["code"], 200);
}

#[tokio::test]
async fn many_bad_rows_and_few_matches_are_told_by_the_status() {
    let server = Server::start().await;
    let id = audience(&server).await;
    let rows = vec![json!([hash(1), ""]), json!(["x", ""]), json!(["y", ""])];
    users(&server, &id, rows, 1, true).await;
    filled(&server, &id).await;
    assert_eq!(operation(&server, &id).await, 412);
    server.control("POST", "settings", r#"{"match_percent":10}"#).await;
    let id = audience(&server).await;
    users(&server, &id, people(0..500), 1, true).await;
    filled(&server, &id).await;
    assert_eq!(operation(&server, &id).await, 411);
    assert_eq!(server.get(&format!("{id}?fields=delivery_status")).await.body["delivery_status"]["code"], 300);
}

#[tokio::test]
async fn calls_that_are_too_large_or_do_not_fit_their_schema_are_refused() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    assert_eq!(users(&server, &audience, people(0..10_001), 1, true).await.code(), 100);
    assert_eq!(users(&server, &audience, vec![json!([hash(1)])], 1, true).await.code(), 100);
    assert_eq!(users(&server, &audience, people(1..2), 0, true).await.code(), 100);
    for payload in [
        json!({ "schema": ["E_MAIL"], "data": [["x"]] }),
        json!({ "schema": ["PAGEUID"], "data": [["1"]] }),
        json!({ "schema": ["EMAIL", "LOOKALIKE_VALUE"], "data": [[hash(1), "2"]] }),
        json!({ "data": [["x"]] }),
        json!({ "schema": "EMAIL" }),
    ] {
        let reply = server.post(&format!("{audience}/users"), &[("payload", &payload.to_string())]).await;
        assert_eq!(reply.code(), 100, "{payload}");
    }
    let without = server.post(&format!("{ACT}/customaudiences"), &[("name", "x"), ("subtype", "CUSTOM")]).await;
    assert_eq!(without.code(), 100);
}

#[tokio::test]
async fn batches_of_a_session_follow_each_other_within_ninety_minutes() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    assert_eq!(users(&server, &audience, people(0..1), 2, false).await.code(), 100);
    users(&server, &audience, people(0..1), 1, false).await;
    let again = users(&server, &audience, people(0..1), 1, false).await;
    assert_eq!(again.body["num_received"], 1);
    assert_eq!(users(&server, &audience, people(1..2), 3, false).await.code(), 100);
    server.control("POST", "clock", r#"{"advance_seconds":5401}"#).await;
    assert_eq!(users(&server, &audience, people(1..2), 2, true).await.code(), 100);
    users(&server, &audience, people(1..3), 1, true).await;
    let own = in_world(&server, &audience).await;
    assert_eq!((own["members"].as_i64(), own["sessions"][0]["received"].as_i64()), (Some(3), Some(2)));
}

#[tokio::test]
async fn a_replacement_takes_the_place_of_all_once_it_is_complete() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    users(&server, &audience, people(0..10), 1, true).await;
    let path = format!("{audience}/usersreplace");
    let payload = json!({ "schema": "EMAIL", "data": [hash(1)] }).to_string();
    assert_eq!(server.post(&path, &[("payload", &payload)]).await.code(), 2_650);
    batch(&server, &path, people(20..22), (5, 1, false)).await;
    assert_eq!(in_world(&server, &audience).await["members"], 10);
    assert_eq!(batch(&server, &path, people(20..22), (6, 1, true)).await.code(), 2_650);
    assert_eq!(batch(&server, &path, people(20..22), (5, 3, true)).await.code(), 2_650);
    batch(&server, &path, people(22..23), (5, 2, true)).await;
    assert_eq!(in_world(&server, &audience).await["members"], 3);
    // The last batch once more, because its answer was lost.
    batch(&server, &path, people(22..23), (5, 2, true)).await;
    assert_eq!(in_world(&server, &audience).await["members"], 3);
    let valued = custom(&server, ACT, &[("is_value_based", "true")]).await.id();
    assert_eq!(batch(&server, &format!("{valued}/usersreplace"), people(0..1), (7, 1, true)).await.code(), 2_650);
}

#[tokio::test]
async fn people_leave_all_audiences_of_an_account_at_once() {
    let server = Server::start().await;
    let (one, two) = (audience(&server).await, audience(&server).await);
    users(&server, &one, people(0..3), 1, true).await;
    users(&server, &two, people(2..5), 1, true).await;
    let payload = json!({ "schema": ["EMAIL"], "data": [[hash(2)]] }).to_string();
    let url = server.url(&format!("{ACT}/usersofanyaudience"));
    let reply = server.send(server.client().delete(url).query(&[("payload", &payload)])).await;
    assert_eq!(reply.body["num_received"], 1);
    let left = [in_world(&server, &one).await["members"].clone(), in_world(&server, &two).await["members"].clone()];
    assert_eq!(left, [json!(2), json!(2)]);
}

#[tokio::test]
async fn a_website_audience_holds_those_whose_events_fit_its_rule() {
    let server = Server::start().await;
    let dataset = server.post(&format!("{ACT}/adspixels"), &[("name", "New")]).await.id();
    let filter =
        json!({ "operator": "and", "filters": [{ "field": "url", "operator": "i_contains", "value": "/shoes" }] });
    let rule = website(&dataset, &filter);
    let form = [("name", "Shoes"), ("rule", rule.as_str()), ("prefill", "1"), ("retention_days", "30")];
    let id = server.post(&format!("{ACT}/customaudiences"), &form).await.id();
    let read = server.get(&format!("{id}?fields=subtype,rule,pixel_id,data_source,operation_status")).await.body;
    assert_eq!((read["subtype"].as_str(), read["pixel_id"].as_str()), (Some("WEBSITE"), Some(dataset.as_str())));
    assert_eq!(serde_json::from_str::<Value>(read["rule"].as_str().unwrap()).unwrap()["inclusions"]["operator"], "or");
    filled(&server, &id).await;
    assert_eq!(operation(&server, &id).await, 422);
    let events: Vec<Value> = (0..120)
        .map(|number| {
            json!({ "event_name": "ViewContent", "event_time": 1_794_774_500, "action_source": "website",
                "event_source_url": "https://shop.example/Shoes?x=1",
                "user_data": { "em": hash(number), "client_user_agent": "x" } })
        })
        .collect();
    let reply = server.post(&format!("{dataset}/events"), &[("data", &json!(events).to_string())]).await;
    assert_eq!(reply.body["events_received"], 120);
    assert_eq!(operation(&server, &id).await, 200);
    let read = server.get(&format!("{id}?fields=delivery_status,approximate_count_lower_bound")).await.body;
    assert_eq!(
        (read["delivery_status"]["code"].as_i64(), read["approximate_count_lower_bound"].as_i64()),
        (Some(200), Some(1_000))
    );
    let broken = [("name", "x"), ("rule", r#"{"inclusions":{"operator":"or","rules":[]}}"#)];
    let refused = server.post(&format!("{ACT}/customaudiences"), &broken).await;
    assert_eq!((refused.code(), refused.subcode()), (100, 1_713_098));
    assert_eq!(refused.body["error"]["error_data"], r#"{"blame_field_specs":[["rule"]]}"#);
    let listed = server.get(&format!("{ACT}/customaudiences?pixel_id={dataset}&fields=name")).await;
    assert_eq!(listed.rows().len(), 1);
}

#[tokio::test]
async fn a_lookalike_is_built_from_a_hundred_people() {
    let server = Server::start().await;
    let seed = audience(&server).await;
    let spec = r#"{"type":"similarity","ratio":0.01,"country":"US"}"#;
    let form =
        [("name", "Like them"), ("subtype", "LOOKALIKE"), ("origin_audience_id", &seed), ("lookalike_spec", spec)];
    users(&server, &seed, people(0..99), 1, true).await;
    let refused = server.post(&format!("{ACT}/customaudiences"), &form).await;
    assert_eq!((refused.code(), refused.subcode()), (200, 1_870_047));
    batch(&server, &format!("{seed}/users"), people(99..100), (78, 1, true)).await;
    let id = server.post(&format!("{ACT}/customaudiences"), &form).await.id();
    let status = async || operation(&server, &id).await;
    assert_eq!([status().await, status().await, status().await], [json!(441), json!(441), json!(200)]);
    let read = server.get(&format!("{id}?fields=lookalike_spec,approximate_count_lower_bound")).await.body;
    assert_eq!(read["lookalike_spec"]["origin"][0]["id"], json!(seed));
    assert_eq!(read["approximate_count_lower_bound"], 2_500_000);
    let of_seed = server.get(&format!("{seed}?fields=lookalike_audience_ids")).await;
    assert_eq!(of_seed.body["lookalike_audience_ids"], json!([id]));
    let second = [form[0], form[1], ("origin_audience_id", id.as_str()), form[3]];
    assert_eq!(server.post(&format!("{ACT}/customaudiences"), &second).await.code(), 100);
}

#[tokio::test]
async fn a_shared_audience_can_be_read_and_aimed_at_but_not_changed() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    let accounts = format!("[\"{EURO}\"]");
    let reply = server.post(&format!("{audience}/adaccounts"), &[("adaccounts", &accounts)]).await;
    assert_eq!(reply.body["success"], true);
    assert_eq!(server.get(&format!("{audience}/adaccounts")).await.rows()[0]["id"], format!("act_{EURO}"));
    let info = server.get(&format!("{audience}/shared_account_info")).await;
    assert_eq!(info.rows()[0]["account_name"], "Sandbox Shop Europe");
    let listed = async || {
        let reply = server.get(&format!("act_{EURO}/customaudiences?fields=id,name")).await;
        reply.rows().iter().any(|row| row["id"] == json!(audience))
    };
    assert!(listed().await);
    let refused = server.post(&audience, &[("name", "Mine"), ("acting_account_id", EURO)]).await;
    assert_eq!((refused.code(), refused.subcode()), (2_654, 1_713_092));
    server.delete(&format!("{audience}/adaccounts?adaccounts={accounts}")).await;
    assert!(!listed().await);
}

#[tokio::test]
async fn an_account_accepts_the_terms_before_its_first_audience() {
    let server = Server::start().await;
    let business = server.get("me/businesses").await.rows()[0]["id"].as_str().unwrap().to_owned();
    let form = [
        ("name", "New"),
        ("currency", "USD"),
        ("timezone_id", "1"),
        ("end_advertiser", "NONE"),
        ("media_agency", "NONE"),
        ("partner", "NONE"),
    ];
    let act = server.post(&format!("{business}/adaccount"), &form).await.id();
    let refused = custom(&server, &act, &[]).await;
    assert_eq!((refused.code(), refused.subcode()), (200, 1_870_034));
    let rule = website(
        DATASET,
        &json!({ "operator": "or", "filters": [{ "field": "url", "operator": "i_contains", "value": "" }] }),
    );
    let web = [("name", "All"), ("rule", rule.as_str())];
    assert_eq!(server.post(&format!("{act}/customaudiences"), &web).await.subcode(), 1_870_090);
    for row in server.get(&format!("{act}/customaudiencestos")).await.rows().clone() {
        server.post(&format!("{act}/customaudiencestos"), &[("tos_id", row["id"].as_str().unwrap())]).await;
    }
    custom(&server, &act, &[]).await.id();
    server.post(&format!("{act}/customaudiences"), &web).await.id();
    let accepted = server.get(&format!("{act}?fields=tos_accepted")).await.body["tos_accepted"].clone();
    assert_eq!(accepted, json!({ "custom_audience_tos": 1, "web_custom_audience_tos": 1 }));
}

#[tokio::test]
async fn a_flagged_audience_takes_nobody_and_is_aimed_at_by_nobody() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    users(&server, &audience, people(0..200), 1, true).await;
    server.control("POST", "settings", &json!({ "flagged_audiences": [audience] }).to_string()).await;
    assert_eq!(operation(&server, &audience).await, 471);
    let upload = batch(&server, &format!("{audience}/users"), people(0..1), (9, 1, true)).await;
    assert_eq!((upload.code(), upload.subcode()), (100, 1_713_230));
    assert_eq!(upload.body["error"]["error_user_title"], "Audience Upload Blocked");
    assert_eq!(server.post(&audience, &[("name", "x")]).await.subcode(), 1_713_231);
    let campaign = server.campaign("C").await;
    let targeting = targeting(&audience);
    let mut form = ad_set_form(&campaign).to_vec();
    form.retain(|(name, _)| *name != "targeting");
    form.push(("targeting", &targeting));
    assert_eq!(server.post(&format!("{ACT}/adsets"), &form).await.subcode(), 1_713_232);
}

fn targeting(audience: &str) -> String {
    json!({ "geo_locations": { "countries": ["US"] }, "custom_audiences": [{ "id": audience }],
        "targeting_automation": { "advantage_audience": 0 } })
    .to_string()
}

#[tokio::test]
async fn an_audience_in_use_is_not_deleted() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    let campaign = server.campaign("C").await;
    let targeting = targeting(&audience);
    let mut form = ad_set_form(&campaign).to_vec();
    form.retain(|(name, _)| !matches!(*name, "targeting" | "status"));
    form.extend([("targeting", targeting.as_str()), ("status", "ACTIVE")]);
    let ad_set = server.post(&format!("{ACT}/adsets"), &form).await.id();
    assert_eq!(server.delete(&audience).await.subcode(), 1_870_050);
    server.post(&ad_set, &[("status", "PAUSED")]).await;
    assert_eq!(server.delete(&audience).await.body["success"], true);
    assert_eq!(server.get(&audience).await.subcode(), 33);
}

#[tokio::test]
async fn audiences_are_listed_changed_and_deleted() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    let form = [("name", "New"), ("audience_labels", r#"["RECENT_PURCHASERS"]"#)];
    assert_eq!(server.post(&audience, &form).await.body["success"], true);
    assert_eq!(server.post(&audience, &[("audience_labels", r#"["FRIENDS"]"#)]).await.code(), 100);
    let listed =
        server.get(&format!("{ACT}/customaudiences?fields=id,name,description,time_created,audience_labels")).await;
    assert_eq!((listed.rows()[0]["name"].as_str(), listed.rows()[0]["description"].as_str()), (Some("New"), Some("d")));
    assert_eq!(listed.rows()[0]["audience_labels"], json!(["RECENT_PURCHASERS"]));
    assert!(listed.header("x-business-use-case-usage").contains("custom_audience"));
    server.delete(&audience).await;
    assert_eq!(server.get(&format!("{ACT}/customaudiences")).await.rows().len(), 0);
}

#[tokio::test]
async fn what_an_audience_or_a_conversion_is_made_of_stays() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    for (name, value) in [("subtype", "WEBSITE"), ("is_value_based", "true"), ("pixel_id", DATASET)] {
        let refused = server.post(&audience, &[(name, value)]).await;
        assert!(refused.body["error"]["message"].as_str().unwrap().contains("cannot be changed"), "{}", refused.body);
    }
    assert_eq!(server.post(&audience, &[("subtype", "CUSTOM"), ("name", "Same")]).await.status, 200);
    let rule = r#"{"and":[{"event":{"eq":"Purchase"}}]}"#;
    let form = [("name", "Thanks"), ("event_source_id", DATASET), ("rule", rule), ("custom_event_type", "PURCHASE")];
    let conversion = server.post(&format!("{ACT}/customconversions"), &form).await.id();
    for (name, value) in [("rule", r#"{"and":[{"event":{"eq":"Lead"}}]}"#), ("custom_event_type", "LEAD")] {
        assert_eq!(server.post(&conversion, &[(name, value)]).await.code(), 100, "{name}");
    }
    assert_eq!(server.post(&conversion, &[("name", "Thank you"), ("rule", rule)]).await.status, 200);
}
