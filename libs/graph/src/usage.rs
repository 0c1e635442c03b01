//! What Meta says about our use of its quota, in five headers, on every answer and on every item of a batch.
//!
//! A header that cannot be read is as good as none: Meta's answer itself must never be lost over it.

use std::{collections::BTreeMap, time::Duration};

use http::HeaderMap;
use proto::ratelimit::v1::{AdAccountUsage, AppUsage, BusinessUseCaseUsage, InsightsThrottle, UsageReport};
use serde::Deserialize;

/// From this percent on ratelimit is told at once; below it, with the next `Acquire`.
const URGENT_PERCENT: u32 = 75;

/// The header with Meta's trace id.
pub(crate) const TRACE_ID: &str = "x-fb-trace-id";

/// Where the headers of an answer, or of an item of a batch, can be looked up by lower-case name.
pub(crate) trait Headers {
    fn value(&self, name: &str) -> Option<&str>;
}

impl Headers for HeaderMap {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().ok()
    }
}

/// The headers of one item of a batch.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ItemHeader {
    name: String,
    #[serde(default)]
    value: String,
}

impl Headers for Vec<ItemHeader> {
    fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_str())
    }
}

/// Entries are read one by one, so that an odd one costs none of the others.
type ByAccount = BTreeMap<String, Vec<serde_json::Value>>;

/// Fills the usage part of a report.
pub(crate) fn harvest(headers: &impl Headers, report: &mut UsageReport) {
    report.app_usage = read::<App>(headers, "x-app-usage").map(Into::into);
    report.ad_account_usage = read::<Account>(headers, "x-ad-account-usage").map(Into::into);
    report.insights_throttle = read::<Insights>(headers, "x-fb-ads-insights-throttle").map(Into::into);
    report.insights_reach_throttle = read::<Insights>(headers, "x-fb-ads-insights-reach-throttle").map(Into::into);
    let use_cases = read::<ByAccount>(headers, "x-business-use-case-usage").unwrap_or_default();
    report.business_use_cases = use_cases
        .into_iter()
        .flat_map(|(id, entries)| entries.into_iter().map(move |entry| (id.clone(), entry)))
        .filter_map(|(id, entry)| Some(serde_json::from_value::<UseCase>(entry).ok()?.told(id)))
        .take(100)
        .collect();
}

/// Must ratelimit hear this at once?
pub(crate) fn is_urgent(report: &UsageReport) -> bool {
    let use_cases = report.business_use_cases.iter().any(|usage| {
        usage.estimated_time_to_regain_access_minutes > 0
            || usage.call_count.max(usage.total_cputime).max(usage.total_time) >= URGENT_PERCENT
    });
    let app = report.app_usage.as_ref();
    let account = report.ad_account_usage.as_ref();
    let insights = [report.insights_throttle.as_ref(), report.insights_reach_throttle.as_ref()];
    report.code != 0
        || use_cases
        || app.is_some_and(|app| app.call_count.max(app.total_cputime).max(app.total_time) >= URGENT_PERCENT)
        || account.is_some_and(|account| account.acc_id_util_basis_points >= URGENT_PERCENT * 100)
        || insights
            .into_iter()
            .flatten()
            .any(|usage| usage.acc_id_util_basis_points.max(usage.app_id_util_basis_points) >= URGENT_PERCENT * 100)
}

