//! The usage headers. Percentages are whole numbers, but for those that Meta gives with two decimals.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

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
        let text = json!({
            "call_count": most(|level| level.calls)?,
            "total_time": most(|level| level.wall)?,
            "total_cputime": most(|level| level.cpu)?,
        });
        Some(("x-app-usage", text.to_string()))
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
        let mut text = Map::new();
        let mut left = OBJECTS_MAX;
        for (id, mut use_cases) in things {
            let used = |use_case: &UseCase| !use_cases.contains(use_case) && self.is_used(*use_case, id, now);
            let others: Vec<UseCase> = UseCase::ALL.into_iter().filter(used).collect();
            use_cases.extend(others);
            use_cases.truncate(left);
            left -= use_cases.len();
            let rows: Vec<Value> =
                use_cases.into_iter().filter_map(|use_case| self.use_case_row(state, use_case, id, now)).collect();
            if !rows.is_empty() {
                text.insert(id.to_string(), Value::Array(rows));
            }
        }
        (!text.is_empty()).then(|| ("x-business-use-case-usage", Value::Object(text).to_string()))
    }

    fn use_case_row(&mut self, state: &State, use_case: UseCase, id: u64, now: Timestamp) -> Option<Value> {
        let bucket = Bucket::UseCase(use_case, id);
        let level = self.level(state, bucket, now)?;
        let mut row = Map::new();
        row.insert("type".to_owned(), json!(use_case.word()));
        row.insert("call_count".to_owned(), json!(level.calls));
        row.insert("total_cputime".to_owned(), json!(level.cpu));
        row.insert("total_time".to_owned(), json!(level.wall));
        row.insert("estimated_time_to_regain_access".to_owned(), json!(self.minutes(state, bucket, now)));
        if use_case.names_tier() {
            row.insert("ads_api_access_tier".to_owned(), json!(state.settings.limits.tier.word()));
        }
        Some(Value::Object(row))
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
        let text = json!({
            "acc_id_util_pct": hundredths(share),
            "reset_time_duration": reset,
            "ads_api_access_tier": tier.word(),
        });
        Some(("x-ad-account-usage", text.to_string()))
    }

    fn throttle(&mut self, state: &State, of_account: Bucket, now: Timestamp) -> String {
        let mut share = |bucket: Bucket| {
            let allowed = self.allowed(state, bucket, now).map_or(1, |allowed| allowed.calls.max(1));
            let calls = self.meter(bucket).calls.total(now.as_second());
            hundredths(calls.saturating_mul(10_000 * limit::CALL) / allowed)
        };
        json!({
            "app_id_util_pct": share(Bucket::InsightsApp),
            "acc_id_util_pct": share(of_account),
            "ads_api_access_tier": state.settings.limits.tier.word(),
        })
        .to_string()
    }

    /// Minutes until the limit is no longer full; Meta counts these in minutes.
    pub(super) fn minutes(&mut self, state: &State, bucket: Bucket, now: Timestamp) -> i64 {
        let Some(allowed) = self.allowed(state, bucket, now) else { return 0 };
        let seconds = self.meter(bucket).seconds_until_free(allowed, now.as_second());
        seconds.div_euclid(60) + i64::from(seconds.rem_euclid(60) > 0)
    }
}

/// A percentage with two decimals, as a JSON number.
fn hundredths(hundredths: u64) -> Value {
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.parse::<f64>().map_or(Value::from(0), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_two_decimals() {
        assert_eq!(hundredths(33), json!(0.33));
        assert_eq!(hundredths(1_666), json!(16.66));
        assert_eq!(hundredths(0), json!(0.0));
    }
}
