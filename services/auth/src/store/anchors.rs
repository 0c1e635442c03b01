//! Heads of chains that were kept, whose turn it is to keep them, and what was found broken.

use std::time::Duration;

use jiff::Timestamp;
use storage::{Error, GenericClient, audit::Head};
use tokio_postgres::Row;

use crate::anchors::Anchor;

/// Takes the turn for `span` from now on, by the database's clock. Says whether it was free.
pub async fn take_turn(client: &impl GenericClient, span: Duration) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE audit_turn
           SET taken_until = clock_timestamp() + $1::bigint * interval '1 millisecond'
         WHERE taken_until <= clock_timestamp()";
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&millis]).await? == 1)
}

/// Keeps a head. One that was kept already stays as it is; says whether it is new.
pub async fn insert(client: &impl GenericClient, anchor: &Anchor) -> Result<bool, Error> {
    const SQL: &str = "
        INSERT INTO audit_anchors (tenant_id, service, sequence, hash, anchored_at, signature)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    let Anchor { tenant, service, head, anchored, signature } = anchor;
    let hash = head.hash.as_slice();
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[tenant, service, &head.sequence, &hash, anchored, signature];
    Ok(client.execute(&statement, values).await? == 1)
}

/// The newest anchor of a chain.
pub async fn newest(client: &impl GenericClient, tenant: &str, service: &str) -> Result<Option<Anchor>, Error> {
    const SQL: &str = "
        SELECT tenant_id, service, sequence, hash, anchored_at, signature
          FROM audit_anchors
         WHERE tenant_id = $1 AND service = $2
         ORDER BY sequence DESC
         LIMIT 1";
    let statement = client.prepare_cached(SQL).await?;
    client.query_opt(&statement, &[&tenant, &service]).await?.as_ref().map(read).transpose()
}

/// The newest anchor of each chain of a service, for tenants after `after` up to `until`; without one, to the last.
pub async fn newest_of_service(
    client: &impl GenericClient,
    service: &str,
    after: &str,
    until: Option<&str>,
) -> Result<Vec<Anchor>, Error> {
    // Jumps from tenant to tenant instead of reading every anchor that was ever kept.
    const SQL: &str = "
        WITH RECURSIVE chains AS (
            SELECT (SELECT min(tenant_id) FROM audit_anchors WHERE tenant_id > $2) AS tenant_id
            UNION ALL
            SELECT (SELECT min(a.tenant_id) FROM audit_anchors AS a WHERE a.tenant_id > c.tenant_id)
              FROM chains AS c
             WHERE c.tenant_id IS NOT NULL AND ($3::text IS NULL OR c.tenant_id < $3))
        SELECT newest.tenant_id, newest.service, newest.sequence, newest.hash, newest.anchored_at, newest.signature
          FROM chains AS c
          CROSS JOIN LATERAL (
              SELECT *
                FROM audit_anchors AS a
               WHERE a.tenant_id = c.tenant_id AND a.service = $1
               ORDER BY a.sequence DESC
               LIMIT 1) AS newest
         WHERE $3::text IS NULL OR c.tenant_id <= $3
         ORDER BY newest.tenant_id";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[&service, &after, &until]).await?.iter().map(read).collect()
}

/// The anchors of a chain after one place up to another, in their order.
pub async fn between(
    client: &impl GenericClient,
    (tenant, service): (&str, &str),
    (after, until): (i64, i64),
) -> Result<Vec<Anchor>, Error> {
    const SQL: &str = "
        SELECT tenant_id, service, sequence, hash, anchored_at, signature
          FROM audit_anchors
         WHERE tenant_id = $1 AND service = $2 AND sequence > $3 AND sequence <= $4
         ORDER BY sequence";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[&tenant, &service, &after, &until]).await?.iter().map(read).collect()
}

/// The last anchor of a chain that was kept at this moment or before.
pub async fn last_until(
    client: &impl GenericClient,
    (tenant, service): (&str, &str),
    moment: Timestamp,
) -> Result<Option<Anchor>, Error> {
    const SQL: &str = "
        SELECT tenant_id, service, sequence, hash, anchored_at, signature
          FROM audit_anchors
         WHERE tenant_id = $1 AND service = $2 AND anchored_at <= $3
         ORDER BY sequence DESC
         LIMIT 1";
    let statement = client.prepare_cached(SQL).await?;
    client.query_opt(&statement, &[&tenant, &service, &moment]).await?.as_ref().map(read).transpose()
}

