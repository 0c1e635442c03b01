//! The scripts against a real Redis, with the clock turned by the argument that bounds the server's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use devstack::shared;
use storage::{Postgres, PostgresSettings, RedisSettings};
use tokio::sync::OnceCell;

use super::*;
use crate::ceilings::Ceilings;
use crate::counter;
use crate::demand::Rules;
use crate::priority::Priority;
use crate::scope::{ADS_MANAGEMENT, Kind, Scope};

mod cluster;
mod corrections;
mod drills;
mod epochs;
mod holds;
mod model;
mod policies;
pub(crate) mod servers;
mod window;

/// Nine in the morning of some day, at the start of a minute.
pub(crate) const START_MS: i64 = 1_780_045_200_000;

/// A store with a clock to turn, and an app that no other test has.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) rules: Rules,
    pub(crate) app: u64,
    pub(crate) postgres: PostgresSettings,
    pub(crate) stop: CancellationToken,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Ceilings::default()).await
    }

    pub(crate) async fn with(ceilings: Ceilings) -> Self {
        Self::on(redis().await, shared_database().await, ceilings).await
    }

    /// On servers of its own.
    pub(crate) async fn on(redis: Redis, postgres: PostgresSettings, ceilings: Ceilings) -> Self {
        static APPS: AtomicU64 = AtomicU64::new(1);
        let (clock, stop) = (Arc::new(AtomicI64::new(START_MS)), CancellationToken::new());
        let app = APPS.fetch_add(1, Ordering::SeqCst);
        let rules = Rules::new(ceilings, Duration::from_secs(65));
        let store = store(redis, &clock, &postgres, &stop).await;
        Self { store, clock, rules, app, postgres, stop }
    }

    /// Another replica: a connection and a memory of its own.
    pub(crate) async fn replica(&self) -> Arc<Store> {
        self.replica_on(self.store.scripts.redis().clone()).await
    }

    pub(crate) async fn replica_on(&self, redis: Redis) -> Arc<Store> {
        store(redis, &self.clock, &self.postgres, &self.stop).await
    }

    pub(crate) fn turn(&self, by: Duration) {
        self.clock.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn account(&self, use_case: &str) -> Scope {
        Scope::ad_account(self.app, "2", use_case)
    }

    pub(crate) fn demand(&self, scope: Scope, cost: u32, priority: Priority) -> Demand {
        self.rules.demand(self.app, priority, [(scope, None, cost)])
    }

    /// Of the account's ads_management: 300 an hour.
    pub(crate) async fn take(&self, cost: u32, priority: Priority) -> Outcome {
        self.store.acquire(&self.demand(self.account(ADS_MANAGEMENT), cost, priority)).await.unwrap()
    }

    /// How much of it is admitted, one at a time.
    pub(crate) async fn admits(&self, priority: Priority) -> u32 {
        let mut admitted = 0;
        while matches!(self.take(1, priority).await, Outcome::Admitted(_)) {
            admitted += 1;
        }
        admitted
    }

    pub(crate) async fn correct(&self, scope: Scope, correction: Correction) {
        self.store.settle(&[(self.rules.bucket(scope, None), correction)]).await.unwrap();
    }

    pub(crate) async fn standing(&self, scope: Scope) -> Standing {
        let buckets = [self.rules.bucket(scope, None)];
        self.store.look(self.app, &buckets).await.unwrap().pop().unwrap()
    }

    pub(crate) async fn command(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec_async(&mut self.store.scripts.connection()).await.unwrap();
    }
}

/// A connection to the Redis of this process's tests.
pub(crate) async fn redis() -> Redis {
    // On a machine that is busy with other tests an answer may take long, and here that is no outage.
    let settings = RedisSettings { response_timeout_milliseconds: 30_000, ..RedisSettings::at(shared().redis_url()) };
    Redis::connect(&settings).await.unwrap()
}

/// The database of this process's tests; every test has an app of its own.
async fn shared_database() -> PostgresSettings {
    static DATABASE: OnceCell<PostgresSettings> = OnceCell::const_new();
    DATABASE.get_or_init(database).await.clone()
}

/// A new database with ratelimit's schema.
pub(crate) async fn database() -> PostgresSettings {
    at(&shared().create_database().await.unwrap()).await
}

/// The same at this URL.
pub(crate) async fn at(url: &str) -> PostgresSettings {
    let settings = PostgresSettings { pool_size: 3, ..PostgresSettings::at(url).in_schema(crate::SCHEMA) };
    let postgres = Postgres::connect(&settings).await.unwrap();
    storage::migrations::run(&postgres, crate::SCHEMA, &crate::migrations()).await.unwrap();
    settings
}

async fn store(
    redis: Redis,
    clock: &Arc<AtomicI64>,
    postgres: &PostgresSettings,
    stop: &CancellationToken,
) -> Arc<Store> {
    let allowances = Allowances::new(Postgres::connect(postgres).await.unwrap());
    let store = Store::open(redis, allowances, TaskTracker::new()).await.unwrap();
    let store = Arc::new(store.turned(Horizon::Turned(Arc::clone(clock))));
    let (kept, stop) = (Arc::clone(&store), stop.clone());
    TaskTracker::new().spawn(async move { kept.keep(stop).await });
    store
}

/// Waits for what happens beside the test.
pub(crate) async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came to hold");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn admitted(outcome: &Outcome) -> &Admission {
    match outcome {
        Outcome::Admitted(admission) => admission,
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

pub(crate) fn refused(outcome: &Outcome) -> &Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Admitted(admission) => panic!("admitted: {admission:?}"),
    }
}

