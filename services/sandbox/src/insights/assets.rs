//! The assets of a creative: texts, pictures, videos and cards, which some breakdowns name.

use serde_json::{Value, json};

use super::breakdowns::Breakdown;
use super::profile::{Texts, Weight, code, coded};
use crate::state::Object;

/// The assets of one kind. Those of a feed share the delivery, the first ones more; else there is one, or none.
pub(super) fn of(kind: Breakdown, creative: Option<&Object>, texts: &mut Texts) -> Vec<Weight> {
    let Some(creative) = creative else { return Vec::new() };
    let (list, member) = match kind {
        Breakdown::BodyAsset => ("bodies", "text"),
        Breakdown::TitleAsset => ("titles", "text"),
        Breakdown::DescriptionAsset => ("descriptions", "text"),
        Breakdown::LinkUrlAsset => ("link_urls", "website_url"),
        Breakdown::CallToActionAsset => ("call_to_action_types", ""),
        Breakdown::ImageAsset => ("images", "hash"),
        Breakdown::VideoAsset => ("videos", "video_id"),
        _ => {
            let format = format(Some(creative));
            return vec![(coded(format, &json!(format), texts), 1)];
        }
    };
    let feed = creative.fields.get("asset_feed_spec").and_then(|feed| feed.get(list)).and_then(Value::as_array);
    let of_feed =
        feed.into_iter().flatten().filter_map(|item| if member.is_empty() { Some(item) } else { item.get(member) });
    let mut found: Vec<String> = of_feed.filter_map(Value::as_str).map(str::to_owned).collect();
    if found.is_empty() {
        found.extend(of_story(kind, creative));
    }
    let count = i64::try_from(found.len()).unwrap_or(1);
    let weights = (0..count).map(|at| count + 1 - at);
    found.iter().zip(weights).map(|(text, weight)| (asset(kind, text, texts), weight)).collect()
}

/// What a story or the creative itself says. Every ad has texts and a picture, whether they were given or not.
fn of_story(kind: Breakdown, creative: &Object) -> Option<String> {
    let story = creative.fields.get("object_story_spec").unwrap_or(&Value::Null);
    let data =
        ["link_data", "video_data", "photo_data"].into_iter().find_map(|name| story.get(name)).unwrap_or(&Value::Null);
    let text = |pointers: &[&str]| {
        pointers.iter().find_map(|pointer| data.pointer(pointer)).and_then(Value::as_str).map(str::to_owned)
    };
    let own = |name: &str| creative.fields.get(name).and_then(Value::as_str).map(str::to_owned);
    match kind {
        Breakdown::BodyAsset => text(&["/message", "/caption"]).or_else(|| own("body")).or_else(|| own("name")),
        Breakdown::TitleAsset => text(&["/name", "/title"]).or_else(|| own("title")).or_else(|| own("name")),
        Breakdown::DescriptionAsset => text(&["/description", "/link_description"]).or_else(|| own("name")),
        Breakdown::LinkUrlAsset => text(&["/link", "/call_to_action/value/link"])
            .or_else(|| own("link_url"))
            .or_else(|| Some("https://www.facebook.com/".to_owned())),
        Breakdown::CallToActionAsset => text(&["/call_to_action/type"]).or_else(|| Some("LEARN_MORE".to_owned())),
        Breakdown::ImageAsset => {
            text(&["/image_hash"]).or_else(|| own("image_hash")).or_else(|| Some(format!("{:032x}", creative.id)))
        }
        Breakdown::VideoAsset => text(&["/video_id"]).or_else(|| own("video_id")),
        _ => None,
    }
}

