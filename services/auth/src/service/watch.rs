//! `WatchConnections`: a tenant's events as a stream.

use std::{collections::VecDeque, time::Duration};

use futures::{StreamExt, stream, stream::BoxStream};
use proto::auth::v1 as pb;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use vocabulary::{
    ids::TenantId,
    page::{PageError, PageTokens},
};

use crate::{
    connection_events::{ConnectionEvents, Event, From},
    error::Error,
    streams::Streams,
    wire,
};

/// What the resume tokens of this stream are bound to, beside the tenant.
const FILTER: &[u8] = b"watch connections";
/// How often a stream looks for events.
const LOOK: Duration = Duration::from_secs(1);
/// The method's name, for counts.
const METHOD: &str = "WatchConnections";

/// Where a reader wants to go on.
pub(super) fn start(
    pages: &PageTokens,
    tenant: &TenantId,
    request: &pb::WatchConnectionsRequest,
) -> Result<From, Error> {
    let wrong = |words: &str| Error::field("resume_token", words, "RESUME_TOKEN");
    match (request.resume_token.as_str(), request.from_oldest) {
        ("", false) => Ok(From::Now),
        ("", true) => Ok(From::Oldest),
        (_, true) => Err(wrong("must be empty where from_oldest is set")),
        (token, false) => {
            let sequence = pages.open(tenant, FILTER, token).and_then(|key| key.parse().map_err(|_| PageError::Token));
            let sequence = sequence.map_err(|_| wrong("must be the resume_token of a message of this stream"))?;
            Ok(From::Sequence(sequence))
        }
    }
}

/// The stream after a sequence. It reads a page of events only when the one before is handed on, so a slow reader holds
/// little here; one that does not read at all is cut.
pub(super) fn events(
    events: ConnectionEvents,
    (pages, streams): (PageTokens, &Streams),
    (tenant, seen): (TenantId, i64),
) -> BoxStream<'static, Result<pb::WatchConnectionsResponse, Status>> {
    let now = Instant::now();
    let watch = Watch {
        events,
        pages,
        tenant,
        seen,
        read: VecDeque::new(),
        next_checkpoint: now,
        checkpoint: streams.checkpoint(),
        ends: now + streams.life(),
        stop: rpc::stopping(),
        ended: false,
    };
    let messages = stream::unfold(watch, |mut watch| async { Some((watch.next().await?, watch)) });
    streams.held(METHOD, messages.boxed())
}

/// One reader.
struct Watch {
    events: ConnectionEvents,
    pages: PageTokens,
    tenant: TenantId,
    /// The last sequence that was sent.
    seen: i64,
    /// Read and not yet sent.
    read: VecDeque<(i64, Event)>,
    next_checkpoint: Instant,
    checkpoint: Duration,
    ends: Instant,
    stop: CancellationToken,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<pb::WatchConnectionsResponse, Status>> {
        if self.ended {
            return None;
        }
        while !self.stop.is_cancelled() && Instant::now() < self.ends {
            if let Some((sequence, event)) = self.read.pop_front() {
                self.seen = sequence;
                return Some(Ok(self.say(Some(wire::connection_event(sequence, &event)))));
            }
            match self.events.after(&self.tenant, self.seen).await {
                Ok(read) if !read.is_empty() => {
                    self.read = read.into();
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            }
            if Instant::now() >= self.next_checkpoint {
                return Some(Ok(self.say(None)));
            }
            let wait = LOOK.min(self.ends.saturating_duration_since(Instant::now()));
            self.stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        // The end is a good one, and its last word is where to go on.
        self.ended = true;
        Some(Ok(self.say(None)))
    }

    fn say(&mut self, event: Option<pb::ConnectionEvent>) -> pb::WatchConnectionsResponse {
        let now = Instant::now();
        // The first one stays due until the reader has caught up.
        if event.is_none() || self.next_checkpoint > now {
            self.next_checkpoint = now + self.checkpoint.saturating_sub(LOOK);
        }
        let resume_token = self.pages.seal(&self.tenant, FILTER, &self.seen.to_string());
        pb::WatchConnectionsResponse { checkpoint: event.is_none(), event, resume_token }
    }
}
