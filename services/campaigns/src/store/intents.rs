use std::time::Duration;

use graph::objects::Kind;
use jiff::Timestamp;
use prost::Message;
use proto::common::v1::RowError;
use serde_json::Value;
use storage::{Error, audit};
use tokio_postgres::Row;
use uuid::Uuid;
use vocabulary::ids::{AdAccountId, TenantId};

use super::{Store, account, column, id};
use crate::mirror;

/// How far the making of one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Written, not sent.
    Prepared,
    /// On its way; after a crash: perhaps sent.
    Sending,
    /// Meta has it.
    Done,
    /// Meta does not have it.
    Failed,
    /// Sent, answer lost.
    Unknown,
}

impl State {
    fn of_word(word: &str) -> Result<Self, Error> {
        Ok(match word {
            "prepared" => Self::Prepared,
            "sending" => Self::Sending,
            "done" => Self::Done,
            "failed" => Self::Failed,
            "unknown" => Self::Unknown,
            other => return Err(Error::Broken(format!("{other} is no state of an intent"))),
        })
    }
}

/// What was meant to be made, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) tenant: TenantId,
    pub(crate) id: Uuid,
    pub(crate) account: AdAccountId,
    pub(crate) kind: Kind,
    /// The campaign of an ad set, the ad set of an ad; else 0.
    pub(crate) parent: u64,
    pub(crate) name: String,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) label: Option<String>,
    pub(crate) actor: String,
    pub(crate) request: Option<Uuid>,
    pub(crate) plan: Option<Uuid>,
    /// The node of the plan; empty outside plans.
    pub(crate) temporary_id: String,
    pub(crate) state: State,
    pub(crate) sent: Option<Timestamp>,
    pub(crate) object: Option<u64>,
    pub(crate) error: Option<RowError>,
    pub(crate) operation: Option<Uuid>,
}

const COLUMNS: &str = "tenant_id, id, account_id, kind, parent_id, name, fingerprint, label_id, actor, request_id, \
    plan_id, temporary_id, state, sent_at, object_id, error, operation_id";

impl Store {
    /// Writes what is meant to be made. Says which constraint refuses it, where one does.
    pub(crate) async fn prepare(&self, intent: &Intent) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO intents
                   (tenant_id, id, account_id, kind, parent_id, name, fingerprint, label_id, actor, request_id, plan_id,
                    temporary_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let node = Some(intent.temporary_id.as_str()).filter(|node| !node.is_empty());
        client
            .execute(
                &statement,
                &[
                    &intent.tenant.as_str(),
                    &intent.id,
                    &account(intent.account),
                    &intent.kind.word(),
                    &column(intent.parent),
                    &intent.name,
                    &intent.fingerprint.as_slice(),
                    &intent.label,
                    &intent.actor,
                    &intent.request,
                    &intent.plan,
                    &node,
                ],
            )
            .await?;
        Ok(())
    }

    /// The row is `sending` from here on: after a crash it is looked for, not sent again. Says how many there were to send.
    /// With `again` rows that this caller marked before are marked anew, unless somebody looks for them already.
    pub(crate) async fn sending(&self, tenant: &TenantId, ids: &[Uuid], again: bool) -> Result<u64, Error> {
        const SQL: &str = "
            UPDATE intents
               SET state = 'sending',
                   sent_at = clock_timestamp(),
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = ANY($2)
               AND (state = 'prepared' OR ($3 AND state = 'sending'))";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        Ok(client.execute(&statement, &[&tenant.as_str(), &ids, &again]).await?)
    }

    /// Forgets what was never sent. What somebody began to send meanwhile stays.
    pub(crate) async fn forget(&self, tenant: &TenantId, id: Uuid) -> Result<(), Error> {
        const SQL: &str = "
            DELETE FROM intents
             WHERE tenant_id = $1 AND id = $2 AND state = 'prepared'";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &id]).await?;
        Ok(())
    }

    /// Forgets what the caller prepared itself and surely did not send.
    pub(crate) async fn withdraw(&self, tenant: &TenantId, ids: &[Uuid]) -> Result<(), Error> {
        const SQL: &str = "
            DELETE FROM intents
             WHERE tenant_id = $1 AND id = ANY($2) AND state IN ('prepared', 'sending')";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &ids]).await?;
        Ok(())
    }

