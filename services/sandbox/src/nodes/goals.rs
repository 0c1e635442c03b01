//! Which optimization goals an objective allows, how each is billed, and what it must promote.

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::state::{Kind, State};

/// The objectives with which campaigns can be made. Older ones are readable only.
pub(crate) const OBJECTIVES: &[&str] = &[
    "OUTCOME_APP_PROMOTION",
    "OUTCOME_AWARENESS",
    "OUTCOME_ENGAGEMENT",
    "OUTCOME_LEADS",
    "OUTCOME_SALES",
    "OUTCOME_TRAFFIC",
];

/// Goals for any objective's website or default destination are listed with the others of the objective: which of
/// them a destination narrows is in [`of_destination`].
fn of_objective(objective: &str) -> &'static [&'static str] {
    match objective {
        "OUTCOME_AWARENESS" => &["AD_RECALL_LIFT", "REACH", "IMPRESSIONS", "THRUPLAY"],
        "OUTCOME_TRAFFIC" => &[
            "LINK_CLICKS",
            "LANDING_PAGE_VIEWS",
            "REACH",
            "IMPRESSIONS",
            "QUALITY_CALL",
            "VISIT_INSTAGRAM_PROFILE",
            "PROFILE_VISIT",
            "PROFILE_AND_PAGE_ENGAGEMENT",
            "CONVERSATIONS",
        ],
        "OUTCOME_ENGAGEMENT" => &[
            "POST_ENGAGEMENT",
            "PAGE_LIKES",
            "EVENT_RESPONSES",
            "THRUPLAY",
            "CONVERSATIONS",
            "LINK_CLICKS",
            "OFFSITE_CONVERSIONS",
            "LANDING_PAGE_VIEWS",
            "REACH",
            "IMPRESSIONS",
            "REMINDERS_SET",
            "QUALITY_CALL",
        ],
        "OUTCOME_LEADS" => &[
            "LEAD_GENERATION",
            "QUALITY_LEAD",
            "QUALITY_CALL",
            "OFFSITE_CONVERSIONS",
            "LANDING_PAGE_VIEWS",
            "LINK_CLICKS",
            "REACH",
            "IMPRESSIONS",
        ],
        "OUTCOME_SALES" => &[
            "OFFSITE_CONVERSIONS",
            "VALUE",
            "LANDING_PAGE_VIEWS",
            "LINK_CLICKS",
            "REACH",
            "IMPRESSIONS",
            "CONVERSATIONS",
            "QUALITY_CALL",
        ],
        "OUTCOME_APP_PROMOTION" => {
            &["APP_INSTALLS", "OFFSITE_CONVERSIONS", "LINK_CLICKS", "VALUE", "APP_INSTALLS_AND_OFFSITE_CONVERSIONS"]
        }
        _ => &[],
    }
}

fn of_destination(destination: &str) -> Option<&'static [&'static str]> {
    Some(match destination {
        "ON_AD" => &["LEAD_GENERATION", "QUALITY_LEAD"],
        "ON_PAGE" => &["PAGE_LIKES"],
        "ON_POST" => &["POST_ENGAGEMENT", "REACH", "IMPRESSIONS"],
        "ON_EVENT" => &["EVENT_RESPONSES", "POST_ENGAGEMENT", "REACH", "IMPRESSIONS"],
        "ON_VIDEO" => &["THRUPLAY"],
        "MESSENGER" | "WHATSAPP" | "INSTAGRAM_DIRECT" => {
            &["CONVERSATIONS", "LINK_CLICKS", "LEAD_GENERATION", "OFFSITE_CONVERSIONS", "REACH", "IMPRESSIONS"]
        }
        "PHONE_CALL" => &["QUALITY_CALL", "LINK_CLICKS"],
        _ => return None,
    })
}

