//! Makes reports: claims one, asks Meta for what is next, keeps what came, and puts the work back until Meta is further.
//!
//! Everything is kept before it is acted on: a run's id before it is polled, a page with the cursor behind it. A process
//! that is killed leaves a lease that ends; whoever claims the report then goes on with the same runs. At most one page
//! or one begun run is lost, and a begun run that nobody knows of costs quota only.

mod begin;
mod conclude;
mod read;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use graph::{Asset, On, Page, Priority};
use prost::Message;
use proto::common::v1::RowError;
use rpc::Fault;
use storage::operations::{Claimed, Operations};
use tokio_util::sync::CancellationToken;
use vocabulary::{Clock, ids::TenantId, names};

use crate::{
    Error,
    error::Failure,
    report::{Part, Question, Report, State},
    reports::KIND,
    run::{Event, Limits, Next, Run, next},
    settings::PollerSettings,
    slices,
    store::Store,
    wire,
};

/// How long one call to Meta may take, waiting for quota included.
const CALL: Duration = Duration::from_secs(90);

/// Makes reports until it is stopped. Clones share everything.
#[derive(Clone)]
pub(crate) struct Poller<C> {
    store: Store,
    operations: Operations,
    graph: graph::Client,
    settings: PollerSettings,
    clock: C,
    also: Vec<String>,
}

/// What a round came to.
enum Round {
    /// Go on after this time; the words say what is waited for.
    Wait(Duration, &'static str),
    /// The report has ended.
    Ended,
}

/// A report that this worker holds.
struct Work {
    claimed: Claimed,
    report: Report,
    parts: Vec<Part>,
}

impl<C: Clock> Poller<C> {
    /// A worker; `also` as in [`crate::reports::Reports`].
    pub(crate) fn new(
        store: Store,
        operations: Operations,
        graph: graph::Client,
        settings: PollerSettings,
        clock: C,
        also: Vec<String>,
    ) -> Self {
        Self { store, operations, graph, settings, clock, also }
    }

    /// Makes reports, one at a time, until `stop` fires. A round once begun is finished, so that nothing is asked twice.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let idle = Duration::from_millis(self.settings.idle_milliseconds);
        while !stop.is_cancelled() {
            match self.turn(&stop).await {
                Ok(true) => {}
                Ok(false) => pause(&stop, idle).await,
                Err(error) => {
                    tracing::warn!(error = %error, "reports cannot be claimed");
                    pause(&stop, idle.max(Duration::from_secs(1))).await;
                }
            }
        }
    }

    /// One round of one report, where one is due.
    async fn turn(&self, stop: &CancellationToken) -> Result<bool, storage::Error> {
        let Some(claimed) = self.operations.claim(&[KIND], self.lease()).await? else { return Ok(false) };
        Box::pin(self.work(claimed, stop)).await;
        Ok(true)
    }

