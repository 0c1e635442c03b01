//! Which optimization goals an objective allows for a destination, how each is billed, and what must be promoted
//! (Meta, "Outcome-driven ad experiences").

mod promoted;

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::state::State;

pub(crate) use promoted::of_catalogue;

/// The objectives with which campaigns can be made. Older ones are readable only.
pub(crate) const OBJECTIVES: &[&str] = &[
    "OUTCOME_APP_PROMOTION",
    "OUTCOME_AWARENESS",
    "OUTCOME_ENGAGEMENT",
    "OUTCOME_LEADS",
    "OUTCOME_SALES",
    "OUTCOME_TRAFFIC",
];

/// Every `optimization_goal`, in the words of the official SDKs of v26.
#[rustfmt::skip]
pub(crate) const GOALS: &[&str] = &[
    "ADVERTISER_SILOED_VALUE", "AD_RECALL_LIFT", "APP_INSTALLS", "APP_INSTALLS_AND_OFFSITE_CONVERSIONS",
    "AUTOMATIC_OBJECTIVE", "CONVERSATIONS", "DERIVED_EVENTS", "ENGAGED_PAGE_VIEWS", "ENGAGED_USERS", "EVENT_RESPONSES",
    "IMPRESSIONS", "IN_APP_VALUE", "LANDING_PAGE_VIEWS", "LEAD_GENERATION", "LINK_CLICKS", "MEANINGFUL_CALL_ATTEMPT",
    "MESSAGING_APPOINTMENT_CONVERSION", "MESSAGING_DEEP_CONVERSATION_AND_FOLLOW", "MESSAGING_PURCHASE_CONVERSION",
    "NONE", "OFFSITE_CONVERSIONS", "PAGE_LIKES", "POST_ENGAGEMENT", "PROFILE_AND_PAGE_ENGAGEMENT", "PROFILE_VISIT",
    "QUALITY_CALL", "QUALITY_LEAD", "REACH", "REMINDERS_SET", "SUBSCRIBERS", "THRUPLAY", "VALUE",
    "VISIT_INSTAGRAM_PROFILE",
];

/// Every `destination_type`. `UNDEFINED` is what reads show where none was set, and may be written back.
#[rustfmt::skip]
pub(crate) const DESTINATIONS: &[&str] = &[
    "APP", "APPLINKS_AUTOMATIC", "FACEBOOK", "FACEBOOK_LIVE", "FACEBOOK_PAGE", "IMAGINE", "INSTAGRAM_DIRECT",
    "INSTAGRAM_LIVE", "INSTAGRAM_PROFILE", "INSTAGRAM_PROFILE_AND_FACEBOOK_PAGE",
    "MESSAGING_INSTAGRAM_DIRECT_MESSENGER", "MESSAGING_INSTAGRAM_DIRECT_MESSENGER_WHATSAPP",
    "MESSAGING_INSTAGRAM_DIRECT_WHATSAPP", "MESSAGING_MESSENGER_WHATSAPP", "MESSENGER", "ON_AD", "ON_EVENT", "ON_PAGE",
    "ON_POST", "ON_VIDEO", "SHOP_AUTOMATIC", "UNDEFINED", "WEBSITE", "WHATSAPP",
];

/// Destinations that the rows below take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    /// A website, or none said.
    Web,
    App,
    Messages,
    Profile,
    Ad,
    Page,
    Post,
    Event,
    Video,
    /// Something on Facebook that is not told more closely.
    Anything,
}

const WEB_GOALS: &[&str] = &["OFFSITE_CONVERSIONS", "LANDING_PAGE_VIEWS", "LINK_CLICKS", "REACH", "IMPRESSIONS"];

