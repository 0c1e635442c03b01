//! Looks on a real PostgreSQL and a scripted Meta.

use std::sync::{Arc, Mutex};

use proto::operations::v1::operation::Outcome;
use vocabulary::TestClock;

use super::*;
use crate::store::tests::{audience, lost_creation, new_creation, now, postgres, tenant};

/// What Meta answers to a look.
#[derive(Clone, Copy)]
enum Answer {
    Nothing,
    TheAudience,
    Forbidden,
    Away,
}

#[derive(Clone)]
struct Meta(Arc<Mutex<Answer>>);

impl Door for Meta {
    async fn find(&self, _: &Creation) -> Result<Option<Audience>, Error> {
        let call = || "GET act_id/customaudiences".to_owned();
        match *self.0.lock().unwrap() {
            Answer::Nothing => Ok(None),
            Answer::TheAudience => Ok(Some(audience(9, "CUSTOM"))),
            Answer::Forbidden => Err(graph::Error::Permission { call: call(), meta: Box::default() }.into()),
            Answer::Away => Err(graph::Error::Unavailable { call: call(), cause: String::new(), meta: None }.into()),
        }
    }
}

struct Bench {
    store: Store,
    resolver: Resolver<TestClock, Meta>,
    meta: Meta,
    postgres: storage::Postgres,
    creation: Creation,
    operation: Uuid,
}

/// With a create whose answer was just lost.
async fn bench(answer: Answer) -> Bench {
    let postgres = postgres().await;
    let (store, meta) = (Store::new(postgres.clone()), Meta(Arc::new(Mutex::new(answer))));
    let creation = lost_creation(&store).await;
    let operation = look_for(&store, &creation).await.unwrap();
    let operation = names::operation(&operation.name).unwrap().id;
    let resolver = Resolver::new(store.clone(), meta.clone(), TestClock::at(now()), 180);
    Bench { store, resolver, meta, postgres, creation, operation }
}

impl Bench {
    async fn sql(&self, sql: &str) {
        self.postgres.client().await.unwrap().batch_execute(sql).await.unwrap();
    }

    /// As if all pauses were over.
    async fn look(&self) -> bool {
        self.sql("UPDATE operations SET due_at = clock_timestamp() WHERE NOT done").await;
        self.resolver.round().await.unwrap()
    }

    async fn lost_since(&self, span: &str) {
        self.sql(&format!("UPDATE creations SET lost_time = clock_timestamp() - interval '{span}'")).await;
    }

    /// How many seconds the next look is away.
    async fn pause(&self) -> i64 {
        let sql = "SELECT extract(epoch FROM due_at - clock_timestamp())::bigint FROM operations";
        self.postgres.client().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
    }

    /// `None`: it goes on. Otherwise empty, or the reason of its failure.
    async fn outcome(&self) -> Option<String> {
        let stored = self.store.operations().get("acme", self.operation).await.unwrap().unwrap();
        operations::read(&stored).unwrap().outcome.map(|outcome| match outcome {
            Outcome::Result(_) => String::new(),
            Outcome::Error(error) => error.reason,
        })
    }

    async fn state(&self) -> CreationState {
        let found = self.store.creation(&tenant(), self.creation.new.request_id).await.unwrap();
        found.unwrap().state
    }
}

#[test]
fn absence_needs_three_looks_and_the_settling_time() {
    let seconds = Duration::from_secs;
    for (looks, lost_for, absent) in [(1, 1_000, false), (3, 179, false), (2, 180, false), (3, 180, true)] {
        assert_eq!(is_absent(looks, seconds(lost_for), seconds(180)), absent, "{looks} {lost_for}");
    }
}

#[tokio::test]
async fn the_settling_time_begins_when_the_answer_is_lost_and_not_before() {
    let bench = bench(Answer::Nothing).await;
    bench.sql("UPDATE creations SET send_time = send_time - interval '1 hour'").await;
    for _ in 0..4 {
        assert!(bench.look().await);
    }
    assert_eq!(bench.outcome().await, None, "it waited for its permit as long as it liked");
    bench.lost_since("181 seconds").await;
    bench.look().await;
    assert_eq!(
        (bench.outcome().await.as_deref(), bench.state().await),
        (Some("META_UNAVAILABLE"), CreationState::Failed)
    );
}

#[tokio::test]
async fn a_lost_create_that_appears_is_the_audience() {
    let bench = bench(Answer::Nothing).await;
    bench.look().await;
    *bench.meta.0.lock().unwrap() = Answer::TheAudience;
    bench.look().await;
    assert_eq!(bench.outcome().await.as_deref(), Some(""));
    assert_eq!(bench.state().await, CreationState::Done(AudienceId::new(9)));
}

#[tokio::test]
async fn a_sender_that_was_only_slow_ends_the_look() {
    let bench = bench(Answer::Nothing).await;
    bench.store.created(&bench.creation, &audience(9, "CUSTOM"), now(), None, None).await.unwrap();
    bench.look().await;
    assert_eq!(bench.outcome().await.as_deref(), Some(""));
    assert!(!bench.look().await, "nothing is left to look for");
}

#[tokio::test]
async fn an_answer_that_comes_after_absence_was_concluded_counts() {
    let bench = bench(Answer::Nothing).await;
    bench.lost_since("181 seconds").await;
    for _ in 0..LOOKS_MIN {
        bench.look().await;
    }
    assert_eq!(bench.state().await, CreationState::Failed);
    bench.store.created(&bench.creation, &audience(9, "CUSTOM"), now(), None, None).await.unwrap();
    assert_eq!(bench.state().await, CreationState::Done(AudienceId::new(9)));
    bench.store.created(&bench.creation, &audience(9, "CUSTOM"), now(), None, None).await.unwrap();
    let other = bench.store.created(&bench.creation, &audience(8, "CUSTOM"), now(), None, None).await;
    assert!(other.is_err(), "one create made one audience");
}

#[tokio::test]
async fn looks_that_need_a_person_come_seldom_and_end_after_a_day() {
    let bench = bench(Answer::Forbidden).await;
    bench.look().await;
    assert!((50..=60).contains(&bench.pause().await), "{}", bench.pause().await);
    for _ in 0..4 {
        bench.look().await;
    }
    assert!(bench.pause().await > 500);
    assert_eq!(bench.outcome().await, None);
    bench.lost_since("24 hours").await;
    bench.look().await;
    assert_eq!((bench.outcome().await.as_deref(), bench.state().await), (Some("OUTCOME_UNKNOWN"), CreationState::Lost));
    let again = new_creation(2, &bench.creation.new.name);
    let begun = bench.store.begin(&tenant(), &again, STALE).await.unwrap();
    assert!(matches!(begun, crate::store::Begun::Mine), "the name is free: a person was told to look");
}

#[tokio::test]
async fn an_outage_is_looked_through_soon() {
    let bench = bench(Answer::Away).await;
    for _ in 0..5 {
        bench.look().await;
    }
    assert!((10..=20).contains(&bench.pause().await));
}
