//! What is in world `small` beside its ads: things that people made in Meta's own tools, to be found and read.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Change, Grant, Holder, Kind, Object, State, sealed};

/// A token made for the dataset in the events manager.
pub(super) const DATASET_TOKEN: &str = "sandbox-dataset-token";
const FORM: u64 = 7_000_000_000_000_001;
const FIRST_LEAD: u64 = 7_100_000_000_000_001;
const FIRST_MEDIA: u64 = 4_100_000_000_000_001;
const CATALOG: u64 = 8_000_000_000_000_001;
const PRODUCT_SET: u64 = 8_100_000_000_000_001;
const FIRST_PRODUCT: u64 = 8_200_000_000_000_001;
const SAVED: u64 = 9_000_000_000_000_001;
const WEBSITE: u64 = 9_100_000_000_000_001;
/// People whom the dataset knew before anybody looked.
const VISITORS: u64 = 18_400;

/// The ids of what the rest of the world made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) app: u64,
    pub(super) business: u64,
    pub(super) system_user: u64,
    pub(super) page: u64,
    pub(super) instagram: u64,
    pub(super) dataset: u64,
    /// The account with ads, and one without.
    pub(super) account: u64,
    pub(super) quiet_account: u64,
}

/// Adds it to a world that has its people, accounts and ads, which began at `start`.
pub(super) fn fill(state: &mut State, places: Places, start: Timestamp, now: Timestamp) {
    change(state, places.system_user, json!({ "role": "ADMIN", "_system": true, "_apps": [places.app.to_string()] }));
    change(state, places.dataset, json!({ "_visitors": VISITORS }));
    audiences(state, places, start);
    leads(state, places, start, now);
    media(state, places, now);
    catalog(state, places, start);
    let grant = Grant {
        app: places.app,
        holder: Holder::Dataset,
        person: places.dataset,
        page: None,
        scopes: std::collections::BTreeSet::new(),
        declined: std::collections::BTreeSet::new(),
        issued: start,
        logged_in: None,
        expires: None,
        dead: None,
        dead_code: None,
    };
    state.commit(Change::Token { digest: sealed(DATASET_TOKEN), grant });
}

fn change(state: &mut State, id: u64, fields: Value) {
    if let Some(object) = state.object(id).cloned() {
        put(state, object.with(fields));
    }
}

fn put(state: &mut State, object: Object) {
    state.commit(Change::Put(Box::new(object)));
}

fn owned(id: u64, kind: Kind, owner: u64, at: Timestamp, fields: Value) -> Object {
    let mut object = Object::new(id, kind, 0, at).with(fields);
    object.owner = Some(owner);
    object
}

fn audiences(state: &mut State, places: Places, start: Timestamp) {
    let saved = Object::new(SAVED, Kind::SavedAudience, places.account, start).with(json!({
        "name": "Adults in the US",
        "description": "Made in the ads manager",
        "approximate_count_lower_bound": 210_000_000,
        "approximate_count_upper_bound": 247_800_000,
        "targeting": { "age_min": 18, "age_max": 65, "geo_locations": { "countries": ["US"] } },
    }));
    put(state, saved);
    let rule = json!({ "inclusions": { "operator": "or", "rules": [{
        "event_sources": [{ "id": places.dataset.to_string(), "type": "pixel" }],
        "retention_seconds": 2_592_000,
        "filter": { "operator": "and", "filters": [{ "field": "url", "operator": "i_contains", "value": "" }] },
    }] } });
    let website = Object::new(WEBSITE, Kind::Audience, places.quiet_account, start).with(json!({
        "name": "All visitors, 30 days",
        "subtype": "WEBSITE",
        "rule": rule.to_string(),
        "pixel_id": places.dataset.to_string(),
        "retention_days": 30,
    }));
    put(state, website);
}

/// One lead of every ten days by the first ad; the oldest can no longer be read.
fn leads(state: &mut State, places: Places, start: Timestamp, now: Timestamp) {
    let fields = json!({
        "name": "Newsletter",
        "questions": [
            { "key": "email", "label": "E-mail", "type": "EMAIL" },
            { "key": "full_name", "label": "Name", "type": "FULL_NAME" },
        ],
        "privacy_policy_url": "https://shop.example/privacy",
    });
    put(state, owned(FORM, Kind::LeadForm, places.page, start, fields));
    let Some(ad) = state.children(places.account, Kind::Ad).next().and_then(|id| state.object(id)).cloned() else {
        return;
    };
    for (number, (days, name)) in
        (0_u64..).zip([(100, "Olga Old"), (20, "Anna Ash"), (10, "Ben Birch"), (1, "Cleo Cedar")])
    {
        let at = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(now);
        let mail = format!("{}@customers.example", name.to_lowercase().replace(' ', "."));
        let mut lead = owned(
            FIRST_LEAD + number,
            Kind::Lead,
            FORM,
            at,
            json!({
                "form_id": FORM.to_string(),
                "ad_id": ad.id.to_string(),
                "platform": "fb",
                "field_data": [{ "name": "email", "values": [mail] }, { "name": "full_name", "values": [name] }],
            }),
        );
        lead.campaign = ad.campaign;
        lead.ad_set = ad.ad_set;
        put(state, lead);
    }
}

fn media(state: &mut State, places: Places, now: Timestamp) {
    let rows = [
        (9, "New colours", "IMAGE", "FEED"),
        (5, "How we sew", "VIDEO", "REELS"),
        (2, "Three ways to wear it", "CAROUSEL_ALBUM", "FEED"),
    ];
    for (number, (days, caption, kind, product)) in (0_u64..).zip(rows) {
        let at = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(now);
        let fields = json!({ "caption": caption, "media_type": kind, "media_product_type": product });
        put(state, owned(FIRST_MEDIA + number, Kind::Media, places.instagram, at, fields));
    }
}

fn catalog(state: &mut State, places: Places, start: Timestamp) {
    let fields = json!({ "name": "Sandbox Shop Products", "vertical": "commerce" });
    put(state, owned(CATALOG, Kind::Catalog, places.business, start, fields));
    let filter = json!({ "product_type": { "i_contains": "Shoes" } }).to_string();
    put(state, owned(PRODUCT_SET, Kind::ProductSet, CATALOG, start, json!({ "name": "Shoes", "filter": filter })));
    let rows = [
        ("shoe-1", "Trail shoes", "Shoes", "8900"),
        ("shoe-2", "City shoes", "Shoes", "7900"),
        ("jacket-1", "Rain jacket", "Jackets", "12900"),
    ];
    for (number, (id, name, kind, price)) in (0_u64..).zip(rows) {
        let fields = json!({
            "retailer_id": id, "name": name, "product_type": kind, "price": price, "currency": "USD",
            "availability": "in stock", "condition": "new", "brand": "Sandbox Shop",
            "url": format!("https://shop.example/{id}"), "image_url": format!("https://shop.example/{id}.jpg"),
        });
        put(state, owned(FIRST_PRODUCT + number, Kind::Product, CATALOG, start, fields));
    }
}
