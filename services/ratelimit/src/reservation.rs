//! Reservations: points that are kept free for a job until it takes them, so that a job once begun is not stopped halfway by
//! others. A reservation is no permit: each call under it asks for one, and takes from what is held first.

use std::sync::Arc;

use aws_lc_rs::digest;
use prost::Message;
use uuid::Uuid;
use vocabulary::ids::TenantId;

use crate::permit::Signer;

/// By what the buckets know a reservation. That of zeros holds nothing anywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReservationId([u8; Self::BYTES]);

/// What a reservation says, signed, so that its holder can neither widen nor forge it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reservation {
    /// Digits of the Meta app.
    #[prost(uint64, tag = "1")]
    pub(crate) app: u64,
    /// Whose calls may use it.
    #[prost(string, tag = "2")]
    pub(crate) tenant: String,
    #[prost(bytes = "vec", tag = "3")]
    id: Vec<u8>,
    /// The keys of the buckets of which it holds something.
    #[prost(string, repeated, tag = "4")]
    pub(crate) keys: Vec<String>,
    /// When it lapses, in ms since 1970.
    #[prost(int64, tag = "5")]
    pub(crate) until_ms: i64,
}

/// What a demand is under: nothing by default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Under {
    pub(crate) id: ReservationId,
    keys: Arc<[String]>,
}

/// Signs and checks reservations.
#[derive(Clone)]
pub(crate) struct Reservations(Signer);

impl ReservationId {
    const BYTES: usize = 8;

    /// The same for the same name of one tenant; another tenant's equal name is another id.
    pub(crate) fn of(tenant: &TenantId, name: Uuid) -> Self {
        let mut text = tenant.as_str().as_bytes().to_vec();
        text.push(0);
        text.extend_from_slice(name.as_bytes());
        let digest = digest::digest(&digest::SHA256, &text);
        Self(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// As the scripts read it.
    pub(crate) fn bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

impl Under {
    /// Holds of these buckets.
    pub(crate) fn new(id: ReservationId, keys: Vec<String>) -> Self {
        Self { id, keys: keys.into() }
    }

    /// Whether something of a bucket may be held for it.
    pub(crate) fn holds_of(&self, key: &str) -> bool {
        self.keys.iter().any(|held| held == key)
    }
}

impl Reservation {
    pub(crate) fn new(app: u64, tenant: &TenantId, id: ReservationId, keys: Vec<String>, until_ms: i64) -> Self {
        Self { app, tenant: tenant.to_string(), id: id.0.to_vec(), keys, until_ms }
    }

    pub(crate) fn id(&self) -> ReservationId {
        ReservationId(self.id.as_slice().try_into().unwrap_or_default())
    }
}

impl Reservations {
    /// `key` may be that of the permits: neither is ever taken for the other.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Signer::only_for(key, b"reservation"))
    }

    /// The reservation as its holder gets it.
    pub(crate) fn sign(&self, reservation: &Reservation) -> Vec<u8> {
        self.0.sign(reservation)
    }

    /// `None` for everything that this key did not sign.
    pub(crate) fn open(&self, value: &[u8]) -> Option<Reservation> {
        self.0.open(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permit::Permits;

    #[test]
    fn a_reservation_is_no_permit_and_no_other_tenants() {
        let (tenant, other): (TenantId, TenantId) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let id = ReservationId::of(&tenant, Uuid::nil());
        assert_eq!(id, ReservationId::of(&tenant, Uuid::nil()));
        assert_ne!(id, ReservationId::of(&other, Uuid::nil()));
        let (reservations, permits) = (Reservations::new(&[1; 32]), Permits::new(&[1; 32]));
        let reservation = Reservation::new(1, &tenant, id, vec!["{app:1}:b:x".to_owned()], 9);
        let value = reservations.sign(&reservation);
        assert_eq!(reservations.open(&value), Some(reservation));
        assert_eq!(permits.open(&value), None);
    }
}
