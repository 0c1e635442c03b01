//! Which datasets a tenant may send to: those that a connection of its own reaches, as auth says.
//!
//! Without this, events of a mistyped dataset would be acknowledged and never arrive.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use proto::auth::v1::{LeaseCredentialRequest, credential_service_client::CredentialServiceClient};
use rpc::{ErrorReason, Fault, Peer, Upstream};
use tonic::Request;
use tracing::warn;
use vocabulary::{
    ids::{DatasetId, TenantId},
    names,
};

use crate::error::Error;

/// How long auth's word serves.
const FRESH: SignedDuration = SignedDuration::from_mins(5);
/// How long asking auth may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Says whether a connection reaches a dataset.
#[tonic::async_trait]
pub(crate) trait Reach: Send + Sync + 'static {
    /// Fails as auth fails.
    async fn reach(&self, tenant: &TenantId, dataset: DatasetId) -> Result<(), Upstream>;
}

/// Auth: it lends a token for what is reached. The token is dropped at once; [`graph::Client`] has its own.
#[tonic::async_trait]
impl Reach for Peer {
    async fn reach(&self, tenant: &TenantId, dataset: DatasetId) -> Result<(), Upstream> {
        let mut request = Request::new(LeaseCredentialRequest {
            resource: names::of_dataset(dataset),
            purpose: "conversions.write".to_owned(),
            min_ttl: None,
            seen_generation: 0,
        });
        request.set_timeout(ASK_TIMEOUT);
        let mut client = CredentialServiceClient::new(self.channel());
        client.lease_credential(rpc::for_tenant(request, tenant)).await.map(drop).map_err(Upstream::from)
    }
}

/// The datasets that were reached, and when. Only those that were are remembered, so that there are no more than auth
/// has. Clones share them.
#[derive(Clone)]
pub(crate) struct Datasets {
    auth: Arc<dyn Reach>,
    reached: Arc<Mutex<HashMap<(TenantId, DatasetId), Timestamp>>>,
}

impl Datasets {
    /// As `auth` says.
    pub(crate) fn new(auth: impl Reach) -> Self {
        Self { auth: Arc::new(auth), reached: Arc::default() }
    }

    /// Fails where the tenant cannot send to the dataset. A connection that waits for somebody's consent counts: its
    /// events wait too. While auth is away, what was reached before counts.
    ///
    /// # Errors
    /// [`Error::NoDataset`], or as auth fails.
    pub(crate) async fn check(&self, tenant: &TenantId, dataset: DatasetId, now: Timestamp) -> Result<(), Error> {
        let key = (tenant.clone(), dataset);
        let known = self.with(|reached| reached.get(&key).copied());
        if known.is_some_and(|time| now.duration_since(time) < FRESH) {
            return Ok(());
        }
        let error = match self.auth.reach(tenant, dataset).await {
            Ok(()) => None,
            Err(upstream) if upstream.reason() == ErrorReason::ConnectionNeedsConsent => None,
            Err(upstream) => Some(graph::Error::from(upstream)),
        };
        match error {
            None => self.with(|reached| reached.insert(key, now)),
            Some(error) if error.is_out_of_reach() => {
                self.with(|reached| reached.remove(&key));
                return Err(Error::NoDataset { resource: names::of_dataset(dataset) });
            }
            Some(error) if error.is_temporary() && known.is_some() => {
                warn!(error = &error as &dyn std::error::Error, "a dataset counts as connected, since it was");
                None
            }
            Some(error) if error.is_temporary() => return Err(Error::AuthAway(error)),
            Some(error) => return Err(error.into()),
        };
        Ok(())
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut HashMap<(TenantId, DatasetId), Timestamp>) -> T) -> T {
        use_it(&mut self.reached.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rpc::Code;

    use super::*;
    use crate::store::tests::{now, tenant};

    /// Auth says this, and counts how often it was asked.
    #[derive(Clone)]
    struct Auth(Arc<(Mutex<Result<(), Refusal>>, AtomicUsize)>);

    #[derive(Debug, Clone, Copy, thiserror::Error)]
    #[error("refused")]
    struct Refusal(Code, ErrorReason);

    impl Fault for Refusal {
        fn code(&self) -> Code {
            self.0
        }

        fn reason(&self) -> ErrorReason {
            self.1
        }
    }

    #[tonic::async_trait]
    impl Reach for Auth {
        async fn reach(&self, _: &TenantId, _: DatasetId) -> Result<(), Upstream> {
            self.0.1.fetch_add(1, Ordering::Relaxed);
            let says = *self.0.0.lock().unwrap();
            says.map_err(|refusal| Upstream::from(rpc::status(&refusal)))
        }
    }

    fn auth() -> (Auth, Datasets) {
        let auth = Auth(Arc::new((Mutex::new(Ok(())), AtomicUsize::new(0))));
        (auth.clone(), Datasets::new(auth))
    }

    impl Auth {
        fn says(&self, code: Code, reason: ErrorReason) {
            *self.0.0.lock().unwrap() = Err(Refusal(code, reason));
        }
    }

    async fn check(datasets: &Datasets, minutes: i64) -> Result<(), Error> {
        datasets.check(&tenant(), DatasetId::new(2), now() + SignedDuration::from_mins(minutes)).await
    }

    #[tokio::test]
    async fn auth_is_asked_once_in_five_minutes() {
        let (auth, datasets) = auth();
        for minutes in [0, 1, 4, 5, 6] {
            check(&datasets, minutes).await.unwrap();
        }
        assert_eq!(auth.0.1.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_dataset_that_no_connection_reaches_is_not_there() {
        let (auth, datasets) = auth();
        auth.says(Code::FailedPrecondition, ErrorReason::NotConnected);
        let error = check(&datasets, 0).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::NotFound, ErrorReason::NotFound));
    }

    #[tokio::test]
    async fn while_auth_is_away_what_was_reached_before_counts() {
        let (auth, datasets) = auth();
        auth.says(Code::Unavailable, ErrorReason::StoreUnavailable);
        assert_eq!(check(&datasets, 0).await.unwrap_err().code(), Code::Unavailable);
        *auth.0.0.lock().unwrap() = Ok(());
        check(&datasets, 0).await.unwrap();
        auth.says(Code::DeadlineExceeded, ErrorReason::DeadlinePassed);
        check(&datasets, 60).await.unwrap();
        auth.says(Code::FailedPrecondition, ErrorReason::NotConnected);
        check(&datasets, 61).await.unwrap_err();
        auth.says(Code::Unavailable, ErrorReason::StoreUnavailable);
        assert!(check(&datasets, 62).await.is_err(), "what was taken away counts no more");
    }

    #[tokio::test]
    async fn a_connection_that_waits_for_consent_takes_events() {
        let (auth, datasets) = auth();
        auth.says(Code::FailedPrecondition, ErrorReason::ConnectionNeedsConsent);
        check(&datasets, 0).await.unwrap();
    }
}
