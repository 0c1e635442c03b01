//! The use cases: take, tell, give back, show.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::ratelimit::v1::UsageReport;
use tokio::time::Instant;
use tracing::warn;
use vocabulary::ids::TenantId;
use vocabulary::page::PageRequest;

use crate::ceilings::Tier;
use crate::counter::{self, Counter};
use crate::demand::{Bucket, Demand, Rules};
use crate::error::Error;
use crate::permit::{Permit, Permits};
use crate::priority::Priority;
use crate::reservation::Reservations;
use crate::scope::{Kind, Scope};
use crate::store::{Outcome, Reason, Standing};
use crate::tiers::Tiers;
use crate::trail::{Asker, Origin, Trail};
use crate::usage::{self, Correction, Findings};
use crate::waiting::Waiting;

mod reserving;

pub(crate) use reserving::{Reserve, Reserved};

/// How often a tenant's use of a bucket is written down.
const NOTED_FOR: Duration = Duration::from_secs(600);

/// As many uses as are remembered; beyond, all are written down again.
const NOTED_MAX: usize = 400_000;

/// As many reports as are kept for Redis while it is away.
const UNTOLD_MAX: usize = 1_000;

/// As many buckets as one script looks at.
const LOOK_MAX: usize = 100;

/// What a call asks for, checked.
#[derive(Debug, Clone)]
pub(crate) struct Acquire {
    pub(crate) app: u64,
    /// All of that app.
    pub(crate) charges: Vec<(Scope, u32)>,
    pub(crate) priority: Priority,
    pub(crate) reports: Vec<UsageReport>,
    pub(crate) asker: Asker,
    /// As its holder has it; empty where the call is under none.
    pub(crate) reservation: Vec<u8>,
}

/// What it gets.
#[derive(Debug, Clone)]
pub(crate) enum Decision {
    /// The signed permit.
    Permit {
        value: Vec<u8>,
        epoch: i64,
        /// Not later than the charge.
        charged: Instant,
    },
    Wait {
        delay: Duration,
        scope: Option<Scope>,
        reason: Reason,
        epoch: i64,
    },
}

/// Which buckets to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) app: Option<u64>,
    pub(crate) kind: Option<Kind>,
    pub(crate) id: Option<String>,
}

/// A bucket and how it stands.
pub(crate) type Shown = (Bucket, Standing);

/// Which apps' corrections did not get through, and why the first of them did not.
struct Unsettled {
    error: Error,
    apps: BTreeSet<u64>,
}

/// When a tenant's use of a bucket was written down last, by the hash of both: of two that have the same one the second is
/// written down a while later, and hundreds of thousands take little memory.
#[derive(Default)]
struct Noted {
    by_hash: HashMap<u64, Instant>,
    hasher: RandomState,
}

impl Noted {
    fn hash(&self, tenant: &TenantId, key: &str) -> u64 {
        self.hasher.hash_one((tenant.as_str(), key))
    }

    /// Whether it is to be written down now; then it counts as written.
    fn is_new(&mut self, tenant: &TenantId, key: &str, now: Instant) -> bool {
        let hash = self.hash(tenant, key);
        let is_new = self.by_hash.get(&hash).is_none_or(|before| now - *before >= NOTED_FOR);
        if is_new {
            self.by_hash.insert(hash, now);
        }
        is_new
    }

    fn forget(&mut self, tenant: &TenantId, key: &str) {
        let hash = self.hash(tenant, key);
        self.by_hash.remove(&hash);
    }
}

/// Reports that are being told. What is left of them when it goes, also because its caller went, is told with the next.
struct Untold<'a> {
    quotas: &'a Quotas,
    reports: Vec<UsageReport>,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        if !self.reports.is_empty() {
            self.quotas.keep_untold(std::mem::take(&mut self.reports));
        }
    }
}

/// Everything that a replica of ratelimit does.
pub(crate) struct Quotas {
    counter: Arc<Counter>,
    waiting: Waiting,
    rules: Rules,
    permits: Permits,
    reservations: Reservations,
    tiers: Tiers,
    noted: Mutex<Noted>,
    /// The epoch of each app's last decision.
    epochs: Mutex<HashMap<u64, i64>>,
    /// What Meta said and Redis was not told, because it did not answer: it is told with the next reports.
    untold: Mutex<Vec<UsageReport>>,
    trail: Option<Arc<Trail>>,
}

