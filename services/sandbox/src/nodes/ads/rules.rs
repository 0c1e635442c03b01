//! What an ad set wants of the ads in it.

use serde_json::Value;

use crate::error::Refusal;
use crate::nodes::creatives::{OfAd, is_dynamic};
use crate::params::as_text;
use crate::state::{Kind, Object, State};

/// Fails where the creative does not suit the ad set. `ad` is the ad itself, which is none of its neighbours.
pub(super) fn check(state: &State, ad_set: &Object, creative: &OfAd, ad: Option<u64>) -> Result<(), Refusal> {
    let member = |name: &str| match creative {
        OfAd::Existing(id) => state.object(*id).and_then(|creative| creative.fields.get(name)),
        OfAd::New(fields) => fields.get(name),
    };
    let dynamic_set = ad_set.fields.get("is_dynamic_creative").is_some_and(|value| *value == true);
    let dynamic = member("asset_feed_spec").is_some_and(is_dynamic);
    if dynamic && !dynamic_set {
        let text = "A dynamic creative needs an ad set that was made with is_dynamic_creative";
        return Err(Refusal::invalid(text).blame(&["creative", "asset_feed_spec"]));
    }
    if dynamic_set && !dynamic {
        let text = "An ad set with is_dynamic_creative takes a creative with an asset_feed_spec";
        return Err(Refusal::invalid(text).blame(&["creative"]));
    }
    if dynamic_set {
        let mut others =
            state.children(ad_set.id, Kind::Ad).filter(|id| Some(*id) != ad).filter_map(|id| state.object(id));
        if others.any(|other| !other.status.is_gone()) {
            let text = "An ad set with is_dynamic_creative holds one ad";
            return Err(Refusal::invalid(text).blame(&["adset_id"]));
        }
    }
    let parts = ["object_story_spec", "asset_feed_spec", "call_to_action"].map(member);
    let has_form = || parts.into_iter().flatten().any(names_form);
    let is_post = member("object_story_id").is_some();
    if ad_set.text("destination_type") == "ON_AD" && !is_post && !has_form() {
        let text = "An ad for leads on the ad needs lead_gen_form_id in its call to action";
        return Err(Refusal::invalid(text).blame(&["creative", "call_to_action"]));
    }
    Ok(())
}

fn names_form(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            map.get("lead_gen_form_id").is_some_and(|id| !as_text(id).is_empty()) || map.values().any(names_form)
        }
        Value::Array(items) => items.iter().any(names_form),
        _ => false,
    }
}
