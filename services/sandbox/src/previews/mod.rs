//! Previews of ads: an iframe whose address this sandbox answers itself.

mod page;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Refusal;
use crate::nodes::creatives;
use crate::params::{Params, as_text};
use crate::route::Call;
use crate::state::{Kind, Object, State, sealed};

/// Where the iframe leads, below the address under which the caller reached us.
pub(crate) const PATH: &str = "/ads/api/preview_iframe.php";
/// How long a preview can be looked at (Meta, "Ad previews").
const HOURS: i64 = 24;

/// Every `ad_format`, in the words of the official SDKs of v26.
#[rustfmt::skip]
const FORMATS: &[&str] = &[
    "AUDIENCE_NETWORK_INSTREAM_VIDEO", "AUDIENCE_NETWORK_INSTREAM_VIDEO_MOBILE", "AUDIENCE_NETWORK_OUTSTREAM_VIDEO",
    "AUDIENCE_NETWORK_REWARDED_VIDEO", "BIZ_DISCO_FEED_MOBILE", "DESKTOP_FEED_STANDARD", "FACEBOOK_IFU_REELS_MOBILE",
    "FACEBOOK_PROFILE_FEED_DESKTOP", "FACEBOOK_PROFILE_FEED_MOBILE", "FACEBOOK_PROFILE_REELS_MOBILE",
    "FACEBOOK_REELS_BANNER", "FACEBOOK_REELS_BANNER_DESKTOP", "FACEBOOK_REELS_BANNER_FEED_ANDROID",
    "FACEBOOK_REELS_BANNER_FEED_ANDROID_LARGE", "FACEBOOK_REELS_BANNER_FULLSCREEN_IOS",
    "FACEBOOK_REELS_BANNER_FULLSCREEN_MOBILE", "FACEBOOK_REELS_MOBILE", "FACEBOOK_REELS_POSTLOOP",
    "FACEBOOK_REELS_POSTLOOP_FEED", "FACEBOOK_REELS_SIMILAR_PRODUCTS_MOBILE", "FACEBOOK_REELS_STICKER",
    "FACEBOOK_STORY_MOBILE", "FACEBOOK_STORY_STICKER_MOBILE", "INSTAGRAM_EXPLORE_CONTEXTUAL",
    "INSTAGRAM_EXPLORE_GRID_HOME", "INSTAGRAM_EXPLORE_IMMERSIVE", "INSTAGRAM_FEED_WEB", "INSTAGRAM_FEED_WEB_M_SITE",
    "INSTAGRAM_LEAD_GEN_MULTI_SUBMIT_ADS", "INSTAGRAM_PROFILE_FEED", "INSTAGRAM_PROFILE_REELS", "INSTAGRAM_REELS",
    "INSTAGRAM_REELS_OVERLAY", "INSTAGRAM_REELS_WEB", "INSTAGRAM_REELS_WEB_M_SITE", "INSTAGRAM_SEARCH_CHAIN",
    "INSTAGRAM_SEARCH_GRID", "INSTAGRAM_STANDARD", "INSTAGRAM_STORY", "INSTAGRAM_STORY_EFFECT_TRAY",
    "INSTAGRAM_STORY_WEB", "INSTAGRAM_STORY_WEB_M_SITE", "INSTANT_ARTICLE_RECIRCULATION_AD",
    "INSTANT_ARTICLE_STANDARD", "INSTREAM_BANNER_DESKTOP", "INSTREAM_BANNER_FEED_IOS",
    "INSTREAM_BANNER_FULLSCREEN_IOS", "INSTREAM_BANNER_FULLSCREEN_MOBILE", "INSTREAM_BANNER_IMMERSIVE_MOBILE",
    "INSTREAM_BANNER_MOBILE", "INSTREAM_VIDEO_DESKTOP", "INSTREAM_VIDEO_FULLSCREEN_IOS",
    "INSTREAM_VIDEO_FULLSCREEN_MOBILE", "INSTREAM_VIDEO_IMAGE", "INSTREAM_VIDEO_IMMERSIVE_MOBILE",
    "INSTREAM_VIDEO_MOBILE", "JOB_BROWSER_DESKTOP", "JOB_BROWSER_MOBILE", "MARKETPLACE_MOBILE",
    "MESSENGER_MOBILE_INBOX_MEDIA", "MESSENGER_MOBILE_STORY_MEDIA", "MOBILE_BANNER", "MOBILE_FEED_BASIC",
    "MOBILE_FEED_STANDARD", "MOBILE_FULLWIDTH", "MOBILE_INTERSTITIAL", "MOBILE_MEDIUM_RECTANGLE", "MOBILE_NATIVE",
    "RIGHT_COLUMN_STANDARD", "SUGGESTED_VIDEO_DESKTOP", "SUGGESTED_VIDEO_FULLSCREEN_MOBILE",
    "SUGGESTED_VIDEO_IMMERSIVE_MOBILE", "SUGGESTED_VIDEO_MOBILE", "WATCH_FEED_HOME", "WATCH_FEED_MOBILE",
    "WHATSAPP_STATUS_MEDIA",
];

/// What a preview shows. It travels in the address, so that nothing has to be kept for it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Picture {
    format: String,
    page: String,
    message: String,
    title: String,
    link: String,
    button: String,
    media: String,
    cards: Vec<String>,
    /// Unix seconds.
    until: i64,
}

