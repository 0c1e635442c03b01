//! Parts of an upload: sealed rows, and what was wrong with which.

use jiff::Timestamp;
use serde_json::json;
use storage::{Error, GenericClient, audit};
use tokio_postgres::types::ToSql;
use uuid::Uuid;
use vocabulary::ids::TenantId;

use super::{Store, entry};

/// A part to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewPart {
    /// Who brought it.
    pub(crate) actor: String,
    /// Its job's name, for the audit.
    pub(crate) resource: String,
    /// Its number.
    pub(crate) sequence: i64,
    /// Rows that came.
    pub(crate) rows: usize,
    /// Good ones.
    pub(crate) accepted: usize,
    /// Fields left out of good ones.
    pub(crate) dropped: usize,
    /// Which keys occur.
    pub(crate) keys: u16,
    /// The good ones, sealed.
    pub(crate) sealed: Vec<u8>,
    /// What was wrong.
    pub(crate) errors: Vec<NewError>,
}

/// One thing wrong with a row of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewError {
    /// The row's place in its part, from 0.
    pub(crate) row: usize,
    /// The field; empty where it is the row as a whole.
    pub(crate) field: &'static str,
    /// Why.
    pub(crate) reason: &'static str,
    /// The row was refused; else it was taken without the field.
    pub(crate) row_rejected: bool,
}

/// What came of storing a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It is in; its first row has this place in the job.
    New {
        /// From 0.
        first_row: i64,
    },
    /// It was in before.
    Before,
    /// Another is expected.
    Gap {
        /// This one.
        next_sequence: i64,
    },
    /// The job takes no rows any more.
    Closed,
    /// The job has as many rows as it may.
    Full,
    /// There is no such job.
    Missing,
}

/// A part that was stored before, as its first answer told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredPart {
    /// Its number.
    pub(crate) sequence: i64,
    /// The place of its first row in the job.
    pub(crate) first_row: i64,
    /// Rows that came.
    pub(crate) rows: i32,
    /// Good ones.
    pub(crate) accepted: i32,
}

/// One thing wrong with a row of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredError {
    /// The row's place in the job, from 0.
    pub(crate) row: i64,
    /// Which of the row's errors, from 0.
    pub(crate) number: i32,
    /// The field.
    pub(crate) field: String,
    /// Why.
    pub(crate) reason: String,
    /// The row was refused.
    pub(crate) row_rejected: bool,
}

impl Store {
    /// Stores a part if it is the one that is expected, and says so in the audit: how many people, never whom. The job's row
    /// is locked, so that parts count once however many streams send them.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: ask for the next sequence and send again.
    pub(crate) async fn store_part(
        &self,
        tenant: &TenantId,
        job: Uuid,
        part: &NewPart,
        rows_max: i64,
        now: Timestamp,
    ) -> Result<Stored, Error> {
        const LOCK: &str = "
            SELECT state, next_sequence, rows_seen
              FROM member_jobs
             WHERE tenant_id = $1 AND id = $2
               FOR UPDATE";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(LOCK).await?;
        let Some(row) = transaction.query_opt(&statement, &[&tenant.as_str(), &job]).await? else {
            return Ok(Stored::Missing);
        };
        let (state, next_sequence, first_row): (&str, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let rows = i64::try_from(part.rows).unwrap_or(i64::MAX);
        if part.sequence < next_sequence {
            return Ok(Stored::Before);
        }
        if state != "open" {
            return Ok(Stored::Closed);
        }
        if part.sequence > next_sequence {
            return Ok(Stored::Gap { next_sequence });
        }
        if first_row.saturating_add(rows) > rows_max {
            return Ok(Stored::Full);
        }
        insert(&transaction, tenant.as_str(), job, part, first_row).await?;
        count(&transaction, tenant.as_str(), job, part, now).await?;
        let detail = json!({ "sequence": part.sequence, "rows": part.rows, "accepted": part.accepted });
        let entry = entry(tenant.as_str(), &part.actor, "member_job.append", &part.resource, None, detail);
        audit::append(&transaction, entry).await?;
        transaction.commit().await?;
        Ok(Stored::New { first_row })
    }

    /// A stored part. `None` where there is none, or its rows were erased.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn part(&self, tenant: &TenantId, job: Uuid, sequence: i64) -> Result<Option<StoredPart>, Error> {
        const SQL: &str = "
            SELECT sequence, first_row, rows, accepted
              FROM member_parts
             WHERE tenant_id = $1 AND job_id = $2 AND sequence = $3";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &job, &sequence]).await?;
        row.as_ref().map(StoredPart::try_from).transpose()
    }

