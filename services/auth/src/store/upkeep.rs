//! Who works on which connection, how fast all may, and what came of it.

use std::time::Duration;

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use vocabulary::ids::ConnectionId;

use super::connections::{COLUMNS, with_token};
use crate::{connections::Connection, lifecycle::pace::Pace, vault::Sealed};

/// What falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// An exchange.
    Refresh,
    /// An inspection.
    Inspection,
}

impl Due {
    /// As its pace is stored.
    fn word(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Inspection => "inspection",
        }
    }

    /// Which rows, most urgent first.
    fn rows(self) -> &'static str {
        match self {
            Self::Refresh => "state = 'active' AND next_refresh_at <= $1",
            Self::Inspection => "state <> 'revoked' AND (next_inspection_at IS NULL OR next_inspection_at <= $1)",
        }
    }

    fn order(self) -> &'static str {
        match self {
            Self::Refresh => "expires_at",
            Self::Inspection => "next_inspection_at NULLS FIRST",
        }
    }
}

/// A connection that is ours to work on until the claim ends or somebody else's begins.
#[derive(Debug)]
pub struct Claimed {
    /// As it stood.
    pub connection: Connection,
    /// Its token.
    pub token: Sealed,
    /// Ours; an outcome is stored only while it is the row's.
    pub claim: i64,
}

/// Claims what is due and not claimed, as much as the pace allows of `want`, until `until`.
pub async fn claim(
    transaction: &Transaction<'_>,
    due: Due,
    (want, pace): (u32, Pace),
    (now, until): (Timestamp, Timestamp),
) -> Result<Vec<Claimed>, Error> {
    const PACE: &str = "SELECT free_at FROM lifecycle_pace WHERE kind = $1 FOR UPDATE";
    const TAKEN: &str = "UPDATE lifecycle_pace SET free_at = $2 WHERE kind = $1";
    let sql = format!(
        "WITH due AS MATERIALIZED (
             SELECT tenant_id AS due_tenant, id AS due_id
               FROM connections
              WHERE {}
                AND sealed_token IS NOT NULL
                AND (claimed_until IS NULL OR claimed_until <= $1)
              ORDER BY {}
              LIMIT $3
                FOR UPDATE SKIP LOCKED)
         UPDATE connections
            SET claim = claim + 1,
                claimed_until = $2
           FROM due
          WHERE tenant_id = due_tenant AND id = due_id
         RETURNING {COLUMNS}, claim",
        due.rows(),
        due.order()
    );
    if !is_any(transaction, due, now).await? {
        return Ok(Vec::new());
    }
    let statement = transaction.prepare_cached(PACE).await?;
    let free = transaction.query_one(&statement, &[&due.word()]).await?.try_get(0)?;
    let granted = pace.grant(free, now, want);
    if granted == 0 {
        return Ok(Vec::new());
    }
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction.query(&statement, &[&now, &until, &i64::from(granted)]).await?;
    let taken = u32::try_from(rows.len()).unwrap_or(granted);
    let statement = transaction.prepare_cached(TAKEN).await?;
    transaction.execute(&statement, &[&due.word(), &pace.after(free, now, taken)]).await?;
    rows.iter().map(claimed).collect()
}

/// Is anything due? Asked first, so that replicas with nothing to do do not queue for the pace.
async fn is_any(client: &impl GenericClient, due: Due, now: Timestamp) -> Result<bool, Error> {
    let sql = format!(
        "SELECT EXISTS (
            SELECT FROM connections
             WHERE {} AND sealed_token IS NOT NULL AND (claimed_until IS NULL OR claimed_until <= $1))",
        due.rows()
    );
    let statement = client.prepare_cached(&sql).await?;
    Ok(client.query_one(&statement, &[&now]).await?.try_get(0)?)
}

/// Claims one connection that has a token and that nobody works on.
pub async fn claim_one(
    client: &impl GenericClient,
    tenant: &str,
    id: ConnectionId,
    (now, until): (Timestamp, Timestamp),
) -> Result<Option<Claimed>, Error> {
    let sql = format!(
        "UPDATE connections
            SET claim = claim + 1,
                claimed_until = $4
          WHERE tenant_id = $1
            AND id = $2
            AND state <> 'revoked'
            AND sealed_token IS NOT NULL
            AND (claimed_until IS NULL OR claimed_until <= $3)
         RETURNING {COLUMNS}, claim"
    );
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[&tenant, &id.0, &now, &until]).await?;
    row.as_ref().map(claimed).transpose()
}

/// Is somebody at work on it?
pub async fn is_claimed(
    client: &impl GenericClient,
    tenant: &str,
    id: ConnectionId,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "
        SELECT coalesce(claimed_until > $3, false)
          FROM connections
         WHERE tenant_id = $1 AND id = $2";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_opt(&statement, &[&tenant, &id.0, &now]).await?;
    row.map_or(Ok(false), |row| Ok(row.try_get(0)?))
}

/// Ends a claim, where it is still the row's.
pub async fn release(client: &impl GenericClient, tenant: &str, id: ConnectionId, claim: i64) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE connections
           SET claimed_until = NULL
         WHERE tenant_id = $1 AND id = $2 AND claim = $3";
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&tenant, &id.0, &claim]).await?;
    Ok(())
}

