//! Leases: the right to use a token for two minutes, and what to do when Meta refuses it.
//!
//! Most are given out of [`memory`]. When an ad account changes hands, those who lose it are told by the stream of
//! revocations, as they are of a connection that ends; so it takes two seconds, as for every end.

mod memory;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use graph::oauth::Remedy;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;
use vocabulary::{
    ids::{AdAccountId, ConnectionId, DatasetId},
    names,
};

use crate::{
    assets::AssetKind,
    by::By,
    connections::{Connection, ConnectionKind, ConnectionState, Connections},
    error::Error,
    lease_rules::{Candidate, Choice, Need, ResourceKind, choose, end_of_lease, may_lease},
    now::Now,
    revocations::{LOOK, Revocations},
    settings::Settings,
    store::{Store, connections, owners},
    vault::Sealed,
};

pub use self::memory::Held;
use self::memory::{Key, Memory};

/// How often what is too old is let go.
const SWEEP: Duration = Duration::from_secs(1);

/// What a service wants to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// An ad account.
    AdAccount(AdAccountId),
    /// A dataset, or pixel.
    Dataset(DatasetId),
    /// A connection itself.
    Connection(ConnectionId),
}

impl Resource {
    /// What it is.
    pub fn kind(self) -> ResourceKind {
        match self {
            Self::AdAccount(_) => ResourceKind::AdAccount,
            Self::Dataset(_) => ResourceKind::Dataset,
            Self::Connection(_) => ResourceKind::Connection,
        }
    }

    /// Its resource name.
    pub fn name(self) -> String {
        match self {
            Self::AdAccount(id) => names::of_ad_account(id),
            Self::Dataset(id) => names::of_dataset(id),
            Self::Connection(id) => names::of_connection(id),
        }
    }
}

/// The right to use a token.
pub struct Lease {
    /// Names it when its token turns out to be dead.
    pub id: LeaseId,
    /// The token, what proves it, and the connection that serves.
    pub held: Arc<Held>,
    /// The last moment to use it.
    pub expires: Timestamp,
    /// Whatever ended up to this generation was seen to.
    pub generation: i64,
}

/// Which token a lease is for. Nothing is stored for a lease, so its id says all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseId {
    /// The connection.
    pub connection: ConnectionId,
    /// Which of its tokens.
    pub token_version: i64,
    /// Tells leases apart in logs.
    pub unique: Uuid,
}

impl std::fmt::Display for LeaseId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}.{}", self.connection, self.token_version, self.unique)
    }
}

impl std::str::FromStr for LeaseId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let id = (|| {
            Some(Self {
                connection: parts.next()?.parse().ok()?,
                token_version: parts.next()?.parse().ok()?,
                unique: parts.next()?.parse().ok()?,
            })
        })();
        id.filter(|_| parts.next().is_none()).ok_or(())
    }
}

/// What to do after Meta refused a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Lease again, once.
    RetryWithNewLease,
    /// Somebody must consent again.
    NeedsConsent,
    /// The token's owner must do something at Facebook first.
    Checkpoint,
    /// The token is not to blame.
    NotTheToken,
}

/// The use cases.
#[derive(Clone)]
pub struct Leases {
    store: Store,
    connections: Connections,
    revocations: Revocations,
    memory: Memory,
    life: Duration,
    now: Now,
    /// What tells the leases of this replica apart: something random, and a count.
    unique: (u64, Arc<AtomicU64>),
}

impl Leases {
    /// Over the store, what opens the tokens, and what ends them. [`Leases::watch`] has to run beside it.
    pub fn new(
        settings: &Settings,
        (store, now): (Store, Now),
        connections: Connections,
        revocations: Revocations,
    ) -> Self {
        let life = settings.lease_life();
        let unique = (Uuid::new_v4().as_u64_pair().0, Arc::default());
        Self { store, connections, revocations, memory: Memory::new(life), life, now, unique }
    }