    /// Meta has it: the intent, the mirror and the audit say so together.
    pub(crate) async fn made(
        &self,
        intent: &Intent,
        object: u64,
        graph: &Value,
        now: Timestamp,
        detail: Value,
    ) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE intents
               SET state = 'done',
                   object_id = $3,
                   error = NULL,
                   sweep_at = NULL,
                   sweep_until = NULL,
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        transaction.execute(&statement, &[&intent.tenant.as_str(), &intent.id, &column(object)]).await?;
        self.keep_object(&transaction, &intent.tenant, intent.account, intent.kind, graph, now).await?;
        let resource = mirror::resource_name(intent.account, intent.kind, object);
        let entry = audit::Entry {
            tenant: intent.tenant.as_str(),
            actor: &intent.actor,
            action: &format!("{}.create", intent.kind),
            resource: &resource,
            request_id: intent.request,
            detail,
        };
        audit::append(&transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    /// Meta does not have it. With `sweep_until` a late twin is looked for until then.
    pub(crate) async fn failed(
        &self,
        tenant: &TenantId,
        id: Uuid,
        error: &RowError,
        sweep_until: Option<Timestamp>,
    ) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE intents
               SET state = 'failed',
                   error = $3,
                   sweep_until = $4,
                   sweep_at = CASE WHEN $4::timestamptz IS NULL THEN NULL ELSE clock_timestamp() + interval '1 minute' END,
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 AND state <> 'done'";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &id, &error.encode_to_vec(), &sweep_until]).await?;
        Ok(())
    }

    /// The answer was lost; where `operation` is given, it looks for it. From the first time on it has to settle.
    pub(crate) async fn lost(&self, tenant: &TenantId, id: Uuid, operation: Option<Uuid>) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE intents
               SET state = 'unknown',
                   lost_at = coalesce(lost_at, clock_timestamp()),
                   operation_id = coalesce($3, operation_id),
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2 AND state IN ('sending', 'unknown')";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &id, &operation]).await?;
        Ok(())
    }

    /// One more look that found nothing: how many there were, and for how long it has been known that the answer was lost.
    pub(crate) async fn looked(&self, tenant: &TenantId, id: Uuid) -> Result<(i32, Duration), Error> {
        const SQL: &str = "
            UPDATE intents
               SET looks = looks + 1,
                   lost_at = coalesce(lost_at, clock_timestamp()),
                   updated_at = clock_timestamp()
             WHERE tenant_id = $1 AND id = $2
            RETURNING looks, (extract(epoch FROM clock_timestamp() - lost_at) * 1000)::bigint";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &id]).await?.ok_or(Error::Missing)?;
        Ok((row.try_get(0)?, Duration::from_millis(u64::try_from(row.try_get::<_, i64>(1)?).unwrap_or(0))))
    }

    /// One intent.
    pub(crate) async fn intent(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Intent>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM intents WHERE tenant_id = $1 AND id = $2");
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(&sql).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &id]).await?;
        row.as_ref().map(Intent::try_from).transpose()
    }

    /// What a request was meant to make, unless that failed.
    pub(crate) async fn intent_of_request(&self, tenant: &TenantId, request: Uuid) -> Result<Option<Intent>, Error> {
        let sql =
            format!("SELECT {COLUMNS} FROM intents WHERE tenant_id = $1 AND request_id = $2 AND state <> 'failed'");
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(&sql).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &request]).await?;
        row.as_ref().map(Intent::try_from).transpose()
    }

    /// What became of the nodes of a plan: of each the newest, failed ones too.
    pub(crate) async fn intents_of_plan(&self, tenant: &TenantId, plan: Uuid) -> Result<Vec<Intent>, Error> {
        let sql = format!(
            "SELECT DISTINCT ON (temporary_id) {COLUMNS}
               FROM intents
              WHERE tenant_id = $1 AND plan_id = $2
              ORDER BY temporary_id, created_at DESC"
        );
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(&sql).await?;
        let rows = client.query(&statement, &[&tenant.as_str(), &plan]).await?;
        rows.iter().map(Intent::try_from).collect()
    }

    /// Has another intent given this id of Meta's its home?
    pub(crate) async fn is_adopted(&self, intent: &Intent, object: u64) -> Result<bool, Error> {
        const SQL: &str = "
            SELECT EXISTS (
                SELECT 1
                  FROM intents
                 WHERE tenant_id = $1 AND account_id = $2 AND kind = $3 AND object_id = $4 AND id <> $5)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client
            .query_one(
                &statement,
                &[&intent.tenant.as_str(), &account(intent.account), &intent.kind.word(), &column(object), &intent.id],
            )
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Is another thing on its way that could not be told from this one at Meta?
    pub(crate) async fn is_rivalled(&self, intent: &Intent) -> Result<bool, Error> {
        const SQL: &str = "
            SELECT EXISTS (
                SELECT 1
                  FROM intents
                 WHERE tenant_id = $1 AND account_id = $2 AND kind = $3 AND parent_id = $4 AND name = $5
                   AND state IN ('prepared', 'sending', 'unknown')
                   AND id <> $6)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let Intent { tenant, kind, name, id, .. } = intent;
        let (of, parent) = (account(intent.account), column(intent.parent));
        let row = client.query_one(&statement, &[&tenant.as_str(), &of, &kind.word(), &parent, name, id]).await?;
        Ok(row.try_get(0)?)
    }

    /// Creates of all tenants that a replica left behind when it died, and those of plans that ended before they were sure.
    pub(crate) async fn abandoned(&self, grace: Duration) -> Result<Vec<Intent>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}
               FROM intents
              WHERE state IN ('prepared', 'sending', 'unknown')
                AND (state <> 'unknown' OR operation_id IS NULL)
                AND NOT EXISTS (
                    SELECT 1
                      FROM plans p
                     WHERE p.tenant_id = intents.tenant_id AND p.id = intents.plan_id AND p.state = 'applying')
                AND updated_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
              ORDER BY updated_at
              LIMIT 100"
        );
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(&sql).await?;
        let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
        let rows = client.query(&statement, &[&grace]).await?;
        rows.iter().map(Intent::try_from).collect()
    }

    /// Takes the next intent of all tenants whose late twin is to be looked for, and sets its next turn.
    pub(crate) async fn due_sweep(&self, again_in: Duration) -> Result<Option<Intent>, Error> {
        let sql = format!(
            "WITH due AS (
                SELECT tenant_id AS t, id AS i
                  FROM intents
                 WHERE sweep_at <= clock_timestamp()
                 ORDER BY sweep_at
                 LIMIT 1
                   FOR UPDATE SKIP LOCKED)
             UPDATE intents
                SET sweep_at = CASE
                        WHEN sweep_until <= clock_timestamp() THEN NULL
                        ELSE least(clock_timestamp() + $1::bigint * interval '1 millisecond', sweep_until) END
               FROM due
              WHERE tenant_id = t AND id = i
             RETURNING {COLUMNS}"
        );
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(&sql).await?;
        let again = i64::try_from(again_in.as_millis()).unwrap_or(i64::MAX);
        let row = client.query_opt(&statement, &[&again]).await?;
        row.as_ref().map(Intent::try_from).transpose()
    }

    /// A change at Meta that is no create: the mirror and the audit say so together.
    pub(crate) async fn changed(
        &self,
        tenant: &TenantId,
        of: AdAccountId,
        kind: Kind,
        graph: Option<(&Value, Timestamp)>,
        entry: audit::Entry<'_>,
    ) -> Result<(), Error> {
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        if let Some((graph, now)) = graph {
            self.keep_object(&transaction, tenant, of, kind, graph, now).await?;
        } else if let Some(gone) = entry.resource.rsplit('/').next().and_then(|id| id.parse().ok()) {
            self.bury_object(&transaction, tenant, of, kind, gone).await?;
        }
        audit::append(&transaction, entry).await?;
        Ok(transaction.commit().await?)
    }
}

