//! Tokens on loan: held in memory for two minutes at most, asked for once however many wait, and dropped within two
//! seconds of a revocation.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use moka::future::Cache;
use proto::auth::v1::{
    CredentialVerdict, LeaseCredentialRequest, ReportCredentialFailureRequest, Revocation, WatchRevocationsRequest,
    credential_service_client::CredentialServiceClient, revocation::Subject,
};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tracing::warn;
use vocabulary::ids::TenantId;

use self::ended::Ended;
use crate::{
    error::Error,
    meta_error::MetaError,
    on::{Asset, On},
};

mod ended;
#[cfg(test)]
mod tests;

/// Auth lends for two minutes at most (decision: a stolen memory image is worth two minutes).
const LEASE_SECONDS_MAX: u64 = 120;
/// Without a word from auth for this long, a held lease is asked for again before each use.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A lease with less than this left is not used: the call may still wait for its permit.
const MARGIN: Duration = Duration::from_secs(10);
/// How long asking auth may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a lease is asked for that ends while it comes.
const ASKS_MAX: usize = 3;

/// A token on loan and what goes with it.
pub(crate) struct Lease {
    pub(crate) id: String,
    pub(crate) token: SecretString,
    pub(crate) proof: SecretString,
    pub(crate) meta_app: String,
    pub(crate) api_version: String,
    connection: String,
    tenant: TenantId,
    /// Up to which revocation auth had looked when it lent.
    generation: i64,
    until: Instant,
}

impl Lease {
    fn is_good(&self) -> bool {
        self.until > Instant::now() + MARGIN
    }
}

