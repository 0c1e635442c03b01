//! Operations of this service: bodies that callers see, in rows that workers hold.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prost::Message;
use proto::{
    common::v1::RowError,
    operations::v1::{Operation, OperationFilter, OperationMetadata, OperationPart, operation::Outcome},
};
use rpc::{Asked, CANCEL, Caller, OperationPage, OperationStore};
use storage::{
    audit::Entry,
    operations::{Claimed, Listing, Operations, Stored},
};
use tonic::Status;
use uuid::Uuid;
use vocabulary::{
    ids::{OperationId, TenantId},
    names,
    page::PageRequest,
};

use crate::{error::Error, wire};

/// The service's name in operations and errors.
pub(crate) const SERVICE: &str = "campaigns";
/// The kind of operations that look for a create whose answer was lost. The input is the intent's id.
pub(crate) const LOOK: &str = "create.look";
/// The kind of operations that apply a plan. The input is [`crate::plan::apply::Input`].
pub(crate) const APPLY: &str = "plan.apply";

/// `operations/campaigns-{uuid}`.
pub(crate) fn name(id: Uuid) -> String {
    names::of_operation(&OperationId { service: SERVICE.to_owned(), id })
}

/// An operation that has just been accepted.
pub(crate) fn accepted(id: Uuid, resource: &str, phase: &str, now: Timestamp) -> Operation {
    let metadata = OperationMetadata {
        resource: resource.to_owned(),
        phase: phase.to_owned(),
        create_time: Some(wire::time(now)),
        update_time: Some(wire::time(now)),
        ..OperationMetadata::default()
    };
    Operation { name: name(id), done: false, metadata: Some(metadata), outcome: None }
}

/// A message of this full name as the result of an operation.
pub(crate) fn any(full_name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/{full_name}"), value: message.encode_to_vec() }
}

/// An operation that a worker holds: its row, and its body as callers see it.
pub(crate) struct Held {
    rows: Operations,
    pub(crate) claimed: Claimed,
    body: Mutex<Operation>,
}

impl Held {
    /// Reads the body of a row that was claimed.
    pub(crate) fn new(rows: Operations, claimed: Claimed) -> Result<Self, Error> {
        let body = Operation::decode(claimed.body.as_slice())?;
        Ok(Self { rows, claimed, body: Mutex::new(body) })
    }

    /// Changes what callers see. Stored with the next sign of life, or with [`Held::tell`].
    pub(crate) fn change(&self, change: impl FnOnce(&mut OperationMetadata)) {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        change(body.metadata.get_or_insert_default());
    }

    /// What callers see of its parts.
    pub(crate) fn parts(&self, parts: Vec<OperationPart>, total: usize) {
        use proto::operations::v1::PartState;
        let ended = |part: &&OperationPart| {
            matches!(part.state(), PartState::Succeeded | PartState::Failed | PartState::Skipped)
        };
        let done = parts.iter().filter(ended).count();
        self.change(|metadata| {
            metadata.steps_done = i64::try_from(done).unwrap_or(i64::MAX);
            metadata.steps_total = i64::try_from(total).unwrap_or(i64::MAX);
            metadata.parts = parts;
        });
    }

    /// Stores what callers see and extends the lease. `true`: somebody asked for it to stop.
    pub(crate) async fn tell(&self, now: Timestamp) -> Result<bool, Error> {
        self.change(|metadata| metadata.update_time = Some(wire::time(now)));
        let control = self.rows.progress(&self.claimed, &self.encoded()).await?;
        self.change(|metadata| metadata.cancel_requested = control.cancel_requested);
        Ok(control.cancel_requested)
    }

    /// Puts the work back for a while.
    pub(crate) async fn later(
        &self,
        delay: std::time::Duration,
        waiting_on: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.change(|metadata| {
            waiting_on.clone_into(&mut metadata.waiting_on);
            metadata.update_time = Some(wire::time(now));
            let next = now.checked_add(delay).ok();
            metadata.next_attempt_time = next.map(wire::time);
            // It may be known that the quota takes longer than until the next look at it.
            let told = metadata.quota_until.take().map_or(i64::MIN, |until| until.seconds);
            let until = next.map(|next| next.max(Timestamp::from_second(told).unwrap_or(next)));
            metadata.quota_until = until.filter(|_| waiting_on == "quota").map(wire::time);
        });
        Ok(self.rows.postpone(&self.claimed, delay, &self.encoded()).await?)
    }

