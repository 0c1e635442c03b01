//! Connections and their sealed tokens.

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use tokio_postgres::Row;
use vocabulary::ids::{ConnectionId, MetaAppId};

use super::keys::sealed;
use crate::{
    connections::{Connection, ConnectionKind, ConnectionState, Listing, Upkeep},
    vault::Sealed,
};

/// What [`with_token`] reads.
pub const COLUMNS: &str = "
    tenant_id, id, kind, state, state_reason, app_id, user_id, scopes, expected_scopes, granular_scopes, expires_at,
    data_access_expires_at, inspected_at, token_version, version, tenant_key_version, key_version, wrapped_key,
    sealed_token, created_at, updated_at, next_refresh_at, next_inspection_at, next_notice_at, refreshed_at,
    refresh_failures, refresh_problem, told_days, told_data_days";

/// The connection of that app, kind and user that has not been revoked. Until the transaction ends nobody else can change
/// it, nor make one where there is none.
pub async fn of_user(
    transaction: &Transaction<'_>,
    tenant: &str,
    app: MetaAppId,
    kind: ConnectionKind,
    user: &str,
) -> Result<Option<Connection>, Error> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2 || '/' || $3, 0))";
    let sql = format!(
        "SELECT {COLUMNS}
           FROM connections
          WHERE tenant_id = $1 AND app_id = $2 AND kind = $3 AND user_id = $4 AND state <> 'revoked'
            FOR UPDATE"
    );
    let app = app.to_string();
    let statement = transaction.prepare_cached(LOCK).await?;
    transaction.execute(&statement, &[&tenant, &app, &user]).await?;
    let statement = transaction.prepare_cached(&sql).await?;
    let row = transaction.query_opt(&statement, &[&tenant, &app, &kind.word(), &user]).await?;
    row.as_ref().map(read).transpose()
}

/// Stores a connection and its token; one of the same id is replaced, and whoever works on that has lost its claim.
pub async fn put(client: &impl GenericClient, connection: &Connection, token: &Sealed) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO connections
               (tenant_id, id, kind, state, state_reason, app_id, user_id, scopes, expected_scopes, granular_scopes,
                expires_at, data_access_expires_at, inspected_at, token_version, version, tenant_key_version,
                key_version, wrapped_key, sealed_token, created_at, updated_at, next_refresh_at, next_inspection_at,
                next_notice_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                $23, $24)
        ON CONFLICT (tenant_id, id) DO UPDATE
           SET state = EXCLUDED.state,
               state_reason = EXCLUDED.state_reason,
               scopes = EXCLUDED.scopes,
               expected_scopes = EXCLUDED.expected_scopes,
               granular_scopes = EXCLUDED.granular_scopes,
               expires_at = EXCLUDED.expires_at,
               data_access_expires_at = EXCLUDED.data_access_expires_at,
               inspected_at = EXCLUDED.inspected_at,
               token_version = EXCLUDED.token_version,
               version = EXCLUDED.version,
               tenant_key_version = EXCLUDED.tenant_key_version,
               key_version = EXCLUDED.key_version,
               wrapped_key = EXCLUDED.wrapped_key,
               sealed_token = EXCLUDED.sealed_token,
               updated_at = EXCLUDED.updated_at,
               next_refresh_at = EXCLUDED.next_refresh_at,
               next_inspection_at = EXCLUDED.next_inspection_at,
               next_notice_at = EXCLUDED.next_notice_at,
               refreshed_at = EXCLUDED.refreshed_at,
               refresh_failures = EXCLUDED.refresh_failures,
               refresh_problem = EXCLUDED.refresh_problem,
               told_days = EXCLUDED.told_days,
               told_data_days = EXCLUDED.told_data_days,
               claim = connections.claim + 1,
               claimed_until = NULL";
    let statement = client.prepare_cached(SQL).await?;
    let c = connection;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &c.tenant.as_str(),
        &c.id.0,
        &c.kind.word(),
        &c.state.word(),
        &c.state_reason,
        &c.app.to_string(),
        &c.user_id,
        &c.scopes,
        &c.expected_scopes,
        &serde_json::json!(c.granular_scopes),
        &c.expires,
        &c.data_access_expires,
        &c.inspected,
        &c.token_version,
        &c.version,
        &token.key.tenant_key_version,
        &token.key.key_version,
        &token.key.wrapped,
        &token.value,
        &c.created,
        &c.updated,
        &c.upkeep.next_refresh,
        &c.upkeep.next_inspection,
        &c.upkeep.next_notice,
    ];
    client.execute(&statement, values).await?;
    Ok(())
}

