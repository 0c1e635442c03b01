//! Writes that are asked for twice, and writes that are only asked about.

use std::collections::BTreeMap;

use client::Client;
use harness::{AD_ACCOUNT, DATASET, Refusal, Suite, refused, request_id};
use proto::{
    audiences::v1::{CreateMemberJobRequest, IdentifierForm, MemberMode, create_audience_response},
    auth::v1::{Caller, CreateCallerRequest, CreateTenantRequest, Tenant},
    campaigns::v1::{CreateCampaignRequest, create_campaign_response::Outcome},
    conversions::v1::{EventState, SendEventsRequest, event_result},
    insights::v1::{CreateReportRequest, Level, Query},
    plans::v1::Plan,
};
use rpc::Code;

use crate::work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_first_answer_and_another_request_may_not_use_its_id() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    for (what, refusal) in [
        ("campaign", a_campaign(&suite, &client).await),
        ("plan", a_plan(&client).await),
        ("report", a_report(&client).await),
        ("audience", an_audience(&suite, &client).await),
        ("member job", a_member_job(&client).await),
        ("tenant", a_tenant(&suite).await),
    ] {
        let told = (refusal.code, refusal.reason.as_str());
        assert_eq!(told, (Code::InvalidArgument, "REQUEST_ID_REUSED"), "{what}: {refusal:?}");
    }
    events(&suite, &client).await;
    suite.stop().await.unwrap();
}

async fn a_campaign(suite: &Suite, client: &Client) -> Refusal {
    let create = |name: &str, request_id: &str| CreateCampaignRequest {
        parent: AD_ACCOUNT.to_owned(),
        campaign: Some(work::campaign(name)),
        request_id: request_id.to_owned(),
        validate_only: false,
    };
    let id = request_id();
    let first = client.campaigns().create_campaign(create("Once", &id)).await.unwrap().into_inner();
    assert!(matches!(first.outcome, Some(Outcome::Campaign(_))), "{first:?}");
    let again = client.campaigns().create_campaign(create("Once", &id)).await.unwrap().into_inner();
    assert_eq!(again.outcome, first.outcome);
    assert_eq!(suite.sandbox.named("campaigns", "Once").await.unwrap().len(), 1);
    let refusal = refused(client.campaigns().create_campaign(create("Twice", &id)).await).unwrap();
    assert_eq!(suite.sandbox.named("campaigns", "Twice").await.unwrap().len(), 0);
    refusal
}

async fn a_plan(client: &Client) -> Refusal {
    let plan = |name: &str| {
        let campaign = proto::campaigns::v1::Campaign { temporary_id: Some("-1".to_owned()), ..work::campaign(name) };
        Plan { campaign: Some(campaign), ..Plan::default() }
    };
    let request = work::create_plan(AD_ACCOUNT, plan("Plan"));
    let first = client.plans().create_plan(request.clone()).await.unwrap().into_inner();
    let again = client.plans().create_plan(request.clone()).await.unwrap().into_inner();
    assert_eq!(again.plan.unwrap().name, first.plan.unwrap().name);
    let other = proto::plans::v1::CreatePlanRequest { plan: Some(plan("Other")), ..request };
    refused(client.plans().create_plan(other).await).unwrap()
}

async fn a_report(client: &Client) -> Refusal {
    let request = CreateReportRequest {
        parent: AD_ACCOUNT.to_owned(),
        query: Some(work::last_week()),
        request_id: request_id(),
        validate_only: false,
    };
    let first = client.reports().create_report(request.clone()).await.unwrap().into_inner().operation.unwrap();
    let again = client.reports().create_report(request.clone()).await.unwrap().into_inner().operation.unwrap();
    assert_eq!(again.name, first.name);
    let query = Some(Query { level: Level::Account.into(), ..work::last_week() });
    refused(client.reports().create_report(CreateReportRequest { query, ..request }).await).unwrap()
}

