//! Reports from end to end: real PostgreSQL, real sockets, stand-ins for auth, ratelimit and Meta.

mod meta;
mod peers;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use proto::{
    insights::v1::{self as pb, report_service_server::ReportService},
    operations::v1::Operation,
};
use rpc::{Caller, Principal, Scopes, Tenants};
use storage::{Postgres, PostgresSettings, migrations};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vocabulary::{
    SystemClock,
    ids::{AdAccountId, ReportId},
    page::PageTokens,
};

use super::*;
use crate::{
    report::Reconciliation,
    reports::{CreateReport, Reports},
    service::ReportApi,
};
use meta::{Endless, Meta};

const ACCOUNT: AdAccountId = AdAccountId::new(1);

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(100);

struct Running {
    meta: Meta,
    poller: Poller<SystemClock>,
    reports: Reports<SystemClock>,
    caller: Caller,
    _peers: Arc<peers::Peers>,
}

async fn run() -> Running {
    let meta = Meta::default();
    let peers = peers::serve().await;
    let settings = graph::Settings { base_url: meta.serve().await, ..graph::Settings::default() };
    let graph = graph::Client::connect(&settings, peers.peer(), peers.peer()).unwrap();
    let url = devstack::shared().create_database().await.unwrap();
    let postgres = Postgres::connect(&PostgresSettings::at(url).in_schema(crate::SCHEMA)).await.unwrap();
    migrations::run(&postgres, crate::SCHEMA, &crate::migrations()).await.unwrap();
    let store = Store::new(postgres.clone());
    let settings = PollerSettings { poll_milliseconds_min: 10, lease_seconds: 1, ..PollerSettings::default() };
    let operations = Operations::new(postgres.clone());
    Running {
        meta,
        poller: Poller::new(store.clone(), operations, graph, settings, SystemClock, Vec::new()),
        reports: Reports::new(store, postgres, SystemClock, Vec::new()),
        caller: Caller::resumed("acme".parse().unwrap(), "callers/1", Scopes::All),
        _peers: Arc::new(peers),
    }
}

/// A row per campaign and day.
fn query(preset: &str) -> pb::Query {
    pb::Query {
        level: pb::Level::Campaign.into(),
        period: Some(pb::query::Period::DatePreset(preset.to_owned())),
        time_increment: Some("1".to_owned()),
        ..pb::Query::default()
    }
}

impl Running {
    async fn create(&self, query: pb::Query, request_id: Uuid) -> Result<Operation, Error> {
        let command = CreateReport {
            account: ACCOUNT,
            query: Some(query),
            request_id,
            fingerprint: [7; 32],
            validate_only: false,
        };
        self.reports.create(&self.caller, command).await
    }

    /// Accepts a report and gives its id.
    async fn accepted(&self, preset: &str) -> ReportId {
        let operation = self.create(query(preset), Uuid::new_v4()).await.unwrap();
        operation.name.strip_prefix("operations/insights-").unwrap().parse().unwrap()
    }

