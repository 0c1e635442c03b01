//! What takes the traces of a stack, as a collector does.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use harness::PATIENCE;

/// The services whose traces are looked at.
const SERVICES: [&str; 7] = ["gateway", "auth", "ratelimit", "campaigns", "insights", "audiences", "conversions"];

/// A running collector. Dropped, it is gone.
pub(crate) struct Collector {
    address: String,
    spans: Spans,
    _server: JoinSet<()>,
}

/// Everything that was exported.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (spans, mut server) = (Spans::default(), JoinSet::new());
        let service = TraceServiceServer::new(spans.clone());
        server.spawn(async move {
            Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
        });
        Self { address, spans, _server: server }
    }

    /// What makes every service of a stack send all its spans here.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let of = |service: &&str| {
            let prefix = format!("ADPLANE_{}__TELEMETRY__", service.to_uppercase());
            [
                (format!("{prefix}OTLP_ENDPOINT"), self.address.clone()),
                (format!("{prefix}SAMPLE_RATIO"), "1.0".to_owned()),
            ]
        };
        SERVICES.iter().flat_map(of).collect()
    }

    /// Everything exported as text, once each of these services has sent something.
    pub(crate) async fn heard_of(&self, services: &[&str]) -> String {
        let heard = async {
            while !services.iter().all(|service| self.services().contains(*service)) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("only {:?}", self.services()));
        let mut text = String::new();
        for request in self.spans.0.lock().unwrap().iter() {
            write!(text, "{request:?}").unwrap();
        }
        text
    }

    fn services(&self) -> BTreeSet<String> {
        let requests = self.spans.0.lock().unwrap();
        let resources =
            requests.iter().flat_map(|request| &request.resource_spans).filter_map(|spans| spans.resource.as_ref());
        let names =
            resources.flat_map(|resource| &resource.attributes).filter(|attribute| attribute.key == "service.name");
        names
            .filter_map(|attribute| match attribute.value.as_ref()?.value.as_ref()? {
                Value::StringValue(name) => Some(name.clone()),
                _ => None,
            })
            .collect()
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
