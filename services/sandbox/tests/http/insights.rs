use std::collections::BTreeMap;

use crate::server::{ACT, Server};
use serde_json::Value;

const RANGE: &str = "time_range={'since':'2026-10-20','until':'2026-11-10'}";

fn cents(text: &Value) -> i64 {
    text.as_str().unwrap().replace('.', "").parse().unwrap()
}

fn action(row: &Value, word: &str) -> i64 {
    let actions = row["actions"].as_array().into_iter().flatten();
    let value = actions.clone().find(|action| action["action_type"] == word);
    value.map_or(0, |action| action["value"].as_str().unwrap().parse().unwrap())
}

/// Impressions, spend in cents, purchases: all that must add up.
fn totals(rows: &[Value]) -> (i64, i64, i64) {
    rows.iter().fold((0, 0, 0), |(impressions, spend, purchases), row| {
        (
            impressions + row["impressions"].as_str().unwrap().parse::<i64>().unwrap(),
            spend + cents(&row["spend"]),
            purchases + action(row, "purchase"),
        )
    })
}

#[tokio::test]
async fn numbers_add_up_over_days_levels_and_breakdowns() {
    let server = Server::start().await;
    let read = async |extra: &str| {
        let path = format!("{ACT}/insights?fields=impressions,spend,actions&{RANGE}&limit=1000&{extra}");
        let reply = server.get(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.rows().clone()
    };
    let whole = read("").await;
    assert_eq!(whole.len(), 1);
    let expected = totals(&whole);
    assert!(expected.0 > 100_000 && expected.2 > 10, "{expected:?}");
    for extra in [
        "time_increment=1",
        "time_increment=7",
        "level=campaign",
        "level=adset&time_increment=1",
        "level=ad&time_increment=monthly",
        "breakdowns=age,gender",
        "breakdowns=[\"country\"]&level=ad&time_increment=3",
        "breakdowns=region",
        "breakdowns=publisher_platform,platform_position&time_increment=1",
        "breakdowns=hourly_stats_aggregated_by_advertiser_time_zone",
    ] {
        assert_eq!(totals(&read(extra).await), expected, "{extra}");
    }
    let mut by_age = BTreeMap::new();
    for row in read("breakdowns=age,gender").await {
        let sum: &mut i64 = by_age.entry(row["age"].as_str().unwrap().to_owned()).or_default();
        *sum += cents(&row["spend"]);
    }
    for row in read("breakdowns=age").await {
        assert_eq!(by_age[row["age"].as_str().unwrap()], cents(&row["spend"]));
    }
}

#[tokio::test]
async fn the_same_question_has_the_same_answer_and_levels_have_their_ids() {
    let server = Server::start().await;
    let path = format!(
        "{ACT}/insights?level=ad&{RANGE}&fields=ad_id,adset_name,campaign_id,spend,reach,frequency,cpm,purchase_roas,action_values"
    );
    let first = server.get(&path).await;
    assert_eq!(first.body["data"], server.get(&path).await.body["data"]);
    let ad = first.rows()[0]["ad_id"].as_str().unwrap();
    let own = server.get(&format!("{ad}/insights?{RANGE}&fields=spend")).await;
    assert_eq!(own.rows()[0]["spend"], first.rows()[0]["spend"]);
    let nested = server.get(&format!("{ad}?fields=name,insights.date_preset(last_7d){{spend,clicks}}")).await;
    assert!(nested.body["insights"]["data"][0]["spend"].is_string());
    assert!(first.header("x-fb-ads-insights-throttle").contains("acc_id_util_pct"));
}

#[tokio::test]
async fn the_default_is_thirty_days_up_to_yesterday() {
    let server = Server::start().await;
    let reply = server.get(&format!("{ACT}/insights")).await;
    let row = &reply.rows()[0];
    assert_eq!((row["date_start"].as_str(), row["date_stop"].as_str()), (Some("2026-10-16"), Some("2026-11-14")));
    assert_eq!(row["account_id"], "1000000000001");
}

#[tokio::test]
async fn windows_stand_beside_the_value_only_when_asked_for() {
    let server = Server::start().await;
    let path = format!("{ACT}/insights?fields=actions&{RANGE}");
    let purchase = |reply: &crate::server::Reply| {
        let actions = reply.rows()[0]["actions"].as_array().unwrap();
        actions.iter().find(|action| action["action_type"] == "purchase").unwrap().clone()
    };
    assert!(purchase(&server.get(&path).await).get("7d_click").is_none());
    let with = purchase(
        &server.get(&format!("{path}&action_attribution_windows=['1d_click','7d_click','28d_click','1d_view']")).await,
    );
    let window = |name: &str| with[name].as_str().unwrap().parse::<i64>().unwrap();
    assert!(window("1d_click") < window("7d_click") && window("7d_click") < window("28d_click"));
    assert_eq!(window("7d_click") + window("1d_view"), window("value"));
}

#[tokio::test]
async fn what_never_ran_has_no_rows() {
    let server = Server::start().await;
    let campaign = server.campaign("Fresh").await;
    assert_eq!(server.get(&format!("{campaign}/insights?date_preset=maximum")).await.rows().len(), 0);
    assert_eq!(server.get("act_1000000000002/insights").await.rows().len(), 0);
}

#[tokio::test]
async fn wrong_questions_are_refused() {
    let server = Server::start().await;
    for (query, code) in [
        ("fields=spend,foo", 100),
        ("breakdowns=age,publisher_platform", 100),
        ("level=planet", 100),
        ("date_preset=lifetime", 100),
        ("time_increment=91", 100),
        ("time_range={'since':'2020-01-01','until':'2026-01-01'}", 3_018),
    ] {
        assert_eq!(server.get(&format!("{ACT}/insights?{query}")).await.code(), code, "{query}");
    }
}

#[tokio::test]
async fn a_report_is_started_polled_and_read_in_pages() {
    let server = Server::start().await;
    let form = [
        ("level", "ad"),
        ("time_increment", "1"),
        ("fields", "[\"ad_id\",\"impressions\",\"spend\",\"actions\"]"),
        ("time_range", "{\"since\":\"2026-10-20\",\"until\":\"2026-11-10\"}"),
    ];
    let started = server.post(&format!("{ACT}/insights"), &form).await;
    let run = started.body["report_run_id"].as_str().unwrap().to_owned();
    assert_eq!(started.id(), run);
    assert_eq!(server.get(&format!("{run}/insights")).await.rows().len(), 0);
    let mut polls = 0;
    loop {
        let poll = server.get(&run).await;
        polls += 1;
        if poll.body["async_status"] == "Job Completed" {
            assert_eq!(poll.body["async_percent_completion"], 100);
            break;
        }
        assert_eq!(poll.body["is_running"], true);
    }
    assert_eq!(polls, 3);
    let mut rows = Vec::new();
    let mut url = server.url(&format!("{run}/insights?limit=20"));
    loop {
        let page = server.send(server.client().get(&url)).await;
        rows.extend(page.rows().clone());
        match page.body["paging"]["next"].as_str() {
            Some(next) => url = next.to_owned(),
            None => break,
        }
    }
    let whole = server.get(&format!("{ACT}/insights?fields=impressions,spend,actions&{RANGE}")).await;
    assert_eq!(totals(&rows), totals(whole.rows()));
    assert!(rows.len() > 100);
}

#[tokio::test]
async fn no_two_actions_of_a_list_have_the_same_keys() {
    let server = Server::start().await;
    for breakdowns in [
        "action_carousel_card_id",
        "action_type,action_carousel_card_id",
        "action_carousel_card_name",
        "action_device",
        "action_target_id",
        "action_type,action_destination",
    ] {
        let path = format!("{ACT}/insights?level=ad&fields=actions&{RANGE}&action_breakdowns={breakdowns}");
        let mut items = 0;
        for row in server.get(&path).await.rows() {
            let mut seen = std::collections::BTreeSet::new();
            for action in row["actions"].as_array().into_iter().flatten() {
                let keys = action.as_object().unwrap().iter().filter(|(name, _)| *name != "value");
                let keys = keys.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
                assert!(seen.insert(keys.clone()), "{breakdowns}: twice {keys}");
                items += 1;
            }
        }
        assert!(items > 0, "{breakdowns}");
    }
}
