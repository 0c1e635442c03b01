//! Import, log-in, discovery, revocation.

use prost::Message;
use proto::{
    auth::v1 as pb,
    operations::v1::{GetOperationRequest, operation::Outcome, operation_service_client::OperationServiceClient},
};
use tonic::Code;

use crate::{
    waiting::{soon, until},
    world::{ACCOUNT, APP, First, World, bearing, import, meta_app, uuid, why},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_token_is_looked_at_and_its_accounts_claimed() {
    let (world, first, imported) = World::connected().await;
    let connection = imported.connection.unwrap();
    assert_eq!(connection.state(), pb::ConnectionState::Active);
    assert_eq!(connection.kind(), pb::ConnectionKind::SystemUser);
    assert_eq!(connection.expire_time, None);
    assert!(connection.scopes.contains(&"ads_management".to_owned()));
    let assets = imported.assets.unwrap();
    assert_eq!(assets.ad_accounts, 3);
    assert_eq!(assets.claimed_ad_accounts.len(), 3);
    assert!(assets.datasets >= 1 && assets.pages >= 1 && assets.instagram_users >= 1, "{assets:?}");

    let list = pb::ListAssetsRequest { kind: pb::AssetKind::AdAccount.into(), ..Default::default() };
    let listed = world.connections().list_assets(bearing(&first.caller, list)).await.unwrap().into_inner().assets;
    assert_eq!(listed[0].name, ACCOUNT);
    assert!(listed.iter().all(|asset| asset.owned && asset.reachable_by == [connection.name.clone()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_import_replaces_the_token_and_a_repeat_changes_nothing() {
    let (world, first) = World::with_app().await;
    let request = import();
    let importing = async |request| {
        let answer = world.connections().import_system_user_token(bearing(&first.caller, request)).await;
        answer.unwrap().into_inner()
    };
    let once = importing(request.clone()).await;
    assert_eq!(importing(request).await, once);
    let newer = importing(import()).await.connection.unwrap();
    let older = once.connection.unwrap();
    assert_eq!(newer.name, older.name);
    assert_ne!(newer.etag, older.etag);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_what_was_expected_is_kept_and_named() {
    let (world, first) = World::with_app().await;
    let expected_scopes = vec!["ads_read".to_owned(), "whatsapp_business_management".to_owned()];
    let request = pb::ImportSystemUserTokenRequest { expected_scopes, ..import() };
    let kept =
        world.connections().import_system_user_token(bearing(&first.caller, request)).await.unwrap().into_inner();
    let connection = kept.connection.unwrap();
    assert_eq!(connection.state(), pb::ConnectionState::NeedsConsent);
    assert_eq!(connection.missing_scopes, ["whatsapp_business_management"]);
    assert!(connection.state_reason.contains("whatsapp_business_management"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_token_is_refused_and_nothing_is_stored() {
    let (world, first) = World::with_app().await;
    let request = pb::ImportSystemUserTokenRequest { token: "EAAnonsense".to_owned(), ..import() };
    let refused = world.connections().import_system_user_token(bearing(&first.caller, request)).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "META_REFUSED_CREDENTIAL".to_owned()));
    assert!(!refused.message().contains("EAAnonsense"));
    let list = pb::ListConnectionsRequest::default();
    let listed = world.connections().list_connections(bearing(&first.caller, list)).await.unwrap().into_inner();
    assert!(listed.connections.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_an_import_asks_meta_and_stores_nothing() {
    let (world, first) = World::with_app().await;
    let request = pb::ImportSystemUserTokenRequest { validate_only: true, ..import() };
    let checked = world.connections().import_system_user_token(bearing(&first.caller, request)).await;
    let checked = checked.unwrap().into_inner();
    assert_eq!(checked.connection.unwrap().name, "");
    assert_eq!(checked.assets.unwrap().ad_accounts, 3);
    let list = pb::ListConnectionsRequest::default();
    let listed = world.connections().list_connections(bearing(&first.caller, list)).await.unwrap().into_inner();
    assert!(listed.connections.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_with_a_wrong_secret_is_not_registered() {
    let world = World::empty().await;
    let first = world.bootstrap().await;
    let request = pb::CreateMetaAppRequest {
        meta_app: Some(meta_app()),
        app_secret: "wrong".to_owned(),
        request_id: uuid(),
        validate_only: false,
    };
    let refused = world.apps().create_meta_app(bearing(&first.operator, request)).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "META_REFUSED_CREDENTIAL".to_owned()));
    let get = pb::GetMetaAppRequest { name: format!("metaApps/{APP}") };
    assert_eq!(world.apps().get_meta_app(bearing(&first.caller, get)).await.unwrap_err().code(), Code::NotFound);
}

/// Begins a log-in and lets the sandbox's person agree: the state and the code.
pub(crate) async fn logged_in(world: &World, first: &First) -> (String, String) {
    let request = pb::BeginConnectionRequest { meta_app: format!("metaApps/{APP}"), ..Default::default() };
    let begun = world.connections().begin_connection(bearing(&first.caller, request)).await.unwrap().into_inner();
    let purpose = pb::GetLoginRequest { state: begun.state.clone() };
    let dialog = world.connections().get_login(purpose).await.unwrap().into_inner().login.unwrap().dialog_url;
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let answer = browser.get(&dialog).send().await.unwrap();
    let location: url::Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    let value = |name: &str| location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(value("state"), Some(begun.state.clone()));
    (begun.state, value("code").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_leads_to_our_page_first_and_says_whose_it_is_while_it_can_be_finished() {
    let (world, first) = World::with_app().await;
    let request = pb::BeginConnectionRequest { meta_app: format!("metaApps/{APP}"), ..Default::default() };
    let begun = world.connections().begin_connection(bearing(&first.caller, request)).await.unwrap().into_inner();
    let page = format!("{}/oauth/begin?state={}", world.settings.public_base_url, begun.state);
    assert_eq!(begun.authorization_url, page);
    let ask = async |state: &str| {
        let request = pb::GetLoginRequest { state: state.to_owned() };
        world.connections().get_login(request).await.map(|answer| answer.into_inner().login.unwrap())
    };
    let login = ask(&begun.state).await.unwrap();
    let caller = first.answer.caller.as_ref().unwrap();
    assert_eq!((login.tenant.as_str(), login.began_by.as_str()), ("tenants/acme", caller.name.as_str()));
    assert_eq!(login.began_by_display_name, caller.display_name);
    assert_eq!(login.callback_url, world.settings.redirect_uri());
    assert!(login.scopes.contains(&"ads_management".to_owned()), "{login:?}");
    assert!(login.dialog_url.starts_with(&world.settings.dialog_url), "{}", login.dialog_url);
    assert!(login.dialog_url.contains(&begun.state), "the dialog is for another log-in");
    let ends = [login.expire_time, begun.expire_time].map(|end| end.unwrap().seconds);
    assert_eq!(ends[0], ends[1]);
    // The chain says that it was begun, by whom, and not its state.
    let begun_by = format!(
        "SELECT count(*) FROM audit_entries
          WHERE action = 'connections.begin' AND actor = '{}' AND detail::text NOT LIKE '%{}%'",
        caller.name, begun.state
    );
    assert_eq!(world.postgres().await.query_one(&begun_by, &[]).await.unwrap().get::<_, i64>(0), 1);

    let nobodys = ask(&begun.state.chars().rev().collect::<String>()).await.unwrap_err();
    assert_eq!(why(&nobodys), (Code::NotFound, "NOT_FOUND".to_owned()));
    let (state, code) = logged_in(&world, &first).await;
    let complete = pb::CompleteConnectionRequest { state: state.clone(), code, ..Default::default() };
    world.connections().complete_connection(complete).await.unwrap();
    assert_eq!(why(&ask(&state).await.unwrap_err()), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_becomes_a_connection_once() {
    let (world, first) = World::with_app().await;
    let (state, code) = logged_in(&world, &first).await;
    let complete = pb::CompleteConnectionRequest { state, code, ..Default::default() };
    let done = world.connections().complete_connection(complete.clone()).await.unwrap().into_inner();
    let connection = done.connection.unwrap();
    assert_eq!(connection.kind(), pb::ConnectionKind::User);
    assert_eq!(connection.state(), pb::ConnectionState::Active);
    assert!(connection.expire_time.is_some());
    let again = world.connections().complete_connection(complete).await.unwrap_err();
    assert_eq!(why(&again), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_whose_answer_was_lost_is_answered_again() {
    let (world, first) = World::with_app().await;
    let (state, code) = logged_in(&world, &first).await;
    let complete = pb::CompleteConnectionRequest { state, code, request_id: uuid(), ..Default::default() };
    let once = world.connections().complete_connection(complete.clone()).await.unwrap().into_inner();
    assert_eq!(world.connections().complete_connection(complete.clone()).await.unwrap().into_inner(), once);
    let other = pb::CompleteConnectionRequest { request_id: uuid(), ..complete };
    let used = world.connections().complete_connection(other).await.unwrap_err();
    assert_eq!(why(&used), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_state_does_not_exist_and_a_used_code_says_so() {
    let (world, first) = World::with_app().await;
    let other = world.tenant(&first, "other").await;
    let (state, code) = logged_in(&world, &first).await;
    let complete = |state: &str, code: &str| pb::CompleteConnectionRequest {
        state: state.to_owned(),
        code: code.to_owned(),
        ..Default::default()
    };
    let foreign = world.connections().complete_connection(bearing(&other, complete(&state, &code))).await;
    assert_eq!(why(&foreign.unwrap_err()), (Code::NotFound, "NOT_FOUND".to_owned()));
    world.connections().complete_connection(complete(&state, &code)).await.unwrap();

    let (fresh, _) = logged_in(&world, &first).await;
    let used = world.connections().complete_connection(complete(&fresh, &code)).await.unwrap_err();
    assert_eq!(why(&used), (Code::FailedPrecondition, "META_REFUSED_CREDENTIAL".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_address_may_be_returned_to() {
    let (world, first) = World::with_app().await;
    let request = pb::BeginConnectionRequest {
        meta_app: format!("metaApps/{APP}"),
        redirect_uri: "https://evil.example/oauth/callback".to_owned(),
        ..Default::default()
    };
    let refused = world.connections().begin_connection(bearing(&first.caller, request)).await.unwrap_err();
    assert_eq!(why(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_is_an_operation_that_ends() {
    let (world, first, imported) = World::connected().await;
    let request =
        pb::DiscoverAssetsRequest { name: imported.connection.unwrap().name, request_id: uuid(), validate_only: false };
    let begun = world.connections().discover_assets(bearing(&first.caller, request)).await.unwrap().into_inner();
    let name = begun.operation.unwrap().name;
    let mut operations = OperationServiceClient::new(world.pool());
    let outcome = soon("the end of the discovery", async || {
        let get = GetOperationRequest { name: name.clone() };
        let seen = operations.get_operation(bearing(&first.caller, get)).await.unwrap().into_inner().operation.unwrap();
        seen.done.then_some(seen.outcome)
    })
    .await;
    let Some(Outcome::Result(result)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(pb::DiscoverAssetsResult::decode(result.value.as_slice()).unwrap().ad_accounts, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_connection_is_gone_here_and_at_meta() {
    let (world, first, imported) = World::connected().await;
    let name = imported.connection.unwrap().name;
    let request = pb::RevokeConnectionRequest { name: name.clone(), request_id: uuid(), ..Default::default() };
    let ended = world.connections().revoke_connection(bearing(&first.caller, request.clone())).await.unwrap();
    let ended = ended.into_inner();
    assert!(ended.revoked_at_meta);
    assert_eq!(ended.connection.as_ref().unwrap().state(), pb::ConnectionState::Revoked);
    let again = world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap().into_inner();
    assert_eq!(again, ended);

    let refused = world.connections().import_system_user_token(bearing(&first.caller, import())).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "META_REFUSED_CREDENTIAL".to_owned()));
    let row = world.postgres().await;
    let sealed = row.query_one("SELECT count(sealed_token) + count(wrapped_key) FROM connections", &[]).await.unwrap();
    assert_eq!(sealed.get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_tenant_has_does_not_exist_for_another() {
    let (world, first, imported) = World::connected().await;
    let other = world.tenant(&first, "other").await;
    let name = imported.connection.unwrap().name;
    let get = pb::GetConnectionRequest { name };
    let hidden = world.connections().get_connection(bearing(&other, get)).await.unwrap_err();
    assert_eq!(why(&hidden), (Code::NotFound, "NOT_FOUND".to_owned()));
    let taken = world.connections().import_system_user_token(bearing(&other, import())).await.unwrap().into_inner();
    let assets = taken.assets.unwrap();
    assert_eq!((assets.claimed_ad_accounts.len(), assets.taken_ad_accounts.len()), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_closes_the_page_is_connected_all_the_same() {
    let (world, first) = World::with_app().await;
    world.exchanges_go(serde_json::json!({ "slow": { "milliseconds": 1_000 } }), None).await;
    let (state, code) = logged_in(&world, &first).await;
    let complete = pb::CompleteConnectionRequest { state, code, ..Default::default() };
    let (mut connections, client) = (world.connections(), world.postgres().await);
    let used = "SELECT count(*) FROM login_states WHERE used_at IS NOT NULL";
    let begun =
        until("the log-in is finished", async || client.query_one(used, &[]).await.unwrap().get::<_, i64>(0) > 0);
    // It hangs up when the state is used; where this machine is so slow that the answer came first, there is no harm.
    tokio::select! {
        answer = connections.complete_connection(complete) => drop(answer.unwrap()),
        () = begun => {}
    }
    until("what the code brought is kept", async || {
        let list = bearing(&first.caller, pb::ListConnectionsRequest::default());
        let listed = world.connections().list_connections(list).await.unwrap().into_inner().connections;
        listed.iter().any(|connection| connection.state() == pb::ConnectionState::Active)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_reason_of_a_revocation_is_kept_nowhere() {
    let (world, first, imported) = World::connected().await;
    let name = imported.connection.unwrap().name;
    let token = format!("EAAB{}", "x7Kq2".repeat(12));
    let reason = format!("the token {token} was in a chat");
    let request = pb::RevokeConnectionRequest { name: name.clone(), reason, request_id: uuid(), ..Default::default() };
    let ended = world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap().into_inner();
    let shown = ended.connection.unwrap().state_reason;
    assert!(shown.starts_with("the token hmac:") && shown.ends_with("was in a chat"), "{shown}");
    let rows = "SELECT count(*) FROM (SELECT c::text AS row FROM connections AS c
                 UNION ALL SELECT e::text FROM connection_events AS e
                 UNION ALL SELECT a::text FROM audit_entries AS a) AS every WHERE row LIKE '%' || $1 || '%'";
    let found: i64 = world.postgres().await.query_one(rows, &[&token]).await.unwrap().get(0);
    assert_eq!(found, 0);
}

/// Waits until no token of a revoked connection is kept.
async fn until_destroyed(world: &World) {
    let kept = "SELECT count(*) FROM connections WHERE sealed_token IS NOT NULL";
    let client = world.postgres().await;
    until("the token is destroyed", async || client.query_one(kept, &[]).await.unwrap().get::<_, i64>(0) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_destroyed_when_meta_was_told_or_after_a_day() {
    for is_mended in [true, false] {
        let (world, first, imported) = World::connected().await;
        let away = serde_json::json!({ "matcher": { "path": "permissions" }, "action": { "http": { "status": 503 } } });
        world.control("faults", &away).await;
        let name = imported.connection.unwrap().name;
        let request = pb::RevokeConnectionRequest { name: name.clone(), request_id: uuid(), ..Default::default() };
        let ended = world.connections().revoke_connection(bearing(&first.caller, request)).await.unwrap().into_inner();
        assert_eq!((ended.revoked_at_meta, ended.connection.unwrap().state()), (false, pb::ConnectionState::Revoked));
        let kept = "SELECT count(*) FROM connections WHERE sealed_token IS NOT NULL";
        assert_eq!(world.postgres().await.query_one(kept, &[]).await.unwrap().get::<_, i64>(0), 1);
        if is_mended {
            world.mended().await;
        }
        // A replica that starts sweeps first of all.
        world.turn(std::time::Duration::from_mins(if is_mended { 3 } else { 25 * 60 })).await;
        world.replica().await;
        until_destroyed(&world).await;
        let told = world.asked(|line| line["path"].to_string().contains("permissions") && line["status"] == 200).await;
        assert_eq!(told > 0, is_mended);
    }
}