/// Stores what Meta said about a token, unless the connection has changed since `connection` was read. Says whether
/// it was stored; the version grows by one.
pub async fn note(client: &impl GenericClient, connection: &Connection) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE connections
           SET state = $4,
               state_reason = $5,
               scopes = $6,
               granular_scopes = $7,
               expires_at = $8,
               data_access_expires_at = $9,
               inspected_at = $10,
               next_refresh_at = $11,
               next_inspection_at = $12,
               next_notice_at = $13,
               told_days = $14,
               told_data_days = $15,
               version = version + 1,
               updated_at = greatest(updated_at, $10)
         WHERE tenant_id = $1 AND id = $2 AND version = $3";
    let statement = client.prepare_cached(SQL).await?;
    let c = connection;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &c.tenant.as_str(),
        &c.id.0,
        &c.version,
        &c.state.word(),
        &c.state_reason,
        &c.scopes,
        &serde_json::json!(c.granular_scopes),
        &c.expires,
        &c.data_access_expires,
        &c.inspected,
        &c.upkeep.next_refresh,
        &c.upkeep.next_inspection,
        &c.upkeep.next_notice,
        &c.upkeep.told,
        &c.upkeep.told_data,
    ];
    Ok(client.execute(&statement, values).await? == 1)
}

/// Ends a connection, unless it has changed since. The token stays until [`shred`].
pub async fn revoke(
    client: &impl GenericClient,
    connection: &Connection,
    reason: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE connections
           SET state = 'revoked',
               state_reason = $4,
               version = version + 1,
               updated_at = $5
         WHERE tenant_id = $1 AND id = $2 AND version = $3";
    let statement = client.prepare_cached(SQL).await?;
    let c = connection;
    let ended = client.execute(&statement, &[&c.tenant.as_str(), &c.id.0, &c.version, &reason, &now]).await?;
    Ok(ended == 1)
}

/// Destroys the token of a revoked connection: its key, its ciphertext and what it reached.
pub async fn shred(transaction: &Transaction<'_>, tenant: &str, id: ConnectionId) -> Result<(), Error> {
    const SHRED: &str = "
        UPDATE connections
           SET wrapped_key = NULL,
               sealed_token = NULL
         WHERE tenant_id = $1 AND id = $2 AND state = 'revoked'";
    const FORGET: &str = "DELETE FROM assets WHERE tenant_id = $1 AND connection_id = $2";
    for sql in [SHRED, FORGET] {
        let statement = transaction.prepare_cached(sql).await?;
        transaction.execute(&statement, &[&tenant, &id.0]).await?;
    }
    Ok(())
}

/// Revoked connections, of all tenants, whose token is still there though nobody has touched them since `before`.
pub async fn to_shred(
    client: &impl GenericClient,
    before: Timestamp,
) -> Result<Vec<(Connection, Option<Sealed>)>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}
           FROM connections
          WHERE state = 'revoked' AND sealed_token IS NOT NULL AND updated_at < $1
          ORDER BY updated_at
          LIMIT 20"
    );
    let statement = client.prepare_cached(&sql).await?;
    client.query(&statement, &[&before]).await?.iter().map(with_token).collect()
}

/// One connection. Until the transaction ends nobody else can change it.
pub async fn lock(transaction: &Transaction<'_>, tenant: &str, id: ConnectionId) -> Result<Option<Connection>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM connections WHERE tenant_id = $1 AND id = $2 FOR UPDATE");
    let statement = transaction.prepare_cached(&sql).await?;
    transaction.query_opt(&statement, &[&tenant, &id.0]).await?.as_ref().map(read).transpose()
}

/// The newest connection that does not work and of which nobody knows what it reaches.
pub async fn unseen(client: &impl GenericClient, tenant: &str) -> Result<Option<Connection>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}
           FROM connections
          WHERE tenant_id = $1
            AND state IN ('needs_consent', 'checkpoint')
            AND NOT EXISTS (
                SELECT FROM assets AS a WHERE a.tenant_id = $1 AND a.connection_id = connections.id)
          ORDER BY id DESC
          LIMIT 1"
    );
    let statement = client.prepare_cached(&sql).await?;
    client.query_opt(&statement, &[&tenant]).await?.as_ref().map(read).transpose()
}

