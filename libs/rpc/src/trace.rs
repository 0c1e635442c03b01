//! Traces through our services: the decision to sample comes first, and an unsampled call makes no span.
//!
//! Every call has a trace id all the same, so that a line in the log and an answer can be matched.

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::context;

const HEADER: &str = "traceparent";

/// The trace that a call belongs to (W3C trace context).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    /// The span that the caller was in.
    parent: u64,
    sampled: bool,
}

/// How many of the calls that come without a decision are sampled.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sampling(u32);

impl Sampling {
    /// `ratio` is cut to 0.0 (none, the default) up to 1.0 (all).
    #[expect(clippy::float_arithmetic, reason = "a ratio, turned into a threshold once at start")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.0 to 1.0 times u32::MAX fits")]
    pub fn ratio(ratio: f64) -> Self {
        Self((ratio.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u32)
    }

    fn decide(self) -> bool {
        self.0 > 0 && fastrand::u32(..) <= self.0
    }
}

impl Trace {
    /// The caller's trace, or a new one.
    pub(crate) fn of(headers: &HeaderMap, sampling: Sampling) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).and_then(Self::parse);
        given.unwrap_or_else(|| Self { id: fastrand::u128(1..), parent: 0, sampled: sampling.decide() })
    }

    /// 32 hexadecimal digits, as `x-adplane-trace-id` and the log say it.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// The span of a call that is served; none where it is not sampled.
    pub(crate) fn span(&self, method: &str) -> Span {
        if !self.sampled {
            return Span::none();
        }
        let span = info_span!("rpc", otel.name = method, otel.kind = "server", rpc.system.name = "grpc");
        let parent = SpanContext::new(
            TraceId::from(self.id),
            SpanId::from(self.parent),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let context = opentelemetry::Context::new().with_remote_span_context(parent);
        // Fails only where no trace is exported at all; the span then serves the log.
        drop(span.set_parent(context));
        span
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version.len() != 2 || version == "ff" || id.len() != 32 || parent.len() != 16 || flags.len() != 2 {
            return None;
        }
        let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
        let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { id, parent, sampled: flags & 1 == 1 })
    }

    /// For a call that goes out, so that what it causes belongs to the same trace.
    fn header(&self) -> Option<HeaderValue> {
        let current = Span::current().context();
        let here = current.span().span_context().span_id();
        let parent = if here == SpanId::INVALID { fastrand::u64(1..) } else { u64::from_be_bytes(here.to_bytes()) };
        let text = format!("00-{:032x}-{parent:016x}-{:02x}", self.id, u8::from(self.sampled));
        HeaderValue::try_from(text).ok()
    }
}

/// The trace of the call that the current task serves; `None` outside of one.
pub fn current() -> Option<Trace> {
    context::of_call(|call| call.trace)
}

/// Puts the current trace on a call that goes out, unless it has one.
pub(crate) fn pass_on(headers: &mut HeaderMap) {
    if let Some(value) = current().and_then(|trace| trace.header()) {
        headers.entry(HEADER).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_callers_decision_is_kept() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, GIVEN.parse().unwrap());
        let trace = Trace::of(&headers, Sampling::default());
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(trace.sampled);
        assert!(trace.header().unwrap().to_str().unwrap().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    }

    #[test]
    fn what_is_no_trace_begins_a_new_one() {
        for text in ["", "00", &GIVEN[..54], &GIVEN.replace("4bf9", "zzzz"), &format!("00-{:032x}-{:016x}-01", 0, 1)] {
            assert_eq!(Trace::parse(text), None, "{text:?}");
        }
        let trace = Trace::of(&HeaderMap::new(), Sampling::default());
        assert!(trace.id != 0 && !trace.sampled);
    }

    #[test]
    fn a_ratio_of_one_samples_all_and_of_zero_none() {
        assert!((0..100).all(|_| Sampling::ratio(1.0).decide()));
        assert!((0..100).all(|_| !Sampling::ratio(0.0).decide()));
        assert!(!Trace::of(&HeaderMap::new(), Sampling::ratio(-1.0)).sampled);
    }
}
