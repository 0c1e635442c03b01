//! Many calls at once, in Meta's batches: each item is answered for itself, and what one of them was told is never lost
//! because of another.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::{
    answer::{Answer, Got},
    batch::{self, ItemReply},
    before::{Announcement, Before},
    call::Call,
    client::{Client, Outgoing},
    deliver::Delivered,
    error::Error,
    meta_error::{MetaError, Verdict},
    on::On,
    outcome::{self, given, unknown},
    retry::{Next, Seen},
    usage::{self, Headers, TRACE_ID},
};

/// What is known of one item.
enum Slot {
    /// To be sent, or to be sent again; with what it was told last.
    Open(Option<Error>),
    /// Its good answer, or why there is none.
    Closed(Result<Got, Error>),
}

impl Slot {
    fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    fn end(self, call: &Outgoing) -> Result<Got, Error> {
        match self {
            Self::Closed(result) => result,
            Self::Open(Some(told)) => Err(told),
            Self::Open(None) => Err(Error::Deadline { call: call.label.clone() }),
        }
    }
}

/// The next round of a batch.
#[derive(Default)]
struct Repeat {
    /// Whether there may be one; not asked yet where no item wanted one.
    may: Option<bool>,
    /// The longest that an item wants to pause before it.
    pause: Duration,
}

