//! All SQL of this service. Reports and slices stand here, rows in `facts`.

mod facts;
mod parts;
mod read;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use prost::Message;
use storage::{GenericClient, Postgres, operations::Claimed};
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

pub(crate) use facts::Fact;

use crate::{
    Error,
    reconcile::Sums,
    report::{Part, Plan, Reconciliation, Report, State},
    slices::Mode,
};

/// Reports, their slices and their rows. Clones share the pool.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    postgres: Postgres,
    operations: storage::operations::Operations,
}

/// A report to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewReport<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// Also the id of its operation.
    pub id: Uuid,
    /// Which account is measured.
    pub account: AdAccountId,
    /// Who asks.
    pub subject: &'a str,
    /// What.
    pub query: &'a proto::insights::v1::Query,
    /// When.
    pub created: Timestamp,
}

impl Store {
    /// The store in the schema of `postgres`.
    pub(crate) fn new(postgres: Postgres) -> Self {
        let operations = storage::operations::Operations::new(postgres.clone());
        Self { postgres, operations }
    }

    /// A connection, to begin a transaction on.
    pub(crate) async fn client(&self) -> Result<storage::Client, Error> {
        Ok(self.postgres.client().await?)
    }

    /// Adds a report, in the caller's transaction.
    pub(crate) async fn create(&self, client: &impl GenericClient, new: NewReport<'_>) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO reports (tenant_id, id, account_id, subject, query, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        let statement = client.prepare_cached(SQL).await?;
        let query = new.query.encode_to_vec();
        client
            .execute(
                &statement,
                &[&new.tenant.as_str(), &new.id, &key(new.account)?, &new.subject, &query, &new.created],
            )
            .await?;
        Ok(())
    }

    /// Keeps what the account said and the slices that follow, once: a second time changes nothing.
    pub(crate) async fn plan(&self, claimed: &Claimed, plan: &Plan, parts: &[Part]) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE reports
               SET currency = $3,
                   time_zone = $4,
                   since = $5,
                   until = $6,
                   mode = $7,
                   mode_reason = $8
             WHERE tenant_id = $1 AND id = $2 AND mode IS NULL";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        self.operations.hold(&transaction, claimed).await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let mode = mode_word(plan.mode);
        let planned = transaction
            .execute(
                &statement,
                &[
                    &claimed.tenant,
                    &claimed.id,
                    &plan.currency.code(),
                    &plan.time_zone,
                    &plan.days.since(),
                    &plan.days.until(),
                    &mode,
                    &plan.mode_reason,
                ],
            )
            .await?;
        if planned > 0 {
            parts::insert(&transaction, &claimed.tenant, claimed.id, parts).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Ends a report and its operation together. `body` is the encoded operation.
    pub(crate) async fn close(&self, claimed: &Claimed, report: &Report, body: &[u8]) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE reports
               SET state = $3,
                   reconciliation = $4,
                   reconciliation_reason = $5,
                   control_impressions = $6,
                   control_clicks = $7,
                   control_spend_minor = $8,
                   error = $9,
                   ended_at = $10
             WHERE tenant_id = $1 AND id = $2";
        let (word, reason, control) = reconciliation_columns(&report.reconciliation);
        let error = report.error.as_ref().map(Message::encode_to_vec);
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        transaction
            .execute(
                &statement,
                &[
                    &claimed.tenant,
                    &claimed.id,
                    &state_word(report.state),
                    &word,
                    &reason,
                    &control.map(|sums| sums.impressions),
                    &control.map(|sums| sums.clicks),
                    &control.map(|sums| sums.spend_minor),
                    &error,
                    &report.ended,
                ],
            )
            .await?;
        self.operations.finish_in(&transaction, claimed, body).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Meta's account numbers have far fewer than 63 bits.
fn key(account: AdAccountId) -> Result<i64, Error> {
    i64::try_from(account.get()).map_err(|_| Error::Missing(vocabulary::names::of_ad_account(account)))
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Sync => "sync",
        Mode::Async => "async",
    }
}

fn reconciliation_columns(reconciliation: &Reconciliation) -> (&'static str, &str, Option<Sums>) {
    match reconciliation {
        Reconciliation::Open => ("open", "", None),
        Reconciliation::Matched { control } => ("matched", "", Some(*control)),
        Reconciliation::Differed { control, reason } => ("differed", reason, Some(*control)),
        Reconciliation::NotComparable { reason } => ("not_comparable", reason, None),
    }
}
