//! Freezes: somebody stops everything but safety calls, for an ad account or a whole Meta app, until a moment.
//!
//! PostgreSQL keeps them; every replica says them to Redis again every second, so that they outlive a loss of Redis and
//! reach buckets that are new. Who may freeze: an operator everything, a tenant the ad accounts that its calls used. What an
//! operator froze, no tenant thaws.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use vocabulary::ids::TenantId;

use crate::demand::Bucket;
use crate::error::Error;
use crate::explain::Subject;
use crate::quotas::Quotas;
use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT, CUSTOM_AUDIENCE, Kind, Scope};
use crate::store::{FreezeRows, Frozen, Repeat};

/// How often freezes are said again: so long after a change the slowest replica has heard of it, and a second more.
const SAY: Duration = Duration::from_secs(1);
/// The longest that saying them may take.
const SAYING: Duration = Duration::from_secs(5);
/// As many buckets as one script freezes.
const FROZEN_MAX: usize = 100;
/// How far back a tenant's calls tell which apps an ad account is called through.
const DAY_MS: i64 = 86_400_000;
/// The use cases of calls to an ad account: each call is charged to one of them.
const OF_ACCOUNTS: [&str; 4] = [ADS_MANAGEMENT, ADS_INSIGHTS, CUSTOM_AUDIENCE, ""];
/// The use cases of calls of an app: each call is charged to one of them.
const OF_APPS: [&str; 5] = [ADS_MANAGEMENT, ADS_INSIGHTS, CUSTOM_AUDIENCE, "conversions_api", ""];

/// Who freezes.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// `system` for an operator who names no tenant.
    pub(crate) tenant: TenantId,
    /// As the audit names them.
    pub(crate) subject: String,
    pub(crate) operator: bool,
}

/// What to freeze until when, or with 0 to thaw.
#[derive(Debug, Clone)]
pub(crate) struct Freeze {
    pub(crate) subject: Subject,
    pub(crate) until_ms: i64,
    pub(crate) reason: String,
}

/// The use cases. One per replica.
#[derive(Clone)]
pub(crate) struct Freezes {
    rows: FreezeRows,
    quotas: Arc<Quotas>,
}

impl Freezes {
    pub(crate) fn new(rows: FreezeRows, quotas: Arc<Quotas>) -> Self {
        Self { rows, quotas }
    }

    pub(crate) fn rows(&self) -> &FreezeRows {
        &self.rows
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.quotas.counter().store().now_ms()
    }

    /// Freezes or thaws, once for each request, and in force in Redis when this answers. Without a repeat it is only
    /// checked. A freeze may be ended by whoever made it though no call used the subject since.
    pub(crate) async fn set(&self, by: &Actor, freeze: &Freeze, repeat: Option<&Repeat>) -> Result<Frozen, Error> {
        let name = freeze.subject.name();
        let before = self.rows.get(&name).await?;
        let held = before.as_ref().filter(|frozen| frozen.until_ms > self.now_ms());
        if !held.is_some_and(|frozen| by.operator || frozen.tenant == by.tenant.as_str()) {
            self.require_known(by, &freeze.subject).await?;
        }
        if !by.operator && held.is_some_and(|frozen| frozen.operators || frozen.tenant != by.tenant.as_str()) {
            return Err(Error::OperatorOnly("somebody else froze it; only an operator may change that"));
        }
        if freeze.until_ms == 0 && held.is_none() {
            return Err(Error::NotFrozen { name });
        }
        let frozen = Frozen {
            tenant: by.tenant.to_string(),
            name,
            until_ms: freeze.until_ms,
            reason: freeze.reason.clone(),
            actor: by.subject.clone(),
            operators: by.operator,
        };
        if let Some(repeat) = repeat {
            // Calls of this very moment tell through which apps the subject is called.
            self.quotas.write_trail().await?;
            let buckets = self.buckets(&freeze.subject).await?;
            let keys: Vec<String> = buckets.iter().map(|bucket| bucket.key.clone()).collect();
            self.rows.put(&frozen, self.now_ms(), &keys, repeat).await?;
            self.say(&buckets, frozen.until_ms).await?;
        }
        Ok(frozen)
    }

