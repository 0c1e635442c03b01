//! What can be read below a node.

use serde_json::Value;

use super::{Call, more, people};
use crate::body::Body;
use crate::edge::Ids;
use crate::error::Refusal;
use crate::estimates;
use crate::fields;
use crate::nodes::{self, copies, images, labels, thumbnails};
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
    let fields = fields::of(&call.params)?;
    let ids = titled(state, call, edge, ids);
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

fn by_labels(edge: &str) -> Option<Kind> {
    match edge {
        "campaignsbylabels" => Some(Kind::Campaign),
        "adsetsbylabels" => Some(Kind::AdSet),
        "adsbylabels" => Some(Kind::Ad),
        "adcreativesbylabels" => Some(Kind::Creative),
        _ => None,
    }
}
