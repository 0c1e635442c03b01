use std::error::Error;
use std::fmt;
use std::io::Write;

use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Writes each event as one line of JSON: the fixed fields first, then those of the spans around it and its own.
pub(super) struct Lines<W> {
    service: &'static str,
    sink: W,
}

impl<W, S> Lines<W>
where
    W: Fn() -> S,
    S: Write,
{
    pub(super) fn new(service: &'static str, sink: W) -> Self {
        Self { service, sink }
    }

    fn write(&self, level: Level, mut fields: Map<String, Value>) {
        let body = fields.remove("message").unwrap_or(Value::String(String::new()));
        let mut line = Map::new();
        line.insert("timestamp".into(), now().into());
        line.insert("severity".into(), level.as_str().into());
        line.insert("body".into(), body);
        line.insert("service.name".into(), self.service.into());
        line.insert("service.version".into(), env!("CARGO_PKG_VERSION").into());
        let context = opentelemetry::Context::current();
        let span = context.span().span_context().clone();
        if span.is_valid() {
            line.insert("trace_id".into(), span.trace_id().to_string().into());
            line.insert("span_id".into(), span.span_id().to_string().into());
        }
        for (name, value) in fields {
            line.entry(name).or_insert(value);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // A log that cannot be written has nowhere to say so.
        drop((self.sink)().write_all(text.as_bytes()));
    }
}

/// The time of day is the point here; nothing decides by it.
#[expect(clippy::disallowed_methods, reason = "a log line says when it was written")]
fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

impl<W, O, S> Layer<S> for Lines<W>
where
    W: Fn() -> O + 'static,
    O: Write,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut all = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                all.0.extend(fields.0.clone());
            }
        }
        all.0.remove("message");
        event.record(&mut all);
        self.write(*event.metadata().level(), all.0);
    }
}

/// The fields of a span or an event, as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // Fields for the exporter alone, such as the kind of a span.
        if !field.name().starts_with("otel.") {
            self.0.insert(field.name().to_owned(), value.into());
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    /// The whole chain of causes: it is logged once, here.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(act: impl FnOnce()) -> Vec<Value> {
        let sink = Sink::default();
        let writer = sink.clone();
        let lines = Lines::new("test", move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), act);
        let bytes = sink.0.lock().unwrap().clone();
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_has_the_fixed_fields_and_those_of_the_span() {
        let lines = logged(|| {
            let span = tracing::info_span!("rpc", rpc.method = "A/B", tenant.id = tracing::field::Empty);
            span.record("tenant.id", "acme");
            span.in_scope(|| tracing::warn!(rows = 3, "slow"));
        });
        let line = &lines[0];
        assert_eq!(line["severity"], "WARN");
        assert_eq!(line["body"], "slow");
        assert_eq!(line["service.name"], "test");
        assert_eq!(line["rpc.method"], "A/B");
        assert_eq!(line["tenant.id"], "acme");
        assert_eq!(line["rows"], 3);
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn an_error_is_logged_with_its_causes_on_one_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("the store failed")]
        struct Outer(#[source] std::io::Error);

        let lines = logged(|| {
            let error = Outer(std::io::Error::other("disk\nfull"));
            tracing::error!(error = &error as &dyn Error, "kept");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["error"], "the store failed: disk\nfull");
    }

    #[test]
    fn a_field_cannot_pose_as_a_fixed_one() {
        let lines = logged(|| tracing::info!(severity = "FATAL", "hello"));
        assert_eq!(lines[0]["severity"], "INFO");
    }
}
