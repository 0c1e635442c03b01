//! Tokens that may do less than was asked for, and what comes back with a permission.

use proto::auth::v1::{self as pb, ConnectionState as State};
use rpc::for_tenant;
use serde_json::Value;
use tonic::{Code, Status};

use crate::{
    meta::DAY,
    patience::until,
    world::{ACCOUNT, APP, First, TOKEN, World, bearing, import, why},
};

const ASSETS: &str = "SELECT count(*) FROM assets";

impl World {
    /// A token of the imported system user that may read and nothing else.
    async fn lesser_token(&self) -> String {
        let url = format!("{}/v26.0/5000000000000002/access_tokens", self.settings.graph.base_url);
        let form = [("business_app", APP), ("scope", "ads_read"), ("set_token_expires_in_60_days", "true")];
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(url).bearer_auth(TOKEN).form(&form).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    async fn import_lesser(&self, first: &First) -> Result<pb::Connection, Status> {
        let request = pb::ImportSystemUserTokenRequest { token: self.lesser_token().await, ..import() };
        let imported = self.connections().import_system_user_token(bearing(&first.caller, request)).await;
        imported.map(|imported| imported.into_inner().connection.unwrap())
    }

    async fn lease(&self) -> Result<pb::LeaseCredentialResponse, Status> {
        let (resource, purpose) = (ACCOUNT.to_owned(), "campaigns.read".to_owned());
        let request = pb::LeaseCredentialRequest { resource, purpose, ..Default::default() };
        let leased = self.service("campaigns").lease_credential(for_tenant(request, &"acme".parse().unwrap())).await;
        leased.map(tonic::Response::into_inner)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_do_less_does_not_replace_one_that_works() {
    let (world, first, imported) = World::connected().await;
    let connection = imported.connection.unwrap();
    let assets = world.counted(ASSETS).await;
    let refused = world.import_lesser(&first).await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "META_PERMISSION_MISSING".to_owned()));
    assert!(
        refused.message().contains("ads_management") && refused.message().contains(&connection.name),
        "{refused:?}"
    );
    let seen = world.connection(&first, &connection.name).await;
    assert_eq!((seen.state(), seen.etag, seen.scopes), (State::Active, connection.etag, connection.scopes));
    assert_eq!(world.counted(ASSETS).await, assets);
    assert_eq!(world.lease().await.unwrap().lease.unwrap().token, TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_for_what_nobody_could_look_at_names_the_missing_permission() {
    let (world, first) = World::with_app().await;
    assert_eq!(why(&world.lease().await.unwrap_err()).1, "NOT_CONNECTED");
    let connection = world.import_lesser(&first).await.unwrap();
    assert_eq!(connection.state(), State::NeedsConsent);
    let refused = world.lease().await.unwrap_err();
    assert_eq!(why(&refused), (Code::FailedPrecondition, "CONNECTION_NEEDS_CONSENT".to_owned()));
    assert!(refused.message().contains("ads_management"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_works_again_is_looked_at_again() {
    let (world, first) = World::with_app().await;
    let (connection, _) = world.expiring(&first).await;
    world.befalls("checkpoint").await;
    let seen = world.inspect(&first, &connection.name).await.unwrap().connection.unwrap();
    assert_eq!(seen.state(), State::Checkpoint);
    world.postgres().await.execute("DELETE FROM assets", &[]).await.unwrap();
    world.befalls("checkpoint_passed").await;
    let seen = world.inspect(&first, &connection.name).await.unwrap().connection.unwrap();
    assert_eq!(seen.state(), State::Active);
    until("nobody looks", async || world.counted(ASSETS).await > 0).await;
    world.lease().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_tells_otherwise_is_in_the_audit_though_it_is_no_event() {
    let (world, first, imported) = World::connected().await;
    let name = imported.connection.unwrap().name;
    let lesser = "UPDATE connections SET scopes = '{ads_read}', next_inspection_at = NULL";
    world.postgres().await.execute(lesser, &[]).await.unwrap();
    world.worker().await;
    let gained = "
        SELECT count(*) FROM audit_entries WHERE action = 'connections.inspect' AND detail::text LIKE '%scopes%'";
    until("it is not told", async || world.counted(gained).await == 1).await;
    let seen = world.connection(&first, &name).await;
    world.turn(DAY * 2).await;
    let later = |next: &pb::Connection| crate::meta::at(next.inspect_time) > crate::meta::at(seen.inspect_time);
    world.until(&first, &name, later).await;
    let all = "SELECT count(*) FROM audit_entries WHERE action = 'connections.inspect'";
    assert_eq!(world.counted(all).await, 1, "what is as before is not told");
}
