//! World `small`: one app, one business, three ad accounts, and 90 days of delivery in the first of them.

use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};

use super::showcase::{self, Places};
use super::{Change, Grant, Holder, Kind, Object, Span, State, Status, day, sealed};

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
const BUSINESS: u64 = 6_000_000_000_000_001;
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
    let start = now.checked_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(now);
    people(state, start);
    accounts(state, start);
    owned(state, start);
    let mut ids = FIRST_OBJECT..;
    for campaign in CAMPAIGNS {
        add_campaign(state, campaign, &mut ids, start);
    }
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
        expires: None,
        dead: None,
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

fn accounts(state: &mut State, start: Timestamp) {
    let rows = [
        ("Sandbox Shop", "USD", "America/Los_Angeles", true),
        ("Sandbox Shop Europe", "EUR", "Europe/Berlin", true),
        ("Sandbox Shop Japan", "JPY", "Asia/Tokyo", false),
    ];
    for (id, (name, currency, zone, has_payor)) in ACCOUNTS.into_iter().zip(rows) {
        let mut account = Object::new(id, Kind::AdAccount, id, start).with(json!({
            "name": name,
            "currency": currency,
            "timezone_name": zone,
            "account_status": 1,
            "disable_reason": 0,
            "spend_cap": "0",
            "balance": "0",
            "tos_accepted": { "web_custom_audience_tos": 1, "custom_audience_tos": 1 },
        }));
        if has_payor {
            account = account.with(json!({ "default_dsa_beneficiary": name, "default_dsa_payor": name }));
        }
        account.owner = Some(BUSINESS);
        put(state, account);
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

fn add_campaign(state: &mut State, row: &CampaignRow, ids: &mut impl Iterator<Item = u64>, start: Timestamp) {
    let Some(account) = ACCOUNTS.first().copied() else { return };
    let mut campaign = next(Kind::Campaign, account, ids, start).with(json!({
        "name": row.name,
        "objective": row.objective,
        "buying_type": "AUCTION",
        "special_ad_categories": [],
        "is_adset_budget_sharing_enabled": false,
    }));
    campaign.status = row.status;
    let campaign_id = campaign.id;
    put(state, campaign);
    for (name, budget, ads) in row.ad_sets {
        let mut ad_set = next(Kind::AdSet, account, ids, start).with(ad_set_fields(name, *budget, row.goal));
        ad_set.campaign = Some(campaign_id);
        let ad_set_id = ad_set.id;
        put(state, ad_set);
        let share = budget / i64::try_from(ads.len()).unwrap_or(1);
        for name in *ads {
            let creative = next(Kind::Creative, account, ids, start).with(creative_fields(name));
            let mut ad = next(Kind::Ad, account, ids, start).with(json!({ "name": name }));
            ad.campaign = Some(campaign_id);
            ad.ad_set = Some(ad_set_id);
            ad.creative = Some(creative.id);
            ad.spans = vec![delivered(state, account, row.status, share, start)];
            put(state, creative);
            put(state, ad);
        }
    }
}

/// The paused campaign stopped two thirds of the way.
fn delivered(state: &State, account: u64, status: Status, daily_minor: i64, start: Timestamp) -> Span {
    let from = day(state, account, start);
    let stopped = from.checked_add((DAYS * 2 / 3).days()).unwrap_or(from);
    Span { from, to: (status != Status::Active).then_some(stopped), daily_minor }
}

fn next(kind: Kind, account: u64, ids: &mut impl Iterator<Item = u64>, start: Timestamp) -> Object {
    Object::new(ids.next().unwrap_or_default(), kind, account, start)
}

fn ad_set_fields(name: &str, budget: i64, goal: &str) -> Value {
    let mut fields = json!({
        "name": name,
        "daily_budget": budget.to_string(),
        "billing_event": "IMPRESSIONS",
        "optimization_goal": goal,
        "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
        "destination_type": "UNDEFINED",
        "attribution_spec": [{ "event_type": "CLICK_THROUGH", "window_days": 7 }, { "event_type": "VIEW_THROUGH", "window_days": 1 }],
        "targeting": {
            "age_min": 18,
            "age_max": 65,
            "geo_locations": { "countries": ["US"], "location_types": ["home", "recent"] },
            "targeting_automation": { "advantage_audience": 0 },
        },
    });
    if goal == "OFFSITE_CONVERSIONS"
        && let Value::Object(map) = &mut fields
    {
        let promoted = json!({ "pixel_id": DATASET.to_string(), "custom_event_type": "PURCHASE" });
        map.insert("promoted_object".to_owned(), promoted);
    }
    fields
}

fn creative_fields(name: &str) -> Value {
    json!({
        "name": name,
        "_content": format!("small:{name}"),
        "object_type": "SHARE",
        "actor_id": PAGE.to_string(),
        "object_story_spec": {
            "page_id": PAGE.to_string(),
            "link_data": { "link": "https://shop.example/", "message": name, "name": name },
        },
    })
}
