//! `adplane quota watch`: a line for each bucket that changed, through restarts of the gateway.

use std::time::Duration;

use anyhow::Result;
use client::Client;
use proto::ratelimit::v1::{QuotaFilter, WatchQuotasRequest, WatchQuotasResponse};
use tonic::{Code, Status};

use super::{bar, bucket, unit};
use crate::{
    door::Door,
    output::{Output, moment, note},
};

/// Between two tries after the stream was cut.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries without any word in between.
const TRIES_MAX: u32 = 30;

/// Which buckets, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only buckets of this ad account, such as act_1
    #[arg(long)]
    account: Option<String>,
    /// Goes on behind a bucket: its resumeToken, as --json shows it
    #[arg(long)]
    resume_token: Option<String>,
    /// Ends after so many lines; else with Ctrl-C
    #[arg(long, value_name = "LINES")]
    limit: Option<u64>,
    #[command(flatten)]
    door: Door,
}

/// What is asked for next, and how many lines are wanted still.
struct Position {
    request: WatchQuotasRequest,
    left: Option<u64>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let (client, output) = (options.door.open()?, options.door.output());
    let id = |account: &str| account.trim_start_matches("adAccounts/").trim_start_matches("act_").to_owned();
    let filter = options.account.as_deref().map(|account| QuotaFilter { id: id(account), ..QuotaFilter::default() });
    let request = WatchQuotasRequest { filter, resume_token: options.resume_token.unwrap_or_default() };
    let mut position = Position { request, left: options.limit };
    let mut tries = 0;
    while position.left != Some(0) {
        match follow(&client, output, &mut position, &mut tries).await {
            Ok(()) => {} // the server stops, another goes on
            Err(error) if error.downcast_ref::<Status>().is_some_and(is_lost) && tries < TRIES_MAX => {
                note("the connection is lost; trying again")?;
            }
            Err(error) => return Err(error),
        }
        tries += 1;
        if position.left != Some(0) {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

async fn follow(client: &Client, output: Output, position: &mut Position, tries: &mut u32) -> Result<()> {
    let mut stream = client.quotas().watch_quotas(position.request.clone()).await?.into_inner();
    while let Some(told) = stream.message().await? {
        *tries = 0;
        position.request.resume_token.clone_from(&told.resume_token);
        if told.quota.is_some() {
            output.event(&told, line)?;
            position.left = position.left.map(|left| left.saturating_sub(1));
        }
        if position.left == Some(0) {
            return Ok(());
        }
    }
    Ok(())
}

fn line(told: &WatchQuotasResponse) -> String {
    let quota = told.quota.clone().unwrap_or_default();
    let scope = quota.scope.clone().unwrap_or_default();
    let used = quota.used + quota.others;
    let used = match quota.limit {
        Some(limit) => format!("{used} of {limit} {}", unit(&quota)),
        None => format!("{used} {}", unit(&quota)),
    };
    let held = (quota.held > 0).then(|| format!("{} held", quota.held));
    let closed = quota.closed_until.as_ref().map(|until| format!("closed until {}", moment(Some(until))));
    let (held, closed) = (held.unwrap_or_default(), closed.unwrap_or_default());
    let parts = [bucket(&scope), scope.meta_app.clone(), used, held, bar(&quota), closed];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded)
}

#[cfg(test)]
mod tests {
    use proto::ratelimit::v1::{Quota, QuotaUnit, Scope, ScopeKind};

    use super::*;

    #[test]
    fn a_bucket_is_one_line() {
        let scope = Scope {
            meta_app: "metaApps/1".to_owned(),
            kind: ScopeKind::AdAccount.into(),
            id: "2".to_owned(),
            use_case: "ads_management".to_owned(),
        };
        let quota = Quota {
            scope: Some(scope),
            limit: Some(300),
            used: 90,
            others: 60,
            unit: QuotaUnit::Calls.into(),
            closed_until: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }),
            ..Quota::default()
        };
        let told = WatchQuotasResponse { quota: Some(quota), ..WatchQuotasResponse::default() };
        let expected =
            "act_2 ads_management  metaApps/1  150 of 300 calls  [###oo.....]  closed until 2023-11-14T22:13:20Z";
        assert_eq!(line(&told), expected);
    }
}
