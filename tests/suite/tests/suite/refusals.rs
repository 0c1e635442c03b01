//! Bad requests: each is told which field, by whom and why, and none of them goes to Meta.

use client::Client;
use harness::{AD_ACCOUNT, DATASET, Refusal, Suite, refused, request_id};
use proto::{
    audiences::v1::{
        AppendMembersRequest, Audience, CreateAudienceRequest, CreateMemberJobRequest, GetAudienceRequest,
        ListAudiencesRequest, RunMemberJobRequest,
    },
    auth::v1::{BeginConnectionRequest, CreateCallerRequest, ImportSystemUserTokenRequest, ListConnectionsRequest},
    campaigns::v1::{
        AdSet, Campaign, CreateAdSetRequest, CreateCampaignRequest, GetCampaignRequest, ListCampaignsRequest,
        UpdateCampaignRequest,
    },
    conversions::v1::{Event, GetEventRequest, SendEventsRequest},
    insights::v1::{CreateReportRequest, Query, TimeRange, query::Period},
    operations::v1::{GetOperationRequest, ListOperationsRequest},
    plans::v1::{ApplyPlanRequest, ListPlansRequest, Plan},
    ratelimit::v1::{
        ExplainThrottleRequest, GetQuotaPolicyRequest, GetQuotaRequest, ListQuotaPoliciesRequest, QueryUsageRequest,
        QuotaPolicy, UpdateQuotaPolicyRequest, WatchQuotasRequest,
    },
};
use rpc::Code;

use crate::work;

type Answers = Vec<(&'static str, &'static str, Result<Refusal, String>)>;

