//! Authenticated encryption of one value, bound to the place where it is stored.
//!
//! AES-256-GCM with a random 96-bit nonce, which is safe for 2^32 values under one key; a key here seals a handful.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use secrecy::{ExposeSecret, SecretBox, SecretSlice};

/// Where a sealed value stands. A value moved to another tenant, table, column, row or key version does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's key within the tenant.
    pub row: &'a str,
    /// The version of the key that seals.
    pub key_version: i32,
}

impl Place<'_> {
    /// Each part with its length before it, so that no two places read the same.
    pub fn bytes(&self) -> Vec<u8> {
        let version = self.key_version.to_be_bytes();
        let parts: [&[u8]; 5] =
            [self.tenant.as_bytes(), self.table.as_bytes(), self.column.as_bytes(), self.row.as_bytes(), &version];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// A 256-bit key. Wiped when dropped, never printed.
pub struct Key(SecretBox<[u8; 32]>);

/// A value could not be sealed or opened. On opening: the key is another one, the place is another one, or the bytes
/// were changed; the algorithm does not say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value cannot be sealed or opened with this key at this place")]
pub struct SealError;

impl Key {
    /// A new random key.
    pub fn random() -> Result<Self, SealError> {
        let mut key = Box::new([0_u8; 32]);
        rand::fill(key.as_mut_slice()).map_err(|_| SealError)?;
        Ok(Self(SecretBox::new(key)))
    }

    /// A key from exactly 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let key: [u8; 32] = bytes.try_into().map_err(|_| SealError)?;
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// Seals a value for a place: the nonce, the ciphertext, the tag.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError)?;
        let mut sealed = plain.to_vec();
        self.cipher()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.bytes()), &mut sealed)
            .map_err(|_| SealError)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Key::seal`] made for the same place.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<SecretSlice<u8>, SealError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut body = body.to_vec();
        let length =
            self.cipher()?.open_in_place(nonce, Aad::from(place.bytes()), &mut body).map_err(|_| SealError)?.len();
        body.truncate(length);
        Ok(body.into())
    }

    /// Wraps this key under another one.
    pub fn wrap(&self, under: &Self, place: &Place<'_>) -> Result<Vec<u8>, SealError> {
        under.seal(place, self.0.expose_secret())
    }

    /// Opens a key that was wrapped under this one.
    pub fn unwrap_key(&self, place: &Place<'_>, wrapped: &[u8]) -> Result<Self, SealError> {
        Self::from_bytes(self.open(place, wrapped)?.expose_secret())
    }

    /// The bytes, for the provider that wraps them.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        UnboundKey::new(&AES_256_GCM, self.0.expose_secret()).map(LessSafeKey::new).map_err(|_| SealError)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'static> =
        Place { tenant: "acme", table: "connections", column: "sealed_token", row: "7", key_version: 1 };

    #[test]
    fn a_value_opens_where_it_was_sealed() {
        let key = Key::random().unwrap();
        let sealed = key.seal(&HERE, b"a token").unwrap();
        assert_eq!(key.open(&HERE, &sealed).unwrap().expose_secret(), b"a token");
    }

    #[test]
    fn a_value_moved_anywhere_else_does_not_open() {
        let key = Key::random().unwrap();
        let sealed = key.seal(&HERE, b"a token").unwrap();
        for elsewhere in [
            Place { tenant: "other", ..HERE },
            Place { table: "meta_apps", ..HERE },
            Place { column: "sealed_secret", ..HERE },
            Place { row: "8", ..HERE },
            Place { key_version: 2, ..HERE },
        ] {
            assert_eq!(key.open(&elsewhere, &sealed).unwrap_err(), SealError, "{elsewhere:?}");
        }
    }

    #[test]
    fn parts_of_a_place_cannot_be_shifted_into_each_other() {
        let key = Key::random().unwrap();
        let place = Place { tenant: "ab", table: "c", ..HERE };
        let sealed = key.seal(&place, b"x").unwrap();
        assert!(key.open(&Place { tenant: "a", table: "bc", ..HERE }, &sealed).is_err());
    }

    #[test]
    fn a_changed_byte_or_another_key_does_not_open() {
        let key = Key::random().unwrap();
        let sealed = key.seal(&HERE, b"a token").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key.open(&HERE, &changed).is_err(), "byte {index}");
        }
        assert!(Key::random().unwrap().open(&HERE, &sealed).is_err());
        assert!(key.open(&HERE, &sealed[..5]).is_err());
    }

    #[test]
    fn the_same_value_is_sealed_differently_each_time() {
        let key = Key::random().unwrap();
        assert_ne!(key.seal(&HERE, b"a token").unwrap(), key.seal(&HERE, b"a token").unwrap());
    }

    #[test]
    fn a_wrapped_key_opens_only_under_its_wrapper() {
        let (outer, inner) = (Key::random().unwrap(), Key::random().unwrap());
        let wrapped = inner.wrap(&outer, &HERE).unwrap();
        assert_eq!(outer.unwrap_key(&HERE, &wrapped).unwrap().expose(), inner.expose());
        assert!(inner.unwrap_key(&HERE, &wrapped).is_err());
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", Key::from_bytes(&[65; 32]).unwrap()), "Key(redacted)");
    }
}
