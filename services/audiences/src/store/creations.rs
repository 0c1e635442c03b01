//! Creates at Meta, from intent to outcome.

use std::time::Duration;

use graph::audiences::Audience;
use jiff::Timestamp;
use storage::{
    Error, audit,
    operations::{Claimed, New},
};
use tokio_postgres::Row;
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, AudienceId, TenantId},
    names,
};

use super::{Store, entry, id, key, mirror};

/// How far a create is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreationState {
    /// Nothing was sent.
    Prepared,
    /// The call is under way, or its process died in it.
    Sending,
    /// Made.
    Done(AudienceId),
    /// Surely not made.
    Failed,
    /// Perhaps made: an operation looks.
    Unknown,
    /// Perhaps made, and nobody looks any more.
    Lost,
}

/// A create to begin.
#[derive(Debug, Clone)]
pub(crate) struct NewCreation {
    /// The caller's key of it.
    pub(crate) request_id: Uuid,
    /// SHA-256 of the request without that key.
    pub(crate) fingerprint: [u8; 32],
    /// Where.
    pub(crate) account: AdAccountId,
    /// Meta's fields.
    pub(crate) name: String,
    /// Without the marker.
    pub(crate) description: String,
    /// Meta's word.
    pub(crate) customer_file_source: String,
    /// By which it is found.
    pub(crate) marker: String,
    /// Who was authorised.
    pub(crate) subject: String,
}

/// A create that was begun.
#[derive(Debug, Clone)]
pub(crate) struct Creation {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// What was asked for.
    pub(crate) new: NewCreation,
    /// How far it is.
    pub(crate) state: CreationState,
    /// When the call began, or a little before.
    pub(crate) send_time: Option<Timestamp>,
    /// How long its answer had been lost when it was read.
    pub(crate) lost_for: Duration,
    /// The operation that looks.
    pub(crate) operation: Option<Uuid>,
}

/// What came of beginning.
#[derive(Debug, Clone)]
pub(crate) enum Begun {
    /// It is this caller's to send.
    Mine,
    /// It was begun before under this key, by the same request or by another.
    Earlier(Box<Creation>),
    /// An unresolved create of this name is in the way.
    Blocked,
}

const COLUMNS: &str = "tenant_id, request_id, fingerprint, account_id, name, description, customer_file_source, marker,
    subject, state, send_time, audience_id, operation_id,
    (extract(epoch FROM clock_timestamp() - coalesce(lost_time, clock_timestamp())) * 1000)::bigint AS lost_millis";

