//! The keys that sign our tokens: made at the first start, sealed, the same for all replicas.

use std::sync::Arc;

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::{Value, json};

use crate::{
    error::Error,
    secret::NoRandomness,
    store::{Store, keys, keys::StoredSigningKey},
    token::{self, SigningKey},
    vault::{Cell, SYSTEM, Vault},
};

/// The key in use and the public halves of all.
#[derive(Clone)]
pub struct SigningKeys {
    /// Signs what is issued now.
    pub current: Arc<SigningKey>,
    /// What verifies: a JSON Web Key Set (RFC 7517).
    pub jwks: Value,
}

impl SigningKeys {
    /// Reads the keys; makes the first one where there is none. Replicas that start together agree on one.
    pub async fn load(store: &Store, vault: &Vault) -> Result<Self, Error> {
        vault.ensure_tenant(SYSTEM).await?;
        let client = store.client().await?;
        if keys::signing(&client).await?.is_empty() {
            keys::insert_signing(&client, &generate(vault).await?).await?;
        }
        let stored = keys::signing(&client).await?;
        let newest = stored.first().ok_or(Error::Corrupt("signing key"))?;
        let private = vault.open(&cell(&newest.id), &newest.private).await?;
        let current = SigningKey::new(newest.id.clone(), newest.public.clone(), &private);
        let jwks: Vec<Value> = stored.iter().map(|key| token::jwk(&key.id, &key.public)).collect();
        Ok(Self { current: Arc::new(current), jwks: json!({"keys": jwks}) })
    }
}

async fn generate(vault: &Vault) -> Result<StoredSigningKey, Error> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| NoRandomness)?;
    let private = SecretSlice::from(document.as_ref().to_vec());
    let pair = Ed25519KeyPair::from_pkcs8(private.expose_secret()).map_err(|_| Error::Corrupt("signing key"))?;
    let public = pair.public_key().as_ref().to_vec();
    let hash = digest::digest(&digest::SHA256, &public);
    let id = hex::encode(hash.as_ref().get(..8).unwrap_or_default());
    let private = vault.seal(&cell(&id), private.expose_secret()).await?;
    // Overwritten when it is read back.
    let created = jiff::Timestamp::UNIX_EPOCH;
    Ok(StoredSigningKey { version: 1, id, public, private, created })
}

fn cell(id: &str) -> Cell<'_> {
    Cell { tenant: SYSTEM, table: "signing_keys", column: "sealed_private", row: id }
}
