//! What an ad set promotes: which members `promoted_object` needs, and that what they name exists.

use serde_json::Value;

use super::To;
use crate::error::Refusal;
use crate::nodes::write::id_of;
use crate::params::as_text;
use crate::state::{Kind, Object, State, Status};

/// What must be promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    /// A page, or a set of places.
    PageOrPlaces,
    Page,
    Event,
    /// An app and its store address.
    App,
    /// An app, its store address, and an event in it.
    AppEvent,
    /// A dataset and an event, a custom conversion, or a product set.
    Conversion,
}

/// Every `custom_event_type`, in the words of the official SDKs.
#[rustfmt::skip]
const EVENTS: &[&str] = &[
    "ACHIEVEMENT_UNLOCKED", "ADD_PAYMENT_INFO", "ADD_TO_CART", "ADD_TO_WISHLIST", "AD_IMPRESSION",
    "COMPLETE_REGISTRATION", "CONTACT", "CONTENT_VIEW", "CUSTOMIZE_PRODUCT", "D2_RETENTION", "D7_RETENTION", "DONATE",
    "FIND_LOCATION", "INITIATED_CHECKOUT", "LEAD", "LEVEL_ACHIEVED", "LISTING_INTERACTION",
    "MESSAGING_CONVERSATION_STARTED_7D", "OTHER", "PURCHASE", "RATE", "SCHEDULE", "SEARCH", "SERVICE_BOOKING_REQUEST",
    "SPENT_CREDITS", "START_TRIAL", "SUBMIT_APPLICATION", "SUBSCRIBE", "TUTORIAL_COMPLETION",
];

/// What the objective, the goal and the destination want.
pub(super) fn wanted(objective: &str, goal: &str, to: To) -> Wanted {
    match (objective, goal, to) {
        ("OUTCOME_APP_PROMOTION", "OFFSITE_CONVERSIONS" | "VALUE", _) | (_, "OFFSITE_CONVERSIONS", To::App) => {
            Wanted::AppEvent
        }
        ("OUTCOME_APP_PROMOTION", ..) | (_, _, To::App) => Wanted::App,
        (_, "OFFSITE_CONVERSIONS" | "VALUE", _) => Wanted::Conversion,
        ("OUTCOME_AWARENESS", ..) => Wanted::PageOrPlaces,
        (_, "QUALITY_CALL", _) | (_, _, To::Messages | To::Profile | To::Ad | To::Page) => Wanted::Page,
        (_, _, To::Event) => Wanted::Event,
        _ => Wanted::Nothing,
    }
}

/// Fails where a member is missing, or names what does not exist.
pub(super) fn check(state: &State, goal: &str, wanted: Wanted, object: Option<&Value>) -> Result<(), Refusal> {
    let has = |name: &str| object.and_then(|object| object.get(name)).is_some_and(|value| !value.is_null());
    let missing = match wanted {
        Wanted::Nothing => None,
        Wanted::PageOrPlaces => (!has("page_id") && !has("place_page_set_id")).then_some("page_id"),
        Wanted::Page => (!has("page_id")).then_some("page_id"),
        Wanted::Event => (!has("event_id")).then_some("event_id"),
        Wanted::App => ["application_id", "object_store_url"].into_iter().find(|name| !has(name)),
        Wanted::AppEvent => {
            ["application_id", "object_store_url", "custom_event_type"].into_iter().find(|name| !has(name))
        }
        Wanted::Conversion if has("custom_conversion_id") || has("product_set_id") => None,
        Wanted::Conversion if !has("pixel_id") => Some("pixel_id"),
        Wanted::Conversion => (!has("custom_event_type") && !has("pixel_rule")).then_some("custom_event_type"),
    };
    if let Some(name) = missing {
        let text = format!("The goal {goal} needs {name} in promoted_object");
        return Err(Refusal::invalid(text).blame(&["promoted_object", name]));
    }
    exists(state, object)
}

fn lives(state: &State, id: u64, kind: Kind) -> bool {
    state.of_kind(id, kind).is_some_and(|object| object.status != Status::Deleted)
}

/// Fails where the campaign advertises a catalogue, and the ad set says nothing of which products.
pub(crate) fn of_catalogue(campaign: &Object, promoted: Option<&Value>) -> Result<(), Refusal> {
    let member =
        |object: Option<&Value>, name: &str| object.and_then(|it| it.get(name)).is_some_and(|it| !it.is_null());
    let advertises = member(campaign.fields.get("promoted_object"), "product_catalog_id");
    if advertises && !member(promoted, "product_set_id") {
        let text = "The campaign advertises a catalogue, so its ad sets need product_set_id in promoted_object";
        return Err(Refusal::invalid(text).blame(&["promoted_object", "product_set_id"]));
    }
    Ok(())
}