impl Store {
    /// Writes the intent. An intent that was only prepared, and whose process has not sent it within `stale`, is taken
    /// over: nothing was sent for it.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn begin(&self, tenant: &TenantId, new: &NewCreation, stale: Duration) -> Result<Begun, Error> {
        const SQL: &str = "
            INSERT INTO creations AS c
                   (tenant_id, request_id, fingerprint, account_id, name, description, customer_file_source, marker,
                    subject)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (tenant_id, request_id) DO UPDATE
               SET begin_time = clock_timestamp()
             WHERE c.state = 'prepared' AND c.fingerprint = EXCLUDED.fingerprint
               AND c.begin_time < clock_timestamp() - $10::bigint * interval '1 millisecond'
            RETURNING 1";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let stale = i64::try_from(stale.as_millis()).unwrap_or(i64::MAX);
        let begun = client
            .query_opt(
                &statement,
                &[
                    &tenant.as_str(),
                    &new.request_id,
                    &new.fingerprint.as_slice(),
                    &key(new.account.get()),
                    &new.name,
                    &new.description,
                    &new.customer_file_source,
                    &new.marker,
                    &new.subject,
                    &stale,
                ],
            )
            .await
            .map_err(Error::from);
        match begun {
            Ok(Some(_)) => return Ok(Begun::Mine),
            Ok(None) => {}
            Err(error) if error.constraint() == Some("creations_unresolved") => {
                // The same request may itself be what is in the way.
                return Ok(match self.creation(tenant, new.request_id).await? {
                    Some(creation) => Begun::Earlier(Box::new(creation)),
                    None => Begun::Blocked,
                });
            }
            Err(error) => return Err(error),
        }
        let creation = self.creation(tenant, new.request_id).await?.ok_or(Error::Raced)?;
        Ok(Begun::Earlier(Box::new(creation)))
    }

    /// The create under this key.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn creation(&self, tenant: &TenantId, request_id: Uuid) -> Result<Option<Creation>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM creations WHERE tenant_id = $1 AND request_id = $2");
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(&sql).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &request_id]).await?;
        row.as_ref().map(Creation::try_from).transpose()
    }

    /// Creates whose call began longer than `age` ago and was never resolved: their process died in it.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn abandoned(&self, age: Duration) -> Result<Vec<Creation>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM creations
              WHERE state = 'sending' AND send_time < clock_timestamp() - $1::bigint * interval '1 millisecond'
              LIMIT 100"
        );
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(&sql).await?;
        client.query(&statement, &[&age]).await?.iter().map(Creation::try_from).collect()
    }

    /// The bytes go now. Says whether the intent is still this caller's. With `again` the caller said so before, and Meta
    /// did not execute it.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: nothing must be sent.
    pub(crate) async fn sending(&self, tenant: &TenantId, request_id: Uuid, again: bool) -> Result<bool, Error> {
        const SQL: &str = "
            UPDATE creations
               SET state = 'sending',
                   send_time = clock_timestamp()
             WHERE tenant_id = $1 AND request_id = $2
               AND (state = 'prepared' OR ($3 AND state = 'sending'))";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.execute(&statement, &[&tenant.as_str(), &request_id, &again]).await? == 1)
    }

    /// Nothing was made, surely: the key is free again.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away; it is looked for later, in vain.
    pub(crate) async fn withdraw(&self, tenant: &TenantId, request_id: Uuid) -> Result<(), Error> {
        const SQL: &str = "
            DELETE FROM creations
             WHERE tenant_id = $1 AND request_id = $2 AND state IN ('prepared', 'sending')";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &request_id]).await?;
        Ok(())
    }

    /// It is made. Keeps it and writes the audit, in one transaction, which also ends the operation that looked for it. What
    /// was concluded before counts less than Meta's answer.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away: it is looked for later and found. [`Error::Raced`] when somebody else
    /// told its outcome, unless that was the same.
    pub(crate) async fn created(
        &self,
        creation: &Creation,
        audience: &Audience,
        now: Timestamp,
        trace: Option<&str>,
        ends: Option<(&Claimed, &[u8])>,
    ) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE creations
               SET state = 'done',
                   audience_id = $3
             WHERE tenant_id = $1 AND request_id = $2 AND state IN ('sending', 'unknown', 'failed', 'lost')";
        let found: AudienceId = audience.id.parse().map_err(|_| Error::Broken("Meta gave no id".to_owned()))?;
        let tenant = creation.tenant.as_str();
        let new = &creation.new;
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        if transaction.execute(&statement, &[&tenant, &new.request_id, &key(found.get())]).await? == 0 {
            drop(transaction);
            let known = self.creation(&creation.tenant, new.request_id).await?;
            let is_told = known.is_some_and(|known| known.state == CreationState::Done(found)) && ends.is_none();
            return if is_told { Ok(()) } else { Err(Error::Raced) };
        }
        mirror::keep_in(&transaction, tenant, new.account, std::slice::from_ref(audience), now).await?;
        if let Some((claimed, body)) = ends {
            self.operations.finish_in(&transaction, claimed, body).await?;
        }
        let name = names::of_audience(new.account, found);
        let detail = serde_json::json!({ "marker": new.marker, "fbtrace_id": trace });
        let entry = entry(tenant, &new.subject, "audience.create", &name, Some(new.request_id), detail);
        audit::append(&transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    /// Nobody knows whether it is made: an operation will look. Says which one; a second caller gets the first's.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away; the sweep of abandoned creates does it later.
    pub(crate) async fn unknown(&self, creation: &Creation, operation: New<'_>) -> Result<Uuid, Error> {
        const SQL: &str = "
            UPDATE creations
               SET state = 'unknown',
                   lost_time = clock_timestamp(),
                   operation_id = $3
             WHERE tenant_id = $1 AND request_id = $2 AND state = 'sending'";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let tenant = creation.tenant.as_str();
        let request_id = creation.new.request_id;
        if transaction.execute(&statement, &[&tenant, &request_id, &operation.id]).await? == 0 {
            drop(transaction);
            let known = self.creation(&creation.tenant, request_id).await?;
            return known.and_then(|creation| creation.operation).ok_or(Error::Raced);
        }
        self.operations.create(&transaction, operation).await?;
        transaction.commit().await?;
        Ok(operation.id)
    }

    /// Looked, in vain. Says how often by now.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn looked(&self, tenant: &TenantId, request_id: Uuid) -> Result<i32, Error> {
        const SQL: &str = "
            UPDATE creations
               SET looks = looks + 1
             WHERE tenant_id = $1 AND request_id = $2
            RETURNING looks";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &request_id]).await?.ok_or(Error::Missing)?;
        Ok(row.try_get(0)?)
    }

    /// It was looked for long enough: it is not made. Ends the operation in the same transaction.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away, [`Error::Raced`] when its sender told the outcome meanwhile; the next
    /// look concludes it.
    pub(crate) async fn absent(&self, creation: &Creation, claimed: &Claimed, body: &[u8]) -> Result<(), Error> {
        self.conclude(creation, "failed", claimed, body).await
    }

    /// It cannot be looked for: nobody knows. Ends the operation in the same transaction.
    ///
    /// # Errors
    /// As [`Store::absent`].
    pub(crate) async fn give_up(&self, creation: &Creation, claimed: &Claimed, body: &[u8]) -> Result<(), Error> {
        self.conclude(creation, "lost", claimed, body).await
    }

    async fn conclude(&self, creation: &Creation, state: &str, claimed: &Claimed, body: &[u8]) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE creations
               SET state = $3
             WHERE tenant_id = $1 AND request_id = $2 AND state = 'unknown'";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        let concluded =
            transaction.execute(&statement, &[&creation.tenant.as_str(), &creation.new.request_id, &state]).await?;
        if concluded == 0 {
            return Err(Error::Raced);
        }
        self.operations.finish_in(&transaction, claimed, body).await?;
        Ok(transaction.commit().await?)
    }

    /// Deletes at most 1,000 resolved creates that began longer than `age` ago, and says how many.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn sweep_creations(&self, age: Duration) -> Result<u64, Error> {
        const SQL: &str = "
            DELETE FROM creations
             WHERE (tenant_id, request_id) IN (
                SELECT tenant_id, request_id
                  FROM creations
                 WHERE begin_time < clock_timestamp() - $1::bigint * interval '1 millisecond'
                   AND state IN ('done', 'failed', 'prepared', 'lost')
                 LIMIT 1000)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.execute(&statement, &[&i64::try_from(age.as_millis()).unwrap_or(i64::MAX)]).await?)
    }
}

