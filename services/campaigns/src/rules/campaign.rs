//! What a campaign must hold (Meta, "Campaign": create and update).

use proto::campaigns::v1::{BidStrategy, Campaign, Objective};

use super::{Findings, amount, least, name};

/// Meta's words of special categories (Meta, "Special ad category").
const CATEGORIES: [&str; 7] = [
    "NONE",
    "HOUSING",
    "EMPLOYMENT",
    "CREDIT",
    "FINANCIAL_PRODUCTS_SERVICES",
    "ISSUES_ELECTIONS_POLITICS",
    "ONLINE_GAMBLING_AND_GAMING",
];

/// Checks a campaign that is to be made. `path` is where it stands in the request.
pub(crate) fn create(campaign: &Campaign, path: &str, least_daily_budget: Option<i64>, findings: &mut Findings) {
    name(campaign.name.as_deref(), path, findings);
    let objective = Objective::try_from(campaign.objective).unwrap_or_default();
    findings.check(objective != Objective::Unspecified, &format!("{path}.objective"), "is required", "REQUIRED");
    fields(campaign, path, least_daily_budget, findings);
}

/// Checks the fields that an update changes, each for itself: how they go together with the rest is Meta's to say.
pub(crate) fn changes(campaign: &Campaign, mask: &[String], findings: &mut Findings) {
    let changed = |field: &str| mask.iter().any(|path| path == field);
    if changed("name") {
        name(campaign.name.as_deref(), "campaign", findings);
    }
    let amounts = [
        ("daily_budget", campaign.daily_budget),
        ("lifetime_budget", campaign.lifetime_budget),
        ("spend_cap", campaign.spend_cap),
    ];
    for (field, value) in amounts {
        if changed(field) {
            amount(value, &format!("campaign.{field}"), findings);
        }
    }
    categories(campaign, "campaign", findings);
}

/// Checks the fields that are set.
fn fields(campaign: &Campaign, path: &str, least_daily_budget: Option<i64>, findings: &mut Findings) {
    budgets(campaign, path, least_daily_budget, findings);
    categories(campaign, path, findings);
    amount(campaign.spend_cap, &format!("{path}.spend_cap"), findings);
    findings.at_most(campaign.pacing_type.len(), 10, &format!("{path}.pacing_type"));
    findings.at_most(campaign.extra.len(), 100, &format!("{path}.extra"));
    if let (Some(start), Some(stop)) = (&campaign.start_time, &campaign.stop_time) {
        let later = stop.seconds > start.seconds;
        findings.check(later, &format!("{path}.stop_time"), "must be after start_time", "END_BEFORE_START");
    }
}

fn budgets(campaign: &Campaign, path: &str, least_daily_budget: Option<i64>, findings: &mut Findings) {
    let daily = format!("{path}.daily_budget");
    let lifetime = format!("{path}.lifetime_budget");
    amount(campaign.daily_budget, &daily, findings);
    amount(campaign.lifetime_budget, &lifetime, findings);
    least(campaign.daily_budget, least_daily_budget, &daily, findings);
    let both = campaign.daily_budget.is_some() && campaign.lifetime_budget.is_some();
    findings.check(!both, &lifetime, "a campaign has a daily or a lifetime budget, not both", "BUDGET_TWICE");
    if campaign.lifetime_budget.is_some() {
        let ends = campaign.stop_time.is_some();
        findings.check(ends, &format!("{path}.stop_time"), "is required with lifetime_budget", "END_MISSING");
    }
    let budget = campaign.daily_budget.is_some() || campaign.lifetime_budget.is_some();
    let strategy = BidStrategy::try_from(campaign.bid_strategy).unwrap_or_default();
    findings.check(
        budget || strategy == BidStrategy::Unspecified,
        &format!("{path}.bid_strategy"),
        "belongs where the budget is: on the ad sets, or give the campaign a budget",
        "BID_STRATEGY_WITHOUT_BUDGET",
    );
    findings.check(
        !(budget && campaign.is_adset_budget_sharing_enabled == Some(true)),
        &format!("{path}.is_adset_budget_sharing_enabled"),
        "only makes sense with budgets on the ad sets",
        "SHARING_WITHOUT_AD_SET_BUDGETS",
    );
}

