//! One round: every service is asked for its heads, what moved is read and anchored, what is broken is told; then a part
//! of what was anchored long ago is checked again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;
use storage::audit::{Break, Head, Walk};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vocabulary::ids::TenantId;

use super::Anchor;
use crate::{
    by::By,
    chains::{Chains, Wanted},
    error::Error,
    meters,
    now::Now,
    store::{Store, Told, anchors},
    vault::Vault,
    verification::{Problem, Span, Verification},
};

/// How often a service that does not answer is asked in a round.
const TRIES: u32 = 3;
/// How long a service that does not answer is left alone before it is asked again in the same round.
const PAUSE: Duration = Duration::from_secs(5);
/// After how many chains in a row for which a service did not answer the others are not asked for.
const SILENCES: u32 = 2;
/// How many entries are read at once.
const PAGE: usize = 500;
/// How many entries of anchored chains a round checks again. An installation with fewer is checked whole in every round;
/// in a larger one the rounds go on where the last one ended.
const ENTRIES_AGAIN: i64 = 20_000;
/// How often what is old is thinned.
const THIN_EVERY: Duration = Duration::from_hours(1);
/// How many anchors go at once, lest a round be long.
const THINNED_AT_ONCE: i64 = 10_000;

/// Keeps the heads of all chains.
#[derive(Clone)]
pub struct Anchors {
    store: Store,
    vault: Vault,
    chains: Chains,
    verification: Verification,
    every: Duration,
    kept: Duration,
    now: Now,
    /// The chain, by tenant and service, that was checked again last.
    checked: Arc<Mutex<(String, String)>>,
    /// When what is old was thinned last.
    thinned: Arc<Mutex<Option<Timestamp>>>,
}

impl Anchors {
    /// A keeper that works once in `every`, and keeps all for `kept` and then one a day.
    pub fn new((store, vault, now): (Store, Vault, Now), chains: Chains, (every, kept): (Duration, Duration)) -> Self {
        let verification = Verification::new(store.clone(), vault.clone(), chains.clone());
        Self { store, vault, chains, verification, every, kept, now, checked: Arc::default(), thinned: Arc::default() }
    }

