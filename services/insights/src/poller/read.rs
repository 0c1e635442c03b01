//! Reading rows, page by page.

use graph::{Page, insights as meta};
use tokio_util::sync::CancellationToken;
use vocabulary::Clock;

use super::{Poller, Work, cursor_after, set};
use crate::{
    Error,
    report::{Part, Question},
    row,
    run::{Event, Next, Run, next},
    store::Fact,
};

/// Rows of a page, to begin with. Meta answers up to about a thousand; large rows make it fail earlier.
const PAGE: u16 = 500;

/// The smallest page before a slice counts as too large.
const PAGE_MIN: u16 = 25;

impl<C: Clock> Poller<C> {
    /// Reads every slice that can be read to its end, or until somebody wants it to stop or it takes too long.
    pub(super) async fn read_rows(
        &self,
        work: &mut Work,
        question: &Question,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let mut index = 0;
        while index < work.parts.len() {
            let mut limit = PAGE;
            while let Some(part) = work.parts.get(index).filter(|part| matches!(part.run, Run::Reading { .. })).cloned()
            {
                if !self.goes_on(work, stop) {
                    return Ok(());
                }
                limit = self.read_page(work, question, index, part, limit).await?;
                self.tell(work).await?;
            }
            index += 1;
        }
        Ok(())
    }

    /// Reads one page and keeps it. Gives the size of the next one: half, where Meta found this one too large.
    async fn read_page(
        &self,
        work: &mut Work,
        question: &Question,
        index: usize,
        part: Part,
        limit: u16,
    ) -> Result<u16, Error> {
        let Run::Reading { job, after } = &part.run else { return Ok(limit) };
        let after = after.as_deref();
        let call = match job {
            Some(run) => meta::rows(*run, limit, after),
            None => meta::read(question.account, &question.query.during(part.days), limit, after),
        };
        match self.ask(work, self.graph.send(&Self::on(work), call)).await {
            Ok(page) => self.keep(work, question, index, part, page).await.map(|()| limit),
            Err(Error::Graph(graph::Error::TooMuchData { .. })) if limit > PAGE_MIN => Ok((limit / 2).max(PAGE_MIN)),
            Err(Error::Graph(graph::Error::TooMuchData { .. })) => {
                self.apply(work, index, &Event::TooMuch, None).await.map(|()| limit)
            }
            Err(Error::Graph(graph::Error::Missing { .. })) if job.is_some() => {
                self.apply(work, index, &Event::Gone, None).await.map(|()| limit)
            }
            Err(error) => Err(error),
        }
    }

    async fn keep(
        &self,
        work: &mut Work,
        question: &Question,
        index: usize,
        part: Part,
        page: Page<meta::Row>,
    ) -> Result<(), Error> {
        let Run::Reading { after, .. } = &part.run else { return Ok(()) };
        let event = Event::Page { next: cursor_after(&page, after.as_deref())? };
        let now = self.clock.now();
        let first = part.row_count;
        let mut sums = part.sums;
        let mut rows = Vec::with_capacity(page.data.len());
        for read in page.data {
            let of_row = row::sums(&read);
            sums = sums.plus(of_row).ok_or(Error::Corrupt("sum of a report"))?;
            let date_start = read.date_start;
            rows.push(Fact { date_start, sums: of_row, row: row::encode(read, &question.query.breakdowns) });
        }
        let run = match next(&part.run, part.tries, &event, now, self.limits()) {
            Next::Go(run) => run,
            // A page never leads elsewhere.
            Next::Again | Next::Split => part.run.clone(),
        };
        let row_count = first.saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        let part = Part { run, row_count, sums, ..part };
        self.store.keep_page(&work.claimed, &part, first, &rows, now).await?;
        set(&mut work.parts, index, part);
        work.report.data_time = Some(now);
        Ok(())
    }
}
