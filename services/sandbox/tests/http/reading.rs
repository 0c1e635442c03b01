use crate::server::{ACT, Server, TOKEN};
use serde_json::json;

#[tokio::test]
async fn a_node_shows_what_was_asked_for_and_its_id() {
    let server = Server::start().await;
    let account = server.get(&format!("{ACT}?fields=name,currency,account_status,business{{id,name}}")).await;
    assert_eq!(account.body["id"], ACT);
    assert_eq!(account.body["currency"], "USD");
    assert_eq!(account.body["business"]["name"], "Sandbox Business");
    assert_eq!(account.body["account_status"], 1);
    assert!(account.body.get("timezone_name").is_none());
    assert_eq!(account.header("facebook-api-version"), "v26.0");
}

#[tokio::test]
async fn the_three_accounts_have_three_currencies() {
    let server = Server::start().await;
    let accounts = server.get("me/adaccounts?fields=account_id,currency").await;
    let mut currencies: Vec<_> = accounts.rows().iter().map(|row| row["currency"].as_str().unwrap()).collect();
    currencies.sort_unstable();
    assert_eq!(currencies, ["EUR", "JPY", "USD"]);
    assert!(accounts.rows().iter().all(|row| row["id"] == format!("act_{}", row["account_id"].as_str().unwrap())));
}

#[tokio::test]
async fn braces_nest_through_parents_and_edges() {
    let server = Server::start().await;
    let ads =
        server.get(&format!("{ACT}/ads?limit=1&fields=name,creative{{id,name}},adset{{name,campaign{{name}}}}")).await;
    let ad = &ads.rows()[0];
    assert_eq!(ad["adset"]["campaign"]["name"], "Last season");
    assert_eq!(ad["creative"]["name"], ad["name"]);
    let campaigns = server.get(&format!("{ACT}/campaigns?fields=name,adsets.limit(1){{name,ads{{id}}}}")).await;
    let with_two = campaigns.rows().iter().find(|row| row["name"] == "Always on: sales").unwrap();
    assert_eq!(with_two["adsets"]["data"].as_array().unwrap().len(), 1);
    assert!(with_two["adsets"]["paging"]["next"].is_string());
}

