//! The use cases of uploads: open, add rows, run, look.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use prost::Message;
use proto::{audiences::v1::Member, operations::v1::Operation};
use rpc::{Caller, FieldError};
use storage::operations::New;
use tokio::sync::Notify;
use uuid::Uuid;
use vocabulary::{
    Clock,
    ids::{AdAccountId, AudienceId, TenantId},
};

use crate::{
    error::Error,
    operations,
    row::{self, Form, Person, Read},
    seal::{Place, Sealer},
    store::{Job, JobState, Mode, NewError, NewJob, NewPart, Store, Stored, StoredError},
};

/// Which worker sends uploads.
pub(crate) const RUN: &str = "member_job.run";

/// The most rows of one part.
pub(crate) const PART_ROWS_MAX: usize = 1_000;
/// How long rows are kept.
const LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a caller does with uploads.
#[derive(Clone)]
pub(crate) struct Members<C> {
    store: Store,
    sealer: Arc<Sealer>,
    clock: C,
    rows_max: i64,
    /// Told when there is an upload to send.
    woken: Arc<Notify>,
}

/// Which upload to open.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// The account whose token serves.
    pub(crate) account: AdAccountId,
    /// Into which audience, or out of it.
    pub(crate) audience: AudienceId,
    /// In or out.
    pub(crate) mode: Mode,
    /// How the rows are written.
    pub(crate) form: Form,
    /// The caller's key.
    pub(crate) request_id: Uuid,
    /// Checks only.
    pub(crate) validate_only: bool,
}

/// Which job a call is about, as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobName {
    /// The account in the name.
    pub(crate) account: AdAccountId,
    /// The audience in the name.
    pub(crate) audience: AudienceId,
    /// The job.
    pub(crate) id: Uuid,
}

/// What came of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Rows taken.
    pub(crate) accepted: i64,
    /// What was wrong, by the rows' places in the job.
    pub(crate) errors: Vec<StoredError>,
    /// The part that is expected next.
    pub(crate) next_sequence: i64,
}

impl<C: Clock> Members<C> {
    /// The uploads of `store`, sealed by `sealer`, of at most `rows_max` rows each.
    pub(crate) fn new(store: Store, sealer: Arc<Sealer>, clock: C, rows_max: i64, woken: Arc<Notify>) -> Self {
        Self { store, sealer, clock, rows_max, woken }
    }

    /// Opens an upload, or gives the one that this request opened.
    pub(crate) async fn open(&self, caller: &Caller, open: Open) -> Result<Job, Error> {
        let now = self.clock.now();
        let expires = now.checked_add(LIFE).unwrap_or(Timestamp::MAX);
        if open.validate_only {
            return Ok(would_be(caller, &open, now, expires));
        }
        let new = NewJob {
            id: Uuid::now_v7(),
            account: open.account,
            audience: open.audience,
            request_id: open.request_id,
            subject: caller.subject.to_string(),
            mode: open.mode,
            form: open.form,
            now,
            expires,
        };
        let job = self.store.open_job(&caller.tenant, &new).await?;
        let same = (job.account, job.audience, job.mode, job.form) == (new.account, new.audience, new.mode, new.form);
        if same { Ok(job) } else { Err(Error::RequestIdReused(new.request_id)) }
    }

    /// The tenant's job of that name.
    pub(crate) async fn get(&self, tenant: &TenantId, name: JobName) -> Result<Job, Error> {
        let job = self.store.job(tenant, name.id).await?;
        let job = job.filter(|job| job.account == name.account && job.audience == name.audience);
        job.ok_or_else(|| Error::NotFound(format!("member job {}", name.id)))
    }

