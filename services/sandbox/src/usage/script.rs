//! `/__sandbox/usage`: what is counted, and how a test makes it look.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Bucket, Usage, UseCase, limit, score};
use crate::state::State;

/// What a test makes of one limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// The limit: `ads_management` and the other use cases, or `app`, `user`, `page`, `insights_app`,
    /// `insights_account`, `insights_reach`, `mutations`, `burst`; `score` is that of an ad account.
    use_case: String,
    /// Of what it is a limit: an ad account, page, Instagram account, catalogue or person.
    #[serde(alias = "page", alias = "instagram", alias = "catalog", alias = "person", alias = "id")]
    account: Option<String>,
    /// Calls that others made just now.
    calls: Option<u64>,
    /// As full as this, whatever was counted.
    percent: Option<u64>,
    /// The same for the time of computing.
    cpu_percent: Option<u64>,
    /// The same for the time from call to answer.
    time_percent: Option<u64>,
    /// Calls that it allows, in the place of Meta's formula; 0 gives the formula back.
    limit: Option<u64>,
}

impl Script {
    /// The calls of others that it tells of, and under what they count.
    pub(crate) fn others(&self) -> Option<(Bucket, u64)> {
        let id = self.account.as_ref().and_then(|text| text.trim_start_matches("act_").parse().ok());
        Some((Bucket::parse(&self.use_case, id)?, self.calls?))
    }
}

impl Usage {
    /// Does as a test says, or says what is wrong with it.
    pub(crate) fn play(&mut self, state: &State, script: &Script, now: Timestamp) -> Result<(), String> {
        let id = match &script.account {
            Some(text) => {
                let digits = text.trim_start_matches("act_").parse();
                Some(digits.map_err(|_| format!("{text:?} is no id: write act_ and digits, or digits"))?)
            }
            None => None,
        };
        if script.use_case == "score" {
            return self.play_score(state, id, script, now);
        }
        let Some(bucket) = Bucket::parse(&script.use_case, id) else {
            let words = UseCase::ALL.map(UseCase::word).join(", ");
            return Err(format!(
                "no such use_case, or its account is missing; known are {words}, app, user, page, insights_app, \
                 insights_account, insights_reach, mutations, burst and score"
            ));
        };
        if let Some(calls) = script.limit {
            self.meter(bucket).limit = (calls > 0).then_some(calls);
        }
        for bucket in affected(bucket) {
            self.fill(state, bucket, script, now)?;
        }
        Ok(())
    }

    fn fill(&mut self, state: &State, bucket: Bucket, script: &Script, now: Timestamp) -> Result<(), String> {
        let second = now.as_second();
        let allowed = self.allowed(state, bucket, now);
        let meter = self.meter(bucket);
        meter.calls.add(second, script.calls.unwrap_or_default());
        if script.percent.or(script.cpu_percent).or(script.time_percent).is_none() {
            return Ok(());
        }
        let Some(allowed) = allowed else {
            return Err(format!("{} has no limit to be a percentage of; give it one with limit", bucket.word()));
        };
        if let Some(percent) = script.percent {
            meter.calls.set(second, allowed.calls.saturating_mul(percent).div_ceil(100 * limit::CALL));
        }
        let time = |percent: u64| allowed.time.unwrap_or_default().saturating_mul(percent).div_ceil(100);
        if let Some(percent) = script.cpu_percent {
            meter.cpu.set(second, time(percent));
        }
        if let Some(percent) = script.time_percent {
            meter.wall.set(second, time(percent));
        }
        Ok(())
    }

    fn play_score(&mut self, state: &State, id: Option<u64>, script: &Script, now: Timestamp) -> Result<(), String> {
        let account = id.ok_or("a score is that of an account: name it")?;
        let max = score::max(state.settings.limits.tier);
        let points = script.percent.map(|percent| max.saturating_mul(percent).div_ceil(100)).or(script.calls);
        self.score(account).set(points.ok_or("give percent, or points as calls")?, now.as_second());
        Ok(())
    }

    /// Every limit that has counted something or was given another limit.
    pub(crate) fn report(&mut self, state: &State, now: Timestamp) -> Value {
        let mut buckets: Vec<Bucket> = self.meters.keys().copied().collect();
        buckets.sort_unstable();
        let rows: Vec<Value> = buckets.into_iter().map(|bucket| self.reported(state, bucket, now)).collect();
        Value::Array(rows)
    }

    fn reported(&mut self, state: &State, bucket: Bucket, now: Timestamp) -> Value {
        let second = now.as_second();
        let allowed = self.allowed(state, bucket, now);
        let level = self.level(state, bucket, now);
        let minutes = self.minutes(state, bucket, now);
        let meter = self.meter(bucket);
        json!({
            "use_case": bucket.word(),
            "id": bucket.id().map(|id| match bucket.account() {
                Some(account) => format!("act_{account}"),
                None => id.to_string(),
            }),
            "calls": meter.calls.total(second),
            "limit": allowed.map(|allowed| allowed.calls.div_ceil(limit::CALL)),
            "percent": level.map(|level| level.calls),
            "cpu_percent": level.map(|level| level.cpu),
            "time_percent": level.map(|level| level.wall),
            "errors": meter.errors.total(second),
            "window_seconds": bucket.seconds(),
            "minutes_until_access": minutes,
        })
    }
}

/// What others call for their insights counts wherever insights are counted.
fn affected(bucket: Bucket) -> Vec<Bucket> {
    match bucket {
        Bucket::UseCase(UseCase::AdsInsights, account) => vec![bucket, Bucket::InsightsAccount(account)],
        _ => vec![bucket],
    }
}
