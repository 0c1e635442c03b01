//! What the suite is for, step by step, each looked at from Meta's side too.

use harness::{AD_ACCOUNT, DATASET, Suite, eventually, request_id};
use proto::{
    audiences::v1::{
        AddMembersHeader, AddMembersRequest, AppendMembersRequest, GetMemberJobRequest, ListMemberErrorsRequest,
        Member, MemberJobState, MemberRows, RunMemberJobRequest, RunMemberJobResult, add_members_request::Part,
    },
    conversions::v1::{EventState, GetDeliveryStatsRequest, GetEventRequest, SendEventsRequest, event_result::Outcome},
    insights::v1::{CreateReportRequest, GetReportRequest, ListReportRowsRequest, Reconciliation, ReportState},
    plans::v1::{ApplyPlanResult, DiffPlanRequest, GetPlanRequest, PlanState, StepState},
    ratelimit::v1::{GetQuotaRequest, Scope, ScopeKind},
};

use crate::work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_shown_made_paused_and_counted_against_the_quota() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let first_day = suite.sandbox.requests().await.unwrap().len(); // of auth's calls, which need no permit
    let hash = work::picture(&client, AD_ACCOUNT).await;
    let before = suite.sandbox.all("campaigns").await.unwrap();
    let plan = work::stored(&client, AD_ACCOUNT, work::plan("Autumn", &hash)).await;
    let diff = client.plans().diff_plan(DiffPlanRequest { name: plan.name.clone() }).await.unwrap().into_inner();
    assert!(
        diff.calls.iter().any(|call| call.call.starts_with("POST ") && call.call.ends_with("/campaigns")),
        "{diff:?}"
    );
    assert!(diff.estimate.unwrap().graph_calls >= 7, "a campaign, two ad sets, two creatives, two ads");
    assert_eq!(suite.sandbox.all("campaigns").await.unwrap(), before, "a diff makes nothing");

    let operation = work::done(&client, work::apply(&client, &plan).await).await;
    let result: ApplyPlanResult = client::result(&operation).unwrap();
    let mut kinds: Vec<&str> = result.created.iter().filter_map(|it| it.resource.split('/').nth(2)).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["adSets", "adSets", "ads", "ads", "campaigns", "creatives", "creatives"], "{result:?}");
    let plan = client.plans().get_plan(GetPlanRequest { name: plan.name }).await.unwrap().into_inner().plan.unwrap();
    assert_eq!(plan.state(), PlanState::Applied);
    assert!(plan.steps.iter().all(|step| step.state() == StepState::Done), "{plan:?}");

    for created in &result.created {
        let [.., kind, id] = created.resource.split('/').collect::<Vec<_>>()[..] else { panic!("{created:?}") };
        let edge = match kind {
            "campaigns" => "campaigns",
            "adSets" => "adsets",
            "ads" => "ads",
            _ => continue, // a creative spends nothing
        };
        let at_meta = suite.sandbox.all(edge).await.unwrap();
        let at_meta = at_meta.iter().find(|it| it["id"] == id).unwrap();
        assert_eq!(at_meta["status"], "PAUSED", "{at_meta}");
    }

    let scope = Scope {
        kind: ScopeKind::AdAccount.into(),
        id: AD_ACCOUNT.trim_start_matches("adAccounts/act_").to_owned(),
        use_case: "ads_management".to_owned(),
        ..Scope::default()
    };
    let quota = client.quotas().get_quota(GetQuotaRequest { scope: Some(scope) }).await.unwrap().into_inner();
    let quota = quota.quota.unwrap();
    let at_meta = suite.sandbox.requests().await.unwrap();
    let at_meta = at_meta.iter().skip(first_day).filter(|line| line.is_of(AD_ACCOUNT, "ads_management")).count();
    assert!(at_meta >= 7, "{at_meta}");
    assert_eq!(quota.used, i64::try_from(at_meta).unwrap(), "our count and Meta's: {quota:?}");
    assert!(quota.limit.is_some() && quota.headroom.is_some(), "{quota:?}");
    suite.stop().await.unwrap();
}

