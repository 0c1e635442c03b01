//! `SystemService`: what runs here, and who calls.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{civil::Date, tz::TimeZone};
use proto::gateway::v1::{self as pb, system_service_server::SystemService};
use rpc::{Scopes, Tenants, Verifier};
use secrecy::ExposeSecret;
use tonic::{Request, Response, Status};
use vocabulary::{Clock, SystemClock, ids::TenantId};

use crate::{routes, settings::Settings};

/// Pages are cut to this everywhere.
const PAGE_SIZE_MAX: i32 = 1_000;

/// `SystemService`.
#[derive(Clone)]
pub(crate) struct System {
    verifier: Arc<Verifier>,
    info: pb::SystemInfo,
}

impl System {
    /// Describes the gateway with these settings.
    pub(crate) fn new(verifier: Arc<Verifier>, settings: &Settings) -> Self {
        Self { verifier, info: info(settings) }
    }
}

#[tonic::async_trait]
impl SystemService for System {
    async fn get_system_info(
        &self,
        _: Request<pb::GetSystemInfoRequest>,
    ) -> Result<Response<pb::GetSystemInfoResponse>, Status> {
        let today = SystemClock.now().to_zoned(TimeZone::UTC).date();
        let system = pb::SystemInfo { meta_versions: meta_versions(today), ..self.info.clone() };
        Ok(Response::new(pb::GetSystemInfoResponse { system: Some(system) }))
    }

    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        let (principal, _) = rpc::open_untenanted(request)?;
        // Verified a moment ago, so this is a look into memory.
        let expires = match &principal.token {
            Some(token) => Some(self.verifier.verify(token.expose_secret()).await?.expires),
            None => None,
        };
        let caller = pb::CallerInfo {
            subject: principal.subject.to_string(),
            tenant: principal.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
            tenants: match principal.tenants {
                Tenants::All => vec!["*".to_owned()],
                Tenants::Only(tenants) => tenants.iter().map(TenantId::to_string).collect(),
            },
            scopes: match principal.scopes {
                Scopes::All => vec!["*".to_owned()],
                Scopes::Only(scopes) => scopes.into_iter().collect(),
            },
            expire_time: expires.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
        };
        Ok(Response::new(pb::GetCallerResponse { caller: Some(caller) }))
    }
}

fn info(settings: &Settings) -> pb::SystemInfo {
    let reachable = |service: &&'static str| {
        let own = service.starts_with("adplane.gateway.") || *service == routes::OPERATIONS;
        let owner = routes::owner(&format!("/{service}/"));
        own || owner.is_some_and(|owner| settings.services.contains_key(owner))
    };
    let mut packages: Vec<String> = services()
        .into_iter()
        .filter(reachable)
        .filter_map(|service| service.rsplit_once('.'))
        .map(|(package, _)| package.to_owned())
        .collect();
    packages.dedup();
    let deadline = rpc::methods::UNARY_DEFAULT.as_secs();
    pb::SystemInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        packages,
        capabilities: BTreeMap::from([("reflection".to_owned(), settings.reflection)]),
        limits: Some(pb::Limits {
            page_size_max: PAGE_SIZE_MAX,
            message_bytes_max: i64::try_from(rpc::MESSAGE_BYTES_MAX).unwrap_or(i64::MAX),
            deadline_seconds_max: i32::try_from(deadline).unwrap_or(i32::MAX),
            in_flight_max: i32::try_from(settings.limits.in_flight_max).unwrap_or(i32::MAX),
        }),
        meta_versions: Vec::new(), // they depend on the day
    }
}

fn meta_versions(today: Date) -> Vec<pb::MetaVersion> {
    let told = |(version, end): (String, Option<Date>)| pb::MetaVersion {
        days_to_end: graph::versions::days_to_end(&version, today),
        version,
        end_date: end.map(|day| day.to_string()).unwrap_or_default(),
    };
    graph::versions::serving(today).into_iter().map(told).collect()
}

/// The services of our protos that have a method for callers, sorted.
pub(crate) fn services() -> Vec<&'static str> {
    let public =
        |method: &&'static rpc::methods::Method| !matches!(method.scope, None | Some(rpc::methods::Scope::Internal));
    let mut services: Vec<&'static str> =
        rpc::methods::all().filter(public).map(|method| method.service.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_with_a_route_are_named() {
        let mut settings = Settings::default();
        settings.services.retain(|service, _| service == "insights");
        let info = info(&settings);
        assert!(info.packages.contains(&"adplane.insights.v1".to_owned()));
        assert!(info.packages.contains(&"adplane.gateway.v1".to_owned()));
        assert!(!info.packages.contains(&"adplane.auth.v1".to_owned()));
    }

    #[test]
    fn the_versions_of_meta_are_told_with_the_days_that_they_have_left() {
        let versions = meta_versions(jiff::civil::date(2026, 9, 6));
        let told = versions.iter().find(|version| version.version == "v24.0").unwrap();
        assert_eq!((told.end_date.as_str(), told.days_to_end), ("2026-10-06", Some(30)));
        let newest = versions.last().unwrap();
        assert_eq!((newest.end_date.as_str(), newest.days_to_end), ("", None));
    }

    #[test]
    fn a_service_with_internal_methods_only_is_not_named() {
        assert!(!services().contains(&"adplane.auth.v1.CredentialService"));
    }
}
