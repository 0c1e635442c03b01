//! Sends uploads to Meta, session by session, and erases what was sent.
//!
//! Adding people and removing them are sets' operations, so whatever was perhaps sent is sent again: the sessions, their
//! numbers at Meta and their rows are written down before the first goes. A worker that dies leaves the run under a lease;
//! the next one goes on with the first session that has no answer.

use std::sync::Arc;
use std::time::Duration;

use graph::audiences::{self as calls, Change, Session as MetaSession};
use graph::{Answer, Priority};
use jiff::Timestamp;
use prost::Message;
use proto::{
    audiences::v1 as pb,
    operations::v1::{Operation, OperationPart, PartState},
};
use storage::operations::Claimed;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;
use vocabulary::Clock;

use crate::{
    audiences::on,
    error::Error,
    members::RUN,
    operations,
    row::Person,
    seal::{Place, Sealer},
    sessions::{self, Part},
    settings::UploaderSettings,
    store::{Job, JobState, Mode, Rows, Session, Store},
};

/// How often Meta may receive another number of rows than a session has, before the upload has failed.
const MISCOUNTS_MAX: i32 = 5;
/// How many parts an operation shows.
const PARTS_SHOWN_MAX: usize = 1_000;
/// The longest pause before Meta is asked again.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Meta, as an upload needs it.
pub(crate) trait Door: Clone + Send + Sync + 'static {
    /// Sends one batch of rows, a JSON list.
    fn send(
        &self,
        job: &Job,
        schema: &[calls::Key],
        rows: String,
        session: MetaSession,
    ) -> impl Future<Output = Result<Answer<calls::Received>, graph::Error>> + Send;

    /// The audience as it is now.
    fn read(&self, job: &Job) -> impl Future<Output = Result<calls::Audience, graph::Error>> + Send;
}

/// The real one.
impl Door for graph::Client {
    async fn send(
        &self,
        job: &Job,
        schema: &[calls::Key],
        rows: String,
        session: MetaSession,
    ) -> Result<Answer<calls::Received>, graph::Error> {
        let change = match job.mode {
            Mode::Add => Change::Add,
            Mode::Remove => Change::Remove,
        };
        let on = on(&job.tenant, job.account, Priority::Bulk, 120, "audiences.write");
        graph::Client::send_traced(self, &on, calls::change_users(job.audience, change, schema, &rows, session)).await
    }

    async fn read(&self, job: &Job) -> Result<calls::Audience, graph::Error> {
        let on = on(&job.tenant, job.account, Priority::Sync, 20, "audiences.read");
        graph::Client::send(self, &on, calls::get(job.audience)).await
    }
}

/// Sends uploads.
#[derive(Clone)]
pub(crate) struct Uploader<C, D> {
    store: Store,
    sealer: Arc<Sealer>,
    door: D,
    clock: C,
    settings: UploaderSettings,
    woken: Arc<Notify>,
}

/// How a run goes on after a step.
enum Step {
    /// It is over, well.
    Done,
    /// Somebody asked for it to stop.
    Cancelled,
    /// This process stops; another goes on.
    Stopped,
}

impl<C: Clock, D: Door> Uploader<C, D> {
    /// Sends the uploads of `store` through `door`, woken by `woken`.
    pub(crate) fn new(
        store: Store,
        sealer: Arc<Sealer>,
        door: D,
        clock: C,
        settings: UploaderSettings,
        woken: Arc<Notify>,
    ) -> Self {
        Self { store, sealer, door, clock, settings, woken }
    }

