//! Against a real PostgreSQL, a database per test.

use std::time::Duration;

use graph::audiences::Audience;
use jiff::{SignedDuration, Timestamp};
use storage::{PostgresSettings, operations::New};
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, AudienceId, TenantId};

use super::*;
use crate::row::Form;

const STALE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(60);
const ROWS_MAX: i64 = 10_000;

pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

pub(crate) async fn postgres() -> storage::Postgres {
    let url = devstack::shared().create_database().await.unwrap();
    let postgres = storage::Postgres::connect(&PostgresSettings::at(url).in_schema(crate::SCHEMA)).await.unwrap();
    storage::migrations::run(&postgres, crate::SCHEMA, &crate::migrations()).await.unwrap();
    postgres
}

fn account() -> AdAccountId {
    AdAccountId::new(1)
}

pub(crate) fn audience(id: u64, subtype: &str) -> Audience {
    let json = serde_json::json!({ "id": id.to_string(), "name": "Buyers", "subtype": subtype });
    serde_json::from_value(json).unwrap()
}

pub(crate) fn new_job(request: u128) -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        account: account(),
        audience: AudienceId::new(5),
        request_id: Uuid::from_u128(request),
        subject: "callers/test".to_owned(),
        mode: Mode::Add,
        form: Form::Raw,
        now: now(),
        expires: now() + SignedDuration::from_hours(7 * 24),
    }
}

fn part(sequence: i64, rows: usize, errors: Vec<NewError>) -> NewPart {
    let rejected: std::collections::BTreeSet<usize> =
        errors.iter().filter(|error| error.row_rejected).map(|error| error.row).collect();
    NewPart {
        actor: "callers/ada".to_owned(),
        resource: "jobs/1".to_owned(),
        sequence,
        rows,
        accepted: rows - rejected.len(),
        dropped: errors.iter().filter(|error| !error.row_rejected).count(),
        keys: 1 << sequence,
        sealed: vec![7; 3],
        errors,
    }
}

fn flaw(row: usize, field: &'static str, row_rejected: bool) -> NewError {
    NewError { row, field, reason: "EMAIL_MALFORMED", row_rejected }
}

pub(crate) fn new_creation(request: u128, name: &str) -> NewCreation {
    NewCreation {
        request_id: Uuid::from_u128(request),
        fingerprint: [1; 32],
        account: account(),
        name: name.to_owned(),
        description: String::new(),
        customer_file_source: "USER_PROVIDED_ONLY".to_owned(),
        marker: "[adplane:1]".to_owned(),
        subject: "callers/test".to_owned(),
    }
}

/// A create that was sent.
pub(crate) async fn lost_creation(store: &Store) -> Creation {
    store.begin(&tenant(), &new_creation(1, "Buyers"), STALE).await.unwrap();
    store.sending(&tenant(), Uuid::from_u128(1), false).await.unwrap();
    store.creation(&tenant(), Uuid::from_u128(1)).await.unwrap().unwrap()
}

fn operation(id: Uuid, tenant: &str) -> New<'_> {
    New { tenant, id, kind: "test", resource: "adAccounts/act_1", input: b"", body: b"" }
}

#[tokio::test]
async fn a_job_is_opened_once_per_request() {
    let store = Store::new(postgres().await);
    let job = store.open_job(&tenant(), &new_job(1)).await.unwrap();
    assert_eq!(store.open_job(&tenant(), &new_job(1)).await.unwrap().id, job.id);
    assert_ne!(store.open_job(&tenant(), &new_job(2)).await.unwrap().id, job.id);
    let other: TenantId = "brand".parse().unwrap();
    assert!(store.job(&other, job.id).await.unwrap().is_none());
    assert_ne!(store.open_job(&other, &new_job(1)).await.unwrap().id, job.id);
}

#[tokio::test]
async fn parts_count_once_and_in_order() {
    let store = Store::new(postgres().await);
    let job = store.open_job(&tenant(), &new_job(1)).await.unwrap();
    let add = |part: NewPart| {
        let (store, tenant, id) = (store.clone(), tenant(), job.id);
        async move { store.store_part(&tenant, id, &part, ROWS_MAX, now()).await.unwrap() }
    };
    assert_eq!(add(part(2, 5, vec![])).await, Stored::Gap { next_sequence: 1 });
    assert_eq!(
        add(part(1, 5, vec![flaw(1, "email", true), flaw(1, "phone", true)])).await,
        Stored::New { first_row: 0 }
    );
    assert_eq!(add(part(1, 5, vec![])).await, Stored::Before);
    assert_eq!(add(part(2, 3, vec![flaw(0, "gender", false)])).await, Stored::New { first_row: 5 });
    let job = store.job(&tenant(), job.id).await.unwrap().unwrap();
    assert_eq!((job.next_sequence, job.rows_seen, job.rows_accepted, job.rows_rejected), (3, 8, 7, 1));
    assert_eq!((job.fields_dropped, job.keys), (1, 0b110));
    assert_eq!(add(part(3, 9_993, vec![])).await, Stored::Full);
    assert_eq!(
        store.store_part(&tenant(), Uuid::nil(), &part(1, 1, vec![]), ROWS_MAX, now()).await.unwrap(),
        Stored::Missing
    );
}

