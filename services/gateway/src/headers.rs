//! What of a caller's headers goes on to a service: a list of what may, so that what nobody thought of stays outside.
//!
//! So `x-adplane-service-authorization` and everything hop-by-hop end here, `baggage` and forwarded-for too.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The caller's own token, whom it is for, where the trace began, and what gRPC needs to read the body.
const PASSED: &[&str] = &[
    "authorization",
    "content-type",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-previous-rpc-attempts",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-adplane-tenant",
];

/// The headers of the forwarded call.
pub(crate) fn forwarded(from: &HeaderMap, timeout: Option<Duration>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(PASSED.len() + 2);
    for name in PASSED {
        for value in from.get_all(*name) {
            headers.append(HeaderName::from_static(name), value.clone());
        }
    }
    if let Some(token) = headers.get_mut(header::AUTHORIZATION) {
        token.set_sensitive(true);
    }
    // Without it a server may not send trailers, and the status of a call is a trailer.
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(timeout) = timeout.and_then(|timeout| HeaderValue::try_from(written(timeout)).ok()) {
        headers.insert(GRPC_TIMEOUT, timeout);
    }
    headers
}

/// gRPC allows eight digits and a unit.
fn written(timeout: Duration) -> String {
    let micros = timeout.as_micros();
    if micros < 100_000_000 { format!("{micros}u") } else { format!("{}S", timeout.as_secs().min(99_999_999)) }
}

/// Headers of an answer that belong to the connection behind us.
const HOP_BY_HOP: &[HeaderName] =
    &[header::CONNECTION, header::PROXY_AUTHENTICATE, header::TE, header::TRANSFER_ENCODING, header::UPGRADE];

/// Takes the hop-by-hop headers off an answer.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn nobody_outside_can_speak_as_a_service() {
        let headers = forwarded(&given(&[("x-adplane-service-authorization", "Bearer x"), ("cookie", "a=b")]), None);
        assert_eq!(headers.len(), 1, "only `te`: {headers:?}");
    }

    #[test]
    fn what_belongs_to_the_connection_ends_here() {
        let hop = [("connection", "x-a"), ("keep-alive", "5"), ("upgrade", "h2c"), ("te", "gzip"), ("x-a", "1")];
        let headers = forwarded(&given(&hop), None);
        assert_eq!(headers.get("te").unwrap(), "trailers");
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn the_callers_token_tenant_and_trace_go_on() {
        let passed = [("authorization", "Bearer x"), ("x-adplane-tenant", "acme"), ("traceparent", "00-1-2-01")];
        let headers = forwarded(&given(&passed), Some(Duration::from_millis(1_500)));
        for (name, value) in passed {
            assert_eq!(headers.get(name).unwrap(), value);
        }
        assert!(headers.get("authorization").unwrap().is_sensitive());
        assert_eq!(headers.get("grpc-timeout").unwrap(), "1500000u");
    }

    #[test]
    fn the_callers_own_timeout_is_replaced() {
        let headers = forwarded(&given(&[("grpc-timeout", "99999999H")]), Some(Duration::from_mins(2)));
        assert_eq!(headers.get_all("grpc-timeout").iter().collect::<Vec<_>>(), ["120S"]);
    }

    #[test]
    fn an_answer_loses_what_belongs_to_the_connection_behind() {
        let mut headers = given(&[("connection", "close"), ("keep-alive", "5"), ("grpc-encoding", "gzip")]);
        clean_answer(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-encoding"]);
    }
}
