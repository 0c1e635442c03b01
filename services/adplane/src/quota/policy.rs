//! `adplane quota policy`: what people set beside the settings, and what counts in effect.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result};
use client::{Client, list_all};
use futures::TryStreamExt;
use proto::ratelimit::v1::{
    CeilingProfile, ClassCaps, EffectiveValue, GetQuotaPolicyRequest, HeaderRule, ListQuotaPoliciesRequest,
    PolicyCeiling, QuotaPolicy, ScopeKind, TenantWeight, UpdateQuotaPolicyRequest,
};
use uuid::Uuid;

use super::full;
use crate::{
    door::{Door, named},
    output::{indented, moment, word},
};

/// What to do with policies.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Shows what is set for an ad account or app, and what counts with where it comes from
    Get(Which),
    /// Shows what was set, a line for each name
    List(Door),
    /// Sets ceilings, shares and weights; what is not named stays as it is
    Set(Box<Settings>),
}

/// Whose policy.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// `act_1`, `adAccounts/act_1` or `metaApps/1`
    name: String,
    #[command(flatten)]
    door: Door,
}

/// What to set.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// `act_1`, `adAccounts/act_1`, or for an operator `metaApps/1`
    name: String,
    /// A ceiling, such as `ads_management=200`, `score=50`, of an app also `app=4800`, `app.ads_insights=900` or `user=200`; with
    /// none as number it falls back
    #[arg(long = "ceiling", value_name = "BUCKET=NUMBER")]
    ceilings: Vec<Ceiling>,
    /// The share of ceilings that a class may fill, such as sync=80; with none it falls back
    #[arg(long = "cap", value_name = "CLASS=PERCENT")]
    caps: Vec<Cap>,
    /// How much more than others a tenant gets, such as acme=3; with none it falls back
    #[arg(long = "weight", value_name = "TENANT=WEIGHT")]
    weights: Vec<Weight>,
    /// How much of what is left a tenant beyond its share may borrow
    #[arg(long, value_name = "PERCENT")]
    borrow_max: Option<u32>,
    /// Whose ceilings count
    #[arg(long)]
    profile: Option<Profile>,
    /// What an access tier in Meta's headers may do
    #[arg(long)]
    headers: Option<Headers>,
    /// What falls back to the settings
    #[arg(long, value_delimiter = ',')]
    clear: Vec<Clearable>,
    /// For an operator, with --clear alone: ends what this tenant set, which binds all who use the ad account
    #[arg(long, value_name = "TENANT")]
    of: Option<String>,
    /// Only checks it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    door: Door,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Profile {
    Meta,
    Source,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Headers {
    Follow,
    Tighten,
}

/// A field of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Clearable {
    Profile,
    Ceilings,
    Caps,
    Weights,
    BorrowMax,
    Headers,
}

impl Clearable {
    fn path(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Ceilings => "ceilings",
            Self::Caps => "class_caps",
            Self::Weights => "weights",
            Self::BorrowMax => "borrow_max_percent",
            Self::Headers => "headers",
        }
    }
}

pub(crate) async fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Get(Which { name, door }) => {
            let policy = get(&door.open()?, &full(&name)).await?;
            door.output().text(&policy, text)
        }
        Verb::List(door) => list(&door).await,
        Verb::Set(settings) => set(*settings).await,
    }
}

async fn get(client: &Client, name: &str) -> Result<QuotaPolicy> {
    let request = GetQuotaPolicyRequest { name: name.to_owned() };
    let answer = client.quota_policies().get_quota_policy(request).await?.into_inner();
    answer.policy.context("ratelimit answered without a policy")
}

async fn list(door: &Door) -> Result<()> {
    let client = door.open()?;
    let all = all(&client).await?;
    door.output().rows(&["name", "by", "sets", "changed", "by whom"], &all, |policy| {
        let by = if policy.tenant.is_empty() { "operators" } else { &policy.tenant };
        let when = moment(policy.update_time.as_ref());
        vec![policy.name.clone(), by.to_owned(), sets(policy), when, policy.actor.clone()]
    })
}

