//! The end of a report: do its rows add up to the account's totals?

use std::collections::BTreeMap;

use graph::{
    Page,
    insights::{self as meta, Increment},
};
use tokio_util::sync::CancellationToken;
use vocabulary::{Clock, Day, DayRange};

use super::{Poller, Round, Work, cursor_after};
use crate::{
    Error,
    error::Failure,
    reconcile::{Sums, differing, incomparable},
    report::{Part, Question, Reconciliation, State},
    row,
};

/// Rows of a page of totals.
const PAGE: u16 = 500;

/// So many days' totals are asked for at once.
const CONTROL_DAYS: usize = 90;

impl<C: Clock> Poller<C> {
    /// Compares and ends, or begins the slices again whose sums differ. `None` where it had to leave off.
    pub(super) async fn conclude(
        &self,
        work: &mut Work,
        question: &Question,
        stop: &CancellationToken,
    ) -> Result<Option<Round>, Error> {
        if let Some(reason) = incomparable(&question.query) {
            work.report.reconciliation = Reconciliation::NotComparable { reason: reason.to_owned() };
            return self.close(work, State::Succeeded, None).await.map(|()| Some(Round::Ended));
        }
        let Some(control) = self.control(work, question, stop).await? else { return Ok(None) };
        let rows = self.store.sums_by_day(&work.report.tenant, work.report.id).await?;
        let total = Sums::total(control.values().copied()).ok_or(Error::Corrupt("sum of a report"))?;
        let days = differing(&rows, &control);
        if days.is_empty() {
            work.report.reconciliation = Reconciliation::Matched { control: total };
            return self.close(work, State::Succeeded, None).await.map(|()| Some(Round::Ended));
        }
        if work.report.rereads < self.settings.rereads_max {
            let parts: Vec<Part> =
                work.parts.iter().filter(|part| days.iter().any(|day| holds(part.days, *day))).cloned().collect();
            tracing::info!(report.id = %work.report.id, days = days.len(), "days whose sums differ are read again");
            self.store.read_again(&work.claimed, &parts).await?;
            work.report.rereads += 1;
            for part in &mut work.parts {
                if parts.iter().any(|again| again.days == part.days) {
                    *part = Part::new(part.days);
                }
            }
            return Ok(Some(Round::Wait(std::time::Duration::ZERO, "")));
        }
        let reason = told(&days, &rows, &control);
        let error = rpc::row_error(&Failure::Differed(reason.clone()));
        work.report.reconciliation = Reconciliation::Differed { control: total, reason };
        self.close(work, State::Failed, Some(error)).await.map(|()| Some(Round::Ended))
    }

    /// The account's sums by the first day of their slices. `None` where it had to leave off before the end.
    async fn control(
        &self,
        work: &mut Work,
        question: &Question,
        stop: &CancellationToken,
    ) -> Result<Option<BTreeMap<Day, Sums>>, Error> {
        let control = question.query.control();
        let pieces = match control.increment {
            Increment::Days(each) => {
                let each = usize::from(each.max(1));
                control.days.split(each * (CONTROL_DAYS / each).max(1))
            }
            Increment::All | Increment::Monthly => vec![control.days],
        };
        let mut sums: BTreeMap<Day, Sums> = BTreeMap::new();
        for days in pieces {
            let query = control.during(days);
            let mut after: Option<String> = None;
            loop {
                if !self.goes_on(work, stop) {
                    return Ok(None);
                }
                let call = meta::read(question.account, &query, PAGE, after.as_deref());
                let page: Page<meta::Row> = self.ask(work, self.graph.send(&Self::on(work), call)).await?;
                for read in &page.data {
                    let day = sums.entry(read.date_start).or_default();
                    *day = day.plus(row::sums(read)).ok_or(Error::Corrupt("sum of an account"))?;
                }
                after = cursor_after(&page, after.as_deref())?;
                self.tell(work).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(Some(sums))
    }
}

fn holds(days: DayRange, day: Day) -> bool {
    days.since() <= day && day <= days.until()
}

/// The first days that differ, with both impressions.
fn told(days: &[Day], rows: &BTreeMap<Day, Sums>, control: &BTreeMap<Day, Sums>) -> String {
    let of = |sums: &BTreeMap<Day, Sums>, day: &Day| sums.get(day).copied().unwrap_or_default();
    let one = |day: &Day| {
        let (rows, control) = (of(rows, day), of(control, day));
        format!(
            "{day}: rows {} impressions, {} clicks, {} spend; account {}, {}, {}",
            rows.impressions, rows.clicks, rows.spend_minor, control.impressions, control.clicks, control.spend_minor
        )
    };
    let shown: Vec<String> = days.iter().take(3).map(one).collect();
    let more = days.len().saturating_sub(shown.len());
    let rest = if more == 0 { String::new() } else { format!(" and {more} more days") };
    format!("{}{rest}", shown.join(", "))
}
