//! Uploads.

use prost::Message;
use proto::audiences::v1 as pb;
use rpc::{FieldError, Fields};
use vocabulary::{
    ids::{AdAccountId, AudienceId, TenantId},
    names,
    page::PageTokens,
};

use super::{name, required_request_id, stamp};
use crate::{
    members::{JobName, Open},
    operations,
    row::{self, Form},
    store::{Job, JobState, Mode, StoredError},
};

/// The most errors of each kind in the answer to rows.
const ERRORS_MAX: usize = 1_000;

/// An upload to open, checked.
pub(crate) fn open(request: &pb::CreateMemberJobRequest) -> Result<Open, FieldError> {
    let mut fields = Fields::new();
    let audience = fields.take(name("audience", names::audience(&request.audience)));
    let mode = match request.mode() {
        pb::MemberMode::Add => Some(Mode::Add),
        pb::MemberMode::Remove => Some(Mode::Remove),
        pb::MemberMode::Unspecified => None,
    };
    fields.check(mode.is_some(), "mode", "must be ADD or REMOVE", "MEMBER_MODE");
    let form = match request.identifiers() {
        pb::IdentifierForm::Raw => Some(Form::Raw),
        pb::IdentifierForm::Hashed => Some(Form::Hashed),
        pb::IdentifierForm::Unspecified => None,
    };
    fields.check(form.is_some(), "identifiers", "must be RAW or HASHED", "IDENTIFIER_FORM");
    let request_id = fields.take(required_request_id(&request.request_id));
    fields.finish()?;
    let (account, audience) = audience.unwrap_or((AdAccountId::new(0), AudienceId::new(0)));
    Ok(Open {
        account,
        audience,
        mode: mode.unwrap_or(Mode::Add),
        form: form.unwrap_or(Form::Raw),
        request_id: request_id.unwrap_or_default(),
        validate_only: request.validate_only,
    })
}

/// The job that `field` names.
pub(crate) fn job_name(field: &str, text: &str) -> Result<JobName, FieldError> {
    let (account, audience, id) = name(field, names::member_job(text))?;
    Ok(JobName { account, audience, id: id.0 })
}

/// A job as callers see it. One that was only checked has no name.
pub(crate) fn job(job: &Job) -> pb::MemberJob {
    let state = match job.state {
        JobState::Open => pb::MemberJobState::Open,
        JobState::Running => pb::MemberJobState::Running,
        JobState::Succeeded => pb::MemberJobState::Succeeded,
        JobState::Failed => pb::MemberJobState::Failed,
        JobState::Cancelled => pb::MemberJobState::Cancelled,
        JobState::Expired => pb::MemberJobState::Expired,
    };
    let mode = match job.mode {
        Mode::Add => pb::MemberMode::Add,
        Mode::Remove => pb::MemberMode::Remove,
    };
    let identifiers = match job.form {
        Form::Raw => pb::IdentifierForm::Raw,
        Form::Hashed => pb::IdentifierForm::Hashed,
    };
    pb::MemberJob {
        name: if job.id.is_nil() { String::new() } else { job.name() },
        etag: format!("\"{}-{}\"", job.next_sequence, i32::from(state)),
        mode: mode.into(),
        identifiers: identifiers.into(),
        state: state.into(),
        next_sequence: job.next_sequence,
        rows_accepted: job.rows_accepted,
        rows_rejected: job.rows_rejected,
        fields_dropped: job.fields_dropped,
        operation: job.operation.map(operations::name).unwrap_or_default(),
        create_time: Some(stamp(job.create_time)),
        update_time: Some(stamp(job.update_time)),
        expire_time: Some(stamp(job.expire_time)),
    }
}

/// Errors as callers see them: those that cost a row, and those that cost a field, the first of each.
pub(crate) fn rejected_and_dropped(found: Vec<StoredError>) -> (Vec<pb::MemberError>, Vec<pb::MemberError>) {
    let (mut rejected, mut dropped): (Vec<_>, Vec<_>) = found.into_iter().partition(|error| error.row_rejected);
    rejected.truncate(ERRORS_MAX);
    dropped.truncate(ERRORS_MAX);
    (errors(rejected), errors(dropped))
}

/// Errors as callers see them.
pub(crate) fn errors(found: Vec<StoredError>) -> Vec<pb::MemberError> {
    let error = |found: StoredError| {
        let effect =
            if found.row_rejected { pb::MemberErrorEffect::RowRejected } else { pb::MemberErrorEffect::FieldDropped };
        pb::MemberError {
            row: found.row,
            message: row::advice(&found.reason).to_owned(),
            field: found.field,
            reason: found.reason,
            effect: effect.into(),
        }
    };
    found.into_iter().map(error).collect()
}

/// A page of errors to read.
#[derive(Debug, Clone)]
pub(crate) struct MemberPage {
    /// Only those that cost a row, or only those that did not.
    pub(crate) row_rejected: Option<bool>,
    /// After this row and number.
    pub(crate) after: (i64, i32),
    /// At most so many.
    pub(crate) size: usize,
    /// What the token of the next page is bound to.
    pub(crate) list: Vec<u8>,
}

/// Which errors to list, checked.
pub(crate) fn member_page(
    request: &pb::ListMemberErrorsRequest,
    tenant: &TenantId,
    pages: &PageTokens,
) -> Result<MemberPage, FieldError> {
    let filter = request.filter.unwrap_or_default();
    let row_rejected = match filter.effect.map(pb::MemberErrorEffect::try_from) {
        None => None,
        Some(Ok(pb::MemberErrorEffect::RowRejected)) => Some(true),
        Some(Ok(pb::MemberErrorEffect::FieldDropped)) => Some(false),
        Some(_) => {
            let description = "must be ROW_REJECTED or FIELD_DROPPED, or absent";
            return Err(FieldError::new("filter.effect", description, "MEMBER_ERROR_EFFECT"));
        }
    };
    // A token goes on only with the list that it came from.
    let list = [request.name.as_bytes(), b"\0", &filter.encode_to_vec()].concat();
    let page = pages.request(tenant, &list, request.page_size, &request.page_token)?;
    let key = |key: &str| {
        let (row, number) = key.split_once(' ')?;
        Some((row.parse().ok()?, number.parse().ok()?))
    };
    let after = page.after.as_deref().and_then(key).unwrap_or((-1, 0));
    Ok(MemberPage { row_rejected, after, size: page.size, list })
}
