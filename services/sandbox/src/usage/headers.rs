//! The usage headers. Percentages are whole numbers, but for the two that Meta gives with two decimals.

use serde_json::{Map, Value, json};

use super::{Bucket, Header, Terms, Usage, UseCase, app_limit};

impl Usage {
    /// The headers of an answer that was counted under `bucket`.
    pub(super) fn headers(&mut self, bucket: Bucket, terms: Terms, second: i64) -> Vec<Header> {
        match bucket {
            Bucket::Free => Vec::new(),
            Bucket::App => {
                let percent = whole(self.app.total(second), app_limit(terms));
                let text = json!({ "call_count": percent, "total_time": percent / 4, "total_cputime": percent / 4 });
                vec![("x-app-usage", text.to_string())]
            }
            Bucket::Account { account, use_case, active } => {
                let mut headers =
                    vec![self.use_case_header(account, use_case, active, second), self.score_header(account, second)];
                if use_case == UseCase::AdsInsights {
                    headers.push(self.insights_header(account, active, second));
                }
                headers
            }
        }
    }

    fn use_case_header(&mut self, account: u64, use_case: UseCase, active: u64, second: i64) -> Header {
        let limit = self.limit(use_case, active);
        let calls = self.calls(account, use_case);
        let percent = whole(calls.total(second), limit);
        let minutes = calls.seconds_until_below(second, limit).div_euclid(60)
            + i64::from(calls.seconds_until_below(second, limit).rem_euclid(60) > 0);
        let mut row = Map::new();
        row.insert("type".to_owned(), json!(use_case.word()));
        row.insert("call_count".to_owned(), json!(percent));
        row.insert("total_cputime".to_owned(), json!(percent / 4));
        row.insert("total_time".to_owned(), json!(percent / 4));
        row.insert("estimated_time_to_regain_access".to_owned(), json!(minutes));
        if use_case != UseCase::CustomAudience {
            row.insert("ads_api_access_tier".to_owned(), json!(self.tier.word()));
        }
        ("x-business-use-case-usage", json!({ account.to_string(): [row] }).to_string())
    }

    fn score_header(&mut self, account: u64, second: i64) -> Header {
        let max = self.score_max();
        let score = self.score(account);
        let text = json!({
            "acc_id_util_pct": hundredths(score.total(second), max),
            "reset_time_duration": score.seconds_until_empty(second),
            "ads_api_access_tier": self.tier.word(),
        });
        ("x-ad-account-usage", text.to_string())
    }

    fn insights_header(&mut self, account: u64, active: u64, second: i64) -> Header {
        let limit = self.limit(UseCase::AdsInsights, active);
        let of_account = self.calls(account, UseCase::AdsInsights).total(second);
        // The app's own ceiling is not published; ten accounts' worth keeps it below theirs in a small world.
        let of_app = hundredths(self.insights.total(second), limit.saturating_mul(10));
        let text = json!({
            "app_id_util_pct": of_app,
            "acc_id_util_pct": hundredths(of_account, limit),
            "ads_api_access_tier": self.tier.word(),
        });
        ("x-fb-ads-insights-throttle", text.to_string())
    }
}

fn whole(used: u64, limit: u64) -> u64 {
    used.saturating_mul(100) / limit.max(1)
}

/// A percentage with two decimals, as a JSON number.
fn hundredths(used: u64, limit: u64) -> Value {
    let hundredths = used.saturating_mul(10_000) / limit.max(1);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.parse::<f64>().map_or(Value::from(0), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_rounded_down() {
        assert_eq!(whole(1, 300), 0);
        assert_eq!(whole(300, 300), 100);
        assert_eq!(hundredths(1, 300), json!(0.33));
        assert_eq!(hundredths(0, 300), json!(0.0));
    }
}
