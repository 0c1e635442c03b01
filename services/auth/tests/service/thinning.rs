//! Old anchors and findings: all of ninety days, then one of each chain and day.

use crate::{
    chains::{Pair, tamper},
    waiting::until,
};

/// Anchors of four entries on each of two days, of which the second is not yet old; and as many findings.
const OLD: &str = "
    INSERT INTO audit_anchors (tenant_id, service, sequence, hash, anchored_at, signature)
    SELECT 'acme', 'campaigns', n, sha256(n::text::bytea),
           date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
               - CASE WHEN n <= 4 THEN 95 ELSE 30 END * interval '1 day' + n * interval '1 hour',
           '\\x00'
      FROM generate_series(1, 8) AS n;
    INSERT INTO audit_findings (tenant_id, service, sequence, problem, found_at)
    SELECT 'acme', 'campaigns', n, 'planted',
           date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
               - CASE WHEN n <= 4 THEN 95 ELSE 30 END * interval '1 day' + n * interval '1 hour'
      FROM generate_series(1, 8) AS n";

async fn kept(pair: &Pair, table: &str) -> Vec<i64> {
    let sql = format!("SELECT sequence FROM {table} WHERE tenant_id = 'acme' AND service = 'campaigns' ORDER BY 1");
    pair.world.postgres().await.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_old_one_a_day_stays_and_of_the_rest_everything() {
    let pair = Pair::new().await;
    let client = pair.world.postgres().await;
    // No round is between the two: whoever anchors would find the planted ones not its own.
    client.batch_execute(OLD).await.unwrap();
    // The first round has thinned already, perhaps before there was anything; a later one does it again.
    pair.world.turn(std::time::Duration::from_hours(1)).await;
    until("old anchors are thinned", async || kept(&pair, "audit_anchors").await == [4, 5, 6, 7, 8]).await;
    until("old findings are thinned", async || {
        let kept = kept(&pair, "audit_findings").await;
        kept.contains(&1) && [2, 3, 4].iter().all(|gone| !kept.contains(gone)) && kept.contains(&5)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_deletes_the_last_anchor_of_a_day_by_mistake() {
    let pair = Pair::new().await;
    let client = pair.world.postgres().await;
    client.batch_execute(OLD).await.unwrap();
    for (sql, is_let) in [
        ("DELETE FROM audit_anchors WHERE service = 'campaigns' AND sequence = 8", false),
        ("DELETE FROM audit_anchors WHERE service = 'campaigns'", false),
        ("UPDATE audit_anchors SET hash = '' WHERE service = 'campaigns'", false),
        ("TRUNCATE audit_anchors", false),
        ("DELETE FROM audit_anchors WHERE service = 'campaigns' AND sequence = 7", true),
    ] {
        assert_eq!(client.execute(sql, &[]).await.is_ok(), is_let, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_verified_over_what_was_thinned() {
    let pair = Pair::new().await;
    for head in 1..=3 {
        pair.append("acme", "campaign.update").await;
        pair.anchored("acme", head).await;
    }
    pair.world.turn(std::time::Duration::from_hours(24 * 100)).await;
    until("the anchors are thinned", async || kept(&pair, "audit_anchors").await == [3]).await;
    assert!(pair.verify("acme").await.intact);
    pair.tamper("UPDATE audit_entries SET action = 'nothing' WHERE tenant_id = 'acme' AND sequence = 2").await;
    let verdict = pair.verify("acme").await;
    assert_eq!((verdict.intact, verdict.broken_sequence), (false, 2));
    // What whoever may change this very table does is not hindered by a trigger, and shows.
    tamper(&pair.other, "audit_entries", "DELETE FROM audit_entries WHERE tenant_id = 'acme' AND sequence = 3").await;
    assert!(!pair.verify("acme").await.intact);
}
