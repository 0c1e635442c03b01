use jiff::Timestamp;
use storage::{Error, GenericClient};
use tokio_postgres::Row;
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use super::{Store, account, id};

/// A plan as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) id: Uuid,
    pub(crate) account: AdAccountId,
    /// The encoded message, as it was accepted.
    pub(crate) content: Vec<u8>,
    pub(crate) etag: String,
    pub(crate) state: State,
    pub(crate) label: Option<String>,
    pub(crate) pictures: bool,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// How a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was made.
    Draft,
    /// Being made.
    Applying,
    /// All of it was made.
    Applied,
    /// Some of it was made.
    Partial,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Partial => "partial",
        }
    }

    fn of_word(word: &str) -> Result<Self, Error> {
        [Self::Draft, Self::Applying, Self::Applied, Self::Partial]
            .into_iter()
            .find(|state| state.word() == word)
            .ok_or_else(|| Error::Broken(format!("{word} is no state of a plan")))
    }
}

impl Store {
    /// Keeps a new plan, in the caller's transaction if `client` is one.
    pub(crate) async fn keep_plan(
        &self,
        client: &impl GenericClient,
        tenant: &TenantId,
        plan: &Plan,
    ) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO plans (tenant_id, id, account_id, content, etag)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, id) DO NOTHING";
        let statement = client.prepare_cached(SQL).await?;
        let Plan { id, content, etag, .. } = plan;
        client.execute(&statement, &[&tenant.as_str(), id, &account(plan.account), content, etag]).await?;
        Ok(())
    }

    /// `None` where the tenant's account has no such plan.
    pub(crate) async fn plan(&self, tenant: &TenantId, of: AdAccountId, id: Uuid) -> Result<Option<Plan>, Error> {
        const SQL: &str = "
            SELECT id, account_id, content, etag, state, label_id, pictures, created_at, updated_at
              FROM plans
             WHERE tenant_id = $1 AND account_id = $2 AND id = $3";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &account(of), &id]).await?;
        row.as_ref().map(Plan::try_from).transpose()
    }

    /// A page of an account's plans, newest first, older than `after`.
    pub(crate) async fn plans(
        &self,
        tenant: &TenantId,
        of: AdAccountId,
        after: Option<Uuid>,
        size: usize,
    ) -> Result<Vec<Plan>, Error> {
        const SQL: &str = "
            SELECT id, account_id, content, etag, state, label_id, pictures, created_at, updated_at
              FROM plans
             WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR id < $3)
             ORDER BY id DESC
             LIMIT $4";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let rows = client.query(&statement, &[&tenant.as_str(), &account(of), &after, &size]).await?;
        rows.iter().map(Plan::try_from).collect()
    }

    /// Hands the plan to an operation, unless another one has it. `false`: another one has it.
    pub(crate) async fn begin_plan(
        &self,
        client: &impl GenericClient,
        tenant: &TenantId,
        id: Uuid,
        operation: Uuid,
    ) -> Result<bool, Error> {
        const SQL: &str = "
            UPDATE plans
               SET state = 'applying',
                   operation_id = $3,
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 AND state <> 'applying'";
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.execute(&statement, &[&tenant.as_str(), &id, &operation]).await? > 0)
    }

    /// The operation that has the plan, or had it last.
    pub(crate) async fn operation_of_plan(
        &self,
        client: &impl GenericClient,
        tenant: &TenantId,
        id: Uuid,
    ) -> Result<Option<Uuid>, Error> {
        const SQL: &str = "
            SELECT operation_id
              FROM plans
             WHERE tenant_id = $1 AND id = $2";
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &id]).await?;
        row.map_or(Ok(None), |row| Ok(row.try_get(0)?))
    }

    /// Notes what the worker learnt about the plan. What is `None` stays.
    pub(crate) async fn note_plan(
        &self,
        client: &impl GenericClient,
        tenant: &TenantId,
        id: Uuid,
        state: Option<State>,
        label: Option<&str>,
        pictures: Option<bool>,
    ) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE plans
               SET state = coalesce($3, state),
                   label_id = coalesce($4, label_id),
                   pictures = coalesce($5, pictures),
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2";
        let statement = client.prepare_cached(SQL).await?;
        let state = state.map(State::word);
        client.execute(&statement, &[&tenant.as_str(), &id, &state, &label, &pictures]).await?;
        Ok(())
    }
}

impl TryFrom<&Row> for Plan {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.try_get("id")?,
            account: AdAccountId::new(id(row.try_get("account_id")?)),
            content: row.try_get("content")?,
            etag: row.try_get("etag")?,
            state: State::of_word(row.try_get("state")?)?,
            label: row.try_get("label_id")?,
            pictures: row.try_get("pictures")?,
            created: row.try_get("created_at")?,
            updated: row.try_get("updated_at")?,
        })
    }
}
