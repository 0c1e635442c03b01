//! Permission to send: from ratelimit, with a latest moment, and what Meta said on earlier answers carried along.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use proto::ratelimit::v1::{
    AcquireRequest, Charge, Priority as WirePriority, ReleaseRequest, ReserveRequest, SettleRequest, UsageReport, Wait,
    WaitReason, acquire_response::Decision, quota_service_client::QuotaServiceClient,
    reserve_response::Decision as Reserved,
};
use tokio::time::Instant;
use tonic::{Code, Request};
use tracing::warn;
use uuid::Uuid;

use crate::{
    error::Error,
    on::{On, Priority},
    reserve::Reservation,
    usage,
};

/// As many reports as one `Acquire` takes.
const REPORTS_MAX: usize = 100;
/// Reports kept while nobody acquires; the newest say the most, so the oldest go first.
const PENDING_MAX: usize = 1_000;
/// Letters of a call's label that ratelimit takes.
const CALL_MAX: usize = 80;
/// How long telling may hold up an answer that we already have; in tests a busy machine is no outage.
const TELL_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 2 });

/// The right to send once.
pub(crate) struct Permit {
    value: Vec<u8>,
    send_before: Instant,
}

impl Permit {
    /// Checked just before the bytes go: what arrives later may fall into another window at Meta.
    pub(crate) fn is_good(&self) -> bool {
        Instant::now() < self.send_before
    }
}

/// What Meta said and ratelimit may not have heard: kept for the next question where this one fails or its caller goes away.
/// It may be the very answer that closes a bucket, or opens one.
struct Told<'a> {
    permits: &'a Permits,
    reports: Vec<UsageReport>,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if !self.reports.is_empty() {
            self.permits.keep(std::mem::take(&mut self.reports));
        }
    }
}

/// The way to ratelimit.
#[derive(Clone)]
pub(crate) struct Permits {
    ratelimit: rpc::Peer,
    pending: Arc<Mutex<Vec<UsageReport>>>,
}

impl Permits {
    pub(crate) fn new(ratelimit: rpc::Peer) -> Self {
        Self { ratelimit, pending: Arc::default() }
    }

    /// Takes the charges, waiting in order until the call's deadline.
    pub(crate) async fn acquire(&self, on: &On, call: &str, charges: Vec<Charge>) -> Result<Permit, Error> {
        let reports = self.take_pending();
        let mut told = Told { permits: self, reports: reports.clone() };
        let (call, purpose) = (bounded(call), on.purpose.to_owned());
        let priority = wire(on.priority).into();
        let reservation = on.reservation.as_ref().map(|Reservation(value)| value.to_vec()).unwrap_or_default();
        let ask = AcquireRequest { charges, priority, reports, call, purpose, reservation };
        let mut request = Request::new(ask);
        // Meta counts the call when it arrives, ratelimit when it let it through. What the answer takes from there to here
        // must not make the call later, so the permit's time runs from the request.
        let asked = Instant::now();
        request.set_timeout(on.deadline.saturating_duration_since(asked.into_std()));
        let answer = QuotaServiceClient::new(self.ratelimit.channel())
            .acquire(addressed(request, on))
            .await
            .map_err(rpc::Upstream::from)?
            .into_inner();
        told.reports.clear();
        match answer.decision {
            Some(Decision::Permit(permit)) => {
                Ok(Permit { value: permit.value, send_before: asked + duration(permit.send_before.as_ref()) })
            }
            Some(Decision::Wait(wait)) => Err(refused(&wait)),
            None => Err(Error::Setup("ratelimit answered without a decision".to_owned())),
        }
    }

    /// Gives back a permit that was provably not sent. A failure costs points and admits nothing more.
    pub(crate) async fn release(&self, on: &On, permit: Permit) {
        let mut request = Request::new(ReleaseRequest { permits: vec![permit.value], ..ReleaseRequest::default() });
        request.set_timeout(TELL_TIMEOUT);
        let mut ratelimit = QuotaServiceClient::new(self.ratelimit.channel());
        if let Err(error) = ratelimit.release(addressed(request, on)).await {
            warn!(error = error.message(), "an unsent permit could not be given back; it ages out");
        }
    }

