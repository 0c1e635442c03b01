//! What can be deleted.

use serde_json::Value;

use super::Call;
use crate::error::Refusal;
use crate::nodes::{self, audiences, bulk, images, lifecycle, members, videos, write};
use crate::state::{Kind, Object, State};
use crate::webhooks;

/// Deletes a node.
pub(super) fn node(state: &mut State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    call.caller.may_write()?;
    match object.kind {
        Kind::Audience => audiences::delete(state, call, object),
        Kind::Video => videos::delete(state, call, object.id),
        Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Creative | Kind::Label | Kind::Run => {
            Ok(lifecycle::delete(state, object.id, call.now))
        }
        _ => Err(Refusal::missing("delete", &nodes::path_id(object))),
    }
}

/// Deletes from an edge.
pub(super) fn edge(state: &mut State, call: &Call, object: &Object, edge: &str) -> Result<Value, Refusal> {
    match (object.kind, edge) {
        (Kind::AdAccount, "campaigns") => bulk::delete(state, call, object.id),
        (Kind::App, "subscriptions") => webhooks::unsubscribe(state, call, object),
        (Kind::AdAccount | Kind::Page, "subscribed_apps") => webhooks::unsubscribe_app(state, call, object),
        (Kind::AdAccount, "adimages") => images::delete(state, call, object.id),
        (Kind::AdAccount, "advideos") => {
            let id = write::required_id(&call.params, "video_id")?;
            videos::delete(state, call, id)
        }
        (Kind::Audience, "users") => members::change(state, call, object),
        _ => Err(Refusal::unknown_path(edge)),
    }
}
