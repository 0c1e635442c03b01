//! Long work as rows: a queue for workers and the answer of `GetOperation` at once.
//!
//! A worker claims a row with `SKIP LOCKED`, gets a lease and a fencing token, and says now and then how far it is, which
//! extends the lease. When it dies, the lease ends and another worker claims the row with a higher token; from then on
//! whatever the first one writes is refused with [`Error::Fenced`]. Leases are measured by the database's clock.
//!
//! Bodies and inputs are bytes: what they mean is the service's business.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{Error, GenericClient, Postgres, audit};

/// The table, as a migration of the service. Never edited once released: a change is a further migration.
pub const SQL: &str = include_str!("operations/operations.sql");

/// The operations of one service. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Operations {
    postgres: Postgres,
}

/// An operation to be made.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// Version 7, so that lists show the newest first.
    pub id: Uuid,
    /// Which worker does it, such as `plan.apply`.
    pub kind: &'a str,
    /// What is worked on, such as `adAccounts/act_1/plans/2`.
    pub resource: &'a str,
    /// What the worker needs to do it: the request, and the subject and scopes that were authorised.
    pub input: &'a [u8],
    /// The encoded operation as callers see it.
    pub body: &'a [u8],
}

/// Work that this process holds until its lease ends.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Whose it is.
    pub tenant: String,
    /// Which one.
    pub id: Uuid,
    /// Which worker does it.
    pub kind: String,
    /// What is worked on.
    pub resource: String,
    /// What the worker needs to do it.
    pub input: Vec<u8>,
    /// The encoded operation as it was left.
    pub body: Vec<u8>,
    /// The fencing token: higher for every claim of this row.
    pub fence: i64,
    /// Which claim this is, from 1.
    pub attempt: i32,
    /// Somebody asked for it to stop.
    pub cancel_requested: bool,
    lease: Duration,
}

/// What the worker should know after it said how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Somebody asked for it to stop.
    pub cancel_requested: bool,
}

/// An operation as callers see it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Which one.
    pub id: Uuid,
    /// Which worker does it.
    pub kind: String,
    /// What is worked on.
    pub resource: String,
    /// The encoded operation.
    pub body: Vec<u8>,
    /// Nothing more will happen.
    pub done: bool,
    /// Somebody asked for it to stop.
    pub cancel_requested: bool,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// Which operations to list, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing<'a> {
    /// Only those of this resource. Empty: all.
    pub resource: &'a str,
    /// Only those that are done, or are not.
    pub done: Option<bool>,
    /// Only those older than this one.
    pub after: Option<Uuid>,
    /// At most so many.
    pub size: usize,
}

impl Operations {
    /// The operations in the schema of `postgres`.
    pub fn new(postgres: Postgres) -> Self {
        Self { postgres }
    }

    /// Accepts work, in the caller's transaction if `client` is one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the tenant has an operation of this id.
    pub async fn create(&self, client: &impl GenericClient, new: New<'_>) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO operations (tenant_id, id, kind, resource, input, body)
            VALUES ($1, $2, $3, $4, $5, $6)";
        let statement = client.prepare_cached(SQL).await?;
        let New { tenant, id, kind, resource, input, body } = new;
        client.execute(&statement, &[&tenant, &id, &kind, &resource, &input, &body]).await?;
        Ok(())
    }

    /// Takes the work that has waited longest among `kinds`, for `lease`. `None` where nothing is due.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: the worker tries again later.
    pub async fn claim(&self, kinds: &[&str], lease: Duration) -> Result<Option<Claimed>, Error> {
        const SQL: &str = "
            WITH due AS (
                SELECT tenant_id, id
                  FROM operations
                 WHERE kind = ANY($1) AND NOT done AND due_at <= clock_timestamp()
                 ORDER BY due_at
                 LIMIT 1
                   FOR UPDATE SKIP LOCKED)
            UPDATE operations AS o
               SET fence = o.fence + 1,
                   attempt = o.attempt + 1,
                   running = true,
                   due_at = clock_timestamp() + $2::bigint * interval '1 millisecond',
                   updated_at = clock_timestamp()
              FROM due
             WHERE o.tenant_id = due.tenant_id AND o.id = due.id
            RETURNING o.tenant_id, o.id, o.kind, o.resource, o.input, o.body, o.fence, o.attempt, o.cancel_requested";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&kinds, &milliseconds(lease)]).await?;
        row.map(|row| claimed(&row, lease)).transpose()
    }