    /// Holds the charges under a name for so long. Asked again where no answer came: what is held without our knowing it would
    /// stand in our own way.
    pub(crate) async fn reserve(
        &self,
        on: &On,
        name: Uuid,
        charges: Vec<Charge>,
        lasts: Duration,
    ) -> Result<Reservation, Error> {
        let (priority, until) = (wire(on.priority).into(), Some((SystemTime::now() + lasts).into()));
        let ask = ReserveRequest { charges, priority, until, reservation_id: name.to_string() };
        let once = async || {
            let mut request = Request::new(ask.clone());
            request.set_timeout(TELL_TIMEOUT);
            QuotaServiceClient::new(self.ratelimit.channel()).reserve(addressed(request, on)).await
        };
        let answer = match once().await {
            Err(status) if matches!(status.code(), Code::DeadlineExceeded | Code::Unavailable) => once().await,
            answer => answer,
        };
        match answer.map_err(rpc::Upstream::from)?.into_inner().decision {
            Some(Reserved::Reservation(reservation)) => Ok(Reservation(reservation.value.into())),
            Some(Reserved::Wait(wait)) => Err(refused(&wait)),
            None => Err(Error::Setup("ratelimit answered without a decision".to_owned())),
        }
    }

    /// Gives back what a reservation still holds.
    pub(crate) async fn give_back(&self, on: &On, reservation: &Reservation) {
        let reservations = vec![reservation.0.to_vec()];
        let mut request = Request::new(ReleaseRequest { reservations, ..ReleaseRequest::default() });
        request.set_timeout(TELL_TIMEOUT);
        let mut ratelimit = QuotaServiceClient::new(self.ratelimit.channel());
        if let Err(error) = ratelimit.release(addressed(request, on)).await {
            warn!(error = error.message(), "a reservation could not be given back; it lapses");
        }
    }

    /// Tells what Meta said: at once where somebody would otherwise run into it, else with the next `Acquire`.
    pub(crate) async fn told(&self, on: &On, permit: &Permit, mut reports: Vec<UsageReport>) {
        for report in &mut reports {
            report.permit.clone_from(&permit.value);
            report.received_time = Some(SystemTime::now().into());
        }
        if !reports.iter().any(usage::is_urgent) {
            return self.keep(reports);
        }
        reports.truncate(REPORTS_MAX);
        let mut request = Request::new(SettleRequest { reports: reports.clone() });
        request.set_timeout(TELL_TIMEOUT);
        let mut ratelimit = QuotaServiceClient::new(self.ratelimit.channel());
        if ratelimit.settle(addressed(request, on)).await.is_err() {
            self.keep(reports); // told with the next Acquire instead
        }
    }

    fn keep(&self, reports: Vec<UsageReport>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.extend(reports);
        let surplus = pending.len().saturating_sub(PENDING_MAX);
        pending.drain(..surplus);
    }

    fn take_pending(&self) -> Vec<UsageReport> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let first = pending.len().saturating_sub(REPORTS_MAX);
        pending.split_off(first)
    }
}

/// All that concerns one account meets in one replica, where its calls wait in order; any replica would decide alike.
fn addressed<T>(request: Request<T>, on: &On) -> Request<T> {
    let mut request = rpc::for_tenant(request, &on.tenant);
    request.extensions_mut().insert(rpc::Rendezvous::at(&on.asset.to_string()));
    request
}

/// As long a label as ratelimit keeps.
fn bounded(call: &str) -> String {
    call.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').take(CALL_MAX).collect()
}

fn wire(priority: Priority) -> WirePriority {
    match priority {
        Priority::Safety => WirePriority::Safety,
        Priority::Interactive => WirePriority::Interactive,
        Priority::Sync => WirePriority::Sync,
        Priority::Bulk => WirePriority::Bulk,
        Priority::Backfill => WirePriority::Backfill,
    }
}

fn duration(wire: Option<&prost_types::Duration>) -> Duration {
    wire.and_then(|wire| Duration::try_from(*wire).ok()).unwrap_or_default()
}

fn refused(wait: &Wait) -> Error {
    let scope = wait.binding_scope.as_ref().map_or_else(String::new, |scope| {
        let kind = scope.kind().as_str_name().trim_start_matches("SCOPE_KIND_").to_owned();
        [kind.as_str(), &scope.id, &scope.use_case]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    });
    match wait.reason() {
        WaitReason::CostAboveCeiling => Error::CostAboveCeiling { scope },
        _ => Error::Quota { scope, retry_after: duration(wait.delay.as_ref()) },
    }
}
