//! What ratelimit is compared with: bare servers of the same RPC, each alone with a Redis.

use anyhow::Context as _;
use proto::ratelimit::v1 as pb;
use proto::ratelimit::v1::acquire_response::Decision;
use proto::ratelimit::v1::quota_service_server::{QuotaService, QuotaServiceServer};
use rpc::testing::Issuer;
use storage::redis::Connection;
use storage::{Redis, RedisSettings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::CEILING;
use super::replica::{quiet, ready};
use crate::server::FREE;

/// The window of the limiters here.
const HOUR_SECONDS: u32 = 3_600;

/// One `EVALSHA` of ratelimit's own script for each request, and nothing else.
pub(crate) async fn script() -> anyhow::Result<()> {
    let redis = Redis::connect(&RedisSettings::at(devstack::shared().redis_url())).await?;
    let mut connection = redis.connection();
    let run_id = redis.info(redis.shard(""), "server").await?.remove("run_id").context("a run id")?;
    let text = format!(
        "local RUN_ID = '{run_id}'\n{}\n{}",
        include_str!("../../../../services/ratelimit/src/store/bucket.lua"),
        include_str!("../../../../services/ratelimit/src/store/acquire.lua"),
    );
    let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await?;
    redis::cmd("SET").arg("{app:1}:epoch").arg(format!("1:{run_id}:0:3")).exec_async(&mut connection).await?;
    serve(Bare::by(connection, By::Script(hash))).await
}

/// One `EVALSHA` of plain GCRA.
pub(crate) async fn gcra() -> anyhow::Result<()> {
    let redis = Redis::connect(&RedisSettings::at(devstack::shared().redis_url())).await?;
    let mut connection = redis.connection();
    let text = include_str!("gcra.lua");
    let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await?;
    serve(Bare::by(connection, By::Gcra(hash))).await
}

/// Looks, decides, then increments, by hand: leaner than any limiter that people use.
pub(crate) async fn increment() -> anyhow::Result<()> {
    let redis = Redis::connect(&RedisSettings::at(devstack::shared().redis_url())).await?;
    serve(Bare::by(redis.connection(), By::Increment)).await
}

/// Answers with a refusal, and asks nobody.
pub(crate) async fn echo() -> anyhow::Result<()> {
    let redis = Redis::connect(&RedisSettings::at(devstack::shared().redis_url())).await?;
    serve(Bare::by(redis.connection(), By::Nothing)).await
}

/// The same behind everything that a request of ours passes, with its telemetry on.
pub(crate) async fn behind_the_stack() -> anyhow::Result<()> {
    let _telemetry = runtime::telemetry::init("bench", &quiet());
    let redis = Redis::connect(&RedisSettings::at(devstack::shared().redis_url())).await?;
    let bare = Bare { opens: true, ..Bare::by(redis.connection(), By::Nothing) };
    let issuer = Issuer::new();
    let listener = TcpListener::bind(FREE).await?;
    ready(&listener.local_addr()?.to_string(), &issuer.service_token("campaigns"), &stores())?;
    let sampling = rpc::trace::Sampling::ratio(quiet().sample_ratio);
    let server = rpc::Server::new("bench", issuer.verifier()).sampling(sampling).add(QuotaServiceServer::new(bare));
    Ok(server.serve(listener, CancellationToken::new()).await?)
}

async fn serve(bare: Bare) -> anyhow::Result<()> {
    let listener = TcpListener::bind(FREE).await?;
    ready(&listener.local_addr()?.to_string(), "", &stores())?;
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder().add_service(QuotaServiceServer::new(bare));
    Ok(server.serve_with_incoming(incoming).await?)
}

fn stores() -> Vec<u32> {
    devstack::shared().stack().pids()
}

struct Bare {
    connection: Connection,
    decides: By,
    /// Whether it asks who calls, as a method of ours does.
    opens: bool,
}

enum By {
    Script(String),
    Gcra(String),
    Increment,
    Nothing,
}

impl Bare {
    fn by(connection: Connection, decides: By) -> Self {
        Self { connection, decides, opens: false }
    }

    async fn decide(&self, charges: &[pb::Charge]) -> redis::RedisResult<bool> {
        let mut connection = self.connection.clone();
        let keys: Vec<String> = charges.iter().filter_map(|charge| Some(key(charge.scope.as_ref()?))).collect();
        match &self.decides {
            By::Nothing => Ok(false),
            By::Script(hash) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let now = i64::try_from(now.as_millis()).unwrap_or_default();
                let mut script = redis::cmd("EVALSHA");
                script.arg(hash).arg(keys.len() + 1).arg("{app:1}:epoch").arg(&keys).arg(terms(now, charges));
                let answer: Vec<redis::Value> = script.query_async(&mut connection).await?;
                let decided = answer.get(2).and_then(redis::Value::as_sequence).and_then(<[_]>::first);
                Ok(decided == Some(&redis::Value::Int(1)))
            }
            By::Gcra(hash) => {
                let mut script = redis::cmd("EVALSHA");
                script.arg(hash).arg(keys.len()).arg(&keys);
                let hour = u64::from(HOUR_SECONDS) * 1_000_000;
                for charge in charges {
                    script.arg(charge.cost).arg(hour / u64::from(CEILING)).arg(hour);
                }
                let wait: i64 = script.query_async(&mut connection).await?;
                Ok(wait == 0)
            }
            By::Increment => {
                let used: Vec<Option<u32>> = redis::cmd("MGET").arg(&keys).query_async(&mut connection).await?;
                if used.iter().flatten().any(|used| *used >= CEILING) {
                    return Ok(false);
                }
                let mut pipe = redis::pipe();
                for key in &keys {
                    pipe.cmd("INCRBY").arg(key).arg(1).ignore();
                    pipe.cmd("EXPIRE").arg(key).arg(HOUR_SECONDS).ignore();
                }
                pipe.query_async::<()>(&mut connection).await?;
                Ok(true)
            }
        }
    }
}

