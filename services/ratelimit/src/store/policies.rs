//! Policies in PostgreSQL, each change with its entry in the audit and its answer.

use serde_json::json;
use storage::{Postgres, audit};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::history::{Viewer, get};
use super::repeats::{Repeat, Repeats};
use crate::error::Error;
use crate::policies::{Kept, OPERATORS};

/// As many changes as are read at once.
const READ_MAX: i64 = 1_000;
/// As many tenants as are told to have used a thing.
const USERS_MAX: i64 = 1_000;

/// The rows. Clones share a pool.
#[derive(Clone)]
pub(crate) struct PolicyRows {
    postgres: Postgres,
    repeats: Repeats,
}

impl PolicyRows {
    pub(crate) fn new(postgres: Postgres) -> Self {
        Self { repeats: Repeats::new(postgres.clone()), postgres }
    }

    async fn client(&self) -> Result<storage::Client, Error> {
        self.postgres.client().await.map_err(Error::Postgres)
    }

    pub(crate) fn repeats(&self) -> &Repeats {
        &self.repeats
    }

    /// Writes a policy over the version that it names, in one transaction with what tells of it; answers false where
    /// another came between. The journal of the apps named knows everything only from that moment on. `audited` is in whose
    /// audit it is.
    pub(crate) async fn put(
        &self,
        policy: &Kept,
        audited: &str,
        (apps, exact_from_ms): (&[u64], i64),
        repeat: &Repeat,
    ) -> Result<bool, Error> {
        const NEXT: &str = "UPDATE quota_policy_clock SET version = version + 1 RETURNING version";
        const PUT: &str = "
            INSERT INTO quota_policies AS p (tenant_id, name, document, actor, version)
            VALUES ($1, $2, $3::text::jsonb, $4, $5)
            ON CONFLICT (tenant_id, name) DO UPDATE
               SET document = EXCLUDED.document,
                   actor = EXCLUDED.actor,
                   version = EXCLUDED.version,
                   updated_at = clock_timestamp()
             WHERE p.tenant_id = $1
               AND p.version = $6";
        const EXACT: &str = "
            UPDATE epochs
               SET exact_from_ms = greatest(exact_from_ms, $2)
             WHERE app = ANY ($1)";
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let version: i64 = get(&transaction.query_one(NEXT, &[]).await?, "version")?;
        let document = serde_json::to_string(&policy.policy).map_err(|_| Error::Corrupt("a policy"))?;
        let Kept { by, name, actor, version: before, .. } = policy;
        let values: [&(dyn ToSql + Sync); 6] = [by, name, &document, actor, &version, before];
        if transaction.execute(PUT, &values).await? == 0 {
            return Ok(false);
        }
        if !apps.is_empty() {
            let apps: Vec<i64> = apps.iter().map(|app| i64::try_from(*app).unwrap_or(i64::MAX)).collect();
            transaction.execute(EXACT, &[&apps, &exact_from_ms]).await?;
        }
        self.repeats.done(&transaction, audited, repeat).await?;
        let entry = audit::Entry {
            tenant: audited,
            actor,
            action: "quota.policy.update",
            resource: name,
            request_id: Some(repeat.request_id),
            detail: json!({ "by": by, "policy": policy.policy }),
        };
        // Whose policy an operator ended finds it in its own audit.
        if by != audited && by != OPERATORS {
            let of_theirs = audit::Entry { tenant: by, ..entry.clone() };
            audit::append(&transaction, of_theirs).await.map_err(Error::Postgres)?;
        }
        audit::append(&transaction, entry).await.map_err(Error::Postgres)?;
        transaction.commit().await?;
        Ok(true)
    }

    /// What one has set for a name.
    pub(crate) async fn get(&self, by: &str, name: &str) -> Result<Option<Kept>, Error> {
        const SQL: &str = "
            SELECT tenant_id, name, document::text, actor, version,
                   (extract(epoch FROM updated_at) * 1000)::bigint AS updated_ms
              FROM quota_policies
             WHERE tenant_id = $1
               AND name = $2";
        self.client().await?.query_opt(SQL, &[&by, &name]).await?.as_ref().map(kept).transpose()
    }

    /// The changes after a version, in their order.
    pub(crate) async fn after(&self, version: i64) -> Result<Vec<Kept>, Error> {
        const SQL: &str = "
            SELECT tenant_id, name, document::text, actor, version,
                   (extract(epoch FROM updated_at) * 1000)::bigint AS updated_ms
              FROM quota_policies
             WHERE version > $1
             ORDER BY version
             LIMIT $2";
        let client = self.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.query(&statement, &[&version, &READ_MAX]).await?.iter().map(kept).collect()
    }

    /// What was set, by name and then by who set it; `after` is both with a space between.
    pub(crate) async fn list(&self, viewer: &Viewer, after: Option<&str>, count: usize) -> Result<Vec<Kept>, Error> {
        const SQL: &str = "
            SELECT tenant_id, name, document::text, actor, version,
                   (extract(epoch FROM updated_at) * 1000)::bigint AS updated_ms
              FROM quota_policies
             WHERE $1 IN ('', tenant_id)
               AND (name, tenant_id) > ($2, $3)
             ORDER BY name, tenant_id
             LIMIT $4";
        let (name, by) = after.and_then(|after| after.split_once(' ')).unwrap_or_default();
        let count = i64::try_from(count).unwrap_or(READ_MAX);
        let rows = self.client().await?.query(SQL, &[&viewer.tenant(), &name, &by, &count]).await?;
        rows.iter().map(kept).collect()
    }

    /// The tenants whose calls used an ad account or app, as far as the history goes back.
    pub(crate) async fn users_of(&self, name: &str) -> Result<Vec<String>, Error> {
        const SQL: &str = "
            SELECT DISTINCT tenant_id
              FROM usage_minutes
             WHERE subject = $1
                OR 'metaApps/' || app = $1
             ORDER BY tenant_id
             LIMIT $2";
        let rows = self.client().await?.query(SQL, &[&name, &USERS_MAX]).await?;
        rows.iter().map(|row| get(row, "tenant_id")).collect()
    }
}

fn kept(row: &Row) -> Result<Kept, Error> {
    let document: String = get(row, "document")?;
    Ok(Kept {
        by: get(row, "tenant_id")?,
        name: get(row, "name")?,
        policy: serde_json::from_str(&document).map_err(|_| Error::Corrupt("a policy"))?,
        version: get(row, "version")?,
        actor: get(row, "actor")?,
        updated_ms: get(row, "updated_ms")?,
    })
}
