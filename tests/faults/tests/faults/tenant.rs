//! A tenant with a caller that may do everything for it, and its connections.

use std::time::Duration;

use client::Client;
use harness::{PATIENCE, request_id};
use proto::auth::v1::{self as pb, ConnectionState as State};
use serde_json::Value;
use tokio::time::Instant;
use tonic::Code;

use crate::stage::{APP, Auth, Stage};

const SYSTEM_USER: &str = "5000000000000002";
const SYSTEM_USER_TOKEN: &str = "sandbox-system-user-token";
const SCOPES: &str = "ads_management,ads_read,business_management";

/// A customer, as it calls any process of auth.
pub(crate) struct Tenant {
    pub(crate) id: String,
    caller: String,
    secret: String,
    token: String,
}

impl Tenant {
    /// A new one.
    pub(crate) async fn new(stage: &Stage, auth: &Auth, id: &str) -> Self {
        let operator = auth.client(&stage.operator).for_tenant(&id.parse().unwrap());
        let request = pb::CreateTenantRequest {
            tenant_id: id.to_owned(),
            tenant: Some(pb::Tenant::default()),
            request_id: request_id(),
            validate_only: false,
        };
        operator.tenants().create_tenant(request).await.unwrap();
        let caller = pb::Caller {
            tenants: vec![format!("tenants/{id}")],
            scopes: vec!["*".to_owned()],
            ..pb::Caller::default()
        };
        let request = pb::CreateCallerRequest { caller: Some(caller), request_id: request_id(), validate_only: false };
        let made = operator.identity().create_caller(request).await.unwrap().into_inner();
        let (caller, secret) = (made.caller.unwrap().name, made.secret);
        let mut tenant = Self { id: id.to_owned(), caller, secret, token: String::new() };
        tenant.token = tenant.new_token(auth).await;
        tenant
    }

    /// A new token of its caller's, signed by this process.
    pub(crate) async fn new_token(&self, auth: &Auth) -> String {
        let request =
            pb::IssueTokenRequest { caller: self.caller.clone(), secret: self.secret.clone(), scopes: Vec::new() };
        let anonymous = Client::anonymous(&auth.endpoint).unwrap();
        anonymous.identity().issue_token(request).await.unwrap().into_inner().token
    }

    /// Its client of this process.
    pub(crate) fn at(&self, auth: &Auth) -> Client {
        auth.client(&self.token)
    }

    /// Begins a log-in and consents at Meta: what the browser brings back.
    pub(crate) async fn logged_in(&self, auth: &Auth) -> pb::CompleteConnectionRequest {
        let request = pb::BeginConnectionRequest { meta_app: APP.to_owned(), ..Default::default() };
        let begun = self.at(auth).connections().begin_connection(request).await.unwrap().into_inner();
        let purpose = pb::GetLoginRequest { state: begun.state.clone() };
        let dialog = match self.at(auth).connections().get_login(purpose).await {
            Ok(answer) => answer.into_inner().login.unwrap().dialog_url,
            // A version in which there was no page of ours before Meta's.
            Err(status) if status.code() == Code::Unimplemented => begun.authorization_url,
            Err(status) => panic!("{status:?}"),
        };
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        let answer = browser.unwrap().get(&dialog).send().await.unwrap();
        let location: url::Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
        let code = location.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
        let request_id = request_id();
        pb::CompleteConnectionRequest { state: begun.state, code, request_id, ..Default::default() }
    }

    /// Connects by a log-in.
    pub(crate) async fn connect(&self, auth: &Auth) -> pb::Connection {
        let complete = self.logged_in(auth).await;
        let done = self.at(auth).connections().complete_connection(complete).await.unwrap();
        done.into_inner().connection.unwrap()
    }

    /// Imports a system user's token that ends in sixty days.
    pub(crate) async fn import(&self, stage: &Stage, auth: &Auth) -> pb::Connection {
        let url = format!("{}/v26.0/{SYSTEM_USER}/access_tokens", stage.sandbox.url);
        let form = [
            ("business_app", APP.trim_start_matches("metaApps/")),
            ("scope", SCOPES),
            ("set_token_expires_in_60_days", "true"),
        ];
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.post(url).bearer_auth(SYSTEM_USER_TOKEN).form(&form).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let token = body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        let request = pb::ImportSystemUserTokenRequest {
            token,
            meta_app: APP.to_owned(),
            request_id: request_id(),
            ..pb::ImportSystemUserTokenRequest::default()
        };
        let imported = self.at(auth).connections().import_system_user_token(request).await.unwrap();
        imported.into_inner().connection.unwrap()
    }

    /// Its connections, the oldest first.
    pub(crate) async fn connections(&self, auth: &Auth) -> Vec<pb::Connection> {
        let listed = self.at(auth).connections().list_connections(pb::ListConnectionsRequest::default()).await;
        listed.unwrap().into_inner().connections
    }

    /// Every connection that is kept works: its token opens, and Meta says that it lives.
    pub(crate) async fn works(&self, auth: &Auth, connections: usize) {
        let kept = self.connections(auth).await;
        assert_eq!(kept.len(), connections, "{kept:#?}");
        for connection in kept {
            let request = pb::InspectConnectionRequest { name: connection.name, ..Default::default() };
            let seen = self.at(auth).connections().inspect_connection(request).await.unwrap().into_inner();
            assert_eq!(seen.connection.unwrap().state(), State::Active);
        }
    }

    /// The chain of its audit is whole, as far as it was written and anchored.
    pub(crate) async fn chain_is_whole(&self, auth: &Auth) {
        let verified = self.at(auth).audit().verify_audit_chain(pb::VerifyAuditChainRequest::default()).await;
        let verified = verified.unwrap().into_inner();
        assert!(verified.intact && verified.entries > 0, "{verified:#?}");
    }

    /// How often something was done, as the audit tells it.
    pub(crate) async fn told(&self, stage: &Stage, action: &str) -> i64 {
        let id = &self.id;
        let sql = format!("SELECT count(*) FROM audit_entries WHERE tenant_id = '{id}' AND action = '{action}'");
        stage.number(&sql).await
    }

    /// Waits until the connection is as it should be.
    pub(crate) async fn until(
        &self,
        auth: &Auth,
        name: &str,
        wanted: impl Fn(&pb::Connection) -> bool,
    ) -> pb::Connection {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = pb::GetConnectionRequest { name: name.to_owned() };
            let seen = self.at(auth).connections().get_connection(request).await.unwrap().into_inner();
            let seen = seen.connection.unwrap();
            if wanted(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "it stays {seen:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
