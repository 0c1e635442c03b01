//! The Rust client: the generated clients over one set of connections, with the bearer token on each call.
//!
//! - A call that failed as UNAVAILABLE is repeated, up to four times in all, where a repeat is safe: reads, and writes
//!   with a `request_id`. The wait is what the answer says, else it grows.
//! - [`Client::wait`] follows an operation to its end, through restarts of the gateway.
//! - [`list_all`] walks the pages of any list.

use std::sync::Arc;

use proto::audiences::v1 as audiences;
use proto::auth::v1 as auth;
use proto::campaigns::v1 as campaigns;
use proto::conversions::v1 as conversions;
use proto::gateway::v1 as gateway;
use proto::graph::v1 as graph;
use proto::insights::v1 as insights;
use proto::operations::v1 as operations;
use proto::plans::v1 as plans;
use proto::ratelimit::v1 as ratelimit;
use vocabulary::ids::TenantId;

mod channel;
mod error;
mod operation;
mod pages;

pub use channel::Channel;
pub use error::{Error, reason, retry_after};
pub use operation::result;
pub use pages::list_all;

/// A way into Adplane. Clones share their connections.
#[derive(Clone)]
pub struct Client(Arc<channel::Way>);

impl Client {
    /// To `http://host:port` of the gateway, with a JWT. Nothing is sent yet. Fails for what is no such address, and for
    /// a token that no header can hold.
    pub fn connect(address: &str, token: &str) -> Result<Self, Error> {
        Ok(Self(Arc::new(channel::Way::new(address, Some(token))?)))
    }

    /// As [`Client::connect`], without a token: for the calls whose request carries the proof, such as `IssueToken`.
    pub fn anonymous(address: &str) -> Result<Self, Error> {
        Ok(Self(Arc::new(channel::Way::new(address, None)?)))
    }

    /// The same client for one of the tenants that the token is for; needed when it is for several.
    #[must_use]
    pub fn for_tenant(&self, tenant: &TenantId) -> Self {
        Self(Arc::new(self.0.for_tenant(tenant)))
    }

    /// For a generated client that has no method here.
    pub fn channel(&self) -> Channel {
        Channel::new(Arc::clone(&self.0))
    }
}

macro_rules! services {
    ($($package:ident: $($method:ident => $module:ident::$client:ident),*;)*) => {
        impl Client {$($(
            #[doc = concat!("`adplane.", stringify!($package), ".v1.", stringify!($client), "`, without the last word.")]
            pub fn $method(&self) -> $package::$module::$client<Channel> {
                $package::$module::$client::new(self.channel())
                    .max_decoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX)
                    .max_encoding_message_size(rpc::ROW_MESSAGE_BYTES_MAX)
            }
        )*)*}
    };
}

services! {
    gateway: system => system_service_client::SystemServiceClient;
    operations: operations => operation_service_client::OperationServiceClient;
    auth:
        tenants => tenant_service_client::TenantServiceClient,
        identity => identity_service_client::IdentityServiceClient,
        meta_apps => meta_app_service_client::MetaAppServiceClient,
        connections => connection_service_client::ConnectionServiceClient,
        keys => key_service_client::KeyServiceClient,
        audit => audit_service_client::AuditServiceClient;
    campaigns:
        ad_accounts => ad_account_service_client::AdAccountServiceClient,
        campaigns => campaign_service_client::CampaignServiceClient,
        ad_sets => ad_set_service_client::AdSetServiceClient,
        ads => ad_service_client::AdServiceClient,
        creatives => creative_service_client::CreativeServiceClient,
        media => media_service_client::MediaServiceClient;
    graph: graph => graph_service_client::GraphServiceClient;
    plans: plans => plan_service_client::PlanServiceClient;
    insights:
        insights => insight_service_client::InsightServiceClient,
        reports => report_service_client::ReportServiceClient,
        fields => field_service_client::FieldServiceClient;
    audiences:
        audiences => audience_service_client::AudienceServiceClient,
        members => member_service_client::MemberServiceClient;
    conversions:
        datasets => dataset_service_client::DatasetServiceClient,
        events => event_service_client::EventServiceClient;
    ratelimit:
        quotas => quota_service_client::QuotaServiceClient,
        quota_policies => quota_policy_service_client::QuotaPolicyServiceClient,
        usage => usage_service_client::UsageServiceClient;
}

#[cfg(test)]
mod tests;