/// How long until the quota that a throttled call fell under has room again.
pub(crate) fn regain(report: &UsageReport) -> Option<Duration> {
    // One header speaks of up to 32 accounts.
    let speaks_of_account = report.business_use_cases.iter().any(|usage| usage.id == report.ad_account);
    let of_call = report
        .business_use_cases
        .iter()
        .filter(|usage| usage.r#type == report.use_case && (!speaks_of_account || usage.id == report.ad_account));
    let minutes = of_call.map(|usage| usage.estimated_time_to_regain_access_minutes).max().unwrap_or(0);
    let account = report.ad_account_usage.as_ref().filter(|usage| usage.acc_id_util_basis_points >= 100 * 100);
    let seconds = account.map_or(0, |usage| usage.reset_time_duration_seconds);
    let longest = Duration::from_secs(u64::from(seconds)).max(Duration::from_mins(u64::from(minutes)));
    (!longest.is_zero()).then_some(longest)
}

fn read<T: for<'de> Deserialize<'de>>(headers: &impl Headers, name: &str) -> Option<T> {
    serde_json::from_str(headers.value(name)?).ok()
}

/// A percent; Meta writes integers, fractions and, in places, texts.
#[derive(Debug, Clone, Copy, Default)]
struct Percent {
    basis_points: u32,
}

impl Percent {
    fn whole(self) -> u32 {
        self.basis_points / 100
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(Self { basis_points: basis_points(&text).unwrap_or_default() })
    }
}

/// `9.67` is 967; what is no plain decimal number, or negative, is nothing.
fn basis_points(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u32 = whole.parse().ok()?;
    let mut digits = fraction.bytes().chain(std::iter::repeat(b'0')).map(|byte| char::from(byte).to_digit(10));
    let hundredths = digits.next()?? * 10 + digits.next()??;
    whole.checked_mul(100)?.checked_add(hundredths)
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct App {
    call_count: Percent,
    total_time: Percent,
    total_cputime: Percent,
}

impl From<App> for AppUsage {
    fn from(usage: App) -> Self {
        Self {
            call_count: usage.call_count.whole(),
            total_time: usage.total_time.whole(),
            total_cputime: usage.total_cputime.whole(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Account {
    acc_id_util_pct: Percent,
    reset_time_duration: Percent,
    ads_api_access_tier: Option<String>,
}

impl From<Account> for AdAccountUsage {
    fn from(usage: Account) -> Self {
        Self {
            acc_id_util_basis_points: usage.acc_id_util_pct.basis_points,
            reset_time_duration_seconds: usage.reset_time_duration.whole(),
            ads_api_access_tier: usage.ads_api_access_tier.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Insights {
    app_id_util_pct: Percent,
    acc_id_util_pct: Percent,
    ads_api_access_tier: Option<String>,
}

impl From<Insights> for InsightsThrottle {
    fn from(usage: Insights) -> Self {
        Self {
            app_id_util_basis_points: usage.app_id_util_pct.basis_points,
            acc_id_util_basis_points: usage.acc_id_util_pct.basis_points,
            ads_api_access_tier: usage.ads_api_access_tier.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UseCase {
    #[serde(rename = "type")]
    kind: String,
    call_count: Percent,
    total_cputime: Percent,
    total_time: Percent,
    estimated_time_to_regain_access: Percent,
    ads_api_access_tier: Option<String>,
}

impl UseCase {
    fn told(self, id: String) -> BusinessUseCaseUsage {
        BusinessUseCaseUsage {
            id,
            r#type: self.kind,
            call_count: self.call_count.whole(),
            total_cputime: self.total_cputime.whole(),
            total_time: self.total_time.whole(),
            estimated_time_to_regain_access_minutes: self.estimated_time_to_regain_access.whole(),
            ads_api_access_tier: self.ads_api_access_tier.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, value: &str) -> UsageReport {
        let mut report = UsageReport::default();
        harvest(&vec![ItemHeader { name: name.to_owned(), value: value.to_owned() }], &mut report);
        report
    }

    #[test]
    fn each_header_is_read() {
        let app = report("x-app-usage", r#"{"call_count":28,"total_time":25,"total_cputime":26}"#).app_usage.unwrap();
        assert_eq!((app.call_count, app.total_time, app.total_cputime), (28, 25, 26));
        let account = r#"{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"standard_access"}"#;
        let account = report("X-Ad-Account-Usage", account).ad_account_usage.unwrap();
        assert_eq!((account.acc_id_util_basis_points, account.reset_time_duration_seconds), (967, 100));
        let use_case = r#"{"12":[{"type":"ads_management","call_count":12,"total_cputime":3,"total_time":5,"estimated_time_to_regain_access":7,"ads_api_access_tier":"development_access"}]}"#;
        let use_cases = report("x-business-use-case-usage", use_case).business_use_cases;
        assert_eq!(use_cases[0].estimated_time_to_regain_access_minutes, 7);
        assert_eq!(use_cases[0].id, "12");
        let insights = report("x-fb-ads-insights-throttle", r#"{"app_id_util_pct":0.01,"acc_id_util_pct":80}"#);
        assert!(is_urgent(&insights));
        assert_eq!(insights.insights_throttle.unwrap().app_id_util_basis_points, 1);
    }

    #[test]
    fn what_has_no_room_says_when_it_has() {
        let mut used = report(
            "x-business-use-case-usage",
            r#"{"1":[{"type":"ads_management","call_count":100,"estimated_time_to_regain_access":7},
                {"type":"ads_insights","call_count":100,"estimated_time_to_regain_access":50}]}"#,
        );
        used.use_case = "ads_management".to_owned();
        assert_eq!(regain(&used), Some(Duration::from_mins(7)));
        used.ad_account = "2".to_owned();
        used.business_use_cases[1].id = "2".to_owned();
        used.business_use_cases[1].r#type = "ads_management".to_owned();
        assert_eq!(regain(&used), Some(Duration::from_mins(50)), "that of the account that was called");
        let full = r#"{"acc_id_util_pct":100,"reset_time_duration":90}"#;
        assert_eq!(regain(&report("x-ad-account-usage", full)), Some(Duration::from_secs(90)));
        let half = r#"{"acc_id_util_pct":50,"reset_time_duration":90}"#;
        assert_eq!(regain(&report("x-ad-account-usage", half)), None);
    }

    #[test]
    fn a_malformed_header_is_no_header() {
        for value in ["", "null", "[]", "{", r#"{"call_count":{}}"#, r#"{"call_count":-4}"#, r#"{"call_count":"x"}"#] {
            let usage = report("x-app-usage", value).app_usage;
            assert!(usage.is_none_or(|usage| usage.call_count == 0), "{value}");
        }
        assert!(report("x-business-use-case-usage", r#"{"1":"x"}"#).business_use_cases.is_empty());
        let some = r#"{"1":[{"type":null,"call_count":1},{"type":"ads_insights","call_count":7}]}"#;
        assert_eq!(report("x-business-use-case-usage", some).business_use_cases.len(), 1, "one is lost, not all");
        let tierless = r#"{"acc_id_util_pct":50,"ads_api_access_tier":null}"#;
        let account = report("x-ad-account-usage", tierless).ad_account_usage.unwrap();
        assert_eq!(account.acc_id_util_basis_points, 5_000);
        assert!(report("x-fb-ads-insights-throttle", tierless).insights_throttle.is_some());
    }
}
