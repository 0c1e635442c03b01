//! What can be read below a node.

use serde_json::Value;

use super::{Call, more, people};
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
pub(super) fn edge(state: &mut State, call: &Call, object: &Object, edge: &str) -> Result<Value, Refusal> {
    if object.account != 0 {
        call.caller.may_read()?;
    }
    if let Some(answer) = more::get(state, call, object, edge) {
        return answer;
    }
    match (object.kind, edge) {
        (Kind::App, "subscriptions") => return webhooks::list(call, object),
        (Kind::AdAccount, "subscribed_apps") => return Ok(webhooks::list_apps(state, object)),
        (Kind::Page, "subscribed_apps") => return Ok(webhooks::list_page_apps(state, object)),
        (Kind::AdAccount, "adimages") => return images::list(state, call, object.id),
        (Kind::Campaign | Kind::AdSet | Kind::Ad, "copies") => return copies::list(state, call, object),
        (Kind::Video, "thumbnails") => return Ok(thumbnails::list(call, object)),
        (Kind::AdSet | Kind::Ad, "targetingsentencelines") => return Ok(search::sentence_lines(state, object)),
        (Kind::AdAccount, _) => {
            if let Some(answer) = search::of_account(state, call, object, edge) {
                return answer;
            }
            if let Some(kind) = by_labels(edge) {
                return labels::find(state, call, object.id, kind);
            }
        }
        _ => {}
    }
    let estimated = estimates::answer(state, call, object, edge);
    if let Some(answer) = estimated.or_else(|| previews::answer(state, call, object, edge)) {
        return answer;
    }
    if let Some(answer) = people::get(state, call, object, edge) {
        return answer;
    }
    let Some(ids) = nodes::edge(&View::of(state, call), object, edge) else {
        return Err(Refusal::unknown_path(edge));
    };
    let fields = fields::of(&call.params)?;
    View::of(state, call).edge(&call.path.join("/"), titled(state, call, edge, ids), &call.params, fields.as_deref())
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
