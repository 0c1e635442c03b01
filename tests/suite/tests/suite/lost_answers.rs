//! Creates whose answer never came: looked for, found or not, and never made twice.

use harness::{AD_ACCOUNT, Suite, refused, request_id};
use proto::{
    audiences::v1::{Audience, create_audience_response},
    campaigns::v1::{Campaign, CreateCampaignRequest, create_campaign_response::Outcome},
    operations::v1::{Operation, operation},
    plans::v1::{ApplyPlanResult, GetPlanRequest, PlanState},
};
use rpc::Code;
use serde_json::json;

use crate::work;

fn create(name: &str) -> CreateCampaignRequest {
    CreateCampaignRequest {
        parent: AD_ACCOUNT.to_owned(),
        campaign: Some(work::campaign(name)),
        request_id: request_id(),
        validate_only: false,
    }
}

async fn sent(client: &client::Client, request: &CreateCampaignRequest) -> Operation {
    match client.campaigns().create_campaign(request.clone()).await.unwrap().into_inner().outcome.unwrap() {
        Outcome::Operation(operation) => operation,
        Outcome::Campaign(campaign) => panic!("the answer was not lost: {campaign:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_meta_made_without_answering_is_found_and_never_made_again() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let lost = json!({
        "matcher": {"method": "POST", "path": "/campaigns"}, "action": {"timeout_after_commit": {"seconds": 1}}, "count": 1,
    });
    suite.sandbox.fault(&lost).await.unwrap();
    let request = create("Made and lost");
    let operation = sent(&client, &request).await;
    let again = sent(&client, &request).await;
    assert_eq!(again.name, operation.name, "a repeat gets the same operation");
    let operation = work::done(&client, Some(operation)).await;
    let campaign: Campaign = client::result(&operation).unwrap();
    let at_meta = suite.sandbox.named("campaigns", "Made and lost").await.unwrap();
    assert_eq!(at_meta.len(), 1, "{at_meta:?}");
    assert_eq!(campaign.id.as_deref(), at_meta[0]["id"].as_str());
    assert_eq!(at_meta[0]["status"], "PAUSED");
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_meta_never_saw_is_reported_as_not_made() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let lost = json!({"matcher": {"method": "POST", "path": "/campaigns"}, "action": "drop", "count": 1});
    suite.sandbox.fault(&lost).await.unwrap();
    let operation = work::ended(&client, &sent(&client, &create("Never made")).await).await;
    let Some(operation::Outcome::Error(error)) = operation.outcome else { panic!("{operation:?}") };
    assert_eq!((error.code, error.reason.as_str()), (i32::from(Code::Unavailable), "META_UNAVAILABLE"), "{error:?}");
    assert_eq!(suite.sandbox.named("campaigns", "Never made").await.unwrap().len(), 0);

    let answer = client.campaigns().create_campaign(create("Never made")).await.unwrap().into_inner();
    assert!(matches!(answer.outcome, Some(Outcome::Campaign(_))), "{answer:?}");
    assert_eq!(suite.sandbox.named("campaigns", "Never made").await.unwrap().len(), 1);
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_knows_a_second_create_of_the_same_name_waits() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let lost = json!({"matcher": {"method": "POST", "path": "/campaigns"}, "action": "drop", "count": 1});
    suite.sandbox.fault(&lost).await.unwrap();
    let operation = sent(&client, &create("Twin")).await;
    let second = refused(client.campaigns().create_campaign(create("Twin")).await).unwrap();
    assert_eq!((second.code, second.reason.as_str()), (Code::Aborted, "REQUEST_IN_FLIGHT"), "{second:?}");
    work::ended(&client, &operation).await;
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_goes_on_through_lost_answers_and_makes_everything_once() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let hash = work::picture(&client, AD_ACCOUNT).await;
    let plan = work::stored(&client, AD_ACCOUNT, work::plan("Winter", &hash)).await;
    for (path, action) in [
        ("/campaigns", json!({"timeout_after_commit": {"seconds": 1}})),
        ("/adsets", json!({"timeout_after_commit": {"seconds": 1}})),
        ("/v26.0/", json!("drop")),
    ] {
        let lost = json!({"matcher": {"method": "POST", "path": path}, "action": action, "count": 1});
        suite.sandbox.fault(&lost).await.unwrap();
    }
    let operation = work::apply(&client, &plan).await;
    let operation = work::ended(&client, &operation.unwrap()).await;
    let mut plan = read(&client, &plan.name).await;
    if plan.state() != PlanState::Applied {
        // What was never made is told as failed; applying again makes what is missing.
        assert_eq!(plan.state(), PlanState::Partial, "{operation:?}");
        suite.sandbox.no_faults().await.unwrap();
        let operation = work::apply(&client, &plan).await;
        let operation = work::done(&client, operation).await;
        let result: ApplyPlanResult = client::result(&operation).unwrap();
        assert!(!result.created.is_empty());
        plan = read(&client, &plan.name).await;
    }
    assert_eq!(plan.state(), PlanState::Applied, "{plan:?}");
    for (edge, names) in [
        ("campaigns", vec!["Winter"]),
        ("adsets", vec!["Winter US", "Winter GB"]),
        ("adcreatives", vec!["Winter creative US", "Winter creative GB"]),
        ("ads", vec!["Winter ad US", "Winter ad GB"]),
    ] {
        for name in names {
            assert_eq!(suite.sandbox.named(edge, name).await.unwrap().len(), 1, "{name}");
        }
    }
    suite.stop().await.unwrap();
}

async fn read(client: &client::Client, name: &str) -> proto::plans::v1::Plan {
    let request = GetPlanRequest { name: name.to_owned() };
    client.plans().get_plan(request).await.unwrap().into_inner().plan.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audience_that_meta_made_without_answering_is_found() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let lost = json!({
        "matcher": {"method": "POST", "path": "/customaudiences"}, "action": {"timeout_after_commit": {"seconds": 1}}, "count": 1,
    });
    suite.sandbox.fault(&lost).await.unwrap();
    let request = work::create_audience(AD_ACCOUNT, "Lost people");
    let answer = client.audiences().create_audience(request).await.unwrap().into_inner();
    let Some(create_audience_response::Outcome::Operation(operation)) = answer.outcome else { panic!("{answer:?}") };
    let operation = work::done(&client, Some(operation)).await;
    let audience: Audience = client::result(&operation).unwrap();
    let at_meta = suite.sandbox.named("customaudiences", "Lost people").await.unwrap();
    assert_eq!(at_meta.len(), 1, "{at_meta:?}");
    assert_eq!(audience.id.as_deref(), at_meta[0]["id"].as_str());
    suite.stop().await.unwrap();
}
