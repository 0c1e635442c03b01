//! Where a bucket's ceiling comes from: Meta's formulas by access tier, or the fixed caps of settings.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::priority::{ClassCaps, Priority};
use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT, CUSTOM_AUDIENCE, Kind, SPEND_CAP, Scope};

/// Which ceilings count, for whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ceilings {
    /// `meta` (formulas by access tier) or `source` (the fixed caps below). Default `meta`.
    pub profile: Profile,
    /// Another profile for one app (`metaApps/1`) or ad account (`adAccounts/act_1`); an account's goes before its
    /// app's. Default none.
    pub profiles: BTreeMap<String, Profile>,
    /// The access tier of an ad account as long as Meta has not named it. Default `development`.
    pub tier: Tier,
    /// What a tier in Meta's headers may do: `follow` takes it as it is, `tighten` only ever lowers ceilings.
    /// Default `follow`.
    pub tier_from_headers: TierFromHeaders,
    /// Whether the ad account's score (60 points in 300 s on the development tier, 9,000 on the standard tier) is a
    /// ceiling. Meta still documents this older model; without it the score's header acts as a gate. Default false.
    pub score: bool,
    /// People who use the Meta app, for the platform limit of 200 calls an hour each. Default 1.
    pub app_users: u32,
    /// Calls an hour of one ad account and use case, and of one user, under `source`. Default 200.
    pub source_calls_per_hour: u32,
    /// Insights calls an hour of one ad account under `source`. Default 100.
    pub source_insights_per_hour: u32,
    /// Calls an hour of one app under `source`. Default 4,800.
    pub source_app_calls_per_hour: u32,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self {
            profile: Profile::Meta,
            profiles: BTreeMap::new(),
            tier: Tier::Development,
            tier_from_headers: TierFromHeaders::Follow,
            score: false,
            app_users: 1,
            source_calls_per_hour: 200,
            source_insights_per_hour: 100,
            source_app_calls_per_hour: 4_800,
        }
    }
}

/// Whose ceilings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Meta's formulas by access tier.
    Meta,
    /// Fixed caps from settings.
    Source,
}

/// Meta's access tiers of the Marketing API, the stricter first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// `development_access`, also called limited.
    Development,
    /// `standard_access`, also called full.
    Standard,
}

/// What a tier in Meta's headers may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TierFromHeaders {
    /// Raise and lower ceilings.
    Follow,
    /// Only lower them.
    Tighten,
}

impl Tier {
    /// From Meta's word; an unknown one is no tier.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "development_access" => Some(Self::Development),
            "standard_access" => Some(Self::Standard),
            _ => None,
        }
    }

    /// Meta's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Development => "development_access",
            Self::Standard => "standard_access",
        }
    }
}

/// A bucket's ceiling in its unit per window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ceiling {
    /// `None` counts without a ceiling: only what Meta says closes the bucket.
    pub(crate) limit: Option<u32>,
    pub(crate) profile: Profile,
    /// For people: where the number comes from.
    pub(crate) why: Cow<'static, str>,
    /// How much of it each class may fill.
    pub(crate) caps: ClassCaps,
}

impl Ceiling {
    fn new(limit: Option<u32>, profile: Profile, why: impl Into<Cow<'static, str>>) -> Self {
        Self { limit, profile, why: why.into(), caps: ClassCaps::default() }
    }

    /// What a class may fill; `None` where nothing limits it.
    pub(crate) fn cap(&self, class: Priority) -> Option<u32> {
        self.limit.map(|limit| self.caps.cap(class, limit))
    }
}

impl Ceilings {
    /// What is wrong with these settings, as pairs of key and problem.
    pub(crate) fn faults(&self) -> Vec<(String, &'static str)> {
        let positive = [
            ("app_users", self.app_users),
            ("source_calls_per_hour", self.source_calls_per_hour),
            ("source_insights_per_hour", self.source_insights_per_hour),
            ("source_app_calls_per_hour", self.source_app_calls_per_hour),
        ];
        let zeros = positive.into_iter().filter(|(_, number)| *number == 0);
        let strangers = self.profiles.keys().filter(|name| !is_overridable(name));
        zeros
            .map(|(key, _)| (format!("ceilings.{key}"), "must be above 0"))
            .chain(
                strangers.map(|name| {
                    (format!("ceilings.profiles.{name}"), "must be named metaApps/{n} or adAccounts/act_{n}")
                }),
            )
            .collect()
    }

    /// The bucket that a scope is counted in: under `source` all calls of an app share one.
    pub(crate) fn bucket_of(&self, scope: Scope) -> Scope {
        if scope.kind == Kind::App && self.profile_of(&scope) == Profile::Source {
            return Scope::of_app(scope.app, "");
        }
        scope
    }

