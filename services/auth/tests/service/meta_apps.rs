//! Apps whose secret changes, and webhooks meanwhile.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use proto::auth::v1 as pb;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tonic::{Code, Request};

use crate::{
    waiting::until,
    world::{ACCOUNT, APP, APP_SECRET, First, Registered, TOKEN, World, bearing, uuid, why},
};

const NEW_SECRET: &str = "the-new-secret-of-the-app";

/// Meta, with an app whose secret somebody has reset: in front of the sandbox, which has one secret only.
#[derive(Clone)]
struct Meta {
    sandbox: String,
    /// The secret that Meta takes now.
    secret: Arc<Mutex<&'static str>>,
    http: reqwest::Client,
}

async fn forward(State(meta): State<Meta>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let taken = *meta.secret.lock().unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    let text = match (text.contains("client_secret="), text.contains(&format!("client_secret={taken}"))) {
        (true, true) => text.replace(taken, APP_SECRET),
        (true, false) => text.replace("client_secret=", "client_secret=not-"),
        (false, _) => text,
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = meta.http.request(method, format!("{}{}{query}", meta.sandbox, uri.path())).body(text);
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            // The app's own token has the secret in it.
            let value = value.to_str().unwrap().replace(&format!("|{taken}"), &format!("|{APP_SECRET}"));
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    (status, [("content-type", "application/json")], answer.bytes().await.unwrap()).into_response()
}

async fn world() -> (World, First, Meta) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut sandbox = String::new();
    let world = World::set(|settings| {
        sandbox = std::mem::replace(&mut settings.graph.base_url, address);
    })
    .await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let meta = Meta { sandbox, secret: Arc::new(Mutex::new(APP_SECRET)), http };
    let routes = Router::new().fallback(forward).with_state(meta.clone());
    world.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let (world, first, _) = world.registered().await.imported().await;
    (world, first, meta)
}

fn rotate(secret: &str, overlap: i64) -> pb::RotateMetaAppSecretRequest {
    pb::RotateMetaAppSecretRequest {
        name: format!("metaApps/{APP}"),
        new_secret: secret.to_owned(),
        overlap: Some(prost_types::Duration { seconds: overlap, nanos: 0 }),
        request_id: uuid(),
        validate_only: false,
    }
}

