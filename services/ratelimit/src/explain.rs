//! Why calls wait: what is known of one thing at Meta, put together and put into words ([`words`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;
use vocabulary::names;

use crate::demand::Bucket;
use crate::error::Error;
use crate::priority::Priority;
use crate::quotas::Quotas;
use crate::scope::{Kind, Scope};
use crate::store::{Losses, Reason, RefusedRow, Spent, Standing, Told, Viewer};
use crate::trail::Trail;

mod alike;
pub(crate) mod span;
mod words;

pub(crate) use words::{State, event_words};

/// As many buckets as one explanation has.
const BUCKETS_MAX: usize = 20;
/// As many names as are suggested for one that nobody knows.
const KNOWN_MAX: usize = 5;
/// How far back it is told who spent a quota.
const HOUR_MS: i64 = 3_600_000;
/// How far back a name counts as used.
const DAY_MS: i64 = 24 * HOUR_MS;

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// `adAccounts/act_1`, `pages/1`, `users/1`.
    Thing(Kind, String),
    /// `metaApps/1`.
    App(u64),
}

/// What one class may do in a bucket now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClassState {
    pub(crate) priority: Priority,
    /// How long a call of cost 1 waits and why; nothing where it goes at once.
    pub(crate) wait: Option<(Duration, Reason)>,
}

/// A bucket now.
#[derive(Debug, Clone)]
pub(crate) struct BucketState {
    pub(crate) bucket: Bucket,
    pub(crate) standing: Standing,
    pub(crate) classes: Vec<ClassState>,
}

/// All that is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) name: String,
    /// The moment that is explained, in ms since 1970.
    pub(crate) at_ms: i64,
    /// It is past: there are no buckets.
    pub(crate) past: bool,
    pub(crate) buckets: Vec<BucketState>,
    pub(crate) spent: Vec<Spent>,
    pub(crate) refused: Vec<RefusedRow>,
    pub(crate) events: Vec<Told>,
    pub(crate) losses: Vec<Losses>,
    /// PostgreSQL is away, so nothing is known but the buckets.
    pub(crate) forgetful: bool,
    /// Redis is away, so the buckets are not known.
    pub(crate) without_redis: bool,
}

/// Explains. One per replica.
#[derive(Clone)]
pub(crate) struct Explainer {
    quotas: Arc<Quotas>,
    trail: Arc<Trail>,
}

impl Explainer {
    pub(crate) fn new(quotas: Arc<Quotas>, trail: Arc<Trail>) -> Self {
        Self { quotas, trail }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.quotas.counter().store().now_ms()
    }

