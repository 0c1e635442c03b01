//! Points for a job that takes many calls: held together, used by one call after the other, and given back.

use std::time::Duration;

use rpc::FieldError;
use uuid::Uuid;
use vocabulary::ids::TenantId;

use super::{Acquire, Quotas};
use crate::demand::{Bucket, Demand};
use crate::error::Error;
use crate::priority::Priority;
use crate::reservation::{Reservation, ReservationId};
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
        let demand = Demand { reservation, ..demand };
        let refusal = match demand.never_fits() {
            Some((binding, wait)) => Some(Refusal { epoch: 0, wait, binding, reason: Reason::CostAboveCeiling }),
            None => self.counter.hold(&demand, ask.until_ms).await?,
        };
        if let Some(Refusal { wait, binding, reason, .. }) = refusal {
            let scope = demand.bucket(binding).map(|bucket| bucket.scope.clone());
            return Ok(Reserved::Wait { delay: wait, scope, reason });
        }
        let keys = demand.charges.into_iter().map(|(bucket, _)| bucket.key).collect();
        let reservation = Reservation::new(ask.app, tenant, reservation, keys);
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

    /// The reservation that a call is under. What has lapsed holds nothing, and is no error.
    pub(super) fn reservation(&self, tenant: &TenantId, ask: &Acquire) -> Result<ReservationId, Error> {
        if ask.reservation.is_empty() {
            return Ok(ReservationId::NONE);
        }
        let opened = self.reservations.open(&ask.reservation);
        let own = opened.filter(|reservation| reservation.tenant == tenant.as_str() && reservation.app == ask.app);
        own.map(|reservation| reservation.id()).ok_or_else(|| {
            let words = "must be the value that Reserve answered with, for calls of the same tenant and Meta app";
            Error::Field(FieldError::new("reservation", words, "RESERVATION"))
        })
    }
}
