//! Our apps at Meta, with their sealed secrets.

use storage::{Error, GenericClient};
use tokio_postgres::Row;
use vocabulary::ids::MetaAppId;

use super::keys::sealed;
use crate::{meta_apps::MetaApp, vault::Sealed};

/// Stores a new app. `false` where there is one of that id.
pub async fn insert(client: &impl GenericClient, app: &MetaApp, secret: &Sealed) -> Result<bool, Error> {
    const SQL: &str = "
        INSERT INTO meta_apps
               (app_id, display_name, api_version, tenant_key_version, key_version, wrapped_key, sealed_secret,
                created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    let inserted = client
        .execute(
            &statement,
            &[
                &app.id.to_string(),
                &app.display_name,
                &app.api_version,
                &secret.key.tenant_key_version,
                &secret.key.key_version,
                &secret.key.wrapped,
                &secret.value,
                &app.created,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// One app and its sealed secret.
pub async fn get(client: &impl GenericClient, id: MetaAppId) -> Result<Option<(MetaApp, Sealed)>, Error> {
    const SQL: &str = "
        SELECT app_id, display_name, api_version, version, created_at, updated_at,
               tenant_key_version, key_version, wrapped_key, sealed_secret
          FROM meta_apps
         WHERE app_id = $1";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_opt(&statement, &[&id.to_string()]).await?;
    row.map(|row| Ok((read(&row, id)?, sealed(&row, "sealed_secret")?))).transpose()
}

fn read(row: &Row, id: MetaAppId) -> Result<MetaApp, Error> {
    Ok(MetaApp {
        id,
        display_name: row.try_get("display_name")?,
        api_version: row.try_get("api_version")?,
        version: row.try_get("version")?,
        created: row.try_get("created_at")?,
        updated: row.try_get("updated_at")?,
    })
}
