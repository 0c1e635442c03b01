//! The use cases of reports: one method per verb. Only the store is read here; Meta is the poller's business.

use prost::Message;
use proto::{insights::v1 as pb, operations::v1::Operation};
use rpc::Caller;
use storage::{audit, operations, requests};
use uuid::Uuid;
use vocabulary::{Clock, ids::AdAccountId, ids::ReportId, names, page::PageRequest};

use crate::{
    Error,
    query::{self, Today},
    report::{Part, Report, State},
    store::{NewReport, Store},
    wire,
};

/// The kind of a report's operation.
pub(crate) const KIND: &str = "report";

const METHOD: &str = "adplane.insights.v1.ReportService/CreateReport";

/// Reports of all tenants.
#[derive(Debug, Clone)]
pub(crate) struct Reports<C> {
    store: Store,
    operations: operations::Operations,
    requests: requests::Requests,
    clock: C,
    also: Vec<String>,
}

/// A report to be made.
#[derive(Debug, Clone)]
pub(crate) struct CreateReport {
    /// Which account is measured.
    pub account: AdAccountId,
    /// What, unchecked.
    pub query: Option<pb::Query>,
    /// Makes repeats safe.
    pub request_id: Uuid,
    /// The same for the same request.
    pub fingerprint: [u8; 32],
    /// Check only.
    pub validate_only: bool,
}

impl<C: Clock> Reports<C> {
    /// `also` are metrics that the operator lets in although the tables do not have them yet.
    pub(crate) fn new(store: Store, postgres: storage::Postgres, clock: C, also: Vec<String>) -> Self {
        Self {
            store,
            operations: operations::Operations::new(postgres.clone()),
            requests: requests::Requests::new(postgres),
            clock,
            also,
        }
    }

    /// Accepts a report. The poller makes it.
    pub(crate) async fn create(&self, caller: &Caller, command: CreateReport) -> Result<Operation, Error> {
        let now = self.clock.now();
        query::check(command.query.as_ref(), &self.also, Today::at(now)).map_err(Error::Query)?;
        let query = command.query.clone().unwrap_or_default();
        if command.validate_only {
            return Ok(wire::validated(command.account, query));
        }
        let (tenant, request) = (caller.tenant.as_str(), command.request_id);
        match self.requests.begin(tenant, request, METHOD, command.fingerprint).await? {
            requests::Begin::New => {}
            requests::Begin::Answered(bytes) => {
                return Operation::decode(bytes.as_slice()).map_err(|_| Error::Corrupt("answer"));
            }
            requests::Begin::InFlight => return Err(Error::RequestInFlight(request.to_string())),
            requests::Begin::Reused => return Err(Error::RequestReused(request.to_string())),
        }
        match self.accept(caller, command.account, query, request).await {
            Ok(operation) => Ok(operation),
            Err(error) => {
                // Nothing happened: the transaction was rolled back. Where this fails too, the id is free in two minutes.
                if let Err(error) = self.requests.abandon(tenant, request).await {
                    tracing::warn!(error = %error, "a request could not be abandoned");
                }
                Err(error)
            }
        }
    }

    /// The report, its operation, the audit entry and the answer, together or not at all.
    async fn accept(
        &self,
        caller: &Caller,
        account: AdAccountId,
        query: pb::Query,
        request: Uuid,
    ) -> Result<Operation, Error> {
        let (id, now) = (Uuid::now_v7(), self.clock.now());
        let name = names::of_report(account, ReportId(id));
        let operation = wire::accepted(id, &name, now);
        let body = operation.encode_to_vec();
        let tenant = caller.tenant.as_str();
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let new =
            NewReport { tenant: &caller.tenant, id, account, subject: &caller.subject, query: &query, created: now };
        self.store.create(&transaction, new).await?;
        let row = operations::New { tenant, id, kind: KIND, resource: &name, input: &[], body: &body };
        self.operations.create(&transaction, row).await?;
        self.requests.answer_in(&transaction, tenant, request, &body).await?;
        let entry = audit::Entry {
            tenant,
            actor: &caller.subject,
            action: "insights.reports.create",
            resource: &name,
            request_id: Some(request),
            detail: serde_json::json!({ "level": query.level().as_str_name(), "fields": query.fields }),
        };
        audit::append(&transaction, entry).await?;
        transaction.commit().await?;
        Ok(operation)
    }

    /// The report and its slices.
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        account: AdAccountId,
        id: ReportId,
    ) -> Result<(Report, Vec<Part>), Error> {
        let report = self.find(caller, account, id).await?;
        let parts = self.store.parts(&caller.tenant, id.0).await?;
        Ok((report, parts))
    }

    /// A page of the account's reports, newest first, one more than asked for where there are more.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        account: AdAccountId,
        page: &PageRequest,
    ) -> Result<Vec<Report>, Error> {
        // The key was sealed by us; one that is no UUID would be of an older version, and begins anew.
        let after = page.after.as_deref().and_then(|key| key.parse().ok());
        self.store.reports(&caller.tenant, account, after, page.size + 1).await
    }

    /// A page of the report's rows with their places, one more than asked for where there are more.
    pub(crate) async fn rows(
        &self,
        caller: &Caller,
        account: AdAccountId,
        id: ReportId,
        page: &PageRequest,
    ) -> Result<(State, Vec<(i64, pb::Row)>), Error> {
        // First the state: rows that come later than it are shown, but never a state later than the rows.
        let state = self.find(caller, account, id).await?.state;
        let after = page.after.as_deref().and_then(|key| key.parse().ok()).unwrap_or(i64::MIN);
        Ok((state, self.store.rows(&caller.tenant, id.0, after, page.size + 1).await?))
    }

    /// The report, once it has ended.
    pub(crate) async fn ended(&self, caller: &Caller, account: AdAccountId, id: ReportId) -> Result<Report, Error> {
        let report = self.find(caller, account, id).await?;
        if report.state == State::Running { Err(Error::StillRunning) } else { Ok(report) }
    }

    /// The store, for streams that read on after the call has returned.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    async fn find(&self, caller: &Caller, account: AdAccountId, id: ReportId) -> Result<Report, Error> {
        let found = self.store.report(&caller.tenant, Some(account), id.0).await?;
        found.ok_or_else(|| Error::Missing(names::of_report(account, id)))
    }
}
