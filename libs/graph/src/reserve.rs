//! Quota for a job of many calls, held before the first of them, so that others do not stop it halfway.

use std::time::Duration;

use bytes::Bytes;
use proto::ratelimit::v1::{Charge, ScopeKind};
use uuid::Uuid;

use crate::{client::Client, cost, error::Error, on::On};

/// What ratelimit holds. The calls that have it in their [`On`] take from it first; it is no permit, and when it has
/// lapsed they go like any other. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Reservation(pub(crate) Bytes);

impl Client {
    /// Holds what so many calls under Meta's `ads_management` take of the hour's quota, until they have used it, or it is
    /// given back, or `lasts` is over; an hour at most. Again under the same `name`, it replaces what was held.
    ///
    /// Only the ad account's own hour is held. What is counted over minutes or a second is free again soon, and a large job
    /// never fits into it; and nobody holds what all accounts of an app share.
    ///
    /// # Errors
    /// `Quota` says when there may be room, `CostAboveCeiling` that there never is; else why ratelimit or auth could not be
    /// asked. Nothing is held then.
    pub async fn reserve(
        &self,
        on: &On,
        name: Uuid,
        (reads, writes): (usize, usize),
        lasts: Duration,
    ) -> Result<Reservation, Error> {
        let lease = self.leases.get(on).await?;
        let mut charges = cost::of_job(&lease.meta_app, on.asset, reads, writes);
        charges.retain(is_of_the_accounts_hour);
        self.permits.reserve(on, name, charges, lasts).await
    }

    /// Gives back what a reservation still holds. A failure costs nothing but time: it lapses by itself.
    pub async fn give_back(&self, on: &On, reservation: &Reservation) {
        self.permits.give_back(on, reservation).await;
    }
}

fn is_of_the_accounts_hour(charge: &Charge) -> bool {
    charge.scope.as_ref().is_some_and(|scope| scope.kind() == ScopeKind::AdAccount && !scope.use_case.is_empty())
}
