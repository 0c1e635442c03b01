//! Tokens: JWTs that say who calls, for which tenants, with which scopes. Verified by every service again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};
use vocabulary::{Clock, SystemClock};

use crate::caller::{Scopes, Tenants};
use crate::fault::{self, ErrorReason, Fault};

mod keys;
mod revocations;

pub use keys::{Keys, KeysError};

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

/// Verifies tokens, each once until it ends.
pub struct Verifier {
    keys: Keys,
    remembered: Mutex<HashMap<Digest, Arc<Verified>>>,
    ended: Mutex<revocations::Ended>,
}

impl Verifier {
    /// Verifies with these keys.
    pub fn new(keys: Keys) -> Self {
        Self { keys, remembered: Mutex::default(), ended: Mutex::default() }
    }

    /// What the token says. Fails where it is not good, or where its key cannot be read.
    pub async fn verify(&self, token: &str) -> Result<Arc<Verified>, TokenError> {
        let digest = digest_of(token);
        let now = SystemClock.now().as_second();
        let known = lock(&self.remembered).get(&digest).filter(|known| known.expires > now).map(Arc::clone);
        let verified = match known {
            Some(verified) => verified,
            None => self.verify_anew(token, digest, now).await?,
        };
        // Asked each time, so that nothing that is remembered outlives its revocation.
        if lock(&self.ended).covers(&verified) { Err(TokenError::Refused("revoked")) } else { Ok(verified) }
    }

    /// From now on refuses every token of this subject, as auth's stream of revocations tells.
    pub fn refuse(&self, subject: &str) {
        lock(&self.ended).add_subject(subject);
    }

    async fn verify_anew(&self, token: &str, digest: Digest, now: i64) -> Result<Arc<Verified>, TokenError> {
        let claims = self.decode(token).await?;
        let verified = Arc::new(Verified {
            subject: claims.sub.into(),
            tenants: claims.tenants,
            scopes: claims.scopes,
            service: claims.service.map(Arc::from),
            issued: claims.iat,
            expires: claims.exp,
            token: Arc::new(SecretString::from(token)),
        });
        self.remember(digest, &verified, now);
        Ok(verified)
    }

    async fn decode(&self, token: &str) -> Result<Claims, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Refused("malformed"))?;
        if !matches!(header.alg, Algorithm::EdDSA | Algorithm::ES256) {
            return Err(TokenError::Refused("algorithm"));
        }
        let kid = header.kid.ok_or(TokenError::Refused("no_key_id"))?;
        let key = self.keys.find(&kid).await?.ok_or(TokenError::Refused("unknown_key"))?;
        if key.algorithm != header.alg {
            return Err(TokenError::Refused("algorithm"));
        }
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 5;
        let decoded = decode::<Claims>(token, &key.key, &validation);
        decoded.map(|data| data.claims).map_err(|error| TokenError::Refused(cause(error.kind())))
    }

    fn remember(&self, digest: Digest, verified: &Arc<Verified>, now: i64) {
        let mut remembered = lock(&self.remembered);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, verified| verified.expires > now);
        }
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(digest, Arc::clone(verified));
    }
}

fn cause(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "expired",
        ErrorKind::ImmatureSignature => "not_yet_valid",
        ErrorKind::InvalidAudience => "audience",
        ErrorKind::InvalidSignature => "signature",
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => "claims",
        _ => "malformed",
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
mod tests;
