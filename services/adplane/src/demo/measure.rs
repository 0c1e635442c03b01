//! What the account spent and sold, by day; and what all of this took from the quota.

use anyhow::{Context, Result};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use proto::{
    insights::v1::{
        CreateReportRequest, GetReportRequest, Level, ListReportRowsRequest, Query, Report, Row, TimeRange,
        query::Period,
    },
    ratelimit::v1::{ListQuotasRequest, Quota},
};
use uuid::Uuid;

use super::{OperationFailed, Target, step::Step};

/// The report and its rows.
pub(crate) struct Measured {
    pub(crate) report: Report,
    pub(crate) rows: Vec<Row>,
}

/// Makes a report of the account over this many days up to yesterday.
pub(crate) async fn report(target: &Target, now: Timestamp, days: i64, step: &Step) -> Result<Measured> {
    let yesterday = now.to_zoned(TimeZone::UTC).date().yesterday()?;
    let since = yesterday.checked_sub((days - 1).days())?;
    let request = CreateReportRequest {
        parent: target.account(),
        query: Some(Query {
            level: Level::Account.into(),
            fields: ["spend", "impressions", "clicks", "actions", "action_values"].map(str::to_owned).to_vec(),
            period: Some(Period::TimeRange(TimeRange { since: since.to_string(), until: yesterday.to_string() })),
            time_increment: Some("1".to_owned()),
            ..Query::default()
        }),
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let operation = target.client.reports().create_report(request).await?.into_inner().operation.unwrap_or_default();
    let done = target.client.wait(&operation.name, |operation| step.follow(operation)).await?;
    OperationFailed::check(&done, "the report could not be made")?;
    let name = done.metadata.context("the report's operation has no metadata")?.resource;
    let report = target.client.reports().get_report(GetReportRequest { name: name.clone() }).await?;
    Ok(Measured { report: report.into_inner().report.unwrap_or_default(), rows: rows(target, &name).await? })
}

async fn rows(target: &Target, report: &str) -> Result<Vec<Row>> {
    let (mut rows, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListReportRowsRequest { name: report.to_owned(), page_size: 1_000, page_token };
        let page = target.client.reports().list_report_rows(request).await?.into_inner();
        rows.extend(page.rows);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(rows);
        }
    }
}

/// Every bucket that the tenant's calls used.
pub(crate) async fn quotas(target: &Target) -> Result<Vec<Quota>> {
    let request = ListQuotasRequest { page_size: 1_000, ..ListQuotasRequest::default() };
    Ok(target.client.quotas().list_quotas(request).await?.into_inner().quotas)
}
