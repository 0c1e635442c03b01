//! A worker that is killed anywhere in a rotation, and one that takes it up.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use auth::{
    by::{By, Repeat},
    vault::{
        rotation::{Mode, Rotated},
        sealing::Seals,
    },
};
use proto::{auth::v1 as pb, operations::v1::Operation};
use tokio_util::sync::CancellationToken;

use super::{Parts, result};
use crate::world::{TOKEN, World};

/// Work that is dropped, as a kill drops it, after it was woken so often. The tests that cut run on one thread: so every
/// answer that is waited for is a wake, and none comes by itself on another thread meanwhile.
struct Cut<F> {
    work: Pin<Box<F>>,
    wakes_left: usize,
}

impl<F: Future> Future for Cut<F> {
    /// `None` where it was cut.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.wakes_left == 0 {
            return Poll::Ready(None);
        }
        self.wakes_left -= 1;
        self.work.as_mut().poll(context).map(Some)
    }
}

fn operator(tenant: &str) -> By {
    By::ourselves(tenant.parse().unwrap())
}

fn no_repeat() -> Repeat {
    Repeat::of("RotateKey", None, &pb::RotateKeyRequest::default())
}

/// The rotation as its row stands.
async fn stored(parts: &Parts, by: &By, operation: &Operation) -> Operation {
    let id = operation.name.split_once("auth-").unwrap().1.parse().unwrap();
    let stored = parts.store.operations().get(by.tenant.as_str(), id).await.unwrap().unwrap();
    prost::Message::decode(stored.body.as_slice()).unwrap()
}

/// Cuts a rotation after one wake, the next after two, and so on until one is not cut; each is then taken up by another
/// worker. Says how many were cut.
async fn cut_everywhere(parts: &Parts, by: &By, rotated: Rotated, check: impl AsyncFn()) -> usize {
    let stop = CancellationToken::new();
    for wakes_left in 1.. {
        let repeat = no_repeat();
        let operation = parts.rotations.create(by, rotated, false, (&repeat, |_| Vec::new())).await.unwrap();
        let cut = Cut { work: Box::pin(parts.rotations.round(&stop)), wakes_left }.await;
        check().await;
        // The dead worker's lease is over, by the clock that measures it.
        let over = "UPDATE operations SET due_at = clock_timestamp() WHERE NOT done";
        parts.store.client().await.unwrap().execute(over, &[]).await.unwrap();
        parts.rotations.round(&stop).await.unwrap();
        let ended = stored(parts, by, &operation).await;
        assert!(ended.done, "cut after {wakes_left}: {ended:?}");
        result(&ended);
        check().await;
        if cut.is_some() {
            return wakes_left;
        }
    }
    unreachable!("a rotation ends")
}

