//! Videos: whole or in chunks, ready after a while.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{film, thumbnails, write};
use crate::error::Refusal;
use crate::render::{Shown, View};
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Change, KEPT_BYTES_MAX, Kind, Object, State, Status};

pub(crate) const FIELDS: &str = "account_id ad_breaks admin_creator audio_isrc backdated_time \
    backdated_time_granularity boost_eligibility_info content_category content_tags copyright \
    copyright_check_information copyright_monitoring_status created_time custom_labels description embed_html \
    embeddable event expiration filename filepath format from icon id is_crosspost_video is_crossposting_eligible \
    is_episode is_instagram_eligible is_reference_only length live_audience_count live_status music_video_copyright \
    name permalink_url picture place post_id post_views premiere_living_room_status privacy published \
    replace_audio_status scheduled_publish_time source spherical status title universal_video_id updated_time views";

const PARAMS: &[Row] = &[
    ("title", Form::Text),
    ("description", Form::Text),
    ("content_category", Form::Text),
    ("custom_labels", Form::List),
    ("content_tags", Form::List),
    ("embeddable", Form::Boolean),
    ("source_instagram_media_id", Form::Text),
];

/// The largest video (Meta, "Ads guide": 4 GB).
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// How much of a file the server asks for at a time.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// `POST /act_X/advideos`.
pub(crate) fn create(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    match call.params.text("upload_phase").as_deref() {
        None => whole(state, call, account),
        Some("start") => start(state, call, account),
        Some("transfer") => transfer(state, call, account),
        Some("finish") => finish(state, call, account),
        Some("cancel") => {
            let mut video = session(state, call, account)?;
            video.status = Status::Deleted;
            write::keep(state, video);
            Ok(write::validated())
        }
        Some(_) => Err(Refusal::invalid("Param upload_phase must be one of {start, transfer, finish, cancel}")),
    }
}

/// `POST /{video}`: its texts, and which of its thumbnails is shown.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let mut video = old.clone();
    video.fields.extend(texts(state, call, old.account)?);
    if let Some(id) = call.params.text("preferred_thumbnail_id") {
        thumbnails::prefer(&mut video, &id)?;
    }
    video.updated = call.now;
    write::keep(state, video);
    write::updated(state, call, old.id)
}

fn whole(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    // A picture may come along as the thumbnail; some clients also send their file twice.
    let file = call.files.iter().find(|file| file.part != "thumb" && !file.bytes.is_empty());
    let address = call.params.text("file_url").filter(|address| !address.is_empty());
    let is_web = |address: &String| {
        url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    };
    if address.as_ref().is_some_and(|address| !is_web(address)) {
        return Err(Refusal::invalid("Param file_url must be an http(s) address of a video").blame(&["file_url"]));
    }
    if file.is_none() && address.is_none() && !call.params.has("source_instagram_media_id") {
        return Err(Refusal::required("source"));
    }
    let size = file.map(|file| u64::try_from(file.bytes.len()).unwrap_or_default());
    let mut video = new_video(state, call, account, size.unwrap_or_default())?;
    if let Some(file) = file {
        keep_bytes(state, video.id, 0, &file.bytes);
    }
    if let Some(address) = address {
        video.fields.insert("_from".to_owned(), json!(address));
    }
    done(state, &mut video);
    let id = video.id;
    if let Some(thumb) = call.files.iter().find(|file| file.part == "thumb") {
        thumbnails::add(state, &mut video, &thumb.bytes, true)?;
    }
    write::keep(state, video);
    write::created(state, call, id)
}

fn start(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let size = call.params.integer("file_size")?.and_then(|size| u64::try_from(size).ok()).filter(|&size| size > 0);
    let Some(size) = size else { return Err(Refusal::required("file_size")) };
    if size > FILE_BYTES_MAX {
        return Err(Refusal::invalid("Param file_size: a video has at most 4 GB").blame(&["file_size"]));
    }
    let video = new_video(state, call, account, size)?;
    let id = video.id;
    write::keep(state, video);
    let mut body = offsets(0, size);
    if let Value::Object(map) = &mut body {
        map.insert("upload_session_id".to_owned(), json!(id.to_string()));
        map.insert("video_id".to_owned(), json!(id.to_string()));
    }
    Ok(body)
}

fn transfer(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let mut video = session(state, call, account)?;
    let (size, received) = (number(&video, "_size"), number(&video, "_received"));
    let offset = call.params.integer("start_offset")?.and_then(|offset| u64::try_from(offset).ok());
    if offset != Some(received) {
        let refusal = Refusal::new(6_001, "There was a problem uploading your video file.").subcode(1_363_037);
        return Err(refusal.transient(true).data(offsets(received, size)));
    }
    let Some(file) = call.files.first() else { return Err(Refusal::required("video_file_chunk")) };
    keep_bytes(state, video.id, usize::try_from(received).unwrap_or(KEPT_BYTES_MAX), &file.bytes);
    let bytes = u64::try_from(file.bytes.len()).unwrap_or_default();
    let received = received.saturating_add(bytes).min(size);
    video.fields.insert("_received".to_owned(), json!(received));
    write::keep(state, video);
    Ok(offsets(received, size))
}

fn finish(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let mut video = session(state, call, account)?;
    if number(&video, "_received") < number(&video, "_size") {
        let refusal = Refusal::new(6_000, "There was a problem uploading your video file.").subcode(1_363_019);
        return Err(refusal.transient(true));
    }
    let texts = texts(state, call, video.account)?;
    video.fields.extend(texts);
    done(state, &mut video);
    video.updated = call.now;
    write::keep(state, video);
    Ok(write::validated())
}

