//! What one tenant sees of another: nothing, and not even that there is something.

use client::Client;
use harness::{AD_ACCOUNT, DATASET, OTHER_AD_ACCOUNT, Refusal, Suite, refused, request_id};
use proto::{
    audiences::v1::{
        AppendMembersRequest, CreateMemberJobRequest, DeleteAudienceRequest, GetAudienceRequest, GetMemberJobRequest,
        IdentifierForm, ListAudiencesRequest, ListMemberErrorsRequest, Member, MemberMode, RunMemberJobRequest,
    },
    auth::v1::{
        GetConnectionRequest, ListAssetsRequest, ListAuditEntriesRequest, ListConnectionsRequest,
        RevokeConnectionRequest,
    },
    campaigns::v1::{
        ActivateCampaignRequest, Campaign, CreateCampaignRequest, DeleteCampaignRequest, GetAdAccountRequest,
        GetAdRequest, GetAdSetRequest, GetCampaignRequest, GetCreativeRequest, ListAdAccountsRequest,
        ListAdSetsRequest, ListAdsRequest, ListCampaignsRequest, PauseCampaignRequest, UpdateCampaignRequest,
    },
    conversions::v1::{GetDeliveryStatsRequest, GetEventRequest, ListDeadLettersRequest, SendEventsRequest},
    insights::v1::{CreateReportRequest, GetReportRequest, ListReportRowsRequest, ListReportsRequest},
    operations::v1::{
        CancelOperationRequest, GetOperationRequest, ListOperationsRequest, OperationFilter, WatchOperationRequest,
        operation::Outcome,
    },
    plans::v1::{
        ApplyPlanRequest, ApplyPlanResult, DiffPlanRequest, EstimatePlanRequest, GetPlanRequest, ListPlansRequest,
    },
    ratelimit::v1::{GetQuotaRequest, ListQuotasRequest, Scope, ScopeKind},
};
use rpc::Code;

use crate::work;

/// The names of everything that the first tenant has made.
struct Theirs {
    created: ApplyPlanResult,
    plan: String,
    report: String,
    audience: String,
    member_job: String,
    connection: String,
    operations: Vec<String>,
}

impl Theirs {
    /// The first of a collection.
    fn one(&self, collection: &str) -> String {
        let part = format!("/{collection}/");
        self.created.created.iter().find(|it| it.resource.contains(&part)).unwrap().resource.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenant_sees_nothing_and_changes_nothing() {
    let suite = Suite::start().await.unwrap();
    let theirs = everything(&suite.client().unwrap()).await;
    let before = suite.sandbox.all("campaigns").await.unwrap();
    let other = suite.other.client().unwrap();
    let answers = [
        objects(&other, &theirs).await,
        plans_and_reports(&other, &theirs).await,
        people_and_events(&other, &theirs).await,
        operations_and_connections(&other, &theirs).await,
    ];
    for (what, answer) in answers.into_iter().flatten() {
        let refusal = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "NOT_FOUND"), "{what}: {refusal:?}");
    }
    lists_are_empty_or_have_nothing_of_theirs(&other).await;
    a_report_of_their_account_has_no_row(&other).await;
    assert_eq!(suite.sandbox.all("campaigns").await.unwrap(), before, "nothing of theirs was changed");
    suite.stop().await.unwrap();
}