fn signed(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

async fn is_valid(world: &World, signature: String, body: &[u8]) -> bool {
    let request = pb::VerifyWebhookRequest { meta_app: format!("metaApps/{APP}"), signature, body: body.to_vec() };
    world.service("campaigns").verify_webhook(request).await.unwrap().into_inner().valid
}

async fn proof(world: &World) -> String {
    let (resource, purpose) = (ACCOUNT.to_owned(), "campaigns.read".to_owned());
    let request = pb::LeaseCredentialRequest { resource, purpose, min_ttl: None, seen_generation: 0 };
    let request = rpc::for_tenant(request, &"acme".parse().unwrap());
    world.service("campaigns").lease_credential(request).await.unwrap().into_inner().lease.unwrap().appsecret_proof
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_replaced_once_meta_takes_it_and_webhooks_of_both_are_taken_meanwhile() {
    let (world, first, meta) = world().await;
    let by = |secret: &str| graph::oauth::proof(&secret.into(), &TOKEN.into()).expose_secret().to_owned();
    assert_eq!(proof(&world).await, by(APP_SECRET));
    let rotating = async |request| world.apps().rotate_meta_app_secret(bearing(&first.operator, request)).await;

    // Meta does not know it yet: nothing changes.
    let refused = rotating(rotate(NEW_SECRET, 3_600)).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "META_REFUSED_CREDENTIAL".to_owned()));
    assert_eq!(proof(&world).await, by(APP_SECRET));

    *meta.secret.lock().unwrap() = NEW_SECRET;
    let request = rotate(NEW_SECRET, 3_600);
    let checked = pb::RotateMetaAppSecretRequest { validate_only: true, ..request.clone() };
    assert_eq!(rotating(checked).await.unwrap().into_inner().meta_app.unwrap().secret_versions.len(), 1);
    let answer = rotating(request.clone()).await.unwrap().into_inner();
    let versions = answer.meta_app.clone().unwrap().secret_versions;
    assert_eq!(
        versions.iter().map(|secret| (secret.version, secret.proves)).collect::<Vec<_>>(),
        [(2, true), (1, false)]
    );
    assert!(versions[0].accept_until.is_none() && versions[1].accept_until.is_some());
    assert_eq!(rotating(request).await.unwrap().into_inner(), answer, "a repeat changes nothing");
    assert!(!format!("{answer:?}").contains(NEW_SECRET));
    until("leases are proved anew", async || proof(&world).await == by(NEW_SECRET)).await;

    let body = br#"{"object":"ad_account","entry":[]}"#;
    assert!(is_valid(&world, signed(NEW_SECRET, body), body).await);
    assert!(is_valid(&world, signed(APP_SECRET, body), body).await);
    assert!(!is_valid(&world, signed("another", body), body).await);
    assert!(!is_valid(&world, signed(NEW_SECRET, body), b"{}").await);
    // The overlap is over.
    let over = "UPDATE meta_app_secrets SET accept_until = now() - interval '1 second'";
    assert_eq!(world.postgres().await.execute(over, &[]).await.unwrap(), 1);
    assert!(is_valid(&world, signed(NEW_SECRET, body), body).await);
    assert!(!is_valid(&world, signed(APP_SECRET, body), body).await);
    let get = pb::GetMetaAppRequest { name: format!("metaApps/{APP}") };
    let app = world.apps().get_meta_app(bearing(&first.caller, get)).await.unwrap().into_inner().meta_app.unwrap();
    assert_eq!(app.secret_versions.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_without_overlap_ends_the_old_one_at_once() {
    let (world, first, meta) = world().await;
    *meta.secret.lock().unwrap() = NEW_SECRET;
    world.apps().rotate_meta_app_secret(bearing(&first.operator, rotate(NEW_SECRET, 0))).await.unwrap();
    assert!(is_valid(&world, signed(NEW_SECRET, b"x"), b"x").await);
    assert!(!is_valid(&world, signed(APP_SECRET, b"x"), b"x").await);
    // A caller of a tenant has no say in it, and nobody but services asks about webhooks.
    let refused = world.apps().rotate_meta_app_secret(bearing(&first.caller, rotate(APP_SECRET, 0))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let request = pb::VerifyWebhookRequest { meta_app: format!("metaApps/{APP}"), ..Default::default() };
    let mut credentials = pb::credential_service_client::CredentialServiceClient::new(world.pool());
    let refused = credentials.verify_webhook(bearing(&first.operator, request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_are_listed_and_changed() {
    let (world, first) = World::with_app().await;
    let list = Request::new(pb::ListMetaAppsRequest::default()).into_inner();
    let listed = world.apps().list_meta_apps(bearing(&first.caller, list)).await.unwrap().into_inner();
    let [app] = listed.meta_apps.try_into().unwrap();
    assert_eq!((app.app_id.as_str(), app.api_version.as_str(), app.secret_versions.len()), (APP, "v26.0", 1));
    let update = |etag: &str| pb::UpdateMetaAppRequest {
        meta_app: Some(pb::MetaApp { etag: etag.to_owned(), api_version: "v25.0".to_owned(), ..app.clone() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["api_version".to_owned()] }),
        request_id: uuid(),
        validate_only: false,
    };
    let changed = world.apps().update_meta_app(bearing(&first.operator, update(&app.etag))).await.unwrap().into_inner();
    assert_eq!(changed.meta_app.unwrap().api_version, "v25.0");
    let stale = world.apps().update_meta_app(bearing(&first.operator, update(&app.etag))).await.unwrap_err();
    assert_eq!(why(&stale), (Code::Aborted, "ETAG_MISMATCH".to_owned()));
}