async fn all(client: &Client) -> Result<Vec<QuotaPolicy>> {
    let all = list_all(async |page_token| {
        let request = ListQuotaPoliciesRequest { page_size: 1_000, page_token };
        let page = client.quota_policies().list_quota_policies(request).await?.into_inner();
        Ok((page.policies, page.next_page_token))
    });
    Ok(all.try_collect().await?)
}

/// What a tenant set.
async fn of_tenant(client: &Client, name: &str, tenant: &str) -> Result<QuotaPolicy> {
    let tenant = if tenant.starts_with("tenants/") { tenant.to_owned() } else { format!("tenants/{tenant}") };
    let set = all(client).await?.into_iter().find(|policy| policy.name == name && policy.tenant == tenant);
    set.with_context(|| format!("{tenant} set nothing for {name}; see `adplane quota policy list`"))
}

/// Reads what is set and writes it back changed: what somebody else sets meanwhile is not overwritten but refused.
async fn set(settings: Settings) -> Result<()> {
    let (client, name) = (settings.door.open()?, full(&settings.name));
    let mut policy = match &settings.of {
        Some(tenant) => of_tenant(&client, &name, tenant).await?,
        None => get(&client, &name).await?,
    };
    policy.effective.clear();
    let paths = settings.apply(&mut policy);
    anyhow::ensure!(!paths.is_empty(), "nothing to set: name a --ceiling, --cap, --weight, ... or what to --clear");
    let request = UpdateQuotaPolicyRequest {
        policy: Some(policy),
        update_mask: Some(prost_types::FieldMask { paths }),
        request_id: Uuid::new_v4().to_string(),
        validate_only: settings.dry_run,
    };
    let answer = client.quota_policies().update_quota_policy(request).await?.into_inner();
    if settings.dry_run {
        let policy = answer.policy.context("ratelimit answered without a policy")?;
        return settings.door.output().text(&policy, |policy| {
            vec![format!("{} could be set so, and is as it was: {}", policy.name, sets(policy))]
        });
    }
    let policy = get(&client, &name).await?;
    settings.door.output().text(&policy, text)
}

