//! Events come in: one statement for a whole request.

use std::collections::HashMap;

use jiff::Timestamp;
use storage::Error;
use tokio_postgres::types::ToSql;
use uuid::Uuid;
use vocabulary::ids::{DatasetId, TenantId};

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
    /// It is in.
    New,
    /// The same request brought it earlier; it stands so now.
    Repeated(EventState),
    /// Another request brought it.
    Known,
}

impl Store {
    /// Stores the events that are new and counts the others. When this returns, they are durable.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: none or all were stored, and a repeat is safe.
    pub(crate) async fn ingest(&self, batch: Batch<'_>) -> Result<HashMap<(String, String), Ingested>, Error> {
        // The rows are inserted in the order of their key, so that two requests with the same events wait for each
        // other instead of locking each other out. `xmax` is 0 only in a row that this statement made.
        const SQL: &str = "
            WITH lane AS (
                INSERT INTO lanes (tenant_id, dataset_id)
                VALUES ($1, $2)
                ON CONFLICT DO NOTHING)
            INSERT INTO events AS e
                   (tenant_id, dataset_id, subject, receive_time, request_id, test_event_code,
                    event_name, event_id, event_time, deadline_time, payload)
            SELECT $1, $2, $3, $4, $5, $6, given.*
              FROM unnest($7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[])
                   AS given (event_name, event_id, event_time, deadline_time, payload)
             ORDER BY given.event_name, given.event_id
            ON CONFLICT (tenant_id, dataset_id, event_name, event_id) DO UPDATE
               SET deduplicated = e.deduplicated
                   + CASE WHEN e.request_id = EXCLUDED.request_id THEN 0 ELSE 1 END
            RETURNING e.event_name, e.event_id, e.state, e.xmax = 0 AS is_new,
                      coalesce(e.request_id = $5, false) AS is_repeat";
        let column = |of: fn(&Checked) -> &str| batch.events.iter().map(|event| of(event)).collect::<Vec<_>>();
        let names = column(|event| &event.event_name);
        let ids = column(|event| &event.event_id);
        let payloads = column(|event| &event.payload);
        let times: Vec<Timestamp> = batch.events.iter().map(|event| event.event_time).collect();
        let deadlines: Vec<Timestamp> = batch.events.iter().map(|event| event.deadline).collect();
        let (tenant, dataset) = (batch.tenant.as_str(), dataset_key(batch.dataset));
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
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
        let rows = client.query(&statement, &parameters).await?;
        let mut known = HashMap::with_capacity(rows.len());
        for row in &rows {
            let is_new: bool = row.try_get("is_new")?;
            let is_repeat: bool = row.try_get("is_repeat")?;
            let ingested = match (is_new, is_repeat) {
                (true, _) => Ingested::New,
                (false, true) => Ingested::Repeated(EventState::of_number(row.try_get("state")?)),
                (false, false) => Ingested::Known,
            };
            known.insert((row.try_get("event_name")?, row.try_get("event_id")?), ingested);
        }
        Ok(known)
    }
}
