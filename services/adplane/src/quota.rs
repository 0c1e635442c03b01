//! `adplane quota`: how the quota at Meta stands, who spent it, and why calls wait.

mod explain;
mod freeze;
mod policy;
mod usage;
mod watch;

use anyhow::Result;
use client::list_all;
use futures::TryStreamExt;
use proto::ratelimit::v1::{ListQuotasRequest, Quota, QuotaUnit, Scope};

use crate::{
    door::Door,
    output::{moment, word},
};

/// What to do with quotas.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Says why calls wait, until when, who spent the quota, and what to do
    Explain(explain::Options),
    /// Shows the buckets that the tenant's calls used in the last day
    List(Door),
    /// Stops all calls but safety calls, such as pauses, until a moment
    Freeze(freeze::Options),
    /// Ends a freeze before its time
    Unfreeze(freeze::End),
    /// Shows and sets ceilings, shares and weights beside the settings
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Tells how buckets stand and then whatever changes, a line each
    Watch(watch::Options),
    /// Sums up who called what, as far back as it is kept
    Usage(Box<usage::Options>),
}

pub(crate) async fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Explain(options) => explain::run(options).await,
        Verb::List(door) => list(&door).await,
        Verb::Freeze(options) => freeze::freeze(options).await,
        Verb::Unfreeze(end) => freeze::unfreeze(end).await,
        Verb::Policy(verb) => policy::run(verb).await,
        Verb::Watch(options) => watch::run(options).await,
        Verb::Usage(options) => usage::run(*options).await,
    }
}

async fn list(door: &Door) -> Result<()> {
    let client = door.open()?;
    let all = list_all(async |page_token| {
        let request = ListQuotasRequest { page_size: 1_000, page_token, ..ListQuotasRequest::default() };
        let page = client.quotas().list_quotas(request).await?.into_inner();
        Ok((page.quotas, page.next_page_token))
    });
    let all: Vec<Quota> = all.try_collect().await?;
    door.output().rows(&["bucket", "app", "used", "of", "", "closed until", "why"], &all, |quota| {
        let scope = quota.scope.clone().unwrap_or_default();
        vec![
            bucket(&scope),
            scope.meta_app.clone(),
            (quota.used + quota.others).to_string(),
            quota.limit.map_or("no limit".to_owned(), |limit| format!("{limit} {}", unit(quota))),
            bar(quota),
            moment(quota.closed_until.as_ref()),
            quota.why.clone(),
        ]
    })
}

/// People leave the collection of an ad account out.
fn full(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("adAccounts/{name}") }
}

/// A bucket as people call it, such as `act_1 ads_management`.
fn bucket(scope: &Scope) -> String {
    use proto::ratelimit::v1::ScopeKind as Kind;
    let (id, use_case) = (&scope.id, &scope.use_case);
    let words = match scope.kind() {
        Kind::AdAccount if use_case.is_empty() => format!("act_{id} score"),
        Kind::AdAccount => format!("act_{id} {use_case}"),
        Kind::Mutation => format!("act_{id} writes a second"),
        Kind::BudgetChange if use_case == "spend_cap" => format!("act_{id} spend cap changes"),
        Kind::App if use_case.is_empty() => "app".to_owned(),
        Kind::App => format!("app {use_case}"),
        kind => format!("{} {id} {use_case}", word(kind.as_str_name(), "SCOPE_KIND_")),
    };
    words.trim_end().to_owned()
}

fn unit(quota: &Quota) -> &'static str {
    match quota.unit() {
        QuotaUnit::Points => "points",
        QuotaUnit::Changes => "changes",
        QuotaUnit::Calls | QuotaUnit::Unspecified => "calls",
    }
}

/// How full it is, in ten steps: `#` is ours, `o` is others'. Whatever is used shows, and full is only what is full.
fn bar(quota: &Quota) -> String {
    const STEPS: i64 = 10;
    let Some(limit) = quota.limit.filter(|limit| *limit > 0) else { return String::new() };
    let steps = |used: i64| {
        let filled = used.saturating_mul(STEPS) / limit;
        filled.clamp(i64::from(used > 0), if used >= limit { STEPS } else { STEPS - 1 })
    };
    let all = steps(quota.used + quota.others);
    let others = if quota.others > 0 { steps(quota.others).min(all) } else { 0 };
    let times = |letter: &str, count: i64| letter.repeat(usize::try_from(count).unwrap_or_default());
    format!("[{}{}{}]", times("#", all - others), times("o", others), times(".", STEPS - all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_whatever_is_used_and_is_full_only_when_it_is() {
        let of = |used, others| bar(&Quota { limit: Some(300), used, others, ..Quota::default() });
        assert_eq!(of(0, 0), "[..........]");
        assert_eq!(of(1, 0), "[#.........]");
        assert_eq!(of(150, 0), "[#####.....]");
        assert_eq!(of(90, 60), "[###oo.....]");
        assert_eq!(of(299, 0), "[#########.]");
        assert_eq!(of(300, 40), "[#########o]");
        assert_eq!(of(0, 400), "[oooooooooo]");
        assert_eq!(bar(&Quota { used: 7, ..Quota::default() }), "");
    }
}
