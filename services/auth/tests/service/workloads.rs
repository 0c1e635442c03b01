//! Services that come with the token of their pod.

use std::{collections::BTreeMap, fs};

use auth::{issuers::JwksSettings, workloads::ServiceAccountSettings};
use proto::auth::v1::{
    self as pb, credential_service_client::CredentialServiceClient, exchange_service_token_request::Proof,
};
use rpc::{Peer, ServiceIdentity, testing::Outsider, token::Algorithm};
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    issuers::Provider,
    waiting::{soon, until},
    world::{ACCOUNT, Registered, World, why},
};

fn cluster() -> Outsider {
    Outsider::new("https://kubernetes.default.svc.cluster.local", "c1", Algorithm::RS256)
}

/// As the API server makes them for a pod.
fn claims(cluster: &Outsider, account: &str) -> Value {
    let mut claims = cluster.claims("");
    claims["aud"] = json!(["adplane-auth"]);
    claims["sub"] = json!(format!("system:serviceaccount:{}", account.replace('/', ":")));
    claims["kubernetes.io"] = json!({"namespace": "adplane", "pod": {"name": "campaigns-0"}});
    claims
}

async fn world(url: &str) -> World {
    let services = BTreeMap::from([("adplane/campaigns".to_owned(), "campaigns".to_owned())]);
    let settings = ServiceAccountSettings {
        issuer: cluster().issuer,
        jwks: JwksSettings { url: url.to_owned(), retry_seconds: 1, ..JwksSettings::default() },
        services,
        ..ServiceAccountSettings::default()
    };
    World::set(|all| all.service_accounts = Some(settings)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pods_token_makes_a_service_and_is_read_anew() {
    let cluster = cluster();
    let provider = Provider::start(vec![cluster.jwk()]).await;
    let (world, _, _) = world(&provider.url).await.registered().await.imported().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let settings = rpc::PeerSettings {
        endpoint: world.endpoint.clone(),
        service_account_token_file: Some(file.path().to_owned()),
        ..Default::default()
    };
    let identity = ServiceIdentity::of_service("campaigns", &settings).unwrap();
    let lease = async || {
        let peer = Peer::connect(&world.endpoint, identity.clone()).unwrap();
        let (resource, purpose) = (ACCOUNT.to_owned(), "campaigns.read".to_owned());
        let request = pb::LeaseCredentialRequest { resource, purpose, min_ttl: None, seen_generation: 0 };
        let request = rpc::for_tenant(request, &"acme".parse().unwrap());
        CredentialServiceClient::new(peer.channel()).lease_credential(request).await
    };
    // The kubelet has not written it yet; then it has.
    assert!(lease().await.is_err());
    fs::write(file.path(), cluster.sign(&claims(&cluster, "adplane/campaigns"))).unwrap();
    until("the file is read anew", async || lease().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_account_audience_time_or_cluster_makes_no_service() {
    let cluster = cluster();
    let provider = Provider::start(vec![cluster.jwk()]).await;
    let world = world(&provider.url).await;
    let good = claims(&cluster, "adplane/campaigns");
    let exchange = async |token: String| {
        let request = pb::ExchangeServiceTokenRequest { proof: Some(Proof::ServiceAccountToken(token)) };
        world.identity().exchange_service_token(request).await
    };
    // Auth may still be reading the cluster's keys.
    let answer = soon("an exchange", async || exchange(cluster.sign(&good)).await.ok()).await.into_inner();
    let verifier = rpc::Verifier::new(rpc::Keys::of_auth(world.pool()));
    assert_eq!(verifier.verify(&answer.token).await.unwrap().service.as_deref(), Some("campaigns"));

    let with = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        cluster.sign(&claims)
    };
    let stranger = Outsider::new(&cluster.issuer, "c1", Algorithm::RS256);
    for refused in [
        cluster.sign(&claims(&cluster, "adplane/default")),
        cluster.sign(&claims(&cluster, "other/campaigns")),
        with("aud", json!(["https://kubernetes.default.svc"])),
        with("exp", json!(1_700_000_000)),
        with("iss", json!("https://another.cluster")),
        stranger.sign(&good),
        // A token of ours is none of the cluster's.
        answer.token,
    ] {
        let refused = exchange(refused).await.unwrap_err();
        assert_eq!(why(&refused), (Code::Unauthenticated, "TOKEN_REFUSED".to_owned()));
    }
}
