//! Resource names and the ids in them, both ways: `adAccounts/act_1/campaigns/2` is `(AdAccountId, CampaignId)`.
//!
//! A name never holds the tenant; that comes from the caller's identity. `act_` is read with and without, and always
//! written. Every function fails with the pattern that it expected.

use std::fmt::Display;
use std::str::FromStr;

use crate::ids::{
    AdAccountId, AdId, AdSetId, AudienceId, CampaignId, ConnectionId, CreativeId, DatasetId, ImageHash, MemberJobId,
    MetaAppId, OperationId, PlanId, ReportId, TenantId, VideoId,
};

/// A text that is no resource name of the kind it should be. It prints as what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {pattern}, not {given:?}")]
pub struct NameError {
    /// What the name should look like, such as `adAccounts/act_{n}/campaigns/{n}`.
    pub pattern: &'static str,
    /// What came instead, cut to 128 characters.
    pub given: String,
}

impl NameError {
    fn new(pattern: &'static str, given: &str) -> Self {
        let given = given.chars().take(128).collect();
        Self { pattern, given }
    }
}

/// The parts of `name` that stand where `pattern` has braces, such as `["1", "2"]` for
/// `adAccounts/act_{n}/campaigns/{n}`. What stands before a brace, such as `act_`, may be left out.
pub fn parse<'a>(pattern: &'static str, name: &'a str) -> Result<Vec<&'a str>, NameError> {
    let error = || NameError::new(pattern, name);
    let mut segments = name.split('/');
    let mut parts = Vec::new();
    for expected in pattern.split('/') {
        let segment = segments.next().ok_or_else(error)?;
        match expected.split_once('{') {
            Some((prefix, _)) => {
                let part = segment.strip_prefix(prefix).unwrap_or(segment);
                if part.is_empty() {
                    return Err(error());
                }
                parts.push(part);
            }
            None if segment == expected => {}
            None => return Err(error()),
        }
    }
    if segments.next().is_some() { Err(error()) } else { Ok(parts) }
}

fn one<A: FromStr>(pattern: &'static str, name: &str) -> Result<A, NameError> {
    match parse(pattern, name)?.as_slice() {
        [a] => a.parse().map_err(|_| NameError::new(pattern, name)),
        _ => Err(NameError::new(pattern, name)),
    }
}

fn two<A: FromStr, B: FromStr>(pattern: &'static str, name: &str) -> Result<(A, B), NameError> {
    let error = || NameError::new(pattern, name);
    match parse(pattern, name)?.as_slice() {
        [a, b] => Ok((a.parse().map_err(|_| error())?, b.parse().map_err(|_| error())?)),
        _ => Err(error()),
    }
}

/// Replaces each brace of `pattern` by a part, in order.
fn write(pattern: &str, parts: &[&dyn Display]) -> String {
    let mut parts = parts.iter();
    let fill = |segment: &str| match segment.split_once('{') {
        Some((prefix, _)) => parts.next().map_or_else(String::new, |part| format!("{prefix}{part}")),
        None => segment.to_owned(),
    };
    pattern.split('/').map(fill).collect::<Vec<_>>().join("/")
}