/// `GET /{ad}/previews`, `/{creative}/previews` and `/act_X/generatepreviews`; `None` for another edge.
pub(crate) fn answer(state: &State, call: &Call, object: &Object, edge: &str) -> Option<Result<Value, Refusal>> {
    Some(match (object.kind, edge) {
        (Kind::AdAccount, "generatepreviews") => generated(state, call, object.id),
        (Kind::Creative, "previews") => shown(state, call, &object.fields),
        (Kind::Ad, "previews") => match object.creative.and_then(|id| state.object(id)) {
            Some(creative) => shown(state, call, &creative.fields),
            None => Ok(json!({ "data": [] })),
        },
        _ => return None,
    })
}

fn generated(state: &State, call: &Call, account: u64) -> Result<Value, Refusal> {
    match creatives::of_ad(state, call, account)? {
        creatives::OfAd::Existing(id) => match state.object(id) {
            Some(creative) => shown(state, call, &creative.fields),
            None => Ok(json!({ "data": [] })),
        },
        creatives::OfAd::New(fields) => shown(state, call, &fields),
    }
}

fn shown(state: &State, call: &Call, creative: &Map<String, Value>) -> Result<Value, Refusal> {
    let format = call.params.required("ad_format")?;
    if !FORMATS.contains(&format.as_str()) {
        let text = format!("Param ad_format must be one of {{{}}}", FORMATS.join(", "));
        return Err(Refusal::invalid(text).blame(&["ad_format"]));
    }
    let (width, height) = size(&format);
    let width = call.params.integer("width")?.unwrap_or(width);
    let height = call.params.integer("height")?.unwrap_or(height);
    let until = call.now.checked_add(SignedDuration::from_hours(HOURS)).unwrap_or(call.now).as_second();
    let picture = Picture { format, until, ..picture(state, creative) };
    let data = URL_SAFE_NO_PAD.encode(serde_json::to_string(&picture).unwrap_or_default());
    let seal = seal(state, &data);
    // Meta's pages are at another host, which the proxy answers for as well.
    let base = call.base.replace("://graph.facebook.com", "://www.facebook.com");
    let body = format!(
        "<iframe src=\"{base}{PATH}?d={data}&amp;t={seal}\" width=\"{width}\" height=\"{height}\" scrolling=\"yes\" \
         style=\"border: none;\"></iframe>"
    );
    Ok(json!({ "data": [{ "body": body }] }))
}

/// The page behind an iframe, or `None` where the address is not one of ours or is too old.
pub(crate) fn page(state: &State, params: &Params, now: Timestamp) -> Option<String> {
    let (data, given) = (params.text("d")?, params.text("t")?);
    if given != seal(state, &data) {
        return None;
    }
    let picture: Picture = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(data).ok()?).ok()?;
    (now.as_second() < picture.until).then(|| page::html(&picture))
}

fn seal(state: &State, data: &str) -> String {
    sealed(&format!("preview:{}:{data}", state.seed)).chars().take(32).collect()
}

/// Width and height of the iframe in pixels, near those that Meta gives.
fn size(format: &str) -> (i64, i64) {
    match format {
        "RIGHT_COLUMN_STANDARD" => (280, 213),
        "MOBILE_BANNER" => (320, 50),
        "MOBILE_MEDIUM_RECTANGLE" => (300, 250),
        _ if format.contains("STORY") || format.contains("REELS") || format.contains("STATUS") => (318, 567),
        _ if format.contains("DESKTOP") => (540, 690),
        _ => (335, 450),
    }
}

fn picture(state: &State, creative: &Map<String, Value>) -> Picture {
    let story = creative.get("object_story_spec");
    let page = story.and_then(|story| story.get("page_id")).and_then(crate::nodes::write::id_of);
    let page = page.and_then(|id| state.object(id)).map(|page| page.name().to_owned()).unwrap_or_default();
    let data = ["link_data", "video_data", "photo_data", "template_data", "text_data"]
        .iter()
        .find_map(|name| story.and_then(|story| story.get(*name)));
    let feed = creative.get("asset_feed_spec");
    let of_data = |names: &[&str]| names.iter().find_map(|name| data.and_then(|data| data.get(*name))).map(as_text);
    let of_feed = |pointer: &str| feed.and_then(|feed| feed.pointer(pointer)).map(as_text);
    let own = |name: &str| creative.get(name).map(as_text);
    let cards = data.and_then(|data| data.get("child_attachments")).and_then(Value::as_array).into_iter().flatten();
    Picture {
        page,
        message: of_data(&["message", "caption"])
            .or_else(|| of_feed("/bodies/0/text"))
            .or_else(|| own("body"))
            .unwrap_or_default(),
        title: of_data(&["name", "title"])
            .or_else(|| of_feed("/titles/0/text"))
            .or_else(|| own("title"))
            .unwrap_or_default(),
        link: of_data(&["link"])
            .or_else(|| data.and_then(|data| data.pointer("/call_to_action/value/link")).map(as_text))
            .or_else(|| of_feed("/link_urls/0/website_url"))
            .or_else(|| own("link_url"))
            .unwrap_or_default(),
        button: data
            .and_then(|data| data.pointer("/call_to_action/type"))
            .map(as_text)
            .or_else(|| of_feed("/call_to_action_types/0"))
            .unwrap_or_default(),
        media: of_data(&["video_id", "image_hash", "picture", "url"])
            .or_else(|| of_feed("/images/0/hash"))
            .or_else(|| of_feed("/videos/0/video_id"))
            .or_else(|| own("object_story_id"))
            .unwrap_or_default(),
        cards: cards
            .map(|card| card.get("name").or_else(|| card.get("link")).map(as_text).unwrap_or_default())
            .collect(),
        ..Picture::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_formats_as_the_sdks_have_each_once_and_in_order() {
        assert_eq!(FORMATS.len(), 76);
        assert!(FORMATS.is_sorted_by(|one, next| one < next));
    }
}
