//! Services that prove who they are by the token that Kubernetes projects into their pods.
//!
//! The kubelet keeps such a token fresh, binds it to its pod, and makes it for one audience: us. We alone read the keys
//! of the cluster; a service hands us its token and gets one of ours, so that no other service has to know the cluster.
//! To us the cluster is one more issuer outside, whose rules say which service account is which service.

use std::{collections::BTreeMap, sync::Arc};

use rpc::{Keys, Rule, Scopes, TokenError, Verifier};
use runtime::settings::{Check, Faults};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    error::Error,
    issuers::{IssuerSettings, Issuers, JwksSettings, SetupError},
    now::Now,
    published::Published,
    vault,
};

/// The cluster whose service accounts are services of ours.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceAccountSettings {
    /// What the cluster's tokens have in `iss`: `--service-account-issuer` of its API server. Required.
    pub issuer: String,
    /// Where its keys are: `/openid/v1/jwks` of its API server, with its certificate authority, and with a token where the
    /// API server asks for one. Required.
    pub jwks: JwksSettings,
    /// Whom the projected tokens are for. Default `adplane-auth`.
    pub audience: String,
    /// The service of each service account, as `"NAMESPACE/NAME" = "campaigns"`. 1 to 100. Required.
    pub services: BTreeMap<String, String>,
}

impl Default for ServiceAccountSettings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            jwks: JwksSettings::default(),
            audience: "adplane-auth".to_owned(),
            services: BTreeMap::new(),
        }
    }
}

impl Check for ServiceAccountSettings {
    fn check(&self, faults: &mut Faults) {
        faults.check(!self.issuer.is_empty(), "issuer", "must be what the cluster's tokens name");
        faults.section("jwks", &self.jwks);
        faults.check(!self.audience.is_empty(), "audience", "must not be empty");
        let mapped = self.services.iter().all(|(account, service)| subject(account).is_some() && is_service(service));
        let few = (1..=100).contains(&self.services.len());
        faults.check(mapped && few, "services", "must be 1 to 100 of the form \"NAMESPACE/NAME\" = \"SERVICE\"");
    }
}

/// A service's name: it becomes part of a path elsewhere, and of a token's subject.
pub fn is_service(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// The subject of a service account's tokens.
fn subject(account: &str) -> Option<String> {
    let is_label = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        (1..=253).contains(&part.len()) && part.bytes().all(fits)
    };
    let (namespace, name) = account.split_once('/')?;
    (is_label(namespace) && is_label(name)).then(|| format!("system:serviceaccount:{namespace}:{name}"))
}

/// Tells which service a projected token is of.
#[derive(Clone)]
pub struct Workloads {
    issuers: Issuers,
    verifier: Arc<Verifier>,
}

impl Workloads {
    /// Without settings nobody can prove anything this way.
    ///
    /// # Errors
    /// When the certificate authority cannot be used.
    pub fn new(settings: Option<&ServiceAccountSettings>, now: &Now) -> Result<Self, SetupError> {
        let cluster: Vec<IssuerSettings> = settings.map(as_issuer).into_iter().collect();
        let issuers = Issuers::new(&cluster, now)?;
        // No key of ours counts here: a service does not get a token for another token of ours.
        let published = Published::new("nobody", Arc::new(|| json!({})), issuers.clone());
        let verifier = Arc::new(Verifier::new(Keys::read_by(published.reader())));
        Ok(Self { issuers, verifier })
    }

    /// Keeps the cluster's keys fresh until `stop`.
    pub fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        self.issuers.start(tasks, stop);
    }

    /// The service whose pod has this token.
    ///
    /// # Errors
    /// Where the token is not good, is for somebody else, or is of a service account that no setting names.
    pub async fn service_of(&self, token: &SecretString) -> Result<String, Error> {
        let verified = self.verifier.verify(token.expose_secret().trim()).await?;
        match &verified.scopes {
            Scopes::Only(services) if services.len() == 1 => {
                services.first().cloned().ok_or(Error::Token(TokenError::Refused("no_rule")))
            }
            _ => Err(Error::Token(TokenError::Refused("no_rule"))),
        }
    }
}

fn as_issuer(settings: &ServiceAccountSettings) -> IssuerSettings {
    let rules = settings.services.iter().filter_map(|(account, service)| {
        let (claim, value) = ("sub".to_owned(), subject(account)?);
        let (tenants, scopes) = (vec![vault::SYSTEM.to_owned()], [service.clone()].into());
        Some(Rule { claim, value, tenants, scopes })
    });
    IssuerSettings {
        name: "cluster".to_owned(),
        issuer: settings.issuer.clone(),
        jwks: settings.jwks.clone(),
        audiences: vec![settings.audience.clone()],
        algorithms: vec!["RS256".to_owned(), "ES256".to_owned()],
        rules: rules.collect(),
        ..IssuerSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_namespace_and_a_name() {
        assert_eq!(subject("adplane/campaigns").as_deref(), Some("system:serviceaccount:adplane:campaigns"));
        for account in ["campaigns", "a/b/c", "a:b/c", "/c", "a/", "A/b", "a/b c"] {
            assert_eq!(subject(account), None, "{account}");
        }
        assert!(is_service("campaigns") && !is_service("../kek") && !is_service(""));
    }

    #[test]
    fn what_is_missing_is_told() {
        let mut faults = Faults::default();
        let services = BTreeMap::from([("a:b".to_owned(), "campaigns".to_owned())]);
        ServiceAccountSettings { services, ..ServiceAccountSettings::default() }.check(&mut faults);
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["issuer", "jwks.url", "services"]);
    }
}