    /// Sends until `stop` fires. A call once begun is finished and written down.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let poll = Duration::from_millis(self.settings.poll_milliseconds);
        while !stop.is_cancelled() {
            match self.round(&stop).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => warn!(error = &error as &dyn std::error::Error, "uploads wait for the next round"),
            }
            let wait = async {
                tokio::select! {
                    () = self.woken.notified() => {}
                    () = tokio::time::sleep(poll) => {}
                }
            };
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
        }
    }

    /// Works on one upload. Says whether there was one.
    pub(crate) async fn round(&self, stop: &CancellationToken) -> Result<bool, Error> {
        let lease = Duration::from_secs(self.settings.lease_seconds);
        let Some(claimed) = self.store.operations().claim(&[RUN], lease).await? else { return Ok(false) };
        let operation = Operation::decode(claimed.body.as_slice()).map_err(|_| Error::Corrupt("operation"))?;
        let tenant = claimed.tenant.parse().map_err(|_| Error::Corrupt("tenant"))?;
        let id = Uuid::from_slice(&claimed.input).map_err(|_| Error::Corrupt("operation"))?;
        let job = self.store.job(&tenant, id).await?.ok_or(Error::Corrupt("member job"))?;
        let result = self.send_all(&job, &claimed, &operation, stop).await;
        self.settle(&job, &claimed, operation, result).await?;
        Ok(true)
    }

    async fn send_all(
        &self,
        job: &Job,
        claimed: &Claimed,
        operation: &Operation,
        stop: &CancellationToken,
    ) -> Result<Step, Error> {
        let mut sessions = self.planned(job).await?;
        let schema = sessions::schema(job.keys);
        let mut cancelled = claimed.cancel_requested;
        for place in 0..sessions.len() {
            let Some(session) = sessions.get(place).copied().filter(|session| !session.sent) else { continue };
            if cancelled {
                return Ok(Step::Cancelled);
            }
            if stop.is_cancelled() {
                return Ok(Step::Stopped);
            }
            if job.expire_time <= self.clock.now() {
                return Err(Error::TooLate);
            }
            let (sent, trace) = match self.send_session(job, &schema, session).await {
                Err(Error::Miscounted { sent, received, .. }) => {
                    let times = self.store.session_miscounted(claimed, job.id, session.number).await?;
                    return Err(Error::Miscounted { sent, received, times });
                }
                sent => sent?,
            };
            self.store.session_sent(claimed, job, &sent, trace.as_deref()).await?;
            if let Some(slot) = sessions.get_mut(place) {
                *slot = sent;
            }
            let body = shown(operation.clone(), &sessions, "sending people").encode_to_vec();
            cancelled = self.store.operations().progress(claimed, &body).await?.cancel_requested;
        }
        Ok(Step::Done)
    }

    /// The sessions, written down before the first is sent.
    async fn planned(&self, job: &Job) -> Result<Vec<Session>, Error> {
        let known = self.store.sessions(&job.tenant, job.id).await?;
        if !known.is_empty() {
            return Ok(known);
        }
        let parts: Vec<Part> = self
            .store
            .parts(&job.tenant, job.id)
            .await?
            .iter()
            .map(|part| Part { sequence: part.sequence, rows: usize::try_from(part.accepted).unwrap_or_default() })
            .collect();
        let sessions: Vec<Session> = sessions::plan(&parts, self.settings.session_rows)
            .iter()
            .zip(0..)
            .map(|(planned, number)| Session {
                number,
                meta_id: new_session_id(),
                first_sequence: *planned.parts.start(),
                last_sequence: *planned.parts.end(),
                rows: i32::try_from(planned.rows).unwrap_or(i32::MAX),
                sent: false,
                received: 0,
                invalid: 0,
            })
            .collect();
        self.store.plan_sessions(&job.tenant, job.id, &sessions).await?;
        Ok(self.store.sessions(&job.tenant, job.id).await?)
    }

    /// One session in one batch: a session is never longer than a call may be. Gives Meta's trace id, too.
    async fn send_session(
        &self,
        job: &Job,
        schema: &[calls::Key],
        session: Session,
    ) -> Result<(Session, Option<String>), Error> {
        let sealed = self.store.sealed(&job.tenant, job.id, session.first_sequence, session.last_sequence).await?;
        let (sealer, tenant, id, keys) = (self.sealer.clone(), job.tenant.clone(), job.id, schema.to_vec());
        let open = move || -> Result<(String, usize), Error> {
            let mut people: Vec<Person> = Vec::new();
            for (sequence, sealed) in sealed {
                people.append(&mut sealer.open(Place { tenant: &tenant, job: id, sequence }, &sealed)?);
            }
            Ok((sessions::rows(&people, &keys), people.len()))
        };
        let (rows, count) = tokio::task::spawn_blocking(open).await??;
        if i32::try_from(count).ok() != Some(session.rows) {
            return Err(Error::Corrupt("upload session"));
        }
        let meta = MetaSession {
            session_id: session.meta_id,
            batch_seq: 1,
            last_batch_flag: true,
            estimated_num_total: count,
        };
        let Answer { value: received, trace_id } = self.door.send(job, schema, rows, meta).await?;
        debug!(rows.sent = count, rows.received = received.num_received, "Meta answered to a session");
        // Success is read back: rows that Meta did not receive are not in the audience.
        match received.num_received {
            Some(rows) if rows == i64::from(session.rows) => {
                let invalid = received.num_invalid_entries;
                Ok((Session { sent: true, received: rows, invalid, ..session }, trace_id))
            }
            received => Err(Error::Miscounted { sent: count, received, times: 0 }),
        }
    }

    /// Ends the run, or puts it back for later.
    async fn settle(
        &self,
        job: &Job,
        claimed: &Claimed,
        operation: Operation,
        result: Result<Step, Error>,
    ) -> Result<(), Error> {
        let sessions = self.store.sessions(&job.tenant, job.id).await?;
        let rows = match &result {
            Err(Error::Miscounted { .. }) => Rows::Kept,
            _ => Rows::Erased,
        };
        let (state, operation) = match result {
            Ok(Step::Done) => {
                self.refresh(job).await?;
                let operation = shown(operation, &sessions, "done");
                (JobState::Succeeded, operations::succeeded(operation, "RunMemberJobResult", &summed(&sessions)))
            }
            Ok(Step::Cancelled) => {
                let operation = shown(operation, &sessions, "cancelled");
                (JobState::Cancelled, operations::failed(operation, &Error::Cancelled))
            }
            Ok(Step::Stopped) => {
                let body = shown(operation, &sessions, "waiting to be sent").encode_to_vec();
                return Ok(self.store.operations().postpone(claimed, Duration::ZERO, &body).await?);
            }
            Err(Error::Store(error)) if error.is_fenced() => return Err(error.into()),
            Err(error) if goes_on(&error) => return self.later(claimed, operation, &sessions, &error).await,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "an upload failed");
                (JobState::Failed, operations::failed(shown(operation, &sessions, "failed"), &error))
            }
        };
        Ok(self.store.end_job(job, (state, rows), claimed, &operation.encode_to_vec(), self.clock.now()).await?)
    }

    /// What is stored of the audience is old now; nothing depends on this read, so its failure is no failure of the run.
    async fn refresh(&self, job: &Job) -> Result<(), Error> {
        let now = self.clock.now();
        match self.door.read(job).await {
            Ok(audience) => self.store.keep(&job.tenant, job.account, &[audience], now).await?,
            Err(error) => debug!(error = &error as &dyn std::error::Error, "the audience is read again later"),
        }
        Ok(())
    }

    async fn later(
        &self,
        claimed: &Claimed,
        operation: Operation,
        sessions: &[Session],
        error: &Error,
    ) -> Result<(), Error> {
        let pause = pause(error, claimed.attempt);
        debug!(error = error as &dyn std::error::Error, pause.seconds = pause.as_secs(), "an upload waits");
        let mut operation = shown(operation, sessions, "waiting");
        let again = self.clock.now().checked_add(pause).unwrap_or(Timestamp::MAX);
        let metadata = operation.metadata.get_or_insert_default();
        metadata.next_attempt_time = Some(prost_types::Timestamp { seconds: again.as_second(), nanos: 0 });
        metadata.waiting_on = match error {
            Error::Meta(graph::Error::Quota { .. } | graph::Error::Throttled { .. }) => "quota".to_owned(),
            Error::Meta(_) | Error::Miscounted { .. } => "meta".to_owned(),
            _ => "store".to_owned(),
        };
        Ok(self.store.operations().postpone(claimed, pause, &operation.encode_to_vec()).await?)
    }
}

