//! The usage headers, written as text since every answer has some. Percentages are whole numbers, but for those that
//! Meta gives with two decimals.

use jiff::Timestamp;

use super::meter::Level;
use super::{Bucket, Charge, Header, Usage, UseCase, limit, score};
use crate::state::State;

/// The most objects of one `x-business-use-case-usage` (Meta, "Rate limits": 32).
const OBJECTS_MAX: usize = 32;

impl Usage {
    /// The headers of an answer to a call, whether it was let in or not.
    pub(crate) fn headers(&mut self, state: &State, charge: &Charge, now: Timestamp) -> Vec<Header> {
        let mut headers = Vec::new();
        headers.extend(self.app_header(state, charge, now));
        headers.extend(self.use_case_header(state, charge, now));
        headers.extend(self.account_header(state, charge, now));
        let account = |bucket: &Bucket| match bucket {
            Bucket::InsightsAccount(_) | Bucket::InsightsReach(_) => Some(*bucket),
            _ => None,
        };
        for bucket in charge.buckets.iter().filter_map(account) {
            let name = match bucket {
                Bucket::InsightsReach(_) => "x-fb-ads-insights-reach-throttle",
                _ => "x-fb-ads-insights-throttle",
            };
            if !headers.iter().any(|(other, _)| *other == name) {
                headers.push((name, self.throttle(state, bucket, now)));
            }
        }
        headers
    }

    /// The fullest of the platform limits that the call met.
    fn app_header(&mut self, state: &State, charge: &Charge, now: Timestamp) -> Option<Header> {
        let platform = |bucket: &&Bucket| matches!(bucket, Bucket::App | Bucket::User(_) | Bucket::Page(_));
        let levels: Vec<Level> =
            charge.buckets.iter().filter(platform).filter_map(|&bucket| self.level(state, bucket, now)).collect();
        let most = |of: fn(&Level) -> u64| levels.iter().map(of).max();
        let (calls, wall, cpu) = (most(|level| level.calls)?, most(|level| level.wall)?, most(|level| level.cpu)?);
        let text = format!(r#"{{"call_count":{calls},"total_cputime":{cpu},"total_time":{wall}}}"#);
        Some(("x-app-usage", text))
    }

    /// A member for each thing that the call was counted under; its own use case first, then others that it has used.
    fn use_case_header(&mut self, state: &State, charge: &Charge, now: Timestamp) -> Option<Header> {
        let mut things: Vec<(u64, Vec<UseCase>)> = Vec::new();
        for bucket in &charge.buckets {
            let &Bucket::UseCase(use_case, id) = bucket else { continue };
            match things.iter_mut().find(|(other, _)| *other == id) {
                Some((_, use_cases)) if use_cases.contains(&use_case) => {}
                Some((_, use_cases)) => use_cases.push(use_case),
                None => things.push((id, vec![use_case])),
            }
        }
        let mut members: Vec<String> = Vec::new();
        let mut left = OBJECTS_MAX;
        for (id, mut use_cases) in things {
            let used = |use_case: &UseCase| !use_cases.contains(use_case) && self.is_used(*use_case, id, now);
            let others: Vec<UseCase> = UseCase::ALL.into_iter().filter(used).collect();
            use_cases.extend(others);
            use_cases.truncate(left);
            left -= use_cases.len();
            let rows: Vec<String> =
                use_cases.into_iter().filter_map(|use_case| self.use_case_row(state, use_case, id, now)).collect();
            if !rows.is_empty() {
                members.push(format!(r#""{id}":[{}]"#, rows.join(",")));
            }
        }
        (!members.is_empty()).then(|| ("x-business-use-case-usage", format!("{{{}}}", members.join(","))))
    }

    fn use_case_row(&mut self, state: &State, use_case: UseCase, id: u64, now: Timestamp) -> Option<String> {
        let bucket = Bucket::UseCase(use_case, id);
        let level = self.level(state, bucket, now)?;
        let (kind, minutes) = (use_case.word(), self.minutes(state, bucket, now));
        let tier = if use_case.names_tier() {
            format!(r#""ads_api_access_tier":"{}","#, state.settings.limits.tier.word())
        } else {
            String::new()
        };
        let Level { calls, cpu, wall } = level;
        Some(format!(
            r#"{{{tier}"call_count":{calls},"estimated_time_to_regain_access":{minutes},"total_cputime":{cpu},"total_time":{wall},"type":"{kind}"}}"#
        ))
    }

    /// The share of the score that is reached; where no score is kept, the share of the hourly limit.
    fn account_header(&mut self, state: &State, charge: &Charge, now: Timestamp) -> Option<Header> {
        let tier = state.settings.limits.tier;
        let second = now.as_second();
        let mut fullest: Option<(u64, i64)> = None;
        for account in charge.accounts() {
            let (used, allowed, reset) = if state.settings.limits.score_refuses {
                let score = self.score(account);
                (score.total(second), score::max(tier), score.reset_seconds(second))
            } else {
                let of_account =
                    |bucket: &&Bucket| matches!(bucket, Bucket::UseCase(..)) && bucket.account() == Some(account);
                let Some(&bucket) = charge.buckets.iter().find(of_account) else { continue };
                let allowed = self.allowed(state, bucket, now).map_or(1, |allowed| allowed.calls);
                let calls = &mut self.meter(bucket).calls;
                (calls.total(second).saturating_mul(limit::CALL), allowed, calls.seconds_until_empty(second))
            };
            let share = used.saturating_mul(10_000) / allowed.max(1);
            if fullest.is_none_or(|(other, _)| share > other) {
                fullest = Some((share, reset));
            }
        }
        let (share, reset) = fullest?;
        let (share, tier) = (hundredths(share), tier.word());
        let text =
            format!(r#"{{"acc_id_util_pct":{share},"ads_api_access_tier":"{tier}","reset_time_duration":{reset}}}"#);
        Some(("x-ad-account-usage", text))
    }

    fn throttle(&mut self, state: &State, of_account: Bucket, now: Timestamp) -> String {
        let mut share = |bucket: Bucket| {
            let allowed = self.allowed(state, bucket, now).map_or(1, |allowed| allowed.calls.max(1));
            let calls = self.meter(bucket).calls.total(now.as_second());
            hundredths(calls.saturating_mul(10_000 * limit::CALL) / allowed)
        };
        let (of_app, of_account) = (share(Bucket::InsightsApp), share(of_account));
        let tier = state.settings.limits.tier.word();
        format!(r#"{{"acc_id_util_pct":{of_account},"ads_api_access_tier":"{tier}","app_id_util_pct":{of_app}}}"#)
    }

    /// Minutes until the limit is no longer full; Meta counts these in minutes.
    pub(super) fn minutes(&mut self, state: &State, bucket: Bucket, now: Timestamp) -> i64 {
        let Some(allowed) = self.allowed(state, bucket, now) else { return 0 };
        let seconds = self.meter(bucket).seconds_until_free(allowed, now.as_second());
        seconds.div_euclid(60) + i64::from(seconds.rem_euclid(60) > 0)
    }
}

/// A percentage with two decimals, as it stands in JSON.
fn hundredths(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_two_decimals() {
        assert_eq!(hundredths(33), "0.33");
        assert_eq!(hundredths(1_666), "16.66");
        assert_eq!(hundredths(0), "0.00");
    }
}
