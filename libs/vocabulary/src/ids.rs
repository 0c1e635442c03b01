//! Ids, a type of its own for each, so that an ad account cannot stand where a campaign belongs.
//!
//! Meta's ids are numbers of up to 18 digits that travel as strings ([`graph`]); ours are UUIDs ([`own`]).

mod graph;
mod own;
mod text;

pub use graph::{
    AdAccountId, AdId, AdSetId, AudienceId, BusinessId, CampaignId, CreativeId, DatasetId, InstagramUserId, MetaAppId,
    PageId, ReportRunId, VideoId,
};
pub use own::{ConnectionId, MemberJobId, OperationId, PlanId, ReportId, RequestId};
pub use text::{ImageHash, TenantId};

/// A text that is no id of the kind it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no {kind}: {expected}")]
pub struct IdError {
    /// What it should have been, such as `CampaignId`.
    pub kind: &'static str,
    /// What such an id looks like.
    pub expected: &'static str,
    /// What came instead, cut to 64 characters.
    pub given: String,
}

impl IdError {
    fn new(kind: &'static str, expected: &'static str, given: &str) -> Self {
        Self { kind, expected, given: given.chars().take(64).collect() }
    }
}
