//! A vault that an operator closes and opens.

use proto::auth::v1 as pb;
use tonic::Code;

use super::{Parts, client, lease, request, until};
use crate::world::{TOKEN, World, bearing, import, uuid, why};

const SEALED: (Code, &str) = (Code::Unavailable, "VAULT_SEALED");

fn close(reason: &str) -> pb::SealVaultRequest {
    pb::SealVaultRequest { reason: reason.to_owned(), request_id: uuid(), validate_only: false }
}

fn open() -> pb::UnsealVaultRequest {
    pb::UnsealVaultRequest { request_id: uuid(), validate_only: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_vault_gives_nothing_out_on_any_replica_until_an_operator_opens_it() {
    let (mut world, first, _) = World::connected().await;
    let here = world.endpoint.clone();
    let there = world.replica().await;
    world.endpoint.clone_from(&there);
    assert_eq!(until(async || lease(&world).await).await, TOKEN);
    world.endpoint.clone_from(&here);
    let rehearsed = pb::SealVaultRequest { validate_only: true, ..close("a rehearsal") };
    client(&world).seal_vault(bearing(&first.operator, rehearsed)).await.unwrap();
    assert_eq!(lease(&world).await.unwrap(), TOKEN);

    client(&world).seal_vault(bearing(&first.operator, close("a laptop was stolen"))).await.unwrap();
    let refused = lease(&world).await.unwrap_err();
    assert_eq!(why(&refused), (SEALED.0, SEALED.1.to_owned()));
    let operator = first.answer.operator.as_ref().unwrap().name.clone();
    for told in ["a laptop was stolen", "KeyService.UnsealVault", operator.as_str()] {
        assert!(refused.message().contains(told), "{told}: {}", refused.message());
    }
    world.endpoint.clone_from(&there);
    let elsewhere = until(async || lease(&world).await.err().ok_or("it still leases")).await;
    assert_eq!(why(&elsewhere), (SEALED.0, SEALED.1.to_owned()));
    let refused = world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap_err();
    assert_eq!(why(&refused), (SEALED.0, SEALED.1.to_owned()));
    let rotated = request(pb::KeyPurpose::Wrapping, pb::RotationMode::Rewrap);
    let refused = client(&world).rotate_key(bearing(&first.caller, rotated)).await.unwrap_err();
    assert_eq!(why(&refused), (SEALED.0, SEALED.1.to_owned()));
    let status = client(&world).get_seal_status(bearing(&first.caller, pb::GetSealStatusRequest {})).await.unwrap();
    let status = status.into_inner();
    assert!(status.sealed && status.key_reachable && status.seal_time.is_some());
    assert_eq!((status.sealed_by, status.reason), (operator, "a laptop was stolen".to_owned()));

    let Parts { vault, .. } = Parts::of(&world).await;
    assert!(vault.keyed_hash("acme", b"value").await.unwrap_err().is_sealed());

    // One that starts now is closed too, and whoever opens it gets a token from it.
    world.endpoint = here;
    world.restart().await;
    let fresh = until(async || {
        Ok::<_, ()>(world.token_of(first.answer.operator.as_ref(), &first.answer.operator_secret).await)
    });
    let fresh = fresh.await;
    assert_eq!(lease(&world).await.unwrap_err().code(), Code::Unavailable);
    client(&world).unseal_vault(bearing(&fresh, open())).await.unwrap();
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
    world.endpoint = there;
    assert_eq!(until(async || lease(&world).await).await, TOKEN);
    world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyed_hash_is_the_same_for_the_same_value_of_a_tenant_and_only_then() {
    let world = World::empty().await;
    world.bootstrap().await;
    let (here, there) = (Parts::of(&world).await.vault, Parts::of(&world).await.vault);
    let (one, other) = tokio::join!(here.keyed_hash("acme", b"1"), there.keyed_hash("acme", b"1"));
    assert_eq!(one.unwrap(), other.unwrap(), "two replicas that make the key at once agree on it");
    let hash = here.keyed_hash("acme", b"1").await.unwrap();
    assert_ne!(hash, here.keyed_hash("acme", b"2").await.unwrap());
    assert_ne!(hash, here.keyed_hash("other", b"1").await.unwrap());
    assert_ne!(hash.as_slice(), aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"1").as_ref());
}
