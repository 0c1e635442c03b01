use jiff::Timestamp;
use serde_json::Value;
use storage::{Error, audit};
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use super::{Store, account, id};

/// An ad account as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: AdAccountId,
    pub(crate) graph: Value,
    pub(crate) fetched: Timestamp,
}

/// Of something that was made at Meta: its trace, and who asked for it.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    /// Meta's trace.
    pub(crate) trace: Option<String>,
    /// Who.
    pub(crate) actor: &'a str,
    /// The request, where it was one.
    pub(crate) request: Option<Uuid>,
}

impl Store {
    /// `None` where the tenant has not used this account yet.
    pub(crate) async fn account(&self, tenant: &TenantId, of: AdAccountId) -> Result<Option<Account>, Error> {
        const SQL: &str = "
            SELECT account_id, graph, fetched_at
              FROM ad_accounts
             WHERE tenant_id = $1 AND account_id = $2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &account(of)]).await?;
        row.as_ref().map(Account::try_from).transpose()
    }

    /// Keeps an account as it was read just now.
    pub(crate) async fn keep_account(&self, tenant: &TenantId, of: &Account) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO ad_accounts (tenant_id, account_id, graph, fetched_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant_id, account_id) DO UPDATE
               SET graph = EXCLUDED.graph,
                   fetched_at = EXCLUDED.fetched_at";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &account(of.id), &of.graph, &of.fetched]).await?;
        Ok(())
    }

    /// The tenant may use it no longer, so nothing of it is shown any more.
    pub(crate) async fn forget_account(&self, tenant: &TenantId, of: AdAccountId) -> Result<(), Error> {
        const SQL: &str = "
            DELETE FROM ad_accounts
             WHERE tenant_id = $1 AND account_id = $2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &account(of)]).await?;
        Ok(())
    }

    /// The accounts that the tenant has used, by id, after one of them.
    pub(crate) async fn accounts(&self, tenant: &TenantId, after: u64, size: usize) -> Result<Vec<Account>, Error> {
        const SQL: &str = "
            SELECT account_id, graph, fetched_at
              FROM ad_accounts
             WHERE tenant_id = $1 AND account_id > $2
             ORDER BY account_id
             LIMIT $3";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let rows = client.query(&statement, &[&tenant.as_str(), &super::column(after), &size]).await?;
        rows.iter().map(Account::try_from).collect()
    }

    /// The label of an account by its name with us.
    pub(crate) async fn label(&self, tenant: &TenantId, of: AdAccountId, name: &str) -> Result<Option<String>, Error> {
        const SQL: &str = "
            SELECT label_id
              FROM labels
             WHERE tenant_id = $1 AND account_id = $2 AND name = $3";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &account(of), &name]).await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    /// Keeps a label and says which one stands: the first, should two have been made at once.
    pub(crate) async fn keep_label(
        &self,
        tenant: &TenantId,
        of: AdAccountId,
        (name, label): (&str, &str),
        made: Made<'_>,
    ) -> Result<String, Error> {
        const SQL: &str = "
            INSERT INTO labels AS l (tenant_id, account_id, name, label_id)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant_id, account_id, name) DO UPDATE
               SET label_id = l.label_id
            RETURNING label_id";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let row = transaction.query_one(&statement, &[&tenant.as_str(), &account(of), &name, &label]).await?;
        let kept = row.try_get(0)?;
        self.label_made(&transaction, tenant, of, label, made).await?;
        transaction.commit().await?;
        Ok(kept)
    }

    /// A label was made at Meta: the audit says so, in the transaction that keeps it.
    pub(crate) async fn label_made(
        &self,
        transaction: &storage::Transaction<'_>,
        tenant: &TenantId,
        of: AdAccountId,
        label: &str,
        made: Made<'_>,
    ) -> Result<(), Error> {
        let resource = format!("adAccounts/{}/labels/{label}", of.act());
        let entry = audit::Entry {
            tenant: tenant.as_str(),
            actor: made.actor,
            action: "ad_label.create",
            resource: &resource,
            request_id: made.request,
            detail: serde_json::json!({ "fbtrace_id": made.trace }),
        };
        audit::append(transaction, entry).await.map(drop)
    }
}

impl TryFrom<&tokio_postgres::Row> for Account {
    type Error = Error;

    fn try_from(row: &tokio_postgres::Row) -> Result<Self, Error> {
        Ok(Self {
            id: AdAccountId::new(id(row.try_get("account_id")?)),
            graph: row.try_get("graph")?,
            fetched: row.try_get("fetched_at")?,
        })
    }
}
