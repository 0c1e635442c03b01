//! Rows of people at rest: packed, then sealed with AES-256-GCM, so that neither the database nor its backups tell whose
//! hashes they hold.
//!
//! The key is one file for all tenants for now. The vault of auth has a key per tenant, which will take its place; what is
//! sealed names its key, so that both can be read while the change is made, and rows live seven days at most.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use graph::audiences::Key;
use runtime::settings::Secret;
use secrecy::ExposeSecret;
use uuid::Uuid;
use vocabulary::{identity::Hash, ids::TenantId};

use crate::row::Person;

/// The layout below. Another one gets another number.
const VERSION: u8 = 1;
const HASH_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 4;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_LEN;

/// Where sealed rows stand: they open nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Whose they are.
    pub(crate) tenant: &'a TenantId,
    /// The job they belong to.
    pub(crate) job: Uuid,
    /// Their part of it.
    pub(crate) sequence: i64,
}

/// Why rows do not seal or open.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file is not what it should be.
    #[error("the key of member rows must be a file with 32 random bytes in base64")]
    Key,
    /// Another key sealed it, it stands elsewhere, or somebody changed it.
    #[error("sealed member rows do not open")]
    Open,
    /// The machine gave no random bytes.
    #[error("the machine gave no random bytes")]
    Random,
}

/// Seals and opens rows.
pub(crate) struct Sealer {
    key: LessSafeKey,
    id: [u8; KEY_ID_BYTES],
}

impl Sealer {
    /// Reads the key. Fails where the file is not 32 bytes in base64.
    pub(crate) fn load(file: &Secret) -> Result<Self, SealError> {
        let text = file.read().map_err(|_| SealError::Key)?;
        let bytes = STANDARD.decode(text.expose_secret().trim()).map_err(|_| SealError::Key)?;
        Self::new(&bytes)
    }

    /// With these 32 bytes.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::Key)?;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let id = hash.as_ref().first_chunk().copied().ok_or(SealError::Key)?;
        Ok(Self { key: LessSafeKey::new(key), id })
    }

    /// Packs and seals.
    pub(crate) fn seal(&self, place: Place<'_>, people: &[Person]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        let mut rows = pack(people);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, self.bound(place), &mut rows).map_err(|_| SealError::Open)?;
        sealed.append(&mut rows);
        Ok(sealed)
    }

    /// Opens and unpacks. Fails for anything that this key did not seal for this place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<Person>, SealError> {
        let (head, rows) = sealed.split_at_checked(HEAD_BYTES).ok_or(SealError::Open)?;
        let (prefix, nonce) = head.split_at_checked(1 + KEY_ID_BYTES).ok_or(SealError::Open)?;
        if prefix.split_first() != Some((&VERSION, self.id.as_slice())) {
            return Err(SealError::Open);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Open)?;
        let mut rows = rows.to_vec();
        let rows = self.key.open_in_place(nonce, self.bound(place), &mut rows).map_err(|_| SealError::Open)?;
        unpack(rows).ok_or(SealError::Open)
    }

    /// Tenant, table, column, row and key: a ciphertext that was moved does not open.
    fn bound(&self, place: Place<'_>) -> Aad<Vec<u8>> {
        let mut bound =
            format!("{}\0member_parts\0rows\0{}\0{}\0", place.tenant, place.job, place.sequence).into_bytes();
        bound.extend_from_slice(&self.id);
        Aad::from(bound)
    }
}

/// Per person two bytes that say which keys it has, then their hashes.
fn pack(people: &[Person]) -> Vec<u8> {
    let mut rows = Vec::with_capacity(people.len() * 5 * HASH_BYTES);
    for person in people {
        rows.extend_from_slice(&person.mask().to_le_bytes());
        for hash in Key::ALL.iter().filter_map(|key| person.get(*key)) {
            rows.extend_from_slice(hash.bytes());
        }
    }
    rows
}

fn unpack(mut rows: &[u8]) -> Option<Vec<Person>> {
    let mut people = Vec::new();
    while !rows.is_empty() {
        let (mask, rest) = rows.split_first_chunk()?;
        let mask = u16::from_le_bytes(*mask);
        rows = rest;
        let mut person = Person::default();
        for (place, key) in Key::ALL.into_iter().enumerate() {
            if mask & (1 << place) != 0 {
                let (hash, rest) = rows.split_first_chunk::<HASH_BYTES>()?;
                person.set(key, Hash::from_bytes(*hash));
                rows = rest;
            }
        }
        people.push(person);
    }
    Some(people)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn person(mask: u16) -> Person {
        let mut person = Person::default();
        for (place, key) in Key::ALL.into_iter().enumerate() {
            if mask & (1 << place) != 0 {
                person.set(key, Hash::of(&format!("{place} {mask}")));
            }
        }
        person
    }

    fn place(tenant: &TenantId) -> Place<'_> {
        Place { tenant, job: Uuid::from_u128(7), sequence: 1 }
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_in_its_place(masks in proptest::collection::vec(0_u16..1 << Key::ALL.len(), 0..50)) {
            let people: Vec<Person> = masks.into_iter().map(person).collect();
            let tenant: TenantId = "acme".parse().unwrap();
            let sealer = Sealer::new(&[7; 32]).unwrap();
            let sealed = sealer.seal(place(&tenant), &people).unwrap();
            prop_assert_eq!(sealer.open(place(&tenant), &sealed).unwrap(), people);
        }
    }

    #[test]
    fn rows_open_nowhere_else_and_not_when_changed() {
        let (tenant, other): (TenantId, TenantId) = ("acme".parse().unwrap(), "brand".parse().unwrap());
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let sealed = sealer.seal(place(&tenant), &[person(3)]).unwrap();
        assert!(sealer.open(place(&other), &sealed).is_err());
        assert!(sealer.open(Place { sequence: 2, ..place(&tenant) }, &sealed).is_err());
        assert!(sealer.open(Place { job: Uuid::from_u128(8), ..place(&tenant) }, &sealed).is_err());
        assert!(Sealer::new(&[8; 32]).unwrap().open(place(&tenant), &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(sealer.open(place(&tenant), &bent).is_err(), "byte {at}");
        }
        assert!(sealer.open(place(&tenant), &[]).is_err());
    }

    #[test]
    fn a_hash_does_not_stand_in_what_is_sealed() {
        let tenant: TenantId = "acme".parse().unwrap();
        let people = [person(1)];
        let sealed = Sealer::new(&[7; 32]).unwrap().seal(place(&tenant), &people).unwrap();
        let hash = people[0].get(Key::Email).unwrap().bytes();
        assert!(!sealed.windows(8).any(|window| hash.windows(8).any(|part| part == window)));
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(matches!(Sealer::new(&[1; 31]), Err(SealError::Key)));
    }
}
