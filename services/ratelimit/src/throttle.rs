//! Which bucket Meta means by a throttle code (Meta, "Rate limits: error codes").

use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT, CUSTOM_AUDIENCE, Kind, SPEND_CAP, Scope};
use crate::usage::Close;

/// How long a limit of writes per second closes: long enough for the burst to be over.
const MUTATION_CLOSE_MS: u64 = 5_000;

/// What a throttle code blames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blamed {
    kind: Kind,
    /// `None` blames every use case that the call was charged to.
    use_case: Option<&'static str>,
    pub(crate) close: Close,
}

/// `None` for a code that is no throttle.
pub(crate) fn blamed(code: u32, subcode: u32) -> Option<Blamed> {
    let blame = |kind, use_case| Some(Blamed { kind, use_case, close: Close::BackOff });
    match (code, subcode) {
        (4 | 100, 1_504_039) => blame(Kind::AdAccount, Some(ADS_INSIGHTS)),
        (4 | 341, _) | (100, 1_504_022) => blame(Kind::App, None),
        (17, 1_885_172) => blame(Kind::BudgetChange, Some(SPEND_CAP)),
        (17, 2_446_079) => blame(Kind::AdAccount, None),
        (17, _) => blame(Kind::User, None),
        (32, _) => blame(Kind::Page, None),
        (613, 5_044_001) => Some(Blamed { kind: Kind::Mutation, use_case: None, close: Close::For(MUTATION_CLOSE_MS) }),
        (613, 1_487_632) => blame(Kind::BudgetChange, Some("")),
        (613, _) => blame(Kind::AdAccount, None),
        (80_000, _) => blame(Kind::AdAccount, Some(ADS_INSIGHTS)),
        (80_003, _) => blame(Kind::AdAccount, Some(CUSTOM_AUDIENCE)),
        (80_004, _) => blame(Kind::AdAccount, Some(ADS_MANAGEMENT)),
        (80_001 | 80_002 | 80_005 | 80_006, _) => blame(Kind::Page, None),
        (80_008 | 80_009 | 80_014, _) => blame(Kind::App, None),
        // A use case that Meta added since: whatever the call was charged to for its account.
        (80_007 | 80_010..=80_013, _) => blame(Kind::AdAccount, None),
        _ => None,
    }
}

impl Blamed {
    /// Whether a bucket that the call was charged to is the one meant.
    pub(crate) fn is_to_blame(&self, scope: &Scope) -> bool {
        scope.kind == self.kind && self.use_case.is_none_or(|use_case| scope.use_case == use_case)
    }

    /// The bucket meant where the call's permit has none of the kind: the ad account's, where there is one, else the
    /// app's. Calls to either would run into the same refusal.
    pub(crate) fn otherwise(&self, app: u64, account: &str, use_case: &str) -> Option<Scope> {
        let has_account = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
        match self.kind {
            Kind::Mutation | Kind::BudgetChange | Kind::Page => None,
            Kind::AdAccount | Kind::User if has_account => {
                Some(Scope::ad_account(app, account, self.use_case.unwrap_or(use_case)))
            }
            _ => Some(Scope::of_app(app, self.use_case.unwrap_or(use_case))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_throttle_code_blames_a_kind() {
        for (code, subcode, kind) in [
            (4, 0, Kind::App),
            (4, 1_504_022, Kind::App),
            (4, 1_504_039, Kind::AdAccount),
            (100, 1_504_022, Kind::App),
            (100, 1_504_039, Kind::AdAccount),
            (341, 0, Kind::App),
            (17, 0, Kind::User),
            (17, 2_446_079, Kind::AdAccount),
            (17, 1_885_172, Kind::BudgetChange),
            (32, 0, Kind::Page),
            (613, 0, Kind::AdAccount),
            (613, 1996, Kind::AdAccount),
            (613, 1_487_225, Kind::AdAccount),
            (613, 1_487_742, Kind::AdAccount),
            (613, 5_044_001, Kind::Mutation),
            (613, 1_487_632, Kind::BudgetChange),
            (80_000, 2_446_079, Kind::AdAccount),
            (80_001, 0, Kind::Page),
            (80_002, 0, Kind::Page),
            (80_003, 0, Kind::AdAccount),
            (80_004, 0, Kind::AdAccount),
            (80_005, 0, Kind::Page),
            (80_006, 0, Kind::Page),
            (80_007, 0, Kind::AdAccount),
            (80_008, 0, Kind::App),
            (80_009, 0, Kind::App),
            (80_010, 0, Kind::AdAccount),
            (80_011, 0, Kind::AdAccount),
            (80_012, 0, Kind::AdAccount),
            (80_013, 0, Kind::AdAccount),
            (80_014, 0, Kind::App),
        ] {
            assert_eq!(blamed(code, subcode).map(|blamed| blamed.kind), Some(kind), "{code}/{subcode}");
        }
    }

    #[test]
    fn other_codes_are_no_throttle() {
        for code in [0, 1, 2, 10, 100, 190, 200, 294, 368] {
            assert_eq!(blamed(code, 0), None, "{code}");
        }
    }

    #[test]
    fn a_use_cases_code_leaves_the_other_use_cases_open() {
        let insights = blamed(80_000, 0).unwrap();
        assert!(insights.is_to_blame(&Scope::ad_account(1, "2", ADS_INSIGHTS)));
        assert!(!insights.is_to_blame(&Scope::ad_account(1, "2", ADS_MANAGEMENT)));
    }

    #[test]
    fn without_a_bucket_of_its_kind_the_account_or_else_the_app_is_closed() {
        let user = blamed(17, 0).unwrap();
        assert_eq!(user.otherwise(1, "2", ADS_MANAGEMENT), Some(Scope::ad_account(1, "2", ADS_MANAGEMENT)));
        assert_eq!(user.otherwise(1, "", ""), Some(Scope::of_app(1, "")));
    }
}
