//! Permits: what was charged where, signed, so that nothing has to be stored for the one in a thousand that comes back.

use aws_lc_rs::hmac;
use prost::Message;

use crate::scope::Scope;
use crate::trail::Origin;

const TAG_BYTES: usize = 32;

/// Signs messages with one key, which all replicas share.
#[derive(Clone)]
pub(crate) struct Signer(hmac::Key);

/// Signs and checks permits.
#[derive(Clone)]
pub(crate) struct Permits(Signer);

/// What a permit says.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Permit {
    /// The epoch in which it was charged.
    #[prost(int64, tag = "1")]
    pub(crate) epoch: i64,
    /// Digits of the Meta app.
    #[prost(uint64, tag = "2")]
    pub(crate) app: u64,
    /// Makes two permits for the same charges two permits.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) nonce: Vec<u8>,
    /// When it was charged, in ms of the buckets' clock.
    #[prost(int64, tag = "4")]
    pub(crate) issued_ms: i64,
    /// It is the one call that tries whether Meta lets calls through again.
    #[prost(bool, tag = "5")]
    pub(crate) probing: bool,
    /// What was charged.
    #[prost(message, repeated, tag = "6")]
    pub(crate) charged: Vec<Charged>,
    /// Whose call it is for, so that Meta's answer counts as theirs.
    #[prost(message, optional, tag = "7")]
    pub(crate) origin: Option<Origin>,
}

/// What a permit took from one bucket.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Charged {
    /// The bucket's key in Redis.
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    /// The number of the cell.
    #[prost(int64, tag = "2")]
    pub(crate) cell: i64,
    /// In the bucket's unit.
    #[prost(uint32, tag = "3")]
    pub(crate) cost: u32,
}

impl Signer {
    /// `key` should be 32 random bytes or more.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What it signs is nothing to the signer of the same key for anything else.
    pub(crate) fn only_for(key: &[u8], what: &[u8]) -> Self {
        Self::new(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), what).as_ref())
    }

    pub(crate) fn sign(&self, message: &impl Message) -> Vec<u8> {
        let mut value = message.encode_to_vec();
        let tag = hmac::sign(&self.0, &value);
        value.extend_from_slice(tag.as_ref());
        value
    }

    /// `None` for everything that this signer did not sign.
    pub(crate) fn open<M: Message + Default>(&self, value: &[u8]) -> Option<M> {
        let (body, tag) = value.split_at_checked(value.len().checked_sub(TAG_BYTES)?)?;
        hmac::verify(&self.0, body, tag).ok()?;
        M::decode(body).ok()
    }
}

impl Permits {
    /// `key` should be 32 random bytes or more.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Signer::new(key))
    }

    /// The permit as its holder gets it.
    pub(crate) fn sign(&self, permit: &Permit) -> Vec<u8> {
        self.0.sign(permit)
    }

    /// `None` for everything that this key did not sign.
    pub(crate) fn open(&self, value: &[u8]) -> Option<Permit> {
        self.0.open(value)
    }
}

impl Permit {
    /// The buckets it was charged to.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.charged.iter().filter_map(|charged| Scope::from_key(&charged.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit() -> Permit {
        let charged = Charged { key: Scope::ad_account(1, "2", "").key(), cell: 29_000_000, cost: 3 };
        Permit {
            epoch: 5,
            app: 1,
            nonce: vec![7; 16],
            issued_ms: 9,
            probing: false,
            charged: vec![charged],
            origin: None,
        }
    }

    #[test]
    fn a_permit_opens_as_it_was_signed() {
        let permits = Permits::new(&[1; 32]);
        assert_eq!(permits.open(&permits.sign(&permit())), Some(permit()));
    }

    #[test]
    fn a_permit_with_any_bit_turned_opens_nowhere() {
        let permits = Permits::new(&[1; 32]);
        let value = permits.sign(&permit());
        for place in 0..value.len() {
            let mut forged = value.clone();
            forged[place] ^= 1;
            assert_eq!(permits.open(&forged), None);
        }
        assert_eq!(Permits::new(&[2; 32]).open(&value), None);
        assert_eq!(permits.open(b"short"), None);
    }
}
