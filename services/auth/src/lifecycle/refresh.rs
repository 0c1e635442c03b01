//! One exchange of one token, and what becomes of it.
//!
//! A person's token and a system user's are exchanged in different ways. Whatever Meta answers, or does not, the token
//! that we hold works until its own end. A refusal is believed only after Meta was asked about the token itself.

use std::time::Duration;

use graph::oauth::{App, Granted, Remedy, remedy_of};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use vocabulary::{ids::ConnectionId, names};

use super::{Lifecycle, plan::YOUNG};
use crate::{
    by::By,
    connection_events::{Event, EventKind, of_change},
    connections::{Connection, ConnectionKind, ConnectionState, Look},
    error::Error,
    meta_apps::refused,
    revocations::Subject,
    store::{
        Told, connection_events, revocations,
        upkeep::{self, CLAIM, Claimed},
    },
};

/// How long an exchange may take with all its tries; the claim lasts longer.
const EXCHANGE: Duration = Duration::from_mins(4);
/// How long a caller waits for somebody else's exchange.
const JOIN: Duration = Duration::from_secs(20);
/// How often such a caller looks.
const LOOK: Duration = Duration::from_millis(200);

impl Lifecycle {
    /// The connection where it can be refreshed, and whether that would ask Meta.
    pub async fn refreshable(&self, by: &By, id: ConnectionId) -> Result<(Connection, bool), Error> {
        let connection = self.connections.get(by, id).await?;
        connection.require_active()?;
        let now = (self.now)();
        let is_young = connection.upkeep.refreshed.is_some_and(|refreshed| refreshed + YOUNG > now);
        let asks = connection.expires.is_some() && !is_young;
        Ok((connection, asks))
    }

    /// Refreshes a connection now, or waits for whoever does. Says whether there is a newer token than before.
    pub async fn refresh_now(&self, by: &By, id: ConnectionId) -> Result<(Connection, bool), Error> {
        let (before, asks) = self.refreshable(by, id).await?;
        if !asks {
            return Ok((before, false));
        }
        let deadline = tokio::time::Instant::now() + JOIN;
        while tokio::time::Instant::now() < deadline {
            if let Some(claimed) = self.claim(by, id).await? {
                let seen = &claimed.connection;
                let is_as_before = seen.token_version == before.token_version
                    && seen.upkeep.failures <= before.upkeep.failures
                    && seen.state == ConnectionState::Active;
                if is_as_before {
                    let newer = self.spawned(by.clone(), claimed).await?;
                    let is_newer = newer.token_version > before.token_version;
                    return Ok((newer, is_newer));
                }
                upkeep::release(&self.store.client().await?, by.tenant.as_str(), id, claimed.claim).await?;
            }
            let seen = self.connections.get(by, id).await?;
            seen.require_active()?;
            if seen.token_version > before.token_version {
                return Ok((seen, true));
            }
            if seen.upkeep.failures > before.upkeep.failures {
                return Err(Error::RefreshFailed { connection: names::of_connection(id), cause: seen.upkeep.problem });
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Error::RefreshFailed {
            connection: names::of_connection(id),
            cause: "another refresh is under way and has not ended".to_owned(),
        })
    }

    async fn claim(&self, by: &By, id: ConnectionId) -> Result<Option<Claimed>, Error> {
        let (client, now) = (self.store.client().await?, (self.now)());
        Ok(upkeep::claim_one(&client, by.tenant.as_str(), id, (now, now + CLAIM)).await?)
    }

    /// Beside the caller, who may hang up: an exchange once sent is stored.
    async fn spawned(&self, by: By, claimed: Claimed) -> Result<Connection, Error> {
        let lifecycle = self.clone();
        let work = self.tasks.spawn(async move { lifecycle.refresh(&by, &claimed).await });
        work.await.unwrap_or(Err(Error::Cancelled))
    }

    /// Exchanges a claimed token.
    pub(super) async fn refresh(&self, by: &By, claimed: &Claimed) -> Result<Connection, Error> {
        let connection = &claimed.connection;
        let opened = async {
            let token = self.connections.unseal(connection, &claimed.token).await?;
            Ok::<_, Error>((token, self.connections.app_of(connection).await?))
        };
        let (token, app) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return self.failed(by, claimed, error, "our vault or store could not open it").await,
        };
        let error = match self.exchange(connection.kind, &app, &token).await {
            Ok(granted) => return self.keep_newer(by, claimed, &granted).await,
            Err(error) => error,
        };
        if matches!(remedy_of(&error), Remedy::Renew | Remedy::Consent | Remedy::Checkpoint) {
            let inspected = self.connections.inspect_token(by, connection, &token, Look::Refused).await;
            if let Ok(seen) = inspected
                && (seen.state != ConnectionState::Active || seen.token_version != connection.token_version)
            {
                let (client, tenant) = (self.store.client().await?, by.tenant.as_str());
                upkeep::release(&client, tenant, connection.id, claimed.claim).await?;
                return seen.require_active().map(|()| seen);
            }
        }
        let problem = match error.meta() {
            Some(meta) => format!("Meta says: {}", meta.user_message.as_deref().unwrap_or(&meta.message)),
            None => error.to_string(),
        };
        self.failed(by, claimed, refused(error), &problem).await
    }

