//! Which service owns a method: by its package, since a package is one domain of the API.

/// Every service that the gateway may forward to.
pub(crate) const SERVICES: &[&str] = &["auth", "ratelimit", "campaigns", "insights", "audiences", "conversions"];

/// Domain to service. A package that is not here has no route, whatever its protos say.
const OWNERS: &[(&str, &str)] = &[
    ("auth", "auth"),
    ("ratelimit", "ratelimit"),
    ("campaigns", "campaigns"),
    ("plans", "campaigns"),
    ("changes", "campaigns"),
    ("automation", "campaigns"),
    ("graph", "campaigns"),
    ("insights", "insights"),
    ("audiences", "audiences"),
    ("conversions", "conversions"),
];

/// Served by every service with long work, each for its own.
pub(crate) const OPERATIONS: &str = "adplane.operations.v1.OperationService";

/// The full name of the service in a path such as `/adplane.campaigns.v1.CampaignService/GetCampaign`.
pub(crate) fn service_of(path: &str) -> &str {
    path.strip_prefix('/').and_then(|path| path.split('/').next()).unwrap_or_default()
}

/// Which of [`SERVICES`] owns a method.
pub(crate) fn owner(path: &str) -> Option<&'static str> {
    let domain = service_of(path).strip_prefix("adplane.")?.split('.').next()?;
    OWNERS.iter().find(|(owned, _)| *owned == domain).map(|(_, service)| *service)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_package_belongs_to_one_service() {
        assert_eq!(owner("/adplane.plans.v1.PlanService/ApplyPlan"), Some("campaigns"));
        assert_eq!(owner("/adplane.insights.v1.ReportService/CreateReport"), Some("insights"));
        for path in
            ["", "/", "/adplane", "/adplane.sandbox.v1.X/Y", "/grpc.health.v1.Health/Check", "/other.insights.v1.X/Y"]
        {
            assert_eq!(owner(path), None, "{path}");
        }
    }

    #[test]
    fn every_owner_is_a_service_and_every_service_owns_something() {
        let owners: BTreeSet<_> = OWNERS.iter().map(|(_, service)| *service).collect();
        assert_eq!(owners, SERVICES.iter().copied().collect());
    }

    #[test]
    fn every_package_of_our_protos_has_an_owner_or_is_the_gateways() {
        for service in crate::system::services() {
            let path = format!("/{service}/X");
            let own = service == OPERATIONS || service.starts_with("adplane.gateway.");
            assert!(own || owner(&path).is_some(), "{service}");
        }
    }
}
