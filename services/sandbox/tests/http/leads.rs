use crate::server::{ACT, PAGE, Server, TOKEN};
use serde_json::{Value, json};

async fn form(server: &Server) -> String {
    server.get(&format!("{PAGE}/leadgen_forms")).await.rows()[0]["id"].as_str().unwrap().to_owned()
}

fn names(rows: &[Value]) -> Vec<&str> {
    let name =
        |row: &Value| row["field_data"].as_array().unwrap().iter().position(|field| field["name"] == "full_name");
    rows.iter().map(|row| row["field_data"][name(row).unwrap()]["values"][0].as_str().unwrap()).collect()
}

#[tokio::test]
async fn leads_are_read_for_ninety_days_from_their_form_and_their_ad() {
    let server = Server::start().await;
    let form = form(&server).await;
    let read = server.get(&format!("{form}?fields=name,questions,leads_count,expired_leads_count,page")).await.body;
    assert_eq!((read["leads_count"].as_i64(), read["expired_leads_count"].as_i64()), (Some(3), Some(1)));
    assert_eq!(read["page"]["id"], PAGE);
    let leads = server.get(&format!("{form}/leads")).await;
    assert_eq!(names(leads.rows()), ["Cleo Cedar", "Ben Birch", "Anna Ash"]);
    let one =
        server.get(&format!("{form}/leads?limit=1&fields=ad_id,campaign_id,form_id,created_time,is_organic")).await;
    let row = &one.rows()[0];
    assert_eq!((row["form_id"].as_str(), row["is_organic"].as_bool()), (Some(form.as_str()), Some(false)));
    assert_eq!(row["created_time"], "2026-11-14T20:30:00+0000");
    let ad = row["ad_id"].as_str().unwrap();
    assert_eq!(server.get(&format!("{ad}/leads")).await.rows().len(), 3);
    // Two weeks before the test's now.
    let since = r#"[{"field":"time_created","operator":"GREATER_THAN","value":1793565000}]"#;
    let filtered = server.get(&format!("{ad}/leads?filtering={since}&limit=1")).await;
    let next = filtered.body["paging"]["next"].as_str().unwrap();
    let rest = server.send_as(server.client().get(next)).await;
    assert_eq!(names(&[filtered.rows()[0].clone(), rest.rows()[0].clone()]), ["Cleo Cedar", "Ben Birch"]);
    assert!(rest.body["paging"]["next"].is_null());
    let lead = leads.rows()[2]["id"].as_str().unwrap();
    assert_eq!(server.get(lead).await.body["field_data"], leads.rows()[2]["field_data"]);
    server.control("POST", "clock", r#"{"advance_seconds":6220800}"#).await;
    assert_eq!(server.get(lead).await.subcode(), 33);
}

#[tokio::test]
async fn leads_need_their_own_permission() {
    let server = Server::start().await;
    let form = form(&server).await;
    let lead = server.get(&format!("{form}/leads")).await.rows()[0]["id"].as_str().unwrap().to_owned();
    let user = server.get("me").await.id();
    let app = "1000000000000001";
    let asked = [("business_app", app), ("scope", "ads_read")];
    let token = server.post(&format!("{user}/access_tokens"), &asked).await;
    let token = token.body["access_token"].as_str().unwrap().to_owned();
    for path in [format!("{form}/leads"), lead] {
        let reply = server.send_as(server.client().get(server.url(&path)).bearer_auth(&token)).await;
        assert_eq!((reply.status, reply.code()), (403, 200), "{path}");
    }
}

#[tokio::test]
async fn a_form_is_made_tested_and_put_away() {
    let server = Server::start().await;
    let page =
        server.get("me/accounts?fields=access_token").await.rows()[0]["access_token"].as_str().unwrap().to_owned();
    assert_ne!(page, TOKEN);
    let questions = r#"[{"type":"EMAIL","key":"email"},{"type":"CUSTOM","label":"Shoe size"}]"#;
    let form = [("name", "Sizes"), ("questions", questions), ("privacy_policy", r#"{"url":"https://shop.example/p"}"#)];
    let url = server.url(&format!("{PAGE}/leadgen_forms"));
    let id = server.send_as(server.client().post(url).form(&form).bearer_auth(&page)).await.id();
    for wrong in [vec![form[0], form[1]], vec![form[0], form[2]], vec![form[0], form[2], ("questions", "[{}]")]] {
        assert_eq!(server.post(&format!("{PAGE}/leadgen_forms"), &wrong).await.code(), 100, "{wrong:?}");
    }
    let tests = format!("{id}/test_leads");
    let lead = server.post(&tests, &[]).await.id();
    assert_eq!(server.post(&tests, &[]).await.code(), 100);
    let read = server.get(&lead).await.body;
    assert_eq!(read["field_data"][0], json!({ "name": "email", "values": ["test@fb.com"] }));
    assert_eq!(read["field_data"][1]["name"], "shoe_size");
    assert_eq!(server.get(&tests).await.rows().len(), 1);
    assert_eq!(server.delete(&lead).await.body["success"], true);
    assert_eq!(server.get(&lead).await.subcode(), 33);
    let data = r#"[{"name":"email","values":["a@b.example"]}]"#;
    let lead = server.post(&tests, &[("field_data", data)]).await.id();
    assert_eq!(server.get(&lead).await.body["field_data"][0]["values"][0], "a@b.example");
    server.post(&id, &[("status", "ARCHIVED")]).await;
    assert_eq!(server.get(&format!("{id}?fields=status")).await.body["status"], "ARCHIVED");
    assert_eq!(server.get(&format!("{PAGE}/leadgen_forms")).await.rows().len(), 1);
}

#[tokio::test]
async fn a_lead_is_left_by_hand() {
    let server = Server::start().await;
    let form = form(&server).await;
    let ad = server.get(&format!("{ACT}/ads?limit=1")).await.rows()[0]["id"].clone();
    let given = json!({ "form_id": form, "ad_id": ad, "answers": { "email": "d@e.example" } });
    let made: Value = serde_json::from_str(&server.control("POST", "leads", &given.to_string()).await).unwrap();
    let lead = made["id"].as_str().unwrap();
    let newest = server.get(&format!("{form}/leads?fields=ad_id,field_data")).await.rows()[0].clone();
    assert_eq!((newest["id"].as_str(), &newest["ad_id"]), (Some(lead), &ad));
    assert_eq!(newest["field_data"], json!([{ "name": "email", "values": ["d@e.example"] }]));
}
