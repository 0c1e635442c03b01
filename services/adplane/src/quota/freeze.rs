//! `adplane quota freeze` and `unfreeze`.

use anyhow::{Context, Result};
use proto::ratelimit::v1::{Freeze, FreezeScopeRequest, UnfreezeScopeRequest};
use uuid::Uuid;
use vocabulary::clock::{Clock, SystemClock};

use super::full;
use crate::{door::Door, moment::Moment, output::moment};

/// What to stop, and until when.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// act_1 or adAccounts/act_1; for an operator also metaApps/1
    name: String,
    /// For how long from now, such as 30m or 2h, or until which moment
    #[arg(long, default_value = "1h")]
    until: Moment,
    /// Why, for the audit and for whoever waits
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    door: Door,
}

/// What goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct End {
    /// As it was frozen
    name: String,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    door: Door,
}

pub(crate) async fn freeze(Options { name, until, reason, door }: Options) -> Result<()> {
    let request = FreezeScopeRequest {
        name: full(&name),
        until_time: Some(until.after(SystemClock.now())?),
        reason,
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    let answer = door.open()?.quota_policies().freeze_scope(request).await?.into_inner();
    let frozen = answer.freeze.context("ratelimit answered without a freeze")?;
    door.output().text(&frozen, |frozen: &Freeze| {
        vec![
            format!(
                "{} is frozen until {}: only safety calls, such as pauses, go.",
                frozen.name,
                moment(frozen.until_time.as_ref())
            ),
            format!("End it sooner with: adplane quota unfreeze {} --reason WHY", frozen.name),
        ]
    })
}

pub(crate) async fn unfreeze(End { name, reason, door }: End) -> Result<()> {
    let name = full(&name);
    let request = UnfreezeScopeRequest {
        name: name.clone(),
        reason,
        request_id: Uuid::new_v4().to_string(),
        validate_only: false,
    };
    door.open()?.quota_policies().unfreeze_scope(request).await?;
    door.output().done(&format!("{name} goes on: whoever waits is let through by itself"))
}
