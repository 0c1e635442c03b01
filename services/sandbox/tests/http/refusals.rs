//! What Meta refuses of campaigns, ad sets, creatives and ads, as tables: what is sent, and what is answered.

use crate::server::{ACT, DATASET, PAGE, Reply, Server, ad_set_form, campaign_form, story};
use serde_json::{Value, json};

type Form<'a> = Vec<(&'a str, String)>;

/// A form with members set; an empty text takes one away.
fn with<'a>(form: &[(&'a str, &str)], changes: &[(&'a str, &str)]) -> Form<'a> {
    let mut form: Form<'a> = form.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    for (name, value) in changes {
        form.retain(|(own, _)| own != name);
        if !value.is_empty() {
            form.push((name, (*value).to_owned()));
        }
    }
    form
}

async fn post(server: &Server, path: &str, form: &[(&str, String)]) -> Reply {
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    server.post(path, &form).await
}

/// Subcode (0 for none) and blamed path of a refusal with code 100.
fn verdict(reply: &Reply) -> (i64, String) {
    assert_eq!(reply.status, 400, "{}", reply.body);
    let error = &reply.body["error"];
    assert_eq!((error["code"].as_i64(), error["type"].as_str()), (Some(100), Some("OAuthException")), "{error}");
    let blame: Value = error["error_data"].as_str().map_or(json!({}), |text| serde_json::from_str(text).unwrap());
    let path: Vec<&str> =
        blame["blame_field_specs"][0].as_array().into_iter().flatten().map(|part| part.as_str().unwrap()).collect();
    (error["error_subcode"].as_i64().unwrap_or_default(), path.join("."))
}

#[tokio::test]
async fn campaigns_that_break_a_rule_are_refused_with_the_field_to_blame() {
    let server = Server::start().await;
    let path = format!("{ACT}/campaigns");
    for (changes, subcode, blamed) in [
        (vec![("name", "")], 0, ""),
        (vec![("special_ad_categories", "")], 0, ""),
        (vec![("special_ad_categories", "[\"NONE\",\"HOUSING\"]")], 0, "special_ad_categories"),
        (vec![("special_ad_categories", "[\"HOMES\"]")], 0, "special_ad_categories"),
        (vec![("special_ad_category_country", "[\"ZZ\"]")], 0, "special_ad_category_country"),
        (vec![("is_adset_budget_sharing_enabled", "")], 0, "is_adset_budget_sharing_enabled"),
        (vec![("daily_budget", "500"), ("lifetime_budget", "500")], 0, "lifetime_budget"),
        (vec![("daily_budget", "99")], 1_885_272, "daily_budget"),
        (vec![("daily_budget", "-1")], 0, "daily_budget"),
        (vec![("bid_strategy", "COST_CAP")], 1_885_621, "bid_strategy"),
        (vec![("spend_cap", "9999")], 2_446_307, "spend_cap"),
        (vec![("stop_time", "2026-01-01T00:00:00Z")], 1_487_033, "stop_time"),
        (vec![("start_time", "+3 days"), ("stop_time", "+2 days")], 0, "stop_time"),
        (vec![("smart_promotion_type", "AUTOMATED_SHOPPING_ADS")], 0, "smart_promotion_type"),
        (vec![("pacing_type", "[\"fast\"]")], 0, "pacing_type"),
        (vec![("status", "ARCHIVED")], 0, "status"),
        (vec![("execution_options", "[\"dry_run\"]")], 0, "execution_options"),
        (vec![("execution_options", "[\"include_recommendations\"]")], 0, "execution_options"),
    ] {
        let reply = post(&server, &path, &with(&campaign_form("C"), &changes)).await;
        assert_eq!(verdict(&reply), (subcode, blamed.to_owned()), "{changes:?}: {}", reply.body);
    }
    let texts = [
        (
            vec![("is_adset_budget_sharing_enabled", "")],
            "You must specify True or False in is_adset_budget_sharing_enabled field if you are not using campaign budget.",
        ),
        (vec![("daily_budget", "12.5")], "(#100) Param daily_budget must be a non-negative integer"),
        (
            vec![("special_ad_categories", "HOMES")],
            "(#100) Param special_ad_categories[0] must be one of {NONE, EMPLOYMENT",
        ),
        (vec![("promoted_object", "x")], "(#100) Param promoted_object must be a valid JSON object"),
    ];
    for (changes, text) in texts {
        let reply = post(&server, &path, &with(&campaign_form("C"), &changes)).await;
        assert!(reply.body["error"]["message"].as_str().unwrap().starts_with(text), "{}", reply.body);
    }
    let with_none = with(
        &campaign_form("C"),
        &[
            ("special_ad_categories", "[\"NONE\"]"),
            ("spend_cap", "922337203685478"),
            ("fields", "special_ad_categories,spend_cap"),
        ],
    );
    let made = post(&server, &path, &with_none).await;
    assert_eq!((&made.body["special_ad_categories"], made.body.get("spend_cap")), (&json!([]), None));
}

#[tokio::test]
async fn older_versions_keep_their_older_rules() {
    let server = Server::start().await;
    let in_version = async |version: &str, edge: &str, form: Form<'_>| {
        let url = format!("http://{}/{version}/{ACT}/{edge}", server.address);
        server.send(server.client().post(url).form(&form)).await.status
    };
    let silent = || with(&campaign_form("C"), &[("is_adset_budget_sharing_enabled", "")]);
    assert_eq!(
        (in_version("v23.0", "campaigns", silent()).await, in_version("v24.0", "campaigns", silent()).await),
        (200, 400)
    );
    let campaign = server.campaign("C").await;
    let positions = |positions: &str| {
        let targeting = format!(
            r#"{{"geo_locations":{{"countries":["US"]}},"targeting_automation":{{"advantage_audience":0}},{positions}}}"#
        );
        with(&ad_set_form(&campaign), &[("targeting", &targeting)]).into_iter().collect::<Form<'_>>()
    };
    let feeds = r#""facebook_positions":["video_feeds"]"#;
    assert_eq!(
        (in_version("v23.0", "adsets", positions(feeds)).await, in_version("v24.0", "adsets", positions(feeds)).await),
        (200, 400)
    );
    let explore = r#""instagram_positions":["explore"]"#;
    assert_eq!(
        (
            in_version("v25.0", "adsets", positions(explore)).await,
            in_version("v26.0", "adsets", positions(explore)).await
        ),
        (200, 400)
    );
    let automated = || with(&campaign_form("C"), &[("smart_promotion_type", "SMART_APP_PROMOTION")]);
    assert_eq!(in_version("v24.0", "campaigns", automated()).await, 400, "gone in all versions by now");
    server.control("POST", "clock", r#"{"now":"2026-05-01T00:00:00Z"}"#).await;
    assert_eq!(
        (in_version("v24.0", "campaigns", automated()).await, in_version("v25.0", "campaigns", automated()).await),
        (200, 400)
    );
}

#[tokio::test]
async fn ad_sets_that_break_a_rule_are_refused_with_the_field_to_blame() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let path = format!("{ACT}/adsets");
    let lifetime = [("daily_budget", ""), ("lifetime_budget", "10000")];
    let week = ("end_time", "+1 week");
    let schedule = r#"[{"start_minute":540,"end_minute":720,"days":[1,2]}]"#;
    for (changes, subcode, blamed) in [
        (vec![("daily_budget", "")], 1_885_621, "daily_budget"),
        (vec![("daily_budget", "99")], 1_885_272, "daily_budget"),
        (vec![("optimization_goal", "FAME")], 0, "optimization_goal"),
        (vec![("optimization_goal", "APP_INSTALLS")], 2_490_408, "optimization_goal"),
        (vec![("destination_type", "MOON")], 0, "destination_type"),
        (vec![("destination_type", "APP")], 0, "promoted_object.application_id"),
        (vec![("destination_type", "ON_PAGE")], 2_446_509, "destination_type"),
        (vec![("billing_event", "PAGE_LIKES")], 0, "billing_event"),
        (vec![("bid_strategy", "COST_CAP")], 1_815_857, "bid_amount"),
        (vec![("bid_strategy", "LOWEST_COST_WITHOUT_CAP"), ("bid_amount", "5")], 0, "bid_amount"),
        (vec![("bid_strategy", "LOWEST_COST_WITH_MIN_ROAS")], 0, "bid_constraints"),
        (vec![("bid_amount", "1001")], 1_885_272, "daily_budget"),
        (vec![("bid_amount", "1"), ("optimization_goal", "REACH")], 0, "bid_amount"),
        (vec![lifetime[0], lifetime[1]], 0, "end_time"),
        (vec![lifetime[0], lifetime[1], ("end_time", "-1 day")], 1_487_033, "end_time"),
        (vec![lifetime[0], lifetime[1], ("end_time", "+23 hours")], 0, "end_time"),
        (vec![lifetime[0], ("lifetime_budget", "699"), week], 1_885_272, "lifetime_budget"),
        (vec![week, ("start_time", "+2 weeks")], 0, "end_time"),
        (vec![("attribution_spec", r#"[{"event_type":"CLICK_THROUGH","window_days":7}]"#)], 0, "attribution_spec"),
        (vec![("attribution_spec", r#"[{"event_type":"VIEW_THROUGH","window_days":1}]"#)], 0, "attribution_spec"),
        (vec![("pacing_type", "[\"no_pacing\"]")], 0, "pacing_type"),
        (vec![("pacing_type", "[\"day_parting\"]")], 0, "adset_schedule"),
        (vec![("pacing_type", "[\"day_parting\"]"), ("adset_schedule", schedule)], 0, "adset_schedule"),
        (vec![lifetime[0], lifetime[1], week, ("adset_schedule", schedule)], 0, "pacing_type"),
        (vec![("daily_spend_cap", "500")], 0, "daily_spend_cap"),
        (
            vec![("frequency_control_specs", r#"[{"event":"IMPRESSIONS","interval_days":7,"max_frequency":2}]"#)],
            0,
            "frequency_control_specs",
        ),
        (vec![("placement_soft_opt_out", "{\"facebook_positions\":[\"story\"]}")], 0, "placement_soft_opt_out"),
        (vec![("regional_regulated_categories", "[\"99\"]")], 0, "regional_regulated_categories"),
        (vec![("regional_regulated_categories", "[\"TAIWAN_FINSERV\"]")], 0, "regional_regulation_identities"),
        (
            vec![("targeting", "{\"geo_locations\":{\"countries\":[\"US\"]}}")],
            1_870_227,
            "targeting.targeting_automation.advantage_audience",
        ),
    ] {
        let reply = post(&server, &path, &with(&ad_set_form(&campaign), &changes)).await;
        assert_eq!(verdict(&reply), (subcode, blamed.to_owned()), "{changes:?}: {}", reply.body);
    }
    for changes in [
        vec![("bid_amount", "1000")],
        vec![lifetime[0], ("lifetime_budget", "700"), week],
        vec![lifetime[0], lifetime[1], week, ("pacing_type", "[\"day_parting\"]"), ("adset_schedule", schedule)],
        vec![("pacing_type", "[\"no_pacing\"]"), ("bid_amount", "500")],
        vec![
            ("optimization_goal", "REACH"),
            ("frequency_control_specs", r#"[{"event":"IMPRESSIONS","interval_days":7,"max_frequency":2}]"#),
        ],
        vec![("attribution_spec", r#"[{"event_type":"CLICK_THROUGH","window_days":1}]"#)],
    ] {
        let reply = post(&server, &path, &with(&ad_set_form(&campaign), &changes)).await;
        assert_eq!(reply.status, 200, "{changes:?}: {}", reply.body);
    }
}

#[tokio::test]
async fn conversions_have_wider_windows_and_lock_after_publishing() {
    let server = Server::start().await;
    let campaign =
        post(&server, &format!("{ACT}/campaigns"), &with(&campaign_form("S"), &[("objective", "OUTCOME_SALES")]))
            .await
            .id();
    let promoted = format!(r#"{{"pixel_id":"{DATASET}","custom_event_type":"PURCHASE"}}"#);
    let sales = [
        ("optimization_goal", "OFFSITE_CONVERSIONS"),
        ("promoted_object", promoted.as_str()),
        ("fields", "attribution_spec"),
    ];
    let path = format!("{ACT}/adsets");
    let made = post(&server, &path, &with(&ad_set_form(&campaign), &sales)).await;
    let default = json!([{ "event_type": "CLICK_THROUGH", "window_days": 7 }, { "event_type": "VIEW_THROUGH", "window_days": 1 }]);
    assert_eq!(made.body["attribution_spec"], default);
    let ad_set = made.id();
    let windows =
        r#"[{"event_type":"CLICK_THROUGH","window_days":1},{"event_type":"ENGAGED_VIDEO_VIEW","window_days":1}]"#;
    assert_eq!(server.post(&ad_set, &[("attribution_spec", windows)]).await.status, 200);
    assert_eq!(server.post(&ad_set, &[("optimization_goal", "LINK_CLICKS")]).await.status, 200);
    let creative = format!(r#"{{"object_story_spec":{}}}"#, story("m"));
    let ad = server
        .post(
            &format!("{ACT}/ads"),
            &[("name", "A"), ("adset_id", &ad_set), ("creative", &creative), ("status", "ACTIVE")],
        )
        .await;
    assert_eq!(ad.status, 200, "{}", ad.body);
    let locked = server.post(&ad_set, &[("optimization_goal", "REACH")]).await;
    assert_eq!(verdict(&locked), (0, "optimization_goal".to_owned()));
    assert_eq!(
        verdict(&server.post(&ad_set, &[("is_dynamic_creative", "true")]).await),
        (0, "is_dynamic_creative".to_owned())
    );
    assert_eq!(server.post(&ad_set, &[("optimization_goal", "LINK_CLICKS"), ("name", "same")]).await.status, 200);
}

#[tokio::test]
async fn a_campaign_with_a_budget_leads_its_ad_sets() {
    let server = Server::start().await;
    let form =
        with(&campaign_form("CBO"), &[("lifetime_budget", "100000"), ("bid_strategy", "LOWEST_COST_WITHOUT_CAP")]);
    let campaign = post(&server, &format!("{ACT}/campaigns"), &form).await.id();
    let path = format!("{ACT}/adsets");
    let without = [("daily_budget", ""), ("end_time", "+1 week")];
    for (changes, subcode, blamed) in [
        (vec![without[1]], 1_885_621, "daily_budget"),
        (vec![without[0]], 0, "end_time"),
        (vec![without[0], without[1], ("bid_strategy", "COST_CAP"), ("bid_amount", "500")], 0, "bid_strategy"),
        (vec![without[0], without[1], ("bid_amount", "500")], 0, "bid_amount"),
    ] {
        let reply = post(&server, &path, &with(&ad_set_form(&campaign), &changes)).await;
        assert_eq!(verdict(&reply), (subcode, blamed.to_owned()), "{changes:?}: {}", reply.body);
    }
    let good = [without[0], without[1], ("daily_spend_cap", "500")];
    let ad_set = post(&server, &path, &with(&ad_set_form(&campaign), &good)).await.id();
    let other = post(&server, &path, &with(&ad_set_form(&campaign), &good)).await.id();
    let half = json!([{ "adset_id": ad_set, "daily_budget": 700 }]).to_string();
    assert_eq!(server.post(&campaign, &[("adset_budgets", &half)]).await.subcode(), 1_885_621, "one would have none");
    let both =
        json!([{ "adset_id": ad_set, "daily_budget": 700 }, { "adset_id": other, "daily_budget": "900" }]).to_string();
    assert_eq!(server.post(&campaign, &[("adset_budgets", &both)]).await.body["success"], true);
    let read = server.get(&format!("{campaign}?fields=lifetime_budget,bid_strategy,adsets{{daily_budget}}")).await;
    assert!(read.body.get("lifetime_budget").is_none() && read.body.get("bid_strategy").is_none(), "{}", read.body);
    let budgets: Vec<_> = read.body["adsets"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["daily_budget"].as_str().unwrap())
        .collect();
    assert_eq!(budgets, ["900", "700"]);
    let back = json!([{ "adset_id": ad_set, "daily_budget": 0 }, { "adset_id": other, "daily_budget": 0 }]).to_string();
    let moved = server.post(&campaign, &[("daily_budget", "1600"), ("adset_budgets", &back)]).await;
    assert_eq!(moved.body["success"], true, "{}", moved.body);
    assert_eq!(server.get(&format!("{campaign}?fields=daily_budget")).await.body["daily_budget"], "1600");
    let stranger = json!([{ "adset_id": "5", "daily_budget": 700 }]).to_string();
    assert_eq!(
        verdict(&server.post(&campaign, &[("adset_budgets", &stranger)]).await),
        (0, "adset_budgets".to_owned())
    );
}

#[tokio::test]
async fn an_advantage_campaign_is_a_state_and_not_a_setting() {
    let server = Server::start().await;
    let form = with(&campaign_form("A"), &[("objective", "OUTCOME_SALES"), ("daily_budget", "5000")]);
    let campaign = post(&server, &format!("{ACT}/campaigns"), &form).await.id();
    let promoted = format!(r#"{{"pixel_id":"{DATASET}","custom_event_type":"PURCHASE"}}"#);
    let wide = r#"{"geo_locations":{"countries":["US"]},"targeting_automation":{"advantage_audience":1}}"#;
    let changes = [
        ("daily_budget", ""),
        ("targeting", wide),
        ("optimization_goal", "OFFSITE_CONVERSIONS"),
        ("promoted_object", promoted.as_str()),
    ];
    let ad_set = post(&server, &format!("{ACT}/adsets"), &with(&ad_set_form(&campaign), &changes)).await.id();
    let state = async || {
        server.get(&format!("{campaign}?fields=advantage_state_info")).await.body["advantage_state_info"].clone()
    };
    assert_eq!(state().await["advantage_state"], "ADVANTAGE_PLUS_SALES");
    let narrow = wide.replace("\"advantage_audience\":1", "\"advantage_audience\":0");
    server.post(&ad_set, &[("targeting", &narrow)]).await;
    let state = state().await;
    assert_eq!(
        (&state["advantage_state"], &state["advantage_audience_state"], &state["advantage_budget_state"]),
        (&json!("DISABLED"), &json!("DISABLED"), &json!("ENABLED"))
    );
}

#[tokio::test]
async fn creatives_that_break_a_rule_are_refused() {
    let server = Server::start().await;
    let path = format!("{ACT}/adcreatives");
    let spec = story("m");
    let crop = format!(
        r#"{{"page_id":"{PAGE}","link_data":{{"link":"https://shop.example/","image_crops":{{"191x100":[[0,0],[191,100]]}}}}}}"#
    );
    let actor =
        format!(r#"{{"page_id":"{PAGE}","instagram_actor_id":"1","link_data":{{"link":"https://shop.example/"}}}}"#);
    let button = format!(
        r#"{{"page_id":"{PAGE}","link_data":{{"link":"https://shop.example/","call_to_action":{{"type":"PRESS"}}}}}}"#
    );
    let image = format!(r#"{{"page_id":"{PAGE}","link_data":{{"link":"https://shop.example/","image_hash":"abc"}}}}"#);
    let video =
        format!(r#"{{"page_id":"{PAGE}","video_data":{{"video_id":"1","image_url":"https://shop.example/a.png"}}}}"#);
    for (form, subcode, blamed) in [
        (vec![("name", "x")], 0, "object_story_spec"),
        (vec![("object_story_spec", crop.as_str())], 2_490_085, "image_crops.191x100"),
        (vec![("object_story_spec", actor.as_str())], 0, "instagram_actor_id"),
        (vec![("object_story_spec", button.as_str())], 0, "call_to_action.type"),
        (vec![("object_story_spec", image.as_str())], 0, "image_hash"),
        (vec![("object_story_spec", video.as_str())], 0, "video_id"),
        (vec![("object_story_spec", &spec), ("instagram_user_id", "9")], 1_772_103, "instagram_user_id"),
        (vec![("object_story_id", "77")], 0, "object_story_id"),
        (vec![("object_story_id", "77_88")], 2_446_289, "object_story_id"),
        (vec![("source_instagram_media_id", "1")], 1_772_103, "instagram_user_id"),
        (vec![("object_story_spec", &spec), ("authorization_category", "LOUD")], 0, "authorization_category"),
        (
            vec![
                ("object_story_spec", &spec),
                (
                    "degrees_of_freedom_spec",
                    r#"{"creative_features_spec":{"standard_enhancements":{"enroll_status":"OPT_IN"}}}"#,
                ),
            ],
            0,
            "degrees_of_freedom_spec.creative_features_spec.standard_enhancements",
        ),
        (
            vec![
                ("object_story_spec", &spec),
                ("degrees_of_freedom_spec", r#"{"creative_features_spec":{"image_touchups":{"enroll_status":"YES"}}}"#),
            ],
            0,
            "degrees_of_freedom_spec.creative_features_spec.image_touchups",
        ),
    ] {
        let reply = server.post(&path, &form).await;
        assert_eq!(verdict(&reply), (subcode, blamed.to_owned()), "{form:?}: {}", reply.body);
    }
    let existing = server
        .post(&path, &[("object_story_id", &format!("{PAGE}_88")), ("fields", "effective_object_story_id,object_type")])
        .await;
    assert_eq!(
        (existing.body["effective_object_story_id"].as_str(), existing.body["object_type"].as_str()),
        (Some(format!("{PAGE}_88").as_str()), Some("STATUS"))
    );
    let features = r#"{"creative_features_spec":{"image_touchups":{"enroll_status":"OPT_IN"}}}"#;
    assert_eq!(
        server.post(&path, &[("object_story_spec", &spec), ("degrees_of_freedom_spec", features)]).await.status,
        200
    );
}

#[tokio::test]
async fn a_dynamic_creative_stands_alone_in_an_ad_set_made_for_it() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let made =
        post(&server, &format!("{ACT}/adsets"), &with(&ad_set_form(&campaign), &[("is_dynamic_creative", "true")]))
            .await
            .id();
    let plain = server.ad_set(&campaign).await;
    let feed = format!(
        r#"{{"object_story_spec":{{"page_id":"{PAGE}"}},"asset_feed_spec":{{"bodies":[{{"text":"a"}},{{"text":"b"}}],"link_urls":[{{"website_url":"https://shop.example/"}}]}}}}"#
    );
    let simple = format!(r#"{{"object_story_spec":{}}}"#, story("m"));
    let ad = async |ad_set: &str, creative: &str| {
        let form = [("name", "A"), ("adset_id", ad_set), ("creative", creative), ("status", "PAUSED")];
        server.post(&format!("{ACT}/ads"), &form).await
    };
    assert_eq!(verdict(&ad(&plain, &feed).await), (0, "creative.asset_feed_spec".to_owned()));
    assert_eq!(verdict(&ad(&made, &simple).await), (0, "creative".to_owned()));
    let first = ad(&made, &feed).await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(verdict(&ad(&made, &feed).await), (0, "adset_id".to_owned()));
    assert_eq!(server.post(&first.id(), &[("name", "B"), ("creative", &feed)]).await.status, 200, "its own place");
}

#[tokio::test]
async fn a_write_that_is_only_checked_stores_nothing_and_may_be_advised() {
    let server = Server::start().await;
    let before = server.control_json("world").await;
    let campaign = server.campaign("C").await;
    let options = ("execution_options", "[\"validate_only\",\"include_recommendations\"]");
    let checked = post(&server, &format!("{ACT}/campaigns"), &with(&campaign_form("C"), &[options])).await;
    assert_eq!(checked.body["success"], true);
    assert_eq!(checked.body["recommendations"][0]["blame_field"], "daily_budget");
    let ad_set = post(&server, &format!("{ACT}/adsets"), &with(&ad_set_form(&campaign), &[options])).await;
    assert_eq!(ad_set.body["recommendations"][0]["title"], "Use Advantage+ audience");
    let spec = story("m");
    let only = [("object_story_spec", spec.as_str()), ("execution_options", "[\"validate_only\"]")];
    assert_eq!(server.post(&format!("{ACT}/adcreatives"), &only).await.body, json!({ "success": true }));
    assert!(server.get(&format!("{campaign}/adsets")).await.rows().is_empty());
    let after = server.control_json("world").await;
    let count = |world: &Value, kind: &str| world[kind].as_array().unwrap().len();
    assert_eq!(count(&after, "campaigns"), count(&before, "campaigns") + 1);
    assert_eq!(count(&after, "adcreatives"), count(&before, "adcreatives"));
}