impl Quotas {
    /// `key` signs permits and reservations; all replicas have the same.
    pub(crate) fn new(counter: Arc<Counter>, waiting: Waiting, rules: Rules, key: &[u8]) -> Self {
        Self {
            counter,
            waiting,
            rules,
            permits: Permits::new(key),
            reservations: Reservations::new(key),
            tiers: Tiers::default(),
            noted: Mutex::default(),
            epochs: Mutex::default(),
            untold: Mutex::default(),
            trail: None,
        }
    }

    /// The same, leaving a trail.
    pub(crate) fn with_trail(self, trail: Arc<Trail>) -> Self {
        Self { trail: Some(trail), ..self }
    }

    pub(crate) fn counter(&self) -> &Counter {
        &self.counter
    }

    /// Writes what the trail has not written yet.
    pub(crate) async fn write_trail(&self) -> Result<(), Error> {
        match &self.trail {
            Some(trail) => trail.write().await,
            None => Ok(()),
        }
    }

    /// These buckets may have room now: who waits is tried, and what was refused before is forgotten.
    pub(crate) fn reconsider(&self, buckets: &[Bucket]) {
        self.counter.forget(buckets);
        self.waiting.reconsider(buckets.iter().map(|bucket| bucket.key.as_str()));
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Ceilings changed: who waits is tried under the new ones, and what was refused under the old ones is forgotten.
    pub(crate) fn reconsider_all(&self) {
        self.counter.forget_all();
        self.waiting.reconsider_all();
    }

    /// Applies the reports and decides. Reports that may change this very decision are applied before it; others go to
    /// Redis beside it, in no order, so that most calls cost one trip.
    pub(crate) async fn acquire(&self, tenant: &TenantId, ask: Acquire, deadline: Instant) -> Result<Decision, Error> {
        let mut untold = self.with_untold(&ask.reports);
        let findings = usage::read(&untold.reports, &self.permits);
        self.learn_tiers(&findings).await;
        let reservation = self.under(tenant, &ask)?;
        let demand = Demand { reservation, ..self.demand(tenant, ask.app, ask.priority, &ask.charges).await? };
        let origin = Origin::of(tenant.as_str(), &ask.asker, &demand);
        let decide = async || {
            let began = Instant::now();
            let wait = self.waiting.acquire(tenant, demand.clone(), deadline);
            let (outcome, noted) = tokio::join!(wait, self.note_use(tenant, &demand));
            if let (Some(trail), Ok(outcome)) = (&self.trail, &outcome) {
                trail.decided(&origin, &demand, outcome, began.elapsed());
            }
            (outcome, noted)
        };
        let (settled, (outcome, noted)) = if self.may_decide(&findings, &demand) {
            (self.correct(findings).await, decide().await)
        } else {
            tokio::join!(self.correct(findings), decide())
        };
        let settled = match settled {
            Ok(()) => {
                untold.reports.clear();
                Ok(())
            }
            Err(Unsettled { error, apps }) => {
                let is_of = |report: &UsageReport| {
                    let findings = usage::read(std::slice::from_ref(report), &self.permits);
                    findings.corrections.iter().any(|(scope, _)| apps.contains(&scope.app))
                };
                untold.reports.retain(|report| error.is_redis_away() && is_of(report));
                Err(error)
            }
        };
        if let Ok(Outcome::Admitted(admission)) = &outcome {
            self.forget_uses_before(demand.app, admission.epoch);
        }
        // The answer is worth more than what rode along with it.
        for lost in [settled, noted].into_iter().filter_map(Result::err) {
            warn!(error = &lost as &dyn std::error::Error, "usage that rode on an Acquire was lost");
        }
        Ok(self.decision(&demand, outcome?, origin.clone()))
    }

    /// Applies reports at once.
    pub(crate) async fn settle(&self, reports: &[UsageReport]) -> Result<(), Error> {
        let findings = usage::read(reports, &self.permits);
        self.learn_tiers(&findings).await;
        self.correct(findings).await.map_err(|unsettled| unsettled.error)
    }

    /// Gives permits back; answers how many. Values that are no permits of ours count as none.
    pub(crate) async fn release(&self, values: &[Vec<u8>]) -> Result<u32, Error> {
        let mut released = 0;
        for permit in values.iter().filter_map(|value| self.permits.open(value)) {
            let buckets: Vec<Bucket> = permit.scopes().map(|scope| self.rules.bucket(scope, None)).collect();
            if buckets.len() == permit.charged.len() && self.counter.release(&permit, &buckets).await? {
                released += 1;
                self.waiting.reconsider(buckets.iter().map(|bucket| bucket.key.as_str()));
            }
        }
        Ok(released)
    }

    /// How one bucket stands. Its sums show only to tenants whose calls used it: what another tenant's account does is
    /// nobody else's business.
    pub(crate) async fn get(&self, tenant: &TenantId, scope: Scope) -> Result<Shown, Error> {
        if scope.shared().is_some_and(|(whose, _)| whose != tenant.as_str()) {
            return Err(Error::Unknown { name: scope.to_string(), known: Vec::new() });
        }
        let bucket = self.bucket(scope).await?;
        if !self.counter.store().used_by(tenant).await?.contains(&bucket.key) {
            return Ok((bucket, Standing::default()));
        }
        let mut shown = self.look(vec![bucket]).await?;
        shown.pop().ok_or(Error::Script)
    }

    /// The app through which a tenant's calls used a bucket like this.
    pub(crate) async fn app_of(&self, tenant: &TenantId, like: &Scope) -> Result<Option<u64>, Error> {
        let used = self.counter.store().used_by(tenant).await?;
        let mut scopes = used.iter().filter_map(|key| Scope::from_key(key));
        let same = |scope: &Scope| (scope.kind, &scope.id, &scope.use_case) == (like.kind, &like.id, &like.use_case);
        Ok(scopes.find(same).map(|scope| scope.app))
    }

    /// The buckets that the tenant's calls used, in the order of their keys, and the last key where more follow.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        page: &PageRequest,
    ) -> Result<(Vec<Shown>, Option<String>), Error> {
        let used = self.counter.store().used_by(tenant).await?;
        let after = page.after.as_deref().unwrap_or_default();
        let mut scopes: Vec<Scope> = used
            .iter()
            .filter(|key| key.as_str() > after)
            .filter_map(|key| Scope::from_key(key))
            .filter(|scope| filter.matches(scope))
            .take(page.size + 1)
            .collect();
        let more = scopes.len() > page.size;
        scopes.truncate(page.size);
        let last = scopes.last().filter(|_| more).map(Scope::key);
        let mut buckets = Vec::with_capacity(scopes.len());
        for scope in scopes {
            buckets.push(self.bucket(scope).await?);
        }
        Ok((self.look(buckets).await?, last))
    }

