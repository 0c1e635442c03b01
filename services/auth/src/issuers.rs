//! Issuers outside whose tokens are taken: their keys are read here, and here only.
//!
//! Auth reads the key sets and publishes them with its own keys and with the rules of each issuer; services verify by
//! that (`rpc::Trust` says why). So a company's identity provider is set up once, one service needs the way out to it,
//! and its absence stops nobody until the keys are too old (`stale_seconds_max`).

mod settings;
mod source;

use std::{path::PathBuf, sync::Arc, time::Duration};

use rpc::{Trust, TrustedIssuer, token::Wanted};
use serde_json::Value;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    settings::{IssuerSettings, JwksSettings, check_all},
    source::{Read, Source},
};
use crate::now::Now;

/// How long whoever asks for an unknown key waits for the issuer. Services wait two seconds for us.
const LOOK: Duration = Duration::from_millis(1_500);

/// Why the keys of an issuer cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The certificate authority is no certificate.
    #[error("the certificate authority in {0}")]
    Ca(PathBuf, #[source] reqwest::Error),
    /// A file cannot be read.
    #[error("the file {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// The proxy is no address.
    #[error("the way to the keys of an issuer")]
    Http(#[from] reqwest::Error),
}

/// The issuers of the settings, each with what was read of its keys.
#[derive(Clone)]
pub struct Issuers(Arc<Vec<Outside>>);

struct Outside {
    facts: TrustedIssuer,
    source: Arc<Source>,
}

impl Issuers {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// When a certificate or a proxy cannot be used.
    pub fn new(settings: &[IssuerSettings], now: &Now) -> Result<Self, SetupError> {
        let outside = settings.iter().map(|issuer| {
            let source = Source::new(&issuer.name, &issuer.jwks, issuer.algorithms(), now.clone())?;
            Ok(Outside { facts: issuer.facts(), source: Arc::new(source) })
        });
        Ok(Self(Arc::new(outside.collect::<Result<_, SetupError>>()?)))
    }

    /// Keeps the keys of all fresh until `stop`.
    pub fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        for outside in self.0.iter() {
            tasks.spawn(Arc::clone(&outside.source).run(stop.clone()));
        }
    }

    /// All that services are to trust: our own keys, a JSON Web Key Set, and the issuers outside.
    pub fn trust(&self, issuer: &str, ours: &Value) -> Trust {
        let keys = ours.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        let issuers = self.0.iter().map(|outside| {
            let Read { keys, until, .. } = outside.source.read();
            TrustedIssuer { keys, keys_until: until, ..outside.facts.clone() }
        });
        Trust { issuer: Some(issuer.to_owned()), keys, issuers: issuers.collect() }
    }

    /// Looks for a key that a service does not know, for a moment; whatever comes of it is in [`Issuers::trust`]. An
    /// issuer is asked at most every ten seconds, however many keys are made up.
    pub async fn look_for(&self, wanted: &Wanted) {
        let named = self.0.iter().find(|outside| outside.facts.issuer == wanted.issuer);
        if let Some(outside) = named {
            outside.source.look_for(&wanted.key_id, LOOK).await;
        }
    }
}
