//! The one bootstrap of an installation.

use jiff::Timestamp;
use storage::{Error, GenericClient};
use uuid::Uuid;

/// A bootstrap as it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// SHA-256 of the code that was used.
    pub code_sha256: Vec<u8>,
    /// The first tenant.
    pub tenant: String,
    /// The first operator.
    pub operator: Uuid,
    /// The tenant's first caller.
    pub caller: Uuid,
    /// When one of them took a token first: since then nothing can be repeated.
    pub closed: Option<Timestamp>,
}

/// Does the bootstrap, unless one was done; says which one stands. Locks it until the transaction ends.
pub async fn claim(client: &impl GenericClient, done: &Done, now: Timestamp) -> Result<Done, Error> {
    const SQL: &str = "
        INSERT INTO bootstrap AS b (code_sha256, tenant_id, operator_id, caller_id, made_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (once) DO UPDATE
           SET once = b.once
        RETURNING code_sha256, tenant_id, operator_id, caller_id, closed_at";
    let statement = client.prepare_cached(SQL).await?;
    let Done { code_sha256, tenant, operator, caller, .. } = done;
    let row = client.query_one(&statement, &[code_sha256, tenant, operator, caller, &now]).await?;
    read(&row)
}

/// The bootstrap that was done.
pub async fn get(client: &impl GenericClient) -> Result<Option<Done>, Error> {
    const SQL: &str = "SELECT code_sha256, tenant_id, operator_id, caller_id, closed_at FROM bootstrap";
    let statement = client.prepare_cached(SQL).await?;
    client.query_opt(&statement, &[]).await?.as_ref().map(read).transpose()
}

/// Closes it, if this caller came out of it and it is open. Writes nothing otherwise.
pub async fn close(client: &impl GenericClient, caller: Uuid, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE bootstrap
           SET closed_at = $2
         WHERE closed_at IS NULL AND $1 IN (operator_id, caller_id)";
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&caller, &now]).await?;
    Ok(())
}

fn read(row: &tokio_postgres::Row) -> Result<Done, Error> {
    Ok(Done {
        code_sha256: row.try_get("code_sha256")?,
        tenant: row.try_get("tenant_id")?,
        operator: row.try_get("operator_id")?,
        caller: row.try_get("caller_id")?,
        closed: row.try_get("closed_at")?,
    })
}