#[tokio::test]
async fn a_rotation_that_is_killed_at_any_step_heals() {
    let (world, _, _) = World::connected().await;
    world.stop().await;
    let parts = Parts::of(&world).await;
    let mut tokens: Vec<String> = (0..3).map(|number| format!("token-{number}")).collect();
    parts.add_connections(&tokens).await;
    tokens.push(TOKEN.to_owned());
    tokens.sort();
    let acme = operator("acme");
    let opens = async || assert_eq!(parts.tokens().await, tokens);
    for mode in [Mode::Rewrap, Mode::Reencrypt] {
        let steps = cut_everywhere(&parts, &acme, Rotated::Wrapping(mode), opens).await;
        assert!(steps > 15, "a rotation of {steps} steps was hardly cut");
        let client = parts.store.client().await.unwrap();
        let older = "SELECT count(*) FROM connections
                      WHERE tenant_key_version < (SELECT max(version) FROM tenant_keys WHERE tenant_id = 'acme')";
        assert_eq!(client.query_one(older, &[]).await.unwrap().get::<_, i64>(0), 0);
        let unretired = "SELECT count(*) FROM tenant_keys WHERE tenant_id = 'acme' AND retired_at IS NULL";
        assert_eq!(client.query_one(unretired, &[]).await.unwrap().get::<_, i64>(0), 1);
    }
    let system = operator(auth::vault::SYSTEM);
    let steps = cut_everywhere(&parts, &system, Rotated::Wrapping(Mode::Reencrypt), opens).await;
    assert!(steps > 15, "a rotation of {steps} steps was hardly cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_waits_in_a_closed_vault_and_goes_on_when_it_is_opened() {
    let (world, _, _) = World::connected().await;
    world.stop().await;
    let Parts { store, vault, rotations } = &Parts::of(&world).await;
    let (acme, stop, repeat) = (operator("acme"), CancellationToken::new(), no_repeat());
    let rotated = Rotated::Wrapping(Mode::Reencrypt);
    let operation = rotations.create(&acme, rotated, false, (&repeat, |_| Vec::new())).await.unwrap();
    let seals = Seals::new(store.clone(), vault.clone(), auth::now::of(vocabulary::SystemClock));
    let system = operator(auth::vault::SYSTEM);
    seals.close(&system, "a drill", false, (&repeat, Vec::new)).await.unwrap();
    rotations.round(&stop).await.unwrap();
    let parts = Parts::of(&world).await;
    let metadata = stored(&parts, &acme, &operation).await.metadata.unwrap();
    assert_eq!((metadata.waiting_on.as_str(), metadata.steps_done), ("vault", 0));
    assert!(metadata.next_attempt_time.is_some());

    seals.open(&system, false, (&repeat, Vec::new)).await.unwrap();
    let over = "UPDATE operations SET due_at = clock_timestamp() WHERE NOT done";
    store.client().await.unwrap().execute(over, &[]).await.unwrap();
    rotations.round(&stop).await.unwrap();
    assert_eq!(result(&stored(&parts, &acme, &operation).await).rows, 1);
    assert_eq!(Parts::of(&world).await.tokens().await, [TOKEN]);
}

#[tokio::test]
async fn a_rotation_of_the_key_encryption_key_that_is_killed_at_any_step_heals() {
    let (mut world, _, _) = World::connected().await;
    world.stop().await;
    let keys: Vec<_> = (5..7).map(|byte| world.file(&format!("kek-{byte}"), &kek(byte))).collect();
    let system = operator(auth::vault::SYSTEM);
    let stop = CancellationToken::new();
    world.settings.kek_other_files = vec![world.settings.kek_file.clone(), keys[0].clone(), keys[1].clone()];
    for wakes_left in 1.. {
        // To and fro between two keys, each time cut a step later.
        world.settings.kek_file.clone_from(&keys[wakes_left % 2]);
        let parts = Parts::of(&world).await;
        let repeat = no_repeat();
        let began = parts.rotations.create(&system, Rotated::KeyEncryption, false, (&repeat, |_| Vec::new())).await;
        let cut = Cut { work: Box::pin(parts.rotations.round(&stop)), wakes_left }.await;
        assert_eq!(parts.tokens().await, [TOKEN]);
        let over = "UPDATE operations SET due_at = clock_timestamp() WHERE NOT done";
        parts.store.client().await.unwrap().execute(over, &[]).await.unwrap();
        parts.rotations.round(&stop).await.unwrap();
        let told = result(&stored(&parts, &system, &began.unwrap()).await);
        let under = "SELECT count(*), count(DISTINCT wrapped_by), min(wrapped_by) 
              FROM (SELECT wrapped_by FROM tenant_keys UNION ALL SELECT wrapped_by FROM hash_keys) AS keys";
        let row = parts.store.client().await.unwrap().query_one(under, &[]).await.unwrap();
        assert_eq!((row.get(0), row.get(1), row.get(2)), (told.rows, 1_i64, told.key_id));
        if cut.is_some() {
            assert!(wakes_left > 10, "a rotation of {wakes_left} steps was hardly cut");
            return;
        }
    }
}

fn kek(byte: u8) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [byte; 32])
}
