//! Creatives: immutable, and one for each content.

mod feed;
mod rules;
mod story;

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

pub(super) use feed::is_dynamic;

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
    ("authorization_category", Form::Word(&["NONE", "POLITICAL", "POLITICAL_WITH_DIGITALLY_CREATED_MEDIA"])),
    (
        "applink_treatment",
        Form::Word(&["automatic", "deeplink_with_appstore_fallback", "deeplink_with_web_fallback", "web_only"]),
    ),
    ("branded_content", Form::Object),
    ("destination_spec", Form::Object),
    ("facebook_branded_content", Form::Object),
    ("format_transformation_spec", Form::List),
    ("generative_asset_spec", Form::Object),
    ("image_crops", Form::Object),
    ("image_url", Form::Text),
    ("media_sourcing_spec", Form::Object),
    ("object_url", Form::Text),
    ("place_page_set_id", Form::Text),
    ("platform_customizations", Form::Object),
    ("portrait_customizations", Form::Object),
    ("regional_regulation_disclaimer_spec", Form::Object),
    ("template_url_spec", Form::Object),
    ("thumbnail_url", Form::Text),
];

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
    rules::check(state, account, &fields, &call.params)?;
    let labels = labels::read(state, call, account)?;
    if only {
        return Ok(write::validated_with(call, &[]));
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
        return Ok(write::validated_with(call, &[]));
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
    rules::check(state, account, &fields, &params)?;
    Ok(OfAd::New(fields))
}

/// The creative of an ad with some members changed, to be made.
pub(crate) fn varied(state: &State, call: &Call, ad: &Object, changes: Map<String, Value>) -> Result<OfAd, Refusal> {
    let mut map = ad.creative.and_then(|id| state.object(id)).map(|own| own.fields.clone()).unwrap_or_default();
    map.retain(|name, _| PARAMS.iter().any(|(known, _)| known == name));
    map.extend(changes);
    let params = Params::from_map(map);
    let fields = spec::read(state, ad.account, PARAMS, &params, call.now)?;
    rules::check(state, ad.account, &fields, &params)?;
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

pub(crate) fn show(view: &View<'_>, creative: &Object, name: &str) -> Option<Shown> {
    let spec = creative.fields.get("object_story_spec");
    let link = spec.and_then(|spec| spec.get("link_data").or_else(|| spec.get("video_data")));
    let of_link = |name: &str| link.and_then(|link| link.get(name)).cloned().map_or(Shown::Absent, Shown::Value);
    if creative.fields.contains_key(name) {
        return None;
    }
    match name {
        "object_type" => Some(Shown::text(object_type(creative, spec))),
        "actor_id" => Some(spec.and_then(|spec| spec.get("page_id")).cloned().map_or(Shown::Absent, Shown::Value)),
        "effective_object_story_id" => {
            if let Some(post) = creative.fields.get("object_story_id") {
                return Some(Shown::Value(post.clone()));
            }
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
        "thumbnail_url" => {
            let sides = [("w", view.thumbnail.0), ("h", view.thumbnail.1)].into_iter();
            let sides: Vec<String> = sides.filter_map(|(name, side)| Some(format!("{name}={}", side?))).collect();
            let mark = if sides.is_empty() { "" } else { "?" };
            let sides = sides.join("&");
            Some(Shown::text(format!("{}/__sandbox/media/t/{}.png{mark}{sides}", view.base, creative.id)))
        }
        "image_url" => Some(match link.and_then(|link| link.get("image_hash")).and_then(Value::as_str) {
            Some(hash) => Shown::text(super::images::address(view.base, hash)),
            None => Shown::Absent,
        }),
        _ => None,
    }
}

/// What Meta calls the content.
fn object_type(creative: &Object, spec: Option<&Value>) -> &'static str {
    let has = |name: &str| spec.is_some_and(|spec| spec.get(name).is_some());
    if has("video_data") {
        "VIDEO"
    } else if has("photo_data") {
        "PHOTO"
    } else if has("text_data") || (spec.is_none() && creative.fields.contains_key("object_story_id")) {
        "STATUS"
    } else {
        "SHARE"
    }
}
