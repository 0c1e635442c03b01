//! `CredentialService`: for our own services.

use std::{collections::VecDeque, pin::Pin, time::Duration};

use futures::{Stream, StreamExt, stream};
use proto::auth::v1::{self as pb, credential_service_server::CredentialService};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use vocabulary::names;

use super::open;
use crate::{
    error::Error,
    leases::Leases,
    meta_apps::MetaApps,
    revocations::{Revocation, Revocations, Standing},
    streams::Streams,
    usage::Usage,
    wire,
};

/// Holders who hear nothing for ten seconds ask before every use, so several may be lost.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// The surface of leases.
pub struct CredentialApi {
    /// The use cases.
    pub leases: Leases,
    /// What ended.
    pub revocations: Revocations,
    /// Streams that are held open.
    pub streams: Streams,
    /// Counts leases.
    pub usage: Usage,
    /// Our apps at Meta.
    pub apps: MetaApps,
}

#[tonic::async_trait]
impl CredentialService for CredentialApi {
    async fn lease_credential(
        &self,
        request: Request<pb::LeaseCredentialRequest>,
    ) -> Result<Response<pb::LeaseCredentialResponse>, Status> {
        let service = service(&request)?;
        require_working(&request)?;
        let (by, request) = open(request)?;
        let (resource, purpose, needed) = wire::lease(request)?;
        let lease = self.leases.lease(&by, &service, (resource, &purpose), needed).await?;
        self.usage.count(&by, &service, lease.id.connection);
        let generation = lease.generation;
        Ok(Response::new(pb::LeaseCredentialResponse { lease: Some(lease.into()), generation }))
    }

    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Result<pb::WatchRevocationsResponse, Status>> + Send>>;

    async fn watch_revocations(
        &self,
        request: Request<pb::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let (principal, request) = rpc::open_untenanted(request)?;
        principal.require_service()?;
        let standing = self.revocations.subscribe();
        let seen = match request.generation {
            0 => standing.borrow().generation,
            generation => generation.max(0),
        };
        let watching = Watching {
            revocations: self.revocations.clone(),
            standing,
            read: VecDeque::new(),
            seen,
            next_heartbeat: Instant::now(),
            ends: Instant::now() + self.streams.life(),
            stop: rpc::stopping(),
        };
        let messages = stream::unfold(watching, |mut watching| async { Some((watching.next().await?, watching)) });
        Ok(Response::new(self.streams.held("WatchRevocations", messages.boxed())))
    }

    async fn verify_webhook(
        &self,
        request: Request<pb::VerifyWebhookRequest>,
    ) -> Result<Response<pb::VerifyWebhookResponse>, Status> {
        let (principal, request) = rpc::open_untenanted(request)?;
        principal.require_service()?;
        let (app, signature, body) = wire::webhook(request)?;
        let valid = self.apps.verify_webhook(app, &signature, &body).await?;
        Ok(Response::new(pb::VerifyWebhookResponse { valid }))
    }

    async fn report_credential_failure(
        &self,
        request: Request<pb::ReportCredentialFailureRequest>,
    ) -> Result<Response<pb::ReportCredentialFailureResponse>, Status> {
        let service = service(&request)?;
        let (by, request) = open(request)?;
        let lease = wire::lease_id(&request.lease_id)?;
        let verdict = self.leases.failed(&by, lease, (request.meta_code, request.meta_subcode)).await?;
        tracing::info!(
            service.name = service,
            lease.id = request.lease_id,
            meta.code = request.meta_code,
            meta.subcode = request.meta_subcode,
            meta.fbtrace_id = request.fbtrace_id,
            verdict = ?verdict,
            "Meta refused a leased token"
        );
        let verdict = pb::CredentialVerdict::from(verdict).into();
        Ok(Response::new(pb::ReportCredentialFailureResponse { verdict }))
    }
}

fn service<T>(request: &Request<T>) -> Result<String, Status> {
    match request.extensions().get::<rpc::Principal>() {
        Some(principal) => principal.require_service().map(str::to_owned),
        None => Ok(String::new()), // the server lets no such request in; the empty name may lease nothing
    }
}

/// No lease for a tenant that was stopped, as far as the stream of revocations has told; what it has not told yet is seen
/// where the lease is read.
fn require_working<T>(request: &Request<T>) -> Result<(), Error> {
    match request.extensions().get::<rpc::Principal>() {
        Some(rpc::Principal { suspended: true, tenant: Some(tenant), .. }) => {
            Err(Error::WrongState { resource: names::of_tenant(tenant), state: "SUSPENDED" })
        }
        _ => Ok(()),
    }
}

/// One holder's stream. It ends well when its life is over or the server stops, and the holder resumes, perhaps elsewhere,
/// with what it has seen.
struct Watching {
    revocations: Revocations,
    standing: watch::Receiver<Standing>,
    /// Read and not yet sent.
    read: VecDeque<Revocation>,
    /// The last generation that was sent.
    seen: i64,
    next_heartbeat: Instant,
    ends: Instant,
    stop: CancellationToken,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<pb::WatchRevocationsResponse, Status>> {
        loop {
            if let Some(revocation) = self.read.pop_front() {
                self.seen = revocation.generation;
                self.next_heartbeat = Instant::now() + HEARTBEAT;
                return Some(Ok(wire::revocation(&revocation)));
            }
            if Instant::now() >= self.ends {
                return None;
            }
            let standing = *self.standing.borrow_and_update();
            if standing.is_fresh && standing.generation > self.seen {
                match self.revocations.after(self.seen).await {
                    Ok(read) if !read.is_empty() => self.read = read.into(),
                    // Nothing there: the holder has seen what this replica has not, and needs nothing.
                    Ok(_) => self.seen = standing.generation,
                    Err(error) => return Some(Err(error.into())),
                }
                continue;
            }
            if standing.is_fresh && Instant::now() >= self.next_heartbeat {
                self.next_heartbeat = Instant::now() + HEARTBEAT;
                return Some(Ok(pb::WatchRevocationsResponse { generation: self.seen, revocation: None }));
            }
            let wake = async {
                // Without a sender the process is about to end, and so is this stream.
                tokio::time::timeout_at(self.next_heartbeat.max(Instant::now() + PAUSE), self.standing.changed()).await
            };
            self.stop.run_until_cancelled(wake).await?.unwrap_or(Ok(())).ok()?;
        }
    }
}

/// The shortest sleep, for when a heartbeat is due and cannot be given.
const PAUSE: Duration = Duration::from_millis(50);
