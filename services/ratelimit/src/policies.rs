//! Policies: what people set for an ad account or a Meta app beside the settings.
//!
//! PostgreSQL keeps them, each change with its entry in the audit; every replica asks each second for those that it has not
//! read and decides by its own copy ([`Known`]), so that a decision costs nothing more. They have nothing to do with what
//! was counted: a loss of Redis leaves them alone, and they leave the counters alone.
//!
//! What counts: an ad account's policy by operators, else its app's, else the settings. Then each tenant's own policy for
//! the ad account, where it is stricter: so a tenant can only ever tighten, whatever operators set afterwards ([`effect`]).
//!
//! Where operators give weights to two or more tenants of an ad account or app, each has a share of it ([`shares`]).
//!
//! Why a change admits nothing too much and forgets nothing ([`change`]):
//! - The script gets the ceiling with each demand and compares it with what the window holds, so a lower one refuses until
//!   enough has left, and a higher one finds everything counted. A demand that waits is given the new one before it is tried.
//! - What was written ahead under a higher ceiling stays written, since it may be spent: only a loss of Redis would show it,
//!   as less to spend for a window.
//! - A bucket that had no ceiling was not written down. Whoever gives it one says in the same transaction that the app's
//!   journal knows everything only from then on: a loss of Redis within two hours counts as one that nobody can measure.
//!
//! Known limit: a replica that does not reach PostgreSQL goes on by what it knew.

mod change;
mod effect;
mod shares;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::ceilings::{Profile, TierFromHeaders};
use crate::priority::Priority;
use crate::scope::{Kind, Scope};

pub(crate) use change::{Change, Field, PolicyBook};
pub(crate) use effect::{EffectiveValue, Said};

/// Whose policies those of operators are. No tenant can be it.
pub(crate) const OPERATORS: &str = "system";

/// What is set; nothing of it where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Policy {
    pub(crate) profile: Option<Profile>,
    /// Each kind and use case once.
    pub(crate) ceilings: Vec<SetCeiling>,
    pub(crate) caps: SetCaps,
    /// By the tenant's id.
    pub(crate) weights: BTreeMap<String, u32>,
    pub(crate) borrow_max_percent: Option<u32>,
    pub(crate) headers: Option<TierFromHeaders>,
}

/// A ceiling of one kind of bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetCeiling {
    pub(crate) kind: Kind,
    pub(crate) use_case: String,
    pub(crate) limit: u32,
}

/// Percents of a ceiling that classes may fill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SetCaps {
    pub(crate) interactive: Option<u32>,
    pub(crate) sync: Option<u32>,
    pub(crate) bulk: Option<u32>,
    pub(crate) backfill: Option<u32>,
}

/// A policy as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// [`OPERATORS`], or the tenant that tightens.
    pub(crate) by: String,
    /// `adAccounts/act_1` or `metaApps/1`.
    pub(crate) name: String,
    pub(crate) policy: Policy,
    /// 0 where nothing was ever set.
    pub(crate) version: i64,
    pub(crate) actor: String,
    /// In ms since 1970.
    pub(crate) updated_ms: i64,
}

impl Policy {
    /// The ceiling that it sets for a bucket.
    pub(crate) fn ceiling(&self, scope: &Scope) -> Option<u32> {
        let same = |set: &&SetCeiling| set.kind == scope.kind && set.use_case == scope.use_case;
        self.ceilings.iter().find(same).map(|set| set.limit)
    }
}

impl SetCaps {
    /// What is set for a class; safety has all.
    pub(crate) fn percent(self, class: Priority) -> Option<u32> {
        match class {
            Priority::Safety => None,
            Priority::Interactive => self.interactive,
            Priority::Sync => self.sync,
            Priority::Bulk => self.bulk,
            Priority::Backfill => self.backfill,
        }
    }
}

impl Kept {
    /// A name for which nothing was ever set.
    pub(crate) fn nothing(by: &str, name: &str) -> Self {
        let (policy, actor) = (Policy::default(), String::new());
        Self { by: by.to_owned(), name: name.to_owned(), policy, version: 0, actor, updated_ms: 0 }
    }

    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

/// What is set for one name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    pub(crate) operators: Option<Policy>,
    /// By the tenant's id.
    pub(crate) tenants: BTreeMap<String, Policy>,
}

/// All policies as a replica knows them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The newest change that was read.
    version: i64,
    /// By the name that a policy has.
    layers: HashMap<String, Layers>,
}

impl Known {
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    /// Takes in what was read.
    pub(crate) fn with(mut self, rows: impl IntoIterator<Item = Kept>) -> Self {
        for Kept { by, name, policy, version, .. } in rows {
            self.version = self.version.max(version);
            let layers = self.layers.entry(name).or_default();
            if by == OPERATORS {
                layers.operators = Some(policy);
            } else {
                layers.tenants.insert(by, policy);
            }
        }
        self
    }
}

/// What this replica knows. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policies(Arc<RwLock<Arc<Known>>>);

impl Policies {
    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what was read; answers whether any of it is news.
    pub(crate) fn learn(&self, rows: Vec<Kept>) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Two may read at once, and the slower one must not undo what the faster one has read since.
        let news: Vec<Kept> = rows.into_iter().filter(|row| row.version > known.version).collect();
        let is_news = !news.is_empty();
        *known = Arc::new(Known::clone(&known).with(news));
        is_news
    }
}
