//! Lost counters are noticed, and rebuilt from the journal.

use super::*;

fn epoch_of(outcome: &Outcome) -> i64 {
    admitted(outcome).epoch
}

#[tokio::test]
async fn flushed_scripts_are_loaded_again_and_change_no_epoch() {
    let bench = Bench::new().await;
    let epoch = epoch_of(&bench.take(100, Priority::Interactive).await);
    bench.command(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(epoch_of(&bench.take(100, Priority::Interactive).await), epoch);
    refused(&bench.take(100, Priority::Interactive).await);
}

#[tokio::test]
async fn counters_that_vanished_are_rebuilt_from_what_may_have_been_spent() {
    let bench = Bench::new().await;
    let epoch = epoch_of(&bench.take(200, Priority::Interactive).await);
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    bench.command(&["DEL", &epoch_key(bench.app), &bucket.key]).await;
    let after = bench.take(1, Priority::Interactive).await;
    assert!(epoch_of(&after) > epoch);
    let own = bench.standing(bench.account(ADS_MANAGEMENT)).await.own;
    assert!((201..=213).contains(&own), "all that was spent, and a step that was open: {own}");
    let more = bench.admits(Priority::Interactive).await;
    assert!((78..=90).contains(&more), "{more}");
}

#[tokio::test]
async fn what_was_spent_before_a_loss_leaves_when_it_would_have_left() {
    let bench = Bench::new().await;
    admitted(&bench.take(200, Priority::Interactive).await);
    bench.turn(Duration::from_mins(40));
    admitted(&bench.take(60, Priority::Interactive).await);
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    bench.command(&["DEL", &epoch_key(bench.app), &bucket.key]).await;
    // Who finds the loss has written down its own charge before.
    refused(&bench.take(40, Priority::Interactive).await);
    // A stretch of ten minutes is written as if all of it had been spent at its end.
    bench.turn(Duration::from_mins(34));
    admitted(&bench.take(170, Priority::Interactive).await);
    refused(&bench.take(60, Priority::Interactive).await);
}

#[tokio::test]
async fn a_closed_stretch_costs_nothing_beyond_what_was_spent() {
    let bench = Bench::new().await;
    admitted(&bench.take(100, Priority::Interactive).await);
    bench.turn(Duration::from_mins(12));
    let client = Postgres::connect(&bench.postgres).await.unwrap().client().await.unwrap();
    let written = async || {
        let app = i64::try_from(bench.app).unwrap();
        let sum = "SELECT sum(points)::bigint FROM allowances WHERE app = $1 AND bucket LIKE '%ads_management'";
        client.query_one(sum, &[&app]).await.unwrap().get::<_, i64>(0)
    };
    admitted(&bench.take(1, Priority::Interactive).await);
    eventually(async || written().await <= 101 + 13).await;
}

#[tokio::test]
async fn counters_of_another_run_of_the_server_are_rebuilt() {
    let bench = Bench::new().await;
    let epoch = epoch_of(&bench.take(200, Priority::Interactive).await);
    bench.command(&["SET", &epoch_key(bench.app), &format!("{epoch}:0123456789abcdef:0:3")]).await;
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    bench.command(&["DEL", &bucket.key]).await;
    assert!(epoch_of(&bench.take(1, Priority::Interactive).await) > epoch);
    refused(&bench.take(91, Priority::Interactive).await);
}

#[tokio::test]
async fn counters_from_before_there_was_a_journal_go_on_and_a_loss_soon_after_counts_as_all_spent() {
    let bench = Bench::new().await;
    let run_id = bench.store.scripts.run_id(&epoch_key(bench.app)).await.unwrap();
    bench.command(&["SET", &epoch_key(bench.app), &format!("5:{run_id}:0:3")]).await;
    assert_eq!(epoch_of(&bench.take(1, Priority::Interactive).await), 5);
    bench.command(&["DEL", &epoch_key(bench.app)]).await;
    assert_eq!(refused(&bench.take(1, Priority::Interactive).await).reason, Reason::CountersLost);
    admitted(&bench.take(1, Priority::Safety).await);
}

#[tokio::test]
async fn counters_in_an_older_layout_are_rebuilt_and_never_read_as_if_they_were_ours() {
    let bench = Bench::new().await;
    let epoch = epoch_of(&bench.take(200, Priority::Interactive).await);
    let run_id = bench.store.scripts.run_id(&epoch_key(bench.app)).await.unwrap();
    bench.command(&["SET", &epoch_key(bench.app), &format!("{epoch}:{run_id}:0")]).await;
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    bench.command(&["SET", &bucket.key, &"0".repeat(324)]).await;
    assert!(epoch_of(&bench.take(1, Priority::Interactive).await) > epoch);
    refused(&bench.take(91, Priority::Interactive).await);
}

#[tokio::test]
async fn a_replica_that_was_asleep_while_another_rebuilt_goes_on_under_the_new_epoch() {
    let bench = Bench::new().await;
    let other = bench.replica().await;
    let demand = bench.demand(bench.account(ADS_MANAGEMENT), 100, Priority::Interactive);
    let before = epoch_of(&other.acquire(&demand).await.unwrap());
    bench.command(&["DEL", &epoch_key(bench.app)]).await;
    let after = epoch_of(&bench.take(10, Priority::Interactive).await);
    assert!(after > before);
    assert_eq!(epoch_of(&other.acquire(&demand).await.unwrap()), after);
    refused(&other.acquire(&demand).await.unwrap());
}

#[tokio::test]
async fn what_calls_cost_beyond_their_permits_survives_a_loss() {
    let bench = Bench::new().await;
    admitted(&bench.take(10, Priority::Interactive).await);
    let dearer = Correction { extra: 200, ..Correction::default() };
    bench.correct(bench.account(ADS_MANAGEMENT), dearer).await;
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    // The journal has it as soon as it has anything later.
    admitted(&bench.take(20, Priority::Interactive).await);
    bench.command(&["DEL", &epoch_key(bench.app), &bucket.key]).await;
    refused(&bench.take(80, Priority::Interactive).await);
}

#[tokio::test]
async fn many_replicas_open_one_epoch() {
    let bench = Bench::new().await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = bench.replica().await;
        let demand = bench.demand(bench.account(ADS_MANAGEMENT), 1, Priority::Interactive);
        callers.spawn(async move { epoch_of(&store.acquire(&demand).await.unwrap()) });
    }
    let mut epochs = callers.join_all().await;
    epochs.dedup();
    assert_eq!(epochs.len(), 1, "{epochs:?}");
}

