//! Between the messages and the use cases.

mod audience;
mod member;

use jiff::Timestamp;
use rpc::FieldError;
use uuid::Uuid;
use vocabulary::ids::RequestId;

pub(crate) use audience::{audience, deleted, freshness, new_audience, read_info};
pub(crate) use member::{errors, job, job_name, member_page, open, rejected_and_dropped};

/// A key that must be there.
pub(crate) fn required_request_id(text: &str) -> Result<Uuid, FieldError> {
    optional_request_id(text)?.ok_or_else(|| FieldError::required("request_id"))
}

/// A key that may be there.
pub(crate) fn optional_request_id(text: &str) -> Result<Option<Uuid>, FieldError> {
    match text {
        "" => Ok(None),
        text => match text.parse::<RequestId>() {
            Ok(id) => Ok(Some(id.0)),
            Err(error) => Err(FieldError::new("request_id", error.to_string(), "UUID")),
        },
    }
}

/// A name that does not have its pattern.
fn name<T>(field: &str, result: Result<T, vocabulary::names::NameError>) -> Result<T, FieldError> {
    result.map_err(|error| FieldError::new(field, error.to_string(), "RESOURCE_NAME"))
}

fn stamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}
