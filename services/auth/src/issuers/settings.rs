//! What an operator says about an issuer.

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf};

use rpc::{Rule, TrustedIssuer, token::Algorithm};
use runtime::settings::{Check, Faults};
use serde::Deserialize;
use url::{Host, Url};
use vocabulary::ids::TenantId;

use crate::grants;

/// Rules of one issuer, and tenants or scopes of one rule.
const RULES_MAX: usize = 1_000;
/// The algorithms that are taken, by the names that JWTs have for them.
const ALGORITHMS: [(&str, Algorithm); 3] =
    [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)];

/// An issuer outside whose tokens callers may come with.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSettings {
    /// A short name: the audit calls its people `{name}:{sub}`. 1 to 20 of `a-z`, `0-9` and `-`. Required.
    pub name: String,
    /// What its tokens have in `iss`, to the letter. They must also say when they were made, in `iat` or else `nbf`. Required.
    pub issuer: String,
    /// Where its keys are. Required.
    pub jwks: JwksSettings,
    /// Tokens must be for one of these. 1 to 10. Required.
    pub audiences: Vec<String>,
    /// What it may sign with: of `RS256`, `ES256` and `EdDSA`. Default `RS256`.
    pub algorithms: Vec<String>,
    /// How far its clock may be off, in seconds. 0 to 300; default 30.
    pub leeway_seconds: u32,
    /// How long a token may still live when it comes, in seconds. 60 to 86,400; default 86,400. Revocations are kept for
    /// two days, so a token that lives longer could outlive the word that it is dead.
    pub token_seconds_max: u32,
    /// What its claims are worth here; at least one, at most 1,000. None of them can grant `*`: whoever may do everything
    /// is a caller of ours, made by an operator.
    pub rules: Vec<Rule>,
}

/// Where a key set is, and how long it serves.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JwksSettings {
    /// Its address; https, save on this machine. Redirects are not followed. Required.
    pub url: String,
    /// A PEM file with the certificate authority to trust besides the public ones. Default: none.
    pub ca_file: Option<PathBuf>,
    /// A file with a token to show, read anew each time, as the API server of Kubernetes wants it. Default: none.
    pub bearer_file: Option<PathBuf>,
    /// A corporate proxy, such as `http://proxy:3128`. Default: none; the environment's is not read.
    pub proxy: Option<String>,
    /// How often it is read, in seconds. 10 to 86,400; default 300.
    pub refresh_seconds: u32,
    /// How soon it is asked again after it failed, and how often at most for keys that nobody knows, in seconds. 1 to
    /// 3,600; default 10.
    pub retry_seconds: u32,
    /// How long keys serve that cannot be read again, in seconds. 600 to 604,800; default 86,400.
    pub stale_seconds_max: u32,
}

impl Default for IssuerSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            issuer: String::new(),
            jwks: JwksSettings::default(),
            audiences: Vec::new(),
            algorithms: vec!["RS256".to_owned()],
            leeway_seconds: 30,
            token_seconds_max: 86_400,
            rules: Vec::new(),
        }
    }
}

impl Default for JwksSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            ca_file: None,
            bearer_file: None,
            proxy: None,
            refresh_seconds: 300,
            retry_seconds: 10,
            stale_seconds_max: 86_400,
        }
    }
}

impl IssuerSettings {
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        algorithms(&self.algorithms).unwrap_or_default()
    }

    pub(super) fn facts(&self) -> TrustedIssuer {
        TrustedIssuer {
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            audiences: self.audiences.clone(),
            algorithms: self.algorithms(),
            leeway_seconds: self.leeway_seconds,
            token_seconds_max: self.token_seconds_max,
            rules: self.rules.clone(),
            keys: Vec::new(),
            keys_until: 0,
        }
    }
}

/// The algorithms of these names; `None` where one is not taken, or none is named.
fn algorithms(names: &[String]) -> Option<Vec<Algorithm>> {
    let known = |name: &String| ALGORITHMS.iter().find(|(known, _)| known == name).map(|(_, algorithm)| *algorithm);
    names.iter().map(known).collect::<Option<Vec<_>>>().filter(|known| !known.is_empty())
}

impl Check for IssuerSettings {
    fn check(&self, faults: &mut Faults) {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let named = (1..=20).contains(&self.name.len()) && self.name.bytes().all(is_name);
        faults.check(named, "name", "must be 1 to 20 of a-z, 0-9 and -");
        faults.check(!self.issuer.is_empty(), "issuer", "must be what its tokens name");
        faults.section("jwks", &self.jwks);
        let audiences = (1..=10).contains(&self.audiences.len()) && self.audiences.iter().all(|name| !name.is_empty());
        faults.check(audiences, "audiences", "must be 1 to 10");
        let known = algorithms(&self.algorithms).is_some();
        faults.check(known, "algorithms", "must be of RS256, ES256 and EdDSA");
        faults.check(self.leeway_seconds <= 300, "leeway_seconds", "must be 0 to 300");
        faults.check((60..=86_400).contains(&self.token_seconds_max), "token_seconds_max", "must be 60 to 86400");
        faults.check((1..=RULES_MAX).contains(&self.rules.len()), "rules", "must be 1 to 1000");
        for (index, rule) in self.rules.iter().enumerate() {
            check_rule(&format!("rules.{index}"), rule, faults);
        }
    }
}