/// `DELETE /act_X/advideos?video_id=..`: a video of this account.
pub(crate) fn delete_of(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let id = write::required_id(&call.params, "video_id")?;
    if state.of_kind(id, Kind::Video).is_none_or(|video| video.account != account) {
        return Err(Refusal::invalid(format!("The video {id} is none of this ad account")).blame(&["video_id"]));
    }
    delete(state, call, id)
}

/// `DELETE /{video}`. Afterwards nobody can read it.
pub(crate) fn delete(state: &mut State, call: &Call, id: u64) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let Some(mut video) = state.of_kind(id, Kind::Video).filter(|video| video.status != Status::Deleted).cloned()
    else {
        return Err(Refusal::missing("delete", &id.to_string()));
    };
    video.status = Status::Deleted;
    write::keep(state, video);
    Ok(write::validated())
}

/// Whether all of its file has come, so that it is being processed. Looks before that do not count.
pub(crate) fn is_whole(video: &Object) -> bool {
    video.fields.contains_key("_done")
}

pub(crate) fn show(view: &View<'_>, video: &Object, name: &str) -> Option<Shown> {
    let address = |folder: &str, end: &str| format!("{}/__sandbox/media/{folder}/{}{end}", view.base, video.id);
    match name {
        "status" => Some(Shown::Value(status(view, video))),
        "picture" | "icon" => Some(Shown::text(thumbnails::preferred(view.base, video))),
        "source" => Some(match video.text("_from") {
            "" if view.state.media.get(&format!("v/{}", video.id)).is_some() => Shown::text(address("v", ".mp4")),
            "" => Shown::Absent,
            from => Shown::text(from),
        }),
        "permalink_url" => Some(Shown::text(format!("/watch/?v={}", video.id))),
        "published" | "embeddable" if !video.fields.contains_key(name) => Some(Shown::Value(Value::Bool(true))),
        "is_instagram_eligible" => Some(Shown::Value(Value::Bool(true))),
        "length" => Some(Shown::Value(seconds(number(video, "_milliseconds")))),
        "format" => Some(Shown::Value(json!([
            { "embed_html": "", "filter": "native", "height": 720, "width": 1280, "picture": address("f", "0.png") },
        ]))),
        "views" | "post_views" => Some(Shown::Value(json!(0))),
        _ => None,
    }
}

fn status(view: &View<'_>, video: &Object) -> Value {
    let (size, received) = (number(video, "_size"), number(video, "_received"));
    let phase = |word: &str| json!({ "status": word });
    if !is_whole(video) {
        return json!({
            "video_status": if received < size { "uploading" } else { "upload_complete" },
            "uploading_phase": { "status": "in_progress", "bytes_transferred": received, "source_file_size": size },
            "processing_phase": phase("not_started"),
            "publishing_phase": phase("not_started"),
        });
    }
    let settings = &view.state.settings;
    let ready = view.state.polls(video.id) > settings.video_polls;
    let uploaded = json!({ "status": "complete", "bytes_transferred": size, "source_file_size": size });
    let word = &settings.failing_video_word;
    if ready && !word.is_empty() && video.text("title").contains(word.as_str()) {
        let errors = json!([{ "code": 1_363_026, "message": "The video file could not be processed." }]);
        return json!({
            "video_status": "error",
            "uploading_phase": uploaded,
            "processing_phase": { "status": "error", "errors": errors },
            "publishing_phase": phase("not_started"),
        });
    }
    let (word, progress, step) = if ready { ("ready", 100, "complete") } else { ("processing", 40, "in_progress") };
    json!({
        "video_status": word,
        "processing_progress": progress,
        "uploading_phase": uploaded,
        "processing_phase": phase(step),
        "publishing_phase": phase(if ready { "complete" } else { "not_started" }),
    })
}

fn new_video(state: &mut State, call: &Call, account: u64, size: u64) -> Result<Object, Refusal> {
    let texts = texts(state, call, account)?;
    let mut video =
        Object::new(state.fresh_id(), Kind::Video, account, call.now).with(json!({ "_size": size, "_received": 0 }));
    video.fields.extend(texts);
    Ok(video)
}

/// What is said of a video. `name` is its title in the library of ads.
fn texts(state: &State, call: &Call, account: u64) -> Result<serde_json::Map<String, Value>, Refusal> {
    let mut fields = spec::read(state, account, PARAMS, &call.params, call.now)?;
    if let Some(name) = call.params.text("name") {
        fields.entry("title").or_insert(Value::String(name));
    }
    Ok(fields)
}

fn keep_bytes(state: &mut State, id: u64, at: usize, bytes: &[u8]) {
    if at < KEPT_BYTES_MAX {
        state.commit(Change::Media { key: format!("v/{id}"), at, bytes: STANDARD.encode(bytes) });
    }
}

/// The file is whole: from here it is processed.
fn done(state: &State, video: &mut Object) {
    let length = state.media.get(&format!("v/{}", video.id)).and_then(|bytes| film::milliseconds(bytes));
    video.fields.insert("_milliseconds".to_owned(), json!(length.unwrap_or(film::USUAL_MILLISECONDS)));
    video.fields.insert("_done".to_owned(), Value::Bool(true));
}

fn session(state: &State, call: &Call, account: u64) -> Result<Object, Refusal> {
    let id = write::required_id(&call.params, "upload_session_id")?;
    let of_account = |video: &&Object| video.account == account && video.status == Status::Active;
    let open = state.of_kind(id, Kind::Video).filter(of_account);
    open.filter(|video| !is_whole(video)).cloned().ok_or_else(|| {
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

/// Milliseconds as a JSON number of seconds, by way of its text.
fn seconds(milliseconds: u64) -> Value {
    serde_json::from_str(&format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)).unwrap_or_default()
}
