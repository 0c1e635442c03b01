//! What callers and services do all day, at one process, until it is enough: log-ins, exchanges, leases, tokens. Whatever
//! is refused fails the test.

use std::{cell::Cell, time::Duration};

use harness::{PATIENCE, request_id};
use proto::auth::v1::{self as pb, credential_service_client::CredentialServiceClient};
use rpc::{Peer, PeerSettings, ServiceIdentity};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{
    stage::{Auth, Stage},
    tenant::Tenant,
};

/// Anybody who is connected reaches it, whichever tenant.
const DATASET: &str = "datasets/2000000000000001";
/// Between the rounds, so that the sandbox's limits stay far.
const PAUSE: Duration = Duration::from_millis(200);

/// Traffic at one process.
pub(crate) struct Line<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) at: &'a Auth,
    /// Another process, which finishes and believes what this one began.
    pub(crate) other: &'a Auth,
    /// Nobody else writes for it.
    pub(crate) own: &'a Tenant,
    /// The line at the other process writes for it too.
    pub(crate) shared: &'a Tenant,
    rounds: Cell<u64>,
    is_over: Cell<bool>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(
        stage: &'a Stage,
        (at, other): (&'a Auth, &'a Auth),
        (own, shared): (&'a Tenant, &'a Tenant),
    ) -> Self {
        Self { stage, at, other, own, shared, rounds: Cell::default(), is_over: Cell::default() }
    }

    /// Round after round until [`Line::stop`].
    pub(crate) async fn flow(&self) {
        let mut tick = tokio::time::interval(PAUSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over.get() {
            tick.tick().await;
            self.round().await;
            self.rounds.set(self.rounds.get() + 1);
        }
    }

    /// Waits until it has done so many further rounds.
    pub(crate) async fn goes_on(&self, further: u64) {
        let (wanted, deadline) = (self.rounds.get() + further, Instant::now() + PATIENCE);
        while self.rounds.get() < wanted {
            assert!(Instant::now() < deadline, "{} of {wanted} rounds at {}", self.rounds.get(), self.at.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends it with the round that it is in. Says how many there were.
    pub(crate) fn stop(&self) -> u64 {
        self.is_over.set(true);
        self.rounds.get()
    }

    async fn round(&self) {
        // A person logs in: here from the first to the last, and begun here and finished there.
        self.own.connect(self.at).await;
        let begun_here = self.shared.logged_in(self.at).await;
        self.shared.at(self.other).connections().complete_connection(begun_here).await.unwrap();
        // A system user's token is exchanged.
        let connections = self.own.connections(self.at).await;
        let imported = connections.iter().find(|one| one.kind() == pb::ConnectionKind::SystemUser).unwrap();
        near_its_end(self.stage, &imported.name).await;
        let request = pb::RefreshConnectionRequest {
            name: imported.name.clone(),
            request_id: request_id(),
            validate_only: false,
        };
        let refreshed = self.own.at(self.at).connections().refresh_connection(request).await.unwrap().into_inner();
        assert!(refreshed.refreshed, "{refreshed:#?}");
        // A service calls Meta for both.
        lease(self.stage, self.at, self.own).await;
        lease(self.stage, self.at, self.shared).await;
        // Whom this process believes, the other one believes.
        let token = self.own.new_token(self.at).await;
        let client = self.other.client(&token);
        client.connections().list_connections(pb::ListConnectionsRequest::default()).await.unwrap();
    }
}

/// What a service is lent for a tenant by this process.
pub(crate) async fn lease(stage: &Stage, auth: &Auth, tenant: &Tenant) -> pb::Lease {
    let proof = PeerSettings {
        endpoint: auth.endpoint.clone(),
        service_secret_file: stage.secret_of("conversions"),
        ..PeerSettings::default()
    };
    let identity = ServiceIdentity::of_service("conversions", &proof).unwrap();
    let peer = Peer::connect(&auth.endpoint, identity).unwrap();
    let request = pb::LeaseCredentialRequest {
        resource: DATASET.to_owned(),
        purpose: "conversions.deliver".to_owned(),
        ..pb::LeaseCredentialRequest::default()
    };
    let request = rpc::for_tenant(request, &tenant.id.parse().unwrap());
    let answer = CredentialServiceClient::new(peer.channel()).lease_credential(request).await;
    answer.unwrap().into_inner().lease.unwrap()
}

/// This connection is due for an exchange whenever somebody asks.
async fn near_its_end(stage: &Stage, name: &str) {
    let id = name.trim_start_matches("connections/");
    let sql = format!(
        "UPDATE connections
            SET expires_at = clock_timestamp() + interval '10 days',
                refreshed_at = clock_timestamp() - interval '50 days'
          WHERE id = '{id}'"
    );
    stage.postgres().await.batch_execute(&sql).await.unwrap();
}