    /// Takes one part of rows. A part that was stored before changes nothing and is answered as then. When this returns,
    /// the part is stored; a drop in the middle leaves it stored or not, which `next_sequence` tells.
    pub(crate) async fn append(
        &self,
        actor: &str,
        job: &Job,
        sequence: i64,
        rows: Vec<Member>,
        validate_only: bool,
    ) -> Result<Appended, Error> {
        check_part(sequence, rows.len())?;
        let part = self.prepare(actor, job, sequence, rows).await?;
        if validate_only {
            return Ok(as_if(job, &part));
        }
        let stored = self.store.store_part(&job.tenant, job.id, &part, self.rows_max, self.clock.now()).await?;
        match stored {
            Stored::New { first_row } => Ok(Appended {
                accepted: i64::try_from(part.accepted).unwrap_or(i64::MAX),
                errors: placed(&part.errors, first_row),
                next_sequence: sequence.saturating_add(1),
            }),
            Stored::Before => self.repeated(job, sequence).await,
            Stored::Gap { next_sequence } => Err(Error::Gap { next_sequence }),
            Stored::Closed => {
                Err(closed(self.store.job(&job.tenant, job.id).await?.map_or(job.state, |job| job.state)))
            }
            Stored::Full => {
                let most = format!("must leave the job with at most {} rows: open another", self.rows_max);
                Err(FieldError::new("rows", most, "JOB_FULL").into())
            }
            Stored::Missing => Err(Error::NotFound(format!("member job {}", job.id))),
        }
    }

    /// Normalises, hashes and seals, off the threads that serve other calls.
    async fn prepare(&self, actor: &str, job: &Job, sequence: i64, rows: Vec<Member>) -> Result<NewPart, Error> {
        let (sealer, tenant, id, form) = (self.sealer.clone(), job.tenant.clone(), job.id, job.form);
        let (actor, resource) = (actor.to_owned(), job.name());
        // A day ahead of UTC, so that nobody's birthday is refused for a time zone.
        let today = TimeZone::UTC.to_datetime(self.clock.now()).date().tomorrow().unwrap_or(Date::MAX);
        let work = move || {
            let (people, errors) = read_all(&rows, form, today);
            let sealed = sealer.seal(Place { tenant: &tenant, job: id, sequence }, &people)?;
            Ok(NewPart {
                actor,
                resource,
                sequence,
                rows: rows.len(),
                accepted: people.len(),
                dropped: errors.iter().filter(|error| !error.row_rejected).count(),
                keys: people.iter().fold(0, |keys, person| keys | person.mask()),
                sealed,
                errors,
            })
        };
        tokio::task::spawn_blocking(work).await?
    }

    /// The first answer again, as far as it is still known.
    async fn repeated(&self, job: &Job, sequence: i64) -> Result<Appended, Error> {
        let (tenant, id) = (&job.tenant, job.id);
        let next_sequence = self.store.job(tenant, id).await?.map_or(job.next_sequence, |job| job.next_sequence);
        let Some(part) = self.store.part(tenant, id, sequence).await? else {
            return Ok(Appended { next_sequence, ..Appended::default() });
        };
        let end = part.first_row.saturating_add(part.rows.into());
        // Every row has fewer errors than a member has fields.
        let size = usize::try_from(part.rows).unwrap_or_default().saturating_mul(20);
        let after = (part.first_row.saturating_sub(1), i32::MAX);
        let mut errors = self.store.errors(tenant, id, None, after, size).await?;
        errors.retain(|error| error.row < end);
        Ok(Appended { accepted: part.accepted.into(), errors, next_sequence })
    }

    /// Sends an upload to Meta. A second call gives the operation of the first.
    pub(crate) async fn run(&self, caller: &Caller, job: &Job, validate_only: bool) -> Result<Operation, Error> {
        if let Some(id) = job.operation {
            return self.operation(&job.tenant, id).await;
        }
        if job.state != JobState::Open {
            return Err(closed(job.state));
        }
        if job.rows_accepted == 0 {
            return Err(Error::WrongState { state: "OPEN", advice: "it has no accepted row to send" });
        }
        let resource = job.name();
        if validate_only {
            let checked = operations::begun(Uuid::nil(), &resource, "checked");
            return Ok(Operation { name: String::new(), done: true, ..checked });
        }
        let id = Uuid::now_v7();
        let operation = operations::begun(id, &resource, "waiting to be sent");
        let new = New {
            tenant: job.tenant.as_str(),
            id,
            kind: RUN,
            resource: &resource,
            input: job.id.as_bytes(),
            body: &operation.encode_to_vec(),
        };
        if self.store.start_job(job, &caller.subject, new, self.clock.now()).await? {
            self.woken.notify_one();
            return Ok(operation);
        }
        // Somebody else was quicker.
        let now = self.store.job(&job.tenant, job.id).await?;
        match now.as_ref().and_then(|job| job.operation) {
            Some(id) => self.operation(&job.tenant, id).await,
            None => Err(closed(now.map_or(JobState::Expired, |job| job.state))),
        }
    }

