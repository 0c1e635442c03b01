//! World `small`: one app, one business, three ad accounts, and 90 days of delivery in the first of them.

use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::json;

use super::builder::{Ad, AdSet, Builder};
use super::showcase::{self, Places};
use super::{Change, Grant, Holder, Kind, Object, Span, State, Status, sealed};

pub(crate) const APP: u64 = 1_000_000_000_000_001;
pub(crate) const APP_NAME: &str = "Sandbox App";
pub(crate) const APP_SECRET: &str = "sandbox-app-secret";
pub(crate) const SYSTEM_USER_TOKEN: &str = "sandbox-system-user-token";
/// The three ad accounts, in US dollars, euros and yen.
pub(crate) const ACCOUNTS: [u64; 3] = [1_000_000_000_001, 1_000_000_000_002, 1_000_000_000_003];
pub(crate) const USER: u64 = 5_000_000_000_000_001;
pub(crate) const SYSTEM_USER: u64 = 5_000_000_000_000_002;
pub(crate) const DATASET: u64 = 2_000_000_000_000_001;
pub(crate) const PAGE: u64 = 3_000_000_000_000_001;
pub(crate) const INSTAGRAM: u64 = 4_000_000_000_000_001;
pub(crate) const BUSINESS: u64 = 6_000_000_000_000_001;
/// Ids of the objects of this world; callers' ids are above.
const FIRST_OBJECT: u64 = 120_200_000_000_000_001;
/// How long the first account has been delivering.
const DAYS: i64 = 90;
/// What may be asked of a person in the login dialog.
pub(crate) const SCOPES: &[&str] = &[
    "ads_management",
    "ads_read",
    "business_management",
    "catalog_management",
    "instagram_basic",
    "instagram_manage_insights",
    "leads_retrieval",
    "pages_manage_ads",
    "pages_manage_metadata",
    "pages_read_engagement",
    "pages_show_list",
    "public_profile",
];

/// Fills an empty world, dated back from `now`.
pub(super) fn fill(state: &mut State, now: Timestamp) {
    around(state, now, campaigns);
}

/// What every world has, and in it the ads that `ads` makes.
pub(super) fn around(state: &mut State, now: Timestamp, ads: impl FnOnce(&mut State, Timestamp)) {
    let start = now.checked_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(now);
    people(state, start);
    accounts(state, now);
    owned(state, start);
    ads(state, now);
    let [account, quiet_account, _] = ACCOUNTS;
    let places = Places {
        app: APP,
        business: BUSINESS,
        system_user: SYSTEM_USER,
        page: PAGE,
        instagram: INSTAGRAM,
        dataset: DATASET,
        account,
        quiet_account,
    };
    showcase::fill(state, places, start, now);
    let scopes = SCOPES.iter().map(|&scope| scope.to_owned()).collect();
    let grant = Grant {
        app: APP,
        holder: Holder::SystemUser,
        person: SYSTEM_USER,
        page: None,
        scopes,
        declined: std::collections::BTreeSet::new(),
        issued: start,
        logged_in: None,
        expires: None,
        dead: None,
        dead_code: None,
    };
    state.commit(Change::Token { digest: sealed(SYSTEM_USER_TOKEN), grant });
}

fn put(state: &mut State, object: Object) {
    state.commit(Change::Put(Box::new(object)));
}

fn people(state: &mut State, start: Timestamp) {
    let named = |id, kind, name: &str| Object::new(id, kind, 0, start).with(json!({ "name": name }));
    put(state, named(BUSINESS, Kind::Business, "Sandbox Business"));
    for (id, name) in [(USER, "Sam Sandbox"), (SYSTEM_USER, "Sandbox System User")] {
        let mut person = named(id, Kind::Person, name);
        person.owner = Some(BUSINESS);
        put(state, person);
    }
}

