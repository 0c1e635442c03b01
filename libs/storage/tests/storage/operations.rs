//! The queue of long work, against a real PostgreSQL.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::TENANT;
use storage::operations::{Listing, New, Operations};
use storage::{Error, Postgres, audit};
use uuid::Uuid;

const LEASE: Duration = Duration::from_mins(1);

async fn operations() -> (Postgres, Operations) {
    let postgres = crate::support::migrated().await;
    (postgres.clone(), Operations::new(postgres))
}

async fn create(postgres: &Postgres, operations: &Operations) -> Uuid {
    let id = Uuid::now_v7();
    let new = New { tenant: TENANT, id, kind: "test.run", resource: "things/1", input: b"input", body: b"body" };
    operations.create(&postgres.client().await.unwrap(), new).await.unwrap();
    id
}

/// Somebody of this tenant asks for an end.
fn stop(tenant: &str) -> audit::Entry<'_> {
    audit::Entry {
        tenant,
        actor: "callers/ada",
        action: "operation.cancel",
        resource: "operations/test-1",
        request_id: None,
        detail: serde_json::json!({}),
    }
}

/// Ends all leases and waits at once: turns the clock without waiting.
async fn let_time_pass(postgres: &Postgres) {
    const SQL: &str = "UPDATE operations SET due_at = due_at - interval '1 hour'";
    postgres.client().await.unwrap().execute(SQL, &[]).await.unwrap();
}

#[tokio::test]
async fn work_is_claimed_once_however_many_ask_at_once() {
    let (postgres, operations) = operations().await;
    let mut made = BTreeSet::new();
    for _ in 0..40 {
        made.insert(create(&postgres, &operations).await);
    }
    let claims = futures::future::join_all((0..60).map(|_| operations.claim(&["test.run"], LEASE))).await;
    let claimed: Vec<_> = claims.into_iter().filter_map(|claim| claim.unwrap()).map(|work| work.id).collect();
    // SKIP LOCKED lets a caller leave with nothing while others hold the rows it looked at; none is given twice.
    let unique: BTreeSet<_> = claimed.iter().copied().collect();
    assert_eq!(claimed.len(), unique.len());
    let mut all = unique;
    while let Some(work) = operations.claim(&["test.run"], LEASE).await.unwrap() {
        assert!(all.insert(work.id), "claimed twice");
    }
    assert_eq!(all, made);
}

#[tokio::test]
async fn other_kinds_are_left_to_others() {
    let (postgres, operations) = operations().await;
    create(&postgres, &operations).await;
    assert!(operations.claim(&["other"], LEASE).await.unwrap().is_none());
}

#[tokio::test]
async fn a_worker_whose_lease_ended_is_fenced_off() {
    let (postgres, operations) = operations().await;
    let id = create(&postgres, &operations).await;
    let late = operations.claim(&["test.run"], LEASE).await.unwrap().unwrap();
    assert_eq!((late.input.as_slice(), late.body.as_slice(), late.attempt), (&b"input"[..], &b"body"[..], 1));
    let_time_pass(&postgres).await;
    let current = operations.claim(&["test.run"], LEASE).await.unwrap().unwrap();
    assert!(current.fence > late.fence && current.attempt == 2);

    assert!(matches!(operations.progress(&late, b"late").await, Err(Error::Fenced)));
    assert!(matches!(operations.postpone(&late, LEASE, b"late").await, Err(Error::Fenced)));
    assert!(matches!(operations.finish(&late, b"late").await, Err(Error::Fenced)));
    let mut client = postgres.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    assert!(matches!(operations.hold(&transaction, &late).await, Err(Error::Fenced)));
    operations.hold(&transaction, &current).await.unwrap();
    transaction.commit().await.unwrap();

    operations.finish(&current, b"done").await.unwrap();
    let stored = operations.get(TENANT, id).await.unwrap().unwrap();
    assert!(stored.done && stored.body == b"done");
    assert!(matches!(operations.finish(&current, b"again").await, Err(Error::Fenced)));
    let_time_pass(&postgres).await;
    assert!(operations.claim(&["test.run"], LEASE).await.unwrap().is_none());
}

