//! Wrapped keys of tenants, and the keys that sign tokens.

use jiff::Timestamp;
use storage::{Error, GenericClient, Postgres};
use tokio_postgres::Row;

use crate::vault::{RowKey, Sealed};

/// A tenant's key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Grows with every rotation.
    pub version: i32,
    /// The wrapped bytes.
    pub wrapped: Vec<u8>,
    /// The key-encryption key that wraps it.
    pub wrapped_by: String,
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
}

/// A key that signs tokens, as it is stored.
#[derive(Debug, Clone)]
pub struct StoredSigningKey {
    /// Grows with every rotation.
    pub version: i32,
    /// The `kid`.
    pub id: String,
    /// The public half.
    pub public: Vec<u8>,
    /// The private half, PKCS#8, sealed.
    pub private: Sealed,
    /// When it was made.
    pub created: Timestamp,
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
        client.query_opt(&statement, &[&tenant]).await?.as_ref().map(wrapped).transpose()
    }

    /// One key of a tenant.
    pub async fn version(&self, tenant: &str, version: i32) -> Result<Option<WrappedKey>, Error> {
        const SQL: &str = "
            SELECT version, wrapped, wrapped_by
              FROM tenant_keys
             WHERE tenant_id = $1 AND version = $2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.query_opt(&statement, &[&tenant, &version]).await?.as_ref().map(wrapped).transpose()
    }

    /// Stores a key; one of the same version that came first stays.
    pub async fn insert(&self, tenant: &str, key: &WrappedKey) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO tenant_keys (tenant_id, version, wrapped, wrapped_by)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant, &key.version, &key.wrapped, &key.wrapped_by]).await?;
        Ok(())
    }
}

/// What may be told about a tenant's keys, oldest first, after a version.
pub async fn facts(client: &impl GenericClient, tenant: &str, after: i32, limit: i64) -> Result<Vec<KeyFacts>, Error> {
    const SQL: &str = "
        SELECT k.version, k.wrapped_by, k.created_at,
               k.version = (SELECT max(version) FROM tenant_keys WHERE tenant_id = $1) AS newest,
               (SELECT count(*)
                  FROM connections AS c
                 WHERE c.tenant_id = $1 AND c.tenant_key_version = k.version AND c.wrapped_key IS NOT NULL) AS rows
          FROM tenant_keys AS k
         WHERE k.tenant_id = $1 AND k.version > $2
         ORDER BY k.version
         LIMIT $3";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&tenant, &after, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(KeyFacts {
                version: row.try_get("version")?,
                newest: row.try_get("newest")?,
                wrapped_by: row.try_get("wrapped_by")?,
                rows: row.try_get("rows")?,
                created: row.try_get("created_at")?,
            })
        })
        .collect()
}

/// The keys that sign tokens, newest first.
pub async fn signing(client: &impl GenericClient) -> Result<Vec<StoredSigningKey>, Error> {
    const SQL: &str = "
        SELECT version, key_id, public_key, tenant_key_version, key_version, wrapped_key, sealed_private, created_at
          FROM signing_keys
         ORDER BY version DESC";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[]).await?.iter().map(signing_key).collect()
}

/// Stores a key that signs tokens; one of the same version that came first stays.
pub async fn insert_signing(client: &impl GenericClient, key: &StoredSigningKey) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO signing_keys
               (version, key_id, public_key, tenant_key_version, key_version, wrapped_key, sealed_private)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    let sealed = &key.private;
    client
        .execute(
            &statement,
            &[
                &key.version,
                &key.id,
                &key.public,
                &sealed.key.tenant_key_version,
                &sealed.key.key_version,
                &sealed.key.wrapped,
                &sealed.value,
            ],
        )
        .await?;
    Ok(())
}

fn wrapped(row: &Row) -> Result<WrappedKey, Error> {
    Ok(WrappedKey {
        version: row.try_get("version")?,
        wrapped: row.try_get("wrapped")?,
        wrapped_by: row.try_get("wrapped_by")?,
    })
}

fn signing_key(row: &Row) -> Result<StoredSigningKey, Error> {
    Ok(StoredSigningKey {
        version: row.try_get("version")?,
        id: row.try_get("key_id")?,
        public: row.try_get("public_key")?,
        private: sealed(row, "sealed_private")?,
        created: row.try_get("created_at")?,
    })
}

/// The row's key and the sealed column of that name.
pub(super) fn sealed(row: &Row, column: &str) -> Result<Sealed, Error> {
    let key = RowKey {
        tenant_key_version: row.try_get("tenant_key_version")?,
        key_version: row.try_get("key_version")?,
        wrapped: row.try_get("wrapped_key")?,
    };
    Ok(Sealed { key, value: row.try_get(column)? })
}
