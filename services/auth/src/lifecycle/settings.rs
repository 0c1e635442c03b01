//! How patiently connections are kept alive.

use std::time::Duration;

use runtime::settings::{Check, Faults};
use serde::Deserialize;

use super::{pace::Pace, plan::Plan};
use crate::store::upkeep::Due;

/// Settings of the life of connections.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifecycleSettings {
    /// How often a replica looks for what is due, in milliseconds. 50 to 300,000; default 5,000.
    pub look_milliseconds: u32,
    /// How long before its end a token is refreshed at the latest, in days. 7 to 30; default 16, so that whoever hears of
    /// a token that ends in 14 days knows that refreshing it failed for two.
    pub refresh_margin_days: u32,
    /// Over how long before that tokens of one age are spread, in hours. 0 to 240; default 72.
    pub refresh_spread_hours: u32,
    /// How many tokens all replicas together may refresh in a minute, in the long run. 1 to 6,000; default 60.
    pub refreshes_per_minute: u32,
    /// How often each token is inspected, in hours. 1 to 168; default 24.
    pub inspect_hours: u32,
    /// How many tokens all replicas together may inspect in a minute, in the long run. 1 to 6,000; default 120.
    pub inspections_per_minute: u32,
    /// How many of these calls one replica has under way at once. 1 to 64; default 8. A quarter are inspections, and there
    /// is room for one of each kind at least, so that neither waits for the other.
    pub calls_at_once: u32,
    /// How long events are kept, in days. 7 to 400; default 90.
    pub events_kept_days: u32,
}

impl Default for LifecycleSettings {
    fn default() -> Self {
        Self {
            look_milliseconds: 5_000,
            refresh_margin_days: 16,
            refresh_spread_hours: 72,
            refreshes_per_minute: 60,
            inspect_hours: 24,
            inspections_per_minute: 120,
            calls_at_once: 8,
            events_kept_days: 90,
        }
    }
}

const HOUR: Duration = Duration::from_hours(1);

impl LifecycleSettings {
    /// How often a replica looks.
    pub fn look(&self) -> Duration {
        Duration::from_millis(self.look_milliseconds.into())
    }

    /// When things fall due.
    pub fn plan(&self) -> Plan {
        Plan {
            margin: HOUR * 24 * self.refresh_margin_days,
            spread: HOUR * self.refresh_spread_hours,
            inspect_every: HOUR * self.inspect_hours,
        }
    }

    /// How fast what falls due is done.
    pub fn pace(&self, due: Due) -> Pace {
        Pace::per_minute(match due {
            Due::Refresh => self.refreshes_per_minute,
            Due::Inspection => self.inspections_per_minute,
        })
    }

    /// How many calls of a kind one replica has under way at once.
    pub fn places(&self, due: Due) -> usize {
        let inspections = (self.calls_at_once / 4).max(1);
        usize::try_from(match due {
            Due::Refresh => self.calls_at_once.saturating_sub(inspections).max(1),
            Due::Inspection => inspections,
        })
        .unwrap_or(1)
    }

    /// How long events are kept.
    pub fn events_kept(&self) -> Duration {
        HOUR * 24 * self.events_kept_days
    }
}

impl Check for LifecycleSettings {
    fn check(&self, faults: &mut Faults) {
        let mut range = |value: u32, low: u32, high: u32, key: &str, words: &str| {
            faults.check((low..=high).contains(&value), key, words);
        };
        range(self.look_milliseconds, 50, 300_000, "look_milliseconds", "must be 50 to 300000");
        range(self.refresh_margin_days, 7, 30, "refresh_margin_days", "must be 7 to 30");
        range(self.refresh_spread_hours, 0, 240, "refresh_spread_hours", "must be 0 to 240");
        range(self.refreshes_per_minute, 1, 6_000, "refreshes_per_minute", "must be 1 to 6000");
        range(self.inspect_hours, 1, 168, "inspect_hours", "must be 1 to 168");
        range(self.inspections_per_minute, 1, 6_000, "inspections_per_minute", "must be 1 to 6000");
        range(self.calls_at_once, 1, 64, "calls_at_once", "must be 1 to 64");
        range(self.events_kept_days, 7, 400, "events_kept_days", "must be 7 to 400");
    }
}
