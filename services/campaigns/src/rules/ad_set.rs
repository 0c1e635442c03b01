//! What an ad set must hold (Meta, "Ad set": create).

use proto::campaigns::v1::{AdSet, BidStrategy};

use super::{Around, Findings, amount, goal, least, name, targeting};

/// Checks an ad set that is to be made beneath a campaign of which `around` is known.
pub(crate) fn create(ad_set: &AdSet, path: &str, around: Around, findings: &mut Findings) {
    name(ad_set.name.as_deref(), path, findings);
    let campaign = ad_set.campaign_id.as_deref().unwrap_or_default();
    findings.check(!campaign.is_empty(), &format!("{path}.campaign_id"), "is required", "REQUIRED");
    goal::check(ad_set, path, around.objective, findings);
    budgets(ad_set, path, around, findings);
    bids(ad_set, path, around, findings);
    times(ad_set, path, findings);
    match &ad_set.targeting {
        Some(spec) => targeting::check(spec, &format!("{path}.targeting"), around.restricted, findings),
        None => findings.add(format_args!("{path}.targeting"), "is required", "REQUIRED"),
    }
    findings.at_most(ad_set.attribution_spec.len(), 10, &format!("{path}.attribution_spec"));
    findings.at_most(ad_set.adset_schedule.len(), 200, &format!("{path}.adset_schedule"));
    findings.at_most(ad_set.extra.len(), 100, &format!("{path}.extra"));
}

/// Budgets stand on exactly one level, and there as a daily or a lifetime amount.
fn budgets(ad_set: &AdSet, path: &str, around: Around, findings: &mut Findings) {
    let daily = format!("{path}.daily_budget");
    let lifetime = format!("{path}.lifetime_budget");
    amount(ad_set.daily_budget, &daily, findings);
    amount(ad_set.lifetime_budget, &lifetime, findings);
    least(ad_set.daily_budget, around.least_daily_budget, &daily, findings);
    let both = ad_set.daily_budget.is_some() && ad_set.lifetime_budget.is_some();
    findings.check(!both, &lifetime, "an ad set has a daily or a lifetime budget, not both", "BUDGET_TWICE");
    let field = if ad_set.lifetime_budget.is_some() { &lifetime } else { &daily };
    let here = ad_set.daily_budget.is_some() || ad_set.lifetime_budget.is_some();
    match around.budget_above {
        Some(true) => {
            let description = "the campaign has a budget, so its ad sets have none";
            findings.check(!here, field, description, "BUDGET_ON_BOTH_LEVELS");
        }
        Some(false) => {
            findings.check(here, field, "a budget is required, here or on the campaign", "BUDGET_MISSING");
        }
        None => {}
    }
    for (limit, field) in
        [(ad_set.daily_min_spend_target, "daily_min_spend_target"), (ad_set.daily_spend_cap, "daily_spend_cap")]
    {
        amount(limit, &format!("{path}.{field}"), findings);
        let fits = limit.is_none() || around.budget_above != Some(false);
        let description = "only goes with a budget on the campaign";
        findings.check(fits, &format!("{path}.{field}"), description, "NEEDS_CAMPAIGN_BUDGET");
    }
}

fn bids(ad_set: &AdSet, path: &str, around: Around, findings: &mut Findings) {
    let own = Some(BidStrategy::try_from(ad_set.bid_strategy).unwrap_or_default());
    let own = own.filter(|strategy| *strategy != BidStrategy::Unspecified);
    if let (Some(own), Some(above)) = (own, around.bid_strategy) {
        let description = "the campaign has the budget and with it the bid strategy";
        findings.check(own == above, &format!("{path}.bid_strategy"), description, "BID_STRATEGY_ON_BOTH_LEVELS");
    }
    let field = format!("{path}.bid_amount");
    amount(ad_set.bid_amount, &field, findings);
    match own.or(around.bid_strategy).unwrap_or(BidStrategy::LowestCostWithoutCap) {
        BidStrategy::LowestCostWithBidCap | BidStrategy::CostCap => {
            findings.check(
                ad_set.bid_amount.is_some(),
                &field,
                "is required by the bid strategy",
                "BID_AMOUNT_MISSING",
            );
        }
        BidStrategy::LowestCostWithMinRoas => {
            let floor = ad_set.bid_constraints.as_ref().and_then(|bid| bid.roas_average_floor);
            let field = format!("{path}.bid_constraints.roas_average_floor");
            findings.check(
                floor.is_some_and(|floor| floor > 0),
                &field,
                "is required by the bid strategy",
                "ROAS_FLOOR_MISSING",
            );
        }
        BidStrategy::LowestCostWithoutCap | BidStrategy::Unspecified => {
            let known = own.is_some() || around.bid_strategy.is_some() || around.budget_above.is_some();
            let description = "goes only with a bid strategy that has a cap";
            findings.check(ad_set.bid_amount.is_none() || !known, &field, description, "BID_AMOUNT_WITHOUT_CAP");
        }
    }
}

