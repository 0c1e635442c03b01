//! Edges with a handler of their own among the `fields` of a node: `me?fields=id,permissions`, `act_1?fields=activities`.

use serde_json::Value;

use super::{Call, handle, node};
use crate::body::Body;
use crate::error::Refusal;
use crate::fields::{self, Field};
use crate::nodes;
use crate::params::as_text;
use crate::render::{Shown, View};
use crate::state::{Object, State};

/// Reads a node once more that was refused for its fields: each that is an edge is asked for like a call of its own.
pub(super) fn read(state: &mut State, call: &Call, refusal: Refusal) -> Result<Body, Refusal> {
    let [name] = call.path.as_slice() else { return Err(refusal) };
    let object = if name == "me" { state.object(call.caller.grant.person) } else { node(state, name) };
    let (Some(object), Some(fields)) = (object.cloned(), fields::of(&call.params)?) else { return Err(refusal) };
    let view = View::of(state, call);
    let is_edge = |field: &Field| matches!(nodes::show(&view, &object, &field.name), Shown::Unknown);
    let (edges, mut plain): (Vec<Field>, Vec<Field>) = fields.into_iter().partition(is_edge);
    if edges.is_empty() {
        return Err(refusal);
    }
    plain.push(Field::plain("id"));
    let Value::Object(mut members) = view.node(&object, Some(&plain))? else { return Err(refusal) };
    for field in edges {
        let rows = edge(state, call, name, &object, &field)?;
        // Without rows an edge is left out.
        if rows.get("data").and_then(Value::as_array).is_none_or(|rows| !rows.is_empty()) {
            members.insert(field.key().to_owned(), rows);
        }
    }
    Ok(Value::Object(members).into())
}

fn edge(state: &mut State, call: &Call, name: &str, object: &Object, field: &Field) -> Result<Value, Refusal> {
    let mut params = field.modifiers.clone();
    if !field.inner.is_empty() {
        params.put("fields", Value::String(written(&field.inner)));
    }
    let path = vec![name.to_owned(), field.name.clone()];
    match handle(state, &Call { path, params, ..call.clone() }) {
        Err(refusal) if refusal.is_unknown_path() => Err(Refusal::unknown_field(&field.name, object.kind.node_type())),
        answer => answer.map(Body::into_tree),
    }
}

/// Fields as they are written in a call.
fn written(fields: &[Field]) -> String {
    let one = |field: &Field| {
        let mut text = field.name.clone();
        for (name, value) in field.modifiers.iter() {
            text.extend([".", name, "(", &as_text(value), ")"]);
        }
        if let Some(alias) = &field.alias {
            text.extend([".as(", alias, ")"]);
        }
        if !field.inner.is_empty() {
            text.extend(["{", &written(&field.inner), "}"]);
        }
        text
    };
    fields.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let text = "id,adset.as(set){name,ads.limit(2).filtering([{'field':'name'}]){id}}";
        let fields = fields::parse(text).unwrap();
        assert_eq!(fields::parse(&written(&fields)).unwrap(), fields);
    }
}
