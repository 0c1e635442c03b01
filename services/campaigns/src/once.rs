//! Changes that are safe to repeat, under a request_id: done once, and every repeat gets the first answer.
//!
//! A replica that dies in between leaves the id in flight for two minutes; then a repeat does the change again, which is
//! absolute. Creates have their own path, [`crate::mutation`].

use futures::future::BoxFuture;
use serde_json::Value;
use storage::requests::Begin;
use uuid::Uuid;
use vocabulary::ids::TenantId;

use crate::{context, context::Context, error::Error, mutation};

/// Which request asks, and what it means: a repeat means the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Once {
    pub(crate) request: Uuid,
    method: &'static str,
    fingerprint: [u8; 32],
}

impl Once {
    /// `message` is the request without its request_id.
    pub(crate) fn new(request: Uuid, method: &'static str, message: &impl prost::Message) -> Self {
        Self { request, method, fingerprint: mutation::fingerprint(method, message) }
    }
}

impl Context {
    /// Does a change of one object once for each request; without a request each time. What is begun is ended, also when
    /// the caller goes away. A failure is forgotten: nothing happened, or doing it again does no harm.
    pub(crate) async fn once(
        &self,
        tenant: &TenantId,
        asked: Option<Once>,
        work: BoxFuture<'static, Result<Value, Error>>,
    ) -> Result<Value, Error> {
        let work = async move { Ok(work.await?.to_string().into_bytes()) };
        let bytes = self.once_bytes(tenant, asked, Box::pin(work)).await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// As [`Context::once`], for an answer that is no JSON.
    pub(crate) async fn once_bytes(
        &self,
        tenant: &TenantId,
        asked: Option<Once>,
        work: BoxFuture<'static, Result<Vec<u8>, Error>>,
    ) -> Result<Vec<u8>, Error> {
        let work = context::with_deadline(work);
        let Some(Once { request, method, fingerprint }) = asked else { return self.finish(work).await };
        match self.store.requests.begin(tenant.as_str(), request, method, fingerprint).await? {
            Begin::New => {}
            Begin::Answered(bytes) => return Ok(bytes),
            Begin::InFlight => return Err(Error::InFlight(format!("request {request}"))),
            Begin::Reused => return Err(Error::RequestIdReused(request)),
        }
        let (requests, tenant) = (self.store.requests.clone(), tenant.clone());
        self.finish(async move {
            let result = work.await;
            match &result {
                Ok(answer) => requests.answer(tenant.as_str(), request, answer).await?,
                Err(_) => requests.abandon(tenant.as_str(), request).await?,
            }
            result
        })
        .await
    }
}
