//! Images, one for each content of an account.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{picture, write};
use crate::error::Refusal;
use crate::fields;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State, Status};

pub(crate) const FIELDS: &str = "account_id created_time creatives hash height id is_associated_creatives_in_adgroups name \
    original_height original_width owner_business permalink_url status updated_time url url_128 width";

/// The largest image file.
const BYTES_MAX: usize = 30 * 1024 * 1024;

/// `POST /act_X/adimages`: files, or `bytes` in base64. One entry for each, under its file name.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut images = Map::new();
    for file in &call.files {
        let id = stored(state, call, account, &file.name, &file.bytes)?;
        images.insert(file.name.clone(), entry(state, id));
    }
    if let Some(text) = call.params.text("bytes") {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| Refusal::invalid("Param bytes must be base64").blame(&["bytes"]))?;
        let name = call.params.text("name").unwrap_or_else(|| "bytes".to_owned());
        let id = stored(state, call, account, &name, &bytes)?;
        images.insert("bytes".to_owned(), entry(state, id));
    }
    if images.is_empty() {
        return Err(Refusal::required("filename"));
    }
    Ok(json!({ "images": images }))
}

/// `GET /act_X/adimages`, all or those of `hashes`.
pub(crate) fn list(state: &State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let hashes = call.params.words("hashes")?;
    let ids = state
        .children(account, Kind::Image)
        .rev()
        .filter(|&id| {
            let hash = state.object(id).map(|image| image.text("hash")).unwrap_or_default();
            hashes.as_ref().is_none_or(|hashes| hashes.iter().any(|wanted| wanted == hash))
        })
        .collect();
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

/// `DELETE /act_X/adimages?hash=..`; refused while a creative shows it.
pub(crate) fn delete(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let hash = call.params.required("hash")?;
    let Some(image) = state.image(account, &hash).filter(|image| image.status != Status::Deleted).cloned() else {
        return Err(Refusal::missing("delete", &hash));
    };
    let used = state.children(account, Kind::Creative).filter_map(|id| state.object(id)).any(|creative| {
        !creative.status.is_gone() && Value::Object(creative.fields.clone()).to_string().contains(&hash)
    });
    if used {
        let advice = "The image is used by a creative.";
        return Err(Refusal::rule(1_487_831, "Image in use", advice, &["hash"]));
    }
    let mut image = image;
    image.status = Status::Deleted;
    image.updated = call.now;
    write::keep(state, image);
    Ok(write::validated())
}

fn stored(state: &mut State, call: &Call, account: u64, name: &str, bytes: &[u8]) -> Result<u64, Refusal> {
    let refused = |advice: &str| Refusal::rule(1_487_411, "Image invalid", advice, &["filename"]);
    if bytes.len() > BYTES_MAX {
        return Err(refused("An image has at most 30 MB."));
    }
    let size = picture::size(bytes).ok_or_else(|| refused("The file is no PNG, JPEG or GIF image."))?;
    // Meta's hashes have 32 hex digits; which digest they are is not published.
    let hash: String = hex::encode(digest(&SHA256, bytes)).chars().take(32).collect();
    if let Some(image) = state.image(account, &hash) {
        let id = image.id;
        if image.status == Status::Deleted {
            let mut image = image.clone();
            image.status = Status::Active;
            image.updated = call.now;
            write::keep(state, image);
        }
        return Ok(id);
    }
    let id = state.fresh_id();
    let image = Object::new(id, Kind::Image, account, call.now).with(json!({
        "name": name,
        "hash": hash,
        "width": size.width,
        "height": size.height,
        "original_width": size.width,
        "original_height": size.height,
    }));
    write::keep(state, image);
    Ok(id)
}

fn entry(state: &State, id: u64) -> Value {
    let Some(image) = state.object(id) else { return Value::Null };
    json!({
        "hash": image.text("hash"),
        "name": image.name(),
        "width": image.fields.get("width"),
        "height": image.fields.get("height"),
        "url": address(image, ""),
        "url_128": address(image, "_128"),
    })
}

fn address(image: &Object, variant: &str) -> String {
    format!("https://scontent.sandbox.example/i/{}{variant}.png", image.text("hash"))
}

pub(crate) fn show(image: &Object, name: &str) -> Option<Shown> {
    match name {
        "url" | "permalink_url" => Some(Shown::text(address(image, ""))),
        "url_128" => Some(Shown::text(address(image, "_128"))),
        _ => None,
    }
}
