//! Wrapped keys: of tenants, and of the rows that lie under them.

pub mod kek;
pub mod rows;
pub mod signing;

use jiff::Timestamp;
use storage::{Error, GenericClient, Postgres};
use tokio_postgres::Row;

use super::vault_state::{self, StoredState};
use crate::vault::{RowKey, Sealed, provider::Wrapped};

/// A tenant's key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Grows with every rotation.
    pub version: i32,
    /// The wrapped bytes, and what wraps them.
    pub wrapped: Wrapped,
}

/// What may be told about a tenant's key.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// Grows with every rotation.
    pub version: i32,
    /// The newest one seals what is new.
    pub newest: bool,
    /// The key-encryption key that wraps it.
    pub wrapped_by: String,
    /// How many rows lie under it.
    pub rows: i64,
    /// When it was made.
    pub created: Timestamp,
    /// When a rotation left nothing under it.
    pub retired: Option<Timestamp>,
}

/// The tables of keys.
#[derive(Debug, Clone)]
pub struct Keys {
    postgres: Postgres,
}

impl Keys {
    /// Over a pool of connections.
    pub fn new(postgres: Postgres) -> Self {
        Self { postgres }
    }

    /// The newest key of a tenant, or `None` where it has none.
    pub async fn current(&self, tenant: &str) -> Result<Option<WrappedKey>, Error> {
        const SQL: &str = "
            SELECT version, wrapped, wrapped_by
              FROM tenant_keys
             WHERE tenant_id = $1
             ORDER BY version DESC
             LIMIT 1";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.query_opt(&statement, &[&tenant]).await?.as_ref().map(wrapped_key).transpose()
    }

    /// One key of a tenant.
    pub async fn version(&self, tenant: &str, version: i32) -> Result<Option<WrappedKey>, Error> {
        const SQL: &str = "
            SELECT version, wrapped, wrapped_by
              FROM tenant_keys
             WHERE tenant_id = $1 AND version = $2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.query_opt(&statement, &[&tenant, &version]).await?.as_ref().map(wrapped_key).transpose()
    }

    /// The highest version that a tenant's key ever had, those that were shredded among them; 0 where there was none.
    pub async fn last_version(&self, tenant: &str) -> Result<i32, Error> {
        const SQL: &str = "
            SELECT greatest(
                   (SELECT max(version) FROM tenant_keys WHERE tenant_id = $1),
                   (SELECT max(last_version) FROM shreddings WHERE tenant_id = $1),
                   0)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.query_one(&statement, &[&tenant]).await?.try_get(0)?)
    }

    /// Stores a key; one of the same version that came first stays.
    pub async fn insert(&self, tenant: &str, key: &WrappedKey) -> Result<(), Error> {
        insert(&self.postgres.client().await?, tenant, key).await.map(drop)
    }

    /// The key of a tenant's keyed hashes.
    pub async fn hash_key(&self, tenant: &str) -> Result<Option<Wrapped>, Error> {
        const SQL: &str = "
            SELECT wrapped, wrapped_by
              FROM hash_keys
             WHERE tenant_id = $1";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.query_opt(&statement, &[&tenant]).await?.as_ref().map(wrapped).transpose()
    }

    /// Stores the key of a tenant's keyed hashes; one that came first stays.
    pub async fn insert_hash_key(&self, tenant: &str, key: &Wrapped) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO hash_keys (tenant_id, wrapped, wrapped_by)
            VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant, &key.bytes, &key.by]).await?;
        Ok(())
    }

    /// Whether the vault is closed.
    pub async fn state(&self) -> Result<StoredState, Error> {
        vault_state::get(&self.postgres.client().await?).await
    }
}

/// Stores a key, unless there is one of that version. Says whether it did.
pub async fn insert(client: &impl GenericClient, tenant: &str, key: &WrappedKey) -> Result<bool, Error> {
    const SQL: &str = "
        INSERT INTO tenant_keys (tenant_id, version, wrapped, wrapped_by)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    let Wrapped { bytes, by } = &key.wrapped;
    Ok(client.execute(&statement, &[&tenant, &key.version, bytes, by]).await? == 1)
}

/// What may be told about a tenant's keys, oldest first, after a version.
pub async fn facts(client: &impl GenericClient, tenant: &str, after: i32, limit: i64) -> Result<Vec<KeyFacts>, Error> {
    let sql = format!(
        "SELECT k.version, k.wrapped_by, k.created_at, k.retired_at,
                k.version = (SELECT max(version) FROM tenant_keys WHERE tenant_id = $1) AS newest,
                {} AS rows
           FROM tenant_keys AS k
          WHERE k.tenant_id = $1 AND k.version > $2
          ORDER BY k.version
          LIMIT $3",
        rows::count("k.version")
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&tenant, &after, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(KeyFacts {
                version: row.try_get("version")?,
                newest: row.try_get("newest")?,
                wrapped_by: row.try_get("wrapped_by")?,
                rows: row.try_get("rows")?,
                created: row.try_get("created_at")?,
                retired: row.try_get("retired_at")?,
            })
        })
        .collect()
}

/// Marks the keys older than a version under which nothing lies.
pub async fn retire(
    client: &impl GenericClient,
    tenant: &str,
    before_version: i32,
    now: Timestamp,
) -> Result<u64, Error> {
    let sql = format!(
        "UPDATE tenant_keys AS k
            SET retired_at = $3
          WHERE k.tenant_id = $1 AND k.version < $2 AND k.retired_at IS NULL AND {} = 0",
        rows::count("k.version")
    );
    let statement = client.prepare_cached(&sql).await?;
    Ok(client.execute(&statement, &[&tenant, &before_version, &now]).await?)
}

/// Keys, of all tenants, that were retired before: the tenant, the version, and the newest version of that tenant.
pub async fn retired(client: &impl GenericClient, before: Timestamp) -> Result<Vec<(String, i32, i32)>, Error> {
    const SQL: &str = "
        SELECT k.tenant_id, k.version, (SELECT max(version) FROM tenant_keys WHERE tenant_id = k.tenant_id) AS newest
          FROM tenant_keys AS k
         WHERE k.retired_at < $1
         ORDER BY k.tenant_id, k.version
         LIMIT 100";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&before]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
}

/// Deletes a retired key. [`Error::Conflict`] where something lies under it after all.
pub async fn delete(client: &impl GenericClient, tenant: &str, version: i32) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM tenant_keys WHERE tenant_id = $1 AND version = $2 AND retired_at IS NOT NULL";
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&tenant, &version]).await?;
    Ok(())
}

fn wrapped(row: &Row) -> Result<Wrapped, Error> {
    Ok(Wrapped { bytes: row.try_get("wrapped")?, by: row.try_get("wrapped_by")? })
}

fn wrapped_key(row: &Row) -> Result<WrappedKey, Error> {
    Ok(WrappedKey { version: row.try_get("version")?, wrapped: wrapped(row)? })
}

/// The row's key.
fn row_key(row: &Row) -> Result<RowKey, Error> {
    Ok(RowKey {
        tenant_key_version: row.try_get("tenant_key_version")?,
        key_version: row.try_get("key_version")?,
        wrapped: row.try_get("wrapped_key")?,
    })
}

/// The row's key and the sealed column of that name.
pub(super) fn sealed(row: &Row, column: &str) -> Result<Sealed, Error> {
    Ok(Sealed { key: row_key(row)?, value: row.try_get(column)? })
}
