//! Deadlines: read where a call comes in, shown to those who serve it, passed on with each call that goes out.

use std::time::{Duration, Instant};

use http::HeaderMap;
use tonic::{Code, Request};

use crate::context;
use crate::fault::{ErrorReason, Fault};
use crate::methods::Method;

pub(crate) const HEADER: &str = "grpc-timeout";

/// Taken off what is left at each hop, so that a caller hears from us before it gives up.
const MARGIN: Duration = Duration::from_millis(10);

/// The deadline of a request, put into it by the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Instant);

/// The deadline of the call that the current task serves; `None` outside of one, and for streams whose caller set none.
pub fn current() -> Option<Instant> {
    context::of_call(|call| call.deadline).flatten()
}

/// Runs what several callers wait for, whichever of their tasks it runs on: it has its own deadlines and not that caller's.
pub async fn shared<F: Future>(work: F) -> F::Output {
    match context::of_call(Clone::clone) {
        Some(call) => context::CALL.scope(context::Call { deadline: None, ..call }, work).await,
        None => work.await,
    }
}

/// What is left for this request; `None` where it has no deadline.
pub fn remaining<T>(request: &Request<T>) -> Option<Duration> {
    let deadline = request.extensions().get::<Deadline>()?;
    Some(deadline.0.saturating_duration_since(Instant::now()))
}

/// When a call has to be answered: the caller's `grpc-timeout`, else the method's default.
pub(crate) fn of(headers: &HeaderMap, method: Option<&Method>) -> Option<Instant> {
    let timeout = asked(headers).or_else(|| method.and_then(Method::timeout))?;
    Instant::now().checked_add(timeout)
}

/// What the request's `grpc-timeout` says.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Duration> {
    headers.get(HEADER).and_then(|value| value.to_str().ok()).and_then(parse)
}

/// The `grpc-timeout` for a call that goes out now: the current deadline less a margin, else the method's default.
pub(crate) fn for_call(method: Option<&Method>) -> Option<Duration> {
    match current() {
        Some(deadline) => Some(deadline.saturating_duration_since(Instant::now()).saturating_sub(MARGIN)),
        None => method.and_then(Method::timeout),
    }
}

/// The latest of the wire's forms that loses nothing up to about three years: microseconds, else seconds.
pub(crate) fn write(timeout: Duration) -> String {
    let micros = timeout.as_micros();
    if micros < 100_000_000 { format!("{micros}u") } else { format!("{}S", timeout.as_secs().min(99_999_999)) }
}

/// `None` for what the gRPC specification does not allow: at most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The deadline passed. tonic itself would say CANCELLED.
#[derive(Debug, thiserror::Error)]
#[error("the deadline passed before the work was done")]
pub(crate) struct DeadlinePassed;

impl Fault for DeadlinePassed {
    fn code(&self) -> Code {
        Code::DeadlineExceeded
    }

    fn reason(&self) -> ErrorReason {
        ErrorReason::DeadlinePassed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_the_specification_says() {
        assert_eq!(parse("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("99999999S"), Some(Duration::from_secs(99_999_999)));
        for text in ["", "S", "1", "1x", "-1S", "123456789S", "1 S", "ä"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_timeout_reads_back_as_it_is_written() {
        for timeout in [Duration::ZERO, Duration::from_micros(99_999_999), Duration::from_secs(100)] {
            assert_eq!(parse(&write(timeout)), Some(timeout));
        }
    }

    #[test]
    fn without_a_word_from_the_caller_the_method_decides() {
        let unary = crate::methods::find("/adplane.operations.v1.OperationService/GetOperation");
        let left = of(&HeaderMap::new(), unary).unwrap().saturating_duration_since(Instant::now());
        assert!(left > Duration::from_secs(29) && left <= Duration::from_secs(30));
        let stream = crate::methods::find("/adplane.operations.v1.OperationService/WatchOperation");
        assert_eq!(of(&HeaderMap::new(), stream), None);
    }
}
