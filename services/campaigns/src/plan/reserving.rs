//! Quota for a whole plan, held before its first call: others who use the account meanwhile do not stop it halfway.

use std::time::Duration;

use tracing::debug;

use super::apply::{End, Run};
use super::steps;
use crate::error::Error;
use crate::settings::Marker;

/// How long it is held. A plan that takes longer holds anew whenever a run begins; one whose worker died keeps others
/// waiting no longer than this.
const HELD_FOR: Duration = Duration::from_mins(15);

impl Run<'_> {
    /// Holds what is left to make. Answers when to come again where the quota has no room for it yet and nothing of the plan
    /// was made; a plan that was begun, that waited for half of its patience, or that never fits into one hour goes without,
    /// call by call.
    pub(super) async fn reserve(&mut self) -> Result<Option<End>, Error> {
        let intents = self.intents().await?;
        let labelled = self.context.settings.marker == Marker::Label;
        let left = steps::left(&self.plan, &self.stored, &intents, labelled);
        if left.reads + left.writes == 0 {
            return Ok(None);
        }
        let name = self.held.claimed.id;
        match self.context.graph.reserve(&self.on(), name, (left.reads, left.writes), HELD_FOR).await {
            Ok(reservation) => self.reservation = Some(reservation),
            Err(graph::Error::Quota { retry_after, .. })
                if intents.is_empty() && self.stored.label.is_none() && self.may_wait(retry_after) =>
            {
                return Ok(Some(End::Later(retry_after, "quota")));
            }
            Err(error) => debug!(error = &error as &dyn std::error::Error, "the plan goes without a reservation"),
        }
        Ok(None)
    }

    /// What the plan did not need is everybody's again.
    pub(super) async fn give_back(&mut self) {
        let on = self.on();
        if let Some(reservation) = self.reservation.take() {
            self.context.graph.give_back(&on, &reservation).await;
        }
    }

    fn may_wait(&self, retry_after: Duration) -> bool {
        let patience = Duration::from_secs(self.context.settings.patience_seconds);
        self.held.age(self.context.now()).saturating_add(retry_after) <= patience / 2
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
        // The label, the pictures, and six objects; the score and the mutations of a second are not held.
        assert_eq!(costs, [(ScopeKind::App, 8), (ScopeKind::AdAccount, 8)]);
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
        assert!(metadata.quota_until.is_some());
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
}
