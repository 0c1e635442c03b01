//! The limits that Meta keeps, by what it counts under.

use crate::state::Kind;

/// Most limits are of a rolling hour.
const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 86_400;

/// The business use cases (Meta, "Business use case rate limits").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum UseCase {
    AdsManagement,
    AdsInsights,
    CustomAudience,
    Pages,
    Instagram,
    Leadgen,
    Messenger,
    CatalogManagement,
    CatalogBatch,
}

impl UseCase {
    pub(crate) const ALL: [Self; 9] = [
        Self::AdsManagement,
        Self::AdsInsights,
        Self::CustomAudience,
        Self::Pages,
        Self::Instagram,
        Self::Leadgen,
        Self::Messenger,
        Self::CatalogManagement,
        Self::CatalogBatch,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::AdsManagement => "ads_management",
            Self::AdsInsights => "ads_insights",
            Self::CustomAudience => "custom_audience",
            Self::Pages => "pages",
            Self::Instagram => "instagram",
            Self::Leadgen => "leadgen",
            Self::Messenger => "messenger",
            Self::CatalogManagement => "catalog_management",
            Self::CatalogBatch => "catalog_batch",
        }
    }

    /// The code of the refusal past 100 %.
    pub(super) fn code(self) -> i64 {
        match self {
            Self::AdsInsights => 80_000,
            Self::Pages => 80_001,
            Self::Instagram => 80_002,
            Self::CustomAudience => 80_003,
            Self::AdsManagement => 80_004,
            Self::Leadgen => 80_005,
            Self::Messenger => 80_006,
            Self::CatalogManagement => 80_009,
            Self::CatalogBatch => 80_014,
        }
    }

    /// Of what it is a limit.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::AdsManagement | Self::AdsInsights | Self::CustomAudience => Kind::AdAccount,
            Self::Pages | Self::Leadgen | Self::Messenger => Kind::Page,
            Self::Instagram => Kind::Instagram,
            Self::CatalogManagement | Self::CatalogBatch => Kind::Catalog,
        }
    }

    /// Whether its limit depends on the access tier in a way that its header names.
    pub(super) fn names_tier(self) -> bool {
        matches!(self, Self::AdsManagement | Self::AdsInsights)
    }
}

/// One limit of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Bucket {
    /// Not limited at all: logins, server events.
    Free,
    /// A business use case of an ad account, page, Instagram account or catalogue.
    UseCase(UseCase, u64),
    /// The app's platform limit.
    App,
    /// The platform limit of one person's token.
    User(u64),
    /// The platform limit of a page, for tokens that are not its own.
    Page(u64),
    /// Insights of all accounts.
    InsightsApp,
    /// Insights of one account, beside its use case.
    InsightsAccount(u64),
    /// Reach with breakdowns further back than 13 months.
    InsightsReach(u64),
    /// Changes of campaigns, ad sets and ads within a second, by app and account.
    Mutations(u64),
    /// Everything within a second.
    Burst,
}

impl Bucket {
    /// As the request log and `/__sandbox/usage` name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Free => "none",
            Self::UseCase(use_case, _) => use_case.word(),
            Self::App => "app",
            Self::User(_) => "user",
            Self::Page(_) => "page",
            Self::InsightsApp => "insights_app",
            Self::InsightsAccount(_) => "insights_account",
            Self::InsightsReach(_) => "insights_reach",
            Self::Mutations(_) => "mutations",
            Self::Burst => "burst",
        }
    }

    /// The bucket of a word and an id; `None` for a word that is not known, or that wants an id and has none.
    pub(super) fn parse(word: &str, id: Option<u64>) -> Option<Self> {
        Some(match word {
            "app" => Self::App,
            "insights_app" => Self::InsightsApp,
            "burst" => Self::Burst,
            "user" => Self::User(id?),
            "page" => Self::Page(id?),
            "insights_account" => Self::InsightsAccount(id?),
            "insights_reach" => Self::InsightsReach(id?),
            "mutations" => Self::Mutations(id?),
            _ => Self::UseCase(UseCase::ALL.into_iter().find(|use_case| use_case.word() == word)?, id?),
        })
    }

    pub(super) fn id(self) -> Option<u64> {
        match self {
            Self::Free | Self::App | Self::InsightsApp | Self::Burst => None,
            Self::UseCase(_, id)
            | Self::User(id)
            | Self::Page(id)
            | Self::InsightsAccount(id)
            | Self::InsightsReach(id)
            | Self::Mutations(id) => Some(id),
        }
    }

    /// The ad account that it is a limit of.
    pub(crate) fn account(self) -> Option<u64> {
        match self {
            Self::UseCase(use_case, id) => (use_case.kind() == Kind::AdAccount).then_some(id),
            Self::InsightsAccount(id) | Self::InsightsReach(id) | Self::Mutations(id) => Some(id),
            _ => None,
        }
    }

    /// The time within which it is counted.
    pub(super) fn seconds(self) -> i64 {
        match self {
            Self::Mutations(_) | Self::Burst => 1,
            Self::InsightsReach(_) | Self::Page(_) => DAY_SECONDS,
            Self::UseCase(UseCase::Pages | UseCase::Instagram | UseCase::Leadgen | UseCase::Messenger, _) => {
                DAY_SECONDS
            }
            _ => HOUR_SECONDS,
        }
    }

    /// Whether the time that its calls take is limited too.
    pub(super) fn limits_time(self) -> bool {
        matches!(self, Self::UseCase(..) | Self::App)
    }
}

/// What one call is counted under. One that reads several nodes counts once for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    /// The limit that it is named after comes first; none for a call that nothing limits.
    pub(crate) buckets: Vec<Bucket>,
    /// Whether it changes something.
    pub(crate) writes: bool,
}

impl Charge {
    /// The limit that the call is named after.
    pub(crate) fn main(&self) -> Bucket {
        self.buckets.first().copied().unwrap_or(Bucket::Free)
    }

    /// The ad accounts that it is counted under, each once.
    pub(super) fn accounts(&self) -> Vec<u64> {
        let mut accounts: Vec<u64> = self.buckets.iter().filter_map(|bucket| bucket.account()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_found_by_its_word() {
        let others = [
            Bucket::App,
            Bucket::User(7),
            Bucket::Page(7),
            Bucket::InsightsApp,
            Bucket::InsightsAccount(7),
            Bucket::InsightsReach(7),
            Bucket::Mutations(7),
            Bucket::Burst,
        ];
        for bucket in UseCase::ALL.map(|use_case| Bucket::UseCase(use_case, 7)).into_iter().chain(others) {
            assert_eq!(Bucket::parse(bucket.word(), Some(7)), Some(bucket));
        }
        assert_eq!(Bucket::parse("ads_management", None), None);
        assert_eq!(Bucket::parse("whatsapp", Some(7)), None);
    }
}
