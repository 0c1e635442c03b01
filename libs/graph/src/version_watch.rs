//! Which versions of Meta's API this process calls, and how long they live: a gauge of days, and no call with a dead one.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::SystemTime,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use opentelemetry::{KeyValue, global};

use crate::{
    error::Error,
    on::Asset,
    versions::{self, Api, Standing},
};

/// Versions that are told apart in the gauge; a lease with yet another is used all the same.
const SEEN_MAX: usize = 20;

/// The versions that leases came with.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<BTreeSet<String>>>);

impl Seen {
    /// With a gauge that ends with the client.
    pub(crate) fn watched() -> Self {
        let seen = Self::default();
        observe(Arc::downgrade(&seen.0));
        seen
    }

    /// May calls on this asset go with this version? Events go by the end of the Graph API, all else by the Marketing
    /// API's. A lease without a version is the business of whoever lent it.
    pub(crate) fn check(&self, version: &str, asset: Asset) -> Result<(), Error> {
        let api = match asset {
            Asset::AdAccount(_) => Api::Marketing,
            Asset::Dataset(_) => Api::Graph,
        };
        let standing = versions::standing(api, version, today());
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if standing != Standing::Malformed && !seen.contains(version) && seen.len() < SEEN_MAX {
            seen.insert(version.to_owned());
        }
        match standing {
            Standing::Ended(_) | Standing::Gone => {
                let advice = versions::refusal(api, version, today()).unwrap_or_default();
                Err(Error::DeadVersion { advice })
            }
            _ => Ok(()),
        }
    }
}

/// The day at Meta, whose ends of versions have no hour.
fn today() -> Date {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
    now.to_zoned(TimeZone::UTC).date()
}

fn observe(seen: Weak<Mutex<BTreeSet<String>>>) {
    let meter = global::meter("graph");
    let _registered = meter
        .i64_observable_gauge("adplane_graph_version_days_to_end")
        .with_description("Days until Meta ends the Marketing API version in use; absent while Meta has not said when")
        .with_callback(move |observer| {
            let Some(seen) = seen.upgrade() else { return };
            for version in seen.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                if let Some(days) = versions::days_to_end(version, today()) {
                    observer.observe(days.into(), &[KeyValue::new("version", version.clone())]);
                }
            }
        })
        .build();
}

#[cfg(test)]
mod tests {
    use vocabulary::ids::{AdAccountId, DatasetId};

    use super::*;

    #[test]
    fn a_dead_version_is_refused_with_the_next_step_and_events_live_longer() {
        let seen = Seen::default();
        let (account, dataset) = (Asset::AdAccount(AdAccountId::new(1)), Asset::Dataset(DatasetId::new(1)));
        let error = seen.check("v22.0", account).unwrap_err();
        assert!(error.to_string().contains("set v26.0 or newer"), "{error}");
        assert_eq!(rpc::Fault::reason(&error), rpc::ErrorReason::MetaVersionEnded);
        assert!(seen.check("v25.0", account).is_ok() && seen.check("v99.0", account).is_ok());
        assert!(seen.check("v26.0", dataset).is_ok());
        assert!(seen.check("v18.0", dataset).is_err());
    }

    #[test]
    fn no_more_versions_are_kept_than_are_told_apart() {
        let seen = Seen::default();
        for major in 100..200 {
            seen.check(&format!("v{major}.0"), Asset::AdAccount(AdAccountId::new(1))).unwrap();
        }
        assert_eq!(seen.0.lock().unwrap().len(), SEEN_MAX);
    }
}
