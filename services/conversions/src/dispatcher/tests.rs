//! The dispatcher on a real PostgreSQL and a scripted Meta.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;
use serde_json::Value;
use vocabulary::{TestClock, ids::DatasetId};

use super::*;
use crate::store::EventState;
use crate::store::tests::{event, ingest, now, postgres, tenant};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(100);

/// What the scripted Meta does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    Throttles,
    LosesTheAnswer,
    TakesFewer,
    ProxyRefuses,
}

/// A Meta that refuses a call for one bad event and counts an id once.
#[derive(Clone)]
struct Meta(Arc<Mutex<Inner>>);

struct Inner {
    mood: Mood,
    bad: Vec<&'static str>,
    calls: usize,
    counted: BTreeSet<String>,
}

impl Meta {
    fn new(mood: Mood, bad: &[&'static str]) -> Self {
        let inner = Inner { mood, bad: bad.to_vec(), calls: 0, counted: BTreeSet::new() };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn with<T>(&self, read: impl FnOnce(&mut Inner) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Door for Meta {
    async fn send(&self, _: &Claim, events: String, count: usize, _: Option<&str>) -> Result<Taken, Error> {
        let events: Vec<Value> = serde_json::from_str(&events).unwrap();
        assert_eq!(events.len(), count);
        let ids: Vec<String> = events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect();
        let call = || "POST id/events".to_owned();
        let words =
            |code| Box::new(graph::MetaError { code, trace_id: Some("T".to_owned()), ..graph::MetaError::default() });
        self.with(|inner| {
            inner.calls += 1;
            if inner.mood == Mood::Throttles {
                let retry_after = Duration::from_secs(60);
                return Err(graph::Error::Throttled { call: call(), meta: words(4), retry_after }.into());
            }
            if inner.mood == Mood::ProxyRefuses {
                return Err(graph::Error::Rejected { call: call(), meta: words(0) }.into());
            }
            if ids.iter().any(|id| inner.bad.contains(&id.as_str())) {
                return Err(graph::Error::Rejected { call: call(), meta: words(100) }.into());
            }
            inner.counted.extend(ids);
            match inner.mood {
                Mood::LosesTheAnswer => {
                    Err(graph::Error::OutcomeUnknown { call: call(), cause: "reset".to_owned() }.into())
                }
                Mood::TakesFewer => Err(Error::Miscounted { sent: count, received: 0 }),
                Mood::Takes | Mood::Throttles | Mood::ProxyRefuses => Ok(Taken { fbtrace_id: Some("A1".to_owned()) }),
            }
        })
    }
}

struct Bench {
    store: Store,
    clock: TestClock,
    dispatcher: Dispatcher<TestClock>,
    postgres: storage::Postgres,
}

async fn bench() -> Bench {
    let postgres = postgres().await;
    let (store, clock) = (Store::new(postgres.clone()), TestClock::at(now()));
    let settings = DispatcherSettings::default();
    let dispatcher = Dispatcher::new(store.clone(), clock.clone(), Arc::new(Notify::new()), settings);
    Bench { store, clock, dispatcher, postgres }
}

impl Bench {
    async fn round(&self, meta: &Meta) -> bool {
        self.dispatcher.round(meta, &CancellationToken::new()).await.unwrap()
    }

    async fn state(&self, id: &str) -> EventState {
        self.store.find(&tenant(), DatasetId::new(2), id, "").await.unwrap()[0].state
    }

    async fn reason(&self, id: &str) -> String {
        let entry = self.store.find(&tenant(), DatasetId::new(2), id, "").await.unwrap().remove(0);
        proto::common::v1::RowError::decode(entry.error.unwrap().as_slice()).unwrap().reason
    }

    /// As if all pauses were over.
    async fn wake(&self) {
        let client = self.postgres.client().await.unwrap();
        let sql = "UPDATE lanes SET paused_until = '-infinity';
                   UPDATE events SET next_attempt_time = clock_timestamp() WHERE state < 2";
        client.batch_execute(sql).await.unwrap();
    }
}

#[tokio::test]
async fn a_bad_event_is_found_among_a_thousand_and_the_others_are_delivered() {
    let bench = bench().await;
    let events: Vec<_> = (0..1_000).map(|id| event(&id.to_string())).collect();
    ingest(&bench.store, 2, &events).await;
    let meta = Meta::new(Mood::Takes, &["617"]);
    assert!(bench.round(&meta).await);
    let stats = bench.store.stats(&tenant(), DatasetId::new(2), now()).await.unwrap();
    assert_eq!((stats.delivered, stats.dead), (999, 1));
    assert_eq!(bench.reason("617").await, "META_REJECTED_FIELD");
    assert!(meta.with(|inner| inner.calls) <= 21, "halving takes about twice log2 of a thousand calls");
    assert!(!bench.round(&meta).await);
}

#[tokio::test]
async fn a_throttled_batch_waits_as_long_as_meta_says_and_loses_nothing() {
    let bench = bench().await;
    ingest(&bench.store, 2, &[event("1"), event("2")]).await;
    let meta = Meta::new(Mood::Throttles, &[]);
    assert!(bench.round(&meta).await);
    assert!(!bench.round(&meta).await, "the dataset rests");
    assert_eq!(bench.state("1").await, EventState::Pending);
    assert_eq!(bench.reason("1").await, "META_THROTTLED");
    meta.with(|inner| inner.mood = Mood::Takes);
    bench.wake().await;
    assert!(bench.round(&meta).await);
    assert_eq!(bench.state("1").await, EventState::Delivered);
}

#[tokio::test]
async fn a_refusal_that_is_not_metas_buries_nothing() {
    let bench = bench().await;
    ingest(&bench.store, 2, &[event("1"), event("2")]).await;
    let meta = Meta::new(Mood::ProxyRefuses, &[]);
    assert!(bench.round(&meta).await);
    assert_eq!(meta.with(|inner| inner.calls), 1, "nor is it split");
    assert_eq!((bench.state("1").await, bench.state("2").await), (EventState::Pending, EventState::Pending));
    meta.with(|inner| inner.mood = Mood::Takes);
    bench.wake().await;
    bench.round(&meta).await;
    assert_eq!((bench.state("1").await, bench.state("2").await), (EventState::Delivered, EventState::Delivered));
}

/// A Meta that answers when told.
#[derive(Clone)]
struct Slow(Arc<Notify>);

impl Door for Slow {
    async fn send(&self, _: &Claim, _: String, _: usize, _: Option<&str>) -> Result<Taken, Error> {
        self.0.notified().await;
        Ok(Taken { fbtrace_id: None })
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_a_call_waits() {
    let bench = bench().await;
    ingest(&bench.store, 2, &[event("1")]).await;
    let settings = DispatcherSettings { lease_seconds: 1, ..DispatcherSettings::default() };
    let dispatcher = Dispatcher::new(bench.store.clone(), bench.clock.clone(), Arc::new(Notify::new()), settings);
    let slow = Slow(Arc::new(Notify::new()));
    let answer = slow.0.clone();
    let renewed = async {
        // The lease's end, in leases after the claim.
        let sql = "SELECT next_attempt_time > send_time + interval '1.5 seconds' FROM events WHERE state = 1";
        let client = bench.postgres.client().await.unwrap();
        while !client.query_opt(sql, &[]).await.unwrap().is_some_and(|row| row.get(0)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answer.notify_one();
    };
    let stop = CancellationToken::new();
    let both = async { tokio::join!(dispatcher.round(&slow, &stop), renewed) };
    let (round, ()) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert!(round.unwrap());
    assert_eq!(bench.state("1").await, EventState::Delivered);
}

#[tokio::test]
async fn a_lost_answer_is_sent_again_under_the_same_ids_and_counted_once() {
    for mood in [Mood::LosesTheAnswer, Mood::TakesFewer] {
        let bench = bench().await;
        ingest(&bench.store, 2, &[event("1")]).await;
        let meta = Meta::new(mood, &[]);
        bench.round(&meta).await;
        assert_eq!(
            (bench.state("1").await, bench.reason("1").await.as_str()),
            (EventState::Pending, "OUTCOME_UNKNOWN")
        );
        meta.with(|inner| inner.mood = Mood::Takes);
        bench.wake().await;
        bench.round(&meta).await;
        assert_eq!(bench.state("1").await, EventState::Delivered);
        assert_eq!(meta.with(|inner| (inner.calls, inner.counted.len())), (2, 1));
    }
}

#[tokio::test]
async fn after_a_day_of_lost_answers_an_event_is_a_dead_letter() {
    let bench = bench().await;
    ingest(&bench.store, 2, &[event("1")]).await;
    let meta = Meta::new(Mood::LosesTheAnswer, &[]);
    bench.round(&meta).await;
    let since: jiff::Timestamp =
        bench.postgres.client().await.unwrap().query_one("SELECT unknown_time FROM events", &[]).await.unwrap().get(0);
    bench.clock.set(since + SignedDuration::from_hours(24));
    let sql = "UPDATE events SET deadline_time = deadline_time + interval '10 years'";
    bench.postgres.client().await.unwrap().execute(sql, &[]).await.unwrap();
    bench.wake().await;
    bench.round(&meta).await;
    assert_eq!((bench.state("1").await, bench.reason("1").await.as_str()), (EventState::Dead, "OUTCOME_UNKNOWN"));
    assert_eq!(meta.with(|inner| inner.calls), 1, "it was not sent again");
}

#[tokio::test]
async fn an_event_that_grew_too_old_is_not_sent() {
    let bench = bench().await;
    ingest(&bench.store, 2, &[event("1")]).await;
    bench.clock.advance(Duration::from_hours(7 * 24));
    let meta = Meta::new(Mood::Takes, &[]);
    bench.round(&meta).await;
    assert_eq!((bench.state("1").await, bench.reason("1").await.as_str()), (EventState::Dead, "DEADLINE_PASSED"));
    assert_eq!(meta.with(|inner| inner.calls), 0);
}

#[tokio::test]
async fn a_dispatcher_that_is_stopped_puts_back_what_it_did_not_send() {
    let bench = bench().await;
    ingest(&bench.store, 2, &[event("1")]).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let meta = Meta::new(Mood::Takes, &[]);
    bench.dispatcher.round(&meta, &stop).await.unwrap();
    assert_eq!(bench.state("1").await, EventState::Pending);
    assert!(bench.round(&meta).await, "and the next one sends it at once");
    assert_eq!(bench.state("1").await, EventState::Delivered);
}

#[tokio::test]
async fn events_are_sent_as_soon_as_somebody_wakes_the_dispatcher() {
    let bench = bench().await;
    let (woken, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let settings = DispatcherSettings { poll_milliseconds: 600_000, ..DispatcherSettings::default() };
    let dispatcher = Dispatcher::new(bench.store.clone(), bench.clock.clone(), woken.clone(), settings);
    let meta = Meta::new(Mood::Takes, &[]);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(dispatcher.run(meta.clone(), stop.clone()));
    ingest(&bench.store, 2, &[event("1")]).await;
    woken.notify_one();
    let delivered = async {
        while bench.state("1").await != EventState::Delivered {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, delivered).await.unwrap();
    stop.cancel();
    tasks.join_all().await;
}

#[test]
fn a_call_holds_one_test_code_and_not_too_many_bytes() {
    let waiting = |code: Option<&str>, bytes: usize| Waiting {
        event_name: "Lead".to_owned(),
        event_id: "1".to_owned(),
        deadline: now(),
        attempt: 1,
        unknown_since: None,
        test_event_code: code.map(str::to_owned),
        payload: "x".repeat(bytes),
    };
    let sizes = |events| groups(events).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(vec![waiting(None, 9), waiting(Some("T"), 9), waiting(None, 9)]), [2, 1]);
    assert_eq!(sizes(vec![waiting(None, CALL_BYTES_MAX - 1), waiting(None, 1)]), [1, 1]);
}
