//! How long a video is, by its movie header.

/// What a video lasts whose bytes do not say: in milliseconds.
pub(crate) const USUAL_MILLISECONDS: u64 = 15_000;

/// The length of an MP4 or MOV file in milliseconds; `None` where it has no movie header.
pub(crate) fn milliseconds(bytes: &[u8]) -> Option<u64> {
    let at = bytes.windows(4).position(|window| window == b"mvhd")?;
    let header = bytes.get(at + 4..)?;
    // The second version of the header counts in 64 bits.
    let (scale, length) = match header.first()? {
        0 => (big(header.get(12..16)?), big(header.get(16..20)?)),
        1 => (big(header.get(20..24)?), big(header.get(24..32)?)),
        _ => return None,
    };
    length.checked_mul(1_000)?.checked_div(scale)
}

fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_stands_in_the_movie_header() {
        let mut file = b"\0\0\0\x6cmvhd\0\0\0\0".to_vec();
        file.extend_from_slice(&[0; 8]);
        file.extend_from_slice(&600_u32.to_be_bytes());
        file.extend_from_slice(&7_500_u32.to_be_bytes());
        assert_eq!(milliseconds(&file), Some(12_500));
        assert_eq!(milliseconds(b"no film"), None);
    }
}
