//! `adplane audit`: who changed what, over all services, and whether anybody changed that afterwards.

mod export;

use std::collections::BTreeSet;

use anyhow::Result;
use proto::auth::v1::{
    AuditChain, AuditEntry, AuditFilter, ListAuditEntriesRequest, VerifyAuditChainRequest, VerifyAuditChainResponse,
};
use vocabulary::clock::{Clock, SystemClock};

use crate::{
    door::Door,
    moment::Moment,
    output::{moment, note},
};

/// What to do with the audit.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Shows entries, oldest first
    List(List),
    /// Computes the chains anew and compares them with what was anchored; ends with 3 where somebody changed an entry
    Verify(Verify),
    /// Writes all entries as JSON lines, and the chains' heads as the last one, which says that it is whole
    Export(export::Options),
}

/// Which entries.
#[derive(Debug, clap::Args)]
struct Filter {
    /// Only what this service did, such as campaigns
    #[arg(long)]
    service: Option<String>,
    /// Only what this one did, such as callers/0199…
    #[arg(long)]
    actor: Option<String>,
    /// Only this, such as connections.import
    #[arg(long)]
    action: Option<String>,
    /// Only what was done to things whose name begins so, such as connections/
    #[arg(long)]
    resource: Option<String>,
    /// At this moment or later: 2026-11-22T10:00:00Z, 2026-11-22, or 7d for a week ago
    #[arg(long)]
    from: Option<Moment>,
    /// Before this moment
    #[arg(long)]
    until: Option<Moment>,
}

/// Which entries to show.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// At most so many
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    door: Door,
}

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Only what was written at this moment or later: 2026-11-22T10:00:00Z, 2026-11-22, or 7d for a week ago
    #[arg(long)]
    from: Option<Moment>,
    /// Only what was written before this moment
    #[arg(long)]
    until: Option<Moment>,
    #[command(flatten)]
    door: Door,
}

/// Something is missing because these could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("not asked, because they are away: {}. Repeat this when they are back.", .0.join(", "))]
pub(crate) struct Unreachable(Vec<String>);

/// Somebody changed what was written.
#[derive(Debug, thiserror::Error)]
#[error("the audit of {service} was changed at entry {sequence}: {problem}")]
pub(crate) struct Tampered {
    service: String,
    sequence: i64,
    problem: String,
}

pub(crate) async fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::List(options) => list(options).await,
        Verb::Verify(options) => verify(options).await,
        Verb::Export(options) => export::run(options).await,
    }
}

impl Filter {
    fn message(self) -> Result<AuditFilter> {
        Ok(AuditFilter {
            service: self.service.unwrap_or_default(),
            actor: self.actor.unwrap_or_default(),
            action: self.action.unwrap_or_default(),
            resource: self.resource.unwrap_or_default(),
            from_time: at(self.from)?,
            until_time: at(self.until)?,
        })
    }
}

fn at(moment: Option<Moment>) -> Result<Option<prost_types::Timestamp>> {
    moment.map(|moment| moment.before(SystemClock.now())).transpose()
}

async fn list(List { filter, limit, door }: List) -> Result<()> {
    let (client, filter) = (door.open()?, Some(filter.message()?));
    let (mut entries, mut unreachable, mut page_token) = (Vec::new(), BTreeSet::new(), String::new());
    loop {
        let page_size = i32::try_from(limit.saturating_sub(entries.len()).clamp(1, 1_000))?;
        let request = ListAuditEntriesRequest { filter: filter.clone(), page_size, page_token };
        let page = client.audit().list_audit_entries(request).await?.into_inner();
        entries.extend(page.entries);
        unreachable.extend(page.unreachable);
        page_token = page.next_page_token;
        if page_token.is_empty() || entries.len() >= limit {
            break;
        }
    }
    door.output().rows(&["time", "entry", "actor", "action", "resource", "detail"], &entries, row)?;
    if !page_token.is_empty() {
        note(&format!("there are more; go on with --from {}", last(&entries)))?;
    }
    complete(unreachable.into_iter().collect())
}

fn row(entry: &AuditEntry) -> Vec<String> {
    vec![
        moment(entry.create_time.as_ref()),
        format!("{}#{}", entry.service, entry.sequence),
        entry.actor.clone(),
        entry.action.clone(),
        entry.resource.clone(),
        if entry.detail == "{}" { String::new() } else { entry.detail.clone() },
    ]
}

fn last(entries: &[AuditEntry]) -> String {
    moment(entries.last().and_then(|entry| entry.create_time.as_ref()))
}

async fn verify(Verify { from, until, door }: Verify) -> Result<()> {
    let request = VerifyAuditChainRequest { from_time: at(from)?, until_time: at(until)? };
    let answer = door.open()?.audit().verify_audit_chain(request).await?.into_inner();
    if door.is_for_programs() {
        door.output().thing(&answer, |_| Vec::new())?;
    } else {
        let head = ["service", "checked to entry", "anchored to entry", "anchored at", "hash of the last entry"];
        door.output().rows(&head, &answer.chains, chain)?;
    }
    verdict(&answer)?;
    door.output().done(&format!("intact: {} entries follow from each other and from what was anchored", answer.entries))
}

fn chain(chain: &AuditChain) -> Vec<String> {
    let (anchored, at) = (chain.anchored_sequence.to_string(), moment(chain.anchor_time.as_ref()));
    vec![chain.service.clone(), chain.sequence.to_string(), anchored, at, chain.hash.clone()]
}

/// Fails where an entry was changed, and where not all could be looked at.
fn verdict(answer: &VerifyAuditChainResponse) -> Result<()> {
    if answer.broken_sequence != 0 || (!answer.intact && answer.unreachable.is_empty()) {
        let (service, sequence) = (answer.broken_service.clone(), answer.broken_sequence);
        return Err(Tampered { service, sequence, problem: answer.problem.clone() }.into());
    }
    complete(answer.unreachable.clone())
}

fn complete(unreachable: Vec<String>) -> Result<()> {
    if unreachable.is_empty() { Ok(()) } else { Err(Unreachable(unreachable).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_entry_is_told_before_a_service_that_is_away() {
        let broken = VerifyAuditChainResponse {
            broken_sequence: 7,
            broken_service: "campaigns".to_owned(),
            problem: "its hash is another".to_owned(),
            unreachable: vec!["insights".to_owned()],
            ..VerifyAuditChainResponse::default()
        };
        let told = verdict(&broken).unwrap_err();
        assert!(told.is::<Tampered>() && told.to_string().contains("campaigns was changed at entry 7"), "{told}");
        let away = VerifyAuditChainResponse { broken_sequence: 0, ..broken };
        assert!(verdict(&away).unwrap_err().is::<Unreachable>());
        assert!(verdict(&VerifyAuditChainResponse::default()).unwrap_err().is::<Tampered>());
        assert!(verdict(&VerifyAuditChainResponse { intact: true, ..VerifyAuditChainResponse::default() }).is_ok());
    }
}
