//! Works off asynchronous sets, one request after the other, by the sandbox's clock.
//!
//! What must hold: a request is done and its result kept in one change of the world, so that a kill leaves it either not
//! begun or done. A set that was open when the sandbox stopped goes on at its next start.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::dispatch::{self, Done, Trail};
use super::log::{About, Fate, Origin};
use super::sandbox::{Inner, Sandbox};
use super::struck::{Heard, asked};
use crate::batch::{self, Item};
use crate::body::Body;
use crate::error::Refusal;
use crate::nodes::{async_sets, path_id};
use crate::params::Params;
use crate::requests::Line;
use crate::route::{Call, Verb};
use crate::state::{Kind, Object, State};
use crate::token;
use crate::usage::Bucket;
use crate::version::Version;

/// How many requests are done while the world is held, where none has to wait.
const REQUESTS_AT_ONCE: usize = 20;

/// A call that nobody waits for, by one whose token is known only as its digest.
struct Order {
    verb: Verb,
    path: Vec<String>,
    params: Params,
    holder: String,
    version: Version,
    trace: String,
    now: Timestamp,
}

impl Sandbox {
    /// Begins with sets that were made, or that were open when the world was read back.
    pub(crate) fn begin_sets(self: &Arc<Self>, sets: Vec<u64>) {
        for set in sets {
            let wait = self.lock().state.settings.async_begin_milliseconds;
            self.step_later(set, wait);
        }
    }

    /// All sets that are not at their end.
    pub(crate) fn open_sets(&self) -> Vec<u64> {
        let inner = self.lock();
        inner.state.all(Kind::AsyncSet).filter(|&set| next(&inner.state, set).is_some()).collect()
    }

    fn step_later(self: &Arc<Self>, set: u64, milliseconds: i64) {
        let now = self.now();
        let due = now.checked_add(SignedDuration::from_millis(milliseconds)).unwrap_or(now);
        let sandbox = Arc::clone(self);
        self.later(due, async move {
            let trace = sandbox.trace();
            let now = sandbox.now();
            let more = sandbox.change(|inner| steps(inner, set, now, &trace)).await;
            if let Ok(Some(wait)) = more {
                sandbox.step_later(set, wait);
            }
        });
    }
}

/// Does what is due of a set. Gives the time until the next step, or `None` where the set is at its end.
fn steps(inner: &mut Inner, set: u64, now: Timestamp, trace: &str) -> Option<i64> {
    let wait = inner.state.settings.async_step_milliseconds;
    let count = if wait > 0 { 1 } else { REQUESTS_AT_ONCE };
    for _ in 0..count {
        let request = next(&inner.state, set)?;
        work(inner, set, &request, now, trace);
    }
    let request = next(&inner.state, set)?;
    // What is next has begun: it can no longer be cancelled.
    async_sets::settle(&mut inner.state, &request, "IN_PROGRESS", None, now);
    Some(wait)
}

/// The request that is to be done next: the one that has begun, else the first that has not.
fn next(state: &State, set: u64) -> Option<Object> {
    let requests = || state.children(set, Kind::AsyncRequest).filter_map(|id| state.object(id));
    let of = |status: &'static str| requests().find(move |request| request.text("_status") == status);
    of("IN_PROGRESS").or_else(|| of("INITIAL")).cloned()
}

fn work(inner: &mut Inner, set: u64, request: &Object, now: Timestamp, trace: &str) {
    let Some(set) = inner.state.object(set).cloned() else { return };
    let Some(order) = order(&inner.state, &set, request, now, trace) else {
        let result = json!({ "error": { "message": "A request that this one depends on failed.", "code": 960 } });
        async_sets::settle(&mut inner.state, request, "ERROR_DEPENDENCY", Some(result), now);
        return;
    };
    let (status, body) = ordered(inner, order);
    async_sets::settle(&mut inner.state, request, status, Some(body), now);
}

/// Does what was ordered: struck by faults, counted and logged like any other call. Gives the request's status and what
/// was answered.
fn ordered(inner: &mut Inner, order: Order) -> (&'static str, Value) {
    let about = About {
        at: order.now,
        method: order.verb.word().to_ascii_uppercase(),
        path: format!("/{}/{}", order.version.word(), order.path.join("/")),
        item: None,
        grant_type: None,
        origin: Origin::default(),
    };
    let Inner { state, faults, .. } = inner;
    let struck = faults.strike(|| {
        let (method, path, params) = (&about.method, &about.path, &order.params);
        let heard = Heard { method, verb: order.verb, path, params, bearer: None, is_item: false, now: order.now };
        asked(state, heard)
    });
    let before = inner.state.committed();
    inner.state.take_committed_ids();
    let trace = order.trace.clone();
    let mut trail = Trail::default();
    let result = match struck.refusal() {
        Some(refusal) => Err(refusal),
        None => done(inner, order, &mut trail),
    };
    let status = if result.is_ok() { "SUCCESS" } else { "ERROR" };
    let answer = match result {
        Ok(body) => Done { status: 200, body, headers: Vec::new(), trace, served: None, reader: None },
        Err(refusal) => Done::refused(&refusal, &trace),
    };
    let committed = inner.state.committed() > before;
    let committed_ids = inner.state.take_committed_ids();
    let committed_ids = committed_ids.into_iter().filter_map(|id| inner.state.object(id)).map(path_id).collect();
    let bucket = trail.bucket.unwrap_or(Bucket::Free);
    let rules: Vec<u64> = struck.rules.into_iter().chain(trail.storm).collect();
    let line = about.line(answer.status, answer.code(), bucket, &rules, Fate::Answered);
    inner.requests.push(Line { committed, committed_ids, ..line });
    (status, answer.body.into_tree())
}

fn done(inner: &mut Inner, order: Order, trail: &mut Trail) -> Result<Body, Refusal> {
    let caller = token::holder(&inner.state, &order.holder, order.now)?;
    let call = Call {
        verb: order.verb,
        path: order.path,
        params: order.params,
        files: Vec::new(),
        version: order.version,
        now: order.now,
        base: String::new(),
        caller,
        trace: order.trace,
        background: true,
    };
    dispatch::counted(inner, &call, trail)
}

/// The call that a request comes to; `None` where what it refers to is not there.
fn order(state: &State, set: &Object, request: &Object, now: Timestamp, trace: &str) -> Option<Order> {
    let edge = match set.text("_form") {
        "ads" => "ads",
        "creatives" => "adcreatives",
        _ => return item_order(state, set, request, now, trace),
    };
    Some(Order {
        verb: Verb::Post,
        path: vec![format!("act_{}", set.account), edge.to_owned()],
        params: Params::from_map(async_sets::spec(request)),
        holder: set.text("_holder").to_owned(),
        version: version(set),
        trace: trace.to_owned(),
        now,
    })
}

fn item_order(state: &State, set: &Object, request: &Object, now: Timestamp, trace: &str) -> Option<Order> {
    let item: Item = batch::item(&Value::Object(async_sets::spec(request))).ok()?;
    let ready = item.ready(&async_sets::answers(state, set.id), &Params::default(), &[])?;
    let (_, path) = Version::split(&format!("/{}", ready.path.trim_start_matches('/')));
    let mut params = ready.params;
    params.remove("access_token");
    Some(Order {
        verb: ready.verb,
        path,
        params,
        holder: set.text("_holder").to_owned(),
        version: version(set),
        trace: trace.to_owned(),
        now,
    })
}

fn version(set: &Object) -> Version {
    let number = set.fields.get("_version").and_then(Value::as_u64);
    number.and_then(|number| u16::try_from(number).ok()).map_or(Version(0), Version)
}
