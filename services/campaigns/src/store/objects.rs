use std::collections::BTreeSet;

use graph::objects::Kind;
use jiff::Timestamp;
use serde_json::Value;
use storage::{Error, GenericClient};
use tokio_postgres::Row;
use vocabulary::ids::{AdAccountId, TenantId};

use super::{Store, account, column};
use crate::mirror;

/// An object as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) graph: Value,
    pub(crate) fetched: Timestamp,
}

/// Which objects to list, the largest id first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// Only beneath this parent; 0: all.
    pub(crate) parent: u64,
    /// Only with one of Meta's words; empty: all but deleted and archived.
    pub(crate) statuses: Vec<String>,
    /// Only with this name; empty: all.
    pub(crate) name: String,
    /// Only ids below this one.
    pub(crate) below: Option<u64>,
    /// At most so many.
    pub(crate) size: usize,
}

impl Store {
    /// `None` where the tenant's account has no such object, as far as is known.
    pub(crate) async fn object(
        &self,
        tenant: &TenantId,
        of: AdAccountId,
        kind: Kind,
        id: u64,
    ) -> Result<Option<Object>, Error> {
        const SQL: &str = "
            SELECT graph, fetched_at
              FROM objects
             WHERE tenant_id = $1 AND account_id = $2 AND kind = $3 AND id = $4";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &account(of), &kind.word(), &column(id)]).await?;
        row.as_ref().map(Object::try_from).transpose()
    }

    /// Which of these ids are objects of the tenant's account, of any kind.
    pub(crate) async fn known(&self, tenant: &TenantId, of: AdAccountId, ids: &[u64]) -> Result<BTreeSet<u64>, Error> {
        const SQL: &str = "
            SELECT DISTINCT id
              FROM objects
             WHERE tenant_id = $1 AND account_id = $2 AND id = ANY ($3)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let ids: Vec<i64> = ids.iter().copied().map(column).collect();
        let rows = client.query(&statement, &[&tenant.as_str(), &account(of), &ids]).await?;
        rows.iter().map(|row| Ok(row.try_get::<_, i64>(0)?.unsigned_abs())).collect()
    }

    /// A page of an account's objects.
    pub(crate) async fn objects(
        &self,
        tenant: &TenantId,
        of: AdAccountId,
        kind: Kind,
        listing: &Listing,
    ) -> Result<Vec<Object>, Error> {
        const SQL: &str = "
            SELECT graph, fetched_at
              FROM objects
             WHERE tenant_id = $1
               AND account_id = $2
               AND kind = $3
               AND ($4::bigint = 0 OR parent_id = $4)
               AND (effective_status = ANY($5)
                    OR (cardinality($5::text[]) = 0 AND effective_status NOT IN ('DELETED', 'ARCHIVED')))
               AND ($6::text = '' OR name = $6)
               AND id < $7
             ORDER BY id DESC
             LIMIT $8";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let below = listing.below.map_or(i64::MAX, column);
        let size = i64::try_from(listing.size).unwrap_or(i64::MAX);
        let parent = column(listing.parent);
        let rows = client
            .query(
                &statement,
                &[
                    &tenant.as_str(),
                    &account(of),
                    &kind.word(),
                    &parent,
                    &listing.statuses,
                    &listing.name,
                    &below,
                    &size,
                ],
            )
            .await?;
        rows.iter().map(Object::try_from).collect()
    }

