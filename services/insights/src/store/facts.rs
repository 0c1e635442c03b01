//! The rows of reports.

use std::collections::BTreeMap;

use prost::Message;
use proto::insights::v1 as pb;
use storage::GenericClient;
use uuid::Uuid;
use vocabulary::{Day, ids::TenantId};

use super::{
    Store,
    read::{decode, get},
};
use crate::{Error, reconcile::Sums};

/// Rows of one slice at most: more than Meta has ads.
const ROWS_PER_SLICE: i64 = 1 << 32;

/// A row to be kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    /// The first day of its slice of days, which may be later than the part's.
    pub date_start: Day,
    /// What can be added up.
    pub sums: Sums,
    /// For callers.
    pub row: pb::Row,
}

impl Store {
    /// A report's rows in order, behind `after`, each with its place.
    pub(crate) async fn rows(
        &self,
        tenant: &TenantId,
        report: Uuid,
        after: i64,
        size: usize,
    ) -> Result<Vec<(i64, pb::Row)>, Error> {
        const SQL: &str = "
            SELECT ordinal, body
              FROM facts
             WHERE tenant_id = $1 AND report_id = $2 AND ordinal > $3
             ORDER BY ordinal
             LIMIT $4";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let rows = client.query(&statement, &[&tenant.as_str(), &report, &after, &size]).await?;
        rows.iter().map(|row| Ok((get(row, "ordinal")?, decode(get::<&[u8]>(row, "body")?)?))).collect()
    }

    /// The sums of a report's rows by the first day of their slices.
    pub(crate) async fn sums_by_day(&self, tenant: &TenantId, report: Uuid) -> Result<BTreeMap<Day, Sums>, Error> {
        const SQL: &str = "
            SELECT date_start,
                   sum(impressions)::bigint AS impressions,
                   sum(clicks)::bigint AS clicks,
                   sum(spend_minor)::bigint AS spend_minor
              FROM facts
             WHERE tenant_id = $1 AND report_id = $2
             GROUP BY date_start";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let rows = client.query(&statement, &[&tenant.as_str(), &report]).await?;
        rows.iter()
            .map(|row| {
                let sums = Sums {
                    impressions: get(row, "impressions")?,
                    clicks: get(row, "clicks")?,
                    spend_minor: get(row, "spend_minor")?,
                };
                Ok((get(row, "date_start")?, sums))
            })
            .collect()
    }
}

/// The place of a slice's first row. Slices do not overlap, so their places do not either.
pub(super) fn base(since: Day) -> i64 {
    const EPOCH: Day = jiff::civil::date(1970, 1, 1);
    let days = since.duration_since(EPOCH).as_hours() / 24;
    days.saturating_mul(ROWS_PER_SLICE)
}

pub(super) async fn insert(
    client: &impl GenericClient,
    tenant: &str,
    report: Uuid,
    first: i64,
    rows: &[Fact],
) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO facts (tenant_id, report_id, ordinal, date_start, impressions, clicks, spend_minor, body)
        SELECT $1, $2, $3 + place - 1, date_start, impressions, clicks, spend_minor, body
          FROM UNNEST($4::date[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[])
               WITH ORDINALITY AS fact (date_start, impressions, clicks, spend_minor, body, place)";
    if rows.is_empty() {
        return Ok(());
    }
    let dates: Vec<Day> = rows.iter().map(|row| row.date_start).collect();
    let impressions: Vec<i64> = rows.iter().map(|row| row.sums.impressions).collect();
    let clicks: Vec<i64> = rows.iter().map(|row| row.sums.clicks).collect();
    let spend: Vec<i64> = rows.iter().map(|row| row.sums.spend_minor).collect();
    let bodies: Vec<Vec<u8>> = rows.iter().map(|row| row.row.encode_to_vec()).collect();
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&tenant, &report, &first, &dates, &impressions, &clicks, &spend, &bodies]).await?;
    Ok(())
}

/// Deletes the rows of the slice that begins on `since`.
pub(super) async fn forget(client: &impl GenericClient, tenant: &str, report: Uuid, since: Day) -> Result<(), Error> {
    const SQL: &str = "
        DELETE FROM facts
         WHERE tenant_id = $1 AND report_id = $2 AND ordinal >= $3 AND ordinal < $4";
    let first = base(since);
    let end = first.saturating_add(ROWS_PER_SLICE);
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&tenant, &report, &first, &end]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_days_have_later_places() {
        let place = |text: &str| base(text.parse().unwrap());
        assert_eq!(place("1970-01-02"), ROWS_PER_SLICE);
        assert_eq!(place("2026-11-02") - place("2026-11-01"), ROWS_PER_SLICE);
    }
}
