use graph::Verb;
use proto::graph::v1 as pb;
use proto::graph::v1::graph_service_server::GraphService;
use tonic::{Request, Response, Status};

use super::Api;
use crate::{
    error::Error,
    execute::{Asked, Checked},
    once::Once,
    wire,
};

#[tonic::async_trait]
impl GraphService for Api {
    async fn execute_batch(
        &self,
        request: Request<pb::ExecuteBatchRequest>,
    ) -> Result<Response<pb::ExecuteBatchResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let account = wire::parent(&request.parent)?;
        let validate_only = request.validate_only;
        let asked = pb::ExecuteBatchRequest { request_id: String::new(), ..request.clone() };
        let calls = request.calls.into_iter().enumerate().map(|(place, call)| decode(place, call));
        let batch = Checked::new(account, calls.collect::<Result<_, _>>()?)?;
        let id = wire::optional_request_id(&request.request_id)?;
        if batch.is_write() && !validate_only && id.is_none() {
            return Err(Error::field("request_id", "is required where something is changed", "REQUIRED").into());
        }
        let once = id.filter(|_| batch.is_write()).map(|id| Once::new(id, "ExecuteBatch", &asked));
        let results = self.0.execute(&caller, batch, once, validate_only).await?;
        Ok(Response::new(results))
    }
}

fn decode(place: usize, call: pb::BatchCall) -> Result<Asked, Error> {
    let verb = match pb::BatchMethod::try_from(call.method) {
        Ok(pb::BatchMethod::Unspecified | pb::BatchMethod::Get) => Verb::Get,
        Ok(pb::BatchMethod::Post) => Verb::Post,
        Err(_) => return Err(Error::field(format!("calls[{place}].method"), "is no method", "UNKNOWN_ENUM_VALUE")),
    };
    let pb::BatchCall { path, params, name, depends_on, .. } = call;
    Ok(Asked { verb, path, params, name, depends_on })
}
