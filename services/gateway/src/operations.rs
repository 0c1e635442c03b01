//! `OperationService` is served by every service for its own work, so its requests must be read to know whose it is:
//! `operations/{service}-{uuid}` names the service, and a list says it in its filter. The bytes then go on as they came.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use prost::Message;
use proto::operations::v1 as pb;
use rpc::FieldError;
use tonic::{Status, body::Body};
use vocabulary::names;

use crate::{error::Error, routes};

/// Names, filters and page tokens are short.
const BYTES_MAX: usize = 64 * 1024;

/// A byte that says whether the message is compressed, and its length in four.
const PREFIX: usize = 5;

/// The service that the request is for, and the request unchanged.
pub(crate) async fn owner(request: Request<Body>) -> Result<(String, Request<Body>), Status> {
    let (parts, body) = request.into_parts();
    let whole = Limited::new(body, BYTES_MAX).collect().await.map_err(unreadable)?.to_bytes();
    let message = message(&whole).map_err(|error| rpc::status(&error))?;
    let service = service(parts.uri.path(), message)?;
    Ok((service, Request::from_parts(parts, Body::new(Full::new(whole)))))
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> Status {
    match error.downcast::<Status>() {
        // The caller's stream broke; nobody will read this.
        Ok(status) => *status,
        Err(error) => {
            debug_assert!(error.is::<LengthLimitError>());
            rpc::status(&Error::Unreadable(BYTES_MAX))
        }
    }
}

/// The one message of a unary request.
fn message(whole: &Bytes) -> Result<&[u8], Error> {
    let (prefix, message) = whole.split_at_checked(PREFIX).ok_or(Error::Unreadable(BYTES_MAX))?;
    match prefix {
        [0, length @ ..] => {
            let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
            if length == message.len() { Ok(message) } else { Err(Error::Unreadable(BYTES_MAX)) }
        }
        _ => Err(Error::Compressed),
    }
}

fn service(path: &str, message: &[u8]) -> Result<String, Status> {
    let unreadable = || rpc::status(&Error::Unreadable(BYTES_MAX));
    if path.ends_with("/ListOperations") {
        let request = pb::ListOperationsRequest::decode(message).map_err(|_| unreadable())?;
        let service = request.filter.unwrap_or_default().service;
        return if routes::SERVICES.contains(&service.as_str()) {
            Ok(service)
        } else {
            let description = format!("must be one of {}", routes::SERVICES.join(", "));
            Err(FieldError::new("filter.service", description, "SERVICE").into())
        };
    }
    // The other requests have the name in the same place, so one of them reads them all.
    let request = pb::GetOperationRequest::decode(message).map_err(|_| unreadable())?;
    let id =
        names::operation(&request.name).map_err(|error| FieldError::new("name", error.to_string(), "RESOURCE_NAME"))?;
    if routes::SERVICES.contains(&id.service.as_str()) {
        Ok(id.service)
    } else {
        Err(rpc::status(&Error::NoOperation(request.name)))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const GET: &str = "/adplane.operations.v1.OperationService/GetOperation";
    const LIST: &str = "/adplane.operations.v1.OperationService/ListOperations";

    fn named(name: &str) -> Vec<u8> {
        pb::GetOperationRequest { name: name.to_owned() }.encode_to_vec()
    }

    #[test]
    fn the_name_says_whose_operation_it_is() {
        let name = "operations/insights-5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11";
        assert_eq!(service(GET, &named(name)).unwrap(), "insights");
        let watch = pb::WatchOperationRequest { name: name.to_owned(), resume_token: "7".to_owned() }.encode_to_vec();
        assert_eq!(service("/adplane.operations.v1.OperationService/WatchOperation", &watch).unwrap(), "insights");
    }

    #[test]
    fn a_name_of_nobodys_is_not_found_and_a_malformed_one_is_refused() {
        let nobodys = named("operations/gateway-5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11");
        assert_eq!(service(GET, &nobodys).unwrap_err().code(), Code::NotFound);
        assert_eq!(service(GET, &named("operations/7")).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn a_list_says_whose_operations() {
        let list = |service: &str| {
            let filter = pb::OperationFilter { service: service.to_owned(), ..Default::default() };
            pb::ListOperationsRequest { filter: Some(filter), ..Default::default() }.encode_to_vec()
        };
        assert_eq!(service(LIST, &list("audiences")).unwrap(), "audiences");
        assert_eq!(service(LIST, &list("")).unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(service(LIST, &[]).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn only_one_whole_plain_message_is_read() {
        let framed = |flag: u8, length: u8, bytes: &[u8]| Bytes::from([&[flag, 0, 0, 0, length], bytes].concat());
        assert_eq!(message(&framed(0, 2, b"ab")).unwrap(), b"ab");
        assert!(matches!(message(&framed(1, 2, b"ab")), Err(Error::Compressed)));
        assert!(matches!(message(&framed(0, 3, b"ab")), Err(Error::Unreadable(_))));
        assert!(matches!(message(&Bytes::new()), Err(Error::Unreadable(_))));
    }
}
