//! Showing and setting policies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rpc::{FieldError, Fields};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use vocabulary::ids::TenantId;
use vocabulary::page::PageRequest;

use super::effect::Settled;
use super::{EffectiveValue, Kept, Known, OPERATORS, Policy, SetCaps};
use crate::ceilings::TierFromHeaders;
use crate::error::Error;
use crate::explain::Subject;
use crate::freezes::Actor;
use crate::priority::{ClassCaps, Priority};
use crate::quotas::Quotas;
use crate::scope::{ADS_MANAGEMENT, Kind, Scope};
use crate::store::{FreezeRows, PolicyRows, Repeat, Viewer};

/// How often it is asked for changes.
const ASK: Duration = Duration::from_secs(1);
/// The longest that this may take.
const ASKING: Duration = Duration::from_secs(5);
/// How long after a change no replica that reaches PostgreSQL goes on by what it knew before, with room to spare.
const HEARD_MS: i64 = 10_000;
/// How far back calls tell through which apps an ad account is called, and by whom.
const DAY_MS: i64 = 86_400_000;
/// What an operator may do with a tenant's policy.
const ENDS_ONLY: &str = "must set nothing: an operator ends what a tenant set, and sets its own";
/// How often a change without etag is tried again where another came between.
const TRIES: usize = 5;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Profile,
    Ceilings,
    Caps,
    Weights,
    BorrowMax,
    Headers,
}

/// What to set.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) subject: Subject,
    /// Whose; nothing is said where it is the caller's own.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) policy: Policy,
    pub(crate) fields: Vec<Field>,
    /// Empty: whatever version there is.
    pub(crate) etag: String,
}

/// The use cases. One per replica.
#[derive(Clone)]
pub(crate) struct PolicyBook {
    rows: PolicyRows,
    used: FreezeRows,
    quotas: Arc<Quotas>,
}

impl PolicyBook {
    /// With everything that was set.
    pub(crate) async fn open(rows: PolicyRows, used: FreezeRows, quotas: Arc<Quotas>) -> Result<Self, Error> {
        let book = Self { rows, used, quotas };
        book.read().await?;
        Ok(book)
    }

    pub(crate) fn rows(&self) -> &PolicyRows {
        &self.rows
    }

