//! How we prove to HashiCorp Vault who we are: a token in a file, or our service account.

use std::time::{Duration, Instant};

use runtime::settings::Secret;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    ProviderError,
    transit::{Http, Reason, secret},
};
use crate::vault::settings::TransitSettings;

/// Where the token for the next call comes from.
pub(super) enum Login {
    /// Read at each call: an agent beside us renews it.
    File(Secret),
    /// Taken by our service account, and again at half of its life.
    Kubernetes {
        path: String,
        role: String,
        account: Secret,
        /// Held while taking one, so that one asks and the others wait.
        taken: Mutex<Option<Taken>>,
    },
}

/// A token of Vault's and when to take the next.
pub(super) struct Taken {
    token: SecretString,
    until: Instant,
}

#[derive(Deserialize)]
struct LoginAnswer {
    auth: LoginAuth,
}

#[derive(Deserialize)]
struct LoginAuth {
    #[serde(deserialize_with = "secret")]
    client_token: SecretString,
    lease_duration: u64,
}

impl Login {
    pub(super) fn of(settings: &TransitSettings) -> Self {
        match &settings.kubernetes_role {
            Some(role) => Self::Kubernetes {
                path: format!("auth/{}/login", settings.kubernetes_mount),
                role: role.clone(),
                account: Secret::in_file(settings.kubernetes_token_file.clone()),
                taken: Mutex::new(None),
            },
            None => Self::File(Secret::in_file(settings.token_file.clone().unwrap_or_default())),
        }
    }

    /// The token for a call.
    pub(super) async fn token(&self, http: &Http) -> Result<SecretString, ProviderError> {
        let (path, role, account, taken) = match self {
            Self::File(file) => return read(file).await,
            Self::Kubernetes { path, role, account, taken } => (path, role, account, taken),
        };
        let mut taken = taken.lock().await;
        if let Some(known) = taken.as_ref().filter(|known| known.until > Instant::now()) {
            return Ok(known.token.clone());
        }
        let account = read(account).await?;
        let jwt = secrecy::ExposeSecret::expose_secret(&account);
        let answer: LoginAnswer = http.post(path, None, &serde_json::json!({"role": role, "jwt": jwt})).await?;
        let until = Instant::now() + Duration::from_secs(answer.auth.lease_duration / 2);
        let token = answer.auth.client_token;
        *taken = Some(Taken { token: token.clone(), until });
        Ok(token)
    }

    /// Vault did not take the token: the next call takes a new one. Says whether that may help.
    pub(super) async fn forget(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Kubernetes { taken, .. } => taken.lock().await.take().is_some(),
        }
    }
}

/// A file that is missing for a moment, while it is replaced, is an outage and no refusal.
async fn read(file: &Secret) -> Result<SecretString, ProviderError> {
    let file = file.clone();
    let read = tokio::task::spawn_blocking(move || file.read()).await;
    read.map_err(|_| Reason::Stopped.away())?.map_err(|error| ProviderError::Away(error.to_string()))
}
