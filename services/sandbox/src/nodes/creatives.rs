//! Creatives: immutable, and one for each content.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{labels, write};
use crate::error::Refusal;
use crate::params::Params;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Kind, Object, State, Status};

pub(crate) const FIELDS: &str = "account_id actor_id ad_disclaimer_spec adlabels applink_treatment asset_feed_spec authorization_category \
    auto_update body branded_content branded_content_sponsor_page_id bundle_folder_id call_to_action \
    call_to_action_type categorization_criteria category_media_source collaborative_ads_lsb_image_bank_id \
    contextual_multi_ads creative_sourcing_spec degrees_of_freedom_spec destination_set_id destination_spec \
    dynamic_ad_voice effective_authorization_category effective_instagram_media_id effective_object_story_id \
    enable_direct_install enable_launch_instant_app existing_post_title facebook_branded_content \
    format_transformation_spec generative_asset_spec id image_crops image_hash image_url \
    instagram_branded_content instagram_permalink_url instagram_user_id interactive_components_spec \
    link_deep_link_url link_destination_display_url link_og_id link_url marketing_message_structured_spec \
    media_sourcing_spec messenger_sponsored_message name object_id object_store_url object_story_id \
    object_story_spec object_type object_url omnichannel_link_spec page_welcome_message \
    photo_album_source_object_story_id place_page_set_id platform_customizations playable_asset_id \
    portrait_customizations product_data product_set_id product_suggestion_settings recommender_settings \
    regional_regulation_disclaimer_spec source_facebook_post_id source_instagram_media_id status template_url \
    template_url_spec thumbnail_id thumbnail_url title url_tags use_page_actor_override video_id";

const PARAMS: &[Row] = &[
    ("name", Form::Text),
    ("object_story_spec", Form::Object),
    ("object_story_id", Form::Text),
    ("asset_feed_spec", Form::Object),
    ("product_set_id", Form::Text),
    ("source_instagram_media_id", Form::Text),
    ("instagram_user_id", Form::Text),
    ("object_id", Form::Text),
    ("url_tags", Form::Text),
    ("template_url", Form::Text),
    ("degrees_of_freedom_spec", Form::Object),
    ("contextual_multi_ads", Form::Object),
    ("creative_sourcing_spec", Form::Object),
    ("call_to_action", Form::Object),
    ("image_hash", Form::Text),
    ("video_id", Form::Text),
    ("title", Form::Text),
    ("body", Form::Text),
    ("link_url", Form::Text),
    ("authorization_category", Form::Text),
];

/// One of these says what the creative shows.
const CONTENT: &[&str] =
    &["object_story_spec", "object_story_id", "asset_feed_spec", "product_set_id", "source_instagram_media_id"];

/// The creative of an ad: one that exists, or one to be made with the ad.
#[derive(Debug)]
pub(crate) enum OfAd {
    Existing(u64),
    New(Map<String, Value>),
}

impl OfAd {
    pub(crate) fn made(self, state: &mut State, account: u64, now: Timestamp) -> u64 {
        match self {
            Self::Existing(id) => id,
            Self::New(fields) => made(state, account, fields, now).id(),
        }
    }
}

/// What `make` came to: a new creative, or the one with the same content.
enum Made {
    New(u64),
    Same(u64),
}

impl Made {
    fn id(&self) -> u64 {
        match self {
            Self::New(id) | Self::Same(id) => *id,
        }
    }
}

pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let only = write::validates_only(&call.params)?;
    let fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    check(state, account, &fields, &call.params)?;
    let labels = labels::read(state, call, account)?;
    if only {
        return Ok(write::validated());
    }
    let made = made(state, account, fields, call.now);
    if let Made::New(id) = made
        && let Some(mut creative) = state.object(id).cloned()
    {
        creative.labels = labels.made(state, account, call.now);
        if !creative.labels.is_empty() {
            write::keep(state, creative);
        }
    }
    write::created(state, call, made.id())
}

pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let allowed = |name: &str| {
        matches!(name, "name" | "status" | "adlabels" | "account_id" | "id" | "fields" | "execution_options")
    };
    if let Some((name, _)) = call.params.iter().find(|(name, _)| !allowed(name)) {
        return Err(Refusal::invalid(format!("The {name} of a creative cannot be changed")).blame(&[name]));
    }
    let labels = labels::read(state, call, old.account)?;
    if write::validates_only(&call.params)? {
        return Ok(write::validated());
    }
    let mut creative = old.clone();
    if let Some(name) = call.params.text("name") {
        creative.fields.insert("name".to_owned(), Value::String(name));
    }
    if call.params.text("status").is_some_and(|status| status == "DELETED") {
        creative.status = Status::Deleted;
    }
    if call.params.has("adlabels") {
        creative.labels = labels.made(state, old.account, call.now);
    }
    creative.updated = call.now;
    write::keep(state, creative);
    write::updated(state, call, old.id)
}

/// Reads `creative` of an ad: `{"creative_id": ..}`, or a whole creative.
pub(crate) fn of_ad(state: &State, call: &Call, account: u64) -> Result<OfAd, Refusal> {
    let Some(value) = call.params.json("creative")? else { return Err(Refusal::required("creative")) };
    let id = value.get("creative_id").or_else(|| value.get("id")).unwrap_or(&value);
    if let Some(id) = write::id_of(id) {
        let known = state
            .of_kind(id, Kind::Creative)
            .is_some_and(|creative| creative.account == account && creative.status != Status::Deleted);
        if !known {
            let text = format!("Invalid parameter: the creative {id} does not exist");
            return Err(Refusal::invalid(text).blame(&["creative"]));
        }
        return Ok(OfAd::Existing(id));
    }
    let Value::Object(map) = value else {
        return Err(Refusal::invalid("Param creative must be a valid JSON object").blame(&["creative"]));
    };
    let params = Params::from_map(map);
    let fields = spec::read(state, account, PARAMS, &params, call.now)?;
    check(state, account, &fields, &params)?;
    Ok(OfAd::New(fields))
}

/// The creative of an ad with some members changed, to be made.
pub(crate) fn varied(state: &State, call: &Call, ad: &Object, changes: Map<String, Value>) -> Result<OfAd, Refusal> {
    let mut map = ad.creative.and_then(|id| state.object(id)).map(|own| own.fields.clone()).unwrap_or_default();
    map.retain(|name, _| PARAMS.iter().any(|(known, _)| known == name));
    map.extend(changes);
    let params = Params::from_map(map);
    let fields = spec::read(state, ad.account, PARAMS, &params, call.now)?;
    check(state, ad.account, &fields, &params)?;
    Ok(OfAd::New(fields))
}

fn made(state: &mut State, account: u64, mut fields: Map<String, Value>, now: Timestamp) -> Made {
    let canonical = Value::Object(fields.clone()).to_string();
    let content = hex::encode(digest(&SHA256, canonical.as_bytes()));
    if let Some(id) = state.same_creative(account, &content) {
        return Made::Same(id);
    }
    fields.insert("_content".to_owned(), json!(content));
    let mut creative = Object::new(state.fresh_id(), Kind::Creative, account, now);
    creative.fields = fields;
    let id = creative.id;
    write::keep(state, creative);
    Made::New(id)
}

fn check(state: &State, account: u64, fields: &Map<String, Value>, params: &Params) -> Result<(), Refusal> {
    if params.has("instagram_actor_id") {
        let text = "instagram_actor_id is deprecated, use instagram_user_id";
        return Err(Refusal::invalid(text).blame(&["instagram_actor_id"]));
    }
    if !CONTENT.iter().any(|name| fields.contains_key(*name)) {
        let advice = "A creative needs content: an object_story_spec, an existing post, or an asset_feed_spec.";
        return Err(Refusal::rule(2_446_386, "Creative has no content", advice, &["object_story_spec"]));
    }
    let mut images = Vec::new();
    let mut videos = Vec::new();
    if let Some(spec) = fields.get("object_story_spec") {
        story(state, spec)?;
        collect(spec, "image_hash", &mut images);
        collect(spec, "video_id", &mut videos);
    }
    if let Some(feed) = fields.get("asset_feed_spec") {
        collect(feed, "hash", &mut images);
        collect(feed, "video_id", &mut videos);
    }
    for hash in images {
        if state.image(account, &hash).is_none_or(|image| image.status == Status::Deleted) {
            let advice = format!("The image {hash} is not in this ad account.");
            return Err(Refusal::rule(1_487_472, "Image not found", advice, &["image_hash"]));
        }
    }
    for id in videos {
        if id.parse().ok().and_then(|id| state.of_kind(id, Kind::Video)).is_none() {
            let advice = format!("The video {id} is not in this ad account.");
            return Err(Refusal::rule(1_487_678, "Video not found", advice, &["video_id"]));
        }
    }
    Ok(())
}