#[tokio::test]
async fn a_refused_demand_takes_nothing_from_any_bucket() {
    let bench = Bench::new().await;
    admitted(&bench.take(290, Priority::Interactive).await);
    let mutation = Scope { kind: Kind::Mutation, ..bench.account("") };
    let both = [(bench.account(ADS_MANAGEMENT), None, 5), (mutation.clone(), None, 5)];
    let demand = bench.rules.demand(bench.app, Priority::Interactive, both);
    let outcome = bench.store.acquire(&demand).await.unwrap();
    let refusal = refused(&outcome);
    assert_eq!(refusal.reason, Reason::Ceiling);
    assert_eq!(demand.bucket(refusal.binding).unwrap().scope, bench.account(ADS_MANAGEMENT));
    assert_eq!(bench.standing(mutation).await.own, 0);
    assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.own, 290);
}

#[tokio::test]
async fn a_refusal_names_the_moment_from_which_the_same_demand_is_admitted() {
    let bench = Bench::new().await;
    admitted(&bench.take(100, Priority::Interactive).await);
    bench.turn(Duration::from_secs(90));
    admitted(&bench.take(190, Priority::Interactive).await);
    let wait = refused(&bench.take(50, Priority::Interactive).await).wait;
    bench.turn(wait.checked_sub(Duration::from_millis(1)).unwrap());
    refused(&bench.take(50, Priority::Interactive).await);
    bench.turn(Duration::from_millis(1));
    admitted(&bench.take(50, Priority::Interactive).await);
}

#[tokio::test]
async fn each_class_stops_at_its_share_and_safety_has_the_rest() {
    let bench = Bench::new().await;
    admitted(&bench.take(180, Priority::Sync).await);
    refused(&bench.take(1, Priority::Backfill).await);
    admitted(&bench.take(90, Priority::Sync).await);
    refused(&bench.take(1, Priority::Sync).await);
    admitted(&bench.take(21, Priority::Interactive).await);
    refused(&bench.take(1, Priority::Interactive).await);
    admitted(&bench.take(9, Priority::Safety).await);
    refused(&bench.take(1, Priority::Safety).await);
}

#[tokio::test]
async fn bulk_work_is_spread_over_the_hour() {
    let bench = Bench::new().await;
    admitted(&bench.take(15, Priority::Bulk).await);
    let refusal = bench.take(1, Priority::Bulk).await;
    assert_eq!((refused(&refusal).reason, refused(&refusal).wait), (Reason::Pace, Duration::from_secs(60)));
    admitted(&bench.take(1, Priority::Interactive).await);
    bench.turn(Duration::from_secs(60));
    admitted(&bench.take(50, Priority::Bulk).await); // a whole batch goes where the minute is still empty
}

#[tokio::test]
async fn a_cost_that_can_never_be_admitted_says_so() {
    let bench = Bench::new().await;
    let outcome = bench.take(226, Priority::Bulk).await;
    assert_eq!(refused(&outcome).reason, Reason::CostAboveCeiling);
}

#[tokio::test]
async fn a_permit_goes_back_to_its_cell_once() {
    let bench = Bench::new().await;
    let demand = bench.demand(bench.account(ADS_MANAGEMENT), 7, Priority::Sync);
    let outcome = bench.store.acquire(&demand).await.unwrap();
    let permit = counter::permit(&demand, admitted(&outcome));
    bench.turn(Duration::from_secs(120));
    admitted(&bench.take(3, Priority::Sync).await);
    let buckets: Vec<Bucket> = demand.charges.iter().map(|(bucket, _)| bucket.clone()).collect();
    assert!(bench.store.release(&permit, &buckets).await.unwrap());
    assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.own, 3);
    assert!(!bench.store.release(&permit, &buckets).await.unwrap());
    assert_eq!(bench.standing(bench.account(ADS_MANAGEMENT)).await.own, 3);
}

#[tokio::test]
async fn a_permit_of_an_old_epoch_or_out_of_its_window_does_not_go_back() {
    let bench = Bench::new().await;
    let demand = bench.demand(bench.account(ADS_MANAGEMENT), 7, Priority::Sync);
    let buckets: Vec<Bucket> = demand.charges.iter().map(|(bucket, _)| bucket.clone()).collect();
    let outcome = bench.store.acquire(&demand).await.unwrap();
    let old = Permit { epoch: admitted(&outcome).epoch - 1, ..counter::permit(&demand, admitted(&outcome)) };
    assert!(!bench.store.release(&old, &buckets).await.unwrap());
    bench.turn(Duration::from_secs(2 * 3_600));
    let late = counter::permit(&demand, admitted(&outcome));
    assert!(!bench.store.release(&late, &buckets).await.unwrap());
}

#[tokio::test]
async fn a_frozen_bucket_lets_only_safety_through_until_its_time_is_over() {
    let bench = Bench::new().await;
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    admitted(&bench.take(5, Priority::Interactive).await);
    bench.store.freeze(&[(bucket.clone(), START_MS + 60_000)]).await.unwrap();
    let outcome = bench.take(1, Priority::Interactive).await;
    assert_eq!((refused(&outcome).reason, refused(&outcome).wait), (Reason::Frozen, Duration::from_mins(1)));
    admitted(&bench.take(1, Priority::Safety).await);
    let standing = bench.standing(bench.account(ADS_MANAGEMENT)).await;
    assert_eq!((standing.own, standing.frozen_until_ms), (6, Some(START_MS + 60_000)));
    bench.store.freeze(&[(bucket.clone(), 0)]).await.unwrap();
    admitted(&bench.take(1, Priority::Interactive).await);
    bench.store.freeze(&[(bucket, START_MS + 60_000)]).await.unwrap();
    bench.turn(Duration::from_mins(1));
    admitted(&bench.take(1, Priority::Bulk).await);
}
