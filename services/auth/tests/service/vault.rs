//! What lies in the database: nothing that can be read, and nothing that can be moved.

use std::fmt::Write;

use proto::auth::v1::{
    self as pb,
    KeyPurpose::{Encryption, Signing, Wrapping},
    audit_service_client::AuditServiceClient,
    key_service_client::KeyServiceClient,
};
use rpc::for_tenant;
use tonic::Code;

use crate::{
    waiting::soon,
    world::{self, ACCOUNT, APP_SECRET, TOKEN, World, bearing, import},
};

/// Every row of every table, as text.
async fn dump(world: &World) -> String {
    let client = world.postgres().await;
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'auth' ORDER BY tablename";
    let mut text = String::new();
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        for row in client.query(&format!("SELECT t::text FROM auth.{table} AS t"), &[]).await.unwrap() {
            writeln!(text, "{table}: {}", row.get::<_, String>(0)).unwrap();
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_lies_in_the_database_in_clear() {
    let (world, first, _) = World::connected().await;
    let dump = dump(&world).await;
    assert!(dump.contains("connections: (acme,"));
    let secrets = [TOKEN, APP_SECRET, &first.answer.caller_secret, &first.answer.operator_secret, &first.caller];
    for secret in secrets {
        // bytea prints in hex.
        assert!(!dump.contains(secret) && !dump.contains(&hex::encode(secret)), "{secret} lies there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ciphertext_moved_to_another_row_or_tenant_does_not_open() {
    let (world, first, _) = World::connected().await;
    let other = world.tenant(&first, "other").await;
    world.connections().import_system_user_token(bearing(&other, import())).await.unwrap();
    let client = world.postgres().await;
    let moved = "
        UPDATE connections AS c
           SET tenant_key_version = o.tenant_key_version, key_version = o.key_version,
               wrapped_key = o.wrapped_key, sealed_token = o.sealed_token
          FROM connections AS o
         WHERE c.tenant_id = 'acme' AND o.tenant_id = 'other'";
    assert_eq!(client.execute(moved, &[]).await.unwrap(), 1);
    let purpose = "campaigns.read".to_owned();
    let request =
        pb::LeaseCredentialRequest { resource: ACCOUNT.to_owned(), purpose, min_ttl: None, seen_generation: 0 };
    let refused = world.service("campaigns").lease_credential(for_tenant(request, &"acme".parse().unwrap())).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
    assert!(!refused.message().contains("seal"), "the cause is for the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_without_their_bytes_and_the_installations_to_operators_only() {
    let (world, first, _) = World::connected().await;
    let mut keys = KeyServiceClient::new(world.pool());
    let list = pb::ListKeysRequest::default();
    let mine = keys.list_keys(bearing(&first.caller, list.clone())).await.unwrap().into_inner().keys;
    assert_eq!(mine.len(), 1);
    assert_eq!((mine[0].tenant.as_str(), mine[0].rows), ("tenants/acme", 1));
    let all =
        keys.list_keys(world::for_tenant(bearing(&first.operator, list), "acme")).await.unwrap().into_inner().keys;
    let purposes: Vec<_> = all.iter().map(pb::Key::purpose).collect();
    assert_eq!(purposes, [Wrapping, Wrapping, Signing, Encryption]);
    assert_eq!(all.iter().map(pb::Key::state).collect::<Vec<_>>(), [pb::KeyState::Active; 4]);
    assert_eq!(all[3].key_id, mine[0].wrapped_by);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vault_says_when_its_key_is_the_wrong_one() {
    let (world, first, _) = World::connected().await;
    let mut keys = KeyServiceClient::new(world.pool());
    let status = keys.get_seal_status(bearing(&first.caller, pb::GetSealStatusRequest {})).await.unwrap().into_inner();
    let open = pb::GetSealStatusResponse { provider: "file".to_owned(), key_reachable: true, ..Default::default() };
    assert_eq!(status, open);
    let client = world.postgres().await;
    client.execute("UPDATE tenant_keys SET wrapped = '\\x00' WHERE tenant_id = 'system'", &[]).await.unwrap();
    // The answer of before is given again for a few seconds.
    soon("a provider that does not serve", async || {
        let asked = keys.clone().get_seal_status(bearing(&first.caller, pb::GetSealStatusRequest {})).await;
        let status = asked.unwrap().into_inner();
        (status.sealed && !status.key_reachable).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_in_the_tenants_chain() {
    let (world, first, imported) = World::connected().await;
    let mut audit = AuditServiceClient::new(world.pool());
    let list = pb::ListAuditEntriesRequest::default();
    let entries = audit.list_audit_entries(bearing(&first.caller, list)).await.unwrap().into_inner().entries;
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["bootstrap", "connections.import"]);
    assert_eq!(entries[1].resource, imported.connection.unwrap().name);
    assert_eq!(entries[1].actor, first.answer.caller.as_ref().unwrap().name);
    let verify = pb::VerifyAuditChainRequest::default();
    let verdict = audit.verify_audit_chain(bearing(&first.caller, verify)).await.unwrap().into_inner();
    assert!(verdict.intact && verdict.entries == 2);

    let client = world.postgres().await;
    let forged = "
        ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_final;
        UPDATE audit_entries SET actor = 'callers/nobody' WHERE tenant_id = 'acme' AND sequence = 2";
    client.batch_execute(forged).await.unwrap();
    let verdict = audit.verify_audit_chain(bearing(&first.caller, verify)).await.unwrap().into_inner();
    assert!(!verdict.intact && verdict.broken_sequence == 2, "{verdict:?}");
}
