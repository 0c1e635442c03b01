//! Subjects of issuers outside.

use proto::auth::v1 as pb;
use rpc::{FieldError, Fields};
use vocabulary::ids::RequestId;

use super::{request_id, timestamp};
use crate::subjects::Revoked;

/// The longest name of a subject, in characters: that of its issuer, and what the issuer calls it.
const SUBJECT_MAX: usize = 400;

/// Somebody who is to be locked out.
pub fn revoke_subject(request: &pb::RevokeSubjectRequest) -> Result<Option<RequestId>, FieldError> {
    let mut fields = Fields::new();
    subject(&mut fields, &request.subject);
    fields.check(request.reason.chars().count() <= 500, "reason", "must have at most 500 characters", "TOO_LONG");
    let id = request_id(&mut fields, &request.request_id, false);
    fields.finish().map(|()| id)
}

/// Somebody who is to be let in again.
pub fn restore_subject(request: &pb::RestoreSubjectRequest) -> Result<Option<RequestId>, FieldError> {
    let mut fields = Fields::new();
    subject(&mut fields, &request.subject);
    let id = request_id(&mut fields, &request.request_id, false);
    fields.finish().map(|()| id)
}

fn subject(fields: &mut Fields, subject: &str) {
    fields.check(!subject.is_empty(), "subject", "is required", "REQUIRED");
    let fits = subject.chars().count() <= SUBJECT_MAX && !subject.chars().any(char::is_control);
    fields.check(fits, "subject", "must have at most 400 characters, and none that does not show", "SUBJECT");
}

impl From<&Revoked> for pb::RevokedSubject {
    fn from(revoked: &Revoked) -> Self {
        Self {
            subject: revoked.subject.clone(),
            reason: revoked.reason.clone(),
            revoked_by: revoked.by.clone(),
            revoke_time: Some(timestamp(revoked.since)),
        }
    }
}
