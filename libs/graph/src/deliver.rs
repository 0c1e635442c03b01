//! One call on its way: a lease and a permit, the caller's word that it goes, the bytes, what Meta says; and again where
//! that is safe.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::debug;

use crate::{
    before::Announcement,
    breaker::Pass,
    client::{Client, Outgoing},
    cost,
    error::Error,
    lease::Lease,
    meta_error::{MetaError, Verdict},
    on::On,
    outcome::{given, report, unknown, wait},
    permit::Permit,
    retry::{Next, Seen},
    transport::{Attempt, Failure, Reply},
    usage,
};

/// A read that the deadline cut after so long says that Meta is slow, and not only that its caller is hasty.
const SILENCE: Duration = Duration::from_secs(10);

/// A good answer of one attempt.
pub(crate) struct Delivered {
    pub(crate) reply: Reply,
    pub(crate) permit: Permit,
    pub(crate) lease: Arc<Lease>,
}

impl Client {
    /// Tries until there is an answer, or nothing more that is safe to try.
    pub(crate) async fn deliver(
        &self,
        on: &On,
        call: &Outgoing,
        mut before: Option<&mut Announcement<'_>>,
    ) -> Result<Delivered, Error> {
        self.budget.earn();
        let (mut leased_anew, mut before_that) = (false, None);
        for tries in 1.. {
            let tried = async {
                let lease = self.leases.get(on).await?;
                self.versions.check(&lease.api_version, on.asset)?;
                let seen = self.attempt(on, call, &lease, before.as_deref_mut()).await?;
                Ok((seen, lease))
            };
            let (seen, lease) = match tried.await {
                Ok((Ok(delivered), _)) => return Ok(delivered),
                Ok((Err(seen), lease)) => (seen, lease),
                // This try was not sent, but one before was: a write that was perhaps executed is not called unsent.
                Err(error) => return Err(perhaps_sent(before_that, call).unwrap_or(error)),
            };
            match self.patience.next(&seen, call.replay, tries) {
                Next::Again(pause) if self.may_repeat(&seen) && wait(on, pause).await => {
                    before_that = before_that.or_else(|| Some(seen).filter(is_perhaps_sent));
                }
                Next::NewLease => {
                    let Seen::Meta(meta) = seen else { break };
                    if leased_anew || !self.leases.refused(on, &lease, &meta).await? {
                        return Err(Error::NeedsConsent { meta });
                    }
                    leased_anew = true;
                }
                Next::Again(_) | Next::Give => {
                    let told = if is_unexecuted(&seen) { perhaps_sent(before_that, call) } else { None };
                    return Err(told.unwrap_or_else(|| given(seen, &call.label, self.patience.throttled)));
                }
                Next::GiveUnknown => return Err(unknown(seen, &call.label)),
            }
        }
        Err(Error::Deadline { call: call.label.clone() })
    }

    /// Repeats are a share of the calls. Those after a throttle are not counted: a permit lets them go.
    pub(crate) fn may_repeat(&self, seen: &Seen) -> bool {
        matches!(seen, Seen::Meta(meta) if meta.verdict() == Verdict::Throttled) || self.budget.spend()
    }

