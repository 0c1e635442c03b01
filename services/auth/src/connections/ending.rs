//! The end of a connection: here at once, at Meta as soon as it can be told, and then its token is destroyed.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use vocabulary::{ids::ConnectionId, names};

use super::{Connection, ConnectionState, Connections};
use crate::{
    by::By,
    connection_events::of_change,
    error::Error,
    revocations::Subject,
    sensitive,
    store::{Told, connection_events, connections, revocations},
    vault::Sealed,
};

/// How long a revoked token is kept that Meta could not be told of.
const LEFT_TO_META: Duration = Duration::from_hours(24);

impl Connections {
    /// Ends a connection. First it is revoked here, so that leases end; then Meta is asked to take the permissions back;
    /// then the token is destroyed, unless Meta cannot be asked now, which is tried for a day. Says whether Meta did.
    pub async fn revoke(
        &self,
        by: &By,
        (id, etag, reason): (ConnectionId, &str, &str),
    ) -> Result<(Connection, bool), Error> {
        let (connection, _) = self.revocable(by, id, etag).await?;
        if connection.state != ConnectionState::Revoked {
            self.end(by, &connection, reason).await?;
        }
        let at_meta = self.bury(by, id, LEFT_TO_META).await?;
        Ok((self.get(by, id).await?, at_meta))
    }

    /// Ends it here.
    async fn end(&self, by: &By, connection: &Connection, reason: &str) -> Result<(), Error> {
        let (tenant, now) = (by.tenant.as_str(), (self.now)());
        let resource = names::of_connection(connection.id);
        // Many read what is written there, so it is stored as the audit has it. Before anything is locked.
        let reason = &*sensitive::text(&self.vault, tenant, reason).await;
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !connections::revoke(&transaction, connection, reason, now).await? {
            transaction.rollback().await?;
            drop(client); // Whoever waits for a second connection holds none.
            return Err(Error::Stale { resource, etag: self.get(by, connection.id).await?.etag() });
        }
        let ended =
            Connection { state: ConnectionState::Revoked, state_reason: reason.to_owned(), ..connection.clone() };
        for event in of_change(connection, &ended, now) {
            connection_events::append(&transaction, tenant, &event).await?;
        }
        revocations::append(&transaction, tenant, &Subject::Connection(connection.id), now).await?;
        let detail = json!({"reason": reason});
        let told = Told { action: "connections.revoke", resource: &resource, detail };
        Ok(self.store.commit(transaction, by, told, None).await?)
    }

    /// Ends it at Meta and destroys the token, which is the only one that can do so: where Meta cannot be told now, it is kept
    /// for the next time, for so long after it was revoked. Safe to repeat.
    pub(super) async fn bury(&self, by: &By, id: ConnectionId, kept: Duration) -> Result<bool, Error> {
        let (connection, sealed) = self.find(by, id).await?;
        let Some(sealed) = sealed else { return Ok(false) };
        let at_meta = self.revoke_at_meta(&connection, &sealed).await;
        if let Err(error) = &at_meta
            && (error.waiting_helps() || matches!(error, Error::Meta(error) if error.is_temporary()))
            && (self.now)() < connection.updated + kept
        {
            let error = error as &dyn std::error::Error;
            tracing::warn!(connection.id = %id, error, "the permissions are taken back at Meta later");
            return Ok(false);
        }
        if let Err(error) = &at_meta {
            tracing::warn!(
                connection.id = %id,
                error = error as &dyn std::error::Error,
                "the permissions were not taken back at Meta; the token is destroyed here all the same"
            );
        }
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        connections::shred(&transaction, by.tenant.as_str(), id).await?;
        let resource = names::of_connection(id);
        let trace = match &at_meta {
            Ok(trace) => trace.clone(),
            Err(Error::Meta(error)) => error.meta().and_then(|meta| meta.trace_id.clone()),
            Err(_) => None,
        };
        let detail = json!({"revoked_at_meta": at_meta.is_ok(), "fbtrace_id": trace});
        let told = Told { action: "connections.shred", resource: &resource, detail };
        self.store.commit(transaction, by, told, None).await?;
        Ok(at_meta.is_ok())
    }

    /// Gives Meta's trace of the call.
    async fn revoke_at_meta(&self, connection: &Connection, sealed: &Sealed) -> Result<Option<String>, Error> {
        let token = self.unseal(connection, sealed).await?;
        let app = self.apps.open(connection.app, "").await?;
        Ok(self.oauth.revoke(&app, &token, &connection.user_id).await?)
    }

    /// Finishes what a crash left between ending a connection and destroying its token.
    pub async fn bury_leftovers(&self, before: Timestamp) -> Result<(), Error> {
        let leftovers = connections::to_shred(&self.store.client().await?, before).await?;
        for (connection, _) in leftovers {
            self.bury(&By::ourselves(connection.tenant.clone()), connection.id, LEFT_TO_META).await?;
        }
        Ok(())
    }
}
