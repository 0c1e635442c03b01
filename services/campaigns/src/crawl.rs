//! Lists of an account's objects, and the reading of whole accounts that fills them.
//!
//! An account with many objects takes longer to read than a caller waits. So one task reads it, whoever else asks waits
//! for that task, and it goes on when they have gone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::TryStreamExt;
use graph::objects::{self, Kind};
use jiff::Timestamp;
use tokio::sync;
use vocabulary::ids::{AdAccountId, TenantId};

use crate::{
    context::{self, Context},
    error::Error,
    freshness::{Read, Wanted},
    store::objects::{Listing, Object},
};

type Key = (TenantId, AdAccountId, Kind);

/// One lock for all of one kind in an account. Held for as long as it is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crawls(Arc<Mutex<HashMap<Key, Arc<sync::Mutex<()>>>>>);

impl Crawls {
    fn lock(&self, key: Key) -> Arc<sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1); // what nobody reads or waits for
        locks.entry(key).or_default().clone()
    }
}

impl Context {
    /// A page of an account's objects from the store, which is filled from Meta first where it is empty or too old.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        kind: Kind,
        listing: &Listing,
        wanted: &Wanted,
    ) -> Result<Read<Vec<Object>>, Error> {
        self.own(tenant, account).await?;
        let crawled = self.store.crawled(tenant, account, kind).await?;
        let later_page = listing.below.is_some();
        let (fetched, stale) = match crawled {
            Some(crawled) if later_page || self.does(crawled, wanted) => (crawled, false),
            crawled => match (self.crawl(tenant, account, kind, wanted).await, crawled) {
                (Ok(now), _) => (now, false),
                (Err(error), Some(crawled)) if is_passing(&error) && wanted.takes_stale() => (crawled, true),
                (Err(error), _) => return Err(error),
            },
        };
        let rows = self.store.objects(tenant, account, kind, listing).await?;
        Ok(if stale { Read::stale(rows, fetched) } else { Read::fresh(rows, fetched) })
    }

    /// Waits as long as the caller does until the account has been read.
    async fn crawl(
        &self,
        tenant: &TenantId,
        account: AdAccountId,
        kind: Kind,
        wanted: &Wanted,
    ) -> Result<Timestamp, Error> {
        let asked = self.now();
        let lock = self.crawls.lock((tenant.clone(), account, kind));
        let (context, tenant, wanted) = (self.clone(), tenant.clone(), wanted.clone());
        let crawl = self.finish(Box::pin(async move {
            let _reading = lock.lock().await;
            // Whoever had the lock before may have read what is wanted here.
            match context.store.crawled(&tenant, account, kind).await? {
                Some(crawled) if crawled >= asked || context.does(crawled, &wanted) => Ok(crawled),
                _ => context.read_all(&tenant, account, kind).await,
            }
        }));
        let late = |_| Err(Error::InFlight(format!("the first reading of adAccounts/{}", account.act())));
        tokio::time::timeout_at(context::deadline().into(), crawl).await.unwrap_or_else(late)
    }

    /// Reads all of one kind, a page at a time, until it is done or the process stops.
    async fn read_all(&self, tenant: &TenantId, account: AdAccountId, kind: Kind) -> Result<Timestamp, Error> {
        let began = self.now();
        let on = context::crawling(tenant, account);
        let reading = Box::pin(async {
            let mut pages = std::pin::pin!(self.graph.pages(&on, objects::list(kind, account)));
            while let Some(page) = pages.try_next().await? {
                let client = self.store.postgres.client().await?;
                for graph in &page {
                    self.store.keep_object(&client, tenant, account, kind, graph, began).await?;
                }
            }
            self.store.end_crawl(tenant, account, kind, began).await?;
            Ok(began)
        });
        let stopped = || Err(Error::InFlight(format!("the reading of adAccounts/{}", account.act())));
        self.stop.run_until_cancelled(reading).await.unwrap_or_else(stopped)
    }

    /// Is what was read at this time fresh enough?
    fn does(&self, crawled: Timestamp, wanted: &Wanted) -> bool {
        wanted.is_met(crawled, self.now(), Duration::from_secs(self.settings.mirror_seconds))
    }
}

/// It may be over in a moment, and until then what is stored does.
fn is_passing(error: &Error) -> bool {
    error.is_temporary() || matches!(error, Error::InFlight(_))
}
