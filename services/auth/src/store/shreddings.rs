//! What goes when a tenant's keys are destroyed.

use jiff::{Timestamp, civil::Date};
use storage::{Error, GenericClient, Transaction};

use crate::vault::{columns::SEALED, shredding::Receipt};

/// The column of tables whose rows belong to tenants.
const TENANT: &str = "tenant_id";

/// How many connections of the tenant hold a token.
pub async fn connections(client: &impl GenericClient, tenant: &str) -> Result<i64, Error> {
    const SQL: &str = "SELECT count(*) FROM connections WHERE tenant_id = $1 AND wrapped_key IS NOT NULL";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.query_one(&statement, &[&tenant]).await?.try_get(0)?)
}

/// The key-encryption keys that wrap a tenant's keys; none where it has no keys.
pub async fn keks(client: &impl GenericClient, tenant: &str) -> Result<Vec<String>, Error> {
    const SQL: &str = "
        SELECT wrapped_by FROM tenant_keys WHERE tenant_id = $1
         UNION
        SELECT wrapped_by FROM hash_keys WHERE tenant_id = $1
         ORDER BY 1";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[&tenant]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Ends all connections of the tenant, empties every sealed column of its rows, and forgets what the connections reached.
/// Says how many held a token.
pub async fn end_connections(
    transaction: &Transaction<'_>,
    tenant: &str,
    reason: &str,
    now: Timestamp,
) -> Result<i64, Error> {
    const END: &str = "
        UPDATE connections
           SET state = 'revoked',
               state_reason = CASE WHEN state = 'revoked' THEN state_reason ELSE $2 END,
               version = version + 1,
               updated_at = $3
         WHERE tenant_id = $1 AND (state <> 'revoked' OR wrapped_key IS NOT NULL)";
    const FORGET: &str = "DELETE FROM assets WHERE tenant_id = $1";
    let statement = transaction.prepare_cached(END).await?;
    transaction.execute(&statement, &[&tenant, &reason, &now]).await?;
    let held = connections(transaction, tenant).await?;
    for sealed in SEALED.iter().filter(|sealed| sealed.tenant == TENANT) {
        let columns: Vec<_> = sealed.columns.iter().map(|column| format!("{column} = NULL")).collect();
        let sql = format!(
            "UPDATE {} SET wrapped_key = NULL, {} WHERE tenant_id = $1 AND wrapped_key IS NOT NULL",
            sealed.table,
            columns.join(", ")
        );
        let statement = transaction.prepare_cached(&sql).await?;
        transaction.execute(&statement, &[&tenant]).await?;
    }
    let statement = transaction.prepare_cached(FORGET).await?;
    transaction.execute(&statement, &[&tenant]).await?;
    Ok(held)
}

/// Remembers that it was done, up to which version of the key, and which key-encryption keys are to go.
pub async fn record(transaction: &Transaction<'_>, tenant: &str, receipt: &Receipt, by: &str) -> Result<(), Error> {
    const RECORD: &str = "
        INSERT INTO shreddings (tenant_id, last_version, shredded_at, closed_on, shredded_by)
        SELECT $1, coalesce(max(version), 0), $2, $3, $4
          FROM tenant_keys
         WHERE tenant_id = $1";
    const RETIRE: &str = "
        INSERT INTO kek_retirements AS k (kek_id, due_on)
        SELECT unnest($1::text[]), $2
        ON CONFLICT (kek_id) DO UPDATE
           SET due_on = greatest(k.due_on, EXCLUDED.due_on)";
    let statement = transaction.prepare_cached(RECORD).await?;
    transaction.execute(&statement, &[&tenant, &receipt.shredded, &receipt.closed_on, &by]).await?;
    let statement = transaction.prepare_cached(RETIRE).await?;
    transaction.execute(&statement, &[&receipt.keks, &receipt.closed_on]).await?;
    Ok(())
}

/// Forgets the key-encryption keys that were to go by a day before `today`: the backups that they open are gone by now.
pub async fn forget_due(client: &impl GenericClient, today: Date) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM kek_retirements WHERE due_on < $1";
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&today]).await?;
    Ok(())
}

/// Deletes the tenant's wrapped keys. [`Error::Conflict`] where somebody has stored a row under one meanwhile.
pub async fn destroy_keys(transaction: &Transaction<'_>, tenant: &str) -> Result<(), Error> {
    for sql in ["DELETE FROM tenant_keys WHERE tenant_id = $1", "DELETE FROM hash_keys WHERE tenant_id = $1"] {
        let statement = transaction.prepare_cached(sql).await?;
        transaction.execute(&statement, &[&tenant]).await?;
    }
    Ok(())
}