    /// Keeps an object as it was read at `fetched`, unless what is stored is newer. An object without an id is left out.
    pub(crate) async fn keep_object(
        &self,
        client: &impl GenericClient,
        tenant: &TenantId,
        of: AdAccountId,
        kind: Kind,
        graph: &Value,
        fetched: Timestamp,
    ) -> Result<(), Error> {
        const SQL: &str = "
            INSERT INTO objects AS o
                   (tenant_id, account_id, kind, id, parent_id, name, effective_status, graph, updated_at, fetched_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (tenant_id, account_id, kind, id) DO UPDATE
               SET parent_id = EXCLUDED.parent_id,
                   name = EXCLUDED.name,
                   effective_status = EXCLUDED.effective_status,
                   graph = EXCLUDED.graph,
                   updated_at = EXCLUDED.updated_at,
                   fetched_at = EXCLUDED.fetched_at
             WHERE o.fetched_at <= EXCLUDED.fetched_at
               AND (o.updated_at IS NULL OR EXCLUDED.updated_at IS NULL OR o.updated_at <= EXCLUDED.updated_at)";
        let Some(id) = mirror::number(graph, "id") else { return Ok(()) };
        let statement = client.prepare_cached(SQL).await?;
        let status = match kind {
            Kind::Creative => mirror::text(graph, "status"),
            _ => mirror::text(graph, "effective_status"),
        };
        let name = mirror::text(graph, "name");
        let parent = column(parent(kind, graph));
        client
            .execute(
                &statement,
                &[
                    &tenant.as_str(),
                    &account(of),
                    &kind.word(),
                    &column(id),
                    &parent,
                    &name,
                    &status,
                    &graph,
                    &mirror::time(graph, "updated_time"),
                    &fetched,
                ],
            )
            .await?;
        Ok(())
    }

    /// When the account's objects of this kind were last read from end to end.
    pub(crate) async fn crawled(
        &self,
        tenant: &TenantId,
        of: AdAccountId,
        kind: Kind,
    ) -> Result<Option<Timestamp>, Error> {
        const SQL: &str = "
            SELECT ended_at
              FROM crawls
             WHERE tenant_id = $1 AND account_id = $2 AND kind = $3";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &account(of), &kind.word()]).await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    /// Notes that a crawl that began at `began` has ended. What it did not see any more is gone or archived; it is no
    /// longer listed.
    pub(crate) async fn end_crawl(
        &self,
        tenant: &TenantId,
        of: AdAccountId,
        kind: Kind,
        began: Timestamp,
    ) -> Result<(), Error> {
        const CRAWLED: &str = "
            INSERT INTO crawls (tenant_id, account_id, kind, ended_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant_id, account_id, kind) DO UPDATE
               SET ended_at = EXCLUDED.ended_at";
        const GONE: &str = "
            UPDATE objects
               SET effective_status = 'DELETED'
             WHERE tenant_id = $1 AND account_id = $2 AND kind = $3 AND fetched_at < $4";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let of = account(of);
        for sql in [CRAWLED, GONE] {
            let statement = transaction.prepare_cached(sql).await?;
            transaction.execute(&statement, &[&tenant.as_str(), &of, &kind.word(), &began]).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Marks an object deleted, with what is beneath it.
    pub(crate) async fn bury_object(
        &self,
        client: &impl GenericClient,
        tenant: &TenantId,
        of: AdAccountId,
        kind: Kind,
        id: u64,
    ) -> Result<(), Error> {
        const SQL: &str = "
            WITH RECURSIVE gone AS (
                SELECT kind, id
                  FROM objects
                 WHERE tenant_id = $1 AND account_id = $2 AND kind = $3 AND id = $4
                 UNION
                SELECT o.kind, o.id
                  FROM objects o, gone g
                 WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.parent_id = g.id AND o.parent_id <> 0)
            UPDATE objects o
               SET effective_status = 'DELETED',
                   graph = o.graph || jsonb_build_object('status', 'DELETED', 'effective_status', 'DELETED')
              FROM gone g
             WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.kind = g.kind AND o.id = g.id";
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &account(of), &kind.word(), &column(id)]).await?;
        Ok(())
    }
}

/// The campaign of an ad set, the ad set of an ad; else 0.
pub(crate) fn parent(kind: Kind, graph: &Value) -> u64 {
    let key = match kind {
        Kind::AdSet => "campaign_id",
        Kind::Ad => "adset_id",
        Kind::Campaign | Kind::Creative => return 0,
    };
    mirror::number(graph, key).unwrap_or(0)
}

impl TryFrom<&Row> for Object {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self { graph: row.try_get("graph")?, fetched: row.try_get("fetched_at")? })
    }
}
