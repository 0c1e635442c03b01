//! Stopping a real process exactly at a step: its call is held at Meta, or its statement in the database.

use std::time::Duration;

use harness::PATIENCE;
use serde_json::json;
use tokio::time::Instant;

use crate::stage::{Auth, Stage};

/// The lock that the triggers wait for.
const LOCK: i64 = 42;
/// Longer than any test.
const SECONDS: u64 = 3_600;

/// Where a process is stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The n-th call whose path holds this has arrived at Meta, which has done nothing yet.
    Sent { path: &'static str, nth: u64 },
    /// Meta has done it and does not answer.
    Unanswered { path: &'static str, nth: u64 },
    /// Before a row is written: `INSERT ON requests`, and the condition on `OLD` and `NEW`.
    Before { what: &'static str, when: &'static str },
    /// In `COMMIT`, after everything was written.
    Commit { what: &'static str, when: &'static str },
}

/// What becomes of the statement at which a process was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The database has heard of the end and does not do it.
    Undone,
    /// The database does it, and nobody is there to hear of it.
    Done,
}

/// A process that stands at its step.
pub(crate) struct Held {
    step: Step,
    lock: Option<storage::Client>,
}

impl Stage {
    /// From now on the process of this name stops at this step. It need not run yet.
    pub(crate) async fn hold(&self, name: &str, step: Step) -> Held {
        let (what, when, timing) = match step {
            Step::Sent { path, nth } => return self.hold_at_meta(step, path, nth, "timeout_before_commit").await,
            Step::Unanswered { path, nth } => return self.hold_at_meta(step, path, nth, "timeout_after_commit").await,
            Step::Before { what, when } => (what, when, format!("CREATE TRIGGER held BEFORE {what}")),
            Step::Commit { what, when } => {
                let trigger = format!("CREATE CONSTRAINT TRIGGER held AFTER {what} DEFERRABLE INITIALLY DEFERRED");
                (what, when, trigger)
            }
        };
        assert!(what.contains(" ON "), "{what} names no table");
        let lock = self.postgres().await;
        lock.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.unwrap();
        let trigger = format!(
            "CREATE OR REPLACE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 PERFORM pg_advisory_xact_lock_shared({LOCK});
                 RETURN NEW;
             END
             $$;
             {timing}
                 FOR EACH ROW
                WHEN (current_setting('application_name') = '{name}' AND ({when}))
             EXECUTE FUNCTION held()"
        );
        lock.batch_execute(&trigger).await.unwrap();
        Held { step, lock: Some(lock) }
    }

    async fn hold_at_meta(&self, step: Step, path: &str, nth: u64, action: &str) -> Held {
        let rule = json!({ "matcher": { "path": path, "nth": nth }, "action": { action: { "seconds": SECONDS } } });
        self.sandbox.fault(&rule).await.unwrap();
        Held { step, lock: None }
    }

    /// Kills the process when it stands at its step, and lets go of everything: only what it has done by then is left.
    pub(crate) async fn kill(&self, held: Held, victim: Auth, fate: Fate) {
        let deadline = Instant::now() + PATIENCE;
        while !self.stands(&held, &victim.name).await {
            assert!(Instant::now() < deadline, "{} never comes to {:?}", victim.name, held.step);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let name = victim.name.clone();
        victim.kill();
        let Some(lock) = held.lock else { return self.sandbox.no_faults().await.unwrap() };
        if fate == Fate::Undone {
            const END: &str = "
                SELECT count(pg_terminate_backend(pid))
                  FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = $1";
            lock.query_one(END, &[&name]).await.unwrap();
            self.gone(&name).await;
        }
        lock.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await.unwrap();
        // What the database still does for a process that is dead it does now.
        self.gone(&name).await;
        let (Step::Before { what, .. } | Step::Commit { what, .. }) = held.step else { unreachable!() };
        let table = what.split_once(" ON ").unwrap().1;
        lock.batch_execute(&format!("DROP TRIGGER held ON {table}")).await.unwrap();
    }

    async fn stands(&self, held: &Held, name: &str) -> bool {
        match &held.lock {
            None => {
                let struck = self.sandbox.struck().await.unwrap() > 0;
                let is_done = match held.step {
                    // The line is written when it is done.
                    Step::Unanswered { path, .. } => {
                        let lines = self.sandbox.requests().await.unwrap();
                        lines.iter().any(|line| line.status == 0 && line.path.contains(path))
                    }
                    _ => true,
                };
                struck && is_done
            }
            Some(lock) => {
                const SQL: &str = "
                    SELECT count(*)
                      FROM pg_stat_activity
                     WHERE datname = current_database()
                       AND application_name = $1
                       AND wait_event_type = 'Lock'
                       AND wait_event = 'advisory'";
                lock.query_one(SQL, &[&name]).await.unwrap().get::<_, i64>(0) > 0
            }
        }
    }

    async fn gone(&self, name: &str) {
        let left = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{name}'"
        );
        self.until("connections of a dead process", &left, |left| left == 0).await;
    }
}
