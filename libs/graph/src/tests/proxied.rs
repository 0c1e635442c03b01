//! Meta's own host, through a corporate proxy with its own authority: what stands in the way is a sandbox.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{on_account, peers::Peers};
use crate::{Call, Client, Priority, Settings};

#[tokio::test]
async fn meta_is_reached_by_http_2_through_a_proxy_whose_authority_is_trusted() {
    let local = "127.0.0.1:0".parse().unwrap();
    let options = sandbox::Options { listen: local, proxy: Some(local), ..sandbox::Options::default() };
    let listeners = sandbox::Listeners::bind(&options).await.unwrap();
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard();
    let server = sandbox::Server::open(listeners, options, stop).await.unwrap();
    let ready = server.ready().unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(server.serve());

    let peers = Peers::lending("sandbox-system-user-token", "sandbox-app-secret");
    let peer = peers.serve().await;
    let settings = Settings { proxy: ready.proxy, ca_file: ready.proxy_ca, ..Settings::default() };
    let client = Client::connect(&settings, peer.clone(), peer.clone()).unwrap();
    let on = on_account(1_000_000_000_001, Priority::Interactive);
    let call = Call::<Value>::get("/act_1000000000001").fields(&["id"]);
    let delivered = client.deliver(&on, &call.clone().into(), None).await.unwrap();
    assert_eq!(delivered.reply.version, http::Version::HTTP_2);
    assert_eq!(delivered.reply.headers["facebook-api-version"], "v26.0");

    let strangers = Settings { ca_file: None, tries_max: 1, ..settings };
    let client = Client::connect(&strangers, peer.clone(), peer).unwrap();
    let error = client.send(&on, call).await.unwrap_err();
    assert!(matches!(error, crate::Error::Unavailable { .. }), "an authority that nobody trusts: {error:?}");
}
