//! The first half of a report: its days, its slices, and the runs that Meta works on.

use graph::insights::{self as meta, RunStatus, Started};
use vocabulary::{Clock, calendar};

use super::{Poller, Work};
use crate::{
    Error,
    query::{self, Today},
    report::{Part, Plan, Question, zone},
    run::{Event, Run},
    slices::{self, Mode},
};

impl<C: Clock> Poller<C> {
    /// Reads what the account's numbers are counted in, and so fixes the days: those that were meant when the report was
    /// accepted, however long it waited since.
    pub(super) async fn plan(&self, work: &mut Work) -> Result<(), Error> {
        let account = self.ask(work, self.graph.send(&Self::on(work), meta::account(work.report.account))).await?;
        let created = work.report.created;
        let today = calendar::today(&zone(&account.timezone_name), created);
        let checked = query::check(Some(&work.report.query), &self.also, Today::at(created)).map_err(Error::Query)?;
        let query = checked.resolve(today);
        let (mode, reason) = slices::mode(&query);
        let plan = Plan {
            currency: account.currency,
            time_zone: account.timezone_name,
            days: query.days,
            mode,
            mode_reason: reason.to_owned(),
        };
        let parts: Vec<Part> = slices::slices(&query, mode).into_iter().map(Part::new).collect();
        self.store.plan(&work.claimed, &plan, &parts).await?;
        work.report.plan = Some(plan);
        work.parts = parts;
        Ok(())
    }

    /// Asks about all runs at once, in batches.
    pub(super) async fn poll_runs(&self, work: &mut Work) -> Result<(), Error> {
        let polling: Vec<_> = work
            .parts
            .iter()
            .enumerate()
            .filter_map(|(index, part)| match part.run {
                Run::Polling { job, .. } => Some((index, job)),
                _ => None,
            })
            .collect();
        if polling.is_empty() {
            return Ok(());
        }
        let calls = polling.iter().map(|(_, job)| meta::poll(*job)).collect();
        let answers: Vec<Result<RunStatus, graph::Error>> =
            self.ask(work, self.graph.send_all(&Self::on(work), calls)).await?;
        let mut obstacle = None;
        for ((index, _), answer) in polling.into_iter().zip(answers) {
            match answer {
                Ok(status) => {
                    let event = Event::Status {
                        state: status.state(),
                        percent: status.async_percent_completion,
                        too_large: status.too_large(),
                    };
                    self.apply(work, index, &event, status.error_message.as_deref()).await?;
                }
                Err(graph::Error::Missing { .. }) => self.apply(work, index, &Event::Gone, None).await?,
                Err(error) => obstacle = Some(error),
            }
        }
        obstacle.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Begins as many slices as may be worked on at once. What Meta took is kept even where it refuses the next.
    pub(super) async fn begin_slices(&self, work: &mut Work, question: &Question) -> Result<(), Error> {
        let pending: Vec<usize> = (0..work.parts.len())
            .filter(|index| work.parts.get(*index).is_some_and(|part| part.run == Run::Pending))
            .collect();
        if work.report.plan.as_ref().is_some_and(|plan| plan.mode == Mode::Sync) {
            for index in pending {
                self.apply(work, index, &Event::StartedAtOnce, None).await?;
            }
            return Ok(());
        }
        let polling = work.parts.iter().filter(|part| matches!(part.run, Run::Polling { .. })).count();
        let free = self.settings.runs_max.saturating_sub(polling);
        let pending: Vec<usize> = pending.into_iter().take(free).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let days = |index: &usize| work.parts.get(*index).map_or(question.query.days, |part| part.days);
        let calls =
            pending.iter().map(|index| meta::start(question.account, &question.query.during(days(index)))).collect();
        let answers: Vec<Result<Started, graph::Error>> =
            self.ask(work, self.graph.send_all(&Self::on(work), calls)).await?;
        let mut obstacle = None;
        for (index, answer) in pending.into_iter().zip(answers) {
            match answer {
                Ok(started) => self.apply(work, index, &Event::Started(started.report_run_id), None).await?,
                Err(graph::Error::TooMuchData { .. }) => self.apply(work, index, &Event::TooMuch, None).await?,
                // The first that no waiting mends decides.
                Err(error) if obstacle.is_none() || !error.is_temporary() => obstacle = Some(error),
                Err(error) => tracing::debug!(error = %error, "a slice is begun later"),
            }
        }
        obstacle.map_or(Ok(()), |error| Err(error.into()))
    }
}
