//! `envoy.service.ratelimit.v3.RateLimitService`.

use std::sync::Arc;

use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::{
    RateLimitService, RateLimitServiceServer,
};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::{Request, Response, Status};

use super::wire::{self, Asked, Status as Stand};
use super::{Domain, EnvoySettings, Limit};
use crate::error::Error;
use crate::store::{Hit, Store};

/// Larger than any request within the bounds of descriptors that an Envoy sends.
const REQUEST_BYTES_MAX: usize = 256 * 1_024;

/// The service, ready to be served.
pub(crate) fn service(api: Api) -> RateLimitServiceServer<Api> {
    RateLimitServiceServer::new(api).max_decoding_message_size(REQUEST_BYTES_MAX)
}

/// Answers Envoys.
pub(crate) struct Api {
    settings: EnvoySettings,
    store: Arc<Store>,
}

impl Api {
    /// Nothing where no domain is named.
    pub(crate) fn of(settings: &EnvoySettings, store: &Arc<Store>) -> Option<Self> {
        (!settings.domains.is_empty()).then(|| Self { settings: settings.clone(), store: Arc::clone(store) })
    }

    async fn decide(&self, domain: &Domain, asked: &Asked) -> Result<Vec<Stand>, Error> {
        let limits: Vec<Option<&Limit>> =
            asked.descriptors.iter().map(|descriptor| domain.limit(&descriptor.entries)).collect();
        let hits: Vec<Hit> = limits
            .iter()
            .zip(&asked.descriptors)
            .filter_map(|(limit, descriptor)| Some((*limit)?.hit(&asked.domain, &descriptor.entries, descriptor.cost)))
            .collect();
        let counted = if hits.is_empty() { Vec::new() } else { self.store.count(&hits).await? };
        let mut counted = counted.into_iter();
        Ok(limits.into_iter().map(|limit| limit.and_then(|limit| Some((limit.clone(), counted.next()?)))).collect())
    }
}

#[tonic::async_trait]
impl RateLimitService for Api {
    async fn should_rate_limit(
        &self,
        request: Request<RateLimitRequest>,
    ) -> Result<Response<RateLimitResponse>, Status> {
        let asked = Asked::try_from(request.into_inner()).map_err(Error::Field)?;
        let Some(domain) = self.settings.domains.get(&asked.domain) else {
            let unknown = wire::of_unknown_domain(asked.descriptors.len(), self.settings.refuse_unknown_domains);
            return Ok(Response::new(unknown));
        };
        Ok(Response::new(wire::answer(&self.decide(domain, &asked).await?)))
    }
}
