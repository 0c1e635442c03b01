//! The review of ads: when it begins, and what it comes to.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::state::{Object, Settings, State, Status, Verdict, settle_delivery};

/// Puts an ad under review. The verdict is made up now, from its name, and shows when the review is over.
pub(crate) fn begin(settings: &Settings, ad: &mut Object, now: Timestamp) {
    ad.review_from = Some(now);
    let word = &settings.disapproved_word;
    let verdict =
        if !word.is_empty() && ad.name().contains(word.as_str()) { Verdict::Disapproved } else { Verdict::Approved };
    set(ad, verdict, None);
}

/// Gives a verdict on an object: an ad, or, for issues only, an ad set or a campaign.
pub(crate) fn decide(state: &mut State, mut object: Object, verdict: Verdict, text: Option<String>, now: Timestamp) {
    if object.review_from.is_some() || matches!(verdict, Verdict::Disapproved) {
        // The review is over at once, however long it was to take.
        let whole = jiff::SignedDuration::from_millis(state.settings.review_milliseconds);
        object.review_from = now.checked_sub(whole).ok();
    }
    set(&mut object, verdict, text);
    object.updated = now;
    let id = object.id;
    super::write::keep(state, object);
    settle_delivery(state, id, now);
}

fn set(object: &mut Object, verdict: Verdict, text: Option<String>) {
    for name in ["_verdict", "ad_review_feedback", "issues_info"] {
        object.fields.remove(name);
    }
    match verdict {
        Verdict::Approved => {}
        Verdict::Preapproved => {
            object.fields.insert("_verdict".to_owned(), json!(verdict));
        }
        Verdict::Disapproved => {
            let text = text.unwrap_or_else(|| "This ad does not follow the advertising policies.".to_owned());
            let feedback = json!({ "UNACCEPTABLE_BUSINESS_PRACTICES": text });
            object.fields.insert("_verdict".to_owned(), json!(verdict));
            object.fields.insert(
                "ad_review_feedback".to_owned(),
                json!({ "global": feedback, "placement_specific": { "facebook": feedback, "instagram": feedback } }),
            );
        }
        Verdict::WithIssues => {
            let text = text.unwrap_or_else(|| "The post of this ad is not available any more.".to_owned());
            object.fields.insert("issues_info".to_owned(), json!([issue(object, &text)]));
        }
    }
}

fn issue(object: &Object, text: &str) -> Value {
    let level = match object.kind {
        crate::state::Kind::Campaign => "CAMPAIGN",
        crate::state::Kind::AdSet => "AD_SET",
        _ => "AD",
    };
    json!({
        "level": level,
        "error_code": 1_815_869,
        "error_summary": "Ad post is not available",
        "error_message": text,
        "error_type": "HARD_ERROR",
    })
}

/// Begins the review of an ad that is switched on for the first time.
pub(crate) fn on_status(settings: &Settings, ad: &mut Object, status: Status, now: Timestamp) {
    if status == Status::Active && ad.review_from.is_none() {
        begin(settings, ad, now);
    }
}
