//! Partial pages: fewer rows than the limit, or none, and nothing lost over all of them.

use super::fault;
use crate::server::{ACT, Server};
use serde_json::{Value, json};

/// The pages of an edge, by `next` as the Node SDK walks, each as the ids of its rows.
async fn by_link(server: &Server, path: &str) -> Vec<Vec<Value>> {
    let mut next = server.url(path);
    let mut pages = Vec::new();
    loop {
        let page = server.send(server.client().get(&next)).await;
        assert_eq!(page.status, 200, "{}", page.body);
        pages.push(page.rows().iter().map(|row| row["id"].clone()).collect());
        assert!(pages.len() < 100, "a walk ends");
        match page.body["paging"]["next"].as_str() {
            Some(link) => link.clone_into(&mut next),
            None => return pages,
        }
    }
}

/// The same by `after`, which the Python SDK sends with its own parameters while there is a `next`.
async fn by_cursor(server: &Server, path: &str) -> Vec<Vec<Value>> {
    let mut after = String::new();
    let mut pages = Vec::new();
    loop {
        let page = server.get(&format!("{path}{after}")).await;
        pages.push(page.rows().iter().map(|row| row["id"].clone()).collect());
        assert!(pages.len() < 100, "a walk ends");
        let paging = &page.body["paging"];
        match (paging["next"].as_str(), paging["cursors"]["after"].as_str()) {
            (Some(_), Some(cursor)) => after = format!("&after={cursor}"),
            _ => return pages,
        }
    }
}

fn sizes(pages: &[Vec<Value>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn fewer_rows_than_the_limit_come_on_every_page_and_all_of_them_in_the_end() {
    let server = Server::start().await;
    let path = format!("{ACT}/ads?limit=4");
    let whole = by_link(&server, &path).await.concat();
    assert!(whole.len() > 4, "{whole:?}");
    fault(&server, json!({ "matcher": { "path": "/ads" }, "action": { "partial_page": { "rows": 3 } } })).await;
    for pages in [by_link(&server, &path).await, by_cursor(&server, &path).await] {
        assert_eq!(pages.concat(), whole);
        assert!(pages.iter().all(|page| page.len() <= 3), "{:?}", sizes(&pages));
    }
    let first = server.get(&path).await;
    assert!(
        first.body["paging"]["next"].as_str().unwrap().contains("limit=4"),
        "the links keep the limit that was asked"
    );
    let unlimited = server.get(&format!("{ACT}/ads")).await;
    assert!(!unlimited.body["paging"]["next"].as_str().unwrap().contains("limit="));
}

#[tokio::test]
async fn an_empty_page_leads_on_and_the_one_after_it_is_whole() {
    let server = Server::start().await;
    let path = format!("{ACT}/ads?limit=2");
    let pages = by_link(&server, &path).await;
    fault(&server, json!({ "matcher": { "path": "/ads" }, "action": { "partial_page": { "rows": 0 } } })).await;
    let expected: Vec<Vec<Value>> = pages.iter().flat_map(|page| [Vec::new(), page.clone()]).collect();
    assert_eq!(by_link(&server, &path).await, expected);
    assert_eq!(by_cursor(&server, &path).await, expected);
    let empty = server.get(&path).await;
    server.control("DELETE", "faults", "").await;
    let next = empty.body["paging"]["next"].as_str().unwrap();
    assert_eq!(server.send(server.client().get(next)).await.rows().len(), 2, "its cursor is good without the rule too");
}

#[tokio::test]
async fn an_edge_without_rows_and_a_node_stay_as_they_are() {
    let server = Server::start().await;
    fault(&server, json!({ "action": { "partial_page": { "rows": 0 } } })).await;
    let none = server.get("act_1000000000003/ads").await;
    assert_eq!(none.body["data"], json!([]));
    assert!(none.body["paging"]["next"].is_null(), "{}", none.body);
    assert_eq!(server.get(&format!("{ACT}?fields=name")).await.body["name"], "Sandbox Shop");
}

#[tokio::test]
async fn pages_of_insights_are_partial_too() {
    let server = Server::start().await;
    let path = format!("{ACT}/insights?level=ad&time_increment=1&date_preset=last_7d&fields=ad_id,spend&limit=10");
    let rows = async || {
        let mut next = server.url(&path);
        let mut rows = Vec::new();
        loop {
            let page = server.send(server.client().get(&next)).await;
            rows.extend(page.rows().clone());
            match page.body["paging"]["next"].as_str() {
                Some(link) => link.clone_into(&mut next),
                None => return rows,
            }
        }
    };
    let whole = rows().await;
    assert!(whole.len() > 10);
    for count in [0, 3] {
        server.control("DELETE", "faults", "").await;
        fault(&server, json!({ "matcher": { "path": "/insights" }, "action": { "partial_page": { "rows": count } } }))
            .await;
        assert_eq!(rows().await, whole);
    }
}
