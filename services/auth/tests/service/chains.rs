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
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vocabulary::page::PageTokens;

use crate::world::{First, World, bearing, for_tenant};

/// A world with another service, whose chains are in a database of its own.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) first: First,
    pub(crate) other: Postgres,
    address: String,
    serving: CancellationToken,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let endpoint = format!("http://{address}");
        let world = World::set(|settings| {
            settings.anchor_seconds = 1;
            settings.services.insert("campaigns".to_owned(), endpoint);
        })
        .await;
        let first = world.bootstrap().await;
        let mut pair = Self { world, first, other, address, serving: CancellationToken::new() };
        pair.serve(listener);
        pair
    }

    fn serve(&mut self, listener: TcpListener) {
        self.serving = CancellationToken::new();
        let verifier = Arc::new(Verifier::new(Keys::of_auth(self.world.pool())));
        let chains = ChainApi::new(OwnChains(Store::new(self.other.clone())), PageTokens::new(b"key"));
        let (server, stop) = (rpc::Server::new("campaigns", verifier), self.serving.clone());
        self.world
            .spawn(async move { server.add(ChainServiceServer::new(chains)).serve(listener, stop).await.unwrap() });
    }

    /// The other service goes away.
    pub(crate) async fn stop_other(&self) {
        self.serving.cancel();
        until("the port is free", async || TcpListener::bind(&self.address).await.is_ok()).await;
    }

    /// And comes back.
    pub(crate) async fn start_other(&mut self) {
        let listener = TcpListener::bind(&self.address).await.unwrap();
        self.serve(listener);
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

/// Asks until it is so, for half a minute at most.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), asking)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}
