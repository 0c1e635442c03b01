//! The orders as conversion events: handed in, and followed until each is delivered or dead.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use proto::conversions::v1::{
    DeliveryStats, Event, EventState, GetDeliveryStatsRequest, ListDeadLettersRequest, SendEventsRequest,
    event_result::Outcome,
};
use uuid::Uuid;

use super::{Target, step::Step};

/// As many as one `SendEvents` takes.
const EVENTS_MAX: usize = 1_000;
/// How long delivery may take before the demo stops watching; the service goes on.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);

/// What became of the events.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) accepted: usize,
    pub(crate) deduplicated: usize,
    /// By reason: how many, and one of them.
    pub(crate) refused: BTreeMap<String, (usize, String)>,
    pub(crate) stats: DeliveryStats,
    /// By reason.
    pub(crate) dead: BTreeMap<String, usize>,
}

/// Hands them in; `true` answers mean durable, not yet delivered.
pub(crate) async fn send(target: &Target, events: Vec<Event>, step: &Step) -> Result<Sent> {
    step.length(events.len());
    let mut sent = Sent::default();
    for batch in events.chunks(EVENTS_MAX) {
        let request = SendEventsRequest {
            dataset: target.dataset.clone(),
            events: batch.to_vec(),
            request_id: Uuid::new_v4().to_string(),
            ..SendEventsRequest::default()
        };
        for result in target.client.events().send_events(request).await?.into_inner().results {
            match result.outcome {
                Some(Outcome::State(state)) if state == i32::from(EventState::Deduplicated) => sent.deduplicated += 1,
                Some(Outcome::State(_)) => sent.accepted += 1,
                Some(Outcome::Error(error)) => {
                    let violation = error.field_violations.into_iter().next();
                    let reason = violation.map_or(error.message, |violation| violation.description);
                    let entry = sent.refused.entry(reason).or_insert((0, result.event_id));
                    entry.0 += 1;
                }
                None => bail!("the service answered an event without an outcome"),
            }
        }
        step.advance(batch.len());
    }
    Ok(sent)
}

/// Waits until nothing is under way any more.
pub(crate) async fn deliver(target: &Target, mut sent: Sent, step: &Step) -> Result<Sent> {
    let began = tokio::time::Instant::now();
    loop {
        let request = GetDeliveryStatsRequest { name: target.dataset.clone(), window: None };
        sent.stats = target.client.datasets().get_delivery_stats(request).await?.into_inner().stats.unwrap_or_default();
        let stats = &sent.stats;
        let open = stats.pending + stats.sending;
        step.at(stats.delivered + stats.dead, stats.delivered + stats.dead + open, "delivered");
        if open == 0 {
            break;
        }
        if began.elapsed() > DELIVERY_TIMEOUT {
            bail!(
                "{open} events are still under way after {} s; they stay accepted and will be delivered",
                DELIVERY_TIMEOUT.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    if sent.stats.dead > 0 {
        let request =
            ListDeadLettersRequest { dataset: target.dataset.clone(), page_size: 1_000, ..Default::default() };
        for letter in target.client.events().list_dead_letters(request).await?.into_inner().letters {
            let reason = letter.error.map(|error| error.message).unwrap_or_default();
            *sent.dead.entry(reason).or_default() += 1;
        }
    }
    Ok(sent)
}
