//! One step of the demo: a bar while it runs, a line with its time when it is done.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use proto::operations::v1::Operation;

/// A running step. Bars are drawn on a terminal only; the closing line always is.
pub(crate) struct Step {
    name: &'static str,
    began: Instant,
    bar: ProgressBar,
}

/// A finished step, for the table of times.
pub(crate) struct Took {
    pub(crate) name: &'static str,
    pub(crate) time: Duration,
}

impl Step {
    pub(crate) fn begin(name: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("  {spinner} {prefix:<24} {bar:28} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(name);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { name, began: Instant::now(), bar }
    }

    pub(crate) fn length(&self, length: usize) {
        self.bar.set_length(u64::try_from(length).unwrap_or(u64::MAX));
    }

    pub(crate) fn advance(&self, by: usize) {
        self.bar.inc(u64::try_from(by).unwrap_or(0));
    }

    pub(crate) fn at(&self, position: i64, length: i64, message: &str) {
        self.bar.set_length(u64::try_from(length).unwrap_or(0));
        self.bar.set_position(u64::try_from(position).unwrap_or(0));
        self.bar.set_message(message.to_owned());
    }

    /// Shows how far an operation is.
    pub(crate) fn follow(&self, operation: &Operation) {
        if let Some(metadata) = &operation.metadata {
            let waiting = match metadata.waiting_on.as_str() {
                "" => metadata.phase.clone(),
                on => format!("{} (waiting for {on})", metadata.phase),
            };
            self.at(metadata.steps_done, metadata.steps_total, &waiting);
        }
    }

    /// Ends the step and says on stderr what came of it.
    pub(crate) fn done(self, what: &str) -> Took {
        let time = self.began.elapsed();
        self.bar.finish_and_clear();
        super::note(&format!("  done  {:<24} {:>7}  {what}", self.name, seconds(time)));
        Took { name: self.name, time }
    }
}

/// A time as people read it: `0.8 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}
