//! Who did it: whether the person can be looked for, and a digest of the strongest key. Values are not kept.

use serde_json::{Map, Value};

use super::check::Place;
use crate::error::Refusal;
use crate::params::as_text;
use crate::state::{Settings, sealed};

/// Keys whose values are hashed.
const HASHED: &[&str] = &[
    "em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country", "f5first", "f5last", "fi", "dobd", "dobm", "doby",
];
/// Any one of these is enough to look for a person, strongest first.
const STRONG: &[&str] = &[
    "em",
    "ph",
    "external_id",
    "madid",
    "fb_login_id",
    "lead_id",
    "fbc",
    "fbp",
    "anon_id",
    "subscription_id",
    "ctwa_clid",
    "page_scoped_user_id",
    "ig_sid",
];

/// What is kept of a person.
pub(super) struct Person {
    pub(super) digest: Option<String>,
    pub(super) keys: Vec<String>,
    pub(super) links: Vec<String>,
}

/// Keys that a browser and a server both know (Meta, "Handling duplicate pixel and conversions API events").
const LINKS: &[&str] = &["external_id", "fbp"];

/// Fails with 2804050 where nobody can be looked for.
pub(super) fn read(
    user: &Map<String, Value>,
    place: Place,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Result<Person, Refusal> {
    let Place(at) = place;
    if !is_enough(user) {
        let advice = format!(
            "The event at index {at} does not have enough customer information parameters to look for a person."
        );
        let refusal = Refusal::new(100, "Invalid parameter").subcode(2_804_050).blame(&["data"]);
        return Err(refusal.shown("You Haven't Added Sufficient Customer Information Parameter Data", advice));
    }
    for key in HASHED {
        if values(user, key).iter().any(|value| !is_hash(value)) {
            if settings.refuse_unhashed_events {
                return Err(place.wrong(&format!("user_data[{key}]"), "must be the SHA-256 of the normalised value"));
            }
            warnings.push(format!("data[{at}]: user_data[{key}] is not hashed; send its SHA-256 in hex"));
        }
    }
    for key in ["fbc", "fbp"] {
        if values(user, key).iter().any(|value| !value.starts_with("fb.") || value.matches('.').count() < 3) {
            warnings.push(format!("data[{at}]: user_data[{key}] does not have the form fb.1.time.id"));
        }
    }
    let strongest = STRONG.iter().find_map(|key| values(user, key).into_iter().min().map(|value| (key, value)));
    let digest = strongest.map(|(key, value)| {
        let value = if HASHED.contains(key) && !is_hash(&value) { sealed(&value.trim().to_lowercase()) } else { value };
        sealed(&format!("{key}:{}", value.trim())).chars().take(32).collect()
    });
    let keys = user.keys().filter(|key| !values(user, key).is_empty()).cloned().collect();
    let linked =
        LINKS.iter().flat_map(|key| values(user, key).into_iter().map(move |value| format!("{key}:{}", value.trim())));
    let links = linked.map(|text| sealed(&text).chars().take(32).collect()).collect();
    Ok(Person { digest, keys, links })
}

/// One strong key, or a name with a place or a birthday (Meta, "Best practices: customer information parameters").
fn is_enough(user: &Map<String, Value>) -> bool {
    let has = |name: &str| !values(user, name).is_empty();
    let named = (has("fn") || has("f5first")) && (has("ln") || has("f5last"));
    let placed = has("ct") || has("zp") || has("db") || (has("st") && has("country"));
    STRONG.iter().any(|name| has(name)) || (named && placed)
}

/// One value or a list of them, without those that are empty.
fn values(user: &Map<String, Value>, name: &str) -> Vec<String> {
    let all = match user.get(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().filter(|item| !item.is_null()).map(as_text).collect(),
        Some(value) => vec![as_text(value)],
    };
    all.into_iter().filter(|text| !text.trim().is_empty()).collect()
}

/// A SHA-256, or an MD5, which old uploads still hold.
fn is_hash(value: &str) -> bool {
    matches!(value.len(), 32 | 64) && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HASH: &str = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79";

    fn person(user: &Value, settings: &Settings) -> (Result<Person, Refusal>, usize) {
        let mut warnings = Vec::new();
        let person = read(user.as_object().unwrap(), Place(0), settings, &mut warnings);
        (person, warnings.len())
    }

    #[test]
    fn one_strong_key_or_a_placed_name_is_enough() {
        let table = [
            (json!({ "em": [HASH] }), true),
            (json!({ "em": HASH }), true),
            (json!({ "fbp": "fb.1.1596403881668.1116446470" }), true),
            (json!({ "lead_id": 525_645_896_321_548_i64 }), true),
            (json!({ "fn": [HASH], "ln": HASH, "zp": HASH }), true),
            (json!({ "fn": [HASH], "ln": HASH, "st": HASH, "country": HASH }), true),
            (json!({ "fn": [HASH], "ln": HASH, "st": HASH }), false),
            (json!({ "fn": [HASH], "zp": [HASH] }), false),
            (json!({ "client_ip_address": "192.0.2.1", "client_user_agent": "x", "country": HASH }), false),
            (json!({ "em": [], "ph": null, "external_id": "" }), false),
        ];
        for (user, stands) in table {
            assert_eq!(person(&user, &Settings::default()).0.is_ok(), stands, "{user}");
        }
    }

    #[test]
    fn a_person_is_the_same_hashed_or_not_and_in_whatever_order_lists_come() {
        let digest =
            |user: &Value| person(user, &Settings::default()).0.map(|person| person.digest).unwrap_or_default();
        let hashed = digest(&json!({ "em": [HASH] }));
        assert!(hashed.is_some());
        assert_eq!(hashed, digest(&json!({ "em": " Mary@Example.com", "fbp": "fb.1.1.2" })));
        assert_eq!(digest(&json!({ "ph": ["a", "b"] })), digest(&json!({ "ph": ["b", "a"] })));
        assert!(!format!("{hashed:?}").contains(&HASH[..8]));
    }

    #[test]
    fn what_is_not_hashed_is_warned_of_or_refused() {
        let raw = json!({ "em": "mary@example.com", "fbc": "x" });
        assert_eq!(person(&raw, &Settings::default()).1, 2);
        assert_eq!(person(&json!({ "em": HASH }), &Settings::default()).1, 0);
        let strict = Settings { refuse_unhashed_events: true, ..Settings::default() };
        assert!(person(&raw, &strict).0.is_err());
    }
}
