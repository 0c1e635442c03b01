//! Meta's own calls through the gateway: together in one request, within the tenant's account, charged and audited.

use std::collections::BTreeMap;

use client::Client;
use harness::{AD_ACCOUNT, Suite, refused, request_id};
use proto::{
    auth::v1::ListAuditEntriesRequest,
    campaigns::v1::ListCampaignsRequest,
    graph::v1::{BatchCall, BatchMethod, BatchResult, ExecuteBatchRequest},
    ratelimit::v1::{QueryUsageRequest, UsageDimension},
};
use rpc::Code;
use serde_json::Value;

fn get(path: impl Into<String>, params: &[(&str, &str)]) -> BatchCall {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    BatchCall { path: path.into(), params: params.collect(), ..BatchCall::default() }
}

fn batch(calls: Vec<BatchCall>) -> ExecuteBatchRequest {
    ExecuteBatchRequest { parent: AD_ACCOUNT.to_owned(), calls, ..ExecuteBatchRequest::default() }
}

async fn results(client: &Client, request: ExecuteBatchRequest) -> Vec<BatchResult> {
    client.graph().execute_batch(request).await.unwrap().into_inner().results
}

fn body(result: &BatchResult) -> Value {
    serde_json::from_str(&result.body).unwrap_or_else(|error| panic!("{error}: {result:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metas_own_calls_go_together_are_charged_each_and_stay_in_the_account() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let account = AD_ACCOUNT.trim_start_matches("adAccounts/");
    let listing = ListCampaignsRequest { parent: AD_ACCOUNT.to_owned(), ..ListCampaignsRequest::default() };
    let listed = client.campaigns().list_campaigns(listing).await.unwrap().into_inner().campaigns;
    let known = listed[0].resource_name.rsplit('/').next().unwrap().to_owned();
    let before = suite.sandbox.requests().await.unwrap().len();

    let named = BatchCall { name: "first".to_owned(), ..get(format!("{account}/campaigns"), &[("limit", "1")]) };
    let calls = vec![
        named,
        get("{result=first:$.data[0].id}/adsets", &[("fields", "id,campaign_id")]),
        get(known.as_str(), &[("fields", "id,name,insights.date_preset(last_7d){impressions}")]),
        get(format!("{account}/insights"), &[("breakdowns", "no_such_thing")]),
    ];
    let answers = results(&client, batch(calls)).await;
    let first = body(&answers[0])["data"][0]["id"].clone();
    let paging = &body(&answers[0])["paging"];
    assert!(paging["cursors"]["after"].is_string() && paging.get("next").is_none(), "{paging}");
    assert!(body(&answers[1])["data"].as_array().unwrap().iter().all(|ad_set| ad_set["campaign_id"] == first));
    assert_eq!(body(&answers[2])["id"], known.as_str());
    let error = answers[3].error.as_ref().unwrap();
    assert_eq!((error.reason.as_str(), error.code), ("META_REJECTED_FIELD", Code::InvalidArgument.into()));
    let lines = suite.sandbox.requests().await.unwrap().split_off(before);
    assert_eq!(lines.iter().filter(|line| line.item.is_none()).count(), 1, "one request: {lines:?}");

    labels(&client, account).await;
    elsewhere(&client, account, &suite).await;
    charged(&client).await;
    suite.stop().await.unwrap();
}

/// What is changed is done once for a request, and is in the audit with Meta's trace.
async fn labels(client: &Client, account: &str) {
    let label =
        BatchCall { method: BatchMethod::Post.into(), ..get(format!("{account}/adlabels"), &[("name", "by hand")]) };
    let nameless = batch(vec![label.clone()]);
    let missing = refused(client.graph().execute_batch(nameless.clone()).await).unwrap();
    assert!(missing.fields.contains_key("request_id"), "{missing:?}");
    let request = ExecuteBatchRequest { request_id: request_id(), ..nameless };
    let made = results(client, request.clone()).await;
    assert_eq!(made, results(client, request.clone()).await, "a repeat gets the first answer");
    assert!(body(&made[0])["id"].is_string(), "{made:?}");
    let other = ExecuteBatchRequest { calls: vec![label.clone(), label], ..request };
    assert_eq!(refused(client.graph().execute_batch(other).await).unwrap().reason, "REQUEST_ID_REUSED");

    let asked = ListAuditEntriesRequest { page_size: 1_000, ..ListAuditEntriesRequest::default() };
    let entries = client.audit().list_audit_entries(asked).await.unwrap().into_inner().entries;
    let details: Vec<Value> = entries
        .iter()
        .filter(|entry| entry.action == "graph.execute")
        .map(|entry| serde_json::from_str(&entry.detail).unwrap())
        .collect();
    assert_eq!(details.len(), 1, "{entries:?}");
    assert_eq!(details[0]["fbtrace_id"], made[0].fbtrace_id);
    assert_eq!(entries.iter().filter(|entry| entry.action == "graph.execute.begin").count(), 1);
}

/// Nothing that is not allowed, or another's, reaches Meta.
async fn elsewhere(client: &Client, account: &str, suite: &Suite) {
    let before = suite.sandbox.requests().await.unwrap();
    for (field, call) in [
        ("calls[0].path", get("act_1000000000002/campaigns", &[])),
        ("calls[0].path", get("1000000000000009", &[])),
        ("calls[0].path", get(format!("{account}/assigned_users"), &[])),
        ("calls[0].params.access_token", get(account, &[("access_token", "mine")])),
        ("calls[0].params.fields", get(account, &[("fields", "business{owned_ad_accounts{name}}")])),
        ("calls[0].path", get("{result=first:$.data[0].name}/ads", &[])),
        ("calls[0].params.fields", get(account, &[("fields", "name,assigned_users")])),
        ("calls", BatchCall { depends_on: "nobody".to_owned(), ..get(account, &[]) }),
    ] {
        let refusal = refused(client.graph().execute_batch(batch(vec![call])).await).unwrap();
        assert_eq!(refusal.code, Code::InvalidArgument, "{refusal:?}");
        assert!(refusal.fields.contains_key(field), "{field} is not among {:?}", refusal.fields);
    }
    assert_eq!(suite.sandbox.requests().await.unwrap(), before);
}

/// Each call by itself.
async fn charged(client: &Client) {
    let now = prost_types::Timestamp::from(std::time::SystemTime::now());
    let asked = QueryUsageRequest {
        group_by: vec![UsageDimension::Call.into()],
        from_time: Some(prost_types::Timestamp { seconds: now.seconds - 3_600, nanos: 0 }),
        page_size: 1_000,
        ..QueryUsageRequest::default()
    };
    let rows = client.usage().query_usage(asked).await.unwrap().into_inner().rows;
    let calls: BTreeMap<&str, i64> = rows.iter().map(|row| (row.call.as_str(), row.calls)).collect();
    assert_eq!(calls.get("POST batch"), Some(&5), "four and a label: {calls:?}");
}
