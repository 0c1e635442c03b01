//! Quota for a whole plan, held before its first call: others who use the account meanwhile do not stop it halfway.

use std::time::Duration;

use tracing::info;

use super::apply::{End, Run};
use super::steps;
use crate::error::Error;
use crate::mutation;
use crate::settings::Marker;
use crate::wire;

/// How long it is held. A plan that takes longer holds anew whenever a run begins; one whose worker died keeps others
/// waiting no longer than this.
const HELD_FOR: Duration = Duration::from_mins(15);

/// A pause for which what is held is kept, and how soon it is asked again for quota that is not there: others may give theirs
/// back early.
const SHORT: Duration = Duration::from_mins(1);

impl Run<'_> {
    /// Holds what is left to make. A plan of which nothing was made comes again where the quota has no room for it yet, and
    /// fails where it has none within the plan's patience; one that was begun, or that never fits into one hour, goes call by
    /// call.
    pub(super) async fn reserve(&mut self) -> Result<Option<End>, Error> {
        self.held.change(|metadata| metadata.quota_until = None);
        let intents = self.intents().await?;
        let labelled = self.context.settings.marker == Marker::Label;
        let left = steps::left(&self.plan, &self.stored, &intents, labelled);
        if left.reads + left.writes == 0 {
            return Ok(None);
        }
        let name = self.held.claimed.id;
        match self.context.graph.reserve(&self.on(), name, (left.reads, left.writes), HELD_FOR).await {
            Ok(reservation) => self.reservation = Some(reservation),
            Err(error @ graph::Error::Quota { retry_after, .. })
                if intents.is_empty() && self.stored.label.is_none() =>
            {
                return Ok(Some(self.wait_for_quota(&Error::from(error), retry_after)));
            }
            Err(error) => info!(error = &error as &dyn std::error::Error, "the plan goes without a reservation"),
        }
        Ok(None)
    }

    /// What the plan does not need soon is everybody's again. Where another worker has the plan by now, it is that one's.
    pub(super) async fn give_back(&mut self, end: &Result<End, Error>) {
        let keeps = match end {
            Ok(End::Later(delay, _)) => *delay <= SHORT,
            Err(Error::Store(error)) => error.is_fenced() || error.is_outage(),
            _ => false,
        };
        let on = self.on();
        if let Some(reservation) = self.reservation.take().filter(|_| !keeps) {
            self.context.graph.give_back(&on, &reservation).await;
        }
    }

    fn wait_for_quota(&self, error: &Error, retry_after: Duration) -> End {
        let (now, patience) = (self.context.now(), Duration::from_secs(self.context.settings.patience_seconds));
        let until = now.checked_add(retry_after).unwrap_or(now);
        if self.held.age(until) > patience {
            return End::Failed(mutation::row_error(error));
        }
        self.held.change(|metadata| metadata.quota_until = Some(wire::time(until)));
        End::Later(retry_after.min(SHORT), "quota")
    }
}

#[cfg(test)]
mod tests {
    use proto::operations::v1::operation::Outcome;
    use proto::plans::v1::PlanState;
    use proto::ratelimit::v1::{ScopeKind, Wait, WaitReason};

    use crate::plan::samples;
    use crate::tests::house::House;

    #[tokio::test]
    async fn a_plan_holds_what_it_costs_and_gives_back_what_is_left() {
        let house = House::open().await;
        house.meta.put_image(samples::HASH);
        let plan = house.store_plan(samples::plan()).await;
        let operation = house.apply(&plan).await;
        house.work();
        assert!(matches!(house.ended(&operation).await.outcome, Some(Outcome::Result(_))));
        let reserved = house.quota.reserved.lock().unwrap().clone();
        let costs: Vec<(ScopeKind, u32)> =
            reserved[0].charges.iter().map(|charge| (charge.scope.as_ref().unwrap().kind(), charge.cost)).collect();
        // The label, the pictures, and six objects, of the account's hour alone.
        assert_eq!(costs, [(ScopeKind::AdAccount, 8)]);
        assert!(operation.ends_with(&reserved[0].reservation_id), "{operation}");
        // Label, pictures, campaign, two ad sets, one batch of creatives, one of ads.
        let under = house.quota.under.lock().unwrap().iter().filter(|reservation| *reservation == b"held").count();
        assert_eq!(under, 7);
        assert_eq!(*house.quota.returned.lock().unwrap(), [b"held"]);
    }

