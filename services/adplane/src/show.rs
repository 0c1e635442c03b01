//! `adplane show`: what is there, through a running gateway.

use anyhow::Result;
use proto::{
    campaigns::v1::{AdAccount, Campaign, ListAdAccountsRequest, ListCampaignsRequest},
    operations::v1::{ListOperationsRequest, Operation, OperationFilter},
    ratelimit::v1::{ListQuotasRequest, Quota},
};

use crate::{
    door::{Door, named},
    output::word,
};

/// What to show. Each list ends after 1,000 lines.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// The tenant's ad accounts
    AdAccounts(Door),
    /// An ad account's campaigns
    Campaigns {
        /// Such as act_1000000000001
        ad_account: String,
        #[command(flatten)]
        door: Door,
    },
    /// The buckets that the tenant's calls used
    Quotas(Door),
    /// Long work of one service
    Operations {
        /// Such as campaigns
        service: String,
        #[command(flatten)]
        door: Door,
    },
}

const PAGE: i32 = 1_000;

pub(crate) async fn run(what: What) -> Result<()> {
    match what {
        What::AdAccounts(door) => ad_accounts(&door).await,
        What::Campaigns { ad_account, door } => campaigns(&door, &ad_account).await,
        What::Quotas(door) => quotas(&door).await,
        What::Operations { service, door } => operations(&door, service).await,
    }
}

async fn ad_accounts(door: &Door) -> Result<()> {
    let request = ListAdAccountsRequest { page_size: PAGE, ..ListAdAccountsRequest::default() };
    let accounts = door.open()?.ad_accounts().list_ad_accounts(request).await?.into_inner().ad_accounts;
    door.output().rows(&["ad account", "currency", "name"], &accounts, |account: &AdAccount| {
        let (currency, name) = (account.currency.clone(), account.name.clone());
        vec![account.resource_name.clone(), currency.unwrap_or_default(), name.unwrap_or_default()]
    })
}

async fn campaigns(door: &Door, ad_account: &str) -> Result<()> {
    let parent = named("adAccounts", ad_account);
    let request = ListCampaignsRequest { parent, page_size: PAGE, ..ListCampaignsRequest::default() };
    let campaigns = door.open()?.campaigns().list_campaigns(request).await?.into_inner().campaigns;
    door.output().rows(&["campaign", "status", "name"], &campaigns, |campaign: &Campaign| {
        let status = word(campaign.effective_status().as_str_name(), "EFFECTIVE_STATUS_");
        vec![campaign.resource_name.clone(), status, campaign.name.clone().unwrap_or_default()]
    })
}

async fn quotas(door: &Door) -> Result<()> {
    let request = ListQuotasRequest { page_size: PAGE, ..ListQuotasRequest::default() };
    let quotas = door.open()?.quotas().list_quotas(request).await?.into_inner().quotas;
    door.output().rows(&["scope", "id", "use case", "used", "of", "why"], &quotas, |quota: &Quota| {
        let scope = quota.scope.clone().unwrap_or_default();
        let kind = word(scope.kind().as_str_name(), "SCOPE_KIND_");
        let limit = quota.limit.map_or("no limit".to_owned(), |limit| limit.to_string());
        vec![kind, scope.id, scope.use_case, quota.used.to_string(), limit, quota.why.clone()]
    })
}

async fn operations(door: &Door, service: String) -> Result<()> {
    let filter = Some(OperationFilter { service, ..OperationFilter::default() });
    let request = ListOperationsRequest { filter, page_size: PAGE, page_token: String::new() };
    let operations = door.open()?.operations().list_operations(request).await?.into_inner().operations;
    door.output().rows(&["operation", "state", "steps", "of"], &operations, |operation: &Operation| {
        let metadata = operation.metadata.clone().unwrap_or_default();
        let state = if operation.done { "done".to_owned() } else { metadata.phase };
        let steps = format!("{}/{}", metadata.steps_done, metadata.steps_total);
        vec![operation.name.clone(), state, steps, metadata.resource]
    })
}
