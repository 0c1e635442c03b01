//! Meta's log-in: begun by a caller, finished with what the redirect brought.
//!
//! The state is random, kept as a hash, bound to the tenant, the app and the address it returns to; it works once and for
//! ten minutes. Whoever has it can learn what the log-in is for, which is what the gateway's page shows to a person before
//! it sends them on to Meta.

use std::time::Duration;

use graph::oauth::Oauth;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio_util::task::TaskTracker;
use vocabulary::{
    ids::{MetaAppId, TenantId},
    names,
};

use crate::{
    by::{By, Repeat},
    connections::{Checked, Connected, ConnectionKind, Connections},
    error::Error,
    meta_apps::refused,
    now::Now,
    secret::{self, Fingerprint},
    settings::Settings,
    store::{Store, Told, callers, login_states, login_states::LoginState, tenants},
};

/// How long a log-in may take.
const LIFE: Duration = Duration::from_secs(600);
/// Used and ended log-ins are kept a day, so that a late redirect is told from a foreign one.
const KEEP: Duration = Duration::from_hours(24);

/// A log-in that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the person: our page before Meta's dialog.
    pub authorization_url: String,
    /// Comes back with the redirect.
    pub state: SecretString,
    /// When it ends.
    pub expires: Timestamp,
}

/// What a log-in is for, as whoever is sent there should know.
#[derive(Debug)]
pub struct Purpose {
    /// The log-in.
    pub login: LoginState,
    /// The tenant's name for people.
    pub tenant_name: String,
    /// The name for people of whoever began it; empty where they have none here.
    pub began_by_name: String,
    /// Meta's dialog.
    pub dialog_url: String,
}

/// The use cases.
#[derive(Clone)]
pub struct Logins {
    store: Store,
    connections: Connections,
    oauth: Oauth,
    dialog_url: String,
    /// The one address that Meta may return to.
    redirect_uri: String,
    page: String,
    tasks: TaskTracker,
    now: Now,
}

impl Logins {
    /// Over the store, what a finished log-in becomes, and Meta. Log-ins are finished on `tasks`.
    pub fn new(
        settings: &Settings,
        (store, now): (Store, Now),
        (connections, oauth): (Connections, Oauth),
        tasks: TaskTracker,
    ) -> Self {
        let (dialog_url, redirect_uri) = (settings.dialog_url.clone(), settings.redirect_uri());
        Self { store, connections, oauth, dialog_url, redirect_uri, page: settings.login_page(), tasks, now }
    }

    /// Begins a log-in. `None` where only checked.
    pub async fn begin(
        &self,
        by: &By,
        app: MetaAppId,
        scopes: Vec<String>,
        redirect_uri: &str,
        validate_only: bool,
    ) -> Result<Option<Begun>, Error> {
        self.require_address(redirect_uri)?;
        self.connections.app(by, app).await?;
        if validate_only {
            return Ok(None);
        }
        let (state, expires) = (secret::random()?, (self.now)() + LIFE);
        let detail = json!({"scopes": scopes});
        let login = LoginState {
            tenant: by.tenant.clone(),
            app,
            scopes,
            redirect_uri: self.redirect_uri.clone(),
            began_by: by.actor.to_string(),
            expires,
            used: None,
        };
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        login_states::insert(&transaction, &Fingerprint::of(&state), &login).await?;
        let told = Told { action: "connections.begin", resource: &names::of_meta_app(app), detail };
        self.store.commit(transaction, by, told, None).await?;
        // Of letters, digits, `-` and `_`, so it stands in an address as it is.
        let authorization_url = format!("{}?state={}", self.page, state.expose_secret());
        Ok(Some(Begun { authorization_url, state, expires }))
    }

    /// What the log-in of this state is for, while it can be finished.
    pub async fn purpose(&self, state: &SecretString) -> Result<Purpose, Error> {
        let (by, login) = self.find(state, "", None).await?;
        self.require_usable(&login)?;
        let app = self.connections.app(&by, login.app).await?;
        let to = (login.app, app.version.as_str());
        let dialog_url = graph::oauth::dialog(&self.dialog_url, to, &login.redirect_uri, state, &login.scopes)
            .map_err(|_| Error::Corrupt("dialog address"))?;
        let client = self.store.client().await?;
        let tenant = tenants::get(&client, login.tenant.as_str()).await?;
        let began_by = match login.began_by.strip_prefix("callers/").and_then(|id| id.parse().ok()) {
            Some(id) => callers::get(&client, id).await?.map(|(caller, _)| caller.display_name),
            None => None,
        };
        Ok(Purpose {
            login,
            tenant_name: tenant.map(|tenant| tenant.display_name).unwrap_or_default(),
            began_by_name: began_by.unwrap_or_default(),
            dialog_url: dialog_url.into(),
        })
    }

