//! `adplane show`: what is there, as a table or as JSON lines, through a running gateway.

use std::io::Write;

use anyhow::Result;
use client::Client;
use proto::{
    campaigns::v1::{ListAdAccountsRequest, ListCampaignsRequest},
    operations::v1::{ListOperationsRequest, OperationFilter},
    ratelimit::v1::ListQuotasRequest,
};

/// The gateway and the right to use it.
#[derive(Debug, clap::Args)]
pub(crate) struct Door {
    /// The gateway
    #[arg(long, env = "ADPLANE_ADDRESS", default_value = "http://127.0.0.1:7400")]
    address: String,
    /// The caller's token; better in ADPLANE_TOKEN, since every user of the machine sees a command's arguments
    #[arg(long, env = "ADPLANE_TOKEN", hide_env_values = true)]
    token: String,
}

impl Door {
    fn open(&self) -> Result<Client> {
        Ok(Client::connect(&self.address, &self.token)?)
    }
}

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
    let lines = match what {
        What::AdAccounts(door) => ad_accounts(&door.open()?).await?,
        What::Campaigns { ad_account, door } => campaigns(&door.open()?, &ad_account).await?,
        What::Quotas(door) => quotas(&door.open()?).await?,
        What::Operations { service, door } => operations(&door.open()?, service).await?,
    };
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

async fn ad_accounts(client: &Client) -> Result<Vec<String>> {
    let request = ListAdAccountsRequest { page_size: PAGE, ..ListAdAccountsRequest::default() };
    let accounts = client.ad_accounts().list_ad_accounts(request).await?.into_inner().ad_accounts;
    let line = |account: proto::campaigns::v1::AdAccount| {
        let name = account.name.unwrap_or_default();
        format!("{:<34} {:<4} {name}", account.resource_name, account.currency.unwrap_or_default())
    };
    Ok(accounts.into_iter().map(line).collect())
}

async fn campaigns(client: &Client, ad_account: &str) -> Result<Vec<String>> {
    let parent = format!("adAccounts/{}", ad_account.trim_start_matches("adAccounts/"));
    let request = ListCampaignsRequest { parent, page_size: PAGE, ..ListCampaignsRequest::default() };
    let campaigns = client.campaigns().list_campaigns(request).await?.into_inner().campaigns;
    let line = |campaign: proto::campaigns::v1::Campaign| {
        let status = campaign.effective_status().as_str_name().trim_start_matches("EFFECTIVE_STATUS_").to_owned();
        format!("{:<60} {status:<12} {}", campaign.resource_name, campaign.name.unwrap_or_default())
    };
    Ok(campaigns.into_iter().map(line).collect())
}

async fn quotas(client: &Client) -> Result<Vec<String>> {
    let request = ListQuotasRequest { page_size: PAGE, ..ListQuotasRequest::default() };
    let quotas = client.quotas().list_quotas(request).await?.into_inner().quotas;
    let line = |quota: proto::ratelimit::v1::Quota| {
        let scope = quota.scope.clone().unwrap_or_default();
        let kind = scope.kind().as_str_name().trim_start_matches("SCOPE_KIND_").to_owned();
        let limit = quota.limit.map_or("no limit".to_owned(), |limit| limit.to_string());
        format!("{kind:<14} {:<18} {:<16} {:>8} of {limit:<10} {}", scope.id, scope.use_case, quota.used, quota.why)
    };
    Ok(quotas.into_iter().map(line).collect())
}

async fn operations(client: &Client, service: String) -> Result<Vec<String>> {
    let filter = Some(OperationFilter { service, ..OperationFilter::default() });
    let request = ListOperationsRequest { filter, page_size: PAGE, page_token: String::new() };
    let operations = client.operations().list_operations(request).await?.into_inner().operations;
    let line = |operation: proto::operations::v1::Operation| {
        let metadata = operation.metadata.unwrap_or_default();
        let state = if operation.done { "done" } else { &metadata.phase };
        format!(
            "{:<60} {state:<24} {}/{} {}",
            operation.name, metadata.steps_done, metadata.steps_total, metadata.resource
        )
    };
    Ok(operations.into_iter().map(line).collect())
}
