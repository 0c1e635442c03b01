//! The gRPC surface: open, decode, do, encode.

mod export;
mod field;
mod insight;

use prost::Message;
use proto::insights::v1::{self as pb, report_service_server::ReportService};
use rpc::FieldError;
use tonic::{Request, Response, Status};
use vocabulary::{Clock, page::PageTokens};

pub(crate) use field::FieldApi;
pub(crate) use insight::InsightApi;

use crate::{Error, reports::Reports, wire};

/// `ReportService`.
#[derive(Debug, Clone)]
pub(crate) struct ReportApi<C> {
    reports: Reports<C>,
    tokens: PageTokens,
}

impl<C: Clock> ReportApi<C> {
    /// Over these use cases; page tokens are sealed with `tokens`.
    pub(crate) fn new(reports: Reports<C>, tokens: PageTokens) -> Self {
        Self { reports, tokens }
    }
}

#[tonic::async_trait]
impl<C: Clock> ReportService for ReportApi<C> {
    type ExportReportStream = export::ExportStream;

    async fn create_report(
        &self,
        request: Request<pb::CreateReportRequest>,
    ) -> Result<Response<pb::CreateReportResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let command = wire::create(request)?;
        let operation = self.reports.create(&caller, command).await?;
        Ok(Response::new(pb::CreateReportResponse { operation: Some(operation) }))
    }

    async fn get_report(
        &self,
        request: Request<pb::GetReportRequest>,
    ) -> Result<Response<pb::GetReportResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let asked = wire::name(&request.name)?;
        let (report, parts) = self.reports.get(&caller, asked.account, asked.id).await?;
        Ok(Response::new(pb::GetReportResponse { report: Some(wire::report(&report, &parts)) }))
    }

    async fn list_reports(
        &self,
        request: Request<pb::ListReportsRequest>,
    ) -> Result<Response<pb::ListReportsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let filter = filter("reports", &account.act());
        let page = self
            .tokens
            .request(&caller.tenant, &filter, request.page_size, &request.page_token)
            .map_err(FieldError::from)?;
        let mut reports = self.reports.list(&caller, account, &page).await?;
        let more = cut(&mut reports, page.size);
        let last = reports.last().filter(|_| more).map(|report| report.id.to_string());
        Ok(Response::new(pb::ListReportsResponse {
            reports: reports.iter().map(|report| wire::report(report, &[])).collect(),
            next_page_token: last.map(|key| self.tokens.seal(&caller.tenant, &filter, &key)).unwrap_or_default(),
        }))
    }

    async fn list_report_rows(
        &self,
        request: Request<pb::ListReportRowsRequest>,
    ) -> Result<Response<pb::ListReportRowsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let asked = wire::name(&request.name)?;
        let filter = filter("rows", &request.name);
        let page = self
            .tokens
            .request(&caller.tenant, &filter, request.page_size, &request.page_token)
            .map_err(FieldError::from)?;
        let (state, mut rows) = self.reports.rows(&caller, asked.account, asked.id, &page).await?;
        let more = cut(&mut rows, page.size);
        let last = rows.last().filter(|_| more).map(|(place, _)| place.to_string());
        Ok(Response::new(pb::ListReportRowsResponse {
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            next_page_token: last.map(|key| self.tokens.seal(&caller.tenant, &filter, &key)).unwrap_or_default(),
            state: wire::state(state).into(),
        }))
    }

    async fn export_report(
        &self,
        request: Request<pb::ExportReportRequest>,
    ) -> Result<Response<Self::ExportReportStream>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (asked, format, offset) = export::decode(&request)?;
        let report = self.reports.ended(&caller, asked.account, asked.id).await?;
        Ok(Response::new(export::stream(self.reports.store().clone(), report, format, offset)))
    }
}

/// What else chooses the rows of a list, for its page tokens.
fn filter(list: &str, of: &str) -> Vec<u8> {
    format!("{list} {of}").into_bytes()
}

/// Drops the row that only says that there are more.
fn cut<T>(rows: &mut Vec<T>, size: usize) -> bool {
    let more = rows.len() > size;
    rows.truncate(size);
    more
}

/// The filter of a list that a message chooses.
fn filter_of(list: &str, of: &str, message: &impl Message) -> Vec<u8> {
    let mut bytes = filter(list, of);
    bytes.push(0);
    bytes.extend(message.encode_to_vec());
    bytes
}

/// Why a page cannot be given, as this crate's error.
fn page_error(error: vocabulary::page::PageError) -> Error {
    Error::Field(error.into())
}
