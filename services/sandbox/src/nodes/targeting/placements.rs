//! On what: platforms, positions and devices, some of which Meta has closed.

use serde_json::{Map, Value, json};

use super::{broken, list, words};
use crate::error::Refusal;
use crate::params::as_text;
use crate::version::Version;

const PLATFORMS: &[&str] = &["facebook", "instagram", "threads", "messenger", "audience_network", "whatsapp"];
const DEVICES: &[&str] = &["mobile", "desktop", "connected_tv"];
const FACEBOOK: &[&str] = &[
    "feed",
    "right_hand_column",
    "marketplace",
    "story",
    "search",
    "instream_video",
    "facebook_reels",
    "facebook_reels_overlay",
    "profile_feed",
    "notification",
];
const INSTAGRAM: &[&str] = &["stream", "story", "explore_home", "reels", "profile_feed", "ig_search", "profile_reels"];
/// The version from which `video_feeds` is refused on Facebook (Meta, "Changelog").
const NO_VIDEO_FEEDS: Version = Version(24);
/// The version from which `explore` is refused on Instagram, and stories in Messenger are dropped without a word.
const NO_EXPLORE: Version = Version(26);

/// Checks every platform and its positions.
pub(super) fn check(version: Version, map: &Map<String, Value>) -> Result<(), Refusal> {
    let platforms = words(map, "publisher_platforms", PLATFORMS)?;
    words(map, "device_platforms", DEVICES)?;
    let facebook = positions(map, "facebook_positions", FACEBOOK, (version < NO_VIDEO_FEEDS).then_some("video_feeds"))?;
    let instagram = positions(map, "instagram_positions", INSTAGRAM, (version < NO_EXPLORE).then_some("explore"))?;
    let threads = positions(map, "threads_positions", &["threads_stream"], None)?;
    let messenger = positions(map, "messenger_positions", &["sponsored_messages", "story"], None)?;
    let network = positions(map, "audience_network_positions", &["classic", "rewarded_video"], None)?;
    let whatsapp = positions(map, "whatsapp_positions", &["status"], None)?;
    let has = |name: &str| platforms.iter().any(|platform| platform == name);
    for (member, platform, given) in [
        ("facebook_positions", "facebook", &facebook),
        ("instagram_positions", "instagram", &instagram),
        ("threads_positions", "threads", &threads),
        ("messenger_positions", "messenger", &messenger),
        ("audience_network_positions", "audience_network", &network),
    ] {
        if !platforms.is_empty() && !given.is_empty() && !has(platform) {
            return Err(broken(format!("{member} needs {platform} in publisher_platforms"), member));
        }
    }
    if platforms.iter().any(|platform| platform == "audience_network") && platforms.len() == 1 && whatsapp.is_empty() {
        return Err(broken("The Audience Network cannot be chosen alone", "publisher_platforms"));
    }
    together(&platforms, &facebook, &instagram, &messenger, &network)
}

/// Positions that need others beside them.
fn together(
    platforms: &[String],
    facebook: &[String],
    instagram: &[String],
    messenger: &[String],
    network: &[String],
) -> Result<(), Refusal> {
    let in_list = |list: &[String], word: &str| list.iter().any(|other| other == word);
    let needs_feed = ["marketplace", "search"].iter().find(|word| in_list(facebook, word));
    if let (Some(word), false) = (needs_feed, in_list(facebook, "feed")) {
        return Err(broken(format!("The position {word} needs the position feed beside it"), "facebook_positions"));
    }
    let has_stream = in_list(platforms, "instagram") && (instagram.is_empty() || in_list(instagram, "stream"));
    if in_list(platforms, "threads") && !has_stream {
        return Err(broken("Threads needs the stream of Instagram beside it", "threads_positions"));
    }
    if in_list(messenger, "sponsored_messages") && (messenger.len() > 1 || platforms.len() > 1) {
        return Err(broken("sponsored_messages can only be chosen alone", "messenger_positions"));
    }
    if network.len() == 1 && in_list(network, "rewarded_video") {
        return Err(broken("rewarded_video cannot be chosen alone", "audience_network_positions"));
    }
    Ok(())
}

