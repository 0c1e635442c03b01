//! The history of use in PostgreSQL: sums by the minute, refusals, and what happened to buckets.

use jiff::Timestamp;
use storage::{GenericClient, Postgres};
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Row, Statement};

use super::Reason;
use crate::error::Error;
use crate::trail::{Event, Refusals, RefusedKey, Sums, Usage, UsageKey};

mod asked;
mod events;

pub(crate) use asked::{Columns, Group, Losses, RefusedRow, Spent, Step, UsageQuery, UsageRow, Viewer};
pub(crate) use events::Told;
pub(super) use events::append as append_event;

/// As many rows as one statement writes.
const ROWS_MAX: usize = 2_000;
/// As many rows as one statement sweeps.
const SWEPT_AT_ONCE: i64 = 10_000;

/// The tables of the trail. Clones share a pool.
#[derive(Clone)]
pub(crate) struct History(Postgres);

impl History {
    pub(crate) fn new(postgres: Postgres) -> Self {
        Self(postgres)
    }

    async fn client(&self) -> Result<storage::Client, Error> {
        self.0.client().await.map_err(Error::Postgres)
    }

    /// Adds sums to what is there, all or none. In the order of their keys, so that replicas do not lock each other out.
    pub(crate) async fn write(&self, sums: &Sums) -> Result<(), Error> {
        if sums.is_empty() {
            return Ok(());
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let mut usage: Vec<(&UsageKey, &Usage)> = sums.usage.iter().collect();
        usage.sort_by(|one, other| one.0.cmp(other.0));
        for rows in usage.chunks(ROWS_MAX) {
            write_usage(&transaction, rows).await?;
        }
        let mut refused: Vec<(&RefusedKey, &Refusals)> = sums.refused.iter().collect();
        refused.sort_by(|one, other| one.0.cmp(other.0));
        for rows in refused.chunks(ROWS_MAX) {
            write_refused(&transaction, rows).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Adds events in the order of all. What another replica noticed too is there once.
    pub(crate) async fn add_events(&self, events: &[Event]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        for event in events {
            events::append(&transaction, event).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Removes what is older than a moment.
    pub(crate) async fn sweep(&self, before_ms: i64) -> Result<(), Error> {
        const USAGE: &str = "
            DELETE FROM usage_minutes
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage_minutes WHERE minute < $1 LIMIT $2))";
        const REFUSED: &str = "
            DELETE FROM refused_minutes
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM refused_minutes WHERE minute < $1 LIMIT $2))";
        let client = self.client().await?;
        let before = timestamp(before_ms)?;
        for sql in [USAGE, REFUSED] {
            while client.execute(sql, &[&before, &SWEPT_AT_ONCE]).await? > 0 {}
        }
        events::sweep(&client, before).await
    }
}

async fn write_usage(client: &impl GenericClient, rows: &[(&UsageKey, &Usage)]) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO usage_minutes AS u
               (tenant_id, minute, app, subject, use_case, caller, purpose, call, priority, code,
                calls, points, refused, answers, waited_ms, longest_ms)
        SELECT *
          FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                      $8::text[], $9::smallint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
                      $14::bigint[], $15::bigint[], $16::bigint[])
            ON CONFLICT (tenant_id, minute, app, subject, use_case, caller, purpose, call, priority, code)
            DO UPDATE
           SET calls = u.calls + EXCLUDED.calls,
               points = u.points + EXCLUDED.points,
               refused = u.refused + EXCLUDED.refused,
               answers = u.answers + EXCLUDED.answers,
               waited_ms = u.waited_ms + EXCLUDED.waited_ms,
               longest_ms = greatest(u.longest_ms, EXCLUDED.longest_ms)";
    let minutes = rows.iter().map(|(key, _)| timestamp(key.minute_ms)).collect::<Result<Vec<_>, _>>()?;
    let values: [&(dyn ToSql + Sync); 16] = [
        &column(rows, |key, _| key.origin.tenant.as_str()),
        &minutes,
        &column(rows, |key, _| number(key.app)),
        &column(rows, |key, _| key.origin.subject.as_str()),
        &column(rows, |key, _| key.origin.use_case.as_str()),
        &column(rows, |key, _| key.origin.caller.as_str()),
        &column(rows, |key, _| key.origin.purpose.as_str()),
        &column(rows, |key, _| key.origin.call.as_str()),
        &column(rows, |key, _| small(key.origin.priority)),
        &column(rows, |key, _| i64::from(key.code)),
        &column(rows, |_, usage| usage.calls),
        &column(rows, |_, usage| usage.points),
        &column(rows, |_, usage| usage.refused),
        &column(rows, |_, usage| usage.answers),
        &column(rows, |_, usage| usage.waited_ms),
        &column(rows, |_, usage| usage.longest_ms),
    ];
    execute(client, SQL, &values).await
}

