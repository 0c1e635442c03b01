//! `adplane keys`: the vault's keys, and its lock. What to do when stands in `deploy/runbooks/keys.md`.

mod rotate;

use anyhow::{Context, Result};
use client::list_all;
use futures::TryStreamExt;
use proto::auth::v1::{
    GetSealStatusRequest, GetSealStatusResponse, Key, ListKeysRequest, SealVaultRequest, ShredReceipt,
    ShredTenantKeyRequest, UnsealVaultRequest,
};
use uuid::Uuid;

use crate::{
    door::{Door, named},
    output::{moment, word},
};

/// What to do with the vault.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Says whether the vault is open, and who keeps its key; ends with 8 where it is closed
    Status(Door),
    /// Shows the keys and what lies under each
    List(Door),
    /// Puts a new key into the place of one, while everything goes on
    Rotate(rotate::Options),
    /// Closes the vault on every replica: nothing is leased, sealed or opened any more
    Seal(Seal),
    /// Opens the vault again
    Unseal(Door),
    /// Destroys a tenant's keys, and with them all its secrets; nothing brings them back
    Shred(Shred),
}

/// Why it is closed.
#[derive(Debug, clap::Args)]
pub(crate) struct Seal {
    /// Why, for everybody who is refused
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    door: Door,
}

/// Whose keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Shred {
    /// The tenant, as tenants/acme
    of: String,
    /// The tenant once more, so that nobody does this by mistake
    #[arg(long)]
    confirm: String,
    #[command(flatten)]
    door: Door,
}

/// Nothing can be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[error("the vault is closed")]
pub(crate) struct Closed;

pub(crate) async fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Status(door) => status(&door).await,
        Verb::List(door) => list(&door).await,
        Verb::Rotate(options) => rotate::run(options).await,
        Verb::Seal(Seal { reason, door }) => {
            let request = SealVaultRequest { reason, request_id: Uuid::new_v4().to_string(), validate_only: false };
            door.open()?.keys().seal_vault(request).await?;
            door.output().done("the vault is closed; leases that are out end within two minutes")
        }
        Verb::Unseal(door) => {
            let request = UnsealVaultRequest { request_id: Uuid::new_v4().to_string(), validate_only: false };
            door.open()?.keys().unseal_vault(request).await?;
            door.output()
                .done("no operator keeps the vault closed any more; `adplane keys status` says whether it serves")
        }
        Verb::Shred(options) => shred(options).await,
    }
}

async fn status(door: &Door) -> Result<()> {
    let status = door.open()?.keys().get_seal_status(GetSealStatusRequest {}).await?.into_inner();
    door.output().thing(&status, parts)?;
    if status.sealed { Err(Closed.into()) } else { Ok(()) }
}

fn parts(status: &GetSealStatusResponse) -> Vec<(&'static str, String)> {
    let reach = if status.key_reachable { "serves" } else { "does not serve" };
    let all = [
        ("vault", if status.sealed { "closed" } else { "open" }.to_owned()),
        ("key provider", format!("{}, {reach}", status.provider)),
        ("closed by", status.sealed_by.clone()),
        ("closed at", moment(status.seal_time.as_ref())),
        ("why", status.reason.clone()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

async fn list(door: &Door) -> Result<()> {
    let client = door.open()?;
    let all = list_all(async |page_token| {
        let request = ListKeysRequest { page_size: 1_000, page_token };
        let page = client.keys().list_keys(request).await?.into_inner();
        Ok((page.keys, page.next_page_token))
    });
    let all: Vec<Key> = all.try_collect().await?;
    let head = ["purpose", "tenant", "version", "state", "rows", "key", "wrapped by", "made", "destroy by"];
    door.output().rows(&head, &all, row)
}

fn row(key: &Key) -> Vec<String> {
    vec![
        word(key.purpose().as_str_name(), "KEY_PURPOSE_"),
        key.tenant.clone(),
        key.version.to_string(),
        word(key.state().as_str_name(), "KEY_STATE_"),
        key.rows.to_string(),
        key.key_id.clone(),
        key.wrapped_by.clone(),
        moment(key.create_time.as_ref()),
        key.destroy_by.clone(),
    ]
}

async fn shred(Shred { of, confirm, door }: Shred) -> Result<()> {
    let request = ShredTenantKeyRequest {
        tenant: named("tenants", &of),
        confirm: named("tenants", &confirm),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let answer = door.open()?.keys().shred_tenant_key(request).await?.into_inner();
    door.output().thing(&answer.receipt.context("auth answered without a receipt")?, receipt)
}

fn receipt(receipt: &ShredReceipt) -> Vec<(&'static str, String)> {
    vec![
        ("tenant", receipt.tenant.clone()),
        ("destroyed at", moment(receipt.shred_time.as_ref())),
        ("connections", receipt.connections.to_string()),
        ("backups open until", receipt.closed_on.clone()),
        ("with these keys", receipt.key_encryption_keys.join(", ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_whose_provider_is_away_is_told_from_one_that_somebody_closed() {
        let away = GetSealStatusResponse {
            sealed: true,
            provider: "vault_transit".to_owned(),
            ..GetSealStatusResponse::default()
        };
        let expected = [("vault", "closed"), ("key provider", "vault_transit, does not serve")];
        assert_eq!(parts(&away), expected.map(|(name, value)| (name, value.to_owned())));
        let closed = GetSealStatusResponse {
            key_reachable: true,
            sealed_by: "callers/ada".to_owned(),
            reason: "ticket 4711".to_owned(),
            ..away
        };
        assert!(parts(&closed).contains(&("closed by", "callers/ada".to_owned())));
    }
}
