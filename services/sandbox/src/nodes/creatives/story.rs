//! `object_story_spec`: a post that is made for the ad, of one of five kinds, each with its required parts.

use serde_json::{Map, Value};

use super::rules::no_instagram;
use crate::error::Refusal;
use crate::nodes::write;
use crate::params::as_text;
use crate::state::{Kind, State};

/// The kinds of a post; one of them is there, unless an asset feed brings the parts.
const KINDS: &[&str] = &["link_data", "photo_data", "template_data", "text_data", "video_data"];

/// Checks the spec of a creative.
pub(super) fn check(state: &State, fields: &Map<String, Value>, spec: &Value) -> Result<(), Refusal> {
    let Some(page) = spec.get("page_id") else {
        return Err(broken("An object_story_spec needs a page_id", &["page_id"]));
    };
    if write::id_of(page).and_then(|id| state.of_kind(id, Kind::Page)).is_none() {
        return Err(broken("The page does not exist, or you may not advertise for it", &["page_id"]));
    }
    if let Some(user) = spec.get("instagram_user_id")
        && write::id_of(user).and_then(|id| state.of_kind(id, Kind::Instagram)).is_none()
    {
        return Err(no_instagram(&["object_story_spec", "instagram_user_id"]));
    }
    let given: Vec<&str> = KINDS.iter().copied().filter(|kind| spec.get(*kind).is_some()).collect();
    if given.is_empty() && !fields.contains_key("asset_feed_spec") {
        return Err(broken(format!("An object_story_spec needs one of {}", KINDS.join(", ")), &[]));
    }
    if given.len() > 1 {
        return Err(broken(format!("{} cannot stand together", given.join(" and ")), &[]));
    }
    match (given.first().copied(), fields.contains_key("product_set_id")) {
        (Some("link_data"), _) => link(spec),
        (Some("video_data"), _) => needs(spec, "video_data", &[&["video_id"], &["image_hash", "image_url"]]),
        (Some("photo_data"), _) => needs(spec, "photo_data", &[&["image_hash", "url"]]),
        (Some("text_data"), _) => needs(spec, "text_data", &[&["message"]]),
        (Some("template_data"), false) => Err(broken("template_data needs a product_set_id", &["template_data"])),
        _ => Ok(()),
    }
}

fn link(spec: &Value) -> Result<(), Refusal> {
    needs(spec, "link_data", &[&["link"]])?;
    let Some(cards) = spec.pointer("/link_data/child_attachments") else { return Ok(()) };
    let Some(cards) = cards.as_array().filter(|cards| (2..=10).contains(&cards.len())) else {
        return Err(broken("A carousel has 2 to 10 cards", &["link_data", "child_attachments"]));
    };
    for card in cards {
        let has = |name: &str| card.get(name).is_some_and(|value| !as_text(value).is_empty());
        if !has("link") {
            return Err(broken("Each card of a carousel needs a link", &["link_data", "child_attachments"]));
        }
        if has("video_id") && !has("picture") && !has("image_hash") {
            let text = "A card with a video needs a picture as its thumbnail";
            return Err(broken(text, &["link_data", "child_attachments"]));
        }
    }
    Ok(())
}

/// Fails where a part has none of the members of a group.
fn needs(spec: &Value, part: &str, groups: &[&[&str]]) -> Result<(), Refusal> {
    let has =
        |name: &&str| spec.get(part).and_then(|data| data.get(*name)).is_some_and(|value| !as_text(value).is_empty());
    match groups.iter().find(|group| !group.iter().any(has)) {
        Some(group) => {
            let first = group.first().copied().unwrap_or_default();
            Err(broken(format!("{part} needs {}", group.join(" or ")), &[part, first]))
        }
        None => Ok(()),
    }
}

fn broken(text: impl AsRef<str>, path: &[&str]) -> Refusal {
    let path: Vec<&str> = ["object_story_spec"].iter().chain(path).copied().collect();
    Refusal::invalid(text).blame(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_post_has_its_required_parts() {
        let state = State::new(&crate::state::Source::Small, 1, "2026-11-01T00:00:00Z".parse().unwrap());
        let card = json!({ "link": "https://shop.example/" });
        for (data, text) in [
            (json!({}), "needs one of link_data"),
            (json!({ "link_data": { "message": "m" } }), "link_data needs link"),
            (json!({ "link_data": { "link": "l" } }), ""),
            (json!({ "link_data": { "link": "l", "child_attachments": [card] } }), "2 to 10 cards"),
            (json!({ "link_data": { "link": "l", "child_attachments": vec![&card; 11] } }), "2 to 10 cards"),
            (json!({ "link_data": { "link": "l", "child_attachments": [card, card] } }), ""),
            (json!({ "link_data": { "link": "l", "child_attachments": [card, {}] } }), "needs a link"),
            (
                json!({ "link_data": { "link": "l", "child_attachments": [card, { "link": "l", "video_id": "1" }] } }),
                "thumbnail",
            ),
            (json!({ "video_data": { "image_url": "u" } }), "video_data needs video_id"),
            (json!({ "video_data": { "video_id": "1" } }), "video_data needs image_hash or image_url"),
            (json!({ "video_data": { "video_id": "1", "image_url": "u" } }), ""),
            (json!({ "photo_data": { "caption": "c" } }), "photo_data needs image_hash or url"),
            (json!({ "text_data": {} }), "text_data needs message"),
            (json!({ "template_data": {} }), "product_set_id"),
            (json!({ "text_data": { "message": "m" }, "link_data": { "link": "l" } }), "cannot stand together"),
            (json!({ "link_data": { "link": "l" }, "instagram_user_id": "9" }), "1772103"),
            (json!({ "link_data": { "link": "l" }, "page_id": "9" }), "The page does not exist"),
        ] {
            let mut spec = json!({ "page_id": "3000000000000001" });
            spec.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
            let answer = check(&state, &Map::new(), &spec)
                .map_or_else(|refusal| refusal.envelope("A").to_string(), |()| String::new());
            assert!(if text.is_empty() { answer.is_empty() } else { answer.contains(text) }, "{data}: {answer}");
        }
    }
}
