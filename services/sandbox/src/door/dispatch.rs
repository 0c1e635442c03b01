//! One call from its parameters to its answer, counted and logged; batches item by item.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer;
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
use crate::usage::{Bucket, Header, Outcome};
use crate::version::{Served, Version};
use crate::webhooks;

/// An answer that is ready to go out.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) status: u16,
    pub(super) body: Body,
    pub(super) headers: Vec<Header>,
    pub(super) trace: String,
    /// Unknown where it was refused before that was looked at.
    pub(super) served: Option<Served>,
    /// Whose token read it; only what was read has a tag.
    pub(super) reader: Option<String>,
}

/// The last version that heeds `debug`.
const DEBUG_UNTIL: Version = Version(25);

impl Done {
    pub(super) fn refused(refusal: &Refusal, trace: &str) -> Self {
        let body = Body::from(refusal.envelope(trace));
        Self {
            status: refusal.status(),
            body,
            headers: Vec::new(),
            trace: trace.to_owned(),
            served: None,
            reader: None,
        }
    }
}

/// A call before its caller is known.
struct Raw {
    verb: Verb,
    method: String,
    path: String,
    asked: Option<Version>,
    parts: Vec<String>,
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
        let is_batch = incoming.parts.is_empty()
            && incoming.verb == Verb::Post
            && fault.is_none()
            && !incoming.params.has("asyncbatch")
            && !incoming.params.boolean("is_async").unwrap_or(false);
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
        worked.unwrap_or_else(|refusal| Done::refused(&refusal, &trace))
    }

    /// Who subscribes to webhooks has to prove that the callback is theirs, before anything is kept.
    async fn callback_fault(&self, incoming: &Incoming) -> Option<Refusal> {
        let [app, edge] = incoming.parts.as_slice() else { return None };
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
        let served = Served::of(incoming.asked, &incoming.parts, &inner.state.settings);
        let checked = served.as_ref().map_err(Refusal::clone).and_then(|_| batch::items(&outer)).and_then(|items| {
            // A bad outer token fails the whole; none at all is left to the items.
            match outer.text("access_token") {
                Some(token) => token::grant(&inner.state, &token, now).map(|_| items),
                None => Ok(items),
            }
        });
        let mut done = match checked {
            Err(refusal) => Done::refused(&refusal, trace),
            Ok(items) => {
                let with_headers =
                    outer.raw("include_headers").is_none() || outer.boolean("include_headers").unwrap_or(true);
                let mut at = 0_usize;
                let body = batch::run(&items, &outer, &incoming.files, with_headers, |ready| {
                    let if_none_match = ready.if_none_match.clone();
                    let raw = item_raw(ready, incoming.asked, &incoming.base, now, self.trace(), at);
                    at += 1;
                    item(inner, raw, if_none_match.as_deref())
                });
                Done {
                    status: 200,
                    body: body.into(),
                    headers: Vec::new(),
                    trace: trace.to_owned(),
                    served: None,
                    reader: None,
                }
            }
        };
        done.served = served.ok();
        if outer.boolean("suppress_http_code").unwrap_or(false) {
            done.status = 200;
        }
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
        asked: incoming.asked,
        parts: incoming.parts,
        params: incoming.params,
        files: incoming.files,
        bearer: incoming.bearer,
        base: incoming.base,
        trace: trace.to_owned(),
        now,
        item: None,
    }
}