macro_rules! top_level {
    ($($(#[$doc:meta])* $read:ident -> $id:ty, $write:ident($given:ty): $pattern:literal;)*) => {$(
        $(#[$doc])*
        pub fn $read(name: &str) -> Result<$id, NameError> {
            one($pattern, name)
        }

        #[doc = concat!("The name of `", stringify!($read), "`: `", $pattern, "`.")]
        pub fn $write(id: $given) -> String {
            write($pattern, &[&id])
        }
    )*};
}

macro_rules! in_ad_account {
    ($($(#[$doc:meta])* $read:ident, $write:ident: $collection:literal => $id:ty, $form:literal;)*) => {$(
        $(#[$doc])*
        pub fn $read(name: &str) -> Result<(AdAccountId, $id), NameError> {
            two(concat!("adAccounts/act_{n}/", $collection, "/", $form), name)
        }

        #[doc = concat!("The name of `", stringify!($read), "`: `adAccounts/act_{n}/", $collection, "/", $form, "`.")]
        pub fn $write(account: AdAccountId, id: $id) -> String {
            write(concat!("adAccounts/act_{n}/", $collection, "/", $form), &[&account, &id])
        }
    )*};
}

top_level! {
    /// An ad account.
    ad_account -> AdAccountId, of_ad_account(AdAccountId): "adAccounts/act_{n}";
    /// A dataset.
    dataset -> DatasetId, of_dataset(DatasetId): "datasets/{n}";
    /// An app of ours at Meta.
    meta_app -> MetaAppId, of_meta_app(MetaAppId): "metaApps/{n}";
    /// A connection.
    connection -> ConnectionId, of_connection(ConnectionId): "connections/{uuid}";
    /// A tenant.
    tenant -> TenantId, of_tenant(&TenantId): "tenants/{tenant}";
    /// Long work.
    operation -> OperationId, of_operation(&OperationId): "operations/{service-uuid}";
}

in_ad_account! {
    /// A campaign.
    campaign, of_campaign: "campaigns" => CampaignId, "{n}";
    /// An ad set.
    ad_set, of_ad_set: "adSets" => AdSetId, "{n}";
    /// An ad.
    ad, of_ad: "ads" => AdId, "{n}";
    /// A creative.
    creative, of_creative: "creatives" => CreativeId, "{n}";
    /// An image.
    image, of_image: "images" => ImageHash, "{hash}";
    /// A video.
    video, of_video: "videos" => VideoId, "{n}";
    /// An audience.
    audience, of_audience: "audiences" => AudienceId, "{n}";
    /// A report.
    report, of_report: "reports" => ReportId, "{uuid}";
    /// A plan.
    plan, of_plan: "plans" => PlanId, "{uuid}";
}

const MEMBER_JOB: &str = "adAccounts/act_{n}/audiences/{n}/memberJobs/{uuid}";

/// A job that changes an audience's members.
pub fn member_job(name: &str) -> Result<(AdAccountId, AudienceId, MemberJobId), NameError> {
    let error = || NameError::new(MEMBER_JOB, name);
    match parse(MEMBER_JOB, name)?.as_slice() {
        [a, b, c] => {
            Ok((a.parse().map_err(|_| error())?, b.parse().map_err(|_| error())?, c.parse().map_err(|_| error())?))
        }
        _ => Err(error()),
    }
}

/// The name of `member_job`: `adAccounts/act_{n}/audiences/{n}/memberJobs/{uuid}`.
pub fn of_member_job(account: AdAccountId, audience: AudienceId, job: MemberJobId) -> String {
    write(MEMBER_JOB, &[&account, &audience, &job])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn a_name_reads_back_as_it_is_written(account in 1_u64.., id in 1_u64.., uuid in any::<u128>()) {
            let account = AdAccountId::new(account);
            let (campaign, audience) = (CampaignId::new(id), AudienceId::new(id));
            let (report, job) = (ReportId(Uuid::from_u128(uuid)), MemberJobId(Uuid::from_u128(uuid)));
            prop_assert_eq!(ad_account(&of_ad_account(account)), Ok(account));
            prop_assert_eq!(self::campaign(&of_campaign(account, campaign)), Ok((account, campaign)));
            prop_assert_eq!(self::report(&of_report(account, report)), Ok((account, report)));
            prop_assert_eq!(member_job(&of_member_job(account, audience, job)), Ok((account, audience, job)));
        }

        #[test]
        fn no_text_makes_a_reader_panic(name in "\\PC{0,60}") {
            prop_assert!(ad_account(&name).is_err() || name.contains("adAccounts/"));
            prop_assert!(member_job(&name).is_err());
        }

        #[test]
        fn a_name_with_a_part_too_many_or_too_few_is_refused(cut in 1_usize..4) {
            let name = of_campaign(AdAccountId::new(1), CampaignId::new(2));
            let short: Vec<_> = name.split('/').take(cut).collect();
            prop_assert!(campaign(&short.join("/")).is_err());
            let long = format!("{name}/{cut}");
            prop_assert!(campaign(&long).is_err());
        }
    }

    #[test]
    fn a_name_is_written_with_act() {
        assert_eq!(of_campaign(AdAccountId::new(1), CampaignId::new(2)), "adAccounts/act_1/campaigns/2");
        assert_eq!(campaign("adAccounts/1/campaigns/2"), Ok((AdAccountId::new(1), CampaignId::new(2))));
    }

    #[test]
    fn an_error_names_the_pattern_that_was_expected() {
        for name in ["", "adAccounts/act_1/ads/2", "/adAccounts/act_1/campaigns/2", "adAccounts/act_1/campaigns/x"] {
            assert_eq!(campaign(name).unwrap_err().pattern, "adAccounts/act_{n}/campaigns/{n}");
        }
        let error = tenant("tenants/No").unwrap_err();
        assert_eq!(error.to_string(), r#"must be tenants/{tenant}, not "tenants/No""#);
    }

    #[test]
    fn an_operation_names_its_service() {
        let id = operation("operations/campaigns-5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11").unwrap();
        assert_eq!(id.service, "campaigns");
        assert_eq!(of_operation(&id), "operations/campaigns-5f0c1d9e-3b7a-4c1e-9a54-0d2f6c8b7e11");
    }
}
