//! A process is killed at each step of a rotation: where it is accepted, and where it is done. The next process takes it
//! up where it stands; all the while everything opens, and at the end it opens by the new key alone.

use client::Client;
use harness::request_id;
use proto::{
    auth::v1::{self as pb, KeyPurpose as Purpose, RotationMode as Mode},
    operations::v1::{GetOperationRequest, Operation},
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    hold::{
        Fate::{self, Done, Undone},
        Step::{self, Before, Commit},
    },
    stage::{Auth, FIRST_KEK, QUIET, Set, Stage},
    tenant::Tenant,
};

/// What became of the request that accepts the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepted {
    /// It was killed, and nothing is rotated.
    No,
    /// It was killed when all was stored, and nobody heard.
    Unheard,
    /// It was answered; the work was killed.
    Yes,
}
use Accepted::{No, Unheard, Yes};

type Steps = Vec<(Step, Fate, Accepted)>;

const IS_ROTATION: &str = "NEW.method = 'RotateKey'";
const IS_ACCEPTED: &str = "NEW.action = 'keys.rotate'";
const IS_ENDED: &str = "NEW.action = 'keys.rotated'";
const IS_REWRAPPED: &str = "NEW.tenant_key_version > OLD.tenant_key_version";

/// Accepting: the request, the new key, the work, the answer, the audit; all but the first in one transaction.
fn accepting(keys: &[(&'static str, &'static str)]) -> Steps {
    let request = Before { what: "INSERT ON requests", when: IS_ROTATION };
    let mut steps = vec![(request, Undone, No), (request, Done, No)];
    steps.extend(keys.iter().map(|(what, when)| (Before { what, when }, Undone, No)));
    for (what, when) in [
        ("INSERT ON operations", "true"),
        ("UPDATE ON requests", "NEW.answer IS NOT NULL"),
        ("INSERT ON audit_entries", IS_ACCEPTED),
    ] {
        steps.push((Before { what, when }, Undone, No));
    }
    let commit = Commit { what: "INSERT ON audit_entries", when: IS_ACCEPTED };
    steps.extend([(commit, Undone, No), (commit, Done, Unheard)]);
    steps
}

/// The work: claimed, done in statements of their own (`rows`), said how far it is, ended in one transaction (`last`).
fn working(rows: &[(&'static str, &'static str)], last: &[(&'static str, &'static str)]) -> Steps {
    let claim = ("UPDATE ON operations", "NEW.running AND NOT OLD.running");
    let mut steps = Steps::new();
    for (what, when) in [claim].iter().chain(rows) {
        steps.extend([Undone, Done].map(|fate| (Before { what, when }, fate, Yes)));
    }
    let end = [("UPDATE ON operations", "NEW.done")];
    for (what, when) in end.iter().chain(last).chain(&[("INSERT ON audit_entries", IS_ENDED)]) {
        steps.push((Before { what, when }, Undone, Yes));
    }
    let commit = Commit { what: "INSERT ON audit_entries", when: IS_ENDED };
    steps.extend([Undone, Done].map(|fate| (commit, fate, Yes)));
    steps
}

