//! A request that can go out a second time, as long as it is small and surely was not processed.
//!
//! A server that closes a connection answers streams it has not looked at with REFUSED_STREAM, or leaves them above the
//! last id of its GOAWAY. Those, and only those, are sent again: once, on another connection.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// More than this of a request is not kept, and a longer request is not repeated.
const KEPT_MAX: usize = 64 * 1024;

/// A request while its headers are awaited.
pub(super) struct Replay {
    head: request::Parts,
    shared: Arc<Mutex<Shared>>,
    tries: u32,
}

struct Shared {
    rest: Body,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    is_whole: bool,
    is_too_long: bool,
}

/// The body of one try: first what earlier tries have read, then the rest.
pub(super) struct ReplayBody {
    shared: Arc<Mutex<Shared>>,
    next: usize,
}

impl Replay {
    pub(super) fn new(head: request::Parts, body: Body) -> Self {
        let is_whole = body.is_end_stream();
        let shared = Shared { rest: body, kept: Vec::new(), kept_bytes: 0, is_whole, is_too_long: false };
        Self { head, shared: Arc::new(Mutex::new(shared)), tries: 0 }
    }

    /// The request for the next try.
    pub(super) fn request(&mut self) -> Request<ReplayBody> {
        self.tries += 1;
        Request::from_parts(self.head.clone(), ReplayBody { shared: Arc::clone(&self.shared), next: 0 })
    }

    /// Whether this failure proves that nothing was processed, and the request is at hand to be sent again.
    pub(super) fn may_repeat(&self, error: &hyper::Error) -> bool {
        let shared = lock(&self.shared);
        let at_hand = !shared.is_too_long && (shared.is_whole || shared.kept.is_empty());
        self.tries < 2 && at_hand && was_not_processed(error)
    }
}

fn was_not_processed(error: &hyper::Error) -> bool {
    if error.is_canceled() {
        return true; // hyper never wrote it: the connection was closing
    }
    let h2 = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    h2.is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        let above_the_last = error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
        refused || above_the_last
    })
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpBody for ReplayBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let shared = Arc::clone(&self.shared);
        let mut shared = lock(&shared);
        if let Some(kept) = shared.kept.get(self.next) {
            let kept = kept.clone();
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(kept))));
        }
        let polled = Pin::new(&mut shared.rest).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    shared.keep(data);
                    self.next = shared.kept.len();
                }
                shared.is_whole = shared.rest.is_end_stream();
            }
            Poll::Ready(None) => shared.is_whole = true,
            Poll::Ready(Some(Err(_))) => shared.is_too_long = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let shared = lock(&self.shared);
        self.next >= shared.kept.len() && shared.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Shared {
    fn keep(&mut self, data: &Bytes) {
        self.kept_bytes += data.len();
        if self.kept_bytes > KEPT_MAX {
            self.is_too_long = true;
            self.kept.clear();
        }
        if !self.is_too_long {
            self.kept.push(data.clone());
        }
    }
}
