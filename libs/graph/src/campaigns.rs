//! Campaigns at Meta: the fields we read, and what a create must say.

/// The message that mirrors a campaign.
pub const MESSAGE: &str = "adplane.campaigns.v1.Campaign";

/// The fields of that message, in Meta's words. One field more here is one field more there.
pub const FIELDS: &[&str] = &[
    "id",
    "name",
    "objective",
    "status",
    "effective_status",
    "buying_type",
    "bid_strategy",
    "daily_budget",
    "lifetime_budget",
    "budget_remaining",
    "spend_cap",
    "special_ad_categories",
    "special_ad_category_country",
    "is_adset_budget_sharing_enabled",
    "promoted_object",
    "pacing_type",
    "start_time",
    "stop_time",
    "created_time",
    "updated_time",
];

/// Meta refuses a campaign that says nothing of special categories, and since v24 one without a budget that says
/// nothing of sharing budgets (Meta, "Campaign", create).
pub(crate) fn complete(form: &mut Vec<(String, String)>) {
    let has = |form: &[(String, String)], name: &str| form.iter().any(|(key, _)| key == name);
    if !has(form, "special_ad_categories") {
        form.push(("special_ad_categories".to_owned(), "[]".to_owned()));
    }
    let budget = has(form, "daily_budget") || has(form, "lifetime_budget");
    if !budget && !has(form, "is_adset_budget_sharing_enabled") {
        form.push(("is_adset_budget_sharing_enabled".to_owned(), "false".to_owned()));
    }
}