#[tokio::test]
async fn a_tier_and_a_use_are_kept_for_all_replicas() {
    let bench = Bench::new().await;
    let tenant: TenantId = format!("tenant-{}", bench.app).parse().unwrap();
    bench.store.learn_tier(bench.app, "2", Tier::Standard).await.unwrap();
    bench.store.note_use(&tenant, &["b", "a"]).await.unwrap();
    let replica = bench.replica().await;
    assert_eq!(replica.tier(bench.app, "2").await.unwrap(), Some(Tier::Standard));
    assert_eq!(replica.used_by(&tenant).await.unwrap(), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    bench.turn(USED_FOR + Duration::from_secs(1));
    assert!(replica.used_by(&tenant).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_epoch_is_set_in_the_server_that_was_rebuilt_and_in_no_other() {
    let bench = Bench::new().await;
    let set = async |run_id: &str| {
        let keys = [epoch_key(bench.app)];
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let answer = bench.store.scripts.run_words(Script::Epoch, &keys, &["", "7", "0", run_id]).await.unwrap();
        outcome::number(&answer, 0).unwrap()
    };
    assert_eq!(set("another run").await, 0);
    assert_eq!(set(&bench.store.scripts.run_id(&epoch_key(bench.app)).await.unwrap()).await, 7);
}

#[tokio::test]
async fn a_statement_that_comes_too_late_lowers_no_allowance_that_runs() {
    let bench = Bench::new().await;
    let epoch = epoch_of(&bench.take(1, Priority::Interactive).await);
    let rows = Allowances::new(Postgres::connect(&bench.postgres).await.unwrap());
    let ends_ms = START_MS + 60_000;
    let row = |points| crate::journal::Allowance {
        app: bench.app,
        key: "late".to_owned(),
        epoch,
        ends_ms,
        until_ms: ends_ms + 60_000,
        cell_ms: 60_000,
        cells: 1,
        points,
    };
    let replica = uuid::Uuid::new_v4();
    let written = async |points, now_ms| {
        rows.write(replica, vec![row(points)], now_ms).await.unwrap();
        let client = rows.client().await.unwrap();
        let sum = "SELECT points FROM allowances WHERE app = $1 AND bucket = 'late'";
        client.query_one(sum, &[&i64::try_from(bench.app).unwrap()]).await.unwrap().get::<_, i64>(0)
    };
    assert_eq!(written(8, START_MS).await, 8);
    assert_eq!(written(4, START_MS).await, 8);
    assert_eq!(written(4, ends_ms).await, 4, "its stretch is over");
}
