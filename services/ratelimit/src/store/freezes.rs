//! Freezes in PostgreSQL, each change with its entry in the audit, its answer and its event.

use std::collections::BTreeMap;

use serde_json::json;
use storage::{Postgres, audit};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vocabulary::ids::TenantId;

use super::history::{append_event, get, timestamp};
use super::repeats::{Repeat, Repeats};
use crate::error::Error;
use crate::scope::Scope;
use crate::trail::{Blame, Event, EventKind};

/// As many freezes as one tenant holds at once; operators always find room.
const HELD_MAX: i64 = 200;
/// As many thawed ones as a replica that starts thaws again.
const THAWED_MAX: i64 = 1_000;

/// The rows. Clones share a pool.
#[derive(Clone)]
pub(crate) struct FreezeRows {
    postgres: Postgres,
    repeats: Repeats,
}

/// A freeze, or with 0 as its end one that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frozen {
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) until_ms: i64,
    pub(crate) reason: String,
    pub(crate) actor: String,
    pub(crate) operators: bool,
}

impl FreezeRows {
    pub(crate) fn new(postgres: Postgres) -> Self {
        Self { repeats: Repeats::new(postgres.clone()), postgres }
    }

    async fn client(&self) -> Result<storage::Client, Error> {
        self.postgres.client().await.map_err(Error::Postgres)
    }

    pub(crate) fn repeats(&self) -> &Repeats {
        &self.repeats
    }

    /// Writes a freeze, in one transaction with what tells of it. Fails where somebody else froze it meanwhile, and where
    /// too much is frozen already.
    pub(crate) async fn put(
        &self,
        frozen: &Frozen,
        now_ms: i64,
        buckets: &[String],
        repeat: &Repeat,
    ) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO freezes (tenant_id, name, until_ms, reason, actor, operators, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $8)
            ON CONFLICT (name) DO UPDATE
               SET tenant_id = EXCLUDED.tenant_id,
                   until_ms = EXCLUDED.until_ms,
                   reason = EXCLUDED.reason,
                   actor = EXCLUDED.actor,
                   operators = EXCLUDED.operators,
                   updated_at = EXCLUDED.updated_at
             WHERE EXCLUDED.operators
                OR freezes.until_ms <= $7
                OR (NOT freezes.operators AND freezes.tenant_id = EXCLUDED.tenant_id)";
        const HELD: &str = "
            SELECT count(*)
              FROM freezes
             WHERE tenant_id = $1
               AND until_ms > $2
               AND name <> $3";
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let Frozen { tenant, name, until_ms, reason, actor, operators } = frozen;
        let held: i64 = get(&transaction.query_one(HELD, &[tenant, &now_ms, name]).await?, "count")?;
        if *until_ms > 0 && held >= HELD_MAX && !operators {
            return Err(Error::TooManyFreezes);
        }
        let now = timestamp(now_ms)?;
        let values: [&(dyn ToSql + Sync); 8] = [tenant, name, until_ms, reason, actor, operators, &now_ms, &now];
        if transaction.execute(SQL, &values).await? == 0 {
            return Err(Error::OperatorOnly("somebody else froze it; only an operator may change that"));
        }
        for bucket in buckets {
            append_event(&transaction, &event(frozen, now_ms, bucket)).await?;
        }
        self.repeats.done(&transaction, tenant, repeat).await?;
        let entry = audit::Entry {
            tenant,
            actor,
            action: if *until_ms == 0 { "quota.unfreeze" } else { "quota.freeze" },
            resource: name,
            request_id: Some(repeat.request_id),
            detail: json!({ "until_ms": until_ms, "reason": reason }),
        };
        audit::append(&transaction, entry).await.map_err(Error::Postgres)?;
        Ok(transaction.commit().await?)
    }

    /// The newest freeze of a name, whether it holds or not.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Frozen>, Error> {
        const SQL: &str = "
            SELECT tenant_id, name, until_ms, reason, actor, operators
              FROM freezes
             WHERE name = $1";
        let row = self.client().await?.query_opt(SQL, &[&name]).await?;
        let read = |row: &Row| {
            Ok(Frozen {
                tenant: get(row, "tenant_id")?,
                name: get(row, "name")?,
                until_ms: get(row, "until_ms")?,
                reason: get(row, "reason")?,
                actor: get(row, "actor")?,
                operators: get(row, "operators")?,
            })
        };
        row.as_ref().map(read).transpose()
    }

    /// What is frozen now, and until when; with 0 what was thawed within the last minute.
    pub(crate) async fn held_or_thawed(&self, now_ms: i64) -> Result<Vec<(String, i64)>, Error> {
        const SQL: &str = "
            SELECT name, until_ms
              FROM freezes
             WHERE until_ms > $1
                OR (until_ms = 0 AND updated_at > $2::timestamptz - interval '1 minute')";
        let rows = self.client().await?.query(SQL, &[&now_ms, &timestamp(now_ms)?]).await?;
        rows.iter().map(|row| Ok((get(row, "name")?, get(row, "until_ms")?))).collect()
    }

    /// What was thawed last, as if it were frozen still.
    pub(crate) async fn thawed(&self) -> Result<BTreeMap<String, i64>, Error> {
        const SQL: &str = "
            SELECT name
              FROM freezes
             WHERE until_ms = 0
             ORDER BY updated_at DESC
             LIMIT $1";
        let rows = self.client().await?.query(SQL, &[&THAWED_MAX]).await?;
        rows.iter().map(|row| Ok((get(row, "name")?, 0))).collect()
    }

    /// The apps through which calls about a subject went, since then or in the day before its freeze.
    pub(crate) async fn apps_of(&self, subject: &str, from_ms: i64) -> Result<Vec<u64>, Error> {
        const SQL: &str = "
            SELECT DISTINCT app
              FROM usage_minutes
             WHERE subject = $1
               AND minute >= least($2, (SELECT updated_at - interval '1 day' FROM freezes WHERE name = $1))";
        let rows = self.client().await?.query(SQL, &[&subject, &timestamp(from_ms)?]).await?;
        rows.iter().map(|row| Ok(u64::try_from(get::<i64>(row, "app")?).unwrap_or_default())).collect()
    }

    /// The tenants whose calls were about a subject.
    pub(crate) async fn tenants_of(&self, subject: &str, from_ms: i64) -> Result<Vec<TenantId>, Error> {
        const SQL: &str = "
            SELECT DISTINCT tenant_id
              FROM usage_minutes
             WHERE subject = $1
               AND minute >= $2";
        let rows = self.client().await?.query(SQL, &[&subject, &timestamp(from_ms)?]).await?;
        let tenants = rows.iter().map(|row| get::<String>(row, "tenant_id"));
        tenants.map(|tenant| tenant?.parse().map_err(|_| Error::Corrupt("a tenant"))).collect()
    }
}

fn event(frozen: &Frozen, now_ms: i64, bucket: &str) -> Event {
    Event {
        at_ms: now_ms,
        app: Scope::from_key(bucket).map_or(0, |scope| scope.app),
        bucket: bucket.to_owned(),
        kind: if frozen.until_ms == 0 { EventKind::Unfrozen } else { EventKind::Frozen },
        code: 0,
        blame: Blame { tenant: frozen.tenant.clone(), ..Blame::default() },
        until_ms: frozen.until_ms,
        others: 0,
        percent: 0,
        words: frozen.reason.clone(),
    }
}
