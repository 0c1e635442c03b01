//! `ConnectionService`.

use futures::stream::BoxStream;
use prost::Message;
use proto::auth::v1::{self as pb, connection_service_server::ConnectionService};
use proto::operations::v1::Operation;
use rpc::{FieldError, Fields};
use secrecy::ExposeSecret;
use tonic::{Request, Response, Status};
use vocabulary::{ids::ConnectionId, names};

use super::{Common, known_caller, open, watch};
use crate::{
    assets,
    by::Repeat,
    connection_events::ConnectionEvents,
    connections::{Connected, Connection, ConnectionKind, Connections},
    discovery::Discovery,
    error::Error,
    lifecycle::Lifecycle,
    logins::Logins,
    now::Now,
    once::once,
    streams::Streams,
    wire,
};

/// The surface of connections.
pub struct ConnectionApi {
    /// What all have at hand.
    pub common: Common,
    /// The use cases.
    pub connections: Connections,
    /// Meta's log-in.
    pub logins: Logins,
    /// Discovery as long work.
    pub discovery: Discovery,
    /// Refreshing.
    pub lifecycle: Lifecycle,
    /// What happens to connections.
    pub events: ConnectionEvents,
    /// Streams that are held open.
    pub streams: Streams,
    /// The clock.
    pub now: Now,
}

#[tonic::async_trait]
impl ConnectionService for ConnectionApi {
    async fn begin_connection(
        &self,
        request: Request<pb::BeginConnectionRequest>,
    ) -> Result<Response<pb::BeginConnectionResponse>, Status> {
        let (by, request) = open(request)?;
        let (redirect_uri, validate_only) = (request.redirect_uri.clone(), request.validate_only);
        let (app, scopes) = wire::begin_connection(request)?;
        let begun = self.logins.begin(&by, app, scopes, &redirect_uri, validate_only).await?;
        Ok(Response::new(begun.map_or_else(pb::BeginConnectionResponse::default, |begun| {
            pb::BeginConnectionResponse {
                authorization_url: begun.authorization_url,
                state: begun.state.expose_secret().to_owned(),
                expire_time: Some(wire::timestamp(begun.expires)),
            }
        })))
    }

    async fn get_login(&self, request: Request<pb::GetLoginRequest>) -> Result<Response<pb::GetLoginResponse>, Status> {
        let state = wire::get_login(request.into_inner())?;
        let login = self.logins.purpose(&state).await?.into();
        Ok(Response::new(pb::GetLoginResponse { login: Some(login) }))
    }

