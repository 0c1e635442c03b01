//! What a change of the world means to subscribers.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Notice, Touch};
use crate::state::{Kind, Object, State, effective};

/// The effective status that each changed object had when it was last looked at. Objects not in it were never changed
/// while somebody listened.
#[derive(Debug, Default)]
pub(crate) struct Watch(HashMap<u64, &'static str>);

/// What a look has shown.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) notices: Vec<Notice>,
    /// Objects that change again without anybody's doing, and when.
    pub(crate) again: Vec<(u64, Timestamp)>,
}

impl Watch {
    /// Looks at objects that were just changed, or whose review has gone on.
    pub(crate) fn look(&mut self, state: &State, touched: &[(u64, Touch)], now: Timestamp) -> Seen {
        let mut seen = Seen::default();
        for (object, touch) in touched.iter().filter_map(|&(id, touch)| Some((state.object(id)?, touch))) {
            match object.kind {
                Kind::Campaign | Kind::AdSet | Kind::Ad => self.status(state, object, touch, now, &mut seen),
                Kind::Lead if touch == Touch::Made => seen.notices.extend(lead(state, object)),
                _ => {}
            }
        }
        seen
    }

    fn status(&mut self, state: &State, object: &Object, touch: Touch, now: Timestamp, seen: &mut Seen) {
        let word = effective(state, object, now);
        seen.again.extend(review_steps(state, object, now).map(|at| (object.id, at)));
        let before = self.0.insert(object.id, word);
        if touch == Touch::Made || before == Some(word) {
            return;
        }
        let mut tell = |field: &str, value: Value| {
            seen.notices.push(Notice::Changed {
                object: "ad_account".to_owned(),
                id: object.account,
                field: field.to_owned(),
                value,
            });
        };
        let (id, level) = (object.id.to_string(), level(object.kind));
        tell("effective_status", json!({ "id": id, "level": level, "effective_status": word }));
        if before == Some("IN_PROCESS") {
            tell("in_process_ad_objects", json!({ "id": id, "level": level, "status_name": title(word) }));
        }
        if word == "WITH_ISSUES" {
            tell("with_issues_ad_objects", issue(object, &id, level));
        }
    }
}

/// Somebody left a lead: its page is told. All ids are numbers there (Meta, "Webhooks for leads").
fn lead(state: &State, lead: &Object) -> Option<Notice> {
    let form = state.object(lead.owner?)?;
    let page = form.owner?;
    let mut value = Map::from_iter([
        ("leadgen_id".to_owned(), json!(lead.id)),
        ("page_id".to_owned(), json!(page)),
        ("form_id".to_owned(), json!(form.id)),
        ("created_time".to_owned(), json!(lead.created.as_second())),
    ]);
    if let Ok(ad) = lead.text("ad_id").parse::<u64>() {
        value.insert("adgroup_id".to_owned(), json!(ad));
        value.insert("ad_id".to_owned(), json!(ad));
    }
    let value = Value::Object(value);
    Some(Notice::Changed { object: "page".to_owned(), id: page, field: "leadgen".to_owned(), value })
}

/// The moments at which a review goes on: from `IN_PROCESS` to `PENDING_REVIEW`, and to its end.
fn review_steps(state: &State, object: &Object, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let whole = state.settings.review_milliseconds;
    let from = object.review_from;
    [whole / 2, whole]
        .into_iter()
        .filter_map(move |wait| from?.checked_add(SignedDuration::from_millis(wait)).ok())
        .filter(move |&at| at > now)
}

/// The first of the object's issues, as the webhook tells it.
fn issue(object: &Object, id: &str, level: &str) -> Value {
    let issue = object.fields.get("issues_info").and_then(|issues| issues.get(0));
    let told = ["error_code", "error_summary", "error_message"].into_iter();
    let told = told.filter_map(|name| Some((name.to_owned(), issue?.get(name)?.clone())));
    let who = [("id".to_owned(), json!(id)), ("level".to_owned(), json!(level))];
    Value::Object(who.into_iter().chain(told).collect())
}

fn level(kind: Kind) -> &'static str {
    match kind {
        Kind::Campaign => "CAMPAIGN",
        Kind::AdSet => "AD_SET",
        _ => "AD",
    }
}

/// `PENDING_REVIEW` is told as `Pending Review`.
fn title(word: &str) -> String {
    let capital = |part: &str| {
        let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
        format!("{first}{}", rest.to_ascii_lowercase())
    };
    word.split('_').map(capital).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_names_are_written_as_people_read_them() {
        assert_eq!(title("PENDING_REVIEW"), "Pending Review");
        assert_eq!(title("ACTIVE"), "Active");
    }
}
