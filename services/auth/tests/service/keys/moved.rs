//! Sealed values that are moved or rolled back: nothing opens but where and when it was sealed.

use std::collections::BTreeSet;

use auth::vault::{Cell, Sealed, columns::SEALED};
use proto::auth::v1::{self as pb, audit_service_client::AuditServiceClient};
use secrecy::ExposeSecret;
use tonic::Code;

use super::{Parts, lease};
use crate::world::{TOKEN, World, bearing, import};

#[tokio::test(flavor = "multi_thread")]
async fn no_sealed_column_of_the_schema_is_forgotten_by_rotations() {
    let world = World::empty().await;
    let columns = "
        SELECT table_name::text, column_name::text
          FROM information_schema.columns
         WHERE table_schema = 'auth' AND (starts_with(column_name, 'sealed_') OR column_name = 'wrapped_key')";
    let found = world.postgres().await.query(columns, &[]).await.unwrap();
    let found: BTreeSet<(String, String)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    let listed = SEALED.iter().flat_map(|sealed| {
        let columns = sealed.columns.iter().chain(&["wrapped_key"]);
        columns.map(|column| (sealed.table.to_owned(), (*column).to_owned()))
    });
    assert_eq!(found, listed.collect::<BTreeSet<_>>());
    assert!(found.len() >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_opens_in_its_own_cell_and_in_no_other() {
    let world = World::empty().await;
    world.bootstrap().await;
    let Parts { vault, .. } = Parts::of(&world).await;
    vault.ensure_tenant("other").await.unwrap();
    let mut cells = Vec::new();
    for table in SEALED {
        for column in SEALED.iter().flat_map(|sealed| sealed.columns) {
            for (tenant, row) in [("acme", "7"), ("acme", "8"), ("other", "7"), ("other", "8")] {
                cells.push(Cell { tenant, table: table.table, column, row });
            }
        }
    }
    let mut sealed = Vec::new();
    for cell in &cells {
        // Two versions of the same cell, one after the other.
        let first = vault.seal(cell, 0, b"first").await.unwrap();
        let second = vault.seal(cell, first.key.key_version, b"second").await.unwrap();
        assert_eq!((first.key.key_version, second.key.key_version), (1, 2));
        sealed.push([(first, b"first".as_slice()), (second, b"second")]);
    }
    for (at, versions) in sealed.iter().enumerate() {
        for (to, cell) in cells.iter().enumerate() {
            for (value, plain) in versions {
                match vault.open(cell, value).await {
                    Ok(opened) => {
                        assert!(at == to && opened.expose_secret() == *plain, "{:?} opens in {cell:?}", cells[at]);
                    }
                    Err(_) => assert_ne!(at, to, "{cell:?} does not open"),
                }
            }
        }
        let [(first, _), (second, _)] = versions;
        let mixed = [
            // An older ciphertext, or its key with it, under the row's newer version, and the other way round.
            Sealed { value: first.value.clone(), ..second.clone() },
            Sealed { key: auth::vault::RowKey { key_version: 2, ..first.key.clone() }, value: first.value.clone() },
            Sealed { key: auth::vault::RowKey { key_version: 1, ..second.key.clone() }, value: second.value.clone() },
            // A version of the tenant's key that is not its own.
            Sealed {
                key: auth::vault::RowKey { tenant_key_version: 2, ..first.key.clone() },
                value: first.value.clone(),
            },
        ];
        for value in &mixed {
            assert!(vault.open(&cells[at], value).await.is_err(), "{value:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_token_put_back_into_its_row_does_not_open() {
    let (mut world, first, _) = World::connected().await;
    let client = world.postgres().await;
    let older = "CREATE TABLE older AS SELECT * FROM connections";
    client.batch_execute(older).await.unwrap();
    world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
    assert_eq!(lease(&world).await.unwrap(), TOKEN);

    let put_back = "
        UPDATE connections AS c
           SET wrapped_key = o.wrapped_key, sealed_token = o.sealed_token
          FROM older AS o
         WHERE c.tenant_id = o.tenant_id AND c.id = o.id";
    assert_eq!(client.execute(put_back, &[]).await.unwrap(), 1);
    // Another replica, which holds no token in memory.
    world.endpoint = world.replica().await;
    assert_eq!(lease(&world).await.unwrap_err().code(), Code::Internal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_older_row_put_back_opens_and_shows_beside_the_chain() {
    let (world, first, _) = World::connected().await;
    let client = world.postgres().await;
    client.batch_execute("CREATE TABLE older AS SELECT * FROM connections").await.unwrap();
    world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
    let put_back = "
        UPDATE connections AS c
           SET wrapped_key = o.wrapped_key, sealed_token = o.sealed_token, key_version = o.key_version,
               token_version = o.token_version, version = o.version
          FROM older AS o
         WHERE c.tenant_id = o.tenant_id AND c.id = o.id
        RETURNING c.token_version";
    let put_back: i64 = client.query_one(put_back, &[]).await.unwrap().get(0);
    assert_eq!(lease(&world).await.unwrap(), TOKEN);

    let list = pb::ListAuditEntriesRequest::default();
    let mut audit = AuditServiceClient::new(world.pool());
    let entries = audit.list_audit_entries(bearing(&first.caller, list)).await.unwrap().into_inner().entries;
    let told: serde_json::Value = serde_json::from_str(&entries.last().unwrap().detail).unwrap();
    assert_eq!((told["token_version"].as_i64(), put_back), (Some(2), 1));
}