impl Client {
    /// Sends independent calls in batches of up to 50, smaller where a bucket can never hold that many.
    ///
    /// The outer error means that nothing was sent (no lease, no permit), or nothing that may not be repeated. The inner
    /// ones are each call's own, in the order given; once the first batch is out, whatever goes wrong is told per item.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_all<T: DeserializeOwned>(
        &self,
        on: &On,
        calls: Vec<Call<T>>,
    ) -> Result<Vec<Result<T, Error>>, Error> {
        let answers = self.send_all_traced(on, calls).await?;
        Ok(answers.into_iter().map(|answer| answer.map(|answer| answer.value)).collect())
    }

    /// As [`Client::send_all`], each with Meta's trace id for the audit: the item's own, or that of its batch.
    ///
    /// # Errors
    /// As [`Client::send_all`].
    pub async fn send_all_traced<T: DeserializeOwned>(
        &self,
        on: &On,
        calls: Vec<Call<T>>,
    ) -> Result<Vec<Result<Answer<T>, Error>>, Error> {
        self.send_batches(on, calls, None).await
    }

    /// As [`Client::send_all_traced`], with a word of the caller's before the bytes of each batch go: see [`Before`].
    ///
    /// # Errors
    /// As [`Client::send_all`]; [`Error::Withheld`] where `before` refuses the first batch.
    pub async fn send_all_announced<T: DeserializeOwned>(
        &self,
        on: &On,
        calls: Vec<Call<T>>,
        before: &dyn Before,
    ) -> Result<Vec<Result<Answer<T>, Error>>, Error> {
        self.send_batches(on, calls, Some(before)).await
    }

    async fn send_batches<T: DeserializeOwned>(
        &self,
        on: &On,
        calls: Vec<Call<T>>,
        before: Option<&dyn Before>,
    ) -> Result<Vec<Result<Answer<T>, Error>>, Error> {
        let calls: Vec<Outgoing> = calls.into_iter().map(Outgoing::from).collect();
        let got = self.deliver_many(on, &calls, before).await?;
        Ok(calls.iter().zip(got).map(|(call, got)| answer(got?, call)).collect())
    }

    /// Sends calls in batches. Each has its result, in the order given.
    pub(crate) async fn deliver_many(
        &self,
        on: &On,
        calls: &[Outgoing],
        before: Option<&dyn Before>,
    ) -> Result<Vec<Result<Got, Error>>, Error> {
        let mut chunks: VecDeque<&[Outgoing]> = calls.chunks(self.items_max).collect();
        let mut results = Vec::with_capacity(calls.len());
        while let Some(chunk) = chunks.pop_front() {
            let first = results.len();
            let announcement = before.map(|before| Announcement::new(before, Vec::new()));
            match self.deliver_all(on, chunk, first, announcement).await {
                Ok(got) => results.extend(got),
                Err(Error::CostAboveCeiling { .. }) if chunk.len() > 1 => {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    chunks.push_front(second);
                    chunks.push_front(first);
                }
                Err(error) if results.is_empty() => return Err(error),
                // Earlier batches are out, so the error of a later one is told to its own items.
                Err(error) => results.extend(chunk.iter().map(|_| Err(error.copied()))),
            }
        }
        Ok(results)
    }

    /// One batch, once: `None` for what may be repeated, which each of those who wait for it does for itself. Nobody's good
    /// answer waits for another's repeats.
    pub(crate) async fn deliver_once(
        &self,
        on: &On,
        calls: &[Outgoing],
    ) -> Result<Vec<Option<Result<Got, Error>>>, Error> {
        let mut results = Vec::with_capacity(calls.len());
        for chunk in calls.chunks(self.items_max) {
            let items: Vec<&Outgoing> = chunk.iter().collect();
            match self.round(on, &items, None).await {
                Ok(round) => {
                    results.extend(round.into_iter().zip(chunk).map(|(seen, call)| self.told_once(seen, call)));
                }
                Err(error) if results.is_empty() => return Err(error),
                Err(error) => results.extend(chunk.iter().map(|_| Some(Err(error.copied())))),
            }
        }
        Ok(results)
    }

    fn told_once(&self, seen: Result<Got, Seen>, call: &Outgoing) -> Option<Result<Got, Error>> {
        match seen {
            Ok(got) => Some(Ok(got)),
            Err(seen) => match self.patience.next(&seen, call.replay, 1) {
                Next::Again(_) if self.may_repeat(&seen) => None,
                Next::Again(_) | Next::GiveUnknown | Next::NewLease | Next::Give => {
                    Some(Err(given(seen, &call.label, self.patience.throttled)))
                }
            },
        }
    }

    /// One batch, and again what of it is safe to repeat.
    /// `first` is the place of the first one among all that were given.
    async fn deliver_all(
        &self,
        on: &On,
        calls: &[Outgoing],
        first: usize,
        mut before: Option<Announcement<'_>>,
    ) -> Result<Vec<Result<Got, Error>>, Error> {
        let mut slots: Vec<Slot> = calls.iter().map(|_| Slot::Open(None)).collect();
        for tries in 1.. {
            let open: Vec<&Outgoing> =
                slots.iter().zip(calls).filter(|(slot, _)| slot.is_open()).map(|(_, call)| call).collect();
            if open.is_empty() {
                break;
            }
            if let Some(before) = &mut before {
                let open = slots.iter().enumerate().filter(|(_, slot)| slot.is_open());
                before.only(open.map(|(place, _)| first + place).collect());
            }
            let round = match self.round(on, &open, before.as_mut()).await {
                Ok(round) => round,
                Err(error) if tries == 1 => return Err(error),
                Err(_) => break, // some were made: each that is open keeps what it was told
            };
            let mut repeat = Repeat::default();
            for ((slot, call), seen) in slots.iter_mut().filter(|slot| slot.is_open()).zip(&open).zip(round) {
                *slot = self.told(seen, call, tries, &mut repeat);
            }
            let pause = repeat.pause;
            if slots.iter().any(Slot::is_open) && !outcome::wait(on, pause).await {
                break;
            }
        }
        Ok(slots.into_iter().zip(calls).map(|(slot, call)| slot.end(call)).collect())
    }

    fn told(&self, seen: Result<Got, Seen>, call: &Outgoing, tries: u32, repeat: &mut Repeat) -> Slot {
        let seen = match seen {
            Ok(body) => return Slot::Closed(Ok(body)),
            Err(seen) => seen,
        };
        match self.patience.next(&seen, call.replay, tries) {
            // All items that go again go in one request, which is one repeat.
            Next::Again(wanted) if *repeat.may.get_or_insert_with(|| self.may_repeat(&seen)) => {
                repeat.pause = wanted.max(repeat.pause);
                Slot::Open(Some(given(seen, &call.label, self.patience.throttled)))
            }
            Next::GiveUnknown => Slot::Closed(Err(unknown(seen, &call.label))),
            Next::Again(_) | Next::NewLease | Next::Give => {
                Slot::Closed(Err(given(seen, &call.label, self.patience.throttled)))
            }
        }
    }

    /// Sends one batch and splits its answer; items of a lost batch are each lost.
    async fn round(
        &self,
        on: &On,
        items: &[&Outgoing],
        before: Option<&mut Announcement<'_>>,
    ) -> Result<Vec<Result<Got, Seen>>, Error> {
        let outer = batch::outer(items, &[]);
        let lost = |cause: String| items.iter().map(|_| Err(Seen::Lost(cause.clone()))).collect();
        let delivered = match Box::pin(self.deliver(on, &outer, before)).await {
            Ok(delivered) => delivered,
            Err(Error::OutcomeUnknown { cause, .. }) => return Ok(lost(cause)),
            Err(error) => return Err(error),
        };
        let replies: Vec<Option<ItemReply>> = match serde_json::from_slice(&delivered.reply.body) {
            Ok(replies) => replies,
            Err(error) => return Ok(lost(format!("the batch's answer cannot be read: {error}"))),
        };
        self.told_of_items(on, &delivered, &replies, items).await;
        let trace = delivered.reply.headers.value(TRACE_ID);
        let split = |(reply, call): (Option<ItemReply>, &&Outgoing)| split(on, call, reply, trace);
        let mut seen: Vec<_> = replies.into_iter().zip(items).map(split).collect();
        seen.resize_with(items.len(), || Err(Seen::Lost("Meta answered fewer items than were sent".to_owned())));
        Ok(seen)
    }

    /// Tells ratelimit what Meta said of each item, and auth where one of them says that the token is dead.
    pub(crate) async fn told_of_items(
        &self,
        on: &On,
        delivered: &Delivered,
        replies: &[Option<ItemReply>],
        items: &[&Outgoing],
    ) {
        let reports = replies.iter().zip(items).filter_map(|(reply, call)| {
            let reply = reply.as_ref()?;
            Some(outcome::report(on, call, reply.status(), reply.error().as_ref(), reply.headers()))
        });
        self.permits.told(on, &delivered.permit, reports.collect()).await;
        let dead = replies.iter().flatten().filter_map(ItemReply::error).find(|meta| meta.verdict() == Verdict::Token);
        if let Some(meta) = dead
            && let Err(error) = self.leases.refused(on, &delivered.lease, &meta).await
        {
            warn!(error = &error as &dyn std::error::Error, "auth could not be told of a dead token");
        }
    }
}

