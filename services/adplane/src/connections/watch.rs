//! `adplane connections watch`: a line for each event, through restarts of the gateway.

use std::time::Duration;

use anyhow::Result;
use client::Client;
use proto::auth::v1::{ConnectionEvent, WatchConnectionsRequest, WatchConnectionsResponse};
use tonic::{Code, Status};

use crate::{
    door::Door,
    output::{Output, moment, note, word},
};

/// Between two tries after the stream was cut.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries without any word in between.
const TRIES_MAX: u32 = 30;

/// From where, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Begins with the oldest event that is kept; else only what happens from now on is shown
    #[arg(long, conflicts_with = "resume_token")]
    from_oldest: bool,
    /// Goes on after an event: its resumeToken, as --json shows it
    #[arg(long)]
    resume_token: Option<String>,
    /// Ends after so many events; else with Ctrl-C
    #[arg(long, value_name = "EVENTS")]
    limit: Option<u64>,
    #[command(flatten)]
    door: Door,
}

/// What is asked for next, and how many events are wanted still.
struct Position {
    request: WatchConnectionsRequest,
    left: Option<u64>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let (client, output) = (options.door.open()?, options.door.output());
    let request = WatchConnectionsRequest {
        resume_token: options.resume_token.unwrap_or_default(),
        from_oldest: options.from_oldest,
    };
    let mut position = Position { request, left: options.limit };
    let mut tries = 0;
    while position.left != Some(0) {
        match follow(&client, output, &mut position, &mut tries).await {
            Ok(()) => {} // the server stops, another goes on
            Err(error) if error.downcast_ref::<Status>().is_some_and(is_lost) && tries < TRIES_MAX => {
                note("the connection is lost; trying again")?;
            }
            Err(error) => return Err(error),
        }
        tries += 1;
        if position.left != Some(0) {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

async fn follow(client: &Client, output: Output, position: &mut Position, tries: &mut u32) -> Result<()> {
    let mut stream = client.connections().watch_connections(position.request.clone()).await?.into_inner();
    while let Some(told) = stream.message().await? {
        *tries = 0;
        position.request = WatchConnectionsRequest { resume_token: told.resume_token.clone(), from_oldest: false };
        if told.event.is_some() {
            output.event(&told, line)?;
            position.left = position.left.map(|left| left.saturating_sub(1));
        }
        if position.left == Some(0) {
            return Ok(());
        }
    }
    Ok(())
}

fn line(told: &WatchConnectionsResponse) -> String {
    let event = told.event.clone().unwrap_or_default();
    let kind = word(event.kind().as_str_name(), "CONNECTION_EVENT_KIND_");
    [moment(event.event_time.as_ref()), event.connection.clone(), kind, more(&event)].join("  ").trim_end().to_owned()
}

fn more(event: &ConnectionEvent) -> String {
    let days = event.days_left.map(|days| format!("{days} days left"));
    let lost = (!event.lost_scopes.is_empty()).then(|| event.lost_scopes.join(", "));
    let reason = (!event.reason.is_empty()).then(|| event.reason.clone());
    days.into_iter().chain(lost).chain(reason).collect::<Vec<_>>().join("; ")
}

fn is_lost(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded)
}

#[cfg(test)]
mod tests {
    use proto::auth::v1::ConnectionEventKind;

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = ConnectionEvent {
            kind: ConnectionEventKind::Expiring.into(),
            connection: "connections/1".to_owned(),
            days_left: Some(3),
            event_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }),
            ..ConnectionEvent::default()
        };
        let told = WatchConnectionsResponse { event: Some(event), ..WatchConnectionsResponse::default() };
        assert_eq!(line(&told), "2023-11-14T22:13:20Z  connections/1  expiring  3 days left");
    }
}
