//! The hash chain: whole when left alone, broken by every kind of tampering.

use crate::support::TENANT;
use serde_json::json;
use storage::audit::{self, Break, Entry, Head, Listing, Verdict};
use storage::{Error, Postgres};

async fn append(postgres: &Postgres, tenant: &str, action: &str) -> Result<Head, Error> {
    let mut client = postgres.client().await?;
    let transaction = client.transaction().await?;
    let detail = json!({"before": {"budget": 5000}, "after": {"budget": 6000}});
    let entry =
        Entry { tenant, actor: "someone", action, resource: "adAccounts/act_1/campaigns/2", request_id: None, detail };
    let head = audit::append(&transaction, entry).await?;
    transaction.commit().await?;
    Ok(head)
}

async fn chain_of(length: usize) -> (Postgres, Vec<Head>) {
    let postgres = crate::support::migrated().await;
    let mut heads = Vec::new();
    for index in 0..length {
        heads.push(append(&postgres, TENANT, &format!("test.{index}")).await.unwrap());
    }
    (postgres, heads)
}

async fn verify(postgres: &Postgres, anchor: Option<&Head>) -> Verdict {
    audit::verify(&postgres.client().await.unwrap(), TENANT, anchor).await.unwrap()
}

/// What somebody with all rights in the database can do.
async fn tamper(postgres: &Postgres, sql: &str) {
    let sql =
        format!("ALTER TABLE audit_entries DISABLE TRIGGER ALL; {sql}; ALTER TABLE audit_entries ENABLE TRIGGER ALL");
    postgres.client().await.unwrap().batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn a_chain_left_alone_is_whole() {
    let (postgres, heads) = chain_of(5).await;
    assert_eq!(verify(&postgres, heads.get(2)).await, Verdict::Whole(heads.last().copied()));
    assert_eq!(audit::head(&postgres.client().await.unwrap(), TENANT).await.unwrap(), heads.last().copied());
    let none = audit::verify(&postgres.client().await.unwrap(), "nobody", None).await.unwrap();
    assert_eq!(none, Verdict::Whole(None));
}

#[tokio::test]
async fn changes_at_once_make_one_chain_without_gaps() {
    let (postgres, _) = chain_of(0).await;
    let appended = futures::future::join_all((0..20).map(|_| append(&postgres, TENANT, "test"))).await;
    let mut places: Vec<_> = appended.into_iter().map(|head| head.unwrap().sequence).collect();
    places.sort_unstable();
    assert_eq!(places, (1..=20).collect::<Vec<_>>());
    assert!(matches!(verify(&postgres, None).await, Verdict::Whole(Some(head)) if head.sequence == 20));
}

#[tokio::test]
async fn a_change_that_was_rolled_back_leaves_no_entry() {
    let (postgres, heads) = chain_of(2).await;
    let mut client = postgres.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let entry = Entry { tenant: TENANT, actor: "a", action: "b", resource: "c", request_id: None, detail: json!(null) };
    audit::append(&transaction, entry).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(verify(&postgres, None).await, Verdict::Whole(heads.last().copied()));
}

#[tokio::test]
async fn an_edited_entry_is_found() {
    for edit in [
        "actor = 'another'",
        "action = 'x'",
        "resource = 'x'",
        "detail = '{}'",
        "request_id = gen_random_uuid()",
        "written_at = written_at + interval '1 microsecond'",
    ] {
        let (postgres, _) = chain_of(4).await;
        tamper(&postgres, &format!("UPDATE audit_entries SET {edit} WHERE sequence = 3")).await;
        let broken = Verdict::Broken { sequence: 3, how: Break::Edited };
        assert_eq!(verify(&postgres, None).await, broken, "{edit}");
    }
}

#[tokio::test]
async fn a_deleted_entry_is_found_wherever_it_stood() {
    for sequence in 1..=4 {
        let (postgres, _) = chain_of(4).await;
        tamper(&postgres, &format!("DELETE FROM audit_entries WHERE sequence = {sequence}")).await;
        assert_eq!(verify(&postgres, None).await, Verdict::Broken { sequence, how: Break::Missing });
    }
}

#[tokio::test]
async fn a_cut_tail_with_its_head_set_back_is_found_by_the_head_kept_elsewhere() {
    let (postgres, heads) = chain_of(4).await;
    tamper(
        &postgres,
        "DELETE FROM audit_entries WHERE sequence > 2;
         UPDATE audit_heads SET sequence = 2, hash = (SELECT hash FROM audit_entries WHERE sequence = 2)",
    )
    .await;
    assert_eq!(verify(&postgres, None).await, Verdict::Whole(heads.get(1).copied()));
    assert_eq!(verify(&postgres, heads.last()).await, Verdict::Broken { sequence: 3, how: Break::Missing });
}

#[tokio::test]
async fn a_chain_written_anew_is_found_by_the_head_kept_elsewhere() {
    let (postgres, heads) = chain_of(3).await;
    tamper(&postgres, "DELETE FROM audit_entries; DELETE FROM audit_heads").await;
    for _ in 0..5 {
        append(&postgres, TENANT, "forged").await.unwrap();
    }
    assert!(matches!(verify(&postgres, None).await, Verdict::Whole(_)));
    assert_eq!(verify(&postgres, heads.last()).await, Verdict::Broken { sequence: 3, how: Break::Rewritten });
}

#[tokio::test]
async fn an_entry_moved_from_another_tenant_is_found() {
    let (postgres, _) = chain_of(1).await;
    append(&postgres, "other", "test.0").await.unwrap();
    tamper(
        &postgres,
        "DELETE FROM audit_entries WHERE tenant_id = 'acme';
         UPDATE audit_entries SET tenant_id = 'acme';
         UPDATE audit_heads AS h SET hash = o.hash FROM audit_heads AS o WHERE o.tenant_id = 'other'",
    )
    .await;
    assert_eq!(verify(&postgres, None).await, Verdict::Broken { sequence: 1, how: Break::Edited });
}

#[tokio::test]
async fn the_service_itself_cannot_change_an_entry() {
    let (postgres, _) = chain_of(1).await;
    let client = postgres.client().await.unwrap();
    for sql in ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries", "TRUNCATE audit_entries"] {
        assert!(client.batch_execute(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn entries_are_listed_by_tenant_and_filter() {
    let (postgres, heads) = chain_of(3).await;
    append(&postgres, "other", "test.0").await.unwrap();
    let client = postgres.client().await.unwrap();
    let all = audit::list(&client, TENANT, Listing { size: 10, ..Listing::default() }).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(all[0].detail["after"]["budget"], 6000);
    let some = Listing { action: "test.1", resource_prefix: "adAccounts/act_1/", size: 10, ..Listing::default() };
    assert_eq!(audit::list(&client, TENANT, some).await.unwrap().len(), 1);
    let none = Listing { resource_prefix: "adAccounts/act_2/", size: 10, ..Listing::default() };
    assert!(audit::list(&client, TENANT, none).await.unwrap().is_empty());
    let page = Listing { after: 1, size: 1, ..Listing::default() };
    assert_eq!(audit::list(&client, TENANT, page).await.unwrap()[0].sequence, 2);
    let anchored = audit::heads(&client, "", 10).await.unwrap();
    assert_eq!(anchored.len(), 2);
    assert_eq!(anchored[0], (TENANT.to_owned(), heads[2]));
}

#[tokio::test]
async fn a_secret_that_somebody_wrote_into_a_reason_is_not_stored() {
    let (postgres, _) = chain_of(0).await;
    let mut client = postgres.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let detail = json!({"reason": "leaked by jane@example.com: EAAGm0PX4ZCpsBAKZCplanted"});
    let entry = Entry { tenant: TENANT, actor: "a", action: "b", resource: "c", request_id: None, detail };
    audit::append(&transaction, entry).await.unwrap();
    transaction.commit().await.unwrap();
    let rows = client.query("SELECT e::text FROM audit_entries AS e", &[]).await.unwrap();
    let stored: String = rows[0].get(0);
    assert!(stored.contains("leaked by"), "{stored}");
    assert!(!stored.contains("jane") && !stored.contains("planted"), "{stored}");
    assert!(matches!(verify(&postgres, None).await, Verdict::Whole(Some(_))));
}

#[tokio::test]
async fn an_entry_that_the_head_does_not_name_is_found() {
    let (postgres, heads) = chain_of(3).await;
    append(&postgres, TENANT, "forged").await.unwrap();
    let client = postgres.client().await.unwrap();
    let back = "UPDATE audit_heads SET sequence = $1, hash = $2";
    client.execute(back, &[&heads[2].sequence, &heads[2].hash.as_slice()]).await.unwrap();
    assert_eq!(verify(&postgres, None).await, Verdict::Broken { sequence: 4, how: Break::Head });
}