fn answer<T: DeserializeOwned>(body: Got, call: &Outgoing) -> Result<Answer<T>, Error> {
    Ok(Answer { value: outcome::read(&body.bytes, call)?, trace_id: body.trace_id })
}

/// Why an item failed, with how long to wait where its own headers say.
pub(crate) fn blamed(on: &On, call: &Outgoing, reply: &ItemReply) -> Option<MetaError> {
    let meta = reply.error()?;
    let regain = usage::regain(&outcome::report(on, call, reply.status(), Some(&meta), reply.headers()));
    Some(MetaError { regain, ..meta })
}

fn split(on: &On, call: &Outgoing, reply: Option<ItemReply>, batch_trace: Option<&str>) -> Result<Got, Seen> {
    let Some(reply) = reply else { return Err(Seen::Lost("Meta did not finish this item of the batch".to_owned())) };
    match blamed(on, call, &reply) {
        Some(meta) => Err(Seen::Meta(Box::new(meta))),
        None => {
            let trace_id = reply.headers().value(TRACE_ID).or(batch_trace).map(str::to_owned);
            let etag = reply.headers().value("etag").map(str::to_owned);
            Ok(Got { status: reply.status(), bytes: Bytes::copy_from_slice(reply.body()), trace_id, etag })
        }
    }
}