/// Objective, destination, and the goals that both allow.
#[rustfmt::skip]
const ROWS: &[(&str, To, &[&str])] = &[
    ("OUTCOME_AWARENESS", To::Web, &["AD_RECALL_LIFT", "REACH", "IMPRESSIONS", "THRUPLAY"]),
    ("OUTCOME_TRAFFIC", To::Web, &["LINK_CLICKS", "LANDING_PAGE_VIEWS", "REACH", "IMPRESSIONS", "QUALITY_CALL"]),
    ("OUTCOME_TRAFFIC", To::App, &["LINK_CLICKS", "REACH"]),
    ("OUTCOME_TRAFFIC", To::Messages, &["LINK_CLICKS", "REACH", "IMPRESSIONS"]),
    ("OUTCOME_TRAFFIC", To::Profile, &["VISIT_INSTAGRAM_PROFILE", "PROFILE_VISIT", "PROFILE_AND_PAGE_ENGAGEMENT"]),
    ("OUTCOME_ENGAGEMENT", To::Web, WEB_GOALS),
    ("OUTCOME_ENGAGEMENT", To::Web, &["REMINDERS_SET"]),
    ("OUTCOME_ENGAGEMENT", To::App, &["OFFSITE_CONVERSIONS", "LINK_CLICKS", "REACH"]),
    ("OUTCOME_ENGAGEMENT", To::Messages, &["CONVERSATIONS", "LINK_CLICKS"]),
    ("OUTCOME_ENGAGEMENT", To::Post, &["POST_ENGAGEMENT", "REACH", "IMPRESSIONS"]),
    ("OUTCOME_ENGAGEMENT", To::Page, &["PAGE_LIKES"]),
    ("OUTCOME_ENGAGEMENT", To::Event, &["EVENT_RESPONSES", "POST_ENGAGEMENT", "REACH", "IMPRESSIONS"]),
    ("OUTCOME_ENGAGEMENT", To::Video, &["THRUPLAY"]),
    ("OUTCOME_ENGAGEMENT", To::Anything, &["POST_ENGAGEMENT", "PAGE_LIKES", "THRUPLAY", "REACH", "IMPRESSIONS"]),
    ("OUTCOME_LEADS", To::Web, WEB_GOALS),
    ("OUTCOME_LEADS", To::Web, &["QUALITY_CALL"]),
    ("OUTCOME_LEADS", To::Ad, &["LEAD_GENERATION", "QUALITY_LEAD"]),
    ("OUTCOME_LEADS", To::Messages, &["LEAD_GENERATION"]),
    ("OUTCOME_SALES", To::Web, WEB_GOALS),
    ("OUTCOME_SALES", To::Web, &["VALUE", "QUALITY_CALL"]),
    ("OUTCOME_SALES", To::App, &["OFFSITE_CONVERSIONS", "LINK_CLICKS"]),
    ("OUTCOME_SALES", To::Messages, &["CONVERSATIONS", "OFFSITE_CONVERSIONS"]),
    ("OUTCOME_APP_PROMOTION", To::Web, APP_GOALS),
    ("OUTCOME_APP_PROMOTION", To::App, APP_GOALS),
];
const APP_GOALS: &[&str] =
    &["APP_INSTALLS", "OFFSITE_CONVERSIONS", "LINK_CLICKS", "VALUE", "APP_INSTALLS_AND_OFFSITE_CONVERSIONS"];

impl To {
    fn of(destination: &str) -> Option<Self> {
        Some(match destination {
            "" | "UNDEFINED" | "WEBSITE" | "SHOP_AUTOMATIC" | "APPLINKS_AUTOMATIC" => Self::Web,
            "APP" => Self::App,
            "MESSENGER" | "WHATSAPP" | "INSTAGRAM_DIRECT" => Self::Messages,
            _ if destination.starts_with("MESSAGING_") => Self::Messages,
            "INSTAGRAM_PROFILE" | "FACEBOOK_PAGE" | "INSTAGRAM_PROFILE_AND_FACEBOOK_PAGE" => Self::Profile,
            "ON_AD" => Self::Ad,
            "ON_PAGE" => Self::Page,
            "ON_POST" => Self::Post,
            "ON_EVENT" => Self::Event,
            "ON_VIDEO" => Self::Video,
            "FACEBOOK" | "FACEBOOK_LIVE" | "INSTAGRAM_LIVE" => Self::Anything,
            _ => return None,
        })
    }
}

/// Whether the goal counts what happens away from Meta, or installs; such goals have wider attribution windows.
pub(crate) fn counts_conversions(goal: &str) -> bool {
    matches!(goal, "OFFSITE_CONVERSIONS" | "VALUE" | "APP_INSTALLS" | "APP_INSTALLS_AND_OFFSITE_CONVERSIONS")
}