async fn write_refused(client: &impl GenericClient, rows: &[(&RefusedKey, &Refusals)]) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO refused_minutes AS r
               (tenant_id, minute, app, subject, bucket, reason, priority, caller, call, refused, last, delay_ms)
        SELECT *
          FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::smallint[],
                      $7::smallint[], $8::text[], $9::text[], $10::bigint[], $11::timestamptz[], $12::bigint[])
            ON CONFLICT (tenant_id, minute, app, subject, bucket, reason, priority, caller, call)
            DO UPDATE
           SET refused = r.refused + EXCLUDED.refused,
               delay_ms = CASE WHEN EXCLUDED.last >= r.last THEN EXCLUDED.delay_ms ELSE r.delay_ms END,
               last = greatest(r.last, EXCLUDED.last)";
    let minutes = rows.iter().map(|(key, _)| timestamp(key.minute_ms)).collect::<Result<Vec<_>, _>>()?;
    let lasts = rows.iter().map(|(_, refusals)| timestamp(refusals.last_ms)).collect::<Result<Vec<_>, _>>()?;
    let values: [&(dyn ToSql + Sync); 12] = [
        &column(rows, |key, _| key.tenant.as_str()),
        &minutes,
        &column(rows, |key, _| number(key.app)),
        &column(rows, |key, _| key.subject.as_str()),
        &column(rows, |key, _| key.bucket.as_str()),
        &column(rows, |key, _| key.reason.number()),
        &column(rows, |key, _| small(key.priority)),
        &column(rows, |key, _| key.caller.as_str()),
        &column(rows, |key, _| key.call.as_str()),
        &column(rows, |_, refusals| refusals.count),
        &lasts,
        &column(rows, |_, refusals| refusals.delay_ms),
    ];
    execute(client, SQL, &values).await
}

async fn execute(client: &impl GenericClient, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
    let statement: Statement = client.prepare_cached(sql).await?;
    client.execute(&statement, values).await?;
    Ok(())
}

fn column<'a, K, V, T>(rows: &'a [(&'a K, &'a V)], of: impl Fn(&'a K, &'a V) -> T) -> Vec<T> {
    rows.iter().map(|(key, value)| of(key, value)).collect()
}

impl Reason {
    const ALL: [Self; 7] =
        [Self::Ceiling, Self::Pace, Self::Closed, Self::Gate, Self::CountersLost, Self::CostAboveCeiling, Self::Frozen];

    /// As the scripts and the proto number it.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Ceiling => 1,
            Self::Pace => 2,
            Self::Closed => 3,
            Self::Gate => 4,
            Self::CountersLost => 5,
            Self::CostAboveCeiling => 6,
            Self::Frozen => 7,
        }
    }

    fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }
}

/// Meta's ids are far below the end of the range.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn small(value: i32) -> i16 {
    i16::try_from(value).unwrap_or(i16::MAX)
}

/// Fails for what no calendar has, which no clock of ours says.
pub(super) fn timestamp(ms: i64) -> Result<Timestamp, Error> {
    Timestamp::from_millisecond(ms).map_err(|_| Error::Corrupt("a moment"))
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, name: &str) -> Result<T, Error> {
    Ok(row.try_get(name)?)
}
