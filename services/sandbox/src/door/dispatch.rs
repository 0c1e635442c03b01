//! One call from its parameters to its answer, counted and logged; batches item by item.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer;
use super::incoming::Incoming;
use super::log::{About, Fate, Origin};
use super::proof::Proof;
use super::sandbox::{Inner, Sandbox};
use super::struck::{Heard, asked, page_text};
use crate::batch::{self, Answer, Ready};
use crate::body::Body;
use crate::error::Refusal;
use crate::faults::{Action, Around, Going, Struck};
use crate::nodes::path_id;
use crate::oauth;
use crate::params::Params;
use crate::requests::Line;
use crate::route::{self, Call, File, Verb};
use crate::token::{self, Caller};
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

    pub(super) fn code(&self) -> Option<i64> {
        self.body.error_code()
    }
}

/// Items of a batch that are to be worked so many seconds later.
type Deferred = Vec<(Raw, Struck, i64)>;

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
    origin: Origin,
}

impl Raw {
    fn about(&self) -> About {
        About {
            at: self.now,
            method: self.method.clone(),
            path: self.path.clone(),
            item: self.item,
            grant_type: self.params.text("grant_type"),
            origin: self.origin.clone(),
        }
    }
}

impl Sandbox {
    /// Answers a Graph call as the rules say that struck it.
    pub(super) async fn dispatch(self: &Arc<Self>, incoming: Incoming, mut struck: Struck, fate: Fate) -> Done {
        if struck.refusal().is_none() {
            struck.refused = self.callback_fault(&incoming).await;
        }
        let trace = self.trace();
        let is_batch = incoming.parts.is_empty()
            && incoming.verb == Verb::Post
            && struck.refusal().is_none()
            && !incoming.params.has("asyncbatch")
            && !incoming.params.boolean("is_async").unwrap_or(false);
        let now = self.now();
        let mut deferred = Deferred::new();
        let worked = self
            .change(|inner| {
                if is_batch {
                    self.many(inner, incoming, &struck, fate, now, &trace, &mut deferred)
                } else {
                    one(inner, incoming_raw(incoming, now, &trace), &struck, fate)
                }
            })
            .await;
        for (raw, struck, seconds) in deferred {
            self.work_later(seconds, now, move |inner, now| one(inner, Raw { now, ..raw }, &struck, Fate::Late));
        }
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

    /// Works a call so many seconds later, when nobody waits for its answer any more.
    pub(super) fn dispatch_later(self: &Arc<Self>, incoming: Incoming, struck: Struck, seconds: i64) {
        let sandbox = Arc::clone(self);
        let now = self.now();
        let resets = self.lock().resets;
        let due = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        self.later(due, async move {
            if sandbox.lock().resets == resets {
                sandbox.dispatch(incoming, struck, Fate::Late).await;
            }
        });
    }

    fn work_later(
        self: &Arc<Self>,
        seconds: i64,
        now: Timestamp,
        work: impl FnOnce(&mut Inner, Timestamp) -> Done + Send + 'static,
    ) {
        let sandbox = Arc::clone(self);
        let resets = self.lock().resets;
        let due = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        self.later(due, async move {
            let now = sandbox.now();
            let worked = sandbox
                .change(|inner| {
                    if inner.resets == resets {
                        work(inner, now);
                    }
                })
                .await;
            if let Err(refusal) = worked {
                tracing::error!(status = refusal.status(), "work that was due is not in the journal");
            }
        });
    }

    /// Logs a call that a fault kept from being worked.
    pub(super) fn log_fault(&self, incoming: Incoming, struck: &Struck, status: u16) {
        unworked(&mut self.lock(), &incoming_raw(incoming, self.now(), ""), status, struck);
    }

    #[expect(clippy::too_many_arguments, reason = "one call, all that is known of it")]
    fn many(
        &self,
        inner: &mut Inner,
        incoming: Incoming,
        struck: &Struck,
        fate: Fate,
        now: Timestamp,
        trace: &str,
        deferred: &mut Deferred,
    ) -> Done {
        let before = inner.state.committed();
        let mut outer = incoming.params;
        if let Some(bearer) = incoming.bearer.filter(|_| !outer.has("access_token")) {
            outer.put("access_token", Value::String(bearer));
        }
        let origin = Origin::of(incoming.user_agent, &incoming.base);
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
                let body = batch::run(
                    &items,
                    &outer,
                    &incoming.files,
                    with_headers,
                    || self.trace(),
                    |ready| {
                        let if_none_match = ready.if_none_match.clone();
                        let mut raw = item_raw(ready, incoming.asked, &incoming.base, now, self.trace());
                        raw.origin.clone_from(&origin);
                        item(inner, raw, if_none_match.as_deref(), deferred)
                    },
                );
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
        let (method, path) = (incoming.method, incoming.path);
        let about = About { at: now, method, path, item: None, grant_type: None, origin };
        let line = about.line(done.status, done.code(), Bucket::Free, &struck.rules, fate);
        inner.requests.push(Line { committed, ..line });
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
        origin: Origin::of(incoming.user_agent, &incoming.base),
        base: incoming.base,
        trace: trace.to_owned(),
        now,
        item: None,
    }
}

/// An item without a version has the one of its batch.
fn item_raw(ready: Ready, outer: Option<Version>, base: &str, now: Timestamp, trace: String) -> Raw {
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
        item: Some(ready.at),
        origin: Origin::default(),
    }
}