/// Fails where goal, destination or billing do not fit the objective, or what is promoted is missing.
pub(crate) fn check(state: &State, objective: &str, fields: &Map<String, Value>) -> Result<(), Refusal> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (goal, billing, destination) = (text("optimization_goal"), text("billing_event"), text("destination_type"));
    if !of_objective(objective).contains(&goal) {
        let advice = format!("The goal {goal} is not available for the objective {objective}.");
        return Err(Refusal::rule(2_490_408, "Optimization goal not available", advice, &["optimization_goal"]));
    }
    if of_destination(destination).is_some_and(|goals| !goals.contains(&goal)) {
        let advice = format!("The goal {goal} does not fit the destination {destination}.");
        return Err(Refusal::rule(2_446_509, "Destination does not fit", advice, &["destination_type"]));
    }
    let billed =
        matches!((billing, goal), ("IMPRESSIONS", _) | ("LINK_CLICKS", "LINK_CLICKS") | ("THRUPLAY", "THRUPLAY"));
    if !billed {
        let advice = format!("The goal {goal} cannot be billed by {billing}.");
        return Err(Refusal::rule(1_815_199, "Billing event not available", advice, &["billing_event"]));
    }
    promoted(state, objective, goal, destination, fields.get("promoted_object"))
}

fn promoted(
    state: &State,
    objective: &str,
    goal: &str,
    destination: &str,
    object: Option<&Value>,
) -> Result<(), Refusal> {
    let has = |name: &str| object.and_then(|object| object.get(name)).is_some();
    let any_of = |names: &[&str]| names.iter().any(|name| has(name));
    let enough = match (objective, goal) {
        ("OUTCOME_APP_PROMOTION", _) => has("application_id"),
        (_, "OFFSITE_CONVERSIONS" | "VALUE") if destination == "APP" => has("application_id"),
        (_, "OFFSITE_CONVERSIONS" | "VALUE") => {
            (has("pixel_id") && any_of(&["custom_event_type", "custom_conversion_id"]))
                || any_of(&["custom_conversion_id", "product_set_id"])
        }
        (_, "LEAD_GENERATION" | "QUALITY_LEAD" | "PAGE_LIKES" | "CONVERSATIONS" | "QUALITY_CALL") => has("page_id"),
        _ => true,
    };
    if !enough {
        let advice = format!("The goal {goal} needs a promoted object.");
        return Err(Refusal::rule(1_885_014, "Promoted object missing", advice, &["promoted_object"]));
    }
    for (name, kind) in [("pixel_id", Kind::Dataset), ("page_id", Kind::Page)] {
        let id = object.and_then(|object| object.get(name));
        let known = id.is_none_or(|id| super::write::id_of(id).is_some_and(|id| state.of_kind(id, kind).is_some()));
        if !known {
            let advice = format!("The {name} in promoted_object does not exist, or you have no access to it.");
            return Err(Refusal::rule(1_885_014, "Promoted object invalid", advice, &["promoted_object", name]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::World;
    use serde_json::json;

    fn verdict(objective: &str, fields: &Value) -> Result<(), Refusal> {
        let state = State::new(World::Small, 1, "2026-11-01T00:00:00Z".parse().unwrap());
        check(&state, objective, fields.as_object().unwrap())
    }

    #[test]
    fn goals_fit_their_objective_destination_and_billing() {
        let clicks = json!({ "optimization_goal": "LINK_CLICKS", "billing_event": "IMPRESSIONS" });
        assert!(verdict("OUTCOME_TRAFFIC", &clicks).is_ok());
        assert!(verdict("OUTCOME_AWARENESS", &clicks).is_err());
        let on_ad =
            json!({ "optimization_goal": "LINK_CLICKS", "billing_event": "IMPRESSIONS", "destination_type": "ON_AD" });
        assert!(verdict("OUTCOME_LEADS", &on_ad).is_err());
        let billed = json!({ "optimization_goal": "REACH", "billing_event": "LINK_CLICKS" });
        assert!(verdict("OUTCOME_TRAFFIC", &billed).is_err());
    }

    #[test]
    fn conversions_need_a_dataset_that_exists_and_an_event() {
        let with = |promoted: Value| json!({ "optimization_goal": "OFFSITE_CONVERSIONS", "billing_event": "IMPRESSIONS", "promoted_object": promoted });
        assert!(verdict("OUTCOME_SALES", &with(json!({}))).is_err());
        let unknown = json!({ "pixel_id": "99", "custom_event_type": "PURCHASE" });
        assert!(verdict("OUTCOME_SALES", &with(unknown)).is_err());
        let known = json!({ "pixel_id": "2000000000000001", "custom_event_type": "PURCHASE" });
        assert!(verdict("OUTCOME_SALES", &with(known)).is_ok());
    }
}
