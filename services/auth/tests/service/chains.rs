//! The audit of other services: a service that keeps chains and nothing else, beside an auth that reads them.

use std::sync::Arc;

use auth::{service::OwnChains, store::Store};
use proto::auth::v1::{self as pb, audit_service_client::AuditServiceClient, chain_service_server::ChainServiceServer};
use rpc::{ChainApi, Keys, Pool, Verifier};
use serde_json::json;
use storage::{
    Postgres, PostgresSettings,
    audit::{self, Entry},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use vocabulary::page::PageTokens;

use crate::{
    waiting::{in_time, until},
    world::{First, World, bearing, for_tenant},
};

/// A world with another service, whose chains are in a database of its own.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) first: First,
    pub(crate) other: Postgres,
    /// Held whether the service runs or not, so that nobody else gets its port meanwhile.
    listener: std::net::TcpListener,
    serving: CancellationToken,
    /// What runs at the port now: the service, or nobody, who closes every connection at once.
    running: JoinHandle<()>,
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.serving.cancel();
    }
}

impl Pair {
    /// Auth with its first tenant, and a service that calls itself `campaigns`.
    pub(crate) async fn new() -> Self {
        let database = devstack::shared().create_database().await.unwrap();
        let other = Postgres::connect(&PostgresSettings::at(database).in_schema("campaigns")).await.unwrap();
        storage::migrations::run(&other, "campaigns", &[("V1__audit", audit::SQL)]).await.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let world = World::set(|settings| {
            settings.anchor_seconds = 1;
            settings.services.insert("campaigns".to_owned(), endpoint);
        })
        .await;
        let first = world.bootstrap().await;
        let serving = CancellationToken::new();
        let running = serve(&world, &other, &listener, serving.clone());
        Self { world, first, other, listener, serving, running }
    }

    /// The other service goes away: nothing of it runs any more, and whoever connects is sent away.
    pub(crate) async fn stop_other(&mut self) {
        self.end().await;
        self.running = send_away(&self.world, &self.listener, self.serving.clone());
    }

    /// The other service falls silent: whoever connects waits for ever.
    pub(crate) async fn silence_other(&mut self) {
        self.end().await;
        let (stop, listener) = (self.serving.clone(), at(&self.listener));
        self.running = self.world.spawn(async move {
            stop.cancelled().await;
            drop(listener);
        });
    }

    /// And comes back.
    pub(crate) async fn start_other(&mut self) {
        self.end().await;
        self.running = serve(&self.world, &self.other, &self.listener, self.serving.clone());
    }

    async fn end(&mut self) {
        self.serving.cancel();
        in_time("the end of what runs at the port", &mut self.running).await.unwrap();
        self.serving = CancellationToken::new();
    }

    /// The other service writes an entry.
    pub(crate) async fn append(&self, tenant: &str, action: &str) {
        self.append_many(tenant, &[action.to_owned()]).await;
    }

    /// Entries that become visible together, so that none of them but the last is ever a head.
    pub(crate) async fn append_many(&self, tenant: &str, actions: &[String]) {
        let mut client = self.other.client().await.unwrap();
        let transaction = client.transaction().await.unwrap();
        for action in actions {
            let (actor, resource) = ("callers/someone", "adAccounts/act_1/campaigns/2");
            let (request_id, detail) = (Some(uuid::Uuid::from_u128(7)), json!({"fbtrace_id": "ATRACE"}));
            let entry = Entry { tenant, actor, action, resource, request_id, detail };
            audit::append(&transaction, entry).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }

    /// What somebody with all rights in the other service's database can do.
    pub(crate) async fn tamper(&self, sql: &str) {
        tamper(&self.other, "audit_entries", sql).await;
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Pool> {
        AuditServiceClient::new(self.world.pool())
    }

    pub(crate) async fn verify(&self, tenant: &str) -> pb::VerifyAuditChainResponse {
        let request = for_tenant(bearing(&self.first.operator, pb::VerifyAuditChainRequest::default()), tenant);
        self.audit().verify_audit_chain(request).await.unwrap().into_inner()
    }

    pub(crate) async fn list(
        &self,
        tenant: &str,
        request: pb::ListAuditEntriesRequest,
    ) -> pb::ListAuditEntriesResponse {
        let request = for_tenant(bearing(&self.first.operator, request), tenant);
        self.audit().list_audit_entries(request).await.unwrap().into_inner()
    }

    /// Until the other service's chain of the tenant is anchored up to here.
    pub(crate) async fn anchored(&self, tenant: &str, sequence: i64) {
        until("the head is anchored", async || {
            let chains = self.verify(tenant).await.chains;
            chains.iter().any(|chain| chain.service == "campaigns" && chain.anchored_sequence == sequence)
        })
        .await;
    }
}

/// What somebody with all rights in a database can do to a table that is never changed.
pub(crate) async fn tamper(postgres: &Postgres, table: &str, sql: &str) {
    let sql = format!("ALTER TABLE {table} DISABLE TRIGGER ALL; {sql}; ALTER TABLE {table} ENABLE TRIGGER ALL");
    postgres.client().await.unwrap().batch_execute(&sql).await.unwrap();
}

fn at(listener: &std::net::TcpListener) -> TcpListener {
    TcpListener::from_std(listener.try_clone().unwrap()).unwrap()
}

fn serve(world: &World, other: &Postgres, listener: &std::net::TcpListener, stop: CancellationToken) -> JoinHandle<()> {
    let verifier = Arc::new(Verifier::new(Keys::of_auth(world.pool())));
    let chains = ChainApi::new(OwnChains(Store::new(other.clone())), PageTokens::new(b"key"));
    let (server, listener) = (rpc::Server::new("campaigns", verifier), at(listener));
    world.spawn(async move { server.add(ChainServiceServer::new(chains)).serve(listener, stop).await.unwrap() })
}

fn send_away(world: &World, listener: &std::net::TcpListener, stop: CancellationToken) -> JoinHandle<()> {
    let listener = at(listener);
    world.spawn(async move {
        while let Some(come) = stop.run_until_cancelled(listener.accept()).await {
            drop(come);
        }
    })
}
