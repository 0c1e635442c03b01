//! Tokens that were leased moments ago, opened and ready to be leased again without the database.
//!
//! An entry goes at once when the stream of revocations says so, after the life of a lease in any case, and with all
//! others when the vault is closed. It serves only while this replica has seen and applied every revocation there is: as
//! soon as the database cannot be read, everybody is asked for anew. What an entry hangs on and the stream does not tell
//! (a better connection, a new version of the API) is old by the life of a lease at most.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Mutex as AsyncMutex;
use vocabulary::ids::{ConnectionId, TenantId};

use super::Resource;
use crate::{
    connections::Connection,
    lease_rules::Need,
    revocations::{Revocation, Subject},
};

/// So many are held; beyond it the old ones go, then all.
const HELD_MAX: usize = 20_000;
/// So many can be read from the database at once; those of one key wait for each other.
const STRIPES: usize = 256;
/// For so long it is remembered when Meta called a token good: longer than a report waits for that.
const VINDICATED: Duration = Duration::from_secs(60);
/// A token of a connection.
type Token = (ConnectionId, i64);

/// What serves what, for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The tenant.
    pub(super) tenant: TenantId,
    /// What is reached.
    pub(super) resource: Resource,
    /// What the token must be able to do.
    pub(super) need: Need,
}

/// An opened token and what goes with it.
pub struct Held {
    /// Meta's token.
    pub token: SecretString,
    /// What proves to Meta that the calls come from the app.
    pub proof: SecretString,
    /// The connection that serves.
    pub connection: Connection,
    /// The version of Meta's API to call.
    pub api_version: String,
    /// When it was read.
    pub read: Timestamp,
}

/// What is held. Clones share it.
#[derive(Clone)]
pub(super) struct Memory(Arc<Shared>);

struct Shared {
    life: Duration,
    inner: Mutex<Inner>,
    hasher: RandomState,
    reading: Vec<AsyncMutex<()>>,
}

#[derive(Default)]
struct Inner {
    /// Grows whenever something goes, so that what was being read meanwhile is not held after all.
    epoch: u64,
    /// The last revocation that was applied.
    applied: i64,
    held: HashMap<Key, Arc<Held>>,
    /// Tokens that a holder blamed and Meta called good, and when.
    vindicated: HashMap<Token, Instant>,
}

impl Memory {
    /// Nothing is held longer than `life`.
    pub(super) fn new(life: Duration) -> Self {
        let reading = std::iter::repeat_with(AsyncMutex::default).take(STRIPES).collect();
        Self(Arc::new(Shared { life, inner: Mutex::default(), hasher: RandomState::new(), reading }))
    }

    /// What is held for a key, where every revocation up to `generation` was applied and the token lives until `needed`;
    /// and the last revocation that was applied.
    pub(super) fn get(
        &self,
        key: &Key,
        generation: i64,
        (now, needed): (Timestamp, Timestamp),
    ) -> Option<(Arc<Held>, i64)> {
        let inner = self.lock();
        let held = inner.held.get(key).filter(|held| now < held.read + self.0.life)?;
        let lives = held.connection.expires.is_none_or(|expires| expires > needed);
        (inner.applied >= generation && lives).then(|| (Arc::clone(held), inner.applied))
    }

    /// To be held while something is read for this key: whoever comes meanwhile waits and finds it.
    pub(super) fn reading(&self, key: &impl Hash) -> Option<&AsyncMutex<()>> {
        let stripes = u64::try_from(self.0.reading.len()).ok().filter(|stripes| *stripes > 0)?;
        let stripe = self.0.hasher.hash_one(key) % stripes;
        self.0.reading.get(usize::try_from(stripe).ok()?)
    }

    /// Whether Meta called this token good since a moment.
    pub(super) fn is_vindicated(&self, token: Token, since: Instant) -> bool {
        self.lock().vindicated.get(&token).is_some_and(|told| *told >= since)
    }

    /// Meta called this token good.
    pub(super) fn vindicate(&self, token: Token) {
        let mut inner = self.lock();
        inner.vindicated.retain(|_, told| told.elapsed() < VINDICATED);
        inner.vindicated.insert(token, Instant::now());
    }

    /// To be asked before something is read that is to be held.
    pub(super) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// Holds what was read, unless something went since `epoch`.
    pub(super) fn put(&self, epoch: u64, key: Key, held: &Arc<Held>) {
        let mut inner = self.lock();
        if inner.epoch != epoch {
            return;
        }
        if inner.held.len() >= HELD_MAX {
            let oldest = held.read - self.0.life;
            inner.held.retain(|_, old| old.read > oldest);
        }
        if inner.held.len() >= HELD_MAX {
            inner.held.clear();
        }
        inner.held.insert(key, Arc::clone(held));
    }

    /// Lets go what a revocation ends.
    pub(super) fn apply(&self, revocation: &Revocation) {
        let tenant = revocation.tenant.as_str();
        match &revocation.subject {
            Subject::Connection(id) => self.drop_if(|_, held| held.connection.id == *id),
            Subject::Tenant => self.drop_if(|key, _| key.tenant.as_str() == tenant),
            // No token of Meta's hangs on these.
            Subject::TenantResumed
            | Subject::Caller(_)
            | Subject::Outsider(_)
            | Subject::OutsiderRestored(_)
            | Subject::SigningKey(_) => {}
        }
        let mut inner = self.lock();
        inner.applied = inner.applied.max(revocation.generation);
    }

