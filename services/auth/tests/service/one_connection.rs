//! However many changes are under way at once, none waits for a database connection while it holds one: with a single
//! connection everything works. Otherwise as many changes as the pool has connections would wait for each other.

use proto::auth::v1 as pb;
use tonic::Code;

use crate::{
    connections::logged_in,
    world::{APP, Registered, World, bearing, uuid, why},
};

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_to_the_database_is_enough_for_every_change() {
    let world = World::set(|settings| {
        settings.postgres.pool_size = 1;
        settings.postgres.pool_wait_milliseconds = 60_000;
    });
    let (world, first, imported) = world.await.registered().await.imported().await;
    let system_user = imported.connection.unwrap().name;
    let person = world.person(&first).await;
    assert!(world.refresh(&first, &person.name).await.unwrap().refreshed);
    world.expiring(&first).await;

    let (state, code) = logged_in(&world, &first).await;
    let complete = pb::CompleteConnectionRequest { state, code, request_id: uuid(), ..Default::default() };
    let person = world.connections().complete_connection(complete).await.unwrap().into_inner().connection.unwrap();
    for name in [&system_user, &person.name] {
        let request = pb::InspectConnectionRequest { name: name.clone(), ..Default::default() };
        world.connections().inspect_connection(bearing(&first.caller, request)).await.unwrap();
    }
    let revoke = |etag: &str| pb::RevokeConnectionRequest {
        name: person.name.clone(),
        etag: etag.to_owned(),
        reason: "they left".to_owned(),
        request_id: uuid(),
        validate_only: false,
    };
    let stale = world.connections().revoke_connection(bearing(&first.caller, revoke("1"))).await.unwrap_err();
    assert_eq!(why(&stale).0, Code::Aborted);
    world.connections().revoke_connection(bearing(&first.caller, revoke(""))).await.unwrap();
    let delete = pb::DeleteConnectionRequest { name: person.name.clone(), request_id: uuid(), ..Default::default() };
    world.connections().delete_connection(bearing(&first.caller, delete)).await.unwrap();

    let rotate = pb::RotateMetaAppSecretRequest {
        name: format!("metaApps/{APP}"),
        new_secret: crate::world::APP_SECRET.to_owned(),
        request_id: uuid(),
        ..Default::default()
    };
    world.apps().rotate_meta_app_secret(bearing(&first.operator, rotate)).await.unwrap();
    for _ in 0..2 {
        // The second time nothing changes, which is another way through.
        let suspend = pb::SuspendTenantRequest {
            name: "tenants/acme".to_owned(),
            reason: "a drill".to_owned(),
            request_id: uuid(),
            ..Default::default()
        };
        world.tenants().suspend_tenant(bearing(&first.operator, suspend)).await.unwrap();
    }
}
