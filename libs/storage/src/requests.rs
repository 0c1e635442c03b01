//! What a `request_id` was answered, so that a repeat gets the same answer and happens once.
//!
//! The first answer is stored with a fingerprint of the request and replayed for 24 hours (30 days where a service creates
//! things at Meta). A failure that was decided before anything happened is not stored: the caller abandons the id, and a
//! corrected or repeated request runs. A replica that dies between the two leaves the id in flight; after two minutes the
//! next repeat takes it over, so whatever runs under a `request_id` must itself continue what an earlier run began.
//!
//! Never store an answer that holds a secret shown once.

use std::time::Duration;

use uuid::Uuid;

use crate::{Error, GenericClient, Postgres};

/// The table, as a migration of the service. Never edited once released: a change is a further migration.
pub const SQL: &str = include_str!("requests/requests.sql");

/// After this time a request that is still in flight is taken for dead. Longer than any call's deadline.
const IN_FLIGHT_SECONDS_MAX: i64 = 120;

/// The requests of one service. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Requests {
    postgres: Postgres,
    keep: Duration,
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It is new, or its first run died: run it, then `answer` or `abandon`.
    New,
    /// It was answered: give these bytes again.
    Answered(Vec<u8>),
    /// It runs at this moment: the caller repeats later.
    InFlight,
    /// The id belongs to a different request: the caller's mistake.
    Reused,
}

impl Requests {
    /// The requests in the schema of `postgres`; answers are kept for 24 hours.
    pub fn new(postgres: Postgres) -> Self {
        Self { postgres, keep: Duration::from_hours(24) }
    }

    /// Keeps answers for so long.
    #[must_use]
    pub fn keeping(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// Begins a request. `fingerprint` is the SHA-256 of the message without its `request_id`.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: the request must not run then.
    pub async fn begin(
        &self,
        tenant: &str,
        request_id: Uuid,
        method: &str,
        fingerprint: [u8; 32],
    ) -> Result<Begin, Error> {
        const BEGIN: &str = "
            INSERT INTO requests AS r (tenant_id, request_id, method, fingerprint, expires_at)
            VALUES ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 second')
            ON CONFLICT (tenant_id, request_id) DO UPDATE
               SET method = EXCLUDED.method,
                   fingerprint = EXCLUDED.fingerprint,
                   answer = NULL,
                   begun_at = clock_timestamp(),
                   expires_at = EXCLUDED.expires_at
             WHERE r.expires_at <= clock_timestamp()
                OR (r.answer IS NULL
                    AND r.begun_at < clock_timestamp() - $6::bigint * interval '1 second'
                    AND r.method = EXCLUDED.method
                    AND r.fingerprint = EXCLUDED.fingerprint)";
        const FIND: &str = "
            SELECT method = $3 AND fingerprint = $4, answer
              FROM requests
             WHERE tenant_id = $1 AND request_id = $2";
        let client = self.postgres.client().await?;
        let keep = i64::try_from(self.keep.as_secs()).unwrap_or(i64::MAX);
        let fingerprint = fingerprint.as_slice();
        let statement = client.prepare_cached(BEGIN).await?;
        let begun = client
            .execute(&statement, &[&tenant, &request_id, &method, &fingerprint, &keep, &IN_FLIGHT_SECONDS_MAX])
            .await?;
        if begun > 0 {
            return Ok(Begin::New);
        }
        let statement = client.prepare_cached(FIND).await?;
        let Some(row) = client.query_opt(&statement, &[&tenant, &request_id, &method, &fingerprint]).await? else {
            // It was abandoned or swept between the two statements; the repeat that the caller makes now begins anew.
            return Ok(Begin::InFlight);
        };
        if !row.try_get::<_, bool>(0)? {
            return Ok(Begin::Reused);
        }
        Ok(row.try_get::<_, Option<Vec<u8>>>(1)?.map_or(Begin::InFlight, Begin::Answered))
    }

    /// Stores the answer. The first one stays, should two runs of the same request come to an end.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub async fn answer(&self, tenant: &str, request_id: Uuid, answer: &[u8]) -> Result<(), Error> {
        self.answer_in(&self.postgres.client().await?, tenant, request_id, answer).await
    }

    /// As [`Requests::answer`], in the caller's transaction, so that the change and its answer are stored together.
    ///
    /// # Errors
    /// As [`Requests::answer`].
    pub async fn answer_in(
        &self,
        client: &impl GenericClient,
        tenant: &str,
        request_id: Uuid,
        answer: &[u8],
    ) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE requests
               SET answer = $3
             WHERE tenant_id = $1 AND request_id = $2 AND answer IS NULL";
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant, &request_id, &answer]).await?;
        Ok(())
    }

    /// Forgets a request that was refused before anything happened.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away; the id is free again after two minutes.
    pub async fn abandon(&self, tenant: &str, request_id: Uuid) -> Result<(), Error> {
        const SQL: &str = "
            DELETE FROM requests
             WHERE tenant_id = $1 AND request_id = $2 AND answer IS NULL";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant, &request_id]).await?;
        Ok(())
    }

    /// Deletes at most 1,000 requests of all tenants whose time is over, and says how many.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub async fn sweep(&self) -> Result<u64, Error> {
        const SQL: &str = "
            DELETE FROM requests
             WHERE (tenant_id, request_id) IN (
                SELECT tenant_id, request_id
                  FROM requests
                 WHERE expires_at <= clock_timestamp()
                 LIMIT 1000)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.execute(&statement, &[]).await?)
    }
}