#[tokio::test]
async fn progress_extends_the_lease_and_tells_of_a_cancellation() {
    let (postgres, operations) = operations().await;
    let id = create(&postgres, &operations).await;
    let work = operations.claim(&["test.run"], LEASE).await.unwrap().unwrap();
    let_time_pass(&postgres).await;
    assert!(!operations.progress(&work, b"half").await.unwrap().cancel_requested);
    assert!(operations.claim(&["test.run"], LEASE).await.unwrap().is_none());
    assert!(operations.cancel(id, stop(TENANT)).await.unwrap().unwrap().cancel_requested);
    assert!(operations.progress(&work, b"more").await.unwrap().cancel_requested);
}

#[tokio::test]
async fn postponed_work_waits_until_it_is_cancelled() {
    let (postgres, operations) = operations().await;
    let id = create(&postgres, &operations).await;
    let work = operations.claim(&["test.run"], LEASE).await.unwrap().unwrap();
    operations.postpone(&work, Duration::from_hours(1), b"waiting").await.unwrap();
    assert!(operations.claim(&["test.run"], LEASE).await.unwrap().is_none());
    operations.cancel(id, stop(TENANT)).await.unwrap().unwrap();
    let work = operations.claim(&["test.run"], LEASE).await.unwrap().unwrap();
    assert!(work.cancel_requested && work.body == b"waiting");
    // A worker that must wait although it was cancelled, to tidy up, is not woken again and again.
    operations.postpone(&work, Duration::from_hours(1), b"tidying").await.unwrap();
    assert!(operations.claim(&["test.run"], LEASE).await.unwrap().is_none());
}

#[tokio::test]
async fn the_first_who_asks_for_an_end_is_in_the_audit_and_nobody_who_asks_in_vain() {
    let (postgres, operations) = operations().await;
    let id = create(&postgres, &operations).await;
    let told = async || {
        let client = postgres.client().await.unwrap();
        let listing = audit::Listing { size: 10, ..audit::Listing::default() };
        audit::list(&client, TENANT, listing).await.unwrap().len()
    };
    assert!(operations.cancel(Uuid::now_v7(), stop(TENANT)).await.unwrap().is_none());
    assert!(operations.cancel(id, stop("other")).await.unwrap().is_none());
    assert_eq!(told().await, 0);
    for _ in 0..2 {
        assert!(operations.cancel(id, stop(TENANT)).await.unwrap().unwrap().cancel_requested);
        assert_eq!(told().await, 1);
    }
    let ended = create(&postgres, &operations).await;
    let mut work = operations.claim(&["test.run"], LEASE).await.unwrap().unwrap();
    if work.id != ended {
        work = operations.claim(&["test.run"], LEASE).await.unwrap().unwrap();
    }
    operations.finish(&work, b"done").await.unwrap();
    assert!(!operations.cancel(ended, stop(TENANT)).await.unwrap().unwrap().cancel_requested);
    assert_eq!(told().await, 1);
}

#[tokio::test]
async fn another_tenant_sees_and_cancels_nothing() {
    let (postgres, operations) = operations().await;
    let id = create(&postgres, &operations).await;
    assert!(operations.get("other", id).await.unwrap().is_none());
    assert!(operations.cancel(id, stop("other")).await.unwrap().is_none());
    let listing = Listing { size: 10, ..Listing::default() };
    assert!(operations.list("other", listing).await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_are_paged_newest_first() {
    let (postgres, operations) = operations().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(create(&postgres, &operations).await);
    }
    made.sort();
    made.reverse();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = operations.list(TENANT, Listing { size: 2, after, ..Listing::default() }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|operation| operation.id));
    }
    assert_eq!(seen, made);
    let done = Listing { size: 10, done: Some(true), ..Listing::default() };
    assert!(operations.list(TENANT, done).await.unwrap().is_empty());
    let elsewhere = Listing { size: 10, resource: "things/2", ..Listing::default() };
    assert!(operations.list(TENANT, elsewhere).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_what_ended_long_ago_is_swept() {
    let (postgres, operations) = operations().await;
    create(&postgres, &operations).await;
    let work = operations.claim(&["test.run"], LEASE).await.unwrap().unwrap();
    assert_eq!(operations.sweep(Duration::ZERO).await.unwrap(), 0);
    operations.finish(&work, b"done").await.unwrap();
    assert_eq!(operations.sweep(Duration::from_hours(1)).await.unwrap(), 0);
    assert_eq!(operations.sweep(Duration::ZERO).await.unwrap(), 1);
}
