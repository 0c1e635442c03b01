//! One call from its parameters to its answer, counted and logged; batches item by item.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::incoming::Incoming;
use super::sandbox::{Inner, Sandbox};
use crate::batch::{self, Answer, Ready};
use crate::body::Body;
use crate::error::Refusal;
use crate::faults::Action;
use crate::oauth;
use crate::params::Params;
use crate::requests::Line;
use crate::route::{self, Call, File, Verb};
use crate::token;
use crate::usage::{Bucket, Header, Terms};
use crate::version::Version;
use crate::webhooks;

/// An answer that is ready to go out.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) status: u16,
    pub(super) body: Body,
    pub(super) headers: Vec<Header>,
    pub(super) trace: String,
    pub(super) if_none_match: Option<String>,
}

impl Done {
    pub(super) fn refused(refusal: &Refusal, trace: &str) -> Self {
        let body = Body::from(refusal.envelope(trace));
        Self { status: refusal.status(), body, headers: Vec::new(), trace: trace.to_owned(), if_none_match: None }
    }
}

/// A call before its caller is known.
struct Raw {
    verb: Verb,
    method: String,
    path: String,
    params: Params,
    files: Vec<File>,
    bearer: Option<String>,
    base: String,
    trace: String,
    now: Timestamp,
    item: Option<usize>,
}

impl Sandbox {
    /// Answers a Graph call. `fault` is what it is refused with on demand.
    pub(super) async fn dispatch(self: &Arc<Self>, incoming: Incoming, fault: Option<Refusal>) -> Done {
        let fault = match fault {
            None => self.callback_fault(&incoming).await,
            given => given,
        };
        let trace = self.trace();
        let if_none_match = incoming.if_none_match.clone();
        let quiet = incoming.params.boolean("suppress_http_code").unwrap_or(false);
        let (_, parts) = Version::split(&incoming.path);
        let is_batch = parts.is_empty() && incoming.verb == Verb::Post && fault.is_none();
        let now = self.now();
        let worked = self
            .change(|inner| {
                if is_batch {
                    self.many(inner, incoming, now, &trace)
                } else {
                    one(inner, incoming_raw(incoming, now, &trace), fault)
                }
            })
            .await;
        let mut done = worked.unwrap_or_else(|refusal| Done::refused(&refusal, &trace));
        done.if_none_match = if_none_match;
        if quiet {
            done.status = 200;
        }
        done
    }

    /// Who subscribes to webhooks has to prove that the callback is theirs, before anything is kept.
    async fn callback_fault(&self, incoming: &Incoming) -> Option<Refusal> {
        let (_, parts) = Version::split(&incoming.path);
        let [app, edge] = parts.as_slice() else { return None };
        if edge != "subscriptions" || incoming.verb != Verb::Post {
            return None;
        }
        let token = incoming.params.text("access_token").or_else(|| incoming.bearer.clone());
        webhooks::handshake(self, app, &incoming.params, token.as_deref()).await.err()
    }

    fn many(&self, inner: &mut Inner, incoming: Incoming, now: Timestamp, trace: &str) -> Done {
        let before = inner.state.committed();
        let mut outer = incoming.params;
        if let Some(bearer) = incoming.bearer.filter(|_| !outer.has("access_token")) {
            outer.put("access_token", Value::String(bearer));
        }
        let (version, _) = Version::split(&incoming.path);
        let checked = version.check().and_then(|()| batch::items(&outer)).and_then(|items| {
            // A bad outer token fails the whole; none at all is left to the items.
            match outer.text("access_token") {
                Some(token) => token::grant(&inner.state, &token, now).map(|_| items),
                None => Ok(items),
            }
        });
        let done = match checked {
            Err(refusal) => Done::refused(&refusal, trace),
            Ok(items) => {
                let with_headers =
                    outer.raw("include_headers").is_none() || outer.boolean("include_headers").unwrap_or(true);
                let mut at = 0_usize;
                let body = batch::run(&items, &outer, &incoming.files, with_headers, |ready| {
                    let raw = item_raw(ready, version, &incoming.base, now, self.trace(), at);
                    at += 1;
                    item(inner, raw)
                });
                Done {
                    status: 200,
                    body: body.into(),
                    headers: Vec::new(),
                    trace: trace.to_owned(),
                    if_none_match: None,
                }
            }
        };
        let committed = inner.state.committed() > before;
        let about = About { at: now, method: incoming.method, path: incoming.path, item: None, grant_type: None };
        inner.requests.push(about.line(&done, committed, Bucket::Free, false));
        done
    }
}

fn incoming_raw(incoming: Incoming, now: Timestamp, trace: &str) -> Raw {
    Raw {
        verb: incoming.verb,
        method: incoming.method,
        path: incoming.path,
        params: incoming.params,
        files: incoming.files,
        bearer: incoming.bearer,
        base: incoming.base,
        trace: trace.to_owned(),
        now,
        item: None,
    }
}

