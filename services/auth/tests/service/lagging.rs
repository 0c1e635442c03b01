//! Replicas that lag behind, queries that fail, databases that lost their last moment.

use futures::future::join_all;
use proto::auth::v1::{self as pb, key_service_client::KeyServiceClient};
use serde_json::json;
use tonic::{Code, Request, Streaming};

use crate::{
    waiting::PATIENCE,
    world::{ACCOUNT, World, bearing, import, uuid, why},
};

fn lease(seen_generation: i64) -> Request<pb::LeaseCredentialRequest> {
    let (resource, purpose) = (ACCOUNT.to_owned(), "campaigns.read".to_owned());
    let request = pb::LeaseCredentialRequest { resource, purpose, min_ttl: None, seen_generation };
    rpc::for_tenant(request, &"acme".parse().unwrap())
}

async fn change(world: &World, sql: &str) {
    assert_eq!(world.postgres().await.execute(sql, &[]).await.unwrap(), 1, "{sql}");
}

/// What becomes so sooner or later.
async fn at_last<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it becomes so")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_has_seen_more_than_a_replica_gets_nothing_out_of_its_memory() {
    let (world, _, _) = World::connected().await;
    let mut campaigns = world.service("campaigns");
    let lent = campaigns.lease_credential(lease(0)).await.unwrap().into_inner();
    change(&world, "UPDATE connections SET state = 'needs_consent', state_reason = 'told to nobody'").await;
    let again = campaigns.lease_credential(lease(lent.generation)).await.unwrap().into_inner();
    assert_eq!(again.generation, lent.generation, "nothing ended since");
    // The holder was told of a revocation that this replica has not looked at yet.
    let refused = campaigns.lease_credential(lease(lent.generation + 1)).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()));
    change(&world, "UPDATE connections SET state = 'active', state_reason = ''").await;
    let newer = campaigns.lease_credential(lease(lent.generation + 1)).await.unwrap().into_inner();
    assert_eq!(newer.generation, lent.generation + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_is_closed_although_the_database_lost_its_last_moment() {
    let (world, first, _) = World::connected().await;
    let mut keys = KeyServiceClient::new(world.pool());
    let unseal = || pb::UnsealVaultRequest { request_id: uuid(), validate_only: false };
    for _ in 0..3 {
        keys.unseal_vault(bearing(&first.operator, unseal())).await.unwrap();
    }
    change(&world, "UPDATE vault_state SET generation = 1").await;
    let seal = pb::SealVaultRequest { reason: "stolen".to_owned(), request_id: uuid(), validate_only: false };
    keys.seal_vault(bearing(&first.operator, seal)).await.unwrap();
    let refused = world.service("campaigns").lease_credential(lease(0)).await.unwrap_err();
    assert_eq!(why(&refused), (Code::Unavailable, "VAULT_SEALED".to_owned()));
}

/// The generation of the next revocation.
async fn told(stream: &mut Streaming<pb::WatchRevocationsResponse>) -> i64 {
    let next = async {
        loop {
            let message = stream.message().await.unwrap().unwrap();
            if message.revocation.is_some() {
                return message.generation;
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("it is told")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_after_a_restore_is_told_to_those_who_saw_what_it_lost() {
    let (world, first, _) = World::connected().await;
    let mut campaigns = world.service("campaigns");
    let mut stream = campaigns.watch_revocations(pb::WatchRevocationsRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    // A newer token of a connection ends the leases of the older one.
    world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
    let seen = told(&mut stream).await;
    change(&world, "UPDATE revocation_clock SET generation = 1").await;
    world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
    assert!(told(&mut stream).await > seen);

    // And whoever went away meanwhile resumes where it was.
    let resumed = pb::WatchRevocationsRequest { generation: seen };
    let mut stream = campaigns.watch_revocations(resumed).await.unwrap().into_inner();
    assert!(told(&mut stream).await > seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_query_that_fails_hides_no_revocation() {
    let (world, first, _) = World::connected().await;
    let list = || bearing(&first.caller, pb::ListConnectionsRequest::default());
    assert!(world.connections().list_connections(list()).await.is_ok());
    let caller = first.answer.caller.as_ref().unwrap().name.trim_start_matches("callers/").to_owned();
    let now = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let ended = format!(
        "INSERT INTO revocations (generation, tenant_id, kind, subject, revoked_at)
         VALUES ({now}, 'acme', 'caller', '{caller}', now())"
    );
    change(&world, &ended).await;
    // Nobody can read what ended, and its clock goes on.
    let mut client = world.postgres().await;
    let locked = client.transaction().await.unwrap();
    locked.execute("LOCK TABLE revocations IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    change(&world, &format!("UPDATE revocation_clock SET generation = {now}")).await;
    let cancel = "
        SELECT pg_cancel_backend(pid)
          FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let other = world.postgres().await;
    // The leases' loop and the verifier's.
    let mut cancelled = 0;
    at_last(async || {
        cancelled += other.execute(cancel, &[]).await.unwrap();
        (cancelled >= 2).then_some(())
    })
    .await;
    locked.rollback().await.unwrap();
    let refused = at_last(async || world.connections().list_connections(list()).await.err()).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_blame_a_token_while_meta_is_asked_about_it_wait_for_what_it_says() {
    let (world, _, _) = World::connected().await;
    let lent = world.service("campaigns").lease_credential(lease(0)).await.unwrap().into_inner().lease.unwrap();
    let inspections = async || world.asked(|line| line["path"].to_string().contains("debug_token")).await;
    let before = inspections().await;
    let slow = json!({ "matcher": { "path": "debug_token" }, "action": { "slow": { "milliseconds": 3_000 } } });
    world.control("faults", &slow).await;
    let reports = (0..20).map(async |_| {
        let lease_id = lent.lease_id.clone();
        let report = pb::ReportCredentialFailureRequest { lease_id, meta_code: 190, ..Default::default() };
        let report = rpc::for_tenant(report, &"acme".parse().unwrap());
        world.service("campaigns").report_credential_failure(report).await.unwrap().into_inner().verdict()
    });
    let verdicts = join_all(reports).await;
    assert!(verdicts.iter().all(|verdict| *verdict == pb::CredentialVerdict::NotTheToken), "{verdicts:?}");
    // One after the other, so there are few however slowly they come.
    let asked = inspections().await - before;
    assert!((1..=8).contains(&asked), "{asked}");
}