    /// Everything up to here was applied.
    pub(super) fn applied(&self, generation: i64) {
        let mut inner = self.lock();
        inner.applied = inner.applied.max(generation);
    }

    /// Lets go what serves nobody any more.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.lock().held.retain(|_, held| now < held.read + self.0.life);
    }

    /// Lets everything go.
    pub(super) fn clear(&self) {
        self.drop_if(|_, _| true);
    }

    /// Lets go what is held of a connection.
    pub(super) fn forget(&self, connection: ConnectionId) {
        self.drop_if(|_, held| held.connection.id == connection);
    }

    fn drop_if(&self, goes: impl Fn(&Key, &Held) -> bool) {
        let mut inner = self.lock();
        inner.epoch += 1;
        inner.held.retain(|key, held| !goes(key, held));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use vocabulary::ids::{AdAccountId, MetaAppId};

    use super::*;
    use crate::connections::{ConnectionKind, ConnectionState};

    const LIFE: Duration = Duration::from_secs(120);

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn key(tenant: &str) -> Key {
        let resource = Resource::AdAccount(AdAccountId::new(1));
        Key { tenant: tenant.parse().unwrap(), resource, need: Need::Read }
    }

    fn held(tenant: &str, id: u128, expires: Option<Timestamp>) -> Arc<Held> {
        let connection = Connection {
            tenant: tenant.parse().unwrap(),
            id: ConnectionId(Uuid::from_u128(id)),
            expires,
            ..connection()
        };
        let (token, proof) = (SecretString::from("t"), SecretString::from("p"));
        Arc::new(Held { token, proof, connection, api_version: "v26.0".to_owned(), read: now() })
    }

    fn connection() -> Connection {
        Connection::for_tests(MetaAppId::new(1), ConnectionKind::SystemUser, ConnectionState::Active, now())
    }

    fn revoked(generation: i64, tenant: &str, subject: Subject) -> Revocation {
        Revocation { generation, tenant: tenant.to_owned(), subject, revoked: now() }
    }

    fn memory() -> Memory {
        let memory = Memory::new(LIFE);
        for (tenant, id) in [("acme", 1), ("brands", 2)] {
            memory.put(memory.epoch(), key(tenant), &held(tenant, id, None));
        }
        memory
    }

    #[test]
    fn nothing_is_held_longer_than_a_lease_lives_or_its_token_does() {
        let memory = memory();
        assert!(memory.get(&key("acme"), 0, (now(), now())).is_some());
        assert!(memory.get(&key("acme"), 0, (now() + LIFE, now() + LIFE)).is_none());
        let needed = now() + Duration::from_secs(10);
        memory.put(memory.epoch(), key("acme"), &held("acme", 1, Some(needed)));
        assert!(memory.get(&key("acme"), 0, (now(), needed)).is_none());
        assert!(memory.get(&key("acme"), 0, (now(), needed - Duration::from_secs(1))).is_some());
    }

    #[test]
    fn a_revocation_takes_what_it_names_and_nothing_else() {
        let memory = memory();
        memory.apply(&revoked(1, "acme", Subject::Connection(ConnectionId(Uuid::from_u128(1)))));
        assert!(memory.get(&key("acme"), 1, (now(), now())).is_none());
        assert!(memory.get(&key("brands"), 1, (now(), now())).is_some());
        memory.apply(&revoked(2, "brands", Subject::Tenant));
        assert!(memory.get(&key("brands"), 2, (now(), now())).is_none());
    }

    #[test]
    fn nothing_serves_before_all_that_ended_is_known() {
        let memory = memory();
        assert!(memory.get(&key("acme"), 1, (now(), now())).is_none(), "the first revocation was not applied yet");
        memory.apply(&revoked(1, "other", Subject::Caller(Uuid::nil())));
        assert!(memory.get(&key("acme"), 1, (now(), now())).is_some());
    }

    #[test]
    fn what_was_read_while_something_ended_is_not_held() {
        let memory = memory();
        let before = memory.epoch();
        memory.apply(&revoked(1, "acme", Subject::Connection(ConnectionId(Uuid::from_u128(1)))));
        memory.put(before, key("acme"), &held("acme", 1, None));
        assert!(memory.get(&key("acme"), 1, (now(), now())).is_none());
    }

    #[test]
    fn a_token_that_nobody_leases_any_more_is_not_in_memory() {
        let memory = memory();
        memory.sweep(now() + LIFE - Duration::from_secs(1));
        assert_eq!(memory.lock().held.len(), 2);
        memory.sweep(now() + LIFE);
        assert!(memory.lock().held.is_empty());
    }

    #[test]
    fn more_than_it_can_hold_makes_it_let_go_and_not_grow() {
        let memory = Memory::new(LIFE);
        let held = held("acme", 1, None);
        for number in 0..=u64::try_from(HELD_MAX).unwrap() {
            let resource = Resource::AdAccount(AdAccountId::new(number + 1));
            memory.put(memory.epoch(), Key { resource, ..key("acme") }, &held);
        }
        assert!(memory.lock().held.len() <= HELD_MAX);
    }
}
