//! What a world file says, checked.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::table::{Faults, Table};
use crate::nodes::goals;
use crate::state::{Ceilings, Holder, Status};

/// The most of anything that one line makes.
const COUNT_MAX: i64 = 100_000;
const MINOR_MAX: i64 = 1_000_000_000_000;
const DAYS_MAX: i64 = 3_650;

/// A world as a person wrote it down.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Plan {
    pub(super) accounts: Vec<Account>,
    pub(super) pages: Vec<Named>,
    pub(super) instagram_accounts: Vec<Named>,
    pub(super) datasets: Vec<Named>,
    pub(super) tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Account {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) currency: String,
    pub(super) zone: String,
    pub(super) status: i64,
    pub(super) spend_cap: i64,
    pub(super) ceilings: Option<Value>,
    pub(super) campaigns: Vec<Campaign>,
    pub(super) audiences: Vec<Audience>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Campaign {
    pub(super) name: String,
    pub(super) objective: String,
    pub(super) status: Status,
    pub(super) count: u64,
    pub(super) daily_budget: Option<i64>,
    pub(super) ad_sets: Vec<AdSet>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct AdSet {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) count: u64,
    pub(super) goal: String,
    pub(super) daily_budget: Option<i64>,
    pub(super) ads: Vec<Ad>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ad {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) count: u64,
    pub(super) creative: String,
    pub(super) review: String,
    pub(super) days: Vec<Days>,
}

/// Days of delivery.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Days {
    pub(super) from: Day,
    pub(super) to: Option<Day>,
    /// In minor units, on an average day.
    pub(super) spend: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Day {
    On(Date),
    /// So many days after the one on which the world is made.
    After(i64),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Audience {
    pub(super) name: String,
    pub(super) subtype: String,
    pub(super) people: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub(super) id: u64,
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) digest: String,
    pub(super) holder: Holder,
    pub(super) scopes: BTreeSet<String>,
    pub(super) expires: Option<Expiry>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Expiry {
    At(Timestamp),
    /// Seconds after the world is made.
    After(i64),
}

impl Plan {
    /// Reads the tree of a file, or tells every fault in it with its path.
    pub(crate) fn read(value: &Value) -> Result<Self, Vec<String>> {
        let faults = RefCell::new(Vec::new());
        let mut table = Table::new(String::new(), value.clone(), &faults);
        let plan = Self {
            accounts: table.rows("accounts", account),
            pages: table.rows("pages", named),
            instagram_accounts: table.rows("instagram_accounts", named),
            datasets: table.rows("datasets", named),
            tokens: table.rows("tokens", token),
        };
        table.finish();
        drop(table);
        plan.check_ids(&faults);
        let faults = faults.into_inner();
        if faults.is_empty() { Ok(plan) } else { Err(faults) }
    }

    fn check_ids(&self, faults: &Faults) {
        let others =
            [("pages", &self.pages), ("instagram_accounts", &self.instagram_accounts), ("datasets", &self.datasets)];
        let mut seen = BTreeSet::new();
        let accounts = self.accounts.iter().enumerate().map(|(at, account)| ("accounts", at, account.id));
        let others = others
            .into_iter()
            .flat_map(|(name, rows)| rows.iter().enumerate().map(move |(at, row)| (name, at, row.id)));
        for (name, at, id) in accounts.chain(others).filter(|(_, _, id)| *id != 0) {
            if !seen.insert(id) {
                faults.borrow_mut().push(format!("{name}[{at}].id: {id} is there already"));
            }
        }
    }
}

fn account(table: &mut Table<'_>) -> Account {
    let id = table.id("id");
    if id.is_none() {
        table.fault("id", "is needed");
    }
    let currency = table.text("currency").unwrap_or_else(|| "USD".to_owned());
    if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
        table.fault("currency", format!("must be three capital letters, not {currency:?}"));
    }
    let zone = table.text("zone").unwrap_or_else(|| "America/Los_Angeles".to_owned());
    if TimeZone::get(&zone).is_err() {
        table.fault("zone", format!("{zone:?} is no time zone, such as \"Europe/Berlin\""));
    }
    let ceilings = table.take("ceilings");
    if let Some(ceilings) = &ceilings
        && let Err(error) = serde_json::from_value::<Ceilings>(ceilings.clone())
    {
        table.fault("ceilings", error.to_string());
    }
    Account {
        id: id.unwrap_or_default(),
        name: table.text("name").unwrap_or_else(|| format!("Account {}", id.unwrap_or_default())),
        currency,
        zone,
        status: table.integer("status", 1, 202).unwrap_or(1),
        spend_cap: table.integer("spend_cap", 0, MINOR_MAX).unwrap_or_default(),
        ceilings,
        campaigns: table.rows("campaigns", campaign),
        audiences: table.rows("audiences", audience),
    }
}

