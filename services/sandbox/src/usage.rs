//! How much of each limit is used: counted in sliding windows, told in Meta's headers, refused past 100 %.

mod headers;
mod window;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::error::Refusal;
use crate::options::Tier;
use window::Window;

/// A rolling hour, in which use cases and apps are counted.
const HOUR_SECONDS: i64 = 3_600;
/// The time in which an ad account's score decays.
const SCORE_SECONDS: i64 = 300;
/// Meta's base limit: calls an hour for each person who uses the app.
const CALLS_PER_USER: u64 = 200;

/// The business use cases that Marketing API calls are counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UseCase {
    AdsManagement,
    AdsInsights,
    CustomAudience,
}

impl UseCase {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::AdsManagement => "ads_management",
            Self::AdsInsights => "ads_insights",
            Self::CustomAudience => "custom_audience",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::AdsManagement, Self::AdsInsights, Self::CustomAudience].into_iter().find(|it| it.word() == word)
    }

    fn refusal_code(self) -> i64 {
        match self {
            Self::AdsManagement => 80_004,
            Self::AdsInsights => 80_000,
            Self::CustomAudience => 80_003,
        }
    }
}

/// What a call is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Not limited at all: logins, server events.
    Free,
    /// The app's platform limit.
    App,
    /// A use case of an ad account. `active` raises the limit: its active ads or audiences.
    Account { account: u64, use_case: UseCase, active: u64 },
}

impl Bucket {
    /// As the request log names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Free => "none",
            Self::App => "app",
            Self::Account { use_case, .. } => use_case.word(),
        }
    }

    pub(crate) fn account(self) -> Option<u64> {
        match self {
            Self::Account { account, .. } => Some(account),
            _ => None,
        }
    }
}

/// A header of an answer.
pub(crate) type Header = (&'static str, String);

/// All counts. Calls that are refused are not counted, so a client that keeps asking does not lock itself out.
#[derive(Debug)]
pub(crate) struct Usage {
    tier: Tier,
    app: Window,
    insights: Window,
    calls: HashMap<(u64, UseCase), Window>,
    scores: HashMap<u64, Window>,
}

/// What a limit depends on beside the counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) app_users: u64,
    pub(crate) score_refuses: bool,
}

impl Usage {
    pub(crate) fn new(tier: Tier) -> Self {
        Self {
            tier,
            app: Window::new(HOUR_SECONDS),
            insights: Window::new(HOUR_SECONDS),
            calls: HashMap::new(),
            scores: HashMap::new(),
        }
    }

    /// Counts a call, or refuses it. The headers go with either answer.
    pub(crate) fn admit(
        &mut self,
        bucket: Bucket,
        write: bool,
        terms: Terms,
        now: Timestamp,
    ) -> (Result<(), Refusal>, Vec<Header>) {
        let second = now.as_second();
        let verdict = match bucket {
            Bucket::Free => return (Ok(()), Vec::new()),
            Bucket::App => self.admit_app(terms, second),
            Bucket::Account { account, use_case, active } => {
                let limit = self.limit(use_case, active);
                self.admit_account(account, use_case, limit, write, terms, second)
            }
        };
        (verdict, self.headers(bucket, terms, second))
    }

    /// Counts calls that others made on the same account.
    pub(crate) fn add_others(&mut self, account: u64, use_case: UseCase, calls: u64, now: Timestamp) {
        self.calls(account, use_case).add(now.as_second(), calls);
    }

