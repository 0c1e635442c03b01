//! Issuing tokens against what proves who asks: a caller's secret, a service's secret.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use runtime::settings::Secret;
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    NAME, callers,
    error::Error,
    grants::Grant,
    now::Now,
    secret::Fingerprint,
    settings::Settings,
    signing::SigningKeys,
    store::{self, Store},
    tenants,
    token::{Bearer, Claims},
    workloads::{Workloads, is_service},
};

/// The use cases.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    keys: SigningKeys,
    issuer: String,
    life: Duration,
    service_life: Duration,
    service_secrets_dir: PathBuf,
    workloads: Workloads,
    now: Now,
}

impl Tokens {
    /// Over the callers in the store, signing with these keys.
    pub fn new(settings: &Settings, (store, now): (Store, Now), keys: SigningKeys, workloads: Workloads) -> Self {
        Self {
            store,
            keys,
            issuer: settings.issuer.clone(),
            life: settings.token_life(),
            service_life: settings.service_token_life(),
            service_secrets_dir: settings.service_secrets_dir.clone(),
            workloads,
            now,
        }
    }

    /// A caller's token, with all its scopes or the given ones of them. Returns when it ends, too.
    pub async fn issue(
        &self,
        caller: Uuid,
        secret: &SecretString,
        wanted: Option<Grant>,
    ) -> Result<(SecretString, Timestamp), Error> {
        let unproven = Error::Unproven { what: "the caller or its secret" };
        let client = self.store.client().await?;
        let Some((known, fingerprint)) = store::callers::get(&client, caller).await? else { return Err(unproven) };
        if !fingerprint.matches(secret) {
            return Err(unproven);
        }
        let scopes = wanted.unwrap_or_else(|| known.scopes.clone());
        let lacks = known.scopes.lacks(&scopes);
        if !lacks.is_empty() {
            return Err(Error::Lacking { lacks });
        }
        tenants::require_one_active(&client, &known.tenants).await?;
        let now = (self.now)();
        store::bootstrap::close(&client, caller, now).await?;
        let name = callers::name(caller);
        let bearer = Bearer::Caller { name: &name, tenants: &known.tenants, scopes: &scopes };
        self.sign(&bearer, now, self.life)
    }

    /// A service's token, for the token that Kubernetes gave its pod.
    pub async fn exchange_projected(&self, token: &SecretString) -> Result<(SecretString, Timestamp), Error> {
        let service = self.workloads.service_of(token).await?;
        self.sign(&Bearer::Service { name: &service }, (self.now)(), self.service_life)
    }

    /// A service's token, for its secret.
    pub async fn exchange(&self, service: &str, secret: &SecretString) -> Result<(SecretString, Timestamp), Error> {
        let unproven = || Error::Unproven { what: "the service or its secret" };
        // The name becomes a part of a path.
        if !is_service(service) {
            return Err(unproven());
        }
        let file = Secret::in_file(self.service_secrets_dir.join(service));
        // Read anew each time, so that a rotated secret is seen; a service asks twice an hour.
        let expected = tokio::task::spawn_blocking(move || file.read()).await.map_err(|_| unproven())?;
        let expected = expected.map_err(|_| unproven())?;
        if !Fingerprint::of(&expected).matches(secret) {
            return Err(unproven());
        }
        self.sign(&Bearer::Service { name: service }, (self.now)(), self.service_life)
    }

    /// A token for auth itself, to call other services with, and how long it lives. `None` where none can be signed.
    pub fn for_ourselves(&self) -> Option<(SecretString, Duration)> {
        let signed = self.sign(&Bearer::Service { name: NAME }, (self.now)(), self.service_life);
        match signed {
            Ok((token, _)) => Some((token, self.service_life)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "auth has no token for other services");
                None
            }
        }
    }

    fn sign(&self, bearer: &Bearer<'_>, now: Timestamp, life: Duration) -> Result<(SecretString, Timestamp), Error> {
        let (claims, end) = Claims::new(&self.issuer, bearer, now, life);
        Ok((self.keys.signer(now)?.sign(&claims)?, end))
    }
}
