//! What the gateway lets nobody through for.

use client::Client;
use harness::{AD_ACCOUNT, Suite, refusal, refused};
use proto::{
    auth::v1::{LeaseCredentialRequest, WatchRevocationsRequest, credential_service_client::CredentialServiceClient},
    campaigns::v1::{ListCampaignsRequest, ListCampaignsResponse},
    insights::v1::ListReportsRequest,
    ratelimit::v1::{AcquireRequest, ReleaseRequest, SettleRequest},
};
use rpc::Code;
use tonic::{Request, Status, client::Grpc};

fn list() -> ListCampaignsRequest {
    ListCampaignsRequest { parent: AD_ACCOUNT.to_owned(), ..ListCampaignsRequest::default() }
}

/// A call of a method that no generated client has.
async fn raw(client: &Client, path: &'static str) -> Result<(), Status> {
    let codec = tonic_prost::ProstCodec::<ListCampaignsRequest, ListCampaignsResponse>::default();
    let path = http::uri::PathAndQuery::from_static(path);
    Grpc::new(client.channel()).unary(Request::new(list()), path, codec).await.map(drop)
}

fn is(refusal: &harness::Refusal, code: Code, reason: &str) {
    assert_eq!((refusal.code, refusal.reason.as_str()), (code, reason), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_may_comes_through_the_gateway_and_only_where_there_is_a_way() {
    let suite = Suite::start().await.unwrap();
    let before = suite.sandbox.requests().await.unwrap();
    let client = suite.client().unwrap();
    unknown_and_internal_methods_do_not_exist(&client).await;
    nobody_comes_without_a_good_token(&suite).await;
    a_scope_is_for_its_methods_only(&suite).await;
    assert_eq!(suite.sandbox.requests().await.unwrap(), before, "nothing of this went to Meta");
    suite.stop().await.unwrap();
}

async fn unknown_and_internal_methods_do_not_exist(client: &Client) {
    for path in [
        "/adplane.campaigns.v1.CampaignService/EraseEverything",
        "/adplane.sandbox.v1.WorldService/Reset",
        "/other.Service/Method",
    ] {
        let refusal = refusal(&raw(client, path).await.unwrap_err()).unwrap();
        is(&refusal, Code::Unimplemented, "UNKNOWN_METHOD");
    }
    // These are real methods, for our own services alone; from outside there is no way to them.
    let mut credentials = CredentialServiceClient::new(client.channel());
    let lease = LeaseCredentialRequest { resource: AD_ACCOUNT.to_owned(), ..LeaseCredentialRequest::default() };
    is(&refused(credentials.lease_credential(lease).await).unwrap(), Code::Unimplemented, "UNKNOWN_METHOD");
    let watched = credentials.watch_revocations(WatchRevocationsRequest::default()).await;
    is(&refusal(&watched.err().unwrap()).unwrap(), Code::Unimplemented, "UNKNOWN_METHOD");
    let mut quotas = client.quotas();
    for answer in [
        refused(quotas.acquire(AcquireRequest::default()).await),
        refused(quotas.settle(SettleRequest::default()).await),
        refused(quotas.release(ReleaseRequest::default()).await),
    ] {
        is(&answer.unwrap(), Code::Unimplemented, "UNKNOWN_METHOD");
    }
}

async fn nobody_comes_without_a_good_token(suite: &Suite) {
    let good = &suite.tenant.token;
    // A signature over other claims: the middle part is the other tenant's.
    let parts: Vec<&str> = good.split('.').collect();
    let others: Vec<&str> = suite.other.token.split('.').collect();
    let forged = [parts[0], others[1], parts[2]].join(".");
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    for token in ["nonsense", &forged, &unsigned, good.rsplit_once('.').unwrap().0] {
        let client = Client::connect(&suite.gateway, token).unwrap();
        is(&refused(client.campaigns().list_campaigns(list()).await).unwrap(), Code::Unauthenticated, "TOKEN_REFUSED");
    }
    let nobody = Client::anonymous(&suite.gateway).unwrap();
    is(&refused(nobody.campaigns().list_campaigns(list()).await).unwrap(), Code::Unauthenticated, "TOKEN_REFUSED");
}

async fn a_scope_is_for_its_methods_only(suite: &Suite) {
    let reader = suite.caller(&["insights.read"]).await.unwrap();
    let reports = ListReportsRequest { parent: AD_ACCOUNT.to_owned(), ..ListReportsRequest::default() };
    reader.reports().list_reports(reports).await.unwrap();
    is(&refused(reader.campaigns().list_campaigns(list()).await).unwrap(), Code::PermissionDenied, "SCOPE_MISSING");
    // The header selects among the token's tenants; it grants nothing.
    let other = suite.client().unwrap().for_tenant(&suite.other.id.parse().unwrap());
    is(&refused(other.campaigns().list_campaigns(list()).await).unwrap(), Code::InvalidArgument, "TENANT_NOT_SELECTED");
}
