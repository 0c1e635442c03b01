//! The first operator and the first tenant of an installation, once.

use runtime::settings::Secret;
use secrecy::SecretString;
use serde_json::json;
use storage::Transaction;

use crate::{
    by::By,
    callers::Caller,
    error::Error,
    grants::Grant,
    now::Now,
    secret::{self, Fingerprint},
    settings::Settings,
    store::{Store, Told, bootstrap, bootstrap::Done, callers as stored, tenants},
    tenants::Tenant,
    vault::Vault,
};

/// Who came first.
#[derive(Debug)]
pub struct First {
    /// The tenant.
    pub tenant: Tenant,
    /// May do everything for everybody.
    pub operator: Caller,
    /// The operator's secret; `None` where nothing was changed.
    pub operator_secret: Option<SecretString>,
    /// May do what was asked for, for the tenant.
    pub caller: Caller,
    /// The caller's secret; `None` where nothing was changed.
    pub caller_secret: Option<SecretString>,
}

/// What is to be made.
#[derive(Debug)]
pub struct Wanted {
    /// The tenant.
    pub tenant: Tenant,
    /// What its caller is called.
    pub caller_name: String,
    /// What its caller may do.
    pub scopes: Grant,
}

/// The use case.
#[derive(Clone)]
pub struct Bootstrap {
    store: Store,
    vault: Vault,
    code: Secret,
    now: Now,
}

impl Bootstrap {
    /// Over the store and the vault. Without a file for the one-time code nobody can bootstrap.
    pub fn new(settings: &Settings, (store, now): (Store, Now), vault: Vault) -> Self {
        let code = settings.bootstrap_code_file.clone().map(Secret::in_file).unwrap_or_default();
        Self { store, vault, code, now }
    }

    /// Makes them. Repeating it with the same code and tenant gives fresh secrets, until one of the two has taken a
    /// token.
    pub async fn run(&self, code: &SecretString, wanted: Wanted, validate_only: bool) -> Result<First, Error> {
        self.require_code(code).await?;
        let now = (self.now)();
        let everything = Grant::Everything;
        let mut operator = Caller::new("operator".to_owned(), everything.clone(), everything, now);
        let of_tenant = Grant::from_stored(vec![wanted.tenant.id.to_string()]);
        let mut caller = Caller::new(wanted.caller_name, of_tenant, wanted.scopes, now);
        let tenant = wanted.tenant;
        let plan = Done {
            code_sha256: Fingerprint::of(code).as_bytes().to_vec(),
            tenant: tenant.id.to_string(),
            operator: operator.id,
            caller: caller.id,
            closed: None,
        };
        let mut client = self.store.client().await?;
        if validate_only {
            if let Some(done) = bootstrap::get(&client).await? {
                repeatable(&done, &plan)?;
            }
            return Ok(First { tenant, operator, operator_secret: None, caller, caller_secret: None });
        }
        self.vault.ensure_tenant(tenant.id.as_str()).await?;
        let transaction = client.transaction().await?;
        let done = bootstrap::claim(&transaction, &plan, now).await?;
        repeatable(&done, &plan)?;
        (operator.id, caller.id) = (done.operator, done.caller);
        let tenant = put_tenant(&transaction, tenant).await?;
        let operator_secret = put_caller(&transaction, &operator).await?;
        let caller_secret = put_caller(&transaction, &caller).await?;
        self.tell(transaction, &tenant, &operator, &caller).await?;
        Ok(First {
            tenant,
            operator,
            operator_secret: Some(operator_secret),
            caller,
            caller_secret: Some(caller_secret),
        })
    }

    async fn require_code(&self, code: &SecretString) -> Result<(), Error> {
        let unproven = || Error::Unproven { what: "the bootstrap code" };
        let file = self.code.clone();
        let expected = tokio::task::spawn_blocking(move || file.read()).await.map_err(|_| unproven())?;
        let expected = expected.map_err(|_| unproven())?;
        if Fingerprint::of(&expected).matches(code) { Ok(()) } else { Err(unproven()) }
    }

    async fn tell(
        &self,
        transaction: Transaction<'_>,
        tenant: &Tenant,
        operator: &Caller,
        caller: &Caller,
    ) -> Result<(), Error> {
        let by = By::ourselves(tenant.id.clone());
        let detail = json!({"operator": operator.name(), "caller": caller.name(), "scopes": caller.scopes.names()});
        let resource = vocabulary::names::of_tenant(&tenant.id);
        let told = Told { action: "bootstrap", resource: &resource, detail };
        Ok(self.store.commit(transaction, &by, told, None).await?)
    }
}

async fn put_tenant(transaction: &Transaction<'_>, tenant: Tenant) -> Result<Tenant, Error> {
    tenants::insert(transaction, &tenant).await?;
    let stored = tenants::get(transaction, tenant.id.as_str()).await?;
    stored.ok_or(Error::Corrupt("tenant"))
}

async fn put_caller(transaction: &Transaction<'_>, caller: &Caller) -> Result<SecretString, Error> {
    let secret = secret::random()?;
    stored::put(transaction, caller, &Fingerprint::of(&secret)).await?;
    Ok(secret)
}

/// May what was done be done again in the same way?
fn repeatable(done: &Done, plan: &Done) -> Result<(), Error> {
    if done.closed.is_none() && done.code_sha256 == plan.code_sha256 && done.tenant == plan.tenant {
        Ok(())
    } else {
        Err(Error::WrongState { resource: "the bootstrap".to_owned(), state: "DONE" })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn it_can_be_repeated_only_as_it_was_and_while_nobody_has_a_token() {
        let plan = Done {
            code_sha256: vec![1],
            tenant: "acme".to_owned(),
            operator: Uuid::from_u128(1),
            caller: Uuid::from_u128(2),
            closed: None,
        };
        let other_ids = Done { operator: Uuid::from_u128(3), ..plan.clone() };
        assert!(repeatable(&other_ids, &plan).is_ok());
        assert!(repeatable(&Done { closed: Some(Timestamp::UNIX_EPOCH), ..plan.clone() }, &plan).is_err());
        assert!(repeatable(&Done { code_sha256: vec![2], ..plan.clone() }, &plan).is_err());
        assert!(repeatable(&Done { tenant: "other".to_owned(), ..plan.clone() }, &plan).is_err());
        assert_eq!(crate::callers::name(plan.caller), "callers/00000000-0000-0000-0000-000000000002");
    }
}
