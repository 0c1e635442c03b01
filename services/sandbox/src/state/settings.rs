//! What a test may turn at `/__sandbox/settings`.

use serde::{Deserialize, Serialize};

/// Timings and habits of Meta that are not facts of its interface. Every one has the default of a quick test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Whether an ad set must state `targeting_automation.advantage_audience` from v23 on (1870227 else). Default:
    /// true, as advertisers report it; campaigns of a special category must state it in v26 whatever this says.
    pub(crate) advantage_audience_required: bool,
    /// How long a review takes: half of it `IN_PROCESS`, half `PENDING_REVIEW`.
    pub(crate) review_milliseconds: i64,
    /// After how many polls a report is done.
    pub(crate) report_polls: u32,
    /// After how many looks an audience is filled.
    pub(crate) audience_polls: u32,
    /// After how many looks a video is ready.
    pub(crate) video_polls: u32,
    /// What the login dialog does.
    pub(crate) dialog: Dialog,
    /// Scopes that the person does not grant in the dialog.
    pub(crate) declined_scopes: Vec<String>,
    /// Whether every call must carry `appsecret_proof`.
    pub(crate) require_proof: bool,
    /// People who use the app; its platform limit is 200 calls an hour for each.
    pub(crate) app_users: u64,
    /// Whether the older score of an ad account refuses calls too, not only its hourly limits.
    pub(crate) score_refuses: bool,
    /// An ad whose name contains this is disapproved by its review; empty: none is.
    pub(crate) disapproved_word: String,
    /// The most ads, or ad sets, that a deep copy brings along in one call (Meta, 'Ad set copies': 3).
    pub(crate) copy_children_sync: usize,
    /// The same in an asynchronous call (Meta, 'Ad set copies': 51).
    pub(crate) copy_children_async: usize,
}

/// The answer of the person at the login dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialog {
    Grant,
    Deny,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            advantage_audience_required: true,
            review_milliseconds: 200,
            report_polls: 2,
            audience_polls: 2,
            video_polls: 1,
            dialog: Dialog::Grant,
            declined_scopes: Vec::new(),
            require_proof: false,
            app_users: 100,
            score_refuses: false,
            disapproved_word: "[disapprove]".to_owned(),
            copy_children_sync: 3,
            copy_children_async: 51,
        }
    }
}