/// With the purpose, because a token that may only read serves who reads, and not who writes.
type Key = (TenantId, Asset, &'static str);

/// All leases of this process.
#[derive(Clone)]
pub(crate) struct Leases {
    auth: rpc::Peer,
    held: Cache<Key, Arc<Lease>>,
    heard: Arc<Mutex<Option<Instant>>>,
    generation: Arc<AtomicI64>,
    ended: Arc<Ended>,
}

impl Leases {
    pub(crate) fn new(auth: rpc::Peer) -> Self {
        let held = Cache::builder()
            .max_capacity(100_000)
            .time_to_live(Duration::from_secs(LEASE_SECONDS_MAX))
            .support_invalidation_closures()
            .build();
        Self { auth, held, heard: Arc::default(), generation: Arc::default(), ended: Arc::default() }
    }

    /// The lease for this call: from memory while the revocation stream is alive, else asked for anew.
    pub(crate) async fn get(&self, on: &On) -> Result<Arc<Lease>, Error> {
        let key = (on.tenant.clone(), on.asset, on.purpose);
        if let Some(lease) = self.held.get(&key).await {
            match (lease.is_good() && !self.ended.covers(&lease), self.hears()) {
                (true, true) => return Ok(lease),
                (true, false) => return self.ask_again(&key, on, lease).await,
                (false, _) => self.held.invalidate(&key).await,
            }
        }
        let mut asks = 1;
        loop {
            let asking = self.held.try_get_with(key.clone(), self.ask(on));
            let Ok(asked) = tokio::time::timeout_at(on.deadline.into(), asking).await else {
                return Err(Error::Deadline { call: "the lease of a token".to_owned() });
            };
            let lease = asked.map_err(|error| Error::Upstream(rpc::Upstream::clone(&error)))?;
            // It may have ended while it came. What ends each time it is asked for serves this call and no other.
            if asks == ASKS_MAX || !self.ended.covers(&lease) {
                return Ok(lease);
            }
            self.held.invalidate(&key).await;
            asks += 1;
        }
    }

    /// Auth is asked although a lease is held, because a revocation may have been missed. Where auth does not answer, be it
    /// that nobody refuses the call or that the answer is lost, the lease serves until its own end: that end is the promise
    /// for a partition.
    async fn ask_again(&self, key: &Key, on: &On, held: Arc<Lease>) -> Result<Arc<Lease>, Error> {
        match self.ask(on).await {
            Ok(lease) => {
                self.held.insert(key.clone(), Arc::clone(&lease)).await;
                Ok(lease)
            }
            Err(error) if is_away(error.code()) => Ok(held),
            Err(error) => {
                self.held.invalidate(key).await;
                Err(Error::Upstream(error))
            }
        }
    }

    async fn ask(&self, on: &On) -> Result<Arc<Lease>, rpc::Upstream> {
        // What this process was told, the replica that is asked may not have seen.
        let seen_generation = self.generation.load(Ordering::Acquire);
        let mut request = Request::new(LeaseCredentialRequest {
            resource: on.asset.to_string(),
            purpose: on.purpose.to_owned(),
            min_ttl: None,
            seen_generation,
        });
        request.set_timeout(ASK_TIMEOUT); // not the caller's deadline: others wait for the same answer
        let asked = Instant::now();
        let mut auth = CredentialServiceClient::new(self.auth.channel());
        let lent = rpc::deadline::shared(auth.lease_credential(rpc::for_tenant(request, &on.tenant))).await;
        let answer = lent.map_err(rpc::Upstream::from)?;
        let answer = answer.into_inner();
        let lease = answer.lease.unwrap_or_default();
        Ok(Arc::new(Lease {
            id: lease.lease_id,
            token: SecretString::from(lease.token),
            proof: SecretString::from(lease.appsecret_proof),
            meta_app: lease.meta_app,
            api_version: lease.api_version,
            connection: lease.connection,
            tenant: on.tenant.clone(),
            generation: answer.generation.max(seen_generation), // an older auth does not say
            until: asked + life(lease.expire_time),
        }))
    }

    /// Says whether a lease may still be used now: its permit may have been waited for, and meanwhile it can have run out or
    /// its connection been revoked.
    pub(crate) fn is_usable(&self, lease: &Lease) -> bool {
        lease.until > Instant::now() && !self.ended.covers(lease)
    }

    /// Tells auth that Meta refused the token. `true` means: lease again, once.
    pub(crate) async fn refused(&self, on: &On, lease: &Lease, meta: &MetaError) -> Result<bool, Error> {
        let key = (on.tenant.clone(), on.asset, on.purpose);
        // Another call may have leased a newer token meanwhile.
        if self.held.get(&key).await.is_some_and(|held| held.id == lease.id) {
            self.held.invalidate(&key).await;
        }
        let mut request = Request::new(ReportCredentialFailureRequest {
            lease_id: lease.id.clone(),
            meta_code: i32::try_from(meta.code).unwrap_or(0),
            meta_subcode: meta.subcode.and_then(|subcode| i32::try_from(subcode).ok()).unwrap_or(0),
            fbtrace_id: meta.trace_id.clone().unwrap_or_default(),
        });
        request.set_timeout(ASK_TIMEOUT);
        let answer = CredentialServiceClient::new(self.auth.channel())
            .report_credential_failure(rpc::for_tenant(request, &on.tenant))
            .await
            .map_err(rpc::Upstream::from)?;
        Ok(answer.into_inner().verdict() == CredentialVerdict::RetryWithNewLease)
    }

    /// Holds auth's stream of revocations until `stop`. Without it every use of a lease asks auth first.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        let mut pause = Duration::from_millis(100);
        while !stop.is_cancelled() {
            self.held.run_pending_tasks().await;
            match stop.run_until_cancelled(self.listen()).await {
                None => return,
                Some(Ok(())) => pause = Duration::from_millis(100),
                Some(Err(error)) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "the stream of revocations is cut; leases are asked for on each use"
                    );
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
            }
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    async fn listen(&self) -> Result<(), Cut> {
        let generation = self.generation.load(Ordering::Relaxed);
        let request = Request::new(WatchRevocationsRequest { generation });
        let mut auth = CredentialServiceClient::new(self.auth.channel());
        let opened = tokio::time::timeout(SILENCE_MAX, auth.watch_revocations(request)).await;
        let mut stream = opened.map_err(|_| Cut::Silent)??.into_inner();
        let mut from_now_on = generation == 0;
        loop {
            let Ok(next) = tokio::time::timeout(SILENCE_MAX, stream.message()).await else {
                return Err(Cut::Silent);
            };
            let Some(message) = next? else { return Ok(()) };
            // First, so that whoever asks because of it asks for what is newer.
            self.generation.store(message.generation, Ordering::Release);
            // What ended before such a stream began is not told: what was lent before may be of it.
            if std::mem::take(&mut from_now_on) {
                self.ended.begin(message.generation);
            }
            if let Some(revocation) = message.revocation {
                self.forget(revocation, message.generation);
            }
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            // What ended or grew too old is not only served no more, but leaves the memory.
            self.held.run_pending_tasks().await;
        }
    }

    /// No lease serves that is older than this, whoever holds it or is being lent it now; and those held go.
    fn forget(&self, revocation: Revocation, generation: i64) {
        let tenant = revocation.tenant.trim_start_matches("tenants/").to_owned();
        let forgotten = match revocation.subject {
            Some(Subject::Connection(connection)) => {
                self.ended.add(&connection, generation);
                self.held.invalidate_entries_if(move |_, lease| lease.connection == connection)
            }
            Some(Subject::WholeTenant(_)) => {
                self.ended.add(&tenant, generation);
                self.held.invalidate_entries_if(move |_, lease| lease.tenant.as_str() == tenant)
            }
            // No token of Meta's depends on these.
            Some(
                Subject::Caller(_) | Subject::CallerRestored(_) | Subject::SigningKey(_) | Subject::TenantResumed(_),
            )
            | None => return,
        };
        if forgotten.is_err() {
            self.held.invalidate_all(); // a predicate that cannot be kept must not leave a revoked token in memory
        }
    }

    fn hears(&self) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_some_and(|heard| heard.elapsed() < SILENCE_MAX)
    }
}

/// Why the stream of revocations ended.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("auth's heartbeat stopped")]
    Silent,
    #[error("auth ended the stream: {0}")]
    Ended(#[from] tonic::Status),
}

/// Auth said nothing of the lease.
fn is_away(code: rpc::Code) -> bool {
    matches!(code, rpc::Code::Unavailable | rpc::Code::DeadlineExceeded | rpc::Code::ResourceExhausted)
}

/// How long from now, by auth's clock; never longer than auth promises, whatever our clock says.
fn life(expire: Option<prost_types::Timestamp>) -> Duration {
    let most = Duration::from_secs(LEASE_SECONDS_MAX);
    let expire = expire.and_then(|time| SystemTime::try_from(time).ok());
    expire.and_then(|expire| expire.duration_since(SystemTime::now()).ok()).unwrap_or_default().min(most)
}
