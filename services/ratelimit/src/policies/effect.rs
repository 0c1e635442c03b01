//! What counts in effect. Pure.

use std::collections::BTreeSet;

use vocabulary::ids::TenantId;

use super::{Known, Layers, Policy};
use crate::ceilings::{Ceiling, Ceilings, Profile, Tier, TierFromHeaders};
use crate::demand::Rules;
use crate::priority::{ClassCaps, Priority};
use crate::scope::{ADS_INSIGHTS, ADS_MANAGEMENT, CUSTOM_AUDIENCE, Kind, Scope};

/// How much of what is left a tenant beyond its share may borrow where nobody set it, in percent.
pub(crate) const BORROW_MAX_PERCENT: u32 = 50;

/// Who says what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    Settings,
    App,
    Account,
    Tenant(&'a str),
}

/// What counts for one field, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EffectiveValue {
    pub(crate) field: String,
    pub(crate) value: String,
    pub(crate) origin: Said,
    pub(crate) why: String,
    /// Digits of the app through which it counts; 0 where no app is known.
    pub(crate) app: u64,
}

impl EffectiveValue {
    /// What another tenant tightened stays without its name.
    pub(crate) fn hide_others(&mut self, tenant: &str) {
        if matches!(&self.origin, Said::Tenant(by) if by != tenant) {
            self.origin = Said::Tenant(String::new());
            "tightened by another tenant of the ad account".clone_into(&mut self.why);
        }
    }
}

/// As [`Origin`], of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Settings,
    App,
    Account,
    Tenant(String),
}

/// The policies that are about one bucket.
#[derive(Clone, Copy)]
struct About<'a> {
    account: Option<&'a Layers>,
    app: Option<&'a Layers>,
}

impl<'a> About<'a> {
    fn operators(self) -> impl Iterator<Item = (Origin<'a>, &'a Policy)> {
        let of = |layers: Option<&'a Layers>| layers.and_then(|layers| layers.operators.as_ref());
        let account = of(self.account).map(|policy| (Origin::Account, policy));
        account.into_iter().chain(of(self.app).map(|policy| (Origin::App, policy)))
    }

