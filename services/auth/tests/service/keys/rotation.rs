//! Tenants' keys: rotated while imports and leases go on, by processes of two versions.

use std::collections::BTreeSet;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use proto::{
    auth::v1::{self as pb, KeyPurpose::Wrapping, KeyState, RotationMode},
    operations::v1::{CancelOperationRequest, operation::Outcome, operation_service_client::OperationServiceClient},
};
use tonic::Code;

use super::{Parts, client, count, lease, request, result, rotate};
use crate::world::{TOKEN, World, bearing, for_tenant, import};

/// What the first release did to open a value; written anew here, so that nothing of today's code can change with it.
struct FirstRelease {
    kek: Vec<u8>,
}

impl FirstRelease {
    fn open(key: &[u8], place: [&str; 4], version: i32, sealed: &[u8]) -> Vec<u8> {
        let version = version.to_be_bytes();
        let mut bound = Vec::new();
        for part in place.map(str::as_bytes).into_iter().chain([version.as_slice()]) {
            bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bound.extend_from_slice(part);
        }
        let (nonce, body) = sealed.split_at(NONCE_LEN);
        let mut body = body.to_vec();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
        key.open_in_place(nonce, Aad::from(bound), &mut body).expect("the first release opens it").to_vec()
    }

    /// Every token of every tenant.
    async fn tokens(&self, world: &World) -> Vec<String> {
        let rows = "
            SELECT c.tenant_id, c.id::text, c.tenant_key_version, c.key_version, c.wrapped_key, c.sealed_token, k.wrapped
              FROM connections AS c
              JOIN tenant_keys AS k ON k.tenant_id = c.tenant_id AND k.version = c.tenant_key_version";
        let rows = world.postgres().await.query(rows, &[]).await.unwrap();
        let tokens = rows.iter().map(|row| {
            let (tenant, id): (&str, &str) = (row.get(0), row.get(1));
            let (version, key_version): (i32, i32) = (row.get(2), row.get(3));
            let tenant_key = Self::open(&self.kek, [tenant, "tenant_keys", "wrapped", tenant], version, row.get(6));
            let row_key = Self::open(&tenant_key, [tenant, "connections", "wrapped_key", id], version, row.get(4));
            let token = Self::open(&row_key, [tenant, "connections", "sealed_token", id], key_version, row.get(5));
            String::from_utf8(token).unwrap()
        });
        tokens.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_and_leases_go_on_while_a_tenants_key_is_rotated_on_two_replicas() {
    let (world, first, _) = World::connected().await;
    world.replica().await;
    let parts = Parts::of(&world).await;
    let mut tokens: BTreeSet<String> = (0..250).map(|number| format!("token-{number}")).collect();
    parts.add_connections(&tokens.iter().cloned().collect::<Vec<_>>()).await;
    let rotating = async {
        for (mode, version) in [(RotationMode::Rewrap, 2), (RotationMode::Reencrypt, 3), (RotationMode::Unspecified, 4)]
        {
            let operation = rotate(&world, &first.caller, "acme", request(Wrapping, mode)).await;
            assert_eq!((result(&operation).rows, result(&operation).version), (251, version));
            assert!(operation.metadata.unwrap().steps_total >= 250);
        }
    };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let importing = async {
        let mut imported = 0;
        while !*stopped.borrow() {
            world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
            assert_eq!(lease(&world).await.unwrap(), TOKEN);
            imported += 1;
        }
        imported
    };
    let rotating = async {
        rotating.await;
        stop.send(true).unwrap();
    };
    let ((), imported) = tokio::join!(rotating, importing);

    tokens.insert(TOKEN.to_owned());
    assert_eq!(parts.tokens().await.into_iter().collect::<BTreeSet<_>>(), tokens);
    assert_eq!(count(&world, "SELECT max(token_version) FROM connections").await, 1 + imported, "no import was lost");
    // What one sealed at the last moment may lie under the version before, which then stays.
    let lost = "SELECT count(*) FROM connections AS c
                 WHERE NOT EXISTS (SELECT 1 FROM tenant_keys WHERE tenant_id = c.tenant_id AND version = c.tenant_key_version)";
    assert_eq!(count(&world, lost).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_release_opens_what_a_rotation_leaves() {
    let (world, first, _) = World::connected().await;
    let old = FirstRelease { kek: b"01234567890123456789012345678901".to_vec() };
    assert_eq!(old.tokens(&world).await, [TOKEN]);
    for mode in [RotationMode::Rewrap, RotationMode::Reencrypt] {
        result(&rotate(&world, &first.caller, "acme", request(Wrapping, mode)).await);
        assert_eq!(old.tokens(&world).await, [TOKEN]);
    }
    world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
    assert_eq!(old.tokens(&world).await, [TOKEN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_is_shown_until_nothing_lies_under_it_and_cannot_be_deleted_before() {
    let (world, first, _) = World::connected().await;
    let database = world.postgres().await;
    let delete = "DELETE FROM tenant_keys WHERE tenant_id = 'acme' AND version = 1";
    assert!(database.execute(delete, &[]).await.is_err(), "a key is deleted that a token lies under");
    result(&rotate(&world, &first.caller, "acme", request(Wrapping, RotationMode::Rewrap)).await);
    let list = pb::ListKeysRequest::default();
    let keys = client(&world).list_keys(bearing(&first.caller, list)).await.unwrap().into_inner().keys;
    let shown: Vec<_> = keys.iter().map(|key| (key.version, key.state(), key.rows)).collect();
    assert_eq!(shown, [(1, KeyState::Retired, 0), (2, KeyState::Active, 1)]);

    // A day later it goes by itself.
    let parts = Parts::of(&world).await;
    parts.rotations.tidy().await.unwrap();
    let versions = "SELECT count(*) FROM tenant_keys WHERE tenant_id = 'acme'";
    assert_eq!(count(&world, versions).await, 2);
    database.execute("UPDATE tenant_keys SET retired_at = retired_at - interval '25 hours'", &[]).await.unwrap();
    parts.rotations.tidy().await.unwrap();
    assert_eq!(count(&world, versions).await, 1);
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_under_a_retired_key_at_the_last_moment_is_brought_forward() {
    let (world, first, _) = World::connected().await;
    let database = world.postgres().await;
    database.batch_execute("CREATE TABLE late AS SELECT * FROM connections").await.unwrap();
    result(&rotate(&world, &first.caller, "acme", request(Wrapping, RotationMode::Rewrap)).await);
    let late = "
        UPDATE connections AS c
           SET tenant_key_version = l.tenant_key_version, wrapped_key = l.wrapped_key
          FROM late AS l
         WHERE c.id = l.id;
        UPDATE tenant_keys SET retired_at = retired_at - interval '25 hours'";
    database.batch_execute(late).await.unwrap();
    Parts::of(&world).await.rotations.tidy().await.unwrap();
    assert_eq!(count(&world, "SELECT count(*) FROM connections WHERE tenant_key_version = 2").await, 1);
    assert_eq!(count(&world, "SELECT count(*) FROM tenant_keys WHERE tenant_id = 'acme'").await, 1);
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_waits_can_be_cancelled_and_is_the_only_one() {
    let (world, first, _) = World::connected().await;
    world.stop().await;
    let mut world = world;
    world.restart().await;
    // Nobody wraps with this key, so the rotation waits for a replica that does.
    let parts = Parts::of(&world).await;
    let database = world.postgres().await;
    let what = request(pb::KeyPurpose::Encryption, RotationMode::Unspecified);
    let waiting = "
        CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN NEW.input := convert_to(replace(convert_from(NEW.input, 'UTF8'), 'file:', 'elsewhere:'), 'UTF8');
              RETURN NEW; END$$;
        CREATE TRIGGER waits BEFORE INSERT ON operations FOR EACH ROW EXECUTE FUNCTION waits()";
    database.batch_execute(waiting).await.unwrap();
    let began = client(&world).rotate_key(bearing(&first.operator, what.clone())).await.unwrap().into_inner();
    let again = pb::RotateKeyRequest { request_id: crate::world::uuid(), ..what };
    let refused = client(&world).rotate_key(bearing(&first.operator, again)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);

    let name = began.operation.unwrap().name;
    let id = name.split_once("auth-").unwrap().1.parse().unwrap();
    let shown = async || {
        let stored = parts.store.operations().get("system", id).await.unwrap().unwrap();
        <proto::operations::v1::Operation as prost::Message>::decode(stored.body.as_slice()).unwrap()
    };
    super::until(async || {
        let phase = shown().await.metadata.unwrap().phase;
        if phase.contains("waiting for a replica that wraps with elsewhere:") { Ok(()) } else { Err(phase) }
    })
    .await;
    let mut operations = OperationServiceClient::new(world.pool());
    let cancel = CancelOperationRequest { name, request_id: crate::world::uuid(), ..Default::default() };
    operations.cancel_operation(for_tenant(bearing(&first.operator, cancel), "system")).await.unwrap();
    let ended = super::until(async || Some(shown().await).filter(|operation| operation.done).ok_or("it goes on")).await;
    let Some(Outcome::Error(error)) = ended.outcome else { panic!("it was not cancelled") };
    assert_eq!(Code::from_i32(error.code), Code::Cancelled);
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_tampered_with_does_not_hold_up_the_others() {
    let (world, first, _) = World::connected().await;
    let parts = Parts::of(&world).await;
    parts.add_connections(&["one".to_owned(), "two".to_owned()]).await;
    let spoil = "UPDATE connections SET wrapped_key = '\\x00' WHERE user_id NOT LIKE 'user-%'";
    assert_eq!(world.postgres().await.execute(spoil, &[]).await.unwrap(), 1);
    let operation = rotate(&world, &first.caller, "acme", request(Wrapping, RotationMode::Reencrypt)).await;
    let Some(Outcome::Error(error)) = operation.outcome else { panic!("it went well") };
    assert!(error.message.starts_with("1 rows do not open, the first is connections/"), "{error:?}");
    assert_eq!(count(&world, "SELECT count(*) FROM connections WHERE tenant_key_version = 2").await, 2);
    let states = "SELECT count(*) FROM tenant_keys WHERE tenant_id = 'acme' AND retired_at IS NULL";
    assert_eq!(count(&world, states).await, 2, "the old key is not retired");
}
