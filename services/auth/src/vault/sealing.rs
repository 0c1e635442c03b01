//! Closing the vault: every replica forgets its keys and refuses, until an operator opens it.
//!
//! Whether it is closed is one row of the database, so that a replica that starts later is closed too. Each replica looks
//! at it four times a second, as it does for revocations; the one that was told knows at once.
//!
//! What goes on: leases that are out serve until their end, two minutes at most; and tokens are issued, because whoever
//! opens the vault needs one.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Vault, VaultError};
use crate::{
    by::{By, Repeat},
    error::Error,
    now::Now,
    store::{
        self, Store, Told,
        vault_state::{self, StoredState},
    },
};

/// How often a replica looks.
const LOOK: Duration = Duration::from_millis(250);
/// How often a replica tries whether the provider serves, for the metric.
const PROBE: Duration = Duration::from_secs(30);

/// Who closed the vault, when and why: what everybody is told who needs it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the vault was sealed by {by} at {since}: {reason}. An operator opens it with KeyService.UnsealVault")]
pub struct Closed {
    /// The operator.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// Why, in their words.
    pub reason: String,
}

/// How the vault stands, as this replica saw it last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    generation: i64,
    closed: Option<Arc<Closed>>,
}

/// Whether the vault is closed. Clones share it.
#[derive(Clone)]
pub(super) struct Sealing(Arc<watch::Sender<State>>);

impl Sealing {
    pub(super) async fn start(store: &store::Keys) -> Result<Self, VaultError> {
        Ok(Self(Arc::new(watch::Sender::new(store.state().await?.into()))))
    }

    pub(super) fn require_open(&self) -> Result<(), VaultError> {
        match &self.0.borrow().closed {
            Some(closed) => Err(VaultError::Closed(Arc::clone(closed))),
            None => Ok(()),
        }
    }

    /// Takes over what the store says. `true` where keys have to be forgotten.
    fn learn(&self, state: State) -> bool {
        self.0.send_if_modified(|known| {
            // An older look that comes in late must not open what was closed since.
            let is_newer = state.generation > known.generation;
            if is_newer {
                *known = state;
            }
            is_newer
        })
    }
}

impl From<StoredState> for State {
    fn from(stored: StoredState) -> Self {
        let StoredState { generation, sealed, reason, changed_by, changed } = stored;
        let closed = sealed.then(|| Arc::new(Closed { by: changed_by, since: changed, reason }));
        Self { generation, closed }
    }
}

impl Vault {
    /// Looks until `stop` whether an operator has closed or opened the vault, or a tenant was shredded.
    pub async fn watch(self, stop: CancellationToken) {
        let (mut tick, mut was_seen) = (tokio::time::interval(LOOK), true);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            match self.look().await {
                Ok(()) => was_seen = true,
                Err(error) if was_seen => {
                    was_seen = false;
                    warn!(error = &error as &dyn std::error::Error, "whether the vault is sealed is not seen now");
                }
                Err(_) => {}
            }
        }
    }

    /// Keeps the metric `adplane_vault_open` until `stop`: 1 where this replica can seal and open, 0 where an operator has
    /// closed the vault or its provider does not serve.
    pub async fn measure(self, stop: CancellationToken) {
        let gauge = runtime::telemetry::meter("auth").u64_gauge("adplane_vault_open").build();
        let (mut tick, mut was_open) = (tokio::time::interval(PROBE), true);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let open = match self.sealing.require_open() {
                Ok(()) => self.probe().await,
                closed => closed,
            };
            if let (true, Err(error)) = (was_open, &open) {
                warn!(error = error as &dyn std::error::Error, "the vault gives nothing out");
            }
            was_open = open.is_ok();
            gauge.record(u64::from(was_open), &[]);
        }
    }

    /// Learns how the vault stands now.
    pub async fn look(&self) -> Result<(), VaultError> {
        self.learn(self.store.state().await?);
        Ok(())
    }

    /// Who has closed the vault, where somebody has.
    pub fn closed(&self) -> Option<Arc<Closed>> {
        self.sealing.0.borrow().closed.clone()
    }

    /// Grows whenever keys have to be forgotten. Who remembers what was opened remembers this number with it, and asks
    /// again when it has grown.
    pub fn generation(&self) -> i64 {
        self.sealing.0.borrow().generation
    }

    fn learn(&self, stored: StoredState) {
        if self.sealing.learn(stored.into()) {
            self.opened.forget();
        }
    }
}

/// The use cases.
#[derive(Clone)]
pub struct Seals {
    store: Store,
    vault: Vault,
    now: Now,
}

impl Seals {
    /// Over the store and the vault.
    pub fn new(store: Store, vault: Vault, now: Now) -> Self {
        Self { store, vault, now }
    }

    /// Closes the vault on every replica. Closing a closed one changes nothing but the reason.
    pub async fn close(
        &self,
        by: &By,
        reason: &str,
        validate_only: bool,
        closing: (&Repeat, impl FnOnce() -> Vec<u8>),
    ) -> Result<(), Error> {
        self.change(by, (true, reason, "vault.seal"), validate_only, closing).await
    }

    /// Opens it again.
    pub async fn open(
        &self,
        by: &By,
        validate_only: bool,
        closing: (&Repeat, impl FnOnce() -> Vec<u8>),
    ) -> Result<(), Error> {
        self.change(by, (false, "", "vault.unseal"), validate_only, closing).await
    }

    async fn change(
        &self,
        by: &By,
        (sealed, reason, action): (bool, &str, &str),
        validate_only: bool,
        (repeat, answer): (&Repeat, impl FnOnce() -> Vec<u8>),
    ) -> Result<(), Error> {
        by.require_operator()?;
        if validate_only {
            return Ok(());
        }
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let state = vault_state::set(&transaction, (sealed, reason), &by.actor, (self.now)()).await?;
        let told = Told { action, resource: "vault", detail: json!({"reason": reason}) };
        self.store.commit(transaction, by, told, Some((repeat, answer()))).await?;
        self.vault.learn(state);
        Ok(())
    }
}
