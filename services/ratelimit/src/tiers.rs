//! The access tiers that Meta named for ad accounts, remembered for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ceilings::Tier;
use crate::error::Error;
use crate::store::Store;

/// How old a remembered tier may be before Redis is asked again; other replicas learn too.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// How soon Redis is asked again where it did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// As many accounts as are remembered; beyond, all are asked for again.
const KEPT_MAX: usize = 100_000;

type Account = (u64, String);

/// What Meta said about an account's tier, as far as Redis knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Named(Tier),
    Unnamed,
}

impl Known {
    fn tier(self) -> Option<Tier> {
        match self {
            Self::Named(tier) => Some(tier),
            Self::Unnamed => None,
        }
    }
}

/// What this replica remembers. Redis has it for all replicas.
#[derive(Default)]
pub(crate) struct Tiers(Mutex<HashMap<Account, (Known, Instant)>>);

impl Tiers {
    /// The tier of an app's ad account; asks Redis at most once a minute.
    pub(crate) async fn of(&self, store: &Store, app: u64, account: &str) -> Result<Option<Tier>, Error> {
        let key = (app, account.to_owned());
        let remembered = self.remembered(&key);
        if let Some((known, since)) = remembered
            && since.elapsed() < FRESH_FOR
        {
            return Ok(known.tier());
        }
        match store.tier(app, account).await {
            Ok(tier) => {
                self.remember(key, tier.map_or(Known::Unnamed, Known::Named));
                Ok(tier)
            }
            // What was known is the best there is, and the calls that go without Redis must not wait for this each time.
            Err(error) if error.is_redis_away() => {
                let known = remembered.map_or(Known::Unnamed, |(known, _)| known);
                self.remember_since(key, known, Instant::now().checked_sub(FRESH_FOR.saturating_sub(ASK_AGAIN)));
                Ok(known.tier())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes in a tier that Meta named. Redis is told when it is news, and again each minute: it may have lost it.
    pub(crate) async fn learn(&self, store: &Store, account: Account, tier: Tier) -> Result<(), Error> {
        let known = self.remembered(&account);
        if known.is_some_and(|(known, since)| known == Known::Named(tier) && since.elapsed() < FRESH_FOR) {
            return Ok(());
        }
        store.learn_tier(account.0, &account.1, tier).await?;
        self.remember(account, Known::Named(tier));
        Ok(())
    }

    fn remembered(&self, account: &Account) -> Option<(Known, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(account).copied()
    }

    fn remember(&self, account: Account, known: Known) {
        self.remember_since(account, known, Some(Instant::now()));
    }

    fn remember_since(&self, account: Account, known: Known, since: Option<Instant>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.extend(since.map(|since| (account, (known, since))));
    }
}
