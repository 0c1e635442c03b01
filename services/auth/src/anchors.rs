//! The heads of all chains, kept where the services that write the chains cannot reach: every minute, where a head moved.
//!
//! A chain whose head lies in the same database cannot show a tail that was cut, or that it was computed anew from some
//! place to its end. An anchor can: the chain must still hold that entry with that hash. A head is anchored only when the
//! entries since the last anchor were read and follow from it, so a chain that was tampered with keeps its last good
//! anchor, and every round says so again.
//!
//! The signature is a keyed hash of the installation's key in the vault, not one of the keys that sign tokens: a public
//! key beside the anchors could be swapped together with them by whoever may write this database, tokens' keys are
//! replaced every few months while anchors must serve for years, and only auth ever checks one. Each anchor is a line of
//! the log as well, for the case that this very table is cut.

mod round;

use jiff::Timestamp;
use storage::audit::Head;
use vocabulary::ids::TenantId;

pub use self::round::Anchors;
use crate::{
    error::Error,
    vault::{SYSTEM, Vault},
};

/// The head of a chain as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Whose chain.
    pub tenant: String,
    /// The service that keeps it.
    pub service: String,
    /// The last entry then.
    pub head: Head,
    /// When.
    pub anchored: Timestamp,
    /// A keyed hash over all of this.
    pub signature: Vec<u8>,
}

impl Anchor {
    /// Signs a head as it stands at this moment.
    pub async fn sign(
        vault: &Vault,
        (tenant, service): (&TenantId, &str),
        head: Head,
        anchored: Timestamp,
    ) -> Result<Self, Error> {
        // The database keeps microseconds, and the signature must fit what it gives back.
        let anchored = Timestamp::from_microsecond(anchored.as_microsecond()).unwrap_or(anchored);
        let signature = Vec::new();
        let mut anchor = Self { tenant: tenant.to_string(), service: service.to_owned(), head, anchored, signature };
        anchor.signature = vault.keyed_hash(SYSTEM, &anchor.signed()).await?.to_vec();
        Ok(anchor)
    }

    /// Is it as it was when we signed it?
    pub async fn is_ours(&self, vault: &Vault) -> Result<bool, Error> {
        let expected = vault.keyed_hash(SYSTEM, &self.signed()).await?;
        Ok(aws_lc_rs::constant_time::verify_slices_are_equal(&expected, &self.signature).is_ok())
    }

    /// What the signature covers: each part with its length before it, so that no two anchors have the same bytes.
    fn signed(&self) -> Vec<u8> {
        let parts: [&[u8]; 6] = [
            b"adplane anchor 1",
            self.tenant.as_bytes(),
            self.service.as_bytes(),
            &self.head.sequence.to_be_bytes(),
            &self.head.hash,
            &self.anchored.as_microsecond().to_be_bytes(),
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor() -> Anchor {
        Anchor {
            tenant: "acme".to_owned(),
            service: "campaigns".to_owned(),
            head: Head { sequence: 7, hash: [1; 32] },
            anchored: Timestamp::UNIX_EPOCH,
            signature: Vec::new(),
        }
    }

    #[test]
    fn every_part_of_an_anchor_is_signed() {
        let signed = anchor().signed();
        let later = Timestamp::from_second(1).unwrap();
        let others = [
            Anchor { tenant: "acm".to_owned(), service: "ecampaigns".to_owned(), ..anchor() },
            Anchor { tenant: "other".to_owned(), ..anchor() },
            Anchor { service: "auth".to_owned(), ..anchor() },
            Anchor { head: Head { sequence: 8, hash: [1; 32] }, ..anchor() },
            Anchor { head: Head { sequence: 7, hash: [2; 32] }, ..anchor() },
            Anchor { anchored: later, ..anchor() },
        ];
        for other in others {
            assert_ne!(other.signed(), signed, "{other:?}");
        }
    }
}
