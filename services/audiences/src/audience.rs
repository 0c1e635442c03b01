//! Rules of audiences: what a create must say, the marker, the etag. Pure.

use aws_lc_rs::digest::{Context, SHA256};
use graph::audiences::Audience;
use jiff::{SignedDuration, Timestamp};
use rpc::{FieldError, Fields};
use uuid::Uuid;
use vocabulary::ids::AdAccountId;

/// The longest name, in characters.
const NAME_CHARACTERS_MAX: usize = 50;
/// The longest description, in characters: Meta's field also holds the marker.
const DESCRIPTION_CHARACTERS_MAX: usize = 60;
/// Meta's words for where people's data comes from (Meta, "Customer file custom audiences").
const SOURCES: [&str; 3] = ["USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"];
/// How far Meta's clock may be behind ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
const MARKER: &str = "[adplane:";

/// Checks what a create says.
pub(crate) fn check(name: &str, description: &str, source: &str) -> Result<(), FieldError> {
    let mut fields = Fields::new();
    let length = name.chars().count();
    fields.check(
        (1..=NAME_CHARACTERS_MAX).contains(&length) && name.trim() == name,
        "audience.name",
        "must have 1 to 50 characters, without blanks at its ends",
        "AUDIENCE_NAME",
    );
    fields.check(
        description.chars().count() <= DESCRIPTION_CHARACTERS_MAX,
        "audience.description",
        "must have at most 60 characters",
        "AUDIENCE_DESCRIPTION",
    );
    fields.check(
        !name.contains(MARKER) && !description.contains(MARKER),
        "audience.description",
        "must not hold our marker",
        "MARKER_IN_TEXT",
    );
    fields.check(
        SOURCES.contains(&source),
        "audience.customer_list.customer_file_source",
        format!("must be one of {}", SOURCES.join(", ")),
        "CUSTOMER_FILE_SOURCE",
    );
    fields.finish()
}

/// The text by which the audience of a request is found again: it stands in the description, since audiences take no
/// label, and names belong to the caller.
pub(crate) fn marker(request_id: Uuid) -> String {
    let digits = request_id.simple().to_string();
    format!("{MARKER}{}]", digits.get(..20).unwrap_or(&digits))
}

/// The description as Meta gets it.
pub(crate) fn marked(description: &str, marker: &str) -> String {
    format!("{description} {marker}").trim_start().to_owned()
}

/// The description without the marker.
pub(crate) fn unmarked(description: &str) -> &str {
    description.split_once(MARKER).map_or(description, |(before, _)| before).trim_end()
}

/// Does Meta say that this is an audience of `account`? Where it says nothing, it is not known to be.
pub(crate) fn is_of(audience: &Audience, account: AdAccountId) -> bool {
    audience.account_id.as_deref() == Some(account.to_string().as_str())
}

/// Is this the audience that a create of `name` with `marker` made, sent at `sent`?
pub(crate) fn is_made_by(audience: &Audience, name: &str, marker: &str, sent: Timestamp) -> bool {
    let marked = audience.description.as_deref().is_some_and(|description| description.contains(marker));
    let earliest = sent.checked_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN).as_second();
    let late_enough = audience.time_created.is_none_or(|created| created >= earliest);
    marked && audience.name.as_deref() == Some(name) && late_enough
}

/// Changes when what the audience says changes, not when its numbers move or it is read again.
pub(crate) fn etag(audience: &Audience) -> String {
    let mut context = Context::new(&SHA256);
    for part in [&audience.name, &audience.description, &audience.subtype, &audience.customer_file_source] {
        context.update(part.as_deref().unwrap_or_default().as_bytes());
        context.update(&[0]);
    }
    let hash = hex::encode(context.finish().as_ref());
    format!("\"{}\"", hash.get(..16).unwrap_or(&hash))
}

#[cfg(test)]
mod tests {
    use rpc::Fault;

    use super::*;

    fn audience(name: &str, description: &str, created: i64) -> Audience {
        let json = serde_json::json!({ "id": "1", "name": name, "description": description, "time_created": created });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn each_rule_of_a_create_has_its_reason() {
        let long = "x".repeat(61);
        for (name, description, source, reasons) in [
            ("Buyers", "of 2026", "USER_PROVIDED_ONLY", vec![]),
            ("Buyers", "", "BOTH_USER_AND_PARTNER_PROVIDED", vec![]),
            ("", "", "USER_PROVIDED_ONLY", vec!["AUDIENCE_NAME"]),
            (" Buyers", "", "USER_PROVIDED_ONLY", vec!["AUDIENCE_NAME"]),
            (long.as_str(), long.as_str(), "USER_PROVIDED_ONLY", vec!["AUDIENCE_NAME", "AUDIENCE_DESCRIPTION"]),
            ("Buyers", "[adplane:1]", "USER_PROVIDED_ONLY", vec!["MARKER_IN_TEXT"]),
            ("Buyers", "", "", vec!["CUSTOMER_FILE_SOURCE"]),
            ("Buyers", "", "user_provided_only", vec!["CUSTOMER_FILE_SOURCE"]),
        ] {
            let found: Vec<_> = check(name, description, source).map_or_else(
                |error| error.violations().iter().map(|violation| violation.reason).collect(),
                |()| vec![],
            );
            assert_eq!(found, reasons, "{name} {description} {source}");
        }
    }

    #[test]
    fn a_marker_goes_out_and_is_not_shown() {
        let marker = marker(Uuid::from_u128(0xabc));
        for description in ["of 2026", ""] {
            let sent = marked(description, &marker);
            assert!(sent.contains(&marker) && sent.len() <= 100);
            assert_eq!(unmarked(&sent), description);
        }
        assert_eq!(unmarked("made by hand"), "made by hand");
    }

    #[test]
    fn ours_is_known_by_marker_name_and_time() {
        let marker = marker(Uuid::from_u128(1));
        let sent: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let ours = marked("of 2026", &marker);
        let second = sent.as_second();
        assert!(is_made_by(&audience("Buyers", &ours, second), "Buyers", &marker, sent));
        assert!(is_made_by(&audience("Buyers", &ours, second - 60), "Buyers", &marker, sent));
        assert!(!is_made_by(&audience("Buyers", &ours, second - 61), "Buyers", &marker, sent));
        assert!(!is_made_by(&audience("Lookers", &ours, second), "Buyers", &marker, sent));
        assert!(!is_made_by(&audience("Buyers", "of 2026", second), "Buyers", &marker, sent));
    }

    #[test]
    fn an_audience_of_which_meta_names_no_account_is_of_none() {
        let mut found = audience("Buyers", "", 1);
        assert!(!is_of(&found, AdAccountId::new(1)));
        found.account_id = Some("1".to_owned());
        assert!(is_of(&found, AdAccountId::new(1)) && !is_of(&found, AdAccountId::new(2)));
    }

    #[test]
    fn an_etag_follows_the_text_and_not_the_numbers() {
        let one = audience("Buyers", "of 2026", 1);
        assert_eq!(etag(&one), etag(&audience("Buyers", "of 2026", 2)));
        assert_ne!(etag(&one), etag(&audience("Buyers", "of 2027", 1)));
    }
}
