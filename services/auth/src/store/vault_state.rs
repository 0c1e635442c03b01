//! Whether the vault is closed, and the generation that tells replicas to forget their keys. One row.

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use tokio_postgres::Row;

/// The row.
#[derive(Debug, Clone)]
pub struct StoredState {
    /// Grows with every change, and as revocations do also where the database lost its last moment.
    pub generation: i64,
    /// Nothing may be sealed or opened.
    pub sealed: bool,
    /// Why.
    pub reason: String,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed: Timestamp,
}

/// How it stands.
pub async fn get(client: &impl GenericClient) -> Result<StoredState, Error> {
    const SQL: &str = "
        SELECT generation, sealed, reason, changed_by, changed_at
          FROM vault_state";
    let statement = client.prepare_cached(SQL).await?;
    read(&client.query_one(&statement, &[]).await?)
}

/// Closes or opens the vault.
pub async fn set(
    transaction: &Transaction<'_>,
    (sealed, reason): (bool, &str),
    by: &str,
    now: Timestamp,
) -> Result<StoredState, Error> {
    const SQL: &str = "
        UPDATE vault_state
           SET generation = greatest(generation + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
               sealed = $1,
               reason = $2,
               changed_by = $3,
               changed_at = $4
        RETURNING generation, sealed, reason, changed_by, changed_at";
    let statement = transaction.prepare_cached(SQL).await?;
    read(&transaction.query_one(&statement, &[&sealed, &reason, &by, &now]).await?)
}

/// Tells every replica to forget its keys. Call it late in the transaction: it takes the row's lock until the commit.
pub async fn forget(transaction: &Transaction<'_>) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE vault_state
           SET generation = greatest(generation + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)";
    let statement = transaction.prepare_cached(SQL).await?;
    transaction.execute(&statement, &[]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<StoredState, Error> {
    Ok(StoredState {
        generation: row.try_get("generation")?,
        sealed: row.try_get("sealed")?,
        reason: row.try_get("reason")?,
        changed_by: row.try_get("changed_by")?,
        changed: row.try_get("changed_at")?,
    })
}