    /// Lets go what ends, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        tokio::join!(self.hear(&stop), self.sweep(&stop));
    }

    /// Lets go what is too old, and with a vault that is closed, or forgets its keys, everything.
    async fn sweep(&self, stop: &CancellationToken) {
        let mut tick = tokio::time::interval(SWEEP);
        let mut before = self.connections.vault_generation();
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let generation = self.connections.vault_generation();
            if std::mem::replace(&mut before, generation) == generation {
                self.memory.sweep((self.now)());
            } else {
                self.memory.clear();
            }
        }
    }

    async fn hear(&self, stop: &CancellationToken) {
        let (mut standing, mut told) = (self.revocations.subscribe(), 0);
        while !stop.is_cancelled() {
            // Before the look: what came to stand since is not known to be applied.
            let stood = standing.borrow_and_update().generation;
            match self.revocations.after(told).await {
                Ok(revocations) if !revocations.is_empty() => {
                    for revocation in revocations {
                        told = revocation.generation;
                        self.memory.apply(&revocation);
                    }
                    continue;
                }
                // What was forgotten as too old ended nothing that can be held.
                Ok(_) => self.memory.applied(stood),
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "leases are read from the database each time");
                    // Nothing may come that wakes it, and what ended is not applied yet.
                    stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
                    continue;
                }
            }
            if !matches!(stop.run_until_cancelled(standing.changed()).await, Some(Ok(()))) {
                return;
            }
        }
    }

    /// Leases the token that serves a resource of the tenant of `by`, to a holder that has seen what ended up to `seen`:
    /// this replica may not have.
    pub async fn lease(
        &self,
        by: &By,
        service: &str,
        (resource, purpose): (Resource, &str),
        (min_ttl, seen): (Duration, i64),
    ) -> Result<Lease, Error> {
        if !may_lease(service, purpose, resource.kind()) {
            return Err(Error::Lacking { lacks: vec![format!("a lease for {purpose} on {}", resource.name())] });
        }
        self.require_open()?;
        let key = Key { tenant: by.tenant.clone(), resource, need: Need::of(purpose, resource.kind()) };
        if let Some(held) = self.remembered(&key, min_ttl, seen) {
            return Ok(self.give(held));
        }
        let _reading = match self.memory.reading(&key) {
            Some(stripe) => Some(stripe.lock().await),
            None => None,
        };
        if let Some(held) = self.remembered(&key, min_ttl, seen) {
            return Ok(self.give(held));
        }
        // What the holder was told is in the database, where it is read from now.
        let generation = self.revocations.standing().generation.max(seen);
        let epoch = self.memory.epoch();
        let held = Arc::new(self.read(by, &key, min_ttl).await?);
        self.memory.put(epoch, key, &held);
        Ok(self.give((held, generation)))
    }

    /// From memory, while this replica sees what ends, and has seen all that the holder has.
    fn remembered(&self, key: &Key, min_ttl: Duration, seen: i64) -> Option<(Arc<Held>, i64)> {
        let (standing, now) = (self.revocations.standing(), (self.now)());
        let fresh = standing.is_fresh.then(|| standing.generation.max(seen))?;
        self.memory.get(key, fresh, (now, now + min_ttl))
    }

    /// A closed vault leases nothing, not even what is open already.
    fn require_open(&self) -> Result<(), Error> {
        let open = self.connections.require_open_vault();
        if open.is_err() {
            self.memory.clear();
        }
        open
    }

    async fn read(&self, by: &By, key: &Key, min_ttl: Duration) -> Result<Held, Error> {
        let read = (self.now)();
        let (connection, sealed) = self.serving(by, key, min_ttl).await?;
        // Before the token is opened: it says that the tenant still works.
        let app = self.connections.app(by, connection.app).await?;
        let token = self.connections.unseal(&connection, &sealed).await?;
        let proof = graph::oauth::proof(&app.secret, &token);
        Ok(Held { token, proof, connection, api_version: app.version, read })
    }

    fn give(&self, (held, generation): (Arc<Held>, i64)) -> Lease {
        let (random, count) = &self.unique;
        let unique = Uuid::from_u64_pair(*random, count.fetch_add(1, Ordering::Relaxed));
        let Connection { id: connection, token_version, expires, .. } = held.connection;
        let expires = end_of_lease((self.now)(), self.life, expires);
        Lease { id: LeaseId { connection, token_version, unique }, held, expires, generation }
    }

    /// Meta refused a leased token. Meta is asked about it before the connection is given up, so that one odd answer
    /// does not stop a tenant.
    pub async fn failed(&self, by: &By, lease: LeaseId, (code, subcode): (i32, i32)) -> Result<Verdict, Error> {
        self.memory.forget(lease.connection);
        let connection = self.connections.get(by, lease.connection).await?;
        if let Some(verdict) = known(&connection, lease) {
            return Ok(verdict);
        }
        if !blames_token(code, subcode) {
            return Ok(Verdict::NotTheToken);
        }
        // Every call in flight meets the same refusal. One asks Meta, and those who come meanwhile wait for what it said.
        let (came, token) = (Instant::now(), (lease.connection, lease.token_version));
        let _inspecting = match self.memory.reading(&lease.connection) {
            Some(stripe) => Some(stripe.lock().await),
            None => None,
        };
        if self.memory.is_vindicated(token, came) {
            return Ok(Verdict::NotTheToken);
        }
        let connection = self.connections.get(by, lease.connection).await?;
        if let Some(verdict) = known(&connection, lease) {
            return Ok(verdict);
        }
        let connection = self.connections.inspect(by, lease.connection).await?;
        let verdict = known(&connection, lease);
        if verdict.is_none() {
            self.memory.vindicate(token);
        }
        Ok(verdict.unwrap_or(Verdict::NotTheToken))
    }

    async fn serving(&self, by: &By, key: &Key, min_ttl: Duration) -> Result<(Connection, Sealed), Error> {
        let tenant = by.tenant.as_str();
        let client = self.store.client().await?;
        let reaching = match key.resource {
            Resource::AdAccount(account) => {
                if owners::get(&client, account).await?.is_some_and(|owner| !owner.lets(tenant)) {
                    return Err(Error::Taken { account });
                }
                connections::reaching(&client, tenant, AssetKind::AdAccount.number(), &account.to_string()).await?
            }
            Resource::Dataset(dataset) => {
                connections::reaching(&client, tenant, AssetKind::Dataset.number(), &dataset.to_string()).await?
            }
            Resource::Connection(id) => connections::get(&client, tenant, id).await?.into_iter().collect(),
        };
        let candidates =
            reaching.into_iter().filter_map(|(connection, sealed)| candidate(key.need, connection, sealed?));
        match choose(candidates.collect(), (self.now)(), min_ttl) {
            Choice::Serve(serving) => Ok(serving),
            Choice::NeedsConsent((connection, _)) => Err(Error::NeedsConsent {
                connection: names::of_connection(connection.id),
                cause: dead_because(key.need, &connection),
            }),
            Choice::NotConnected => match connections::unseen(&client, tenant).await? {
                // It may well be the one that reaches it: it is what somebody can do something about.
                Some(connection) => Err(Error::NeedsConsent {
                    connection: names::of_connection(connection.id),
                    cause: dead_because(key.need, &connection),
                }),
                None => Err(Error::NotConnected { resource: key.resource.name() }),
            },
        }
    }
}

