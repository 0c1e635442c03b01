//! A report and its slices, as the store keeps them.

use graph::insights::Query;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use proto::{common::v1::RowError, insights::v1 as pb};
use uuid::Uuid;
use vocabulary::{
    Currency, Day, DayRange,
    ids::{AdAccountId, TenantId},
};

use crate::{reconcile::Sums, run::Run, slices::Mode};

/// What was asked, and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// Whose it is.
    pub tenant: TenantId,
    /// Also the id of its operation.
    pub id: Uuid,
    /// Which account is measured.
    pub account: AdAccountId,
    /// As the caller sent it.
    pub query: pb::Query,
    /// How it stands.
    pub state: State,
    /// Known once the account was read.
    pub plan: Option<Plan>,
    /// Whether the rows add up to the account's totals.
    pub reconciliation: Reconciliation,
    /// How often days were read again because their sums differed.
    pub rereads: u32,
    /// When the last row was read.
    pub data_time: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<RowError>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// How a report stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Accepted, or being read.
    Running,
    /// Every row is kept and the sums agree, or cannot be compared.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

/// What the account says about the numbers, and what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Of the account's money.
    pub currency: Currency,
    /// Of the account's days, such as `Europe/Berlin`.
    pub time_zone: String,
    /// Which days are measured.
    pub days: DayRange,
    /// How Meta is asked.
    pub mode: Mode,
    /// Why, for a person.
    pub mode_reason: String,
}

impl Plan {
    /// The account's zone. A zone that our table does not know counts as UTC; Meta's names are IANA's.
    pub(crate) fn zone(&self) -> TimeZone {
        zone(&self.time_zone)
    }

    /// From when on Meta no longer restates these days.
    pub(crate) fn final_time(&self) -> Option<Timestamp> {
        final_time(self.days.until(), &self.zone())
    }
}

/// The zone of this name, or UTC where our table does not know it.
pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The end of the 28th day after `until`, in the account's zone.
pub(crate) fn final_time(until: Day, zone: &TimeZone) -> Option<Timestamp> {
    let days = graph::insights::words::DAYS_TO_FINAL + 1;
    let midnight = until.checked_add(days.days()).ok()?.to_zoned(zone.clone()).ok()?;
    Some(midnight.timestamp())
}

/// Whether the rows add up to the account's totals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reconciliation {
    /// Not compared yet.
    Open,
    /// They agree.
    Matched {
        /// The account's totals.
        control: Sums,
    },
    /// They differ.
    Differed {
        /// The account's totals.
        control: Sums,
        /// Where, for a person.
        reason: String,
    },
    /// There is nothing to compare with.
    NotComparable {
        /// Why, for a person.
        reason: String,
    },
}

/// One slice of a report's days.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// Its days.
    pub days: DayRange,
    /// Where it stands.
    pub run: Run,
    /// How often it was begun.
    pub tries: u32,
    /// Rows kept.
    pub row_count: i64,
    /// Their sums.
    pub sums: Sums,
    /// Why it failed last.
    pub error: Option<RowError>,
}

impl Part {
    /// A slice that nobody has begun.
    pub(crate) fn new(days: DayRange) -> Self {
        Self { days, run: Run::Pending, tries: 0, row_count: 0, sums: Sums::default(), error: None }
    }

    /// Nothing more will happen to it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.run, Run::Done | Run::Failed)
    }
}

/// What the worker asks Meta: the checked query about the planned days.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    /// Of which account.
    pub account: AdAccountId,
    /// What.
    pub query: Query,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_final_after_the_28th_day_in_the_accounts_zone() {
        let time = final_time("2026-11-01".parse().unwrap(), &zone("Asia/Tokyo")).unwrap();
        assert_eq!(time.to_string(), "2026-11-29T15:00:00Z");
    }

    #[test]
    fn a_zone_that_nobody_knows_is_utc() {
        assert_eq!(zone("Mars/Olympus"), TimeZone::UTC);
    }
}
