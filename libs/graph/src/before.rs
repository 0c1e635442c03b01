//! The moment before the bytes go, and what a caller has to have written down by then.

use std::{error::Error as StdError, time::Duration};

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::error::Error;

/// How old an announcement may be when the bytes go. A process that was paused for longer finds its rows looked for by
/// another, so it must not send any more.
const AGE_MAX: Duration = Duration::from_secs(5);

/// Why a caller holds its calls back.
pub type Refusal = Box<dyn StdError + Send + Sync>;

/// A caller's word that a call goes now, which is written down after lease and permit are in hand and before the first
/// byte goes.
///
/// A call that waits for its permit, or never gets one, is thus never taken for one that was perhaps sent; and whoever
/// finds the word after a crash knows that it must look before it sends again.
pub trait Before: Send + Sync {
    /// These calls go now: their places among the calls that were given, which is 0 for a single one. `again` says that
    /// this was said of them before, and that Meta surely did not execute them or that they may be repeated. Return only once it is written down. An error
    /// holds all of them back, and the permit is returned.
    fn sending<'a>(&'a self, items: &'a [usize], again: bool) -> BoxFuture<'a, Result<(), Refusal>>;
}

/// One caller's word for one call or one batch, and whether it was given already.
pub(crate) struct Announcement<'a> {
    before: &'a dyn Before,
    items: Vec<usize>,
    again: bool,
}

impl<'a> Announcement<'a> {
    pub(crate) fn new(before: &'a dyn Before, items: Vec<usize>) -> Self {
        Self { before, items, again: false }
    }

    /// The same, of those items that are sent once more.
    pub(crate) fn only(&mut self, items: Vec<usize>) {
        self.items = items;
    }

    /// Has it written down. `false` says that this took so long, be it the store or a pause of this process, that the
    /// call must not go on the strength of it.
    pub(crate) async fn make(&mut self, call: &str) -> Result<bool, Error> {
        let begun = Instant::now();
        let told = self.before.sending(&self.items, self.again).await;
        told.map_err(|cause| Error::Withheld { call: call.to_owned(), cause })?;
        self.again = true;
        Ok(begun.elapsed() < AGE_MAX)
    }
}
