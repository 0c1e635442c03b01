//! Writes that are worked off behind a call: sets of ads, of creatives, and batches.
//!
//! A set is an object with its requests below it, so that all of it is in the journal. What works it off is
//! `door::background`; here are the calls that make sets, show them and cancel them.

mod shown;

use serde_json::{Map, Value, json};

use super::write;
use crate::batch;
use crate::error::Refusal;
use crate::fields;
use crate::render::View;
use crate::route::Call;
use crate::state::{Kind, Object, State, sealed};
use shown::Counts;

pub(crate) use shown::{show_request, show_set};

pub(crate) const SET_FIELDS: &str = "canceled_count created_time error_count id in_progress_count initial_count \
    is_completed name notification_mode notification_result notification_status owner_id success_count total_count \
    updated_time";
pub(crate) const REQUEST_FIELDS: &str = "async_request_set created_time error_code exception id input method name \
    percent_completed result scope_object_id status type updated_time uri";

/// The most ads of one set (Meta, 'Ad account asyncadrequestsets').
const SPECS_MAX: usize = 1_000;
/// What a request can come to, in the order of its life.
const STATUSES: &[&str] = &[
    "INITIAL",
    "IN_PROGRESS",
    "SUCCESS",
    "ERROR",
    "CANCELED",
    "PENDING_DEPENDENCY",
    "CANCELED_DEPENDENCY",
    "ERROR_DEPENDENCY",
    "ERROR_CONFLICTS",
    "USER_CANCELED",
    "USER_CANCELED_DEPENDENCY",
    "PROCESS_BY_AD_ASYNC_ENGINE",
    "PROCESS_BY_EVENT_PROCESSOR",
];

/// What a set consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Ads,
    Creatives,
    Batch,
    /// A batch whose items are asked for one by one (Meta, 'Batch requests': `async_sessions`).
    Sessions,
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Self::Ads => "ads",
            Self::Creatives => "creatives",
            Self::Batch => "batch",
            Self::Sessions => "sessions",
        }
    }
}

/// `POST /act_X/asyncadrequestsets`.
pub(crate) fn create_ads(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let specs = listed(call, "ad_specs")?;
    if specs.len() > SPECS_MAX {
        return Err(
            Refusal::invalid(format!("Param ad_specs must have at most {SPECS_MAX} items")).blame(&["ad_specs"])
        );
    }
    create(state, call, account, Form::Ads, specs)
}

/// `POST /act_X/asyncadcreatives`.
pub(crate) fn create_creatives(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let spec = call.params.json("creative_spec")?.ok_or_else(|| Refusal::required("creative_spec"))?;
    let specs = if let Value::Array(specs) = spec { specs } else { vec![spec] };
    create(state, call, account, Form::Creatives, specs)
}

/// `POST /act_X/async_batch_requests`.
pub(crate) fn create_batch(state: &mut State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let mut items = listed(call, "adbatch")?;
    for item in &mut items {
        if let Value::Object(map) = item {
            map.entry("method").or_insert_with(|| json!("POST"));
        }
        batch::item(item)?;
    }
    create(state, call, account, Form::Batch, items)
}

/// `POST /` with `is_async=true`: one session for each item.
pub(crate) fn create_sessions(state: &mut State, call: &Call, items: Vec<Value>) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    for item in &items {
        batch::item(item)?;
    }
    let set = kept(state, call, 0, Form::Sessions, items, "sessions");
    let rows = state.children(set, Kind::AsyncRequest).filter_map(|id| state.object(id));
    let rows: Vec<Value> = rows.map(|row| json!({ "id": row.id.to_string(), "name": row.name() })).collect();
    Ok(json!({ "async_sessions": rows }))
}

fn listed(call: &Call, name: &str) -> Result<Vec<Value>, Refusal> {
    let items = call.params.list(name)?.ok_or_else(|| Refusal::required(name))?;
    let parsed = items.into_iter().map(|item| match item {
        Value::String(text) => crate::loose::parse(&text).filter(Value::is_object),
        other => Some(other).filter(Value::is_object),
    });
    let items: Option<Vec<Value>> = parsed.collect();
    let items =
        items.ok_or_else(|| Refusal::invalid(format!("Param {name} must be an array of objects")).blame(&[name]))?;
    if items.is_empty() {
        return Err(Refusal::required(name));
    }
    Ok(items)
}

