//! One key set, read over HTTP and kept.

use std::{
    fs,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Certificate, StatusCode, header, redirect, retry};
use rpc::token::{Algorithm, usable_keys};
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use super::{JwksSettings, SetupError};
use crate::now::Now;

/// All of one look, from the first byte sent to the last one read.
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest key set, in bytes.
const BYTES_MAX: usize = 512 * 1024;
/// The most keys of one set.
const KEYS_MAX: usize = 100;

/// What was read last.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// JSON Web Keys that can be used.
    pub keys: Vec<Value>,
    /// Until when they serve, in unix seconds; 0 where nothing was read yet.
    pub until: i64,
    /// How often it was tried.
    tries: u64,
}

/// Why a look gave nothing. What was read before stays.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("it cannot be reached")]
    Http(#[source] reqwest::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("it sends more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("it sends no JSON Web Key Set")]
    Malformed,
    #[error("the token to show cannot be read")]
    Bearer(#[source] std::io::Error),
}

/// A key set at an address.
pub struct Source {
    name: String,
    settings: JwksSettings,
    algorithms: Vec<Algorithm>,
    http: reqwest::Client,
    read: watch::Sender<Read>,
    nudge: Notify,
    now: Now,
    /// Told once, not every time.
    failing: Mutex<bool>,
}

impl Source {
    /// Reads nothing yet. `name` is for the log.
    ///
    /// # Errors
    /// When a certificate or a proxy cannot be used.
    pub fn new(name: &str, settings: &JwksSettings, algorithms: Vec<Algorithm>, now: Now) -> Result<Self, SetupError> {
        let mut builder = reqwest::Client::builder()
            .retry(retry::never())
            // An address that is trusted vouches for no other.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("adplane/", env!("CARGO_PKG_VERSION")));
        builder = match &settings.proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy)?),
            None => builder.no_proxy(),
        };
        if let Some(file) = &settings.ca_file {
            let pem = fs::read(file).map_err(|error| SetupError::File(file.clone(), error))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| SetupError::Ca(file.clone(), error))?;
            builder = builder.add_root_certificate(certificate);
        }
        Ok(Self {
            name: name.to_owned(),
            settings: settings.clone(),
            algorithms,
            http: builder.build()?,
            read: watch::Sender::default(),
            nudge: Notify::new(),
            now,
            failing: Mutex::default(),
        })
    }

    /// What was read last; nothing where it is too old.
    pub fn read(&self) -> Read {
        self.read.borrow().clone()
    }

    /// Reads now and then until `stop`, and soon when somebody looks for a key.
    pub async fn run(self: std::sync::Arc<Self>, stop: CancellationToken) {
        let refresh = Duration::from_secs(self.settings.refresh_seconds.into());
        let between = Duration::from_secs(self.settings.retry_seconds.into());
        while !stop.is_cancelled() {
            let began = Instant::now();
            let found = stop.run_until_cancelled(self.fetch()).await;
            let Some(found) = found else { return };
            let pause = if found.is_ok() { refresh } else { between.min(refresh) };
            self.take(found);
            let wait = async {
                // Whoever looks for a key ends the pause, but never makes it too short.
                drop(tokio::time::timeout(pause, self.nudge.notified()).await);
                tokio::time::sleep_until(began + between).await;
            };
            stop.run_until_cancelled(wait).await;
        }
    }

    /// Returns when the key is there, or something was read, or after `patience`.
    pub async fn look_for(&self, key_id: &str, patience: Duration) {
        let mut read = self.read.subscribe();
        let there = usable_keys(&read.borrow_and_update().keys, &self.algorithms).contains(key_id);
        if !there {
            self.nudge.notify_one();
            drop(tokio::time::timeout(patience, read.changed()).await);
        }
    }

    fn take(&self, found: Result<Vec<Value>, Failed>) {
        let failed = found.is_err();
        let was_failing = {
            let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *failing, failed)
        };
        let until = ((self.now)()).as_second().saturating_add(self.settings.stale_seconds_max.into());
        match &found {
            Ok(keys) if keys.is_empty() => warn!(issuer.name = self.name, "the issuer has no key that can be used"),
            Ok(_) if was_failing => info!(issuer.name = self.name, "the issuer's keys are read again"),
            Err(error) if !was_failing => warn!(
                issuer.name = self.name,
                error = error as &dyn std::error::Error,
                "the issuer's keys cannot be read; those that were read before serve on for a while"
            ),
            _ => {}
        }
        self.read.send_modify(|read| {
            read.tries += 1;
            if let Ok(keys) = found {
                (read.keys, read.until) = (keys, until);
            }
        });
    }

    async fn fetch(&self) -> Result<Vec<Value>, Failed> {
        let mut request = self.http.get(Url::as_str(&self.url()?)).header(header::ACCEPT, "application/json");
        if let Some(file) = &self.settings.bearer_file {
            let bearer = tokio::fs::read_to_string(file).await.map_err(Failed::Bearer)?;
            request = request.bearer_auth(bearer.trim());
        }
        let mut answer = request.send().await.map_err(Failed::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(Failed::Status(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(Failed::Http)? {
            if body.len() + chunk.len() > BYTES_MAX {
                return Err(Failed::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        self.usable(&body)
    }

    fn url(&self) -> Result<Url, Failed> {
        Url::parse(&self.settings.url).map_err(|_| Failed::Malformed)
    }

    fn usable(&self, body: &[u8]) -> Result<Vec<Value>, Failed> {
        let set: Value = serde_json::from_slice(body).map_err(|_| Failed::Malformed)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(Failed::Malformed)?;
        let usable = |key: &&Value| !usable_keys(std::slice::from_ref(*key), &self.algorithms).is_empty();
        Ok(keys.iter().filter(usable).take(KEYS_MAX).cloned().collect())
    }
}