    /// The ceiling of a bucket, for the tier that Meta named for its ad account, if it did.
    pub(crate) fn of(&self, scope: &Scope, learned: Option<Tier>) -> Ceiling {
        self.under(scope, learned, self.profile_of(scope), self.tier_from_headers)
    }

    /// The same under this profile and this rule for headers.
    pub(crate) fn under(
        &self,
        scope: &Scope,
        learned: Option<Tier>,
        profile: Profile,
        headers: TierFromHeaders,
    ) -> Ceiling {
        if let Some((limit, why)) = fixed(scope) {
            return Ceiling::new(Some(limit), profile, why);
        }
        match profile {
            Profile::Meta => self.by_formula(scope, self.tier_of(learned, headers)),
            Profile::Source => self.by_settings(scope),
        }
    }

    fn profile_of(&self, scope: &Scope) -> Profile {
        let of_account = scope.account().and_then(|id| self.profile_named(&format!("adAccounts/act_{id}")));
        let of_app = || self.profile_named(&format!("metaApps/{}", scope.app));
        of_account.or_else(of_app).unwrap_or(self.profile)
    }

    /// The profile that the settings name for an ad account or app.
    pub(crate) fn profile_named(&self, name: &str) -> Option<Profile> {
        self.profiles.get(name).copied()
    }

    fn tier_of(&self, learned: Option<Tier>, headers: TierFromHeaders) -> Tier {
        match (learned, headers) {
            (None, _) => self.tier,
            (Some(tier), TierFromHeaders::Follow) => tier,
            (Some(tier), TierFromHeaders::Tighten) => tier.min(self.tier),
        }
    }

    /// Meta, "Rate limits: business use case rate limits"; the counts of active ads and audiences are taken as zero,
    /// which is the strictest.
    fn by_formula(&self, scope: &Scope, tier: Tier) -> Ceiling {
        let pick = |development, standard| match tier {
            Tier::Development => development,
            Tier::Standard => standard,
        };
        let formula = match (scope.kind, scope.use_case.as_str()) {
            (Kind::AdAccount, ADS_MANAGEMENT) => Some((pick(300, 100_000), "+ 40 per active ad")),
            (Kind::AdAccount, ADS_INSIGHTS) => Some((pick(600, 190_000), "+ 400 per active ad")),
            (Kind::AdAccount, CUSTOM_AUDIENCE) => Some((pick(5_000, 190_000), "+ 40 per active audience")),
            (Kind::AdAccount, "") if self.score => Some((pick(60, 9_000), "points of the account's score in 300 s")),
            _ => None,
        };
        let profile = Profile::Meta;
        if let Some((limit, rest)) = formula {
            let why = format!("Meta's formula on {}: {limit} {rest} (none counted yet)", tier.word());
            return Ceiling::new(Some(limit), profile, why);
        }
        if scope.kind == Kind::App && scope.use_case.is_empty() {
            let limit = self.app_users.saturating_mul(200);
            let why = format!("Meta's platform limit: 200 calls an hour for each of {} users", self.app_users);
            return Ceiling::new(Some(limit), profile, why);
        }
        Ceiling::new(None, profile, "Meta names no ceiling that we could count; its headers and codes close it")
    }

    fn by_settings(&self, scope: &Scope) -> Ceiling {
        let capped = match (scope.kind, scope.use_case.as_str()) {
            (Kind::App, _) => Some((self.source_app_calls_per_hour, "source_app_calls_per_hour")),
            (Kind::AdAccount, ADS_INSIGHTS) => Some((self.source_insights_per_hour, "source_insights_per_hour")),
            (Kind::AdAccount, "") => None,
            (Kind::AdAccount | Kind::User, _) => Some((self.source_calls_per_hour, "source_calls_per_hour")),
            _ => None,
        };
        let profile = Profile::Source;
        match capped {
            Some((limit, setting)) => {
                Ceiling::new(Some(limit), profile, format!("fixed by the setting ceilings.{setting}"))
            }
            None => Ceiling::new(None, profile, "no setting caps it; Meta's headers and codes close it"),
        }
    }
}

/// Whether a profile can be set for this name; it is compared as written.
fn is_overridable(name: &str) -> bool {
    let written = |id: &str| id.parse::<u64>().is_ok();
    name.strip_prefix("metaApps/").is_some_and(written) || name.strip_prefix("adAccounts/act_").is_some_and(written)
}

