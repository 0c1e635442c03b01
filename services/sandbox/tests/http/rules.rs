use crate::server::{ACT, Reply, Server};
use serde_json::{Value, json};

const SALES_SET: &str = "120200000000000002";

fn evaluation(filters: &[Value]) -> String {
    let mut all = vec![json!({ "field": "entity_type", "value": "ADSET", "operator": "EQUAL" })];
    all.extend_from_slice(filters);
    json!({ "evaluation_type": "SCHEDULE", "filters": all }).to_string()
}

fn by_name(name: &str) -> Vec<Value> {
    vec![json!({ "field": "name", "value": name, "operator": "CONTAIN" })]
}

async fn rule(server: &Server, filters: &[Value], execution: &Value) -> Reply {
    let (evaluation, execution) = (evaluation(filters), execution.to_string());
    let form = [
        ("name", "Rule"),
        ("evaluation_spec", evaluation.as_str()),
        ("execution_spec", execution.as_str()),
        ("schedule_spec", r#"{"schedule_type":"DAILY"}"#),
    ];
    server.post(&format!("{ACT}/adrules_library"), &form).await
}

fn change(amount: i64, limit: i64) -> Value {
    let value = json!({ "amount": amount, "unit": "PERCENTAGE", "limit": limit });
    json!({ "execution_type": "CHANGE_BUDGET", "execution_options": [{ "field": "change_spec", "value": value, "operator": "EQUAL" }] })
}

async fn run(server: &Server, rule: &str) {
    assert_eq!(server.post(&format!("{rule}/execute"), &[]).await.body["success"], true);
}

#[tokio::test]
async fn a_rule_is_made_read_changed_and_deleted() {
    let server = Server::start().await;
    let id = rule(&server, &by_name("x"), &json!({ "execution_type": "PAUSE" })).await.id();
    let fields = "name,status,evaluation_spec,execution_spec,schedule_spec,created_by,account_id,created_time";
    let read = server.get(&format!("{id}?fields={fields}")).await.body;
    assert_eq!((read["status"].as_str(), read["name"].as_str()), (Some("ENABLED"), Some("Rule")));
    assert_eq!(read["schedule_spec"]["schedule_type"], "DAILY");
    assert_eq!(read["created_by"]["name"], "Sandbox System User");
    assert_eq!(server.post(&id, &[("status", "DISABLED"), ("name", "Renamed")]).await.body["success"], true);
    let listed = server.get(&format!("{ACT}/adrules_library?fields=name,status")).await;
    assert_eq!(
        (listed.rows()[0]["name"].as_str(), listed.rows()[0]["status"].as_str()),
        (Some("Renamed"), Some("DISABLED"))
    );
    assert_eq!(server.delete(&id).await.body["success"], true);
    assert!(server.get(&format!("{ACT}/adrules_library")).await.rows().is_empty());
    assert_eq!(server.get(&format!("{id}?fields=status")).await.body["status"], "DELETED");
    server.control("POST", "settings", r#"{"rules_per_account":0}"#).await;
    assert_eq!(rule(&server, &by_name("x"), &json!({ "execution_type": "PAUSE" })).await.code(), 100);
}

#[tokio::test]
async fn a_rule_that_says_nonsense_is_refused() {
    let server = Server::start().await;
    let pause = json!({ "execution_type": "PAUSE" });
    let with = |field: &str, operator: &str, value: Value| {
        vec![json!({ "field": field, "operator": operator, "value": value })]
    };
    for filters in [
        with("weather", "EQUAL", json!("good")),
        with("spent", "LIKE", json!(5)),
        with("spent", "GREATER_THAN", Value::Null),
        with("time_preset", "EQUAL", json!("LAST_WEEKEND")),
    ] {
        assert_eq!(rule(&server, &filters, &pause).await.code(), 100, "{filters:?}");
    }
    for execution in [
        json!({ "execution_type": "EXPLODE" }),
        json!({ "execution_type": "CHANGE_BUDGET" }),
        json!({ "execution_type": "PAUSE", "execution_options": [{ "field": "x" }] }),
    ] {
        assert_eq!(rule(&server, &by_name("x"), &execution).await.code(), 100, "{execution}");
    }
    let evaluation = evaluation(&[]);
    let form = |schedule: &'static str, evaluation: &str| {
        let pairs = [("name", "R"), ("execution_spec", r#"{"execution_type":"PAUSE"}"#), ("schedule_spec", schedule)];
        let mut form: Vec<(String, String)> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        form.push(("evaluation_spec".to_owned(), evaluation.to_owned()));
        form
    };
    let send = async |form: Vec<(String, String)>| {
        server.send(server.client().post(server.url(&format!("{ACT}/adrules_library"))).form(&form)).await
    };
    assert_eq!(send(form(r#"{"schedule_type":"NEVER"}"#, &evaluation)).await.code(), 100);
    assert_eq!(send(form(r#"{"schedule_type":"CUSTOM"}"#, &evaluation)).await.code(), 100);
    let custom = r#"{"schedule_type":"CUSTOM","schedule":[{"start_minute":60,"days":[9]}]}"#;
    assert_eq!(send(form(custom, &evaluation)).await.code(), 100);
    let trigger =
        r#"{"evaluation_type":"TRIGGER","filters":[{"field":"entity_type","value":"AD","operator":"EQUAL"}]}"#;
    assert_eq!(send(form(r#"{"schedule_type":"DAILY"}"#, trigger)).await.code(), 100);
    let no_level = r#"{"evaluation_type":"SCHEDULE","filters":[{"field":"name","value":"x","operator":"EQUAL"}]}"#;
    assert_eq!(send(form(r#"{"schedule_type":"DAILY"}"#, no_level)).await.code(), 100);
    assert_eq!(send(form(r#"{"schedule_type":"DAILY"}"#, &evaluation)).await.status, 200);
}

#[tokio::test]
async fn a_rule_pauses_what_it_picks_and_nothing_else_and_another_starts_it_again() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let (one, two) = (server.ad_set(&campaign).await, server.ad_set(&campaign).await);
    for id in [&one, &two] {
        server.post(id, &[("status", "ACTIVE")]).await;
    }
    server.post(&one, &[("name", "Tired")]).await;
    let status = async |id: &str| server.get(&format!("{id}?fields=status")).await.body["status"].clone();
    let pause = rule(&server, &by_name("Tired"), &json!({ "execution_type": "PAUSE" })).await.id();
    let preview = server.post(&format!("{pause}/preview"), &[]).await;
    assert_eq!(preview.rows(), &vec![json!({ "id": one, "name": "Tired", "object_type": "ADSET" })]);
    run(&server, &pause).await;
    assert_eq!((status(&one).await, status(&two).await), (json!("PAUSED"), json!("ACTIVE")));
    let start = rule(&server, &by_name("Tired"), &json!({ "execution_type": "UNPAUSE" })).await.id();
    run(&server, &start).await;
    assert_eq!(status(&one).await, "ACTIVE");
    run(&server, &start).await;
    let history = server.get(&format!("{start}/history")).await;
    let actions: Vec<_> = history.rows().iter().map(|row| row["results"][0]["actions"][0]["action"].clone()).collect();
    assert_eq!(actions, ["NOT_CHANGED", "UNPAUSED"]);
    assert_eq!(server.get(&format!("{start}/history?hide_no_changes=true")).await.rows().len(), 1);
    assert_eq!(server.get(&format!("{start}/history?action=UNPAUSED")).await.rows().len(), 1);
    let all = server.get(&format!("{ACT}/adrules_history?fields=rule_id,is_manual")).await;
    assert_eq!((all.rows().len(), all.rows()[2]["rule_id"].as_str()), (3, Some(pause.as_str())));
    assert_eq!(server.get(&format!("{ACT}/adrules_history?object_id={two}")).await.rows().len(), 0);
    assert_eq!(server.get(&format!("{one}/adrules_governed")).await.rows().len(), 2);
    assert_eq!(server.get(&format!("{two}/adrules_governed")).await.rows().len(), 0);
}

#[tokio::test]
async fn a_rule_changes_budgets_by_the_numbers_of_the_last_days() {
    let server = Server::start().await;
    let row = server.get(&format!("{SALES_SET}/insights?date_preset=last_7d&fields=spend")).await.rows()[0].clone();
    let cents: i64 = row["spend"].as_str().unwrap().replace('.', "").parse().unwrap();
    let spent = |operator: &str| {
        vec![
            json!({ "field": "id", "value": [SALES_SET], "operator": "IN" }),
            json!({ "field": "time_preset", "value": "LAST_7_DAYS", "operator": "EQUAL" }),
            json!({ "field": "spent", "value": cents - 1, "operator": operator }),
        ]
    };
    let budget = async || server.get(&format!("{SALES_SET}?fields=daily_budget")).await.body["daily_budget"].clone();
    assert_eq!(budget().await, "8000");
    let less = rule(&server, &spent("LESS_THAN"), &change(-10, 1_000)).await.id();
    run(&server, &less).await;
    assert_eq!(budget().await, "8000");
    let more = rule(&server, &spent("GREATER_THAN"), &change(-10, 1_000)).await.id();
    run(&server, &more).await;
    assert_eq!(budget().await, "7200");
    let result = server.get(&format!("{more}/history?fields=results")).await.rows()[0]["results"][0].clone();
    assert_eq!(result["object_type"], "ADSET");
    assert_eq!(
        result["actions"][0],
        json!({ "action": "CHANGED_BUDGET", "field": "daily_budget", "old_value": "8000", "new_value": "7200" })
    );
    for _ in 0..4 {
        run(&server, &more).await;
    }
    let failed = server.get(&format!("{more}/history?fields=exception_code,results")).await.rows()[0].clone();
    assert_eq!(failed["exception_code"], 613, "a rule's writes follow the rules of all writes");
    assert_eq!(failed["results"][0]["actions"][0]["action"], "ERROR");
}

#[tokio::test]
async fn a_rule_only_tells() {
    let server = Server::start().await;
    let tell = rule(&server, &by_name("US"), &json!({ "execution_type": "NOTIFICATION" })).await.id();
    run(&server, &tell).await;
    let history = server.get(&format!("{tell}/history")).await;
    let results = history.rows()[0]["results"].as_array().unwrap();
    assert!(results.len() >= 2);
    assert!(results.iter().all(|result| result["actions"][0]["action"] == "FACEBOOK_NOTIFICATION_SENT"));
}