    /// One permit, one HTTP request. The outer error means that nothing was sent and nothing can be.
    async fn attempt(
        &self,
        on: &On,
        call: &Outgoing,
        lease: &Arc<Lease>,
        before: Option<&mut Announcement<'_>>,
    ) -> Result<Result<Delivered, Seen>, Error> {
        // The lease comes first because it names the app whose buckets are charged; held in memory, it costs nothing.
        let charges = cost::charges(&lease.meta_app, on.asset, call.prices.iter().copied());
        let class = call.class(on.asset);
        let open = |retry_after| Error::Open { call: call.label.clone(), retry_after };
        self.breaker.look(class, on).map_err(open)?;
        let permit = self.permits.acquire(on, &call.label, charges).await?;
        let pass = match self.breaker.admit(class, on) {
            Ok(pass) => pass,
            Err(time) => {
                self.permits.release(on, permit).await;
                return Err(open(time));
            }
        };
        if let Some(before) = before {
            let announced = before.make(&call.label).await;
            if !matches!(announced, Ok(true)) {
                self.permits.release(on, permit).await;
                return announced.map(|_| Err(Seen::Unsent("it was announced too long ago to be sent".to_owned())));
            }
        }
        // The last thing before the bytes: what arrives later may fall into another window at Meta, and the wait for the
        // permit may have been longer than the lease.
        let usable = self.leases.is_usable(lease);
        if !usable || !permit.is_good() {
            self.permits.release(on, permit).await;
            let what = if usable { "permit" } else { "lease" };
            return Ok(Err(Seen::Unsent(format!("the {what} ended before the call could be sent"))));
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
            etag: call.etag.as_deref(),
        };
        let sent = bounded(on, call, self.transport.send(attempt)).await;
        debug!(
            graph.call = call.label,
            graph.millis = started.elapsed().as_millis(),
            graph.answered = matches!(sent, Some(Ok(_))),
            graph.http =
                sent.as_ref().and_then(|sent| sent.as_ref().ok()).map(|reply| tracing::field::debug(reply.version)),
            "called"
        );
        match sent {
            Some(Ok(reply)) => Ok(self.received(on, call, reply, permit, lease, pass).await),
            Some(Err(Failure::Unsent(cause))) => {
                pass.failed();
                self.permits.release(on, permit).await;
                Ok(Err(Seen::Unsent(cause)))
            }
            Some(Err(Failure::Lost(cause))) => {
                pass.failed();
                Ok(Err(Seen::Lost(cause)))
            }
            None => {
                if started.elapsed() >= SILENCE {
                    pass.failed();
                }
                Err(Error::Deadline { call: call.label.clone() })
            }
        }
    }

    async fn received(
        &self,
        on: &On,
        call: &Outgoing,
        reply: Reply,
        permit: Permit,
        lease: &Arc<Lease>,
        pass: Pass,
    ) -> Result<Delivered, Seen> {
        let meta = MetaError::parse(reply.status, &reply.body);
        match &meta {
            Some(meta) if meta.status >= 500 && meta.verdict() == Verdict::Transient => pass.failed(),
            _ => pass.answered(),
        }
        let report = report(on, call, reply.status, meta.as_ref(), &reply.headers);
        let regain = usage::regain(&report);
        self.permits.told(on, &permit, vec![report]).await;
        match meta {
            Some(meta) => Err(Seen::Meta(Box::new(MetaError { regain, ..meta }))),
            None => Ok(Delivered { reply, permit, lease: Arc::clone(lease) }),
        }
    }
}

/// What is told of a write that an earlier try may have carried out.
fn perhaps_sent(before_that: Option<Seen>, call: &Outgoing) -> Option<Error> {
    Some(given(before_that.filter(|_| !call.only_reads)?, &call.label, Duration::ZERO))
}

/// It says of this try alone that nothing was done.
fn is_unexecuted(seen: &Seen) -> bool {
    match seen {
        Seen::Unsent(_) => true,
        Seen::Meta(meta) => meta.verdict() == Verdict::Throttled,
        Seen::Lost(_) => false,
    }
}

fn is_perhaps_sent(seen: &Seen) -> bool {
    match seen {
        Seen::Lost(_) => true,
        Seen::Meta(meta) => meta.verdict() == Verdict::Transient,
        Seen::Unsent(_) => false,
    }
}

/// A read is of no use after the deadline: `None`. A write that has begun is not cut: its outcome would be unknown.
async fn bounded(
    on: &On,
    call: &Outgoing,
    sending: impl Future<Output = Result<Reply, Failure>>,
) -> Option<Result<Reply, Failure>> {
    if !call.only_reads {
        return Some(sending.await);
    }
    tokio::time::timeout_at(on.deadline.into(), sending).await.ok()
}
