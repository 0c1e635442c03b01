//! Subjects of issuers outside that are locked out. They are no tenant's.

use storage::{Error, GenericClient};
use tokio_postgres::Row;

use crate::subjects::Revoked;

/// Locks a subject out. Says whether it was not before.
pub async fn insert(client: &impl GenericClient, revoked: &Revoked) -> Result<bool, Error> {
    const SQL: &str = "
        INSERT INTO revoked_subjects (subject, reason, revoked_by, revoked_at)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    let Revoked { subject, reason, by, since } = revoked;
    Ok(client.execute(&statement, &[subject, reason, by, since]).await? == 1)
}

/// Lets a subject in again. Says whether it was locked out.
pub async fn delete(client: &impl GenericClient, subject: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM revoked_subjects WHERE subject = $1";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&subject]).await? == 1)
}

/// Those who are locked out, by name, after one.
pub async fn list(client: &impl GenericClient, after: &str, limit: i64) -> Result<Vec<Revoked>, Error> {
    const SQL: &str = "
        SELECT subject, reason, revoked_by, revoked_at
          FROM revoked_subjects
         WHERE subject > $1
         ORDER BY subject
         LIMIT $2";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[&after, &limit]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Revoked, Error> {
    Ok(Revoked {
        subject: row.try_get("subject")?,
        reason: row.try_get("reason")?,
        by: row.try_get("revoked_by")?,
        since: row.try_get("revoked_at")?,
    })
}
