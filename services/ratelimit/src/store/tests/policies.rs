//! Other ceilings, and a loss of the counters after them.

use uuid::Uuid;

use super::*;
use crate::policies::{Kept, OPERATORS, Policy, SetCeiling};

fn capped(use_case: &str, limit: u32) -> Kept {
    let ceilings = vec![SetCeiling { kind: Kind::AdAccount, use_case: use_case.to_owned(), limit }];
    let policy = Policy { ceilings, ..Policy::default() };
    Kept { policy, ..Kept::nothing(OPERATORS, "adAccounts/act_2") }
}

fn learn(bench: &Bench, version: i64, limit: u32) {
    bench.rules.policies().learn(vec![Kept { version, ..capped(ADS_MANAGEMENT, limit) }]);
}

async fn lose(bench: &Bench, use_case: &str) {
    let key = bench.rules.bucket(bench.account(use_case), None).key;
    bench.command(&["DEL", &epoch_key(bench.app), &key]).await;
}

#[tokio::test]
async fn after_a_lower_ceiling_a_loss_admits_nothing_over_it() {
    let bench = Bench::new().await;
    admitted(&bench.take(200, Priority::Interactive).await);
    learn(&bench, 1, 240);
    lose(&bench, ADS_MANAGEMENT).await;
    // 97 % of 240 are 232; of the 12 that are written ahead under 300, and 9 under 240, some may be open.
    let more = bench.admits(Priority::Interactive).await;
    assert!((11..=32).contains(&more), "{more}");
    learn(&bench, 2, 100);
    assert_eq!(bench.admits(Priority::Safety).await, 0);
}

#[tokio::test]
async fn after_a_higher_ceiling_a_loss_forgets_nothing() {
    let bench = Bench::new().await;
    admitted(&bench.take(200, Priority::Interactive).await);
    learn(&bench, 1, 400);
    lose(&bench, ADS_MANAGEMENT).await;
    // 97 % of 400 are 388.
    let more = bench.admits(Priority::Interactive).await;
    assert!((150..=188).contains(&more), "{more}");
}

#[tokio::test]
async fn what_was_spent_before_a_first_ceiling_counts_as_unknown_after_a_loss() {
    let bench = Bench::on(redis().await, database().await, Ceilings::default()).await;
    let score = |cost, priority| bench.demand(bench.account(""), cost, priority);
    admitted(&bench.store.acquire(&score(50, Priority::Interactive)).await.unwrap());
    let rows = PolicyRows::new(Postgres::connect(&bench.postgres).await.unwrap());
    let repeat = Repeat { request_id: Uuid::new_v4(), method: "UpdateQuotaPolicy", fingerprint: [0; 32] };
    let exact_from_ms = bench.store.now_ms();
    assert!(rows.put(&capped("", 60), "acme", (&[bench.app], exact_from_ms), &repeat).await.unwrap());
    let again = rows.put(&capped("", 70), "acme", (&[bench.app], exact_from_ms), &repeat).await.unwrap();
    assert!(!again, "another version was there by then");
    assert!(bench.rules.policies().learn(rows.after(0).await.unwrap()));
    refused(&bench.store.acquire(&score(10, Priority::Interactive)).await.unwrap()); // 58, and 50 are spent
    lose(&bench, "").await;
    let after = bench.store.acquire(&score(1, Priority::Interactive)).await.unwrap();
    assert_eq!(refused(&after).reason, Reason::CountersLost);
    admitted(&bench.store.acquire(&score(1, Priority::Safety)).await.unwrap());
}
