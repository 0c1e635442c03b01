//! The public keys that verify tokens, and whose they are: given, or read from auth and kept.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use http::Request;
use http_body_util::{BodyExt, Limited};
use jsonwebtoken::jwk::JwkSet;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower::ServiceExt;

use super::TokenError;
use super::decode::Head;
use super::trust::{Key, Signer, Trust, Trusted};
use crate::pool::Pool;

const PATH: &str = "/.well-known/jwks.json";
/// An unknown key id asks again, but a forged one must not make every call do so.
const UNKNOWN_AFTER: Duration = Duration::from_secs(10);
const REFRESH_AFTER: Duration = Duration::from_secs(300);
/// After a failure everybody fails for a moment, rather than one after the other after a long wait.
const FAILED_FOR: Duration = Duration::from_secs(1);
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const BYTES_MAX: usize = 4 << 20;
/// A longer key id is not asked for.
const KEY_ID_BYTES_MAX: usize = 200;

/// A key that a token names and nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The issuer that the token names.
    pub issuer: String,
    /// The key's id.
    pub key_id: String,
}

/// Gives all that is trusted; where a key is wanted, after having looked for it.
pub type Reader = Arc<dyn Fn(Option<Wanted>) -> BoxFuture<'static, Result<Trust, KeysError>> + Send + Sync>;

/// The keys, given or read. Clones share them.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    trusted: ArcSwap<Trusted>,
    /// Without one, what is given is all there is.
    reader: OnceLock<Reader>,
    /// Held while reading, so that one reads and the others wait.
    asked: Mutex<Asked>,
}

/// When was read what.
#[derive(Default)]
struct Asked {
    read: Option<Instant>,
    failed: Option<Instant>,
    /// For a key that was unknown, by issuer; no issuer that is not trusted gets in here.
    unknown: HashMap<String, Instant>,
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
    /// Auth could not read the keys of an issuer for too long, or not yet.
    #[error("the keys of {0} could not be read, or are too old")]
    Stale(String),
}

/// A key and whose it is.
pub(super) struct Found {
    pub(super) signer: Signer,
    pub(super) key: Arc<Key>,
    /// What was trusted when it was found.
    pub(super) generation: u64,
}

impl Keys {
    /// Reads what is trusted from auth when the first token comes.
    pub fn of_auth(auth: Pool) -> Self {
        Self::read_by(Arc::new(move |wanted| {
            let auth = auth.clone();
            Box::pin(fetch(auth, wanted))
        }))
    }

    /// Reads in this way when the first token comes.
    pub fn read_by(reader: Reader) -> Self {
        let keys = Self::new(Trusted::default());
        keys.ask(reader);
        keys
    }

    /// From now on asks in this way for what it does not know: in auth itself, which reads the keys of issuers outside.
    pub fn ask(&self, reader: Reader) {
        self.0.reader.get_or_init(|| reader);
    }

    /// Just these, and no issuer outside.
    pub fn fixed(keys: &JwkSet) -> Self {
        Self::new(Trusted::default().after(of_keys(keys)))
    }

    /// Just this, in tests.
    pub fn trusting(trust: Trust) -> Self {
        Self::new(Trusted::default().after(trust))
    }

    /// Puts others in the place of our own keys; who else is trusted stays as it is.
    pub fn replace(&self, keys: &JwkSet) {
        self.0.trusted.rcu(|trusted| trusted.after(Trust { keys: of_keys(keys).keys, ..trusted.source().clone() }));
    }

    /// What is trusted now, in the place of what was.
    pub fn put(&self, trust: &Trust) {
        self.0.trusted.rcu(|trusted| trusted.after(trust.clone()));
    }

    fn new(trusted: Trusted) -> Self {
        let trusted = ArcSwap::from_pointee(trusted);
        Self(Arc::new(Inner { trusted, reader: OnceLock::new(), asked: Mutex::default() }))
    }

    /// Grows whenever something else is trusted: what was verified before is to be verified again.
    pub(super) fn generation(&self) -> u64 {
        self.0.trusted.load().generation
    }

    /// The key that a token names, of the issuer that it names. Fails as unreachable only where a key had to be asked for
    /// and nobody answered; a key that is known serves on.
    pub(super) async fn find(&self, head: &Head, now: i64) -> Result<Found, TokenError> {
        self.begin().await?;
        if let Some(found) = self.known(head, now)? {
            return Ok(found);
        }
        let signer = self.ask_for(head).await?;
        match self.known(head, now)? {
            Some(found) => Ok(found),
            None => match signer {
                Signer::Outside(outside) if Signer::Outside(Arc::clone(&outside)).is_stale(now) => {
                    Err(TokenError::Keys(Arc::new(KeysError::Stale(outside.issuer.name.clone()))))
                }
                _ => Err(TokenError::Refused("unknown_key")),
            },
        }
    }

