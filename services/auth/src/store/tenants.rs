//! Tenants.

use storage::{Error, GenericClient, Transaction};
use tokio_postgres::Row;

use crate::tenants::{Tenant, TenantState};

const COLUMNS: &str = "tenant_id, display_name, meta_version, state, version, created_at, updated_at";

/// Stores a new tenant. `false` where there is one of that id.
pub async fn insert(client: &impl GenericClient, tenant: &Tenant) -> Result<bool, Error> {
    const SQL: &str = "
        INSERT INTO tenants (tenant_id, display_name, meta_version, state, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $5)
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    let Tenant { id, display_name, meta_version, state, created, .. } = tenant;
    let inserted =
        client.execute(&statement, &[&id.as_str(), display_name, meta_version, &state.word(), created]).await?;
    Ok(inserted == 1)
}

/// One tenant.
pub async fn get(client: &impl GenericClient, tenant: &str) -> Result<Option<Tenant>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM tenants WHERE tenant_id = $1");
    let statement = client.prepare_cached(&sql).await?;
    client.query_opt(&statement, &[&tenant]).await?.as_ref().map(read).transpose()
}

/// One tenant, which nobody else changes until the transaction ends.
pub async fn lock(transaction: &Transaction<'_>, tenant: &str) -> Result<Option<Tenant>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM tenants WHERE tenant_id = $1 FOR UPDATE");
    let statement = transaction.prepare_cached(&sql).await?;
    transaction.query_opt(&statement, &[&tenant]).await?.as_ref().map(read).transpose()
}

/// Stores what can change of a tenant.
pub async fn update(transaction: &Transaction<'_>, tenant: &Tenant) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE tenants
           SET display_name = $2,
               meta_version = $3,
               state = $4,
               version = $5,
               updated_at = $6
         WHERE tenant_id = $1";
    let statement = transaction.prepare_cached(SQL).await?;
    let Tenant { id, display_name, meta_version, state, version, updated, .. } = tenant;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id.as_str(), display_name, meta_version, &state.word(), version, updated];
    transaction.execute(&statement, values).await?;
    Ok(())
}

/// Tenants by id, after one; only those in `among`, where it is given.
pub async fn list(
    client: &impl GenericClient,
    among: Option<&[String]>,
    after: &str,
    limit: i64,
) -> Result<Vec<Tenant>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}
           FROM tenants
          WHERE tenant_id > $1 AND ($2::text[] IS NULL OR tenant_id = ANY($2))
          ORDER BY tenant_id
          LIMIT $3"
    );
    let statement = client.prepare_cached(&sql).await?;
    client.query(&statement, &[&after, &among, &limit]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Tenant, Error> {
    let corrupt = || Error::Broken("a stored tenant has an impossible form".to_owned());
    Ok(Tenant {
        id: row.try_get::<_, &str>("tenant_id")?.parse().map_err(|_| corrupt())?,
        display_name: row.try_get("display_name")?,
        meta_version: row.try_get("meta_version")?,
        state: TenantState::from_word(row.try_get("state")?).ok_or_else(corrupt)?,
        version: row.try_get("version")?,
        created: row.try_get("created_at")?,
        updated: row.try_get("updated_at")?,
    })
}
