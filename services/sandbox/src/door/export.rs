//! `https://www.facebook.com/ads/ads_insights/export_report/`: a finished report as a file.

use axum::body::Body;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::answer::{plain, refused};
use super::incoming::Incoming;
use super::sandbox::Sandbox;
use crate::error::Refusal;
use crate::insights;
use crate::render::View;
use crate::state::Kind;
use crate::token::{self, Caller};

const PATH: &str = "/ads/ads_insights/export_report";

/// Whether a path is that of the export.
pub(super) fn is_it(path: &str) -> bool {
    path.trim_end_matches('/') == PATH
}

/// Answers with the file of `report_run_id`, under the name that `name` gives it.
pub(super) fn answer(sandbox: &Sandbox, incoming: &Incoming) -> Response<Body> {
    let text = match file(sandbox, incoming) {
        Ok(text) => text,
        Err(refusal) => return refused(&refusal),
    };
    let mut response = plain(StatusCode::OK, text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = incoming.params.text("name").unwrap_or_else(|| "report".to_owned());
    let name: String = name.chars().filter(|letter| !letter.is_control() && !matches!(letter, '"' | '\\')).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

fn file(sandbox: &Sandbox, incoming: &Incoming) -> Result<String, Refusal> {
    let (params, now) = (&incoming.params, sandbox.now());
    let inner = sandbox.lock();
    let state = &inner.state;
    let token = params.text("access_token").or_else(|| incoming.bearer.clone());
    let token = token.ok_or_else(|| Refusal::new(2500, "An access token is required to request this resource."))?;
    let caller = Caller { grant: token::grant(state, &token, now)?, token };
    caller.may_read()?;
    let id = params.required("report_run_id")?;
    if params.text("format").is_some_and(|format| format != "csv") {
        let message = "Param format must be csv; the sandbox writes no xls";
        return Err(Refusal::invalid(message).blame(&["format"]));
    }
    let run = id.parse().ok().and_then(|id| state.of_kind(id, Kind::Run));
    let run = run.ok_or_else(|| Refusal::missing("get", &id))?;
    let version = state.settings.newest_version;
    insights::csv(
        &View { state, now, version, base: &incoming.base, token: &caller.token, thumbnail: (None, None) },
        run,
    )
}
