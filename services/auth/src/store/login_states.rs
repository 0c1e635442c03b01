//! Log-ins that were begun. Only a hash of the state is kept.

use jiff::Timestamp;
use storage::{Error, GenericClient};
use tokio_postgres::Row;
use vocabulary::ids::{MetaAppId, TenantId};

use crate::secret::Fingerprint;

/// A log-in that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginState {
    /// For whom.
    pub tenant: TenantId,
    /// With which app.
    pub app: MetaAppId,
    /// What was asked for.
    pub scopes: Vec<String>,
    /// Where Meta returns to.
    pub redirect_uri: String,
    /// Who began it.
    pub began_by: String,
    /// When it ends.
    pub expires: Timestamp,
    /// When it was used.
    pub used: Option<Timestamp>,
}

/// Stores one.
pub async fn insert(client: &impl GenericClient, state: &Fingerprint, login: &LoginState) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO login_states (state_sha256, tenant_id, app_id, scopes, redirect_uri, began_by, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let statement = client.prepare_cached(SQL).await?;
    let LoginState { tenant, app, scopes, redirect_uri, began_by, expires, .. } = login;
    client
        .execute(
            &statement,
            &[&state.as_bytes(), &tenant.as_str(), &app.to_string(), scopes, redirect_uri, began_by, expires],
        )
        .await?;
    Ok(())
}

/// One, used or not.
pub async fn get(client: &impl GenericClient, state: &Fingerprint) -> Result<Option<LoginState>, Error> {
    const SQL: &str = "
        SELECT tenant_id, app_id, scopes, redirect_uri, began_by, expires_at, used_at
          FROM login_states
         WHERE state_sha256 = $1";
    let statement = client.prepare_cached(SQL).await?;
    client.query_opt(&statement, &[&state.as_bytes()]).await?.as_ref().map(read).transpose()
}

/// Uses one up. `false` where another was faster.
pub async fn take(client: &impl GenericClient, state: &Fingerprint, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "
        UPDATE login_states
           SET used_at = $2
         WHERE state_sha256 = $1 AND used_at IS NULL";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&state.as_bytes(), &now]).await? == 1)
}

/// Deletes those that ended long ago.
pub async fn sweep(client: &impl GenericClient, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM login_states WHERE expires_at < $1";
    let statement = client.prepare_cached(SQL).await?;
    Ok(client.execute(&statement, &[&before]).await?)
}

fn read(row: &Row) -> Result<LoginState, Error> {
    let corrupt = || Error::Broken("a stored log-in has an impossible form".to_owned());
    Ok(LoginState {
        tenant: row.try_get::<_, &str>("tenant_id")?.parse().map_err(|_| corrupt())?,
        app: row.try_get::<_, &str>("app_id")?.parse().map_err(|_| corrupt())?,
        scopes: row.try_get("scopes")?,
        redirect_uri: row.try_get("redirect_uri")?,
        began_by: row.try_get("began_by")?,
        expires: row.try_get("expires_at")?,
        used: row.try_get("used_at")?,
    })
}