#[tokio::test]
async fn errors_are_listed_by_row_and_page_and_effect() {
    let store = Store::new(postgres().await);
    let job = store.open_job(&tenant(), &new_job(1)).await.unwrap();
    let errors = vec![flaw(1, "email", true), flaw(1, "phone", true), flaw(3, "gender", false)];
    store.store_part(&tenant(), job.id, &part(1, 5, errors), ROWS_MAX, now()).await.unwrap();
    store.store_part(&tenant(), job.id, &part(2, 5, vec![flaw(0, "zip", false)]), ROWS_MAX, now()).await.unwrap();
    let page = store.errors(&tenant(), job.id, None, (-1, 0), 2).await.unwrap();
    let told = |page: &[StoredError]| page.iter().map(|error| (error.row, error.field.clone())).collect::<Vec<_>>();
    assert_eq!(told(&page), [(1, "email".to_owned()), (1, "phone".to_owned())]);
    let rest = store.errors(&tenant(), job.id, None, (page[1].row, page[1].number), 9).await.unwrap();
    assert_eq!(told(&rest), [(3, "gender".to_owned()), (5, "zip".to_owned())]);
    assert_eq!(store.errors(&tenant(), job.id, Some(false), (-1, 0), 9).await.unwrap(), rest);
}

#[tokio::test]
async fn a_job_runs_once_and_its_rows_go_when_it_ends() {
    let store = Store::new(postgres().await);
    let job = store.open_job(&tenant(), &new_job(1)).await.unwrap();
    store.store_part(&tenant(), job.id, &part(1, 5, vec![]), ROWS_MAX, now()).await.unwrap();
    let id = Uuid::now_v7();
    assert!(store.start_job(&job, "callers/test", operation(id, "acme"), now()).await.unwrap());
    assert!(!store.start_job(&job, "callers/test", operation(Uuid::now_v7(), "acme"), now()).await.unwrap());
    let closed = store.store_part(&tenant(), job.id, &part(2, 5, vec![]), ROWS_MAX, now()).await.unwrap();
    assert_eq!(closed, Stored::Closed);

    let claimed = store.operations().claim(&["test"], LEASE).await.unwrap().unwrap();
    let session = Session {
        number: 0,
        meta_id: 77,
        first_sequence: 1,
        last_sequence: 1,
        rows: 5,
        sent: false,
        received: 0,
        invalid: 0,
    };
    store.plan_sessions(&tenant(), job.id, &[session]).await.unwrap();
    store.plan_sessions(&tenant(), job.id, &[Session { meta_id: 78, ..session }]).await.unwrap();
    assert_eq!(store.sessions(&tenant(), job.id).await.unwrap(), [session], "a plan that stands stays");
    let sent = Session { sent: true, received: 5, invalid: 1, ..session };
    store.session_sent(&claimed, &job, &sent, None).await.unwrap();
    assert_eq!(store.sessions(&tenant(), job.id).await.unwrap(), [sent]);
    assert_eq!(store.sealed(&tenant(), job.id, 1, 1).await.unwrap(), [(1, vec![7; 3])]);

    store.end_job(&job, (JobState::Succeeded, Rows::Erased), &claimed, b"", now()).await.unwrap();
    assert!(store.sealed(&tenant(), job.id, 1, 1).await.unwrap().is_empty());
    assert_eq!(store.job(&tenant(), job.id).await.unwrap().unwrap().state, JobState::Succeeded);
    let again = store.end_job(&job, (JobState::Failed, Rows::Erased), &claimed, b"", now()).await;
    assert!(again.unwrap_err().is_fenced());
}

