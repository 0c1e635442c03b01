use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use super::{Flaw, trim};

/// The SHA-256 of a normalised identifier. Written as 64 lower-case hexadecimal digits, as Meta wants it.
///
/// A hash of an e-mail address still names a person: it does not show in `Debug`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Hashes a value that is normalised already.
    pub fn of(normalised: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, normalised.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Reads a hash that somebody else made; capitals are taken.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(trim(text), &mut bytes).map_err(|_| Flaw::HashMalformed)?;
        Ok(Self(bytes))
    }

    /// From the 32 bytes that [`Self::bytes`] gave.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Appends the 64 digits.
    pub fn write(&self, text: &mut String) {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
        text.extend(self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(64);
        self.write(&mut text);
        out.write_str(&text)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hash(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metas_own_examples_have_metas_hashes() {
        for (value, hash) in [
            ("mary@example.com", "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"),
            ("john_smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
            ("15559876543", "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"),
            ("16505551212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
            ("mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
            ("f", "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"),
            ("19970216", "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c"),
            ("newyork", "350c754ba4d38897693aa077ef43072a859d23f613443133fecbbd90a3512ca5"),
            ("ca", "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"),
            ("us", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
        ] {
            assert_eq!(Hash::of(value).to_string(), hash, "{value}");
        }
    }

    #[test]
    fn a_hash_does_not_show_in_debug() {
        assert_eq!(format!("{:?}", Hash::of("mary")), "Hash(..)");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65), "mary@example.com"] {
            assert_eq!(Hash::parse(text), Err(Flaw::HashMalformed));
        }
        assert_eq!(Hash::parse(&"AB".repeat(32)), Ok(Hash::from_bytes([0xab; 32])));
    }

    proptest! {
        #[test]
        fn a_hash_is_read_as_it_is_written(bytes: [u8; 32]) {
            let hash = Hash::from_bytes(bytes);
            prop_assert_eq!(Hash::parse(&hash.to_string()), Ok(hash));
        }
    }
}
