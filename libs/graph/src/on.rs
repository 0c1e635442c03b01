//! For whom a call is made, on what, and how urgently.

use std::{fmt, time::Instant};

use vocabulary::ids::{AdAccountId, DatasetId, TenantId};

use crate::reserve::Reservation;

/// What a call needs rights on: it decides which connection's token is leased and which account pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asset {
    /// An ad account and everything below it.
    AdAccount(AdAccountId),
    /// A dataset (pixel) that takes conversion events.
    Dataset(DatasetId),
}

/// The resource name, as auth leases by it.
impl fmt::Display for Asset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AdAccount(account) => write!(out, "adAccounts/{}", account.act()),
            Self::Dataset(dataset) => write!(out, "datasets/{dataset}"),
        }
    }
}

/// Whose work goes first when the quota is short. Each class has its own cap, so that a flood of one leaves room for
/// those above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Stopping money, and looking for writes whose outcome is unknown.
    Safety,
    /// Somebody waits.
    Interactive,
    /// Keeping mirrors fresh.
    Sync,
    /// Large jobs of a tenant.
    Bulk,
    /// History.
    Backfill,
}

/// For whom, on what, how urgently, until when.
#[derive(Debug, Clone)]
pub struct On {
    /// Whose token and whose share of the quota.
    pub tenant: TenantId,
    /// What the call needs rights on.
    pub asset: Asset,
    /// Its class.
    pub priority: Priority,
    /// The last moment at which an answer is of use. Waiting for quota ends here too.
    pub deadline: Instant,
    /// What for, as auth's table has it: the domain and a word, such as `campaigns.write`.
    pub purpose: &'static str,
    /// What was held for it before. `None` for most calls.
    pub reservation: Option<Reservation>,
}
