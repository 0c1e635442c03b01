//! Upload sessions of a run.

use storage::{Error, audit, operations::Claimed};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;
use vocabulary::ids::TenantId;

use super::{Job, Mode, Store, entry};

/// One upload session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its place in the run, from 0.
    pub(crate) number: i32,
    /// Meta's key of it.
    pub(crate) meta_id: u64,
    /// Its first part.
    pub(crate) first_sequence: i64,
    /// Its last part.
    pub(crate) last_sequence: i64,
    /// Rows in it.
    pub(crate) rows: i32,
    /// Meta has it.
    pub(crate) sent: bool,
    /// Rows that Meta received.
    pub(crate) received: i64,
    /// Rows among them that Meta could not use.
    pub(crate) invalid: i64,
}

impl Store {
    /// The sessions of a job's run, in order; none before [`Store::plan_sessions`].
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn sessions(&self, tenant: &TenantId, job: Uuid) -> Result<Vec<Session>, Error> {
        const SQL: &str = "
            SELECT number, session_id, first_sequence, last_sequence, rows, sent, received, invalid
              FROM member_sessions
             WHERE tenant_id = $1 AND job_id = $2
             ORDER BY number";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.query(&statement, &[&tenant.as_str(), &job]).await?.iter().map(Session::try_from).collect()
    }

    /// Writes down the sessions before the first is sent. A plan that stands already stays.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn plan_sessions(&self, tenant: &TenantId, job: Uuid, sessions: &[Session]) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO member_sessions
                   (tenant_id, job_id, number, session_id, first_sequence, last_sequence, rows)
            SELECT $1, $2, given.*
              FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::integer[])
                   AS given (number, session_id, first_sequence, last_sequence, rows)
            ON CONFLICT DO NOTHING";
        let numbers: Vec<i32> = sessions.iter().map(|session| session.number).collect();
        let ids: Vec<i64> = sessions.iter().map(|session| super::key(session.meta_id)).collect();
        let firsts: Vec<i64> = sessions.iter().map(|session| session.first_sequence).collect();
        let lasts: Vec<i64> = sessions.iter().map(|session| session.last_sequence).collect();
        let rows: Vec<i32> = sessions.iter().map(|session| session.rows).collect();
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let tenant = tenant.as_str();
        let parameters: [&(dyn ToSql + Sync); 7] = [&tenant, &job, &numbers, &ids, &firsts, &lasts, &rows];
        client.execute(&statement, &parameters).await?;
        Ok(())
    }

    /// Meta has a session, and the audit has an entry of it. Only the worker that holds the run may say so.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another worker has the run; [`Error::Outage`] when the database is away.
    pub(crate) async fn session_sent(
        &self,
        claimed: &Claimed,
        job: &Job,
        session: &Session,
        trace: Option<&str>,
    ) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE member_sessions
               SET sent = true,
                   received = $4,
                   invalid = $5
             WHERE tenant_id = $1 AND job_id = $2 AND number = $3";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        self.operations.hold(&transaction, claimed).await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let tenant = claimed.tenant.as_str();
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&tenant, &job.id, &session.number, &session.received, &session.invalid];
        transaction.execute(&statement, &parameters).await?;
        let action = match job.mode {
            Mode::Add => "members.add",
            Mode::Remove => "members.remove",
        };
        let detail = serde_json::json!({
            "session_id": session.meta_id.to_string(),
            "rows": session.rows,
            "received": session.received,
            "invalid": session.invalid,
            "fbtrace_id": trace,
        });
        audit::append(&transaction, entry(tenant, &job.subject, action, &job.name(), None, detail)).await?;
        Ok(transaction.commit().await?)
    }
}

impl Store {
    /// Meta received another number of rows than the session has. Says how often by now.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another worker has the run; [`Error::Outage`] when the database is away.
    pub(crate) async fn session_miscounted(&self, claimed: &Claimed, job: Uuid, number: i32) -> Result<i32, Error> {
        const SQL: &str = "
            UPDATE member_sessions
               SET miscounts = miscounts + 1
             WHERE tenant_id = $1 AND job_id = $2 AND number = $3
            RETURNING miscounts";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        self.operations.hold(&transaction, claimed).await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let row = transaction.query_opt(&statement, &[&claimed.tenant.as_str(), &job, &number]).await?;
        let miscounts = row.ok_or(Error::Missing)?.try_get(0)?;
        transaction.commit().await?;
        Ok(miscounts)
    }
}

impl TryFrom<&Row> for Session {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            number: row.try_get("number")?,
            meta_id: super::id(row.try_get("session_id")?),
            first_sequence: row.try_get("first_sequence")?,
            last_sequence: row.try_get("last_sequence")?,
            rows: row.try_get("rows")?,
            sent: row.try_get("sent")?,
            received: row.try_get("received")?,
            invalid: row.try_get("invalid")?,
        })
    }
}
