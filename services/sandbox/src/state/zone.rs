//! Times in an account's zone, as the Graph API writes them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::State;

/// The zone of an account; UTC where the machine does not know it.
pub(crate) fn zone(state: &State, account: u64) -> TimeZone {
    let name = state.object(account).map(|object| object.text("timezone_name")).unwrap_or_default();
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

pub(crate) fn local(state: &State, account: u64, at: Timestamp) -> Zoned {
    at.to_zoned(zone(state, account))
}

/// The day of the account at that moment.
pub(crate) fn day(state: &State, account: u64, at: Timestamp) -> Date {
    local(state, account, at).date()
}

/// `2026-03-21T22:33:56-0700`: no colon in the offset.
pub(crate) fn iso(state: &State, account: u64, at: Timestamp) -> String {
    local(state, account, at).strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}