/// Calls each of these, which must fail by the field that is named.
macro_rules! refusals {
    ($($service:literal $field:literal: $client:expr, $method:ident($request:expr);)*) => {
        vec![$(($service, $field, refused($client.$method($request).await.map(|answer| answer.into_inner()))
            .map_err(|error| error.to_string()))),*]
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_names_its_field_and_never_reaches_meta() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let before = suite.sandbox.requests().await.unwrap();
    let answers = [
        Box::pin(launching(&client)).await,
        objects(&client).await,
        plans(&client).await,
        measuring(&client).await,
        people(&client).await,
        others(&client).await,
    ];
    for (service, field, answer) in answers.into_iter().flatten() {
        let refusal = answer.unwrap_or_else(|error| panic!("{service} {field}: {error}"));
        let told = (refusal.code, refusal.reason.as_str(), refusal.service.as_str());
        assert_eq!(told, (Code::InvalidArgument, "INVALID_FIELD", service), "{field}: {refusal:?}");
        assert!(refusal.fields.keys().any(|it| it == field), "{field} is not among {:?}", refusal.fields);
        assert!(refusal.fields.values().all(|advice| !advice.is_empty()), "{refusal:?}");
    }
    assert_eq!(suite.sandbox.requests().await.unwrap(), before);
    suite.stop().await.unwrap();
}

fn create(campaign: Option<Campaign>) -> CreateCampaignRequest {
    CreateCampaignRequest { parent: AD_ACCOUNT.to_owned(), campaign, request_id: request_id(), validate_only: false }
}

async fn launching(client: &Client) -> Answers {
    let good = || work::campaign("Bad");
    let with = |change: fn(&mut Campaign)| {
        let mut campaign = good();
        change(&mut campaign);
        create(Some(campaign))
    };
    refusals! {
        "campaigns" "parent": client.campaigns(), create_campaign(CreateCampaignRequest {
            parent: "adAccounts/me".to_owned(), ..create(Some(good())) });
        "campaigns" "request_id": client.campaigns(), create_campaign(CreateCampaignRequest {
            request_id: "7".to_owned(), ..create(Some(good())) });
        "campaigns" "request_id": client.campaigns(), create_campaign(CreateCampaignRequest {
            request_id: String::new(), ..create(Some(good())) });
        "campaigns" "campaign": client.campaigns(), create_campaign(create(None));
        "campaigns" "campaign.name": client.campaigns(), create_campaign(with(|it| it.name = None));
        "campaigns" "campaign.objective": client.campaigns(), create_campaign(with(|it| it.objective = 0));
        "campaigns" "campaign.objective": client.campaigns(), create_campaign(with(|it| it.objective = 4_711));
        "campaigns" "campaign.daily_budget": client.campaigns(), create_campaign(with(|it| it.daily_budget = Some(-1)));
        "campaigns" "campaign.lifetime_budget": client.campaigns(), create_campaign(with(|it| it.lifetime_budget = Some(90_000)));
    }
}

async fn objects(client: &Client) -> Answers {
    let ad_set = CreateAdSetRequest {
        parent: AD_ACCOUNT.to_owned(),
        ad_set: Some(AdSet { name: Some("Bad".to_owned()), ..AdSet::default() }),
        request_id: request_id(),
        ..CreateAdSetRequest::default()
    };
    refusals! {
        "campaigns" "ad_set.campaign_id": client.ad_sets(), create_ad_set(ad_set);
        "campaigns" "campaign.resource_name": client.campaigns(), update_campaign(UpdateCampaignRequest {
            campaign: Some(work::campaign("Bad")), request_id: request_id(), ..UpdateCampaignRequest::default() });
        "campaigns" "name": client.campaigns(), get_campaign(GetCampaignRequest {
            name: "campaigns/7".to_owned(), freshness: None });
        "campaigns" "page_size": client.campaigns(), list_campaigns(ListCampaignsRequest {
            parent: AD_ACCOUNT.to_owned(), page_size: -1, ..ListCampaignsRequest::default() });
    }
}

async fn plans(client: &Client) -> Answers {
    let hash = "0123456789abcdef0123456789abcdef";
    let with = |change: fn(&mut Plan)| {
        let mut plan = work::plan("Bad", hash);
        change(&mut plan);
        work::create_plan(AD_ACCOUNT, plan)
    };
    refusals! {
        "campaigns" "plan": client.plans(), create_plan(proto::plans::v1::CreatePlanRequest {
            plan: None, ..work::create_plan(AD_ACCOUNT, Plan::default()) });
        "campaigns" "plan.ads[0].adset_id": client.plans(), create_plan(with(|plan| plan.ads[0].adset_id = Some("-99".to_owned())));
        "campaigns" "plan.ad_sets[1].temporary_id": client.plans(), create_plan(with(|plan| plan.ad_sets[1].temporary_id = Some("-11".to_owned())));
        "campaigns" "plan.ad_sets[0].name": client.plans(), create_plan(with(|plan| plan.ad_sets[0].name = None));
        "campaigns" "name": client.plans(), apply_plan(ApplyPlanRequest {
            name: "plans/7".to_owned(), request_id: request_id(), ..ApplyPlanRequest::default() });
        "campaigns" "page_size": client.plans(), list_plans(ListPlansRequest {
            parent: AD_ACCOUNT.to_owned(), page_size: -1, page_token: String::new() });
    }
}

async fn measuring(client: &Client) -> Answers {
    let report = |query: Option<Query>| CreateReportRequest {
        parent: AD_ACCOUNT.to_owned(),
        query,
        request_id: request_id(),
        validate_only: false,
    };
    let backwards = TimeRange { since: "2026-11-20".to_owned(), until: "2026-11-01".to_owned() };
    refusals! {
        "insights" "query": client.reports(), create_report(report(None));
        "insights" "query.fields[0]": client.reports(), create_report(report(Some(Query {
            fields: vec!["spent".to_owned()], ..work::last_week() })));
        "insights" "query.time_range.until": client.reports(), create_report(report(Some(Query {
            period: Some(Period::TimeRange(backwards)), ..work::last_week() })));
        "insights" "query.level": client.reports(), create_report(report(Some(Query { level: 77, ..work::last_week() })));
        "insights" "request_id": client.reports(), create_report(CreateReportRequest {
            request_id: "again".to_owned(), ..report(Some(work::last_week())) });
        "ratelimit" "scope": client.quotas(), get_quota(GetQuotaRequest::default());
        "ratelimit" "name": client.quotas(), explain_throttle(ExplainThrottleRequest::default());
        "ratelimit" "resume_token": client.quotas(), watch_quotas(WatchQuotasRequest {
            resume_token: "again".to_owned(), ..WatchQuotasRequest::default() });
        "ratelimit" "name": client.quota_policies(), get_quota_policy(GetQuotaPolicyRequest::default());
        "ratelimit" "page_size": client.quota_policies(), list_quota_policies(ListQuotaPoliciesRequest {
            page_size: -1, page_token: String::new() });
        "ratelimit" "update_mask": client.quota_policies(), update_quota_policy(UpdateQuotaPolicyRequest {
            policy: Some(QuotaPolicy { name: AD_ACCOUNT.to_owned(), ..QuotaPolicy::default() }),
            request_id: request_id(), ..UpdateQuotaPolicyRequest::default() });
        "ratelimit" "from_time": client.usage(), query_usage(QueryUsageRequest::default());
    }
}

async fn people(client: &Client) -> Answers {
    let audience =
        |audience: Option<Audience>| CreateAudienceRequest { audience, ..work::create_audience(AD_ACCOUNT, "") };
    let send = |events: Vec<Event>| SendEventsRequest {
        dataset: DATASET.to_owned(),
        events,
        request_id: request_id(),
        ..SendEventsRequest::default()
    };
    let thousand_and_one = (0..=1_000).map(|_| Event::default()).collect();
    refusals! {
        "audiences" "audience": client.audiences(), create_audience(audience(None));
        "audiences" "audience.customer_list": client.audiences(), create_audience(audience(Some(Audience {
            name: Some("Nobody".to_owned()), ..Audience::default() })));
        "audiences" "name": client.audiences(), get_audience(GetAudienceRequest { name: "7".to_owned(), freshness: None });
        "audiences" "page_size": client.audiences(), list_audiences(ListAudiencesRequest {
            parent: AD_ACCOUNT.to_owned(), page_size: -1, ..ListAudiencesRequest::default() });
        "audiences" "mode": client.members(), create_member_job(CreateMemberJobRequest {
            audience: format!("{AD_ACCOUNT}/audiences/7"), request_id: request_id(), ..CreateMemberJobRequest::default() });
        "audiences" "job": client.members(), append_members(AppendMembersRequest::default());
        "audiences" "job": client.members(), run_member_job(RunMemberJobRequest::default());
        "conversions" "events": client.events(), send_events(send(Vec::new()));
        "conversions" "events": client.events(), send_events(send(thousand_and_one));
        "conversions" "dataset": client.events(), send_events(SendEventsRequest {
            dataset: "datasets/all".to_owned(), ..send(vec![work::purchase("1", "anna@example.org", 1)]) });
        "conversions" "event_id": client.events(), get_event(GetEventRequest {
            dataset: DATASET.to_owned(), ..GetEventRequest::default() });
    }
}

async fn others(client: &Client) -> Answers {
    refusals! {
        "auth" "token": client.connections(), import_system_user_token(ImportSystemUserTokenRequest {
            meta_app: "metaApps/1000000000000001".to_owned(), request_id: request_id(), ..Default::default() });
        "auth" "meta_app": client.connections(), begin_connection(BeginConnectionRequest {
            request_id: request_id(), ..BeginConnectionRequest::default() });
        "auth" "page_size": client.connections(), list_connections(ListConnectionsRequest {
            page_size: -1, ..ListConnectionsRequest::default() });
        "auth" "caller": client.identity(), create_caller(CreateCallerRequest {
            request_id: request_id(), ..CreateCallerRequest::default() });
        "gateway" "name": client.operations(), get_operation(GetOperationRequest { name: "7".to_owned() });
        "gateway" "filter.service": client.operations(), list_operations(ListOperationsRequest::default());
    }
}