async fn everything(client: &Client) -> Theirs {
    let hash = work::picture(client, AD_ACCOUNT).await;
    let plan = work::stored(client, AD_ACCOUNT, work::plan("Theirs", &hash)).await;
    let applied = work::done(client, work::apply(client, &plan).await).await;
    let request = CreateReportRequest {
        parent: AD_ACCOUNT.to_owned(),
        query: Some(work::last_week()),
        request_id: request_id(),
        validate_only: false,
    };
    let reported = client.reports().create_report(request).await.unwrap().into_inner().operation;
    let reported = work::done(client, reported).await;
    let audience = work::audience(client, AD_ACCOUNT, "Theirs").await;
    let job = work::member_job(client, &audience).await;
    let rows = vec![Member { email: "anna@example.org".to_owned(), ..Member::default() }];
    let append =
        AppendMembersRequest { job: job.name.clone(), sequence: job.next_sequence, rows, ..Default::default() };
    client.members().append_members(append).await.unwrap();
    let run = RunMemberJobRequest { job: job.name.clone(), request_id: request_id(), validate_only: false };
    let ran = client.members().run_member_job(run).await.unwrap().into_inner().operation;
    let ran = work::done(client, ran).await;
    let events = vec![work::purchase("theirs", "anna@example.org", 1)];
    let send =
        SendEventsRequest { dataset: DATASET.to_owned(), events, request_id: request_id(), ..Default::default() };
    client.events().send_events(send).await.unwrap();
    let connections = client.connections().list_connections(ListConnectionsRequest::default()).await.unwrap();
    Theirs {
        created: client::result(&applied).unwrap(),
        plan: plan.name,
        report: reported.metadata.unwrap().resource,
        audience: audience.resource_name,
        member_job: job.name,
        connection: connections.into_inner().connections[0].name.clone(),
        operations: vec![applied.name, reported.name, ran.name],
    }
}

