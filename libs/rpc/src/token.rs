//! Tokens: JWTs that say who calls, for which tenants, with which scopes. Verified by every service again.
//!
//! A token is ours or that of an issuer outside ([`trust`]); the issuer and the key id that it names choose the key, and
//! the key has one algorithm, whatever the token says. What was verified once is remembered by the SHA-256 of the token
//! until it ends, or until something else is trusted; what was revoked is asked each time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};
use vocabulary::ids::TenantId;
use vocabulary::{Clock, SystemClock};

use crate::caller::{Scopes, Tenants};
use crate::fault::{self, ErrorReason, Fault};

mod decode;
mod keys;
mod mapping;
mod revocations;
mod trust;

pub use jsonwebtoken::Algorithm;
pub use keys::{Keys, KeysError, Reader, Wanted};
pub use trust::{Rule, Trust, TrustedIssuer, usable_keys};

/// For whom our tokens are.
pub const AUDIENCE: &str = "adplane";

/// Verified tokens that are remembered; beyond it the expired go, then all.
const REMEMBERED_MAX: usize = 10_000;

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// Whose it is.
    pub sub: String,
    /// For whom: [`AUDIENCE`].
    pub aud: String,
    /// When it ends, in unix seconds.
    pub exp: i64,
    /// When it was made, in unix seconds.
    pub iat: i64,
    /// When it begins, in unix seconds.
    pub nbf: i64,
    /// For which tenants.
    pub tenants: Tenants,
    /// With which scopes.
    pub scopes: Scopes,
    /// The service of ours whose token it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// A token that was found good, and what it says.
#[derive(Debug)]
pub struct Verified {
    /// Whose it is.
    pub subject: Arc<str>,
    /// For which tenants.
    pub tenants: Tenants,
    /// With which scopes.
    pub scopes: Scopes,
    /// The service of ours whose token it is.
    pub service: Option<Arc<str>>,
    /// When it was made, in unix seconds.
    pub issued: i64,
    /// When it ends, in unix seconds.
    pub expires: i64,
    /// The token itself, to be passed on.
    pub token: Arc<SecretString>,
    /// Where scopes differ by tenant: which for which. Empty for our own tokens.
    given: BTreeMap<TenantId, Scopes>,
    /// The key of ours that signed it.
    key_id: Option<String>,
}

impl Verified {
    /// What it may do for this tenant; without one, what it may do for each of its tenants.
    pub fn scopes_for(&self, tenant: Option<&TenantId>) -> &Scopes {
        tenant.and_then(|tenant| self.given.get(tenant)).unwrap_or(&self.scopes)
    }

    /// The tenants for which it may do all that it may do for this one.
    pub fn tenants_like(&self, tenant: Option<&TenantId>) -> Tenants {
        let Some(Scopes::Only(scopes)) = tenant.and_then(|tenant| self.given.get(tenant)) else {
            return self.tenants.clone();
        };
        let holds = |other: &Scopes| scopes.iter().all(|scope| other.contains(scope));
        let like = self.given.iter().filter(|(_, other)| holds(other));
        Tenants::Only(like.map(|(tenant, _)| tenant.clone()).collect())
    }
}

/// Why a token was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// No token came.
    #[error("a token is needed: send it as `authorization: Bearer`")]
    Missing,
    /// It is no JWT of ours, or its signature is wrong.
    #[error("the token does not verify: {0}")]
    Refused(&'static str),
    /// Its keys cannot be had now.
    #[error("the keys that verify tokens cannot be read")]
    Keys(#[source] Arc<KeysError>),
}

impl Fault for TokenError {
    fn code(&self) -> Code {
        match self {
            Self::Missing | Self::Refused(_) => Code::Unauthenticated,
            Self::Keys(_) => Code::Unavailable,
        }
    }

    fn reason(&self) -> ErrorReason {
        match self {
            Self::Missing | Self::Refused(_) => ErrorReason::TokenRefused,
            Self::Keys(_) => ErrorReason::ServiceUnavailable,
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Missing => vec![("cause", "missing".to_owned())],
            Self::Refused(cause) => vec![("cause", (*cause).to_owned())],
            Self::Keys(_) => vec![("upstream", "auth".to_owned())],
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        matches!(self, Self::Keys(_)).then_some(std::time::Duration::from_secs(1))
    }
}

impl From<TokenError> for Status {
    fn from(error: TokenError) -> Self {
        fault::status(&error)
    }
}

type Digest = [u8; 32];

/// A verified token, and what was trusted then.
struct Remembered {
    generation: u64,
    /// The issuer, where it is one outside.
    outside: Option<String>,
    verified: Arc<Verified>,
}

/// Verifies tokens, each once until it ends.
pub struct Verifier {
    keys: Keys,
    remembered: Mutex<HashMap<Digest, Remembered>>,
    ended: Mutex<revocations::Ended>,
    /// The time, in unix seconds.
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Verifier {
    /// Verifies with these keys.
    pub fn new(keys: Keys) -> Self {
        Self::by(SystemClock, keys)
    }

    /// The same by another clock. The library that checks signatures looks at the machine's as well.
    fn by(clock: impl Clock, keys: Keys) -> Self {
        let now = Arc::new(move || clock.now().as_second());
        Self { keys, remembered: Mutex::default(), ended: Mutex::default(), now }
    }

    /// What the token says. Fails where it is not good, or where its key cannot be read.
    pub async fn verify(&self, token: &str) -> Result<Arc<Verified>, TokenError> {
        decode::require_size(token)?;
        let digest = digest_of(token);
        let now = (self.now)();
        self.keys.keep_fresh().await;
        let verified = match self.recall(&digest, now) {
            Some(verified) => verified,
            None => self.verify_anew(token, digest, now).await?,
        };
        // Asked each time, so that nothing that is remembered outlives its revocation.
        if lock(&self.ended).covers(&verified) { Err(TokenError::Refused("revoked")) } else { Ok(verified) }
    }

    fn recall(&self, digest: &Digest, now: i64) -> Option<Arc<Verified>> {
        let remembered = lock(&self.remembered);
        let known = remembered.get(digest).filter(|known| known.verified.expires > now)?;
        let stands = self.keys.stands(known.generation, known.outside.as_deref(), now);
        stands.then(|| Arc::clone(&known.verified))
    }

    async fn verify_anew(&self, token: &str, digest: Digest, now: i64) -> Result<Arc<Verified>, TokenError> {
        let head = decode::head(token)?;
        let found = self.keys.find(&head, now).await?;
        let verified = Arc::new(decode::verified(token, head, &found, now)?);
        // Of the generation that its key was found in: where something else is trusted by now, it is looked at once more.
        let (generation, outside) = (found.generation, found.signer.outside());
        self.remember(digest, Remembered { generation, outside, verified: Arc::clone(&verified) }, now);
        Ok(verified)
    }

    fn remember(&self, digest: Digest, known: Remembered, now: i64) {
        let mut remembered = lock(&self.remembered);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, old| old.verified.expires > now && old.generation == known.generation);
        }
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(digest, known);
    }
}

fn digest_of(token: &str) -> Digest {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod tests;
