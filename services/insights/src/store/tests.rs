//! The store against a real PostgreSQL.

use std::time::Duration;

use graph::insights::Increment;
use jiff::Timestamp;
use proto::insights::v1 as pb;
use storage::{Postgres, PostgresSettings, migrations, operations};
use uuid::Uuid;
use vocabulary::{
    Currency, Day, DayRange,
    ids::{AdAccountId, ReportRunId, TenantId},
};

use super::{Fact, NewReport, Store};
use crate::{
    Error,
    reconcile::Sums,
    report::{Part, Plan, Reconciliation, Report, State},
    reports::KIND,
    run::Run,
    slices::{self, Mode},
};

const ACCOUNT: AdAccountId = AdAccountId::new(1);

struct Fixture {
    store: Store,
    operations: operations::Operations,
    tenant: TenantId,
    id: Uuid,
}

async fn store() -> (Store, operations::Operations) {
    let url = devstack::shared().create_database().await.unwrap();
    let postgres = Postgres::connect(&PostgresSettings::at(url).in_schema(crate::SCHEMA)).await.unwrap();
    migrations::run(&postgres, crate::SCHEMA, &crate::migrations()).await.unwrap();
    (Store::new(postgres.clone()), operations::Operations::new(postgres))
}

/// A store with one report that waits.
async fn fixture() -> Fixture {
    let (store, operations) = store().await;
    let (tenant, id) = ("acme".parse::<TenantId>().unwrap(), Uuid::now_v7());
    let query = pb::Query { fields: vec!["reach".to_owned()], ..pb::Query::default() };
    let mut client = store.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let new = NewReport { tenant: &tenant, id, account: ACCOUNT, subject: "callers/1", query: &query, created: now() };
    store.create(&transaction, new).await.unwrap();
    let row = operations::New { tenant: tenant.as_str(), id, kind: KIND, resource: "r", input: &[], body: b"accepted" };
    operations.create(&transaction, row).await.unwrap();
    transaction.commit().await.unwrap();
    Fixture { store, operations, tenant, id }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn days(since: &str, until: &str) -> DayRange {
    DayRange::new(since.parse().unwrap(), until.parse().unwrap()).unwrap()
}

fn plan() -> Plan {
    Plan {
        currency: Currency::EUR,
        time_zone: "Europe/Berlin".to_owned(),
        days: days("2026-11-01", "2026-11-04"),
        mode: Mode::Async,
        mode_reason: "more than seven days".to_owned(),
    }
}

fn fact(day: &str, impressions: i64) -> Fact {
    Fact {
        date_start: day.parse().unwrap(),
        sums: Sums { impressions, clicks: 1, spend_minor: 100 },
        row: pb::Row { date_start: day.to_owned(), impressions, ..pb::Row::default() },
    }
}

impl Fixture {
    async fn claim(&self) -> operations::Claimed {
        self.operations.claim(&[KIND], Duration::from_secs(30)).await.unwrap().unwrap()
    }

    async fn report(&self) -> Report {
        self.store.report(&self.tenant, Some(ACCOUNT), self.id).await.unwrap().unwrap()
    }

    async fn parts(&self) -> Vec<Part> {
        self.store.parts(&self.tenant, self.id).await.unwrap()
    }

    async fn impressions(&self) -> Vec<i64> {
        let rows = self.store.rows(&self.tenant, self.id, i64::MIN, 100).await.unwrap();
        rows.into_iter().map(|(_, row)| row.impressions).collect()
    }
}

#[tokio::test]
async fn a_report_reads_back_as_it_was_planned_and_ended() {
    let fixture = fixture().await;
    let mut report = fixture.report().await;
    assert_eq!((report.state, report.plan.clone(), report.query.fields.len()), (State::Running, None, 1));
    let claimed = fixture.claim().await;
    let part = Part::new(days("2026-11-01", "2026-11-04"));
    fixture.store.plan(&claimed, &plan(), std::slice::from_ref(&part)).await.unwrap();
    fixture.store.plan(&claimed, &Plan { currency: Currency::USD, ..plan() }, &[]).await.unwrap();
    assert_eq!(fixture.report().await.plan, Some(plan()), "the first plan stays");
    assert_eq!(fixture.parts().await, [part]);

    report.plan = Some(plan());
    report.state = State::Succeeded;
    report.reconciliation = Reconciliation::Matched { control: fact("2026-11-01", 5).sums };
    report.ended = Some(now());
    fixture.store.close(&claimed, &report, b"done").await.unwrap();
    assert_eq!(fixture.report().await, report);
    let operation = fixture.operations.get(fixture.tenant.as_str(), fixture.id).await.unwrap().unwrap();
    assert!(operation.done && operation.body == b"done");
}

#[tokio::test]
async fn every_state_of_a_slice_survives_the_store() {
    let fixture = fixture().await;
    let claimed = fixture.claim().await;
    let part = Part::new(days("2026-11-01", "2026-11-04"));
    fixture.store.plan(&claimed, &plan(), std::slice::from_ref(&part)).await.unwrap();
    let job = ReportRunId::new(6_023_920_149_050);
    for run in [
        Run::Pending,
        Run::Polling { job, since: now(), percent: 40 },
        Run::Reading { job: Some(job), after: Some("MTA".to_owned()) },
        Run::Reading { job: None, after: None },
        Run::Done,
        Run::Failed,
    ] {
        let part = Part { run, tries: 2, ..part.clone() };
        fixture.store.save_part(&claimed, &part).await.unwrap();
        assert_eq!(fixture.parts().await, [part]);
    }
}

#[tokio::test]
async fn a_page_is_kept_with_the_cursor_behind_it_and_rows_stay_in_order() {
    let fixture = fixture().await;
    let claimed = fixture.claim().await;
    let (first, second) = slices::halves(plan().days, Increment::Days(1)).unwrap();
    fixture.store.plan(&claimed, &plan(), &[Part::new(first), Part::new(second)]).await.unwrap();

    // The later slice is read first, and its rows still come last.
    let late = Part { run: Run::Done, row_count: 1, ..Part::new(second) };
    fixture.store.keep_page(&claimed, &late, 0, &[fact("2026-11-03", 9)], now()).await.unwrap();
    let reading = Run::Reading { job: None, after: Some("a".to_owned()) };
    let early = Part { run: reading.clone(), row_count: 2, ..Part::new(first) };
    let page = [fact("2026-11-02", 3), fact("2026-11-01", 1)];
    fixture.store.keep_page(&claimed, &early, 0, &page, now()).await.unwrap();
    let early = Part { run: Run::Done, row_count: 3, ..early };
    fixture.store.keep_page(&claimed, &early, 2, &[fact("2026-11-02", 4)], now()).await.unwrap();

    assert_eq!(fixture.impressions().await, [3, 1, 4, 9]);
    let sums = fixture.store.sums_by_day(&fixture.tenant, fixture.id).await.unwrap();
    let second_of_november: Day = "2026-11-02".parse().unwrap();
    assert_eq!(sums[&second_of_november], Sums { impressions: 7, clicks: 2, spend_minor: 200 });
    assert_eq!(fixture.report().await.data_time, Some(now()));

    let (place, _) = fixture.store.rows(&fixture.tenant, fixture.id, i64::MIN, 3).await.unwrap()[2].clone();
    assert_eq!(fixture.store.rows(&fixture.tenant, fixture.id, place, 3).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_slice_that_is_cut_forgets_its_rows_and_no_others() {
    let fixture = fixture().await;
    let claimed = fixture.claim().await;
    let (first, second) = (days("2026-11-01", "2026-11-02"), days("2026-11-03", "2026-11-04"));
    fixture.store.plan(&claimed, &plan(), &[Part::new(first), Part::new(second)]).await.unwrap();
    for (part, day, impressions) in [(first, "2026-11-02", 1), (second, "2026-11-03", 2)] {
        let part = Part { row_count: 1, ..Part::new(part) };
        fixture.store.keep_page(&claimed, &part, 0, &[fact(day, impressions)], now()).await.unwrap();
    }
    let (a, b) = slices::halves(first, Increment::Days(1)).unwrap();
    fixture.store.replace_part(&claimed, &Part::new(first), &[Part::new(a), Part::new(b)]).await.unwrap();
    assert_eq!(fixture.impressions().await, [2]);
    assert_eq!(fixture.parts().await.len(), 3);

    fixture.store.read_again(&claimed, &[Part::new(second)]).await.unwrap();
    assert!(fixture.impressions().await.is_empty());
    assert_eq!(fixture.report().await.rereads, 1);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_writes_nothing() {
    let fixture = fixture().await;
    let lost = fixture.operations.claim(&[KIND], Duration::ZERO).await.unwrap().unwrap();
    let claimed = fixture.claim().await;
    let part = Part::new(plan().days);
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::Store(storage::Error::Fenced)));
    assert!(refused(fixture.store.plan(&lost, &plan(), std::slice::from_ref(&part)).await));
    assert!(fixture.report().await.plan.is_none());

    fixture.store.plan(&claimed, &plan(), std::slice::from_ref(&part)).await.unwrap();
    assert!(refused(fixture.store.save_part(&lost, &Part { run: Run::Failed, ..part.clone() }).await));
    assert!(refused(fixture.store.keep_page(&lost, &part, 0, &[fact("2026-11-01", 1)], now()).await));
    assert!(refused(fixture.store.replace_part(&lost, &part, &[]).await));
    let ended = Report { state: State::Failed, ended: Some(now()), ..fixture.report().await };
    assert!(refused(fixture.store.close(&lost, &ended, b"").await));
    assert_eq!(fixture.parts().await, [part]);
    assert!(fixture.impressions().await.is_empty());
    assert_eq!(fixture.report().await.state, State::Running);
}

#[tokio::test]
async fn a_report_is_seen_by_its_tenant_and_under_its_account_only() {
    let fixture = fixture().await;
    let other: TenantId = "other".parse().unwrap();
    let (store, id) = (&fixture.store, fixture.id);
    assert!(store.report(&other, Some(ACCOUNT), id).await.unwrap().is_none());
    assert!(store.report(&fixture.tenant, Some(AdAccountId::new(2)), id).await.unwrap().is_none());
    assert!(store.reports(&other, ACCOUNT, None, 10).await.unwrap().is_empty());
    assert_eq!(store.reports(&fixture.tenant, ACCOUNT, None, 10).await.unwrap().len(), 1);
    assert!(store.reports(&fixture.tenant, ACCOUNT, Some(id), 10).await.unwrap().is_empty());
}
