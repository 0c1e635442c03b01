//! What became of events.

use std::time::Duration;

use jiff::Timestamp;
use storage::Error;
use tokio_postgres::Row;
use vocabulary::ids::{DatasetId, TenantId};

use super::{Store, dataset_key, milliseconds};

/// How an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventState {
    /// Durable here, to be sent.
    Pending,
    /// Claimed by a dispatcher.
    Sending,
    /// Meta has it.
    Delivered,
    /// Given up.
    Dead,
}

impl EventState {
    /// From the column. The table admits 0 to 3 only.
    pub(crate) fn of_number(number: i16) -> Self {
        match number {
            0 => Self::Pending,
            1 => Self::Sending,
            2 => Self::Delivered,
            _ => Self::Dead,
        }
    }
}

/// What we know of an event, without who it was about.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) event_name: String,
    /// Its id.
    pub(crate) event_id: String,
    /// How it stands.
    pub(crate) state: EventState,
    /// When it happened.
    pub(crate) event_time: Timestamp,
    /// When it became durable.
    pub(crate) receive_time: Timestamp,
    /// When Meta takes it no more.
    pub(crate) deadline: Timestamp,
    /// When it is due again; while it is sent, the end of the lease.
    pub(crate) next_attempt_time: Timestamp,
    /// How often it was sent.
    pub(crate) attempts: i32,
    /// When it was last sent.
    pub(crate) send_time: Option<Timestamp>,
    /// When Meta had it.
    pub(crate) acknowledge_time: Option<Timestamp>,
    /// Repeats that were left out.
    pub(crate) deduplicated: i64,
    /// An encoded `RowError`.
    pub(crate) error: Option<Vec<u8>>,
    /// Meta's trace.
    pub(crate) fbtrace_id: Option<String>,
}

/// Where a page of dead letters begins: after this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// When it became durable.
    pub(crate) receive_time: Timestamp,
    /// Its name.
    pub(crate) event_name: String,
    /// Its id.
    pub(crate) event_id: String,
}

/// Events of a dataset by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// To be sent.
    pub(crate) pending: i64,
    /// Claimed.
    pub(crate) sending: i64,
    /// At Meta.
    pub(crate) delivered: i64,
    /// Given up.
    pub(crate) dead: i64,
    /// Repeats that were left out.
    pub(crate) deduplicated: i64,
    /// When the oldest event that Meta does not have became durable.
    pub(crate) oldest: Option<Timestamp>,
}

impl Store {
    /// The tenant's events of this id, at most two: of one name, or of any.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn find(
        &self,
        tenant: &TenantId,
        dataset: DatasetId,
        event_id: &str,
        event_name: &str,
    ) -> Result<Vec<Entry>, Error> {
        const SQL: &str = "
            SELECT event_name, event_id, state, event_time, receive_time, deadline_time, next_attempt_time, attempts,
                   send_time, acknowledge_time, deduplicated, error, fbtrace_id
              FROM events
             WHERE tenant_id = $1 AND dataset_id = $2 AND event_id = $3
               AND ($4::text = '' OR event_name = $4)
             LIMIT 2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let (tenant, dataset) = (tenant.as_str(), dataset_key(dataset));
        let rows = client.query(&statement, &[&tenant, &dataset, &event_id, &event_name]).await?;
        rows.iter().map(Entry::try_from).collect()
    }

    /// The tenant's dead letters of a dataset, oldest first, after `after`.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn dead_letters(
        &self,
        tenant: &TenantId,
        dataset: DatasetId,
        event_name: &str,
        after: Option<&Letter>,
        size: usize,
    ) -> Result<Vec<Entry>, Error> {
        const SQL: &str = "
            SELECT event_name, event_id, state, event_time, receive_time, deadline_time, next_attempt_time, attempts,
                   send_time, acknowledge_time, deduplicated, error, fbtrace_id
              FROM events
             WHERE tenant_id = $1 AND dataset_id = $2 AND state = 3
               AND ($3::text = '' OR event_name = $3)
               AND ($4::timestamptz IS NULL OR (receive_time, event_name, event_id) > ($4, $5, $6))
             ORDER BY receive_time, event_name, event_id
             LIMIT $7";
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let time = after.map(|letter| letter.receive_time);
        let name = after.map(|letter| letter.event_name.as_str());
        let id = after.map(|letter| letter.event_id.as_str());
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let tenant = tenant.as_str();
        let rows =
            client.query(&statement, &[&tenant, &dataset_key(dataset), &event_name, &time, &name, &id, &size]).await?;
        rows.iter().map(Entry::try_from).collect()
    }

    /// Counts the tenant's events of a dataset that were received since `since`.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn stats(&self, tenant: &TenantId, dataset: DatasetId, since: Timestamp) -> Result<Stats, Error> {
        const SQL: &str = "
            SELECT count(*) FILTER (WHERE state = 0) AS pending,
                   count(*) FILTER (WHERE state = 1) AS sending,
                   count(*) FILTER (WHERE state = 2) AS delivered,
                   count(*) FILTER (WHERE state = 3) AS dead,
                   coalesce(sum(deduplicated), 0)::bigint AS deduplicated,
                   min(receive_time) FILTER (WHERE state < 2) AS oldest
              FROM events
             WHERE tenant_id = $1 AND dataset_id = $2 AND receive_time >= $3";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_one(&statement, &[&tenant.as_str(), &dataset_key(dataset), &since]).await?;
        Ok(Stats {
            pending: row.try_get("pending")?,
            sending: row.try_get("sending")?,
            delivered: row.try_get("delivered")?,
            dead: row.try_get("dead")?,
            deduplicated: row.try_get("deduplicated")?,
            oldest: row.try_get("oldest")?,
        })
    }

    /// Deletes at most 10,000 events of all tenants that ended and were received longer ago than `age`, and says how
    /// many. What is still to be sent stays, however old.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn sweep(&self, age: Duration) -> Result<u64, Error> {
        const SQL: &str = "
            DELETE FROM events AS e
             USING (
                SELECT tenant_id, dataset_id, event_name, event_id
                  FROM events
                 WHERE receive_time < clock_timestamp() - $1::bigint * interval '1 millisecond' AND state >= 2
                 LIMIT 10000) AS old
             WHERE e.tenant_id = old.tenant_id AND e.dataset_id = old.dataset_id
               AND e.event_name = old.event_name AND e.event_id = old.event_id AND e.state >= 2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.execute(&statement, &[&milliseconds(age)]).await?)
    }
}

impl TryFrom<&Row> for Entry {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            event_name: row.try_get("event_name")?,
            event_id: row.try_get("event_id")?,
            state: EventState::of_number(row.try_get("state")?),
            event_time: row.try_get("event_time")?,
            receive_time: row.try_get("receive_time")?,
            deadline: row.try_get("deadline_time")?,
            next_attempt_time: row.try_get("next_attempt_time")?,
            attempts: row.try_get("attempts")?,
            send_time: row.try_get("send_time")?,
            acknowledge_time: row.try_get("acknowledge_time")?,
            deduplicated: row.try_get("deduplicated")?,
            error: row.try_get("error")?,
            fbtrace_id: row.try_get("fbtrace_id")?,
        })
    }
}
