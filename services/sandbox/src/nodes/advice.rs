//! What Meta would do otherwise: the recommendations of a write that is only checked.

use serde_json::{Map, Value, json};

use super::budgets;

/// For a campaign: let it spread one budget over its ad sets.
pub(crate) fn of_campaign(fields: &Map<String, Value>) -> Vec<Value> {
    if budgets::any(fields) {
        return Vec::new();
    }
    let message = "A budget on the campaign goes to the ad sets that do best.";
    vec![row(1_815_001, "Use a campaign budget", message, "daily_budget")]
}

/// For an ad set: widen the audience, and leave the placements open.
pub(crate) fn of_ad_set(fields: &Map<String, Value>) -> Vec<Value> {
    let targeting = fields.get("targeting");
    let wide =
        targeting.and_then(|it| it.pointer("/targeting_automation/advantage_audience")).map(crate::params::as_text);
    let mut rows = Vec::new();
    if wide.as_deref() != Some("1") {
        let message = "A wider audience gives delivery more people to choose from.";
        rows.push(row(1_815_002, "Use Advantage+ audience", message, "targeting"));
    }
    if targeting.is_some_and(|it| it.get("publisher_platforms").is_some()) {
        let message = "Without a choice of platforms ads go where they cost least.";
        rows.push(row(1_815_003, "Use Advantage+ placements", message, "targeting"));
    }
    rows
}

/// Codes are the sandbox's own: Meta's are not published.
fn row(code: i64, title: &str, message: &str, blame: &str) -> Value {
    json!({
        "code": code,
        "title": title,
        "message": message,
        "importance": "MEDIUM",
        "confidence": "HIGH",
        "blame_field": blame,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wide_already_is_not_recommended() {
        let titles =
            |rows: Vec<Value>| rows.iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let fields = |value: Value| value.as_object().unwrap().clone();
        assert_eq!(titles(of_campaign(&fields(json!({})))), ["Use a campaign budget"]);
        assert!(of_campaign(&fields(json!({ "daily_budget": "500" }))).is_empty());
        let narrow = json!({ "targeting": { "publisher_platforms": ["facebook"], "targeting_automation": { "advantage_audience": 0 } } });
        assert_eq!(titles(of_ad_set(&fields(narrow))), ["Use Advantage+ audience", "Use Advantage+ placements"]);
        assert!(
            of_ad_set(&fields(json!({ "targeting": { "targeting_automation": { "advantage_audience": 1 } } })))
                .is_empty()
        );
    }
}