    /// What the first operators' policy that says anything says.
    fn first<T>(self, said: impl Fn(&'a Policy) -> Option<T>) -> Option<(T, Origin<'a>)> {
        self.operators().find_map(|(origin, policy)| said(policy).map(|value| (value, origin)))
    }

    fn tenants(self) -> impl Iterator<Item = (Origin<'a>, &'a Policy)> {
        let layers = self.account.into_iter().flat_map(|layers| &layers.tenants);
        layers.map(|(tenant, policy)| (Origin::Tenant(tenant), policy))
    }

    fn caps(self) -> [(u32, Origin<'a>); 4] {
        let settings = ClassCaps::default();
        let [_, rest @ ..] = Priority::ALL;
        rest.map(|class| {
            let base = self.first(|policy| policy.caps.percent(class));
            let base = base.unwrap_or((settings.percent(class), Origin::Settings));
            let tightened = self.tenants().filter_map(|(origin, policy)| Some((policy.caps.percent(class)?, origin)));
            tightened.fold(base, |least, next| if next.0 < least.0 { next } else { least })
        })
    }

    fn headers(self, settings: &Ceilings) -> (TierFromHeaders, Origin<'a>) {
        let base = self.first(|policy| policy.headers).unwrap_or((settings.tier_from_headers, Origin::Settings));
        let tightens = |(_, policy): &(Origin<'_>, &Policy)| policy.headers == Some(TierFromHeaders::Tighten);
        match self.tenants().find(tightens).filter(|_| base.0 == TierFromHeaders::Follow) {
            Some((origin, _)) => (TierFromHeaders::Tighten, origin),
            None => base,
        }
    }
}

impl Known {
    fn about(&self, scope: &Scope) -> About<'_> {
        if self.layers.is_empty() {
            return About { account: None, app: None };
        }
        let account = scope.account().and_then(|id| self.layers.get(&format!("adAccounts/act_{id}")));
        About { account, app: self.layers.get(&format!("metaApps/{}", scope.app)) }
    }

    /// The ceiling of a bucket, for the tier that Meta named for its ad account, if it did.
    pub(crate) fn ceiling(&self, settings: &Ceilings, scope: &Scope, tier: Option<Tier>) -> Ceiling {
        let about = self.about(scope);
        if about.account.is_none() && about.app.is_none() {
            return settings.of(scope, tier);
        }
        ceiling_from(about, settings, scope, tier).0
    }

    /// The weight that operators set for a tenant.
    pub(crate) fn weight(&self, scope: &Scope, tenant: &TenantId) -> Option<u32> {
        self.about(scope).first(|policy| policy.weights.get(tenant.as_str()).copied()).map(|(weight, _)| weight)
    }

    /// The same without what tenants set: what theirs may be at most.
    pub(crate) fn by_operators(&self, name: &str) -> Self {
        let mut known = self.clone();
        if let Some(layers) = known.layers.get_mut(name) {
            layers.tenants.clear();
        }
        known
    }

    /// The shares of the classes in effect, before any is cut to a more urgent one's.
    pub(crate) fn caps(&self, scope: &Scope) -> ClassCaps {
        let [interactive, sync, bulk, backfill] = self.about(scope).caps().map(|(percent, _)| percent);
        ClassCaps { interactive, sync, bulk, backfill }
    }

    /// Everything that counts for an ad account, or with an empty one for an app itself.
    pub(crate) fn values(
        &self,
        settled: &Settled<'_>,
        app: u64,
        account: &str,
        tier: Option<Tier>,
    ) -> Vec<EffectiveValue> {
        let scope = Scope::ad_account(app, account, ADS_MANAGEMENT);
        let (about, settings) = (self.about(&scope), settled.rules.ceilings());
        let mut values = Values { app, all: Vec::new() };
        let (profile, by) = profile(about, settings, &scope);
        values.add("profile".to_owned(), word(profile).to_owned(), by, None);
        let (headers, by) = about.headers(settings);
        let follows = headers == TierFromHeaders::Follow;
        values.add("headers".to_owned(), if follows { "follow" } else { "tighten" }.to_owned(), by, None);
        for (field, scope) in ceilings_of(app, account) {
            let (ceiling, by) = ceiling_from(self.about(&scope), settings, &scope, tier);
            let limit = ceiling.limit.map_or("no limit".to_owned(), |limit| limit.to_string());
            values.add(format!("ceilings.{field}"), limit, by, Some(ceiling.why.into_owned()));
        }
        let [_, rest @ ..] = Priority::ALL;
        let shares = self.caps(&scope).descending();
        for (class, (_, by)) in rest.into_iter().zip(about.caps()) {
            let field = format!("class_caps.{}_percent", class.word());
            values.add(field, shares.percent(class).to_string(), by, None);
        }
        let borrow = about.first(|policy| policy.borrow_max_percent).unwrap_or((BORROW_MAX_PERCENT, Origin::Settings));
        values.add("borrow_max_percent".to_owned(), borrow.0.to_string(), borrow.1, None);
        let named: BTreeSet<&str> =
            about.operators().flat_map(|(_, policy)| policy.weights.keys()).map(String::as_str).collect();
        for tenant in named.iter().chain(&settled.tenants).copied().collect::<BTreeSet<&str>>() {
            let weight = || tenant.parse().map_or(1, |tenant| settled.rules.weight_by_settings(&tenant));
            let by_settings = || (weight(), Origin::Settings);
            let (weight, by) = about.first(|policy| policy.weights.get(tenant).copied()).unwrap_or_else(by_settings);
            values.add(format!("weights.{tenant}"), weight.to_string(), by, None);
        }
        values.all
    }
}

/// A ceiling, and who says so.
fn ceiling_from<'a>(about: About<'a>, settings: &Ceilings, scope: &Scope, tier: Option<Tier>) -> (Ceiling, Origin<'a>) {
    let (profile, by) = profile(about, settings, scope);
    let mut ceiling = settings.under(scope, tier, profile, about.headers(settings).0);
    let mut origin = if matches!(scope.kind, Kind::Mutation | Kind::BudgetChange) { Origin::Settings } else { by };
    if let Some((limit, by)) = about.first(|policy| policy.ceiling(scope)) {
        (ceiling.limit, origin) = (Some(limit), by);
        ceiling.why = format!("set by the policy of {}", of(scope, by)).into();
    }
    for (by, policy) in about.tenants() {
        let lower = policy.ceiling(scope).filter(|lower| ceiling.limit.is_some_and(|limit| *lower < limit));
        if let Some(limit) = lower {
            (ceiling.limit, origin) = (Some(limit), by);
            ceiling.why = format!("lowered by the policy of {}", of(scope, by)).into();
        }
    }
    let [interactive, sync, bulk, backfill] = about.caps().map(|(percent, _)| percent);
    ceiling.caps = ClassCaps { interactive, sync, bulk, backfill }.descending();
    (ceiling, origin)
}

/// What the settings say, and whose weights are of interest.
pub(crate) struct Settled<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) tenants: BTreeSet<&'a str>,
}

