use std::{pin::Pin, sync::MutexGuard};

use futures::{Stream, StreamExt, stream};
use proto::auth::v1::{
    self as pb, LeaseCredentialResponse, ReportCredentialFailureResponse, VerifyWebhookRequest, VerifyWebhookResponse,
    WatchRevocationsResponse,
    credential_service_server::{CredentialService, CredentialServiceServer},
};
use tokio::{net::TcpListener, sync::Notify};
use tonic::{Code, Response, Status};
use vocabulary::ids::AdAccountId;

use super::*;
use crate::on::Priority;

/// An auth that lends `connections/1` and notes what holders had seen.
#[derive(Clone, Default)]
struct Auth(Arc<Inside>);

#[derive(Default)]
struct Inside {
    /// What the holders that asked had seen.
    seen: Mutex<Vec<i64>>,
    /// Where its order of revocations stands.
    generation: AtomicI64,
    /// Refuses with this.
    refuses: Mutex<Option<Code>>,
    /// Lends only when told to.
    slow: Mutex<Option<Arc<Notify>>>,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tonic::async_trait]
impl CredentialService for Auth {
    async fn lease_credential(
        &self,
        request: Request<LeaseCredentialRequest>,
    ) -> Result<Response<LeaseCredentialResponse>, Status> {
        let generation = self.0.generation.load(Ordering::SeqCst).max(request.get_ref().seen_generation);
        let count = {
            let mut seen = open(&self.0.seen);
            seen.push(request.get_ref().seen_generation);
            seen.len()
        };
        let slow = open(&self.0.slow).take();
        if let Some(slow) = slow {
            slow.notified().await;
        }
        if let Some(code) = *open(&self.0.refuses) {
            #[expect(
                clippy::disallowed_methods,
                reason = "what stands for auth, and for what lies between, refuses by code"
            )]
            return Err(Status::new(code, "not now"));
        }
        let lease = pb::Lease {
            lease_id: count.to_string(),
            connection: "connections/1".to_owned(),
            expire_time: Some((SystemTime::now() + Duration::from_secs(100)).into()),
            ..pb::Lease::default()
        };
        Ok(Response::new(LeaseCredentialResponse { lease: Some(lease), generation }))
    }

    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Result<WatchRevocationsResponse, Status>> + Send>>;

    async fn watch_revocations(
        &self,
        _: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let beat = WatchRevocationsResponse { generation: self.0.generation.load(Ordering::SeqCst), revocation: None };
        Ok(Response::new(stream::iter([Ok(beat)]).chain(stream::pending()).boxed()))
    }

    async fn report_credential_failure(
        &self,
        _: Request<ReportCredentialFailureRequest>,
    ) -> Result<Response<ReportCredentialFailureResponse>, Status> {
        Ok(Response::new(ReportCredentialFailureResponse::default()))
    }

    async fn verify_webhook(
        &self,
        _: Request<VerifyWebhookRequest>,
    ) -> Result<Response<VerifyWebhookResponse>, Status> {
        Ok(Response::new(VerifyWebhookResponse::default()))
    }
}

/// An auth, and a holder that hears it.
async fn house() -> (Auth, Leases) {
    let (auth, issuer) = (Auth::default(), rpc::testing::Issuer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = rpc::Server::new("auth", issuer.verifier()).add(CredentialServiceServer::new(auth.clone()));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(server.serve(listener, CancellationToken::new()));
    let identity = rpc::ServiceIdentity::fixed(&issuer.service_token("campaigns"));
    let leases = Leases::new(rpc::Peer::connect(&format!("http://{address}"), identity).unwrap());
    *open(&leases.heard) = Some(Instant::now() + Duration::from_secs(3_600));
    (auth, leases)
}

fn on() -> On {
    On {
        tenant: "acme".parse().unwrap(),
        asset: Asset::AdAccount(AdAccountId::new(1)),
        priority: Priority::Interactive,
        deadline: Instant::now() + Duration::from_secs(60),
        purpose: "campaigns.read",
        reservation: None,
    }
}

fn revoked() -> Revocation {
    let subject = Some(Subject::Connection("connections/1".to_owned()));
    Revocation { tenant: "tenants/acme".to_owned(), subject, ..Revocation::default() }
}

async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
}

