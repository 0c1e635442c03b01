use crate::server::{ACT, Server};
use serde_json::{Value, json};

fn hash(number: u32) -> String {
    format!("{number:064x}")
}

async fn audience(server: &Server) -> String {
    let form = [
        ("name", "Buyers"),
        ("subtype", "CUSTOM"),
        ("customer_file_source", "USER_PROVIDED_ONLY"),
        ("description", "d"),
    ];
    server.post(&format!("{ACT}/customaudiences"), &form).await.id()
}

async fn users(server: &Server, audience: &str, rows: Vec<Value>, seq: u32, last: bool) -> crate::server::Reply {
    let payload = json!({ "schema": ["EMAIL", "FN"], "data": rows }).to_string();
    let session = json!({ "session_id": 77, "batch_seq": seq, "last_batch_flag": last }).to_string();
    server.post(&format!("{audience}/users"), &[("payload", &payload), ("session", &session)]).await
}

#[tokio::test]
async fn people_are_counted_once_and_bad_rows_are_told_not_refused() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    let rows = vec![json!([hash(1), hash(9)]), json!([hash(1), ""]), json!(["a@b.example", ""]), json!([hash(2), ""])];
    let reply = users(&server, &audience, rows, 1, false).await;
    assert_eq!(reply.body["num_received"], 4);
    assert_eq!(reply.body["num_invalid_entries"], 1);
    assert_eq!(reply.body["session_id"], "77");
    users(&server, &audience, vec![json!([hash(3), ""])], 2, true).await;
    let world = server.control_json("world").await;
    let own = &world["customaudiences"][0];
    assert_eq!(own["members"], 3);
    assert_eq!(own["sessions"][0]["complete"], true);
    let payload = json!({ "schema": "EMAIL_SHA256", "data": [hash(2)] }).to_string();
    let query = [("payload", payload.as_str())];
    let removed = server.send(server.client().delete(server.url(&format!("{audience}/users"))).query(&query)).await;
    assert_eq!(removed.body["num_received"], 1);
    assert_eq!(server.control_json("world").await["customaudiences"][0]["members"], 2);
}

#[tokio::test]
async fn an_audience_is_filled_after_some_looks() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    let status = async || {
        server.get(&format!("{audience}?fields=operation_status")).await.body["operation_status"]["code"].clone()
    };
    assert_eq!(status().await, 410);
    users(&server, &audience, vec![json!([hash(1), ""])], 1, true).await;
    assert_eq!([status().await, status().await, status().await], [json!(441), json!(441), json!(200)]);
    let read =
        server.get(&format!("{audience}?fields=name,time_created,approximate_count_lower_bound,delivery_status")).await;
    assert_eq!(read.body["approximate_count_lower_bound"], 1_000);
    assert_eq!(read.body["delivery_status"]["code"], 300);
    assert!(read.body["time_created"].is_i64());
}

#[tokio::test]
async fn calls_that_are_too_large_or_do_not_fit_their_schema_are_refused() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    let many = (0..10_001).map(|number| json!([hash(number), ""])).collect();
    assert_eq!(users(&server, &audience, many, 1, true).await.code(), 100);
    assert_eq!(users(&server, &audience, vec![json!([hash(1)])], 1, true).await.code(), 100);
    assert_eq!(users(&server, &audience, vec![json!([hash(1), ""])], 0, true).await.code(), 100);
    let without = server.post(&format!("{ACT}/customaudiences"), &[("name", "x"), ("subtype", "CUSTOM")]).await;
    assert_eq!(without.code(), 100);
}

#[tokio::test]
async fn audiences_are_listed_changed_and_deleted() {
    let server = Server::start().await;
    let audience = audience(&server).await;
    assert_eq!(server.post(&audience, &[("name", "New")]).await.body["success"], true);
    let listed = server.get(&format!("{ACT}/customaudiences?fields=id,name,description,time_created")).await;
    assert_eq!((listed.rows()[0]["name"].as_str(), listed.rows()[0]["description"].as_str()), (Some("New"), Some("d")));
    assert!(listed.header("x-business-use-case-usage").contains("custom_audience"));
    server.delete(&audience).await;
    assert_eq!(server.get(&format!("{ACT}/customaudiences")).await.rows().len(), 0);
}