#[tokio::test]
async fn an_open_jobs_rows_go_after_seven_days() {
    let store = Store::new(postgres().await);
    let job = store.open_job(&tenant(), &new_job(1)).await.unwrap();
    store.store_part(&tenant(), job.id, &part(1, 5, vec![flaw(0, "zip", false)]), ROWS_MAX, now()).await.unwrap();
    assert_eq!(store.expire_jobs(now() + SignedDuration::from_hours(167)).await.unwrap(), 0);
    assert_eq!(store.expire_jobs(now() + SignedDuration::from_hours(168)).await.unwrap(), 1);
    assert!(store.sealed(&tenant(), job.id, 1, 1).await.unwrap().is_empty());
    assert_eq!(store.job(&tenant(), job.id).await.unwrap().unwrap().state, JobState::Expired);
    let later = now() + SignedDuration::from_hours(31 * 24);
    assert_eq!(store.sweep_jobs(later, Duration::from_hours(30 * 24)).await.unwrap(), 1);
    assert!(store.errors(&tenant(), job.id, None, (-1, 0), 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_create_belongs_to_one_and_is_told_apart_by_its_key() {
    let store = Store::new(postgres().await);
    assert!(matches!(store.begin(&tenant(), &new_creation(1, "Buyers"), STALE).await.unwrap(), Begun::Mine));
    let again = store.begin(&tenant(), &new_creation(1, "Buyers"), STALE).await.unwrap();
    assert!(matches!(again, Begun::Earlier(earlier) if earlier.state == CreationState::Prepared));
    assert!(matches!(store.begin(&tenant(), &new_creation(2, "Buyers"), STALE).await.unwrap(), Begun::Blocked));
    assert!(matches!(store.begin(&tenant(), &new_creation(3, "Lookers"), STALE).await.unwrap(), Begun::Mine));
    assert!(store.sending(&tenant(), Uuid::from_u128(1), false).await.unwrap());
    assert!(!store.sending(&tenant(), Uuid::from_u128(1), false).await.unwrap(), "only one sends");
    let taken_over = store.begin(&tenant(), &new_creation(3, "Lookers"), Duration::ZERO).await.unwrap();
    assert!(matches!(taken_over, Begun::Mine), "nothing was sent for it");
}

#[tokio::test]
async fn a_lost_create_becomes_an_operation_and_then_an_audience() {
    let store = Store::new(postgres().await);
    store.begin(&tenant(), &new_creation(1, "Buyers"), STALE).await.unwrap();
    store.sending(&tenant(), Uuid::from_u128(1), false).await.unwrap();
    assert_eq!(store.abandoned(Duration::ZERO).await.unwrap().len(), 1);
    let creation = store.creation(&tenant(), Uuid::from_u128(1)).await.unwrap().unwrap();
    let id = Uuid::now_v7();
    assert_eq!(store.unknown(&creation, operation(id, "acme")).await.unwrap(), id);
    assert_eq!(store.unknown(&creation, operation(Uuid::now_v7(), "acme")).await.unwrap(), id, "the first one stays");
    assert_eq!(store.looked(&tenant(), Uuid::from_u128(1)).await.unwrap(), 1);

    let claimed = store.operations().claim(&["test"], LEASE).await.unwrap().unwrap();
    store.created(&creation, &audience(9, "CUSTOM"), now(), None, Some((&claimed, b"done"))).await.unwrap();
    let creation = store.creation(&tenant(), Uuid::from_u128(1)).await.unwrap().unwrap();
    assert_eq!(creation.state, CreationState::Done(AudienceId::new(9)));
    assert!(store.operations().get("acme", id).await.unwrap().unwrap().done);
    assert!(store.audience(&tenant(), account(), AudienceId::new(9)).await.unwrap().is_some());
    assert!(matches!(store.begin(&tenant(), &new_creation(2, "Buyers"), STALE).await.unwrap(), Begun::Mine));
}

#[tokio::test]
async fn a_create_that_surely_failed_frees_its_key() {
    let store = Store::new(postgres().await);
    store.begin(&tenant(), &new_creation(1, "Buyers"), STALE).await.unwrap();
    store.sending(&tenant(), Uuid::from_u128(1), false).await.unwrap();
    store.withdraw(&tenant(), Uuid::from_u128(1)).await.unwrap();
    assert!(matches!(store.begin(&tenant(), &new_creation(1, "Buyers"), STALE).await.unwrap(), Begun::Mine));
}

#[tokio::test]
async fn what_was_read_of_audiences_is_kept_by_account_and_newest() {
    let store = Store::new(postgres().await);
    let read = [audience(1, "CUSTOM"), audience(2, "LOOKALIKE"), audience(3, "CUSTOM")];
    store.keep(&tenant(), account(), &read, now()).await.unwrap();
    assert_eq!(store.listed_at(&tenant(), account()).await.unwrap(), None);
    store.listed(&tenant(), account(), now()).await.unwrap();
    let ids = |listed: Listed<'static>| {
        let store = store.clone();
        async move {
            let found = store.audiences(&tenant(), account(), listed).await.unwrap();
            found.iter().map(|audience| audience.id.get()).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids(Listed { subtype: "", after: None, size: 2 }).await, [1, 2]);
    assert_eq!(ids(Listed { subtype: "CUSTOM", after: Some(AudienceId::new(1)), size: 9 }).await, [3]);

    let later = now() + SignedDuration::from_secs(60);
    store.keep(&tenant(), account(), &[audience(1, "OLD")], now() - SignedDuration::from_secs(1)).await.unwrap();
    assert_eq!(ids(Listed { subtype: "OLD", after: None, size: 9 }).await, [0; 0], "older news change nothing");
    store.keep(&tenant(), account(), &[audience(1, "CUSTOM")], later).await.unwrap();
    store.listed(&tenant(), account(), later).await.unwrap();
    assert_eq!(ids(Listed { subtype: "", after: None, size: 9 }).await, [1], "what was not seen again is gone");
    store.forget(&tenant(), account(), AudienceId::new(1), ("callers/test", None), None).await.unwrap();
    assert_eq!(ids(Listed { subtype: "", after: None, size: 9 }).await, [0; 0]);
}
