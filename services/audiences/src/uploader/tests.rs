//! The upload from rows to Meta, on a real PostgreSQL and a scripted Meta.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use proto::{audiences::v1::Member, operations::v1::operation::Outcome};
use rpc::{Caller, Scopes};
use vocabulary::{
    TestClock,
    identity::Hash,
    ids::{AdAccountId, AudienceId},
};

use super::*;
use crate::{
    members::{Members, Open},
    row::Form,
    store::tests::{now, postgres, tenant},
};

/// A Meta that counts people as a set, and fails as told.
#[derive(Clone)]
struct Meta(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// What the next calls fail with, last first; the rows may be taken all the same.
    failures: Vec<graph::Error>,
    /// How many rows of each call go missing; `None`: Meta does not say how many it received.
    missing: Option<i64>,
    sessions: Vec<(u64, usize)>,
    people: BTreeSet<String>,
    keys: Vec<calls::Key>,
}

impl Default for Meta {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner { missing: Some(0), ..Inner::default() })))
    }
}

impl Meta {
    fn with<T>(&self, read: impl FnOnce(&mut Inner) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Door for Meta {
    async fn send(
        &self,
        _: &Job,
        schema: &[calls::Key],
        rows: String,
        session: MetaSession,
    ) -> Result<graph::Answer<calls::Received>, graph::Error> {
        let rows: Vec<Vec<String>> = serde_json::from_str(&rows).unwrap();
        assert!(rows.iter().all(|row| row.len() == schema.len()));
        assert!(session.last_batch_flag && session.batch_seq == 1 && session.session_id > 0);
        self.with(|inner| {
            inner.keys = schema.to_vec();
            inner.sessions.push((session.session_id, rows.len()));
            inner.people.extend(rows.iter().map(|row| row.join(",")));
            match inner.failures.pop() {
                Some(error) => Err(error),
                None => {
                    let received = inner.missing.map(|missing| i64::try_from(rows.len()).unwrap() - missing);
                    let value = calls::Received { num_received: received, num_invalid_entries: 1 };
                    Ok(graph::Answer { value, trace_id: Some("ATRACE".to_owned()) })
                }
            }
        })
    }

    async fn read(&self, job: &Job) -> Result<calls::Audience, graph::Error> {
        let people = self.with(|inner| inner.people.len());
        let json = serde_json::json!({ "id": job.audience.to_string(), "approximate_count_upper_bound": people });
        Ok(serde_json::from_value(json).unwrap())
    }
}

struct Bench {
    store: Store,
    clock: TestClock,
    members: Members<TestClock>,
    uploader: Uploader<TestClock, Meta>,
    meta: Meta,
    caller: Caller,
    postgres: storage::Postgres,
}

async fn bench() -> Bench {
    let postgres = postgres().await;
    let (store, clock, woken) = (Store::new(postgres.clone()), TestClock::at(now()), Arc::new(Notify::new()));
    let (sealer, meta) = (Arc::new(Sealer::new(&[7; 32]).unwrap()), Meta::default());
    let settings = UploaderSettings { session_rows: 1_000, ..UploaderSettings::default() };
    Bench {
        members: Members::new(store.clone(), sealer.clone(), clock.clone(), 10_000, woken.clone()),
        uploader: Uploader::new(store.clone(), sealer, meta.clone(), clock.clone(), settings, woken),
        caller: Caller::resumed(tenant(), "callers/test", Scopes::All),
        store,
        clock,
        meta,
        postgres,
    }
}

impl Bench {
    async fn open(&self) -> Job {
        let open = Open {
            account: AdAccountId::new(1),
            audience: AudienceId::new(5),
            mode: Mode::Add,
            form: Form::Raw,
            request_id: Uuid::new_v4(),
            validate_only: false,
        };
        self.members.open(&self.caller, open).await.unwrap()
    }

    async fn filled(&self, parts: i64, rows: usize) -> Job {
        let job = self.open().await;
        for sequence in 1..=parts {
            self.members.append("callers/ada", &job, sequence, people(sequence, rows), false).await.unwrap();
        }
        self.store.job(&job.tenant, job.id).await.unwrap().unwrap()
    }

    async fn round(&self) -> bool {
        self.uploader.round(&CancellationToken::new()).await.unwrap()
    }

    async fn operation(&self, job: &Job) -> Operation {
        let id = self.store.job(&job.tenant, job.id).await.unwrap().unwrap().operation.unwrap();
        operations::read(&self.store.operations().get("acme", id).await.unwrap().unwrap()).unwrap()
    }

    /// As if all pauses were over.
    async fn wake(&self) {
        let sql = "UPDATE operations SET due_at = clock_timestamp() WHERE NOT done";
        self.postgres.client().await.unwrap().batch_execute(sql).await.unwrap();
    }
}

fn people(part: i64, rows: usize) -> Vec<Member> {
    let person = |row| Member { email: format!("p{part}-{row}@canary.example"), ..Member::default() };
    (0..rows).map(person).collect()
}

fn result(operation: &Operation) -> pb::RunMemberJobResult {
    match operation.outcome.as_ref().unwrap() {
        Outcome::Result(any) => {
            assert_eq!(any.type_url, "type.googleapis.com/adplane.audiences.v1.RunMemberJobResult");
            pb::RunMemberJobResult::decode(any.value.as_slice()).unwrap()
        }
        Outcome::Error(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn an_upload_goes_in_sessions_and_says_what_meta_counted() {
    let bench = bench().await;
    let job = bench.filled(5, 400).await;
    let accepted = bench.members.run(&bench.caller, &job, false).await.unwrap();
    assert!(!accepted.done && accepted.name.starts_with("operations/audiences-"));
    assert!(bench.round().await && !bench.round().await);
    let operation = bench.operation(&job).await;
    assert!(operation.done);
    let result = result(&operation);
    assert_eq!((result.received, result.invalid, result.sessions.len()), (2_000, 3, 3));
    let metadata = operation.metadata.unwrap();
    assert_eq!((metadata.steps_done, metadata.steps_total, metadata.parts.len()), (3, 3, 3));
    bench.meta.with(|meta| {
        assert_eq!(meta.sessions.iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [800, 800, 400]);
        assert_eq!((meta.people.len(), meta.keys.as_slice()), (2_000, &[calls::Key::Email][..]));
        assert!(meta.people.contains(&Hash::of("p1-0@canary.example").to_string()));
    });
    let job = bench.store.job(&tenant(), job.id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Succeeded);
    assert!(bench.store.parts(&tenant(), job.id).await.unwrap().is_empty(), "the rows are gone");
    let kept = bench.store.audience(&tenant(), job.account, job.audience).await.unwrap().unwrap();
    assert_eq!(kept.graph.approximate_count_upper_bound, Some(2_000), "what is stored is as new as the upload");
}

#[tokio::test]
async fn a_session_whose_answer_was_lost_is_sent_again_under_its_number() {
    let bench = bench().await;
    let job = bench.filled(2, 1_000).await;
    bench.members.run(&bench.caller, &job, false).await.unwrap();
    let lost = graph::Error::OutcomeUnknown { call: "POST id/users".to_owned(), cause: "reset".to_owned() };
    bench.meta.with(|meta| meta.failures.push(lost));
    bench.round().await;
    let waiting = bench.operation(&job).await;
    assert!(!waiting.done);
    assert_eq!(waiting.metadata.as_ref().unwrap().waiting_on, "meta");
    assert!(waiting.metadata.unwrap().next_attempt_time.is_some());
    bench.wake().await;
    bench.round().await;
    assert_eq!(result(&bench.operation(&job).await).received, 2_000);
    bench.meta.with(|meta| {
        assert_eq!(meta.sessions.len(), 3);
        assert_eq!(meta.sessions[0], meta.sessions[1], "the same session, the same rows");
        assert_eq!(meta.people.len(), 2_000);
    });
}

#[tokio::test]
async fn a_session_that_meta_did_not_receive_whole_is_sent_again() {
    for missing in [Some(1), None] {
        let bench = bench().await;
        let job = bench.filled(1, 10).await;
        bench.members.run(&bench.caller, &job, false).await.unwrap();
        bench.meta.with(|meta| meta.missing = missing);
        bench.round().await;
        assert!(!bench.operation(&job).await.done);
        bench.meta.with(|meta| meta.missing = Some(0));
        bench.wake().await;
        bench.round().await;
        assert_eq!(result(&bench.operation(&job).await).received, 10);
        bench.meta.with(|meta| assert_eq!(meta.sessions[0], meta.sessions[1], "the same session, the same rows"));
    }
}

#[tokio::test]
async fn an_upload_that_meta_never_receives_whole_fails_and_keeps_its_rows_for_seven_days() {
    let bench = bench().await;
    let job = bench.filled(1, 10).await;
    bench.members.run(&bench.caller, &job, false).await.unwrap();
    bench.meta.with(|meta| meta.missing = Some(4));
    for _ in 0..MISCOUNTS_MAX {
        assert!(bench.round().await);
        bench.wake().await;
    }
    assert!(!bench.round().await, "it is not tried for ever");
    let Some(Outcome::Error(error)) = bench.operation(&job).await.outcome else { panic!("it ended well") };
    assert_eq!(error.reason, "OUTCOME_UNKNOWN");
    assert_eq!(bench.store.job(&tenant(), job.id).await.unwrap().unwrap().state, JobState::Failed);
    assert_eq!(bench.store.parts(&tenant(), job.id).await.unwrap().len(), 1);
    bench.store.expire_jobs(job.expire_time).await.unwrap();
    assert!(bench.store.parts(&tenant(), job.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_ends_the_run_with_metas_reason_and_erases_the_rows() {
    let bench = bench().await;
    let job = bench.filled(1, 10).await;
    bench.members.run(&bench.caller, &job, false).await.unwrap();
    let refused = graph::Error::Permission { call: "POST id/users".to_owned(), meta: Box::default() };
    bench.meta.with(|meta| meta.failures.push(refused));
    bench.round().await;
    let operation = bench.operation(&job).await;
    let Some(Outcome::Error(error)) = operation.outcome else { panic!("it ended well") };
    assert_eq!(error.reason, "META_PERMISSION_MISSING");
    assert_eq!(bench.store.job(&tenant(), job.id).await.unwrap().unwrap().state, JobState::Failed);
    assert!(bench.store.parts(&tenant(), job.id).await.unwrap().is_empty());
}

/// Somebody asks for an end.
fn stop() -> storage::audit::Entry<'static> {
    storage::audit::Entry {
        tenant: "acme",
        actor: "callers/ada",
        action: rpc::CANCEL,
        resource: "operations/1",
        request_id: None,
        detail: serde_json::json!({}),
    }
}

#[tokio::test]
async fn a_cancelled_run_stops_between_sessions() {
    let bench = bench().await;
    let job = bench.filled(2, 1_000).await;
    bench.members.run(&bench.caller, &job, false).await.unwrap();
    let id = bench.store.job(&tenant(), job.id).await.unwrap().unwrap().operation.unwrap();
    bench.store.operations().cancel(id, stop()).await.unwrap();
    bench.round().await;
    let Some(Outcome::Error(error)) = bench.operation(&job).await.outcome else { panic!("it ended well") };
    assert_eq!(error.reason, "CANCELLED");
    assert_eq!(bench.meta.with(|meta| meta.sessions.len()), 0);
    assert_eq!(bench.store.job(&tenant(), job.id).await.unwrap().unwrap().state, JobState::Cancelled);
}

#[tokio::test]
async fn a_run_outlives_the_process_that_began_it() {
    let bench = bench().await;
    let job = bench.filled(2, 1_000).await;
    bench.members.run(&bench.caller, &job, false).await.unwrap();
    // A worker claims it, plans and sends one session, and dies.
    let claimed = bench.store.operations().claim(&[RUN], Duration::ZERO).await.unwrap().unwrap();
    let sessions = bench.uploader.planned(&job).await.unwrap();
    let schema = sessions::schema(job.keys);
    let (sent, trace) = bench.uploader.send_session(&job, &schema, sessions[0]).await.unwrap();
    bench.store.session_sent(&claimed, &job, &sent, trace.as_deref()).await.unwrap();
    bench.round().await;
    assert_eq!(result(&bench.operation(&job).await).received, 2_000);
    assert_eq!(bench.meta.with(|meta| meta.sessions.len()), 2, "what was sent is not sent again");
    assert!(bench.store.session_sent(&claimed, &job, &sent, None).await.unwrap_err().is_fenced());
    // Each session is in the audit once, with Meta's trace.
    let client = bench.postgres.client().await.unwrap();
    let listing = storage::audit::Listing { action: "members.add", size: 10, ..Default::default() };
    let entries = storage::audit::list(&client, "acme", listing).await.unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!((&entry.detail["fbtrace_id"], &entry.detail["rows"]), (&"ATRACE".into(), &1_000.into()));
    }
}

#[tokio::test]
async fn rows_are_told_by_their_place_in_the_job_and_a_repeat_is_answered_alike() {
    let bench = bench().await;
    let job = bench.open().await;
    let bad = Member { email: "nobody".to_owned(), ..Member::default() };
    let half = Member { email: "mary@canary.example".to_owned(), phone: "n/a".to_owned(), ..Member::default() };
    bench.members.append("callers/ada", &job, 1, people(1, 3), false).await.unwrap();
    let first = bench.members.append("callers/ada", &job, 2, vec![half.clone(), bad.clone()], false).await.unwrap();
    let told: Vec<_> = first
        .errors
        .iter()
        .map(|error| (error.row, error.field.as_str(), error.reason.as_str(), error.row_rejected))
        .collect();
    assert_eq!(told, [(3, "phone", "PHONE_MALFORMED", false), (4, "email", "EMAIL_MALFORMED", true)]);
    assert_eq!((first.accepted, first.next_sequence), (1, 3));
    assert_eq!(bench.members.append("callers/ada", &job, 2, vec![half, bad], false).await.unwrap(), first);
    let gap = bench.members.append("callers/ada", &job, 9, people(9, 1), false).await.unwrap_err();
    assert!(matches!(gap, Error::Gap { next_sequence: 3 }));
    let job = bench.store.job(&tenant(), job.id).await.unwrap().unwrap();
    let checked = bench.members.append("callers/ada", &job, 3, people(3, 2), true).await.unwrap();
    assert_eq!((checked.accepted, checked.next_sequence), (2, 3));
    for (sequence, rows) in [(0, 1), (3, 0), (3, 1_001)] {
        let refused = bench.members.append("callers/ada", &job, sequence, people(1, rows), false).await;
        assert!(matches!(refused, Err(Error::Field(_))), "{sequence} {rows}");
    }
}

#[tokio::test]
async fn a_run_asked_for_twice_is_one_run_and_an_empty_job_does_not_run() {
    let bench = bench().await;
    let empty = bench.open().await;
    assert!(matches!(bench.members.run(&bench.caller, &empty, false).await, Err(Error::WrongState { .. })));
    let job = bench.filled(1, 5).await;
    let checked = bench.members.run(&bench.caller, &job, true).await.unwrap();
    assert!(checked.done && checked.name.is_empty());
    let one = bench.members.run(&bench.caller, &job, false).await.unwrap();
    let two = bench.members.run(&bench.caller, &job, false).await.unwrap();
    assert_eq!(one.name, two.name);
    let late = bench.members.append("callers/ada", &job, 2, people(2, 1), false).await;
    assert!(matches!(late, Err(Error::WrongState { state: "RUNNING", .. })));
}

#[tokio::test]
async fn a_run_does_not_outlive_its_rows() {
    let bench = bench().await;
    let job = bench.filled(1, 5).await;
    bench.members.run(&bench.caller, &job, false).await.unwrap();
    bench.clock.advance(Duration::from_hours(7 * 24));
    bench.round().await;
    let Some(Outcome::Error(error)) = bench.operation(&job).await.outcome else { panic!("it ended well") };
    assert_eq!(error.reason, "WRONG_STATE");
    assert_eq!(bench.meta.with(|meta| meta.sessions.len()), 0);
}

#[tokio::test]
async fn no_value_and_no_hash_of_a_person_is_in_any_table() {
    let bench = bench().await;
    let job = bench.filled(1, 5).await;
    bench
        .members
        .append("callers/ada", &job, 2, vec![Member { email: "canary at home".to_owned(), ..Member::default() }], false)
        .await
        .unwrap();
    let client = bench.postgres.client().await.unwrap();
    let hash = Hash::of("p1-0@canary.example");
    for table in ["member_jobs", "member_parts", "member_errors", "member_sessions", "operations", "audit_entries"] {
        let rows = client.query(&format!("SELECT t::text FROM {table} AS t"), &[]).await.unwrap();
        for row in rows {
            let text: String = row.get(0);
            assert!(!text.contains("canary") && !text.contains(&hash.to_string()), "{table}");
        }
    }
}
