//! Auth where it is asked most: leases of tokens, and the look at a token that is known; and a storm of refreshes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use proto::auth::v1::LeaseCredentialRequest;
use proto::auth::v1::credential_service_client::CredentialServiceClient;
use rpc::testing::Issuer;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::auth_servers::{ACCOUNT, TENANT};
use crate::cpu;
use crate::figure::{Figure, Goal};
use crate::server::Server;
use crate::spread::Spread;
use crate::storm_suite;

/// Rounds of which the median is taken; each runs everything once.
const ROUNDS: usize = 5;
/// Leases in a round: a second of CPU or so.
pub(crate) const LEASES: u64 = 24_000;
/// Looks at a known token in a round.
const LOOKS: u64 = 1_000_000;
/// How many connections ask at once.
const CONNECTIONS: u64 = 8;

/// A lease against a bare gRPC server that answers with as much, and the look at a known token.
pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let (echo, auth) = (Server::start("lease-echo")?, Server::start("auth")?);
    let token = auth.ready.get("token").and_then(Value::as_str).context("no token in the ready line")?;
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut echoes, mut leases, mut looks) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let turn = (cost(&load, &echo, token)?, cost(&load, &auth, token)?, look(&load)?);
        // The first round only warms everything up.
        if round > 0 {
            echoes.extend(turn.0);
            leases.extend(turn.1);
            looks.extend(turn.2);
        }
    }
    drop((echo, auth));
    let mut figures = vec![
        Figure {
            name: "LeaseCredential / bare tonic echo",
            unit: "ns CPU per request",
            measured: Spread::of(leases),
            baseline: Spread::of(echoes),
            goal: Goal::Times(2),
        },
        Figure {
            name: "JWT that is known",
            unit: "ns CPU per token",
            measured: Spread::of(looks),
            baseline: None,
            goal: Goal::Amount(2_000),
        },
    ];
    figures.extend(storm_suite::run()?);
    Ok(figures)
}

/// The CPU that the server took for each lease, in nanoseconds; none where it is not told.
fn cost(load: &Runtime, server: &Server, token: &str) -> anyhow::Result<Option<u64>> {
    let address = format!("http://{}", server.address()?);
    let before = cpu::of(server.pid());
    load.block_on(lease_all(&address, token))?;
    Ok(each(before, cpu::of(server.pid()), LEASES))
}

fn each(before: Option<Duration>, after: Option<Duration>, count: u64) -> Option<u64> {
    let spent = after?.saturating_sub(before?).as_nanos() / u128::from(count.max(1));
    u64::try_from(spent).ok()
}

pub(crate) async fn lease_all(address: &str, token: &str) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let channel = Endpoint::from_shared(address.to_owned())?.connect().await?;
        connections.spawn(lease_some(channel, token.to_owned()));
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    Ok(())
}

async fn lease_some(channel: Channel, token: String) -> anyhow::Result<()> {
    let mut auth = CredentialServiceClient::new(channel);
    let bearer = format!("Bearer {token}").parse::<tonic::metadata::MetadataValue<_>>()?;
    for _ in 0..LEASES / CONNECTIONS {
        let (resource, purpose) = (ACCOUNT.to_owned(), "campaigns.read".to_owned());
        let mut request = Request::new(LeaseCredentialRequest { resource, purpose, min_ttl: None, seen_generation: 0 });
        request.metadata_mut().insert("x-adplane-service-authorization", bearer.clone());
        request.metadata_mut().insert("x-adplane-tenant", TENANT.parse()?);
        request.set_timeout(Duration::from_secs(5));
        let lease = auth.lease_credential(request).await?.into_inner().lease;
        ensure!(lease.is_some_and(|lease| !lease.token.is_empty()), "an answer without a lease");
    }
    Ok(())
}

/// The CPU that this process takes for a look at a token that was verified before.
fn look(load: &Runtime) -> anyhow::Result<Option<u64>> {
    let issuer = Issuer::new();
    let (verifier, token) = (issuer.verifier(), issuer.token("acme", &["campaigns.read", "campaigns.write"]));
    let me = std::process::id();
    let before = cpu::of(me);
    load.block_on(async {
        for _ in 0..LOOKS {
            verifier.verify(&token).await?;
        }
        anyhow::Ok(())
    })?;
    Ok(each(before, cpu::of(me), LOOKS))
}