type Answers = Vec<(&'static str, Result<Refusal, String>)>;

/// Calls each of these, which must fail.
macro_rules! refusals {
    ($($what:literal: $client:expr, $method:ident($request:expr);)*) => {
        vec![$(($what, refused($client.$method($request).await.map(|answer| answer.into_inner()))
            .map_err(|error| error.to_string()))),*]
    };
}

async fn objects(other: &Client, theirs: &Theirs) -> Answers {
    let (name, key) = (theirs.one("campaigns"), request_id());
    let renamed = Campaign { resource_name: name.clone(), name: Some("Mine".to_owned()), ..Campaign::default() };
    let create = CreateCampaignRequest {
        parent: AD_ACCOUNT.to_owned(),
        campaign: Some(work::campaign("Mine")),
        request_id: key.clone(),
        validate_only: false,
    };
    let update = UpdateCampaignRequest {
        campaign: Some(renamed),
        update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
        request_id: request_id(),
        validate_only: false,
    };
    let mut delete = DeleteCampaignRequest { name: name.clone(), request_id: request_id(), ..Default::default() };
    "Theirs".clone_into(&mut delete.confirm_name);
    refusals! {
        "account": other.ad_accounts(), get_ad_account(GetAdAccountRequest { name: AD_ACCOUNT.to_owned(), freshness: None });
        "campaign": other.campaigns(), get_campaign(GetCampaignRequest { name: name.clone(), freshness: None });
        "ad set": other.ad_sets(), get_ad_set(GetAdSetRequest { name: theirs.one("adSets"), freshness: None });
        "ad": other.ads(), get_ad(GetAdRequest { name: theirs.one("ads"), freshness: None });
        "creative": other.creatives(), get_creative(GetCreativeRequest { name: theirs.one("creatives"), freshness: None });
        "create": other.campaigns(), create_campaign(create);
        "update": other.campaigns(), update_campaign(update);
        "pause": other.campaigns(), pause_campaign(PauseCampaignRequest { name: name.clone(), ..Default::default() });
        "activate": other.campaigns(), activate_campaign(ActivateCampaignRequest {
            name: name.clone(), request_id: request_id(), ..Default::default() });
        "delete": other.campaigns(), delete_campaign(delete);
    }
}

async fn plans_and_reports(other: &Client, theirs: &Theirs) -> Answers {
    let plan = || theirs.plan.clone();
    let apply = ApplyPlanRequest { name: plan(), request_id: request_id(), ..ApplyPlanRequest::default() };
    let rows = ListReportRowsRequest { name: theirs.report.clone(), ..ListReportRowsRequest::default() };
    refusals! {
        "plan": other.plans(), get_plan(GetPlanRequest { name: plan() });
        "diff": other.plans(), diff_plan(DiffPlanRequest { name: plan() });
        "estimate": other.plans(), estimate_plan(EstimatePlanRequest { name: plan() });
        "apply": other.plans(), apply_plan(apply);
        "report": other.reports(), get_report(GetReportRequest { name: theirs.report.clone() });
        "report rows": other.reports(), list_report_rows(rows);
    }
}

async fn people_and_events(other: &Client, theirs: &Theirs) -> Answers {
    let (audience, job) = (theirs.audience.clone(), theirs.member_job.clone());
    let open = CreateMemberJobRequest {
        audience: audience.clone(),
        mode: MemberMode::Add.into(),
        identifiers: IdentifierForm::Raw.into(),
        request_id: request_id(),
        validate_only: false,
    };
    let rows = vec![Member { email: "eve@example.org".to_owned(), ..Member::default() }];
    let append = AppendMembersRequest { job: job.clone(), sequence: 2, rows, ..AppendMembersRequest::default() };
    let event =
        GetEventRequest { dataset: DATASET.to_owned(), event_id: "theirs".to_owned(), ..GetEventRequest::default() };
    refusals! {
        "audience": other.audiences(), get_audience(GetAudienceRequest { name: audience.clone(), freshness: None });
        "delete audience": other.audiences(), delete_audience(DeleteAudienceRequest {
            name: audience, request_id: request_id(), ..DeleteAudienceRequest::default() });
        "open a job": other.members(), create_member_job(open);
        "job": other.members(), get_member_job(GetMemberJobRequest { name: job.clone() });
        "job's errors": other.members(), list_member_errors(ListMemberErrorsRequest { name: job.clone(), ..Default::default() });
        "append": other.members(), append_members(append);
        "run": other.members(), run_member_job(RunMemberJobRequest { job, request_id: request_id(), validate_only: false });
        "event": other.events(), get_event(event);
    }
}

async fn operations_and_connections(other: &Client, theirs: &Theirs) -> Answers {
    let mut answers = Vec::new();
    for name in &theirs.operations {
        let cancel = CancelOperationRequest { name: name.clone(), request_id: request_id(), validate_only: false };
        answers.extend(refusals! {
            "operation": other.operations(), get_operation(GetOperationRequest { name: name.clone() });
            "cancel": other.operations(), cancel_operation(cancel);
        });
        let watch = WatchOperationRequest { name: name.clone(), resume_token: String::new() };
        // A stream may fail at its beginning or with its first message.
        let watched = match other.operations().watch_operation(watch).await {
            Ok(stream) => stream.into_inner().message().await,
            Err(status) => Err(status),
        };
        answers.push(("watch", refused(watched).map_err(|error| error.to_string())));
    }
    let revoke = RevokeConnectionRequest {
        name: theirs.connection.clone(),
        reason: "not mine".to_owned(),
        request_id: request_id(),
        ..RevokeConnectionRequest::default()
    };
    answers.extend(refusals! {
        "connection": other.connections(), get_connection(GetConnectionRequest { name: theirs.connection.clone() });
        "revoke": other.connections(), revoke_connection(revoke);
    });
    answers
}

async fn lists_are_empty_or_have_nothing_of_theirs(other: &Client) {
    let parent = || AD_ACCOUNT.to_owned();
    // The parent is another's, so it does not exist; where nothing was looked up, the list is empty.
    let nothing = |what: &str, rows: Result<usize, tonic::Status>| match rows {
        Ok(rows) => assert_eq!(rows, 0, "{what}"),
        Err(status) => assert_eq!(harness::refusal(&status).unwrap().code, Code::NotFound, "{what}"),
    };
    let rows = other.campaigns().list_campaigns(ListCampaignsRequest { parent: parent(), ..Default::default() }).await;
    nothing("campaigns", rows.map(|it| it.into_inner().campaigns.len()));
    let rows = other.ad_sets().list_ad_sets(ListAdSetsRequest { parent: parent(), ..Default::default() }).await;
    nothing("ad sets", rows.map(|it| it.into_inner().ad_sets.len()));
    let rows = other.ads().list_ads(ListAdsRequest { parent: parent(), ..Default::default() }).await;
    nothing("ads", rows.map(|it| it.into_inner().ads.len()));
    let rows = other.plans().list_plans(ListPlansRequest { parent: parent(), ..Default::default() }).await;
    nothing("plans", rows.map(|it| it.into_inner().plans.len()));
    let rows = other.reports().list_reports(ListReportsRequest { parent: parent(), ..Default::default() }).await;
    nothing("reports", rows.map(|it| it.into_inner().reports.len()));
    let rows = other.audiences().list_audiences(ListAudiencesRequest { parent: parent(), ..Default::default() }).await;
    nothing("audiences", rows.map(|it| it.into_inner().audiences.len()));
    let letters = ListDeadLettersRequest { dataset: DATASET.to_owned(), ..ListDeadLettersRequest::default() };
    let rows = other.events().list_dead_letters(letters).await;
    nothing("dead letters", rows.map(|it| it.into_inner().letters.len()));
    for service in ["campaigns", "insights", "audiences", "auth"] {
        let filter = Some(OperationFilter { service: service.to_owned(), ..OperationFilter::default() });
        let rows = other.operations().list_operations(ListOperationsRequest { filter, ..Default::default() }).await;
        nothing(service, rows.map(|it| it.into_inner().operations.len()));
    }

    let accounts = other.ad_accounts().list_ad_accounts(ListAdAccountsRequest::default()).await.unwrap().into_inner();
    let names: Vec<_> = accounts.ad_accounts.into_iter().map(|account| account.resource_name).collect();
    assert!(names.iter().all(|name| name == OTHER_AD_ACCOUNT), "{names:?}");
    // Its own token reaches the account too, so Meta showed it; it may not use it.
    let assets = other.connections().list_assets(ListAssetsRequest::default()).await.unwrap().into_inner().assets;
    let theirs = assets.iter().find(|asset| asset.name == AD_ACCOUNT);
    assert!(theirs.is_none_or(|asset| !asset.owned), "{assets:?}");
    let audit = other.audit().list_audit_entries(ListAuditEntriesRequest::default()).await.unwrap().into_inner();
    assert!(!audit.entries.iter().any(|entry| entry.resource.starts_with(AD_ACCOUNT)), "{audit:?}");

    let id = || AD_ACCOUNT.trim_start_matches("adAccounts/act_").to_owned();
    let quotas = other.quotas().list_quotas(ListQuotasRequest::default()).await.unwrap().into_inner().quotas;
    assert!(!quotas.iter().any(|quota| quota.scope.as_ref().is_some_and(|scope| scope.id == id())), "{quotas:?}");
    let scope = Scope {
        meta_app: "metaApps/1000000000000001".to_owned(),
        kind: ScopeKind::AdAccount.into(),
        id: id(),
        use_case: "ads_management".to_owned(),
    };
    let quota = other.quotas().get_quota(GetQuotaRequest { scope: Some(scope) }).await;
    let used = quota.map(|quota| quota.into_inner().quota.unwrap());
    assert!(used.as_ref().map_or(true, |quota| quota.used == 0 && quota.observed_percent.is_none()), "{used:?}");
    let stats = GetDeliveryStatsRequest { name: DATASET.to_owned(), window: None };
    let stats = other.datasets().get_delivery_stats(stats).await.map(|it| it.into_inner().stats.unwrap());
    assert!(stats.as_ref().map_or(true, |stats| stats.accepted == 0 && stats.delivered == 0), "{stats:?}");
}

/// Refused at once, or later as the operation's end: in no case is there anything of the account in it.
async fn a_report_of_their_account_has_no_row(other: &Client) {
    let request = CreateReportRequest {
        parent: AD_ACCOUNT.to_owned(),
        query: Some(work::last_week()),
        request_id: request_id(),
        validate_only: false,
    };
    let operation = match other.reports().create_report(request).await {
        Err(status) => return assert_eq!(harness::refusal(&status).unwrap().code, Code::NotFound),
        Ok(answer) => work::ended(other, &answer.into_inner().operation.unwrap()).await,
    };
    let Some(Outcome::Error(error)) = &operation.outcome else { panic!("{operation:?}") };
    assert_eq!((error.code, error.reason.as_str()), (i32::from(Code::NotFound), "NOT_FOUND"), "{error:?}");
    let name = operation.metadata.unwrap().resource;
    let rows = other.reports().list_report_rows(ListReportRowsRequest { name, ..Default::default() }).await.unwrap();
    assert!(rows.into_inner().rows.is_empty());
}
