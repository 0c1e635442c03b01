//! The last moment before a create goes to Meta: from here on a crash leaves a row that says "look before you send again".

use futures::future::BoxFuture;
use graph::{Before, Refusal};
use uuid::Uuid;
use vocabulary::ids::TenantId;

use crate::store::Store;

/// A row is no longer there to be sent: another worker has it, or it was forgotten.
#[derive(Debug, thiserror::Error)]
#[error("another worker sends it")]
pub(crate) struct Taken;

/// Marks intents as `sending`, each in the place of its call.
pub(crate) struct Announce<'a> {
    pub(crate) store: &'a Store,
    pub(crate) tenant: &'a TenantId,
    pub(crate) intents: &'a [Uuid],
}

impl Before for Announce<'_> {
    fn sending<'a>(&'a self, items: &'a [usize], again: bool) -> BoxFuture<'a, Result<(), Refusal>> {
        let ids: Vec<Uuid> = items.iter().filter_map(|place| self.intents.get(*place)).copied().collect();
        Box::pin(async move {
            let marked = self.store.sending(self.tenant, &ids, again).await?;
            if usize::try_from(marked).ok() == Some(ids.len()) { Ok(()) } else { Err(Taken.into()) }
        })
    }
}

/// Says whether a call was held back because another worker has its row.
pub(crate) fn is_taken(error: &graph::Error) -> bool {
    matches!(error, graph::Error::Withheld { cause, .. } if cause.is::<Taken>())
}