impl Settings {
    /// Changes the policy; answers which of its fields.
    fn apply(&self, policy: &mut QuotaPolicy) -> Vec<String> {
        let mut fields = self.clear.clone();
        for field in &self.clear {
            clear(policy, *field);
        }
        for Ceiling { kind, use_case, limit } in &self.ceilings {
            policy.ceilings.retain(|set| (set.kind(), &set.use_case) != (*kind, use_case));
            let set = limit.map(|limit| PolicyCeiling { kind: (*kind).into(), use_case: use_case.clone(), limit });
            policy.ceilings.extend(set);
            fields.push(Clearable::Ceilings);
        }
        for cap in &self.caps {
            *cap.class.of(policy.class_caps.get_or_insert_default()) = cap.percent;
            fields.push(Clearable::Caps);
        }
        for Weight { tenant, weight } in &self.weights {
            policy.weights.retain(|set| set.tenant != *tenant);
            policy.weights.extend(weight.map(|weight| TenantWeight { tenant: tenant.clone(), weight }));
            fields.push(Clearable::Weights);
        }
        if self.borrow_max.is_some() {
            policy.borrow_max_percent = self.borrow_max;
            fields.push(Clearable::BorrowMax);
        }
        if let Some(profile) = self.profile {
            policy.set_profile(match profile {
                Profile::Meta => CeilingProfile::Meta,
                Profile::Source => CeilingProfile::Source,
            });
            fields.push(Clearable::Profile);
        }
        if let Some(headers) = self.headers {
            policy.set_headers(match headers {
                Headers::Follow => HeaderRule::Follow,
                Headers::Tighten => HeaderRule::Tighten,
            });
            fields.push(Clearable::Headers);
        }
        let mut paths: Vec<String> = fields.into_iter().map(|field| field.path().to_owned()).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

fn clear(policy: &mut QuotaPolicy, field: Clearable) {
    match field {
        Clearable::Profile => policy.set_profile(CeilingProfile::Unspecified),
        Clearable::Ceilings => policy.ceilings.clear(),
        Clearable::Caps => policy.class_caps = None,
        Clearable::Weights => policy.weights.clear(),
        Clearable::BorrowMax => policy.borrow_max_percent = None,
        Clearable::Headers => policy.set_headers(HeaderRule::Unspecified),
    }
}

fn text(policy: &QuotaPolicy) -> Vec<String> {
    let by = if policy.tenant.is_empty() { "operators" } else { &policy.tenant };
    let mut lines = match sets(policy).as_str() {
        "" => vec![format!("{}: nothing is set by {by}.", policy.name)],
        set => {
            let when = moment(policy.update_time.as_ref());
            vec![format!("{}: set by {by}: {set} ({} at {when}).", policy.name, policy.actor)]
        }
    };
    let mut by_app: BTreeMap<&str, Vec<&EffectiveValue>> = BTreeMap::new();
    for value in &policy.effective {
        by_app.entry(&value.meta_app).or_default().push(value);
    }
    for (app, values) in by_app {
        let through = if app.is_empty() { String::new() } else { format!(" through {app}") };
        lines.extend([String::new(), format!("What counts{through}")]);
        let row = |value: &&EffectiveValue| {
            let origin = word(value.origin().as_str_name(), "POLICY_ORIGIN_");
            vec![value.field.clone(), value.value.clone(), origin, value.why.clone()]
        };
        let head = ["field", "value", "from", "why"].map(str::to_owned).to_vec();
        let table: Vec<Vec<String>> = std::iter::once(head).chain(values.iter().map(row)).collect();
        lines.extend(indented(&table));
    }
    lines
}

/// What a policy sets, as `set` takes it.
fn sets(policy: &QuotaPolicy) -> String {
    let mut words = Vec::new();
    if policy.profile() != CeilingProfile::Unspecified {
        words.push(format!("profile={}", word(policy.profile().as_str_name(), "CEILING_PROFILE_")));
    }
    words.extend(policy.ceilings.iter().map(|set| format!("{}={}", bucket(set), set.limit)));
    let mut caps = policy.class_caps.unwrap_or_default();
    for class in [Class::Interactive, Class::Sync, Class::Bulk, Class::Backfill] {
        words.extend((*class.of(&mut caps)).map(|percent| format!("{}={percent}%", class.word())));
    }
    words.extend(policy.weights.iter().map(|set| format!("{}={}", set.tenant, set.weight)));
    words.extend(policy.borrow_max_percent.map(|percent| format!("borrow-max={percent}%")));
    if policy.headers() != HeaderRule::Unspecified {
        words.push(format!("headers={}", word(policy.headers().as_str_name(), "HEADER_RULE_")));
    }
    words.join(", ")
}

fn bucket(set: &PolicyCeiling) -> String {
    let words = match set.kind() {
        ScopeKind::AdAccount if set.use_case.is_empty() => "score".to_owned(),
        ScopeKind::AdAccount => set.use_case.clone(),
        kind => format!("{}.{}", word(kind.as_str_name(), "SCOPE_KIND_"), set.use_case),
    };
    words.trim_end_matches('.').to_owned()
}

/// `ads_management=200`.
#[derive(Debug, Clone)]
struct Ceiling {
    kind: ScopeKind,
    use_case: String,
    limit: Option<u32>,
}

/// `sync=80`.
#[derive(Debug, Clone)]
struct Cap {
    class: Class,
    percent: Option<u32>,
}

/// `acme=3`.
#[derive(Debug, Clone)]
struct Weight {
    tenant: String,
    weight: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Class {
    Interactive,
    Sync,
    Bulk,
    Backfill,
}

impl Class {
    const ALL: [Self; 4] = [Self::Interactive, Self::Sync, Self::Bulk, Self::Backfill];

    fn word(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Sync => "sync",
            Self::Bulk => "bulk",
            Self::Backfill => "backfill",
        }
    }

    fn of(self, caps: &mut ClassCaps) -> &mut Option<u32> {
        match self {
            Self::Interactive => &mut caps.interactive_percent,
            Self::Sync => &mut caps.sync_percent,
            Self::Bulk => &mut caps.bulk_percent,
            Self::Backfill => &mut caps.backfill_percent,
        }
    }
}

/// What stands before and after the sign; a number, or none.
fn pair(text: &str) -> Result<(&str, Option<u32>), String> {
    let (name, number) = text.split_once('=').ok_or("must be like name=number, or name=none")?;
    match number {
        "none" => Ok((name, None)),
        number => number.parse().map(|number| (name, Some(number))).map_err(|_| format!("{number} is no number")),
    }
}

impl FromStr for Ceiling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, limit) = pair(text)?;
        let (kind, use_case) = match name {
            "ads_management" | "ads_insights" | "custom_audience" => (ScopeKind::AdAccount, name),
            "score" => (ScopeKind::AdAccount, ""),
            _ => match name.split_once('.').unwrap_or((name, "")) {
                ("app", use_case) => (ScopeKind::App, use_case),
                ("page", use_case) => (ScopeKind::Page, use_case),
                ("user", "") => (ScopeKind::User, ""),
                _ => {
                    let known = "ads_management, ads_insights, custom_audience, score, app, app.USE_CASE, user";
                    return Err(format!("{name} is no bucket with a ceiling: must be one of {known}, page.USE_CASE"));
                }
            },
        };
        Ok(Self { kind, use_case: use_case.to_owned(), limit })
    }
}