/// Does the run go on after this error, by waiting alone? A lost answer too: the session is sent again.
fn goes_on(error: &Error) -> bool {
    match error {
        Error::Meta(graph::Error::OutcomeUnknown { .. } | graph::Error::Malformed { .. }) => true,
        Error::Miscounted { times, .. } => *times < MISCOUNTS_MAX,
        error => error.is_temporary(),
    }
}

fn pause(error: &Error, attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or_default().min(16);
    let backoff = Duration::from_secs(2).saturating_mul(2_u32.saturating_pow(doublings));
    rpc::Fault::retry_after(error).unwrap_or(backoff).clamp(Duration::from_secs(1), PAUSE_MAX)
}

/// Positive, and new for every session.
fn new_session_id() -> u64 {
    let (high, _) = Uuid::new_v4().as_u64_pair();
    (high >> 1).max(1)
}

/// The operation as it stands.
fn shown(mut operation: Operation, sessions: &[Session], phase: &str) -> Operation {
    let metadata = operation.metadata.get_or_insert_default();
    phase.clone_into(&mut metadata.phase);
    metadata.waiting_on.clear();
    metadata.next_attempt_time = None;
    let sent = sessions.iter().filter(|session| session.sent).count();
    metadata.steps_done = i64::try_from(sent).unwrap_or(i64::MAX);
    metadata.steps_total = i64::try_from(sessions.len()).unwrap_or(i64::MAX);
    let newest = sessions.len().saturating_sub(PARTS_SHOWN_MAX);
    metadata.parts = sessions.iter().skip(newest).map(part).collect();
    operation
}

fn part(session: &Session) -> OperationPart {
    let state = if session.sent { PartState::Succeeded } else { PartState::Pending };
    OperationPart {
        name: format!("session {}", session.number + 1),
        state: state.into(),
        percent: if session.sent { 100 } else { 0 },
        meta_id: session.meta_id.to_string(),
        ..OperationPart::default()
    }
}

fn summed(sessions: &[Session]) -> pb::RunMemberJobResult {
    let told = |session: &Session| pb::MemberSession {
        session_id: session.meta_id.to_string(),
        received: session.received,
        invalid: session.invalid,
    };
    pb::RunMemberJobResult {
        received: sessions.iter().map(|session| session.received).sum(),
        invalid: sessions.iter().map(|session| session.invalid).sum(),
        sessions: sessions.iter().take(PARTS_SHOWN_MAX).map(told).collect(),
    }
}

#[cfg(test)]
mod tests;
