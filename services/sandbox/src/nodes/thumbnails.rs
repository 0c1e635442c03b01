//! Thumbnails of videos: some frames of its own, and pictures that were uploaded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{picture, write};
use crate::error::Refusal;
use crate::route::Call;
use crate::state::{Change, Object, State};

/// How many frames a video offers by itself.
const FRAMES: u64 = 8;

/// `GET /{video}/thumbnails`.
pub(crate) fn list(call: &Call, video: &Object) -> Value {
    let preferred = preferred_id(video);
    let mut rows = Vec::new();
    for thumbnail in uploaded(video) {
        let id = thumbnail.get("id").and_then(Value::as_str).unwrap_or_default();
        let side = |name: &str| thumbnail.get(name).cloned().unwrap_or_default();
        rows.push(row(&call.base, id, &side("width"), &side("height"), id == preferred));
    }
    for frame in 0..FRAMES {
        let id = frame_id(video, frame);
        rows.push(row(&call.base, &id, &json!(1_280), &json!(720), id == preferred));
    }
    json!({ "data": rows })
}

/// `POST /{video}/thumbnails`: a picture in `source`, shown from now on where `is_preferred` says so.
pub(crate) fn create(state: &mut State, call: &Call, video: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let Some(file) = call.files.first() else { return Err(Refusal::required("source")) };
    let preferred = call.params.boolean("is_preferred")?;
    let mut video = video.clone();
    add(state, &mut video, &file.bytes, preferred)?;
    video.updated = call.now;
    write::keep(state, video);
    Ok(write::validated())
}

/// Adds a picture to a video that is kept afterwards. Fails where it is none.
pub(crate) fn add(state: &mut State, video: &mut Object, bytes: &[u8], preferred: bool) -> Result<(), Refusal> {
    let size = picture::size(bytes).ok_or_else(|| {
        let advice = "The thumbnail is no PNG, JPEG or GIF image.";
        Refusal::invalid(advice).blame(&["source"])
    })?;
    let id = state.fresh_id().to_string();
    state.commit(Change::Media { key: format!("f/{id}"), at: 0, bytes: STANDARD.encode(bytes) });
    let mut all = uploaded(video).to_vec();
    all.push(json!({ "id": id, "width": size.width, "height": size.height }));
    video.fields.insert("_thumbnails".to_owned(), Value::Array(all));
    if preferred {
        video.fields.insert("_preferred".to_owned(), Value::String(id));
    }
    Ok(())
}

/// Shows another of the video's thumbnails. Fails where it has none with that id.
pub(crate) fn prefer(video: &mut Object, id: &str) -> Result<(), Refusal> {
    let known = (0..FRAMES).any(|frame| frame_id(video, frame) == id)
        || uploaded(video).iter().any(|thumbnail| thumbnail.get("id").is_some_and(|own| own == id));
    if !known {
        let text = format!("The video has no thumbnail {id}");
        return Err(Refusal::invalid(text).blame(&["preferred_thumbnail_id"]));
    }
    video.fields.insert("_preferred".to_owned(), json!(id));
    Ok(())
}

/// Where the picture is that stands for the video.
pub(crate) fn preferred(base: &str, video: &Object) -> String {
    address(base, &preferred_id(video))
}

fn preferred_id(video: &Object) -> String {
    match video.text("_preferred") {
        "" => frame_id(video, 0),
        id => id.to_owned(),
    }
}

fn uploaded(video: &Object) -> &[Value] {
    video.fields.get("_thumbnails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn frame_id(video: &Object, frame: u64) -> String {
    format!("{}{frame}", video.id)
}

fn address(base: &str, id: &str) -> String {
    format!("{base}/__sandbox/media/f/{id}.png")
}

fn row(base: &str, id: &str, width: &Value, height: &Value, preferred: bool) -> Value {
    json!({
        "id": id,
        "uri": address(base, id),
        "height": height,
        "width": width,
        "scale": 1,
        "is_preferred": preferred,
        "name": "",
    })
}
