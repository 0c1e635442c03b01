//! Our apps at Meta. The secret of each lies in the vault under the installation's key.

mod secrets;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use vocabulary::{ids::MetaAppId, names};

pub use self::secrets::is_signed;
use crate::{
    by::{By, Repeat},
    error::Error,
    now::Now,
    store::{Store, Told, meta_apps},
    vault::{self, Cell, SYSTEM, Sealed, Vault},
};

/// Apps looked through at start.
const APPS_TOLD_MAX: i64 = 1_000;

/// One of our apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaApp {
    /// Meta's id of it.
    pub id: MetaAppId,
    /// For people.
    pub display_name: String,
    /// The version of Meta's API to call.
    pub api_version: String,
    /// Grows with every change.
    pub version: i64,
    /// When it was created here.
    pub created: Timestamp,
    /// When it last changed here.
    pub updated: Timestamp,
    /// Its secrets in use, newest first.
    pub secrets: Vec<SecretFacts>,
}

/// What may be told about an app's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFacts {
    /// Grows with every new secret.
    pub version: i64,
    /// When it came.
    pub created: Timestamp,
    /// Until when webhooks by it are taken; `None` for the newest.
    pub accept_until: Option<Timestamp>,
}

/// New values of an app, where they are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppChange {
    /// For people.
    pub display_name: Option<String>,
    /// The version of Meta's API.
    pub api_version: Option<String>,
}

impl MetaApp {
    /// An app that is not stored yet; its moments are set when it is.
    pub fn new(id: MetaAppId, display_name: String, api_version: String) -> Self {
        let epoch = Timestamp::UNIX_EPOCH;
        let secrets = vec![SecretFacts { version: 1, created: epoch, accept_until: None }];
        Self { id, display_name, api_version, version: 1, created: epoch, updated: epoch, secrets }
    }

    /// Changes with every change.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

/// The use cases.
#[derive(Clone)]
pub struct MetaApps {
    store: Store,
    vault: Vault,
    oauth: graph::oauth::Oauth,
    now: Now,
}

impl MetaApps {
    /// Over the store, the vault and Meta.
    pub fn new(store: Store, vault: Vault, oauth: graph::oauth::Oauth, now: Now) -> Self {
        Self { store, vault, oauth, now }
    }

    /// Registers an app, after Meta has accepted its secret.
    pub async fn create(
        &self,
        by: &By,
        (mut app, secret): (MetaApp, SecretString),
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&MetaApp) -> Vec<u8>),
    ) -> Result<MetaApp, Error> {
        by.require_operator()?;
        let exists = || Error::Exists { resource: names::of_meta_app(app.id) };
        if meta_apps::get(&self.store.client().await?, app.id, (self.now)()).await?.is_some() {
            return Err(exists());
        }
        let at_meta = graph::oauth::App { id: app.id, secret, version: app.api_version.clone() };
        self.oauth.check_secret(&at_meta).await.map_err(refused)?;
        (app.created, app.updated) = ((self.now)(), (self.now)());
        app.secrets.iter_mut().for_each(|secret| secret.created = app.created);
        if validate_only {
            return Ok(app);
        }
        self.vault.ensure_tenant(SYSTEM).await?;
        let row = app.id.to_string();
        let sealed = self.vault.seal(&cell(&row), 0, at_meta.secret.expose_secret().as_bytes()).await?;
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !meta_apps::insert(&transaction, &app, &sealed).await? {
            return Err(exists());
        }
        let resource = names::of_meta_app(app.id);
        let told =
            Told { action: "meta_apps.create", resource: &resource, detail: json!({"version": app.api_version}) };
        self.store.commit(transaction, by, told, Some((repeat, answer(&app)))).await?;
        Ok(app)
    }

    /// One app.
    pub async fn get(&self, id: MetaAppId) -> Result<MetaApp, Error> {
        self.find(id).await.map(|(app, _)| app)
    }

    /// One app with its secret, for a tenant that may have a version of its own.
    pub async fn open(&self, id: MetaAppId, tenant_version: &str) -> Result<graph::oauth::App, Error> {
        let (app, sealed) = self.find(id).await?;
        let row = id.to_string();
        let secret = vault::text(&self.vault.open(&cell(&row), &sealed).await?)?;
        let version = if tenant_version.is_empty() { app.api_version } else { tenant_version.to_owned() };
        Ok(graph::oauth::App { id, secret, version })
    }

    /// Says of each app whose version of Meta's API is over what to do about it. Auth itself goes on: it is where a newer
    /// version is set, and whoever leases a token refuses to call with a dead one.
    pub async fn tell_of_dead_versions(&self) -> Result<(), Error> {
        let today = (self.now)().to_zoned(jiff::tz::TimeZone::UTC).date();
        for app in self.list("", APPS_TOLD_MAX).await? {
            if let Some(next) = graph::versions::refusal(graph::versions::Api::Marketing, &app.api_version, today) {
                tracing::error!(meta_app.id = %app.id, next, "calls to Meta with this app are refused");
            }
        }
        Ok(())
    }

    /// Apps by id, after one.
    pub async fn list(&self, after: &str, limit: i64) -> Result<Vec<MetaApp>, Error> {
        let client = self.store.client().await?;
        Ok(meta_apps::list(&client, after, (self.now)(), limit).await?)
    }

    /// Changes what an app is called, and which version of Meta's API is called with it.
    pub async fn update(
        &self,
        by: &By,
        (id, change, etag): (MetaAppId, &AppChange, &str),
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce(&MetaApp) -> Vec<u8>),
    ) -> Result<MetaApp, Error> {
        by.require_operator()?;
        let (before, _) = self.find(id).await?;
        let stale = |etag| Error::Stale { resource: names::of_meta_app(id), etag };
        if !etag.is_empty() && etag != before.etag() {
            return Err(stale(before.etag()));
        }
        let mut app = before.clone();
        app.display_name.clone_from(change.display_name.as_ref().unwrap_or(&before.display_name));
        app.api_version.clone_from(change.api_version.as_ref().unwrap_or(&before.api_version));
        (app.version, app.updated) = (before.version + 1, (self.now)());
        if validate_only {
            return Ok(app);
        }
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !meta_apps::update(&transaction, &app, before.version).await? {
            transaction.rollback().await?;
            drop(client); // Whoever waits for a second connection holds none.
            return Err(stale(self.get(id).await?.etag()));
        }
        let resource = names::of_meta_app(id);
        let detail = json!({"display_name": app.display_name, "version": app.api_version});
        let told = Told { action: "meta_apps.update", resource: &resource, detail };
        self.store.commit(transaction, by, told, Some((repeat, answer(&app)))).await?;
        Ok(app)
    }

    async fn find(&self, id: MetaAppId) -> Result<(MetaApp, Sealed), Error> {
        let client = self.store.client().await?;
        let found = meta_apps::get(&client, id, (self.now)()).await?;
        found.ok_or_else(|| Error::NotFound { resource: names::of_meta_app(id) })
    }
}

fn cell(row: &str) -> Cell<'_> {
    Cell { tenant: SYSTEM, table: "meta_apps", column: "sealed_secret", row }
}

/// Tells what Meta refused from what merely failed.
pub fn refused(error: graph::Error) -> Error {
    match graph::oauth::refusal(&error) {
        Some(cause) => Error::CredentialRefused { cause, source: Some(error) },
        None => Error::Meta(error),
    }
}
