//! Ads at Meta: the fields we read.

/// The message that mirrors an ad.
pub const MESSAGE: &str = "adplane.campaigns.v1.Ad";

/// The fields of that message, in Meta's words. Of the creative only its id: the rest is the creative's own.
pub const FIELDS: &[&str] = &[
    "id",
    "name",
    "adset_id",
    "campaign_id",
    "status",
    "effective_status",
    "creative{id}",
    "conversion_domain",
    "created_time",
    "updated_time",
];
