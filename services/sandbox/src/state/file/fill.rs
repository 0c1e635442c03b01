//! Makes the things of a world file.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};

use super::plan::{Account, Ad, AdSet, Campaign, Day, Days, Expiry, Named, Plan, Token};
use crate::state::builder::{self, Builder};
use crate::state::small::{APP, SYSTEM_USER, USER};
use crate::state::{Change, Grant, Holder, Kind, Object, Span, State, Status, day};

/// Ids of the ads objects of a written world, as those of the others below those of callers.
const FIRST_OBJECT: u64 = 120_200_000_000_000_001;
/// When everything was made, unless it delivered before.
const DAYS: i64 = 90;

/// Adds what the file says to a world that has what every world has.
pub(in crate::state) fn fill(state: &mut State, plan: &Plan, now: Timestamp) {
    let mut builder = Builder::new(state, now, FIRST_OBJECT);
    builder.made_days_ago(DAYS);
    let page = json!({ "category": "Shopping & retail", "tasks": ["ADVERTISE", "ANALYZE"] });
    named(&mut builder, &plan.pages, Kind::Page, &page);
    named(&mut builder, &plan.instagram_accounts, Kind::Instagram, &json!({}));
    named(&mut builder, &plan.datasets, Kind::Dataset, &json!({}));
    for account in &plan.accounts {
        add_account(&mut builder, account);
    }
    for token in &plan.tokens {
        add_token(&mut builder, token);
    }
}

fn named(builder: &mut Builder<'_>, rows: &[Named], kind: Kind, fields: &Value) {
    for row in rows {
        let mut fields = fields.clone();
        if let Value::Object(map) = &mut fields {
            map.insert("name".to_owned(), json!(row.name));
            if kind == Kind::Instagram {
                map.insert("username".to_owned(), json!(row.name.to_lowercase().replace(' ', "_")));
            }
        }
        builder.owned(row.id, kind, fields);
    }
}

fn add_account(builder: &mut Builder<'_>, row: &Account) {
    let mut fields = json!({
        "account_status": row.status,
        "spend_cap": row.spend_cap.to_string(),
        "default_dsa_beneficiary": row.name,
        "default_dsa_payor": row.name,
    });
    if let (Value::Object(map), Some(ceilings)) = (&mut fields, &row.ceilings) {
        map.insert("_ceilings".to_owned(), ceilings.clone());
    }
    builder.account(row.id, [&row.name, &row.currency, &row.zone], fields);
    for audience in &row.audiences {
        builder.audience(row.id, &audience.name, &audience.subtype, audience.people);
    }
    let mut creatives = HashMap::new();
    for campaign in &row.campaigns {
        for number in 0..campaign.count {
            add_campaign(builder, row.id, campaign, &numbered(&campaign.name, campaign.count, number), &mut creatives);
        }
    }
}

/// The creatives of an account by what the file calls them.
type Creatives = HashMap<String, u64>;

fn add_campaign(builder: &mut Builder<'_>, account: u64, row: &Campaign, name: &str, creatives: &mut Creatives) {
    let fields = match row.daily_budget {
        Some(budget) => json!({ "daily_budget": budget.to_string(), "bid_strategy": "LOWEST_COST_WITHOUT_CAP" }),
        None => json!({}),
    };
    let campaign = builder.campaign(account, [name, &row.objective], row.status, fields);
    for ad_set in &row.ad_sets {
        for number in 0..ad_set.count {
            add_ad_set(builder, &campaign, ad_set, &numbered(&ad_set.name, ad_set.count, number), creatives);
        }
    }
}

fn add_ad_set(builder: &mut Builder<'_>, campaign: &Object, row: &AdSet, name: &str, creatives: &mut Creatives) {
    let status = below(campaign.status, row.status);
    let made = builder::AdSet { name, status, daily_budget: row.daily_budget, goal: &row.goal };
    let ad_set = builder.ad_set(campaign, made);
    for ad in &row.ads {
        for number in 0..ad.count {
            add_ad(builder, &ad_set, ad, &numbered(&ad.name, ad.count, number), creatives);
        }
    }
}

fn add_ad(builder: &mut Builder<'_>, ad_set: &Object, row: &Ad, name: &str, creatives: &mut Creatives) {
    let account = ad_set.account;
    let creative = match creatives.get(&row.creative) {
        Some(&id) => id,
        None => {
            let id = builder.creative(account, &row.creative, &format!("file:{}", row.creative));
            creatives.insert(row.creative.clone(), id);
            id
        }
    };
    let today = day(builder.state, account, builder.now);
    let spans = row.days.iter().map(|days| span(days, today)).collect();
    let status = below(ad_set.status, row.status);
    let mut ad = builder.ad(ad_set, builder::Ad { name, status, creative, spans });
    match row.review.as_str() {
        "DISAPPROVED" => ad = ad.with(json!({ "_verdict": "DISAPPROVED" })),
        "WITH_ISSUES" => {
            let issue = json!({ "level": "AD", "error_code": 1_815_869, "error_summary": "The ad has an issue" });
            ad = ad.with(json!({ "issues_info": [issue] }));
        }
        "IN_PROCESS" => ad.review_from = Some(builder.now),
        _ => {}
    }
    builder.put(ad);
}

fn span(days: &Days, today: Date) -> Span {
    let date = |day: Day| match day {
        Day::On(date) => date,
        Day::After(days) => today.checked_add(days.days()).unwrap_or(today),
    };
    Span { from: date(days.from), to: days.to.map(date), daily_minor: days.spend }
}

fn add_token(builder: &mut Builder<'_>, row: &Token) {
    let now = builder.now;
    let expires = row.expires.map(|expires| match expires {
        Expiry::At(at) => at,
        Expiry::After(seconds) => now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now),
    });
    let grant = Grant {
        app: APP,
        holder: row.holder,
        person: if row.holder == Holder::User { USER } else { SYSTEM_USER },
        page: None,
        scopes: row.scopes.clone(),
        declined: std::collections::BTreeSet::new(),
        issued: builder.made,
        logged_in: (row.holder == Holder::User).then_some(builder.made),
        expires,
        dead: None,
        dead_code: None,
    };
    builder.state.commit(Change::Token { digest: row.digest.clone(), grant });
}

fn below(parent: Status, own: Status) -> Status {
    if parent.is_gone() { parent } else { own }
}

fn numbered(name: &str, count: u64, number: u64) -> String {
    if count == 1 { name.to_owned() } else { format!("{name} {}", number + 1) }
}
