//! Images, one for each content of an account.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{archive, picture, write};
use crate::error::Refusal;
use crate::fields;
use crate::params::Params;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Change, Kind, Object, State, Status};

pub(crate) const FIELDS: &str = "account_id created_time creatives filename hash height id \
    is_associated_creatives_in_adgroups name original_height original_width owner_business permalink_url status \
    updated_time url url_128 width";

/// The largest image file.
const BYTES_MAX: usize = 30 * 1024 * 1024;

/// `POST /act_X/adimages`: files, `bytes` in base64, or a copy of another account's image. One entry for each, under
/// its file name; an archive gives one for each picture in it.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut images = Map::new();
    for file in &call.files {
        if archive::is_zip(&file.bytes) {
            let files = archive::files(&file.bytes).ok_or_else(|| refused("The archive cannot be read."))?;
            for (name, bytes) in files {
                let id = stored(state, call, account, &name, &bytes)?;
                images.insert(name, entry(state, call, id));
            }
            continue;
        }
        let id = stored(state, call, account, &file.name, &file.bytes)?;
        images.insert(file.name.clone(), entry(state, call, id));
    }
    if let Some(text) = call.params.text("bytes") {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| Refusal::invalid("Param bytes must be base64").blame(&["bytes"]))?;
        let name = call.params.text("name").unwrap_or_else(|| "bytes".to_owned());
        let id = stored(state, call, account, &name, &bytes)?;
        images.insert("bytes".to_owned(), entry(state, call, id));
    }
    if let Some(from) = call.params.json("copy_from")? {
        let id = copied(state, call, account, &from)?;
        let name = state.object(id).map(|image| image.name().to_owned()).unwrap_or_default();
        images.insert(name, entry(state, call, id));
    }
    if images.is_empty() {
        return Err(Refusal::required("filename"));
    }
    Ok(json!({ "images": images }))
}

