//! What a test may turn at `/__sandbox/settings`.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use super::Status;
use super::limits::{Ceilings, Limits};
use crate::insights::RunFault;
use crate::version::Version;

/// Timings and habits of Meta that are not facts of its interface. Every one has the default of a quick test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, turned by its name")]
pub(crate) struct Settings {
    /// The status of a campaign, ad set or ad that is made without one. Meta's pages disagree; default: `ACTIVE`.
    pub(crate) status_default: Status,
    /// Hours that an ad set with a lifetime budget must run; heard of, not published. Default: 24.
    pub(crate) lifetime_hours_min: i64,
    /// Whether a campaign of a special ad category must name `special_ad_category_country`. Default: false, as Meta
    /// recommends it only.
    pub(crate) special_country_required: bool,
    /// Whether interests, regions and cities must be in the sandbox's small catalogue. Default: true; with false any
    /// number is taken as an id, which suits a program that has Meta's real ids written into it.
    pub(crate) catalogue_only: bool,
    /// Whether an ad set must state `targeting_automation.advantage_audience` from v23 on (1870227 else). Default:
    /// true, as advertisers report it; campaigns of a special category must state it in v26 whatever this says.
    pub(crate) advantage_audience_required: bool,
    /// How long a review takes: half of it `IN_PROCESS`, half `PENDING_REVIEW`.
    pub(crate) review_milliseconds: i64,
    /// After how many polls a report is done.
    pub(crate) report_polls: u32,
    /// What goes wrong with every report that is started from now on; null: nothing.
    pub(crate) report_fault: Option<RunFault>,
    /// For how many days a report can be read (Meta, 'Insights: asynchronous jobs').
    pub(crate) report_days: i64,
    /// A report that may come to more rows than this fails as too large.
    pub(crate) report_rows_max: u64,
    /// A query that may come to more rows than this is too much data for one call: 100/1487534.
    pub(crate) insights_rows_max: u64,
    /// A query that looks at more days of ads than this, times the values of its breakdowns, times out: 100/1504018.
    pub(crate) insights_days_max: u64,
    /// A longer page of insights cannot be made: "Please reduce the amount of data".
    pub(crate) insights_page_rows_max: usize,
    /// Whether the accounts are opted in to the breakdowns that need it.
    pub(crate) breakdown_opt_in: bool,
    /// The day from which on some breakdowns need an opt-in.
    pub(crate) breakdown_opt_in_since: Date,
    /// How many reports with such breakdowns an account may start a day; never more than it has ad sets.
    pub(crate) opt_in_reports_a_day: usize,
    /// How many reports an account may start a day that break reach down for days over 13 months ago.
    pub(crate) reach_reports_a_day: usize,
    /// The day from which on the breakdown `dma` is unknown.
    pub(crate) dma_dead_since: Date,
    /// Whether breakdowns that may not stand together are refused with 2/1504041 instead of 100.
    pub(crate) breakdown_refusal_code_2: bool,
    /// Whether actions outside of Meta are left out by region and hour, and have no keys of device, target and
    /// destination, as Meta has it since 2021. Off, so that all rows add up.
    pub(crate) off_meta_hidden: bool,
    /// For how many days the insights of a deleted object can be read by its id.
    pub(crate) deleted_insights_days: i64,
    /// After how many looks an audience is filled.
    pub(crate) audience_polls: u32,
    /// After this many seconds of the sandbox's clock an audience is filled however often it was looked at. Meta names
    /// hours, up to a day.
    pub(crate) audience_seconds: i64,
    /// The share of valid people that Meta finds, in percent.
    pub(crate) match_percent: u64,
    /// Below this share, in percent, an audience is told to match few people (411). Meta does not publish it.
    pub(crate) low_match_percent: u64,
    /// Above this share of invalid rows, in percent, an audience is told to have too many (412). Meta does not publish it.
    pub(crate) invalid_percent: u64,
    /// Audiences with fewer people cannot be delivered to (300). Meta does not publish it; 20 and 100 are quoted.
    pub(crate) deliverable_people: u64,
    /// Ids of audiences that Meta has flagged for its integrity rules: operation 471, uploads and edits refused.
    pub(crate) flagged_audiences: Vec<String>,
    /// Whether website events without address or browser, and app events without `app_data`, are refused. Meta's page says
    /// that they are required; otherwise they are taken with a warning.
    pub(crate) require_event_sources: bool,
    /// Whether names and addresses that are not hashed refuse a call of events; otherwise they are taken with a warning.
    pub(crate) refuse_unhashed_events: bool,
    /// How many custom conversions an account may have.
    pub(crate) custom_conversions_max: usize,
    /// How many system users a business may have beside the first; 10 is Meta's for full access, 1 for limited.
    pub(crate) system_users_max: usize,
    /// After how many looks a batch of catalogue items is done.
    pub(crate) catalog_polls: u32,
    /// After how many looks a video is ready.
    pub(crate) video_polls: u32,
    /// What the login dialog does.
    pub(crate) dialog: Dialog,
    /// Scopes that the person does not grant in the dialog.
    pub(crate) declined_scopes: Vec<String>,
    /// Whether every call must carry `appsecret_proof`.
    pub(crate) require_proof: bool,
    /// How much may be called.
    pub(crate) limits: Limits,
    /// How many things may be there.
    pub(crate) ceilings: Ceilings,
    /// An ad whose name contains this is disapproved by its review; empty: none is.
    pub(crate) disapproved_word: String,
    /// A video whose title contains this cannot be processed; empty: all can.
    pub(crate) failing_video_word: String,
    /// How long an asynchronous set waits before it begins, in milliseconds of the sandbox's clock. Default 0.
    pub(crate) async_begin_milliseconds: i64,
    /// How long each request of a set takes, in milliseconds of the sandbox's clock. Default 0.
    pub(crate) async_step_milliseconds: i64,
    /// How many ads of one page may run or be in review (Meta, 'Ad volume': 250 for a page that spends little).
    pub(crate) ads_per_page: u64,
    /// The smallest daily budgets in minor units, by currency, where they differ from the sandbox's table. Meta
    /// publishes few of them.
    pub(crate) minimum_daily_budgets: BTreeMap<String, i64>,
    /// How many rules an ad account has at most; not published by Meta.
    pub(crate) rules_per_account: usize,
    /// The most ads, or ad sets, that a deep copy brings along in one call (Meta, 'Ad set copies': 3).
    pub(crate) copy_children_sync: usize,
    /// The same in an asynchronous call (Meta, 'Ad set copies': 51).
    pub(crate) copy_children_async: usize,
    /// How long a webhook waits before it is sent, in milliseconds of the sandbox's clock. Default 0.
    pub(crate) webhook_delay_milliseconds: i64,
    /// How often each webhook is sent: 2 makes duplicates, 0 loses all. Default 1.
    pub(crate) webhook_copies: u32,
    /// Whether webhooks that are due together are sent last first. Default off.
    pub(crate) webhook_reorder: bool,
    /// How many webhooks that are due together may go in one request; Meta says up to 1,000. Default 1.
    pub(crate) webhook_batch: usize,
    /// How long a subscriber may take to answer, in milliseconds. Default 10,000.
    pub(crate) webhook_timeout_milliseconds: u64,
    /// Hosts beside this machine that may be called. Default none.
    pub(crate) webhook_hosts: Vec<String>,
    /// The newest version; what a later one would be is an unknown path.
    pub(crate) newest_version: Version,
    /// The oldest version of the Marketing API that lives; calls without a version get it. Default: what the SDKs in
    /// use send, though by late 2026 Meta itself answers v25.0 and later.
    pub(crate) oldest_version: Version,
    /// The oldest version for what is no Marketing API: logins, and server events (Meta, "Versioning").
    pub(crate) oldest_graph_version: Version,
    /// Living versions whose answers warn of their end.
    pub(crate) versions_in_grace: Vec<Version>,
    /// Whether calls of an ended version are answered by the oldest that lives, as the app's own setting at Meta says.
    pub(crate) auto_upgrade: bool,
    /// Edges that changed too much for that: an ended version gets 2635 from them.
    pub(crate) edges_not_upgraded: Vec<String>,
    /// The first version that refuses `?ids=`. Default: v26.0, as third parties report; Meta's page says nothing.
    pub(crate) ids_refused_since: Version,
    /// The first version that refuses `date_format`. Default: v26.0, as third parties report.
    pub(crate) date_format_refused_since: Version,
}