    /// Works until it is stopped. Of several replicas one does at a time; one that dies in the middle leaves heads to the
    /// next turn.
    pub async fn run(self, stop: CancellationToken) {
        // Several looks in a turn, so that a turn that came free is taken soon.
        let mut tick = tokio::time::interval(self.every / 4);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            match self.take_turn().await {
                Ok(true) => {
                    stop.run_until_cancelled(self.round()).await;
                }
                Ok(false) => {}
                Err(error) => warn!(error = &error as &dyn std::error::Error, "audit heads wait for the next turn"),
            }
        }
    }

    async fn take_turn(&self) -> Result<bool, Error> {
        // A little less than the time to the look that is due then, lest it come just too early.
        let client = self.store.client().await?;
        Ok(anchors::take_turn(&client, self.every * 7 / 8).await?)
    }

    /// Anchors what moved in every service, and checks again.
    pub async fn round(&self) {
        futures::future::join_all(self.chains.services().iter().map(|service| self.service(service))).await;
        if let Err(error) = self.check_again(Instant::now() + self.every / 2).await {
            warn!(error = &error as &dyn std::error::Error, "chains are checked again in the next round");
        }
        if let Err(error) = self.thin().await {
            warn!(error = &error as &dyn std::error::Error, "old anchors are thinned in the next round");
        }
    }

    /// Lets go of what is old but for one anchor of each chain and day, now and then.
    async fn thin(&self) -> Result<(), Error> {
        let now = (self.now)();
        let last = *self.thinned.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now < last + THIN_EVERY) {
            return Ok(());
        }
        let (client, before) = (self.store.client().await?, now - self.kept);
        let gone = anchors::thin(&client, before, THINNED_AT_ONCE).await?;
        anchors::thin_findings(&client, before).await?;
        // What was too much for one round is not left for an hour.
        if i64::try_from(gone).unwrap_or(THINNED_AT_ONCE) < THINNED_AT_ONCE {
            *self.thinned.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        Ok(())
    }

    /// One service, again where it does not answer.
    async fn service(&self, service: &str) {
        for tries in 1.. {
            let Err(error) = self.anchor_all(service).await else { break };
            not_anchored(service, &error);
            if tries == TRIES {
                break;
            }
            tokio::time::sleep(PAUSE.min(self.every)).await;
        }
    }

    /// Each tenant for itself: a chain that cannot be read keeps no other from being anchored. A service that does not
    /// answer any more is left alone.
    async fn anchor_all(&self, service: &str) -> Result<(), Error> {
        let (mut token, mut after, mut silences) = (String::new(), String::new(), 0);
        loop {
            let (heads, next) = self.chains.heads(service, &token).await?;
            let last = heads.last().map(|(tenant, _)| tenant.to_string());
            let until = last.as_deref().filter(|_| !next.is_empty());
            let client = self.store.client().await?;
            let anchored = anchors::newest_of_service(&client, service, &after, until).await?;
            drop(client);
            let mut anchored: HashMap<_, _> =
                anchored.into_iter().map(|anchor| (anchor.tenant.clone(), anchor)).collect();
            for (tenant, head) in heads {
                let anchor = anchored.remove(tenant.as_str());
                count(service, self.anchor((&tenant, service), head, anchor).await, &mut silences)?;
            }
            // Chains that were anchored and have no head any more.
            for (tenant, anchor) in anchored {
                let Ok(tenant) = tenant.parse() else {
                    error!(audit.service = service, audit.anchor = tenant, "an anchor of the audit is of no tenant");
                    continue;
                };
                count(service, self.behind((&tenant, service), &anchor).await, &mut silences)?;
            }
            if next.is_empty() {
                return Ok(());
            }
            (token, after) = (next, last.unwrap_or(after));
        }
    }

    /// Anchors a head, if it moved and follows from what was anchored before.
    async fn anchor(
        &self,
        chain @ (tenant, service): (&TenantId, &str),
        head: Head,
        newest: Option<Anchor>,
    ) -> Result<(), Error> {
        let walk = match &newest {
            None if head.sequence == 0 => return Ok(()),
            None => Walk::new(tenant.as_str()),
            Some(anchor) if anchor.head == head => return Ok(()),
            Some(anchor) if !anchor.is_ours(&self.vault).await? => {
                return self.found(chain, anchor.head.sequence, Problem::Anchor).await;
            }
            Some(anchor) if anchor.head.sequence > head.sequence => {
                return self.behind(chain, anchor).await;
            }
            Some(anchor) if anchor.head.sequence == head.sequence => {
                return self.found(chain, head.sequence, Problem::Chain(Break::Rewritten)).await;
            }
            Some(anchor) => Walk::after(tenant.as_str(), &anchor.head),
        };
        if let Err((sequence, how)) = self.follow(chain, walk, head).await? {
            return self.found(chain, sequence, Problem::Chain(how)).await;
        }
        let anchor = Anchor::sign(&self.vault, chain, head, (self.now)()).await?;
        if anchors::insert(&self.store.client().await?, &anchor).await? {
            info!(
                tenant.id = %tenant,
                audit.service = service,
                audit.sequence = head.sequence,
                audit.hash = hex::encode(head.hash),
                audit.anchored = %anchor.anchored,
                audit.signature = hex::encode(&anchor.signature),
                "audit head anchored"
            );
        }
        Ok(())
    }

    /// A chain seemed to end before what was anchored. Another replica may have anchored what was written since its head was
    /// asked for, so it is asked once more before anybody is accused.
    async fn behind(&self, chain @ (tenant, service): (&TenantId, &str), anchor: &Anchor) -> Result<(), Error> {
        let page = self.chains.read(service, tenant, &Wanted::default(), (i64::MAX, 1)).await?;
        let last = page.head.map_or(0, |head| head.sequence);
        if last >= anchor.head.sequence {
            return Ok(());
        }
        self.found(chain, last + 1, Problem::Chain(Break::Missing)).await
    }

    /// Reads the entries up to a head. The place and the way in which they do not lead there.
    async fn follow(
        &self,
        (tenant, service): (&TenantId, &str),
        mut walk: Walk,
        head: Head,
    ) -> Result<Result<(), (i64, Break)>, Error> {
        while walk.sequence() < head.sequence {
            let page = self.chains.read(service, tenant, &Wanted::default(), (walk.sequence(), PAGE)).await?;
            if page.entries.is_empty() {
                return Ok(Err((walk.sequence() + 1, Break::Missing)));
            }
            for entry in page.entries.iter().filter(|entry| entry.sequence <= head.sequence) {
                if let Err(how) = walk.next(entry) {
                    return Ok(Err((walk.sequence() + 1, how)));
                }
            }
            if page.entries.iter().all(|entry| entry.sequence > head.sequence) {
                return Ok(Err((walk.sequence() + 1, Break::Missing)));
            }
        }
        Ok(if walk.agrees(&head) { Ok(()) } else { Err((head.sequence, Break::Head)) })
    }

    /// Checks chains again in their order, from behind the one that was checked last, as many as a round has time for. A
    /// service that does not answer is asked once; its chains come in a later turn of the order.
    async fn check_again(&self, until: Instant) -> Result<(), Error> {
        let (mut left, mut away) = (ENTRIES_AGAIN, BTreeSet::new());
        while left > 0 {
            let after = self.last_checked().clone();
            let next = anchors::next_chain(&self.store.client().await?, (&after.0, &after.1)).await?;
            let Some((tenant, service)) = next else {
                *self.last_checked() = Default::default();
                return Ok(());
            };
            *self.last_checked() = (tenant.clone(), service.clone());
            left -= if away.contains(&service) { 1 } else { self.check(&tenant, &service, &mut away).await.max(1) };
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// Checks one chain, and says how many entries that were.
    async fn check(&self, tenant: &str, service: &str, away: &mut BTreeSet<String>) -> i64 {
        let checked = async {
            let tenant: TenantId = tenant.parse().map_err(|_| Error::Corrupt("tenant"))?;
            let checked = self.verification.chain(&tenant, service, Span::default()).await?;
            if let Some((sequence, problem)) = checked.broken {
                self.found((&tenant, service), sequence, problem).await?;
            }
            Ok(checked.entries)
        };
        checked.await.unwrap_or_else(|error: Error| {
            meters::ANCHORING_FAILED.add(1, service);
            let is_away = error.is_away();
            let error = &error as &dyn std::error::Error;
            warn!(tenant.id = tenant, audit.service = service, error, "a chain cannot be checked again now");
            if is_away {
                away.insert(service.to_owned());
            }
            0
        })
    }

    fn last_checked(&self) -> std::sync::MutexGuard<'_, (String, String)> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a broken place: each time in the log, and the first time in the tenant's chain here.
    async fn found(&self, (tenant, service): (&TenantId, &str), sequence: i64, problem: Problem) -> Result<(), Error> {
        meters::CHAINS_BROKEN.add(1, service);
        error!(
            tenant.id = %tenant,
            audit.service = service,
            audit.sequence = sequence,
            audit.problem = problem.text(),
            "the audit was tampered with"
        );
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        if !anchors::note(&transaction, (tenant.as_str(), service), sequence, problem.text()).await? {
            return Ok(());
        }
        let resource = format!("auditChains/{service}");
        let detail = json!({"sequence": sequence, "problem": problem.text()});
        let told = Told { action: "audit.broken", resource: &resource, detail };
        Ok(self.store.commit(transaction, &By::ourselves(tenant.clone()), told, None).await?)
    }
}

/// Tells of a chain that could not be anchored. Fails where the service has not answered too often in a row.
fn count(service: &str, anchored: Result<(), Error>, silences: &mut u32) -> Result<(), Error> {
    let Err(error) = anchored else {
        *silences = 0;
        return Ok(());
    };
    if error.is_away() {
        *silences += 1;
    }
    if *silences >= SILENCES {
        return Err(error);
    }
    not_anchored(service, &error);
    Ok(())
}

fn not_anchored(service: &str, error: &Error) {
    meters::ANCHORING_FAILED.add(1, service);
    let error = error as &dyn std::error::Error;
    warn!(audit.service = service, error, "heads of a service's chains are not anchored");
}
