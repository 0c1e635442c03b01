//! What reservations hold, in the buckets themselves: a loss of the counters takes it along, and then calls go without.

use super::terms::put;
use super::{EPOCH_TRIES, Refusal, Script, Store, epoch_key, outcome};
use crate::demand::{Bucket, Demand};
use crate::error::Error;
use crate::reservation::ReservationId;

impl Store {
    /// Holds the demand's costs for its reservation in all buckets that have a ceiling, or in none; until a moment in ms since
    /// 1970. What the reservation held before is replaced, or ended where there is no room now. Answers why not.
    pub(crate) async fn hold(&self, demand: &Demand, until_ms: i64) -> Result<Option<Refusal>, Error> {
        let class = demand.priority;
        let limited = || {
            (1..).zip(&demand.charges).filter_map(|(number, (bucket, points))| {
                Some((number, bucket, i64::from(*points), i64::from(bucket.cap(class)?)))
            })
        };
        let holds: Vec<Hold<'_>> = limited().map(|(_, bucket, points, cap)| Hold { bucket, points, cap }).collect();
        let numbers: Vec<i64> = limited().map(|(number, ..)| number).collect();
        let refusal = self.reserve(demand.app, demand.reservation.id, until_ms, &holds).await?;
        let renumbered = |refusal: Refusal| {
            let place = usize::try_from(refusal.binding).unwrap_or_default().wrapping_sub(1);
            Refusal { binding: numbers.get(place).copied().unwrap_or_default(), ..refusal }
        };
        Ok(refusal.map(renumbered))
    }

    /// Ends what a reservation holds in these buckets of an app.
    pub(crate) async fn unhold(&self, app: u64, id: ReservationId, buckets: &[Bucket]) -> Result<(), Error> {
        let holds: Vec<Hold<'_>> = buckets.iter().map(|bucket| Hold { bucket, points: 0, cap: 0 }).collect();
        self.reserve(app, id, 0, &holds).await.map(drop)
    }

    async fn reserve(
        &self,
        app: u64,
        id: ReservationId,
        until_ms: i64,
        holds: &[Hold<'_>],
    ) -> Result<Option<Refusal>, Error> {
        let epoch_key = epoch_key(app);
        let mut keys = vec![epoch_key.as_str()];
        keys.extend(holds.iter().map(|hold| hold.bucket.key.as_str()));
        for _ in 0..EPOCH_TRIES {
            let epoch = self.known_epoch(app);
            let mut packed = Vec::with_capacity(32 * (holds.len() + 1));
            put(&mut packed, [self.horizon.not_after_ms()]);
            packed.extend(id.bytes());
            put(&mut packed, [until_ms]);
            for Hold { bucket, points, cap } in holds {
                put(&mut packed, [bucket.cell_ms(), i64::from(bucket.window.cells), *points, *cap]);
            }
            let answer = self.scripts.run_packed(Script::Reserve, &keys, &packed).await?;
            match outcome::number(&answer, 0)? {
                1 => return Ok(None),
                0 => return outcome::refusal(&answer, epoch.unwrap_or_default()).map(Some),
                _ => self.agree(app, epoch).await?,
            }
        }
        Err(Error::ServerChanges)
    }
}

/// What is to be held of one bucket.
struct Hold<'a> {
    bucket: &'a Bucket,
    /// 0 ends it.
    points: i64,
    /// What the class may fill.
    cap: i64,
}