/// An asset as rows show it: an object with the `id` by which Airbyte tells assets apart.
fn asset(kind: Breakdown, text: &str, texts: &mut Texts) -> u64 {
    let key = format!("{}:{text}", kind.word());
    let id = format!("{:016}", code(&key));
    let value = match kind {
        Breakdown::LinkUrlAsset => json!({ "website_url": text, "id": id }),
        Breakdown::CallToActionAsset => json!({ "name": text, "id": id }),
        Breakdown::ImageAsset => {
            json!({ "hash": text, "url": format!("https://scontent.xx.fbcdn.net/{text}.png"), "id": id })
        }
        Breakdown::VideoAsset => json!({
            "video_id": text,
            "url": format!("https://www.facebook.com/{text}"),
            "thumbnail_url": format!("https://scontent.xx.fbcdn.net/{text}.png"),
            "id": id,
        }),
        _ => json!({ "text": text, "id": id }),
    };
    coded(&key, &value, texts)
}

/// The format of the ad, in the words of `ad_format_asset`.
pub(super) fn format(creative: Option<&Object>) -> &'static str {
    let story = creative.and_then(|creative| creative.fields.get("object_story_spec"));
    let has = |pointer: &str| story.is_some_and(|story| story.pointer(pointer).is_some());
    let own = creative.is_some_and(|creative| creative.fields.contains_key("video_id"));
    if has("/link_data/child_attachments") {
        "carousel"
    } else if has("/video_data") || own {
        "single_video"
    } else {
        "single_image"
    }
}

/// The cards of a carousel. The name is kept beside the id, see [`card_name`].
pub(super) fn cards(creative: Option<&Object>, texts: &mut Texts) -> Vec<Weight> {
    let story = creative.and_then(|creative| creative.fields.get("object_story_spec"));
    let list = story.and_then(|story| story.pointer("/link_data/child_attachments")).and_then(Value::as_array);
    let owner = creative.map_or(0, |creative| creative.id);
    let mut weights = Vec::new();
    for (at, card) in list.into_iter().flatten().enumerate() {
        let key = format!("card:{owner}:{at}");
        let id = code(&key);
        texts.entry(id).or_insert_with(|| json!(format!("{id:016}")).to_string());
        let name = card.get("name").and_then(Value::as_str).map_or_else(|| format!("Card {}", at + 1), str::to_owned);
        texts.entry(card_name(id)).or_insert_with(|| json!(name).to_string());
        weights.push((id, i64::try_from(10 - at.min(8)).unwrap_or(1)));
    }
    weights
}

/// Under which the name of a card is kept; no code is so large.
pub(super) fn card_name(card: u64) -> u64 {
    card | 1 << 60
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Kind;

    fn creative(fields: Value) -> Object {
        Object::new(9, Kind::Creative, 1, jiff::Timestamp::UNIX_EPOCH).with(fields)
    }

    #[test]
    fn every_asset_is_an_object_with_an_id() {
        let creative = creative(
            json!({ "object_story_spec": { "link_data": { "link": "https://shop.example/", "message": "Hi" } } }),
        );
        let mut texts = Texts::new();
        for kind in [
            Breakdown::BodyAsset,
            Breakdown::TitleAsset,
            Breakdown::LinkUrlAsset,
            Breakdown::CallToActionAsset,
            Breakdown::ImageAsset,
        ] {
            let weights = of(kind, Some(&creative.clone().with(json!({ "name": "N" }))), &mut texts);
            let value: Value = serde_json::from_str(&texts[&weights[0].0]).unwrap();
            assert!(value["id"].as_str().unwrap().len() >= 16, "{kind:?} {value}");
        }
        assert!(of(Breakdown::VideoAsset, Some(&creative), &mut texts).is_empty());
    }

    #[test]
    fn a_feed_has_many_and_a_carousel_has_cards() {
        let mut texts = Texts::new();
        let feed = creative(json!({ "asset_feed_spec": { "bodies": [{ "text": "A" }, { "text": "B" }] } }));
        assert_eq!(of(Breakdown::BodyAsset, Some(&feed), &mut texts).len(), 2);
        let cards_of =
            json!({ "object_story_spec": { "link_data": { "child_attachments": [{ "name": "Red" }, {}] } } });
        let weights = cards(Some(&creative(cards_of)), &mut texts);
        assert_eq!(texts[&card_name(weights[0].0)], "\"Red\"");
        assert_eq!(texts[&card_name(weights[1].0)], "\"Card 2\"");
    }
}
