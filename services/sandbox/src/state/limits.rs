//! The settings of the limits: `limits` and `ceilings` at `/__sandbox/settings`.

use serde::{Deserialize, Serialize};

use crate::options::Tier;

/// How much may be called. The formulas are Meta's ("Rate limits"); what they take from an audience that a sandbox does
/// not have stands here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// The access tier of the app. Default: that of the start.
    pub(crate) tier: Tier,
    /// People who use the app; its platform limit is so many times the next.
    pub(crate) app_users: u64,
    /// Calls an hour for each of them (Meta: 200).
    pub(crate) calls_per_app_user: u64,
    /// Calls an hour of one person's token on the platform limit (17). Default: none, since Meta lets one person use
    /// more than a share.
    pub(crate) user_calls_an_hour: Option<u64>,
    /// Calls a second of everything (613 without a subcode). Default: none, since Meta publishes no number.
    pub(crate) calls_a_second: Option<u64>,
    /// Changes of campaigns, ad sets and ads a second, for the app and an ad account (613/5044001; Meta: 100).
    pub(crate) mutations_a_second: Option<u64>,
    /// Ads that an account may create an hour (613/1487225). Default: none, since Meta's number follows the spend.
    pub(crate) ads_created_an_hour: Option<usize>,
    /// Changes of an ad set's budget an hour (613/1487632; Meta: 4).
    pub(crate) ad_set_budget_changes_an_hour: usize,
    /// Changes of an account's spend cap a day (17/1885172; Meta: 10).
    pub(crate) spend_cap_changes_a_day: usize,
    /// Whether the older score of an ad account refuses calls too, not only its hourly limits.
    pub(crate) score_refuses: bool,
    /// With which code it does: 17 (2446079) or 613 (1487742). Meta documents both.
    pub(crate) score_code: i64,
    /// Insights calls an hour over all accounts (4/1504022). Default: ten accounts' worth, since Meta's is not published.
    pub(crate) insights_app_calls_an_hour: Option<u64>,
    /// Insights calls an hour of one account (4/1504039), beside those of its use case. Default: the same as those.
    pub(crate) insights_account_calls_an_hour: Option<u64>,
    /// Queries of reach with breakdowns further back than 13 months, a day (Meta: 10).
    pub(crate) reach_queries_a_day: u64,
    /// Whether a call that a limit refuses is counted too. Default: false, so that who keeps asking gets in again.
    pub(crate) refused_calls_count: bool,
    /// Milliseconds of computing, and of waiting, that a limit has for each call it allows.
    pub(crate) milliseconds_a_call: u64,
    /// People who did something on a page within 24 hours (pages: 4,800 calls for each; messenger: 200).
    pub(crate) page_engaged_users: u64,
    /// The least leads that a page is taken to have had within 90 days (leadgen: 4,800 calls for each).
    pub(crate) page_leads: u64,
    /// Impressions of an Instagram account within 24 hours (4,800 calls for each).
    pub(crate) instagram_impressions: u64,
    /// Views of a catalogue's products and ads an hour.
    pub(crate) catalog_views_an_hour: u64,
    /// People who saw products of a catalogue.
    pub(crate) catalog_users: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tier: Tier::Standard,
            app_users: 100,
            calls_per_app_user: 200,
            user_calls_an_hour: None,
            calls_a_second: None,
            mutations_a_second: Some(100),
            ads_created_an_hour: None,
            ad_set_budget_changes_an_hour: 4,
            spend_cap_changes_a_day: 10,
            score_refuses: false,
            score_code: 17,
            insights_app_calls_an_hour: None,
            insights_account_calls_an_hour: None,
            reach_queries_a_day: 10,
            refused_calls_count: false,
            milliseconds_a_call: 200,
            page_engaged_users: 100,
            page_leads: 10,
            instagram_impressions: 100,
            catalog_views_an_hour: 1_000,
            catalog_users: 1_000,
        }
    }
}

/// How many things may be there. An ad account with a member `_ceilings`, such as one of a bulk advertiser, has its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ceilings {
    /// Campaigns of an account that are not deleted (Meta: 6,000; managed accounts 10,000).
    pub(crate) campaigns: u64,
    /// Ad sets of an account that are not deleted (Meta: 6,000; managed accounts 10,000).
    pub(crate) ad_sets: u64,
    /// Ads of an account that are not deleted (Meta: 6,000; managed accounts 50,000).
    pub(crate) ads: u64,
    /// Archived campaigns, ad sets and ads of an account, of each (1487990; Meta: 100,000).
    pub(crate) archived: u64,
    /// Ads of an ad set that are neither archived nor deleted. From reports; Meta's page is gone.
    pub(crate) ads_of_an_ad_set: u64,
    /// Ad sets of a campaign that are neither archived nor deleted. From reports.
    pub(crate) ad_sets_of_a_campaign: u64,
    /// The same where the campaign has the budget. From reports.
    pub(crate) ad_sets_of_a_budget: u64,
    /// Audiences of customers' lists (Meta: 500).
    pub(crate) customer_audiences: u64,
    /// Audiences of a website (Meta: 10,000).
    pub(crate) website_audiences: u64,
    /// Audiences of an app (Meta: 200).
    pub(crate) app_audiences: u64,
    /// Lookalike audiences (Meta: 500).
    pub(crate) lookalikes: u64,
    /// Countries of one targeting, included or excluded. From reports: 25.
    pub(crate) targeted_countries: usize,
    /// Regions of one targeting. From reports: 200.
    pub(crate) targeted_regions: usize,
    /// Cities of one targeting. From reports: 250.
    pub(crate) targeted_cities: usize,
    /// Postcodes of one targeting. From reports: 50,000.
    pub(crate) targeted_zips: usize,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self {
            campaigns: 6_000,
            ad_sets: 6_000,
            ads: 6_000,
            archived: 100_000,
            ads_of_an_ad_set: 50,
            ad_sets_of_a_campaign: 200,
            ad_sets_of_a_budget: 70,
            customer_audiences: 500,
            website_audiences: 10_000,
            app_audiences: 200,
            lookalikes: 500,
            targeted_countries: 25,
            targeted_regions: 200,
            targeted_cities: 250,
            targeted_zips: 50_000,
        }
    }
}
