//! The public keys that verify tokens, as auth publishes them (JWKS, RFC 7517).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::Request;
use http_body_util::{BodyExt, Limited};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;
use tower::ServiceExt;

use super::TokenError;
use crate::pool::Pool;

const PATH: &str = "/.well-known/jwks.json";
/// An unknown key id asks auth again, but a forged one must not make every call do so.
const UNKNOWN_AFTER: Duration = Duration::from_secs(10);
const REFRESH_AFTER: Duration = Duration::from_secs(300);
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const BYTES_MAX: usize = 256 * 1024;

/// One key and the only algorithm it is for.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The keys, given or read from auth.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    known: ArcSwap<HashMap<String, Arc<Key>>>,
    auth: Option<Pool>,
    /// When auth was last asked. Held while asking, so that one asks and the others wait.
    asked: Mutex<Option<Instant>>,
}

/// Why the keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Auth could not be reached.
    #[error("auth did not answer: {0}")]
    Unreachable(String),
    /// Auth answered something else.
    #[error("auth answered no key set")]
    Malformed,
}

impl Keys {
    /// Reads the keys from auth when the first token comes.
    pub fn of_auth(auth: Pool) -> Self {
        Self::new(HashMap::new(), Some(auth))
    }

    /// Just these: in auth itself, and in tests.
    pub fn fixed(keys: &JwkSet) -> Self {
        Self::new(parse(keys), None)
    }

    /// Puts others in their place, as auth does when it rotates.
    pub fn replace(&self, keys: &JwkSet) {
        self.0.known.store(Arc::new(parse(keys)));
    }

    fn new(known: HashMap<String, Arc<Key>>, auth: Option<Pool>) -> Self {
        Self(Arc::new(Inner { known: ArcSwap::from_pointee(known), auth, asked: Mutex::new(None) }))
    }

    /// The key of this id. Fails only where auth had to be asked and did not answer; a key that is known serves on.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Arc<Key>>, TokenError> {
        let Some(auth) = &self.0.auth else { return Ok(self.known(id)) };
        match self.known(id) {
            Some(key) => {
                if let Ok(mut asked) = self.0.asked.try_lock()
                    && is_older(*asked, REFRESH_AFTER)
                {
                    *asked = Some(Instant::now());
                    // The key at hand is still good; the next call after the pause tries again.
                    drop(self.refresh(auth).await);
                }
                Ok(Some(key))
            }
            None => self.find_unknown(auth, id).await,
        }
    }

    async fn find_unknown(&self, auth: &Pool, id: &str) -> Result<Option<Arc<Key>>, TokenError> {
        let mut asked = self.0.asked.lock().await;
        if let Some(key) = self.known(id) {
            return Ok(Some(key));
        }
        if is_older(*asked, UNKNOWN_AFTER) {
            // A failed look-up does not count, or a service that starts before auth would refuse tokens for a while.
            self.refresh(auth).await.map_err(|error| TokenError::Keys(Arc::new(error)))?;
            *asked = Some(Instant::now());
        }
        Ok(self.known(id))
    }

    fn known(&self, id: &str) -> Option<Arc<Key>> {
        self.0.known.load().get(id).cloned()
    }

    async fn refresh(&self, auth: &Pool) -> Result<(), KeysError> {
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, fetch(auth.clone())).await;
        let keys = fetched.map_err(|_| KeysError::Unreachable("it took too long".to_owned()))??;
        self.0.known.store(Arc::new(parse(&keys)));
        Ok(())
    }
}

fn is_older(moment: Option<Instant>, age: Duration) -> bool {
    moment.is_none_or(|moment| moment.elapsed() > age)
}

async fn fetch(auth: Pool) -> Result<JwkSet, KeysError> {
    let request = Request::get(PATH).body(tonic::body::Body::empty()).map_err(|_| KeysError::Malformed)?;
    let answer = auth.oneshot(request).await.map_err(|status| KeysError::Unreachable(status.message().to_owned()))?;
    if answer.status() != http::StatusCode::OK {
        return Err(KeysError::Unreachable(answer.status().to_string()));
    }
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await.map_err(|_| KeysError::Malformed)?;
    serde_json::from_slice(&body.to_bytes()).map_err(|_| KeysError::Malformed)
}

/// Keys of other kinds are left out, so that a set may hold what only others understand.
fn parse(keys: &JwkSet) -> HashMap<String, Arc<Key>> {
    let named = |jwk: &Jwk| {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
            _ => return None,
        };
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some((jwk.common.key_id.clone()?, Arc::new(Key { algorithm, key })))
    };
    keys.keys.iter().filter_map(named).collect()
}