async fn an_audience(suite: &Suite, client: &Client) -> Refusal {
    let request = work::create_audience(AD_ACCOUNT, "Once");
    let name = |outcome: Option<create_audience_response::Outcome>| match outcome {
        Some(create_audience_response::Outcome::Audience(audience)) => audience.resource_name,
        other => panic!("{other:?}"),
    };
    let first = client.audiences().create_audience(request.clone()).await.unwrap().into_inner();
    let again = client.audiences().create_audience(request.clone()).await.unwrap().into_inner();
    assert_eq!(name(again.outcome), name(first.outcome));
    assert_eq!(suite.sandbox.named("customaudiences", "Once").await.unwrap().len(), 1);
    let other = proto::audiences::v1::CreateAudienceRequest {
        request_id: request.request_id,
        ..work::create_audience(AD_ACCOUNT, "Twice")
    };
    refused(client.audiences().create_audience(other).await).unwrap()
}

async fn a_member_job(client: &Client) -> Refusal {
    let audience = work::audience(client, AD_ACCOUNT, "For a job").await;
    let request = CreateMemberJobRequest {
        audience: audience.resource_name,
        mode: MemberMode::Add.into(),
        identifiers: IdentifierForm::Raw.into(),
        request_id: request_id(),
        validate_only: false,
    };
    let first = client.members().create_member_job(request.clone()).await.unwrap().into_inner().job.unwrap();
    let again = client.members().create_member_job(request.clone()).await.unwrap().into_inner().job.unwrap();
    assert_eq!(again.name, first.name);
    let other = CreateMemberJobRequest { mode: MemberMode::Remove.into(), ..request };
    refused(client.members().create_member_job(other).await).unwrap()
}

async fn a_tenant(suite: &Suite) -> Refusal {
    let operator = suite.operator().unwrap().for_tenant(&"third".parse().unwrap());
    let create = |display_name: &str, request_id: &str| CreateTenantRequest {
        tenant_id: "third".to_owned(),
        tenant: Some(Tenant { display_name: display_name.to_owned(), ..Tenant::default() }),
        request_id: request_id.to_owned(),
        validate_only: false,
    };
    let id = request_id();
    let first = operator.tenants().create_tenant(create("Third", &id)).await.unwrap().into_inner();
    let again = operator.tenants().create_tenant(create("Third", &id)).await.unwrap().into_inner();
    assert_eq!(again, first);
    refused(operator.tenants().create_tenant(create("3rd", &id)).await).unwrap()
}

