//! `asset_feed_spec`: assets that Meta puts together (Meta, "Dynamic creative", "Asset customization rules").

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::Refusal;
use crate::params::as_text;

/// The most assets of a dynamic creative.
const ASSETS_MAX: usize = 30;
/// The most of each kind, and the member that tells two of a kind apart.
const KINDS: &[(&str, usize, &str)] = &[
    ("images", 10, "hash"),
    ("videos", 10, "video_id"),
    ("bodies", 5, "text"),
    ("titles", 5, "text"),
    ("descriptions", 5, "text"),
    ("link_urls", 5, "website_url"),
    ("call_to_action_types", 5, ""),
];
const FORMATS: &[&str] =
    &["AUTOMATIC_FORMAT", "CAROUSEL", "CAROUSEL_IMAGE", "CAROUSEL_VIDEO", "SINGLE_IMAGE", "SINGLE_VIDEO"];
const OPTIMIZATIONS: &[&str] =
    &["ASSET_CUSTOMIZATION", "DEGREES_OF_FREEDOM", "FORMAT_AUTOMATION", "LANGUAGE", "PLACEMENT", "REGULAR"];
/// What a rule says of an asset, and the kind of asset that must have that label.
const LABELS: &[(&str, &str)] = &[
    ("image_label", "images"),
    ("video_label", "videos"),
    ("body_label", "bodies"),
    ("title_label", "titles"),
    ("description_label", "descriptions"),
    ("link_url_label", "link_urls"),
];

/// Whether Meta chooses freely among the assets, which an ad set must be made for.
pub(in crate::nodes) fn is_dynamic(feed: &Value) -> bool {
    let kind = feed.get("optimization_type").map_or_else(|| "REGULAR".to_owned(), as_text);
    kind == "REGULAR" && rules(feed).is_empty()
}

/// Checks the feed of a creative.
pub(super) fn check(feed: &Value) -> Result<(), Refusal> {
    let Some(map) = feed.as_object() else { return Ok(()) };
    one_of(map, "ad_formats", FORMATS)?;
    let optimization = map.get("optimization_type").map(as_text);
    if let Some(word) = optimization.filter(|word| !OPTIMIZATIONS.contains(&word.as_str())) {
        let words = OPTIMIZATIONS.join(", ");
        let text = format!("Param asset_feed_spec[optimization_type] must be one of {{{words}}}, not {word}");
        return Err(broken(text, "optimization_type"));
    }
    for (name, _, key) in KINDS {
        let mut seen = HashSet::new();
        for asset in list(map, name) {
            let own = if key.is_empty() { as_text(asset) } else { asset.get(*key).map(as_text).unwrap_or_default() };
            // Two assets with different labels may be the same: each is for another placement.
            let label = asset.get("adlabels").map(as_text).unwrap_or_default();
            if !own.is_empty() && !seen.insert((own, label)) {
                let advice = format!("Each of the {name} may stand in the asset feed once.");
                return Err(Refusal::rule(1_815_629, "Duplicate assets", advice, &["asset_feed_spec", name]));
            }
        }
    }
    if is_dynamic(feed) { limits(map) } else { customization(feed, map) }
}

fn limits(map: &Map<String, Value>) -> Result<(), Refusal> {
    for (name, most, _) in KINDS {
        if list(map, name).count() > *most {
            return Err(broken(format!("A dynamic creative has at most {most} {name}"), name));
        }
    }
    if KINDS.iter().map(|(name, ..)| list(map, name).count()).sum::<usize>() > ASSETS_MAX {
        return Err(broken(format!("A dynamic creative has at most {ASSETS_MAX} assets"), "images"));
    }
    Ok(())
}

