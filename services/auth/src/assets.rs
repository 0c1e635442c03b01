//! What connections reach: found at Meta, kept here.

mod walk;

use std::time::Duration;

use jiff::Timestamp;
use vocabulary::ids::{AdAccountId, ConnectionId};

use crate::{
    by::By,
    error::Error,
    store::{Store, assets, usage},
    usage::hour_of,
};

/// How far back a connection's users are looked for.
const DAY: Duration = Duration::from_hours(24);

pub use self::walk::Walk;

/// What an asset is. The numbers are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AssetKind {
    /// An ad account.
    AdAccount,
    /// A page.
    Page,
    /// An Instagram user.
    InstagramUser,
    /// A dataset, or pixel.
    Dataset,
    /// A business portfolio.
    Business,
}

impl AssetKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::AdAccount, Self::Page, Self::InstagramUser, Self::Dataset, Self::Business];
    /// What a token lists by itself; the others hang on ad accounts.
    pub const LISTED: [Self; 3] = [Self::AdAccount, Self::Page, Self::Business];

    /// As it is stored.
    pub fn number(self) -> i16 {
        match self {
            Self::AdAccount => 1,
            Self::Page => 2,
            Self::InstagramUser => 3,
            Self::Dataset => 4,
            Self::Business => 5,
        }
    }

    /// From what was stored.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its resource name.
    pub fn name(self, meta_id: &str) -> String {
        match self {
            Self::AdAccount => format!("adAccounts/act_{meta_id}"),
            Self::Page => format!("pages/{meta_id}"),
            Self::InstagramUser => format!("instagramUsers/{meta_id}"),
            Self::Dataset => format!("datasets/{meta_id}"),
            Self::Business => format!("businesses/{meta_id}"),
        }
    }
}

/// Something that a token reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: AssetKind,
    /// Meta's id, digits only.
    pub meta_id: String,
    /// As Meta calls it.
    pub display_name: String,
    /// The tasks on it, in Meta's words.
    pub roles: Vec<String>,
}

impl Found {
    fn new(kind: AssetKind, meta_id: u64, display_name: String, roles: Vec<String>) -> Self {
        Self { kind, meta_id: meta_id.to_string(), display_name, roles }
    }

    /// The ad account that it is.
    pub fn ad_account(&self) -> Option<AdAccountId> {
        (self.kind == AssetKind::AdAccount).then(|| self.meta_id.parse().ok()).flatten()
    }
}

/// Something that the tenant's connections reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// What it is.
    pub found: Found,
    /// The connections that reach it.
    pub reachable_by: Vec<ConnectionId>,
    /// The tenant may use it: false for ad accounts of others.
    pub owned: bool,
    /// When it was last seen.
    pub discovered: Timestamp,
}

/// What stops with a connection, and what goes on without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blast {
    /// What no other connection that works reaches; at most a thousand.
    pub lost: Vec<Asset>,
    /// How many there are of these.
    pub lost_total: i64,
    /// What others that work reach as well; at most a thousand.
    pub kept: Vec<Asset>,
    /// How many there are of these.
    pub kept_total: i64,
    /// Who leased its token in the last day, most leases first; at most a hundred.
    pub users: Vec<User>,
    /// How many there are of these.
    pub users_total: i64,
}

/// A service that leased a connection's token, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The service.
    pub service: String,
    /// For whom.
    pub caller: String,
    /// How often.
    pub leases: i64,
    /// In which hour it did last.
    pub last_hour: Timestamp,
}

/// What became of the ad accounts that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Nobody owned them; now the tenant does.
    pub claimed: Vec<AdAccountId>,
    /// Others own them.
    pub taken: Vec<AdAccountId>,
}

/// The tenant's assets by kind and id, after one.
pub async fn list(
    store: &Store,
    by: &By,
    only: Option<AssetKind>,
    after: (i16, &str),
    limit: i64,
) -> Result<Vec<Asset>, Error> {
    let client = store.client().await?;
    Ok(assets::list(&client, by.tenant.as_str(), only, after, limit).await?)
}

/// What stops with a connection.
pub async fn blast(store: &Store, by: &By, id: ConnectionId, now: Timestamp) -> Result<Blast, Error> {
    let client = store.client().await?;
    let (lost, lost_total) = assets::of_connection(&client, by.tenant.as_str(), id, false).await?;
    let (kept, kept_total) = assets::of_connection(&client, by.tenant.as_str(), id, true).await?;
    let (users, users_total) = usage::users(&client, by.tenant.as_str(), id, hour_of(now - DAY)).await?;
    Ok(Blast { lost, lost_total, kept, kept_total, users, users_total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_reads_back_as_it_was_stored() {
        for kind in AssetKind::ALL {
            assert_eq!(AssetKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(AssetKind::from_number(0), None);
    }

    #[test]
    fn only_an_ad_account_is_one() {
        let account = Found::new(AssetKind::AdAccount, 7, String::new(), Vec::new());
        assert_eq!(account.ad_account(), Some(AdAccountId::new(7)));
        assert_eq!(Found { kind: AssetKind::Page, ..account }.ad_account(), None);
        assert_eq!(AssetKind::AdAccount.name("7"), "adAccounts/act_7");
    }
}
