//! `/__sandbox/media/...`: the bytes behind the addresses of images, videos and thumbnails. No token is asked for, as
//! at Meta's own hosts of media.

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use super::plain;
use super::sandbox::Sandbox;
use crate::nodes::{drawing, picture};
use crate::params::Params;
use crate::state::{Kind, Object, State};

/// The side of a thumbnail where the address names none.
const THUMBNAIL: u32 = 64;

/// Answers with the file of a name such as `i/<hash>.png`.
pub(super) fn answer(sandbox: &Sandbox, name: &str, params: &Params) -> Response<Body> {
    let Some(bytes) = file(&sandbox.lock().state, name, params) else {
        return plain(StatusCode::NOT_FOUND, "no such file in this sandbox".to_owned());
    };
    let kind = picture::mime(&bytes).unwrap_or("video/mp4");
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn file(state: &State, name: &str, params: &Params) -> Option<Bytes> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let (folder, key) = stem.split_once('/')?;
    let id = || key.parse::<u64>().ok();
    match folder {
        "i" => state.media.get(stem).cloned().or_else(|| world_image(state, key)),
        "v" => state.media.get(stem).cloned(),
        // A frame is one of a video's own, or a picture that was uploaded as its thumbnail.
        "f" => Some(state.media.get(stem).cloned().unwrap_or_else(|| drawing::png(1_280, 720, seed(key)).into())),
        "t" => {
            let creative = state.of_kind(id()?, Kind::Creative)?;
            Some(thumbnail(state, creative, params))
        }
        _ => None,
    }
}

/// An image that came with the world, whose bytes nobody has: drawn in its size.
fn world_image(state: &State, hash: &str) -> Option<Bytes> {
    let mut images = state.all(Kind::Image).filter_map(|id| state.object(id));
    let image = images.find(|image| image.text("hash") == hash)?;
    let side = |name: &str| image.fields.get(name)?.as_u64().and_then(|side| u32::try_from(side).ok());
    Some(drawing::png(side("width")?, side("height")?, seed(hash)).into())
}

fn thumbnail(state: &State, creative: &Object, params: &Params) -> Bytes {
    let hash = creative.fields.get("object_story_spec").and_then(|spec| spec.pointer("/link_data/image_hash"));
    let own = hash.and_then(|hash| state.media.get(&format!("i/{}", hash.as_str()?)));
    let side = |name: &str| params.integer(name).ok().flatten().and_then(|side| u32::try_from(side).ok());
    match (own, side("w"), side("h")) {
        (Some(own), None, None) => own.clone(),
        // A picture is not made smaller or larger here: one of the size that was asked for is drawn.
        (_, width, height) => {
            let (width, height) = (width.or(height), height.or(width));
            drawing::png(width.unwrap_or(THUMBNAIL), height.unwrap_or(THUMBNAIL), creative.id).into()
        }
    }
}

fn seed(key: &str) -> u64 {
    key.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}
