//! Requests as commands.

use aws_lc_rs::digest;
use prost::Message;
use proto::insights::v1 as pb;
use rpc::{FieldError, Fields};
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, ReportId, RequestId},
    names,
};

use crate::reports::CreateReport;

/// A report by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The account in the name.
    pub account: AdAccountId,
    /// The report in the name.
    pub id: ReportId,
}

/// `adAccounts/act_1/reports/{uuid}`.
pub(crate) fn name(name: &str) -> Result<Asked, FieldError> {
    let (account, id) =
        names::report(name).map_err(|error| FieldError::new("name", error.to_string(), "RESOURCE_NAME"))?;
    Ok(Asked { account, id })
}

/// `adAccounts/act_1`.
pub(crate) fn parent(parent: &str) -> Result<AdAccountId, FieldError> {
    names::ad_account(parent).map_err(|error| FieldError::new("parent", error.to_string(), "RESOURCE_NAME"))
}

/// The query itself is checked by its own rules.
pub(crate) fn create(request: pb::CreateReportRequest) -> Result<CreateReport, FieldError> {
    let mut fields = Fields::new();
    let account = fields.take(parent(&request.parent));
    // A dry run changes nothing, so nothing of it is kept under an id.
    let request_id = if request.validate_only && request.request_id.is_empty() {
        Some(RequestId(Uuid::nil()))
    } else {
        fields.parse("request_id", request.request_id.parse::<RequestId>(), "REQUEST_ID")
    };
    let fingerprint = fingerprint(&request);
    fields.finish()?;
    match (account, request_id) {
        (Some(account), Some(request_id)) => Ok(CreateReport {
            account,
            query: request.query,
            request_id: request_id.0,
            fingerprint,
            validate_only: request.validate_only,
        }),
        // `finish` has told it.
        _ => Err(FieldError::required("parent")),
    }
}

/// The SHA-256 of the request without its id. Maps are sorted, so equal requests give equal bytes.
fn fingerprint(request: &pb::CreateReportRequest) -> [u8; 32] {
    let plain = pb::CreateReportRequest { request_id: String::new(), ..request.clone() };
    let digest = digest::digest(&digest::SHA256, &plain.encode_to_vec());
    digest.as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> pb::CreateReportRequest {
        pb::CreateReportRequest {
            parent: "adAccounts/act_1".to_owned(),
            query: Some(pb::Query::default()),
            request_id: "5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11".to_owned(),
            validate_only: false,
        }
    }

    #[test]
    fn the_id_is_no_part_of_the_fingerprint_and_all_else_is() {
        let other = pb::CreateReportRequest { request_id: Uuid::new_v4().to_string(), ..request() };
        assert_eq!(fingerprint(&request()), fingerprint(&other));
        let other = pb::CreateReportRequest { parent: "adAccounts/act_2".to_owned(), ..request() };
        assert_ne!(fingerprint(&request()), fingerprint(&other));
    }

    #[test]
    fn all_wrong_fields_are_told() {
        let bad = pb::CreateReportRequest { parent: "act_1".to_owned(), request_id: "7".to_owned(), ..request() };
        let error = create(bad).unwrap_err().to_string();
        assert!(error.contains("parent") && error.contains("request_id"), "{error}");
    }

    #[test]
    fn a_dry_run_needs_no_id() {
        create(pb::CreateReportRequest { request_id: String::new(), validate_only: true, ..request() }).unwrap();
        create(pb::CreateReportRequest { request_id: String::new(), ..request() }).unwrap_err();
    }
}
