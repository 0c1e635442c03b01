//! How nodes and edges are shown: only the fields that were asked for, each as Meta writes it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::edge::{self, Ids};
use crate::error::Refusal;
use crate::fields::Field;
use crate::filter::Filter;
use crate::insights;
use crate::nodes;
use crate::paging::{self, Link};
use crate::params::Params;
use crate::state::{Object, State, shown_id};
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
}

/// What a field of a node is.
#[derive(Debug)]
pub(crate) enum Shown {
    Value(Value),
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
    pub(crate) fn node(&self, object: &Object, fields: Option<&[Field]>) -> Result<Value, Refusal> {
        let defaults;
        let fields = match fields {
            Some(fields) if !fields.is_empty() => fields,
            _ => {
                defaults = nodes::default_fields(object.kind).iter().map(|name| Field::plain(name)).collect::<Vec<_>>();
                &defaults
            }
        };
        let mut shown = Map::new();
        shown.insert("id".to_owned(), shown_id(object));
        for field in fields {
            if let Some(value) = self.field(object, field)? {
                shown.insert(field.key.clone(), value);
            }
        }
        Ok(Value::Object(shown))
    }

    fn field(&self, object: &Object, field: &Field) -> Result<Option<Value>, Refusal> {
        let inner = (!field.inner.is_empty()).then_some(field.inner.as_slice());
        match nodes::show(self, object, &field.name) {
            Shown::Value(value) => Ok(Some(value)),
            Shown::Absent => Ok(None),
            Shown::Node(id) => match self.state.object(id) {
                Some(node) => self.node(node, inner).map(Some),
                None => Ok(None),
            },
            Shown::Edge(ids) => {
                let path = format!("{}/{}", nodes::path_id(object), field.name);
                let edge = self.edge(&path, ids, &field.modifiers, inner)?;
                Ok(has_rows(&edge).then_some(edge))
            }
            Shown::Insights => {
                let rows = insights::nested(self, object, &field.modifiers, inner)?;
                Ok(has_rows(&rows).then_some(rows))
            }
            Shown::Unknown => Err(Refusal::unknown_field(&field.name, object.kind.node_type())),
        }
    }

    /// One page of objects.
    pub(crate) fn edge(
        &self,
        path: &str,
        ids: impl Into<Ids>,
        params: &Params,
        fields: Option<&[Field]>,
    ) -> Result<Value, Refusal> {
        let filter = Filter::of(params)?;
        let page = edge::page(self, &ids.into(), &filter, params)?;
        let objects = page.keys.iter().filter_map(|&id| self.state.object(id));
        let rows = objects.map(|object| self.node(object, fields)).collect::<Result<Vec<_>, _>>()?;
        Ok(paging::answer(&page, rows, params, &self.link(path)))
    }
}

fn has_rows(edge: &Value) -> bool {
    edge.get("data").and_then(Value::as_array).is_some_and(|rows| !rows.is_empty())
}