/// How far it is, after a batch.
const PROGRESS: (&str, &str) = ("UPDATE ON operations", "NEW.running AND OLD.running");
/// Put back, until the key signs.
const PUT_BACK: (&str, &str) = ("UPDATE ON operations", "OLD.running AND NOT NEW.running AND NOT NEW.done");
/// Nothing lies under the older key any more.
const RETIRED: (&str, &str) = ("UPDATE ON tenant_keys", "NEW.retired_at IS NOT NULL");

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rotation {
    purpose: Purpose,
    mode: Mode,
    /// The installation's, and not the tenant's.
    is_of_installation: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_a_tenants_key_that_is_killed_at_any_step_ends() {
    // The second of two rows, so that the kill is between them.
    let rows =
        [("UPDATE ON connections", "OLD.kind = 'user' AND NEW.tenant_key_version > OLD.tenant_key_version"), PROGRESS];
    let steps = [accepting(&[("INSERT ON tenant_keys", "true")]), working(&rows, &[RETIRED])].concat();
    let rotation = Rotation { purpose: Purpose::Wrapping, mode: Mode::Rewrap, is_of_installation: false };
    killed_everywhere(rotation, steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_encryption_of_a_tenants_rows_that_is_killed_at_any_step_ends() {
    let rows = [("UPDATE ON connections", "OLD.kind = 'user' AND NEW.key_version > OLD.key_version"), PROGRESS];
    let rotation = Rotation { purpose: Purpose::Wrapping, mode: Mode::Reencrypt, is_of_installation: false };
    killed_everywhere(rotation, working(&rows, &[RETIRED])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_the_installations_key_that_is_killed_at_any_step_ends() {
    let rows = [("UPDATE ON meta_apps", IS_REWRAPPED), ("UPDATE ON signing_keys", IS_REWRAPPED), PROGRESS];
    let steps = [accepting(&[("INSERT ON tenant_keys", "true")]), working(&rows, &[RETIRED])].concat();
    let rotation = Rotation { purpose: Purpose::Wrapping, mode: Mode::Rewrap, is_of_installation: true };
    killed_everywhere(rotation, steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_the_key_encryption_key_that_is_killed_at_any_step_ends() {
    let is_rewrapped = "NEW.wrapped_by <> OLD.wrapped_by";
    let rows = [("UPDATE ON tenant_keys", is_rewrapped), ("UPDATE ON hash_keys", is_rewrapped), PROGRESS];
    let steps = [accepting(&[]), working(&rows, &[])].concat();
    let rotation = Rotation { purpose: Purpose::Encryption, mode: Mode::Unspecified, is_of_installation: true };
    killed_everywhere(rotation, steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_the_key_that_signs_that_is_killed_at_any_step_ends() {
    let keys = [("INSERT ON signing_keys", "true"), ("UPDATE ON signing_keys", "NEW.published_until IS NOT NULL")];
    let steps = [accepting(&keys), working(&[PUT_BACK], &[])].concat();
    let rotation = Rotation { purpose: Purpose::Signing, mode: Mode::Unspecified, is_of_installation: true };
    killed_everywhere(rotation, steps).await;
}

async fn killed_everywhere(rotation: Rotation, steps: Steps) {
    let stage = Stage::set().await;
    let mut running = stage.auth("process_0", QUIET).await;
    let tenant = Tenant::new(&stage, &running, "acme").await;
    tenant.import(&stage, &running).await;
    tenant.connect(&running).await;
    let mut set = QUIET;
    for (number, (step, fate, accepted)) in (1_u8..).zip(steps) {
        println!("{step:?} {fate:?} {accepted:?}");
        if rotation.purpose == Purpose::Encryption {
            // Its operator makes the next key; replicas with it open what lies under the one before.
            set = Set { keks: (FIRST_KEK + number, Some(FIRST_KEK + number - 1)), ..QUIET };
            running.kill();
            running = stage.auth(&format!("process_{number}_with_key"), set).await;
            tenant.works(&running, 2).await;
        }
        let held = stage.hold(&running.name, step).await;
        let what = pb::RotateKeyRequest {
            purpose: rotation.purpose.into(),
            mode: rotation.mode.into(),
            request_id: request_id(),
            ..pb::RotateKeyRequest::default()
        };
        let (client, asked, mut asking) = (rotator(&stage, &tenant, &running, rotation), what.clone(), JoinSet::new());
        asking.spawn(async move { client.keys().rotate_key(asked).await });
        let mut answer = None;
        if accepted == Yes {
            answer = Some(asking.join_next().await.unwrap().unwrap().unwrap().into_inner().operation.unwrap());
        }
        stage.kill(held, running, fate).await;
        if accepted != Yes {
            let lost = asking.join_next().await.unwrap().unwrap();
            assert_eq!(lost.unwrap_err().code(), Code::Unavailable, "nobody heard an answer");
        }

        running = stage.auth(&format!("process_{number}"), set).await;
        tenant.works(&running, 2).await;
        stage.age().await;
        let client = rotator(&stage, &tenant, &running, rotation);
        let before = stage.number("SELECT count(*) FROM operations").await;
        let repeated = client.keys().rotate_key(what).await.unwrap().into_inner().operation.unwrap();
        let begun = stage.number("SELECT count(*) FROM operations").await - before;
        assert_eq!(begun, i64::from(accepted == No), "a repeat begins nothing that was begun");
        if let Some(answer) = answer {
            assert_eq!(answer.name, repeated.name);
        }
        ended(&stage, &client, &repeated).await;
        all_under_the_newest(&stage, rotation).await;
        tenant.works(&running, 2).await;
        tenant.chain_is_whole(&running).await;
        let chain = client_of_installation(&stage, &running).audit();
        let verified = { chain }.verify_audit_chain(pb::VerifyAuditChainRequest::default()).await.unwrap().into_inner();
        assert!(verified.intact, "{verified:#?}");
    }
    if rotation.purpose == Purpose::Encryption {
        // Who knows nothing but the last key opens everything.
        running.kill();
        running = stage.auth("process_last", Set { keks: (set.keks.0, None), ..QUIET }).await;
        tenant.works(&running, 2).await;
    }
    // The key that signs opens and signs.
    Tenant::new(&stage, &running, "later").await.connections(&running).await;
}

/// Whoever may rotate this key.
fn rotator(stage: &Stage, tenant: &Tenant, auth: &Auth, rotation: Rotation) -> Client {
    if rotation.is_of_installation { client_of_installation(stage, auth) } else { tenant.at(auth) }
}

fn client_of_installation(stage: &Stage, auth: &Auth) -> Client {
    auth.client(&stage.operator).for_tenant(&"system".parse().unwrap())
}

/// Waits until the rotation has ended well.
async fn ended(stage: &Stage, client: &Client, operation: &Operation) {
    stage.until("rotations", "SELECT count(*) FROM operations WHERE NOT done", |left| left == 0).await;
    let get = GetOperationRequest { name: operation.name.clone() };
    let ended = client.operations().get_operation(get).await.unwrap().into_inner().operation.unwrap();
    assert!(ended.done, "{ended:#?}");
    client::result::<pb::RotateKeyResult>(&ended).unwrap();
}

/// Nothing lies under an older key, and every older key is retired.
async fn all_under_the_newest(stage: &Stage, rotation: Rotation) {
    const ROWS: &str = "
        SELECT count(*)
          FROM (SELECT tenant_id, tenant_key_version FROM connections
                 UNION ALL
                SELECT vault_tenant, tenant_key_version FROM meta_apps
                 UNION ALL
                SELECT vault_tenant, tenant_key_version FROM signing_keys) AS sealed
         WHERE tenant_key_version < (SELECT max(version) FROM tenant_keys AS k WHERE k.tenant_id = sealed.tenant_id)";
    const KEYS: &str = "
        SELECT count(*)
          FROM tenant_keys AS k
         WHERE (retired_at IS NULL) <> (version = (SELECT max(version) FROM tenant_keys WHERE tenant_id = k.tenant_id))";
    const KEKS: &str = "
        SELECT count(DISTINCT wrapped_by)
          FROM (SELECT wrapped_by FROM tenant_keys UNION ALL SELECT wrapped_by FROM hash_keys) AS wrapped";
    const SIGNERS: &str = "SELECT count(*) FROM signing_keys WHERE published_until IS NULL";
    assert_eq!(stage.number(ROWS).await, 0, "rows under older keys");
    if rotation.purpose == Purpose::Wrapping {
        assert_eq!(stage.number(KEYS).await, 0, "older keys that are not retired");
    }
    assert_eq!(stage.number(KEKS).await, 1, "key-encryption keys in use");
    assert_eq!(stage.number(SIGNERS).await, 1, "newest keys that sign");
}