    /// The log-in of a state, used or not, so that the answer to a request that finished it can be given again. `tenant` is
    /// the caller's, where there is a caller.
    pub async fn find(
        &self,
        state: &SecretString,
        redirect_uri: &str,
        tenant: Option<&TenantId>,
    ) -> Result<(By, LoginState), Error> {
        self.require_address(redirect_uri)?;
        let login = login_states::get(&self.store.client().await?, &Fingerprint::of(state)).await?;
        let login = of_tenant(login, tenant)?;
        let actor = login.began_by.as_str().into();
        Ok((By { actor, ..By::ourselves(login.tenant.clone()) }, login))
    }

    /// Fails where the log-in cannot be finished now.
    pub fn require_usable(&self, login: &LoginState) -> Result<(), Error> {
        usable(login, (self.now)())
    }

    /// Makes a connection of the log-in, beside the caller, who may hang up: what the code brought is kept. `answer` is what
    /// a repeat of the request gets.
    pub async fn complete(
        &self,
        (by, login): (By, LoginState),
        (state, code): (SecretString, SecretString),
        (repeat, answer): (Repeat, impl FnOnce(&Connected) -> Vec<u8> + Send + 'static),
    ) -> Result<Connected, Error> {
        let logins = self.clone();
        let work = self.tasks.spawn(async move {
            let checked = logins.exchange(&by, &login, &state, &code).await?;
            logins.connections.keep(&by, checked, "connections.complete", (&repeat, answer)).await
        });
        work.await.unwrap_or(Err(Error::Cancelled))
    }

    /// Uses the state up and the code with it: from here on a failure means that the person logs in again.
    async fn exchange(
        &self,
        by: &By,
        login: &LoginState,
        state: &SecretString,
        code: &SecretString,
    ) -> Result<Checked, Error> {
        self.require_usable(login)?;
        let app = self.connections.app(by, login.app).await?;
        if !login_states::take(&self.store.client().await?, &Fingerprint::of(state), (self.now)()).await? {
            return Err(wrong("USED"));
        }
        let short = self.oauth.exchange_code(&app, &login.redirect_uri, code).await.map_err(refused)?;
        let long = self.oauth.exchange_long_lived(&app, &short.token).await.map_err(refused)?;
        self.connections.check(app, long.token, ConnectionKind::User, login.scopes.clone()).await
    }

    /// Forgets log-ins that ended long ago.
    pub async fn sweep(&self) -> Result<u64, Error> {
        Ok(login_states::sweep(&self.store.client().await?, (self.now)() - KEEP).await?)
    }

    fn require_address(&self, redirect_uri: &str) -> Result<(), Error> {
        if redirect_uri.is_empty() || redirect_uri == self.redirect_uri {
            return Ok(());
        }
        let description = format!("must be {} or empty", self.redirect_uri);
        Err(Error::field("redirect_uri", description, "REDIRECT_NOT_ALLOWED"))
    }
}

/// A foreign log-in does not exist.
fn of_tenant(login: Option<LoginState>, tenant: Option<&TenantId>) -> Result<LoginState, Error> {
    let missing = || Error::NotFound { resource: "the log-in of this state".to_owned() };
    login.filter(|login| tenant.is_none_or(|tenant| *tenant == login.tenant)).ok_or_else(missing)
}

/// Can this log-in be finished now?
fn usable(login: &LoginState, now: Timestamp) -> Result<(), Error> {
    if login.used.is_some() {
        Err(wrong("USED"))
    } else if login.expires <= now {
        Err(wrong("EXPIRED"))
    } else {
        Ok(())
    }
}

fn wrong(state: &'static str) -> Error {
    Error::WrongState { resource: "the log-in of this state".to_owned(), state }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> LoginState {
        LoginState {
            tenant: "acme".parse().unwrap(),
            app: MetaAppId::new(1),
            scopes: Vec::new(),
            redirect_uri: "https://gateway/oauth/callback".to_owned(),
            began_by: "callers/1".to_owned(),
            expires: Timestamp::UNIX_EPOCH + LIFE,
            used: None,
        }
    }

    #[test]
    fn a_state_works_for_its_tenant_and_for_nobody() {
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        assert!(of_tenant(Some(login()), None).is_ok());
        assert!(of_tenant(Some(login()), Some(&acme)).is_ok());
        assert!(matches!(of_tenant(Some(login()), Some(&other)), Err(Error::NotFound { .. })));
        assert!(matches!(of_tenant(None, None), Err(Error::NotFound { .. })));
    }

    #[test]
    fn a_used_state_and_an_old_one_are_told_apart() {
        let used = LoginState { used: Some(Timestamp::UNIX_EPOCH), ..login() };
        let state = |result| match result {
            Err(Error::WrongState { state, .. }) => state,
            other => panic!("{other:?}"),
        };
        assert!(usable(&login(), Timestamp::UNIX_EPOCH).is_ok());
        assert_eq!(state(usable(&used, Timestamp::UNIX_EPOCH)), "USED");
        assert_eq!(state(usable(&login(), Timestamp::UNIX_EPOCH + LIFE)), "EXPIRED");
    }
}
