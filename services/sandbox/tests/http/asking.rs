//! The ways to say what is wanted: fields with modifiers, filters, orders, and parameters in every encoding.

use crate::server::{ACT, Reply, Server, TOKEN, ad_set_form, campaign_form};
use serde_json::{Value, json};

async fn ask(server: &Server, path: &str, query: &[(&str, &str)]) -> Reply {
    server.send(server.client().get(server.url(path)).query(query)).await
}

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap_or_else(|| panic!("{rows}")).iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn fields_go_up_and_down_with_modifiers_and_aliases() {
    let server = Server::start().await;
    let fields = "name.as(title),adsets.limit(1).order(chronological).as(first){name,campaign{id,name}},\
                  ads.filtering([{'field':'name','operator':'CONTAIN','value':'trail'}]).fields(name,creative{object_story_spec{link_data{link}}})";
    let reply = ask(&server, &format!("{ACT}/campaigns"), &[("fields", fields), ("order", "chronological")]).await;
    let row = &reply.rows()[0];
    assert_eq!(row["title"], "Always on: sales");
    assert!(row.get("name").is_none());
    assert_eq!(names(&row["first"]["data"]), ["Prospects US"]);
    assert_eq!(row["first"]["data"][0]["campaign"]["name"], "Always on: sales");
    assert_eq!(names(&row["ads"]["data"]), ["Trail shoes"]);
    let creative = &row["ads"]["data"][0]["creative"]["object_story_spec"];
    assert_eq!(*creative, json!({ "link_data": { "link": "https://shop.example/" } }));
    assert!(reply.rows()[1].get("ads").is_none(), "an edge without rows is left out");
}

