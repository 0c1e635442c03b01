//! What a creative must hold, of whatever kind it is (Meta, "Ad creative").

use serde_json::{Map, Value};

use super::{feed, story};
use crate::error::Refusal;
use crate::nodes::write;
use crate::params::{Params, as_text};
use crate::state::{Kind, State, Status};

/// One of these says what the creative shows.
const CONTENT: &[&str] =
    &["object_story_spec", "object_story_id", "asset_feed_spec", "product_set_id", "source_instagram_media_id"];

/// Every type of a call to action, in the words of the official SDKs of v26.
#[rustfmt::skip]
pub(super) const CALLS_TO_ACTION: &[&str] = &[
    "ADD_TO_CART", "APPLY_NOW", "ASK_ABOUT_SERVICES", "ASK_A_QUESTION", "ASK_FOR_MORE_INFO", "ASK_US", "AUDIO_CALL",
    "BOOK_A_CONSULTATION", "BOOK_NOW", "BOOK_TRAVEL", "BROWSE_SHOP", "BUY", "BUY_ACTIVITY_TICKETS", "BUY_NOW",
    "BUY_TICKETS", "BUY_VIA_MESSAGE", "CALL", "CALL_ME", "CALL_NOW", "CHAT_NOW", "CHAT_WITH_US", "CONFIRM", "CONTACT",
    "CONTACT_US", "DONATE", "DONATE_NOW", "DOWNLOAD", "EVENT_RSVP", "FIND_A_GROUP", "FIND_OUT_MORE", "FIND_YOUR_GROUPS",
    "FOLLOW_NEWS_STORYLINE", "FOLLOW_PAGE", "FOLLOW_USER", "GET_A_QUOTE", "GET_DETAILS", "GET_DIRECTIONS",
    "GET_IN_TOUCH", "GET_OFFER", "GET_OFFER_VIEW", "GET_PROMOTIONS", "GET_QUOTE", "GET_SHOWTIMES", "GET_STARTED",
    "INQUIRE_NOW", "INSTALL_APP", "INSTALL_MOBILE_APP", "JOIN_CHANNEL", "JOIN_LIVE_VIDEO", "LEARN_MORE", "LIKE_PAGE",
    "LISTEN_MUSIC", "LISTEN_NOW", "MAKE_AN_APPOINTMENT", "MESSAGE_PAGE", "MOBILE_DOWNLOAD", "NO_BUTTON",
    "OPEN_INSTANT_APP", "OPEN_LINK", "ORDER_NOW", "PAY_TO_ACCESS", "PLAY_GAME", "PLAY_GAME_ON_FACEBOOK",
    "PURCHASE_GIFT_CARDS", "RAISE_MONEY", "RECORD_NOW", "REFER_FRIENDS", "REQUEST_TIME", "SAY_THANKS", "SEE_MORE",
    "SEE_SHOP", "SELL_NOW", "SEND_A_GIFT", "SEND_GIFT_MONEY", "SEND_UPDATES", "SHARE", "SHOP_NOW", "SHOP_WITH_AI",
    "SIGN_UP", "SOTTO_SUBSCRIBE", "START_A_CHAT", "START_ORDER", "STREAM_NOW", "SUBSCRIBE", "SWIPE_UP_PRODUCT",
    "SWIPE_UP_SHOP", "TRY_DEMO", "TRY_ON_WITH_AI", "UPDATE_APP", "USE_APP", "USE_MOBILE_APP", "VIDEO_ANNOTATION",
    "VIDEO_CALL", "VIEW_CART", "VIEW_CHANNEL", "VIEW_IN_CART", "VIEW_PRODUCT", "VISIT_PAGES_FEED", "VISIT_WEBSITE",
    "WATCH_LIVE_VIDEO", "WATCH_MORE", "WATCH_NOW", "WATCH_VIDEO", "WHATSAPP_MESSAGE", "WOODHENGE_SUPPORT",
];

/// Checks a creative, read into fields, with the parameters that it came from.
pub(super) fn check(state: &State, account: u64, fields: &Map<String, Value>, params: &Params) -> Result<(), Refusal> {
    let dead = |name: &str| params.has(name) || fields.values().any(|value| holds(value, name));
    if dead("instagram_actor_id") {
        let text = "instagram_actor_id is deprecated, use instagram_user_id";
        return Err(Refusal::invalid(text).blame(&["instagram_actor_id"]));
    }
    if fields.values().any(|value| holds(value, "191x100")) {
        let advice = "The crop 191x100 is no longer available.";
        return Err(Refusal::rule(2_490_085, "Image crop not available", advice, &["image_crops", "191x100"]));
    }
    if !CONTENT.iter().any(|name| fields.contains_key(*name)) {
        let text = "A creative needs content: an object_story_spec, an existing post, or an asset_feed_spec";
        return Err(Refusal::invalid(text).blame(&["object_story_spec"]));
    }
    features(fields)?;
    post(state, fields)?;
    if let Some(spec) = fields.get("object_story_spec") {
        story::check(state, fields, spec)?;
    }
    if let Some(feed) = fields.get("asset_feed_spec") {
        feed::check(feed)?;
    }
    calls_to_action(fields)?;
    media(state, account, fields)
}