fn positions(
    map: &Map<String, Value>,
    name: &str,
    alive: &[&str],
    still: Option<&'static str>,
) -> Result<Vec<String>, Refusal> {
    let all: Vec<&str> = alive.iter().copied().chain(still).collect();
    words(map, name, &all)
}

/// Without the position that newer versions drop instead of refusing.
pub(super) fn without_dropped(version: Version, mut map: Map<String, Value>) -> Map<String, Value> {
    let kept: Vec<Value> = list(&map, "messenger_positions").filter(|word| **word != "story").cloned().collect();
    if version < NO_EXPLORE || kept.len() == list(&map, "messenger_positions").count() {
        return map;
    }
    if !kept.is_empty() {
        map.insert("messenger_positions".to_owned(), json!(kept));
        return map;
    }
    map.remove("messenger_positions");
    let platforms: Vec<Value> =
        list(&map, "publisher_platforms").filter(|word| as_text(word) != "messenger").cloned().collect();
    if !platforms.is_empty() {
        map.insert("publisher_platforms".to_owned(), json!(platforms));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::super::tests::{settle, told};
    use super::*;

    #[test]
    fn dead_positions_are_refused_from_their_version_on() {
        for (member, word, last) in [
            ("facebook_positions", "video_feeds", Some(23)),
            ("facebook_positions", "instant_article", None),
            ("facebook_positions", "biz_disco_feed", None),
            ("instagram_positions", "explore", Some(25)),
            ("messenger_positions", "messenger_home", None),
        ] {
            let spec = json!({ (member): [word] });
            for version in 22..=26 {
                let taken = settle(version, &json!([]), &spec).is_ok();
                assert_eq!(taken, last.is_some_and(|last| version <= last), "{word} in v{version}");
            }
        }
        assert!(
            told(&json!({ "instagram_positions": ["explore"] }))
                .contains("must be one of {stream, story, explore_home")
        );
    }

    #[test]
    fn some_positions_need_others_beside_them() {
        for (spec, text) in [
            (json!({ "publisher_platforms": ["audience_network"] }), "cannot be chosen alone"),
            (json!({ "publisher_platforms": ["facebook"], "instagram_positions": ["stream"] }), "needs instagram"),
            (json!({ "facebook_positions": ["marketplace"] }), "needs the position feed"),
            (json!({ "publisher_platforms": ["threads"] }), "needs the stream"),
            (
                json!({ "publisher_platforms": ["threads", "instagram"], "instagram_positions": ["story"] }),
                "needs the stream",
            ),
            (json!({ "audience_network_positions": ["rewarded_video"] }), "rewarded_video cannot"),
            (json!({ "publisher_platforms": ["myspace"] }), "must be one of {facebook, instagram"),
            (json!({ "device_platforms": ["watch"] }), "must be one of {mobile, desktop"),
        ] {
            let answer = told(&spec);
            assert!(answer.contains(text), "{spec}: {answer}");
        }
        assert_eq!(told(&json!({ "publisher_platforms": ["facebook"], "facebook_positions": ["story"] })), "");
        assert_eq!(told(&json!({ "publisher_platforms": ["facebook", "audience_network"] })), "");
        assert_eq!(told(&json!({ "publisher_platforms": ["threads", "instagram"] })), "");
    }

    #[test]
    fn stories_in_messenger_are_dropped_without_a_word() {
        let spec = json!({ "publisher_platforms": ["facebook", "messenger"], "messenger_positions": ["story"] });
        let old = settle(25, &json!([]), &spec).unwrap();
        assert_eq!(old["messenger_positions"], json!(["story"]));
        let new = settle(26, &json!([]), &spec).unwrap();
        assert!(new.get("messenger_positions").is_none());
        assert_eq!(new["publisher_platforms"], json!(["facebook"]));
    }
}
