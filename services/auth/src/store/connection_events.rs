//! What happened to connections, in an order per tenant without gaps.

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use tokio_postgres::Row;
use vocabulary::ids::ConnectionId;

use crate::{
    connection_events::{Event, EventKind},
    connections::ConnectionState,
};

/// What of a tenant's order is kept: from the oldest event to the newest. Where none is kept the oldest is one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The first that can be read.
    pub oldest: i64,
    /// The last that happened; 0 before the first.
    pub newest: i64,
}

/// Adds one. Call it late in the transaction, and before a revocation: it takes the lock of the tenant's order until the
/// commit, so that events become visible in their order.
pub async fn append(transaction: &Transaction<'_>, tenant: &str, event: &Event) -> Result<i64, Error> {
    const SQL: &str = "
        WITH tick AS (
            INSERT INTO connection_event_clock AS c (tenant_id, sequence)
            VALUES ($1, 1)
            ON CONFLICT (tenant_id) DO UPDATE
               SET sequence = c.sequence + 1
            RETURNING c.sequence)
        INSERT INTO connection_events
               (tenant_id, sequence, kind, connection_id, state, reason, days_left, lost_scopes, expires_at, happened_at)
        SELECT $1, sequence, $2, $3, $4, $5, $6, $7, $8, $9
          FROM tick
        RETURNING sequence";
    let statement = transaction.prepare_cached(SQL).await?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &tenant,
        &event.kind.word(),
        &event.connection.0,
        &event.state.word(),
        &event.reason,
        &event.days_left,
        &event.lost_scopes,
        &event.expires,
        &event.happened,
    ];
    Ok(transaction.query_one(&statement, values).await?.try_get(0)?)
}

/// What of the tenant's order is kept.
pub async fn clock(client: &impl GenericClient, tenant: &str) -> Result<Kept, Error> {
    const SQL: &str = "
        SELECT oldest, sequence
          FROM connection_event_clock
         WHERE tenant_id = $1";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_opt(&statement, &[&tenant]).await?;
    let kept = |row: &Row| Ok::<_, Error>(Kept { oldest: row.try_get(0)?, newest: row.try_get(1)? });
    row.as_ref().map_or(Ok(Kept { oldest: 1, newest: 0 }), kept)
}

/// Those after a sequence, in their order.
pub async fn after(
    client: &impl GenericClient,
    tenant: &str,
    sequence: i64,
    limit: i64,
) -> Result<Vec<(i64, Event)>, Error> {
    const SQL: &str = "
        SELECT sequence, kind, connection_id, state, reason, days_left, lost_scopes, expires_at, happened_at
          FROM connection_events
         WHERE tenant_id = $1 AND sequence > $2
         ORDER BY sequence
         LIMIT $3";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[&tenant, &sequence, &limit]).await?.iter().map(read).collect()
}

/// Forgets those of all tenants from before a moment, from the oldest on, and notes where each order begins now.
pub async fn sweep(client: &impl GenericClient, before: Timestamp) -> Result<(), Error> {
    const SQL: &str = "
        WITH gone AS (
            DELETE FROM connection_events
             WHERE happened_at < $1
            RETURNING tenant_id, sequence),
        ends AS (
            SELECT tenant_id, max(sequence) AS last
              FROM gone
             GROUP BY tenant_id)
        UPDATE connection_event_clock AS c
           SET oldest = greatest(c.oldest, e.last + 1)
          FROM ends AS e
         WHERE c.tenant_id = e.tenant_id";
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&before]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<(i64, Event), Error> {
    let corrupt = || Error::Broken("a stored event has an impossible form".to_owned());
    let event = Event {
        kind: EventKind::from_word(row.try_get("kind")?).ok_or_else(corrupt)?,
        connection: ConnectionId(row.try_get("connection_id")?),
        state: ConnectionState::from_word(row.try_get("state")?).ok_or_else(corrupt)?,
        reason: row.try_get("reason")?,
        days_left: row.try_get("days_left")?,
        lost_scopes: row.try_get("lost_scopes")?,
        expires: row.try_get("expires_at")?,
        happened: row.try_get("happened_at")?,
    };
    Ok((row.try_get("sequence")?, event))
}
