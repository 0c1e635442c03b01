//! What happened to buckets, in one order.

use jiff::Timestamp;
use storage::{GenericClient, Transaction};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{History, execute, get, millis, number, timestamp};
use crate::error::Error;
use crate::trail::{Blame, Event, EventKind};

/// As many events as one look reads.
const READ_MAX: i64 = 50;

/// An event with its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) sequence: i64,
    pub(crate) event: Event,
}

/// Adds one; the row of the order is locked until the commit. A closing that is there already stays as it is.
pub(crate) async fn append(transaction: &Transaction<'_>, event: &Event) -> Result<(), Error> {
    const SQL: &str = "
        WITH tick AS (
            UPDATE quota_event_clock
               SET sequence = sequence + 1
            RETURNING sequence)
        INSERT INTO quota_events
               (tenant_id, sequence, happened_at, app, bucket, kind, code, subcode, trace_id, until_ms, others, percent,
                words)
        SELECT $1, sequence, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
          FROM tick
            ON CONFLICT DO NOTHING";
    let (code, subcode) = (i64::from(event.code), i64::from(event.blame.subcode));
    let values: [&(dyn ToSql + Sync); 12] = [
        &event.blame.tenant,
        &timestamp(event.at_ms)?,
        &number(event.app),
        &event.bucket,
        &event.kind.number(),
        &code,
        &subcode,
        &event.blame.trace_id,
        &event.until_ms,
        &event.others,
        &i64::from(event.percent),
        &event.words,
    ];
    execute(transaction, SQL, &values).await
}

pub(super) async fn sweep(client: &impl GenericClient, before: Timestamp) -> Result<(), Error> {
    const SQL: &str = "
        WITH gone AS (
            DELETE FROM quota_events
             WHERE happened_at < $1
            RETURNING sequence)
        UPDATE quota_event_clock AS c
           SET oldest = greatest(c.oldest, (SELECT coalesce(max(sequence), 0) + 1 FROM gone))";
    execute(client, SQL, &[&before]).await
}

impl History {
    /// What happened to these buckets between two moments, the newest first.
    pub(crate) async fn events(&self, buckets: &[String], from_ms: i64, until_ms: i64) -> Result<Vec<Told>, Error> {
        const SQL: &str = "
            SELECT *
              FROM quota_events
             WHERE bucket = ANY ($1)
               AND happened_at >= $2
               AND happened_at < $3
             ORDER BY sequence DESC
             LIMIT $4";
        let client = self.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let values: [&(dyn ToSql + Sync); 4] = [&buckets, &timestamp(from_ms)?, &timestamp(until_ms)?, &READ_MAX];
        client.query(&statement, &values).await?.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<Told, Error> {
    let narrow = |name| get::<i64>(row, name).map(|number| u32::try_from(number).unwrap_or_default());
    let event = Event {
        at_ms: millis(get(row, "happened_at")?),
        app: u64::try_from(get::<i64>(row, "app")?).unwrap_or_default(),
        bucket: get(row, "bucket")?,
        kind: EventKind::from_number(get(row, "kind")?).ok_or(Error::Corrupt("an event"))?,
        code: narrow("code")?,
        blame: Blame { tenant: get(row, "tenant_id")?, subcode: narrow("subcode")?, trace_id: get(row, "trace_id")? },
        until_ms: get(row, "until_ms")?,
        others: get(row, "others")?,
        percent: narrow("percent")?,
        words: get(row, "words")?,
    };
    Ok(Told { sequence: get(row, "sequence")?, event })
}
