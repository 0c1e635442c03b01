//! Tenants whose keys are destroyed.

use jiff::{ToSpan, Zoned, civil::Date};
use proto::auth::v1::{self as pb, audit_service_client::AuditServiceClient};
use tonic::Code;

use super::{Parts, client, count, lease, request, result, rotate};
use crate::{
    waiting::in_time,
    world::{self, TOKEN, World, bearing, import, uuid, why},
};

fn shred(tenant: &str) -> pb::ShredTenantKeyRequest {
    let (tenant, confirm) = (format!("tenants/{tenant}"), format!("tenants/{tenant}"));
    pb::ShredTenantKeyRequest { tenant, confirm, request_id: uuid(), validate_only: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shredded_tenants_secrets_are_gone_and_the_receipt_says_until_when_a_backup_opens() {
    let (world, first, imported) = World::connected().await;
    let other = world.tenant(&first, "other").await;
    world.connections().import_system_user_token(bearing(&other, import())).await.unwrap();
    let (database, vault) = (world.postgres().await, Parts::of(&world).await.vault);
    let hash = vault.keyed_hash("acme", b"value").await.unwrap();
    database.batch_execute("CREATE TABLE backup AS SELECT * FROM connections").await.unwrap();
    let mistaken = pb::ShredTenantKeyRequest { confirm: "acme".to_owned(), ..shred("acme") };
    let refused = client(&world).shred_tenant_key(bearing(&first.operator, mistaken)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let rehearsed = pb::ShredTenantKeyRequest { validate_only: true, ..shred("acme") };
    let rehearsed = client(&world).shred_tenant_key(bearing(&first.operator, rehearsed)).await.unwrap().into_inner();
    assert_eq!(rehearsed.receipt.unwrap().connections, 1);
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
    let mut stream = {
        let watch = pb::WatchRevocationsRequest { generation: 0 };
        world.service("campaigns").watch_revocations(watch).await.unwrap().into_inner()
    };
    stream.message().await.unwrap();

    let asked = shred("acme");
    let done = client(&world).shred_tenant_key(bearing(&first.operator, asked.clone())).await.unwrap().into_inner();
    let receipt = done.receipt.clone().unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "what a receipt says is compared with the day on which the test runs"
    )]
    let today = Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let closed: Date = receipt.closed_on.parse().unwrap();
    assert!([today + 35.days(), today + 34.days()].contains(&closed), "{closed}");
    assert_eq!((receipt.tenant.as_str(), receipt.connections), ("tenants/acme", 1));
    assert_eq!(receipt.key_encryption_keys.len(), 1);
    let again = client(&world).shred_tenant_key(bearing(&first.operator, asked)).await.unwrap().into_inner();
    assert_eq!(again, done, "a repeat gets the same receipt");
    let refused = client(&world).shred_tenant_key(bearing(&first.operator, shred("acme"))).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));

    let told = async {
        loop {
            let message = stream.message().await.unwrap().unwrap();
            if let Some(revocation) = message.revocation {
                return revocation;
            }
        }
    };
    let told = in_time("the end of the whole tenant", told).await;
    assert_eq!(
        (told.tenant.as_str(), told.subject),
        ("tenants/acme", Some(pb::revocation::Subject::WholeTenant(true)))
    );

    assert_eq!(why(&lease(&world).await.unwrap_err()).1, "NOT_CONNECTED");
    let name = imported.connection.unwrap().name;
    let get = pb::GetConnectionRequest { name };
    let mut connections = world.connections();
    let seen = async || {
        // A token of the very second of the shredding counts as made before it.
        let caller = world.token_of(first.answer.caller.as_ref(), &first.answer.caller_secret).await;
        connections.clone().get_connection(bearing(&caller, get.clone())).await.map(|seen| (caller, seen))
    };
    let (caller, seen) = super::until(seen).await;
    let connection = seen.into_inner().connection.unwrap();
    assert_eq!(connection.state(), pb::ConnectionState::Revoked);
    assert_eq!(connection.state_reason, "its tenant's keys were destroyed");
    let left = "SELECT count(*) FROM connections WHERE tenant_id = 'acme' AND (wrapped_key IS NOT NULL OR sealed_token IS NOT NULL)";
    assert_eq!(count(&world, left).await, 0);
    assert_eq!(count(&world, "SELECT count(*) FROM tenant_keys WHERE tenant_id = 'acme'").await, 0);
    // Not even with the rows of a backup: their keys are gone.
    let restore = "UPDATE connections AS c SET wrapped_key = b.wrapped_key, sealed_token = b.sealed_token
                     FROM backup AS b WHERE c.id = b.id AND c.tenant_id = 'acme'";
    assert!(database.execute(restore, &[]).await.is_err(), "a row lies under a key that is not there");
    vault.look().await.unwrap();
    assert_ne!(vault.keyed_hash("acme", b"value").await.unwrap(), hash);

    // The neighbour goes on, and the tenant may begin anew, under a key that never was.
    let mut audit = AuditServiceClient::new(world.pool());
    assert_eq!(
        count(&world, "SELECT count(*) FROM connections WHERE tenant_id = 'other' AND wrapped_key IS NOT NULL").await,
        1
    );
    connections.import_system_user_token(bearing(&caller, import())).await.unwrap();
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
    let list = pb::ListKeysRequest::default();
    let keys = client(&world).list_keys(world::for_tenant(bearing(&first.operator, list), "acme")).await.unwrap();
    let keys = keys.into_inner().keys;
    assert_eq!((keys[0].tenant.as_str(), keys[0].version), ("tenants/acme", 2));
    assert_eq!(keys.last().unwrap().destroy_by, receipt.closed_on);
    for (days, reminders) in [(0, 1), (36, 0)] {
        let later = "UPDATE kek_retirements SET due_on = due_on - $1::int";
        database.execute(later, &[&days]).await.unwrap();
        Parts::of(&world).await.rotations.tidy().await.unwrap();
        assert_eq!(count(&world, "SELECT count(*) FROM kek_retirements").await, reminders);
    }
    let list = pb::ListAuditEntriesRequest { ..Default::default() };
    let entries = audit.list_audit_entries(bearing(&caller, list)).await.unwrap().into_inner().entries;
    assert!(entries.iter().any(|entry| entry.action == "keys.shred" && entry.resource == "tenants/acme"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_at_the_moment_of_shredding_leaves_nothing_that_nobody_opens() {
    let (world, first, _) = World::connected().await;
    let mut rounds = 0;
    while rounds < 5 {
        let (mut connections, mut keys) = (world.connections(), client(&world));
        let caller = super::until(async || {
            let caller = world.token_of(first.answer.caller.as_ref(), &first.answer.caller_secret).await;
            let list = pb::ListConnectionsRequest::default();
            world.connections().list_connections(bearing(&caller, list)).await.map(|_| caller)
        })
        .await;
        let (imported, shredded) = tokio::join!(
            connections.import_system_user_token(bearing(&caller, import())),
            keys.shred_tenant_key(bearing(&first.operator, shred("acme")))
        );
        if imported.as_ref().is_err_and(|refused| refused.code() == Code::Unauthenticated) {
            continue; // only now the replica heard of the shredding before, which ended the tokens of that second
        }
        rounds += 1;
        // Whoever lost is told so; both may have won, one after the other.
        assert!(imported.is_ok() || shredded.is_ok(), "{imported:?} {shredded:?}");
        let orphans = "
            SELECT count(*) FROM connections AS c
             WHERE c.wrapped_key IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM tenant_keys AS k WHERE k.tenant_id = c.tenant_id AND k.version = c.tenant_key_version)";
        assert_eq!(count(&world, orphans).await, 0);
        let parts = Parts::of(&world).await;
        assert!(parts.tokens().await.len() <= 1, "what is there opens");
    }
    let operation =
        rotate(&world, &first.operator, "system", request(pb::KeyPurpose::Wrapping, pb::RotationMode::Reencrypt));
    assert!(result(&operation.await).rows >= 2, "the app's secret and the key that signs");
}
