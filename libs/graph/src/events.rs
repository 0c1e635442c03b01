//! Conversion events into datasets.

use serde::Deserialize;
use vocabulary::ids::DatasetId;

use crate::call::{Call, Replay, UseCase};

/// The most events that one call may carry (Meta, "Conversions API: using the API").
pub const EVENTS_MAX: usize = 1_000;

/// What Meta says of a batch that it took. It takes all events of a call or none.
#[derive(Debug, Clone, Deserialize)]
pub struct Received {
    /// Events taken.
    #[serde(default)]
    pub events_received: u64,
    /// Remarks.
    #[serde(default)]
    pub messages: Vec<serde_json::Value>,
    /// What Meta's support asks for.
    #[serde(default)]
    pub fbtrace_id: Option<String>,
}

/// Sends events. Not replayed below the caller: sending again is safe only while Meta still counts the same `event_id`
/// once (48 hours for pixel against server; that it also holds for server against server is our assumption), so the
/// dispatcher decides it, and must know whether an outcome is unknown.
///
/// `events` is a JSON text: the list. A text, because the events are stored as such.
pub fn send(dataset: DatasetId, events: &str, test_event_code: Option<&str>) -> Call<Received> {
    let call = Call::post(format!("/{dataset}/events"), Replay::Never).field("data", events).use_case(UseCase::None);
    match test_event_code {
        Some(code) => call.field("test_event_code", code),
        None => call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_out_as_one_list() {
        let call = send(DatasetId::new(9), r#"[{"event_name":"Purchase"}]"#, None);
        assert_eq!(call.to_string(), "POST /9/events\ndata=[{\"event_name\":\"Purchase\"}]");
        assert_eq!(call.replay(), Replay::Never);
    }

    #[test]
    fn a_test_code_goes_beside_them() {
        assert_eq!(send(DatasetId::new(9), "[]", Some("TEST7")).value("test_event_code"), Some("TEST7"));
    }

    #[test]
    fn metas_answer_is_read() {
        let received: Received =
            serde_json::from_str(r#"{"events_received":2,"messages":[],"fbtrace_id":"A1"}"#).unwrap();
        assert_eq!((received.events_received, received.fbtrace_id.as_deref()), (2, Some("A1")));
    }
}