impl TryFrom<&Row> for Intent {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let broken = |what: &str| Error::Broken(format!("an intent has no readable {what}"));
        let tenant: &str = row.try_get("tenant_id")?;
        let kind: &str = row.try_get("kind")?;
        let error: Option<&[u8]> = row.try_get("error")?;
        Ok(Self {
            tenant: tenant.parse().map_err(|_| broken("tenant"))?,
            id: row.try_get("id")?,
            account: AdAccountId::new(id(row.try_get("account_id")?)),
            kind: Kind::of_word(kind).ok_or_else(|| broken("kind"))?,
            parent: id(row.try_get("parent_id")?),
            name: row.try_get("name")?,
            fingerprint: row.try_get::<_, &[u8]>("fingerprint")?.try_into().map_err(|_| broken("fingerprint"))?,
            label: row.try_get("label_id")?,
            actor: row.try_get("actor")?,
            request: row.try_get("request_id")?,
            plan: row.try_get("plan_id")?,
            temporary_id: row.try_get::<_, Option<String>>("temporary_id")?.unwrap_or_default(),
            state: State::of_word(row.try_get("state")?)?,
            sent: row.try_get("sent_at")?,
            object: row.try_get::<_, Option<i64>>("object_id")?.map(id),
            error: error.map(RowError::decode).transpose().map_err(|_| broken("error"))?,
            operation: row.try_get("operation_id")?,
        })
    }
}
