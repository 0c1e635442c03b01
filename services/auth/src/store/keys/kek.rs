//! What lies under the key-encryption key: the wrapped keys of all tenants, and those of their hashes.

use jiff::civil::Date;
use storage::{Error, GenericClient};
use tokio_postgres::Row;

use crate::vault::provider::Wrapped;

/// A wrapped key under the key-encryption key.
#[derive(Debug, Clone)]
pub struct UnderKek {
    /// Whose it is.
    pub tenant: String,
    /// The version of a tenant's key; `None` for the key of its hashes.
    pub version: Option<i32>,
    /// The wrapped bytes.
    pub wrapped: Wrapped,
}

/// A key-encryption key, as far as the store knows of it.
#[derive(Debug, Clone)]
pub struct KekFacts {
    /// By the provider's own name.
    pub id: String,
    /// How many keys lie under it.
    pub rows: i64,
    /// It wrapped something that was shredded: to be put away at its provider by that day.
    pub due: Option<Date>,
}

const ALL: &str = "
    SELECT tenant_id, version, wrapped, wrapped_by FROM tenant_keys
     UNION ALL
    SELECT tenant_id, NULL::int, wrapped, wrapped_by FROM hash_keys";

/// Keys that lie under another key-encryption key than this one, after a tenant and version, in their order.
pub async fn under_others(
    client: &impl GenericClient,
    kek: &str,
    (tenant, version): (&str, i32),
    limit: i64,
) -> Result<Vec<UnderKek>, Error> {
    let sql = format!(
        "SELECT tenant_id, version, wrapped, wrapped_by
           FROM ({ALL}) AS k
          WHERE wrapped_by <> $1 AND (tenant_id, coalesce(version, 0)) > ($2, $3)
          ORDER BY tenant_id, coalesce(version, 0)
          LIMIT $4"
    );
    let statement = client.prepare_cached(&sql).await?;
    client.query(&statement, &[&kek, &tenant, &version, &limit]).await?.iter().map(read).collect()
}

/// Puts a wrapped key into the place of the one that was read. `false` where it is another one by now, or gone.
pub async fn replace(client: &impl GenericClient, old: &UnderKek, new: &Wrapped) -> Result<bool, Error> {
    const TENANT: &str = "
        UPDATE tenant_keys
           SET wrapped = $2,
               wrapped_by = $3
         WHERE tenant_id = $1 AND wrapped = $4 AND version = $5";
    const HASH: &str = "
        UPDATE hash_keys
           SET wrapped = $2,
               wrapped_by = $3
         WHERE tenant_id = $1 AND wrapped = $4";
    let (tenant, was) = (&old.tenant, &old.wrapped.bytes);
    let replaced = match &old.version {
        Some(version) => {
            let statement = client.prepare_cached(TENANT).await?;
            client.execute(&statement, &[tenant, &new.bytes, &new.by, was, version]).await?
        }
        None => {
            let statement = client.prepare_cached(HASH).await?;
            client.execute(&statement, &[tenant, &new.bytes, &new.by, was]).await?
        }
    };
    Ok(replaced == 1)
}

/// How many keys lie under others than this one.
pub async fn left(client: &impl GenericClient, kek: &str) -> Result<i64, Error> {
    let sql = format!("SELECT count(*) FROM ({ALL}) AS k WHERE wrapped_by <> $1");
    let statement = client.prepare_cached(&sql).await?;
    Ok(client.query_one(&statement, &[&kek]).await?.try_get(0)?)
}

/// How many keys lie under this one.
pub async fn under(client: &impl GenericClient, kek: &str) -> Result<i64, Error> {
    let sql = format!("SELECT count(*) FROM ({ALL}) AS k WHERE wrapped_by = $1");
    let statement = client.prepare_cached(&sql).await?;
    Ok(client.query_one(&statement, &[&kek]).await?.try_get(0)?)
}

/// The key-encryption keys under which something lies or which are to be put away, by name. At most 1,000.
pub async fn facts(client: &impl GenericClient) -> Result<Vec<KekFacts>, Error> {
    let sql = format!(
        "SELECT coalesce(k.wrapped_by, r.kek_id) AS id, count(k.wrapped_by) AS rows, min(r.due_on) AS due_on
           FROM ({ALL}) AS k
           FULL JOIN kek_retirements AS r ON r.kek_id = k.wrapped_by
          GROUP BY 1
          ORDER BY 1
          LIMIT 1000"
    );
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[]).await?;
    rows.iter()
        .map(|row| Ok(KekFacts { id: row.try_get("id")?, rows: row.try_get("rows")?, due: row.try_get("due_on")? }))
        .collect()
}

fn read(row: &Row) -> Result<UnderKek, Error> {
    Ok(UnderKek {
        tenant: row.try_get("tenant_id")?,
        version: row.try_get("version")?,
        wrapped: Wrapped { bytes: row.try_get("wrapped")?, by: row.try_get("wrapped_by")? },
    })
}