    /// Asks for changes until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut tick = interval(ASK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changed = false;
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            // Once more, for a refusal by the old ceilings that was under way and is remembered since.
            if std::mem::take(&mut changed) {
                self.quotas.reconsider_all();
            }
            match timeout(ASKING, self.read()).await.unwrap_or(Err(Error::Late)) {
                Ok(news) => changed = news,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "policies stay as they were read last");
                }
            }
        }
    }

    async fn read(&self) -> Result<bool, Error> {
        let policies = self.quotas.rules().policies();
        let mut news = false;
        loop {
            let rows = self.rows.after(policies.known().version()).await?;
            if rows.is_empty() || !policies.learn(rows) {
                break;
            }
            news = true;
            self.quotas.reconsider_all();
        }
        Ok(news)
    }

    /// What is set by those who ask, and what counts in effect.
    pub(crate) async fn get(&self, by: &Actor, subject: &Subject) -> Result<(Kept, Vec<EffectiveValue>), Error> {
        self.require_known(by, subject).await?;
        let kept = self.kept(by.layer(), subject).await?;
        let effective = self.effective(by, subject).await?;
        Ok((kept, effective))
    }

    /// What the viewer may see of what was set.
    pub(crate) async fn list(&self, viewer: &Viewer, page: &PageRequest) -> Result<(Vec<Kept>, Option<String>), Error> {
        let mut rows = self.rows.list(viewer, page.after.as_deref(), page.size + 1).await?;
        let more = rows.len() > page.size;
        rows.truncate(page.size);
        let last = rows.last().filter(|_| more).map(|row| format!("{} {}", row.name, row.by));
        Ok((rows, last))
    }

    /// Sets it, once for each request. Without a repeat it is only checked.
    pub(crate) async fn set(&self, by: &Actor, change: &Change, repeat: Option<&Repeat>) -> Result<Kept, Error> {
        let layer = change.layer(by)?;
        self.require_known(by, &change.subject).await?;
        self.read().await?;
        let mut tries = 0;
        loop {
            let before = self.kept(layer, &change.subject).await?;
            if by.operator && layer != OPERATORS && before.version == 0 {
                let words = format!("set nothing for {}: ListQuotaPolicies shows who did", before.name);
                return Err(FieldError::new("policy.tenant", words, "NOTHING_SET").into());
            }
            tries += 1;
            if tries > TRIES || (!change.etag.is_empty() && change.etag != before.etag()) {
                return Err(Error::Stale { name: before.name.clone(), etag: before.etag() });
            }
            let after = Kept { policy: change.of(&before.policy), actor: by.subject.clone(), ..before.clone() };
            self.check(by, change, &after).await?;
            let Some(repeat) = repeat else { return Ok(after) };
            let limited = self.newly_limited(&change.subject, &before.policy, &after.policy).await?;
            let exact_from_ms = self.quotas.counter().store().now_ms() + HEARD_MS;
            if self.rows.put(&after, by.tenant.as_str(), (&limited, exact_from_ms), repeat).await? {
                self.read().await?;
                return self.kept(layer, &change.subject).await;
            }
        }
    }

    /// What is set by operators, or by a tenant.
    pub(crate) async fn kept(&self, whose: &str, subject: &Subject) -> Result<Kept, Error> {
        let name = subject.name();
        Ok(self.rows.get(whose, &name).await?.unwrap_or_else(|| Kept::nothing(whose, &name)))
    }

    async fn effective(&self, by: &Actor, subject: &Subject) -> Result<Vec<EffectiveValue>, Error> {
        let rules = self.quotas.rules();
        let known = rules.policies().known();
        // Another tenant's name is nobody else's business.
        let own = (!by.operator).then_some(by.tenant.as_str());
        let settled = Settled { rules, tenants: own.into_iter().collect() };
        let mut values = Vec::new();
        for (app, account) in self.seen_through(subject).await? {
            let scope = Scope::ad_account(app, &account, ADS_MANAGEMENT);
            let tier = if account.is_empty() { None } else { self.quotas.bucket(scope).await?.tier };
            values.extend(known.values(&settled, app, &account, tier));
        }
        values.retain(|value| {
            by.operator || value.field.strip_prefix("weights.").is_none_or(|tenant| tenant == by.tenant.as_str())
        });
        if !by.operator {
            for value in &mut values {
                value.hide_others(by.tenant.as_str());
            }
        }
        Ok(values)
    }

    /// The apps through which an ad account is called, or the one of no number where none is known.
    async fn seen_through(&self, subject: &Subject) -> Result<Vec<(u64, String)>, Error> {
        match subject {
            Subject::App(app) => Ok(vec![(*app, String::new())]),
            Subject::Thing(_, id) => {
                self.quotas.write_trail().await?;
                let mut apps = self.used.apps_of(&subject.name(), self.now_ms() - DAY_MS).await?;
                if apps.is_empty() {
                    apps.push(0);
                }
                Ok(apps.into_iter().map(|app| (app, id.clone())).collect())
            }
        }
    }

    fn now_ms(&self) -> i64 {
        self.quotas.counter().store().now_ms()
    }

    /// A tenant knows what its calls used, and what it set something for, though no call used it since; another's does not
    /// exist for it.
    async fn require_known(&self, by: &Actor, subject: &Subject) -> Result<(), Error> {
        if by.operator {
            return Ok(());
        }
        if self.rows.get(by.layer(), &subject.name()).await?.is_some() {
            return Ok(());
        }
        let used = self.quotas.counter().store().used_by(&by.tenant).await?;
        let is_it = |scope: &Scope| match subject {
            Subject::App(app) => scope.app == *app,
            Subject::Thing(_, id) => scope.account() == Some(id),
        };
        if used.iter().filter_map(|key| Scope::from_key(key)).any(|scope| is_it(&scope)) {
            return Ok(());
        }
        Err(Error::Unknown { name: subject.name(), known: Vec::new() })
    }

    /// The apps in which a bucket that had no ceiling may have got one.
    async fn newly_limited(&self, subject: &Subject, before: &Policy, after: &Policy) -> Result<Vec<u64>, Error> {
        let always = |kind: Kind, use_case: &str| kind == Kind::AdAccount && !use_case.is_empty();
        let had = |kind: Kind, use_case: &str| {
            before.ceilings.iter().any(|set| (set.kind, set.use_case.as_str()) == (kind, use_case))
        };
        let new = after.ceilings.iter().any(|set| !always(set.kind, &set.use_case) && !had(set.kind, &set.use_case));
        if !new && before.profile == after.profile {
            return Ok(Vec::new());
        }
        Ok(self.seen_through(subject).await?.into_iter().map(|(app, _)| app).collect())
    }

    async fn check(&self, by: &Actor, change: &Change, after: &Kept) -> Result<(), Error> {
        let mut fields = Fields::new();
        let known = self.quotas.rules().policies().known();
        if by.operator && after.by != OPERATORS {
            let ends = change.of(&Policy::default()) == Policy::default();
            fields.check(ends, "policy", ENDS_ONLY, "OPERATOR_ENDS");
        } else if by.operator {
            if change.fields.contains(&Field::Weights) {
                self.check_weights(&mut fields, &change.subject, &after.policy).await?;
            }
        } else {
            if let Subject::App(_) = change.subject {
                return Err(Error::OperatorOnly("only an operator may set the policy of a whole Meta app"));
            }
            self.check_tightens(&mut fields, change, &known.by_operators(&after.name)).await?;
        }
        if change.fields.contains(&Field::Caps) {
            // What this row says, over what counts without it.
            let without = known.by_operators(&after.name).with([Kept { policy: Policy::default(), ..after.clone() }]);
            for (app, account) in self.seen_through(&change.subject).await? {
                let base = without.caps(&Scope::ad_account(app, &account, ADS_MANAGEMENT));
                check_caps(&mut fields, after.policy.caps, base);
            }
        }
        fields.finish().map_err(Error::Field)
    }

    async fn check_weights(&self, fields: &mut Fields, subject: &Subject, policy: &Policy) -> Result<(), Error> {
        if policy.weights.is_empty() {
            return Ok(());
        }
        self.quotas.write_trail().await?;
        let users: BTreeSet<String> = self.rows.users_of(&subject.name()).await?.into_iter().collect();
        for (index, tenant) in policy.weights.keys().enumerate().filter(|(_, tenant)| !users.contains(*tenant)) {
            let known = users.iter().map(|tenant| format!("tenants/{tenant}")).collect::<Vec<_>>().join(", ");
            let words = match known.as_str() {
                "" => format!("tenants/{tenant} is unknown: nobody's calls used {} yet", subject.name()),
                known => format!("tenants/{tenant} is unknown: {} was used by {known}", subject.name()),
            };
            fields.add(FieldError::new(format!("policy.weights[{index}].tenant"), words, "UNKNOWN_TENANT"));
        }
        Ok(())
    }

    async fn check_tightens(&self, fields: &mut Fields, change: &Change, base: &Known) -> Result<(), Error> {
        let policy = &change.policy;
        for (field, name, is_set) in [
            (Field::Profile, "policy.profile", policy.profile.is_some()),
            (Field::Weights, "policy.weights", !policy.weights.is_empty()),
            (Field::BorrowMax, "policy.borrow_max_percent", policy.borrow_max_percent.is_some()),
            (Field::Headers, "policy.headers", policy.headers == Some(TierFromHeaders::Follow)),
        ] {
            let wrong = is_set && change.fields.contains(&field);
            fields.check(!wrong, name, "may only be set so by an operator", "OPERATOR_ONLY");
        }
        let rules = self.quotas.rules();
        for (app, account) in self.seen_through(&change.subject).await? {
            for (index, set) in policy.ceilings.iter().enumerate().filter(|_| change.fields.contains(&Field::Ceilings))
            {
                let scope = Scope { app, kind: set.kind, id: account.clone(), use_case: set.use_case.clone() };
                let tier = self.quotas.bucket(scope.clone()).await?.tier;
                let field = format!("policy.ceilings[{index}].limit");
                match base.ceiling(rules.ceilings(), &scope, tier).limit {
                    Some(limit) => fields.check(
                        set.limit <= limit,
                        &field,
                        format!("must be at most {limit}: only an operator may loosen"),
                        "LOOSENS",
                    ),
                    None => fields.add(FieldError::new(
                        field,
                        "must be of a bucket that has a ceiling: only an operator may set the first",
                        "OPERATOR_ONLY",
                    )),
                }
            }
            if change.fields.contains(&Field::Caps) {
                let caps = base.caps(&Scope::ad_account(app, &account, ADS_MANAGEMENT));
                for (name, set, most) in policy.caps.beside(caps) {
                    let field = format!("policy.class_caps.{name}_percent");
                    let words = format!("must be at most {most}: only an operator may loosen");
                    fields.check(set.is_none_or(|set| set <= most), &field, words, "LOOSENS");
                }
            }
        }
        Ok(())
    }
}

