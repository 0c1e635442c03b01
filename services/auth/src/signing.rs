//! The keys that sign our tokens: made at the first start, sealed, the same for all replicas.
//!
//! They rotate with an overlap. A new key is published first and signs later, when every verifier has read it; an old one
//! stays published until the last token that it signed has ended. When is stored with the keys, so that replicas agree
//! however seldom they look, which they do every few seconds.

mod schedule;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::schedule::{Span, is_published, signs};
use crate::{
    error::Error,
    now::Now,
    secret::NoRandomness,
    store::{Store, keys::signing, keys::signing::StoredSigningKey},
    token::{self, Algorithm, SigningKey},
    vault::{Cell, SYSTEM, Vault, columns},
};

/// How often a replica looks for other keys.
const LOOK: Duration = Duration::from_secs(2);

/// The keys as this replica read them last. Clones share them.
#[derive(Clone)]
pub struct SigningKeys {
    store: Store,
    vault: Vault,
    now: Now,
    known: Arc<ArcSwap<Vec<Known>>>,
    /// What this process verifies with: changed with the keys, so that it never issues what it refuses.
    verifies: rpc::Keys,
}

/// A key and when it is good for what.
#[derive(Clone)]
struct Known {
    id: String,
    span: Span,
    public: Value,
    /// The private half. `None` where it may not sign any more, or while the vault does not open.
    private: Option<Arc<SigningKey>>,
}

impl SigningKeys {
    /// Reads the keys; makes the first one where there is none. Replicas that start together agree on one. While the vault
    /// does not open, tokens are verified and none are issued.
    ///
    /// # Errors
    /// When the store is away, or there is no key and the vault cannot seal one.
    pub async fn load(store: &Store, vault: &Vault, algorithm: Algorithm, now: Now) -> Result<Self, Error> {
        let verifies = rpc::Keys::fixed(&JwkSet { keys: Vec::new() });
        let keys = Self { store: store.clone(), vault: vault.clone(), now, known: Arc::default(), verifies };
        if signing::all(&store.client().await?).await?.is_empty() {
            vault.ensure_tenant(SYSTEM).await?;
            let first = new_key(vault, algorithm, 1, None).await?;
            signing::insert(&store.client().await?, &first).await?;
        }
        keys.reload().await?;
        Ok(keys)
    }

    /// Reads the keys again.
    ///
    /// # Errors
    /// When the store is away. A private half that does not open is left for the next time.
    pub async fn reload(&self) -> Result<(), Error> {
        let now = (self.now)();
        let stored = signing::all(&self.store.client().await?).await?;
        let spans: Vec<_> = stored.iter().map(span).collect();
        let oldest_signer = signs(&spans, now).map(|at| spans.get(at).map_or(0, |span| span.version));
        let before = self.known.load_full();
        let mut known = Vec::with_capacity(stored.len());
        for key in &stored {
            let span = span(key);
            let private = match before.iter().find(|known| known.id == key.id).and_then(|known| known.private.clone()) {
                _ if oldest_signer.is_none_or(|oldest| span.version < oldest) => None,
                Some(private) => Some(private),
                None => self.open(key).await,
            };
            known.push(Known {
                id: key.id.clone(),
                span,
                public: token::jwk(&key.id, key.algorithm, &key.public),
                private,
            });
        }
        self.known.store(Arc::new(known));
        self.verifies.replace(&serde_json::from_value(self.jwks()).map_err(|_| Error::Corrupt("signing key"))?);
        Ok(())
    }

    /// What verifies our tokens in this process, whatever is reloaded.
    pub fn verifies(&self) -> rpc::Keys {
        self.verifies.clone()
    }

    async fn open(&self, key: &StoredSigningKey) -> Option<Arc<SigningKey>> {
        match self.vault.open(&cell(&key.id), &key.private).await {
            Ok(private) => Some(Arc::new(SigningKey::new(key.id.clone(), key.algorithm, &private))),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, key.id, "a key that signs tokens does not open now");
                None
            }
        }
    }

    /// Reads them again and again until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            if let Err(error) = self.reload().await {
                warn!(error = &error as &dyn std::error::Error, "the keys that sign tokens are not read now");
            }
        }
    }

    /// What signs at this moment.
    ///
    /// # Errors
    /// When the vault has not opened it yet.
    pub fn signer(&self, now: Timestamp) -> Result<Arc<SigningKey>, Error> {
        let known = self.known.load();
        let spans: Vec<_> = known.iter().map(|known| known.span).collect();
        let signer = signs(&spans, now).and_then(|at| known.get(at)?.private.clone());
        signer.ok_or(Error::NoSigner)
    }

    /// What verifies now: a JSON Web Key Set (RFC 7517).
    pub fn jwks(&self) -> Value {
        let now = (self.now)();
        let known = self.known.load();
        let keys: Vec<_> =
            known.iter().filter(|known| is_published(&known.span, now)).map(|known| known.public.clone()).collect();
        json!({"keys": keys})
    }
}

fn span(key: &StoredSigningKey) -> Span {
    Span { version: key.version, signs_from: key.signs_from, published_until: key.published_until }
}

/// A new key, sealed and not stored.
pub async fn new_key(
    vault: &Vault,
    algorithm: Algorithm,
    version: i32,
    signs_from: Option<Timestamp>,
) -> Result<StoredSigningKey, Error> {
    let (public, private) = generate(algorithm)?;
    let hash = digest::digest(&digest::SHA256, &public);
    let id = hex::encode(hash.as_ref().get(..8).unwrap_or_default());
    let private = vault.seal(&cell(&id), 0, private.expose_secret()).await?;
    // Overwritten when it is read back.
    let created = Timestamp::UNIX_EPOCH;
    Ok(StoredSigningKey { version, id, algorithm, public, private, signs_from, published_until: None, created })
}

/// The halves of a new key: the public one, and the private one as PKCS#8.
pub fn generate(algorithm: Algorithm) -> Result<(Vec<u8>, SecretSlice<u8>), Error> {
    let (random, corrupt) = (SystemRandom::new(), || Error::Corrupt("signing key"));
    let es256 = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = match algorithm {
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
        Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(es256, &random),
    };
    let private = SecretSlice::from(document.map_err(|_| NoRandomness)?.as_ref().to_vec());
    let public = match algorithm {
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::from_pkcs8(private.expose_secret()).map_err(|_| corrupt())?;
            pair.public_key().as_ref().to_vec()
        }
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(es256, private.expose_secret()).map_err(|_| corrupt())?;
            pair.public_key().as_ref().to_vec()
        }
    };
    Ok((public, private))
}

fn cell(id: &str) -> Cell<'_> {
    Cell { tenant: SYSTEM, table: columns::SIGNING_KEYS, column: "sealed_private", row: id }
}
