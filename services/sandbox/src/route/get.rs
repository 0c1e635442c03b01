//! What can be read below a node.

use serde_json::Value;

use super::{Call, more, people};
use crate::body::Body;
use crate::edge::{self, Ids};
use crate::error::Refusal;
use crate::estimates;
use crate::fields::{self, Field};
use crate::filter::Filter;
use crate::nodes::{self, accounts, copies, images, labels, thumbnails};
use crate::params::Params;
use crate::previews;
use crate::render::View;
use crate::search;
use crate::state::{Kind, Object, State};
use crate::webhooks;

/// Reads an edge.
pub(super) fn edge(state: &mut State, call: &Call, object: &Object, edge: &str) -> Result<Body, Refusal> {
    if object.account != 0 {
        call.caller.may_read()?;
    }
    if let Some(answer) = special(state, call, object, edge) {
        return answer.map(Body::from);
    }
    let Some(ids) = nodes::edge(&View::of(state, call), object, edge) else {
        return Err(Refusal::unknown_path(edge));
    };
    let mut fields = fields::of(&call.params)?;
    dated(fields.iter_mut().flatten(), &call.params);
    let ids = titled(state, call, edge, ids);
    if edge == "advideos" {
        look_at_page(state, call, &ids)?;
    }
    View::of(state, call).edge_text(&call.path.join("/"), ids, &call.params, fields.as_deref())
}

/// Edges that are more than a page of objects.
fn special(state: &mut State, call: &Call, object: &Object, edge: &str) -> Option<Result<Value, Refusal>> {
    if let Some(answer) = more::get(state, call, object, edge) {
        return Some(answer);
    }
    match (object.kind, edge) {
        (Kind::App, "subscriptions") => return Some(webhooks::list(call, object)),
        (Kind::AdAccount, "subscribed_apps") => return Some(Ok(webhooks::list_apps(state, object))),
        (Kind::Page, "subscribed_apps") => return Some(Ok(webhooks::list_page_apps(state, object))),
        (Kind::AdAccount, "adimages") => return Some(images::list(state, call, object.id)),
        (Kind::Campaign | Kind::AdSet | Kind::Ad, "copies") => return Some(copies::list(state, call, object)),
        (Kind::Video, "thumbnails") => return Some(Ok(thumbnails::list(call, object))),
        (Kind::AdSet | Kind::Ad, "targetingsentencelines") => return Some(Ok(search::sentence_lines(state, object))),
        (Kind::AdAccount, "dsa_recommendations") => return Some(Ok(accounts::dsa_recommendations(state, object))),
        (Kind::AdAccount, _) => {
            if let Some(answer) = search::of_account(state, call, object, edge) {
                return Some(answer);
            }
            if let Some(kind) = by_labels(edge) {
                return Some(labels::find(state, call, object.id, kind));
            }
        }
        _ => {}
    }
    estimates::answer(state, call, object, edge)
        .or_else(|| previews::answer(state, call, object, edge))
        .or_else(|| people::get(state, call, object, edge))
}

/// `advideos?title=..` finds videos by their title.
fn titled(state: &State, call: &Call, edge: &str, ids: Ids) -> Ids {
    match call.params.text("title") {
        Some(title) if edge == "advideos" => {
            let has_title = |id: &u64| state.object(*id).is_some_and(|video| video.text("title") == title);
            Ids::Listed(ids.walk(state).filter(has_title).collect())
        }
        _ => ids,
    }
}

/// The days that an edge is asked for are those of the insights among its fields, unless they name their own.
fn dated<'a>(fields: impl Iterator<Item = &'a mut Field>, params: &Params) {
    const DAYS: [&str; 3] = ["time_ranges", "time_range", "date_preset"];
    for field in fields.filter(|field| field.name == "insights") {
        if DAYS.iter().any(|name| field.modifiers.has(name)) {
            continue;
        }
        for name in DAYS {
            if let Some(days) = params.raw(name) {
                field.modifiers.put(name, days.clone());
            }
        }
    }
}

/// Videos are looked at by their list as well as by their ids.
fn look_at_page(state: &mut State, call: &Call, ids: &Ids) -> Result<(), Refusal> {
    let filter = Filter::of(&call.params)?;
    let view = View::of(state, call);
    let turned = ids.in_order(state, &call.params);
    let page = edge::page(&view, turned.as_ref().unwrap_or(ids), &filter, &call.params)?;
    let is_waited_for = |id: &u64| state.object(*id).is_some_and(super::is_waited_for);
    let waited_for: Vec<u64> = page.keys.iter().copied().filter(is_waited_for).collect();
    for video in waited_for {
        state.poll(video);
    }
    Ok(())
}

fn by_labels(edge: &str) -> Option<Kind> {
    match edge {
        "campaignsbylabels" => Some(Kind::Campaign),
        "adsetsbylabels" => Some(Kind::AdSet),
        "adsbylabels" => Some(Kind::Ad),
        "adcreativesbylabels" => Some(Kind::Creative),
        _ => None,
    }
}