/// What is set is at most as much as a more urgent class has. What is not set is cut to that by itself.
fn check_caps(fields: &mut Fields, set: SetCaps, base: ClassCaps) {
    let of = |class| set.percent(class).unwrap_or(base.percent(class));
    let mut before = Priority::Interactive;
    for class in [Priority::Sync, Priority::Bulk, Priority::Backfill] {
        let field = format!("policy.class_caps.{}_percent", class.word());
        let words = format!("must be at most the {} of {}", of(before), before.word());
        fields.check(set.percent(class).is_none_or(|percent| percent <= of(before)), &field, words, "CAPS_DESCEND");
        if of(class) < of(before) {
            before = class;
        }
    }
}

impl Actor {
    /// Whose policies are theirs.
    fn layer(&self) -> &str {
        if self.operator { OPERATORS } else { self.tenant.as_str() }
    }
}

impl Change {
    /// Whose policy it changes. What a tenant set binds all who use the account, so an operator may end it.
    pub(crate) fn layer<'a>(&'a self, by: &'a Actor) -> Result<&'a str, Error> {
        match &self.tenant {
            Some(tenant) if by.operator || *tenant == by.tenant => Ok(tenant.as_str()),
            Some(_) => Err(Error::OperatorOnly("only an operator may change what another tenant set")),
            None => Ok(by.layer()),
        }
    }

    /// What it makes of a policy.
    fn of(&self, before: &Policy) -> Policy {
        let (mut after, new) = (before.clone(), self.policy.clone());
        for field in &self.fields {
            match field {
                Field::Profile => after.profile = new.profile,
                Field::Ceilings => after.ceilings.clone_from(&new.ceilings),
                Field::Caps => after.caps = new.caps,
                Field::Weights => after.weights.clone_from(&new.weights),
                Field::BorrowMax => after.borrow_max_percent = new.borrow_max_percent,
                Field::Headers => after.headers = new.headers,
            }
        }
        after
    }
}

impl SetCaps {
    fn beside(self, base: ClassCaps) -> [(&'static str, Option<u32>, u32); 4] {
        let [_, rest @ ..] = Priority::ALL;
        rest.map(|class| (class.word(), self.percent(class), base.percent(class)))
    }
}