fn member(email: &str, phone: &str) -> Member {
    Member { email: email.to_owned(), phone: phone.to_owned(), country: "US".to_owned(), ..Member::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_arrive_in_the_audience_and_malformed_rows_are_named() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let audience = work::audience(&client, AD_ACCOUNT, "Customers").await;
    let job = work::member_job(&client, &audience).await;
    let rows =
        vec![member("anna@example.org", ""), member("no address", ""), member("ben@example.org", "12"), member("", "")];
    let append =
        AppendMembersRequest { job: job.name.clone(), sequence: job.next_sequence, rows, ..Default::default() };
    let first = client.members().append_members(append).await.unwrap().into_inner();
    assert_eq!(first.accepted, 2);
    let rejected: Vec<_> = first.rejected.iter().map(|error| (error.field.as_str(), error.reason.as_str())).collect();
    assert!(rejected.contains(&("email", "EMAIL_MALFORMED")), "{rejected:?}");
    let dropped: Vec<_> = first.dropped.iter().map(|error| (error.field.as_str(), error.reason.as_str())).collect();
    assert_eq!(dropped, [("phone", "PHONE_MALFORMED")]);

    let header = AddMembersHeader { job: job.name.clone(), sequence: first.next_sequence };
    let more = MemberRows { rows: vec![member("carl@example.org", "(650) 555-1212"), member("nobody", "")] };
    let stream = [Part::Header(header), Part::Rows(more)].map(|part| AddMembersRequest { part: Some(part) });
    let second = client.members().add_members(futures::stream::iter(stream)).await.unwrap().into_inner();
    assert_eq!((second.accepted, second.rejected.len()), (1, 1));

    let request = RunMemberJobRequest { job: job.name.clone(), request_id: request_id(), validate_only: false };
    let operation = client.members().run_member_job(request).await.unwrap().into_inner().operation;
    let operation = work::done(&client, operation).await;
    let result: RunMemberJobResult = client::result(&operation).unwrap();
    assert_eq!((result.received, result.invalid, result.sessions.len()), (3, 0, 1), "{result:?}");
    let job = client.members().get_member_job(GetMemberJobRequest { name: job.name }).await.unwrap().into_inner();
    let job = job.job.unwrap();
    assert_eq!(job.state(), MemberJobState::Succeeded);
    assert_eq!((job.rows_accepted, job.rows_rejected, job.fields_dropped), (3, 3, 1));
    let request = ListMemberErrorsRequest { name: job.name, ..ListMemberErrorsRequest::default() };
    let errors = client.members().list_member_errors(request).await.unwrap().into_inner().rows;
    let mut rows: Vec<i64> = errors.iter().map(|error| error.row).collect();
    rows.dedup();
    assert_eq!(rows.len(), 4, "three rows that were refused and one that lost a field: {errors:?}");

    let at_meta = suite.sandbox.named("customaudiences", "Customers").await.unwrap();
    assert_eq!(at_meta.len(), 1);
    assert_eq!(at_meta[0]["members"], 3);
    assert_eq!(at_meta[0]["sessions"][0]["complete"], true);
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_delivered_once_and_refused_with_the_reason() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let order = || work::purchase("order-1", "anna@example.org", 2);
    let events = vec![order(), order(), work::purchase("order-2", "ben@example.org", 8 * 24)];
    let send = SendEventsRequest {
        dataset: DATASET.to_owned(),
        events,
        request_id: request_id(),
        ..SendEventsRequest::default()
    };
    let answer = client.events().send_events(send).await.unwrap().into_inner();
    let receipt = answer.receipt.unwrap();
    assert_eq!((receipt.accepted, receipt.deduplicated, receipt.refused), (1, 1, 1));
    let Some(Outcome::Error(error)) = &answer.results[2].outcome else { panic!("{:?}", answer.results[2]) };
    let violation = &error.field_violations[0];
    assert!(violation.field.ends_with("event_time"), "{violation:?}");
    assert_eq!(violation.reason, "EVENT_TOO_OLD");

    let delivered = async || {
        let request =
            GetEventRequest { dataset: DATASET.to_owned(), event_id: "order-1".to_owned(), ..Default::default() };
        let event = client.events().get_event(request).await?.into_inner().event.unwrap();
        Ok((event.state() == EventState::Delivered).then_some(event))
    };
    let event = eventually("the delivery", delivered).await.unwrap();
    assert_eq!((event.attempts, event.deduplicated), (1, 0), "{event:?}");

    let again = SendEventsRequest {
        dataset: DATASET.to_owned(),
        events: vec![order()],
        request_id: request_id(),
        ..Default::default()
    };
    let again = client.events().send_events(again).await.unwrap().into_inner();
    assert_eq!(again.results[0].outcome, Some(Outcome::State(EventState::Deduplicated.into())));
    let request = GetDeliveryStatsRequest { name: DATASET.to_owned(), window: None };
    let stats = client.datasets().get_delivery_stats(request).await.unwrap().into_inner().stats.unwrap();
    assert_eq!((stats.accepted, stats.delivered, stats.pending, stats.dead), (1, 1, 0, 0), "{stats:?}");

    let at_meta = suite.sandbox.events().await.unwrap();
    let ids: Vec<_> = at_meta.iter().filter(|event| event["event_id"] == "order-1").collect();
    assert_eq!(ids.len(), 1, "{at_meta:?}");
    assert!(!at_meta.iter().any(|event| event["event_id"] == "order-2"));
    suite.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_of_a_report_sum_to_what_meta_says_of_the_account() {
    let suite = Suite::start().await.unwrap();
    let client = suite.client().unwrap();
    let request = CreateReportRequest {
        parent: AD_ACCOUNT.to_owned(),
        query: Some(work::last_week()),
        request_id: request_id(),
        validate_only: false,
    };
    let operation = client.reports().create_report(request).await.unwrap().into_inner().operation;
    let operation = work::done(&client, operation).await;
    let name = operation.metadata.unwrap().resource;
    let report = client.reports().get_report(GetReportRequest { name: name.clone() }).await.unwrap();
    let report = report.into_inner().report.unwrap();
    assert_eq!(report.state(), ReportState::Succeeded);
    assert_eq!(report.reconciliation(), Reconciliation::Matched, "{report:?}");

    let request = ListReportRowsRequest { name, page_size: 1_000, ..ListReportRowsRequest::default() };
    let rows = client.reports().list_report_rows(request).await.unwrap().into_inner().rows;
    assert_eq!(i64::try_from(rows.len()).unwrap(), report.row_count);
    let days: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.date_start.as_str()).collect();
    assert_eq!(days.len(), 7, "{days:?}");
    let totals = report.control_totals.unwrap();
    let spend = totals.spend.unwrap();
    assert!(spend.minor_units > 0 && totals.impressions > 0, "an account that delivers nothing proves nothing");
    assert_eq!(spend.currency_code, "USD");
    assert_eq!(rows.iter().map(|row| row.impressions).sum::<i64>(), totals.impressions);
    assert_eq!(rows.iter().map(|row| row.clicks).sum::<i64>(), totals.clicks);
    let spent = rows.iter().filter_map(|row| row.spend.as_ref()).map(|money| money.minor_units).sum::<i64>();
    assert_eq!(spent, spend.minor_units);
    suite.stop().await.unwrap();
}
