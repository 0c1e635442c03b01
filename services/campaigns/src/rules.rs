//! The rules that a write must hold before Meta is asked: pure, all of them said at once, each under a stable name.
//!
//! They are Meta's own rules as far as they can be known without asking. A rule that is missing here costs a call that
//! Meta refuses; a rule that is wrong here keeps a customer from what Meta would allow. So in doubt there is none.

pub(crate) mod ad;
pub(crate) mod ad_set;
pub(crate) mod campaign;
pub(crate) mod creative;
pub(crate) mod defaults;
mod findings;
mod goal;
mod targeting;
pub(crate) mod tree;

pub(crate) use findings::Findings;

use proto::campaigns::v1 as pb;

/// The longest name of a campaign, an ad set, a creative or an ad, in characters (Meta, "Campaign": name).
const NAME_CHARS_MAX: usize = 400;

/// Required, and no longer than Meta takes.
fn name(name: Option<&str>, path: &str, findings: &mut Findings) {
    let field = format!("{path}.name");
    let name = name.unwrap_or_default();
    findings.check(!name.trim().is_empty(), &field, "is required", "REQUIRED");
    let short = name.chars().count() <= NAME_CHARS_MAX;
    findings.check(short, &field, "must have at most 400 characters", "TOO_LONG");
}

/// An amount of money that is there must be more than nothing.
fn amount(amount: Option<i64>, field: &str, findings: &mut Findings) {
    let positive = amount.is_none_or(|amount| amount > 0);
    findings.check(positive, field, "must be more than 0 minor units", "AMOUNT_NOT_POSITIVE");
}

/// The least that Meta takes per day, in minor units, where the account is known.
fn least(budget: Option<i64>, least: Option<i64>, field: &str, findings: &mut Findings) {
    if let (Some(budget), Some(least)) = (budget, least) {
        let reason = format!("must be at least {least} minor units, the least daily budget of this ad account");
        findings.check(budget <= 0 || budget >= least, field, &reason, "BUDGET_TOO_LOW");
    }
}

/// What the parents of an ad set say about it, as far as they are known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    /// The campaign's objective.
    pub(crate) objective: Option<pb::Objective>,
    /// The budget is on the campaign; `None` where the campaign is not known.
    pub(crate) budget_above: Option<bool>,
    /// The campaign's bid strategy.
    pub(crate) bid_strategy: Option<pb::BidStrategy>,
    /// The campaign is of a category with restricted targeting: housing, employment, finance.
    pub(crate) restricted: bool,
    /// The least daily budget of the account, in minor units.
    pub(crate) least_daily_budget: Option<i64>,
}

impl Around {
    /// What this campaign says.
    pub(crate) fn of(campaign: &pb::Campaign, least_daily_budget: Option<i64>) -> Self {
        let restricted = ["HOUSING", "EMPLOYMENT", "CREDIT", "FINANCIAL_PRODUCTS_SERVICES"];
        Self {
            objective: Some(campaign.objective()).filter(|objective| *objective != pb::Objective::Unspecified),
            budget_above: Some(campaign.daily_budget.is_some() || campaign.lifetime_budget.is_some()),
            bid_strategy: Some(campaign.bid_strategy()).filter(|strategy| *strategy != pb::BidStrategy::Unspecified),
            restricted: campaign.special_ad_categories.iter().any(|word| restricted.contains(&word.as_str())),
            least_daily_budget,
        }
    }
}
