//! What ended, told to every holder within two seconds.
//!
//! A revocation is a row, written with the change that it tells of. Each replica looks where the order stands four times
//! a second and wakes its streams; each stream reads what it has not sent. So a stream that was cut goes on with the
//! generation it saw last, at any replica.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rpc::Verifier;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;
use vocabulary::ids::ConnectionId;

use crate::{
    error::Error,
    store::{Store, revocations},
    wire,
};

/// How often a replica looks where the order stands.
pub(crate) const LOOK: Duration = Duration::from_millis(250);
/// How long a look may take; then the database counts as away, and nobody is told that all is well.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How a beginning is told from an end.
const RESUMED: &str = "resumed";
/// How long revocations are kept. Leases live two minutes at most, tokens a day.
const KEEP: Duration = Duration::from_hours(48);
/// How many revocations are read at once.
const PAGE: i64 = 500;

/// Something that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the order.
    pub generation: i64,
    /// Whose it is.
    pub tenant: String,
    /// What ended.
    pub subject: Subject,
    /// When.
    pub revoked: Timestamp,
}

/// What can end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Leases of a connection.
    Connection(ConnectionId),
    /// Tokens of a caller.
    Caller(Uuid),
    /// Tokens of a subject of an issuer outside, `{issuer}:{sub}`, those to come too.
    Outsider(String),
    /// Not an end but a beginning: such a subject's tokens serve again.
    OutsiderRestored(String),
    /// Tokens signed by a key.
    SigningKey(String),
    /// Everything of the tenant: an operator stopped it.
    Tenant,
    /// Not an end but a beginning: the tenant works again.
    TenantResumed,
}

impl Subject {
    /// As it is stored: the kind and the id.
    pub fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Connection(id) => ("connection", id.to_string()),
            Self::Caller(id) => ("caller", id.to_string()),
            Self::Outsider(subject) => ("subject", subject.clone()),
            Self::OutsiderRestored(subject) => ("subject_restored", subject.clone()),
            Self::SigningKey(id) => ("signing_key", id.clone()),
            Self::Tenant => ("tenant", String::new()),
            // To a replica of an older version this is one more end, which is harmless.
            Self::TenantResumed => ("tenant", RESUMED.to_owned()),
        }
    }

    /// From what was stored.
    pub fn from_parts(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "connection" => id.parse().ok().map(Self::Connection),
            "caller" => id.parse().ok().map(Self::Caller),
            "subject" => Some(Self::Outsider(id.to_owned())),
            "subject_restored" => Some(Self::OutsiderRestored(id.to_owned())),
            "signing_key" => Some(Self::SigningKey(id.to_owned())),
            "tenant" if id == RESUMED => Some(Self::TenantResumed),
            "tenant" => Some(Self::Tenant),
            _ => None,
        }
    }
}

/// Where the order stands, as this replica saw it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The newest generation.
    pub generation: i64,
    /// The last look worked. Without it nobody is told that all is well: silence is what makes holders ask anew.
    pub is_fresh: bool,
}

/// The order of what ended.
#[derive(Clone)]
pub struct Revocations {
    store: Store,
    standing: Arc<watch::Sender<Standing>>,
}

impl Revocations {
    /// Reads where the order stands.
    pub async fn start(store: Store) -> Result<Self, Error> {
        let generation = revocations::generation(&store.client().await?).await?;
        let standing = Standing { generation, is_fresh: true };
        Ok(Self { store, standing: Arc::new(watch::Sender::new(standing)) })
    }

    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let seen = self.look().await;
            self.standing.send_if_modified(|standing| {
                let before = *standing;
                standing.is_fresh = seen.is_ok();
                standing.generation = *seen.as_ref().unwrap_or(&before.generation);
                if let (true, Err(error)) = (before.is_fresh, &seen) {
                    warn!(error = error as &dyn std::error::Error, "revocations are not seen now");
                }
                *standing != before
            });
        }
    }

    async fn look(&self) -> Result<i64, Error> {
        let client = tokio::time::timeout(LOOK_MAX, self.store.client()).await.map_err(|_| silent())??;
        let Ok(seen) = tokio::time::timeout(LOOK_MAX, revocations::generation(&client)).await else {
            // Still busy with the question that we gave up, it would make the next one to use it wait.
            drop(storage::Client::take(client));
            return Err(silent());
        };
        Ok(seen?)
    }

    /// Where the order stands now.
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Wakes whenever the order has gone on.
    pub fn subscribe(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Tells auth's own verifier what ended, until `stop`: what did in the past, whose tokens may still live, and what is to
    /// come.
    pub async fn refuse(self, verifier: Arc<Verifier>, stop: CancellationToken) {
        let (mut standing, mut told) = (self.subscribe(), 0);
        while !stop.is_cancelled() {
            match self.after(told).await {
                Ok(revocations) if !revocations.is_empty() => {
                    for revocation in revocations {
                        told = revocation.generation;
                        if let Some(ended) = wire::revocation(&revocation).revocation {
                            verifier.end(&ended);
                        }
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "what ended is not seen now");
                    // Nothing may come that wakes it, and what ended is not told yet.
                    stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
                    continue;
                }
            }
            // Without a sender the process is about to end.
            if !matches!(stop.run_until_cancelled(standing.changed()).await, Some(Ok(()))) {
                return;
            }
        }
    }

    /// Forgets what is so old that nothing it speaks of can be alive.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, Error> {
        Ok(revocations::sweep(&self.store.client().await?, now - KEEP).await?)
    }

    /// What comes after a generation, in its order; at most 500 at once.
    pub async fn after(&self, generation: i64) -> Result<Vec<Revocation>, Error> {
        Ok(revocations::after(&self.store.client().await?, generation, PAGE).await?)
    }
}

fn silent() -> Error {
    Error::Store(storage::Error::Outage("the order of revocations could not be read in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_back_as_it_was_stored() {
        for subject in [
            Subject::Connection(ConnectionId(Uuid::from_u128(7))),
            Subject::Caller(Uuid::from_u128(8)),
            Subject::Outsider("company:someone".to_owned()),
            Subject::OutsiderRestored("company:someone".to_owned()),
            Subject::SigningKey("k".to_owned()),
            Subject::Tenant,
            Subject::TenantResumed,
        ] {
            let (kind, id) = subject.parts();
            assert_eq!(Subject::from_parts(kind, &id), Some(subject));
        }
        assert_eq!(Subject::from_parts("moon", ""), None);
    }
}
