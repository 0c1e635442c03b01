//! Field expansion: fields of what a field leads to, in the same call (Meta, "Graph API: field expansion").

use std::fmt;

/// What is asked for: names, and edges with fields of their own.
///
/// ```text
/// id,name,adsets.limit(2){id,name},insights.date_preset(last_7d).as(week){spend}
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<String>);

impl Fields {
    /// These fields.
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// And what this edge leads to.
    #[must_use]
    pub fn with(mut self, edge: &Edge) -> Self {
        self.0.push(edge.to_string());
        self
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join(","))
    }
}

/// A field that leads to other objects, and what is asked of them. An edge without rows is left out of Meta's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    name: String,
    modifiers: String,
    fields: Fields,
}

impl Edge {
    /// The edge of this name.
    pub fn to(name: &str, fields: Fields) -> Self {
        Self { name: name.to_owned(), modifiers: String::new(), fields }
    }

    /// At most so many rows.
    #[must_use]
    pub fn limit(self, rows: u32) -> Self {
        self.modified("limit", rows)
    }

    /// Those after this cursor.
    #[must_use]
    pub fn after(self, cursor: &str) -> Self {
        self.modified("after", cursor)
    }

    /// Under another name in the answer, so that one edge can be asked for twice.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.modified("as", name)
    }

    /// With any other parameter of the edge, such as `date_preset` or `filtering`.
    #[must_use]
    pub fn modified(mut self, parameter: &str, value: impl fmt::Display) -> Self {
        self.modifiers = format!("{}.{parameter}({value})", self.modifiers);
        self
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.name, self.modifiers)?;
        if self.fields.0.is_empty() { Ok(()) } else { write!(out, "{{{}}}", self.fields) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_stand_within_edges_with_their_parameters() {
        let ads = Edge::to("ads", Fields::of(&["id"])).limit(5);
        let ad_sets = Edge::to("adsets", Fields::of(&["id", "name"]).with(&ads)).limit(2).after("MAZDZD");
        let week = Edge::to("insights", Fields::of(&["spend"])).modified("date_preset", "last_7d").named("week");
        let fields =
            Fields::of(&["id", "name"]).with(&ad_sets).with(&week).with(&Edge::to("adlabels", Fields::default()));
        assert_eq!(
            fields.to_string(),
            "id,name,adsets.limit(2).after(MAZDZD){id,name,ads.limit(5){id}},\
             insights.date_preset(last_7d).as(week){spend},adlabels"
        );
    }
}