struct Values {
    app: u64,
    all: Vec<EffectiveValue>,
}

impl Values {
    fn add(&mut self, field: String, value: String, by: Origin<'_>, why: Option<String>) {
        let why = why.unwrap_or_else(|| match by {
            Origin::Settings => "as in the settings".to_owned(),
            Origin::App => format!("set by the policy of metaApps/{}", self.app),
            Origin::Account => "set by the policy of the ad account".to_owned(),
            Origin::Tenant(tenant) => format!("tightened by tenants/{tenant}"),
        });
        let origin = match by {
            Origin::Settings => Said::Settings,
            Origin::App => Said::App,
            Origin::Account => Said::Account,
            Origin::Tenant(tenant) => Said::Tenant(tenant.to_owned()),
        };
        self.all.push(EffectiveValue { field, value, origin, why, app: self.app });
    }
}

/// An account's policy, then the settings for the account, the app's policy, the settings for the app, and for all.
fn profile<'a>(about: About<'a>, settings: &Ceilings, scope: &Scope) -> (Profile, Origin<'a>) {
    let of = |layers: Option<&'a Layers>| layers.and_then(|layers| layers.operators.as_ref()?.profile);
    // What is counted together in an app's own buckets is a matter of the settings alone.
    let is_apps = scope.kind == Kind::App;
    let account = of(about.account).map(|profile| (profile, Origin::Account));
    let named = |name: String| settings.profile_named(&name).map(|profile| (profile, Origin::Settings));
    let app = || of(about.app).filter(|_| !is_apps).map(|profile| (profile, Origin::App));
    account
        .or_else(|| scope.account().and_then(|id| named(format!("adAccounts/act_{id}"))))
        .or_else(app)
        .or_else(|| named(format!("metaApps/{}", scope.app)))
        .unwrap_or((settings.profile, Origin::Settings))
}

/// The ceilings that can be set, with their names.
fn ceilings_of(app: u64, account: &str) -> Vec<(String, Scope)> {
    let of_account = |use_case: &str| Scope::ad_account(app, account, use_case);
    let word = |use_case: &str| if use_case.is_empty() { "score".to_owned() } else { use_case.to_owned() };
    let accounts = [ADS_MANAGEMENT, ADS_INSIGHTS, CUSTOM_AUDIENCE, ""].map(|words| (word(words), of_account(words)));
    if !account.is_empty() {
        return accounts.into();
    }
    let of_app = |use_case: &str| match use_case {
        "" => ("app".to_owned(), Scope::of_app(app, "")),
        words => (format!("app.{words}"), Scope::of_app(app, words)),
    };
    let user = Scope { app, kind: Kind::User, id: String::new(), use_case: String::new() };
    let apps = ["", ADS_MANAGEMENT, ADS_INSIGHTS, CUSTOM_AUDIENCE].map(of_app);
    accounts.into_iter().chain(apps).chain([("user".to_owned(), user)]).collect()
}

fn word(profile: Profile) -> &'static str {
    match profile {
        Profile::Meta => "meta",
        Profile::Source => "source",
    }
}

fn of(scope: &Scope, by: Origin<'_>) -> String {
    match by {
        Origin::Settings => "the settings".to_owned(),
        Origin::App => format!("metaApps/{}", scope.app),
        Origin::Account => format!("adAccounts/act_{}", scope.account().unwrap_or_default()),
        // A name that another tenant sees.
        Origin::Tenant(_) => format!("a tenant for adAccounts/act_{}", scope.account().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
