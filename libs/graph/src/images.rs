//! Pictures in an ad account's library.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use vocabulary::ids::AdAccountId;

use crate::{
    answer::Page,
    call::{Call, Replay},
};

/// The largest picture that Meta takes, in bytes (Meta, "Ad image": 30 MB).
pub const BYTES_MAX: usize = 30 * 1024 * 1024;

/// A picture, as Meta answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// 32 hex digits, from the content: the same bytes give the same hash.
    pub hash: String,
    /// In pixels.
    #[serde(default)]
    pub width: Option<i32>,
    /// In pixels.
    #[serde(default)]
    pub height: Option<i32>,
}

/// The answer to an upload: by the file's name.
#[derive(Debug, Clone, Deserialize)]
pub struct Uploaded {
    images: BTreeMap<String, Image>,
}

impl Uploaded {
    /// The one picture that was sent.
    pub fn into_image(self) -> Option<Image> {
        self.images.into_values().next()
    }
}

/// Uploads a picture. Safe to repeat: the content gives the hash.
pub fn upload(account: AdAccountId, file_name: &str, content: Bytes) -> Call<Uploaded> {
    Call::post(format!("/{}/adimages", account.act()), Replay::Safe).file("filename", file_name, content)
}

/// Those of these pictures that the account has.
pub fn find(account: AdAccountId, hashes: &[&str]) -> Call<Page<Image>> {
    Call::get(format!("/{}/adimages", account.act()))
        .json("hashes", &hashes)
        .fields(&["hash", "width", "height"])
        .field("limit", 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_travels_as_a_file() {
        let call = upload(AdAccountId::new(1), "shoe.png", Bytes::from_static(b"png"));
        assert_eq!(call.to_string(), "POST /act_1/adimages\nfilename=@shoe.png (3 bytes)");
    }

    #[test]
    fn an_upload_is_answered_by_file_name() {
        let answer: Uploaded =
            serde_json::from_str(r#"{"images":{"shoe.png":{"hash":"c8","url":"https://x.example","width":4}}}"#)
                .unwrap();
        assert_eq!(answer.into_image().unwrap(), Image { hash: "c8".to_owned(), width: Some(4), height: None });
    }

    #[test]
    fn pictures_are_found_by_hash() {
        assert_eq!(
            find(AdAccountId::new(1), &["a", "b"]).to_string(),
            "GET /act_1/adimages\nhashes=[\"a\",\"b\"]\nfields=hash,width,height\nlimit=100"
        );
    }
}
