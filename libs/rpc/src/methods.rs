//! Every method of every package: its scope and whether it streams, read once from the options in the protos.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use prost_reflect::{DescriptorPool, MethodDescriptor, Value};

/// How long a unary call may take where the caller does not say.
pub const UNARY_DEFAULT: Duration = Duration::from_secs(30);

/// What a method asks of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `open`: no token, since what the request carries is the proof.
    Open,
    /// `internal`: a service token. The gateway has no route for it.
    Internal,
    /// The scope that the caller's token must hold.
    Named(String),
}

/// One method, as its proto describes it.
#[derive(Debug, Clone)]
pub struct Method {
    /// As in the request's path: `/adplane.campaigns.v1.CampaignService/GetCampaign`.
    pub path: String,
    /// The service's full name, without slashes.
    pub service: String,
    /// `None` where the proto has no scope: no server serves such a method.
    pub scope: Option<Scope>,
    /// One side or both send more than one message.
    pub streams: bool,
    /// It may be repeated without harm, by `idempotency_level`.
    pub reads_only: bool,
    /// The number of the request's field `request_id`, where it has one.
    pub request_id: Option<u32>,
}

impl Method {
    /// How long a call may take where the caller does not say; `None` for streams.
    pub fn timeout(&self) -> Option<Duration> {
        (!self.streams).then_some(UNARY_DEFAULT)
    }
}

/// Methods by path. Constant: it is what [`proto::DESCRIPTOR_SET`] says.
static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| read().unwrap_or_default());

/// The method of a path; `None` where no proto of ours has it.
pub fn find(path: &str) -> Option<&'static Method> {
    METHODS.get(path)
}

/// Every method of every package, in no order.
pub fn all() -> impl Iterator<Item = &'static Method> {
    METHODS.values()
}

/// The methods of a service by its full name, in no order; none for a service that is not ours.
pub fn of_service(service: &str) -> impl Iterator<Item = &'static Method> {
    METHODS.values().filter(move |method| method.service == service)
}

fn read() -> Option<HashMap<String, Method>> {
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).ok()?;
    let scope = pool.get_extension_by_name("adplane.common.v1.scope")?;
    let scope_of = |method: &MethodDescriptor| {
        let options = method.options();
        let value = options.has_extension(&scope).then(|| options.get_extension(&scope).into_owned());
        match value {
            Some(Value::String(word)) if word == "open" => Some(Scope::Open),
            Some(Value::String(word)) if word == "internal" => Some(Scope::Internal),
            Some(Value::String(word)) if !word.is_empty() => Some(Scope::Named(word)),
            _ => None,
        }
    };
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let described = methods.map(|method| {
        let service = method.parent_service().full_name().to_owned();
        let path = format!("/{service}/{}", method.name());
        let streams = method.is_client_streaming() || method.is_server_streaming();
        let options = method.method_descriptor_proto().options.as_ref();
        let level = options.map(prost_types::MethodOptions::idempotency_level);
        let reads_only = level == Some(prost_types::method_options::IdempotencyLevel::NoSideEffects);
        let request_id = method.input().get_field_by_name("request_id").map(|field| field.number());
        (path.clone(), Method { path, service, scope: scope_of(&method), streams, reads_only, request_id })
    });
    Some(described.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_of_a_method_is_found_at_run_time() {
        let method = find("/adplane.operations.v1.OperationService/GetOperation").unwrap();
        assert_eq!(method.scope, Some(Scope::Named("operations.read".to_owned())));
        assert!(method.reads_only && !method.streams);
        assert_eq!(method.request_id, None);
        assert_eq!(find("/adplane.operations.v1.OperationService/CancelOperation").unwrap().request_id, Some(2));
        assert_eq!(method.timeout(), Some(UNARY_DEFAULT));
    }

    #[test]
    fn a_stream_has_no_deadline_of_its_own() {
        let method = find("/adplane.operations.v1.OperationService/WatchOperation").unwrap();
        assert!(method.streams);
        assert_eq!(method.timeout(), None);
    }

    #[test]
    fn a_service_lists_its_methods() {
        assert_eq!(of_service("adplane.operations.v1.OperationService").count(), 4);
        assert_eq!(of_service("grpc.health.v1.Health").count(), 0);
    }
}
