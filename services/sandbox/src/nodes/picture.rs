//! What a picture is, by its first bytes.

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The kind of picture, as `Content-Type` names it; `None` where the bytes are none.
pub(crate) fn mime(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [0xff, 0xd8, ..] => Some("image/jpeg"),
        _ => None,
    }
}

/// The size of a PNG, GIF or JPEG; `None` where the bytes are none of them.
pub(crate) fn size(bytes: &[u8]) -> Option<Size> {
    if let Some(rest) = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        return Some(Size { width: big(rest.get(8..12)?), height: big(rest.get(12..16)?) });
    }
    if bytes.starts_with(b"GIF8") {
        let little = |pair: &[u8]| pair.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
        return Some(Size { width: little(bytes.get(6..8)?), height: little(bytes.get(8..10)?) });
    }
    bytes.strip_prefix(b"\xff\xd8").and_then(jpeg)
}

/// Walks the segments to the frame header, which holds the size.
fn jpeg(mut rest: &[u8]) -> Option<Size> {
    loop {
        let (&[mark, kind, high, low], _) = rest.split_first_chunk::<4>()?;
        if mark != 0xff {
            return None;
        }
        let is_frame = matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc);
        if is_frame {
            return Some(Size { height: big(rest.get(5..7)?), width: big(rest.get(7..9)?) });
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(length.checked_add(2)?..)?;
    }
}

fn big(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_png_and_a_jpeg_is_read() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0";
        assert_eq!(size(png), Some(Size { width: 640, height: 480 }));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xc0\0\x0b\x08\x01\xe0\x02\x80\x03";
        assert_eq!(size(jpeg), Some(Size { width: 640, height: 480 }));
    }

    #[test]
    fn text_is_no_picture() {
        assert_eq!(size(b"hello"), None);
        assert_eq!(size(b"\xff\xd8"), None);
    }
}
