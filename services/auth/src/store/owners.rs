//! Which tenant owns which ad account: at most one.

use jiff::Timestamp;
use storage::{Error, GenericClient};
use vocabulary::ids::AdAccountId;

/// An ad account's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The tenant.
    pub tenant: String,
    /// Since when.
    pub assigned: Timestamp,
}

/// Gives the account to the tenant unless somebody owns it, and says who owns it now.
pub async fn claim(
    client: &impl GenericClient,
    account: AdAccountId,
    tenant: &str,
    now: Timestamp,
) -> Result<Owner, Error> {
    // The update changes nothing: it makes the row that came first, perhaps a moment ago, the one that is returned.
    const SQL: &str = "
        INSERT INTO ad_account_owners AS o (account_id, tenant_id, assigned_at)
        VALUES ($1, $2, $3)
        ON CONFLICT (account_id) DO UPDATE
           SET account_id = o.account_id
        RETURNING tenant_id, assigned_at";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_one(&statement, &[&account.to_string(), &tenant, &now]).await?;
    Ok(Owner { tenant: row.try_get(0)?, assigned: row.try_get(1)? })
}

/// Who owns the account.
pub async fn get(client: &impl GenericClient, account: AdAccountId) -> Result<Option<Owner>, Error> {
    const SQL: &str = "
        SELECT tenant_id, assigned_at
          FROM ad_account_owners
         WHERE account_id = $1";
    let statement = client.prepare_cached(SQL).await?;
    let row = client.query_opt(&statement, &[&account.to_string()]).await?;
    row.map(|row| Ok(Owner { tenant: row.try_get(0)?, assigned: row.try_get(1)? })).transpose()
}