    async fn demand(
        &self,
        tenant: &TenantId,
        app: u64,
        priority: Priority,
        costs: &[(Scope, u32)],
    ) -> Result<Demand, Error> {
        let mut charges = Vec::with_capacity(costs.len());
        for (scope, cost) in costs {
            charges.push((scope.clone(), self.tier(scope).await?, *cost));
        }
        Ok(self.rules.demand_of(tenant, app, priority, charges))
    }

    pub(crate) async fn bucket(&self, scope: Scope) -> Result<Bucket, Error> {
        let tier = self.tier(&scope).await?;
        Ok(self.rules.bucket(scope, tier))
    }

    async fn tier(&self, scope: &Scope) -> Result<Option<Tier>, Error> {
        match scope.account() {
            Some(account) => self.tiers.of(self.counter.store(), scope.app, account).await,
            None => Ok(None),
        }
    }

    /// A tier that cannot be kept is named again by Meta's next answer.
    async fn learn_tiers(&self, findings: &Findings) {
        for (account, tier) in &findings.tiers {
            if let Err(error) = self.tiers.learn(self.counter.store(), account.clone(), *tier).await {
                warn!(error = &error as &dyn std::error::Error, "access tiers could not be kept");
                return;
            }
        }
    }

    /// Whether a correction is of a bucket that the demand is charged to, and weighs enough for its class.
    fn may_decide(&self, findings: &Findings, demand: &Demand) -> bool {
        let class = demand.priority;
        let caps = demand.charges.iter().map(|(bucket, _)| bucket.ceiling.caps).min_by_key(|caps| caps.percent(class));
        let caps = caps.unwrap_or_default();
        let weighty = findings.corrections.iter().filter(|(_, correction)| correction.may_decide(class, caps));
        let mut keys = weighty.map(|(scope, _)| self.rules.bucket(scope.clone(), None).key);
        keys.any(|key| demand.charges.iter().any(|(bucket, _)| bucket.key == key))
    }

