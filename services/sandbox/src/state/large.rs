//! World `large`: everything of world `small`, and 3,000 ad accounts in many currencies and zones, the first of which
//! holds 100,000 ads. Made from the seed alone, so that the same seed is the same world.

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::builder::{Ad, AdSet, Builder};
use super::{Kind, Object, Span, State, Status};

/// The account with very many ads.
pub(crate) const BULK_ACCOUNT: u64 = 1_000_000_001_000;
/// Accounts of this world beside the three of world `small`.
const ACCOUNTS: u64 = 2_997;
const BULK_CAMPAIGNS: u64 = 2_000;
const BULK_AD_SETS: u64 = 10;
const BULK_ADS: u64 = 5;
/// Creatives of the bulk account, each of which several ads share.
const BULK_CREATIVES: u64 = 20_000;
const PAGES: u64 = 40;
const FIRST_PAGE: u64 = 3_000_000_000_001_000;
const FIRST_INSTAGRAM: u64 = 4_000_000_000_001_000;
const FIRST_DATASET: u64 = 2_000_000_000_001_000;
/// Ids of the ads objects of this world, between those of world `small` and those of callers.
const FIRST_OBJECT: u64 = 120_205_000_000_000_001;
/// How long ago the oldest object was made.
const DAYS: i64 = 700;

/// Currencies, of which some have no minor units and one has three digits of them, and zones on both sides of UTC.
const PLACES: &[(&str, &str)] = &[
    ("USD", "America/New_York"),
    ("EUR", "Europe/Madrid"),
    ("JPY", "Asia/Tokyo"),
    ("KRW", "Asia/Seoul"),
    ("GBP", "Europe/London"),
    ("BRL", "America/Sao_Paulo"),
    ("KWD", "Asia/Kuwait"),
    ("INR", "Asia/Kolkata"),
    ("AUD", "Australia/Sydney"),
    ("USD", "Pacific/Honolulu"),
    ("CLP", "America/Santiago"),
    ("CHF", "Europe/Zurich"),
];
/// Objectives and a goal that fits each.
const AIMS: &[(&str, &str)] = &[
    ("OUTCOME_SALES", "OFFSITE_CONVERSIONS"),
    ("OUTCOME_TRAFFIC", "LINK_CLICKS"),
    ("OUTCOME_TRAFFIC", "LANDING_PAGE_VIEWS"),
    ("OUTCOME_AWARENESS", "REACH"),
    ("OUTCOME_ENGAGEMENT", "POST_ENGAGEMENT"),
    ("OUTCOME_LEADS", "LEAD_GENERATION"),
];

/// Adds the accounts to a world that has what every world has.
pub(super) fn fill(state: &mut State, now: Timestamp) {
    let seed = state.seed;
    let mut builder = Builder::new(state, now, FIRST_OBJECT);
    builder.made_days_ago(DAYS);
    pages(&mut builder);
    for number in 0..ACCOUNTS {
        let chance = Chance::new(seed, number);
        add_account(&mut builder, number, chance);
    }
}

fn pages(builder: &mut Builder<'_>) {
    for number in 0..PAGES {
        let name = format!("Shop {number:02}");
        let page = FIRST_PAGE + number;
        builder.owned(
            page,
            Kind::Page,
            json!({ "name": name, "category": "Shopping & retail", "tasks": ["ADVERTISE", "ANALYZE"] }),
        );
        builder.owned(
            FIRST_INSTAGRAM + number,
            Kind::Instagram,
            json!({ "name": name, "username": format!("shop_{number:02}"), "page": page.to_string() }),
        );
        builder.owned(FIRST_DATASET + number, Kind::Dataset, json!({ "name": format!("{name} dataset") }));
    }
}

fn add_account(builder: &mut Builder<'_>, number: u64, mut chance: Chance) {
    let is_bulk = number == 0;
    let (currency, zone) = pick(PLACES, number);
    // A few accounts are disabled, unsettled or closed.
    let status = if is_bulk { 1 } else { pick_weighted(&mut chance, &[(96, 1), (2, 2), (1, 3), (1, 101)]) };
    let mut fields = json!({ "account_status": status, "disable_reason": u8::from(status == 2) });
    if let (true, Value::Object(map)) = (is_bulk, &mut fields) {
        let ceilings = json!({ "campaigns": 20_000, "ad_sets": 200_000, "ads": 500_000 });
        map.insert("_ceilings".to_owned(), ceilings);
    }
    let id = BULK_ACCOUNT + number;
    builder.made_days_ago(DAYS);
    builder.account(id, [&format!("Shop {number:04}"), currency, zone], fields);
    let audiences = if is_bulk { 200 } else { chance.below(3) };
    for audience in 0..audiences {
        builder.audience(id, &format!("Customers {audience:03}"), "CUSTOM", 20 * chance.below(6));
    }
    let sizes = if is_bulk {
        Sizes { campaigns: BULK_CAMPAIGNS, ad_sets: BULK_AD_SETS, ads: BULK_ADS, creatives: BULK_CREATIVES }
    } else {
        let size = |chance: &mut Chance| 1 + chance.below(2);
        let (campaigns, ad_sets, ads) = (size(&mut chance), size(&mut chance), size(&mut chance));
        Sizes { campaigns, ad_sets, ads, creatives: campaigns * ads }
    };
    add_ads(builder, id, sizes, &mut chance);
}