/// Features are opted into one by one since v22; each says whether.
fn features(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let spec = fields.get("degrees_of_freedom_spec").and_then(|it| it.get("creative_features_spec"));
    for (name, feature) in spec.and_then(Value::as_object).into_iter().flatten() {
        let path = ["degrees_of_freedom_spec", "creative_features_spec", name];
        if name == "standard_enhancements" {
            let text = "standard_enhancements is deprecated, opt into each creative feature by its name";
            return Err(Refusal::invalid(text).blame(&path));
        }
        let enrolled = feature.get("enroll_status").map(as_text);
        if enrolled.is_some_and(|word| !matches!(word.as_str(), "OPT_IN" | "OPT_OUT")) {
            return Err(Refusal::invalid("Param enroll_status must be one of {OPT_IN, OPT_OUT}").blame(&path));
        }
    }
    Ok(())
}

/// An existing post of a page, or of an Instagram account.
fn post(state: &State, fields: &Map<String, Value>) -> Result<(), Refusal> {
    if let Some(id) = fields.get("object_story_id").map(as_text) {
        let (page, post) = id.split_once('_').unwrap_or_default();
        if page.parse::<u64>().is_err() || post.parse::<u64>().is_err() {
            let text = "Param object_story_id must be of the form {page_id}_{post_id}";
            return Err(Refusal::invalid(text).blame(&["object_story_id"]));
        }
        if page.parse().ok().and_then(|page| state.of_kind(page, Kind::Page)).is_none() {
            let advice = "The post does not exist, or its page is not one that you may advertise for.";
            return Err(Refusal::rule(2_446_289, "Post not available", advice, &["object_story_id"]));
        }
    }
    let user = fields.get("instagram_user_id");
    let known = user.and_then(write::id_of).is_some_and(|id| state.of_kind(id, Kind::Instagram).is_some());
    let wanted = fields.contains_key("source_instagram_media_id");
    if (user.is_some() || wanted) && !known {
        return Err(no_instagram(&["instagram_user_id"]));
    }
    Ok(())
}

pub(super) fn no_instagram(path: &[&str]) -> Refusal {
    let advice = "The Instagram account is missing, does not exist, or is not connected.";
    Refusal::rule(1_772_103, "Instagram account not usable", advice, path)
}

fn calls_to_action(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let mut given = Vec::new();
    for value in fields.values() {
        members(value, "call_to_action", &mut given);
    }
    given.extend(fields.get("call_to_action"));
    let feed = fields.get("asset_feed_spec");
    let of_feed = feed.and_then(|feed| feed.get("call_to_actions")).and_then(Value::as_array).into_iter().flatten();
    let words = feed.and_then(|feed| feed.get("call_to_action_types")).and_then(Value::as_array).into_iter().flatten();
    let types = given.into_iter().chain(of_feed).filter_map(|call| call.get("type")).chain(words);
    for word in types.map(as_text) {
        if !CALLS_TO_ACTION.contains(&word.as_str()) {
            let text = format!("Param call_to_action[type] must be one of {{{}}}", CALLS_TO_ACTION.join(", "));
            return Err(Refusal::invalid(text).blame(&["call_to_action", "type"]));
        }
    }
    Ok(())
}

/// Images and videos are in the account.
fn media(state: &State, account: u64, fields: &Map<String, Value>) -> Result<(), Refusal> {
    let (mut hashes, mut videos) = (Vec::new(), Vec::new());
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with('_')) {
        let hash_name = if name == "asset_feed_spec" { "hash" } else { "image_hash" };
        members(value, hash_name, &mut hashes);
        members(value, "thumbnail_hash", &mut hashes);
        members(value, "video_id", &mut videos);
    }
    hashes.extend(fields.get("image_hash"));
    videos.extend(fields.get("video_id"));
    for hash in hashes.into_iter().map(as_text).filter(|hash| !hash.is_empty()) {
        if state.image(account, &hash).is_none_or(|image| image.status == Status::Deleted) {
            let text = format!("The image {hash} is not in this ad account");
            return Err(Refusal::invalid(text).blame(&["image_hash"]));
        }
    }
    for id in videos.into_iter().map(as_text).filter(|id| !id.is_empty()) {
        let video = id.parse().ok().and_then(|id| state.of_kind(id, Kind::Video));
        if video.is_none_or(|video| video.status == Status::Deleted) {
            return Err(Refusal::invalid(format!("The video {id} is not in this ad account")).blame(&["video_id"]));
        }
    }
    Ok(())
}

/// Whether a member of that name is anywhere in a value.
fn holds(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(map) => map.contains_key(name) || map.values().any(|value| holds(value, name)),
        Value::Array(items) => items.iter().any(|item| holds(item, name)),
        _ => false,
    }
}

/// All members of that name, however deep.
fn members<'a>(value: &'a Value, name: &str, into: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            into.extend(map.get(name));
            map.iter().filter(|(key, _)| *key != name).for_each(|(_, value)| members(value, name, into));
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, name, into)),
        _ => {}
    }
}
