//! The middle of a rollout: a process of an older version beside one of this, on one database and with one set of keys,
//! while every key is rotated. Both take up the rotations, serve leases and store what is new; then each opens all that the
//! other has written, and each does so alone.
//!
//! The older program is built by `make test-upgrade OLD=<revision>`; any revision whose auth refreshes connections will do.

use std::path::{Path, PathBuf};

use harness::{PATIENCE, built, request_id};
use proto::{
    auth::v1::{
        self as pb,
        KeyPurpose::{self, Encryption, Signing, Wrapping},
        RotationMode::{self, Reencrypt, Rewrap, Unspecified},
    },
    operations::v1::GetOperationRequest,
};
use tokio::time::Instant;

use crate::{
    stage::{Auth, FIRST_KEK, QUIET, Set, Stage},
    tenant::Tenant,
    traffic::{Line, lease},
};

/// Names the older program.
const OLD: &str = "ADPLANE_OLD_PROGRAM";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Older,
    Newer,
}
use Version::{Newer, Older};

/// Both processes, and for whom they work.
struct Pair {
    stage: Stage,
    program: PathBuf,
    older: Auth,
    newer: Auth,
    /// Written for by the older one, by the newer one, by both.
    tenants: [Tenant; 3],
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an older program: make test-upgrade OLD=<revision>"]
async fn an_older_process_and_this_one_open_all_that_the_other_writes_while_every_key_rotates() {
    let program = PathBuf::from(std::env::var_os(OLD).expect("ADPLANE_OLD_PROGRAM names the older program"));
    let mut pair = Pair::begin(program).await;

    // Whoever accepts a rotation, both look for work. A tenant's key and the installation's:
    for (asked, whose, mode) in [
        (Older, Some(2), Rewrap),
        (Newer, Some(2), Reencrypt),
        (Newer, Some(0), Rewrap),
        (Older, Some(1), Reencrypt),
        (Older, None, Rewrap),
        (Newer, None, Rewrap),
    ] {
        pair.rotates(asked, Wrapping, whose, mode).await;
    }
    // What signs tokens.
    for asked in [Older, Newer] {
        pair.rotates(asked, Signing, None, Unspecified).await;
    }
    // What wraps all of them. In the middle of the rollout of a new one the two wrap with different keys, and only whoever
    // has the new one can bring all under it: once the newer process, once the older one.
    let [one, two, three] = [FIRST_KEK, FIRST_KEK + 1, FIRST_KEK + 2];
    pair.restart((one, Some(two)), (two, Some(one))).await;
    pair.rotates(Newer, Encryption, None, Unspecified).await;
    pair.restart((three, Some(two)), (two, Some(three))).await;
    pair.rotates(Older, Encryption, None, Unspecified).await;
    pair.restart((three, None), (three, None)).await;
    pair.both_open_everything().await;

    pair.each_opens_everything_alone((three, None)).await;
}

impl Pair {
    /// The older version has run alone so far. Then the newer one moves the schema, as the chart's job does before the
    /// rollout, and a process of it comes beside the older one, which goes on.
    async fn begin(program: PathBuf) -> Self {
        let stage = Stage::set_by(&program).await;
        let keks = (FIRST_KEK, Some(FIRST_KEK + 1));
        let older = start(&stage, &program, "older", keks).await;
        let mut tenants = Vec::new();
        for id in ["of-the-older", "of-the-newer", "of-both"] {
            let tenant = Tenant::new(&stage, &older, id).await;
            tenant.import(&stage, &older).await;
            tenant.connect(&older).await;
            tenants.push(tenant);
        }
        let before = migrations(&stage).await;
        stage.migrate(&built().unwrap());
        println!("the schema of the older version has {before} steps, this one's {}", migrations(&stage).await);
        let newer = start(&stage, &built().unwrap(), "newer", keks).await;
        let pair = Self { stage, program, older, newer, tenants: tenants.try_into().ok().unwrap() };
        pair.both_open_everything().await;
        pair
    }

    fn at(&self, version: Version) -> &Auth {
        if version == Older { &self.older } else { &self.newer }
    }

