//! What the claims of an issuer outside are worth here: its rules, applied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vocabulary::ids::TenantId;

use super::trust::Rule;
use crate::caller::Scopes;

/// Claims that hold words with spaces between (RFC 8693, section 4.2).
const WORDS: [&str; 2] = ["scope", "scp"];

/// The scopes by tenant. A scope that one rule gives for one tenant is not given for the tenants of another rule.
pub(super) fn scopes_by_tenant(rules: &[Rule], claims: &Value) -> BTreeMap<TenantId, Scopes> {
    let mut given: BTreeMap<TenantId, BTreeSet<String>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| fits(rule, claims)) {
        // `*` is no tenant's id, and no rule gives everything, whatever it says.
        for tenant in rule.tenants.iter().filter_map(|tenant| tenant.parse().ok()) {
            given.entry(tenant).or_default().extend(rule.scopes.iter().filter(|scope| *scope != "*").cloned());
        }
    }
    given.into_iter().map(|(tenant, scopes)| (tenant, Scopes::Only(scopes))).collect()
}

/// What is given for every tenant alike.
pub(super) fn common(given: &BTreeMap<TenantId, Scopes>) -> Scopes {
    let mut sets = given.values().map(|scopes| match scopes {
        Scopes::Only(scopes) => scopes.clone(),
        Scopes::All => BTreeSet::new(),
    });
    let first = sets.next().unwrap_or_default();
    Scopes::Only(sets.fold(first, |all, more| all.intersection(&more).cloned().collect()))
}

fn fits(rule: &Rule, claims: &Value) -> bool {
    let claim = if rule.claim.starts_with('/') { claims.pointer(&rule.claim) } else { claims.get(&rule.claim) };
    match claim {
        Some(Value::String(words)) if WORDS.contains(&rule.claim.as_str()) => {
            words.split(' ').any(|word| word == rule.value)
        }
        Some(Value::String(text)) => *text == rule.value,
        Some(Value::Array(list)) => list.iter().any(|member| member.as_str() == Some(&rule.value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(claim: &str, value: &str, tenants: &[&str], scopes: &[&str]) -> Rule {
        Rule {
            claim: claim.to_owned(),
            value: value.to_owned(),
            tenants: tenants.iter().map(|&tenant| tenant.to_owned()).collect(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        }
    }

    fn only(scopes: &[&str]) -> Scopes {
        Scopes::Only(scopes.iter().map(|&scope| scope.to_owned()).collect())
    }

    #[test]
    fn what_one_rule_gives_for_a_tenant_is_not_given_for_another() {
        let rules = [
            rule("groups", "readers", &["acme", "brands"], &["campaigns.read"]),
            rule("groups", "writers", &["acme"], &["campaigns.write"]),
            rule("groups", "others", &["other"], &["campaigns.write"]),
        ];
        let given = scopes_by_tenant(&rules, &json!({"groups": ["writers", "readers"]}));
        assert_eq!(given[&"acme".parse().unwrap()], only(&["campaigns.read", "campaigns.write"]));
        assert_eq!(given[&"brands".parse().unwrap()], only(&["campaigns.read"]));
        assert_eq!((given.len(), common(&given)), (2, only(&["campaigns.read"])));
    }

    #[test]
    fn a_claim_fits_to_the_letter_and_as_a_whole() {
        let fits = |claim: &str, claims: Value| fits(&rule(claim, "ads", &["acme"], &[]), &claims);
        assert!(fits("team", json!({"team": "ads"})) && fits("team", json!({"team": ["x", "ads"]})));
        assert!(fits("scope", json!({"scope": "openid ads"})) && fits("/a/b", json!({"a": {"b": ["ads"]}})));
        for other in [json!("ads x"), json!("ADS"), json!(["ads x"]), json!({"ads": true}), json!(true), json!(null)] {
            assert!(!fits("team", json!({"team": other})), "{other}");
        }
        assert!(!fits("team", json!({})) && !fits("scope", json!({"scope": "ads.read"})));
    }

    #[test]
    fn no_rule_gives_everything() {
        let rules = [rule("g", "a", &["*", "acme"], &["*"]), rule("g", "a", &["*"], &["campaigns.read"])];
        let given = scopes_by_tenant(&rules, &json!({"g": "a"}));
        assert_eq!(given.into_iter().collect::<Vec<_>>(), [("acme".parse().unwrap(), only(&[]))]);
    }
}
