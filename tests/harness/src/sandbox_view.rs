//! What Meta's stand-in has and was asked, past Adplane; and faults on demand.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// One request that reached the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// When it arrived, by the sandbox's clock.
    pub at: Timestamp,
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// Without its query.
    pub path: String,
    /// The HTTP status; 0 where the connection was dropped instead.
    pub status: u16,
    /// Whether it changed the world.
    pub committed: bool,
    /// The item of a batch; `None` for a request of its own.
    pub item: Option<usize>,
    /// What Meta counted it under, such as `ads_management`.
    pub bucket: String,
    /// The ad account that it was about, in digits.
    pub account: Option<String>,
    /// What kind of exchange of a token it was.
    pub grant_type: Option<String>,
}

impl Line {
    /// Whether Meta counted it for this ad account (`adAccounts/act_1`) under this use case.
    pub fn is_of(&self, ad_account: &str, use_case: &str) -> bool {
        let account = ad_account.trim_start_matches("adAccounts/").trim_start_matches("act_");
        self.bucket == use_case && self.account.as_deref().is_some_and(|it| it.trim_start_matches("act_") == account)
    }
}

/// A way to the sandbox's own doors.
#[derive(Debug, Clone)]
pub struct SandboxView {
    /// Where it is.
    pub url: String,
    http: reqwest::Client,
}

impl SandboxView {
    /// The sandbox at this address.
    pub fn new(url: String) -> Result<Self> {
        Ok(Self { url, http: reqwest::Client::builder().no_proxy().build()? })
    }

    /// Every request so far, oldest first.
    pub async fn requests(&self) -> Result<Vec<Line>> {
        let text = self.get("requests").await?;
        text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// Everything of a kind, such as `campaigns` or `customaudiences`.
    pub async fn all(&self, kind: &str) -> Result<Vec<Value>> {
        let world: Value = serde_json::from_str(&self.get("world").await?)?;
        let all = world.get(kind).and_then(Value::as_array).with_context(|| format!("the sandbox has no {kind}"))?;
        Ok(all.clone())
    }

    /// Those of a kind with this name.
    pub async fn named(&self, kind: &str, name: &str) -> Result<Vec<Value>> {
        let mut all = self.all(kind).await?;
        all.retain(|it| it.get("name").and_then(Value::as_str) == Some(name));
        Ok(all)
    }

    /// Every event that arrived, as the sandbox keeps it.
    pub async fn events(&self) -> Result<Vec<Value>> {
        let text = self.get("events").await?;
        text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// Adds a rule by which calls fail.
    pub async fn fault(&self, rule: &Value) -> Result<()> {
        let answer = self.http.post(format!("{}/__sandbox/faults", self.url)).json(rule).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "the sandbox refused the rule: {text}");
        Ok(())
    }

    /// How often a rule has struck, of those that are in force.
    pub async fn struck(&self) -> Result<u64> {
        let rules: Vec<Value> = serde_json::from_str(&self.get("faults").await?)?;
        Ok(rules.iter().filter_map(|rule| rule.get("hits")?.as_u64()).sum())
    }

    /// Ends all rules.
    pub async fn no_faults(&self) -> Result<()> {
        let answer = self.http.delete(format!("{}/__sandbox/faults", self.url)).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    async fn get(&self, door: &str) -> Result<String> {
        let answer = self.http.get(format!("{}/__sandbox/{door}", self.url)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}