fn candidate(need: Need, connection: Connection, sealed: Sealed) -> Option<Candidate<(Connection, Sealed)>> {
    (connection.state != ConnectionState::Revoked).then(|| Candidate {
        is_active: connection.state == ConnectionState::Active && need.is_met_by(&connection.scopes),
        is_system_user: connection.kind == ConnectionKind::SystemUser,
        scopes: connection.scopes.len(),
        expires: connection.expires,
        connection: (connection, sealed),
    })
}

fn dead_because(need: Need, connection: &Connection) -> String {
    match connection.state_reason.as_str() {
        "" if !need.is_met_by(&connection.scopes) => format!("it lacks {}", need.permission()),
        "" => "its token ends".to_owned(),
        reason => reason.to_owned(),
    }
}

/// What the connection as it stands says of a lease that Meta refused; `None` where it knows of no harm.
fn known(connection: &Connection, lease: LeaseId) -> Option<Verdict> {
    match connection.state {
        _ if connection.token_version > lease.token_version => Some(Verdict::RetryWithNewLease),
        ConnectionState::Active => None,
        ConnectionState::Checkpoint => Some(Verdict::Checkpoint),
        ConnectionState::NeedsConsent | ConnectionState::Revoked => Some(Verdict::NeedsConsent),
    }
}

/// Does Meta's code speak of the token itself?
fn blames_token(code: i32, subcode: i32) -> bool {
    let subcode = Some(i64::from(subcode)).filter(|subcode| *subcode != 0);
    match graph::oauth::remedy(code.into(), subcode) {
        Remedy::Renew | Remedy::Consent | Remedy::Checkpoint => true,
        Remedy::Wait | Remedy::Elsewhere => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_id_reads_back_as_it_prints() {
        let id = LeaseId { connection: ConnectionId(Uuid::from_u128(1)), token_version: 3, unique: Uuid::from_u128(2) };
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "a.b.c", "00000000-0000-0000-0000-000000000001.3"] {
            assert_eq!(text.parse::<LeaseId>(), Err(()), "{text}");
        }
        assert_eq!(format!("{id}.x").parse::<LeaseId>(), Err(()));
    }

    #[test]
    fn only_codes_of_the_token_blame_it() {
        assert!(blames_token(190, 463) && blames_token(190, 0) && blames_token(190, 459));
        for code in [1, 4, 10, 100, 200, 294, 368] {
            assert!(!blames_token(code, 0), "{code}");
        }
    }
}
