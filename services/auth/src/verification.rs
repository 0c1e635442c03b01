//! Are the chains what they were? Every entry is hashed anew here, and every head that was anchored must be in its place.

use jiff::Timestamp;
use storage::audit::{Break, Head, Recorded, Walk};
use vocabulary::ids::TenantId;

use crate::{
    anchors::Anchor,
    chains::{Chains, Wanted},
    error::Error,
    store::{Store, anchors},
    vault::Vault,
};

/// How many entries are read at once.
const PAGE: usize = 500;

/// The check of chains.
#[derive(Clone)]
pub struct Verification {
    store: Store,
    vault: Vault,
    chains: Chains,
}

/// Which part of a chain: from the last anchor before `from` to the first one after `until`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// `None` is from the first entry on.
    pub from: Option<Timestamp>,
    /// `None` is to the last entry.
    pub until: Option<Timestamp>,
}

/// What is wrong at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The chain itself, or a head that was anchored is not in it.
    Chain(Break),
    /// The anchor of that place was not signed by us.
    Anchor,
}

impl Problem {
    /// For a person.
    pub fn text(self) -> &'static str {
        match self {
            Self::Chain(Break::Edited) => "its content does not give its hash: it was edited",
            Self::Chain(Break::Missing) => "it is missing",
            Self::Chain(Break::Unlinked) => "it does not follow the entry before it: it was replaced",
            Self::Chain(Break::Rewritten) => {
                "it is not what was anchored: the chain was computed anew from here, or from before"
            }
            Self::Chain(Break::Head) => {
                "the chain's head does not name the last entry: one was added or the head set back"
            }
            Self::Anchor => "its anchor was not signed by us: the table of anchors was edited",
        }
    }
}

/// What a check of one chain found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The service that keeps it.
    pub service: String,
    /// How many entries were checked.
    pub entries: i64,
    /// The last one that is well.
    pub reached: Option<Head>,
    /// The newest anchor.
    pub anchored: Option<Anchor>,
    /// The first place that is not well.
    pub broken: Option<(i64, Problem)>,
}

/// What a check of all chains of a tenant found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Those that could be read.
    pub chains: Vec<Checked>,
    /// Services that could not be asked.
    pub unreachable: Vec<String>,
}

/// A broken place.
struct Found(i64, Problem);

impl Verification {
    /// Over the chains of all services and the anchors in the store.
    pub fn new(store: Store, vault: Vault, chains: Chains) -> Self {
        Self { store, vault, chains }
    }

