//! The body of an answer: counts as a stream in flight until it is read or dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;

use super::Error;
use super::connection::InFlight;
use crate::fault;

pub(super) struct Answer {
    inner: Incoming,
    endpoint: String,
    _in_flight: InFlight,
}

impl Answer {
    pub(super) fn new(inner: Incoming, in_flight: InFlight, endpoint: String) -> Self {
        Self { inner, endpoint, _in_flight: in_flight }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(cx).map_err(|cause| {
            let endpoint = self.endpoint.clone();
            fault::status(&Error::Broken { endpoint, cause })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
