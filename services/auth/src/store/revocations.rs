//! What ended, in an order without gaps.

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use tokio_postgres::{Row, types::ToSql};
use vocabulary::ids::{AdAccountId, MetaAppId};

use crate::{
    assets::AssetKind,
    revocations::{Revocation, Subject},
};

/// Adds one. A generation is the time in microseconds, or the next number: so the order grows even where the database lost
/// its last moment, in a failover or by a restore, and those who saw what it lost take what comes for news. Call it late in the transaction: it takes the clock's lock until the commit, so that generations become
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
               SET generation = greatest(generation + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
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

/// Ends the leases of all connections that reach one of these ad accounts, save those of the tenants in `keep`, of whatever
/// other tenant: they lost the account. Call it as late as [`append`].
pub async fn append_losing(
    transaction: &Transaction<'_>,
    accounts: &[AdAccountId],
    keep: &[String],
    now: Timestamp,
) -> Result<u64, Error> {
    const GONE: &str = "
        SELECT DISTINCT tenant_id, connection_id AS id
          FROM assets
         WHERE kind = $2 AND meta_id = ANY($3) AND tenant_id <> ALL($4)";
    let accounts: Vec<String> = accounts.iter().map(ToString::to_string).collect();
    append_gone(transaction, GONE, &[&now, &AssetKind::AdAccount.number(), &accounts, &keep]).await
}

/// Ends the leases of all connections through an app, of whatever tenant. Call it as late as [`append`].
pub async fn append_of_app(transaction: &Transaction<'_>, app: MetaAppId, now: Timestamp) -> Result<u64, Error> {
    const GONE: &str = "
        SELECT tenant_id, id
          FROM connections
         WHERE app_id = $2 AND state <> 'revoked'";
    append_gone(transaction, GONE, &[&now, &app.to_string()]).await
}

/// One revocation for each connection that the query gives. The clock stands still where there is none.
async fn append_gone(transaction: &Transaction<'_>, gone: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
    let sql = format!(
        "WITH gone AS ({gone}),
              tick AS (
                  UPDATE revocation_clock
                     SET generation = greatest(
                             generation + (SELECT count(*) FROM gone),
                             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
                   WHERE EXISTS (SELECT FROM gone)
                  RETURNING generation)
         INSERT INTO revocations (generation, tenant_id, kind, subject, revoked_at)
         SELECT tick.generation + 1 - row_number() OVER (ORDER BY gone.tenant_id, gone.id),
                gone.tenant_id, 'connection', gone.id::text, $1
           FROM gone, tick"
    );
    let statement = transaction.prepare_cached(&sql).await?;
    Ok(transaction.execute(&statement, values).await?)
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
    // Whoever starts later has to hear of a suspension that stands, however old it is, and of whom an operator locked out.
    const SQL: &str = "
        DELETE FROM revocations AS r
         WHERE r.revoked_at < $1
           AND NOT (r.kind = 'tenant' AND r.subject = '' AND EXISTS (
               SELECT FROM tenants AS t WHERE t.tenant_id = r.tenant_id AND t.state = 'suspended'))
           AND NOT (r.kind = 'subject' AND EXISTS (
               SELECT FROM revoked_subjects AS s WHERE s.subject = r.subject))";
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