#[tokio::test]
async fn an_unknown_field_node_edge_or_version_is_told_as_meta_tells_it() {
    let server = Server::start().await;
    let field = server.get(&format!("{ACT}/campaigns?fields=id,foo")).await;
    assert_eq!(field.code(), 100);
    let message = field.body["error"]["message"].as_str().unwrap();
    assert_eq!(message, "(#100) Tried accessing nonexisting field (foo) on node type (Campaign)");
    let node = server.get("99").await;
    assert_eq!((node.code(), node.subcode(), node.status), (100, 33, 400));
    assert_eq!(node.body["error"]["type"], "GraphMethodException");
    assert_eq!(server.get(&format!("{ACT}/nonsense")).await.code(), 2_500);
    let syntax = server.get(&format!("{ACT}?fields=id{{")).await;
    assert_eq!(syntax.code(), 2_500);
    server.control("POST", "settings", r#"{"auto_upgrade":false}"#).await;
    let dead = format!("http://{}/v18.0/{ACT}?access_token={TOKEN}", server.address);
    assert_eq!(server.send_as(server.client().get(dead)).await.code(), 2_635);
}

#[tokio::test]
async fn slashes_do_not_matter() {
    let server = Server::start().await;
    for path in ["//act_1000000000001/?fields=id", "act_1000000000001//?fields=id"] {
        assert_eq!(server.get(path).await.body["id"], ACT);
    }
}

#[tokio::test]
async fn next_links_lead_through_all_rows_with_the_token_in_them() {
    let server = Server::start().await;
    let mut url = server.url(&format!("{ACT}/ads?fields=id&limit=2&summary=true&access_token={TOKEN}"));
    let mut ids = Vec::new();
    let mut pages = 0;
    loop {
        let page = server.send_as(server.client().get(&url)).await;
        assert_eq!(page.body["summary"]["total_count"], 6);
        ids.extend(page.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match page.body["paging"]["next"].as_str() {
            Some(next) => url = next.to_owned(),
            None => break,
        }
        assert!(url.contains(TOKEN));
    }
    assert_eq!((pages, ids.len()), (3, 6));
    ids.dedup();
    assert_eq!(ids.len(), 6);
    let back = server.get(&format!("{ACT}/ads?fields=id&limit=2&after=bm9uc2Vuc2U")).await;
    assert_eq!(back.code(), 2_642);
}

#[tokio::test]
async fn parameters_come_by_query_form_json_and_bearer_alike() {
    let server = Server::start().await;
    let fields = "name=L&fields=name";
    let path = server.url(&format!("{ACT}/adlabels"));
    let client = server.client();
    let by_query = client.post(format!("{path}?{fields}&access_token={TOKEN}"));
    let by_form = client.post(&path).form(&[("name", "L"), ("fields", "name"), ("access_token", TOKEN)]);
    let by_json = client.post(&path).bearer_auth(TOKEN).json(&json!({ "name": "L", "fields": ["name"], "x": null }));
    let parts = reqwest::multipart::Form::new().text("name", "L").text("fields", "name");
    let by_parts = client.post(&path).bearer_auth(TOKEN).multipart(parts);
    let mut ids = Vec::new();
    for request in [by_query, by_form, by_json, by_parts] {
        let reply = server.send_as(request).await;
        assert_eq!(reply.body["name"], "L");
        ids.push(reply.id());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "a label's name is its own");
}

#[tokio::test]
async fn lists_are_filtered_by_status_and_by_conditions() {
    let server = Server::start().await;
    let names = |reply: &crate::server::Reply| {
        reply.rows().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let paused = server.get(&format!("{ACT}/campaigns?fields=name&effective_status=['PAUSED']")).await;
    assert_eq!(names(&paused), ["Last season"]);
    let filtering = r#"[{"field":"campaign.effective_status","operator":"IN","value":["ACTIVE"]},{"field":"name","operator":"CONTAIN","value":"guide"}]"#;
    let request =
        server.client().get(server.url(&format!("{ACT}/ads"))).query(&[("fields", "name"), ("filtering", filtering)]);
    assert_eq!(names(&server.send(request).await), ["Field guide"]);
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let server = Server::start().await;
    let first = server.get(&format!("{ACT}?fields=name")).await;
    let etag = first.header("etag").to_owned();
    let request = server.client().get(server.url(&format!("{ACT}?fields=name"))).header("if-none-match", etag);
    assert_eq!(server.send(request).await.status, 304);
}

#[tokio::test]
async fn several_nodes_are_read_by_ids_until_version_26() {
    let server = Server::start().await;
    let campaigns = server.get(&format!("{ACT}/campaigns?fields=name&limit=2")).await;
    let (first, second) = (&campaigns.rows()[0], &campaigns.rows()[1]);
    let ids = |ids: &str| format!("http://{}/v25.0//?fields=name&ids={ids}", server.address);
    let both = format!("{},{}", first["id"].as_str().unwrap(), second["id"].as_str().unwrap());
    let found = server.send(server.client().get(ids(&both))).await;
    for row in [first, second] {
        assert_eq!(&found.body[row["id"].as_str().unwrap()], row);
    }
    let unknown = server.send(server.client().get(ids(&format!("{both},99")))).await;
    assert_eq!((unknown.code(), unknown.subcode()), (100, 33));
    let newest = server.get(&format!("?fields=name&ids={both}")).await;
    assert_eq!((newest.code(), newest.status), (100, 500));
}

#[tokio::test]
async fn the_crash_report_of_an_sdk_is_taken_without_a_token() {
    let server = Server::start().await;
    let report = [("bizsdk_crash_report", r#"{"reason":"API : FacebookRequestError"}"#)];
    let path = server.url("1000000000000001/instruments");
    let taken = server.send_as(server.client().post(path).form(&report)).await;
    assert_eq!((taken.status, &taken.body["success"]), (200, &json!(true)));
}
