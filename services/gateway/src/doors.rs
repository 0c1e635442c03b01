//! The plain HTTP addresses: the page before Meta's log-in, the page that Meta sends a person back to, and a health check
//! for those who speak no gRPC.
//!
//! ```text
//! GET /oauth/begin      who asks, for whom; a button          `shown` is kept
//! POST /oauth/begin     the button: on to Meta's dialog       the state is kept
//! GET /oauth/callback   back from Meta: what became of it     only where the state is kept
//! ```

mod cookie;
mod page;
mod words;

use std::{sync::Arc, time::Duration};

use axum::{
    Form, Router,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use proto::auth::v1::{
    CompleteConnectionRequest, GetLoginRequest, Login, connection_service_client::ConnectionServiceClient,
};
use rpc::{Pool, Upstream};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::Status;
use url::Url;

use self::{
    page::{page, page_with_button},
    words::Words,
};

/// Where a log-in begins.
const BEGIN: &str = "/oauth/begin";
/// How long a person waits. Auth finishes beside us what it has begun.
const PATIENCE: Duration = Duration::from_secs(30);

/// The doors; `auth` knows what was begun and completes it, at most so many at once.
pub(crate) fn routes(auth: Pool, logins_max: usize) -> Router {
    let door = Door { auth, places: Arc::new(Semaphore::new(logins_max)) };
    Router::new()
        .route(BEGIN, get(begin).post(go_on))
        .route("/oauth/callback", get(callback))
        .with_state(door)
        .route("/healthz", get(|| async { "ok\n" }))
}

#[derive(Clone)]
struct Door {
    auth: Pool,
    places: Arc<Semaphore>,
}

/// Which log-in.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Which {
    state: String,
}

/// What Meta's redirect brings: a code, or why there is none.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Redirect {
    state: String,
    code: String,
    error: String,
}

/// Says who asks and for whom, before anybody consents to anything.
async fn begin(State(door): State<Door>, which: Result<Query<Which>, QueryRejection>) -> Response {
    let which = which.map(|Query(which)| which).unwrap_or_default();
    let Some(state) = cookie::State::read(&which.state) else { return page(&words::opened_by_hand()) };
    let (login, dialog) = match door.login(&which.state).await {
        Ok(found) => found,
        Err(words) => return page(&words),
    };
    let mut answer = page_with_button(&words::asked(&login), "Continue to Meta", (BEGIN, &which.state), &dialog);
    if let Some(cookie) = state.shown(is_https(&login)) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

/// The button on that page, which no other site can press.
async fn go_on(State(door): State<Door>, headers: HeaderMap, which: Result<Form<Which>, FormRejection>) -> Response {
    let which = which.map(|Form(which)| which).unwrap_or_default();
    let Some(state) = cookie::State::read(&which.state) else { return page(&words::opened_by_hand()) };
    if !state.is_shown(&headers) {
        return page(&words::without_cookie());
    }
    let (login, dialog) = match door.login(&which.state).await {
        Ok(found) => found,
        Err(words) => return page(&words),
    };
    match (state.goes_on(is_https(&login)), HeaderValue::from_str(dialog.as_str())) {
        (Some(cookie), Ok(location)) => {
            let headers = [
                (header::SET_COOKIE, cookie),
                (header::LOCATION, location),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        _ => page(&words::busy()),
    }
}

/// The state is the proof of who began; auth checks it, and that it was not used before. That whoever comes back is whoever
/// read our page, the browser proves; where it does not, state and code stay unused.
async fn callback(
    State(door): State<Door>,
    headers: HeaderMap,
    redirect: Result<Query<Redirect>, QueryRejection>,
) -> Response {
    let redirect = redirect.map(|Query(redirect)| redirect).unwrap_or_default();
    if !redirect.error.is_empty() {
        return page(&words::denied());
    }
    let state = cookie::State::read(&redirect.state);
    let Some(state) = state.filter(|_| !redirect.code.is_empty()) else { return page(&words::opened_by_hand()) };
    if !state.is_of_this_browser(&headers) {
        return page(&words::of_another_browser());
    }
    let request = CompleteConnectionRequest {
        state: redirect.state,
        code: redirect.code,
        ..CompleteConnectionRequest::default()
    };
    let completing = async |mut auth: ConnectionServiceClient<Pool>| auth.complete_connection(request).await;
    match door.ask(completing).await {
        Ok(answer) => page(&words::completed(&answer.into_inner().connection.unwrap_or_default())),
        Err(words) => page(&words),
    }
}

impl Door {
    /// A log-in that can still be finished, and Meta's dialog for it.
    async fn login(&self, state: &str) -> Result<(Login, Url), Words> {
        let request = GetLoginRequest { state: state.to_owned() };
        let answer = self.ask(async |mut auth: ConnectionServiceClient<Pool>| auth.get_login(request).await).await?;
        let login = answer.into_inner().login.unwrap_or_default();
        let dialog = Url::parse(&login.dialog_url).map_err(|_| words::busy())?;
        Ok((login, dialog))
    }

    /// Asks auth, in one of few places and not for ever.
    async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(ConnectionServiceClient<Pool>) -> Result<T, Status>,
    ) -> Result<T, Words> {
        let _place: SemaphorePermit<'_> = self.places.try_acquire().map_err(|_| words::busy())?;
        match tokio::time::timeout(PATIENCE, ask(ConnectionServiceClient::new(self.auth.clone()))).await {
            Ok(answer) => answer.map_err(|status| words::refused(&Upstream::from(status))),
            Err(_) => Err(words::slow()),
        }
    }
}

/// Whether people come to us by HTTPS, as auth was told: who ends TLS before us is not to be asked.
fn is_https(login: &Login) -> bool {
    login.callback_url.starts_with("https://")
}