fn story(state: &State, spec: &Value) -> Result<(), Refusal> {
    let at = |name: &'static str| ["object_story_spec", name];
    let Some(page) = spec.get("page_id") else {
        return Err(Refusal::rule(1_487_929, "Page missing", "A page is required.", &at("page_id")));
    };
    if write::id_of(page).and_then(|id| state.of_kind(id, Kind::Page)).is_none() {
        let advice = "The page does not exist, or you may not advertise for it.";
        return Err(Refusal::rule(1_487_929, "Page not found", advice, &at("page_id")));
    }
    if let Some(user) = spec.get("instagram_user_id")
        && write::id_of(user).and_then(|id| state.of_kind(id, Kind::Instagram)).is_none()
    {
        let advice = "The Instagram account does not exist or is not connected.";
        return Err(Refusal::rule(1_772_103, "Instagram account not usable", advice, &at("instagram_user_id")));
    }
    if let Some(link) = spec.get("link_data") {
        let cards = link.get("child_attachments").and_then(Value::as_array).map(Vec::len);
        if link.get("link").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Refusal::rule(1_815_199, "Link missing", "A link is required.", &at("link_data")));
        }
        if cards.is_some_and(|cards| !(2..=10).contains(&cards)) {
            let advice = "A carousel has 2 to 10 cards.";
            return Err(Refusal::rule(1_815_199, "Number of cards", advice, &at("link_data")));
        }
    }
    Ok(())
}

/// All texts under `name`, however deep.
fn collect(value: &Value, name: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == name => into.push(text.clone()),
                    other => collect(other, name, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, into)),
        _ => {}
    }
}

pub(crate) fn show(view: &View<'_>, creative: &Object, name: &str) -> Option<Shown> {
    let spec = creative.fields.get("object_story_spec");
    let link = spec.and_then(|spec| spec.get("link_data").or_else(|| spec.get("video_data")));
    let of_link = |name: &str| link.and_then(|link| link.get(name)).cloned().map_or(Shown::Absent, Shown::Value);
    if creative.fields.contains_key(name) {
        return None;
    }
    match name {
        "object_type" => {
            let video = spec.is_some_and(|spec| spec.get("video_data").is_some());
            Some(Shown::text(if video { "VIDEO" } else { "SHARE" }))
        }
        "actor_id" => Some(spec.and_then(|spec| spec.get("page_id")).cloned().map_or(Shown::Absent, Shown::Value)),
        "effective_object_story_id" => {
            let page = spec.and_then(|spec| spec.get("page_id")).and_then(Value::as_str)?;
            Some(Shown::text(format!("{page}_{}", creative.id)))
        }
        "body" => Some(of_link("message")),
        "title" => Some(
            link.and_then(|link| link.get("name").or_else(|| link.get("title")))
                .cloned()
                .map_or(Shown::Absent, Shown::Value),
        ),
        "image_hash" => Some(of_link("image_hash")),
        "video_id" => Some(of_link("video_id")),
        "call_to_action_type" => Some(
            link.and_then(|link| link.pointer("/call_to_action/type")).cloned().map_or(Shown::Absent, Shown::Value),
        ),
        "thumbnail_url" => Some(Shown::text(format!("{}/__sandbox/media/t/{}.png", view.base, creative.id))),
        "image_url" => Some(match link.and_then(|link| link.get("image_hash")).and_then(Value::as_str) {
            Some(hash) => Shown::text(super::images::address(view.base, hash)),
            None => Shown::Absent,
        }),
        _ => None,
    }
}