fn accounts(state: &mut State, now: Timestamp) {
    let rows = [
        ("Sandbox Shop", "USD", "America/Los_Angeles", true),
        ("Sandbox Shop Europe", "EUR", "Europe/Berlin", true),
        ("Sandbox Shop Japan", "JPY", "Asia/Tokyo", false),
    ];
    let mut builder = Builder::new(state, now, FIRST_OBJECT);
    builder.made_days_ago(DAYS);
    for (id, (name, currency, zone, has_payor)) in ACCOUNTS.into_iter().zip(rows) {
        let payor = json!({ "default_dsa_beneficiary": name, "default_dsa_payor": name });
        builder.account(id, [name, currency, zone], if has_payor { payor } else { json!({}) });
    }
}

fn owned(state: &mut State, start: Timestamp) {
    let mut page = Object::new(PAGE, Kind::Page, 0, start)
        .with(json!({ "name": "Sandbox Shop", "category": "Shopping & retail", "tasks": ["ADVERTISE", "ANALYZE"] }));
    page.owner = Some(BUSINESS);
    let mut instagram = Object::new(INSTAGRAM, Kind::Instagram, 0, start)
        .with(json!({ "username": "sandbox_shop", "name": "Sandbox Shop", "page": PAGE.to_string() }));
    instagram.owner = Some(BUSINESS);
    let mut dataset = Object::new(DATASET, Kind::Dataset, 0, start).with(json!({ "name": "Sandbox Shop Dataset" }));
    dataset.owner = Some(BUSINESS);
    dataset.account = ACCOUNTS.first().copied().unwrap_or_default();
    for object in [page, instagram, dataset] {
        put(state, object);
    }
}

struct CampaignRow {
    name: &'static str,
    objective: &'static str,
    status: Status,
    goal: &'static str,
    ad_sets: &'static [(&'static str, i64, &'static [&'static str])],
}

const CAMPAIGNS: &[CampaignRow] = &[
    CampaignRow {
        name: "Always on: sales",
        objective: "OUTCOME_SALES",
        status: Status::Active,
        goal: "OFFSITE_CONVERSIONS",
        ad_sets: &[
            ("Prospects US", 8_000, &["Rain jacket", "Trail shoes"]),
            ("Returning US", 4_000, &["Ten percent off"]),
        ],
    },
    CampaignRow {
        name: "Brand: traffic",
        objective: "OUTCOME_TRAFFIC",
        status: Status::Active,
        goal: "LINK_CLICKS",
        ad_sets: &[("Readers US and CA", 3_000, &["Field guide", "Our workshop"])],
    },
    CampaignRow {
        name: "Last season",
        objective: "OUTCOME_SALES",
        status: Status::Paused,
        goal: "OFFSITE_CONVERSIONS",
        ad_sets: &[("Sale US", 5_000, &["Summer sale"])],
    },
];

/// The campaigns of the first account.
pub(super) fn campaigns(state: &mut State, now: Timestamp) {
    let Some(account) = ACCOUNTS.first().copied() else { return };
    let mut builder = Builder::new(state, now, FIRST_OBJECT);
    builder.made_days_ago(DAYS);
    for row in CAMPAIGNS {
        add_campaign(&mut builder, account, row);
    }
}

fn add_campaign(builder: &mut Builder<'_>, account: u64, row: &CampaignRow) {
    let campaign = builder.campaign(account, [row.name, row.objective], row.status, json!({}));
    for &(name, budget, ads) in row.ad_sets {
        let ad_set = AdSet { name, status: Status::Active, daily_budget: Some(budget), goal: row.goal };
        let ad_set = builder.ad_set(&campaign, ad_set);
        let share = budget / i64::try_from(ads.len()).unwrap_or(1);
        for &name in ads {
            let creative = builder.creative(account, name, &format!("small:{name}"));
            let spans = vec![delivered(builder, account, row.status, share)];
            let ad = builder.ad(&ad_set, Ad { name, status: Status::Active, creative, spans });
            builder.put(ad);
        }
    }
}

/// The paused campaign stopped two thirds of the way.
fn delivered(builder: &Builder<'_>, account: u64, status: Status, daily_minor: i64) -> Span {
    let from = builder.days_ago(account, DAYS);
    let stopped = from.checked_add((DAYS * 2 / 3).days()).unwrap_or(from);
    Span { from, to: (status != Status::Active).then_some(stopped), daily_minor }
}
