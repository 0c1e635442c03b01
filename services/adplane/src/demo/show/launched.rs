//! What applying the plan will change, and the campaign that came of it.

use std::fmt::Write;

use proto::plans::v1::{Change, DiffPlanResponse, NodeKind, Plan, PlanStep, Risk, StepState};

use super::{clip, head, wrap};
use crate::demo::launch::Launched;

/// Of a field's name and of its value, in characters.
const FIELD_WIDTH: usize = 32;
const VALUE_WIDTH: usize = 46;
/// Of a name in the tree at its root.
const TITLE_WIDTH: usize = 32;

/// What applying the plan will change, a line per field, and what it costs.
pub(crate) fn diff(plan: &Plan, diff: &DiffPlanResponse) -> String {
    let mut out = String::new();
    head(&mut out, &format!("What will change: {}", plan.name));
    let mut resource = "";
    for change in &diff.changes {
        if change.resource != resource {
            resource = &change.resource;
            _ = writeln!(out, "  + {}", clip(resource, 90));
        }
        let (field, after) = (clip(&change.field, FIELD_WIDTH), clip(&change.after, VALUE_WIDTH));
        _ = writeln!(out, "      {field:<FIELD_WIDTH$} {after}{}", risk(change));
    }
    if let Some(estimate) = &diff.estimate {
        let (calls, requests) = (estimate.graph_calls, estimate.http_requests);
        _ = writeln!(out, "  {calls} Graph calls in {requests} HTTP requests, which take");
        for cost in &estimate.costs {
            _ = writeln!(out, "  {:>8} of {}", cost.cost, clip(&cost.scope, 80));
        }
    }
    out
}

fn risk(change: &Change) -> &'static str {
    match change.risk() {
        Risk::Money => "   (money)",
        Risk::Fixed => "   (fixed)",
        Risk::Delivery | Risk::None | Risk::Unspecified => "",
    }
}

/// The campaign with all beneath it, as it stands at Meta.
pub(crate) fn tree(launched: &Launched) -> String {
    let mut out = String::new();
    head(&mut out, "Campaign");
    let plan = &launched.plan;
    let status = |temporary: &str| {
        let created = launched.result.created.iter().find(|created| created.temporary_id == temporary);
        created.map_or("", |created| created.effective_status.as_str())
    };
    let mut line = |depth: usize, kind: &str, temporary: Option<&String>| {
        let temporary = temporary.map_or("", String::as_str);
        let Some(step) = plan.steps.iter().find(|step| step.temporary_id == temporary) else { return };
        let id = step.resource.rsplit('/').next().unwrap_or_default();
        let indent = "  ".repeat(depth);
        let width = TITLE_WIDTH.saturating_sub(2 * depth);
        let (title, status, state) = (clip(&step.title, width), clip(status(temporary), 16), state(step));
        let line = format!("  {indent}{kind:<9} {title:<width$} {id:<20} {status:<16} {state}");
        _ = writeln!(out, "{}", line.trim_end());
    };
    line(0, "campaign", plan.campaign.as_ref().and_then(|campaign| campaign.temporary_id.as_ref()));
    for ad_set in &plan.ad_sets {
        line(1, "ad set", ad_set.temporary_id.as_ref());
        for ad in plan.ads.iter().filter(|ad| ad.adset_id == ad_set.temporary_id || ad.adset_id == ad_set.id) {
            line(2, "ad", ad.temporary_id.as_ref());
            line(3, "creative", ad.creative.as_ref().and_then(|creative| creative.creative_id.as_ref()));
        }
    }
    let pictures = plan.steps.iter().filter(|step| step.kind() == NodeKind::Image).count();
    _ = writeln!(out, "  {pictures} pictures; everything is PAUSED: nothing is spent until somebody activates it");
    for difference in &launched.result.differences {
        let (field, after) = (clip(&difference.field, 40), clip(&difference.after, 40));
        _ = writeln!(out, "  Meta answers {field} = {after}");
        wrap(&mut out, 6, &format!("for {}", difference.resource));
    }
    out
}