    async fn work(&self, claimed: Claimed, stop: &CancellationToken) {
        let (tenant, report) = (claimed.tenant.clone(), claimed.id);
        let ended = match self.open(claimed).await {
            Ok(Some(mut work)) => self.round_and_rest(&mut work, stop).await,
            // Deleted meanwhile; its operation goes with the sweep.
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => {}
            Err(Error::Store(error)) if error.is_fenced() => {
                tracing::info!(tenant.id = tenant, report.id = %report, "somebody else goes on with this report");
            }
            Err(error) => {
                // The lease ends by itself, and the report is claimed again.
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, tenant.id = tenant, report.id = %report, "a report stands still");
            }
        }
    }

    async fn open(&self, claimed: Claimed) -> Result<Option<Work>, Error> {
        let tenant: TenantId = claimed.tenant.parse().map_err(|_| Error::Corrupt("tenant"))?;
        let Some(report) = self.store.report(&tenant, None, claimed.id).await? else { return Ok(None) };
        let parts = self.store.parts(&tenant, claimed.id).await?;
        Ok(Some(Work { claimed, report, parts }))
    }

    async fn round_and_rest(&self, work: &mut Work, stop: &CancellationToken) -> Result<(), Error> {
        let (delay, waiting) = match Box::pin(self.round(work, stop)).await {
            Ok(Round::Ended) => return Ok(()),
            Ok(Round::Wait(delay, waiting)) => (delay, waiting),
            Err(Error::Graph(error)) if error.is_temporary() && !self.is_too_old(work) => Self::back_off(work, &error),
            Err(Error::Graph(error)) if error.is_temporary() => {
                let failure = Failure::TooLong(self.settings.report_hours_max, error.to_string());
                return self.fail(work, rpc::row_error(&failure)).await;
            }
            Err(error @ Error::Graph(_)) => {
                let error = error.hide(names::of_ad_account(work.report.account));
                return self.fail(work, rpc::row_error(&error)).await;
            }
            Err(error @ (Error::Query(_) | Error::Endless)) => return self.fail(work, rpc::row_error(&error)).await,
            Err(error) => return Err(error),
        };
        let waiting = (!delay.is_zero()).then_some((waiting, delay));
        let body = wire::running(&work.report, &work.parts, waiting, self.clock.now()).encode_to_vec();
        Ok(self.operations.postpone(&work.claimed, delay, &body).await?)
    }

    /// Everything that can be done now: begin, poll, read; once all is read, compare and end.
    async fn round(&self, work: &mut Work, stop: &CancellationToken) -> Result<Round, Error> {
        if work.claimed.cancel_requested {
            return self.cancel(work).await.map(|()| Round::Ended);
        }
        if work.report.plan.is_none() {
            self.plan(work).await?;
        }
        let question = self.question(work)?;
        self.poll_runs(work).await?;
        self.begin_slices(work, &question).await?;
        self.read_rows(work, &question, stop).await?;
        if work.parts.iter().any(|part| part.run == Run::Failed) {
            let error = work.parts.iter().find_map(|part| part.error.clone()).unwrap_or_default();
            return self.fail(work, error).await.map(|()| Round::Ended);
        }
        if work.parts.iter().all(Part::is_over)
            && let Some(round) = self.conclude(work, &question, stop).await?
        {
            return Ok(round);
        }
        if self.is_too_old(work) {
            let failure = Failure::TooLong(self.settings.report_hours_max, "Meta's report runs".to_owned());
            return self.fail(work, rpc::row_error(&failure)).await.map(|()| Round::Ended);
        }
        Ok(self.rest(work))
    }

    /// The checked query about the planned days.
    fn question(&self, work: &Work) -> Result<Question, Error> {
        let plan = work.report.plan.as_ref().ok_or(Error::Corrupt("plan of a report"))?;
        let today = crate::query::Today::at(work.report.created);
        let checked = crate::query::check(Some(&work.report.query), &self.also, today).map_err(Error::Query)?;
        let query = checked.resolve(plan.days.until()).during(plan.days);
        Ok(Question { account: work.report.account, query })
    }

    /// Long runs are asked about less often; a slice that can be begun or read is gone on with at once.
    fn rest(&self, work: &Work) -> Round {
        let now = self.clock.now();
        let youngest = work.parts.iter().filter_map(|part| match part.run {
            Run::Polling { since, .. } => Duration::try_from(now.duration_since(since)).ok(),
            _ => None,
        });
        let (least, most) = (self.settings.poll_milliseconds_min, self.settings.poll_seconds_max);
        let (least, most) = (Duration::from_millis(least), Duration::from_secs(most));
        youngest.min().map_or(Round::Wait(Duration::ZERO, ""), |age| Round::Wait((age / 4).clamp(least, most), "meta"))
    }

    /// Meta, our own quota, or a service of ours asks to wait.
    fn back_off(work: &Work, error: &graph::Error) -> (Duration, &'static str) {
        let quota = error.code() == rpc::Code::ResourceExhausted;
        let delay = error.retry_after().unwrap_or(Duration::from_secs(2)).max(Duration::from_secs(1));
        tracing::debug!(report.id = %work.report.id, error = %error, "a report waits");
        (delay.min(Duration::from_hours(1)), if quota { "quota" } else { "meta" })
    }

    fn is_too_old(&self, work: &Work) -> bool {
        let limit = Duration::from_secs(self.settings.report_hours_max * 3_600);
        let age = Duration::try_from(self.clock.now().duration_since(work.report.created));
        age.is_ok_and(|age| age > limit)
    }

    /// Whether another page may be asked for: nobody wants it to stop, and there is time left. Asked before each, because
    /// only Meta knows how many there are.
    fn goes_on(&self, work: &Work, stop: &CancellationToken) -> bool {
        !stop.is_cancelled() && !work.claimed.cancel_requested && !self.is_too_old(work)
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(self.settings.lease_seconds)
    }

    /// Waits for Meta's answer and keeps the lease meanwhile: a call may take longer than a lease.
    async fn ask<T>(&self, work: &Work, call: impl Future<Output = Result<T, graph::Error>>) -> Result<T, Error> {
        let mut call = std::pin::pin!(call);
        loop {
            tokio::select! {
                answer = &mut call => return Ok(answer?),
                () = tokio::time::sleep(self.lease() / 3) => {
                    let body = wire::running(&work.report, &work.parts, None, self.clock.now()).encode_to_vec();
                    self.operations.progress(&work.claimed, &body).await?;
                }
            }
        }
    }

    fn on(work: &Work) -> On {
        On {
            tenant: work.report.tenant.clone(),
            asset: Asset::AdAccount(work.report.account),
            priority: Priority::Bulk,
            deadline: Instant::now() + CALL,
            purpose: "insights.read",
            reservation: None,
        }
    }

    fn limits(&self) -> Limits {
        Limits { tries_max: self.settings.tries_max, run_max: Duration::from_secs(self.settings.run_minutes_max * 60) }
    }

    /// Keeps what an event makes of a slice. A slice that is cut leaves its halves at the end of the list.
    async fn apply(&self, work: &mut Work, index: usize, event: &Event, message: Option<&str>) -> Result<(), Error> {
        let Some(part) = work.parts.get(index).cloned() else { return Ok(()) };
        match next(&part.run, part.tries, event, self.clock.now(), self.limits()) {
            Next::Go(run) if run == part.run => Ok(()),
            Next::Go(run) => {
                let begun = matches!(event, Event::Started(_) | Event::StartedAtOnce);
                let part = Part { run, tries: part.tries + u32::from(begun), ..part };
                self.store.save_part(&work.claimed, &part).await?;
                set(&mut work.parts, index, part);
                Ok(())
            }
            Next::Again => {
                let anew = Part { tries: part.tries, ..Part::new(part.days) };
                self.store.replace_part(&work.claimed, &part, std::slice::from_ref(&anew)).await?;
                set(&mut work.parts, index, anew);
                Ok(())
            }
            Next::Split => self.split(work, index, &part, event, message).await,
        }
    }

    async fn split(
        &self,
        work: &mut Work,
        index: usize,
        part: &Part,
        event: &Event,
        message: Option<&str>,
    ) -> Result<(), Error> {
        let increment = self.question(work)?.query.increment;
        if let Some((first, second)) = slices::halves(part.days, increment) {
            let halves = [Part::new(first), Part::new(second)];
            self.store.replace_part(&work.claimed, part, &halves).await?;
            let [first, second] = halves;
            set(&mut work.parts, index, first);
            work.parts.push(second);
            return Ok(());
        }
        let failed = Part { run: Run::Failed, error: Some(hopeless(part, event, message)), ..part.clone() };
        self.store.save_part(&work.claimed, &failed).await?;
        set(&mut work.parts, index, failed);
        Ok(())
    }

    /// Tells callers how far it is, keeps the lease, and learns whether somebody wants it to stop.
    async fn tell(&self, work: &mut Work) -> Result<(), Error> {
        let body = wire::running(&work.report, &work.parts, None, self.clock.now()).encode_to_vec();
        let control = self.operations.progress(&work.claimed, &body).await?;
        work.claimed.cancel_requested = control.cancel_requested;
        Ok(())
    }

    async fn fail(&self, work: &mut Work, error: RowError) -> Result<(), Error> {
        self.close(work, State::Failed, Some(error)).await
    }

    /// Runs at Meta are left to end by themselves.
    async fn cancel(&self, work: &mut Work) -> Result<(), Error> {
        self.close(work, State::Cancelled, Some(rpc::row_error(&Failure::Cancelled))).await
    }

    async fn close(&self, work: &mut Work, state: State, error: Option<RowError>) -> Result<(), Error> {
        let now = self.clock.now();
        work.report.state = state;
        work.report.error = error;
        work.report.ended = Some(now);
        let body = wire::done(&work.report, &work.parts, now).encode_to_vec();
        self.store.close(&work.claimed, &work.report, &body).await
    }
}

/// The cursor of the next page. Fails where it is the one just used: its rows would count again, and for ever.
pub(crate) fn cursor_after<T>(page: &Page<T>, used: Option<&str>) -> Result<Option<String>, Error> {
    Ok(page.next(used).map_err(|_| Error::Endless)?.map(str::to_owned))
}

/// Sleeps, or wakes early to stop.
async fn pause(stop: &CancellationToken, time: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// What a slice that cannot be cut further died of.
fn hopeless(part: &Part, event: &Event, message: Option<&str>) -> RowError {
    let days = format!("{} to {}", part.days.since(), part.days.until());
    match event {
        Event::TooMuch | Event::Status { too_large: true, .. } => rpc::row_error(&Failure::TooLarge { days }),
        _ => {
            let message = message.unwrap_or("the run expired").to_owned();
            rpc::row_error(&Failure::RunFailed { days, tries: part.tries, message })
        }
    }
}

fn set(parts: &mut [Part], index: usize, part: Part) {
    if let Some(slot) = parts.get_mut(index) {
        *slot = part;
    }
}
