//! What Meta says of a token becomes a state, a revocation, events.

use graph::oauth::Inspection;
use secrecy::SecretString;
use serde_json::json;
use vocabulary::{ids::ConnectionId, names};

use super::{Connection, ConnectionState, Connections};
use crate::{
    by::By,
    connection_events::of_change,
    error::Error,
    meta_apps::refused,
    revocations::Subject,
    store::{Told, connection_events, connections, revocations, upkeep},
};

/// How often an answer of Meta's is fitted to a connection that changes at the same time.
const TRIES_MAX: u32 = 3;

impl Connections {
    /// Asks Meta how the token stands, and stores the answer.
    pub async fn inspect(&self, by: &By, id: ConnectionId) -> Result<Connection, Error> {
        let (connection, token) = self.open(by, id).await?;
        self.tenants.get(by).await?.require_active()?;
        self.inspect_token(by, &connection, &token, None).await
    }

    /// The same of a token that is open already, on behalf of `claim`, which ends with it. Our own daily look at a token
    /// that stands as before leaves no trace in the audit.
    pub(crate) async fn inspect_token(
        &self,
        by: &By,
        connection: &Connection,
        token: &SecretString,
        claim: Option<i64>,
    ) -> Result<Connection, Error> {
        let app = self.app_of(connection).await?;
        let inspection = self.oauth.inspect(&app, token).await.map_err(refused)?;
        for _ in 0..TRIES_MAX {
            let before = self.get(by, connection.id).await?;
            let is_newer = before.token_version != connection.token_version;
            if is_newer || before.state == ConnectionState::Revoked {
                break; // what Meta said of the older token is of no interest
            }
            if self.note(by, &before, &inspection, claim).await? {
                break;
            }
        }
        self.get(by, connection.id).await
    }

    /// Says whether it was stored; it is not where the connection has changed since it was read.
    async fn note(
        &self,
        by: &By,
        before: &Connection,
        inspection: &Inspection,
        claim: Option<i64>,
    ) -> Result<bool, Error> {
        let (tenant, now) = (by.tenant.as_str(), (self.now)());
        let after = before.clone().noted(inspection, now).inspected(before, &self.plan, now);
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !connections::note(&transaction, &after).await? {
            return Ok(false);
        }
        if let Some(claim) = claim {
            upkeep::release(&transaction, tenant, after.id, claim).await?;
        }
        let events = of_change(before, &after, now);
        for event in &events {
            connection_events::append(&transaction, tenant, event).await?;
        }
        if before.state == ConnectionState::Active && after.state != before.state {
            revocations::append(&transaction, tenant, &Subject::Connection(after.id), now).await?;
        }
        if claim.is_some() && events.is_empty() {
            transaction.commit().await?;
            return Ok(true);
        }
        let resource = names::of_connection(after.id);
        let reason = self.veiled(&after, &after.state_reason).await;
        let detail = json!({"state": after.state.word(), "reason": reason});
        let told = Told { action: "connections.inspect", resource: &resource, detail };
        self.store.commit(transaction, by, told, None).await?;
        Ok(true)
    }
}
