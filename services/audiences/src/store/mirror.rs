//! What was last read of audiences.

use graph::audiences::Audience;
use jiff::Timestamp;
use storage::{Error, GenericClient, audit};
use tokio_postgres::Row;
use vocabulary::ids::{AdAccountId, AudienceId, TenantId};

use super::{Store, entry, id, key};

/// An audience as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Mirrored {
    /// Which one.
    pub(crate) id: AudienceId,
    /// What Meta said.
    pub(crate) graph: Audience,
    /// When.
    pub(crate) fetch_time: Timestamp,
}

/// Which audiences to list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed<'a> {
    /// Only of this subtype. Empty: all.
    pub(crate) subtype: &'a str,
    /// Only after this one.
    pub(crate) after: Option<AudienceId>,
    /// At most so many.
    pub(crate) size: usize,
}

impl Store {
    /// What was read of an audience.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn audience(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        audience: AudienceId,
    ) -> Result<Option<Mirrored>, Error> {
        const SQL: &str = "
            SELECT audience_id, graph, fetch_time
              FROM audiences
             WHERE tenant_id = $1 AND account_id = $2 AND audience_id = $3";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &key(account.get()), &key(audience.get())]).await?;
        row.as_ref().map(Mirrored::try_from).transpose()
    }

    /// What was read of an account's audiences, by id.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn audiences(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        listed: Listed<'_>,
    ) -> Result<Vec<Mirrored>, Error> {
        const SQL: &str = "
            SELECT audience_id, graph, fetch_time
              FROM audiences
             WHERE tenant_id = $1 AND account_id = $2
               AND ($3::text = '' OR graph ->> 'subtype' = $3)
               AND audience_id > $4
             ORDER BY audience_id
             LIMIT $5";
        let size = i64::try_from(listed.size).unwrap_or(i64::MAX);
        let after = listed.after.map_or(0, |audience| key(audience.get()));
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let rows =
            client.query(&statement, &[&tenant.as_str(), &key(account.get()), &listed.subtype, &after, &size]).await?;
        rows.iter().map(Mirrored::try_from).collect()
    }

    /// When the account was last read whole.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn listed_at(&self, tenant: &TenantId, account: AdAccountId) -> Result<Option<Timestamp>, Error> {
        const SQL: &str = "
            SELECT fetch_time
              FROM listings
             WHERE tenant_id = $1 AND account_id = $2";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &key(account.get())]).await?;
        row.map(|row| row.try_get(0).map_err(Error::from)).transpose()
    }

    /// Keeps what was read, unless something newer is kept.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn keep(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        audiences: &[Audience],
        now: Timestamp,
    ) -> Result<(), Error> {
        keep_in(&self.postgres.client().await?, tenant.as_str(), account, audiences, now).await
    }

    /// The account was read whole at `begun`: what was not seen since then is gone.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn listed(&self, tenant: &TenantId, account: AdAccountId, begun: Timestamp) -> Result<(), Error> {
        const SQL: &str = "
            WITH gone AS (
                DELETE FROM audiences
                 WHERE tenant_id = $1 AND account_id = $2 AND fetch_time < $3)
            INSERT INTO listings AS l (tenant_id, account_id, fetch_time)
            VALUES ($1, $2, $3)
            ON CONFLICT (tenant_id, account_id) DO UPDATE
               SET fetch_time = greatest(l.fetch_time, EXCLUDED.fetch_time)";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        client.execute(&statement, &[&tenant.as_str(), &key(account.get()), &begun]).await?;
        Ok(())
    }

    /// Forgets an audience that is gone at Meta, and writes into the audit who removed it.
    ///
    /// # Errors
    /// [`Error::Outage`] when the database is away.
    pub(crate) async fn forget(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        audience: AudienceId,
        (actor, request_id): (&str, Option<uuid::Uuid>),
        trace: Option<&str>,
    ) -> Result<(), Error> {
        const SQL: &str = "
            DELETE FROM audiences
             WHERE tenant_id = $1 AND account_id = $2 AND audience_id = $3";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_cached(SQL).await?;
        transaction.execute(&statement, &[&tenant.as_str(), &key(account.get()), &key(audience.get())]).await?;
        let name = vocabulary::names::of_audience(account, audience);
        let detail = serde_json::json!({ "fbtrace_id": trace });
        audit::append(&transaction, entry(tenant.as_str(), actor, "audience.delete", &name, request_id, detail))
            .await?;
        Ok(transaction.commit().await?)
    }
}

/// As [`Store::keep`], in the caller's transaction.
pub(super) async fn keep_in(
    client: &impl GenericClient,
    tenant: &str,
    account: AdAccountId,
    audiences: &[Audience],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO audiences AS a (tenant_id, account_id, audience_id, graph, fetch_time)
        SELECT $1, $2, given.*, $5
          FROM unnest($3::bigint[], $4::jsonb[]) AS given (audience_id, graph)
        ON CONFLICT (tenant_id, account_id, audience_id) DO UPDATE
           SET graph = EXCLUDED.graph,
               fetch_time = EXCLUDED.fetch_time
         WHERE a.fetch_time <= EXCLUDED.fetch_time";
    let mut known = std::collections::BTreeMap::new();
    for audience in audiences {
        let Ok(id) = audience.id.parse::<AudienceId>() else { continue };
        let graph = serde_json::to_value(audience).map_err(|error| Error::Broken(error.to_string()))?;
        known.insert(key(id.get()), graph);
    }
    let (ids, graphs): (Vec<i64>, Vec<serde_json::Value>) = known.into_iter().unzip();
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&tenant, &key(account.get()), &ids, &graphs, &now]).await?;
    Ok(())
}

impl TryFrom<&Row> for Mirrored {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let graph: serde_json::Value = row.try_get("graph")?;
        Ok(Self {
            id: AudienceId::new(id(row.try_get("audience_id")?)),
            // A parser's text would quote what it could not read.
            graph: serde_json::from_value(graph)
                .map_err(|_| Error::Broken("a mirrored audience is unreadable".into()))?,
            fetch_time: row.try_get("fetch_time")?,
        })
    }
}
