//! What Meta says of a token becomes a state, a revocation, events.

use graph::oauth::Inspection;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use vocabulary::{ids::ConnectionId, names};

use super::{Connection, ConnectionState, Connections};
use crate::{
    by::By,
    connection_events::of_change,
    discovery,
    error::Error,
    meta_apps::refused,
    revocations::Subject,
    store::{Told, connection_events, connections, revocations, upkeep},
};

/// How often an answer of Meta's is fitted to a connection that changes at the same time.
const TRIES_MAX: u32 = 3;

/// Why Meta is asked how a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Somebody wants to know.
    Asked,
    /// It is due; this claim ends with it.
    Due(i64),
    /// Meta refused to exchange it; the refresh goes on under its own claim.
    Refused,
}

impl Connections {
    /// Asks Meta how the token stands, and stores the answer.
    pub async fn inspect(&self, by: &By, id: ConnectionId) -> Result<Connection, Error> {
        let (connection, token) = self.open(by, id).await?;
        self.tenants.get(by).await?.require_active()?;
        self.inspect_token(by, &connection, &token, Look::Asked).await
    }

    /// The same of a token that is open already. An answer is stored unless Meta was asked later and that answer is there
    /// already. A look that nobody asked for leaves no trace in the audit where the token stands as before.
    pub(crate) async fn inspect_token(
        &self,
        by: &By,
        connection: &Connection,
        token: &SecretString,
        look: Look,
    ) -> Result<Connection, Error> {
        let app = self.app_of(connection).await?;
        let asked = (self.now)();
        let inspection = self.oauth.inspect(&app, token).await.map_err(refused)?;
        for _ in 0..TRIES_MAX {
            let before = self.get(by, connection.id).await?;
            // What Meta said of an older token, or before something that is known by now, is of no interest.
            let is_newer = before.token_version != connection.token_version || before.inspected > asked;
            if is_newer || before.state == ConnectionState::Revoked {
                return Ok(before);
            }
            if self.note(by, &before, (&inspection, asked), look).await? {
                return self.get(by, connection.id).await;
            }
        }
        let etag = self.get(by, connection.id).await?.etag();
        Err(Error::Stale { resource: names::of_connection(connection.id), etag })
    }

    /// Says whether it was stored; it is not where the connection has changed since it was read.
    async fn note(
        &self,
        by: &By,
        before: &Connection,
        (inspection, asked): (&Inspection, Timestamp),
        look: Look,
    ) -> Result<bool, Error> {
        let (tenant, now) = (by.tenant.as_str(), (self.now)());
        let after = before.clone().noted(inspection, asked).inspected(before, &self.plan, now);
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !connections::note(&transaction, &after).await? {
            return Ok(false);
        }
        if let Look::Due(claim) = look {
            upkeep::release(&transaction, tenant, after.id, claim).await?;
        }
        let events = of_change(before, &after, now);
        for event in &events {
            connection_events::append(&transaction, tenant, event).await?;
        }
        if before.state == ConnectionState::Active && after.state != before.state {
            revocations::append(&transaction, tenant, &Subject::Connection(after.id), now).await?;
        }
        if before.state != ConnectionState::Active && after.state == ConnectionState::Active {
            // Nobody has looked while it did not work.
            discovery::enqueue(&self.store, &transaction, (by, after.id), now).await?;
        }
        let changed = after.changes(before);
        if look != Look::Asked && changed.is_empty() {
            transaction.commit().await?;
            return Ok(true);
        }
        let resource = names::of_connection(after.id);
        let reason = self.veiled(&after, &after.state_reason).await;
        let detail = json!({"state": after.state.word(), "reason": reason, "changed": changed});
        let told = Told { action: "connections.inspect", resource: &resource, detail };
        self.store.commit(transaction, by, told, None).await?;
        Ok(true)
    }
}