/// `GET /act_X/adimages`: all, or those of `hashes`, of a name or of a size. Last changed first.
pub(crate) fn list(state: &State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let hashes = match call.params.words("hashes")? {
        Some(hashes) => Some(hashes),
        None => call.params.words("selected_hashes")?,
    };
    let name = call.params.text("name");
    let least = |side: &str| call.params.integer(&format!("min{side}")).map(Option::unwrap_or_default);
    let (width, height) = (least("width")?, least("height")?);
    let wanted = |&id: &u64| {
        let Some(image) = state.object(id) else { return false };
        let side = |name: &str| image.fields.get(name).and_then(Value::as_i64).unwrap_or_default();
        hashes.as_ref().is_none_or(|hashes| hashes.iter().any(|wanted| wanted == image.text("hash")))
            && name.as_ref().is_none_or(|name| name == image.name())
            && side("width") >= width
            && side("height") >= height
    };
    let ids = super::by_update(state, state.children(account, Kind::Image).filter(wanted));
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

/// `DELETE /act_X/adimages?hash=..`; refused while a creative shows it.
pub(crate) fn delete(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let hash = named(&call.params)?;
    let Some(image) = state.image(account, &hash).filter(|image| image.status != Status::Deleted).cloned() else {
        return Err(Refusal::missing("delete", &hash));
    };
    if state.users_of_image(account, &hash).next().is_some() {
        let advice = "The image is used by a creative.";
        return Err(Refusal::rule(1_487_831, "Image in use", advice, &["hash"]));
    }
    let mut image = image;
    image.status = Status::Deleted;
    image.updated = call.now;
    write::keep(state, image);
    Ok(write::validated())
}

/// The hash by which an image is to be deleted; `image_id` says the same with the account before it.
fn named(params: &Params) -> Result<String, Refusal> {
    match params.text("image_id") {
        Some(id) if !params.has("hash") => Ok(id.rsplit(':').next().unwrap_or(&id).to_owned()),
        _ => params.required("hash"),
    }
}

fn refused(advice: &str) -> Refusal {
    Refusal::invalid(advice).blame(&["filename"])
}

fn stored(state: &mut State, call: &Call, account: u64, name: &str, bytes: &[u8]) -> Result<u64, Refusal> {
    if bytes.len() > BYTES_MAX {
        return Err(refused("An image has at most 30 MB."));
    }
    let size = picture::size(bytes).ok_or_else(|| refused("The file is no PNG, JPEG or GIF image."))?;
    // Meta's hashes have 32 hex digits; which digest they are is not published.
    let hash: String = hex::encode(digest(&SHA256, bytes)).chars().take(32).collect();
    let key = format!("i/{hash}");
    if state.media.get(&key).is_none() {
        state.commit(Change::Media { key, at: 0, bytes: STANDARD.encode(bytes) });
    }
    let fields = json!({
        "name": name,
        "hash": hash,
        "width": size.width,
        "height": size.height,
        "original_width": size.width,
        "original_height": size.height,
    });
    Ok(made(state, call, account, &hash, fields))
}

/// The image of a hash: the one that the account has, brought back if it was deleted, else a new one.
fn made(state: &mut State, call: &Call, account: u64, hash: &str, fields: Value) -> u64 {
    if let Some(image) = state.image(account, hash) {
        let id = image.id;
        if image.status == Status::Deleted {
            let mut image = image.clone();
            image.status = Status::Active;
            image.updated = call.now;
            write::keep(state, image);
        }
        return id;
    }
    let id = state.fresh_id();
    write::keep(state, Object::new(id, Kind::Image, account, call.now).with(fields));
    id
}

/// `copy_from`: `{"source_account_id": .., "hash": ..}`.
fn copied(state: &mut State, call: &Call, account: u64, from: &Value) -> Result<u64, Refusal> {
    let member = |name: &str| from.get(name).map(crate::params::as_text);
    let (Some(source), Some(hash)) = (member("source_account_id"), member("hash")) else {
        return Err(Refusal::invalid("Param copy_from must have source_account_id and hash").blame(&["copy_from"]));
    };
    let source = source.trim_start_matches("act_").parse().ok();
    let image = source.and_then(|source| state.image(source, &hash)).filter(|image| image.status != Status::Deleted);
    let Some(fields) = image.map(|image| Value::Object(image.fields.clone())) else {
        let advice = format!("The image {hash} is not in that ad account.");
        return Err(Refusal::rule(1_487_472, "Image not found", advice, &["copy_from", "hash"]));
    };
    Ok(made(state, call, account, &hash, fields))
}

fn entry(state: &State, call: &Call, id: u64) -> Value {
    let Some(image) = state.object(id) else { return Value::Null };
    json!({
        "hash": image.text("hash"),
        "name": image.name(),
        "width": image.fields.get("width"),
        "height": image.fields.get("height"),
        "url": address(&call.base, image.text("hash")),
        "url_128": address(&call.base, image.text("hash")),
    })
}

/// Where the bytes of an image are.
pub(crate) fn address(base: &str, hash: &str) -> String {
    format!("{base}/__sandbox/media/i/{hash}.png")
}

pub(crate) fn show(view: &View<'_>, image: &Object, name: &str) -> Option<Shown> {
    let users = || view.state.users_of_image(image.account, image.text("hash"));
    match name {
        "url" | "permalink_url" | "url_128" => Some(Shown::text(address(view.base, image.text("hash")))),
        "creatives" => {
            let ids: Vec<String> = users().map(|id| id.to_string()).collect();
            Some(if ids.is_empty() { Shown::Absent } else { Shown::Value(json!(ids)) })
        }
        "is_associated_creatives_in_adgroups" => {
            let has_ad = users().any(|id| view.state.children(id, Kind::Ad).next().is_some());
            Some(Shown::Value(Value::Bool(has_ad)))
        }
        "owner_business" => Some(Shown::node(view.state.object(image.account).and_then(|account| account.owner))),
        _ => None,
    }
}