    /// Ends the work.
    pub(crate) async fn end(&self, outcome: Result<prost_types::Any, RowError>, now: Timestamp) -> Result<(), Error> {
        let bytes = self.ended(outcome, now);
        Ok(self.rows.finish(&self.claimed, &bytes).await?)
    }

    /// As [`Held::end`], in the caller's transaction.
    pub(crate) async fn end_in(
        &self,
        client: &impl storage::GenericClient,
        outcome: Result<prost_types::Any, RowError>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let bytes = self.ended(outcome, now);
        Ok(self.rows.finish_in(client, &self.claimed, &bytes).await?)
    }

    /// For how long it has been worked on or waited for, with all pauses.
    pub(crate) fn age(&self, now: Timestamp) -> std::time::Duration {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let accepted = body.metadata.as_ref().and_then(|metadata| metadata.create_time);
        let accepted = accepted.and_then(|time| Timestamp::from_second(time.seconds).ok()).unwrap_or(now);
        std::time::Duration::try_from(now.duration_since(accepted)).unwrap_or_default()
    }

    /// The body of the ended operation.
    fn ended(&self, outcome: Result<prost_types::Any, RowError>, now: Timestamp) -> Vec<u8> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.done = true;
        body.outcome = Some(match outcome {
            Ok(result) => Outcome::Result(result),
            Err(error) => Outcome::Error(error),
        });
        let metadata = body.metadata.get_or_insert_default();
        metadata.waiting_on.clear();
        metadata.next_attempt_time = None;
        metadata.quota_until = None;
        metadata.update_time = Some(wire::time(now));
        body.encode_to_vec()
    }

    fn encoded(&self) -> Vec<u8> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).encode_to_vec()
    }
}

/// The rows of this service, as `OperationService` asks for them.
#[derive(Debug, Clone)]
pub(crate) struct Rows(pub(crate) Operations);

#[tonic::async_trait]
impl OperationStore for Rows {
    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Operation>, Status> {
        let stored = self.0.get(tenant.as_str(), id).await.map_err(Error::from)?;
        Ok(stored.as_ref().map(read).transpose()?)
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &OperationFilter,
        page: &PageRequest,
    ) -> Result<OperationPage, Status> {
        let listing = Listing {
            resource: &filter.resource,
            done: filter.done,
            after: page.after.as_deref().and_then(|key| key.parse().ok()),
            size: page.size + 1,
        };
        let mut stored = self.0.list(tenant.as_str(), listing).await.map_err(Error::from)?;
        let more = stored.len() > page.size;
        stored.truncate(page.size);
        let next = stored.last().filter(|_| more).map(|last| last.id.to_string());
        let operations: Result<Vec<_>, Error> = stored.iter().map(read).collect();
        Ok(OperationPage { operations: operations?, next })
    }

    async fn cancel(&self, caller: &Caller, asked: Asked<'_>) -> Result<Option<Operation>, Status> {
        let entry = Entry {
            tenant: caller.tenant.as_str(),
            actor: &caller.subject,
            action: CANCEL,
            resource: asked.name,
            request_id: asked.request_id,
            detail: serde_json::json!({}),
        };
        let stored = self.0.cancel(asked.id, entry).await.map_err(Error::from)?;
        Ok(stored.as_ref().map(read).transpose()?)
    }
}

/// An operation as callers see it. The wish to stop stands in the row, because the worker writes the body.
pub(crate) fn read(stored: &Stored) -> Result<Operation, Error> {
    let mut operation = Operation::decode(stored.body.as_slice())?;
    operation.metadata.get_or_insert_default().cancel_requested = stored.cancel_requested;
    Ok(operation)
}