    /// Checks every chain of the tenant. A chain that was anchored and whose service nobody knows any more counts as one
    /// that cannot be asked.
    pub async fn tenant(&self, tenant: &TenantId, span: Span) -> Result<Report, Error> {
        let mut services = self.chains.services();
        services.extend(anchors::services(&self.store.client().await?, tenant.as_str()).await?);
        services.sort();
        services.dedup();
        let checks = services.iter().map(|service| self.chain(tenant, service, span));
        let mut report = Report::default();
        for checked in futures::future::join_all(checks).await {
            match checked {
                Ok(checked) => report.chains.push(checked),
                Err(Error::Unreachable { service, .. }) => report.unreachable.push(service),
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    /// How every chain of the tenant stands, without a check.
    pub async fn standing(&self, tenant: &TenantId) -> Result<Vec<Checked>, Error> {
        let services = self.chains.services();
        let stand = services.iter().map(|service| async move {
            let anchored = anchors::newest(&self.store.client().await?, tenant.as_str(), service).await?;
            let page = self.chains.read(service, tenant, &Wanted::default(), (i64::MAX, 1)).await?;
            Ok(Checked { service: service.clone(), entries: 0, reached: page.head, anchored, broken: None })
        });
        futures::future::join_all(stand).await.into_iter().collect()
    }

    /// Checks one chain of a tenant.
    pub async fn chain(&self, tenant: &TenantId, service: &str, span: Span) -> Result<Checked, Error> {
        // Read first: whatever is appended meanwhile comes after it.
        let anchored = anchors::newest(&self.store.client().await?, tenant.as_str(), service).await?;
        let start = match span.from {
            Some(from) => anchors::last_until(&self.store.client().await?, (tenant.as_str(), service), from).await?,
            None => None,
        };
        let end = match span.until {
            Some(until) => anchors::first_from(&self.store.client().await?, (tenant.as_str(), service), until).await?,
            None => None,
        };
        let (mut walk, before) = match &start {
            Some(anchor) => (Walk::after(tenant.as_str(), &anchor.head), anchor.head.sequence),
            None => (Walk::new(tenant.as_str()), 0),
        };
        let broken = match self.unsigned([&start, &end, &anchored]).await? {
            Some(Found(sequence, problem)) => Some((sequence, problem)),
            None => {
                let least = anchored.as_ref().map_or(0, |anchor| anchor.head.sequence);
                let last = end.map(|anchor| anchor.head.sequence);
                let walked = self.walk((tenant, service), &mut walk, (least, last)).await?;
                walked.err().map(|Found(sequence, problem)| (sequence, problem))
            }
        };
        let entries = walk.sequence() - before;
        Ok(Checked { service: service.to_owned(), entries, reached: walk.reached(), anchored, broken })
    }

    /// The first of these anchors that is not ours.
    async fn unsigned(&self, anchors: [&Option<Anchor>; 3]) -> Result<Option<Found>, Error> {
        for anchor in anchors.into_iter().flatten() {
            if !anchor.is_ours(&self.vault).await? {
                return Ok(Some(Found(anchor.head.sequence, Problem::Anchor)));
            }
        }
        Ok(None)
    }

    /// Walks to the end of the chain, which is not before `least`, or to `last`.
    async fn walk(
        &self,
        (tenant, service): (&TenantId, &str),
        walk: &mut Walk,
        (least, last): (i64, Option<i64>),
    ) -> Result<Result<(), Found>, Error> {
        let mut head = None;
        while last.is_none_or(|last| walk.sequence() < last) {
            let page = self.chains.read(service, tenant, &Wanted::default(), (walk.sequence(), PAGE)).await?;
            let head = head.get_or_insert(page.head);
            let upto = page.entries.last().map_or(0, |entry| entry.sequence);
            let client = self.store.client().await?;
            let kept = anchors::between(&client, (tenant.as_str(), service), (walk.sequence(), upto)).await?;
            drop(client);
            let mut kept = kept.iter().peekable();
            for entry in page.entries.iter().filter(|entry| last.is_none_or(|last| entry.sequence <= last)) {
                let anchor = kept.next_if(|anchor| anchor.head.sequence == entry.sequence);
                if let Err(found) = self.step(walk, entry, anchor, head.as_ref()).await? {
                    return Ok(Err(found));
                }
            }
            if page.ended {
                break;
            }
        }
        if last.is_some() && last == Some(walk.sequence()) {
            return Ok(Ok(()));
        }
        let end = head.flatten().map_or(0, |head| head.sequence).max(least).max(last.unwrap_or(0));
        if walk.sequence() < end {
            return Ok(Err(Found(walk.sequence() + 1, Problem::Chain(Break::Missing))));
        }
        // What was appended since the first page moved the head with it; what did not was put there by somebody else.
        let page = self.chains.read(service, tenant, &Wanted::default(), (walk.sequence(), 1)).await?;
        let named = page.head.map_or(0, |head| head.sequence);
        let forged = named < walk.sequence();
        Ok(if forged { Err(Found(named + 1, Problem::Chain(Break::Head))) } else { Ok(()) })
    }

    /// One entry: follows, is what was anchored there, and is what the head says where it names this one.
    async fn step(
        &self,
        walk: &mut Walk,
        entry: &Recorded,
        anchor: Option<&Anchor>,
        head: Option<&Head>,
    ) -> Result<Result<(), Found>, Error> {
        let sequence = walk.sequence() + 1;
        if let Err(how) = walk.next(entry) {
            return Ok(Err(Found(sequence, Problem::Chain(how))));
        }
        if let Some(anchor) = anchor {
            if !anchor.is_ours(&self.vault).await? {
                return Ok(Err(Found(sequence, Problem::Anchor)));
            }
            if !walk.agrees(&anchor.head) {
                return Ok(Err(Found(sequence, Problem::Chain(Break::Rewritten))));
            }
        }
        let fits = head.is_none_or(|head| walk.agrees(head));
        Ok(if fits { Ok(()) } else { Err(Found(sequence, Problem::Chain(Break::Head))) })
    }
}