/// One demand, as acquire.lua reads it.
fn terms(now_ms: i64, charges: &[pb::Charge]) -> Vec<u8> {
    let mut numbers = vec![now_ms, 1, 1];
    numbers.extend(charges.iter().flat_map(|_| [60_000, 62, 0]));
    numbers.extend([2, 97, 0]); // class, gate, and no reservation
    numbers.extend(i64::try_from(charges.len()));
    for (number, charge) in (1..).zip(charges) {
        numbers.extend([number, i64::from(charge.cost), i64::from(CEILING), -1]);
    }
    numbers.into_iter().flat_map(i64::to_le_bytes).collect()
}

fn key(scope: &pb::Scope) -> String {
    format!("{{app:1}}:b:{}:{}:{}", scope.kind, scope.id, scope.use_case)
}

#[tonic::async_trait]
impl QuotaService for Bare {
    async fn acquire(&self, request: Request<pb::AcquireRequest>) -> Result<Response<pb::AcquireResponse>, Status> {
        let request = if self.opens { rpc::open(request)?.1 } else { request.into_inner() };
        // The load ends at an answer that it did not expect.
        let admitted = self.decide(&request.charges).await.unwrap_or(false);
        let decision = if admitted {
            let send_before = Some(prost_types::Duration { seconds: 5, nanos: 0 });
            Decision::Permit(pb::Permit { value: vec![7; 280], send_before })
        } else {
            let binding_scope = request.charges.into_iter().next().and_then(|charge| charge.scope);
            let delay = Some(prost_types::Duration { seconds: 60, nanos: 0 });
            Decision::Wait(pb::Wait { delay, binding_scope, reason: pb::WaitReason::Ceiling.into() })
        };
        Ok(Response::new(pb::AcquireResponse { decision: Some(decision), epoch: 1 }))
    }

    async fn settle(&self, _: Request<pb::SettleRequest>) -> Result<Response<pb::SettleResponse>, Status> {
        Ok(Response::new(pb::SettleResponse::default()))
    }

    async fn release(&self, _: Request<pb::ReleaseRequest>) -> Result<Response<pb::ReleaseResponse>, Status> {
        Ok(Response::new(pb::ReleaseResponse::default()))
    }

    async fn reserve(&self, _: Request<pb::ReserveRequest>) -> Result<Response<pb::ReserveResponse>, Status> {
        Ok(Response::new(pb::ReserveResponse::default()))
    }

    async fn get_quota(&self, _: Request<pb::GetQuotaRequest>) -> Result<Response<pb::GetQuotaResponse>, Status> {
        Ok(Response::new(pb::GetQuotaResponse::default()))
    }

    async fn list_quotas(&self, _: Request<pb::ListQuotasRequest>) -> Result<Response<pb::ListQuotasResponse>, Status> {
        Ok(Response::new(pb::ListQuotasResponse::default()))
    }

    async fn explain_throttle(
        &self,
        _: Request<pb::ExplainThrottleRequest>,
    ) -> Result<Response<pb::ExplainThrottleResponse>, Status> {
        Ok(Response::new(pb::ExplainThrottleResponse::default()))
    }

    type WatchQuotasStream = tonic::codegen::tokio_stream::Empty<Result<pb::WatchQuotasResponse, Status>>;

    async fn watch_quotas(
        &self,
        _: Request<pb::WatchQuotasRequest>,
    ) -> Result<Response<Self::WatchQuotasStream>, Status> {
        Ok(Response::new(tonic::codegen::tokio_stream::empty()))
    }
}
