//! Reads that lag behind writes: by edge, by node, and over pages.

use super::{advance, create, exists, fault};
use crate::server::{ACT, Server};
use serde_json::{Value, json};

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect()
}

async fn lag(server: &Server, path: &str, seconds: i64) {
    fault(server, json!({ "matcher": { "path": path }, "action": { "lagging_reads": { "seconds": seconds } } })).await;
}

#[tokio::test]
async fn what_was_made_within_the_lag_is_not_yet_listed() {
    let server = Server::start().await;
    lag(&server, "/campaigns", 30).await;
    let listed = async || {
        let reply = server.get(&format!("{ACT}/campaigns?fields=name&limit=100&summary=true")).await;
        let count = reply.body["summary"]["total_count"].as_u64().unwrap();
        assert_eq!(count, reply.rows().len() as u64);
        names(reply.rows()).contains(&"fresh")
    };
    assert!(create(&server, "fresh").await.unwrap().status().is_success());
    assert!(!listed().await);
    assert!(exists(&server, "fresh").await, "the read lags, the world does not");
    advance(&server, 29).await;
    assert!(!listed().await);
    advance(&server, 1).await;
    assert!(listed().await);
}

#[tokio::test]
async fn a_node_within_the_lag_is_unknown_by_its_id_while_its_edge_may_show_it() {
    let server = Server::start().await;
    let id = server.campaign("fresh").await;
    lag(&server, &format!("/{id}"), 30).await;
    let reply = server.get(&id).await;
    assert_eq!((reply.code(), reply.subcode(), reply.status), (100, 33, 400));
    let listed = server.get(&format!("{ACT}/campaigns?fields=name")).await;
    assert!(names(listed.rows()).contains(&"fresh"));
    assert_eq!(server.post(&id, &[("name", "renamed")]).await.body["success"], true, "writes do not lag");
    advance(&server, 30).await;
    assert_eq!(server.get(&format!("{id}?fields=name")).await.body["name"], "renamed");
}

#[tokio::test]
async fn a_change_and_a_deletion_are_seen_late() {
    let server = Server::start().await;
    let id = server.campaign("before").await;
    advance(&server, 60).await;
    lag(&server, &id, 30).await;
    lag(&server, "/campaigns", 30).await;
    server.post(&id, &[("name", "after")]).await;
    assert_eq!(server.get(&format!("{id}?fields=name")).await.body["name"], "before");
    advance(&server, 20).await;
    server.delete(&id).await;
    advance(&server, 10).await;
    let node = server.get(&format!("{id}?fields=name,status")).await;
    assert_eq!((&node.body["name"], &node.body["status"]), (&json!("after"), &json!("PAUSED")));
    assert!(names(server.get(&format!("{ACT}/campaigns?fields=name")).await.rows()).contains(&"after"));
    advance(&server, 20).await;
    assert_eq!(server.get(&format!("{id}?fields=status")).await.body["status"], "DELETED");
    assert!(!names(server.get(&format!("{ACT}/campaigns?fields=name")).await.rows()).contains(&"after"));
}

#[tokio::test]
async fn a_walk_over_pages_that_lag_is_a_walk_over_the_old_world() {
    let server = Server::start().await;
    let path = format!("{ACT}/campaigns?fields=name&limit=2");
    for name in ["a", "b", "c"] {
        server.campaign(name).await;
    }
    advance(&server, 60).await;
    let walk = async || {
        let mut seen = Vec::new();
        let mut next = server.url(&path);
        loop {
            let page = server.send(server.client().get(&next)).await;
            seen.extend(page.rows().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
            match page.body["paging"]["next"].as_str() {
                Some(link) => link.clone_into(&mut next),
                None => break seen,
            }
        }
    };
    let before = walk().await;
    lag(&server, "/campaigns", 30).await;
    fault(&server, json!({ "matcher": { "path": "/campaigns" }, "action": { "partial_page": { "rows": 1 } } })).await;
    server.campaign("fresh").await;
    assert_eq!(walk().await, before);
    advance(&server, 30).await;
    assert_eq!(walk().await.len(), before.len() + 1);
}

#[tokio::test]
async fn items_of_a_batch_lag_for_themselves() {
    let server = Server::start().await;
    let id = server.campaign("fresh").await;
    fault(&server, json!({ "matcher": { "nth": 1, "item": true }, "action": { "lagging_reads": { "seconds": 9 } } }))
        .await;
    let ask = json!({ "method": "GET", "relative_url": format!("{id}?fields=name") });
    let answer = super::batch(&server, json!([ask, ask])).await;
    assert_eq!(super::body(&answer[0])["error"]["error_subcode"], 33);
    assert_eq!(super::body(&answer[1])["name"], "fresh");
}

#[tokio::test]
async fn a_clock_that_is_turned_back_makes_no_news_of_the_past() {
    let server = Server::start().await;
    let id = server.campaign("C").await;
    lag(&server, &id, 30).await;
    advance(&server, -86_400).await;
    assert_eq!(server.get(&id).await.subcode(), 33, "it counts as made just now");
    advance(&server, 30).await;
    assert_eq!(server.get(&id).await.status, 200);
}

#[tokio::test]
async fn images_and_creatives_are_found_again_after_a_read_that_lagged() {
    let server = Server::start().await;
    let first = server.creative("same").await;
    lag(&server, "/adcreatives", 30).await;
    server.get(&format!("{ACT}/adcreatives")).await;
    assert_eq!(server.creative("same").await, first, "one content, one creative");
}