impl FromStr for Cap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, percent) = pair(text)?;
        let class = Class::ALL.into_iter().find(|class| class.word() == name);
        let known = || format!("{name} is no class: must be one of {}", Class::ALL.map(Class::word).join(", "));
        Ok(Self { class: class.ok_or_else(known)?, percent })
    }
}

impl FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, weight) = pair(text)?;
        Ok(Self { tenant: named("tenants", name), weight })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        let line = ["set", "act_1", "--token", "x"].iter().chain(arguments);
        <Line as clap::Parser>::try_parse_from(line).map(|line| line.settings).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_tenant_set_is_ended_in_its_own_name() {
        let settings = settings(&["--of", "acme", "--clear", "ceilings"]).unwrap();
        assert_eq!(settings.of.as_deref(), Some("acme"));
        let limit =
            PolicyCeiling { kind: ScopeKind::AdAccount.into(), use_case: "ads_management".to_owned(), limit: 9 };
        let mut policy =
            QuotaPolicy { tenant: "tenants/acme".to_owned(), ceilings: vec![limit], ..QuotaPolicy::default() };
        assert_eq!(settings.apply(&mut policy), ["ceilings"]);
        assert_eq!((policy.tenant.as_str(), policy.ceilings.len()), ("tenants/acme", 0));
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let ceiling = |use_case: &str, limit| PolicyCeiling {
            kind: ScopeKind::AdAccount.into(),
            use_case: use_case.to_owned(),
            limit,
        };
        let mut policy = QuotaPolicy {
            ceilings: vec![ceiling("ads_management", 100), ceiling("ads_insights", 50)],
            class_caps: Some(ClassCaps { sync_percent: Some(80), ..ClassCaps::default() }),
            borrow_max_percent: Some(10),
            ..QuotaPolicy::default()
        };
        let arguments =
            ["--ceiling", "ads_insights=none", "--ceiling", "score=7", "--cap", "bulk=40", "--clear", "borrow-max"];
        let paths = settings(&arguments).unwrap().apply(&mut policy);
        assert_eq!(paths, ["borrow_max_percent", "ceilings", "class_caps"]);
        assert_eq!(policy.ceilings, [ceiling("ads_management", 100), ceiling("", 7)]);
        assert_eq!(sets(&policy), "ads_management=100, score=7, sync=80%, bulk=40%");
        let weights = settings(&["--weight", "acme=3", "--headers", "tighten", "--profile", "source"]).unwrap();
        assert_eq!(weights.apply(&mut policy), ["headers", "profile", "weights"]);
        assert!(sets(&policy).ends_with("tenants/acme=3, headers=tighten"), "{}", sets(&policy));
    }

    #[test]
    fn what_is_mistyped_is_told_with_what_there_is() {
        for (arguments, told) in [
            (["--ceiling", "ads_managment=1"], "ads_management"),
            (["--ceiling", "ads_management"], "name=number"),
            (["--cap", "sync=lots"], "lots is no number"),
            (["--cap", "synch=1"], "backfill"),
            (["--clear", "weight"], "weights"),
            (["--headers", "loosen"], "tighten"),
        ] {
            let said = settings(&arguments).unwrap_err();
            assert!(said.contains(told), "{arguments:?} does not tell {told}: {said}");
        }
    }
}
