//! What a call passes, from the outside in. `rpc::Server` holds the first half, which every service of ours has.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use proto::gateway::v1::system_service_server::SystemServiceServer;
use rpc::{Keys, Peer, Pool, Server, ServiceIdentity, Verifier};

use crate::{
    doors,
    forward::Forward,
    settings::{Settings, endpoint_of},
    shed::{Shed, strangers_max},
    system::System,
};

/// The service's name.
const NAME: &str = "gateway";

/// The server, ready to serve, and what verifies its callers' tokens.
pub(crate) fn server(settings: &Settings) -> anyhow::Result<(Server, Arc<Verifier>)> {
    let pools = pools(settings)?;
    let auth = pools.get("auth").context("services.auth must be set")?.clone();
    let verifier = Arc::new(Verifier::new(Keys::of_auth(auth.clone())));
    Ok((with(settings, Arc::clone(&verifier), pools, auth), verifier))
}

/// Auth as the gateway itself asks it, for the stream of what ended. `None` where nothing proves who we are. The service's
/// token goes that way only: it is never taken from a caller, and never sent on with one.
pub(crate) fn revocations(settings: &Settings) -> anyhow::Result<Option<Peer>> {
    if !settings.auth.names_a_proof() {
        return Ok(None);
    }
    let identity = ServiceIdentity::of_service(NAME, &settings.auth).context("auth.endpoint")?;
    Ok(Some(Peer::connect(&settings.auth.endpoint, identity).context("auth.endpoint")?))
}

/// As [`server`], with a verifier of the caller's choice.
pub(crate) fn with(settings: &Settings, verifier: Arc<Verifier>, pools: BTreeMap<String, Pool>, auth: Pool) -> Server {
    // Last, the body goes on untouched to the service that owns the package.
    let forward = Forward::new(pools);
    // Before it, what is too much at once is refused, while the caller can still go elsewhere. The places are for forwarded
    // calls only: by then the caller is known, and a flood of bad tokens costs us their verification, but nobody a place. Those
    // who need no token have few places of their own.
    let shed = Shed::new(forward, settings.limits.in_flight_max);
    // First of all: the trace; the deadline, so that nothing below outlives its caller; who calls, by the token alone; may
    // they, by the method's scope, where a method without one does not exist. Tokens that auth ended early are refused here
    // as they are behind, where we hear of them (`revocations`).
    Server::new(NAME, Arc::clone(&verifier))
        // Nobody outside comes as a service, and internal methods do not exist here.
        .public()
        // Of use to services only, and open because it is how they get their first token.
        .hide("/adplane.auth.v1.IdentityService/ExchangeServiceToken")
        // Clients without our protos ask what there is.
        .reflection(settings.reflection)
        .sampling(rpc::trace::Sampling::ratio(settings.telemetry.sample_ratio))
        // People's browsers come by plain HTTP, without a token.
        .http(doors::routes(auth, strangers_max(settings.limits.in_flight_max)))
        // What the gateway itself knows.
        .add(SystemServiceServer::new(System::new(verifier, settings)))
        .forward(shed)
}

/// Connections to every service that is set up.
pub(crate) fn pools(settings: &Settings) -> anyhow::Result<BTreeMap<String, Pool>> {
    let pool = |(service, endpoint): (&String, &String)| {
        let endpoint = endpoint_of(endpoint).with_context(|| format!("services.{service} is no address"))?;
        Ok((service.clone(), Pool::new(&endpoint)))
    };
    settings.services.iter().map(pool).collect()
}
