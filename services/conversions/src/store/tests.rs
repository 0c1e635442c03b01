//! Against a real PostgreSQL, a database per test.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use storage::{Postgres, PostgresSettings};
use uuid::Uuid;
use vocabulary::ids::{DatasetId, TenantId};

use super::*;
use crate::check::Checked;

const LEASE: Duration = Duration::from_secs(60);
const SIZE: usize = 1_000;

pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

pub(crate) async fn postgres() -> Postgres {
    let url = devstack::shared().create_database().await.unwrap();
    let postgres = Postgres::connect(&PostgresSettings::at(url).in_schema(crate::SCHEMA)).await.unwrap();
    storage::migrations::run(&postgres, crate::SCHEMA, &crate::migrations()).await.unwrap();
    postgres
}

pub(crate) fn event(id: &str) -> Checked {
    Checked {
        event_name: "Purchase".to_owned(),
        event_id: id.to_owned(),
        event_time: now(),
        deadline: now() + SignedDuration::from_hours(7 * 24),
        payload: format!(r#"{{"event_id":"{id}"}}"#),
    }
}

pub(crate) async fn ingest(store: &Store, dataset: u64, events: &[Checked]) -> Vec<Ingested> {
    ingest_as(store, dataset, events, None).await
}

async fn ingest_as(store: &Store, dataset: u64, events: &[Checked], request_id: Option<Uuid>) -> Vec<Ingested> {
    let events: Vec<&Checked> = events.iter().collect();
    let batch = Batch {
        tenant: &tenant(),
        dataset: DatasetId::new(dataset),
        subject: "callers/test",
        now: now(),
        request_id,
        test_event_code: None,
        events: &events,
    };
    let known = store.ingest(batch).await.unwrap();
    events.iter().map(|event| known[&(event.event_name.clone(), event.event_id.clone())]).collect()
}

async fn unknown_since(store: &Store) -> Option<Timestamp> {
    let client = store.postgres.client().await.unwrap();
    client.query_one("SELECT unknown_time FROM events", &[]).await.unwrap().get(0)
}

async fn state(store: &Store, id: &str) -> EventState {
    store.find(&tenant(), DatasetId::new(2), id, "").await.unwrap()[0].state
}

#[tokio::test]
async fn an_event_is_taken_once_and_its_repeats_are_counted() {
    let store = Store::new(postgres().await);
    let request = Uuid::from_u128(1);
    assert_eq!(ingest_as(&store, 2, &[event("1"), event("2")], Some(request)).await, [Ingested::New; 2]);
    assert_eq!(ingest(&store, 2, &[event("2"), event("3")]).await, [Ingested::Known, Ingested::New]);
    let repeated = ingest_as(&store, 2, &[event("1")], Some(request)).await;
    assert_eq!(repeated, [Ingested::Repeated(EventState::Pending)]);
    let counts: Vec<i64> = [
        store.find(&tenant(), DatasetId::new(2), "1", "").await.unwrap()[0].deduplicated,
        store.find(&tenant(), DatasetId::new(2), "2", "").await.unwrap()[0].deduplicated,
    ]
    .into();
    assert_eq!(counts, [0, 1]);
}

#[tokio::test]
async fn the_same_id_under_another_name_or_dataset_is_another_event() {
    let store = Store::new(postgres().await);
    let lead = Checked { event_name: "Lead".to_owned(), ..event("1") };
    assert_eq!(ingest(&store, 2, &[event("1"), lead]).await, [Ingested::New; 2]);
    assert_eq!(ingest(&store, 3, &[event("1")]).await, [Ingested::New]);
    assert_eq!(store.find(&tenant(), DatasetId::new(2), "1", "").await.unwrap().len(), 2);
    assert_eq!(store.find(&tenant(), DatasetId::new(2), "1", "Lead").await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1")]).await;
    let other: TenantId = "brand".parse().unwrap();
    assert!(store.find(&other, DatasetId::new(2), "1", "").await.unwrap().is_empty());
    assert_eq!(store.stats(&other, DatasetId::new(2), Timestamp::UNIX_EPOCH).await.unwrap(), Stats::default());
    assert!(store.dead_letters(&other, DatasetId::new(2), "", None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_claimed_is_claimed_by_one() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1"), event("2")]).await;
    let claim = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    assert_eq!((claim.dataset, claim.events.len()), (DatasetId::new(2), 2));
    assert!(store.claim(SIZE, LEASE).await.unwrap().is_none());
    assert_eq!(state(&store, "1").await, EventState::Sending);
}

#[tokio::test]
async fn a_lapsed_lease_is_taken_over_and_the_first_holder_changes_nothing() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1")]).await;
    let first = store.claim(SIZE, Duration::ZERO).await.unwrap().unwrap();
    let second = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    assert!(second.fence > first.fence);
    assert_eq!(second.events[0].attempt, 2);
    assert_eq!(store.delivered(&first, &first.events, None).await.unwrap(), 0);
    assert_eq!(store.bury(&first, &first.events, &[], None).await.unwrap(), 0);
    assert_eq!(store.renew(&first, LEASE).await.unwrap(), 0);
    assert_eq!(state(&store, "1").await, EventState::Sending);
    assert_eq!(store.delivered(&second, &second.events, Some("A1")).await.unwrap(), 1);
    assert_eq!(state(&store, "1").await, EventState::Delivered);
}

#[tokio::test]
async fn an_event_whose_holder_died_while_sending_is_unknown_since_that_send() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1")]).await;
    let first = store.claim(SIZE, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(first.events[0].unknown_since, None, "nothing was sent before");
    let sent = store.find(&tenant(), DatasetId::new(2), "1", "").await.unwrap()[0].send_time;
    let second = store.claim(SIZE, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(second.events[0].unknown_since, sent);
    let third = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    assert_eq!(third.events[0].unknown_since, sent, "the first lost answer counts");
    assert_eq!(unknown_since(&store).await, sent);
}

#[tokio::test]
async fn what_was_put_back_unsent_is_not_unknown() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1")]).await;
    let first = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    store.put_back(&first, &first.events, Duration::ZERO, false, &[]).await.unwrap();
    assert_eq!(store.claim(SIZE, LEASE).await.unwrap().unwrap().events[0].unknown_since, None);
}

#[tokio::test]
async fn a_dead_letter_is_repaired_by_sending_it_anew() {
    let store = Store::new(postgres().await);
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    ingest_as(&store, 2, &[event("1"), event("2")], Some(one)).await;
    let claim = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    store.bury(&claim, &claim.events, b"why", Some("A1")).await.unwrap();
    let dead = Ingested::Repeated(EventState::Dead);
    assert_eq!(ingest_as(&store, 2, &[event("1")], Some(one)).await, [dead], "the same request repairs nothing");
    let good = Checked { payload: r#"{"event_id":"1","good":true}"#.to_owned(), ..event("1") };
    assert_eq!(ingest_as(&store, 2, &[event("3"), good.clone()], Some(two)).await, [Ingested::New; 2]);
    let entry = store.find(&tenant(), DatasetId::new(2), "1", "").await.unwrap().remove(0);
    assert_eq!((entry.state, entry.attempts, entry.error, entry.fbtrace_id), (EventState::Pending, 0, None, None));
    assert_eq!(state(&store, "2").await, EventState::Dead);
    let again = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    let sent = again.events.iter().find(|event| event.event_id == "1").unwrap();
    assert_eq!((sent.payload.as_str(), sent.attempt), (good.payload.as_str(), 1));
    assert_eq!(store.bury(&claim, &claim.events, &[], None).await.unwrap(), 0, "the old claim changes nothing");
}

#[tokio::test]
async fn a_dead_letter_that_meta_may_have_stays_dead_and_is_told_so() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1")]).await;
    store.claim(SIZE, Duration::ZERO).await.unwrap().unwrap();
    let claim = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    store.bury(&claim, &claim.events, b"why", None).await.unwrap();
    assert_eq!(ingest(&store, 2, &[event("1")]).await, [Ingested::Lost]);
    assert_eq!(state(&store, "1").await, EventState::Dead);
}

#[tokio::test]
async fn many_repairs_at_once_are_one() {
    let store = Store::new(postgres().await);
    let events: Vec<Checked> = (0..50).map(|id| event(&id.to_string())).collect();
    ingest(&store, 2, &events).await;
    let claim = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    store.bury(&claim, &claim.events, b"why", None).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for turn in 0..8 {
        let (store, mut events) = (store.clone(), events.clone());
        events.rotate_left(turn * 5);
        tasks.spawn(async move { ingest(&store, 2, &events).await });
    }
    let new = tasks.join_all().await.into_iter().flatten().filter(|one| *one == Ingested::New).count();
    assert_eq!(new, 50);
}

#[tokio::test]
async fn a_delivered_event_has_no_payload_any_more() {
    let postgres = postgres().await;
    let store = Store::new(postgres.clone());
    ingest(&store, 2, &[event("1")]).await;
    let claim = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    store.delivered(&claim, &claim.events, Some("A1")).await.unwrap();
    let row = postgres.client().await.unwrap().query_one("SELECT payload IS NULL FROM events", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
    let entry = &store.find(&tenant(), DatasetId::new(2), "1", "").await.unwrap()[0];
    assert_eq!(entry.fbtrace_id.as_deref(), Some("A1"));
    assert!(entry.acknowledge_time.is_some());
}

#[tokio::test]
async fn what_is_put_back_waits_and_keeps_its_first_unknown_try() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1")]).await;
    let first = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    store.put_back(&first, &first.events, Duration::ZERO, true, b"why").await.unwrap();
    let second = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    let since = second.events[0].unknown_since.unwrap();
    store.put_back(&second, &second.events, Duration::ZERO, true, b"why").await.unwrap();
    let third = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    assert_eq!(third.events[0].unknown_since, Some(since));
    store.put_back(&third, &third.events, LEASE, false, b"why").await.unwrap();
    assert!(store.claim(SIZE, LEASE).await.unwrap().is_none());
    assert_eq!(state(&store, "1").await, EventState::Pending);
}

#[tokio::test]
async fn datasets_take_turns_and_a_paused_one_is_passed_over() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1"), event("2")]).await;
    ingest(&store, 3, &[event("1")]).await;
    let first = store.claim(1, LEASE).await.unwrap().unwrap();
    let second = store.claim(1, LEASE).await.unwrap().unwrap();
    assert_ne!(first.dataset, second.dataset);
    store.pause(&first, LEASE).await.unwrap();
    store.pause(&second, LEASE).await.unwrap();
    assert!(store.claim(1, LEASE).await.unwrap().is_none());
}

#[tokio::test]
async fn dead_letters_are_listed_page_by_page() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1"), event("2"), event("3")]).await;
    let claim = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    store.bury(&claim, &claim.events, b"why", Some("A1")).await.unwrap();
    let page = store.dead_letters(&tenant(), DatasetId::new(2), "", None, 2).await.unwrap();
    let ids: Vec<&str> = page.iter().map(|entry| entry.event_id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
    let after = crate::wire::letter_of_key(&crate::wire::letter_key(&page[1])).unwrap();
    let rest = store.dead_letters(&tenant(), DatasetId::new(2), "Purchase", Some(&after), 2).await.unwrap();
    assert_eq!(rest.iter().map(|entry| entry.event_id.as_str()).collect::<Vec<_>>(), ["3"]);
    assert!(store.dead_letters(&tenant(), DatasetId::new(2), "Lead", None, 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_counts_add_up() {
    let store = Store::new(postgres().await);
    ingest(&store, 2, &[event("1"), event("2"), event("3"), event("4")]).await;
    ingest(&store, 2, &[event("4")]).await;
    let claim = store.claim(3, LEASE).await.unwrap().unwrap();
    store.delivered(&claim, &claim.events[..1], None).await.unwrap();
    store.bury(&claim, &claim.events[1..2], &[], None).await.unwrap();
    let stats = store.stats(&tenant(), DatasetId::new(2), Timestamp::UNIX_EPOCH).await.unwrap();
    let expected = Stats { pending: 1, sending: 1, delivered: 1, dead: 1, deduplicated: 1, oldest: Some(now()) };
    assert_eq!(stats, expected);
    let later = now() + SignedDuration::from_secs(1);
    assert_eq!(store.stats(&tenant(), DatasetId::new(2), later).await.unwrap(), Stats::default());
}

#[tokio::test]
async fn the_sweep_forgets_what_ended_and_nothing_else() {
    let postgres = postgres().await;
    let store = Store::new(postgres.clone());
    ingest(&store, 2, &[event("1"), event("2")]).await;
    let claim = store.claim(1, LEASE).await.unwrap().unwrap();
    store.delivered(&claim, &claim.events, None).await.unwrap();
    let age = "UPDATE events SET receive_time = receive_time - interval '10 years'";
    postgres.client().await.unwrap().execute(age, &[]).await.unwrap();
    assert_eq!(store.sweep(Duration::from_hours(24)).await.unwrap(), 1);
    assert_eq!(store.stats(&tenant(), DatasetId::new(2), Timestamp::UNIX_EPOCH).await.unwrap().pending, 1);
}

#[tokio::test]
async fn many_callers_with_the_same_events_lose_none_and_take_none_twice() {
    let store = Store::new(postgres().await);
    let events: Vec<Checked> = (0..200).map(|id| event(&id.to_string())).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for turn in 0..8 {
        let (store, mut events) = (store.clone(), events.clone());
        events.rotate_left(turn * 20);
        tasks.spawn(async move { ingest(&store, 2, &events).await });
    }
    let new = tasks.join_all().await.into_iter().flatten().filter(|one| *one == Ingested::New).count();
    assert_eq!(new, 200);
}

#[tokio::test]
async fn what_meta_took_and_what_was_given_up_is_in_the_audit_with_its_trace() {
    let postgres = postgres().await;
    let store = Store::new(postgres.clone());
    ingest(&store, 2, &[event("1"), event("2"), event("3")]).await;
    let stale = store.claim(SIZE, Duration::ZERO).await.unwrap().unwrap();
    let claim = store.claim(SIZE, LEASE).await.unwrap().unwrap();
    assert_eq!(store.delivered(&stale, &stale.events, Some("OLD")).await.unwrap(), 0);
    assert_eq!(store.delivered(&claim, &claim.events[..2], Some("ATRACE")).await.unwrap(), 2);
    store.bury(&claim, &claim.events[2..], b"why", Some("REFUSED")).await.unwrap();
    let client = postgres.client().await.unwrap();
    let all = storage::audit::Listing { size: 10, ..storage::audit::Listing::default() };
    let entries = storage::audit::list(&client, "acme", all).await.unwrap();
    assert!(entries.iter().all(|entry| entry.actor == "callers/test" && entry.resource == "datasets/2"));
    let told: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.detail.clone())).collect();
    let expected = [
        ("events.accept", serde_json::json!({"events": 3, "known": 0})),
        ("events.deliver", serde_json::json!({"events": 2, "events_in_call": 2, "fbtrace_id": "ATRACE"})),
        ("events.give_up", serde_json::json!({"events": 1, "events_in_call": 1, "fbtrace_id": "REFUSED"})),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn who_brought_how_many_events_is_in_the_audit_once_and_nothing_of_them_is() {
    let postgres = postgres().await;
    let store = Store::new(postgres.clone());
    let request = Uuid::from_u128(1);
    ingest_as(&store, 2, &[event("1"), event("2")], Some(request)).await;
    // A repeat brings nothing; a request with one new event brings one.
    ingest_as(&store, 2, &[event("1"), event("2")], Some(request)).await;
    ingest(&store, 2, &[event("2"), event("3")]).await;
    let client = postgres.client().await.unwrap();
    let all = storage::audit::Listing { size: 10, ..storage::audit::Listing::default() };
    let entries = storage::audit::list(&client, "acme", all).await.unwrap();
    let told: Vec<_> = entries.iter().map(|entry| (entry.request_id, entry.detail.clone())).collect();
    let expected = [
        (Some(request), serde_json::json!({"events": 2, "known": 0})),
        (None, serde_json::json!({"events": 1, "known": 1})),
    ];
    assert_eq!(told, expected);
}
