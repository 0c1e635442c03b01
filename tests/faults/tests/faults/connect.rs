//! A process is killed at each step of a log-in's end. Another finishes it, or says that the person logs in again.

use client::reason;
use proto::auth::v1::{self as pb, ConnectionKind as Kind};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    hold::{
        Fate::{self, Done, Undone},
        Step::{self, Before, Commit, Sent, Unanswered},
    },
    stage::{Auth, QUIET, Stage},
    tenant::Tenant,
};

/// What whoever asked does next: the same request again, at another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeated {
    /// Nothing was used up: it is done now.
    Finishes,
    /// The code is used up: it says so, and the person logs in again.
    LogInAgain,
    /// It was done, and is answered as it would have been then.
    IsAnswered,
}
use Repeated::{Finishes, IsAnswered, LogInAgain};

const EXCHANGE: &str = "oauth/access_token";
const IS_OURS: &str = "NEW.method = 'CompleteConnection'";
const IS_TOLD: &str = "NEW.action = 'connections.complete'";

/// Every step of `CompleteConnection`, in its order.
#[rustfmt::skip]
const STEPS: [(Step, Fate, Repeated); 25] = [
    // The request is noted.
    (Before { what: "INSERT ON requests", when: IS_OURS }, Undone, Finishes),
    (Before { what: "INSERT ON requests", when: IS_OURS }, Done, Finishes),
    // The state is used up.
    (Before { what: "UPDATE ON login_states", when: "NEW.used_at IS NOT NULL" }, Undone, Finishes),
    (Before { what: "UPDATE ON login_states", when: "NEW.used_at IS NOT NULL" }, Done, LogInAgain),
    // The code becomes a token, and that one that lives long.
    (Sent { path: EXCHANGE, nth: 1 }, Undone, LogInAgain),
    (Unanswered { path: EXCHANGE, nth: 1 }, Undone, LogInAgain),
    (Sent { path: EXCHANGE, nth: 2 }, Undone, LogInAgain),
    (Unanswered { path: EXCHANGE, nth: 2 }, Undone, LogInAgain),
    // Meta is asked what it is worth.
    (Sent { path: "debug_token", nth: 1 }, Undone, LogInAgain),
    (Sent { path: "me/adaccounts", nth: 1 }, Undone, LogInAgain),
    (Sent { path: "me/accounts", nth: 1 }, Undone, LogInAgain),
    (Sent { path: "me/businesses", nth: 1 }, Undone, LogInAgain),
    (Sent { path: "instagram_accounts", nth: 2 }, Undone, LogInAgain),
    (Sent { path: "adspixels", nth: 3 }, Undone, LogInAgain),
    // All of it is stored: each of these is one transaction with those after it.
    (Before { what: "INSERT ON connections", when: "true" }, Undone, LogInAgain),
    (Before { what: "INSERT ON connections", when: "true" }, Done, LogInAgain),
    (Before { what: "INSERT ON assets", when: "true" }, Undone, LogInAgain),
    (Before { what: "INSERT ON ad_account_owners", when: "true" }, Undone, LogInAgain),
    (Before { what: "INSERT ON connection_events", when: "true" }, Undone, LogInAgain),
    (Before { what: "INSERT ON revocations", when: "true" }, Undone, LogInAgain),
    (Before { what: "UPDATE ON requests", when: "NEW.answer IS NOT NULL" }, Undone, LogInAgain),
    (Before { what: "INSERT ON audit_entries", when: IS_TOLD }, Undone, LogInAgain),
    (Before { what: "INSERT ON audit_entries", when: IS_TOLD }, Done, LogInAgain),
    (Commit { what: "INSERT ON audit_entries", when: IS_TOLD }, Undone, LogInAgain),
    (Commit { what: "INSERT ON audit_entries", when: IS_TOLD }, Done, IsAnswered),
];

/// Who held an older token is told; a first log-in finds nobody.
fn happens(step: Step, is_first: bool) -> bool {
    !is_first || !matches!(step, Before { what: "INSERT ON revocations", .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_log_in_that_is_killed_at_any_step_is_finished_or_repeated() {
    killed_everywhere(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_log_in_that_is_killed_at_any_step_loses_nothing_of_the_one_before() {
    killed_everywhere(false).await;
}

async fn killed_everywhere(is_first: bool) {
    let stage = Stage::set().await;
    let other = stage.auth("other", QUIET).await;
    for (number, (step, fate, repeated)) in STEPS.into_iter().enumerate() {
        if !happens(step, is_first) {
            continue;
        }
        println!("{step:?} {fate:?} {repeated:?}");
        let tenant = Tenant::new(&stage, &other, &format!("tenant-{number}")).await;
        let older = if is_first { None } else { Some(tenant.connect(&other).await) };
        let request = tenant.logged_in(&other).await;
        let name = format!("victim_{number}");
        let held = stage.hold(&name, step).await;
        let victim = stage.auth(&name, QUIET).await;
        let mut asking = JoinSet::new();
        let (client, asked) = (tenant.at(&victim), request.clone());
        asking.spawn(async move { client.connections().complete_connection(asked).await });
        stage.kill(held, victim, fate).await;
        let lost = asking.join_next().await.unwrap().unwrap();
        assert_eq!(lost.unwrap_err().code(), Code::Unavailable, "nobody heard an answer");

        let was_stored = repeated == IsAnswered;
        tenant.works(&other, usize::from(was_stored || older.is_some())).await;
        let connection = match (answered(&stage, &tenant, &other, &request).await, repeated) {
            (Ok(connection), Finishes | IsAnswered) => connection,
            (Err(status), LogInAgain) => {
                assert_eq!(
                    (status.code(), reason(&status).as_deref()),
                    (Code::FailedPrecondition, Some("WRONG_STATE"))
                );
                assert!(status.message().contains("USED"), "{}", status.message());
                tenant.connect(&other).await
            }
            (other, _) => panic!("{other:?}"),
        };
        assert_eq!(connection.kind(), Kind::User);
        if let Some(older) = older {
            assert_eq!(connection.name, older.name, "the same person has one connection");
        }
        tenant.works(&other, 1).await;
        let times = if is_first { 1 } else { 2 };
        assert_eq!(tenant.told(&stage, "connections.complete").await, times, "each is told once");
        tenant.chain_is_whole(&other).await;
        assert_eq!(stage.number("SELECT count(*) FROM requests WHERE answer IS NULL").await, 0, "none is in flight");
        assert_eq!(stage.number("SELECT count(*) FROM operations WHERE NOT done").await, 0, "nothing is stuck");
        let reached = "SELECT count(*) FROM connections WHERE NOT EXISTS
                       (SELECT FROM assets AS a WHERE a.connection_id = connections.id)";
        assert_eq!(stage.number(reached).await, 0, "each connection is stored with what it reaches");
    }
}

/// What the same request is answered by a process that was there all the while.
async fn answered(
    stage: &Stage,
    tenant: &Tenant,
    auth: &Auth,
    request: &pb::CompleteConnectionRequest,
) -> Result<pb::Connection, Status> {
    let ask = async || {
        let answer = tenant.at(auth).connections().complete_connection(request.clone()).await?.into_inner();
        Ok::<_, Status>(answer.connection.unwrap())
    };
    match ask().await {
        // For all that anybody knows, the first one is still at work.
        Err(status) if reason(&status).as_deref() == Some("REQUEST_IN_FLIGHT") => {
            assert!(client::retry_after(&status).is_some(), "{status:?}");
            stage.age().await;
            ask().await
        }
        answer => answer,
    }
}