/// Fails where goal, destination or billing do not fit the objective, or what is promoted is missing.
pub(crate) fn check(state: &State, objective: &str, fields: &Map<String, Value>) -> Result<(), Refusal> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (goal, billing, destination) = (text("optimization_goal"), text("billing_event"), text("destination_type"));
    let to = To::of(destination);
    let allows = |to: Option<To>| {
        ROWS.iter()
            .filter(|(own, row, _)| *own == objective && to.is_none_or(|to| *row == to))
            .any(|(.., goals)| goals.contains(&goal))
    };
    if !allows(None) {
        let advice = format!("The goal {goal} is not available for the objective {objective}.");
        return Err(Refusal::rule(2_490_408, "Optimization goal not available", advice, &["optimization_goal"]));
    }
    if to.is_none() || !allows(to) {
        let shown = if destination.is_empty() { "UNDEFINED" } else { destination };
        let advice = format!("With the objective {objective} the goal {goal} does not fit the destination {shown}.");
        return Err(Refusal::rule(2_446_509, "Destination does not fit", advice, &["destination_type"]));
    }
    let billed =
        matches!((billing, goal), ("IMPRESSIONS", _) | ("LINK_CLICKS", "LINK_CLICKS") | ("THRUPLAY", "THRUPLAY"));
    if !billed {
        let text = format!("The goal {goal} cannot be billed by {billing}; bill it by IMPRESSIONS");
        return Err(Refusal::invalid(text).blame(&["billing_event"]));
    }
    let wanted = promoted::wanted(objective, goal, to.unwrap_or(To::Web));
    promoted::check(state, goal, wanted, fields.get("promoted_object"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Source;
    use serde_json::json;

    fn verdict(objective: &str, fields: &Value) -> Result<(), Refusal> {
        let state = State::new(&Source::Small, 1, "2026-11-01T00:00:00Z".parse().unwrap());
        check(&state, objective, fields.as_object().unwrap())
    }

    fn told(objective: &str, goal: &str, destination: &str, billing: &str) -> String {
        let everything = json!({
            "page_id": "3000000000000001", "pixel_id": "2000000000000001", "custom_event_type": "PURCHASE",
            "application_id": crate::state::APP.to_string(), "object_store_url": "https://apps.example/1", "event_id": "1",
        });
        let fields = json!({
            "optimization_goal": goal, "destination_type": destination, "billing_event": billing,
            "promoted_object": everything,
        });
        verdict(objective, &fields).map_or_else(|refusal| refusal.envelope("A").to_string(), |()| String::new())
    }

    #[test]
    fn every_row_is_taken_with_everything_promoted() {
        let destinations = |to: To| DESTINATIONS.iter().filter(move |word| To::of(word) == Some(to));
        for (objective, to, goals) in ROWS {
            assert!(OBJECTIVES.contains(objective) && goals.iter().all(|goal| GOALS.contains(goal)));
            for (destination, goal) in destinations(*to).flat_map(|it| goals.iter().map(move |goal| (it, goal))) {
                assert_eq!(told(objective, goal, destination, "IMPRESSIONS"), "", "{objective} {destination} {goal}");
            }
        }
    }

    #[test]
    fn goals_destinations_and_billing_that_do_not_fit_are_blamed() {
        for (objective, goal, destination, billing, blamed) in [
            ("OUTCOME_AWARENESS", "LINK_CLICKS", "", "IMPRESSIONS", "2490408"),
            ("OUTCOME_SALES", "APP_INSTALLS", "APP", "IMPRESSIONS", "2490408"),
            ("OUTCOME_LEADS", "LINK_CLICKS", "ON_AD", "IMPRESSIONS", "2446509"),
            ("OUTCOME_LEADS", "LEAD_GENERATION", "WEBSITE", "IMPRESSIONS", "2446509"),
            ("OUTCOME_ENGAGEMENT", "PAGE_LIKES", "", "IMPRESSIONS", "2446509"),
            ("OUTCOME_TRAFFIC", "PROFILE_VISIT", "WEBSITE", "IMPRESSIONS", "2446509"),
            ("OUTCOME_TRAFFIC", "REACH", "", "LINK_CLICKS", "billing_event"),
            ("OUTCOME_APP_PROMOTION", "APP_INSTALLS", "APP", "APP_INSTALLS", "billing_event"),
        ] {
            let answer = told(objective, goal, destination, billing);
            assert!(answer.contains(blamed), "{objective} {goal} {destination}: {answer}");
        }
        assert_eq!(told("OUTCOME_TRAFFIC", "LINK_CLICKS", "", "LINK_CLICKS"), "");
        assert_eq!(told("OUTCOME_ENGAGEMENT", "THRUPLAY", "ON_VIDEO", "THRUPLAY"), "");
    }
}