    async fn complete_connection(
        &self,
        request: Request<pb::CompleteConnectionRequest>,
    ) -> Result<Response<pb::CompleteConnectionResponse>, Status> {
        let caller = known_caller(&request);
        let request = request.into_inner();
        let (redirect_uri, validate_only) = (request.redirect_uri.clone(), request.validate_only);
        let fingerprint = Repeat::of("CompleteConnection", None, &request);
        let (state, code, request_id) = wire::complete_connection(request)?;
        let repeat = Repeat { request_id, ..fingerprint };
        let tenant = caller.as_ref().and_then(|caller| caller.tenant.as_ref());
        let (by, login) = self.logins.find(&state, &redirect_uri, tenant).await?;
        if validate_only {
            self.logins.require_usable(&login)?;
            return Ok(Response::new(pb::CompleteConnectionResponse::default()));
        }
        let answer =
            |connected: &Connected| pb::CompleteConnectionResponse { connection: Some((&connected.connection).into()) };
        let work = async {
            let closing = (repeat.clone(), move |connected: &Connected| answer(connected).encode_to_vec());
            Ok(answer(&self.logins.complete((by.clone(), login), (state, code), closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn import_system_user_token(
        &self,
        request: Request<pb::ImportSystemUserTokenRequest>,
    ) -> Result<Response<pb::ImportSystemUserTokenResponse>, Status> {
        let (by, request) = open(request)?;
        let validate_only = request.validate_only;
        let fingerprint = Repeat::of("ImportSystemUserToken", None, &request);
        let (app, token, expected, request_id) = wire::import(request)?;
        let repeat = Repeat { request_id, ..fingerprint };
        let answer = |connected: &Connected| pb::ImportSystemUserTokenResponse {
            connection: Some((&connected.connection).into()),
            assets: Some(connected.into()),
        };
        let checking = Box::pin(async {
            let app = self.connections.app(&by, app).await?;
            self.connections.check(app, token, ConnectionKind::SystemUser, expected).await
        });
        if validate_only {
            let mut answer = answer(&self.connections.preview(&by, checking.await?));
            if let Some(connection) = &mut answer.connection {
                connection.name.clear();
            }
            return Ok(Response::new(answer));
        }
        let work = async {
            let checked = checking.await?;
            let closing = (&repeat, |connected: &_| answer(connected).encode_to_vec());
            Ok(answer(&self.connections.keep(&by, checked, "connections.import", closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Result<Response<pb::GetConnectionResponse>, Status> {
        let (by, request) = open(request)?;
        let connection = self.connections.get(&by, id(&request.name)?).await?;
        Ok(Response::new(pb::GetConnectionResponse { connection: Some((&connection).into()) }))
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<pb::ListConnectionsResponse>, Status> {
        let (by, request) = open(request)?;
        let filter = request.filter.unwrap_or_default();
        let bytes = filter.encode_to_vec();
        let page = self.common.pages.request(&by.tenant, &bytes, request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let listing = wire::connection_filter(filter, &page)?;
        let mut rows = self.connections.list(&by, &listing).await?;
        let next = wire::cut(&mut rows, &page, |connection| connection.id.to_string());
        let next_page_token = next.map(|key| self.common.pages.seal(&by.tenant, &bytes, &key)).unwrap_or_default();
        let connections = rows.iter().map(Into::into).collect();
        Ok(Response::new(pb::ListConnectionsResponse { connections, next_page_token }))
    }

    async fn inspect_connection(
        &self,
        request: Request<pb::InspectConnectionRequest>,
    ) -> Result<Response<pb::InspectConnectionResponse>, Status> {
        let (by, request) = open(request)?;
        let mut fields = Fields::new();
        let id = fields.take(id(&request.name));
        wire::request_id(&mut fields, &request.request_id, false);
        fields.finish()?;
        let id = id.ok_or_else(|| FieldError::required("name"))?;
        let connection = if request.validate_only {
            self.connections.open(&by, id).await?.0
        } else {
            self.connections.inspect(&by, id).await?
        };
        let days_left = connection.days_left((self.now)());
        Ok(Response::new(pb::InspectConnectionResponse { connection: Some((&connection).into()), days_left }))
    }

    async fn refresh_connection(
        &self,
        request: Request<pb::RefreshConnectionRequest>,
    ) -> Result<Response<pb::RefreshConnectionResponse>, Status> {
        let (by, request) = open(request)?;
        let (id, request_id) = wire::refresh(&request)?;
        let repeat = Repeat::of("RefreshConnection", request_id, &request);
        let answer = |connection: &Connection, refreshed| pb::RefreshConnectionResponse {
            connection: Some(connection.into()),
            refreshed,
        };
        if request.validate_only {
            let (connection, _) = self.lifecycle.refreshable(&by, id).await?;
            return Ok(Response::new(answer(&connection, false)));
        }
        let work = async {
            let (connection, refreshed) = Box::pin(self.lifecycle.refresh_now(&by, id)).await?;
            let answer = answer(&connection, refreshed);
            self.common.store.answer(&by, &repeat, &answer.encode_to_vec()).await?;
            Ok(answer)
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn delete_connection(
        &self,
        request: Request<pb::DeleteConnectionRequest>,
    ) -> Result<Response<pb::DeleteConnectionResponse>, Status> {
        let (by, request) = open(request)?;
        let (id, request_id) = wire::delete(&request)?;
        let repeat = Repeat::of("DeleteConnection", request_id, &request);
        let work = async {
            let connection = self.connections.deletable(&by, id, &request.etag).await?;
            let answer = pb::DeleteConnectionResponse {};
            if !request.validate_only {
                self.connections.delete(&by, &connection, (&repeat, answer.encode_to_vec())).await?;
            }
            Ok(answer)
        };
        if request.validate_only {
            return Ok(Response::new(work.await?));
        }
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn get_blast_radius(
        &self,
        request: Request<pb::GetBlastRadiusRequest>,
    ) -> Result<Response<pb::GetBlastRadiusResponse>, Status> {
        let (by, request) = open(request)?;
        let connection = self.connections.get(&by, id(&request.name)?).await?;
        Ok(Response::new((&assets::blast(&self.common.store, &by, connection.id, (self.now)()).await?).into()))
    }

    type WatchConnectionsStream = BoxStream<'static, Result<pb::WatchConnectionsResponse, Status>>;

    async fn watch_connections(
        &self,
        request: Request<pb::WatchConnectionsRequest>,
    ) -> Result<Response<Self::WatchConnectionsStream>, Status> {
        let (by, request) = open(request)?;
        let from = watch::start(&self.common.pages, &by.tenant, &request)?;
        let seen = self.events.begin(&by.tenant, from).await?;
        let events = watch::events(self.events.clone(), (self.common.pages.clone(), &self.streams), (by.tenant, seen));
        Ok(Response::new(events))
    }

    async fn revoke_connection(
        &self,
        request: Request<pb::RevokeConnectionRequest>,
    ) -> Result<Response<pb::RevokeConnectionResponse>, Status> {
        let (by, request) = open(request)?;
        let (id, request_id) = wire::revoke(&request)?;
        let repeat = Repeat::of("RevokeConnection", request_id, &request);
        let which = (id, request.etag.as_str(), request.reason.as_str());
        let answer = |(connection, revoked_at_meta): (Connection, bool)| pb::RevokeConnectionResponse {
            connection: Some((&connection).into()),
            revoked_at_meta,
        };
        if request.validate_only {
            return Ok(Response::new(answer(self.connections.revocable(&by, id, &request.etag).await?)));
        }
        let work = async {
            let answer = answer(Box::pin(self.connections.revoke(&by, which)).await?);
            self.common.store.answer(&by, &repeat, &answer.encode_to_vec()).await?;
            Ok(answer)
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn discover_assets(
        &self,
        request: Request<pb::DiscoverAssetsRequest>,
    ) -> Result<Response<pb::DiscoverAssetsResponse>, Status> {
        let (by, request) = open(request)?;
        let mut fields = Fields::new();
        let id = fields.take(id(&request.name));
        let request_id = wire::request_id(&mut fields, &request.request_id, true);
        fields.finish()?;
        let id = id.ok_or_else(|| FieldError::required("name"))?;
        let repeat = Repeat::of("DiscoverAssets", request_id, &request);
        let answer = |operation: &Operation| pb::DiscoverAssetsResponse { operation: Some(operation.clone()) };
        if request.validate_only {
            let operation = self.discovery.create(&by, id, true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&operation)));
        }
        let work = async {
            let closing = (&repeat, |operation: &_| answer(operation).encode_to_vec());
            Ok(answer(&self.discovery.create(&by, id, false, closing).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn list_assets(
        &self,
        request: Request<pb::ListAssetsRequest>,
    ) -> Result<Response<pb::ListAssetsResponse>, Status> {
        let (by, request) = open(request)?;
        let only = wire::assets_filter(request.kind)?;
        let filter = format!("assets {}", request.kind);
        let page = self.common.pages.request(&by.tenant, filter.as_bytes(), request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let (kind, meta_id) = wire::asset_key(&page)?;
        let mut rows = assets::list(&self.common.store, &by, only, (kind, &meta_id), wire::limit(&page)).await?;
        let key = |asset: &assets::Asset| format!("{}/{}", asset.found.kind.number(), asset.found.meta_id);
        let next = wire::cut(&mut rows, &page, key);
        let next_page_token = next.map(|key| self.common.pages.seal(&by.tenant, filter.as_bytes(), &key));
        Ok(Response::new(pb::ListAssetsResponse {
            assets: rows.iter().map(Into::into).collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }
}

fn id(name: &str) -> Result<ConnectionId, FieldError> {
    wire::named("name", names::connection(name))
}