    /// Works until the report has ended.
    async fn ended(&self, id: ReportId) -> (Report, Vec<Part>) {
        let stop = CancellationToken::new();
        loop {
            let (report, parts) = self.reports.get(&self.caller, ACCOUNT, id).await.unwrap();
            if report.state != State::Running {
                return (report, parts);
            }
            if !self.poller.turn(&stop).await.unwrap() {
                // What is due is decided by the database's clock.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn row_count(&self, id: ReportId) -> usize {
        self.reports.store().rows(&self.caller.tenant, id.0, i64::MIN, 10_000).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_small_report_is_read_at_once() {
    let running = run().await;
    let id = running.accepted("last_3d").await;
    let (report, parts) = running.ended(id).await;
    assert_eq!((report.state, report.error), (State::Succeeded, None));
    assert!(running.meta.seen(|seen| seen.starts.is_empty()));
    assert_eq!((parts.len(), parts[0].row_count, running.row_count(id).await), (1, 6, 6));
    assert!(matches!(report.reconciliation, Reconciliation::Matched { .. }));
}

#[tokio::test]
async fn a_large_report_waits_for_runs_that_say_a_hundred_percent_too_early() {
    let running = run().await;
    running.meta.trouble(|trouble| trouble.working_polls = 2);
    let id = running.accepted("last_14d").await;
    let (report, parts) = running.ended(id).await;
    assert_eq!((report.state, report.error), (State::Succeeded, None));
    assert_eq!((parts.len(), running.row_count(id).await), (2, 28));
    assert_eq!(running.meta.seen(|seen| (seen.starts.len(), seen.polled.len())), (2, 6));
    let plan = report.plan.unwrap();
    assert_eq!((plan.days.day_count(), plan.mode), (14, slices::Mode::Async));
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_runs_that_the_next_one_goes_on_with() {
    let running = run().await;
    running.meta.trouble(|trouble| trouble.silent = true);
    let id = running.accepted("last_14d").await;
    let stop = CancellationToken::new();
    // One round begins the runs and puts the work back; the next hangs in a poll and is dropped there.
    assert!(running.poller.turn(&stop).await.unwrap());
    let killed = async {
        while !running.poller.turn(&stop).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = killed => panic!("the poll was answered"),
        () = running.meta.polled.notified() => {}
    }
    running.meta.trouble(|trouble| trouble.silent = false);
    let (report, _) = running.ended(id).await;
    assert_eq!(report.state, State::Succeeded);
    assert_eq!(running.meta.seen(|seen| seen.starts.len()), 2, "no run was begun twice");
    assert_eq!(running.row_count(id).await, 28);
}

#[tokio::test]
async fn runs_that_expire_are_begun_again_and_runs_that_fail_are_cut() {
    let running = run().await;
    running.meta.trouble(|trouble| trouble.skipped = 1);
    let id = running.accepted("last_14d").await;
    assert_eq!(running.ended(id).await.0.state, State::Succeeded);
    assert_eq!(running.meta.seen(|seen| seen.starts.len()), 3);

    running.meta.trouble(|trouble| trouble.fails_over_days = Some(4));
    let id = running.accepted("last_14d").await;
    let (report, parts) = running.ended(id).await;
    assert_eq!((report.state, report.error), (State::Succeeded, None));
    assert_eq!(parts.len(), 4, "each week was cut in two");
    assert_eq!(running.row_count(id).await, 28);
}

#[tokio::test]
async fn a_slice_that_cannot_be_cut_further_fails_the_report_with_its_reason() {
    let running = run().await;
    running.meta.trouble(|trouble| trouble.fails_over_days = Some(0));
    let id = running.accepted("last_14d").await;
    let (report, _) = running.ended(id).await;
    let error = report.error.unwrap();
    assert_eq!((report.state, error.reason.as_str()), (State::Failed, "META_UNAVAILABLE"));
    assert!(error.message.contains("failed 3 times"), "{}", error.message);
}

#[tokio::test]
async fn a_lost_row_shows_and_its_days_are_read_again() {
    let running = run().await;
    running.meta.trouble(|trouble| trouble.short_reads = 3);
    let id = running.accepted("last_14d").await;
    let (report, _) = running.ended(id).await;
    assert_eq!((report.state, report.error), (State::Succeeded, None));
    assert!(report.rereads >= 1);
    assert_eq!(running.row_count(id).await, 28, "no row lost or doubled");
}

#[tokio::test]
async fn rows_that_never_add_up_are_no_success() {
    let running = run().await;
    running.meta.trouble(|trouble| trouble.short_reads = u32::MAX);
    let id = running.accepted("last_14d").await;
    let (report, _) = running.ended(id).await;
    assert_eq!((report.state, report.rereads), (State::Failed, 2));
    assert!(matches!(report.reconciliation, Reconciliation::Differed { .. }));
    assert!(report.error.unwrap().message.contains("do not add up"));
}

/// Somebody asks for an end.
fn cancelling(caller: &Caller) -> storage::audit::Entry<'_> {
    storage::audit::Entry {
        tenant: caller.tenant.as_str(),
        actor: "callers/ada",
        action: rpc::CANCEL,
        resource: "operations/1",
        request_id: None,
        detail: serde_json::json!({}),
    }
}

#[tokio::test]
async fn a_report_that_is_cancelled_keeps_what_was_read() {
    let running = run().await;
    running.meta.trouble(|trouble| trouble.working_polls = u32::MAX);
    let id = running.accepted("last_14d").await;
    let stop = CancellationToken::new();
    assert!(running.poller.turn(&stop).await.unwrap());
    running.poller.operations.cancel(id.0, cancelling(&running.caller)).await.unwrap().unwrap();
    let (report, _) = running.ended(id).await;
    assert_eq!((report.state, report.error.unwrap().reason.as_str()), (State::Cancelled, "CANCELLED"));
}

#[tokio::test]
async fn a_page_that_names_itself_as_the_next_fails_the_report() {
    let running = run().await;
    for endless in [Endless::RowsRepeat, Endless::TotalsRepeat] {
        running.meta.trouble(|trouble| trouble.endless = Some(endless));
        let id = running.accepted("last_14d").await;
        let (report, _) = tokio::time::timeout(PATIENCE, running.ended(id)).await.expect("it reads for ever");
        let error = report.error.unwrap();
        assert_eq!((report.state, error.reason.as_str()), (State::Failed, "META_UNAVAILABLE"), "{endless:?}");
        assert!(error.message.contains("names itself"), "{}", error.message);
    }
}

#[tokio::test]
async fn pages_without_an_end_are_left_when_the_report_takes_too_long() {
    let mut running = run().await;
    running.poller.settings.report_hours_max = 0;
    running.meta.trouble(|trouble| trouble.endless = Some(Endless::RowsGrow));
    let id = running.accepted("last_3d").await;
    let (report, _) = tokio::time::timeout(PATIENCE, running.ended(id)).await.expect("it reads for ever");
    assert_eq!((report.state, report.error.unwrap().reason.as_str()), (State::Failed, "DEADLINE_PASSED"));
}

#[tokio::test]
async fn totals_without_an_end_are_left_when_somebody_wants_it_to_stop() {
    let running = run().await;
    running.meta.trouble(|trouble| trouble.endless = Some(Endless::TotalsGrow));
    let id = running.accepted("last_3d").await;
    let stop = CancellationToken::new();
    let reads_on = async || {
        let before = running.meta.seen(|seen| seen.reads);
        while running.meta.seen(|seen| seen.reads) < before + 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let stopped = async {
        reads_on().await;
        stop.cancel();
    };
    let turn = async || tokio::time::timeout(PATIENCE, running.poller.turn(&stop)).await.expect("it reads for ever");
    let (turned, ()) = tokio::join!(turn(), stopped);
    assert!(turned.unwrap());
    assert_eq!(running.reports.get(&running.caller, ACCOUNT, id).await.unwrap().0.state, State::Running);

    let cancelled = async {
        reads_on().await;
        running.poller.operations.cancel(id.0, cancelling(&running.caller)).await.unwrap().unwrap();
    };
    let ended = tokio::time::timeout(PATIENCE, running.ended(id));
    let (ended, ()) = tokio::join!(ended, cancelled);
    assert_eq!(ended.expect("it reads for ever").0.state, State::Cancelled);
}

#[tokio::test]
async fn a_repeat_of_a_request_is_the_same_report_and_another_request_is_refused() {
    let running = run().await;
    let request = Uuid::new_v4();
    let first = running.create(query("last_3d"), request).await.unwrap();
    assert_eq!(running.create(query("last_3d"), request).await.unwrap(), first);
    let other = CreateReport {
        account: ACCOUNT,
        query: Some(query("last_7d")),
        request_id: request,
        fingerprint: [8; 32],
        validate_only: false,
    };
    let refused = running.reports.create(&running.caller, other).await.unwrap_err();
    assert!(matches!(refused, Error::RequestReused(_)), "{refused:?}");
}

/// A request as the server's layers would hand it to the service.
fn verified<T>(tenant: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let tenant: TenantId = tenant.parse().unwrap();
    request.extensions_mut().insert(Principal {
        tenants: Tenants::Only(vec![tenant.clone()]),
        tenant: Some(tenant),
        subject: "callers/1".into(),
        scopes: Scopes::All,
        service: None,
        token: None,
        suspended: false,
    });
    request
}

#[tokio::test]
async fn rows_come_in_pages_and_to_their_tenant_only() {
    let running = run().await;
    let id = running.accepted("last_7d").await;
    running.ended(id).await;
    let api = ReportApi::new(running.reports.clone(), PageTokens::new(b"key"));
    let name = vocabulary::names::of_report(ACCOUNT, id);
    let mut request = pb::ListReportRowsRequest { name: name.clone(), page_size: 4, ..Default::default() };
    let (mut days, mut pages) = (Vec::new(), 0);
    loop {
        let page = api.list_report_rows(verified("acme", request.clone())).await.unwrap().into_inner();
        days.extend(page.rows.into_iter().map(|row| row.date_start));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((pages, days.len()), (4, 14));
    assert!(days.is_sorted());

    let stolen = api.list_report_rows(verified("other", request)).await.unwrap_err();
    assert_eq!(stolen.code(), rpc::Code::InvalidArgument, "a page token of another tenant");
    let foreign = api.get_report(verified("other", pb::GetReportRequest { name })).await.unwrap_err();
    assert_eq!(foreign.code(), rpc::Code::NotFound);
}

#[tokio::test]
async fn a_file_goes_on_from_any_offset_and_its_digest_is_of_the_whole() {
    let running = run().await;
    let id = running.accepted("last_7d").await;
    let api = ReportApi::new(running.reports.clone(), PageTokens::new(b"key"));
    let name = vocabulary::names::of_report(ACCOUNT, id);
    let export = async |offset: i64| {
        let format = pb::ExportFormat::Csv.into();
        let request = pb::ExportReportRequest { name: name.clone(), format, offset };
        let stream = api.export_report(verified("acme", request)).await?.into_inner();
        let parts: Vec<_> = stream.map(Result::unwrap).collect().await;
        let last = parts.last().unwrap().clone();
        let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.data).collect();
        Ok::<_, tonic::Status>((bytes, last.next_offset, last.sha256))
    };
    assert_eq!(export(0).await.unwrap_err().code(), rpc::Code::FailedPrecondition, "it is still being read");
    running.ended(id).await;
    let (whole, end, digest) = export(0).await.unwrap();
    assert_eq!(usize::try_from(end).unwrap(), whole.len());
    assert_eq!(
        whole.split(|byte| *byte == b'\n').count(),
        16,
        "a head, fourteen rows, and nothing behind the last line end"
    );
    let (rest, _, same) = export(100).await.unwrap();
    assert_eq!((rest.as_slice(), same), (&whole[100..], digest));
}
