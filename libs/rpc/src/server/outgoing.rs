//! An answer on its way out: failures get their ErrorInfo, streams end at their deadline, errors and slow calls a line.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{Span, info, warn};

use crate::context::{CALL, Call};
use crate::deadline::DeadlinePassed;
use crate::fault::{self, complete};

const TRACE_ID: &str = "x-adplane-trace-id";
const SLOW: Duration = Duration::from_secs(1);

/// What is known of the call whose answer goes out.
pub(super) struct Watch {
    pub(super) call: Call,
    pub(super) path: String,
    pub(super) span: Span,
    pub(super) started: Instant,
    pub(super) is_stream: bool,
}

/// The body of an answer.
pub(super) struct Outgoing {
    inner: Body,
    watch: Watch,
    deadline: Option<Pin<Box<Sleep>>>,
    done: bool,
}

impl Outgoing {
    pub(super) fn wrap(mut response: Response<Body>, watch: Watch) -> Response<Body> {
        if let Ok(id) = HeaderValue::try_from(watch.call.trace.id()) {
            response.headers_mut().insert(TRACE_ID, id);
        }
        if response.headers().contains_key(Status::GRPC_STATUS) {
            watch.finish(response.headers_mut()); // failed before it had a body
            return response;
        }
        let deadline = watch.call.deadline.filter(|_| watch.is_stream);
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.into())));
        response.map(|inner| Body::new(Self { inner, watch, deadline, done: false }))
    }

    fn end_with(&mut self, status: &Status) -> Frame<Bytes> {
        self.done = true;
        self.inner = Body::empty(); // what still runs behind it is dropped now
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert(Status::GRPC_STATUS, i32::from(status.code()).into());
        }
        self.watch.finish(&mut trailers);
        Frame::trailers(trailers)
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(None);
        }
        let _entered = this.watch.span.clone().entered();
        // The body runs in the connection's task, where the call is not known otherwise.
        let call = this.watch.call.clone();
        let polled = CALL.sync_scope(call.clone(), || Pin::new(&mut this.inner).poll_frame(cx));
        match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(match frame.into_trailers() {
                Ok(mut trailers) => {
                    this.done = true;
                    CALL.sync_scope(call, || this.watch.finish(&mut trailers));
                    Frame::trailers(trailers)
                }
                Err(frame) => frame,
            }))),
            Poll::Ready(Some(Err(status))) => Poll::Ready(Some(Ok(CALL.sync_scope(call, || this.end_with(&status))))),
            Poll::Ready(None) => {
                this.done = true;
                Poll::Ready(None)
            }
            Poll::Pending => match this.deadline.as_mut().map(|deadline| deadline.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => {
                    let frame = CALL.sync_scope(call, || this.end_with(&fault::status(&DeadlinePassed)));
                    Poll::Ready(Some(Ok(frame)))
                }
                _ => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Watch {
    /// Completes a failure and writes the access line where one is due.
    fn finish(&self, headers: &mut HeaderMap) {
        let call = self.call.clone();
        let code = CALL.sync_scope(call, || complete::complete(headers, &self.path)).unwrap_or(Code::Unknown);
        let took = self.started.elapsed();
        let (method, trace) = (self.path.as_str(), self.call.trace.id());
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if matches!(code, Code::Internal | Code::Unknown | Code::Unavailable) {
            warn!(rpc.method = method, rpc.code = ?code, rpc.millis = millis, trace.id = trace, "a call failed");
        } else if took > SLOW && !self.is_stream {
            info!(rpc.method = method, rpc.code = ?code, rpc.millis = millis, trace.id = trace, "a call was slow");
        }
    }
}
