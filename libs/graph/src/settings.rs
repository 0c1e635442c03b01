//! Where Meta is and how patiently we call it.

use serde::Deserialize;

/// How to reach Meta.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The Graph API without a version. Default: Meta's own.
    pub base_url: String,
    /// How long one HTTP attempt may take from the first byte sent, in seconds. Not longer than `call_timeout_seconds`
    /// of `ratelimit`, which widens its counting windows by that; nothing checks it across processes. Default 60.
    pub call_timeout_seconds: u64,
    /// How long connecting may take, in seconds. Default 5.
    pub connect_timeout_seconds: u64,
    /// A corporate proxy for HTTPS, such as `http://proxy:3128`. Default: none; the environment's is not read.
    pub proxy: Option<String>,
    /// A PEM file with the certificate authority of that proxy. Default: none.
    pub ca_file: Option<std::path::PathBuf>,
    /// How often a call that may be repeated is tried in all. Default 3.
    pub tries_max: u32,
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
        }
    }
}

impl Settings {
    /// All that is wrong, each as (key, reason).
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if url::Url::parse(&self.base_url).map_or(true, |url| !matches!(url.scheme(), "http" | "https")) {
            faults.push(("base_url", format!("`{}` is no http or https address", self.base_url)));
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
        faults
    }
}
