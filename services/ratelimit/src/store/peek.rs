//! When a call could go, without taking anything.

use std::time::Duration;

use super::flights::Asked;
use super::{Outcome, Reason, Store, outcome};
use crate::ceilings::{Ceiling, Profile};
use crate::demand::{Bucket, Demand};
use crate::error::Error;
use crate::priority::{ClassCaps, Priority};
use crate::reservation::Under;
use crate::scope::{Kind, Scope};
use crate::window::Window;

/// The barrier holds one call back for this long, and nothing else.
const BARRIER: Duration = Duration::from_millis(1);

impl Store {
    /// The time that buckets are counted by, in ms since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.horizon.now_ms()
    }

    /// How long a call of cost 1 would have to wait for a bucket, and why; nothing where it could go now.
    ///
    /// It is asked for together with a bucket that has room for nobody, so it is always refused, and takes nothing: the
    /// answer is of the very script that decides.
    pub(crate) async fn goes_in(
        &self,
        bucket: &Bucket,
        priority: Priority,
    ) -> Result<Option<(Duration, Reason)>, Error> {
        let app = bucket.scope.app;
        let charges = vec![(bucket.clone(), 1), (barrier(app), 1)];
        let demand = Demand { app, priority, ruled: 0, reservation: Under::default(), charges };
        let mut epoch = self.known_epoch(app);
        for _ in 0..super::EPOCH_TRIES {
            if let Some(known) = epoch
                && let outcome::Answer::Decided { outcome, .. } = self.decide(&demand, known).await?
            {
                return match outcome {
                    Outcome::Refused(refusal) if refusal.binding == 1 => Ok(Some((refusal.wait, refusal.reason))),
                    Outcome::Refused(_) => Ok(None),
                    Outcome::Admitted(_) => Err(Error::Script),
                };
            }
            self.agree(app, epoch).await?;
            epoch = self.known_epoch(app);
        }
        Err(Error::ServerChanges)
    }

    async fn decide(&self, demand: &Demand, epoch: i64) -> Result<outcome::Answer, Error> {
        self.flights.decide(Asked { demand: demand.clone(), epoch }).await
    }
}

/// A bucket that never has room, and says so for a millisecond only. Nothing is ever written to it.
fn barrier(app: u64) -> Bucket {
    let scope = Scope { app, kind: Kind::App, id: "barrier".to_owned(), use_case: String::new() };
    let window = Window { span: BARRIER, cell: BARRIER, cells: 1 };
    let caps = ClassCaps::default();
    let ceiling = Ceiling { limit: Some(0), profile: Profile::Meta, why: "".into(), caps };
    Bucket { key: scope.key(), scope, window, ceiling, tier: None }
}