    /// All that is known about a subject; `at_ms` only where it is asked about the past.
    pub(crate) async fn facts(&self, viewer: &Viewer, subject: &Subject, at_ms: Option<i64>) -> Result<Facts, Error> {
        // What this replica has not written yet belongs to the answer. Where it cannot be written, the rest is told.
        let written = self.trail.write().await;
        let now_ms = self.now_ms();
        let (name, at) = (subject.name(), at_ms.unwrap_or(now_ms));
        let mut facts = Facts { name, at_ms: at, past: at_ms.is_some(), ..Facts::default() };
        let used = self.scopes(viewer, subject, at - DAY_MS, written.is_ok()).await;
        let scopes = facts.unless_redis_is_away(used)?;
        if at_ms.is_none() {
            let states = self.states(&scopes).await;
            facts.buckets = facts.unless_redis_is_away(states)?;
        }
        match self.history(viewer, subject, &scopes, &mut facts).await {
            Ok(()) => {}
            Err(error) if facts.past => return Err(error),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "an explanation goes without history");
                facts.forgetful = true;
            }
        }
        if scopes.is_empty() && facts.is_nobodys() {
            return Err(self.unknown(viewer, subject, now_ms).await);
        }
        Ok(facts)
    }

    /// The buckets that the viewer's calls used of the subject, those of its app last.
    async fn scopes(
        &self,
        viewer: &Viewer,
        subject: &Subject,
        from_ms: i64,
        has_history: bool,
    ) -> Result<Vec<Scope>, Error> {
        let mut used = BTreeSet::new();
        for tenant in self.tenants(viewer, subject, from_ms, has_history).await? {
            if let Ok(tenant) = tenant.parse() {
                used.append(&mut self.quotas.counter().store().used_by(&tenant).await?);
            }
        }
        let scopes: Vec<Scope> = used.iter().filter_map(|key| Scope::from_key(key)).collect();
        let own: Vec<Scope> = scopes.iter().filter(|scope| subject.owns(scope)).cloned().collect();
        let (apps, words): (BTreeSet<u64>, BTreeSet<&str>) =
            (own.iter().map(|scope| scope.app).collect(), own.iter().map(|scope| scope.use_case.as_str()).collect());
        let shared = scopes.iter().filter(|scope| {
            let same = scope.use_case.is_empty() || words.contains(scope.use_case.as_str());
            scope.kind == Kind::App && !subject.owns(scope) && apps.contains(&scope.app) && same
        });
        let shared: Vec<Scope> = shared.cloned().collect();
        Ok(own.into_iter().chain(shared).take(BUCKETS_MAX).collect())
    }

    async fn tenants(
        &self,
        viewer: &Viewer,
        subject: &Subject,
        from_ms: i64,
        has_history: bool,
    ) -> Result<Vec<String>, Error> {
        match viewer {
            Viewer::Tenant(tenant) => Ok(vec![tenant.to_string()]),
            Viewer::Operator if !has_history => Ok(Vec::new()),
            Viewer::Operator => {
                let (name, app) = subject.filter();
                self.trail.history().tenants_of(&name, app, from_ms).await
            }
        }
    }

    async fn states(&self, scopes: &[Scope]) -> Result<Vec<BucketState>, Error> {
        let mut buckets = Vec::with_capacity(scopes.len());
        for scope in scopes {
            buckets.push(self.quotas.bucket(scope.clone()).await?);
        }
        // Under some profiles scopes share a bucket.
        buckets.dedup_by(|one, other| one.key == other.key);
        let mut states = Vec::with_capacity(buckets.len());
        for (bucket, standing) in self.quotas.look(buckets).await? {
            let mut classes = Vec::with_capacity(Priority::ALL.len());
            for priority in Priority::ALL {
                let wait = self.quotas.counter().store().goes_in(&bucket, priority).await?;
                classes.push(ClassState { priority, wait });
            }
            states.push(BucketState { bucket, standing, classes });
        }
        Ok(states)
    }

    async fn history(
        &self,
        viewer: &Viewer,
        subject: &Subject,
        scopes: &[Scope],
        facts: &mut Facts,
    ) -> Result<(), Error> {
        let history = self.trail.history();
        // The running minute is a part of it.
        let (from_ms, until_ms) = (facts.at_ms - HOUR_MS, facts.at_ms + 1);
        let (name, app) = subject.filter();
        facts.spent = history.spent(viewer, (&name, app), (from_ms, until_ms)).await?;
        facts.refused = history.refused(viewer, (&name, app), (from_ms, until_ms)).await?;
        let keys: Vec<String> = scopes.iter().map(Scope::key).collect();
        facts.events = history.events(&keys, from_ms, until_ms).await?;
        if let Viewer::Tenant(tenant) = viewer {
            for told in &mut facts.events {
                if told.event.blame.tenant != tenant.as_str() {
                    told.event.blame.trace_id.clear();
                }
            }
        }
        let apps: BTreeSet<u64> = scopes.iter().map(|scope| scope.app).collect();
        let apps: Vec<u64> = apps.into_iter().collect();
        facts.losses = history.losses(&apps, from_ms).await?;
        facts.losses.retain(|loss| loss.at_ms < until_ms);
        Ok(())
    }

    async fn unknown(&self, viewer: &Viewer, subject: &Subject, now_ms: i64) -> Error {
        let known = self.trail.history().subjects(viewer, now_ms - DAY_MS).await.unwrap_or_default();
        let name = subject.name();
        Error::Unknown { known: alike::most_alike(&name, known, KNOWN_MAX), name }
    }
}

impl Facts {
    /// What is told all the same where Redis does not answer.
    fn unless_redis_is_away<T>(&mut self, found: Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
        match found {
            Err(error) if error.is_redis_away() => {
                self.without_redis = true;
                Ok(Vec::new())
            }
            found => found,
        }
    }

    /// Whether none of it is of the viewer. What only others use does not exist for a tenant.
    fn is_nobodys(&self) -> bool {
        self.spent.iter().all(|spent| spent.tenant.is_empty()) && self.refused.is_empty() && self.events.is_empty()
    }
}

impl Subject {
    /// Fails for a name that names nothing which Meta counts for.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if let Ok(app) = names::meta_app(name) {
            return Some(Self::App(app.get()));
        }
        let (collection, id) = name.split_once('/')?;
        let (kind, id) = match collection {
            "adAccounts" => (Kind::AdAccount, id.strip_prefix("act_").unwrap_or(id)),
            "pages" => (Kind::Page, id),
            "users" => (Kind::User, id),
            _ => return None,
        };
        let is_id = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
        is_id.then(|| Self::Thing(kind, id.to_owned()))
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::App(app) => format!("metaApps/{app}"),
            Self::Thing(Kind::Page, id) => format!("pages/{id}"),
            Self::Thing(Kind::User, id) => format!("users/{id}"),
            Self::Thing(_, id) => format!("adAccounts/act_{id}"),
        }
    }

    /// Whether a bucket is one of its own.
    fn owns(&self, scope: &Scope) -> bool {
        match self {
            Self::App(app) => scope.app == *app && scope.kind == Kind::App,
            Self::Thing(Kind::AdAccount, id) => scope.account() == Some(id),
            Self::Thing(kind, id) => scope.kind == *kind && scope.id == *id,
        }
    }

    /// What narrows the history: by what the calls were about, or by their app.
    fn filter(&self) -> (String, Option<u64>) {
        match self {
            Self::App(app) => (String::new(), Some(*app)),
            Self::Thing(..) => (self.name(), None),
        }
    }
}

#[cfg(test)]
mod tests;