fn create(state: &mut State, call: &Call, account: u64, form: Form, inputs: Vec<Value>) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let name = call.params.required("name")?;
    notification(call)?;
    let id = kept(state, call, account, form, inputs, &name);
    write::created(state, call, id)
}

/// `notification_mode`, where it is given. `ON_COMPLETE` needs an address.
fn notification(call: &Call) -> Result<Option<String>, Refusal> {
    let mode = call.params.text("notification_mode");
    match mode.as_deref() {
        None | Some("OFF") => Ok(mode),
        Some("ON_COMPLETE") if call.params.has("notification_uri") => Ok(mode),
        Some("ON_COMPLETE") => Err(Refusal::required("notification_uri")),
        Some(_) => {
            let text = "Param notification_mode must be one of {OFF, ON_COMPLETE}";
            Err(Refusal::invalid(text).blame(&["notification_mode"]))
        }
    }
}

/// Keeps the set with its requests, and has it worked off.
fn kept(state: &mut State, call: &Call, account: u64, form: Form, inputs: Vec<Value>, name: &str) -> u64 {
    let mut set = Object::new(state.fresh_id(), Kind::AsyncSet, account, call.now).with(json!({
        "name": name,
        "notification_mode": call.params.text("notification_mode").unwrap_or_else(|| "OFF".to_owned()),
        "_form": form.word(),
        "_version": call.version.0,
        // Who asked, as the digest of the token: no file of the sandbox holds a token.
        "_holder": sealed(&call.caller.token),
        "_person": call.caller.grant.person.to_string(),
    }));
    if let Some(uri) = call.params.text("notification_uri") {
        set.fields.insert("notification_uri".to_owned(), json!(uri));
    }
    let id = set.id;
    write::keep(state, set);
    for input in inputs {
        let mut request = Object::new(state.fresh_id(), Kind::AsyncRequest, account, call.now);
        request.owner = Some(id);
        let link = |name: &str| input.get(name).and_then(write::id_of);
        request.ad_set = link("adset_id").filter(|&id| state.of_kind(id, Kind::AdSet).is_some());
        request.campaign = match request.ad_set {
            Some(ad_set) => state.object(ad_set).and_then(|ad_set| ad_set.campaign),
            None => link("campaign_id").filter(|&id| state.of_kind(id, Kind::Campaign).is_some()),
        };
        let name = input.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        request = request.with(json!({ "name": name, "input": input, "_status": "INITIAL", "_form": form.word() }));
        write::keep(state, request);
    }
    state.wake(id);
    id
}

/// `POST /{set}`: its name and who is told.
pub(crate) fn update(state: &mut State, call: &Call, old: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    notification(call)?;
    let mut set = old.clone();
    for name in ["name", "notification_mode", "notification_uri"] {
        if let Some(text) = call.params.text(name) {
            set.fields.insert(name.to_owned(), json!(text));
        }
    }
    set.updated = call.now;
    write::keep(state, set);
    write::updated(state, call, old.id)
}

/// `DELETE /{set}` or `/{request}`: what has not begun is cancelled; the rest goes on.
pub(crate) fn cancel(state: &mut State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    let requests: Vec<u64> = match object.kind {
        Kind::AsyncSet => state.children(object.id, Kind::AsyncRequest).collect(),
        _ => vec![object.id],
    };
    for id in requests {
        if let Some(request) = state.object(id)
            && matches!(request.text("_status"), "INITIAL" | "PENDING_DEPENDENCY")
        {
            let mut request = request.clone();
            request.fields.insert("_status".to_owned(), json!("USER_CANCELED"));
            request.updated = call.now;
            write::keep(state, request);
        }
    }
    Ok(write::validated())
}

/// `GET /{set}/requests`, `GET /{campaign or ad set}/asyncadrequests`: with `statuses` only those.
pub(crate) fn requests(state: &State, call: &Call, parent: &Object) -> Result<Value, Refusal> {
    let mut wanted = call.params.words("statuses")?.unwrap_or_default();
    wanted.extend(call.params.words("status")?.unwrap_or_default());
    if let Some(word) = wanted.iter().find(|word| !STATUSES.contains(&word.as_str())) {
        let text = format!("Param statuses must be one of {{{}}}, not {word}", STATUSES.join(", "));
        return Err(Refusal::invalid(text).blame(&["statuses"]));
    }
    let fits = |&id: &u64| {
        let status = state.object(id).map(|request| request.text("_status")).unwrap_or_default();
        wanted.is_empty() || wanted.iter().any(|word| word == status)
    };
    page(state, call, state.children(parent.id, Kind::AsyncRequest).filter(fits).collect())
}

