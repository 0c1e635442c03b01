//! Rules of leasing: which service may ask for what, which connection serves it, and for how long.

use std::time::Duration;

use jiff::Timestamp;

/// What a service wants to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// An ad account.
    AdAccount,
    /// A dataset, or pixel.
    Dataset,
    /// A connection itself.
    Connection,
}

/// What each service may lease for: the domains of the API that it serves, and the kinds of thing they work on.
/// A service that is not named leases nothing: the gateway, ratelimit and auth itself never call Meta for a tenant. A whole
/// connection, with all that it reaches, nobody needs.
const TABLE: &[(&str, &[&str], &[ResourceKind])] = &[
    ("campaigns", &["campaigns", "plans"], &[ResourceKind::AdAccount]),
    ("insights", &["insights"], &[ResourceKind::AdAccount]),
    ("audiences", &["audiences"], &[ResourceKind::AdAccount]),
    ("conversions", &["conversions"], &[ResourceKind::Dataset]),
];

/// May this service lease for this purpose? A purpose is a domain, a point and a word, such as `campaigns.write`.
pub fn may_lease(service: &str, purpose: &str, kind: ResourceKind) -> bool {
    let domain = purpose.split('.').next().unwrap_or_default();
    TABLE.iter().any(|(name, domains, kinds)| *name == service && domains.contains(&domain) && kinds.contains(&kind))
}

/// What a token must be able to do for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// Anything: what reaches a dataset may send to it.
    Reach,
    /// Read what belongs to ads.
    Read,
    /// Change it.
    Manage,
}

impl Need {
    /// Of a purpose on a kind of thing. A purpose whose word is not `read` may change something.
    pub fn of(purpose: &str, kind: ResourceKind) -> Self {
        match (kind, purpose.split_once('.')) {
            (ResourceKind::Dataset, _) => Self::Reach,
            (_, Some((_, "read"))) => Self::Read,
            _ => Self::Manage,
        }
    }

    /// Whether these permissions of Meta's are enough.
    pub fn is_met_by(self, permissions: &[String]) -> bool {
        let has = |wanted: &str| permissions.iter().any(|permission| permission == wanted);
        match self {
            Self::Reach => true,
            Self::Read => has(READS) || has(MANAGES),
            Self::Manage => has(MANAGES),
        }
    }

    /// The permission to ask for where it is not met.
    pub fn permission(self) -> &'static str {
        if self == Self::Manage { MANAGES } else { READS }
    }
}

const READS: &str = "ads_read";
const MANAGES: &str = "ads_management";

/// What the choice among a resource's connections looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<T> {
    /// Works, as far as we know.
    pub is_active: bool,
    /// A system user's token needs nobody to log in again.
    pub is_system_user: bool,
    /// How much it may do: the fewer the better, for what leaks can do less.
    pub scopes: usize,
    /// When its token ends; `None` is never.
    pub expires: Option<Timestamp>,
    /// The connection.
    pub connection: T,
}

/// Which connection serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<T> {
    /// This one.
    Serve(T),
    /// None works; this one would after somebody consents again.
    NeedsConsent(T),
    /// None reaches it.
    NotConnected,
}

/// Chooses: alive for at least `min_ttl`, system users first, least privilege first, then the order given.
pub fn choose<T>(candidates: Vec<Candidate<T>>, now: Timestamp, min_ttl: Duration) -> Choice<T> {
    let lives = |candidate: &Candidate<T>| {
        candidate.is_active && candidate.expires.is_none_or(|expires| expires > now + min_ttl)
    };
    let (alive, dead): (Vec<_>, Vec<_>) = candidates.into_iter().partition(lives);
    match alive.into_iter().min_by_key(|candidate| (!candidate.is_system_user, candidate.scopes)) {
        Some(candidate) => Choice::Serve(candidate.connection),
        None => dead.into_iter().next().map_or(Choice::NotConnected, |first| Choice::NeedsConsent(first.connection)),
    }
}

/// When a lease ends: after `lease`, or with the token where that is earlier.
pub fn end_of_lease(now: Timestamp, lease: Duration, token_expires: Option<Timestamp>) -> Timestamp {
    let end = now + lease;
    token_expires.map_or(end, |expires| end.min(expires))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn candidate(connection: u8) -> Candidate<u8> {
        Candidate { is_active: true, is_system_user: false, scopes: 3, expires: None, connection }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    #[test]
    fn a_service_leases_only_for_its_own_domains_and_things() {
        assert!(may_lease("campaigns", "campaigns.write", ResourceKind::AdAccount));
        assert!(may_lease("campaigns", "plans.apply", ResourceKind::AdAccount));
        assert!(may_lease("conversions", "conversions.deliver", ResourceKind::Dataset));
        assert!(!may_lease("conversions", "conversions.deliver", ResourceKind::AdAccount));
        assert!(!may_lease("insights", "campaigns.write", ResourceKind::AdAccount));
        assert!(!may_lease("gateway", "campaigns.write", ResourceKind::AdAccount));
        assert!(!may_lease("campaigns", "", ResourceKind::AdAccount));
        assert!(!may_lease("campaigns", "campaignsx.write", ResourceKind::AdAccount));
        for (service, domains, _) in TABLE {
            assert!(!may_lease(service, domains[0], ResourceKind::Connection), "{service}");
        }
    }

    #[test]
    fn what_changes_something_needs_more_than_what_reads() {
        let [reads, manages] = ["ads_read", "ads_management"].map(|name| [name.to_owned()]);
        let need = |purpose| Need::of(purpose, ResourceKind::AdAccount);
        assert!(need("insights.read").is_met_by(&reads) && need("insights.read").is_met_by(&manages));
        assert!(need("campaigns.write").is_met_by(&manages) && !need("campaigns.write").is_met_by(&reads));
        assert!(!need("plans.apply").is_met_by(&reads) && !need("read").is_met_by(&reads));
        assert!(!need("insights.read").is_met_by(&[]));
        assert!(Need::of("conversions.write", ResourceKind::Dataset).is_met_by(&[]));
    }

    #[test]
    fn system_users_come_first_and_then_the_least_privilege() {
        let person = Candidate { scopes: 1, ..candidate(1) };
        let system = Candidate { is_system_user: true, scopes: 9, ..candidate(2) };
        let modest = Candidate { is_system_user: true, scopes: 2, ..candidate(3) };
        assert_eq!(choose(vec![person.clone(), system.clone(), modest], now(), SECOND), Choice::Serve(3));
        assert_eq!(choose(vec![person, system], now(), SECOND), Choice::Serve(2));
    }

    #[test]
    fn a_token_that_ends_too_soon_does_not_serve() {
        let ending = Candidate { expires: Some(now() + SECOND), is_system_user: true, ..candidate(1) };
        assert_eq!(choose(vec![ending.clone(), candidate(2)], now(), SECOND), Choice::Serve(2));
        assert_eq!(choose(vec![ending], now(), SECOND), Choice::NeedsConsent(1));
    }

    #[test]
    fn the_dead_are_told_from_the_absent() {
        let dead = Candidate { is_active: false, ..candidate(1) };
        assert_eq!(choose(vec![dead], now(), SECOND), Choice::NeedsConsent(1));
        assert_eq!(choose(Vec::<Candidate<u8>>::new(), now(), SECOND), Choice::NotConnected);
    }

    #[test]
    fn a_lease_never_outlives_its_token() {
        let long = Duration::from_secs(120);
        assert_eq!(end_of_lease(now(), long, None), now() + long);
        assert_eq!(end_of_lease(now(), long, Some(now() + SECOND)), now() + SECOND);
    }
}
