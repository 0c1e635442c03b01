//! The access tiers that Meta named for ad accounts, remembered for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ceilings::Tier;
use crate::error::Error;
use crate::store::Store;

/// How old a remembered tier may be; other replicas learn too.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// As many accounts as are remembered; beyond, all are asked for again.
const KEPT_MAX: usize = 100_000;

type Account = (u64, String);

/// What Meta said about an account's tier, as far as Redis knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Named(Tier),
    Unnamed,
}

/// What this replica remembers. Redis has it for all replicas.
#[derive(Default)]
pub(crate) struct Tiers(Mutex<HashMap<Account, (Known, Instant)>>);

impl Tiers {
    /// The tier of an app's ad account; asks Redis at most once a minute.
    pub(crate) async fn of(&self, store: &Store, app: u64, account: &str) -> Result<Option<Tier>, Error> {
        let key = (app, account.to_owned());
        match self.remembered(&key) {
            Some(Known::Named(tier)) => return Ok(Some(tier)),
            Some(Known::Unnamed) => return Ok(None),
            None => {}
        }
        let tier = store.tier(app, account).await?;
        self.remember(key, tier.map_or(Known::Unnamed, Known::Named));
        Ok(tier)
    }

    /// Takes in a tier that Meta named; only news reach Redis.
    pub(crate) async fn learn(&self, store: &Store, account: Account, tier: Tier) -> Result<(), Error> {
        if self.remembered(&account) == Some(Known::Named(tier)) {
            return Ok(());
        }
        store.learn_tier(account.0, &account.1, tier).await?;
        self.remember(account, Known::Named(tier));
        Ok(())
    }

    fn remembered(&self, account: &Account) -> Option<Known> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(account).filter(|(_, since)| since.elapsed() < FRESH_FOR).map(|(known, _)| *known)
    }

    fn remember(&self, account: Account, known: Known) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(account, (known, Instant::now()));
    }
}
