//! Throttle storms: for a while every call of an account, or of all, is refused, and the headers say so.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, json};

use super::action::{Action, Scope};
use super::matcher::Asked;
use super::refusal;
use crate::error::Refusal;
use crate::options::Tier;
use crate::usage::{Bucket, Header};

/// What a storm of calls says there is to wait: nobody knows when the last of them comes.
const WAIT_OF_CALLS_SECONDS: i64 = 60;
/// The subcode of the limits of an ad account (Meta, "Rate Limits").
const ACCOUNT_SUBCODE: i64 = 2_446_079;

/// A storm under way.
#[derive(Debug, Serialize)]
pub(super) struct Storm {
    /// None: it reaches every call.
    account: Option<u64>,
    code: i64,
    subcode: Option<i64>,
    until: Option<Timestamp>,
    calls_left: Option<u64>,
    refused: u64,
    #[serde(skip)]
    seconds: i64,
}

/// What is wrong with a storm, in a sentence.
pub(super) fn fault(code: i64, seconds: Option<i64>, calls: Option<u64>) -> Option<String> {
    if !matches!(code, 4 | 17 | 32 | 613 | 80_000..=80_014) {
        return Some(format!("{code} is no code of a limit: write 4, 17, 32, 613, or 80000 to 80014"));
    }
    if seconds.is_none() && calls.is_none() {
        return Some("a storm ends: give it seconds or calls, or both".to_owned());
    }
    if seconds.is_some_and(|seconds| seconds < 1) || calls == Some(0) {
        return Some("seconds and calls of a storm count from 1".to_owned());
    }
    None
}

impl Storm {
    /// The storm that an action begins with this call.
    pub(super) fn begun(action: &Action, asked: &Asked<'_>) -> Option<Self> {
        let Action::ThrottleStorm { code, subcode, seconds, calls, .. } = action else { return None };
        let account = match action.storm_scope() {
            Scope::All => None,
            Scope::Account => Some(asked.account?),
        };
        let until =
            seconds.map(|seconds| asked.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX));
        let of_account = matches!(code, 17 | 80_000..=80_014).then_some(ACCOUNT_SUBCODE);
        Some(Self {
            account,
            code: *code,
            subcode: subcode.or(of_account),
            until,
            calls_left: *calls,
            refused: 0,
            seconds: seconds.unwrap_or(WAIT_OF_CALLS_SECONDS),
        })
    }

    /// Refuses a call of that bucket, unless the storm is over or elsewhere.
    pub(super) fn refuse(&mut self, bucket: Bucket, tier: Tier, now: Timestamp) -> Option<(Refusal, Vec<Header>)> {
        let is_over = self.calls_left == Some(0) || self.until.is_some_and(|until| until <= now);
        if is_over || (self.account.is_some() && self.account != bucket.account()) {
            return None;
        }
        if let Some(left) = &mut self.calls_left {
            *left -= 1;
        }
        self.refused += 1;
        Some((refusal::known(self.code, self.subcode), self.headers(bucket, tier, now)))
    }

    /// Seconds until it is over; never more than it lasts, also where the clock was turned back.
    fn wait(&self, now: Timestamp) -> i64 {
        self.until.map_or(self.seconds, |until| until.duration_since(now).as_secs().clamp(1, self.seconds))
    }

    fn headers(&self, bucket: Bucket, tier: Tier, now: Timestamp) -> Vec<Header> {
        let seconds = self.wait(now);
        let minutes = seconds.div_euclid(60) + i64::from(seconds.rem_euclid(60) > 0);
        let mut headers = Vec::new();
        if matches!(self.code, 4 | 32) {
            let text = json!({ "call_count": 100, "total_time": 100, "total_cputime": 100 });
            headers.push(("x-app-usage", text.to_string()));
        }
        let Some(account) = bucket.account() else { return headers };
        let use_case = self.use_case().unwrap_or(bucket.word());
        let mut row = Map::new();
        row.insert("type".to_owned(), json!(use_case));
        row.insert("call_count".to_owned(), json!(100));
        row.insert("total_cputime".to_owned(), json!(100));
        row.insert("total_time".to_owned(), json!(100));
        row.insert("estimated_time_to_regain_access".to_owned(), json!(minutes));
        if use_case.starts_with("ads_") {
            row.insert("ads_api_access_tier".to_owned(), json!(tier.word()));
        }
        headers.push(("x-business-use-case-usage", json!({ account.to_string(): [row] }).to_string()));
        let score = json!({
            "acc_id_util_pct": 100, "reset_time_duration": seconds, "ads_api_access_tier": tier.word(),
        });
        headers.push(("x-ad-account-usage", score.to_string()));
        if use_case == "ads_insights" {
            let (of_app, of_account) = if self.code == 4 { (100, 0) } else { (0, 100) };
            let throttle = json!({
                "app_id_util_pct": of_app, "acc_id_util_pct": of_account, "ads_api_access_tier": tier.word(),
            });
            headers.push(("x-fb-ads-insights-throttle", throttle.to_string()));
        }
        headers
    }

    /// The use case whose limit has the code (Meta, "Business Use Case Rate Limits").
    fn use_case(&self) -> Option<&'static str> {
        Some(match self.code {
            80_000 => "ads_insights",
            80_001 => "pages",
            80_002 => "instagram",
            80_003 => "custom_audience",
            80_004 => "ads_management",
            80_005 => "leadgen",
            80_006 => "messenger",
            80_008 => "whatsapp",
            80_009 => "catalog_management",
            80_014 => "catalog_batch",
            _ => return None,
        })
    }
}
