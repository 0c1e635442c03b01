//! Events go out: claims, and what became of them.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::json;
use storage::{Error, audit};
use tokio_postgres::{Row, types::ToSql};
use vocabulary::{
    ids::{DatasetId, TenantId},
    names,
};

use super::{Store, dataset_key, milliseconds};

/// Events of one dataset that this process alone may send until the lease ends.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// Whose they are.
    pub(crate) tenant: TenantId,
    /// Where they go.
    pub(crate) dataset: DatasetId,
    /// The fencing token: higher for every claim.
    pub(crate) fence: i64,
    /// The events, those that waited longest first.
    pub(crate) events: Vec<Waiting>,
}

/// One event to be sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Its name.
    pub(crate) event_name: String,
    /// Its id.
    pub(crate) event_id: String,
    /// When Meta takes it no more.
    pub(crate) deadline: Timestamp,
    /// Which try this is, from 1.
    pub(crate) attempt: i32,
    /// The first try whose answer was lost.
    pub(crate) unknown_since: Option<Timestamp>,
    /// Meta's code of the test tab.
    pub(crate) test_event_code: Option<String>,
    /// Meta's JSON.
    pub(crate) payload: String,
}

/// Without the payload, which tells of a person.
impl std::fmt::Debug for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Waiting")
            .field("event_name", &self.event_name)
            .field("event_id", &self.event_id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Takes up to `size` due events of the dataset whose turn it is: of those that do not rest, the one that was served
    /// longest ago, so that a flood into one dataset does not hold up the others. `None` where nothing is due.
    ///
    /// An event whose lease ended while it was being sent had its answer lost: its holder died, or could not write it down.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn claim(&self, size: usize, lease: Duration) -> Result<Option<Claim>, Error> {
        const SQL: &str = "
            WITH lane AS (
                SELECT l.tenant_id, l.dataset_id
                  FROM lanes AS l
                 WHERE l.paused_until <= clock_timestamp()
                   AND EXISTS (
                       SELECT 1
                         FROM events AS e
                        WHERE e.tenant_id = l.tenant_id AND e.dataset_id = l.dataset_id
                          AND e.state < 2 AND e.next_attempt_time <= clock_timestamp())
                 ORDER BY l.served_time
                 LIMIT 1
                   FOR UPDATE OF l SKIP LOCKED),
            turn AS (
                UPDATE lanes AS l
                   SET served_time = clock_timestamp()
                  FROM lane
                 WHERE l.tenant_id = lane.tenant_id AND l.dataset_id = lane.dataset_id
                RETURNING l.tenant_id, l.dataset_id, nextval('fences') AS fence),
            due AS (
                SELECT e.tenant_id, e.dataset_id, e.event_name, e.event_id, turn.fence
                  FROM events AS e
                  JOIN turn ON turn.tenant_id = e.tenant_id AND turn.dataset_id = e.dataset_id
                 WHERE e.state < 2 AND e.next_attempt_time <= clock_timestamp()
                 ORDER BY e.next_attempt_time
                 LIMIT $1
                   FOR UPDATE OF e SKIP LOCKED)
            UPDATE events AS e
               SET state = 1,
                   fence = due.fence,
                   attempts = e.attempts + 1,
                   unknown_time = CASE WHEN e.state = 1 THEN coalesce(e.unknown_time, e.send_time)
                                       ELSE e.unknown_time END,
                   send_time = clock_timestamp(),
                   next_attempt_time = clock_timestamp() + $2::bigint * interval '1 millisecond'
              FROM due
             WHERE e.tenant_id = due.tenant_id AND e.dataset_id = due.dataset_id
               AND e.event_name = due.event_name AND e.event_id = due.event_id
            RETURNING e.tenant_id, e.dataset_id, e.fence, e.event_name, e.event_id, e.deadline_time, e.attempts,
                      e.unknown_time, e.test_event_code, coalesce(e.payload, '') AS payload";
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let rows = client.query(&statement, &[&size, &milliseconds(lease)]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let malformed = |_| Error::Broken("a lane has no id of ours".to_owned());
        Ok(Some(Claim {
            tenant: first.try_get::<_, &str>("tenant_id")?.parse().map_err(malformed)?,
            dataset: DatasetId::new(u64::try_from(first.try_get::<_, i64>("dataset_id")?).unwrap_or_default()),
            fence: first.try_get("fence")?,
            events: rows.iter().map(Waiting::try_from).collect::<Result<_, _>>()?,
        }))
    }

    /// Extends the lease of whatever the claim still holds. Says how many events that is.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn renew(&self, claim: &Claim, lease: Duration) -> Result<u64, Error> {
        const SQL: &str = "
            UPDATE events
               SET next_attempt_time = clock_timestamp() + $4::bigint * interval '1 millisecond'
             WHERE tenant_id = $1 AND dataset_id = $2 AND fence = $3 AND state = 1";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let (tenant, dataset) = (claim.tenant.as_str(), dataset_key(claim.dataset));
        Ok(client.execute(&statement, &[&tenant, &dataset, &claim.fence, &milliseconds(lease)]).await?)
    }

    /// Meta has them. Their payload goes, and the audit has an entry for each caller who sent some of them. Says how many
    /// were still this claim's.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: they are sent again under the same ids.
    pub(crate) async fn delivered(&self, claim: &Claim, events: &[Waiting], trace: Option<&str>) -> Result<u64, Error> {
        const SQL: &str = "
            UPDATE events AS e
               SET state = 2,
                   payload = NULL,
                   error = NULL,
                   fbtrace_id = $6,
                   acknowledge_time = clock_timestamp()
              FROM unnest($4::text[], $5::text[]) AS key (event_name, event_id)
             WHERE e.tenant_id = $1 AND e.dataset_id = $2 AND e.fence = $3 AND e.state = 1
               AND e.event_name = key.event_name AND e.event_id = key.event_id
            RETURNING e.subject";
        self.settle_audited((SQL, "events.deliver"), claim, events, (&[&trace], trace)).await
    }

    /// They go back, to be sent after `pause`. `unknown` says that Meta may have them nevertheless.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: they are sent again when the lease ends.
    pub(crate) async fn put_back(
        &self,
        claim: &Claim,
        events: &[Waiting],
        pause: Duration,
        unknown: bool,
        error: &[u8],
    ) -> Result<u64, Error> {
        const SQL: &str = "
            UPDATE events AS e
               SET state = 0,
                   error = $8,
                   unknown_time = CASE WHEN $7::boolean THEN coalesce(e.unknown_time, e.send_time)
                                       ELSE e.unknown_time END,
                   next_attempt_time = clock_timestamp() + $6::bigint * interval '1 millisecond'
              FROM unnest($4::text[], $5::text[]) AS key (event_name, event_id)
             WHERE e.tenant_id = $1 AND e.dataset_id = $2 AND e.fence = $3 AND e.state = 1
               AND e.event_name = key.event_name AND e.event_id = key.event_id";
        self.settle(SQL, claim, events, &[&milliseconds(pause), &unknown, &error]).await
    }

    /// They are given up. Their payload stays until the sweep, so that they can be repaired and sent anew. The audit says so
    /// for each caller who sent some of them, since Meta may have taken one whose answer was lost.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn bury(
        &self,
        claim: &Claim,
        events: &[Waiting],
        error: &[u8],
        trace: Option<&str>,
    ) -> Result<u64, Error> {
        const SQL: &str = "
            UPDATE events AS e
               SET state = 3,
                   error = $6,
                   fbtrace_id = $7
              FROM unnest($4::text[], $5::text[]) AS key (event_name, event_id)
             WHERE e.tenant_id = $1 AND e.dataset_id = $2 AND e.fence = $3 AND e.state = 1
               AND e.event_name = key.event_name AND e.event_id = key.event_id
            RETURNING e.subject";
        self.settle_audited((SQL, "events.give_up"), claim, events, (&[&error, &trace], trace)).await
    }

    /// Lets a dataset rest, so that its other events do not run into the same wall.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn pause(&self, claim: &Claim, pause: Duration) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE lanes
               SET paused_until = greatest(paused_until, clock_timestamp() + $3::bigint * interval '1 millisecond')
             WHERE tenant_id = $1 AND dataset_id = $2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let (tenant, dataset) = (claim.tenant.as_str(), dataset_key(claim.dataset));
        client.execute(&statement, &[&tenant, &dataset, &milliseconds(pause)]).await?;
        Ok(())
    }

    /// As [`Store::settle`], with an entry in the audit for each caller who sent some of the events.
    async fn settle_audited(
        &self,
        (sql, action): (&'static str, &'static str),
        claim: &Claim,
        events: &[Waiting],
        (more, trace): (&[&(dyn ToSql + Sync)], Option<&str>),
    ) -> Result<u64, Error> {
        let names: Vec<&str> = events.iter().map(|event| event.event_name.as_str()).collect();
        let ids: Vec<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
        let (tenant, dataset) = (claim.tenant.as_str(), dataset_key(claim.dataset));
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&tenant, &dataset, &claim.fence, &names, &ids];
        parameters.extend_from_slice(more);
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(sql).await?;
        let rows = transaction.query(&statement, &parameters).await?;
        let mut settled: BTreeMap<&str, u64> = BTreeMap::new();
        for row in &rows {
            *settled.entry(row.try_get("subject")?).or_default() += 1;
        }
        let resource = names::of_dataset(claim.dataset);
        for (actor, count) in &settled {
            let detail = json!({ "events": count, "events_in_call": events.len(), "fbtrace_id": trace });
            let entry = audit::Entry { tenant, actor, action, resource: &resource, request_id: None, detail };
            audit::append(&transaction, entry).await?;
        }
        transaction.commit().await?;
        Ok(settled.values().sum())
    }

    /// Runs a statement on the events that the claim still holds.
    async fn settle(
        &self,
        sql: &'static str,
        claim: &Claim,
        events: &[Waiting],
        more: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        let names: Vec<&str> = events.iter().map(|event| event.event_name.as_str()).collect();
        let ids: Vec<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
        let (tenant, dataset) = (claim.tenant.as_str(), dataset_key(claim.dataset));
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&tenant, &dataset, &claim.fence, &names, &ids];
        parameters.extend_from_slice(more);
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.execute(&statement, &parameters).await?)
    }
}

impl TryFrom<&Row> for Waiting {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            event_name: row.try_get("event_name")?,
            event_id: row.try_get("event_id")?,
            deadline: row.try_get("deadline_time")?,
            attempt: row.try_get("attempts")?,
            unknown_since: row.try_get("unknown_time")?,
            test_event_code: row.try_get("test_event_code")?,
            payload: row.try_get("payload")?,
        })
    }
}
