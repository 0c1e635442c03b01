//! The last moment before a create goes to Meta: from here on a crash leaves a row that says "look before you send again".

use futures::future::BoxFuture;
use graph::{Before, Refusal};

use crate::store::{Creation, Store};

/// The row is no longer there to be sent: another request has it.
#[derive(Debug, thiserror::Error)]
#[error("another request sends it")]
pub(crate) struct Taken;

/// Marks a create as `sending`.
pub(crate) struct Announce<'a> {
    pub(crate) store: &'a Store,
    pub(crate) creation: &'a Creation,
}

impl Before for Announce<'_> {
    fn sending<'a>(&'a self, _: &'a [usize], again: bool) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let Creation { tenant, new, .. } = self.creation;
            if self.store.sending(tenant, new.request_id, again).await? { Ok(()) } else { Err(Taken.into()) }
        })
    }
}