    fn known(&self, head: &Head, now: i64) -> Result<Option<Found>, TokenError> {
        let trusted = self.0.trusted.load();
        let signer = trusted.signer(head.issuer.as_deref()).ok_or(TokenError::Refused("issuer"))?;
        if !signer.allows(head.algorithm) {
            return Err(TokenError::Refused("algorithm"));
        }
        let key = trusted.key(&signer, &head.key_id).filter(|_| !signer.is_stale(now));
        Ok(key.map(|key| Found { signer, key, generation: trusted.generation }))
    }

    /// Whether what was verified under this generation, of this issuer outside if of one, may still be believed.
    pub(super) fn stands(&self, generation: u64, outside: Option<&str>, now: i64) -> bool {
        let trusted = self.0.trusted.load();
        let is_stale = |issuer: &str| trusted.signer(Some(issuer)).is_none_or(|signer| signer.is_stale(now));
        trusted.generation == generation && !outside.is_some_and(is_stale)
    }

    /// Reads what was never read.
    async fn begin(&self) -> Result<(), TokenError> {
        let Some(reader) = self.0.reader.get() else { return Ok(()) };
        if self.generation() > 0 {
            return Ok(());
        }
        let mut asked = self.0.asked.lock().await;
        if self.generation() == 0 { self.read(reader, &mut asked, None).await } else { Ok(()) }
    }

    /// Now and then reads again what was read long ago. Every token comes by here, the remembered as well: with nothing but
    /// those, what is trusted no more would be believed for as long as they live.
    pub(super) async fn keep_fresh(&self) {
        let Some(reader) = self.0.reader.get().filter(|_| self.generation() > 0) else { return };
        if let Ok(mut asked) = self.0.asked.try_lock()
            && is_older(asked.read, REFRESH_AFTER)
        {
            asked.read = Some(Instant::now());
            // What is at hand is still good; the next call after the pause tries again.
            drop(self.read(reader, &mut asked, None).await);
        }
    }

    /// Asks for a key that is unknown, unless that was done just now; says whose it would be.
    async fn ask_for(&self, head: &Head) -> Result<Signer, TokenError> {
        let signer = || self.0.trusted.load().signer(head.issuer.as_deref()).ok_or(TokenError::Refused("issuer"));
        let Some(reader) = self.0.reader.get() else { return signer() };
        let issuer = head.issuer.clone().unwrap_or_default();
        let mut asked = self.0.asked.lock().await;
        if is_older(asked.unknown.get(&issuer).copied(), UNKNOWN_AFTER) {
            let key_id = Some(head.key_id.clone()).filter(|id| id.len() <= KEY_ID_BYTES_MAX);
            let wanted = key_id.map(|key_id| Wanted { issuer: issuer.clone(), key_id });
            // A failed look-up does not count, or a service that starts before auth would refuse tokens for a while.
            self.read(reader, &mut asked, wanted).await?;
            asked.unknown.insert(issuer, Instant::now());
        }
        signer()
    }

    async fn read(&self, reader: &Reader, asked: &mut Asked, wanted: Option<Wanted>) -> Result<(), TokenError> {
        let unreachable = |why: &str| TokenError::Keys(Arc::new(KeysError::Unreachable(why.to_owned())));
        if !is_older(asked.failed, FAILED_FOR) {
            return Err(unreachable("nor a moment ago"));
        }
        match tokio::time::timeout(FETCH_TIMEOUT, reader(wanted)).await {
            Ok(Ok(trust)) => {
                self.put(&trust);
                (asked.read, asked.failed) = (Some(Instant::now()), None);
                Ok(())
            }
            failed => {
                asked.failed = Some(Instant::now());
                Err(match failed {
                    Ok(Err(error)) => TokenError::Keys(Arc::new(error)),
                    _ => unreachable("it took too long"),
                })
            }
        }
    }
}

fn is_older(moment: Option<Instant>, age: Duration) -> bool {
    moment.is_none_or(|moment| moment.elapsed() > age)
}

fn of_keys(keys: &JwkSet) -> Trust {
    let keys = keys.keys.iter().filter_map(|key| serde_json::to_value(key).ok()).collect();
    Trust { keys, ..Trust::default() }
}

async fn fetch(auth: Pool, wanted: Option<Wanted>) -> Result<Trust, KeysError> {
    let query = wanted.map(|Wanted { issuer, key_id }| {
        // In hex, so that nothing in it needs escaping.
        format!("?issuer={}&key_id={}", hex(&issuer), hex(&key_id))
    });
    let uri = format!("{PATH}{}", query.unwrap_or_default());
    let request = Request::get(uri).body(tonic::body::Body::empty()).map_err(|_| KeysError::Malformed)?;
    let answer = auth.oneshot(request).await.map_err(|status| KeysError::Unreachable(status.message().to_owned()))?;
    if answer.status() != http::StatusCode::OK {
        return Err(KeysError::Unreachable(answer.status().to_string()));
    }
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await.map_err(|_| KeysError::Malformed)?;
    serde_json::from_slice(&body.to_bytes()).map_err(|_| KeysError::Malformed)
}

fn hex(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut hex, byte| {
        // Writing into a String cannot fail.
        write!(hex, "{byte:02x}").unwrap_or_default();
        hex
    })
}