fn campaign(table: &mut Table<'_>) -> Campaign {
    let objective = table.word("objective", goals::OBJECTIVES).unwrap_or_else(|| "OUTCOME_TRAFFIC".to_owned());
    let daily_budget = table.integer("daily_budget", 1, MINOR_MAX);
    let usual = usual_goal(&objective);
    Campaign {
        name: name(table, "Campaign"),
        status: status(table),
        count: table.count("count", COUNT_MAX),
        ad_sets: table.rows("ad_sets", |table| ad_set(table, usual, daily_budget.is_some())),
        objective,
        daily_budget,
    }
}

fn ad_set(table: &mut Table<'_>, usual: &str, budget_above: bool) -> AdSet {
    let budget = table.integer("daily_budget", 1, MINOR_MAX);
    if budget_above && budget.is_some() {
        table.fault("daily_budget", "stands on the campaign already; only one of them may have a budget");
    }
    AdSet {
        name: name(table, "Ad set"),
        status: status(table),
        count: table.count("count", COUNT_MAX),
        goal: table.text("goal").unwrap_or_else(|| usual.to_owned()),
        daily_budget: if budget_above { None } else { budget.or(Some(5_000)) },
        ads: table.rows("ads", ad),
    }
}

fn ad(table: &mut Table<'_>) -> Ad {
    let reviews = ["APPROVED", "DISAPPROVED", "IN_PROCESS", "WITH_ISSUES"];
    let name = name(table, "Ad");
    Ad {
        status: status(table),
        count: table.count("count", COUNT_MAX),
        creative: table.text("creative").unwrap_or_else(|| name.clone()),
        review: table.word("review", &reviews).unwrap_or_else(|| "APPROVED".to_owned()),
        days: table.rows("days", days),
        name,
    }
}

fn days(table: &mut Table<'_>) -> Days {
    let from = day(table, "from");
    if from.is_none() {
        table.fault("from", "is needed: a date, or a number of days from the first");
    }
    let to = day(table, "to");
    if let (Some(Day::After(from)), Some(Day::After(to))) = (from, to)
        && to < from
    {
        table.fault("to", format!("{to} is before {from}"));
    }
    Days { from: from.unwrap_or(Day::After(0)), to, spend: table.integer("spend", 0, MINOR_MAX).unwrap_or(2_000) }
}

fn day(table: &mut Table<'_>, name: &'static str) -> Option<Day> {
    let value = table.take(name)?;
    let read = match &value {
        Value::String(text) => text.parse().ok().map(Day::On),
        other => other.as_i64().filter(|days| days.abs() <= DAYS_MAX).map(Day::After),
    };
    if read.is_none() {
        table.fault(name, format!("must be a date such as \"2026-11-01\", or a number of days, not {value}"));
    }
    read
}

fn audience(table: &mut Table<'_>) -> Audience {
    let words = ["CUSTOM", "WEBSITE", "APP", "ENGAGEMENT", "LOOKALIKE"];
    Audience {
        name: name(table, "Audience"),
        subtype: table.word("subtype", &words).unwrap_or_else(|| "CUSTOM".to_owned()),
        people: table.integer("people", 0, COUNT_MAX).and_then(|people| u64::try_from(people).ok()).unwrap_or_default(),
    }
}

fn named(table: &mut Table<'_>) -> Named {
    let id = table.id("id");
    if id.is_none() {
        table.fault("id", "is needed");
    }
    Named { id: id.unwrap_or_default(), name: name(table, "Sandbox") }
}

fn token(table: &mut Table<'_>) -> Token {
    let digest = table.text("digest");
    if digest.is_none() {
        table.fault("token", "is needed");
    }
    let holder = table.word("holder", &["USER", "SYSTEM_USER"]);
    let expires = table.take("expires");
    let read = match &expires {
        Some(Value::String(text)) => text.parse().ok().map(Expiry::At),
        Some(other) => other.as_i64().map(Expiry::After),
        None => None,
    };
    if expires.is_some() && read.is_none() {
        table.fault("expires", "must be a time such as \"2026-12-01T00:00:00Z\", or a number of seconds");
    }
    Token {
        digest: digest.unwrap_or_default(),
        holder: if holder.is_some_and(|holder| holder == "USER") { Holder::User } else { Holder::SystemUser },
        scopes: table.texts("scopes").unwrap_or_default().into_iter().collect(),
        expires: read,
    }
}

fn name(table: &mut Table<'_>, otherwise: &str) -> String {
    table.text("name").unwrap_or_else(|| otherwise.to_owned())
}

fn status(table: &mut Table<'_>) -> Status {
    table.word("status", Status::WORDS).and_then(|word| Status::parse(&word)).unwrap_or(Status::Active)
}

/// The goal that most ad sets of an objective have.
fn usual_goal(objective: &str) -> &'static str {
    match objective {
        "OUTCOME_SALES" => "OFFSITE_CONVERSIONS",
        "OUTCOME_LEADS" => "LEAD_GENERATION",
        "OUTCOME_AWARENESS" => "REACH",
        "OUTCOME_ENGAGEMENT" => "POST_ENGAGEMENT",
        "OUTCOME_APP_PROMOTION" => "APP_INSTALLS",
        _ => "LINK_CLICKS",
    }
}
