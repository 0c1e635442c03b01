//! The one way to Meta: a lease and a permit, the bytes, the answer, what Meta said about its quota; again where that
//! is safe, and an honest word where it is not.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, stream};
use proto::ratelimit::v1::UsageReport;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    answer::{Answer, Page},
    call::{Call, File, Replay, UseCase, Verb},
    cost::{self, Priced},
    error::Error,
    lease::{Lease, Leases},
    meta_error::{MetaError, Verdict},
    on::{Asset, On},
    permit::{Permit, Permits},
    retry::{self, Next, Seen},
    settings::Settings,
    transport::{Attempt, Failure, Reply, Transport},
    usage::{self, Headers},
};

/// Calls Meta for everyone. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    pub(crate) leases: Leases,
    pub(crate) permits: Permits,
    pub(crate) tries_max: u32,
}

/// A call without the type of its answer.
pub(crate) struct Outgoing {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) fields: Vec<(Cow<'static, str>, String)>,
    pub(crate) file: Option<File>,
    pub(crate) replay: Replay,
    pub(crate) use_case: UseCase,
    pub(crate) prices: Vec<Priced>,
    pub(crate) label: String,
}

impl<T> From<Call<T>> for Outgoing {
    fn from(call: Call<T>) -> Self {
        Self {
            label: call.label(),
            prices: vec![Priced::from(&call)],
            verb: call.verb,
            path: call.path,
            fields: call.fields,
            file: call.file,
            replay: call.replay,
            use_case: call.use_case,
        }
    }
}

/// A good answer of one attempt.
pub(crate) struct Delivered {
    pub(crate) reply: Reply,
    pub(crate) permit: Permit,
    pub(crate) lease: Arc<Lease>,
}

impl Client {
    /// Prepares connections; nothing is called yet. Spawn [`Client::watch_revocations`] beside it.
    ///
    /// # Errors
    /// When the proxy or its certificate cannot be used.
    pub fn connect(settings: &Settings, auth: rpc::Peer, ratelimit: rpc::Peer) -> Result<Self, Error> {
        Ok(Self {
            transport: Transport::new(settings)?,
            leases: Leases::new(auth),
            permits: Permits::new(ratelimit),
            tries_max: settings.tries_max.max(1),
        })
    }

    /// Holds auth's stream of revocations until `stop`, so that a revoked token is dropped within two seconds and a
    /// good one need not be asked for again.
    pub async fn watch_revocations(self, stop: CancellationToken) {
        self.leases.watch(stop).await;
    }

    /// Sends one call and reads its answer.
    ///
    /// # Errors
    /// As [`Error`] sorts them. `OutcomeUnknown` only for calls that may not be replayed.
    pub async fn send<T: DeserializeOwned>(&self, on: &On, call: Call<T>) -> Result<T, Error> {
        self.send_traced(on, call).await.map(|answer| answer.value)
    }

    /// As [`Client::send`], with Meta's trace id for the audit.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_traced<T: DeserializeOwned>(&self, on: &On, call: Call<T>) -> Result<Answer<T>, Error> {
        let call = Outgoing::from(call);
        let reply = self.deliver(on, &call).await?.reply;
        let trace_id = reply.headers.value(usage::TRACE_ID).map(str::to_owned);
        Ok(Answer { value: read(&reply.body, &call)?, trace_id })
    }

    /// The pages of an edge, one held at a time.
    pub fn pages<T>(&self, on: &On, call: Call<Page<T>>) -> impl Stream<Item = Result<Vec<T>, Error>> + Send + use<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let first = Some((self.clone(), on.clone(), Outgoing::from(call)));
        stream::try_unfold(first, |state| async move {
            let Some((client, on, mut call)) = state else { return Ok(None) };
            let reply = client.deliver(&on, &call).await?.reply;
            let page: Page<T> = read(&reply.body, &call)?;
            let next = page.next().map(str::to_owned);
            let state = next.map(|after| {
                call.fields.retain(|(name, _)| name != "after");
                call.fields.push((Cow::Borrowed("after"), after));
                (client, on, call)
            });
            Ok(Some((page.data, state)))
        })
    }

    /// Tries until there is an answer, or nothing more that is safe to try.
    pub(crate) async fn deliver(&self, on: &On, call: &Outgoing) -> Result<Delivered, Error> {
        let mut leased_anew = false;
        for tries in 1.. {
            let lease = self.leases.get(on).await?;
            let seen = match self.attempt(on, call, &lease).await? {
                Ok(delivered) => return Ok(delivered),
                Err(seen) => seen,
            };
            match retry::next(&seen, call.replay, tries, self.tries_max) {
                Next::Again(pause) => wait(on, call, pause).await?,
                Next::NewLease => {
                    let Seen::Meta(meta) = seen else { break };
                    if leased_anew || !self.leases.refused(on, &lease, &meta).await? {
                        return Err(Error::NeedsConsent { meta });
                    }
                    leased_anew = true;
                }
                Next::Give => return Err(given(seen, &call.label)),
                Next::GiveUnknown => return Err(unknown(seen, &call.label)),
            }
        }
        Err(Error::Deadline { call: call.label.clone() })
    }

    /// One permit, one HTTP request. The outer error means that nothing was sent and nothing can be.
    async fn attempt(&self, on: &On, call: &Outgoing, lease: &Arc<Lease>) -> Result<Result<Delivered, Seen>, Error> {
        // The lease comes first because it names the app whose buckets are charged; held in memory, it costs nothing.
        let charges = cost::charges(&lease.meta_app, on.asset, call.prices.iter().copied());
        let permit = self.permits.acquire(on, charges).await?;
        if !permit.is_good() {
            self.permits.release(on, permit).await;
            return Ok(Err(Seen::Unsent("the permit ran out before the call could be sent".to_owned())));
        }
        let started = Instant::now();
        let attempt = Attempt {
            verb: call.verb,
            version: &lease.api_version,
            path: &call.path,
            fields: &call.fields,
            file: call.file.as_ref(),
            token: &lease.token,
            proof: &lease.proof,
        };
        let sent = self.bounded(on, call, self.transport.send(attempt)).await;
        debug!(
            graph.call = call.label,
            graph.millis = started.elapsed().as_millis(),
            graph.sent = sent.is_ok(),
            "called"
        );
        match sent {
            Ok(reply) => Ok(self.received(on, call, reply, permit, lease).await),
            Err(Failure::Unsent(cause)) => {
                self.permits.release(on, permit).await;
                Ok(Err(Seen::Unsent(cause)))
            }
            Err(Failure::Lost(cause)) => Ok(Err(Seen::Lost(cause))),
        }
    }

    /// A read is of no use after the deadline. A write that has begun is not cut: its outcome would be unknown.
    async fn bounded(
        &self,
        on: &On,
        call: &Outgoing,
        sending: impl Future<Output = Result<Reply, Failure>>,
    ) -> Result<Reply, Failure> {
        if call.verb != Verb::Get {
            return sending.await;
        }
        let cut = tokio::time::timeout_at(on.deadline.into(), sending).await;
        cut.unwrap_or_else(|_| Err(Failure::Lost("the deadline passed".to_owned())))
    }

    async fn received(
        &self,
        on: &On,
        call: &Outgoing,
        reply: Reply,
        permit: Permit,
        lease: &Arc<Lease>,
    ) -> Result<Delivered, Seen> {
        let meta = MetaError::parse(reply.status, &reply.body);
        let report = report(on, call, reply.status, meta.as_ref(), &reply.headers);
        self.permits.told(on, &permit, vec![report]).await;
        match meta {
            Some(meta) => Err(Seen::Meta(Box::new(meta))),
            None => Ok(Delivered { reply, permit, lease: Arc::clone(lease) }),
        }
    }
}

