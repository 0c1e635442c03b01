//! The key-encryption key in HashiCorp Vault's transit engine, played by a stand-in.

use std::collections::HashSet;

use auth::vault::{
    ProviderKind, TransitSettings,
    provider::{KeyProvider, ProviderError, TransitProvider},
    seal::{Key, Place},
};
use proto::auth::v1 as pb;
use tonic::Code;

use super::{
    WRAPPED, client, count, lease, request, result, rotate,
    stand_in::{Mood, StandIn},
    until,
};
use crate::world::{TOKEN, World, bearing, import, why};

const PLACE: Place<'static> =
    Place { tenant: "acme", table: "tenant_keys", column: "wrapped", row: "acme", key_version: 1 };

fn settings(world: &World, stand_in: &StandIn) -> TransitSettings {
    TransitSettings {
        address: stand_in.address.clone(),
        mount: "team/transit".to_owned(),
        token_file: Some(world.file("vault-token", "first\n")),
        call_timeout_seconds: 30,
        ..TransitSettings::default()
    }
}

/// The same, for a test that waits for it to give up.
fn impatient(settings: TransitSettings) -> TransitSettings {
    TransitSettings { call_timeout_seconds: 1, ..settings }
}

/// A world whose keys lie under the transit engine, moved there from a file while everything went on.
async fn moved() -> (World, crate::world::First, StandIn) {
    let (mut world, first, _) = World::connected().await;
    let stand_in = StandIn::start(&world).await;
    world.settings.key_provider = ProviderKind::VaultTransit;
    world.settings.vault_transit = settings(&world, &stand_in);
    world.restart().await;
    assert_eq!(lease(&world).await.unwrap(), TOKEN, "the file still opens what it wrapped");
    let told = result(&rotate(&world, &first.operator, "system", encryption()).await);
    assert_eq!(
        (told.rows, told.key_id.as_str()),
        (count(&world, WRAPPED).await, "vault_transit:team/transit/adplane:v1")
    );
    world.settings.kek_file = std::path::PathBuf::new();
    world.restart().await;
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
    (world, first, stand_in)
}