#[tokio::test]
async fn faults_in_fields_are_told_as_meta_tells_them() {
    let server = Server::start().await;
    for (path, fields, code, text) in [
        (
            format!("{ACT}/campaigns"),
            "id,foo",
            100,
            "(#100) Tried accessing nonexisting field (foo) on node type (Campaign)",
        ),
        (format!("{ACT}/adsets"), "foo", 100, "(#100) Tried accessing nonexisting field (foo) on node type (AdSet)"),
        (
            format!("{ACT}/ads"),
            "creative{foo}",
            100,
            "(#100) Tried accessing nonexisting field (foo) on node type (AdCreative)",
        ),
        (
            ACT.to_owned(),
            "id,name}",
            2_500,
            "Syntax error \"Expected end of string instead of \"}\".\" at character 7: id,name}",
        ),
        (ACT.to_owned(), "campaigns.limit(2{id}", 2_500, "Syntax error \"Expected ) instead of"),
        (ACT.to_owned(), "id,,name", 2_500, "Syntax error"),
    ] {
        let reply = ask(&server, &path, &[("fields", fields)]).await;
        assert_eq!(reply.code(), code, "{fields}");
        let message = reply.body["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(text), "{fields}: {message}");
    }
}

#[tokio::test]
async fn edges_are_filtered_by_what_connectors_send() {
    let server = Server::start().await;
    let campaign = server
        .post(
            &format!("{ACT}/campaigns"),
            &[campaign_form("Mine").as_slice(), &[("adlabels", "[{\"name\":\"blue\"}]")]].concat(),
        )
        .await
        .id();
    for (edge, condition, expected) in [
        (
            "campaigns",
            json!({ "field": "campaign.delivery_info", "operator": "IN", "value": ["inactive"] }),
            vec!["Mine", "Last season"],
        ),
        (
            "campaigns",
            json!({ "field": "campaign.delivery_info", "operator": "IN", "value": ["active"] }),
            vec!["Brand: traffic", "Always on: sales"],
        ),
        ("campaigns", json!({ "field": "adlabels", "operator": "ANY", "value": ["blue", "red"] }), vec!["Mine"]),
        ("campaigns", json!({ "field": "adlabels", "operator": "ALL", "value": ["blue", "red"] }), vec![]),
        ("campaigns", json!({ "field": "id", "operator": "EQUAL", "value": campaign }), vec!["Mine"]),
        (
            "campaigns",
            json!({ "field": "campaign.updated_time", "operator": "GREATER_THAN", "value": "2026-11-01T00:00:00+0000" }),
            vec!["Mine"],
        ),
        (
            "campaigns",
            json!({ "field": "campaign.updated_time", "operator": "GREATER_THAN", "value": 1_793_491_200 }),
            vec!["Mine"],
        ),
        (
            "campaigns",
            json!({ "field": "objective", "operator": "equal", "value": "OUTCOME_SALES" }),
            vec!["Last season", "Always on: sales"],
        ),
        (
            "adsets",
            json!({ "field": "daily_budget", "operator": "GREATER_THAN", "value": 4_500 }),
            vec!["Sale US", "Prospects US"],
        ),
        (
            "ads",
            json!({ "field": "campaign.name", "operator": "STARTS_WITH", "value": "brand" }),
            vec!["Our workshop", "Field guide"],
        ),
    ] {
        let filtering = json!([condition]).to_string();
        let reply = ask(&server, &format!("{ACT}/{edge}"), &[("fields", "name"), ("filtering", &filtering)]).await;
        assert_eq!(names(&reply.body["data"]), expected, "{condition}");
    }
    for (condition, text) in [
        (r#"[{"field":"colour","operator":"EQUAL","value":1}]"#, "Filtering field 'colour'"),
        (r#"[{"field":"name","operator":"LIKE","value":1}]"#, "operator LIKE is not valid"),
        (r#"[{"field":"name"}]"#, "array of {field, operator, value}"),
    ] {
        let reply = ask(&server, &format!("{ACT}/campaigns"), &[("filtering", condition)]).await;
        assert!(reply.body["error"]["message"].as_str().unwrap().contains(text), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_write_says_the_same_in_every_encoding() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let path = server.url(&format!("{ACT}/adsets"));
    let client = server.client();
    let mut plain = ad_set_form(&campaign).to_vec();
    plain.push(("fields", "targeting,daily_budget"));
    let without = |name: &str| plain.iter().filter(|(own, _)| *own != name).copied().collect::<Vec<_>>();
    let php = [
        without("targeting"),
        vec![
            ("targeting[geo_locations][countries][0]", "US"),
            ("targeting[targeting_automation][advantage_audience]", "0"),
        ],
    ]
    .concat();
    let single = [
        without("targeting"),
        vec![("targeting", "{'geo_locations':{'countries':['US']},'targeting_automation':{'advantage_audience':0}}")],
    ]
    .concat();
    let mut native: serde_json::Map<String, Value> =
        plain.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let text_in_json = native.clone();
    native.insert(
        "targeting".to_owned(),
        json!({ "geo_locations": { "countries": ["US"] }, "targeting_automation": { "advantage_audience": 0 } }),
    );
    native.insert("daily_budget".to_owned(), json!(5_000));
    native.insert("fields".to_owned(), json!(["targeting", "daily_budget"]));
    native.insert("lifetime_budget".to_owned(), Value::Null);
    for (how, request) in [
        ("form", client.post(&path).form(&plain)),
        ("query", client.post(&path).query(&plain)),
        ("php keys", client.post(&path).form(&php)),
        ("single quotes", client.post(&path).form(&single)),
        ("json", client.post(&path).json(&native)),
        ("text in json", client.post(&path).json(&text_in_json)),
        (
            "parts",
            client.post(&path).multipart(plain.iter().fold(reqwest::multipart::Form::new(), |form, (name, value)| {
                form.text((*name).to_owned(), (*value).to_owned())
            })),
        ),
    ] {
        let reply = server.send(request).await;
        assert_eq!(reply.body["daily_budget"], "5000", "{how}: {}", reply.body);
        assert_eq!(reply.body["targeting"]["geo_locations"]["countries"], json!(["US"]), "{how}");
    }
    let empty = client
        .get(server.url(&format!("{ACT}?fields=name&access_token={TOKEN}")))
        .header("content-type", "application/json")
        .body("{}");
    assert_eq!(server.send_as(empty).await.body["name"], "Sandbox Shop", "the Node SDK reads with a body");
    let listed = server.get(&format!("{ACT}/campaigns?fields=name&effective_status=ACTIVE,PAUSED&limit=1")).await;
    assert_eq!(listed.rows().len(), 1);
}