fn state(step: &PlanStep) -> &'static str {
    match step.state() {
        StepState::Done => "",
        StepState::Pending => "not made",
        StepState::Sending => "being made",
        StepState::Failed => "refused",
        StepState::Unknown => "outcome unknown",
        StepState::Unspecified => "?",
    }
}

#[cfg(test)]
mod tests {
    use proto::{
        campaigns::v1::{Ad, AdSet, Campaign, CreativeRef},
        plans::v1::{ApplyPlanResult, CreatedResource, PlanEstimate, QuotaCost},
    };

    use super::{super::tests::fits, *};

    #[test]
    fn a_change_is_clipped_and_a_fixed_field_is_marked() {
        let change = |field: &str, after: String, risk: Risk| Change {
            resource: "campaign -1".to_owned(),
            field: field.to_owned(),
            after,
            risk: risk.into(),
            ..Change::default()
        };
        let costs = ["USER 1000000000000001", "AD_ACCOUNT 1000000000000001 ads_management", "AD_ACCOUNT 1000000000001"];
        let costs = costs.map(|scope| QuotaCost { scope: scope.to_owned(), cost: 12_345 });
        let diff_of = DiffPlanResponse {
            changes: vec![
                change("objective", "\"OUTCOME_SALES\"".to_owned(), Risk::Fixed),
                change("is_adset_budget_sharing_enabled_too", "x".repeat(400), Risk::Fixed),
                change("daily_budget", "x".repeat(400), Risk::Money),
            ],
            estimate: Some(PlanEstimate { graph_calls: 31, costs: costs.to_vec(), ..PlanEstimate::default() }),
            ..DiffPlanResponse::default()
        };
        let name = format!("adAccounts/act_1000000000000001/plans/{}", uuid::Uuid::nil());
        let text = diff(&Plan { name, ..Plan::default() }, &diff_of);
        fits(&text);
        assert!(text.contains("\"OUTCOME_SALES\"   (fixed)\n"), "{text}");
        assert!(text.contains("     12345 of USER 1000000000000001\n"), "{text}");
    }

    #[test]
    fn the_tree_fits_with_names_of_any_length() {
        let some = |text: &str| Some(text.to_owned());
        let step = |id: &str, kind: NodeKind, state: StepState| PlanStep {
            temporary_id: id.to_owned(),
            kind: kind.into(),
            state: state.into(),
            resource: "adAccounts/act_1000000000000001/things/120210000000000031".to_owned(),
            title: "A name that goes on and on, for as long as Meta lets it".to_owned(),
            ..PlanStep::default()
        };
        let plan = Plan {
            campaign: Some(Campaign { temporary_id: some("-1"), ..Campaign::default() }),
            ad_sets: vec![AdSet { temporary_id: some("-2"), ..AdSet::default() }],
            ads: vec![Ad {
                temporary_id: some("-3"),
                adset_id: some("-2"),
                creative: Some(CreativeRef { creative_id: some("-4"), ..CreativeRef::default() }),
                ..Ad::default()
            }],
            steps: vec![
                step("-1", NodeKind::Campaign, StepState::Done),
                step("-2", NodeKind::AdSet, StepState::Unknown),
                step("-3", NodeKind::Ad, StepState::Unknown),
                step("-4", NodeKind::Creative, StepState::Unknown),
            ],
            ..Plan::default()
        };
        let created = ["-1", "-2", "-3"].map(|id| CreatedResource {
            temporary_id: id.to_owned(),
            effective_status: "CAMPAIGN_PAUSED_AND_MORE".to_owned(),
            ..CreatedResource::default()
        });
        let difference =
            Change { resource: "x".repeat(200), field: "y".repeat(90), after: "z".repeat(90), ..Change::default() };
        let result = ApplyPlanResult { created: created.to_vec(), differences: vec![difference] };
        let text = tree(&Launched { plan, result });
        fits(&text);
        assert_eq!(text.matches("outcome unknown").count(), 3, "{text}");
    }
}