/// One item of a batch. A fault that ends a connection leaves the item unanswered instead.
fn item(inner: &mut Inner, raw: Raw, if_none_match: Option<&str>, deferred: &mut Deferred) -> Answer {
    let Inner { state, faults, .. } = inner;
    let struck = faults.strike(|| {
        let Raw { method, verb, path, params, now, .. } = &raw;
        asked(state, Heard { method, verb: *verb, path, params, bearer: None, is_item: true, now: *now })
    });
    let fate = match &struck.ending {
        Some(Action::Drop {} | Action::TimeoutBeforeCommit { .. } | Action::NullItem { commit: false }) => {
            unworked(inner, &raw, 0, &struck);
            return Answer::Null;
        }
        Some(Action::TimeoutThenCommit { commit_seconds, .. }) => {
            unworked(inner, &raw, 0, &struck);
            let seconds = *commit_seconds;
            deferred.push((raw, struck, seconds));
            return Answer::Null;
        }
        Some(Action::Http { status, body, .. }) => {
            unworked(inner, &raw, *status, &struck);
            return Answer::Page { status: *status, text: page_text(*status, body.clone()) };
        }
        Some(Action::TimeoutAfterCommit { .. } | Action::NullItem { commit: true }) => Fate::Lost,
        _ => Fate::Answered,
    };
    let done = one(inner, raw, &struck, fate);
    if fate == Fate::Lost {
        return Answer::Null;
    }
    let mut headers = vec![("Content-Type".to_owned(), "text/javascript; charset=UTF-8".to_owned())];
    let text = done.body.into_text();
    let tag = done.reader.map(|token| answer::tag(&token, &text));
    headers.extend(tag.iter().map(|tag| ("ETag".to_owned(), tag.clone())));
    let told = answer::version_headers(done.served.as_ref()).chain(done.headers);
    headers.extend(told.map(|(name, value)| (title_case(name), value)));
    let unchanged = tag.as_deref().is_some_and(|tag| answer::is_known(if_none_match, tag));
    Answer::Given { status: if unchanged { 304 } else { done.status }, headers, body: Body::Text(text) }
}

/// Logs a call that is not worked.
fn unworked(inner: &mut Inner, raw: &Raw, status: u16, struck: &Struck) {
    let arrived = arrived(inner, raw);
    inner.requests.push(raw.about().unworked(status, struck, arrived));
}

/// What a call would be counted under that is not worked.
fn arrived(inner: &Inner, raw: &Raw) -> Bucket {
    if raw.parts.is_empty() && raw.verb == Verb::Post {
        return Bucket::Free;
    }
    let token = raw.params.text("access_token").or_else(|| raw.bearer.clone()).unwrap_or_default();
    let grant = token::grant(&inner.state, &token, raw.now).unwrap_or_else(|_| Arc::new(token::app_grant(raw.now)));
    let call = Call {
        verb: raw.verb,
        path: raw.parts.clone(),
        params: raw.params.clone(),
        files: Vec::new(),
        version: raw.asked.unwrap_or(inner.state.settings.oldest_version),
        now: raw.now,
        base: String::new(),
        caller: Caller { token, grant },
        trace: String::new(),
        background: false,
    };
    route::charge(&inner.state, &call).main()
}