/// Events are told apart by their own ids, so a repeat of the request is answered with how they stand.
async fn events(suite: &Suite, client: &Client) {
    let send = SendEventsRequest {
        dataset: DATASET.to_owned(),
        events: vec![work::purchase("once", "anna@example.org", 1)],
        request_id: request_id(),
        ..SendEventsRequest::default()
    };
    client.events().send_events(send.clone()).await.unwrap();
    let again = client.events().send_events(send).await.unwrap().into_inner();
    let state = again.results[0].outcome.clone();
    assert_ne!(state, Some(event_result::Outcome::State(EventState::Deduplicated.into())), "{again:?}");
    let arrived = async || {
        let at_meta = suite.sandbox.events().await?;
        let count = at_meta.iter().filter(|event| event["event_id"] == "once").count();
        Ok((count > 0).then_some(count))
    };
    assert_eq!(harness::eventually("the event", arrived).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validate_only_checks_and_changes_nothing() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let audience = work::audience(&client, AD_ACCOUNT, "There").await;
    // What is looked up while checking may be kept, so that is done once before.
    only_validate(&suite, &client, &audience.resource_name).await;
    let tables = suite.tables().await.unwrap();
    let calls = suite.sandbox.requests().await.unwrap().len();
    only_validate(&suite, &client, &audience.resource_name).await;
    let after = suite.tables().await.unwrap();
    assert_eq!(of_callers(&tables), of_callers(&after));
    let lines = suite.sandbox.requests().await.unwrap();
    let committed: Vec<_> = lines[calls..].iter().filter(|line| line.committed).collect();
    assert!(committed.is_empty(), "{committed:?}");
    for name in ["Only checked", "Checked"] {
        assert!(suite.sandbox.named("campaigns", name).await.unwrap().is_empty());
        assert!(suite.sandbox.named("customaudiences", name).await.unwrap().is_empty());
        assert!(!after.contains(name), "{name} was kept");
    }
    assert!(suite.sandbox.events().await.unwrap().is_empty());
    suite.stop().await.unwrap();
}

/// The rows of each table that only callers change: what workers write goes on whoever calls.
fn of_callers(tables: &str) -> BTreeMap<&str, Vec<&str>> {
    const OF_WORKERS: [&str; 4] =
        ["auth.audit_anchors", "auth.audit_turn", "auth.credential_usage", "auth.lifecycle_pace"];
    let tables =
        tables.trim_start_matches("-- ").split("\n-- ").map(|table| table.split_once('\n').unwrap_or((table, "")));
    let rows = tables.map(|(name, rows)| (name, rows.lines().collect()));
    let rows: BTreeMap<_, _> = rows.filter(|(name, _)| !OF_WORKERS.contains(name)).collect();
    assert!(rows.len() > 20, "all services have their tables: {:?}", rows.keys());
    rows
}

async fn only_validate(suite: &Suite, client: &Client, audience: &str) {
    let campaign = CreateCampaignRequest {
        parent: AD_ACCOUNT.to_owned(),
        campaign: Some(work::campaign("Only checked")),
        validate_only: true,
        ..CreateCampaignRequest::default()
    };
    client.campaigns().create_campaign(campaign).await.unwrap();
    let in_plan = proto::campaigns::v1::Campaign { temporary_id: Some("-1".to_owned()), ..work::campaign("Checked") };
    let plan = Plan { campaign: Some(in_plan), ..Plan::default() };
    let plan = proto::plans::v1::CreatePlanRequest { validate_only: true, ..work::create_plan(AD_ACCOUNT, plan) };
    client.plans().create_plan(plan).await.unwrap();
    let report = CreateReportRequest {
        parent: AD_ACCOUNT.to_owned(),
        query: Some(work::last_week()),
        request_id: request_id(),
        validate_only: true,
    };
    client.reports().create_report(report).await.unwrap();
    let list = work::create_audience(AD_ACCOUNT, "Only checked");
    let list = proto::audiences::v1::CreateAudienceRequest { validate_only: true, ..list };
    client.audiences().create_audience(list).await.unwrap();
    let job = CreateMemberJobRequest {
        audience: audience.to_owned(),
        mode: MemberMode::Add.into(),
        identifiers: IdentifierForm::Raw.into(),
        request_id: request_id(),
        validate_only: true,
    };
    client.members().create_member_job(job).await.unwrap();
    let events = SendEventsRequest {
        dataset: DATASET.to_owned(),
        events: vec![work::purchase("only-checked", "anna@example.org", 1)],
        validate_only: true,
        ..SendEventsRequest::default()
    };
    client.events().send_events(events).await.unwrap();
    let tenant = CreateTenantRequest {
        tenant_id: "checked".to_owned(),
        tenant: Some(Tenant::default()),
        request_id: request_id(),
        validate_only: true,
    };
    let operator = suite.operator().unwrap();
    operator.for_tenant(&"checked".parse().unwrap()).tenants().create_tenant(tenant).await.unwrap();
    let caller = Caller {
        tenants: vec!["tenants/acme".to_owned()],
        scopes: vec!["plans.read".to_owned()],
        ..Default::default()
    };
    let caller = CreateCallerRequest { caller: Some(caller), request_id: request_id(), validate_only: true };
    operator.for_tenant(&"acme".parse().unwrap()).identity().create_caller(caller).await.unwrap();
}
