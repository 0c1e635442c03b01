//! Events come in: one statement for a whole request, and one entry in the audit.
//!
//! A dead letter that Meta surely does not have is repaired by sending it anew: it takes the new content and waits again.
//! One whose answers were lost stays dead, since Meta may have counted it.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::json;
use storage::{Error, Transaction, audit};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;
use vocabulary::{
    ids::{DatasetId, TenantId},
    names,
};

use super::{EventState, Store, dataset_key};
use crate::check::Checked;

/// Events of one request. No two of them have the same name and id.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// Whose they are.
    pub(crate) tenant: &'a TenantId,
    /// Where they go.
    pub(crate) dataset: DatasetId,
    /// Who was authorised.
    pub(crate) subject: &'a str,
    /// The moment of acceptance.
    pub(crate) now: Timestamp,
    /// The caller's key of the request, where there is one.
    pub(crate) request_id: Option<Uuid>,
    /// Meta's code of the test tab, where there is one.
    pub(crate) test_event_code: Option<&'a str>,
    /// The events.
    pub(crate) events: &'a [&'a Checked],
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ingested {
    /// It is in, for the first time or in place of a dead letter.
    New,
    /// The same request brought it earlier; it stands so now.
    Repeated(EventState),
    /// Another request brought it.
    Known,
    /// Another request brought it, its answers were lost, and it was given up: once more could count it twice.
    Lost,
}

impl Store {
    /// Stores the events that are new and counts the others. When this returns, they are durable, and where any was new the
    /// audit says who brought how many of them: one entry for the request, and nothing of what is in them.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: none or all were stored, and a repeat is safe.
    pub(crate) async fn ingest(&self, batch: Batch<'_>) -> Result<HashMap<(String, String), Ingested>, Error> {
        // The rows are locked and inserted in the order of their key, so that two requests with the same events wait for
        // each other instead of locking each other out. `xmax` is 0 only in a row that this statement made. A repeat of
        // the very request that brought a dead letter brings nothing new, and repairs nothing.
        const SQL: &str = "
            WITH lane AS (
                INSERT INTO lanes (tenant_id, dataset_id)
                VALUES ($1, $2)
                ON CONFLICT DO NOTHING),
            given AS (
                SELECT *
                  FROM unnest($7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[])
                       AS given (event_name, event_id, event_time, deadline_time, payload)),
            dead AS (
                SELECT e.event_name, e.event_id
                  FROM events AS e
                  JOIN given ON given.event_name = e.event_name AND given.event_id = e.event_id
                 WHERE e.tenant_id = $1 AND e.dataset_id = $2
                   AND e.state = 3 AND e.unknown_time IS NULL
                   AND coalesce(e.request_id <> $5, true)
                 ORDER BY e.event_name, e.event_id
                   FOR UPDATE OF e),
            repaired AS (
                UPDATE events AS e
                   SET state = 0,
                       subject = $3,
                       receive_time = $4,
                       request_id = $5,
                       test_event_code = $6,
                       event_time = given.event_time,
                       deadline_time = given.deadline_time,
                       payload = given.payload,
                       next_attempt_time = clock_timestamp(),
                       attempts = 0,
                       send_time = NULL,
                       error = NULL,
                       fbtrace_id = NULL
                  FROM given
                  JOIN dead ON dead.event_name = given.event_name AND dead.event_id = given.event_id
                 WHERE e.tenant_id = $1 AND e.dataset_id = $2
                   AND e.event_name = given.event_name AND e.event_id = given.event_id
                RETURNING e.event_name, e.event_id),
            stored AS (
                INSERT INTO events AS e
                       (tenant_id, dataset_id, subject, receive_time, request_id, test_event_code,
                        event_name, event_id, event_time, deadline_time, payload)
                SELECT $1, $2, $3, $4, $5, $6, given.*
                  FROM given
                 WHERE NOT EXISTS (
                       SELECT 1
                         FROM repaired
                        WHERE repaired.event_name = given.event_name AND repaired.event_id = given.event_id)
                 ORDER BY given.event_name, given.event_id
                ON CONFLICT (tenant_id, dataset_id, event_name, event_id) DO UPDATE
                   SET deduplicated = e.deduplicated
                       + CASE WHEN e.request_id = EXCLUDED.request_id THEN 0 ELSE 1 END
                RETURNING e.event_name, e.event_id, e.state, e.xmax = 0 AS is_new,
                          coalesce(e.request_id = $5, false) AS is_repeat,
                          e.state = 3 AND e.unknown_time IS NOT NULL AS is_lost)
            SELECT event_name, event_id, state, is_new, is_repeat, is_lost
              FROM stored
             UNION ALL
            SELECT event_name, event_id, 0::smallint, true, false, false
              FROM repaired";
        let column = |of: fn(&Checked) -> &str| batch.events.iter().map(|event| of(event)).collect::<Vec<_>>();
        let names = column(|event| &event.event_name);
        let ids = column(|event| &event.event_id);
        let payloads = column(|event| &event.payload);
        let times: Vec<Timestamp> = batch.events.iter().map(|event| event.event_time).collect();
        let deadlines: Vec<Timestamp> = batch.events.iter().map(|event| event.deadline).collect();
        let (tenant, dataset) = (batch.tenant.as_str(), dataset_key(batch.dataset));
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let parameters: [&(dyn ToSql + Sync); 11] = [
            &tenant,
            &dataset,
            &batch.subject,
            &batch.now,
            &batch.request_id,
            &batch.test_event_code,
            &names,
            &ids,
            &times,
            &deadlines,
            &payloads,
        ];
        let rows = transaction.query(&statement, &parameters).await?;
        let mut known = HashMap::with_capacity(rows.len());
        for row in &rows {
            known.insert((row.try_get("event_name")?, row.try_get("event_id")?), Ingested::try_from(row)?);
        }
        tell(&transaction, batch, &known).await?;
        transaction.commit().await?;
        Ok(known)
    }
}

impl TryFrom<&Row> for Ingested {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let is_new: bool = row.try_get("is_new")?;
        let is_repeat: bool = row.try_get("is_repeat")?;
        Ok(match (is_new, is_repeat) {
            (true, _) => Self::New,
            (false, true) => Self::Repeated(EventState::of_number(row.try_get("state")?)),
            (false, false) if row.try_get("is_lost")? => Self::Lost,
            (false, false) => Self::Known,
        })
    }
}

/// Who brought how many new events, in the audit; nothing of what is in them.
async fn tell(
    transaction: &Transaction<'_>,
    batch: Batch<'_>,
    known: &HashMap<(String, String), Ingested>,
) -> Result<(), Error> {
    let new = known.values().filter(|ingested| **ingested == Ingested::New).count();
    if new == 0 {
        return Ok(());
    }
    let entry = audit::Entry {
        tenant: batch.tenant.as_str(),
        actor: batch.subject,
        action: "events.accept",
        resource: &names::of_dataset(batch.dataset),
        request_id: batch.request_id,
        detail: json!({ "events": new, "known": known.len() - new }),
    };
    audit::append(transaction, entry).await.map(drop)
}
