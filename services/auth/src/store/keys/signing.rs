//! The keys that sign tokens.

use jiff::Timestamp;
use storage::{Error, GenericClient};
use tokio_postgres::Row;

use super::sealed;
use crate::{token::Algorithm, vault::Sealed};

/// A key that signs tokens, as it is stored.
#[derive(Debug, Clone)]
pub struct StoredSigningKey {
    /// Grows with every rotation.
    pub version: i32,
    /// The `kid`.
    pub id: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The public half.
    pub public: Vec<u8>,
    /// The private half, PKCS#8, sealed.
    pub private: Sealed,
    /// From when on it signs, until a newer one does; `None` is since ever.
    pub signs_from: Option<Timestamp>,
    /// Until when it verifies; `None` while no newer one is there.
    pub published_until: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

/// The keys that sign tokens or verify them, newest first.
pub async fn all(client: &impl GenericClient) -> Result<Vec<StoredSigningKey>, Error> {
    const SQL: &str = "
        SELECT version, key_id, algorithm, public_key, tenant_key_version, key_version, wrapped_key, sealed_private,
               CASE WHEN isfinite(signs_from) THEN signs_from END AS signs_from, published_until, created_at
          FROM signing_keys
         ORDER BY version DESC";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[]).await?.iter().map(read).collect()
}

/// Stores a key, unless there is one of that version. Says whether it did.
pub async fn insert(client: &impl GenericClient, key: &StoredSigningKey) -> Result<bool, Error> {
    const SQL: &str = "
        INSERT INTO signing_keys
               (version, key_id, algorithm, public_key, tenant_key_version, key_version, wrapped_key, sealed_private,
                signs_from)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9::timestamptz, '-infinity'))
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    let sealed = &key.private;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &key.version,
        &key.id,
        &key.algorithm.word(),
        &key.public,
        &sealed.key.tenant_key_version,
        &sealed.key.key_version,
        &sealed.key.wrapped,
        &sealed.value,
        &key.signs_from,
    ];
    Ok(client.execute(&statement, values).await? == 1)
}

/// Says until when the keys older than a version verify, where nothing says so yet.
pub async fn outdate(client: &impl GenericClient, version: i32, published_until: Timestamp) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE signing_keys
           SET published_until = $2
         WHERE version < $1 AND published_until IS NULL";
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&version, &published_until]).await?;
    Ok(())
}

/// The keys older than a version verify nothing from now on.
pub async fn withdraw(client: &impl GenericClient, version: i32, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE signing_keys
           SET published_until = least(published_until, $2)
         WHERE version < $1";
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&version, &now]).await?;
    Ok(())
}

/// Deletes the keys of which no token lives any more.
pub async fn sweep(client: &impl GenericClient, now: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM signing_keys WHERE published_until < $1";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&now]).await?)
}

fn read(row: &Row) -> Result<StoredSigningKey, Error> {
    let corrupt = || Error::Broken("a stored signing key has an impossible form".to_owned());
    Ok(StoredSigningKey {
        version: row.try_get("version")?,
        id: row.try_get("key_id")?,
        algorithm: Algorithm::from_word(row.try_get("algorithm")?).ok_or_else(corrupt)?,
        public: row.try_get("public_key")?,
        private: sealed(row, "sealed_private")?,
        signs_from: row.try_get("signs_from")?,
        published_until: row.try_get("published_until")?,
        created: row.try_get("created_at")?,
    })
}