    async fn exchange(&self, kind: ConnectionKind, app: &App, token: &SecretString) -> Result<Granted, graph::Error> {
        let exchanging = async {
            match kind {
                ConnectionKind::User => self.oauth.exchange_long_lived(app, token).await,
                ConnectionKind::SystemUser => self.oauth.refresh_system_user(app, token).await,
            }
        };
        let late = || graph::Error::Deadline { call: "an exchange of a token".to_owned() };
        tokio::time::timeout(EXCHANGE, exchanging).await.unwrap_or_else(|_| Err(late()))
    }

    /// Stores the newer token; holders of the older one are told to lease anew. Where the claim was lost, or another token
    /// came meanwhile, what stands there stays.
    async fn keep_newer(&self, by: &By, claimed: &Claimed, granted: &Granted) -> Result<Connection, Error> {
        let (tenant, id, now) = (by.tenant.as_str(), claimed.connection.id, (self.now)());
        self.connections.prepare(&by.tenant).await?;
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let current = upkeep::lock(&transaction, tenant, id, claimed.claim).await?;
        let current = current.filter(|current| current.token_version == claimed.connection.token_version);
        let Some(current) = current else {
            transaction.rollback().await?;
            return self.connections.get(by, id).await;
        };
        // Whole seconds, as Meta tells it.
        let expires = granted.life.and_then(|life| Timestamp::from_second((now + life).as_second()).ok());
        let mut newer = current.refreshed(expires, &self.settings.plan(), now);
        let sealed = self.connections.seal(&newer, &granted.token).await?;
        upkeep::put_newer(&transaction, &newer, &sealed, now).await?;
        connection_events::append(&transaction, tenant, &Event::of(&newer, EventKind::Refreshed, now)).await?;
        revocations::append(&transaction, tenant, &Subject::Connection(id), now).await?;
        newer.version += 1;
        newer.updated = now;
        let resource = names::of_connection(id);
        let detail = json!({
            "token_version": newer.token_version,
            "expires": newer.expires.map(|at| at.to_string()),
            "fbtrace_id": granted.trace_id,
        });
        let told = Told { action: "connections.refresh", resource: &resource, detail };
        self.store.commit(transaction, by, told, None).await?;
        Ok(newer)
    }

    /// Stores when it is tried again, or that the token ends without a newer one. Gives `error` back.
    async fn failed(&self, by: &By, claimed: &Claimed, error: Error, problem: &str) -> Result<Connection, Error> {
        let (tenant, id, now) = (by.tenant.as_str(), claimed.connection.id, (self.now)());
        // An inspection may have noted something since the claim.
        let before = self.connections.get(by, id).await?;
        if before.token_version != claimed.connection.token_version || before.state != ConnectionState::Active {
            upkeep::release(&self.store.client().await?, tenant, id, claimed.claim).await?;
            return Err(error);
        }
        let after = before.clone().failed(problem, now);
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !upkeep::put_failed(&transaction, &after, claimed.claim).await? {
            upkeep::release(&transaction, tenant, id, claimed.claim).await?;
            transaction.commit().await?;
            return Err(error);
        }
        let events = of_change(&before, &after, now);
        for event in &events {
            connection_events::append(&transaction, tenant, event).await?;
        }
        if after.state == before.state {
            transaction.commit().await?;
            return Err(error);
        }
        revocations::append(&transaction, tenant, &Subject::Connection(id), now).await?;
        let resource = names::of_connection(id);
        let reason = self.connections.veiled(&after, &after.state_reason).await;
        let detail = json!({"state": after.state.word(), "reason": reason});
        let told = Told { action: "connections.give_up", resource: &resource, detail };
        self.store.commit(transaction, by, told, None).await?;
        Err(error)
    }
}
