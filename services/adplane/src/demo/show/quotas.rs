//! What the calls took from the quota.

use std::fmt::Write;

use proto::ratelimit::v1::{CeilingProfile, Quota, QuotaUnit};

use super::{clip, head};

/// What was taken from each bucket.
pub(crate) fn quotas(quotas: &[Quota]) -> String {
    let mut out = String::new();
    head(&mut out, "Graph calls against the quota");
    let (used, others) = ("used", "others");
    _ = writeln!(out, "  {:<46} {used:>7} {:>9} {others:>7} {:>7}  whose", "bucket", "of", "window");
    for quota in quotas {
        let scope = quota.scope.clone().unwrap_or_default();
        let kind = scope.kind().as_str_name().trim_start_matches("SCOPE_KIND_").to_lowercase().replace('_', " ");
        let name: Vec<&str> =
            [kind.as_str(), &scope.id, &scope.use_case].into_iter().filter(|part| !part.is_empty()).collect();
        let unit = match quota.unit() {
            QuotaUnit::Points => " points",
            QuotaUnit::Changes => " changes",
            QuotaUnit::Calls | QuotaUnit::Unspecified => "",
        };
        let limit = quota.limit.map_or("no limit".to_owned(), |limit| limit.to_string());
        let window = quota.window.as_ref().map_or(0, |window| window.seconds);
        let profile = if quota.profile() == CeilingProfile::Source { "fixed" } else { "Meta's formula" };
        let (name, used, others) = (clip(&format!("{}{unit}", name.join(" ")), 46), quota.used, quota.others);
        let window = format!("{window} s");
        _ = writeln!(out, "  {name:<46} {used:>7} {limit:>9} {others:>7} {window:>7}  {profile}");
    }
    out
}

#[cfg(test)]
mod tests {
    use proto::ratelimit::v1::{Scope, ScopeKind};

    use super::{super::tests::fits, *};

    #[test]
    fn the_table_has_a_column_each_and_fits() {
        let scope = Scope {
            kind: ScopeKind::TenantShare.into(),
            id: "a-tenant-with-a-name-that-is-rather-long/1000000000000001".to_owned(),
            use_case: "ads_management".to_owned(),
            ..Scope::default()
        };
        let window = Some(prost_types::Duration { seconds: 86_400, nanos: 0 });
        let quota = Quota { scope: Some(scope), used: 1_234_567, limit: Some(123_456_789), window, ..Quota::default() };
        let text = quotas(&[quota]);
        fits(&text);
        let columns: Vec<&str> = text.lines().nth(3).unwrap().split_whitespace().collect();
        assert_eq!(columns, ["bucket", "used", "of", "others", "window", "whose"]);
        assert!(text.contains("86400 s  Meta's formula"), "{text}");
    }
}
