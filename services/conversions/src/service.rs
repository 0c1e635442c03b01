//! The gRPC surface: open, decode, do, encode.

use prost::Message;
use proto::conversions::v1::{self as pb, dataset_service_server::DatasetService, event_service_server::EventService};
use rpc::FieldError;
use tonic::{Request, Response, Status};
use vocabulary::{Clock, page::PageTokens};

use crate::{
    error::Error,
    events::{Events, Send},
    wire,
};

/// Serves events and datasets.
#[derive(Clone)]
pub(crate) struct Api<C> {
    events: Events<C>,
    pages: PageTokens,
}

impl<C: Clock> Api<C> {
    /// Serves `events`; pages are sealed with `pages`.
    pub(crate) fn new(events: Events<C>, pages: PageTokens) -> Self {
        Self { events, pages }
    }
}

#[tonic::async_trait]
impl<C: Clock> EventService for Api<C> {
    async fn send_events(
        &self,
        request: Request<pb::SendEventsRequest>,
    ) -> Result<Response<pb::SendEventsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let receipt = self.events.send(&caller, Send::try_from(request)?).await?;
        Ok(Response::new(receipt.into()))
    }

    async fn validate_events(
        &self,
        request: Request<pb::ValidateEventsRequest>,
    ) -> Result<Response<pb::ValidateEventsResponse>, Status> {
        let (_, request) = rpc::open(request)?;
        wire::dataset("dataset", &request.dataset)?;
        wire::count(&request.events)?;
        let verdicts = self.events.validate(request.events).await?;
        Ok(Response::new(pb::ValidateEventsResponse { findings: wire::findings(verdicts) }))
    }

    async fn get_event(&self, request: Request<pb::GetEventRequest>) -> Result<Response<pb::GetEventResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let dataset = wire::dataset("dataset", &request.dataset)?;
        if request.event_id.is_empty() {
            return Err(FieldError::required("event_id").into());
        }
        let entry = self.events.get(&caller.tenant, dataset, &request.event_id, &request.event_name).await?;
        Ok(Response::new(pb::GetEventResponse { event: Some(wire::entry(dataset, entry)) }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let dataset = wire::dataset("dataset", &request.dataset)?;
        let filter = request.filter.unwrap_or_default();
        // A token goes on only with the list that it came from.
        let list = [b"dead letters ", request.dataset.as_bytes(), b"\0", &filter.encode_to_vec()].concat();
        let page = self.pages.request(&caller.tenant, &list, request.page_size, &request.page_token);
        let page = page.map_err(FieldError::from)?;
        let after = page.after.as_deref().and_then(wire::letter_of_key);
        let found = self
            .events
            .dead_letters(&caller.tenant, dataset, &filter.event_name, after.as_ref(), page.size + 1)
            .await?;
        let more = found.len() > page.size;
        let letters: Vec<_> = found.into_iter().take(page.size).collect();
        let last = letters.last().filter(|_| more).map(wire::letter_key);
        let next_page_token = last.map(|key| self.pages.seal(&caller.tenant, &list, &key)).unwrap_or_default();
        let letters = letters.into_iter().map(|entry| wire::entry(dataset, entry)).collect();
        Ok(Response::new(pb::ListDeadLettersResponse { letters, next_page_token }))
    }
}

#[tonic::async_trait]
impl<C: Clock> DatasetService for Api<C> {
    async fn get_delivery_stats(
        &self,
        request: Request<pb::GetDeliveryStatsRequest>,
    ) -> Result<Response<pb::GetDeliveryStatsResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let dataset = wire::dataset("name", &request.name)?;
        let window = request.window.map(std::time::Duration::try_from).transpose();
        let window =
            window.map_err(|_| Error::from(FieldError::new("window", "must not be negative", "WINDOW_NEGATIVE")))?;
        let (stats, now) = self.events.stats(&caller.tenant, dataset, window).await?;
        Ok(Response::new(pb::GetDeliveryStatsResponse { stats: Some(wire::stats(stats, now)) }))
    }
}