/// Rules are two or more, speak of labels that assets have, and no asset of theirs is without one.
fn customization(feed: &Value, map: &Map<String, Value>) -> Result<(), Refusal> {
    let rules = rules(feed);
    if rules.is_empty() {
        return Ok(());
    }
    if rules.len() < 2 {
        return Err(broken("Asset customization needs at least two rules", "asset_customization_rules"));
    }
    for (label, kind) in LABELS {
        let wanted: Vec<String> = rules.iter().filter_map(|rule| rule.get(*label)?.get("name")).map(as_text).collect();
        let labels = |asset: &Value| -> Vec<String> {
            let own = asset.get("adlabels").and_then(Value::as_array).into_iter().flatten();
            own.filter_map(|label| label.get("name")).map(as_text).collect()
        };
        let known: HashSet<String> = list(map, kind).flat_map(labels).collect();
        if let Some(name) = wanted.iter().find(|name| !known.contains(*name)) {
            let text = format!("No asset among the {kind} has the label {name} of a rule");
            return Err(broken(text, "asset_customization_rules"));
        }
        if !wanted.is_empty() && list(map, kind).any(|asset| labels(asset).is_empty()) {
            return Err(broken(format!("With rules each of the {kind} needs a label"), kind));
        }
    }
    Ok(())
}

fn rules(feed: &Value) -> Vec<&Value> {
    feed.get("asset_customization_rules").and_then(Value::as_array).into_iter().flatten().collect()
}

fn one_of(map: &Map<String, Value>, name: &str, words: &[&str]) -> Result<(), Refusal> {
    for (at, word) in list(map, name).map(as_text).enumerate() {
        if !words.contains(&word.as_str()) {
            let text = format!("Param asset_feed_spec[{name}][{at}] must be one of {{{}}}", words.join(", "));
            return Err(broken(text, name));
        }
    }
    Ok(())
}

fn list<'a>(map: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    map.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn broken(text: impl AsRef<str>, name: &str) -> Refusal {
    Refusal::invalid(text).blame(&["asset_feed_spec", name])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(feed: &Value) -> String {
        check(feed).map_or_else(|refusal| refusal.envelope("A").to_string(), |()| String::new())
    }

    #[test]
    fn a_dynamic_creative_has_few_and_different_assets() {
        let texts = |count: usize| (0..count).map(|at| json!({ "text": at.to_string() })).collect::<Vec<_>>();
        let images = |count: usize| (0..count).map(|at| json!({ "hash": at.to_string() })).collect::<Vec<_>>();
        assert_eq!(told(&json!({ "images": images(10), "bodies": texts(5), "titles": texts(5) })), "");
        assert!(told(&json!({ "images": images(11) })).contains("at most 10 images"));
        assert!(told(&json!({ "titles": texts(6) })).contains("at most 5 titles"));
        let many = json!({ "images": images(10), "bodies": texts(5), "titles": texts(5), "descriptions": texts(5),
                           "link_urls": [{ "website_url": "a" }, { "website_url": "b" }, { "website_url": "c" }],
                           "call_to_action_types": ["SHOP_NOW", "LEARN_MORE", "BUY_NOW"] });
        assert!(told(&many).contains("at most 30 assets"), "{}", told(&many));
        assert!(told(&json!({ "images": [{ "hash": "a" }, { "hash": "a" }] })).contains("1815629"));
        assert!(told(&json!({ "bodies": [{ "text": "a" }, { "text": "a" }] })).contains("1815629"));
        assert!(told(&json!({ "ad_formats": ["HOLOGRAM"] })).contains("must be one of {AUTOMATIC_FORMAT"));
        assert!(told(&json!({ "optimization_type": "LUCK" })).contains("must be one of {ASSET_CUSTOMIZATION"));
    }

    #[test]
    fn rules_speak_of_labels_that_assets_have() {
        let rule = |name: &str| json!({ "customization_spec": {}, "image_label": { "name": name } });
        let image = |hash: &str, name: &str| json!({ "hash": hash, "adlabels": [{ "name": name }] });
        let feed = |images: Vec<Value>, rules: Vec<Value>| json!({ "optimization_type": "PLACEMENT", "images": images, "asset_customization_rules": rules });
        assert_eq!(told(&feed(vec![image("a", "one"), image("b", "two")], vec![rule("one"), rule("two")])), "");
        assert!(told(&feed(vec![image("a", "one")], vec![rule("one")])).contains("at least two rules"));
        let unknown = feed(vec![image("a", "one")], vec![rule("one"), rule("two")]);
        assert!(told(&unknown).contains("has the label two"));
        let bare = feed(vec![image("a", "one"), json!({ "hash": "b" })], vec![rule("one"), rule("one")]);
        assert!(told(&bare).contains("needs a label"));
    }
}
