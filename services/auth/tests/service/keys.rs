//! The vault's keys: rotated, closed, destroyed, and kept by other machines, while everything goes on.

mod files;
mod kill;
mod moved;
mod rotation;
mod sealing;
mod shredding;
mod signing;
mod stand_in;
mod transit;

use auth::{
    signing::SigningKeys,
    store::Store,
    token::Algorithm,
    vault::{Cell, Vault, provider::Providers, rotation::Rotations, text},
};
use proto::{
    auth::v1::{self as pb, key_service_client::KeyServiceClient},
    operations::v1::{
        GetOperationRequest, Operation, operation::Outcome, operation_service_client::OperationServiceClient,
    },
};
use rpc::Pool;
use secrecy::ExposeSecret;
use storage::Postgres;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    waiting::soon,
    world::{ACCOUNT, World, bearing, for_tenant, uuid},
};

fn client(world: &World) -> KeyServiceClient<Pool> {
    KeyServiceClient::new(world.pool())
}

/// Leases the token that serves the first ad account, as the service campaigns.
async fn lease(world: &World) -> Result<String, Status> {
    let purpose = "campaigns.read".to_owned();
    let request =
        pb::LeaseCredentialRequest { resource: ACCOUNT.to_owned(), purpose, min_ttl: None, seen_generation: 0 };
    let request = rpc::for_tenant(request, &"acme".parse().unwrap());
    let lease = world.service("campaigns").lease_credential(request).await?.into_inner().lease;
    Ok(lease.unwrap().token)
}

fn request(purpose: pb::KeyPurpose, mode: pb::RotationMode) -> pb::RotateKeyRequest {
    let (purpose, mode) = (purpose.into(), mode.into());
    pb::RotateKeyRequest { purpose, mode, request_id: uuid(), ..Default::default() }
}

/// Rotates as this caller and waits for the end. `tenant` is whose operation it becomes.
async fn rotate(world: &World, token: &str, tenant: &str, what: pb::RotateKeyRequest) -> Operation {
    let began = client(world).rotate_key(for_tenant(bearing(token, what), tenant)).await.unwrap().into_inner();
    let name = began.operation.unwrap().name;
    let mut operations = OperationServiceClient::new(world.pool());
    soon("the end of the rotation", async || {
        let get = GetOperationRequest { name: name.clone() };
        let got = operations.get_operation(for_tenant(bearing(token, get), tenant)).await.unwrap().into_inner();
        got.operation.filter(|operation| operation.done)
    })
    .await
}

/// What a rotation that went well says it did.
fn result(operation: &Operation) -> pb::RotateKeyResult {
    match operation.outcome.clone().unwrap() {
        Outcome::Result(any) => prost::Message::decode(any.value.as_slice()).unwrap(),
        Outcome::Error(error) => panic!("{error:?}"),
    }
}

/// Repeats until it is good.
async fn until<T, E>(mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    soon("something good", async || attempt().await.ok()).await
}

/// Everything that the key-encryption key wraps: tenants' keys, and those of their keyed hashes.
const WRAPPED: &str = "SELECT (SELECT count(*) FROM tenant_keys) + (SELECT count(*) FROM hash_keys)";

/// How many rows a statement finds.
async fn count(world: &World, sql: &str) -> i64 {
    world.postgres().await.query_one(sql, &[]).await.unwrap().get(0)
}

/// The parts of auth without its server and its workers, over the database of a world.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    rotations: Rotations,
}

impl Parts {
    pub(crate) async fn of(world: &World) -> Self {
        let now = auth::now::of(vocabulary::SystemClock);
        let settings = &world.settings;
        let postgres = Postgres::connect(&settings.postgres.in_schema(auth::SCHEMA)).await.unwrap();
        let store = Store::new(postgres);
        let providers = Providers::of(&settings.vault()).unwrap();
        let vault = Vault::start(providers, store.keys()).await.unwrap();
        let signing = SigningKeys::load(&store, &vault, Algorithm::EdDsa, now.clone()).await.unwrap();
        let rotations = Rotations::new(settings, (store.clone(), now), vault.clone(), signing);
        Self { store, vault, rotations }
    }

    /// Further connections of the first tenant, each with a token of its own, made after the one that it has.
    async fn add_connections(&self, tokens: &[String]) {
        const COPY: &str = "
            INSERT INTO connections
                   (tenant_id, id, kind, state, state_reason, app_id, user_id, scopes, expected_scopes, granular_scopes,
                    inspected_at, tenant_key_version, key_version, wrapped_key, sealed_token, created_at, updated_at)
            SELECT tenant_id, $1, kind, state, state_reason, app_id, $2, scopes, expected_scopes, granular_scopes,
                   inspected_at, $3, $4, $5, $6, created_at, updated_at
              FROM connections
             WHERE tenant_id = 'acme'
             LIMIT 1";
        let client = self.store.client().await.unwrap();
        for token in tokens {
            let id = Uuid::now_v7();
            let row = id.to_string();
            let sealed = self.vault.seal(&cell(&row), 0, token.as_bytes()).await.unwrap();
            let key = &sealed.key;
            let user = format!("user-{row}");
            client
                .execute(COPY, &[&id, &user, &key.tenant_key_version, &key.key_version, &key.wrapped, &sealed.value])
                .await
                .unwrap();
        }
    }

    /// Every token of the first tenant in clear, sorted, past everything but the vault.
    async fn tokens(&self) -> Vec<String> {
        let client = self.store.client().await.unwrap();
        let rows = "SELECT id, tenant_key_version, key_version, wrapped_key, sealed_token
                      FROM connections
                     WHERE tenant_id = 'acme' AND wrapped_key IS NOT NULL";
        let mut tokens = Vec::new();
        for row in client.query(rows, &[]).await.unwrap() {
            let id = row.get::<_, Uuid>(0).to_string();
            let key =
                auth::vault::RowKey { tenant_key_version: row.get(1), key_version: row.get(2), wrapped: row.get(3) };
            let sealed = auth::vault::Sealed { key, value: row.get(4) };
            let opened = self.vault.open(&cell(&id), &sealed).await.unwrap();
            tokens.push(text(&opened).unwrap().expose_secret().to_owned());
        }
        tokens.sort();
        tokens
    }
}

fn cell(row: &str) -> Cell<'_> {
    Cell { tenant: "acme", table: "connections", column: "sealed_token", row }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_installation_is_for_operators() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    for purpose in [pb::KeyPurpose::Encryption, pb::KeyPurpose::Signing] {
        let request = request(purpose, pb::RotationMode::Unspecified);
        let refused = client(&world).rotate_key(bearing(&first.caller, request)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{purpose:?}");
    }
    let seal = pb::SealVaultRequest { reason: "because".to_owned(), ..Default::default() };
    let refused = client(&world).seal_vault(bearing(&first.caller, seal)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let unseal = pb::UnsealVaultRequest::default();
    let refused = client(&world).unseal_vault(bearing(&first.caller, unseal)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let tenant = "tenants/acme".to_owned();
    let shred = pb::ShredTenantKeyRequest { confirm: tenant.clone(), tenant, request_id: uuid(), validate_only: false };
    let refused = client(&world).shred_tenant_key(bearing(&first.caller, shred)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
