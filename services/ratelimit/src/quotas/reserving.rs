//! Points for a job that takes many calls: held together, used by one call after the other, and given back.

use std::time::Duration;

use rpc::FieldError;
use uuid::Uuid;
use vocabulary::ids::TenantId;

use super::{Acquire, Quotas};
use crate::demand::{Bucket, Demand};
use crate::error::Error;
use crate::priority::Priority;
use crate::reservation::{Reservation, ReservationId, Under};
use crate::scope::Scope;
use crate::store::{Reason, Refusal};

/// What is to be held, checked.
#[derive(Debug, Clone)]
pub(crate) struct Reserve {
    pub(crate) app: u64,
    /// All of that app.
    pub(crate) charges: Vec<(Scope, u32)>,
    pub(crate) priority: Priority,
    /// When it lapses, in ms since 1970.
    pub(crate) until_ms: i64,
    /// Again under the same name, it replaces what was held.
    pub(crate) name: Uuid,
}

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) enum Reserved {
    /// The signed reservation.
    Held(Vec<u8>),
    Wait {
        delay: Duration,
        scope: Option<Scope>,
        reason: Reason,
    },
}

impl Quotas {
    /// Holds points of all buckets or of none. It never waits: who cannot have them now is told when.
    pub(crate) async fn reserve(&self, tenant: &TenantId, ask: &Reserve) -> Result<Reserved, Error> {
        let reservation = ReservationId::of(tenant, ask.name);
        let demand = self.demand(tenant, ask.app, ask.priority, &ask.charges).await?;
        let demand = Demand { reservation: Under::new(reservation, Vec::new()), ..demand };
        let refusal = self.counter.hold(&demand, ask.until_ms).await?;
        if let Some(Refusal { wait, binding, reason, .. }) = refusal {
            let scope = demand.bucket(binding).map(|bucket| bucket.scope.clone());
            return Ok(Reserved::Wait { delay: wait, scope, reason });
        }
        let keys = demand.charges.into_iter().map(|(bucket, _)| bucket.key).collect();
        let reservation = Reservation::new(ask.app, tenant, reservation, keys, ask.until_ms);
        Ok(Reserved::Held(self.reservations.sign(&reservation)))
    }

    /// Gives back what reservations still hold. Values that are none of ours hold nothing.
    pub(crate) async fn unreserve(&self, values: &[Vec<u8>]) -> Result<(), Error> {
        for reservation in values.iter().filter_map(|value| self.reservations.open(value)) {
            let scopes = reservation.keys.iter().filter_map(|key| Scope::from_key(key));
            let buckets: Vec<Bucket> = scopes.map(|scope| self.rules.bucket(scope, None)).collect();
            self.counter.store().unhold(reservation.app, reservation.id(), &buckets).await?;
            self.reconsider(&buckets);
        }
        Ok(())
    }

    /// What a call is under. A reservation that has lapsed, of an app that the tenant has left or signed with a key that is no
    /// longer ours holds nothing: whoever has it goes on like any other.
    pub(super) fn under(&self, tenant: &TenantId, ask: &Acquire) -> Result<Under, Error> {
        let Some(reservation) = self.reservations.open(&ask.reservation) else { return Ok(Under::default()) };
        if reservation.tenant != tenant.as_str() {
            let words = "must be what Reserve answered this tenant with";
            return Err(Error::Field(FieldError::new("reservation", words, "RESERVATION")));
        }
        let holds = reservation.app == ask.app && reservation.until_ms > self.counter.store().now_ms();
        Ok(if holds { Under::new(reservation.id(), reservation.keys) } else { Under::default() })
    }
}
