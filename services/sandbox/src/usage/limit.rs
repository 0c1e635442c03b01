//! How many calls each limit allows: Meta's formulas, in thousandths of a call.

use jiff::Timestamp;

use super::{Bucket, UseCase};
use crate::options::Tier;
use crate::state::{Kind, State};

/// One call.
pub(super) const CALL: u64 = 1_000;
/// A custom-audience limit never exceeds this.
const AUDIENCE_MAX: u64 = 700_000;
/// The ceiling of the app over all accounts is not published; this many accounts' worth keeps it above each of theirs.
const APP_ACCOUNTS: u64 = 10;

/// The limit of a bucket, in thousandths of a call; `None` where nothing limits it.
pub(super) fn of(state: &State, bucket: Bucket, now: Timestamp) -> Option<u64> {
    let limits = &state.settings.limits;
    let calls = match bucket {
        Bucket::Free => return None,
        Bucket::UseCase(use_case, id) => return Some(use_case_limit(state, use_case, id, now)),
        Bucket::App => limits.app_users.saturating_mul(limits.calls_per_app_user),
        Bucket::User(_) => limits.user_calls_an_hour?,
        Bucket::Page(_) => limits.page_engaged_users.saturating_mul(4_800),
        Bucket::InsightsApp => {
            limits.insights_app_calls_an_hour.unwrap_or_else(|| insights_base(limits.tier).saturating_mul(APP_ACCOUNTS))
        }
        Bucket::InsightsAccount(id) => match limits.insights_account_calls_an_hour {
            Some(calls) => calls,
            None => return Some(use_case_limit(state, UseCase::AdsInsights, id, now)),
        },
        Bucket::InsightsReach(_) => limits.reach_queries_a_day,
        Bucket::Mutations(_) => limits.mutations_a_second?,
        Bucket::Burst => limits.calls_a_second?,
    };
    Some(calls.saturating_mul(CALL))
}

/// The formulas of the business use cases. Those that depend on an audience that the sandbox does not have take its
/// size from the settings.
fn use_case_limit(state: &State, use_case: UseCase, id: u64, now: Timestamp) -> u64 {
    let limits = &state.settings.limits;
    let by_tier = |development: u64, standard: u64| match limits.tier {
        Tier::Development => development,
        Tier::Standard => standard,
    };
    let grown = |base: u64, each: u64, count: u64| base.saturating_add(each.saturating_mul(count)).saturating_mul(CALL);
    match use_case {
        UseCase::AdsManagement => grown(by_tier(300, 100_000), 40, state.active_ads(id, now)),
        UseCase::AdsInsights => grown(insights_base(limits.tier), 400, state.active_ads(id, now)),
        UseCase::CustomAudience => {
            grown(by_tier(5_000, 190_000), 40, state.active_audiences(id)).min(AUDIENCE_MAX * CALL)
        }
        UseCase::Pages => grown(0, 4_800, limits.page_engaged_users),
        UseCase::Instagram => grown(0, 4_800, limits.instagram_impressions),
        UseCase::Leadgen => grown(0, 4_800, leads(state, id).max(limits.page_leads)),
        UseCase::Messenger => grown(0, 200, limits.page_engaged_users),
        UseCase::CatalogManagement => logarithmic(20_000, limits.catalog_views_an_hour),
        UseCase::CatalogBatch => logarithmic(200, limits.catalog_users),
    }
}

fn insights_base(tier: Tier) -> u64 {
    match tier {
        Tier::Development => 600,
        Tier::Standard => 190_000,
    }
}

/// The leads that a page's forms brought.
fn leads(state: &State, page: u64) -> u64 {
    let leads = state.children(page, Kind::LeadForm).flat_map(|form| state.children(form, Kind::Lead));
    u64::try_from(leads.count()).unwrap_or(u64::MAX)
}

/// `base + base * log2(count)`.
fn logarithmic(base: u64, count: u64) -> u64 {
    base.saturating_mul(CALL.saturating_add(log2_thousandths(count)))
}

/// The binary logarithm in thousandths, rounded down; that of 0 is taken as that of 1.
fn log2_thousandths(count: u64) -> u64 {
    let count = count.max(1);
    let whole = count.ilog2();
    // Between 1 and 2, with 32 bits behind the point. Squaring it doubles its logarithm, whose next bit then shows.
    let mut mantissa = (u128::from(count) << 32) >> whole;
    let mut fraction = 0_u64;
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 32;
        fraction <<= 1;
        if mantissa >= 2 << 32 {
            mantissa >>= 1;
            fraction |= 1;
        }
    }
    u64::from(whole) * 1_000 + ((fraction * 1_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ACCOUNTS, Source};

    fn limit(change: impl FnOnce(&mut State), bucket: Bucket) -> Option<u64> {
        let now = "2026-11-15T20:30:00Z".parse().unwrap();
        let mut state = State::new(&Source::Small, 1, now);
        change(&mut state);
        of(&state, bucket, now).map(|thousandths| thousandths / CALL)
    }

    fn development(state: &mut State) {
        state.settings.limits.tier = Tier::Development;
    }

    #[test]
    fn the_formulas_are_metas() {
        let of_account = |use_case| Bucket::UseCase(use_case, ACCOUNTS[0]);
        // The first account of the small world has five active ads and no audience.
        for (use_case, dev, standard) in [
            (UseCase::AdsManagement, 500, 100_200),
            (UseCase::AdsInsights, 2_600, 192_000),
            (UseCase::CustomAudience, 5_000, 190_000),
        ] {
            assert_eq!(limit(development, of_account(use_case)), Some(dev));
            assert_eq!(limit(|_| {}, of_account(use_case)), Some(standard));
        }
        let size = |state: &mut State| {
            let limits = &mut state.settings.limits;
            limits.page_engaged_users = 3;
            limits.instagram_impressions = 5;
            limits.page_leads = 7;
            limits.catalog_views_an_hour = 1_024;
            limits.catalog_users = 1_024;
            limits.app_users = 9;
        };
        for (bucket, calls) in [
            (Bucket::UseCase(UseCase::Pages, 1), 14_400),
            (Bucket::UseCase(UseCase::Instagram, 1), 24_000),
            (Bucket::UseCase(UseCase::Leadgen, 1), 33_600),
            (Bucket::UseCase(UseCase::Messenger, 1), 600),
            (Bucket::UseCase(UseCase::CatalogManagement, 1), 220_000),
            (Bucket::UseCase(UseCase::CatalogBatch, 1), 2_200),
            (Bucket::App, 1_800),
        ] {
            assert_eq!(limit(size, bucket), Some(calls), "{bucket:?}");
        }
    }

    #[test]
    fn logarithms_are_right_to_the_thousandth() {
        for (count, thousandths) in
            [(0, 0), (1, 0), (2, 1_000), (3, 1_584), (10, 3_321), (1_000, 9_965), (1 << 40, 40_000)]
        {
            assert_eq!(log2_thousandths(count), thousandths);
        }
    }
}
