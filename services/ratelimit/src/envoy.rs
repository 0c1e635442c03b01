//! Envoy's rate limit protocol: what is counted per domain, by the settings.
//!
//! A descriptor is counted by the limit whose entries are its own in number, order and keys; a limit that names more values
//! goes before one that takes any. Each combination of values has a bucket of its own, a sliding window.
//!
//! Envoy has no token of ours, so whoever reaches the port may ask. That shows and changes nothing but these buckets, and
//! is off until a domain is named. The gateway has no route here, because it knows the methods of our protos only.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use runtime::settings::{Check, Faults};
use serde::Deserialize;

use crate::store::Hit;

mod api;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use api::{Api, service};

/// As many limits as one domain may have: each descriptor is compared with all.
const LIMITS_MAX: usize = 1_000;

/// As many entries as a descriptor may have.
const ENTRIES_MAX: usize = 16;

/// Which domains are counted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvoySettings {
    /// By the `domain` that an Envoy sends: 1 to 63 of a-z, A-Z, 0-9, `_`, `.` and `-`. Default none, and then the
    /// protocol is not served. Whoever reaches the port may ask, without a token.
    pub domains: BTreeMap<String, Domain>,
    /// Whether a domain without settings is over its limit. Default false: it has none, as with Envoy's own server.
    pub refuse_unknown_domains: bool,
}

/// What is counted of one domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domain {
    /// At most 1,000.
    pub limits: Vec<Limit>,
}

/// How often requests with a descriptor may come.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What the descriptor's entries must be, in their order. 1 to 16.
    pub entries: Vec<EntryMatch>,
    /// As many as any stretch of one unit may see; 0 refuses all.
    pub requests_per_unit: u32,
    /// The length of the window.
    pub unit: Unit,
}

/// One entry of a descriptor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryMatch {
    /// Must be the same.
    pub key: String,
    /// Must be the same; without it any value, each counted for itself.
    #[serde(default)]
    pub value: Option<String>,
}

/// How long a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// In cells of 20 milliseconds.
    Second,
    /// In cells of a second.
    Minute,
    /// In cells of a minute.
    Hour,
    /// In cells of 24 minutes.
    Day,
}

impl Unit {
    fn cell_ms(self) -> i64 {
        match self {
            Self::Second => 20,
            Self::Minute => 1_000,
            Self::Hour => 60_000,
            Self::Day => 1_440_000,
        }
    }

    /// One more than the unit has, because any stretch of k cells touches k + 1.
    fn cells(self) -> i64 {
        match self {
            Self::Second => 51,
            Self::Minute | Self::Hour | Self::Day => 61,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl Domain {
    /// The limit of a descriptor: of those that match, the first with the most values named.
    fn limit(&self, entries: &[(String, String)]) -> Option<&Limit> {
        let mut best: Option<(usize, &Limit)> = None;
        for limit in self.limits.iter().filter(|limit| limit.matches(entries)) {
            let named = limit.entries.iter().filter(|entry| entry.value.is_some()).count();
            if best.is_none_or(|(most, _)| named > most) {
                best = Some((named, limit));
            }
        }
        best.map(|(_, limit)| limit)
    }
}

impl Limit {
    fn matches(&self, entries: &[(String, String)]) -> bool {
        self.entries.len() == entries.len()
            && self.entries.iter().zip(entries).all(|(wanted, (key, value))| {
                wanted.key == *key && wanted.value.as_ref().is_none_or(|wanted| wanted == value)
            })
    }

    fn hit(&self, domain: &str, entries: &[(String, String)], cost: u32) -> Hit {
        Hit {
            key: format!("{{rls:{domain}}}:{}:{}", self.unit.word(), hash(entries)),
            cell_ms: self.unit.cell_ms(),
            cells: self.unit.cells(),
            cost,
            limit: self.requests_per_unit,
        }
    }
}

/// Of one length, however long values are; lengths go first so that no two lists of entries look alike.
fn hash(entries: &[(String, String)]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in entries.iter().flat_map(|(key, value)| [key, value]) {
        context.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        context.update(text.as_bytes());
    }
    hex::encode(context.finish())
}

fn is_name(domain: &str) -> bool {
    (1..=63).contains(&domain.len())
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

impl Check for EnvoySettings {
    fn check(&self, faults: &mut Faults) {
        for (name, domain) in &self.domains {
            let key = format!("domains.{name}");
            faults.check(is_name(name), &key, "must be named by 1 to 63 letters, digits, `_`, `.` and `-`");
            faults.check(domain.limits.len() <= LIMITS_MAX, &key, "must have at most 1000 limits");
            let whole = domain.limits.iter().all(|limit| {
                (1..=ENTRIES_MAX).contains(&limit.entries.len())
                    && limit.entries.iter().all(|entry| !entry.key.is_empty())
            });
            faults.check(whole, &key, "must have limits of 1 to 16 entries, each with a key");
        }
    }
}
