//! The bytes of pictures and videos, so that the addresses in answers lead to something.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

/// How much of one file is kept. Larger videos keep their first part, which is enough to tell their length.
pub(crate) const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Files by their key: `i/<hash>` of an image, `v/<id>` of a video, `f/<id>` of a video's thumbnail.
#[derive(Debug, Default)]
pub(crate) struct Media(HashMap<String, Bytes>);

impl Media {
    /// Puts bytes at a place of a file. What would leave a gap or be too much is dropped.
    pub(super) fn put(&mut self, key: String, at: usize, bytes: &[u8]) {
        let old = self.0.entry(key).or_default();
        let room = KEPT_BYTES_MAX.saturating_sub(at);
        let bytes = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        let Some(kept) = old.get(..at) else { return };
        let mut whole = BytesMut::with_capacity(at + bytes.len());
        whole.extend_from_slice(kept);
        whole.extend_from_slice(bytes);
        *old = whole.freeze();
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Bytes> {
        self.0.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_follow_each_other_and_a_gap_is_not_filled() {
        let mut media = Media::default();
        media.put("v/1".to_owned(), 0, b"abc");
        media.put("v/1".to_owned(), 3, b"def");
        media.put("v/1".to_owned(), 9, b"xyz");
        assert_eq!(media.get("v/1").unwrap().as_ref(), b"abcdef");
        media.put("v/1".to_owned(), 2, b"C");
        assert_eq!(media.get("v/1").unwrap().as_ref(), b"abC");
    }
}
