//! A process is killed at each step of a refresh, its own or one that a caller asked for. The token that was there works
//! on, and another process brings the newer one.

use harness::request_id;
use proto::auth::v1 as pb;
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    hold::{
        Fate::{self, Done, Undone},
        Step::{self, Before, Commit, Sent, Unanswered},
    },
    stage::{Auth, BUSY, QUIET, Stage},
    tenant::Tenant,
};

/// What the process had done when it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Had {
    Nothing,
    /// Meta has made a newer token that nobody knows.
    Exchanged,
    /// The newer token is stored.
    Stored,
}
use Had::{Exchanged, Nothing, Stored};

const EXCHANGE: &str = "oauth/access_token";
const CLAIM: &str = "NEW.claim > OLD.claim";
const IS_TOLD: &str = "NEW.action = 'connections.refresh'";

/// Every step of the exchange itself, in its order.
#[rustfmt::skip]
const STEPS: [(Step, Fate, Had); 11] = [
    // The claim.
    (Before { what: "UPDATE ON connections", when: CLAIM }, Undone, Nothing),
    (Commit { what: "UPDATE ON connections", when: CLAIM }, Undone, Nothing),
    (Commit { what: "UPDATE ON connections", when: CLAIM }, Done, Nothing),
    // Meta.
    (Sent { path: EXCHANGE, nth: 1 }, Undone, Nothing),
    (Unanswered { path: EXCHANGE, nth: 1 }, Undone, Exchanged),
    // Answered, and stored in one transaction.
    (Before { what: "UPDATE ON connections", when: "NEW.token_version > OLD.token_version" }, Undone, Exchanged),
    (Before { what: "INSERT ON connection_events", when: "NEW.kind = 'refreshed'" }, Undone, Exchanged),
    (Before { what: "INSERT ON revocations", when: "NEW.kind = 'connection'" }, Undone, Exchanged),
    (Before { what: "INSERT ON audit_entries", when: IS_TOLD }, Undone, Exchanged),
    (Commit { what: "INSERT ON audit_entries", when: IS_TOLD }, Undone, Exchanged),
    (Commit { what: "INSERT ON audit_entries", when: IS_TOLD }, Done, Stored),
];

/// What a caller's request adds, before and after.
#[rustfmt::skip]
const STEPS_OF_CALLERS: [(Step, Fate, Had); 4] = [
    (Before { what: "INSERT ON requests", when: "NEW.method = 'RefreshConnection'" }, Undone, Nothing),
    (Before { what: "INSERT ON requests", when: "NEW.method = 'RefreshConnection'" }, Done, Nothing),
    (Before { what: "UPDATE ON requests", when: "NEW.answer IS NOT NULL" }, Undone, Stored),
    (Before { what: "UPDATE ON requests", when: "NEW.answer IS NOT NULL" }, Done, Stored),
];

/// What should have happened so far.
#[derive(Default)]
struct Ledger {
    exchanges: usize,
    refreshes: i64,
}

impl Ledger {
    /// The killed one.
    fn note(&mut self, had: Had) {
        self.exchanges += usize::from(had != Nothing);
        self.refreshes += i64::from(had == Stored);
    }

    /// The one that healed it, where there was something to heal.
    fn note_healed(&mut self, had: Had) {
        self.exchanges += usize::from(had != Stored);
        self.refreshes += i64::from(had != Stored);
    }

    /// One token is kept, it is the last one, and everything that happened is told once.
    async fn holds(&self, stage: &Stage, tenant: &Tenant, auth: &Auth) {
        assert_eq!(stage.exchanges().await, self.exchanges);
        assert_eq!(stage.number("SELECT token_version FROM connections").await, 1 + self.refreshes);
        let events = "SELECT count(*) FROM connection_events WHERE kind = 'refreshed'";
        assert_eq!(stage.number(events).await, self.refreshes);
        assert_eq!(tenant.told(stage, "connections.refresh").await, self.refreshes);
        tenant.works(auth, 1).await;
        tenant.chain_is_whole(auth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_at_any_step_of_a_refresh_is_replaced_by_the_next() {
    let stage = Stage::set().await;
    let mut running = stage.auth("process_0", BUSY).await;
    let tenant = Tenant::new(&stage, &running, "acme").await;
    let connection = tenant.import(&stage, &running).await.name;
    let mut ledger = Ledger::default();
    for (number, (step, fate, had)) in (1..).zip(STEPS) {
        println!("{step:?} {fate:?} {had:?}");
        let held = stage.hold(&running.name, step).await;
        stage.near_their_end().await;
        stage.kill(held, running, fate).await;
        ledger.note(had);
        if had != Stored {
            stage.near_their_end().await;
        }
        stage.age().await;

        running = stage.auth(&format!("process_{number}"), BUSY).await;
        ledger.note_healed(had);
        let refreshed = 1 + ledger.refreshes;
        stage.until("a newer token", "SELECT token_version FROM connections", |seen| seen >= refreshed).await;
        let seen = "SELECT count(*) FROM connections WHERE inspected_at >= refreshed_at AND claimed_until IS NULL";
        stage.until("its inspection", seen, |seen| seen == 1).await;
        let seen = tenant.until(&running, &connection, |_| true).await;
        assert_eq!((seen.state(), seen.health()), (pb::ConnectionState::Active, pb::ConnectionHealth::Good));
        ledger.holds(&stage, &tenant, &running).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_a_caller_asked_for_and_was_killed_is_asked_for_again() {
    let stage = Stage::set().await;
    let other = stage.auth("other", QUIET).await;
    let tenant = Tenant::new(&stage, &other, "acme").await;
    let connection = tenant.import(&stage, &other).await.name;
    let mut ledger = Ledger::default();
    for (number, (step, fate, had)) in STEPS.into_iter().chain(STEPS_OF_CALLERS).enumerate() {
        println!("{step:?} {fate:?} {had:?}");
        let name = format!("victim_{number}");
        let victim = stage.auth(&name, QUIET).await;
        // Meta makes nothing newer within a day; nobody looks by itself here.
        stage
            .postgres()
            .await
            .execute("UPDATE connections SET refreshed_at = refreshed_at - interval '2 days'", &[])
            .await
            .unwrap();
        let held = stage.hold(&name, step).await;
        let request =
            pb::RefreshConnectionRequest { name: connection.clone(), request_id: request_id(), validate_only: false };
        let (client, asked, mut asking) = (tenant.at(&victim), request.clone(), JoinSet::new());
        asking.spawn(async move { client.connections().refresh_connection(asked).await });
        stage.kill(held, victim, fate).await;
        let lost = asking.join_next().await.unwrap().unwrap();
        assert_eq!(lost.unwrap_err().code(), Code::Unavailable, "nobody heard an answer");
        ledger.note(had);
        tenant.works(&other, 1).await;

        stage.age().await;
        let repeated = tenant.at(&other).connections().refresh_connection(request).await.unwrap().into_inner();
        ledger.note_healed(had);
        let was_answered = had == Stored && matches!(step, Before { .. }) && fate == Done;
        assert_eq!(repeated.refreshed, had != Stored || was_answered, "{repeated:#?}");
        assert_eq!(repeated.connection.unwrap().state(), pb::ConnectionState::Active);
        ledger.holds(&stage, &tenant, &other).await;
        assert_eq!(stage.number("SELECT count(*) FROM requests WHERE answer IS NULL").await, 0, "none is in flight");
    }
}
