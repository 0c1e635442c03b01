//! The keys that sign tokens: known before they sign, and as long as a token of theirs lives.

use std::sync::{Arc, Mutex};

use auth::{
    by::{By, Repeat},
    now::Now,
    signing::SigningKeys,
    token::Algorithm,
    vault::rotation::{Rotated, Rotations},
};
use jiff::{Timestamp, ToSpan};
use proto::auth::v1 as pb;
use rpc::{Keys, Verifier};
use tokio_util::sync::CancellationToken;

use super::{Parts, client, request, result, rotate, until};
use crate::{
    waiting::PATIENCE,
    world::{ACCOUNT, World, bearing, for_tenant},
};

fn kids(keys: &SigningKeys) -> Vec<String> {
    let jwks = keys.jwks();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_ends() {
    let mut world = World::empty().await;
    world.bootstrap().await;
    world.stop().await;
    world.settings.signing_algorithm = Algorithm::Es256;
    let clock = Arc::new(Mutex::new(vocabulary::Clock::now(&vocabulary::SystemClock)));
    let turn = |by: jiff::Span| *clock.lock().unwrap() += by;
    let now: Now = {
        let clock = Arc::clone(&clock);
        Arc::new(move || *clock.lock().unwrap())
    };
    let at = || -> Timestamp { *clock.lock().unwrap() };
    let Parts { store, vault, .. } = Parts::of(&world).await;
    let load = || SigningKeys::load(&store, &vault, Algorithm::Es256, Arc::clone(&now));
    let (here, there) = (load().await.unwrap(), load().await.unwrap());
    let old = here.signer(at()).unwrap().id.clone();
    let rotations = Rotations::new(&world.settings, (store.clone(), Arc::clone(&now)), vault.clone(), here.clone());
    let system = By::ourselves(auth::vault::SYSTEM.parse().unwrap());
    let repeat = Repeat::of("RotateKey", None, &pb::RotateKeyRequest::default());
    rotations.create(&system, Rotated::Signing { revoke_old: false }, false, (&repeat, |_| Vec::new())).await.unwrap();

    // The replica that made it and one that looks a little later: both publish it, none signs with it.
    rotations.round(&CancellationToken::new()).await.unwrap();
    there.reload().await.unwrap();
    for keys in [&here, &there] {
        assert_eq!(kids(keys).len(), 2);
        assert_eq!(keys.signer(at()).unwrap().id, old);
    }
    turn(599.seconds());
    assert_eq!(there.signer(at()).unwrap().id, old);
    turn(1.second());
    let new = there.signer(at()).unwrap().id.clone();
    assert_ne!(new, old);
    assert_eq!(load().await.unwrap().signer(at()).unwrap().id, new, "one that starts now signs with it too");
    // Tokens of the old key live an hour at most.
    turn(3_600.seconds());
    there.reload().await.unwrap();
    assert_eq!(kids(&there), [new.clone(), old]);
    turn(2.hours());
    there.reload().await.unwrap();
    assert_eq!(kids(&there), std::slice::from_ref(&new));
    rotations.tidy().await.unwrap();
    assert_eq!(super::count(&world, "SELECT count(*) FROM signing_keys").await, 1);
    assert_eq!(load().await.unwrap().signer(at()).unwrap().id, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_both_keys_verify_everywhere_while_one_follows_the_other() {
    let mut world = World::empty().await;
    let first = world.bootstrap().await;
    world.settings.signing_algorithm = Algorithm::Es256;
    world.settings.signing_publish_seconds = 5;
    world.restart().await;
    let elsewhere = world.replica().await;
    let verifier = rpc::Verifier::new(rpc::Keys::of_auth(world.pool()));
    assert!(verifier.verify(&first.operator).await.is_ok());

    let operation =
        rotate(&world, &first.operator, "system", request(pb::KeyPurpose::Signing, pb::RotationMode::Unspecified));
    let told = result(&operation.await);
    assert_eq!(told.version, 2);
    let fresh = until(async || {
        let token = world.token_of(first.answer.operator.as_ref(), &first.answer.operator_secret).await;
        let header = jsonwebtoken::decode_header(&token).unwrap();
        if header.kid.as_deref() == Some(&*told.key_id) { Ok((token, header.alg)) } else { Err("the old one signs") }
    })
    .await;
    assert_eq!(fresh.1, jsonwebtoken::Algorithm::ES256);
    let list = || for_tenant(bearing(&fresh.0, pb::ListKeysRequest::default()), "acme");
    let keys = client(&world).list_keys(list()).await.unwrap().into_inner().keys;
    let signing: Vec<_> = keys.iter().filter(|key| key.purpose() == pb::KeyPurpose::Signing).collect();
    assert_eq!(signing.iter().map(|key| key.algorithm.as_str()).collect::<Vec<_>>(), ["EdDSA", "ES256"]);
    assert!(signing[0].retire_time.is_some() && signing[1].sign_time.is_some());
    // The other replica has read it by itself, and a service of ours that knew only the old key asks for the new one.
    world.endpoint = elsewhere;
    until(async || client(&world).list_keys(list()).await).await;
    assert!(rpc::Verifier::new(rpc::Keys::of_auth(world.pool())).verify(&fresh.0).await.is_ok());
    assert!(verifier.verify(&first.operator).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stolen_key_has_signed_is_refused_and_services_go_on_with_new_tokens() {
    let (world, first, _) = World::connected().await;
    let (mut campaigns, verifier) = (world.service("campaigns"), Arc::new(Verifier::new(Keys::of_auth(world.pool()))));
    world.spawn(Arc::clone(&verifier).watch(world.peer("insights"), CancellationToken::new()));
    let lease = || {
        let (resource, purpose) = (ACCOUNT.to_owned(), "campaigns.read".to_owned());
        let request = pb::LeaseCredentialRequest { resource, purpose, ..Default::default() };
        rpc::for_tenant(request, &"acme".parse().unwrap())
    };
    campaigns.lease_credential(lease()).await.unwrap();
    assert!(verifier.verify(&first.caller).await.is_ok());
    // One that has only begun does not stand in the way.
    let planned = request(pb::KeyPurpose::Signing, pb::RotationMode::Unspecified);
    client(&world).rotate_key(bearing(&first.operator, planned)).await.unwrap();

    let urgent = request(pb::KeyPurpose::Signing, pb::RotationMode::Unspecified);
    let urgent = pb::RotateKeyRequest { revoke_old: true, ..urgent };
    client(&world).rotate_key(bearing(&first.operator, urgent)).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while verifier.verify(&first.caller).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the stolen key still signs");
        tokio::task::yield_now().await;
    }
    // Its own token is refused as well, and it gets another by itself.
    while let Err(refused) = campaigns.lease_credential(lease()).await {
        assert!(tokio::time::Instant::now() < deadline, "{refused:?}");
        tokio::task::yield_now().await;
    }
    let fresh = until(async || {
        let token = world.token_of(first.answer.caller.as_ref(), &first.answer.caller_secret).await;
        verifier.verify(&token).await.map(|_| token)
    });
    let list = bearing(&fresh.await, pb::ListConnectionsRequest::default());
    world.connections().list_connections(list).await.unwrap();
}
