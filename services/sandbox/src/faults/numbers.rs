//! Ids as JSON numbers: what finds the clients that hold them in doubles.

use serde_json::Value;

/// Makes a number of every id in an answer. What is no number, such as `act_1`, stays text.
pub(super) fn apply(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(apply),
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                if name == "id" || name == "ids" || name.ends_with("_id") || name.ends_with("_ids") {
                    number(value);
                }
                apply(value);
            }
        }
        _ => {}
    }
}

fn number(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(id) = text.parse::<u64>().ok().filter(|id| id.to_string() == *text) {
                *value = Value::from(id);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(number),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_ids_become_numbers_and_they_stay_exact() {
        let mut body = json!({
            "data": [{ "id": "120210000000000001", "account_id": "1", "name": "42", "daily_budget": "5000",
                "ad": { "creative": { "id": "9" } }, "page_ids": ["7", "x"] }],
            "id": "act_1", "zip_id": "007",
        });
        apply(&mut body);
        let expected = json!({
            "data": [{ "id": 120_210_000_000_000_001_u64, "account_id": 1, "name": "42", "daily_budget": "5000",
                "ad": { "creative": { "id": 9 } }, "page_ids": [7, "x"] }],
            "id": "act_1", "zip_id": "007",
        });
        assert_eq!(body, expected);
    }
}