/// Limits that hold in every tier and profile (Meta's error subcodes 5044001, 1487632 and 1885172).
fn fixed(scope: &Scope) -> Option<(u32, &'static str)> {
    match scope.kind {
        Kind::Mutation => Some((100, "Meta's limit of 100 writes a second per app and ad account")),
        Kind::BudgetChange if scope.use_case == SPEND_CAP => Some((10, "Meta's limit of 10 spend cap changes a day")),
        Kind::BudgetChange => Some((4, "Meta's limit of 4 budget changes an hour")),
        Kind::App | Kind::User | Kind::AdAccount | Kind::Page | Kind::TenantShare => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(ceilings: &Ceilings, scope: &Scope, tier: Option<Tier>) -> Option<u32> {
        ceilings.of(scope, tier).limit
    }

    fn account(use_case: &str) -> Scope {
        Scope::ad_account(1, "2", use_case)
    }

    #[test]
    fn the_formulas_follow_the_tier_that_meta_names() {
        let ceilings = Ceilings::default();
        for (use_case, development, standard) in
            [(ADS_MANAGEMENT, 300, 100_000), (ADS_INSIGHTS, 600, 190_000), (CUSTOM_AUDIENCE, 5_000, 190_000)]
        {
            assert_eq!(limit(&ceilings, &account(use_case), None), Some(development));
            assert_eq!(limit(&ceilings, &account(use_case), Some(Tier::Standard)), Some(standard));
        }
    }

    #[test]
    fn where_headers_may_only_tighten_a_better_tier_changes_nothing() {
        let ceilings = Ceilings { tier_from_headers: TierFromHeaders::Tighten, ..Ceilings::default() };
        assert_eq!(limit(&ceilings, &account(ADS_MANAGEMENT), Some(Tier::Standard)), Some(300));
        let ceilings = Ceilings { tier: Tier::Standard, ..ceilings };
        assert_eq!(limit(&ceilings, &account(ADS_MANAGEMENT), Some(Tier::Development)), Some(300));
    }

    #[test]
    fn under_meta_marketing_calls_have_no_ceiling_per_app() {
        let ceilings = Ceilings::default();
        assert_eq!(limit(&ceilings, &Scope::of_app(1, ""), None), Some(200));
        assert_eq!(limit(&ceilings, &Scope::of_app(1, ADS_MANAGEMENT), None), None);
    }

    #[test]
    fn the_score_is_a_ceiling_only_where_settings_say_so() {
        assert_eq!(limit(&Ceilings::default(), &account(""), None), None);
        let ceilings = Ceilings { score: true, ..Ceilings::default() };
        assert_eq!(limit(&ceilings, &account(""), None), Some(60));
        assert_eq!(limit(&ceilings, &account(""), Some(Tier::Standard)), Some(9_000));
    }

    #[test]
    fn under_source_the_caps_are_200_100_and_4800_and_an_app_is_one_bucket() {
        let ceilings = Ceilings { profile: Profile::Source, ..Ceilings::default() };
        let user = Scope { kind: Kind::User, ..account("") };
        assert_eq!(limit(&ceilings, &user, None), Some(200));
        assert_eq!(limit(&ceilings, &account(ADS_MANAGEMENT), Some(Tier::Standard)), Some(200));
        assert_eq!(limit(&ceilings, &account(ADS_INSIGHTS), Some(Tier::Standard)), Some(100));
        let app = ceilings.bucket_of(Scope::of_app(1, ADS_INSIGHTS));
        assert_eq!((app.use_case.as_str(), limit(&ceilings, &app, None)), ("", Some(4_800)));
    }

    #[test]
    fn an_accounts_own_profile_goes_before_its_apps() {
        let profiles = [("metaApps/1", Profile::Source), ("adAccounts/act_2", Profile::Meta)];
        let profiles = profiles.map(|(name, profile)| (name.to_owned(), profile)).into();
        let ceilings = Ceilings { profiles, ..Ceilings::default() };
        assert_eq!(limit(&ceilings, &account(ADS_MANAGEMENT), None), Some(300));
        assert_eq!(limit(&ceilings, &Scope::ad_account(1, "3", ADS_MANAGEMENT), None), Some(200));
        assert_eq!(limit(&ceilings, &Scope::ad_account(9, "3", ADS_MANAGEMENT), None), Some(300));
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let profiles = [("act_2".to_owned(), Profile::Meta)].into();
        let ceilings = Ceilings { app_users: 0, profiles, ..Ceilings::default() };
        let keys: Vec<String> = ceilings.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["ceilings.app_users", "ceilings.profiles.act_2"]);
        assert!(Ceilings::default().faults().is_empty());
    }

    #[test]
    fn what_meta_fixes_for_everyone_holds_in_every_profile() {
        for profile in [Profile::Meta, Profile::Source] {
            let ceilings = Ceilings { profile, ..Ceilings::default() };
            let of = |kind, use_case: &str| limit(&ceilings, &Scope { kind, ..account(use_case) }, None);
            assert_eq!(of(Kind::Mutation, ""), Some(100));
            assert_eq!(of(Kind::BudgetChange, ""), Some(4));
            assert_eq!(of(Kind::BudgetChange, SPEND_CAP), Some(10));
        }
    }
}