/// An item without a version has the one of its batch.
fn item_raw(ready: Ready, outer: Option<Version>, base: &str, now: Timestamp, trace: String, at: usize) -> Raw {
    let (own, parts) = Version::split(&ready.path);
    let asked = own.or(outer);
    let path = ready.path.trim_start_matches('/');
    let path = match outer {
        Some(outer) if own.is_none() => format!("/{outer}/{path}"),
        _ => format!("/{path}"),
    };
    Raw {
        verb: ready.verb,
        method: ready.verb.word().to_ascii_uppercase(),
        path,
        asked,
        parts,
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
fn item(inner: &mut Inner, raw: Raw, if_none_match: Option<&str>) -> Answer {
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
    let text = done.body.into_text();
    let tag = done.reader.map(|token| answer::tag(&token, &text));
    headers.extend(tag.iter().map(|tag| ("ETag".to_owned(), tag.clone())));
    let told = answer::version_headers(done.served.as_ref()).chain(done.headers);
    headers.extend(told.map(|(name, value)| (title_case(name), value)));
    let unchanged = tag.is_some() && tag.as_deref() == if_none_match;
    Answer::Given { status: if unchanged { 304 } else { done.status }, headers, body: Body::Text(text) }
}

/// What is found out about a call on its way to its answer.
#[derive(Default)]
pub(super) struct Trail {
    served: Option<Served>,
    pub(super) bucket: Option<Bucket>,
    headers: Vec<Header>,
    reader: Option<String>,
}

/// One call: version, token, limits, handler, log.
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
    let quiet = raw.item.is_none() && raw.params.boolean("suppress_http_code").unwrap_or(false);
    let wants_debug =
        raw.params.text("debug").is_some_and(|level| matches!(level.as_str(), "all" | "info" | "warning"));
    let mut trail = Trail::default();
    let result = match fault {
        Some(refusal) => {
            trail.served = Served::of(raw.asked, &raw.parts, &inner.state.settings).ok();
            Err(refusal)
        }
        None => worked(inner, raw, &mut trail),
    };
    let mut done = match result {
        Ok(body) => {
            let served = None;
            Done { status: 200, body, headers: Vec::new(), trace, served, reader: trail.reader }
        }
        Err(refusal) => Done::refused(&refusal, &trace),
    };
    if let (true, Some(served)) = (wants_debug, &trail.served)
        && served.version <= DEBUG_UNTIL
        && let Value::Object(members) = done.body.tree()
    {
        members.insert("__debug__".to_owned(), answer::debug_member(served));
    }
    if quiet {
        done.status = 200;
    }
    done.served = trail.served;
    done.headers = trail.headers;
    let committed = inner.state.committed() > before;
    inner.requests.push(about.line(&done, committed, trail.bucket.unwrap_or(Bucket::Free), is_fault));
    done
}

fn worked(inner: &mut Inner, mut raw: Raw, trail: &mut Trail) -> Result<Body, Refusal> {
    let served = Served::of(raw.asked, &raw.parts, &inner.state.settings)?;
    let version = served.version;
    trail.served = Some(served);
    let path = raw.parts;
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
    counted(inner, &call, trail)
}

/// Answers a call within its limits, and counts what it took.
pub(super) fn counted(inner: &mut Inner, call: &Call, trail: &mut Trail) -> Result<Body, Refusal> {
    let Inner { state, usage, .. } = inner;
    let charge = route::charge(state, call);
    trail.bucket = Some(charge.main());
    let answer = usage.admit(state, &charge, call.now).and_then(|()| {
        trail.reader = (call.verb == Verb::Get).then(|| call.caller.token.clone());
        let answer = route::handle(state, call);
        let size = answer.as_ref().map_or(0, Body::size);
        let mistaken = answer.as_ref().is_err_and(Refusal::is_callers);
        usage.settle(&charge, Outcome { size, mistaken }, call.now);
        answer
    });
    trail.headers = usage.headers(state, &charge, call.now);
    answer
}

/// What the log says of a call before its answer is known.
pub(super) struct About {
    pub(super) at: Timestamp,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) item: Option<usize>,
    pub(super) grant_type: Option<String>,
}

impl About {
    pub(super) fn line(self, done: &Done, committed: bool, bucket: Bucket, fault: bool) -> Line {
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
    if name == "facebook-api-version" {
        return "Facebook-API-Version".to_owned();
    }
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}