#[tokio::test]
async fn whoever_was_told_of_a_revocation_asks_for_what_is_newer() {
    let (auth, leases) = house().await;
    auth.0.generation.store(5, Ordering::SeqCst);
    assert_eq!(leases.get(&on()).await.unwrap().id, "1");
    assert_eq!(leases.get(&on()).await.unwrap().id, "1", "it is held");
    leases.generation.store(7, Ordering::SeqCst);
    leases.forget(revoked(), 7);
    assert_eq!(leases.get(&on()).await.unwrap().id, "2");
    assert_eq!(leases.get(&on()).await.unwrap().id, "2", "it is as new as what was told");
    assert_eq!(*open(&auth.0.seen), [0, 7]);
}

#[tokio::test]
async fn a_lease_that_ends_while_it_is_lent_is_not_held() {
    let (auth, leases) = house().await;
    let slow = Arc::new(Notify::new());
    *open(&auth.0.slow) = Some(Arc::clone(&slow));
    auth.0.generation.store(5, Ordering::SeqCst);
    let on = on();
    let (lease, ()) = tokio::join!(leases.get(&on), async {
        until(|| !open(&auth.0.seen).is_empty()).await;
        leases.generation.store(7, Ordering::SeqCst);
        leases.forget(revoked(), 7);
        slow.notify_one();
    });
    assert_eq!(lease.unwrap().id, "2");
    assert_eq!(*open(&auth.0.seen), [0, 7]);
}

#[tokio::test]
async fn what_was_lent_before_the_first_stream_is_asked_for_again() {
    let (auth, leases) = house().await;
    auth.0.generation.store(5, Ordering::SeqCst);
    assert_eq!(leases.get(&on()).await.unwrap().id, "1");
    // Something ends that no stream tells, and then the stream begins.
    auth.0.generation.store(6, Ordering::SeqCst);
    *open(&leases.heard) = None;
    let on = on();
    tokio::select! {
        cut = leases.listen() => panic!("{cut:?}"),
        () = until(|| leases.hears()) => {}
    }
    assert_eq!(leases.get(&on).await.unwrap().id, "2");
    assert_eq!(leases.get(&on).await.unwrap().id, "2");
}

#[tokio::test]
async fn an_auth_that_does_not_answer_leaves_what_is_held_and_one_that_refuses_does_not() {
    let (auth, leases) = house().await;
    leases.get(&on()).await.unwrap();
    *open(&leases.heard) = None;
    for code in [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted] {
        *open(&auth.0.refuses) = Some(code);
        for _ in 0..2 {
            assert_eq!(leases.get(&on()).await.unwrap().id, "1", "{code:?}");
        }
    }
    for code in [Code::FailedPrecondition, Code::PermissionDenied] {
        *open(&auth.0.refuses) = Some(code);
        assert!(leases.get(&on()).await.is_err());
        *open(&auth.0.refuses) = Some(Code::Unavailable);
        assert!(leases.get(&on()).await.is_err(), "nothing is held any more");
        *open(&auth.0.refuses) = None;
        leases.get(&on()).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_token_takes_no_newer_one_along() {
    let (auth, leases) = house().await;
    let (old, refused) = (leases.get(&on()).await.unwrap(), MetaError { code: 190, ..MetaError::default() });
    assert!(!leases.refused(&on(), &old, &refused).await.unwrap());
    assert_eq!(leases.get(&on()).await.unwrap().id, "2");
    // Another call that was under way with the old token.
    assert!(!leases.refused(&on(), &old, &refused).await.unwrap());
    assert_eq!(leases.get(&on()).await.unwrap().id, "2");
    assert_eq!(open(&auth.0.seen).len(), 2);
}