#[derive(Debug, Clone, Copy)]
struct Sizes {
    campaigns: u64,
    /// Of a campaign.
    ad_sets: u64,
    /// Of an ad set.
    ads: u64,
    creatives: u64,
}

fn add_ads(builder: &mut Builder<'_>, account: u64, sizes: Sizes, chance: &mut Chance) {
    let creatives: Vec<u64> = (0..sizes.creatives)
        .map(|number| builder.creative(account, &format!("Creative {number:05}"), &format!("large:{number}")))
        .collect();
    for campaign in 0..sizes.campaigns {
        let (objective, goal) = pick(AIMS, chance.below(u64::MAX));
        let age = chance.days(DAYS - 10) + 5;
        builder.made_days_ago(age);
        let status = chance.status(70, 20, 6);
        let parent = builder.campaign(account, [&format!("Campaign {campaign:05}"), objective], status, json!({}));
        for ad_set in 0..sizes.ad_sets {
            let budget = 1_000 + 100 * chance.days(90);
            let status = below(parent.status, chance.status(80, 15, 3));
            let row =
                AdSet { name: &format!("Ad set {campaign:05}-{ad_set:02}"), status, daily_budget: Some(budget), goal };
            let parent = builder.ad_set(&parent, row);
            for ad in 0..sizes.ads {
                let name = format!("Ad {campaign:05}-{ad_set:02}-{ad:02}");
                add_ad(builder, &parent, &name, &creatives, age, chance);
            }
        }
    }
}

fn add_ad(builder: &mut Builder<'_>, ad_set: &Object, name: &str, creatives: &[u64], age: i64, chance: &mut Chance) {
    let Some(&creative) =
        creatives.get(usize::try_from(chance.below(1 << 32)).unwrap_or_default() % creatives.len().max(1))
    else {
        return;
    };
    let status = below(ad_set.status, chance.status(85, 10, 3));
    let spans = spans(builder, ad_set, status, age, chance);
    let mut ad = builder.ad(ad_set, Ad { name, status, creative, spans });
    match chance.below(100) {
        0 => ad = ad.with(json!({ "_verdict": "DISAPPROVED" })),
        1 => ad = ad.with(json!({ "issues_info": [issue()] })),
        2 => ad.review_from = Some(builder.now),
        _ => {}
    }
    builder.put(ad);
}

/// What stands above an object that is gone takes it along.
fn below(parent: Status, own: Status) -> Status {
    if parent.is_gone() { parent } else { own }
}

/// Most ads ran for some days and ended; some still run, and some never did.
fn spans(builder: &Builder<'_>, ad_set: &Object, status: Status, age: i64, chance: &mut Chance) -> Vec<Span> {
    let account = ad_set.account;
    let daily_minor = 200 + 20 * chance.days(100);
    match chance.below(20) {
        0..3 => Vec::new(),
        3 if status == Status::Active && ad_set.status == Status::Active => {
            vec![Span { from: builder.days_ago(account, age.min(chance.days(60))), to: None, daily_minor }]
        }
        _ => {
            let from = builder.days_ago(account, chance.days(age.min(120)) + 1);
            let last = from.checked_add((chance.days(12)).days()).unwrap_or(from);
            vec![Span { from, to: Some(last.min(builder.days_ago(account, 1))), daily_minor }]
        }
    }
}

fn issue() -> Value {
    json!({
        "level": "AD",
        "error_code": 1_815_869,
        "error_summary": "The post of this ad is no longer available",
        "error_message": "The post was deleted, or you may no longer see it.",
        "error_type": "HARD_ERROR",
    })
}

fn pick<T: Copy + Default>(rows: &[T], number: u64) -> T {
    let count = u64::try_from(rows.len()).unwrap_or(1).max(1);
    usize::try_from(number % count).ok().and_then(|at| rows.get(at)).copied().unwrap_or_default()
}

fn pick_weighted(chance: &mut Chance, rows: &[(u64, i64)]) -> i64 {
    let mut at = chance.below(rows.iter().map(|(weight, _)| weight).sum());
    for &(weight, value) in rows {
        if at < weight {
            return value;
        }
        at -= weight;
    }
    1
}

/// Numbers that look like chance and are not: `SplitMix64`, begun anew for each account.
#[derive(Debug, Clone, Copy)]
struct Chance(u64);

impl Chance {
    fn new(seed: u64, account: u64) -> Self {
        Self(seed.wrapping_mul(0xd1b5_4a32_d192_ed03) ^ account.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    fn days(&mut self, end: i64) -> i64 {
        i64::try_from(self.below(u64::try_from(end).unwrap_or(1))).unwrap_or_default()
    }

    /// A status with so many percent active, paused and archived; the rest is deleted.
    fn status(&mut self, active: u64, paused: u64, archived: u64) -> Status {
        match self.below(100) {
            at if at < active => Status::Active,
            at if at < active + paused => Status::Paused,
            at if at < active + paused + archived => Status::Archived,
            _ => Status::Deleted,
        }
    }
}