    async fn correct(&self, findings: Findings) -> Result<(), Unsettled> {
        let mut by_app: BTreeMap<u64, Vec<(Bucket, Correction)>> = BTreeMap::new();
        let mut blames = HashMap::new();
        for (scope, correction) in findings.corrections {
            let (app, blame) = (scope.app, findings.blames.get(&scope));
            let bucket = match self.bucket(scope).await {
                Ok(bucket) => bucket,
                Err(error) => return Err(Unsettled { error, apps: [app].into() }),
            };
            blames.extend(blame.map(|blame| (bucket.key.clone(), blame)));
            by_app.entry(app).or_default().push((bucket, correction));
        }
        let mut failed: Option<Unsettled> = None;
        for (app, corrections) in &by_app {
            if let Err(error) = self.counter.settle(corrections).await {
                failed.get_or_insert_with(|| Unsettled { error, apps: BTreeSet::new() }).apps.insert(*app);
            }
        }
        if let Some(trail) = &self.trail {
            trail.answered(&findings.answers);
            let is_settled = |app: &u64| failed.as_ref().is_none_or(|failed| !failed.apps.contains(app));
            for (bucket, correction) in by_app.iter().filter(|(app, _)| is_settled(app)).flat_map(|(_, told)| told) {
                trail.told(bucket, correction, blames.get(&bucket.key).copied());
            }
        }
        failed.map_or(Ok(()), Err)
    }

    pub(crate) async fn look(&self, buckets: Vec<Bucket>) -> Result<Vec<Shown>, Error> {
        let mut shown = Vec::with_capacity(buckets.len());
        for part in buckets.chunk_by(|one, next| one.scope.app == next.scope.app).flat_map(|app| app.chunks(LOOK_MAX)) {
            let app = part.first().map_or(0, |bucket| bucket.scope.app);
            let standings = self.counter.store().look(app, part).await?;
            shown.extend(part.iter().cloned().zip(standings));
        }
        Ok(shown)
    }

    async fn note_use(&self, tenant: &TenantId, demand: &Demand) -> Result<(), Error> {
        if self.counter.is_away(demand.app) {
            return Ok(());
        }
        let keys = self.to_note(tenant, demand);
        if keys.is_empty() {
            return Ok(());
        }
        let noted = self.counter.store().note_use(tenant, &keys).await;
        if noted.is_err() {
            let mut remembered = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            for key in keys {
                remembered.forget(tenant, key);
            }
        }
        noted
    }

    /// Counters that were lost took the lists of uses with them.
    fn forget_uses_before(&self, app: u64, epoch: i64) {
        let before = self.epochs.lock().unwrap_or_else(PoisonError::into_inner).insert(app, epoch);
        if before.is_some_and(|before| before != epoch) {
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).by_hash.clear();
        }
    }

    fn with_untold(&self, reports: &[UsageReport]) -> Untold<'_> {
        let mut all = std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
        all.extend_from_slice(reports);
        Untold { quotas: self, reports: all }
    }

    /// The newest of them.
    fn keep_untold(&self, reports: Vec<UsageReport>) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.extend(reports);
        let too_many = untold.len().saturating_sub(UNTOLD_MAX);
        untold.drain(..too_many);
    }

    fn to_note<'a>(&self, tenant: &TenantId, demand: &'a Demand) -> Vec<&'a str> {
        let now = Instant::now();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.by_hash.len() >= NOTED_MAX {
            noted.by_hash.clear();
        }
        let keys = demand.charges.iter().map(|(bucket, _)| bucket.key.as_str());
        keys.filter(|key| noted.is_new(tenant, key, now)).collect()
    }

    fn decision(&self, demand: &Demand, outcome: Outcome, origin: Origin) -> Decision {
        match outcome {
            Outcome::Admitted(admission) => {
                let permit = Permit { origin: Some(origin), ..counter::permit(demand, &admission) };
                let value = self.permits.sign(&permit);
                Decision::Permit { value, epoch: admission.epoch, charged: admission.sent }
            }
            Outcome::Refused(refusal) => Decision::Wait {
                delay: refusal.wait,
                scope: demand.bucket(refusal.binding).map(|bucket| bucket.scope.clone()),
                reason: refusal.reason,
                epoch: refusal.epoch,
            },
        }
    }
}

impl Filter {
    fn matches(&self, scope: &Scope) -> bool {
        self.app.is_none_or(|app| scope.app == app)
            && self.kind.is_none_or(|kind| scope.kind == kind)
            && self.id.as_ref().is_none_or(|id| scope.id == *id)
    }
}
