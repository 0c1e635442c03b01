//! Videos: whole or in chunks, ready after a while.

use serde_json::{Value, json};

use super::write;
use crate::error::Refusal;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::state::{Kind, Object, State, Status, iso};

pub(crate) const FIELDS: &str = "created_time description embeddable format id is_instagram_eligible length permalink_url \
    picture published source status title updated_time";

/// How much of a file the server asks for at a time.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// `POST /act_X/advideos`.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    match call.params.text("upload_phase").as_deref() {
        None => whole(state, call, account),
        Some("start") => start(state, call, account),
        Some("transfer") => transfer(state, call),
        Some("finish") => finish(state, call),
        Some("cancel") => {
            let mut video = session(state, call)?;
            video.status = Status::Deleted;
            write::keep(state, video);
            Ok(write::validated())
        }
        Some(_) => Err(Refusal::invalid("Param upload_phase must be one of {start, transfer, finish, cancel}")),
    }
}

fn whole(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let bytes: usize = call.files.iter().map(|file| file.bytes.len()).sum();
    if bytes == 0 && !call.params.has("file_url") {
        return Err(Refusal::required("source"));
    }
    let mut video = new_video(state, call, account, u64::try_from(bytes).unwrap_or_default());
    video.fields.insert("_done".to_owned(), Value::Bool(true));
    let id = video.id;
    write::keep(state, video);
    write::created(state, call, id)
}

fn start(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let size = call.params.integer("file_size")?.and_then(|size| u64::try_from(size).ok()).filter(|&size| size > 0);
    let Some(size) = size else { return Err(Refusal::required("file_size")) };
    let video = new_video(state, call, account, size);
    let id = video.id;
    write::keep(state, video);
    let mut body = offsets(0, size);
    if let Value::Object(map) = &mut body {
        map.insert("upload_session_id".to_owned(), json!(id.to_string()));
        map.insert("video_id".to_owned(), json!(id.to_string()));
    }
    Ok(body)
}

fn transfer(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let mut video = session(state, call)?;
    let (size, received) = (number(&video, "_size"), number(&video, "_received"));
    let offset = call.params.integer("start_offset")?.and_then(|offset| u64::try_from(offset).ok());
    if offset != Some(received) {
        let refusal = Refusal::new(6_001, "There was a problem uploading your video file.").subcode(1_363_037);
        return Err(refusal.transient(true).data(offsets(received, size)));
    }
    let bytes: usize = call.files.iter().map(|file| file.bytes.len()).sum();
    let received = received.saturating_add(u64::try_from(bytes).unwrap_or_default()).min(size);
    video.fields.insert("_received".to_owned(), json!(received));
    write::keep(state, video);
    Ok(offsets(received, size))
}

fn finish(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let mut video = session(state, call)?;
    if number(&video, "_received") < number(&video, "_size") {
        let refusal = Refusal::new(6_000, "There was a problem uploading your video file.").subcode(1_363_019);
        return Err(refusal.transient(true));
    }
    for name in ["title", "description"] {
        if let Some(text) = call.params.text(name) {
            video.fields.insert(name.to_owned(), Value::String(text));
        }
    }
    video.fields.insert("_done".to_owned(), Value::Bool(true));
    video.updated = call.now;
    write::keep(state, video);
    Ok(write::validated())
}

/// `DELETE /act_X/advideos?video_id=..`.
pub(crate) fn delete(state: &mut State, call: &Call, id: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let Some(mut video) = state.of_kind(id, Kind::Video).cloned() else {
        return Err(Refusal::missing("delete", &id.to_string()));
    };
    video.status = Status::Deleted;
    write::keep(state, video);
    Ok(write::validated())
}

/// `GET /{video}/thumbnails`.
pub(crate) fn thumbnails(video: &Object) -> Value {
    let rows: Vec<Value> = (0..8_u64)
        .map(|at| {
            json!({
                "id": (video.id.saturating_mul(10).saturating_add(at)).to_string(),
                "uri": format!("https://scontent.sandbox.example/v/{}_{at}.jpg", video.id),
                "height": 720,
                "width": 1280,
                "scale": 1,
                "is_preferred": at == 0,
                "name": "",
            })
        })
        .collect();
    json!({ "data": rows })
}

pub(crate) fn show(view: &View<'_>, video: &Object, name: &str) -> Option<Shown> {
    match name {
        "status" => Some(Shown::Value(status(view, video))),
        "picture" => Some(Shown::text(format!("https://scontent.sandbox.example/v/{}_0.jpg", video.id))),
        "permalink_url" => Some(Shown::text(format!("/watch/?v={}", video.id))),
        "published" => Some(Shown::Value(Value::Bool(true))),
        "updated_time" => Some(Shown::text(iso(view.state, video.account, video.updated))),
        _ => None,
    }
}

fn status(view: &View<'_>, video: &Object) -> Value {
    let (size, received) = (number(video, "_size"), number(video, "_received"));
    let phase = |word: &str| json!({ "status": word });
    if !video.fields.contains_key("_done") {
        return json!({
            "video_status": "uploading",
            "uploading_phase": { "status": "in_progress", "bytes_transferred": received, "source_file_size": size },
            "processing_phase": phase("not_started"),
            "publishing_phase": phase("not_started"),
        });
    }
    let ready = view.state.polls(video.id) > view.state.settings.video_polls;
    let (word, progress, step) = if ready { ("ready", 100, "complete") } else { ("processing", 40, "in_progress") };
    json!({
        "video_status": word,
        "processing_progress": progress,
        "uploading_phase": { "status": "complete", "bytes_transferred": size, "source_file_size": size },
        "processing_phase": phase(step),
        "publishing_phase": phase(if ready { "complete" } else { "not_started" }),
    })
}

fn new_video(state: &mut State, call: &Call, account: u64, size: u64) -> Object {
    let mut video =
        Object::new(state.fresh_id(), Kind::Video, account, call.now).with(json!({ "_size": size, "_received": 0 }));
    for (param, field) in [("name", "title"), ("title", "title"), ("description", "description")] {
        if let Some(text) = call.params.text(param) {
            video.fields.insert(field.to_owned(), Value::String(text));
        }
    }
    video
}

fn session(state: &State, call: &Call) -> Result<Object, Refusal> {
    let id = write::required_id(&call.params, "upload_session_id")?;
    let open = state.of_kind(id, Kind::Video).filter(|video| video.status == Status::Active);
    open.filter(|video| !video.fields.contains_key("_done")).cloned().ok_or_else(|| {
        Refusal::new(6_000, "There was a problem uploading your video file.").subcode(1_363_041).transient(true)
    })
}

fn offsets(from: u64, size: u64) -> Value {
    let to = from.saturating_add(CHUNK_BYTES).min(size);
    json!({ "start_offset": from.to_string(), "end_offset": to.to_string() })
}

fn number(video: &Object, name: &str) -> u64 {
    video.fields.get(name).and_then(Value::as_u64).unwrap_or_default()
}