/// The first anchor of a chain that was kept at this moment or later.
pub async fn first_from(
    client: &impl GenericClient,
    (tenant, service): (&str, &str),
    moment: Timestamp,
) -> Result<Option<Anchor>, Error> {
    const SQL: &str = "
        SELECT tenant_id, service, sequence, hash, anchored_at, signature
          FROM audit_anchors
         WHERE tenant_id = $1 AND service = $2 AND anchored_at >= $3
         ORDER BY sequence
         LIMIT 1";
    let statement = client.prepare_cached(SQL).await?;
    client.query_opt(&statement, &[&tenant, &service, &moment]).await?.as_ref().map(read).transpose()
}

/// The services in which the tenant has an anchored chain.
pub async fn services(client: &impl GenericClient, tenant: &str) -> Result<Vec<String>, Error> {
    const SQL: &str = "
        WITH RECURSIVE chains AS (
            SELECT (SELECT min(service) FROM audit_anchors WHERE tenant_id = $1) AS service
            UNION ALL
            SELECT (SELECT min(a.service) FROM audit_anchors AS a WHERE a.tenant_id = $1 AND a.service > c.service)
              FROM chains AS c
             WHERE c.service IS NOT NULL)
        SELECT service
          FROM chains
         WHERE service IS NOT NULL";
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, &[&tenant]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The anchored chain after this one, in order of tenant and service.
pub async fn next_chain(
    client: &impl GenericClient,
    (tenant, service): (&str, &str),
) -> Result<Option<(String, String)>, Error> {
    const SQL: &str = "
        SELECT tenant_id, service
          FROM audit_anchors
         WHERE (tenant_id, service) > ($1, $2)
         ORDER BY tenant_id, service
         LIMIT 1";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_opt(&statement, &[&tenant, &service]).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// Notes a broken place. Says whether it was unknown.
pub async fn note(
    client: &impl GenericClient,
    (tenant, service): (&str, &str),
    sequence: i64,
    problem: &str,
) -> Result<bool, Error> {
    const SQL: &str = "
        INSERT INTO audit_findings (tenant_id, service, sequence, problem)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&tenant, &service, &sequence, &problem]).await? == 1)
}

/// Lets go of the anchors from before a moment but for the last one of each chain and day; at most so many at once. Says how
/// many went.
pub async fn thin(client: &impl GenericClient, before: Timestamp, limit: i64) -> Result<u64, Error> {
    const SQL: &str = "
        WITH old AS (
            SELECT tenant_id, service, sequence,
                   row_number() OVER (
                       PARTITION BY tenant_id, service, (anchored_at AT TIME ZONE 'UTC')::date
                       ORDER BY sequence DESC) AS place
              FROM audit_anchors
             WHERE anchored_at < date_trunc('day', $1::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'),
        gone AS (
            SELECT tenant_id, service, sequence
              FROM old
             WHERE place > 1
             LIMIT $2)
        DELETE FROM audit_anchors AS a
         USING gone AS g
         WHERE a.tenant_id = g.tenant_id AND a.service = g.service AND a.sequence = g.sequence";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&before, &limit]).await?)
}

/// The same of what was found broken: of each chain and day the first place stays, which is the one that every later check
/// finds again.
pub async fn thin_findings(client: &impl GenericClient, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "
        DELETE FROM audit_findings AS f
         WHERE f.found_at < date_trunc('day', $1::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
           AND EXISTS (
               SELECT FROM audit_findings AS first
                WHERE first.tenant_id = f.tenant_id
                  AND first.service = f.service
                  AND first.sequence < f.sequence
                  AND (first.found_at AT TIME ZONE 'UTC')::date = (f.found_at AT TIME ZONE 'UTC')::date)";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&before]).await?)
}

fn read(row: &Row) -> Result<Anchor, Error> {
    let hash: Vec<u8> = row.try_get("hash")?;
    // A hash of another length was put there by somebody; no signature fits it, and that is how it shows.
    let hash = hash.try_into().unwrap_or([0; 32]);
    Ok(Anchor {
        tenant: row.try_get("tenant_id")?,
        service: row.try_get("service")?,
        head: Head { sequence: row.try_get("sequence")?, hash },
        // So does a moment that no calendar has, and a signature that is none.
        anchored: row.try_get("anchored_at").unwrap_or(Timestamp::UNIX_EPOCH),
        signature: row.try_get("signature").unwrap_or_default(),
    })
}
