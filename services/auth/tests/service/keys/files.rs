//! The key-encryption key in files: from one to the next without a pause.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use proto::auth::v1 as pb;
use tonic::Code;

use super::{WRAPPED, client, count, lease, request, result, rotate};
use crate::world::{TOKEN, World, bearing, for_tenant, import};

const OLD: &str = "SELECT count(*) FROM tenant_keys WHERE wrapped_by = 'file:";

fn key(world: &World, byte: u8) -> PathBuf {
    world.file(&format!("kek-{byte}"), &STANDARD.encode([byte; 32]))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_encryption_key_is_rotated_from_file_to_file_while_leases_go_on() {
    let (mut world, first, _) = World::connected().await;
    let old = world.settings.kek_file.clone();
    let new = key(&world, 2);
    let before: String =
        world.postgres().await.query_one("SELECT wrapped_by FROM tenant_keys LIMIT 1", &[]).await.unwrap().get(0);

    // Every replica first learns to open under the new key, then wraps with it.
    world.settings.kek_other_files = vec![new.clone()];
    world.restart().await;
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
    (world.settings.kek_file, world.settings.kek_other_files) = (new.clone(), vec![old]);
    world.restart().await;
    let request = request(pb::KeyPurpose::Encryption, pb::RotationMode::Unspecified);
    let operation = rotate(&world, &first.operator, "system", request).await;
    let told = result(&operation);
    let wrapped = count(&world, WRAPPED).await;
    assert_eq!((told.rows, told.version), (wrapped, 0), "the keys of the tenant and of the installation");
    assert_ne!(told.key_id, before);
    let id = before.strip_prefix("file:").unwrap();
    assert_eq!(count(&world, &format!("{OLD}{id}'")).await, 0);

    world.settings.kek_other_files = Vec::new();
    world.restart().await;
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
    world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
    let list = for_tenant(bearing(&first.operator, pb::ListKeysRequest::default()), "acme");
    let keys = client(&world).list_keys(list).await.unwrap().into_inner().keys;
    let keks: Vec<_> = keys.iter().filter(|key| key.purpose() == pb::KeyPurpose::Encryption).collect();
    assert_eq!(keks.len(), 1);
    assert_eq!(
        (keks[0].key_id.as_str(), keks[0].state(), keks[0].rows),
        (&*told.key_id, pb::KeyState::Active, wrapped)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_without_the_old_key_says_what_does_not_open_and_goes_on_when_it_is_back() {
    let (mut world, first, _) = World::connected().await;
    let old = world.settings.kek_file.clone();
    world.settings.kek_file = key(&world, 3);
    world.restart().await;
    let status = client(&world).get_seal_status(bearing(&first.caller, pb::GetSealStatusRequest {})).await.unwrap();
    assert!(!status.into_inner().key_reachable);
    let what = || request(pb::KeyPurpose::Encryption, pb::RotationMode::Unspecified);
    let operation = rotate(&world, &first.operator, "system", what()).await;
    let Some(proto::operations::v1::operation::Outcome::Error(error)) = operation.outcome else {
        panic!("it went well")
    };
    assert_eq!(Code::from_i32(error.code), Code::FailedPrecondition, "{error:?}");
    assert!(error.message.contains("tenants/acme under file:"), "{error:?}");

    world.settings.kek_other_files = vec![old];
    world.restart().await;
    let rows = result(&rotate(&world, &first.operator, "system", what()).await).rows;
    assert_eq!(rows, count(&world, WRAPPED).await);
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
}