fn categories(campaign: &Campaign, path: &str, findings: &mut Findings) {
    let field = format!("{path}.special_ad_categories");
    let words = &campaign.special_ad_categories;
    findings.at_most(words.len(), 10, &field);
    for (index, word) in words.iter().enumerate() {
        if !CATEGORIES.contains(&word.as_str()) {
            let description = format!("must be one of {}", CATEGORIES.join(", "));
            findings.add(format_args!("{field}[{index}]"), description, "UNKNOWN_WORD");
        }
    }
    let alone = words.len() < 2 || !words.iter().any(|word| word == "NONE");
    findings.check(alone, &field, "NONE goes with no other category", "NONE_AND_OTHERS");
    findings.at_most(campaign.special_ad_category_country.len(), 250, &format!("{path}.special_ad_category_country"));
    for (index, country) in campaign.special_ad_category_country.iter().enumerate() {
        let code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        let field = format!("{path}.special_ad_category_country[{index}]");
        findings.check(code, &field, "must be two capitals such as US", "NO_COUNTRY");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Campaign {
        let mut campaign = Campaign { name: Some("Summer".to_owned()), ..Campaign::default() };
        campaign.set_objective(Objective::OutcomeSales);
        campaign
    }

    #[test]
    fn each_rule_names_its_field_and_itself() {
        type Change = fn(&mut Campaign);
        let table: [(Change, &str, &str); 13] = [
            (|it| it.name = None, "campaign.name", "REQUIRED"),
            (|it| it.name = Some(" ".to_owned()), "campaign.name", "REQUIRED"),
            (|it| it.name = Some("x".repeat(401)), "campaign.name", "TOO_LONG"),
            (|it| it.objective = 0, "campaign.objective", "REQUIRED"),
            (|it| it.daily_budget = Some(0), "campaign.daily_budget", "AMOUNT_NOT_POSITIVE"),
            (|it| it.daily_budget = Some(99), "campaign.daily_budget", "BUDGET_TOO_LOW"),
            (|it| it.lifetime_budget = Some(5000), "campaign.stop_time", "END_MISSING"),
            (|it| it.set_bid_strategy(BidStrategy::CostCap), "campaign.bid_strategy", "BID_STRATEGY_WITHOUT_BUDGET"),
            (|it| it.spend_cap = Some(-1), "campaign.spend_cap", "AMOUNT_NOT_POSITIVE"),
            (
                |it| it.special_ad_categories = vec!["HOUSE".to_owned()],
                "campaign.special_ad_categories[0]",
                "UNKNOWN_WORD",
            ),
            (
                |it| it.special_ad_categories = vec!["NONE".to_owned(), "HOUSING".to_owned()],
                "campaign.special_ad_categories",
                "NONE_AND_OTHERS",
            ),
            (
                |it| it.special_ad_category_country = vec!["us".to_owned()],
                "campaign.special_ad_category_country[0]",
                "NO_COUNTRY",
            ),
            (
                |it| {
                    it.daily_budget = Some(1000);
                    it.is_adset_budget_sharing_enabled = Some(true);
                },
                "campaign.is_adset_budget_sharing_enabled",
                "SHARING_WITHOUT_AD_SET_BUDGETS",
            ),
        ];
        for (change, field, rule) in table {
            let mut campaign = good();
            change(&mut campaign);
            let mut findings = Findings::default();
            create(&campaign, "campaign", Some(100), &mut findings);
            assert_eq!(findings.told(), [(field.to_owned(), rule)]);
        }
    }

    #[test]
    fn a_good_campaign_passes_with_and_without_a_budget() {
        for budget in [None, Some(100)] {
            let mut findings = Findings::default();
            create(&Campaign { daily_budget: budget, ..good() }, "campaign", Some(100), &mut findings);
            assert!(findings.is_empty());
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let mut findings = Findings::default();
        let campaign = Campaign { daily_budget: Some(1), lifetime_budget: Some(1), ..Campaign::default() };
        create(&campaign, "campaign", Some(100), &mut findings);
        let rules: Vec<_> = findings.told().into_iter().map(|(_, rule)| rule).collect();
        assert_eq!(rules, ["REQUIRED", "REQUIRED", "BUDGET_TOO_LOW", "BUDGET_TWICE", "END_MISSING"]);
    }
}
