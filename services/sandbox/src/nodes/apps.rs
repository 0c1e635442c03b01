//! The app's own node.

use serde_json::Value;

use super::write;
use crate::error::Refusal;
use crate::route::Call;
use crate::spec::{self, Form, Row};
use crate::state::{Holder, Object, State};

pub(crate) const FIELDS: &str = "app_domains category company contact_email deauth_callback_url id link name namespace";

const WRITTEN: &[Row] = &[("deauth_callback_url", Form::Text), ("contact_email", Form::Text), ("name", Form::Text)];

/// `POST /{app}`, with the app's own token.
pub(crate) fn update(state: &mut State, call: &Call, app: &Object) -> Result<Value, Refusal> {
    if call.caller.grant.holder != Holder::App || call.caller.grant.app != app.id {
        return Err(Refusal::new(15, "(#15) This method must be called with an app access_token."));
    }
    let fields = spec::read(state, 0, WRITTEN, &call.params, call.now)?;
    let mut app = app.clone();
    app.updated = call.now;
    app.fields.extend(fields);
    let id = app.id;
    write::keep(state, app);
    write::updated(state, call, id)
}