fn check_rule(key: &str, rule: &Rule, faults: &mut Faults) {
    let mut check = |holds, field: &str, problem| faults.check(holds, &format!("{key}.{field}"), problem);
    check(!rule.claim.is_empty(), "claim", "must name a claim, or be a path such as /realm_access/roles");
    check(!rule.value.is_empty(), "value", "must be what the claim has in it");
    let tenants = rule.tenants.iter().all(|tenant| tenant != "system" && tenant.parse::<TenantId>().is_ok());
    let few = |count: usize| (1..=RULES_MAX).contains(&count);
    check(tenants && few(rule.tenants.len()), "tenants", "must be ids of tenants, never *: no rule makes an operator");
    let scopes = rule.scopes.iter().all(|scope| grants::is_scope(scope));
    check(scopes && few(rule.scopes.len()), "scopes", "must be scopes such as campaigns.read, never *");
}

impl Check for JwksSettings {
    fn check(&self, faults: &mut Faults) {
        let safe = Url::parse(&self.url).is_ok_and(|url| match url.scheme() {
            "https" => url.has_host(),
            "http" => is_this_machine(&url),
            _ => false,
        });
        faults.check(safe, "url", "must be an https address");
        faults.check((10..=86_400).contains(&self.refresh_seconds), "refresh_seconds", "must be 10 to 86400");
        faults.check((1..=3_600).contains(&self.retry_seconds), "retry_seconds", "must be 1 to 3600");
        faults.check((600..=604_800).contains(&self.stale_seconds_max), "stale_seconds_max", "must be 600 to 604800");
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Faults of a list of issuers, and of two that cannot be told apart.
pub fn check_all(issuers: &[IssuerSettings], ours: &str, faults: &mut Faults) {
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::from([ours]));
    for (index, issuer) in issuers.iter().enumerate() {
        let key = format!("issuers.{index}");
        faults.section(&key, issuer);
        faults.check(names.insert(issuer.name.as_str()), &format!("{key}.name"), "must be unlike the others");
        let fresh = addresses.insert(issuer.issuer.as_str());
        faults.check(fresh, &format!("{key}.issuer"), "must be unlike the others and our own");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> IssuerSettings {
        IssuerSettings {
            name: "company".to_owned(),
            issuer: "https://login.company.example".to_owned(),
            jwks: JwksSettings { url: "https://login.company.example/keys".to_owned(), ..JwksSettings::default() },
            audiences: vec!["adplane".to_owned()],
            rules: vec![rpc::testing::rule("ads", &["acme"], &["campaigns.read"])],
            ..IssuerSettings::default()
        }
    }

    fn faults(issuers: &[IssuerSettings]) -> Vec<String> {
        let mut faults = Faults::default();
        check_all(issuers, "adplane", &mut faults);
        faults.iter().map(|fault| fault.key.clone()).collect()
    }

    #[test]
    fn no_rule_makes_an_operator() {
        assert!(faults(&[good()]).is_empty());
        for (tenants, scopes, key) in [
            (&["*"][..], &["campaigns.read"][..], "issuers.0.rules.0.tenants"),
            (&["acme", "*"], &["campaigns.read"], "issuers.0.rules.0.tenants"),
            (&["system"], &["campaigns.read"], "issuers.0.rules.0.tenants"),
            (&[], &["campaigns.read"], "issuers.0.rules.0.tenants"),
            (&["acme"], &["*"], "issuers.0.rules.0.scopes"),
            (&["acme"], &["internal"], "issuers.0.rules.0.scopes"),
            (&["acme"], &[], "issuers.0.rules.0.scopes"),
        ] {
            let rules = vec![rpc::testing::rule("ads", tenants, scopes)];
            assert_eq!(faults(&[IssuerSettings { rules, ..good() }]), [key]);
        }
    }

    #[test]
    fn keys_come_by_a_safe_way_and_algorithms_are_named() {
        let at = |url: &str| {
            let jwks = JwksSettings { url: url.to_owned(), ..JwksSettings::default() };
            faults(&[IssuerSettings { jwks, ..good() }])
        };
        assert!(at("http://127.0.0.1:8080/keys").is_empty() && at("http://localhost/keys").is_empty());
        for url in ["", "http://login.company.example/keys", "http://10.0.0.1/keys", "file:///etc/keys", "https://"] {
            assert_eq!(at(url), ["issuers.0.jwks.url"], "{url}");
        }
        for names in [&[][..], &["none"], &["HS256"], &["RS256", "HS256"], &["rs256"]] {
            let algorithms = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(faults(&[IssuerSettings { algorithms, ..good() }]), ["issuers.0.algorithms"], "{names:?}");
        }
    }

    #[test]
    fn issuers_can_be_told_apart_from_each_other_and_from_us() {
        assert_eq!(faults(&[good(), good()]), ["issuers.1.name", "issuers.1.issuer"]);
        let posing = IssuerSettings { issuer: "adplane".to_owned(), ..good() };
        assert_eq!(faults(&[posing]), ["issuers.0.issuer"]);
    }
}
