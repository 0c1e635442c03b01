//! Ad accounts: what Meta says of them, and whether the tenant may use them.

use std::time::Duration;

use graph::{On, codec};
use proto::campaigns::v1::AdAccount;
use vocabulary::{
    currency::Currency,
    ids::{AdAccountId, TenantId},
};

use crate::{
    context::{self, Context},
    error::Error,
    freshness::{Read, Wanted},
    mirror,
    store::accounts::Account,
};

/// How long a row proves that the tenant may use the account. Then auth is asked again, by way of a read of Meta's.
const PROOF: Duration = Duration::from_mins(15);

impl Context {
    /// The account, read from Meta where what is stored is older than wanted. Another tenant's account is not found.
    pub(crate) async fn account(
        &self,
        tenant: &TenantId,
        id: AdAccountId,
        wanted: &Wanted,
    ) -> Result<Read<Account>, Error> {
        self.account_on(&context::reading(tenant, id), id, wanted).await
    }

    async fn account_on(&self, on: &On, id: AdAccountId, wanted: &Wanted) -> Result<Read<Account>, Error> {
        let tenant = &on.tenant;
        let stored = self.store.account(tenant, id).await?;
        let now = self.now();
        if let Some(stored) = &stored
            && wanted.is_met(stored.fetched, now, PROOF)
        {
            return Ok(Read::fresh(stored.clone(), stored.fetched));
        }
        match self.graph.send(on, graph::accounts::get(id)).await {
            Ok(graph) => {
                let account = Account { id, graph, fetched: now };
                self.store.keep_account(tenant, &account).await?;
                Ok(Read::fresh(account, now))
            }
            Err(error) => match stored {
                Some(stored) if error.is_temporary() && wanted.takes_stale() => {
                    let fetched = stored.fetched;
                    Ok(Read::stale(stored, fetched))
                }
                _ => {
                    let error = Error::from(error).hide(format!("adAccounts/{}", id.act()));
                    if matches!(error, Error::NotFound(_)) {
                        self.store.forget_account(tenant, id).await?;
                    }
                    Err(error)
                }
            },
        }
    }

    /// May the tenant use it? What is stored answers for some minutes.
    pub(crate) async fn own(&self, tenant: &TenantId, id: AdAccountId) -> Result<Account, Error> {
        self.own_on(&context::reading(tenant, id), id).await
    }

    /// As [`Context::own`], as urgently as `on` says.
    pub(crate) async fn own_on(&self, on: &On, id: AdAccountId) -> Result<Account, Error> {
        Ok(self.account_on(on, id, &Wanted::Stored).await?.value)
    }
}

impl Account {
    /// The least daily budget in minor units, where Meta says one.
    pub(crate) fn least_daily_budget(&self) -> Option<i64> {
        mirror::number(&self.graph, "min_daily_budget").and_then(|least| i64::try_from(least).ok())
    }

    /// As callers see it.
    pub(crate) fn message(&self) -> Result<AdAccount, Error> {
        let mut message: AdAccount = codec::decode(graph::accounts::MESSAGE, &self.graph)?;
        message.resource_name = format!("adAccounts/{}", self.id.act());
        message.etag = mirror::etag(&self.graph);
        message.extra.remove("id"); // Meta adds it to every answer; ours is account_id
        let currency: Option<Currency> = message.currency.as_deref().and_then(|code| code.parse().ok());
        message.minor_unit = currency.and_then(|currency| i32::try_from(currency.offset()).ok()).unwrap_or(0);
        Ok(message)
    }
}
