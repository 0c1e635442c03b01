use crate::server::{ACT, Reply, Server, ad_set_form};
use serde_json::{Value, json};

/// A GET with parameters that need escaping.
async fn ask(server: &Server, path: &str, query: &[(&str, &str)]) -> Reply {
    server.send(server.client().get(server.url(path)).query(query)).await
}

fn names(reply: &Reply) -> Vec<&str> {
    reply.rows().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_kind_of_search_answers_in_letters_of_any_case() {
    let server = Server::start().await;
    for (query, key, value) in [
        ("type=adinterest&q=basketball", "name", json!("Basketball")),
        ("type=adInterestSuggestion&interest_list=[\"Golf\"]", "topic", json!("Sports and outdoors")),
        ("type=adinterestvalid&interest_list=[\"Golf\",\"Nonsense\"]", "valid", json!(true)),
        ("type=adgeolocation&q=seattle&location_types=[\"city\"]", "key", json!("2418779")),
        ("type=adradiussuggestion&latitude=47&longitude=-122", "distance_unit", json!("mile")),
        ("type=adLocale&q=english", "key", json!(6)),
        ("type=adcountry&q=germ", "country_code", json!("DE")),
        ("type=adzipcode&q=902", "key", json!("US:90210")),
        ("type=adTargetingCategory&class=life_events", "type", json!("life_events")),
        ("type=adtargetingcategory&class=user_os", "name", json!("iOS")),
        ("type=adeducationschool&q=stan", "name", json!("Stanford University")),
        ("type=adeducationmajor&q=comp", "name", json!("Computer Science")),
        ("type=adworkemployer&q=free", "name", json!("Freelancer")),
        ("type=adworkposition&q=teach", "name", json!("Teacher")),
    ] {
        let reply = server.get(&format!("search?{query}")).await;
        assert_eq!(reply.rows()[0][key], value, "{query}: {}", reply.body);
    }
    let meta = server.get("search?type=adgeolocationmeta&cities=[2418779]").await;
    assert_eq!(meta.body["data"]["cities"]["2418779"]["region"], "Washington");
    let unknown = server.get("search?type=adplanet&q=x").await;
    assert!(
        unknown.body["error"]["message"].as_str().unwrap().starts_with("(#100) Param type must be one of {adcountry")
    );
    let missing = server.get("search?type=adinterest").await;
    assert_eq!(missing.body["error"]["message"], "(#100) The parameter q is required");
    assert_eq!(server.get("search?q=x").await.body["error"]["message"], "(#100) The parameter type is required");
}

#[tokio::test]
async fn a_search_is_stable_and_comes_in_pages() {
    let server = Server::start().await;
    let whole = server.get("search?type=adinterest&q=m&limit=1000").await;
    assert_eq!(whole.body, server.get("search?type=adinterest&q=m&limit=1000").await.body);
    let mut seen: Vec<String> = Vec::new();
    let mut page = server.get("search?type=adinterest&q=m&limit=4").await;
    loop {
        assert!(page.rows().len() <= 4);
        seen.extend(names(&page).iter().map(|&name| name.to_owned()));
        let Some(next) = page.body["paging"]["next"].as_str() else { break };
        page = server.send_as(server.client().get(next)).await;
    }
    assert_eq!(seen, names(&whole));
    let row = &whole.rows()[0];
    assert!(row["audience_size_lower_bound"].as_u64() < row["audience_size_upper_bound"].as_u64());
    assert_eq!(row["path"][0], "Interests");
}

#[tokio::test]
async fn what_is_found_can_be_browsed_validated_and_aimed_at() {
    let server = Server::start().await;
    let found = ask(&server, &format!("{ACT}/targetingsearch"), &[("q", "trail"), ("limit_type", "interests")]).await;
    let row = found.rows()[0].clone();
    assert_eq!((row["name"].as_str(), row["type"].as_str()), (Some("Trail running"), Some("interests")));
    let browsed = server.get(&format!("{ACT}/targetingbrowse?limit_type=income")).await;
    assert!(browsed.rows().len() == 4 && browsed.rows().iter().all(|row| row["type"] == "income"));
    let list = json!([{ "type": "interests", "id": row["id"] }]).to_string();
    let beside = ask(&server, &format!("{ACT}/targetingsuggestions"), &[("targeting_list", &list)]).await;
    assert!(names(&beside).contains(&"Hiking") && !names(&beside).contains(&"Trail running"));
    let ids = format!("[{},1]", row["id"].as_str().unwrap());
    let valid = ask(&server, &format!("{ACT}/targetingvalidation"), &[("id_list", &ids)]).await;
    assert_eq!((&valid.rows()[0]["valid"], &valid.rows()[1]["valid"]), (&json!(true), &json!(false)));
    assert!(!server.get(&format!("{ACT}/broadtargetingcategories")).await.rows().is_empty());

    let campaign = server.campaign("C").await;
    let with = |interest: &Value| {
        let targeting = json!({
            "geo_locations": { "cities": [{ "key": "2418779", "radius": 12, "distance_unit": "mile" }] },
            "flexible_spec": [{ "interests": [interest] }],
            "targeting_automation": { "advantage_audience": 0 },
        });
        targeting.to_string()
    };
    let path = format!("{ACT}/adsets");
    let mut form = ad_set_form(&campaign).to_vec();
    form.retain(|(name, _)| *name != "targeting");
    let good = with(&json!({ "id": row["id"], "name": row["name"] }));
    let ad_set = server.post(&path, &[form.as_slice(), &[("targeting", good.as_str())]].concat()).await.id();
    let told = server.get(&format!("{ad_set}/targetingsentencelines")).await;
    assert_eq!(told.body["id"], ad_set);
    let lines = told.body["targetingsentencelines"].as_array().unwrap();
    assert_eq!(lines[0], json!({ "content": "Location:", "children": ["Seattle (+12 mi)"] }));
    assert!(lines.contains(&json!({ "content": "Age:", "children": ["18 - 65+"] })));
    assert!(lines.contains(&json!({ "content": "People who match:", "children": ["Interests: Trail running"] })));
    let by_account = ask(&server, &format!("{ACT}/targetingsentencelines"), &[("targeting_spec", &good)]).await;
    assert_eq!(by_account.body["targetingsentencelines"], told.body["targetingsentencelines"]);

    let unknown = with(&json!({ "id": "1", "name": "Nothing" }));
    let refused = server.post(&path, &[form.as_slice(), &[("targeting", unknown.as_str())]].concat()).await;
    assert_eq!(refused.subcode(), 1_487_694);
    assert_eq!(refused.body["error"]["error_data"], r#"{"blame_field_specs":[["targeting","interests"]]}"#);
    server.control("POST", "settings", r#"{"catalogue_only":false}"#).await;
    let taken = server.post(&path, &[form.as_slice(), &[("targeting", unknown.as_str())]].concat()).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
}

#[tokio::test]
async fn an_interest_that_was_merged_is_refused_and_ad_sets_that_hold_it_are_listed() {
    let server = Server::start().await;
    let targeting = json!({
        "geo_locations": { "countries": ["US"] },
        "interests": [{ "id": "6003011990001" }],
        "targeting_automation": { "advantage_audience": 0 },
    })
    .to_string();
    let campaign = server.campaign("C").await;
    let mut form = ad_set_form(&campaign).to_vec();
    form.retain(|(name, _)| *name != "targeting");
    form.push(("targeting", &targeting));
    assert_eq!(server.post(&format!("{ACT}/adsets"), &form).await.subcode(), 2_446_394);
    assert!(server.get(&format!("{ACT}/deprecatedtargetingadsets")).await.rows().is_empty());
    server.control("POST", "clock", r#"{"now":"2025-12-01T00:00:00Z"}"#).await;
    let ad_set = server.post(&format!("{ACT}/adsets"), &form).await.id();
    server.control("POST", "clock", r#"{"now":"2026-02-01T00:00:00Z"}"#).await;
    let listed = server.get(&format!("{ACT}/deprecatedtargetingadsets?type=delivery_paused&fields=id,name")).await;
    assert_eq!(listed.rows(), &vec![json!({ "id": ad_set, "name": "Set" })]);
}

#[tokio::test]
async fn an_estimate_follows_from_the_targeting() {
    let server = Server::start().await;
    let path = format!("{ACT}/delivery_estimate");
    let of = async |spec: Value| {
        let query = [("optimization_goal", "REACH"), ("targeting_spec", &spec.to_string())];
        let reply = ask(&server, &path, &query).await;
        let row = reply.rows()[0].clone();
        assert_eq!(row["estimate_ready"], true);
        assert_eq!(row.as_object().unwrap().len(), 4, "{row}");
        (row["estimate_mau_lower_bound"].as_i64().unwrap(), row["estimate_mau_upper_bound"].as_i64().unwrap())
    };
    let wide = of(json!({ "geo_locations": { "countries": ["DE"] } })).await;
    let narrow = of(json!({ "geo_locations": { "countries": ["DE"] }, "age_max": 30, "genders": [1] })).await;
    assert!(narrow.0 < wide.0 && narrow.1 < wide.1 && wide.0 < wide.1, "{narrow:?} {wide:?}");
    assert_eq!(wide, of(json!({ "geo_locations": { "countries": ["DE"] } })).await);

    let spec = json!({ "geo_locations": { "countries": ["DE"] } }).to_string();
    let reach = ask(&server, &format!("{ACT}/reachestimate"), &[("targeting_spec", &spec)]).await;
    let expected =
        json!({ "data": { "users_lower_bound": wide.0, "users_upper_bound": wide.1, "estimate_ready": true } });
    assert_eq!(reach.body, expected);
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let own = server.get(&format!("{ad_set}/delivery_estimate")).await;
    assert_eq!(own.rows()[0]["estimate_mau_lower_bound"], 236_000_000);
    assert_eq!(server.get(&format!("{ACT}/max_bid")).await.rows()[0]["max_bid"], 100_000);
}

#[tokio::test]
async fn an_estimate_is_refused_without_what_it_needs() {
    let server = Server::start().await;
    let path = format!("{ACT}/delivery_estimate");
    let good = json!({ "geo_locations": { "countries": ["DE"] } }).to_string();
    for (query, text) in [
        (vec![("targeting_spec", good.as_str())], "The parameter optimization_goal is required"),
        (vec![("optimization_goal", "REACH")], "The parameter targeting_spec is required"),
        (vec![("optimization_goal", "FAME"), ("targeting_spec", &good)], "Param optimization_goal must be one of {"),
        (vec![("optimization_goal", "REACH"), ("targeting_spec", "nonsense")], "must be a valid JSON object"),
        (vec![("optimization_goal", "REACH"), ("targeting_spec", "{}")], "at least one place"),
        (vec![("optimization_goal", "REACH"), ("targeting_spec", &good), ("fields", "foo")], "nonexisting field (foo)"),
    ] {
        let reply = ask(&server, &path, &query).await;
        let message = reply.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(text), "{query:?}: {message}");
    }
}

#[tokio::test]
async fn an_audience_of_a_few_people_is_not_told() {
    let server = Server::start().await;
    let form = [("name", "List"), ("subtype", "CUSTOM"), ("customer_file_source", "USER_PROVIDED_ONLY")];
    let audience = server.post(&format!("{ACT}/customaudiences"), &form).await.id();
    let spec =
        json!({ "geo_locations": { "countries": ["US"] }, "custom_audiences": [{ "id": audience }] }).to_string();
    let reach = ask(&server, &format!("{ACT}/reachestimate"), &[("targeting_spec", &spec)]).await;
    assert_eq!(
        (&reach.body["data"]["users_lower_bound"], &reach.body["data"]["users_upper_bound"]),
        (&json!(-1), &json!(-1))
    );
    let schema: Vec<_> = (0..2_000).map(|number| vec![format!("{number:064x}")]).collect();
    let payload = json!({ "schema": ["EMAIL_SHA256"], "data": schema }).to_string();
    server.post(&format!("{audience}/users"), &[("payload", &payload)]).await;
    let reach = ask(&server, &format!("{ACT}/reachestimate"), &[("targeting_spec", &spec)]).await;
    assert_eq!(reach.body["data"]["users_lower_bound"], 2_000, "{}", reach.body);
}
