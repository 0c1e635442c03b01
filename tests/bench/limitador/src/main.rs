//! Limitador over Redis behind ratelimit's `Acquire`: a limiter of the usual kind, for `make bench`.
//!
//! It looks at four counters in one trip and raises them in a second, and says itself that it may admit more than its
//! limits. What it is told stands in one line of its standard input; it ends with that input.
#![expect(clippy::disallowed_methods, reason = "no service of ours, so nobody reads its failures but the benchmark")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use limitador::AsyncRateLimiter;
use limitador::limit::{Limit, Namespace};
use limitador::storage::redis::AsyncRedisStorage;
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::acquire_response::Decision;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_prost::ProstCodec;

type Request = http::Request<Body>;

/// As ratelimit has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const NAMESPACE: &str = "meta";
const HOUR_SECONDS: u64 = 3_600;

/// What the four counters of a call are counted by.
const COUNTED_BY: [&str; 4] = ["management", "insights", "user", "app"];

fn main() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let told: serde_json::Value = serde_json::from_str(&line).context("a line of JSON")?;
    let redis = told["redis"].as_str().context("`redis`, a URL")?.to_owned();
    let ceiling = told["ceiling"].as_u64().context("`ceiling`, a number")?;
    std::thread::spawn(|| {
        drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
        std::process::exit(0);
    });
    tokio::runtime::Runtime::new()?.block_on(serve(&redis, ceiling))
}

async fn serve(redis: &str, ceiling: u64) -> anyhow::Result<()> {
    let limiter = AsyncRateLimiter::new_with_storage(Box::new(AsyncRedisStorage::new(redis).await?));
    for word in COUNTED_BY {
        limiter.add_limit(Limit::new(NAMESPACE, ceiling, HOUR_SECONDS, [], [word.try_into()?]));
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    drop(stdout);
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let limiter = Arc::new(Limiter { limiter, namespace: NAMESPACE.into() });
    let server = tonic::transport::Server::builder().add_service(Acquire(limiter));
    Ok(server.serve_with_incoming(incoming).await?)
}

struct Limiter {
    limiter: AsyncRateLimiter,
    namespace: Namespace,
}

impl Limiter {
    async fn decide(&self, charges: Vec<pb::Charge>) -> Result<Decision, Status> {
        let scopes = charges.iter().filter_map(|charge| charge.scope.as_ref());
        let values: HashMap<String, String> =
            COUNTED_BY.iter().zip(scopes).map(|(word, scope)| ((*word).to_owned(), scope.id.clone())).collect();
        let cost = charges.first().map_or(1, |charge| u64::from(charge.cost));
        let checked = self.limiter.check_rate_limited_and_update(&self.namespace, &values.into(), cost).await;
        let checked = checked.map_err(|error| Status::unavailable(error.to_string()))?;
        // All four counters, or the figure would be of something else.
        if checked.counters.len() != COUNTED_BY.len() {
            return Err(Status::internal(format!("{} counters", checked.counters.len())));
        }
        Ok(if checked.limited {
            let binding_scope = charges.into_iter().next().and_then(|charge| charge.scope);
            let delay = Some(prost_types::Duration { seconds: 60, nanos: 0 });
            Decision::Wait(pb::Wait { delay, binding_scope, reason: pb::WaitReason::Ceiling.into() })
        } else {
            let send_before = Some(prost_types::Duration { seconds: 5, nanos: 0 });
            Decision::Permit(pb::Permit { value: vec![7; 280], send_before })
        })
    }
}

/// Ratelimit's service with this one method, whatever others it has.
#[derive(Clone)]
struct Acquire(Arc<Limiter>);

impl NamedService for Acquire {
    const NAME: &'static str = "adplane.ratelimit.v1.QuotaService";
}

impl Service<Request> for Acquire {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let method = self.clone();
        Box::pin(async move {
            if request.uri().path() != "/adplane.ratelimit.v1.QuotaService/Acquire" {
                return Ok(Status::unimplemented("only Acquire is measured").into_http());
            }
            Ok(Grpc::new(ProstCodec::default()).unary(method, request).await)
        })
    }
}

impl UnaryService<pb::AcquireRequest> for Acquire {
    type Response = pb::AcquireResponse;
    type Future = BoxFuture<tonic::Response<Self::Response>, Status>;

    fn call(&mut self, request: tonic::Request<pb::AcquireRequest>) -> Self::Future {
        let limiter = Arc::clone(&self.0);
        Box::pin(async move {
            let decision = limiter.decide(request.into_inner().charges).await?;
            Ok(tonic::Response::new(pb::AcquireResponse { decision: Some(decision), epoch: 1 }))
        })
    }
}
