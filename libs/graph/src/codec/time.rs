//! Meta's times: ISO 8601 without a colon in the offset, or unix seconds.

use jiff::{Timestamp, fmt::strtime};
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

/// Seconds and nanoseconds of a `google.protobuf.Timestamp`.
pub(super) fn of(message: &DynamicMessage) -> Option<Timestamp> {
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let nanos = message.get_field_by_name("nanos")?.as_i32()?;
    Timestamp::new(seconds, nanos).ok()
}

/// As Meta takes it: `2026-11-01T10:00:00+0000`.
pub(super) fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// Reads what Meta writes: `2026-03-21T22:33:56-0700`, the same with a colon, or unix seconds.
pub(super) fn parse(value: &serde_json::Value) -> Option<Timestamp> {
    match value {
        serde_json::Value::Number(seconds) => Timestamp::from_second(seconds.as_i64()?).ok(),
        serde_json::Value::String(text) => strtime::parse("%Y-%m-%dT%H:%M:%S%z", text)
            .and_then(|parsed| parsed.to_timestamp())
            .or_else(|_| text.parse())
            .or_else(|error| text.parse::<i64>().map_err(|_| error).and_then(Timestamp::from_second))
            .ok(),
        _ => None,
    }
}

/// As a message of that descriptor.
pub(super) fn message(descriptor: MessageDescriptor, time: Timestamp) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor);
    message.set_field_by_name("seconds", Value::I64(time.as_second()));
    message.set_field_by_name("nanos", Value::I32(time.subsec_nanosecond()));
    message
}