/// One connection and its token; no token where it was shredded.
pub async fn get(
    client: &impl GenericClient,
    tenant: &str,
    id: ConnectionId,
) -> Result<Option<(Connection, Option<Sealed>)>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM connections WHERE tenant_id = $1 AND id = $2");
    let statement = client.prepare_cached(&sql).await?;
    client.query_opt(&statement, &[&tenant, &id.0]).await?.as_ref().map(with_token).transpose()
}

/// The connections of the tenant that reach an asset, oldest first, with their tokens.
pub async fn reaching(
    client: &impl GenericClient,
    tenant: &str,
    kind: i16,
    meta_id: &str,
) -> Result<Vec<(Connection, Option<Sealed>)>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}
           FROM connections
          WHERE tenant_id = $1
            AND state <> 'revoked'
            AND id IN (SELECT connection_id FROM assets WHERE tenant_id = $1 AND kind = $2 AND meta_id = $3)
          ORDER BY id"
    );
    let statement = client.prepare_cached(&sql).await?;
    client.query(&statement, &[&tenant, &kind, &meta_id]).await?.iter().map(with_token).collect()
}

/// The tenant's connections by id, which is by age.
pub async fn list(client: &impl GenericClient, tenant: &str, listing: &Listing) -> Result<Vec<Connection>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}
           FROM connections
          WHERE tenant_id = $1
            AND id > $2
            AND ($3::text IS NULL OR state = $3)
            AND ($4::timestamptz IS NULL OR expires_at < $4)
          ORDER BY id
          LIMIT $5"
    );
    let statement = client.prepare_cached(&sql).await?;
    let state = listing.state.map(ConnectionState::word);
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&tenant, &listing.after.0, &state, &listing.expires_before, &listing.limit];
    client.query(&statement, values).await?.iter().map(read).collect()
}

/// Removes a revoked connection whose token is gone, unless it has changed since. What it reached goes with it.
pub async fn delete(client: &impl GenericClient, connection: &Connection) -> Result<bool, Error> {
    const SQL: &str = "
        DELETE FROM connections
         WHERE tenant_id = $1 AND id = $2 AND version = $3 AND state = 'revoked' AND sealed_token IS NULL";
    let statement = client.prepare_cached(SQL).await?;
    let c = connection;
    Ok(client.execute(&statement, &[&c.tenant.as_str(), &c.id.0, &c.version]).await? == 1)
}

/// Reads a row of [`COLUMNS`]; no token where it was shredded.
pub fn with_token(row: &Row) -> Result<(Connection, Option<Sealed>), Error> {
    let shredded = row.try_get::<_, Option<&[u8]>>("sealed_token")?.is_none();
    let token = if shredded { None } else { Some(sealed(row, "sealed_token")?) };
    Ok((read(row)?, token))
}

fn read(row: &Row) -> Result<Connection, Error> {
    let corrupt = || Error::Broken("a stored connection has an impossible form".to_owned());
    Ok(Connection {
        tenant: row.try_get::<_, &str>("tenant_id")?.parse().map_err(|_| corrupt())?,
        id: ConnectionId(row.try_get("id")?),
        kind: ConnectionKind::from_word(row.try_get("kind")?).ok_or_else(corrupt)?,
        state: ConnectionState::from_word(row.try_get("state")?).ok_or_else(corrupt)?,
        state_reason: row.try_get("state_reason")?,
        app: row.try_get::<_, &str>("app_id")?.parse().map_err(|_| corrupt())?,
        user_id: row.try_get("user_id")?,
        scopes: row.try_get("scopes")?,
        expected_scopes: row.try_get("expected_scopes")?,
        granular_scopes: serde_json::from_value(row.try_get("granular_scopes")?).map_err(|_| corrupt())?,
        expires: row.try_get("expires_at")?,
        data_access_expires: row.try_get("data_access_expires_at")?,
        inspected: row.try_get("inspected_at")?,
        upkeep: Upkeep {
            next_refresh: row.try_get("next_refresh_at")?,
            next_inspection: row.try_get("next_inspection_at")?,
            next_notice: row.try_get("next_notice_at")?,
            refreshed: row.try_get("refreshed_at")?,
            failures: row.try_get("refresh_failures")?,
            problem: row.try_get("refresh_problem")?,
            told: row.try_get("told_days")?,
            told_data: row.try_get("told_data_days")?,
        },
        token_version: row.try_get("token_version")?,
        key_version: row.try_get("key_version")?,
        version: row.try_get("version")?,
        created: row.try_get("created_at")?,
        updated: row.try_get("updated_at")?,
    })
}
