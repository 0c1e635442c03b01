//! Lost counters are noticed, and under-admitted.

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
async fn after_a_loss_only_safety_goes_on_within_what_nobody_else_can_have_used() {
    let bench = Bench::new().await;
    let epoch = epoch_of(&bench.take(291, Priority::Interactive).await);
    // All keys of the app vanish, as after an empty restart.
    let epoch_key = epoch_key(bench.app);
    let bucket = bench.rules.bucket(bench.account(ADS_MANAGEMENT), None);
    bench.command(&["DEL", &epoch_key, &bucket.key]).await;
    let outcome = bench.take(1, Priority::Interactive).await;
    let refusal = refused(&outcome);
    assert_eq!(refusal.reason, Reason::CountersLost);
    assert!(refusal.epoch > epoch);
    admitted(&bench.take(9, Priority::Safety).await);
    refused(&bench.take(1, Priority::Safety).await);
}

#[tokio::test]
async fn counters_of_another_run_of_the_server_count_as_lost() {
    let bench = Bench::new().await;
    bench.command(&["SET", &epoch_key(bench.app), "5:0123456789abcdef:0"]).await;
    let outcome = bench.take(1, Priority::Interactive).await;
    assert_eq!(refused(&outcome).reason, Reason::CountersLost);
    assert!(refused(&outcome).epoch > 5);
}

#[tokio::test]
async fn where_development_starts_over_a_loss_stops_nobody() {
    let bench = Bench::with(Ceilings::default(), AfterLoss::StartOver).await;
    let epoch = epoch_of(&bench.take(1, Priority::Interactive).await);
    bench.command(&["DEL", &epoch_key(bench.app)]).await;
    assert!(epoch_of(&bench.take(1, Priority::Interactive).await) > epoch);
}

#[tokio::test]
async fn many_replicas_open_one_epoch() {
    let bench = Bench::new().await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = bench.replica().await;
        let demand = bench.demand(bench.account(ADS_MANAGEMENT), 1, Priority::Interactive);
        callers.spawn(async move { store.acquire(&demand).await.unwrap().epoch() });
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
