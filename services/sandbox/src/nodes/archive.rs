//! Zip files, as far as pictures come in them: entries that are stored or deflated.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// The largest file that is taken out, so that no small archive fills the memory.
const FILE_BYTES_MAX: u64 = 30 * 1024 * 1024;

/// Whether the bytes begin as a zip file does.
pub(crate) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The files of an archive with their names, without folders; `None` where it cannot be read.
pub(crate) fn files(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let end = bytes.windows(END.len()).rposition(|window| window == END)?;
    let count = little(bytes.get(end + 10..end + 12)?);
    let mut at = little(bytes.get(end + 16..end + 20)?);
    let mut files = Vec::new();
    for _ in 0..count {
        let entry = bytes.get(at..).filter(|entry| entry.starts_with(ENTRY))?;
        let lengths = [28..30, 30..32, 32..34].map(|range| entry.get(range).map(little));
        let [Some(name_length), Some(extra), Some(comment)] = lengths else { return None };
        let name = std::str::from_utf8(entry.get(46..46 + name_length)?).ok()?;
        if !name.ends_with('/') {
            let method = little(entry.get(10..12)?);
            let packed = little(entry.get(20..24)?);
            let start = little(entry.get(42..46)?);
            let local = bytes.get(start..)?;
            let data = start + 30 + little(local.get(26..28)?) + little(local.get(28..30)?);
            let name = name.rsplit('/').next().unwrap_or(name).to_owned();
            files.push((name, unpacked(method, bytes.get(data..data.checked_add(packed)?)?)?));
        }
        at += 46 + name_length + extra + comment;
    }
    Some(files)
}

fn unpacked(method: usize, data: &[u8]) -> Option<Vec<u8>> {
    match method {
        0 => Some(data.to_vec()),
        8 => {
            let mut out = Vec::new();
            DeflateDecoder::new(data).take(FILE_BYTES_MAX + 1).read_to_end(&mut out).ok()?;
            Some(out)
        }
        _ => None,
    }
}

fn little(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// An archive as any tool writes it.
    fn archive(entries: &[(&str, bool, &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut directory = Vec::new();
        for (name, deflate, data) in entries {
            let packed = if *deflate {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            } else {
                data.to_vec()
            };
            let start = u32::try_from(file.len()).unwrap();
            let method = if *deflate { 8_u16 } else { 0 };
            let mut common = Vec::new();
            common.extend_from_slice(&method.to_le_bytes());
            common.extend_from_slice(&[0; 4]);
            common.extend_from_slice(&super::super::drawing::crc32(data).to_le_bytes());
            common.extend_from_slice(&u32::try_from(packed.len()).unwrap().to_le_bytes());
            common.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
            common.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            file.extend_from_slice(b"PK\x03\x04\x14\0\0\0");
            file.extend_from_slice(&common);
            file.extend_from_slice(&[0; 2]);
            file.extend_from_slice(name.as_bytes());
            file.extend_from_slice(&packed);
            directory.extend_from_slice(b"PK\x01\x02\x14\0\x14\0\0\0");
            directory.extend_from_slice(&common);
            directory.extend_from_slice(&[0; 12]);
            directory.extend_from_slice(&start.to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
        }
        let start = u32::try_from(file.len()).unwrap();
        file.extend_from_slice(&directory);
        file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
        file.extend_from_slice(&count);
        file.extend_from_slice(&count);
        file.extend_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
        file.extend_from_slice(&start.to_le_bytes());
        file.extend_from_slice(&[0; 2]);
        file
    }

    #[test]
    fn stored_and_deflated_files_come_out_under_their_own_names() {
        let long = b"picture ".repeat(100);
        let bytes = archive(&[("a.png", false, b"first"), ("folder/", false, b""), ("folder/b.png", true, &long)]);
        assert!(is_zip(&bytes));
        let files = files(&bytes).unwrap();
        assert_eq!(files, [("a.png".to_owned(), b"first".to_vec()), ("b.png".to_owned(), long)]);
    }

    #[test]
    fn a_torn_archive_is_none() {
        let bytes = archive(&[("a.png", false, b"first")]);
        assert_eq!(files(&bytes[..bytes.len() - 30]), None);
        assert_eq!(files(b"PK\x03\x04"), None);
    }
}