    /// Rotates a key amid traffic, and looks at everything.
    async fn rotates(&self, asked: Version, purpose: KeyPurpose, whose: Option<usize>, mode: RotationMode) {
        let [of_older, of_newer, of_both] = &self.tenants;
        let lines = [
            Line::new(&self.stage, (&self.older, &self.newer), (of_older, of_both)),
            Line::new(&self.stage, (&self.newer, &self.older), (of_newer, of_both)),
        ];
        let request = pb::RotateKeyRequest {
            purpose: purpose.into(),
            mode: mode.into(),
            request_id: request_id(),
            ..pb::RotateKeyRequest::default()
        };
        let client = match whose {
            Some(tenant) => self.tenants[tenant].at(self.at(asked)),
            None => self.at(asked).client(&self.stage.operator).for_tenant(&"system".parse().unwrap()),
        };
        let rotating = async {
            everybody_goes_on(&lines, 1).await;
            let accepted = client.keys().rotate_key(request).await.unwrap().into_inner().operation.unwrap();
            self.stage.until("rotations", "SELECT count(*) FROM operations WHERE NOT done", |left| left == 0).await;
            everybody_goes_on(&lines, 2).await;
            (accepted, [lines[0].stop(), lines[1].stop()])
        };
        let ((accepted, rounds), (), ()) = tokio::join!(rotating, lines[0].flow(), lines[1].flow());
        let get = GetOperationRequest { name: accepted.name };
        let ended = client.operations().get_operation(get).await.unwrap().into_inner().operation.unwrap();
        let result: pb::RotateKeyResult = client::result(&ended).unwrap();
        println!("{asked:?} accepts {purpose:?} {mode:?} of {whose:?}: {result:?}; rounds of traffic {rounds:?}");
        self.both_open_everything().await;
    }

    /// Both end and begin again with these key-encryption keys, one after the other.
    async fn restart(&mut self, older: (u8, Option<u8>), newer: (u8, Option<u8>)) {
        let fresh = start(&self.stage, &self.program, "older", older).await;
        std::mem::replace(&mut self.older, fresh).kill();
        let fresh = start(&self.stage, &built().unwrap(), "newer", newer).await;
        std::mem::replace(&mut self.newer, fresh).kill();
    }

    /// Each connection works at both, what they lend is the same token with the same proof, and the audit is whole.
    async fn both_open_everything(&self) {
        for tenant in &self.tenants {
            for auth in [&self.older, &self.newer] {
                tenant.works(auth, 2).await;
                tenant.chain_is_whole(auth).await;
            }
            let deadline = Instant::now() + PATIENCE;
            loop {
                let lent =
                    [lease(&self.stage, &self.older, tenant).await, lease(&self.stage, &self.newer, tenant).await];
                let [older, newer] = lent.map(|lease| (lease.connection, lease.token, lease.appsecret_proof));
                if older == newer {
                    break;
                }
                // What one has stored is news to the other for two seconds.
                assert!(Instant::now() < deadline, "they lend different tokens of {}", older.0);
            }
        }
    }

    /// The end of the rollout, and its being taken back.
    async fn each_opens_everything_alone(self, keks: (u8, Option<u8>)) {
        let (stage, tenants) = (self.stage, self.tenants);
        self.older.kill();
        let opens = async |auth: &Auth| {
            for tenant in &tenants {
                tenant.works(auth, 2).await;
                lease(&stage, auth, tenant).await;
                tenant.chain_is_whole(auth).await;
            }
        };
        opens(&self.newer).await;
        self.newer.kill();
        let older = start(&stage, &self.program, "taken_back", keks).await;
        opens(&older).await;
        older.kill();
    }
}

/// Everything is stored and served while it happens, by both.
async fn everybody_goes_on(lines: &[Line<'_>; 2], rounds: u64) {
    tokio::join!(lines[0].goes_on(rounds), lines[1].goes_on(rounds));
}

async fn start(stage: &Stage, program: &Path, name: &str, keks: (u8, Option<u8>)) -> Auth {
    stage.auth_by(program, name, Set { keks, ..QUIET }).await
}

async fn migrations(stage: &Stage) -> i64 {
    stage.number("SELECT count(*) FROM schema_history").await
}
