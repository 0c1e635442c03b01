//! Which goals an objective allows, what may be paid for, and what must be promoted (Meta, "Outcome-driven ad
//! experiences": objectives, optimisation goals and promoted objects).

use proto::campaigns::v1::{AdSet, BillingEvent, Objective, OptimizationGoal as Goal, PromotedObject};

use super::Findings;

/// The goals of an objective, over all destinations: Meta narrows further by destination, which we leave to Meta.
fn goals(objective: Objective) -> &'static [Goal] {
    match objective {
        Objective::Unspecified => &[],
        Objective::OutcomeAwareness => &[Goal::AdRecallLift, Goal::Reach, Goal::Impressions, Goal::Thruplay],
        Objective::OutcomeTraffic => &[
            Goal::LinkClicks,
            Goal::LandingPageViews,
            Goal::Reach,
            Goal::Impressions,
            Goal::QualityCall,
            Goal::VisitInstagramProfile,
            Goal::ProfileVisit,
            Goal::ProfileAndPageEngagement,
            Goal::Conversations,
        ],
        Objective::OutcomeEngagement => &[
            Goal::PostEngagement,
            Goal::PageLikes,
            Goal::EventResponses,
            Goal::Thruplay,
            Goal::Conversations,
            Goal::LinkClicks,
            Goal::OffsiteConversions,
            Goal::LandingPageViews,
            Goal::Reach,
            Goal::Impressions,
            Goal::RemindersSet,
            Goal::QualityCall,
        ],
        Objective::OutcomeLeads => &[
            Goal::LeadGeneration,
            Goal::QualityLead,
            Goal::QualityCall,
            Goal::Conversations,
            Goal::OffsiteConversions,
            Goal::LandingPageViews,
            Goal::LinkClicks,
            Goal::Reach,
            Goal::Impressions,
        ],
        Objective::OutcomeSales => &[
            Goal::OffsiteConversions,
            Goal::Value,
            Goal::LandingPageViews,
            Goal::LinkClicks,
            Goal::Reach,
            Goal::Impressions,
            Goal::Conversations,
            Goal::QualityCall,
        ],
        Objective::OutcomeAppPromotion => &[
            Goal::AppInstalls,
            Goal::OffsiteConversions,
            Goal::LinkClicks,
            Goal::Value,
            Goal::AppInstallsAndOffsiteConversions,
        ],
    }
}

/// Checks that goal, objective, billing event and promoted object fit together.
pub(super) fn check(ad_set: &AdSet, path: &str, objective: Option<Objective>, findings: &mut Findings) {
    let goal = Goal::try_from(ad_set.optimization_goal).unwrap_or_default();
    let field = format!("{path}.optimization_goal");
    if goal == Goal::Unspecified {
        findings.add(field, "is required", "REQUIRED");
    } else if let Some(objective) = objective
        && !goals(objective).contains(&goal)
    {
        let allowed: Vec<&str> = goals(objective).iter().map(|goal| word(*goal)).collect();
        let description =
            format!("{} does not fit the campaign's objective; allowed are {}", word(goal), allowed.join(", "));
        findings.add(field, description, "GOAL_DOES_NOT_FIT_OBJECTIVE");
    }
    billing(ad_set, goal, path, findings);
    promoted(ad_set.promoted_object.as_ref(), goal, path, findings);
}

fn billing(ad_set: &AdSet, goal: Goal, path: &str, findings: &mut Findings) {
    let event = BillingEvent::try_from(ad_set.billing_event).unwrap_or_default();
    let field = format!("{path}.billing_event");
    let fits = match event {
        BillingEvent::Unspecified => {
            findings.add(field, "is required", "REQUIRED");
            return;
        }
        BillingEvent::Impressions => true,
        BillingEvent::LinkClicks => goal == Goal::LinkClicks,
        BillingEvent::Thruplay => goal == Goal::Thruplay,
        BillingEvent::PageLikes => goal == Goal::PageLikes,
        BillingEvent::PostEngagement => goal == Goal::PostEngagement,
        BillingEvent::AppInstalls => goal == Goal::AppInstalls,
        BillingEvent::Purchase => matches!(goal, Goal::OffsiteConversions | Goal::Value),
    };
    findings.check(
        fits || goal == Goal::Unspecified,
        &field,
        "does not fit optimization_goal; IMPRESSIONS always does",
        "BILLING_DOES_NOT_FIT_GOAL",
    );
}

