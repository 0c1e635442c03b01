//! Which tenant owns which ad account, at most one, and with whom an operator shares it.

use jiff::Timestamp;
use storage::{Error, GenericClient, Transaction};
use tokio_postgres::Row;
use vocabulary::ids::AdAccountId;

use crate::tenants::Share;

/// An ad account's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The tenant.
    pub tenant: String,
    /// Since when.
    pub assigned: Timestamp,
    /// The other tenants that may use it, by id.
    pub shares: Vec<Share>,
}

impl Owner {
    /// May this tenant use the account?
    pub fn lets(&self, tenant: &str) -> bool {
        self.tenant == tenant || self.shares.iter().any(|share| share.tenant.as_str() == tenant)
    }
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
        RETURNING tenant_id, assigned_at,
                  (SELECT array_agg(s.tenant_id ORDER BY s.tenant_id)
                     FROM ad_account_shares AS s
                    WHERE s.account_id = o.account_id) AS sharers,
                  (SELECT array_agg(s.weight ORDER BY s.tenant_id)
                     FROM ad_account_shares AS s
                    WHERE s.account_id = o.account_id) AS weights";
    let statement = client.prepare_cached(SQL).await?;
    read(&client.query_one(&statement, &[&account.to_string(), &tenant, &now]).await?)
}

/// Gives the tenant those of the accounts that nobody owns, in two statements however many they are: which these are, and
/// which are others' and not shared with it.
pub async fn claim_all(
    transaction: &Transaction<'_>,
    accounts: &[AdAccountId],
    tenant: &str,
    now: Timestamp,
) -> Result<(Vec<AdAccountId>, Vec<AdAccountId>), Error> {
    // In one order everywhere, so that two tenants who claim the same do not wait for each other in a circle.
    const CLAIM: &str = "
        INSERT INTO ad_account_owners (account_id, tenant_id, assigned_at)
        SELECT account_id, $2, $3
          FROM unnest($1::text[]) AS account_id
         ORDER BY account_id
        ON CONFLICT (account_id) DO NOTHING
        RETURNING account_id";
    const TAKEN: &str = "
        SELECT o.account_id
          FROM ad_account_owners AS o
         WHERE o.account_id = ANY($1)
           AND o.tenant_id <> $2
           AND NOT EXISTS (
               SELECT FROM ad_account_shares AS s WHERE s.account_id = o.account_id AND s.tenant_id = $2)";
    let accounts: Vec<String> = accounts.iter().map(ToString::to_string).collect();
    let statement = transaction.prepare_cached(CLAIM).await?;
    let claimed = ids(&transaction.query(&statement, &[&accounts, &tenant, &now]).await?)?;
    let statement = transaction.prepare_cached(TAKEN).await?;
    let taken = ids(&transaction.query(&statement, &[&accounts, &tenant]).await?)?;
    Ok((claimed, taken))
}

/// Ad accounts, in order.
fn ids(rows: &[Row]) -> Result<Vec<AdAccountId>, Error> {
    let corrupt = || Error::Broken("a stored ad account has an impossible form".to_owned());
    let id = |row: &Row| row.try_get::<_, &str>(0)?.parse().map_err(|_| corrupt());
    let mut ids: Vec<AdAccountId> = rows.iter().map(id).collect::<Result<_, Error>>()?;
    ids.sort_unstable();
    Ok(ids)
}

/// Who owns the account.
pub async fn get(client: &impl GenericClient, account: AdAccountId) -> Result<Option<Owner>, Error> {
    const SQL: &str = "
        SELECT o.tenant_id, o.assigned_at, sharers, weights
          FROM ad_account_owners AS o,
               LATERAL (
                   SELECT array_agg(s.tenant_id ORDER BY s.tenant_id) AS sharers,
                          array_agg(s.weight ORDER BY s.tenant_id) AS weights
                     FROM ad_account_shares AS s
                    WHERE s.account_id = o.account_id) AS shared
         WHERE o.account_id = $1";
    let statement = client.prepare_cached(SQL).await?;
    client.query_opt(&statement, &[&account.to_string()]).await?.as_ref().map(read).transpose()
}

/// Who owns the account, and nobody changes with whom it is shared until the transaction ends.
pub async fn lock(transaction: &Transaction<'_>, account: AdAccountId) -> Result<Option<Owner>, Error> {
    const SQL: &str = "SELECT account_id FROM ad_account_owners WHERE account_id = $1 FOR UPDATE";
    let statement = transaction.prepare_cached(SQL).await?;
    transaction.execute(&statement, &[&account.to_string()]).await?;
    get(transaction, account).await
}

/// Replaces those with whom it is shared.
pub async fn share(
    transaction: &Transaction<'_>,
    account: AdAccountId,
    shares: &[Share],
    now: Timestamp,
) -> Result<(), Error> {
    const FORGET: &str = "DELETE FROM ad_account_shares WHERE account_id = $1";
    const INSERT: &str = "
        INSERT INTO ad_account_shares (account_id, tenant_id, weight, shared_at)
        SELECT $1, tenant_id, weight, $4
          FROM unnest($2::text[], $3::int[]) AS s (tenant_id, weight)";
    let account = account.to_string();
    let statement = transaction.prepare_cached(FORGET).await?;
    transaction.execute(&statement, &[&account]).await?;
    let tenants: Vec<&str> = shares.iter().map(|share| share.tenant.as_str()).collect();
    let weights: Vec<i32> = shares.iter().map(|share| share.weight).collect();
    let statement = transaction.prepare_cached(INSERT).await?;
    transaction.execute(&statement, &[&account, &tenants, &weights, &now]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Owner, Error> {
    let corrupt = || Error::Broken("a stored share has an impossible form".to_owned());
    let tenants: Option<Vec<String>> = row.try_get("sharers")?;
    let weights: Option<Vec<i32>> = row.try_get("weights")?;
    let shares = tenants.unwrap_or_default().into_iter().zip(weights.unwrap_or_default());
    let share = |(tenant, weight): (String, i32)| Ok(Share { tenant: tenant.parse().map_err(|_| corrupt())?, weight });
    Ok(Owner {
        tenant: row.try_get("tenant_id")?,
        assigned: row.try_get("assigned_at")?,
        shares: shares.map(share).collect::<Result<_, Error>>()?,
    })
}
