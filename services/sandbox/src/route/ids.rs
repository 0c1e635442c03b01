//! `GET /?ids=1,2`: several nodes in one answer, until version 26 took it away.

use serde_json::{Map, Value};

use super::Call;
use crate::error::Refusal;
use crate::state::State;

/// Answers with a member for each id; one that cannot be read fails all.
pub(super) fn read(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    if call.version >= state.settings.ids_refused_since {
        return Err(Refusal::invalid("The ids query parameter is deprecated in v26.0+.").http(500));
    }
    let ids = call.params.words("ids")?.unwrap_or_default();
    if ids.is_empty() {
        return Err(Refusal::invalid("Cannot specify an empty identifier"));
    }
    let mut nodes = Map::new();
    for id in ids {
        let node = super::read(state, call, &id)?.into_tree();
        nodes.insert(id, node);
    }
    Ok(Value::Object(nodes))
}