/// The answer of the person at the login dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialog {
    Grant,
    Deny,
    /// A page with two buttons asks whoever sits before it.
    Ask,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            status_default: Status::Active,
            lifetime_hours_min: 24,
            special_country_required: false,
            catalogue_only: true,
            advantage_audience_required: true,
            review_milliseconds: 200,
            report_polls: 2,
            report_fault: None,
            report_days: 30,
            report_rows_max: 100_000_000,
            insights_rows_max: 5_000_000,
            insights_days_max: 500_000_000,
            insights_page_rows_max: 5_000,
            breakdown_opt_in: false,
            breakdown_opt_in_since: date(2026, 8, 6),
            opt_in_reports_a_day: 10,
            reach_reports_a_day: 10,
            dma_dead_since: date(2026, 6, 22),
            breakdown_refusal_code_2: false,
            off_meta_hidden: false,
            deleted_insights_days: 28,
            audience_polls: 2,
            audience_seconds: 21_600,
            match_percent: 100,
            low_match_percent: 20,
            invalid_percent: 50,
            deliverable_people: 100,
            flagged_audiences: Vec::new(),
            require_event_sources: true,
            refuse_unhashed_events: false,
            custom_conversions_max: 100,
            system_users_max: 10,
            catalog_polls: 1,
            video_polls: 1,
            dialog: Dialog::Grant,
            declined_scopes: Vec::new(),
            require_proof: false,
            limits: Limits::default(),
            ceilings: Ceilings::default(),
            disapproved_word: "[disapprove]".to_owned(),
            failing_video_word: "[fail]".to_owned(),
            async_begin_milliseconds: 0,
            async_step_milliseconds: 0,
            ads_per_page: 250,
            minimum_daily_budgets: BTreeMap::new(),
            rules_per_account: 250,
            copy_children_sync: 3,
            copy_children_async: 51,
            newest_version: Version(26),
            oldest_version: Version(22),
            oldest_graph_version: Version(21),
            versions_in_grace: Vec::new(),
            auto_upgrade: true,
            edges_not_upgraded: Vec::new(),
            ids_refused_since: Version(26),
            date_format_refused_since: Version(26),
            webhook_delay_milliseconds: 0,
            webhook_copies: 1,
            webhook_reorder: false,
            webhook_batch: 1,
            webhook_timeout_milliseconds: 10_000,
            webhook_hosts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_setting() {
        let page = include_str!("../../README.md");
        let all = serde_json::to_value(Settings::default()).unwrap();
        for name in all.as_object().unwrap().keys() {
            assert!(page.contains(&format!("| `{name}` |")), "{name} is missing in the page");
        }
        for group in ["limits", "ceilings"] {
            for name in all[group].as_object().unwrap().keys() {
                let named = |line: &str| {
                    line.starts_with('|')
                        && line.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{name}`")))
                };
                assert!(page.lines().any(named), "{group}.{name} is missing in the page");
            }
        }
    }
}
