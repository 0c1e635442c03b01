//! From a path to its handler: by node here, by verb and edge in the modules below.

mod answer;
mod charge;
mod delete;
mod expanded;
mod get;
mod ids;
mod more;
mod people;
mod post;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::batch;
use crate::body::Body;
use crate::error::Refusal;
use crate::fields;
use crate::insights;
use crate::nodes::{async_sets, catalogs, datasets, leads, metadata, people as holders, videos};
use crate::oauth;
use crate::params::Params;
use crate::render::View;
use crate::search;
use crate::state::{Actor, Kind, Object, State};
use crate::token::Caller;
use crate::version::Version;

pub(crate) use answer::answer;
pub(crate) use charge::charge;

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }
}

/// A file of a multipart body.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The name of its part, by which batch items name it.
    pub(crate) part: String,
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

/// One call with a known caller, from the network or out of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) verb: Verb,
    /// The path without its version.
    pub(crate) path: Vec<String>,
    pub(crate) params: Params,
    pub(crate) files: Vec<File>,
    pub(crate) version: Version,
    pub(crate) now: Timestamp,
    /// Scheme and host under which the caller reached us.
    pub(crate) base: String,
    pub(crate) caller: Caller,
    pub(crate) trace: String,
    /// Whether it is worked off behind an asynchronous call.
    pub(crate) background: bool,
}

impl<'a> View<'a> {
    pub(crate) fn of(state: &'a State, call: &'a Call) -> Self {
        let side = |name: &str| call.params.integer(name).ok().flatten().filter(|side| *side > 0);
        let thumbnail = (side("thumbnail_width"), side("thumbnail_height"));
        let Call { now, version, ref base, ref caller, .. } = *call;
        Self { state, now, version, base, token: &caller.token, thumbnail }
    }
}

/// The object that a path names: `act_1`, digits, or the id of an image.
pub(crate) fn node<'a>(state: &'a State, name: &str) -> Option<&'a Object> {
    if let Some(digits) = name.strip_prefix("act_") {
        return state.of_kind(digits.parse().ok()?, Kind::AdAccount);
    }
    if let Some(product) = name.strip_prefix("catalog:") {
        return catalogs::by_path(state, product);
    }
    if let Some((account, hash)) = name.split_once(':') {
        return state.image(account.parse().ok()?, hash);
    }
    // An ad account without its prefix is another node, which nobody may read.
    name.parse().ok().and_then(|id| state.object(id)).filter(|object| match object.kind {
        Kind::AdAccount => false,
        // Of these Meta keeps nothing; a deleted campaign can still be read.
        Kind::Audience | Kind::Label | Kind::Lead | Kind::ProductSet | Kind::Product | Kind::Catalog | Kind::Video => {
            !object.status.is_gone()
        }
        _ => true,
    })
}

/// Finds the handler of a call.
fn handle(state: &mut State, call: &Call) -> Result<Body, Refusal> {
    state.actor = Actor { person: call.caller.grant.person, app: call.caller.grant.app };
    if let (Verb::Get, [name, edge]) = (call.verb, call.path.as_slice())
        && edge == "insights"
        && let Some(object) = node(state, name).filter(|object| insights::is_target(object.kind))
    {
        return insights::read(state, call, object);
    }
    let parts: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match (call.verb, parts.as_slice()) {
        (Verb::Get, ["search"]) => search::answer(state, call).map(Body::from),
        (Verb::Get, ["debug_token"]) => {
            oauth::debug_token(state, &call.caller.grant, &call.params, call.now).map(Body::from)
        }
        (Verb::Get, ["dataset_quality"]) => datasets::quality::read(state, call).map(Body::from),
        (_, ["me", rest @ ..]) => me(state, call, rest),
        (Verb::Get, [name]) => read(state, call, name),
        (_, [name, rest @ ..]) => {
            let found = node(state, name).filter(|object| !insights::is_gone_run(state, object, call.now));
            let Some(object) = found.cloned() else {
                return Err(Refusal::missing(call.verb.word(), name));
            };
            on_node(state, call, &object, rest)
        }
        (Verb::Get, []) if call.params.has("ids") => ids::read(state, call).map(Body::from),
        (Verb::Post, []) => match batch::background(&call.params)? {
            Some(items) => async_sets::create_sessions(state, call, items).map(Body::from),
            None => Err(Refusal::new(2500, "An unknown path was requested.")),
        },
        (_, []) => Err(Refusal::new(2500, "An unknown path was requested.")),
    }
}

fn me(state: &mut State, call: &Call, rest: &[&str]) -> Result<Body, Refusal> {
    let person = call.caller.grant.person;
    match (call.verb, rest) {
        (Verb::Get, []) => match state.object(person) {
            Some(object) => shown(state, call, object),
            None => Ok(json!({ "id": person.to_string(), "name": crate::state::APP_NAME }).into()),
        },
        (Verb::Get, [edge]) => {
            let answer = holders::edge(state, call, edge);
            answer.unwrap_or_else(|| Err(Refusal::unknown_path(edge))).map(Body::from)
        }
        (Verb::Delete, ["permissions", permission @ ..]) => {
            holders::permissions(state, call, person, permission.first().copied()).map(Body::from)
        }
        _ => Err(Refusal::unknown_path(&rest.join("/"))),
    }
}

/// Shows a node. It is the most frequent call of all, so the object is not copied for it.
fn read(state: &mut State, call: &Call, name: &str) -> Result<Body, Refusal> {
    let missing = || Refusal::missing(call.verb.word(), name);
    let object = node(state, name).filter(|object| !insights::is_gone_run(state, object, call.now));
    let object = object.ok_or_else(missing)?;
    if object.account != 0 {
        call.caller.may_read()?;
    }
    let id = object.id;
    if is_waited_for(object) {
        state.poll(id);
    }
    let object = state.object(id).ok_or_else(missing)?;
    if object.kind == Kind::Lead {
        return leads::read(state, call, object).map(Body::from);
    }
    shown(state, call, object)
}

fn on_node(state: &mut State, call: &Call, object: &Object, rest: &[&str]) -> Result<Body, Refusal> {
    match (call.verb, rest) {
        (Verb::Post, []) => post::node(state, call, object).map(Body::from),
        (Verb::Delete, []) => delete::node(state, call, object).map(Body::from),
        (_, ["permissions", permission @ ..]) if object.kind == Kind::Person => {
            holders::permissions(state, call, object.id, permission.first().copied()).map(Body::from)
        }
        (Verb::Get, [edge]) => get::edge(state, call, object, edge),
        (Verb::Post, [edge]) => post::edge(state, call, object, edge).map(Body::from),
        (Verb::Delete, [edge]) => delete::edge(state, call, object, edge).map(Body::from),
        _ => Err(Refusal::unknown_path(&rest.join("/"))),
    }
}

/// Things that take their time move on when they are looked at.
fn is_waited_for(object: &Object) -> bool {
    match object.kind {
        Kind::Run | Kind::Audience => true,
        Kind::Video => videos::is_whole(object),
        _ => false,
    }
}

fn shown(state: &State, call: &Call, object: &Object) -> Result<Body, Refusal> {
    let fields = fields::of(&call.params)?;
    let view = View::of(state, call);
    if !call.params.boolean("metadata")? {
        return view.node_text(object, fields.as_deref());
    }
    let mut shown = view.node(object, fields.as_deref())?;
    if let Value::Object(members) = &mut shown {
        members.insert("metadata".to_owned(), metadata::of(&view, object));
    }
    Ok(shown.into())
}