    /// Says how far the work is and extends the lease by its full length.
    ///
    /// # Errors
    /// [`Error::Fenced`] when somebody else has the work: stop at once.
    pub async fn progress(&self, claimed: &Claimed, body: &[u8]) -> Result<Control, Error> {
        const SQL: &str = "
            UPDATE operations
               SET body = $4,
                   due_at = clock_timestamp() + $5::bigint * interval '1 millisecond',
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 AND fence = $3 AND running
            RETURNING cancel_requested";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let Claimed { tenant, id, fence, .. } = claimed;
        let row = client.query_opt(&statement, &[tenant, id, fence, &body, &milliseconds(claimed.lease)]).await?;
        let row = row.ok_or(Error::Fenced)?;
        Ok(Control { cancel_requested: row.try_get(0)? })
    }

    /// Locks the row in the caller's transaction and makes sure that the work is still this worker's, so that what else the
    /// transaction writes is fenced as well.
    ///
    /// # Errors
    /// [`Error::Fenced`] when somebody else has the work: roll back and stop.
    pub async fn hold(&self, client: &impl GenericClient, claimed: &Claimed) -> Result<(), Error> {
        const SQL: &str = "
            SELECT 1
              FROM operations
             WHERE tenant_id = $1 AND id = $2 AND fence = $3 AND running
               FOR UPDATE";
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&claimed.tenant, &claimed.id, &claimed.fence]).await?;
        row.map(|_| ()).ok_or(Error::Fenced)
    }

    /// Ends the work, well or badly: `body` says which.
    ///
    /// # Errors
    /// [`Error::Fenced`] when somebody else has the work: what was done stays, but the other one tells it.
    pub async fn finish(&self, claimed: &Claimed, body: &[u8]) -> Result<(), Error> {
        self.finish_in(&self.postgres.client().await?, claimed, body).await
    }

    /// As [`Operations::finish`], in the caller's transaction.
    ///
    /// # Errors
    /// As [`Operations::finish`].
    pub async fn finish_in(&self, client: &impl GenericClient, claimed: &Claimed, body: &[u8]) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE operations
               SET body = $4,
                   done = true,
                   running = false,
                   updated_at = clock_timestamp(),
                   ended_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 AND fence = $3 AND running";
        let statement = client.prepare_cached(SQL).await?;
        let Claimed { tenant, id, fence, .. } = claimed;
        match client.execute(&statement, &[tenant, id, fence, &body]).await? {
            0 => Err(Error::Fenced),
            _ => Ok(()),
        }
    }

    /// Puts the work back, to be claimed again after `delay`, or at once when it is cancelled meanwhile.
    ///
    /// # Errors
    /// [`Error::Fenced`] when somebody else has the work.
    pub async fn postpone(&self, claimed: &Claimed, delay: Duration, body: &[u8]) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE operations
               SET body = $4,
                   running = false,
                   due_at = CASE
                       WHEN cancel_requested AND NOT $6::boolean THEN clock_timestamp()
                       ELSE clock_timestamp() + $5::bigint * interval '1 millisecond' END,
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 AND fence = $3 AND running";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let Claimed { tenant, id, fence, cancel_requested, .. } = claimed;
        let delay = milliseconds(delay);
        match client.execute(&statement, &[tenant, id, fence, &body, &delay, cancel_requested]).await? {
            0 => Err(Error::Fenced),
            _ => Ok(()),
        }
    }

    /// The tenant's operation, or `None`.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub async fn get(&self, tenant: &str, id: Uuid) -> Result<Option<Stored>, Error> {
        const SQL: &str = "
            SELECT id, kind, resource, body, done, cancel_requested, created_at, updated_at
              FROM operations
             WHERE tenant_id = $1 AND id = $2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant, &id]).await?;
        row.as_ref().map(Stored::try_from).transpose()
    }

    /// The tenant's operations, newest first.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub async fn list(&self, tenant: &str, listing: Listing<'_>) -> Result<Vec<Stored>, Error> {
        const SQL: &str = "
            SELECT id, kind, resource, body, done, cancel_requested, created_at, updated_at
              FROM operations
             WHERE tenant_id = $1
               AND ($2::text = '' OR resource = $2)
               AND ($3::boolean IS NULL OR done = $3)
               AND ($4::uuid IS NULL OR id < $4)
             ORDER BY id DESC
             LIMIT $5";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let Listing { resource, done, after, size } = listing;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let rows = client.query(&statement, &[&tenant, &resource, &done, &after, &size]).await?;
        rows.iter().map(Stored::try_from).collect()
    }

    /// Asks for the operation to stop and wakes it if it waits. One that is done stays as it is. `None` where the entry's
    /// tenant has no such operation. The first who asks is in the audit, in the same transaction.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub async fn cancel(&self, id: Uuid, entry: audit::Entry<'_>) -> Result<Option<Stored>, Error> {
        const SQL: &str = "
            WITH before AS (
                SELECT tenant_id, id, NOT done AND NOT cancel_requested AS is_first
                  FROM operations
                 WHERE tenant_id = $1 AND id = $2
                   FOR UPDATE)
            UPDATE operations AS o
               SET cancel_requested = o.cancel_requested OR NOT o.done,
                   due_at = CASE WHEN o.running OR o.done THEN o.due_at ELSE least(o.due_at, clock_timestamp()) END,
                   updated_at = CASE WHEN o.done THEN o.updated_at ELSE clock_timestamp() END
              FROM before
             WHERE o.tenant_id = before.tenant_id AND o.id = before.id
            RETURNING o.id, o.kind, o.resource, o.body, o.done, o.cancel_requested, o.created_at, o.updated_at,
                      before.is_first";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let Some(row) = transaction.query_opt(&statement, &[&entry.tenant, &id]).await? else { return Ok(None) };
        if row.try_get("is_first")? {
            audit::append(&transaction, entry).await?;
        }
        let stored = Stored::try_from(&row)?;
        transaction.commit().await?;
        Ok(Some(stored))
    }

    /// Deletes at most 1,000 operations of all tenants that ended longer ago than `age`, and says how many.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub async fn sweep(&self, age: Duration) -> Result<u64, Error> {
        const SQL: &str = "
            DELETE FROM operations
             WHERE (tenant_id, id) IN (
                SELECT tenant_id, id
                  FROM operations
                 WHERE done AND ended_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
                 LIMIT 1000)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.execute(&statement, &[&milliseconds(age)]).await?)
    }
}

/// Whole milliseconds, which the statements multiply an interval by.
fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn claimed(row: &Row, lease: Duration) -> Result<Claimed, Error> {
    Ok(Claimed {
        tenant: row.try_get("tenant_id")?,
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        resource: row.try_get("resource")?,
        input: row.try_get("input")?,
        body: row.try_get("body")?,
        fence: row.try_get("fence")?,
        attempt: row.try_get("attempt")?,
        cancel_requested: row.try_get("cancel_requested")?,
        lease,
    })
}

impl TryFrom<&Row> for Stored {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.try_get("id")?,
            kind: row.try_get("kind")?,
            resource: row.try_get("resource")?,
            body: row.try_get("body")?,
            done: row.try_get("done")?,
            cancel_requested: row.try_get("cancel_requested")?,
            created: row.try_get("created_at")?,
            updated: row.try_get("updated_at")?,
        })
    }
}