impl TryFrom<&Row> for Creation {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let broken = |what: &str| Error::Broken(format!("a create has no {what} of ours"));
        let audience: Option<i64> = row.try_get("audience_id")?;
        let state = match (row.try_get("state")?, audience) {
            ("prepared", _) => CreationState::Prepared,
            ("sending", _) => CreationState::Sending,
            ("done", Some(audience)) => CreationState::Done(AudienceId::new(id(audience))),
            ("failed", _) => CreationState::Failed,
            ("unknown", _) => CreationState::Unknown,
            ("lost", _) => CreationState::Lost,
            _ => return Err(broken("state")),
        };
        let fingerprint: &[u8] = row.try_get("fingerprint")?;
        Ok(Self {
            tenant: row.try_get::<_, &str>("tenant_id")?.parse().map_err(|_| broken("tenant"))?,
            new: NewCreation {
                request_id: row.try_get("request_id")?,
                fingerprint: fingerprint.try_into().map_err(|_| broken("fingerprint"))?,
                account: AdAccountId::new(id(row.try_get("account_id")?)),
                name: row.try_get("name")?,
                description: row.try_get("description")?,
                customer_file_source: row.try_get("customer_file_source")?,
                marker: row.try_get("marker")?,
                subject: row.try_get("subject")?,
            },
            state,
            send_time: row.try_get("send_time")?,
            lost_for: Duration::from_millis(u64::try_from(row.try_get::<_, i64>("lost_millis")?).unwrap_or_default()),
            operation: row.try_get("operation_id")?,
        })
    }
}
