//! Reading reports.

use prost::Message;
use tokio_postgres::Row;
use uuid::Uuid;
use vocabulary::{
    DayRange,
    ids::{AdAccountId, TenantId},
};

use super::{Store, key};
use crate::{
    Error,
    reconcile::Sums,
    report::{Plan, Reconciliation, Report, State},
    slices::Mode,
};

impl Store {
    /// The tenant's report, or `None`; `account` narrows it to that account's.
    pub(crate) async fn report(
        &self,
        tenant: &TenantId,
        account: Option<AdAccountId>,
        id: Uuid,
    ) -> Result<Option<Report>, Error> {
        const SQL: &str = "
            SELECT *
              FROM reports
             WHERE tenant_id = $1 AND id = $2 AND ($3::bigint IS NULL OR account_id = $3)";
        let account = account.map(key).transpose()?;
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_opt(&statement, &[&tenant.as_str(), &id, &account]).await?;
        row.as_ref().map(|row| report(row, tenant)).transpose()
    }

    /// The account's reports, newest first, older than `after`.
    pub(crate) async fn reports(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        after: Option<Uuid>,
        size: usize,
    ) -> Result<Vec<Report>, Error> {
        const SQL: &str = "
            SELECT *
              FROM reports
             WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR id < $3)
             ORDER BY id DESC
             LIMIT $4";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let rows = client.query(&statement, &[&tenant.as_str(), &key(account)?, &after, &size]).await?;
        rows.iter().map(|row| report(row, tenant)).collect()
    }
}

fn report(row: &Row, tenant: &TenantId) -> Result<Report, Error> {
    const CORRUPT: Error = Error::Corrupt("report");
    let account: i64 = get(row, "account_id")?;
    let error: Option<Vec<u8>> = get(row, "error")?;
    let rereads: i32 = get(row, "rereads")?;
    Ok(Report {
        tenant: tenant.clone(),
        id: get(row, "id")?,
        account: AdAccountId::new(u64::try_from(account).map_err(|_| CORRUPT)?),
        query: decode(&get::<Vec<u8>>(row, "query")?)?,
        state: match get::<&str>(row, "state")? {
            "running" => State::Running,
            "succeeded" => State::Succeeded,
            "failed" => State::Failed,
            "cancelled" => State::Cancelled,
            _ => return Err(CORRUPT),
        },
        plan: plan(row)?,
        reconciliation: reconciliation(row)?,
        rereads: u32::try_from(rereads).map_err(|_| CORRUPT)?,
        data_time: get(row, "data_at")?,
        error: error.as_deref().map(decode).transpose()?,
        created: get(row, "created_at")?,
        ended: get(row, "ended_at")?,
    })
}

fn plan(row: &Row) -> Result<Option<Plan>, Error> {
    const CORRUPT: Error = Error::Corrupt("plan of a report");
    let Some(mode) = get::<Option<&str>>(row, "mode")? else { return Ok(None) };
    Ok(Some(Plan {
        currency: get::<&str>(row, "currency")?.parse().map_err(|_| CORRUPT)?,
        time_zone: get(row, "time_zone")?,
        days: DayRange::new(get(row, "since")?, get(row, "until")?).map_err(|_| CORRUPT)?,
        mode: match mode {
            "sync" => Mode::Sync,
            "async" => Mode::Async,
            _ => return Err(CORRUPT),
        },
        mode_reason: get(row, "mode_reason")?,
    }))
}

fn reconciliation(row: &Row) -> Result<Reconciliation, Error> {
    let reason: String = get(row, "reconciliation_reason")?;
    let control = || -> Result<Sums, Error> {
        Ok(Sums {
            impressions: get(row, "control_impressions")?,
            clicks: get(row, "control_clicks")?,
            spend_minor: get(row, "control_spend_minor")?,
        })
    };
    Ok(match get::<&str>(row, "reconciliation")? {
        "open" => Reconciliation::Open,
        "matched" => Reconciliation::Matched { control: control()? },
        "differed" => Reconciliation::Differed { control: control()?, reason },
        "not_comparable" => Reconciliation::NotComparable { reason },
        _ => return Err(Error::Corrupt("reconciliation")),
    })
}

/// A column by its name.
pub(super) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, Error> {
    Ok(row.try_get(column)?)
}

/// A message that we encoded.
pub(super) fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, Error> {
    T::decode(bytes).map_err(|_| Error::Corrupt("message"))
}