/// `GET /act_X/asyncadrequestsets` and `asyncadcreatives`, newest first.
pub(crate) fn sets(state: &State, call: &Call, account: u64, form: Form) -> Result<Value, Refusal> {
    let completed = if call.params.has("is_completed") { Some(call.params.boolean("is_completed")?) } else { None };
    let fits = |&id: &u64| {
        state.object(id).is_some_and(|set| {
            set.text("_form") == form.word()
                && completed.is_none_or(|wanted| Counts::of(state, set.id).is_done() == wanted)
        })
    };
    page(state, call, state.children(account, Kind::AsyncSet).rev().filter(fits).collect())
}

/// `GET /act_X/async_requests`: every set as a job.
pub(crate) fn jobs(state: &State, call: &Call, account: u64) -> Result<Value, Refusal> {
    let (status, kind) = (call.params.text("status"), call.params.text("type"));
    check(status.as_deref(), "status", &["ERROR", "EXECUTING", "FINISHED", "INITIALIZED"])?;
    check(kind.as_deref(), "type", &["ASYNC_ADGROUP_CREATION", "BATCH_API", "DRAFTS"])?;
    let sets = state.children(account, Kind::AsyncSet).rev().filter_map(|id| state.object(id));
    let rows: Vec<Value> = sets
        .map(|set| job(state, set))
        .filter(|row| status.as_ref().is_none_or(|status| row["status"] == *status))
        .filter(|row| kind.as_ref().is_none_or(|kind| row["type"] == *kind))
        .collect();
    Ok(json!({ "data": rows }))
}

fn check(word: Option<&str>, name: &str, words: &[&str]) -> Result<(), Refusal> {
    match word {
        Some(word) if !words.contains(&word) => {
            Err(Refusal::invalid(format!("Param {name} must be one of {{{}}}", words.join(", "))).blame(&[name]))
        }
        _ => Ok(()),
    }
}

fn job(state: &State, set: &Object) -> Value {
    let counts = Counts::of(state, set.id);
    let status = match counts {
        _ if !counts.is_done() && counts.initial == counts.total => "INITIALIZED",
        _ if !counts.is_done() => "EXECUTING",
        Counts { error, total, .. } if error == total => "ERROR",
        _ => "FINISHED",
    };
    let kind = if set.text("_form") == Form::Batch.word() { "BATCH_API" } else { "ASYNC_ADGROUP_CREATION" };
    let results: Vec<Value> = state
        .children(set.id, Kind::AsyncRequest)
        .filter_map(|id| state.object(id)?.fields.get("result").cloned())
        .collect();
    json!({ "id": set.id.to_string(), "type": kind, "status": status, "result": json!(results).to_string() })
}

fn page(state: &State, call: &Call, ids: Vec<u64>) -> Result<Value, Refusal> {
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

/// What a request came to: an answer of the Graph API, or its error.
pub(crate) fn settle(
    state: &mut State,
    request: &Object,
    status: &str,
    result: Option<Value>,
    call_at: jiff::Timestamp,
) {
    let mut request = request.clone();
    request.fields.insert("_status".to_owned(), json!(status));
    if let Some(result) = result {
        request.fields.insert("result".to_owned(), result);
    }
    request.updated = call_at;
    write::keep(state, request);
}

/// The answers that items of a set may refer to, by the names of their items.
pub(crate) fn answers(state: &State, set: u64) -> std::collections::HashMap<String, Value> {
    let done = state.children(set, Kind::AsyncRequest).filter_map(|id| state.object(id));
    done.filter(|request| request.text("_status") == "SUCCESS" && !request.name().is_empty())
        .filter_map(|request| Some((request.name().to_owned(), request.fields.get("result")?.clone())))
        .collect()
}

/// The parameters of a request that creates one object.
pub(crate) fn spec(request: &Object) -> Map<String, Value> {
    request.fields.get("input").and_then(Value::as_object).cloned().unwrap_or_default()
}
