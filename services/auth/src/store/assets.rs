//! What connections reach.

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use tokio_postgres::Row;
use vocabulary::ids::ConnectionId;

use crate::assets::{Asset, AssetKind, Found};

/// What stands between roles while they travel as one text.
const BETWEEN: &str = "\u{1f}";

/// Replaces what a connection reaches of these kinds by what was found just now, in two statements however much it is.
pub async fn replace(
    transaction: &Transaction<'_>,
    (tenant, connection): (&str, ConnectionId),
    kinds: &[AssetKind],
    found: &[Found],
    now: Timestamp,
) -> Result<(), Error> {
    const FORGET: &str = "
        DELETE FROM assets
         WHERE tenant_id = $1 AND connection_id = $2 AND kind = ANY($3)";
    const INSERT: &str = "
        INSERT INTO assets (tenant_id, kind, meta_id, connection_id, display_name, roles, discovered_at)
        SELECT $1, kind, meta_id, $2, display_name, string_to_array(roles, $7), $8
          FROM unnest($3::smallint[], $4::text[], $5::text[], $6::text[]) AS f (kind, meta_id, display_name, roles)
        ON CONFLICT DO NOTHING";
    let kinds: Vec<i16> = kinds.iter().map(|kind| kind.number()).collect();
    let statement = transaction.prepare_cached(FORGET).await?;
    transaction.execute(&statement, &[&tenant, &connection.0, &kinds]).await?;
    let found: Vec<&Found> = found.iter().filter(|found| kinds.contains(&found.kind.number())).collect();
    let kinds: Vec<i16> = found.iter().map(|found| found.kind.number()).collect();
    let ids: Vec<&str> = found.iter().map(|found| found.meta_id.as_str()).collect();
    let names: Vec<&str> = found.iter().map(|found| found.display_name.as_str()).collect();
    let roles: Vec<String> = found.iter().map(|found| found.roles.join(BETWEEN)).collect();
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&tenant, &connection.0, &kinds, &ids, &names, &roles, &BETWEEN, &now];
    let statement = transaction.prepare_cached(INSERT).await?;
    transaction.execute(&statement, values).await?;
    Ok(())
}

/// The tenant's assets by kind and id, after one, each with all connections that reach it.
pub async fn list(
    client: &impl GenericClient,
    tenant: &str,
    only: Option<AssetKind>,
    (kind, meta_id): (i16, &str),
    limit: i64,
) -> Result<Vec<Asset>, Error> {
    const SQL: &str = "
        SELECT a.kind,
               a.meta_id,
               max(a.display_name) AS display_name,
               max(a.discovered_at) AS discovered_at,
               array_agg(DISTINCT a.connection_id) AS reachable_by,
               coalesce(array_agg(DISTINCT role) FILTER (WHERE role IS NOT NULL), '{}') AS roles,
               a.kind <> $6 OR EXISTS (
                   SELECT FROM ad_account_owners AS o WHERE o.account_id = a.meta_id AND o.tenant_id = $1)
               OR EXISTS (
                   SELECT FROM ad_account_shares AS s WHERE s.account_id = a.meta_id AND s.tenant_id = $1) AS owned
          FROM assets AS a LEFT JOIN LATERAL unnest(a.roles) AS role ON true
         WHERE a.tenant_id = $1
           AND (a.kind, a.meta_id) > ($2, $3)
           AND ($4::smallint IS NULL OR a.kind = $4)
         GROUP BY a.kind, a.meta_id
         ORDER BY a.kind, a.meta_id
         LIMIT $5";
    let statement = client.prepare_cached(SQL).await?;
    let only = only.map(AssetKind::number);
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&tenant, &kind, &meta_id, &only, &limit, &AssetKind::AdAccount.number()];
    client.query(&statement, values).await?.iter().map(read).collect()
}

/// What a connection reaches, by kind and id, at most a thousand, and how many there are: what other connections that
/// work reach as well, or what they do not. `reachable_by` names those others, and where there are none the connection.
pub async fn of_connection(
    client: &impl GenericClient,
    tenant: &str,
    connection: ConnectionId,
    reached_by_others: bool,
) -> Result<(Vec<Asset>, i64), Error> {
    const SQL: &str = "
        WITH reached AS (
            SELECT a.kind,
                   a.meta_id,
                   a.display_name,
                   a.roles,
                   a.discovered_at,
                   ARRAY(
                       SELECT o.connection_id
                         FROM assets AS o JOIN connections AS c ON c.tenant_id = $1 AND c.id = o.connection_id
                        WHERE o.tenant_id = $1
                          AND o.kind = a.kind
                          AND o.meta_id = a.meta_id
                          AND o.connection_id <> $2
                          AND c.state = 'active'
                        ORDER BY o.connection_id) AS others
              FROM assets AS a
             WHERE a.tenant_id = $1 AND a.connection_id = $2)
        SELECT kind,
               meta_id,
               display_name,
               roles,
               discovered_at,
               CASE WHEN others = '{}' THEN ARRAY[$2] ELSE others END AS reachable_by,
               kind <> $4 OR EXISTS (
                   SELECT FROM ad_account_owners AS o WHERE o.account_id = meta_id AND o.tenant_id = $1)
               OR EXISTS (
                   SELECT FROM ad_account_shares AS s WHERE s.account_id = meta_id AND s.tenant_id = $1) AS owned,
               count(*) OVER () AS total
          FROM reached
         WHERE (others <> '{}') = $3
         ORDER BY kind, meta_id
         LIMIT 1000";
    let statement = client.prepare_cached(SQL).await?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&tenant, &connection.0, &reached_by_others, &AssetKind::AdAccount.number()];
    let rows = client.query(&statement, values).await?;
    let total = rows.first().map_or(Ok(0), |row| row.try_get("total"))?;
    Ok((rows.iter().map(read).collect::<Result<_, _>>()?, total))
}

fn read(row: &Row) -> Result<Asset, Error> {
    let kind = AssetKind::from_number(row.try_get("kind")?);
    let reachable_by: Vec<uuid::Uuid> = row.try_get("reachable_by")?;
    Ok(Asset {
        found: Found {
            kind: kind.ok_or_else(|| Error::Broken("a stored asset has an impossible form".to_owned()))?,
            meta_id: row.try_get("meta_id")?,
            display_name: row.try_get("display_name")?,
            roles: row.try_get("roles")?,
        },
        reachable_by: reachable_by.into_iter().map(ConnectionId).collect(),
        owned: row.try_get("owned")?,
        discovered: row.try_get("discovered_at")?,
    })
}
