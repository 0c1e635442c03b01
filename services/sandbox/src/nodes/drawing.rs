//! Pictures that nobody uploaded: plain PNG files of one colour, for objects of the world and for previews.

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The longest side of a drawing, which keeps it small.
const SIDE_MAX: u32 = 1_280;
/// The most bytes of one stored block of a zlib stream.
const BLOCK_BYTES_MAX: usize = 65_535;

/// A picture of that size, whose colour follows from the seed.
pub(crate) fn png(width: u32, height: u32, seed: u64) -> Vec<u8> {
    let (width, height) = (width.clamp(1, SIDE_MAX), height.clamp(1, SIDE_MAX));
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    // One bit a pixel, from a palette of one colour.
    header.extend_from_slice(&[1, 3, 0, 0, 0]);
    let [_, _, _, _, _, red, green, blue] = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let row = usize::try_from(width.div_ceil(8)).unwrap_or_default() + 1;
    let pixels = vec![0; row * usize::try_from(height).unwrap_or_default()];
    let mut file = SIGNATURE.to_vec();
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"PLTE", &[red, green, blue]);
    chunk(&mut file, *b"IDAT", &stored(&pixels));
    chunk(&mut file, *b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    file.extend_from_slice(&length.to_be_bytes());
    let start = file.len();
    file.extend_from_slice(&kind);
    file.extend_from_slice(data);
    let sum = crc32(file.get(start..).unwrap_or_default());
    file.extend_from_slice(&sum.to_be_bytes());
}

/// A zlib stream that is not compressed.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(BLOCK_BYTES_MAX).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&adler32(data).to_be_bytes());
    out
}

fn adler32(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for &byte in data {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// The checksum of PNG chunks and of zip entries.
pub(crate) fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::picture;

    #[test]
    fn a_drawing_is_a_png_of_its_size_and_a_seed_gives_always_the_same() {
        let file = png(640, 480, 7);
        assert_eq!(picture::size(&file), Some(picture::Size { width: 640, height: 480 }));
        assert_eq!(file, png(640, 480, 7));
        assert_ne!(file, png(640, 480, 8));
    }

    #[test]
    fn checksums_are_those_of_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
