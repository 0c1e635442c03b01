//! How nodes and edges are shown: only the fields that were asked for, each as Meta writes it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::body::{Body, Text};
use crate::edge::{self, Ids};
use crate::error::Refusal;
use crate::fields::Field;
use crate::filter::Filter;
use crate::insights;
use crate::nodes;
use crate::paging::{self, Link};
use crate::params::Params;
use crate::state::{Kind, Object, State, shown_id};
use crate::version::Version;

/// From where the world is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) now: Timestamp,
    pub(crate) version: Version,
    /// Scheme and host under which the caller reached us, for links.
    pub(crate) base: &'a str,
    pub(crate) token: &'a str,
    /// Width and height of the thumbnails that the caller wants, in pixels.
    pub(crate) thumbnail: (Option<i64>, Option<i64>),
}

/// What a field of a node is.
#[derive(Debug)]
pub(crate) enum Shown {
    Value(Value),
    /// One of Meta's words.
    Word(&'static str),
    /// What is kept under the field's name, as it is; absent where nothing is.
    Kept,
    /// Known, but not set; Meta leaves such members out.
    Absent,
    /// Another node, shown with its own fields.
    Node(u64),
    /// An edge with objects.
    Edge(Ids),
    Insights,
    Unknown,
}

impl Shown {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Value(Value::String(text.into()))
    }

    pub(crate) fn node(id: Option<u64>) -> Self {
        id.map_or(Self::Absent, Self::Node)
    }
}

impl View<'_> {
    pub(crate) fn link(&self, path: &str) -> Link {
        Link { address: format!("{}/{}/{path}", self.base, self.version.word()), token: self.token.to_owned() }
    }

    /// A node with the given fields, or with its default ones.
    pub(crate) fn node_text(&self, object: &Object, fields: Option<&[Field]>) -> Result<Body, Refusal> {
        let mut text = Text::default();
        self.write_node(&mut text, object, fields)?;
        Ok(text.into())
    }

    /// The same as a tree.
    pub(crate) fn node(&self, object: &Object, fields: Option<&[Field]>) -> Result<Value, Refusal> {
        self.node_text(object, fields).map(Body::into_tree)
    }

    /// One page of objects.
    pub(crate) fn edge_text(
        &self,
        path: &str,
        ids: impl Into<Ids>,
        params: &Params,
        fields: Option<&[Field]>,
    ) -> Result<Body, Refusal> {
        let mut text = Text::default();
        self.write_edge(&mut text, path, &ids.into(), params, fields)?;
        Ok(text.into())
    }

    /// The same as a tree.
    pub(crate) fn edge(
        &self,
        path: &str,
        ids: impl Into<Ids>,
        params: &Params,
        fields: Option<&[Field]>,
    ) -> Result<Value, Refusal> {
        self.edge_text(path, ids, params, fields).map(Body::into_tree)
    }

    /// The fields in the order in which they were asked for, then the id, which Meta always adds.
    fn write_node(&self, text: &mut Text, object: &Object, fields: Option<&[Field]>) -> Result<(), Refusal> {
        let defaults;
        let fields = match fields {
            Some(fields) if !fields.is_empty() => fields,
            _ => {
                defaults = nodes::default_fields(object.kind).iter().map(|name| Field::plain(name)).collect::<Vec<_>>();
                &defaults
            }
        };
        text.open(b'{');
        for field in fields {
            let before = text.mark();
            text.key(field.key());
            if !self.write_field(text, object, field)? {
                text.back_to(before);
            }
        }
        if fields.iter().all(|field| field.key() != "id") {
            text.key("id");
            match object.kind {
                Kind::AdAccount | Kind::Image => text.value(&shown_id(object)),
                _ => text.digits(object.id),
            }
        }
        text.close(b'}');
        Ok(())
    }

    /// Says whether there was anything to write.
    fn write_field(&self, text: &mut Text, object: &Object, field: &Field) -> Result<bool, Refusal> {
        let inner = (!field.inner.is_empty()).then_some(field.inner.as_slice());
        match nodes::show(self, object, &field.name) {
            Shown::Value(value) => text.value(&selected(value, inner)),
            Shown::Word(word) => text.string(word),
            Shown::Kept => match object.fields.get(&field.name) {
                None | Some(Value::Null) => return Ok(false),
                Some(value) if inner.is_none() => text.value(value),
                Some(value) => text.value(&selected(value.clone(), inner)),
            },
            Shown::Absent => return Ok(false),
            Shown::Node(id) => match self.state.object(id) {
                Some(node) => self.write_node(text, node, inner)?,
                None => return Ok(false),
            },
            Shown::Edge(ids) => {
                let path = format!("{}/{}", nodes::path_id(object), field.name);
                return self.write_edge(text, &path, &ids, &field.modifiers, inner);
            }
            Shown::Insights => {
                let rows = insights::nested(self, object, &field.modifiers, inner)?;
                text.value(&rows);
                return Ok(has_rows(&rows));
            }
            Shown::Unknown => return Err(Refusal::unknown_field(&field.name, object.kind.node_type())),
        }
        Ok(true)
    }

    /// Says whether there are rows.
    fn write_edge(
        &self,
        text: &mut Text,
        path: &str,
        ids: &Ids,
        params: &Params,
        fields: Option<&[Field]>,
    ) -> Result<bool, Refusal> {
        let filter = Filter::of(params)?;
        let turned = ids.in_order(self.state, params);
        let page = edge::page(self, turned.as_ref().unwrap_or(ids), &filter, params)?;
        text.open(b'{');
        text.key("data");
        text.open(b'[');
        for object in page.keys.iter().filter_map(|&id| self.state.object(id)) {
            text.item();
            self.write_node(text, object, fields)?;
        }
        text.close(b']');
        for (name, value) in paging::members(&page, params, &self.link(path)) {
            text.key(&name);
            text.value(&value);
        }
        text.close(b'}');
        Ok(!page.keys.is_empty())
    }
}

/// The members of an object, or of each object of a list, that stand in braces behind its name.
fn selected(value: Value, inner: Option<&[Field]>) -> Value {
    let Some(fields) = inner else { return value };
    match value {
        Value::Array(items) => items.into_iter().map(|item| selected(item, inner)).collect(),
        Value::Object(mut map) => {
            let mut kept = Map::new();
            for field in fields {
                if let Some(member) = map.remove(&field.name) {
                    let below = (!field.inner.is_empty()).then_some(field.inner.as_slice());
                    kept.insert(field.key().to_owned(), selected(member, below));
                }
            }
            Value::Object(kept)
        }
        scalar => scalar,
    }
}

fn has_rows(edge: &Value) -> bool {
    edge.get("data").and_then(Value::as_array).is_some_and(|rows| !rows.is_empty())
}