fn times(ad_set: &AdSet, path: &str, findings: &mut Findings) {
    let field = format!("{path}.end_time");
    if ad_set.lifetime_budget.is_some() {
        findings.check(ad_set.end_time.is_some(), &field, "is required with lifetime_budget", "END_MISSING");
    }
    if let (Some(start), Some(end)) = (&ad_set.start_time, &ad_set.end_time) {
        findings.check(end.seconds > start.seconds, &field, "must be after start_time", "END_BEFORE_START");
    }
    if !ad_set.adset_schedule.is_empty() {
        let parted = ad_set.pacing_type.iter().any(|word| word == "day_parting");
        let description = "needs pacing_type day_parting and a lifetime_budget";
        let holds = parted && ad_set.lifetime_budget.is_some();
        findings.check(holds, &format!("{path}.adset_schedule"), description, "SCHEDULE_WITHOUT_DAY_PARTING");
    }
}

#[cfg(test)]
mod tests {
    use proto::campaigns::v1::{BillingEvent, GeoLocations, Objective, OptimizationGoal, Targeting};

    use super::*;

    fn good() -> AdSet {
        let geo = GeoLocations { countries: vec!["US".to_owned()], ..GeoLocations::default() };
        let mut ad_set = AdSet {
            name: Some("US".to_owned()),
            campaign_id: Some("2".to_owned()),
            daily_budget: Some(1000),
            targeting: Some(Targeting { geo_locations: Some(geo), ..Targeting::default() }),
            ..AdSet::default()
        };
        ad_set.set_billing_event(BillingEvent::Impressions);
        ad_set.set_optimization_goal(OptimizationGoal::LinkClicks);
        ad_set
    }

    fn around() -> Around {
        Around { objective: Some(Objective::OutcomeTraffic), budget_above: Some(false), ..Around::default() }
    }

    #[test]
    fn each_rule_names_its_field_and_itself() {
        type Change = fn(&mut AdSet, &mut Around);
        let table: [(Change, &str, &str); 11] = [
            (|it, _| it.name = None, "s.name", "REQUIRED"),
            (|it, _| it.campaign_id = None, "s.campaign_id", "REQUIRED"),
            (|it, _| it.targeting = None, "s.targeting", "REQUIRED"),
            (|it, _| it.billing_event = 0, "s.billing_event", "REQUIRED"),
            (|it, _| it.daily_budget = None, "s.daily_budget", "BUDGET_MISSING"),
            (|_, around| around.budget_above = Some(true), "s.daily_budget", "BUDGET_ON_BOTH_LEVELS"),
            (|_, around| around.least_daily_budget = Some(2000), "s.daily_budget", "BUDGET_TOO_LOW"),
            (|it, _| it.set_bid_strategy(BidStrategy::CostCap), "s.bid_amount", "BID_AMOUNT_MISSING"),
            (|it, _| it.bid_amount = Some(5), "s.bid_amount", "BID_AMOUNT_WITHOUT_CAP"),
            (
                |it, _| it.set_bid_strategy(BidStrategy::LowestCostWithMinRoas),
                "s.bid_constraints.roas_average_floor",
                "ROAS_FLOOR_MISSING",
            ),
            (
                |it, _| {
                    it.daily_budget = None;
                    it.lifetime_budget = Some(9000);
                },
                "s.end_time",
                "END_MISSING",
            ),
        ];
        for (change, field, rule) in table {
            let (mut ad_set, mut around) = (good(), around());
            change(&mut ad_set, &mut around);
            let mut findings = Findings::default();
            create(&ad_set, "s", around, &mut findings);
            assert_eq!(findings.told(), [(field.to_owned(), rule)]);
        }
    }

    #[test]
    fn an_unknown_campaign_leaves_the_level_of_the_budget_to_meta() {
        let mut findings = Findings::default();
        create(&AdSet { daily_budget: None, ..good() }, "s", Around::default(), &mut findings);
        assert_eq!(findings.told(), []);
    }
}
