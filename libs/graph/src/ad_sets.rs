//! Ad sets at Meta: the fields we read.

/// The message that mirrors an ad set.
pub const MESSAGE: &str = "adplane.campaigns.v1.AdSet";

/// The fields of that message, in Meta's words.
pub const FIELDS: &[&str] = &[
    "id",
    "name",
    "campaign_id",
    "status",
    "effective_status",
    "billing_event",
    "optimization_goal",
    "daily_budget",
    "lifetime_budget",
    "budget_remaining",
    "bid_strategy",
    "bid_amount",
    "bid_constraints",
    "targeting",
    "promoted_object",
    "destination_type",
    "attribution_spec",
    "pacing_type",
    "adset_schedule",
    "start_time",
    "end_time",
    "is_dynamic_creative",
    "dsa_beneficiary",
    "dsa_payor",
    "daily_min_spend_target",
    "daily_spend_cap",
    "learning_stage_info",
    "created_time",
    "updated_time",
];
