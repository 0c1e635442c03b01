//! How often tokens were leased.

use jiff::Timestamp;
use storage::{Error, GenericClient};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;
use vocabulary::ids::ConnectionId;

use crate::{
    assets::User,
    usage::{Count, Key, Listing},
};

/// Adds counts, whose keys must be in one order everywhere, so that replicas do not wait for each other in a circle.
/// Gives the sums.
pub async fn add(client: &impl GenericClient, counts: &[(Key, i64)]) -> Result<Vec<Count>, Error> {
    const SQL: &str = "
        INSERT INTO credential_usage AS u (tenant_id, hour_at, service, caller, connection_id, leases)
        SELECT *
          FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::bigint[])
        ON CONFLICT (tenant_id, hour_at, service, caller, connection_id) DO UPDATE
           SET leases = u.leases + excluded.leases
        RETURNING tenant_id, hour_at, service, caller, connection_id, leases, unusual";
    let tenants: Vec<&str> = counts.iter().map(|(key, _)| key.tenant.as_str()).collect();
    let hours: Vec<Timestamp> = counts.iter().map(|(key, _)| key.hour).collect();
    let services: Vec<&str> = counts.iter().map(|(key, _)| &*key.service).collect();
    let callers: Vec<&str> = counts.iter().map(|(key, _)| &*key.caller).collect();
    let connections: Vec<Uuid> = counts.iter().map(|(key, _)| key.connection.0).collect();
    let leases: Vec<i64> = counts.iter().map(|(_, leases)| *leases).collect();
    let values: &[&(dyn ToSql + Sync)] = &[&tenants, &hours, &services, &callers, &connections, &leases];
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, values).await?.iter().map(read).collect()
}

/// The counts of the same use in these hours, where there were any.
pub async fn in_hours(client: &impl GenericClient, key: &Key, hours: &[Timestamp]) -> Result<Vec<i64>, Error> {
    const SQL: &str = "
        SELECT leases
          FROM credential_usage
         WHERE tenant_id = $1 AND hour_at = ANY($2) AND service = $3 AND caller = $4 AND connection_id = $5";
    let statement = client.prepare_cached(SQL).await?;
    let (tenant, service, caller) = (key.tenant.as_str(), &*key.service, &*key.caller);
    let rows = client.query(&statement, &[&tenant, &hours, &service, &caller, &key.connection.0]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Marks an hour's count as unusual. Says whether it was not before.
pub async fn mark(client: &impl GenericClient, key: &Key) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE credential_usage
           SET unusual = true
         WHERE tenant_id = $1 AND hour_at = $2 AND service = $3 AND caller = $4 AND connection_id = $5
           AND NOT unusual";
    let statement = client.prepare_cached(SQL).await?;
    let (tenant, service, caller) = (key.tenant.as_str(), &*key.service, &*key.caller);
    Ok(client.execute(&statement, &[&tenant, &key.hour, &service, &caller, &key.connection.0]).await? == 1)
}

/// The tenant's counts, newest hour first.
pub async fn list(client: &impl GenericClient, tenant: &str, listing: &Listing) -> Result<Vec<Count>, Error> {
    const SQL: &str = "
        SELECT tenant_id, hour_at, service, caller, connection_id, leases, unusual
          FROM credential_usage
         WHERE tenant_id = $1
           AND ($2::uuid IS NULL OR connection_id = $2)
           AND ($3::timestamptz IS NULL OR hour_at >= $3)
           AND ($4::timestamptz IS NULL OR hour_at < $4)
           AND (unusual OR NOT $5::boolean)
           AND ($6::timestamptz IS NULL OR (hour_at, service, caller, connection_id) < ($6, $7, $8, $9))
         ORDER BY hour_at DESC, service DESC, caller DESC, connection_id DESC
         LIMIT $10";
    let after = listing.after.as_ref();
    let (hour, connection) = (after.map(|key| key.hour), after.map(|key| key.connection.0));
    let (service, caller) = (after.map(|key| &*key.service), after.map(|key| &*key.caller));
    let only = listing.connection.map(|id| id.0);
    let values: &[&(dyn ToSql + Sync)] = &[
        &tenant,
        &only,
        &listing.from,
        &listing.until,
        &listing.unusual_only,
        &hour,
        &service,
        &caller,
        &connection,
        &listing.limit,
    ];
    let statement = client.prepare_cached(SQL).await?;
    client.query(&statement, values).await?.iter().map(read).collect()
}

/// Who leased a connection's token since an hour, most leases first, at most a hundred; and how many did.
pub async fn users(
    client: &impl GenericClient,
    tenant: &str,
    connection: ConnectionId,
    since: Timestamp,
) -> Result<(Vec<User>, i64), Error> {
    const SQL: &str = "
        SELECT service, caller, sum(leases)::bigint AS leases, max(hour_at) AS last_hour, count(*) OVER () AS total
          FROM credential_usage
         WHERE tenant_id = $1 AND hour_at >= $2 AND connection_id = $3
         GROUP BY service, caller
         ORDER BY leases DESC, service, caller
         LIMIT 100";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&tenant, &since, &connection.0]).await?;
    let total = rows.first().map_or(Ok(0), |row| row.try_get("total"))?;
    let user = |row: &Row| {
        let (service, caller) = (row.try_get("service")?, row.try_get("caller")?);
        Ok(User { service, caller, leases: row.try_get("leases")?, last_hour: row.try_get("last_hour")? })
    };
    Ok((rows.iter().map(user).collect::<Result<_, Error>>()?, total))
}

/// Forgets hours that are so old that nobody compares with them.
pub async fn sweep(client: &impl GenericClient, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM credential_usage WHERE hour_at < $1";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&before]).await?)
}

fn read(row: &Row) -> Result<Count, Error> {
    let tenant: &str = row.try_get("tenant_id")?;
    let key = Key {
        tenant: tenant.parse().map_err(|_| Error::Broken("a count of leases is of no tenant".to_owned()))?,
        hour: row.try_get("hour_at")?,
        service: row.try_get::<_, &str>("service")?.into(),
        caller: row.try_get::<_, &str>("caller")?.into(),
        connection: ConnectionId(row.try_get("connection_id")?),
    };
    Ok(Count { key, leases: row.try_get("leases")?, unusual: row.try_get("unusual")? })
}
