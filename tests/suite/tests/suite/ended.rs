//! Tokens that were ended early are refused at the door itself: by the gateway's own RPC, for which it asks nobody.
//!
//! What is promised: within two seconds of the answer that ended them, while the gateway hears auth. A test cannot hold a
//! loaded machine to that; this one waits as long as it takes and says how long it was.

use client::{Client, reason};
use harness::{Suite, eventually, request_id};
use proto::{
    auth::v1::{DeleteCallerRequest, ResumeTenantRequest, SuspendTenantRequest},
    gateway::v1::GetCallerRequest,
};
use rpc::Code;
use tokio::time::Instant;

/// Who the gateway takes the caller for.
async fn caller(client: &Client) -> Result<String, tonic::Status> {
    let answer = client.system().get_caller(GetCallerRequest {}).await?.into_inner();
    Ok(answer.caller.unwrap().subject)
}

/// Waits until the gateway refuses the caller.
async fn refused(what: &str, client: &Client) {
    let from = Instant::now();
    let status = eventually(what, async || Ok(caller(client).await.err())).await.unwrap();
    println!("{what}: refused at the gateway after {} ms", from.elapsed().as_millis());
    assert_eq!(
        (status.code(), reason(&status).as_deref()),
        (Code::Unauthenticated, Some("TOKEN_REFUSED")),
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_caller_and_a_suspended_tenant_are_refused_by_the_gateway_itself() {
    let suite = Suite::start().await.unwrap();
    let operator = suite.operator().unwrap();
    let one = suite.caller(&["gateway.read"]).await.unwrap();
    let (mine, others) = (suite.client().unwrap(), suite.other.client().unwrap());
    let name = caller(&one).await.unwrap();
    caller(&mine).await.unwrap();

    let tenant = suite.tenant.id.parse().unwrap();
    let delete = DeleteCallerRequest { name, request_id: request_id(), ..Default::default() };
    operator.for_tenant(&tenant).identity().delete_caller(delete).await.unwrap();
    refused("a deleted caller", &one).await;
    caller(&mine).await.unwrap();

    let name = format!("tenants/{}", suite.tenant.id);
    let suspend = SuspendTenantRequest { name: name.clone(), request_id: request_id(), ..Default::default() };
    operator.for_tenant(&tenant).tenants().suspend_tenant(suspend).await.unwrap();
    refused("a suspended tenant", &mine).await;
    caller(&others).await.unwrap();
    // What ended stays ended.
    let resume = ResumeTenantRequest { name, request_id: request_id(), ..Default::default() };
    operator.for_tenant(&tenant).tenants().resume_tenant(resume).await.unwrap();
    assert!(caller(&mine).await.is_err());
    suite.stop().await.unwrap();
}
