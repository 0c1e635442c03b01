//! Uploads of people, from opening to their end.

use std::time::Duration;

use jiff::Timestamp;
use storage::{
    Error, audit,
    operations::{Claimed, New},
};
use tokio_postgres::Row;
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, AudienceId, MemberJobId, TenantId},
    names,
};

use super::{Store, entry, id, key};
use crate::row::Form;

/// What happens to the people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In.
    Add,
    /// Out.
    Remove,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    /// Takes rows.
    Open,
    /// Is being sent.
    Running,
    /// Sent.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Stopped.
    Cancelled,
    /// Never run.
    Expired,
}

/// What becomes of the rows of a run that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// They go at once.
    Erased,
    /// They stay until the job expires, since Meta may not have them.
    Kept,
}

/// A job to be opened.
#[derive(Debug, Clone)]
pub(crate) struct NewJob {
    /// Its id, should it be new.
    pub(crate) id: Uuid,
    /// The account whose token serves.
    pub(crate) account: AdAccountId,
    /// Into which audience, or out of it.
    pub(crate) audience: AudienceId,
    /// The caller's key.
    pub(crate) request_id: Uuid,
    /// Who was authorised.
    pub(crate) subject: String,
    /// In or out.
    pub(crate) mode: Mode,
    /// How the rows are written.
    pub(crate) form: Form,
    /// Now.
    pub(crate) now: Timestamp,
    /// When its rows go.
    pub(crate) expires: Timestamp,
}

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// Which one.
    pub(crate) id: Uuid,
    /// The account whose token serves.
    pub(crate) account: AdAccountId,
    /// Into which audience, or out of it.
    pub(crate) audience: AudienceId,
    /// Who was authorised.
    pub(crate) subject: String,
    /// In or out.
    pub(crate) mode: Mode,
    /// How the rows are written.
    pub(crate) form: Form,
    /// How it stands.
    pub(crate) state: JobState,
    /// The part that is expected next.
    pub(crate) next_sequence: i64,
    /// Rows that came, good or bad.
    pub(crate) rows_seen: i64,
    /// Good ones.
    pub(crate) rows_accepted: i64,
    /// Bad ones.
    pub(crate) rows_rejected: i64,
    /// Fields left out of good ones.
    pub(crate) fields_dropped: i64,
    /// Which keys occur.
    pub(crate) keys: u16,
    /// The run.
    pub(crate) operation: Option<Uuid>,
    /// When it was opened.
    pub(crate) create_time: Timestamp,
    /// When it last changed.
    pub(crate) update_time: Timestamp,
    /// When its rows go.
    pub(crate) expire_time: Timestamp,
}

impl Job {
    /// Its resource name.
    pub(crate) fn name(&self) -> String {
        names::of_member_job(self.account, self.audience, MemberJobId(self.id))
    }
}

const COLUMNS: &str = "tenant_id, id, account_id, audience_id, subject, mode, form, state, next_sequence, rows_seen,
    rows_accepted, rows_rejected, fields_dropped, keys, operation_id, create_time, update_time, expire_time";