fn promoted(object: Option<&PromotedObject>, goal: Goal, path: &str, findings: &mut Findings) {
    let empty = PromotedObject::default();
    let object = object.unwrap_or(&empty);
    let event = object.pixel_id.is_some() && object.custom_event_type.is_some();
    let app = object.application_id.is_some() && object.object_store_url.is_some();
    let (holds, wants) = match goal {
        Goal::OffsiteConversions | Goal::Value => (
            event || app || object.custom_conversion_id.is_some() || object.product_set_id.is_some(),
            "needs pixel_id and custom_event_type, or custom_conversion_id, or product_set_id, or an app",
        ),
        Goal::AppInstalls | Goal::AppInstallsAndOffsiteConversions => {
            (app, "needs application_id and object_store_url")
        }
        Goal::PageLikes | Goal::LeadGeneration | Goal::QualityLead | Goal::Conversations => {
            (object.page_id.is_some(), "needs page_id")
        }
        Goal::EventResponses => (object.event_id.is_some(), "needs event_id"),
        _ => return,
    };
    let description = format!("{wants} for the goal {}", word(goal));
    findings.check(holds, &format!("{path}.promoted_object"), &description, "PROMOTED_OBJECT_MISSING");
}

/// Meta's word for a goal.
fn word(goal: Goal) -> &'static str {
    goal.as_str_name().trim_start_matches("OPTIMIZATION_GOAL_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ad_set(goal: Goal, event: BillingEvent, object: Option<PromotedObject>) -> AdSet {
        let mut ad_set = AdSet { promoted_object: object, ..AdSet::default() };
        ad_set.set_optimization_goal(goal);
        ad_set.set_billing_event(event);
        ad_set
    }

    fn told(ad_set: &AdSet, objective: Objective) -> Vec<(String, &'static str)> {
        let mut findings = Findings::default();
        check(ad_set, "ad_set", Some(objective), &mut findings);
        findings.told()
    }

    #[test]
    fn a_goal_must_fit_the_objective() {
        let table = [
            (Objective::OutcomeTraffic, Goal::LinkClicks, true),
            (Objective::OutcomeTraffic, Goal::AdRecallLift, false),
            (Objective::OutcomeAwareness, Goal::Reach, true),
            (Objective::OutcomeAwareness, Goal::LinkClicks, false),
            (Objective::OutcomeEngagement, Goal::PostEngagement, true),
            (Objective::OutcomeSales, Goal::LandingPageViews, true),
            (Objective::OutcomeSales, Goal::Thruplay, false),
            (Objective::OutcomeLeads, Goal::LinkClicks, true),
            (Objective::OutcomeAppPromotion, Goal::Reach, false),
        ];
        for (objective, goal, fits) in table {
            let told = told(&ad_set(goal, BillingEvent::Impressions, None), objective);
            let expected = [("ad_set.optimization_goal".to_owned(), "GOAL_DOES_NOT_FIT_OBJECTIVE")];
            assert_eq!(told, if fits { &[][..] } else { &expected[..] }, "{objective:?} {goal:?}");
        }
    }

    #[test]
    fn clicks_are_paid_for_only_where_clicks_are_the_goal() {
        let told = told(&ad_set(Goal::LandingPageViews, BillingEvent::LinkClicks, None), Objective::OutcomeTraffic);
        assert_eq!(told, [("ad_set.billing_event".to_owned(), "BILLING_DOES_NOT_FIT_GOAL")]);
    }

    #[test]
    fn conversions_need_to_know_where_they_are_counted() {
        let bare = ad_set(Goal::OffsiteConversions, BillingEvent::Impressions, None);
        assert_eq!(
            told(&bare, Objective::OutcomeSales),
            [("ad_set.promoted_object".to_owned(), "PROMOTED_OBJECT_MISSING")]
        );
        let pixel = PromotedObject {
            pixel_id: Some("9".to_owned()),
            custom_event_type: Some("PURCHASE".to_owned()),
            ..PromotedObject::default()
        };
        let full = ad_set(Goal::OffsiteConversions, BillingEvent::Impressions, Some(pixel));
        assert_eq!(told(&full, Objective::OutcomeSales), []);
    }
}