    #[tokio::test]
    async fn a_plan_that_has_to_wait_for_its_quota_says_until_when_and_makes_nothing_before() {
        let house = House::open().await;
        let delay = Some(prost_types::Duration { seconds: 120, nanos: 0 });
        let full = Wait { delay, reason: WaitReason::Ceiling.into(), ..Wait::default() };
        *house.quota.wait.lock().unwrap() = Some(full);
        let plan = house.store_plan(samples::plan()).await;
        let operation = house.apply(&plan).await;
        house.work();
        let metadata = house.waiting(&operation).await;
        assert_eq!(metadata.waiting_on, "quota");
        let (until, next) = (metadata.quota_until.unwrap(), metadata.next_attempt_time.unwrap());
        assert_eq!((until.seconds - next.seconds + 1) / 2, 30, "it looks again before {until}");
        assert_eq!(house.meta.count("POST"), 0);
        assert_eq!(house.plan(&plan).await.state(), PlanState::Applying);
    }

    #[tokio::test]
    async fn a_plan_that_never_fits_into_an_hour_goes_without() {
        let house = House::open().await;
        house.meta.put_image(samples::HASH);
        let never = Wait { reason: WaitReason::CostAboveCeiling.into(), ..Wait::default() };
        *house.quota.wait.lock().unwrap() = Some(never);
        let plan = house.store_plan(samples::plan()).await;
        let operation = house.apply(&plan).await;
        house.work();
        assert!(matches!(house.ended(&operation).await.outcome, Some(Outcome::Result(_))));
        assert!(house.quota.under.lock().unwrap().iter().all(Vec::is_empty));
    }

    #[tokio::test]
    async fn a_plan_for_which_there_is_no_room_in_time_fails_having_made_nothing() {
        let house = House::open_with(|settings| settings.patience_seconds = 60).await;
        let delay = Some(prost_types::Duration { seconds: 120, nanos: 0 });
        *house.quota.wait.lock().unwrap() = Some(Wait { delay, reason: WaitReason::Ceiling.into(), ..Wait::default() });
        let plan = house.store_plan(samples::plan()).await;
        let operation = house.apply(&plan).await;
        house.work();
        let Some(Outcome::Error(error)) = house.ended(&operation).await.outcome else { panic!("it did not fail") };
        assert_eq!(error.reason, "QUOTA_EXHAUSTED", "{error:?}");
        assert_eq!(house.meta.count("POST"), 0);
        assert_eq!(house.plan(&plan).await.state(), PlanState::Draft);
    }

    #[tokio::test]
    async fn a_plan_that_waits_for_quota_can_be_cancelled() {
        let house = House::open().await;
        let delay = Some(prost_types::Duration { seconds: 120, nanos: 0 });
        *house.quota.wait.lock().unwrap() = Some(Wait { delay, reason: WaitReason::Ceiling.into(), ..Wait::default() });
        let plan = house.store_plan(samples::plan()).await;
        let operation = house.apply(&plan).await;
        house.work();
        house.waiting(&operation).await;
        house.cancel(&operation).await;
        let Some(Outcome::Error(error)) = house.ended(&operation).await.outcome else { panic!("it did not end") };
        assert_eq!(error.reason, "CANCELLED", "{error:?}");
        assert_eq!((house.meta.count("POST"), house.quota.reserved.lock().unwrap().len()), (0, 1));
    }
}