    /// All parts of a job without their rows, in order.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn parts(&self, tenant: &TenantId, job: Uuid) -> Result<Vec<StoredPart>, Error> {
        const SQL: &str = "
            SELECT sequence, first_row, rows, accepted
              FROM member_parts
             WHERE tenant_id = $1 AND job_id = $2
             ORDER BY sequence";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.query(&statement, &[&tenant.as_str(), &job]).await?.iter().map(StoredPart::try_from).collect()
    }

    /// The sealed rows of some parts, in order, each with its sequence.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn sealed(
        &self,
        tenant: &TenantId,
        job: Uuid,
        first: i64,
        last: i64,
    ) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        const SQL: &str = "
            SELECT sequence, sealed
              FROM member_parts
             WHERE tenant_id = $1 AND job_id = $2 AND sequence BETWEEN $3 AND $4
             ORDER BY sequence";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let rows = client.query(&statement, &[&tenant.as_str(), &job, &first, &last]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// What was wrong with the rows of a job, in their order, after a row and number.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn errors(
        &self,
        tenant: &TenantId,
        job: Uuid,
        row_rejected: Option<bool>,
        after: (i64, i32),
        size: usize,
    ) -> Result<Vec<StoredError>, Error> {
        const SQL: &str = "
            SELECT row, number, field, reason, row_rejected
              FROM member_errors
             WHERE tenant_id = $1 AND job_id = $2
               AND ($3::boolean IS NULL OR row_rejected = $3)
               AND (row, number) > ($4, $5)
             ORDER BY row, number
             LIMIT $6";
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let parameters: [&(dyn ToSql + Sync); 6] = [&tenant.as_str(), &job, &row_rejected, &after.0, &after.1, &size];
        let rows = client.query(&statement, &parameters).await?;
        let read = |row: &tokio_postgres::Row| {
            Ok(StoredError {
                row: row.try_get("row")?,
                number: row.try_get("number")?,
                field: row.try_get("field")?,
                reason: row.try_get("reason")?,
                row_rejected: row.try_get("row_rejected")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

async fn insert(
    client: &impl GenericClient,
    tenant: &str,
    job: Uuid,
    part: &NewPart,
    first_row: i64,
) -> Result<(), Error> {
    const PART: &str = "
        INSERT INTO member_parts (tenant_id, job_id, sequence, first_row, rows, accepted, sealed)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    const ERRORS: &str = "
        INSERT INTO member_errors (tenant_id, job_id, row, number, field, reason, row_rejected)
        SELECT $1, $2, given.*
          FROM unnest($3::bigint[], $4::integer[], $5::text[], $6::text[], $7::boolean[])
               AS given (row, number, field, reason, row_rejected)";
    let statement = client.prepare_cached(PART).await?;
    let (rows, accepted) = (small(part.rows), small(part.accepted));
    let parameters: [&(dyn ToSql + Sync); 7] =
        [&tenant, &job, &part.sequence, &first_row, &rows, &accepted, &part.sealed];
    client.execute(&statement, &parameters).await?;
    if part.errors.is_empty() {
        return Ok(());
    }
    let place = |error: &NewError| first_row + i64::from(small(error.row));
    let rows: Vec<i64> = part.errors.iter().map(place).collect();
    let mut numbers: Vec<i32> = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| Some((rows.get(at)?, numbers.get(at)?)));
        numbers.push(before.filter(|(other, _)| *other == row).map_or(0, |(_, number)| number + 1));
    }
    let fields: Vec<&str> = part.errors.iter().map(|error| error.field).collect();
    let reasons: Vec<&str> = part.errors.iter().map(|error| error.reason).collect();
    let rejected: Vec<bool> = part.errors.iter().map(|error| error.row_rejected).collect();
    let statement = client.prepare_cached(ERRORS).await?;
    let parameters: [&(dyn ToSql + Sync); 7] = [&tenant, &job, &rows, &numbers, &fields, &reasons, &rejected];
    client.execute(&statement, &parameters).await?;
    Ok(())
}

async fn count(
    client: &impl GenericClient,
    tenant: &str,
    job: Uuid,
    part: &NewPart,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE member_jobs
           SET next_sequence = next_sequence + 1,
               rows_seen = rows_seen + $3,
               rows_accepted = rows_accepted + $4,
               rows_rejected = rows_rejected + $3 - $4,
               fields_dropped = fields_dropped + $5,
               keys = keys | $6,
               update_time = $7
         WHERE tenant_id = $1 AND id = $2";
    let statement = client.prepare_cached(SQL).await?;
    let (rows, accepted, dropped) =
        (i64::from(small(part.rows)), i64::from(small(part.accepted)), i64::from(small(part.dropped)));
    let keys = i32::from(part.keys);
    let parameters: [&(dyn ToSql + Sync); 7] = [&tenant, &job, &rows, &accepted, &dropped, &keys, &now];
    client.execute(&statement, &parameters).await?;
    Ok(())
}

/// Parts have at most a thousand rows.
fn small(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl TryFrom<&tokio_postgres::Row> for StoredPart {
    type Error = Error;

    fn try_from(row: &tokio_postgres::Row) -> Result<Self, Error> {
        Ok(Self {
            sequence: row.try_get("sequence")?,
            first_row: row.try_get("first_row")?,
            rows: row.try_get("rows")?,
            accepted: row.try_get("accepted")?,
        })
    }
}
