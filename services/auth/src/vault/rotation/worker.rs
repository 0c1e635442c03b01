//! The worker: takes up a rotation, goes on where it stands, says how far it is.

use std::time::Duration;

use jiff::tz::TimeZone;
use prost::Message;
use proto::{
    auth::v1 as pb,
    operations::v1::{Operation, operation::Outcome},
};
use storage::operations::Claimed;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Goal, KIND, Mode, Plan, Rotations, part, pass::Pass};
use crate::{
    by::By,
    error::Error,
    store::{
        Told,
        keys::{self, kek, rows},
        shreddings,
    },
    vault::{VaultError, provider::serves},
    wire::timestamp,
};

/// Longer than a batch takes.
const LEASE: Duration = Duration::from_mins(1);
/// How often a worker looks for work.
const LOOK: Duration = Duration::from_millis(500);
/// How long a rotation waits for a provider that is away, or for a replica that has the new key.
const PAUSE: Duration = Duration::from_secs(5);
/// How often old keys are looked through for some to delete.
const TIDY_EVERY: Duration = Duration::from_mins(5);
/// A key under which nothing lies is deleted so long after. What was sealed just before it was retired is long stored then.
const RETIRED_KEPT: Duration = Duration::from_hours(24);

/// What became of a claim.
enum Turn {
    /// All of it is done.
    Arrived(pb::RotateKeyResult),
    /// It goes on later.
    Wait { phase: String, on: &'static str, delay: Duration },
}

impl Rotations {
    /// Works until `stop`. A batch once begun is finished; what a kill cut is taken up when its lease ends.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        let mut tidy = tokio::time::interval(TIDY_EVERY);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => self.round(&stop).await,
                _ = tidy.tick() => self.tidy().await,
            };
            if let Err(error) = done {
                warn!(error = &error as &dyn std::error::Error, "a rotation stays in the queue");
            }
        }
    }

    /// Takes up all rotations that are due.
    pub async fn round(&self, stop: &CancellationToken) -> Result<(), Error> {
        while !stop.is_cancelled()
            && let Some(claimed) = self.store.operations().claim(&[KIND], LEASE).await?
        {
            match self.take_up(&claimed, stop).await {
                // Somebody else has it, and goes on from where it stands.
                Err(Error::Store(storage::Error::Fenced)) => {}
                done => done?,
            }
        }
        Ok(())
    }

    async fn take_up(&self, claimed: &Claimed, stop: &CancellationToken) -> Result<(), Error> {
        let mut operation = Operation::decode(claimed.body.as_slice()).map_err(|_| Error::Corrupt("operation"))?;
        let plan: Plan = serde_json::from_slice(&claimed.input).map_err(|_| Error::Corrupt("rotation"))?;
        let tenant = claimed.tenant.parse().map_err(|_| Error::Corrupt("operation"))?;
        let by = By { actor: plan.actor.as_str().into(), ..By::ourselves(tenant) };
        let turn = match &plan.goal {
            // It is published already, and stopping would not take it back.
            Goal::Signing { version, id, from } => self.signs(*version, id, *from).await,
            _ if claimed.cancel_requested => Err(stopped(&operation)),
            goal => self.go_on(claimed, &mut operation, goal, stop).await,
        };
        match turn {
            Ok(Turn::Arrived(result)) => {
                let result = prost_types::Any {
                    type_url: "type.googleapis.com/adplane.auth.v1.RotateKeyResult".to_owned(),
                    value: result.encode_to_vec(),
                };
                self.finish((claimed, operation), &by, &plan.goal, Outcome::Result(result)).await
            }
            Ok(Turn::Wait { phase, on, delay }) => self.postpone((claimed, operation), (&phase, on), delay).await,
            Err(error) if error.waiting_helps() => {
                let phase = "waiting: every row opens under the key that it names".to_owned();
                self.postpone((claimed, operation), (&phase, "vault"), PAUSE).await
            }
            Err(Error::Store(error)) => Err(error.into()),
            Err(error) => {
                let outcome = Outcome::Error(rpc::row_error(&error));
                self.finish((claimed, operation), &by, &plan.goal, outcome).await
            }
        }
    }

    /// Passes, one after the other, until nothing is left under an older key.
    async fn go_on(
        &self,
        claimed: &Claimed,
        operation: &mut Operation,
        goal: &Goal,
        stop: &CancellationToken,
    ) -> Result<Turn, Error> {
        let before = operation.metadata.get_or_insert_default().steps_done;
        let (mut done, mut unreadable) = (before, None);
        loop {
            // With each pass: a key that is made anew meanwhile is what its provider wraps with, and where all has to lie.
            let kek = match self.wraps_with(goal).await? {
                Ok(kek) => kek,
                Err(phase) => return Ok(Turn::Wait { phase, on: "vault", delay: PAUSE }),
            };
            let mut pass = Pass::default();
            while self.batch(&mut pass, claimed, (goal, &kek)).await? {
                let left = self.left(claimed, (goal, &kek)).await?;
                self.describe(operation, "wrapping anew", "");
                let metadata = operation.metadata.get_or_insert_default();
                metadata.steps_done = done + pass.replaced;
                metadata.steps_total = metadata.steps_done + left.0;
                metadata.parts = left.1.map(part).into_iter().collect();
                let control = self.store.operations().progress(claimed, &operation.encode_to_vec()).await?;
                if control.cancel_requested {
                    return Err(stopped(operation));
                }
                if stop.is_cancelled() {
                    let phase = "waiting for a worker".to_owned();
                    return Ok(Turn::Wait { phase, on: "", delay: Duration::ZERO });
                }
            }
            done += pass.replaced;
            let (left, oldest) = self.left(claimed, (goal, &kek)).await?;
            if left == 0 {
                return Ok(Turn::Arrived(self.arrived(claimed, goal, kek).await?));
            }
            // A pass that replaced nothing and met something unreadable will not do better the next time.
            unreadable = pass.unreadable.or(unreadable);
            if let (0, Some((first, count))) = (pass.replaced, &unreadable) {
                return Err(Error::Unreadable { first: first.clone(), rows: *count });
            }
            operation.metadata.get_or_insert_default().parts = oldest.map(part).into_iter().collect();
        }
    }

    /// The key-encryption key that everything is to lie under, or why it cannot be had here now.
    async fn wraps_with(&self, goal: &Goal) -> Result<Result<String, String>, Error> {
        let Goal::KeyEncryption { id } = goal else { return Ok(Ok(String::new())) };
        match self.vault.key_encryption_key().await {
            Ok(current) if serves(&current, id) => Ok(Ok(current)),
            Ok(current) => Ok(Err(format!("waiting for a replica that wraps with {id}; this one has {current}"))),
            Err(VaultError::Provider(error)) => Ok(Err(format!("waiting: {error}"))),
            Err(error) => Err(error.into()),
        }
    }

    async fn batch(&self, pass: &mut Pass, claimed: &Claimed, (goal, kek): (&Goal, &str)) -> Result<bool, Error> {
        let on = (&self.store, &self.vault);
        match goal {
            Goal::KeyEncryption { .. } => pass.keks(on, kek).await,
            Goal::Wrapping { version, mode } => pass.rows(on, &claimed.tenant, (*version, *mode)).await,
            Goal::Signing { .. } => Ok(false),
        }
    }

    /// How much lies under older keys, and the oldest of them.
    async fn left(&self, claimed: &Claimed, (goal, kek): (&Goal, &str)) -> Result<(i64, Option<i32>), Error> {
        let client = self.store.client().await?;
        Ok(match goal {
            Goal::KeyEncryption { .. } => (kek::left(&client, kek).await?, None),
            Goal::Wrapping { version, .. } => rows::left(&client, &claimed.tenant, *version).await?,
            Goal::Signing { .. } => (0, None),
        })
    }

    /// Counted in the store, so that a kill on the way makes no difference.
    async fn arrived(&self, claimed: &Claimed, goal: &Goal, kek: String) -> Result<pb::RotateKeyResult, Error> {
        let client = self.store.client().await?;
        Ok(match goal {
            Goal::Wrapping { version, .. } => {
                let rows = rows::under(&client, &claimed.tenant, *version).await?;
                pb::RotateKeyResult { rows, version: *version, key_id: String::new() }
            }
            Goal::KeyEncryption { .. } | Goal::Signing { .. } => {
                pb::RotateKeyResult { rows: kek::under(&client, &kek).await?, version: 0, key_id: kek }
            }
        })
    }

    async fn signs(&self, version: i32, id: &str, from: jiff::Timestamp) -> Result<Turn, Error> {
        self.signing.reload().await?;
        let wait = Duration::try_from(from.duration_since((self.now)())).unwrap_or_default();
        if wait.is_zero() {
            return Ok(Turn::Arrived(pb::RotateKeyResult { rows: 0, version, key_id: id.to_owned() }));
        }
        let phase = format!("published; it signs from {from} on");
        Ok(Turn::Wait { phase, on: "time", delay: wait.min(PAUSE) })
    }

    async fn postpone(
        &self,
        (claimed, mut operation): (&Claimed, Operation),
        (phase, on): (&str, &str),
        delay: Duration,
    ) -> Result<(), Error> {
        self.describe(&mut operation, phase, on);
        let metadata = operation.metadata.get_or_insert_default();
        metadata.next_attempt_time = Some(timestamp((self.now)() + delay));
        Ok(self.store.operations().postpone(claimed, delay, &operation.encode_to_vec()).await?)
    }

    /// Ends the operation, well or badly, and says so in the chain.
    async fn finish(
        &self,
        (claimed, mut operation): (&Claimed, Operation),
        by: &By,
        goal: &Goal,
        outcome: Outcome,
    ) -> Result<(), Error> {
        let phase = if matches!(outcome, Outcome::Result(_)) { "done" } else { "ended before it was done" };
        self.describe(&mut operation, phase, "");
        let steps = operation.metadata.get_or_insert_default().steps_done;
        let detail = serde_json::json!({"operation": operation.name, "rows": steps, "ended": phase});
        (operation.done, operation.outcome) = (true, Some(outcome));
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        self.store.operations().finish_in(&transaction, claimed, &operation.encode_to_vec()).await?;
        if let Goal::Wrapping { version, .. } = goal {
            keys::retire(&transaction, &claimed.tenant, *version, (self.now)()).await?;
        }
        let told = Told { action: "keys.rotated", resource: &claimed.resource, detail };
        Ok(self.store.commit(transaction, by, told, None).await?)
    }

    /// Deletes keys under which nothing lies, and brings forward what was sealed under one of them at the last moment.
    pub async fn tidy(&self) -> Result<(), Error> {
        let now = (self.now)();
        let client = self.store.client().await?;
        keys::signing::sweep(&client, now).await?;
        shreddings::forget_due(&client, now.to_zoned(TimeZone::UTC).date()).await?;
        for (tenant, version, newest) in keys::retired(&client, now - RETIRED_KEPT).await? {
            let mut pass = Pass::default();
            while pass.rows((&self.store, &self.vault), &tenant, (newest, Mode::Rewrap)).await? {}
            match keys::delete(&client, &tenant, version).await {
                // Something lies under it that does not open, or was stored this moment: the key stays.
                Err(error) if error.is_conflict() => {}
                deleted => deleted?,
            }
        }
        Ok(())
    }

    fn describe(&self, operation: &mut Operation, phase: &str, on: &str) {
        let metadata = operation.metadata.get_or_insert_default();
        phase.clone_into(&mut metadata.phase);
        on.clone_into(&mut metadata.waiting_on);
        metadata.next_attempt_time = None;
        metadata.update_time = Some(timestamp((self.now)()));
    }
}

fn stopped(operation: &Operation) -> Error {
    let steps = operation.metadata.as_ref().map_or((0, 0), |metadata| (metadata.steps_done, metadata.steps_total));
    Error::Stopped { done: steps.0, total: steps.1 }
}