/// Locks a connection until the transaction ends; `None` where the claim is lost or the connection was revoked.
pub async fn lock(
    transaction: &Transaction<'_>,
    tenant: &str,
    id: ConnectionId,
    claim: i64,
) -> Result<Option<Connection>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}
           FROM connections
          WHERE tenant_id = $1 AND id = $2 AND claim = $3 AND state <> 'revoked'
            FOR UPDATE"
    );
    let statement = transaction.prepare_cached(&sql).await?;
    let row = transaction.query_opt(&statement, &[&tenant, &id.0, &claim]).await?;
    row.map(|row| with_token(&row).map(|(connection, _)| connection)).transpose()
}

/// Stores a newer token of a connection that is locked, and ends the claim.
pub async fn put_newer(
    transaction: &Transaction<'_>,
    newer: &Connection,
    token: &Sealed,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE connections
           SET expires_at = $3,
               token_version = $4,
               tenant_key_version = $5,
               key_version = $6,
               wrapped_key = $7,
               sealed_token = $8,
               next_refresh_at = $9,
               next_inspection_at = $10,
               next_notice_at = $11,
               refreshed_at = $12,
               refresh_failures = 0,
               refresh_problem = '',
               told_days = $13,
               claimed_until = NULL,
               version = version + 1,
               updated_at = $12
         WHERE tenant_id = $1 AND id = $2 AND token_version + 1 = $4";
    let statement = transaction.prepare_cached(SQL).await?;
    let (c, upkeep) = (newer, &newer.upkeep);
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &c.tenant.as_str(),
        &c.id.0,
        &c.expires,
        &c.token_version,
        &token.key.tenant_key_version,
        &token.key.key_version,
        &token.key.wrapped,
        &token.value,
        &upkeep.next_refresh,
        &upkeep.next_inspection,
        &upkeep.next_notice,
        &now,
        &upkeep.told,
    ];
    transaction.execute(&statement, values).await?;
    Ok(())
}

/// Stores that a refresh failed and ends the claim, unless the claim is lost or the connection has changed otherwise.
pub async fn put_failed(client: &impl GenericClient, failed: &Connection, claim: i64) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE connections
           SET state = $5,
               state_reason = $6,
               next_refresh_at = $7,
               next_notice_at = $8,
               refresh_failures = $9,
               refresh_problem = $10,
               claimed_until = NULL,
               version = version + 1
         WHERE tenant_id = $1 AND id = $2 AND claim = $3 AND version = $4";
    let statement = client.prepare_cached(SQL).await?;
    let (c, upkeep) = (failed, &failed.upkeep);
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &c.tenant.as_str(),
        &c.id.0,
        &claim,
        &c.version,
        &c.state.word(),
        &c.state_reason,
        &upkeep.next_refresh,
        &upkeep.next_notice,
        &upkeep.failures,
        &upkeep.problem,
    ];
    Ok(client.execute(&statement, values).await? == 1)
}

/// Puts an inspection off and ends the claim.
pub async fn put_off(client: &impl GenericClient, claimed: &Claimed, until: Timestamp) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE connections
           SET next_inspection_at = $4,
               claimed_until = NULL
         WHERE tenant_id = $1 AND id = $2 AND claim = $3";
    let statement = client.prepare_cached(SQL).await?;
    let c = &claimed.connection;
    client.execute(&statement, &[&c.tenant.as_str(), &c.id.0, &claimed.claim, &until]).await?;
    Ok(())
}

/// Locks connections, of all tenants, that have an end to be told, until the transaction ends.
pub async fn to_notice(transaction: &Transaction<'_>, now: Timestamp, limit: i64) -> Result<Vec<Connection>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}
           FROM connections
          WHERE state <> 'revoked' AND next_notice_at <= $1
          ORDER BY next_notice_at
          LIMIT $2
            FOR UPDATE SKIP LOCKED"
    );
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction.query(&statement, &[&now, &limit]).await?;
    rows.iter().map(|row| with_token(row).map(|(connection, _)| connection)).collect()
}

/// Stores what was told of a connection.
pub async fn put_told(transaction: &Transaction<'_>, told: &Connection) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE connections
           SET told_days = $3,
               told_data_days = $4,
               next_notice_at = $5,
               version = version + 1
         WHERE tenant_id = $1 AND id = $2";
    let statement = transaction.prepare_cached(SQL).await?;
    let upkeep = &told.upkeep;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&told.tenant.as_str(), &told.id.0, &upkeep.told, &upkeep.told_data, &upkeep.next_notice];
    transaction.execute(&statement, values).await?;
    Ok(())
}

/// How long a claim lasts: longer than any exchange and what follows it, so that nobody else begins meanwhile.
pub const CLAIM: Duration = Duration::from_mins(10);

fn claimed(row: &tokio_postgres::Row) -> Result<Claimed, Error> {
    let (connection, token) = with_token(row)?;
    let token = token.ok_or_else(|| Error::Broken("a claimed connection has no token".to_owned()))?;
    Ok(Claimed { connection, token, claim: row.try_get("claim")? })
}