    async fn operation(&self, tenant: &TenantId, id: Uuid) -> Result<Operation, Error> {
        let stored = self.store.operations().get(tenant.as_str(), id).await?;
        operations::read(&stored.ok_or_else(|| Error::NotFound(operations::name(id)))?)
    }

    /// What was wrong with the rows of a job, after a row and number.
    pub(crate) async fn errors(
        &self,
        job: &Job,
        row_rejected: Option<bool>,
        after: (i64, i32),
        size: usize,
    ) -> Result<Vec<StoredError>, Error> {
        Ok(self.store.errors(&job.tenant, job.id, row_rejected, after, size).await?)
    }
}

/// The good people of a part, and what was wrong with the others.
fn read_all(rows: &[Member], form: Form, today: Date) -> (Vec<Person>, Vec<NewError>) {
    let (mut people, mut errors) = (Vec::with_capacity(rows.len()), Vec::new());
    for (place, member) in rows.iter().enumerate() {
        let (flaws, row_rejected) = match row::read(member, form, today) {
            Read::Taken(person, flaws) => {
                people.push(person);
                (flaws, false)
            }
            Read::Refused(flaws) => (flaws, true),
        };
        let error = |flaw: row::RowFlaw| NewError { row: place, field: flaw.field, reason: flaw.reason, row_rejected };
        errors.extend(flaws.into_iter().map(error));
    }
    (people, errors)
}

fn check_part(sequence: i64, rows: usize) -> Result<(), FieldError> {
    let mut fields = rpc::Fields::new();
    fields.check(sequence >= 1, "sequence", "must be at least 1", "SEQUENCE");
    fields.check((1..=PART_ROWS_MAX).contains(&rows), "rows", "must be 1 to 1,000 rows", "ROW_COUNT");
    fields.finish()
}

fn placed(errors: &[NewError], first_row: i64) -> Vec<StoredError> {
    let mut numbers = std::collections::HashMap::new();
    let place = |error: &NewError| {
        let number = numbers.entry(error.row).or_insert(0);
        *number += 1;
        StoredError {
            row: first_row.saturating_add(i64::try_from(error.row).unwrap_or(i64::MAX)),
            number: *number - 1,
            field: error.field.to_owned(),
            reason: error.reason.to_owned(),
            row_rejected: error.row_rejected,
        }
    };
    errors.iter().map(place).collect()
}

/// What a part would come to.
fn as_if(job: &Job, part: &NewPart) -> Appended {
    Appended {
        accepted: i64::try_from(part.accepted).unwrap_or(i64::MAX),
        errors: placed(&part.errors, job.rows_seen),
        next_sequence: job.next_sequence,
    }
}

fn closed(state: JobState) -> Error {
    let (state, advice) = match state {
        JobState::Open => ("OPEN", "it takes rows"),
        JobState::Running => ("RUNNING", "it takes no more rows; open another job"),
        JobState::Succeeded => ("SUCCEEDED", "open another job"),
        JobState::Failed => ("FAILED", "open another job"),
        JobState::Cancelled => ("CANCELLED", "open another job"),
        JobState::Expired => ("EXPIRED", "its rows were erased after seven days; open another job"),
    };
    Error::WrongState { state, advice }
}

fn would_be(caller: &Caller, open: &Open, now: Timestamp, expires: Timestamp) -> Job {
    Job {
        tenant: caller.tenant.clone(),
        id: Uuid::nil(),
        account: open.account,
        audience: open.audience,
        subject: caller.subject.to_string(),
        mode: open.mode,
        form: open.form,
        state: JobState::Open,
        next_sequence: 1,
        rows_seen: 0,
        rows_accepted: 0,
        rows_rejected: 0,
        fields_dropped: 0,
        keys: 0,
        operation: None,
        create_time: now,
        update_time: now,
        expire_time: expires,
    }
}