fn item_raw(ready: Ready, version: Version, base: &str, now: Timestamp, trace: String, at: usize) -> Raw {
    let path = ready.path.trim_start_matches('/');
    let versioned = path.split_once('/').map_or(path, |(first, _)| first);
    let has_version = versioned.starts_with('v') && versioned.contains('.');
    let path = if has_version { format!("/{path}") } else { format!("/{}/{path}", version.word()) };
    Raw {
        verb: ready.verb,
        method: ready.verb.word().to_ascii_uppercase(),
        path,
        params: ready.params,
        files: ready.files,
        bearer: None,
        base: base.to_owned(),
        trace,
        now,
        item: Some(at),
    }
}

/// One item of a batch. A fault that ends a connection leaves the item unanswered instead.
fn item(inner: &mut Inner, raw: Raw) -> Answer {
    let action = inner.faults.strike(&raw.method, &raw.path);
    let done = match &action {
        Some(Action::Drop | Action::TimeoutBeforeCommit { .. }) => return Answer::Null,
        Some(Action::Http { status }) => {
            return Answer::Given { status: *status, headers: Vec::new(), body: json!({}).into() };
        }
        Some(action) => one(inner, raw, action.refusal()),
        None => one(inner, raw, None),
    };
    if matches!(action, Some(Action::TimeoutAfterCommit { .. })) {
        return Answer::Null;
    }
    let mut headers = vec![("Content-Type".to_owned(), "text/javascript; charset=UTF-8".to_owned())];
    headers.extend(done.headers.into_iter().map(|(name, value)| (title_case(name), value)));
    Answer::Given { status: done.status, headers, body: done.body }
}

/// One call: token, limits, handler, log.
fn one(inner: &mut Inner, raw: Raw, fault: Option<Refusal>) -> Done {
    let about = About {
        at: raw.now,
        method: raw.method.clone(),
        path: raw.path.clone(),
        item: raw.item,
        grant_type: raw.params.text("grant_type"),
    };
    let before = inner.state.committed();
    let trace = raw.trace.clone();
    let is_fault = fault.is_some();
    let mut bucket = Bucket::Free;
    let mut headers = Vec::new();
    let result = match fault {
        Some(refusal) => Err(refusal),
        None => worked(inner, raw, &mut bucket, &mut headers),
    };
    let mut done = match result {
        Ok(body) => Done { status: 200, body, headers: Vec::new(), trace, if_none_match: None },
        Err(refusal) => Done::refused(&refusal, &trace),
    };
    done.headers = headers;
    let committed = inner.state.committed() > before;
    inner.requests.push(about.line(&done, committed, bucket, is_fault));
    done
}

fn worked(inner: &mut Inner, mut raw: Raw, bucket: &mut Bucket, headers: &mut Vec<Header>) -> Result<Body, Refusal> {
    let (version, path) = Version::split(&raw.path);
    version.check()?;
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["oauth", "access_token"] => {
            return oauth::access_token(&mut inner.state, &raw.params, raw.now).map(Body::from);
        }
        ["oauth", "client_code"] => {
            return oauth::client_code(&mut inner.state, &raw.params, raw.now).map(Body::from);
        }
        ["oauth", "revoke"] => return oauth::revoke(&mut inner.state, &raw.params).map(Body::from),
        // Meta's SDKs report their own crashes here, and do so without a token.
        [_, "instruments"] if raw.verb == Verb::Post => return Ok(Body::from(json!({ "success": true }))),
        _ => {}
    }
    let given = token::take(&mut raw.params, raw.bearer.as_deref());
    let caller = token::caller(&inner.state, given.as_deref(), &mut raw.params, &path, raw.now)?;
    *bucket = route::bucket(&inner.state, &path, raw.now);
    let settings = &inner.state.settings;
    let terms = Terms { app_users: settings.app_users, score_refuses: settings.score_refuses };
    let (admitted, usage) = inner.usage.admit(*bucket, raw.verb != Verb::Get, terms, raw.now);
    *headers = usage;
    admitted?;
    let call = Call {
        verb: raw.verb,
        path,
        params: raw.params,
        files: raw.files,
        version,
        now: raw.now,
        base: raw.base,
        caller,
        trace: raw.trace,
        background: false,
    };
    route::handle(&mut inner.state, &call)
}

/// What the log says of a call before its answer is known.
struct About {
    at: Timestamp,
    method: String,
    path: String,
    item: Option<usize>,
    grant_type: Option<String>,
}

impl About {
    fn line(self, done: &Done, committed: bool, bucket: Bucket, fault: bool) -> Line {
        Line {
            at: self.at,
            method: self.method,
            path: self.path,
            status: done.status,
            code: done.body.error_code(),
            committed,
            bucket: bucket.word(),
            account: bucket.account().map(|id| format!("act_{id}")),
            item: self.item,
            grant_type: self.grant_type,
            fault,
        }
    }
}

/// Headers inside of batch items are written the old way: `X-App-Usage`.
fn title_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}