/// What is found out about a call on its way to its answer.
#[derive(Default)]
pub(super) struct Trail {
    served: Option<Served>,
    pub(super) bucket: Option<Bucket>,
    headers: Vec<Header>,
    reader: Option<String>,
    /// The rule whose storm refused it.
    pub(super) storm: Option<u64>,
}

/// One call: faults, version, token, limits, handler, log.
fn one(inner: &mut Inner, mut raw: Raw, struck: &Struck, fate: Fate) -> Done {
    let about = raw.about();
    let trace = raw.trace.clone();
    let token = raw.params.text("access_token").or_else(|| raw.bearer.clone());
    if let (Some(Action::DeadToken { code, subcode }), Some(token)) = (&struck.ending, &token) {
        token::kill(&mut inner.state, token, *code, subcode.unwrap_or_default());
    }
    let quiet = raw.item.is_none() && raw.params.boolean("suppress_http_code").unwrap_or(false);
    let wants_debug =
        raw.params.text("debug").is_some_and(|level| matches!(level.as_str(), "all" | "info" | "warning"));
    let mut trail = Trail::default();
    let mut committed = false;
    let mut arrived_as = None;
    let result = match struck.refusal() {
        Some(refusal) => {
            inner.state.take_committed_ids();
            arrived_as = Some(arrived(inner, &raw));
            trail.served = Served::of(raw.asked, &raw.parts, &inner.state.settings).ok();
            Err(refusal)
        }
        None => {
            let Raw { verb, path, parts, asked, params, base, now, .. } = &mut raw;
            let version = asked.unwrap_or(inner.state.settings.oldest_version);
            let going = Going { verb: *verb, path, parts, version, params, base, token, now: *now };
            let around = Around::begin(struck, &mut inner.state, going);
            inner.state.take_committed_ids();
            let before = inner.state.committed();
            let result = worked(inner, raw, &mut trail);
            committed = inner.state.committed() > before;
            around.end(&mut inner.state, result)
        }
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
    let committed_ids = inner.state.take_committed_ids();
    let committed_ids = committed_ids.into_iter().filter_map(|id| inner.state.object(id)).map(path_id).collect();
    let rules: Vec<u64> = struck.rules.iter().copied().chain(trail.storm).collect();
    let bucket = trail.bucket.unwrap_or(Bucket::Free);
    let arrived = arrived_as.unwrap_or(bucket);
    let line = about.line(done.status, done.code(), bucket, &rules, fate);
    inner.requests.push(Line { committed, committed_ids, arrived, ..line });
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
    let proof = Proof::of(&raw.params);
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
    counted(inner, &call, trail).map(|body| proof.carried(body))
}

/// Answers a call within its limits, and counts what it took. A storm on demand refuses it before, and costs nothing.
pub(super) fn counted(inner: &mut Inner, call: &Call, trail: &mut Trail) -> Result<Body, Refusal> {
    let Inner { state, usage, faults, .. } = inner;
    let charge = route::charge(state, call);
    trail.bucket = Some(charge.main());
    if let Some((rule, refusal, told)) = faults.throttled(charge.main(), state.settings.limits.tier, call.now) {
        trail.headers = told;
        trail.storm = Some(rule);
        return Err(refusal);
    }
    let answer = usage.admit(state, &charge, call.now).and_then(|()| {
        trail.reader = (call.verb == Verb::Get).then(|| call.caller.token.clone());
        let answer = route::answer(state, call);
        let size = answer.as_ref().map_or(0, Body::size);
        let mistaken = answer.as_ref().is_err_and(Refusal::is_callers);
        usage.settle(&charge, Outcome { size, mistaken }, call.now);
        answer
    });
    trail.headers = usage.headers(state, &charge, call.now);
    answer
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
