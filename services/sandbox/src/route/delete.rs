//! What can be deleted.

use serde_json::Value;

use super::{Call, people};
use crate::error::Refusal;
use crate::nodes::{self, async_sets, bulk, images, labels, lifecycle, roles, rules, schedules, studies, videos};
use crate::state::{Kind, Object, State};
use crate::webhooks;

/// Deletes a node.
pub(super) fn node(state: &mut State, call: &Call, object: &Object) -> Result<Value, Refusal> {
    if object.account != 0 {
        call.caller.may_write()?;
    }
    match object.kind {
        Kind::Rule => rules::delete(state, call, object),
        Kind::Study => studies::cancel(state, call, object),
        Kind::Schedule => schedules::delete(state, call, object),
        Kind::AsyncSet | Kind::AsyncRequest => async_sets::cancel(state, call, object),
        Kind::Video => videos::delete(state, call, object.id),
        Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Creative | Kind::Label | Kind::Run => {
            Ok(lifecycle::delete(state, object.id, call.now))
        }
        _ => people::remove(state, call, object)
            .unwrap_or_else(|| Err(Refusal::missing("delete", &nodes::path_id(object)))),
    }
}

/// Deletes from an edge.
pub(super) fn edge(state: &mut State, call: &Call, object: &Object, edge: &str) -> Result<Value, Refusal> {
    match (object.kind, edge) {
        (Kind::AdAccount, "assigned_users") => roles::remove(state, call, object),
        (Kind::AdAccount, "campaigns") => bulk::delete(state, call, object.id),
        (Kind::App, "subscriptions") => webhooks::unsubscribe(state, call, object),
        (Kind::AdAccount | Kind::Page, "subscribed_apps") => webhooks::unsubscribe_app(state, call, object),
        (Kind::AdAccount, "adimages") => images::delete(state, call, object.id),
        (Kind::AdAccount, "advideos") => videos::delete_of(state, call, object.id),
        (Kind::Campaign | Kind::AdSet | Kind::Ad | Kind::Creative, "adlabels") => labels::detach(state, call, object),
        _ => people::delete(state, call, object, edge).unwrap_or_else(|| Err(Refusal::unknown_path(edge))),
    }
}