    /// Says all freezes again until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut tick = interval(SAY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A replica that ended between a thaw and saying it left that to whoever comes next.
        let mut said = self.rows.thawed().await.unwrap_or_default();
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let saying = timeout(SAYING, self.say_all(&mut said)).await;
            if let Err(error) = saying.unwrap_or(Err(Error::Late)) {
                warn!(error = &error as &dyn std::error::Error, "freezes stay as they were said last");
            }
        }
    }

    /// Says the freezes that hold, and ends what this replica said and what was thawed since. A replica that read before a
    /// thaw may say the freeze after it, so for a minute every replica ends it again and again.
    async fn say_all(&self, said: &mut BTreeMap<String, i64>) -> Result<(), Error> {
        let now_ms = self.now_ms();
        let (held, thawed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.rows.held_or_thawed(now_ms).await?.into_iter().partition(|(_, until_ms)| *until_ms > 0);
        said.extend(thawed);
        let thawed: Vec<String> = said.keys().filter(|name| !held.contains_key(*name)).cloned().collect();
        for name in thawed {
            if let Some(subject) = Subject::parse(&name) {
                self.say(&self.buckets(&subject).await?, 0).await?;
            }
            said.remove(&name);
        }
        for (name, until_ms) in held {
            if let Some(subject) = Subject::parse(&name) {
                self.say(&self.buckets(&subject).await?, until_ms).await?;
            }
            said.insert(name, until_ms);
        }
        Ok(())
    }

    /// Who waits, or was refused before, is tried anew where it may go now.
    async fn say(&self, buckets: &[Bucket], until_ms: i64) -> Result<(), Error> {
        for part in buckets.chunk_by(|one, next| one.scope.app == next.scope.app).flat_map(|app| app.chunks(FROZEN_MAX))
        {
            let freezes: Vec<(Bucket, i64)> = part.iter().map(|bucket| (bucket.clone(), until_ms)).collect();
            self.quotas.counter().store().freeze(&freezes).await?;
        }
        if until_ms == 0 {
            self.quotas.reconsider(buckets);
        }
        Ok(())
    }

    /// The buckets of which every call to the subject is charged to at least one.
    async fn buckets(&self, subject: &Subject) -> Result<Vec<Bucket>, Error> {
        let mut scopes: BTreeSet<Scope> = BTreeSet::new();
        match subject {
            Subject::App(app) => scopes.extend(OF_APPS.map(|use_case| Scope::of_app(*app, use_case))),
            Subject::Thing(kind, id) => {
                for app in self.rows.apps_of(&subject.name(), self.now_ms() - DAY_MS).await? {
                    let of = |use_case: &str| Scope { app, kind: *kind, id: id.clone(), use_case: use_case.to_owned() };
                    scopes.extend(OF_ACCOUNTS.map(of));
                }
            }
        }
        let mut buckets = Vec::with_capacity(scopes.len());
        for scope in scopes {
            buckets.push(self.quotas.bucket(scope).await?);
        }
        buckets.dedup_by(|one, other| one.key == other.key);
        Ok(buckets)
    }

    /// A tenant knows the ad accounts that its calls used; another's do not exist for it.
    async fn require_known(&self, by: &Actor, subject: &Subject) -> Result<(), Error> {
        let Subject::Thing(kind, id) = subject else {
            return if by.operator {
                Ok(())
            } else {
                Err(Error::OperatorOnly("only an operator may freeze a whole Meta app"))
            };
        };
        let is_it = |scope: &Scope| match kind {
            Kind::AdAccount => scope.account() == Some(id),
            kind => scope.kind == *kind && scope.id == *id,
        };
        let tenants = if by.operator {
            self.rows.tenants_of(&subject.name(), self.now_ms() - DAY_MS).await?
        } else {
            vec![by.tenant.clone()]
        };
        for tenant in &tenants {
            let used = self.quotas.counter().store().used_by(tenant).await?;
            if used.iter().filter_map(|key| Scope::from_key(key)).any(|scope| is_it(&scope)) {
                return Ok(());
            }
        }
        Err(Error::Unknown { name: subject.name(), known: Vec::new() })
    }
}