impl Store {
    /// Opens a job and writes the audit, or gives the one that this request opened before.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn open_job(&self, tenant: &TenantId, new: &NewJob) -> Result<Job, Error> {
        let insert = format!(
            "INSERT INTO member_jobs
                    (tenant_id, id, account_id, audience_id, request_id, subject, mode, form, create_time, update_time,
                     expire_time)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)
             ON CONFLICT (tenant_id, request_id) DO NOTHING
             RETURNING {COLUMNS}"
        );
        let find = format!("SELECT {COLUMNS} FROM member_jobs WHERE tenant_id = $1 AND request_id = $2");
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(&insert).await?;
        let row = transaction
            .query_opt(
                &statement,
                &[
                    &tenant.as_str(),
                    &new.id,
                    &key(new.account.get()),
                    &key(new.audience.get()),
                    &new.request_id,
                    &new.subject,
                    &mode_word(new.mode),
                    &form_word(new.form),
                    &new.now,
                    &new.expires,
                ],
            )
            .await?;
        let Some(row) = row else {
            let statement = transaction.prepare_cached(&find).await?;
            return Job::try_from(&transaction.query_one(&statement, &[&tenant.as_str(), &new.request_id]).await?);
        };
        let job = Job::try_from(&row)?;
        let (name, detail) = (job.name(), serde_json::json!({ "mode": mode_word(new.mode) }));
        let entry = entry(tenant.as_str(), &new.subject, "member_job.create", &name, Some(new.request_id), detail);
        audit::append(&transaction, entry).await?;
        transaction.commit().await?;
        Ok(job)
    }

    /// The tenant's job of that id.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn job(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Job>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM member_jobs WHERE tenant_id = $1 AND id = $2");
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(&sql).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &id]).await?;
        row.as_ref().map(Job::try_from).transpose()
    }

    /// Starts the run of an open job: no more rows, and an operation that sends them. Says whether it was open.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn start_job(
        &self,
        job: &Job,
        actor: &str,
        operation: New<'_>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        const SQL: &str = "
            UPDATE member_jobs
               SET state = 'running',
                   operation_id = $3,
                   update_time = $4
             WHERE tenant_id = $1 AND id = $2 AND state = 'open'
            RETURNING rows_accepted";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let tenant = job.tenant.as_str();
        let row = transaction.query_opt(&statement, &[&tenant, &job.id, &operation.id, &now]).await?;
        let Some(row) = row else { return Ok(false) };
        let rows: i64 = row.try_get(0)?;
        self.operations.create(&transaction, operation).await?;
        let (name, detail) = (job.name(), serde_json::json!({ "rows": rows, "mode": mode_word(job.mode) }));
        audit::append(&transaction, entry(tenant, actor, "member_job.run", &name, None, detail)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends the run: the job has its last state, its rows are erased or left to the sweep, and the operation is done, all at
    /// once.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another worker has the run; [`Error::Outage`] when the database is away.
    pub(crate) async fn end_job(
        &self,
        job: &Job,
        (state, rows): (JobState, Rows),
        claimed: &Claimed,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Error> {
        const SQL: &str = "
            WITH erased AS (
                DELETE FROM member_parts
                 WHERE tenant_id = $1 AND job_id = $2 AND $5::boolean)
            UPDATE member_jobs
               SET state = $3,
                   update_time = $4
             WHERE tenant_id = $1 AND id = $2 AND state = 'running'";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        self.operations.finish_in(&transaction, claimed, body).await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let (tenant, word) = (job.tenant.as_str(), state_word(state));
        transaction.execute(&statement, &[&tenant, &job.id, &word, &now, &(rows == Rows::Erased)]).await?;
        let (name, detail) = (job.name(), serde_json::json!({ "state": word }));
        audit::append(&transaction, entry(tenant, &job.subject, "member_job.end", &name, None, detail)).await?;
        Ok(transaction.commit().await?)
    }

    /// Erases the rows of jobs whose time is over, and says how many of them were open. One that runs ends by itself.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn expire_jobs(&self, now: Timestamp) -> Result<u64, Error> {
        const SQL: &str = "
            WITH old AS (
                UPDATE member_jobs
                   SET state = 'expired',
                       update_time = $1
                 WHERE state = 'open' AND expire_time <= $1
                RETURNING tenant_id, id),
            erased AS (
                DELETE FROM member_parts AS p
                 USING member_jobs AS j
                 WHERE p.tenant_id = j.tenant_id AND p.job_id = j.id
                   AND j.expire_time <= $1 AND j.state <> 'running')
            SELECT count(*) FROM old";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let count: i64 = client.query_one(&statement, &[&now]).await?.try_get(0)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Deletes at most 100 ended jobs that were opened longer ago than `age`, with their errors, and says how many.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn sweep_jobs(&self, now: Timestamp, age: Duration) -> Result<u64, Error> {
        const SQL: &str = "
            DELETE FROM member_jobs
             WHERE (tenant_id, id) IN (
                SELECT tenant_id, id
                  FROM member_jobs
                 WHERE expire_time < $1 AND create_time < $2 AND state NOT IN ('open', 'running')
                 LIMIT 100)";
        let before = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.execute(&statement, &[&now, &before]).await?)
    }
}

impl TryFrom<&Row> for Job {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let broken = |what: &str| Error::Broken(format!("a member job has no {what} of ours"));
        Ok(Self {
            tenant: row.try_get::<_, &str>("tenant_id")?.parse().map_err(|_| broken("tenant"))?,
            id: row.try_get("id")?,
            account: AdAccountId::new(id(row.try_get("account_id")?)),
            audience: AudienceId::new(id(row.try_get("audience_id")?)),
            subject: row.try_get("subject")?,
            mode: match row.try_get("mode")? {
                "add" => Mode::Add,
                "remove" => Mode::Remove,
                _ => return Err(broken("mode")),
            },
            form: match row.try_get("form")? {
                "raw" => Form::Raw,
                "hashed" => Form::Hashed,
                _ => return Err(broken("form")),
            },
            state: state_of_word(row.try_get("state")?).ok_or_else(|| broken("state"))?,
            next_sequence: row.try_get("next_sequence")?,
            rows_seen: row.try_get("rows_seen")?,
            rows_accepted: row.try_get("rows_accepted")?,
            rows_rejected: row.try_get("rows_rejected")?,
            fields_dropped: row.try_get("fields_dropped")?,
            keys: u16::try_from(row.try_get::<_, i32>("keys")?).map_err(|_| broken("keys"))?,
            operation: row.try_get("operation_id")?,
            create_time: row.try_get("create_time")?,
            update_time: row.try_get("update_time")?,
            expire_time: row.try_get("expire_time")?,
        })
    }
}

const STATES: [(JobState, &str); 6] = [
    (JobState::Open, "open"),
    (JobState::Running, "running"),
    (JobState::Succeeded, "succeeded"),
    (JobState::Failed, "failed"),
    (JobState::Cancelled, "cancelled"),
    (JobState::Expired, "expired"),
];

fn state_of_word(word: &str) -> Option<JobState> {
    STATES.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
}

fn state_word(state: JobState) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("failed", |(_, word)| word)
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Add => "add",
        Mode::Remove => "remove",
    }
}

fn form_word(form: Form) -> &'static str {
    match form {
        Form::Raw => "raw",
        Form::Hashed => "hashed",
    }
}