fn encryption() -> pb::RotateKeyRequest {
    request(pb::KeyPurpose::Encryption, pb::RotationMode::Unspecified)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_move_from_a_file_to_vault_and_on_to_its_next_version_without_a_pause() {
    let (mut world, first, stand_in) = moved().await;
    stand_in.rotate();
    let told = result(&rotate(&world, &first.operator, "system", encryption()).await);
    assert_eq!(
        (told.rows, told.key_id.as_str()),
        (count(&world, WRAPPED).await, "vault_transit:team/transit/adplane:v2")
    );
    let older = "SELECT count(*) FROM tenant_keys WHERE wrapped_by NOT LIKE '%:v2' OR NOT starts_with(encode(wrapped, 'escape'), 'vault:v2:')";
    assert_eq!(count(&world, older).await, 0);
    stand_in.engine().min_decryption_version = 2;
    world.restart().await;
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
    world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap();
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_vault_is_sealed_or_slow_auth_says_so_and_it_recovers_without_a_restart() {
    let (mut world, first, stand_in) = moved().await;
    for mood in [Mood::Sealed, Mood::Slow] {
        stand_in.engine().mood = mood;
        world.settings.vault_transit = impatient(settings(&world, &stand_in));
        // It starts all the same: tokens are verified, and none are issued.
        world.restart().await;
        let status = || bearing(&first.caller, pb::GetSealStatusRequest {});
        let told = client(&world).get_seal_status(status()).await.unwrap().into_inner();
        assert!(told.sealed && !told.key_reachable && told.sealed_by.is_empty());
        assert_eq!(told.provider, "vault_transit");
        let secret = first.answer.operator_secret.clone();
        let caller = first.answer.operator.as_ref().unwrap().name.clone();
        let issue = pb::IssueTokenRequest { caller, secret, scopes: Vec::new() };
        let refused = world.identity().issue_token(issue.clone()).await.unwrap_err();
        assert_eq!(why(&refused), (Code::Unavailable, "VAULT_SEALED".to_owned()));
        let refused = world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap_err();
        assert_eq!(why(&refused), (Code::Unavailable, "VAULT_SEALED".to_owned()));
        assert!(!refused.message().contains(&stand_in.address), "{refused:?}");

        stand_in.engine().mood = Mood::Well;
        until(async || world.identity().issue_token(issue.clone()).await).await;
        assert_eq!(until(async || lease(&world).await).await, TOKEN);
        until(async || {
            let told = client(&world).get_seal_status(status()).await.unwrap().into_inner();
            if told.sealed { Err("it still counts as sealed") } else { Ok(()) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_vault_makes_anew_during_a_rotation_is_where_everything_arrives() {
    let (world, first, stand_in) = moved().await;
    stand_in.rotate();
    // To know its version takes some, and wrapping the first keys anew takes others.
    stand_in.engine().rotates_after = Some(4);
    let told = result(&rotate(&world, &first.operator, "system", encryption()).await);
    assert_eq!(
        (told.rows, told.key_id.as_str()),
        (count(&world, WRAPPED).await, "vault_transit:team/transit/adplane:v3")
    );
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_waits_for_vault_and_goes_on_by_itself() {
    let (world, first, stand_in) = moved().await;
    stand_in.rotate();
    let began = client(&world).rotate_key(bearing(&first.operator, encryption())).await.unwrap().into_inner();
    stand_in.engine().mood = Mood::Sealed;
    assert!(!began.operation.unwrap().done);
    let refused = client(&world).rotate_key(bearing(&first.operator, encryption())).await.unwrap_err();
    assert!([Code::FailedPrecondition, Code::Unavailable].contains(&refused.code()), "{refused:?}");
    stand_in.engine().mood = Mood::Well;
    let older = "SELECT count(*) FROM tenant_keys WHERE wrapped_by NOT LIKE '%:v2'";
    until(async || if count(&world, older).await == 0 { Ok(()) } else { Err("some lie under v1") }).await;
    assert_eq!(lease(&world).await.unwrap(), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_key_opens_at_its_place_only_and_refusals_are_told_from_outages() {
    let world = World::empty().await;
    let stand_in = StandIn::start(&world).await;
    let settings = settings(&world, &stand_in);
    let provider = TransitProvider::new(&settings).unwrap();
    let key = Key::random().unwrap();
    let wrapped = provider.wrap(&key, &PLACE).await.unwrap();
    assert!(provider.knows(&wrapped.by));
    assert_eq!(provider.unwrap(&wrapped, &PLACE).await.unwrap().expose(), key.expose());
    for elsewhere in [
        Place { tenant: "other", ..PLACE },
        Place { table: "hash_keys", ..PLACE },
        Place { column: "other", ..PLACE },
        Place { row: "other", ..PLACE },
        Place { key_version: 2, ..PLACE },
    ] {
        let refused = provider.unwrap(&wrapped, &elsewhere).await.unwrap_err();
        assert!(matches!(refused, ProviderError::Refused(said) if said.contains("authentication failed")));
    }
    stand_in.engine().tokens = HashSet::from(["second".to_owned()]);
    let refused = provider.unwrap(&wrapped, &PLACE).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused(said) if said == "403 permission denied"));
    world.file("vault-token", "second\n");
    assert!(provider.unwrap(&wrapped, &PLACE).await.is_ok(), "the renewed token is used at once");
    stand_in.engine().mood = Mood::Slow;
    let provider = TransitProvider::new(&impatient(settings.clone())).unwrap();
    assert!(matches!(provider.current().await.unwrap_err(), ProviderError::Away(said) if said == "no answer in time"));
    let nobody = TransitSettings { address: "http://127.0.0.1:9".to_owned(), ..settings.clone() };
    let nobody = TransitProvider::new(&nobody).unwrap();
    assert!(matches!(nobody.current().await.unwrap_err(), ProviderError::Away(_)));
    let missing = TransitSettings { ca_file: Some("/nonexistent/ca.pem".into()), ..settings };
    assert!(matches!(TransitProvider::new(&missing), Err(ProviderError::Setup { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_logs_in_once_and_again_when_its_token_is_not_taken_any_more() {
    let world = World::empty().await;
    let stand_in = StandIn::start(&world).await;
    let settings = TransitSettings {
        token_file: None,
        kubernetes_role: Some("adplane".to_owned()),
        kubernetes_mount: "cluster".to_owned(),
        kubernetes_token_file: world.file("account", "an account"),
        ..settings(&world, &stand_in)
    };
    let provider = TransitProvider::new(&settings).unwrap();
    for _ in 0..3 {
        provider.current().await.unwrap();
    }
    assert_eq!(stand_in.engine().logins, 1);
    stand_in.engine().tokens.clear();
    provider.current().await.unwrap();
    assert_eq!(stand_in.engine().logins, 2);
    let stranger = TransitSettings { kubernetes_role: Some("stranger".to_owned()), ..settings };
    let refused = TransitProvider::new(&stranger).unwrap().current().await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused(_)));
}
