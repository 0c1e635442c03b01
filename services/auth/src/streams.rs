//! Streams that callers and services hold open: how often they say that they live, when they end, and what becomes of a
//! reader who does not read.
//!
//! A stream hands its messages to a short queue. A message that waits there too long means that nobody reads: the stream
//! is cut, what made its messages ends, and the reader, once it reads on, gets what still waited and then SLOW_CONSUMER.
//! It resumes with the last token that it saw, so nothing is lost. A connection that is dead altogether is found by the
//! server's pings and ends all of this at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream, stream::BoxStream};
use runtime::settings::{Check, Faults};
use serde::Deserialize;
use tokio::sync::mpsc::{self, Receiver, Sender, error::SendTimeoutError};
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::{error::Error, meters};

/// How many messages wait for a reader at most, beside what its connection holds.
const WAITING_MAX: usize = 64;

/// Settings of streams that are held open.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamSettings {
    /// How often at least a stream of events tells where it stands, in seconds, so that proxies stay awake. 1 to 15;
    /// default 15.
    pub checkpoint_seconds: u32,
    /// How long a stream lives, in seconds; then it ends well and its reader resumes, perhaps at another replica. Shorter
    /// than any proxy lets a connection live. 1 to 3,600; default 1,200.
    pub life_seconds: u32,
    /// How long a message waits for a reader until the stream is cut, in seconds. 1 to 300; default 30.
    pub patience_seconds: u32,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { checkpoint_seconds: 15, life_seconds: 1_200, patience_seconds: 30 }
    }
}

impl Check for StreamSettings {
    fn check(&self, faults: &mut Faults) {
        let mut range = |value: u32, high: u32, key: &str, words: &str| {
            faults.check((1..=high).contains(&value), key, words);
        };
        range(self.checkpoint_seconds, 15, "checkpoint_seconds", "must be 1 to 15");
        range(self.life_seconds, 3_600, "life_seconds", "must be 1 to 3600");
        range(self.patience_seconds, 300, "patience_seconds", "must be 1 to 300");
    }
}

/// Holds streams open. Clones share the tasks.
#[derive(Clone)]
pub struct Streams {
    settings: StreamSettings,
    tasks: TaskTracker,
}

impl Streams {
    /// What hands messages on runs on `tasks`.
    pub fn new(settings: StreamSettings, tasks: TaskTracker) -> Self {
        Self { settings, tasks }
    }

    /// How often at least a stream tells where it stands.
    pub fn checkpoint(&self) -> Duration {
        Duration::from_secs(self.settings.checkpoint_seconds.into())
    }

    /// How long a stream lives.
    pub fn life(&self) -> Duration {
        Duration::from_secs(self.settings.life_seconds.into())
    }

    /// The same messages, until their reader does not read. `name` is the method's, for the count of cuts.
    pub fn held<T: Send + 'static>(
        &self,
        name: &'static str,
        messages: BoxStream<'static, Result<T, Status>>,
    ) -> BoxStream<'static, Result<T, Status>> {
        self.held_for(Duration::from_secs(self.settings.patience_seconds.into()), name, messages)
    }

    fn held_for<T: Send + 'static>(
        &self,
        patience: Duration,
        name: &'static str,
        messages: BoxStream<'static, Result<T, Status>>,
    ) -> BoxStream<'static, Result<T, Status>> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let cut = Arc::new(AtomicBool::new(false));
        let handing = Handing { name, sender, cut: Arc::clone(&cut), patience };
        self.tasks.spawn(rpc::carried(handing.run(messages)));
        let reader = Reader { receiver, cut, patience };
        stream::unfold(reader, |mut reader| async { Some((reader.next().await?, reader)) }).boxed()
    }
}

/// The end that messages come to.
struct Handing<T> {
    name: &'static str,
    sender: Sender<Result<T, Status>>,
    cut: Arc<AtomicBool>,
    patience: Duration,
}

impl<T> Handing<T> {
    /// Ends with the messages, with the reader, with the server, or when the reader does not read.
    async fn run(self, mut messages: BoxStream<'static, Result<T, Status>>) {
        let stop = rpc::stopping();
        loop {
            let next = tokio::select! {
                () = self.sender.closed() => return,
                next = messages.next() => next,
            };
            let Some(message) = next else { return };
            let handed = self.sender.send_timeout(message, self.patience);
            match stop.run_until_cancelled(handed).await {
                Some(Ok(())) => {}
                Some(Err(SendTimeoutError::Timeout(_))) => {
                    self.cut.store(true, Ordering::Release);
                    meters::SLOW_READERS.add(1, self.name);
                    tracing::info!(rpc.method = self.name, "a stream is cut because nobody reads it");
                    return;
                }
                Some(Err(SendTimeoutError::Closed(_))) | None => return,
            }
        }
    }
}

/// The end that messages go from.
struct Reader<T> {
    receiver: Receiver<Result<T, Status>>,
    cut: Arc<AtomicBool>,
    patience: Duration,
}

impl<T> Reader<T> {
    async fn next(&mut self) -> Option<Result<T, Status>> {
        if let Some(message) = self.receiver.recv().await {
            return Some(message);
        }
        let was_cut = self.cut.swap(false, Ordering::AcqRel);
        was_cut.then(|| Err(Error::SlowReader { seconds: self.patience.as_secs() }.into()))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn streams() -> Streams {
        Streams::new(StreamSettings::default(), TaskTracker::new())
    }

    fn numbers(count: u32) -> BoxStream<'static, Result<u32, Status>> {
        stream::iter((0..count).map(Ok)).boxed()
    }

    #[tokio::test]
    async fn whoever_does_not_read_is_cut_and_told_so_behind_what_still_waited() {
        let streams = streams();
        let held = streams.held_for(Duration::from_millis(20), "Watch", numbers(1_000));
        streams.tasks.close();
        streams.tasks.wait().await;
        let mut read: Vec<_> = held.collect().await;
        let last = read.pop().unwrap().unwrap_err();
        assert_eq!(last.code(), Code::ResourceExhausted);
        assert!(last.message().contains("resume"), "{}", last.message());
        let read: Vec<u32> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(read, (0..64).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn whoever_reads_gets_everything_and_a_good_end() {
        let held = streams().held("Watch", numbers(200));
        let read: Vec<u32> = held.map(Result::unwrap).collect().await;
        assert_eq!(read, (0..200).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn with_its_reader_ends_what_makes_the_messages() {
        let streams = streams();
        let held = streams.held("Watch", stream::pending::<Result<u32, Status>>().boxed());
        streams.tasks.close();
        assert_eq!(streams.tasks.len(), 1);
        drop(held);
        streams.tasks.wait().await;
    }

    #[test]
    fn every_setting_has_its_bounds() {
        let faults = |settings: StreamSettings| {
            let mut faults = Faults::default();
            settings.check(&mut faults);
            faults.len()
        };
        assert_eq!(faults(StreamSettings::default()), 0);
        assert_eq!(faults(StreamSettings { checkpoint_seconds: 16, life_seconds: 0, patience_seconds: 301 }), 3);
    }
}
