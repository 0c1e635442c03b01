//! How far each node of a plan is, as callers see it, and what is left to pay for.

use std::collections::HashMap;

use graph::objects::{self, Kind};
use prost_types::Duration;
use proto::operations::v1::{OperationPart, PartState};
use proto::plans::v1::{NodeKind, Plan, PlanEstimate, PlanStep, QuotaCost, StepState};

use super::{nodes, pictures};
use crate::{
    mirror,
    store::{
        intents::{Intent, State},
        plans::Plan as Stored,
    },
};

/// How many items Meta takes in one batch.
const BATCH: usize = 50;
/// What one request to Meta takes, roughly, in seconds.
const SECONDS_PER_REQUEST: i64 = 1;

/// One step for each node, in the order of making.
pub(crate) fn steps(plan: &Plan, stored: &Stored, intents: &[Intent], labelled: bool) -> Vec<PlanStep> {
    let by_node: HashMap<&str, &Intent> = intents.iter().map(|intent| (intent.temporary_id.as_str(), intent)).collect();
    let state = |done| if done { StepState::Done } else { StepState::Pending };
    let mut steps = Vec::new();
    if labelled {
        let mut step = PlanStep { title: "label".to_owned(), ..PlanStep::default() };
        step.set_kind(NodeKind::Label);
        step.set_state(state(stored.label.is_some()));
        steps.push(step);
    }
    for media in &plan.media {
        let mut step = PlanStep {
            temporary_id: media.temporary_id.clone(),
            resource: format!("adAccounts/{}/images/{}", stored.account.act(), media.image_hash),
            title: media.image_hash.clone(),
            ..PlanStep::default()
        };
        step.set_kind(NodeKind::Image);
        step.set_state(state(stored.pictures));
        steps.push(step);
    }
    steps.extend(nodes(plan).into_iter().map(|node| {
        let intent = by_node.get(node.temporary_id);
        let resource =
            intent.and_then(|intent| intent.object.map(|id| mirror::resource_name(stored.account, node.kind, id)));
        let mut step = PlanStep {
            temporary_id: node.temporary_id.to_owned(),
            resource: resource.unwrap_or_default(),
            error: intent.and_then(|intent| intent.error.clone()),
            title: node.name.to_owned(),
            ..PlanStep::default()
        };
        step.set_kind(node_kind(node.kind));
        step.set_state(intent.map_or(StepState::Pending, |intent| step_state(intent.state)));
        step
    }));
    steps
}

/// The same as parts of an operation. Once it has ended badly, what was not begun is skipped.
pub(crate) fn parts(steps: &[PlanStep], ended: bool) -> Vec<OperationPart> {
    steps.iter().map(|step| part(step, ended)).collect()
}

fn part(step: &PlanStep, ended: bool) -> OperationPart {
    let kind = step.kind().as_str_name().trim_start_matches("NODE_KIND_").to_ascii_lowercase();
    let mut part = OperationPart {
        name: format!("{kind} {}", step.temporary_id).trim_end().to_owned(),
        resource: step.resource.clone(),
        error: step.error.clone(),
        meta_id: step.resource.rsplit('/').next().unwrap_or_default().to_owned(),
        ..OperationPart::default()
    };
    part.set_state(match step.state() {
        StepState::Pending | StepState::Unspecified if ended => PartState::Skipped,
        StepState::Pending | StepState::Unspecified => PartState::Pending,
        StepState::Sending => PartState::Running,
        StepState::Done => PartState::Succeeded,
        StepState::Failed => PartState::Failed,
        StepState::Unknown => PartState::Unknown,
    });
    part
}

/// The calls that are left to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    /// HTTP requests, a batch being one.
    requests: usize,
}

/// What is left to make.
pub(crate) fn left(plan: &Plan, stored: &Stored, intents: &[Intent], labelled: bool) -> Left {
    let done = |id: &str| intents.iter().any(|intent| intent.temporary_id == id && intent.state == State::Done);
    let open = |kind| nodes(plan).into_iter().filter(|node| node.kind == kind && !done(node.temporary_id)).count();
    let label = usize::from(labelled && stored.label.is_none());
    let reads = if stored.pictures { 0 } else { pictures(plan).len().div_ceil(BATCH) };
    let (campaign, ad_sets) = (open(Kind::Campaign), open(Kind::AdSet));
    let (creatives, ads) = (open(Kind::Creative), open(Kind::Ad));
    let writes = label + campaign + ad_sets + creatives + ads;
    let requests = label + reads + campaign + ad_sets + creatives.div_ceil(BATCH) + ads.div_ceil(BATCH);
    Left { reads, writes, requests }
}

/// What is left to pay for.
pub(crate) fn estimate(plan: &Plan, stored: &Stored, intents: &[Intent], labelled: bool) -> PlanEstimate {
    let Left { reads, writes, requests } = left(plan, stored, intents, labelled);
    let costs = objects::costs(stored.account, reads, writes);
    let requests = i64::try_from(requests).unwrap_or(i64::MAX);
    PlanEstimate {
        graph_calls: i64::try_from(reads + writes).unwrap_or(i64::MAX),
        http_requests: requests,
        costs: costs.into_iter().map(|(scope, cost)| QuotaCost { scope, cost: i64::from(cost) }).collect(),
        duration: Some(Duration { seconds: requests.saturating_mul(SECONDS_PER_REQUEST), nanos: 0 }),
    }
}

fn node_kind(kind: Kind) -> NodeKind {
    match kind {
        Kind::Campaign => NodeKind::Campaign,
        Kind::AdSet => NodeKind::AdSet,
        Kind::Creative => NodeKind::Creative,
        Kind::Ad => NodeKind::Ad,
    }
}

fn step_state(state: State) -> StepState {
    match state {
        State::Prepared => StepState::Pending,
        State::Sending => StepState::Sending,
        State::Done => StepState::Done,
        State::Failed => StepState::Failed,
        State::Unknown => StepState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples;
    use crate::store::plans::State as PlanStateRow;

    fn stored() -> Stored {
        Stored {
            id: uuid::Uuid::nil(),
            account: vocabulary::ids::AdAccountId::new(1),
            content: Vec::new(),
            etag: String::new(),
            state: PlanStateRow::Draft,
            label: None,
            pictures: false,
            created: jiff::Timestamp::UNIX_EPOCH,
            updated: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_node_is_a_step_and_every_step_a_part() {
        let steps = steps(&samples::plan(), &stored(), &[], true);
        let names: Vec<_> = parts(&steps, false).into_iter().map(|part| part.name).collect();
        let expected = ["label", "image -4", "campaign -1", "ad_set -2", "ad_set -3", "creative -5", "ad -6", "ad -7"];
        assert_eq!(names, expected);
        assert!(parts(&steps, true).iter().all(|part| part.state() == PartState::Skipped));
    }

    #[test]
    fn ads_and_creatives_share_requests_and_ad_sets_do_not() {
        let estimate = estimate(&samples::plan(), &stored(), &[], true);
        // label, pictures, campaign, two ad sets, one batch of creatives, one of ads
        assert_eq!(estimate.http_requests, 7);
        assert_eq!(estimate.graph_calls, 8);
        assert!(estimate.costs.iter().any(|cost| cost.scope == "AD_ACCOUNT 1 ads_management" && cost.cost == 8));
    }
}
