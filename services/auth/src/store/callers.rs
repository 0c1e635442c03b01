//! Callers and the hashes of their secrets.

use storage::{Error, GenericClient};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{callers::Caller, grants::Grant, secret::Fingerprint};

const COLUMNS: &str = "id, display_name, tenants, scopes, version, created_at, secret_sha256";

/// Stores a caller; one of the same id is replaced, secret and all.
pub async fn put(client: &impl GenericClient, caller: &Caller, secret: &Fingerprint) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO callers (id, display_name, tenants, scopes, secret_sha256, version, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (id) DO UPDATE
           SET display_name = EXCLUDED.display_name,
               tenants = EXCLUDED.tenants,
               scopes = EXCLUDED.scopes,
               secret_sha256 = EXCLUDED.secret_sha256";
    let statement = client.prepare_cached(SQL).await?;
    let (tenants, scopes) = (caller.tenants.names(), caller.scopes.names());
    client
        .execute(
            &statement,
            &[
                &caller.id,
                &caller.display_name,
                &tenants,
                &scopes,
                &secret.as_bytes(),
                &caller.version,
                &caller.created,
            ],
        )
        .await?;
    Ok(())
}

/// One caller and the hash of its secret.
pub async fn get(client: &impl GenericClient, id: Uuid) -> Result<Option<(Caller, Fingerprint)>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM callers WHERE id = $1");
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[&id]).await?;
    row.map(|row| {
        let hash: &[u8] = row.try_get("secret_sha256")?;
        let hash = Fingerprint::try_from(hash).map_err(|_| Error::Broken("a stored hash is no SHA-256".to_owned()))?;
        Ok((read(&row)?, hash))
    })
    .transpose()
}

/// Callers by id, which is by age, after one. Those for every tenant are among them only where `operators` is set.
pub async fn list(
    client: &impl GenericClient,
    tenant: &str,
    operators: bool,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Caller>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}
           FROM callers
          WHERE id > $1 AND tenants && $2::text[]
          ORDER BY id
          LIMIT $3"
    );
    let mut wanted = vec![tenant];
    wanted.extend(operators.then_some("*"));
    let statement = client.prepare_cached(&sql).await?;
    client.query(&statement, &[&after, &wanted, &limit]).await?.iter().map(read).collect()
}

/// Deletes a caller. `false` where there is none.
pub async fn delete(client: &impl GenericClient, id: Uuid) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM callers WHERE id = $1";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&id]).await? == 1)
}

fn read(row: &Row) -> Result<Caller, Error> {
    Ok(Caller {
        id: row.try_get("id")?,
        display_name: row.try_get("display_name")?,
        tenants: Grant::from_stored(row.try_get("tenants")?),
        scopes: Grant::from_stored(row.try_get("scopes")?),
        version: row.try_get("version")?,
        created: row.try_get("created_at")?,
    })
}
