//! Our apps at Meta, with their sealed secrets.

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use tokio_postgres::{Row, types::ToSql};
use vocabulary::ids::MetaAppId;

use super::keys::sealed;
use crate::{
    meta_apps::{MetaApp, SecretFacts},
    vault::Sealed,
};

/// Those of an app, and its secrets that were replaced and are taken still, newest first. $1 is the moment.
const SELECT: &str = "
    SELECT a.app_id, a.display_name, a.api_version, a.version, a.created_at, a.updated_at, a.tenant_key_version,
           a.key_version, a.wrapped_key, a.sealed_secret, a.secret_version,
           coalesce(a.secret_created_at, a.created_at) AS secret_created_at, old.versions, old.created, old.until
      FROM meta_apps AS a,
           LATERAL (
               SELECT array_agg(s.version ORDER BY s.version DESC) AS versions,
                      array_agg(s.created_at ORDER BY s.version DESC) AS created,
                      array_agg(s.accept_until ORDER BY s.version DESC) AS until
                 FROM meta_app_secrets AS s
                WHERE s.app_id = a.app_id AND s.accept_until > $1) AS old";

/// Stores a new app. `false` where there is one of that id.
pub async fn insert(client: &impl GenericClient, app: &MetaApp, secret: &Sealed) -> Result<bool, Error> {
    const SQL: &str = "
        INSERT INTO meta_apps
               (app_id, display_name, api_version, tenant_key_version, key_version, wrapped_key, sealed_secret,
                created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
        ON CONFLICT DO NOTHING";
    let statement = client.prepare_cached(SQL).await?;
    let (id, key) = (app.id.to_string(), &secret.key);
    let values: &[&(dyn ToSql + Sync)] = &[
        &id,
        &app.display_name,
        &app.api_version,
        &key.tenant_key_version,
        &key.key_version,
        &key.wrapped,
        &secret.value,
        &app.created,
    ];
    Ok(client.execute(&statement, values).await? == 1)
}

/// One app as it stands at a moment, and its sealed secret.
pub async fn get(
    client: &impl GenericClient,
    id: MetaAppId,
    now: Timestamp,
) -> Result<Option<(MetaApp, Sealed)>, Error> {
    let sql = format!("{SELECT} WHERE a.app_id = $2");
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[&now, &id.to_string()]).await?;
    row.map(|row| Ok((read(&row)?, sealed(&row, "sealed_secret")?))).transpose()
}

/// Apps by id, after one, as they stand at a moment.
pub async fn list(client: &impl GenericClient, after: &str, now: Timestamp, limit: i64) -> Result<Vec<MetaApp>, Error> {
    let sql = format!("{SELECT} WHERE a.app_id > $2 ORDER BY a.app_id LIMIT $3");
    let statement = client.prepare_cached(&sql).await?;
    client.query(&statement, &[&now, &after, &limit]).await?.iter().map(read).collect()
}

/// Stores what can change of an app, unless it has changed since that version.
pub async fn update(client: &impl GenericClient, app: &MetaApp, before: i64) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE meta_apps
           SET display_name = $3,
               api_version = $4,
               version = $5,
               updated_at = $6
         WHERE app_id = $1 AND version = $2";
    let statement = client.prepare_cached(SQL).await?;
    let values: &[&(dyn ToSql + Sync)] =
        &[&app.id.to_string(), &before, &app.display_name, &app.api_version, &app.version, &app.updated];
    Ok(client.execute(&statement, values).await? == 1)
}

/// Puts a new secret in the place of the old one, unless the app has changed since that version.
pub async fn replace_secret(
    transaction: &Transaction<'_>,
    (app, before): (&MetaApp, i64),
    secret: &Sealed,
) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE meta_apps
           SET tenant_key_version = $3,
               key_version = $4,
               wrapped_key = $5,
               sealed_secret = $6,
               secret_version = secret_version + 1,
               secret_created_at = $8,
               version = $7,
               updated_at = $8
         WHERE app_id = $1 AND version = $2";
    let statement = transaction.prepare_cached(SQL).await?;
    let key = &secret.key;
    let values: &[&(dyn ToSql + Sync)] = &[
        &app.id.to_string(),
        &before,
        &key.tenant_key_version,
        &key.key_version,
        &key.wrapped,
        &secret.value,
        &app.version,
        &app.updated,
    ];
    Ok(transaction.execute(&statement, values).await? == 1)
}

/// Keeps the secret that was replaced until its moment comes, and none before it.
pub async fn keep_old(
    transaction: &Transaction<'_>,
    (app, row): (MetaAppId, &str),
    facts: &SecretFacts,
    secret: Option<&Sealed>,
) -> Result<(), Error> {
    const FORGET: &str = "DELETE FROM meta_app_secrets WHERE app_id = $1";
    const INSERT: &str = "
        INSERT INTO meta_app_secrets
               (id, app_id, version, tenant_key_version, key_version, wrapped_key, sealed_replaced, created_at, accept_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let app = app.to_string();
    let statement = transaction.prepare_cached(FORGET).await?;
    transaction.execute(&statement, &[&app]).await?;
    let (Some(secret), Some(until)) = (secret, &facts.accept_until) else { return Ok(()) };
    let statement = transaction.prepare_cached(INSERT).await?;
    let key = &secret.key;
    let values: &[&(dyn ToSql + Sync)] = &[
        &row,
        &app,
        &facts.version,
        &key.tenant_key_version,
        &key.key_version,
        &key.wrapped,
        &secret.value,
        &facts.created,
        until,
    ];
    transaction.execute(&statement, values).await?;
    Ok(())
}

/// The secrets of an app that were replaced and are taken still, with the rows they lie in.
pub async fn old(client: &impl GenericClient, app: MetaAppId, now: Timestamp) -> Result<Vec<(String, Sealed)>, Error> {
    const SQL: &str = "
        SELECT id, tenant_key_version, key_version, wrapped_key, sealed_replaced
          FROM meta_app_secrets
         WHERE app_id = $1 AND accept_until > $2
         ORDER BY version DESC
         LIMIT 10";
    let statement = client.prepare_cached(SQL).await?;
    let rows = client.query(&statement, &[&app.to_string(), &now]).await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, sealed(row, "sealed_replaced")?))).collect()
}

/// Forgets the secrets that are not taken any more.
pub async fn sweep(client: &impl GenericClient, now: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM meta_app_secrets WHERE accept_until <= $1";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&now]).await?)
}

fn read(row: &Row) -> Result<MetaApp, Error> {
    let corrupt = || Error::Broken("a stored app has an impossible form".to_owned());
    let newest = SecretFacts {
        version: row.try_get("secret_version")?,
        created: row.try_get("secret_created_at")?,
        accept_until: None,
    };
    let versions: Vec<i64> = row.try_get::<_, Option<_>>("versions")?.unwrap_or_default();
    let created: Vec<Timestamp> = row.try_get::<_, Option<_>>("created")?.unwrap_or_default();
    let until: Vec<Timestamp> = row.try_get::<_, Option<_>>("until")?.unwrap_or_default();
    let old = versions.into_iter().zip(created).zip(until);
    let old = old.map(|((version, created), until)| SecretFacts { version, created, accept_until: Some(until) });
    Ok(MetaApp {
        id: row.try_get::<_, &str>("app_id")?.parse().map_err(|_| corrupt())?,
        display_name: row.try_get("display_name")?,
        api_version: row.try_get("api_version")?,
        version: row.try_get("version")?,
        created: row.try_get("created_at")?,
        updated: row.try_get("updated_at")?,
        secrets: [newest].into_iter().chain(old).collect(),
    })
}