fn exists(state: &State, object: Option<&Value>) -> Result<(), Refusal> {
    let member = |name: &str| object.and_then(|object| object.get(name)).filter(|value| !value.is_null());
    for (name, kind) in [
        ("pixel_id", Kind::Dataset),
        ("page_id", Kind::Page),
        ("application_id", Kind::App),
        ("custom_conversion_id", Kind::CustomConversion),
        ("product_set_id", Kind::ProductSet),
        ("product_catalog_id", Kind::Catalog),
    ] {
        let known = member(name).is_none_or(|id| id_of(id).is_some_and(|id| lives(state, id, kind)));
        if !known {
            let text = format!("The {name} in promoted_object does not exist, or you have no access to it");
            return Err(Refusal::invalid(text).blame(&["promoted_object", name]));
        }
    }
    match member("custom_event_type").map(as_text) {
        Some(word) if !EVENTS.contains(&word.as_str()) => {
            let text = format!("Param promoted_object[custom_event_type] must be one of {{{}}}", EVENTS.join(", "));
            Err(Refusal::invalid(text).blame(&["promoted_object", "custom_event_type"]))
        }
        Some(word) if word == "OTHER" && member("custom_event_str").is_none() && member("pixel_rule").is_none() => {
            let text = "The event OTHER needs custom_event_str or pixel_rule";
            Err(Refusal::invalid(text).blame(&["promoted_object", "custom_event_str"]))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_catalogue_wants_its_products_named() {
        let campaign = |promoted: Value| {
            Object::new(1, Kind::Campaign, 1, jiff::Timestamp::UNIX_EPOCH).with(json!({ "promoted_object": promoted }))
        };
        let catalogue = campaign(json!({ "product_catalog_id": "1" }));
        assert!(of_catalogue(&catalogue, None).is_err());
        assert!(of_catalogue(&catalogue, Some(&json!({ "product_set_id": "1" }))).is_ok());
        assert!(of_catalogue(&campaign(json!({})), None).is_ok());
    }

    #[test]
    fn each_want_is_met_by_its_members_and_blames_the_first_that_is_missing() {
        let now: jiff::Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let mut state = State::new(&crate::state::Source::Small, 1, now);
        let mut made = |kind: Kind| {
            let id = state.fresh_id();
            state.commit(crate::state::Change::Put(Box::new(Object::new(id, kind, 0, now))));
            id.to_string()
        };
        let (set, conversion) = (made(Kind::ProductSet), made(Kind::CustomConversion));
        let page = "3000000000000001";
        let dataset = "2000000000000001";
        let app = crate::state::APP.to_string();
        for (wanted, object, blamed) in [
            (Wanted::Nothing, json!(null), ""),
            (Wanted::Page, json!({}), "page_id"),
            (Wanted::Page, json!({ "page_id": page }), ""),
            (Wanted::Page, json!({ "page_id": "9" }), "page_id"),
            (Wanted::PageOrPlaces, json!({ "place_page_set_id": "1" }), ""),
            (Wanted::Event, json!({}), "event_id"),
            (Wanted::App, json!({ "application_id": app }), "object_store_url"),
            (Wanted::App, json!({ "application_id": "1", "object_store_url": "x" }), "application_id"),
            (Wanted::AppEvent, json!({ "application_id": app, "object_store_url": "x" }), "custom_event_type"),
            (Wanted::Conversion, json!({ "custom_event_type": "PURCHASE" }), "pixel_id"),
            (Wanted::Conversion, json!({ "pixel_id": dataset }), "custom_event_type"),
            (Wanted::Conversion, json!({ "pixel_id": "9", "custom_event_type": "PURCHASE" }), "pixel_id"),
            (Wanted::Conversion, json!({ "pixel_id": dataset, "custom_event_type": "BUY" }), "custom_event_type"),
            (Wanted::Conversion, json!({ "pixel_id": dataset, "custom_event_type": "OTHER" }), "custom_event_str"),
            (Wanted::Conversion, json!({ "pixel_id": dataset, "custom_event_type": "LEAD" }), ""),
            (Wanted::Conversion, json!({ "custom_conversion_id": conversion }), ""),
            (Wanted::Conversion, json!({ "custom_conversion_id": "1" }), "custom_conversion_id"),
            (Wanted::Conversion, json!({ "product_set_id": set }), ""),
            (Wanted::Conversion, json!({ "product_set_id": "1" }), "product_set_id"),
        ] {
            let answer = check(&state, "G", wanted, Some(&object)).map_or_else(
                |refusal| refusal.envelope("A")["error"]["error_data"].as_str().unwrap().to_owned(),
                |()| String::new(),
            );
            let expected = if blamed.is_empty() {
                String::new()
            } else {
                format!(r#"{{"blame_field_specs":[["promoted_object","{blamed}"]]}}"#)
            };
            assert_eq!(answer, expected, "{wanted:?} {object}");
        }
    }
}