/// Reads an answer. A create whose good answer cannot be read was executed all the same: somebody must look.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8], call: &Outgoing) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|source| match call.replay {
        Replay::Safe => Error::Malformed { call: call.label.clone(), source },
        Replay::Never => unknown(Seen::Lost(format!("the answer cannot be read: {source}")), &call.label),
    })
}

pub(crate) fn report(
    on: &On,
    call: &Outgoing,
    status: u16,
    meta: Option<&MetaError>,
    headers: &impl Headers,
) -> UsageReport {
    let code = |number: i64| u32::try_from(number).unwrap_or(0);
    // Only a code that says something about a quota matters to ratelimit; a wrong field is the caller's business.
    let meta = meta.filter(|meta| meta.verdict() == Verdict::Throttled);
    let mut report = UsageReport {
        ad_account: match on.asset {
            Asset::AdAccount(account) => account.to_string(),
            Asset::Dataset(_) => String::new(),
        },
        use_case: call.use_case.word().to_owned(),
        http_status: u32::from(status),
        code: meta.map_or(0, |meta| code(meta.code)),
        subcode: meta.and_then(|meta| meta.subcode).map_or(0, code),
        ..UsageReport::default()
    };
    usage::harvest(headers, &mut report);
    report
}

pub(crate) async fn wait(on: &On, call: &Outgoing, pause: Duration) -> Result<(), Error> {
    if Instant::now() + pause >= on.deadline {
        return Err(Error::Deadline { call: call.label.clone() });
    }
    tokio::time::sleep(pause).await;
    Ok(())
}

pub(crate) fn unknown(seen: Seen, call: &str) -> Error {
    let cause = match seen {
        Seen::Lost(cause) | Seen::Unsent(cause) => cause,
        Seen::Meta(meta) => meta.message,
    };
    Error::OutcomeUnknown { call: call.to_owned(), cause }
}

pub(crate) fn given(seen: Seen, call: &str) -> Error {
    let call = call.to_owned();
    let meta = match seen {
        Seen::Unsent(cause) | Seen::Lost(cause) => return Error::Unavailable { call, cause, meta: None },
        Seen::Meta(meta) => meta,
    };
    match meta.verdict() {
        Verdict::Throttled => {
            let retry_after = meta.throttled_for().unwrap_or(Duration::from_secs(60));
            Error::Throttled { call, meta, retry_after }
        }
        Verdict::Transient => Error::Unavailable { call, cause: meta.message.clone(), meta: Some(meta) },
        Verdict::Rejected => Error::Rejected { call, meta },
        Verdict::Missing => Error::Missing { call, meta },
        Verdict::Permission => Error::Permission { call, meta },
        Verdict::Token => Error::NeedsConsent { meta },
        Verdict::Restricted => Error::Restricted { meta },
        Verdict::VersionEnded => Error::VersionEnded { meta },
        Verdict::TooMuchData => Error::TooMuchData { call, meta },
    }
}
