//! Where Meta is and how patiently we call it.

use serde::Deserialize;

use crate::{
    breaker::BreakerSettings,
    versions::{self, Api, Standing},
};

/// How to reach Meta.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The Graph API without a version, which is the Meta app's or the tenant's (the source's `base_url` has both in one).
    /// Default: Meta's own.
    pub base_url: String,
    /// How long one HTTP attempt may take, connecting included, in seconds. Not longer than `call_timeout_seconds`
    /// of `ratelimit`, which widens its counting windows by that; nothing checks it across processes. Default 60.
    pub call_timeout_seconds: u64,
    /// How long connecting may take, in seconds. Default 5.
    pub connect_timeout_seconds: u64,
    /// A corporate proxy for HTTPS, such as `http://proxy:3128`. Default: none; the environment's is not read.
    pub proxy: Option<String>,
    /// A PEM file with the certificate authority of that proxy. Default: none.
    pub ca_file: Option<std::path::PathBuf>,
    /// How often a call that may be repeated is tried in all (the source's `retry.max_attempts`). Default 3.
    pub tries_max: u32,
    /// The first pause before a repeat is anything up to this, in milliseconds; the bound doubles with each try.
    /// Default 200.
    pub pause_milliseconds: u64,
    /// The longest pause before a repeat, in seconds. Default 10.
    pub pause_max_seconds: u64,
    /// How long a caller is told to wait where Meta refuses for quota and does not say how long, in seconds (the source's
    /// `retry.backoff_seconds`). Default 60.
    pub throttle_pause_seconds: u64,
    /// Repeats per hundred calls, save those after a throttle, so that an outage does not multiply the load. Default 20.
    pub retry_percent: u32,
    /// Repeats that may be saved up for a bad moment. Default 100.
    pub retry_burst: u32,
    /// Calls in one batch at most, 1 to 50 (the source's `batch.max_size`). Default 50.
    pub batch_items_max: usize,
    /// How long reads of one account wait for each other while others of them are on their way, in milliseconds; 0 sends
    /// each alone. Default 3.
    pub gather_milliseconds: u64,
    /// The largest answer that is read, in bytes once unpacked. Default 64 MiB; insights pages of 1,000 rows stay far
    /// below.
    pub answer_bytes_max: usize,
    /// When calls are no longer tried because Meta fails.
    pub breaker: BreakerSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: "https://graph.facebook.com".to_owned(),
            call_timeout_seconds: 60,
            connect_timeout_seconds: 5,
            proxy: None,
            ca_file: None,
            tries_max: 3,
            pause_milliseconds: 200,
            pause_max_seconds: 10,
            throttle_pause_seconds: 60,
            retry_percent: 20,
            retry_burst: 100,
            batch_items_max: 50,
            gather_milliseconds: 3,
            answer_bytes_max: 64 << 20,
            breaker: BreakerSettings::default(),
        }
    }
}

impl Settings {
    /// All that is wrong, each as (key, reason).
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        match url::Url::parse(&self.base_url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
                if last.is_some_and(|last| {
                    versions::standing(Api::Marketing, last, jiff::civil::Date::MIN) != Standing::Malformed
                }) {
                    let words = "has a version: leave it out, and set it on the Meta app (`UpdateMetaApp`)";
                    faults.push(("base_url", format!("`{}` {words}", self.base_url)));
                }
            }
            _ => faults.push(("base_url", format!("`{}` is no http or https address", self.base_url))),
        }
        if !(1..=600).contains(&self.call_timeout_seconds) {
            faults.push(("call_timeout_seconds", "must be 1 to 600".to_owned()));
        }
        if !(1..=60).contains(&self.connect_timeout_seconds) {
            faults.push(("connect_timeout_seconds", "must be 1 to 60".to_owned()));
        }
        if !(1..=10).contains(&self.tries_max) {
            faults.push(("tries_max", "must be 1 to 10".to_owned()));
        }
        let ranges: [(&'static str, u64, std::ops::RangeInclusive<u64>); 8] = [
            ("pause_milliseconds", self.pause_milliseconds, 1..=60_000),
            ("pause_max_seconds", self.pause_max_seconds, 1..=600),
            ("throttle_pause_seconds", self.throttle_pause_seconds, 1..=3600),
            ("retry_percent", self.retry_percent.into(), 0..=100),
            ("retry_burst", self.retry_burst.into(), 0..=10_000),
            ("batch_items_max", u64::try_from(self.batch_items_max).unwrap_or(u64::MAX), 1..=50),
            ("gather_milliseconds", self.gather_milliseconds, 0..=100),
            ("answer_bytes_max", u64::try_from(self.answer_bytes_max).unwrap_or(u64::MAX), 1 << 20..=1 << 30),
        ];
        for (key, value, range) in ranges {
            if !range.contains(&value) {
                faults.push((key, format!("must be {} to {}", range.start(), range.end())));
            }
        }
        self.breaker.faults(&mut faults);
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_source_configuration_are_read() {
        let text = r#"{
            "base_url": "https://graph.facebook.com", "tries_max": 3, "throttle_pause_seconds": 60,
            "batch_items_max": 50, "call_timeout_seconds": 60, "breaker": { "failures": 5 }
        }"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.faults(), []);
        assert!(serde_json::from_str::<Settings>(r#"{"tries": 3}"#).is_err());
    }

    #[test]
    fn the_defaults_have_no_fault_and_all_faults_are_told_at_once() {
        assert_eq!(Settings::default().faults(), []);
        let settings = Settings {
            base_url: "https://graph.facebook.com/v18.0".to_owned(),
            batch_items_max: 51,
            tries_max: 0,
            breaker: BreakerSettings { failures: 0, ..BreakerSettings::default() },
            ..Settings::default()
        };
        let keys: Vec<_> = settings.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["base_url", "tries_max", "batch_items_max", "breaker.failures"]);
    }
}