    /// Everything counted so far is forgotten.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.tier);
    }

    fn admit_app(&mut self, terms: Terms, second: i64) -> Result<(), Refusal> {
        if self.app.total(second) >= app_limit(terms) {
            return Err(Refusal::new(4, "(#4) Application request limit reached").http(403).transient(true));
        }
        self.app.add(second, 1);
        Ok(())
    }

    fn admit_account(
        &mut self,
        account: u64,
        use_case: UseCase,
        limit: u64,
        write: bool,
        terms: Terms,
        second: i64,
    ) -> Result<(), Refusal> {
        if self.calls(account, use_case).total(second) >= limit {
            return Err(too_many(use_case));
        }
        let points = if write { 3 } else { 1 };
        let score_max = self.score_max();
        let score = self.score(account);
        if terms.score_refuses && score.total(second) + points > score_max {
            let refusal = Refusal::new(17, "User request limit reached").subcode(2_446_079);
            return Err(refusal.shown("Ad Account Has Too Many API Calls", "Wait a bit and try again."));
        }
        score.add(second, points);
        self.calls(account, use_case).add(second, 1);
        if use_case == UseCase::AdsInsights {
            self.insights.add(second, 1);
        }
        Ok(())
    }

    /// Calls an hour, by the tier's formula. Errors of the caller would lower the one of insights by a thousandth each.
    fn limit(&self, use_case: UseCase, active: u64) -> u64 {
        let (development, standard, each) = match use_case {
            UseCase::AdsManagement => (300, 100_000, 40),
            UseCase::AdsInsights => (600, 190_000, 400),
            UseCase::CustomAudience => (5_000, 190_000, 40),
        };
        let base: u64 = match self.tier {
            Tier::Development => development,
            Tier::Standard => standard,
        };
        let limit = base.saturating_add(active.saturating_mul(each));
        if use_case == UseCase::CustomAudience { limit.min(700_000) } else { limit }
    }

    fn score_max(&self) -> u64 {
        match self.tier {
            Tier::Development => 60,
            Tier::Standard => 9_000,
        }
    }

    fn calls(&mut self, account: u64, use_case: UseCase) -> &mut Window {
        self.calls.entry((account, use_case)).or_insert_with(|| Window::new(HOUR_SECONDS))
    }

    fn score(&mut self, account: u64) -> &mut Window {
        self.scores.entry(account).or_insert_with(|| Window::new(SCORE_SECONDS))
    }
}

fn app_limit(terms: Terms) -> u64 {
    terms.app_users.saturating_mul(CALLS_PER_USER).max(1)
}

fn too_many(use_case: UseCase) -> Refusal {
    let code = use_case.refusal_code();
    let page = use_case.word().replace('_', "-");
    let message = format!(
        "(#{code}) There have been too many calls to this ad-account. Wait a bit and try again. For more info, please \
         refer to https://developers.facebook.com/docs/graph-api/overview/rate-limiting#{page}."
    );
    Refusal::new(code, message)
        .subcode(2_446_079)
        .shown("Ad Account Has Too Many API Calls", "There have been too many calls to this ad account.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const TERMS: Terms = Terms { app_users: 1, score_refuses: false };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn management(active: u64) -> Bucket {
        Bucket::Account { account: 7, use_case: UseCase::AdsManagement, active }
    }

    #[test]
    fn the_development_tier_ends_at_its_formula_and_opens_again_after_an_hour() {
        let mut usage = Usage::new(Tier::Development);
        for _ in 0..340 {
            assert!(usage.admit(management(1), false, TERMS, at(0)).0.is_ok());
        }
        let (verdict, headers) = usage.admit(management(1), false, TERMS, at(10));
        assert_eq!(verdict.unwrap_err().code(), 80_004);
        let (_, text) = headers.iter().find(|(name, _)| *name == "x-business-use-case-usage").unwrap();
        let usage_row: Value = serde_json::from_str(text).unwrap();
        assert_eq!(usage_row["7"][0]["call_count"], 100);
        assert_eq!(usage_row["7"][0]["estimated_time_to_regain_access"], 60);
        assert!(usage.admit(management(1), false, TERMS, at(3_601)).0.is_ok());
    }

    #[test]
    fn what_others_use_counts_as_well() {
        let mut usage = Usage::new(Tier::Development);
        usage.add_others(7, UseCase::AdsManagement, 300, at(0));
        assert!(usage.admit(management(0), false, TERMS, at(1)).0.is_err());
    }

    #[test]
    fn the_app_is_limited_by_its_users() {
        let mut usage = Usage::new(Tier::Standard);
        for _ in 0..200 {
            assert!(usage.admit(Bucket::App, false, TERMS, at(0)).0.is_ok());
        }
        let (verdict, headers) = usage.admit(Bucket::App, false, TERMS, at(0));
        assert_eq!(verdict.unwrap_err().code(), 4);
        assert!(headers.iter().any(|(name, text)| *name == "x-app-usage" && text.contains("\"call_count\":100")));
    }

    #[test]
    fn the_score_of_an_account_refuses_only_where_it_is_set_to() {
        let terms = Terms { app_users: 1, score_refuses: true };
        let mut usage = Usage::new(Tier::Development);
        for _ in 0..20 {
            assert!(usage.admit(management(0), true, terms, at(0)).0.is_ok());
        }
        assert_eq!(usage.admit(management(0), true, terms, at(1)).0.unwrap_err().code(), 17);
        assert!(usage.admit(management(0), true, TERMS, at(1)).0.is_ok());
    }
}
