//! What ended, in an order without gaps.

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use tokio_postgres::Row;

use crate::revocations::{Revocation, Subject};

/// Adds one. Call it late in the transaction: it takes the clock's lock until the commit, so that generations become
/// visible in their order.
pub async fn append(
    transaction: &Transaction<'_>,
    tenant: &str,
    subject: &Subject,
    now: Timestamp,
) -> Result<i64, Error> {
    const SQL: &str = "
        WITH tick AS (
            UPDATE revocation_clock
               SET generation = generation + 1
            RETURNING generation)
        INSERT INTO revocations (generation, tenant_id, kind, subject, revoked_at)
        SELECT generation, $1, $2, $3, $4
          FROM tick
        RETURNING generation";
    let statement = transaction.prepare_cached(SQL).await?;
    let (kind, id) = subject.parts();
    let row = transaction.query_one(&statement, &[&tenant, &kind, &id, &now]).await?;
    Ok(row.try_get(0)?)
}

/// Where the order stands.
pub async fn generation(client: &impl GenericClient) -> Result<i64, Error> {
    const SQL: &str = "SELECT generation FROM revocation_clock";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
}

/// Those after a generation, in their order.
pub async fn after(client: &impl GenericClient, generation: i64, limit: i64) -> Result<Vec<Revocation>, Error> {
    const SQL: &str = "
        SELECT generation, tenant_id, kind, subject, revoked_at
          FROM revocations
         WHERE generation > $1
         ORDER BY generation
         LIMIT $2";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[&generation, &limit]).await?.iter().map(read).collect()
}

/// Forgets those that are so old that nothing they speak of can be alive. Generations go on where they are.
pub async fn sweep(client: &impl GenericClient, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM revocations WHERE revoked_at < $1";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&before]).await?)
}

fn read(row: &Row) -> Result<Revocation, Error> {
    let (kind, id): (&str, &str) = (row.try_get("kind")?, row.try_get("subject")?);
    let subject = Subject::from_parts(kind, id);
    Ok(Revocation {
        generation: row.try_get("generation")?,
        tenant: row.try_get("tenant_id")?,
        subject: subject.ok_or_else(|| Error::Broken("a stored revocation has an impossible form".to_owned()))?,
        revoked: row.try_get("revoked_at")?,
    })
}
