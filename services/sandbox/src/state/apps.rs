//! The app: the node under which webhooks are subscribed to.

use jiff::Timestamp;
use serde_json::json;

use super::{APP, APP_NAME, Change, Kind, Object, State};

/// Adds the app to a world.
pub(super) fn fill(state: &mut State, now: Timestamp) {
    let app = Object::new(APP, Kind::App, 0, now).with(json!({ "name": APP_NAME, "category": "Business" }));
    state.commit(Change::Put(Box::new(app)));
}
